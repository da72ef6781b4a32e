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
from pathlib import Path
from typing import Any

import numpy as np
import structlog

from earwitness.media.engine import wire
from earwitness.media.engine.clock import KernelTime, WallClock
from earwitness.media.rtp.arena import Arena, Layout, forbid_dumps
from earwitness.media.rtp.legs import Leg, Legs, numeric
from earwitness.media.rtp.play import Player
from earwitness.media.rtp.relay import RELATCH_WINDOW_US, Relay
from earwitness.media.rtp.sweeps import open_sweep
from earwitness.media.tape.opening import Opening
from earwitness.media.tape.writer import Tapes

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
        self._player = Player(self._relay, self._legs, self._tapes, self._report)
        self._ending_tapes: list[tuple[int, int]] = []
        self._closing_legs: list[Leg] = []
        self._begun = False
        self._gone = False
        self._told = False
        self._next_watch = 0
        self._next_drops = 0
        self._next_beat = 0
        self._drops_told: dict[int, dict[str, int]] = {}
        self._tapes.start()
        self._report("ready", os.getpid())

    def serve(self) -> bool:
        """Ticks until the edge goes or the process is told to end; True in the latter case."""
        poll = select.poll()
        poll.register(self._connection, select.POLLIN)
        while not (self._begun or self._gone or self._stopping):
            # Nothing is read from a socket before all that a predecessor left has been processed.
            poll.poll(IDLE_MS)
            self._commands()
        tick_s = self._tick_us / 1_000_000
        due = time.monotonic()
        while not (self._gone or self._told or self._stopping):
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
            self._commands()  # the edge may have said "exit" before it closed
        return self._told or bool(self._stopping)

    def tick(self) -> None:
        """One tick."""
        now = self._clock.now_us()
        # What was to end before this tick reads the sockets ends with it, when they were read to that point: nothing
        # that belongs to it can come any more.
        tapes = [each for each in self._ending_tapes if each[1] < now]
        legs = [each for each in self._closing_legs if each.closing_at is not None and each.closing_at < now]
        self._relay.tick(self._commands)
        if self._player.active:
            self._player.tick(self._clock.now_us())
        if tapes or legs:
            self._finish(tapes, legs)
        if now >= self._next_beat:
            self._next_beat = now + BEAT_US
            self._report("beat")
        if now >= self._next_watch:
            self._next_watch = now + WATCH_US
            self._relay.watch(now, self._silence_us)
            if now >= self._next_drops:
                self._next_drops = now + REPORT_DROPS_US
                self._report_drops()
        if self._outbox or self._unsent:
            self._send_events()

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

    def _report_drops(self) -> None:
        dropped = self._legs.dropped
        for slot in np.flatnonzero(dropped.any(axis=1)).tolist():
            leg = self._legs.by_slot.get(slot)
            drops = self._relay.drops(slot)
            if leg is not None and self._drops_told.get(slot) != drops:
                self._drops_told[slot] = drops
                self._report("dropped", leg.leg_id, drops)

    # --- commands

    def _commands(self) -> None:
        while True:
            try:
                received = wire.receive(self._connection)
            except BlockingIOError:
                return
            except wire.DescriptorsLostError as lost:
                name, *arguments = lost.message
                log.error("out of file descriptors", command=name)
                self._failed(name, arguments, "out of file descriptors")
                continue
            if received is None:
                self._gone = True
                return
            (name, *arguments), fds = received
            try:
                getattr(self, "_do_" + name.replace(" ", "_"))(*arguments, *([fds] if fds else []))
            except Exception as error:
                # A command that fails must not end the calls of everybody else.
                log.exception("media command failed", command=name)
                self._failed(name, arguments, str(error) or type(error).__name__)

    def _failed(self, name: str, arguments: list[Any], error: str) -> None:
        """Tells the edge whom a command that could not be carried out concerns."""
        now = self._clock.now_us()
        if name == "leg":
            self._report("leg_failed", arguments[1], error, now)
            return
        if name == "tape":
            leg = self._legs.by_slot.get(arguments[4])
            if leg is not None:
                self._report("tape_failed", arguments[2], arguments[3], leg.leg_id, error, now)
            return
        if name == "untape":
            opening = self._tapes.openings.get(arguments[0])
            if opening is not None:
                self._report("tape_failed", opening.tape_id, opening.opening, opening.leg_id, error, now)
            return
        leg = self._legs.by_slot.get(arguments[0]) if arguments else None
        if leg is not None and name == "play":
            self._report("play_ended", leg.leg_id, arguments[1], now, error)
        elif leg is not None:
            self._report("leg_failed", leg.leg_id, error, now)

    def _do_leg(
        self, slot: int, leg_id: str, host: str, port: int, remote: list[Any] | None, generation: int, fds: list[int]
    ) -> None:
        leg = Leg(slot, leg_id, host, port, (fds[0], fds[1]))
        resumed = self._legs.add(leg, generation)
        self._drops_told.pop(slot, None)
        if remote is not None:
            self._negotiated(leg, remote, 0, keep=resumed)

    def _do_remote(self, slot: int, remote: list[Any], at: int) -> None:
        leg = self._legs.by_slot.get(slot)
        if leg is not None:
            self._negotiated(leg, remote, at, keep=False)

    def _negotiated(self, leg: Leg, data: list[Any], at: int, *, keep: bool) -> None:
        remote = wire.remote_from_wire(data)
        legs, slot = self._legs, leg.slot
        rtp = numeric(remote.rtp)
        if not keep and rtp != leg.remote and rtp is not None:
            leg.latched = leg.latched_rtcp = None
            legs.source[slot] = 0
        if rtp != leg.remote or remote.sources != leg.sources:
            leg.relatch_until = at + RELATCH_WINDOW_US
        leg.remote = rtp
        rtcp = numeric(remote.rtcp)
        leg.mux = rtcp is not None and rtcp == rtp
        leg.remote_rtcp = rtcp or ((rtp[0], rtp[1] + 1) if rtp and rtp[1] < 65535 else None)
        leg.sources = remote.sources
        leg.codecs = {
            pt: (codec.name.lower(), codec.rate, codec.channels) for pt, codec in remote.payload_types.items()
        }
        event_pt = remote.telephone_event
        if event_pt is not None:
            leg.codecs[event_pt] = (
                "telephone-event",
                remote.payload_types[event_pt].rate if event_pt in remote.payload_types else 8000,
                1,
            )
        legs.event_pt[slot] = -1 if event_pt is None else event_pt
        leg.digits.clock_rate = leg.codecs[event_pt][1] if event_pt is not None else 8000
        if remote.receiving and not legs.receiving[slot] and not keep:
            legs.last_at[slot] = self._clock.now_us()  # its silence begins to count now
        legs.receiving[slot] = remote.receiving
        leg.sending = remote.sending
        self._relay.route(leg)
        if leg.peer is not None:
            legs.map_payload_types(leg, leg.peer)
            legs.map_payload_types(leg.peer, leg)
        if not leg.attached:
            leg.attached = True
            legs.attached[slot] = True
            for kind, fd in enumerate(leg.fds):
                self._sweep.attach(2 * slot + kind, fd)

    def _do_take_over(self) -> None:
        count = self._relay.take_over()
        self._begun = True
        if self._legs.by_slot:
            log.info("took over from a media process that died", legs=len(self._legs.by_slot), packets=count)

    def _do_connect(self, a: int, b: int) -> None:
        one, other = self._legs.by_slot.get(a), self._legs.by_slot.get(b)
        if one is not None and other is not None:
            self._legs.connect(one, other)

    def _do_disconnect(self, slot: int) -> None:
        leg = self._legs.by_slot.get(slot)
        if leg is not None:
            self._legs.connect(leg, None)

    def _do_tape(
        self, slot: int, generation: int, tape_id: str, opening: int, leg_slot: int, directory: str, at: int
    ) -> None:
        leg = self._legs.by_slot.get(leg_slot)
        if leg is None:
            return
        new = Opening(slot, tape_id, opening, leg.leg_id, leg_slot, Path(directory), leg.host, leg.port, at)
        if not self._legs.tap(leg_slot, slot):
            self._report("tape_failed", tape_id, opening, leg.leg_id, "too many tapes on one leg", at)
        self._tapes.open(new, generation)

    def _do_untape(self, slot: int, at: int) -> None:
        if slot in self._tapes.openings:
            self._tapes.end(slot, at)
            self._ending_tapes.append((slot, at))

    def _do_play(self, slot: int, play_id: str, loop: bool, at: int, fds: list[int]) -> None:
        leg = self._legs.by_slot.get(slot)
        with os.fdopen(fds[0], "rb") as source:
            source.seek(0)  # the edge and a predecessor share the position
            if leg is not None:
                self._player.play(leg, play_id, source, loop=loop, at=at)

    def _do_stop(self, slot: int, play_id: str) -> None:
        leg = self._legs.by_slot.get(slot)
        if leg is not None:
            self._player.stop(leg, play_id, self._clock.now_us())

    def _do_close(self, slot: int, at: int) -> None:
        leg = self._legs.by_slot.get(slot)
        if leg is None:
            self._report("leg_closed", slot)
        elif leg.closing_at is None:
            leg.closing_at = at
            self._closing_legs.append(leg)
            for opening in self._tapes.openings.values():
                if opening.leg == slot and not opening.closing and self._tapes.until_us[2 * opening.slot] > at:
                    self._do_untape(opening.slot, at)

    def _do_exit(self) -> None:
        self._told = True

    def _finish(self, tapes: list[tuple[int, int]], legs: list[Leg]) -> None:
        for slot, at in tapes:
            opening = self._tapes.openings.get(slot)
            leg = self._legs.by_slot.get(opening.leg) if opening is not None else None
            if leg is not None and not self._relay.all_read(leg, at):
                continue
            self._ending_tapes.remove((slot, at))
            if opening is not None and not opening.closing and self._tapes.until_us[2 * slot] <= at:
                self._legs.untap(opening.leg, slot)
                self._tapes.finish(slot)
        for leg in legs:
            if not self._relay.all_read(leg, leg.closing_at or 0):
                continue
            self._closing_legs.remove(leg)
            self._relay.tell_changes(leg)
            self._player.forget(leg, self._clock.now_us())
            if leg.attached:
                for kind in (0, 1):
                    self._sweep.detach(2 * leg.slot + kind)
            self._report("dropped", leg.leg_id, self._relay.drops(leg.slot))
            self._legs.remove(leg)
            self._arena.forget_leg(leg.slot)
            for fd in leg.fds:
                os.close(fd)
            self._report("leg_closed", leg.slot)
