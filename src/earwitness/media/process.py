"""A media process: one tick after another, driven by the edge's commands.

It owns nothing that could not be lost: sockets, arena and all settings come from the edge, and a replacement gets the
same ones. When the edge goes away, its calls are gone too: tapes are completed, sockets closed, and the process waits
for the next edge. SIGTERM ends it after writing what is in the buffers.
"""

from __future__ import annotations

import contextlib
import gc
import os
import select
import signal
import socket
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog

from earwitness.media.commands import Commands
from earwitness.media.engine import wire
from earwitness.media.engine.clock import KernelTime, WallClock
from earwitness.media.rtp.arena import Arena, Layout
from earwitness.media.rtp.dial import Dialler
from earwitness.media.rtp.legs import Legs
from earwitness.media.rtp.mix import Mixer
from earwitness.media.rtp.play import Player
from earwitness.media.rtp.relay import Relay
from earwitness.media.rtp.sweeps import open_sweep
from earwitness.media.tape.writer import Tapes
from earwitness.process import forbid_dumps

log = structlog.get_logger()

WATCH_US = 100_000
REPORT_DROPS_US = 500_000
BEAT_US = 1_000_000
IDLE_MS = 500
RECONNECT_S = 0.1
NICE = -10


def run(socket_path: Path) -> None:
    """Serves the edge that listens on ``socket_path`` until SIGTERM, or until it says so."""
    forbid_dumps()
    wire.allow_many_files()
    with contextlib.suppress(OSError):  # needs a privilege: packets go before encoders and databases
        os.setpriority(os.PRIO_PROCESS, 0, NICE)
    stopping: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: stopping.append(number))
    gc.set_threshold(100_000, 20, 50)
    while not stopping:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            wire.connect(connection, socket_path)
        except OSError:
            connection.close()
            time.sleep(RECONNECT_S)
            continue
        with connection:
            greeting = _greeting(connection, stopping)
            if greeting is not None and greeting[0] == ["exit"]:
                return
            if greeting is None or greeting[0][0] != "hello":
                time.sleep(RECONNECT_S)
                continue
            message, fds = greeting
            connection.setblocking(False)
            service = Service(connection, wire.Hello(**message[1]), fds[0], stopping)
            os.close(fds[0])
            gc.freeze()
            try:
                told = service.serve()
            finally:
                service.close()
            if told:
                return


def _greeting(connection: socket.socket, stopping: list[int]) -> tuple[list[Any], list[int]] | None:
    """The edge's first message: at once, or for a spare process when another one dies. None when there is none."""
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    while not stopping:
        if poll.poll(IDLE_MS):
            try:
                return wire.receive(connection)
            except wire.DescriptorsLostError:
                log.error("no file descriptor left for the media engine's memory")
                return None
    return None


class Service:
    """One edge's media, from its greeting until it goes."""

    def __init__(self, connection: socket.socket, hello: wire.Hello, arena_fd: int, stopping: list[int]) -> None:
        self._connection = connection
        self._stopping = stopping
        self._clock = WallClock(hello.anchor_us)
        self._tick_us = hello.tick_us
        self._silence_us = hello.silence_us
        self._outbox: deque[list[Any]] = deque()
        self._unsent: deque[bytes] = deque()
        arena = self._arena = Arena(arena_fd, Layout(hello.legs))
        self._legs = Legs(arena)
        self._sweep = open_sweep(arena, hello.sweep)
        self._tapes = Tapes(arena, self._clock.now_us, self._report)
        self._relay = Relay(arena, self._sweep, self._tapes, self._legs, KernelTime(self._clock), self._report)
        self._player = Player(arena, self._relay.sender, self._legs, self._report)
        self._mixer = Mixer(self._relay.sender, self._legs)
        self._relay.format_changed = self._mixer.format_changed
        self._dialler = Dialler(arena, self._relay.sender, self._legs, self._report)
        self._commands = Commands(
            arena, self._clock.now_us, self._legs, self._sweep, self._tapes, self._relay, self._player, self._mixer,
            self._dialler,             self._report,
        )  # fmt: skip
        self._gone = False
        self._next_watch = 0
        self._next_drops = 0
        self._next_beat = 0
        self._next_complaint = 0
        self._tapes.start()
        self._report("ready", os.getpid())

    def serve(self) -> bool:
        """Ticks until the edge goes or the process is told to end; True in the latter case."""
        poll = select.poll()
        poll.register(self._connection, select.POLLIN)
        while not (self._commands.begun or self._gone or self._stopping):
            # Nothing is read from a socket before all that a predecessor left has been processed.
            poll.poll(IDLE_MS)
            self._receive()
        tick_s = self._tick_us / 1_000_000
        due = time.monotonic()
        while not (self._gone or self._commands.told or self._stopping):
            if self._legs.by_slot or self._tapes.busy or self._outbox or self._unsent:
                present = time.monotonic()
                due = max(due + tick_s, present)  # a late tick is not made up for: the next one takes all there is
                if due > present:
                    time.sleep(due - present)
            else:
                poll.poll(IDLE_MS)
                due = time.monotonic()
            self.tick()
        if self._gone:
            self._receive()  # the edge may have said "exit" before it closed
        return self._commands.told or bool(self._stopping)

    def tick(self) -> None:
        """One tick."""
        now = self._clock.now_us()
        # What was to end before this tick reads the sockets ends with it, when they were read to that point: nothing
        # that belongs to it can come any more.
        ending = self._commands.ending(now)
        beeper = self._relay.sender.beeper
        if beeper.active:
            beeper.tick(now)
        self._relay.tick(self._receive)
        for part, active, work in (
            ("player", self._player.active, self._player.tick),
            ("dialler", self._dialler.active, self._dialler.tick),
            ("mixer", self._mixer.active, self._mixer.tick),
            ("beeper", beeper.active, self._relay.sender.beep),
        ):
            if active:
                self._try(part, work)
        if ending is not None:
            self._commands.finish(*ending)
        if now >= self._next_beat:
            self._next_beat = now + BEAT_US
            self._report("beat")
        if now >= self._next_watch:
            self._next_watch = now + WATCH_US
            self._relay.watch(now, self._silence_us)
            if now >= self._next_drops:
                self._next_drops = now + REPORT_DROPS_US
                self._commands.report_drops()
        if self._outbox or self._unsent:
            self._send_events()

    def _try(self, part: str, work: Callable[[int], None]) -> None:
        """A mistake of ours about something that is sent costs this tick's, not the process."""
        now = self._clock.now_us()
        try:
            work(now)
        except Exception:
            if now >= self._next_complaint:
                self._next_complaint = now + BEAT_US
                log.exception("part of a tick failed", part=part)

    def close(self) -> None:
        """Writes what is in the buffers and gives everything back."""
        self._sweep.close()
        self._tapes.stop()
        self._send_events()
        for leg in self._legs.by_slot.values():
            for fd in leg.fds:
                os.close(fd)

    # --- events

    def _report(self, name: str, *fields: Any) -> None:
        self._outbox.append([name, *fields])

    def _send_events(self) -> None:
        while self._outbox:
            events = [self._outbox.popleft() for _ in range(min(len(self._outbox), 100))]
            self._unsent.append(wire.encode(events))
        try:
            while self._unsent:
                wire.send(self._connection, self._unsent[0])
                self._unsent.popleft()
        except BlockingIOError:
            pass
        except OSError:
            self._gone = True

    # --- commands

    def _receive(self) -> None:
        """Carries out what the edge has sent."""
        while True:
            try:
                received = wire.receive(self._connection)
            except BlockingIOError:
                return
            except wire.DescriptorsLostError as lost:
                name, *arguments = lost.message
                log.error("out of file descriptors", command=name)
                self._commands.failed(name, arguments, "out of file descriptors")
                continue
            if received is None:
                self._gone = True
                return
            (name, *arguments), fds = received
            self._commands.carry_out(name, arguments, fds)
