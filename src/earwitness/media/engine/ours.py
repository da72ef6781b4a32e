"""Our own media engine, as the edge sees it: sockets and state here, packets in media processes.

The edge binds every RTP socket and keeps it, listens on a unix socket for media processes, and gives each that connects
one *seat*: an arena (see ``rtp.arena``) and the legs that live in it. Everything a seat's process needs is in this
object's tables, so a process that dies is replaced by telling the next one that connects all of it; there is no queue
of commands to keep. What must survive its own end, a tape that was closed or a leg that was hung up while nobody was
there, stays in the tables until the process has confirmed it.

A process that finds every seat taken stays as a spare, and takes over the moment that another one dies.

Legs of one group (conversation) share a seat; groups go to the seat with the fewest legs.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import structlog

from earwitness.media.engine import wire
from earwitness.media.engine.clock import WallClock
from earwitness.media.engine.crew import Crew
from earwitness.media.engine.interface import (
    Beep,
    EngineError,
    EngineLost,
    EngineRestored,
    EventHandler,
    LocalMedia,
    NoPortsError,
    PlayEnded,
    Remote,
    TapeClosed,
    TapeFailed,
)
from earwitness.media.engine.mixes import Mixes
from earwitness.media.engine.moves import Moves
from earwitness.media.engine.seats import Dialling, Leg, Play, Seat, Tape
from earwitness.media.engine.sources import Sources
from earwitness.media.rtp import arena
from earwitness.media.rtp.ports import PortRange, PortsExhausted, keep_stamping

log = structlog.get_logger()


class OurEngine:
    """``MediaEngine`` by our own media processes. Use from one event loop; ``start`` before anything else.

    :param socket_path: unix socket that media processes connect to (``earwitness.media.process.run``)
    :param on_event: called with each event, on the event loop
    :param processes: how many media processes there will be
    :param legs: most legs of one process
    :param tick_ms: how often packets are moved; adds at most that much latency
    :param silence_s: without packets for so long, a leg is reported silent
    :param hang_s: a media process that has said nothing for so long is killed and replaced (it speaks once a second)
    """

    def __init__(
        self,
        socket_path: Path,
        on_event: EventHandler,
        *,
        clock: WallClock | None = None,
        ports: tuple[int, int] = (20000, 29999),
        processes: int = 1,
        legs: int = 2000,
        tick_ms: int = 10,
        silence_s: float = 5.0,
        quarantine_s: float = 5.0,
        receive_buffer: int = 1 << 20,
        sweep: str = "auto",
        hang_s: float = 3.0,
    ) -> None:
        self._on_event = on_event
        self._clock = clock or WallClock.start()
        self._ports = PortRange(*ports, quarantine_s=quarantine_s, receive_buffer=receive_buffer)
        self._hello = wire.Hello(self._clock.anchor_us, legs, tick_ms * 1000, round(silence_s * 1_000_000), sweep)
        layout = arena.Layout(legs)
        self._seats = [
            Seat(number, arena.create(layout), list(range(legs))[::-1], list(range(layout.channels // 2))[::-1])
            for number in range(processes)
        ]
        self._legs: dict[str, Leg] = {}
        self._tapes: dict[str, Leg] = {}
        self._groups: dict[str, tuple[Seat, int]] = {}
        self._sources = Sources()
        self._generation = 0
        self._stamper = keep_stamping()
        self._changed = asyncio.Event()
        self._mixes = Mixes(self._send)
        self._moves = Moves(self._seats, self._clock.now_us, self._send)
        self._crew = Crew(socket_path, self._hello, self._seats, self._event, self._lost, hang_s)

    # --- life

    async def start(self) -> None:
        """Listens for media processes. Raises OSError when the socket path cannot be used."""
        wire.allow_many_files()
        self._crew.start()

    async def ready(self) -> None:
        """Returns when every seat has its media process."""
        while any(seat.link is None for seat in self._seats):
            self._changed.clear()
            await self._changed.wait()

    async def idle(self) -> None:
        """Returns when every leg and tape that was closed is confirmed closed."""
        while any(leg.closed_at is not None for seat in self._seats for leg in seat.legs.values()) or any(
            tape.until is not None for seat in self._seats for _, tape in seat.tapes.values()
        ):
            self._changed.clear()
            await self._changed.wait()

    async def stop(self) -> None:
        """Closes all legs, waits up to two seconds for their tapes to be complete, and ends the media processes.

        Calling it again does nothing.
        """
        for leg_id in list(self._legs):
            self.close_leg(leg_id)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2):
                await self.idle()
        self._crew.dismiss()
        self.abandon()

    def abandon(self) -> None:
        """Lets go of everything at once, as if this process had been killed."""
        self._crew.close()
        for seat in self._seats:
            for leg in seat.legs.values():
                leg.pair.close()
            os.close(seat.fd)
        self._stamper.close()
        self._seats = []
        self._legs.clear()

    @property
    def clock(self) -> WallClock:
        """See ``MediaEngine``."""
        return self._clock

    @property
    def leg_count(self) -> int:
        """Legs that are open."""
        return len(self._legs)

    @property
    def pids(self) -> list[int]:
        """Process ids of the media processes that are connected."""
        return [seat.pid for seat in self._seats if seat.link is not None and seat.pid]

    @property
    def spare_count(self) -> int:
        """Media processes that wait for a seat."""
        return self._crew.spare_count

    # --- commands

    def open_leg(self, leg_id: str, *, group: str, host: str) -> LocalMedia:
        """See ``MediaEngine``."""
        if leg_id in self._legs:
            raise EngineError(f"leg {leg_id} is already open")
        seat, count = self._groups.get(group) or (min(self._seats, key=lambda seat: len(seat.legs)), 0)
        if not seat.free_legs:
            raise NoPortsError("the media processes carry as many legs as they may")
        try:
            pair = self._ports.open(host, time.monotonic())
        except PortsExhausted as error:
            raise NoPortsError(str(error)) from error
        except (OSError, ValueError) as error:
            raise EngineError(f"no media port on {host}: {error}") from error
        self._generation += 1
        leg = Leg(leg_id, group, seat, seat.free_legs.pop(), self._generation, pair)
        self._groups[group] = (seat, count + 1)
        self._legs[leg_id] = seat.legs[leg.slot] = leg
        self._send(seat, *leg.message())
        return LocalMedia(host, pair.port, pair.port + 1)

    def set_remote(self, leg_id: str, remote: Remote) -> None:
        """See ``MediaEngine``."""
        leg = self._legs.get(leg_id)
        if leg is not None:
            leg.remote = remote
            self._send(leg.seat, ["remote", leg.slot, wire.remote_to_wire(remote), self._clock.now_us()])

    def connect(self, a: str, b: str) -> None:
        """See ``MediaEngine``. Raises EngineError when the legs belong to groups that live in different processes."""
        one, other = self._legs.get(a), self._legs.get(b)
        if one is None or other is None or one is other:
            return
        if one.seat is not other.seat:
            raise EngineError("these legs live in different media processes: give them one group")
        for leg in (one, other):
            self._mixes.part(leg)
        one.peer, other.peer = other, one
        self._send(one.seat, ["connect", one.slot, other.slot])

    def disconnect(self, leg_id: str) -> None:
        """See ``MediaEngine``."""
        leg = self._legs.get(leg_id)
        if leg is not None:
            self._mixes.part(leg)
            self._send(leg.seat, ["disconnect", leg.slot])

    def mix(self, mix_id: str, legs: Sequence[str]) -> None:
        """See ``MediaEngine``. Raises EngineError as ``connect`` does."""
        self._mixes.set(mix_id, [self._legs[leg_id] for leg_id in dict.fromkeys(legs) if leg_id in self._legs])

    def move_leg(self, leg_id: str, group: str) -> None:
        """See ``MediaEngine``. Raises EngineError when the leg is connected or taped, NoPortsError when the media
        process of that group is full.
        """
        leg = self._legs.get(leg_id)
        if leg is None or leg.group == group:
            return
        if leg.peer is not None or leg.mix is not None or leg.tapes:
            raise EngineError(f"leg {leg_id} is connected, mixed or taped: it cannot move")
        seat, count = self._groups.get(group) or (leg.seat, 0)
        if seat is not leg.seat and not seat.free_legs:
            raise NoPortsError("the media process of that group carries as many legs as it may")
        self._leave_group(leg)
        self._groups[group] = (seat, count + 1)
        leg.group = group
        if seat is not leg.seat:
            self._generation += 1
            self._moves.begin(leg, seat, self._generation)

    def mute(self, leg_id: str, muted: bool) -> None:
        """See ``MediaEngine``."""
        leg = self._legs.get(leg_id)
        if leg is not None and leg.muted != muted:
            leg.muted = muted
            self._send(leg.seat, ["mute", leg.slot, muted])

    def beep(self, leg_id: str, beep: Beep | None) -> None:
        """See ``MediaEngine``."""
        leg = self._legs.get(leg_id)
        if leg is not None:
            at = self._clock.now_us()
            leg.beep = (beep, at) if beep is not None else None
            self._send(leg.seat, ["beep", leg.slot, wire.beep_to_wire(beep) if beep is not None else None, at])

    def send_digits(self, leg_id: str, digits: str) -> None:
        """See ``MediaEngine``. Raises EngineError when there is something else among them."""
        if not digits or set(digits) - set("0123456789*#ABCD"):
            raise EngineError("digits are 0123456789*#ABCD")
        leg = self._legs.get(leg_id)
        if leg is not None:
            self._generation += 1
            dialling = Dialling(self._generation, digits, self._clock.now_us())
            leg.dialling.append(dialling)
            self._send(leg.seat, ["digits", leg.slot, dialling.number, digits, dialling.at])

    def detect_tones(self, leg_id: str, on: bool) -> None:
        """See ``MediaEngine``."""
        leg = self._legs.get(leg_id)
        if leg is not None and leg.tones != on:
            leg.tones = on
            self._send(leg.seat, ["tones", leg.slot, on])

    def set_codes(self, leg_id: str, codes: Sequence[str]) -> None:
        """See ``MediaEngine``."""
        leg = self._legs.get(leg_id)
        if leg is not None and leg.codes != tuple(codes):
            leg.codes = tuple(codes)
            self._send(leg.seat, ["codes", leg.slot, list(codes)])

    def play(self, leg_id: str, play_id: str, source: Path | bytes, *, loop: bool = False) -> None:
        """See ``MediaEngine``."""
        leg = self._legs.get(leg_id)
        if leg is None:
            return
        at = self._clock.now_us()
        try:
            fd = self._sources.open(source)
        except OSError as error:
            self._on_event(PlayEnded(leg_id, play_id, at, f"cannot be read: {error.strerror}"))
            return
        self._end_play(leg)
        leg.play = Play(play_id, fd, loop, at)
        self._send(leg.seat, *leg.play.message(leg.slot))

    def stop_play(self, leg_id: str, play_id: str) -> None:
        """See ``MediaEngine``."""
        leg = self._legs.get(leg_id)
        if leg is not None and leg.play is not None and leg.play.play_id == play_id:
            self._end_play(leg)
            self._send(leg.seat, ["stop", leg.slot, play_id])

    def open_tape(self, tape_id: str, opening: int, leg_id: str, directory: Path, *, at: int | None = None) -> None:
        """See ``MediaEngine``."""
        leg = self._legs.get(leg_id)
        if leg is None or tape_id in self._tapes:
            return
        at = self._clock.now_us() if at is None else at
        if not leg.seat.free_tapes:
            self._on_event(TapeFailed(tape_id, opening, leg_id, "too many tapes", at))
            return
        self._generation += 1
        tape = Tape(tape_id, opening, leg.seat.free_tapes.pop(), self._generation, str(directory), at)
        leg.tapes[tape_id] = tape
        self._tapes[tape_id] = leg
        leg.seat.tapes[tape.slot] = (leg, tape)
        self._send(leg.seat, tape.message(leg.slot))

    def close_tape(self, tape_id: str, *, at: int | None = None) -> None:
        """See ``MediaEngine``."""
        leg = self._tapes.pop(tape_id, None)
        if leg is not None:
            tape = leg.tapes.pop(tape_id)
            tape.until = self._clock.now_us() if at is None else at
            self._send(leg.seat, ["untape", tape.slot, tape.until])

    def close_leg(self, leg_id: str) -> None:
        """See ``MediaEngine``."""
        leg = self._legs.pop(leg_id, None)
        if leg is None:
            return
        for tape_id in list(leg.tapes):
            self.close_tape(tape_id)
        self._end_play(leg)
        self._mixes.leave(leg)
        leg.closed_at = self._clock.now_us()
        self._leave_group(leg)
        self._send(leg.seat, ["close", leg.slot, leg.closed_at])

    def _leave_group(self, leg: Leg) -> None:
        seat, count = self._groups[leg.group]
        if count > 1:
            self._groups[leg.group] = (seat, count - 1)
        else:
            del self._groups[leg.group]

    def dropped(self, leg_id: str) -> Mapping[str, int]:
        """See ``MediaEngine``."""
        leg = self._legs.get(leg_id)
        return leg.dropped if leg is not None else {}

    def _end_play(self, leg: Leg) -> None:
        if leg.play is not None:
            self._sources.close(leg.play.fd)
            leg.play = None

    # --- media processes

    def _send(self, seat: Seat, message: list[Any], fds: tuple[int, ...] = ()) -> None:
        self._crew.send(seat, message, fds)

    def _lost(self, seat: Seat) -> None:
        self._on_event(EngineLost(len(seat.legs)))

    def _event(self, seat: Seat, name: str, fields: list[Any]) -> None:
        if name == "ready":
            seat.pid = fields[0]
            if seat.lost_at is not None:
                after = round((time.monotonic() - seat.lost_at) * 1000)
                seat.lost_at = None
                self._on_event(EngineRestored(len(seat.legs), after))
            self._changed.set()
        elif name == "leg_closed":
            leg = seat.legs.pop(fields[0], None)
            if leg is not None:
                seat.free_legs.append(leg.slot)
                self._ports.release(leg.pair, time.monotonic())
            self._changed.set()
        elif name == "released":
            self._moves.released(seat, *fields)
            self._changed.set()
        elif name == "digits_sent":
            leg = seat.legs.get(fields[0])
            if leg is not None:
                leg.dialling = [each for each in leg.dialling if each.number != fields[1]]
        elif name == "tape_closed":
            tape_id, opening, leg_id, packets, sizes, at, slot = fields
            if seat.tapes.pop(slot, None) is not None:
                seat.free_tapes.append(slot)
                self._on_event(TapeClosed(tape_id, opening, leg_id, tuple(packets), tuple(sizes), at))
            self._changed.set()
        elif name == "dropped":
            leg = self._legs.get(fields[0])
            if leg is not None:
                leg.dropped = fields[1]
        else:
            if name == "play_ended":
                leg = self._legs.get(fields[0])
                if leg is not None and leg.play is not None and leg.play.play_id == fields[1]:
                    self._end_play(leg)
            self._on_event(wire.EVENTS[name](*fields))
