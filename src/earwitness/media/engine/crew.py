"""The media processes that have connected: who has which seat, who waits as a spare, and who hangs.

A process says something at least once a second (``["beat"]``). One that has said nothing for ``patience_s``, or that
leaves so many commands unread, hangs: it is killed, and a spare takes its seat with all that was in it. It must be dead
before that: two processes must never work on one arena.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog

from earwitness.media.engine import wire
from earwitness.media.engine.link import Link, hung_up, peer_pid
from earwitness.media.engine.seats import Seat

log = structlog.get_logger()

LOOK_S = 0.5


class Crew:
    """Use from one event loop; ``start`` before anything else.

    :param on_event: gets each event of a seat's process, as (seat, name, fields)
    :param on_lost: called when a seat's process is gone, before another one gets the seat
    """

    def __init__(
        self,
        path: Path,
        hello: wire.Hello,
        seats: list[Seat],
        on_event: Callable[[Seat, str, list[Any]], None],
        on_lost: Callable[[Seat], None],
        patience_s: float,
    ) -> None:
        self._path = path
        self._hello = hello
        self._seats = seats
        self._on_event = on_event
        self._on_lost = on_lost
        self._patience_s = patience_s
        self._listener: socket.socket | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._looked = 0.0
        self._spares: list[socket.socket] = []

    def start(self) -> None:
        """Listens. Raises OSError when the socket path cannot be used."""
        self._loop = asyncio.get_running_loop()
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._path.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
        wire.bind(self._listener, self._path)
        self._path.chmod(0o600)
        self._listener.listen(16)
        self._loop.add_reader(self._listener.fileno(), self._accept)
        self._looked = time.monotonic()
        self._timer = self._loop.call_later(LOOK_S, self._look)

    def dismiss(self) -> None:
        """Tells every process to end."""
        for seat in self._seats:
            self.send(seat, ["exit"])
        for spare in self._spares:
            with contextlib.suppress(OSError):
                wire.send(spare, wire.encode(["exit"]))
        if self._listener is not None:
            self._path.unlink(missing_ok=True)

    def close(self) -> None:
        """Closes every connection at once."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for seat in self._seats:
            if seat.link is not None:
                seat.link.close()
                seat.link = None
        for spare in self._spares:
            spare.close()
        self._spares.clear()
        self._seats = []
        if self._listener is not None and self._loop is not None:
            self._loop.remove_reader(self._listener.fileno())
            self._listener.close()
            self._listener = None

    @property
    def spare_count(self) -> int:
        """Processes that wait for a seat."""
        return len(self._spares)

    def send(self, seat: Seat, message: list[Any], fds: tuple[int, ...] = ()) -> None:
        """Sends a command if there is somebody to get it (who comes later is told everything)."""
        if seat.link is None or seat.link.send(message, fds):
            return
        if seat.link.full:
            self._evict(seat, "it leaves commands unread")
        else:
            self._lose(seat)

    def _accept(self) -> None:
        assert self._listener is not None
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return
        connection.setblocking(False)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        self._spares.append(connection)
        self._fill_seats()

    def _fill_seats(self) -> None:
        """Gives vacant seats, the fullest first, to processes that wait for one."""
        vacant = sorted((seat for seat in self._seats if seat.link is None), key=lambda seat: -len(seat.legs))
        for seat in vacant:
            while self._spares and seat.link is None:
                connection = self._spares.pop(0)
                if hung_up(connection):
                    connection.close()
                else:
                    self._seat(seat, connection)

    def _seat(self, seat: Seat, connection: socket.socket) -> None:
        assert self._loop is not None
        link = seat.link = Link(self._loop, connection, lambda: self._lose(seat))
        seat.heard_at = time.monotonic()
        self._loop.add_reader(connection.fileno(), self._read, seat, link)
        self.send(seat, ["hello", wire.hello_to_wire(self._hello)], (seat.fd,))
        for message, fds in seat.everything():
            self.send(seat, message, fds)

    def _read(self, seat: Seat, link: Link) -> None:
        while seat.link is link:
            try:
                received = wire.receive(link.connection)
            except BlockingIOError:
                return
            if received is None:
                self._lose(seat)
                return
            seat.heard_at = time.monotonic()
            for name, *fields in received[0]:
                if name != "beat":
                    self._on_event(seat, name, fields)

    def _look(self) -> None:
        """Looks for processes that hang."""
        assert self._loop is not None
        now = time.monotonic()
        # When it was us who did not run (a suspended machine), they may not have run either: they get a new chance.
        late = now - self._looked - LOOK_S
        self._looked = now
        self._timer = self._loop.call_later(LOOK_S, self._look)
        for seat in list(self._seats):
            link = seat.link
            if link is None:
                continue
            if late > LOOK_S:
                seat.heard_at = now
            self._read(seat, link)
            if seat.link is link and now - seat.heard_at > self._patience_s:
                self._evict(seat, "it says nothing")

    def _evict(self, seat: Seat, why: str) -> None:
        """Kills a seat's process."""
        assert seat.link is not None
        pid = peer_pid(seat.link.connection)
        log.error("a media process hangs and is killed", seat=seat.number, process=pid, why=why)
        # (a process in another pid namespace has no number here)
        if pid > 0 and pid != os.getpid() and not hung_up(seat.link.connection):
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        self._lose(seat)

    def _lose(self, seat: Seat) -> None:
        if seat.link is None:
            return
        seat.link.close()
        seat.link = None
        seat.pid = 0
        seat.lost_at = time.monotonic()
        log.warning("a media process is gone", seat=seat.number, legs=len(seat.legs))
        self._on_lost(seat)
        self._fill_seats()
