"""What the edge asks of a media process, carried out."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import structlog

from earwitness.media.engine import wire
from earwitness.media.engine.interface import Codec
from earwitness.media.rtp.arena import Arena
from earwitness.media.rtp.dial import Dialler
from earwitness.media.rtp.legs import Format, Leg, Legs, numeric
from earwitness.media.rtp.mix import Mixer
from earwitness.media.rtp.play import Player
from earwitness.media.rtp.relay import RELATCH_WINDOW_US, Relay
from earwitness.media.rtp.sweep import Sweep
from earwitness.media.tape.opening import Opening
from earwitness.media.tape.writer import Tapes

log = structlog.get_logger()


class Commands:
    """The commands of ``wire``, by name. What is to end with a later tick waits here until it may."""

    def __init__(
        self,
        arena: Arena,
        now_us: Callable[[], int],
        legs: Legs,
        sweep: Sweep,
        tapes: Tapes,
        relay: Relay,
        player: Player,
        mixer: Mixer,
        dialler: Dialler,
        report: Callable[..., None],
    ) -> None:
        self._arena = arena
        self._now_us = now_us
        self._legs = legs
        self._sweep = sweep
        self._tapes = tapes
        self._relay = relay
        self._player = player
        self._mixer = mixer
        self._dialler = dialler
        self._report = report
        self._ending_tapes: list[tuple[int, int]] = []
        self._closing_legs: list[Leg] = []
        self._drops_told: dict[int, dict[str, int]] = {}
        self.begun = False
        """All there is has been given."""
        self.told = False
        """The edge has said that this process is to end."""

    def carry_out(self, name: str, arguments: list[Any], fds: list[int]) -> None:
        """A command and its descriptors; one that fails is reported and ends nobody's calls."""
        try:
            getattr(self, "_do_" + name.replace(" ", "_"))(*arguments, *([fds] if fds else []))
        except Exception as error:
            log.exception("media command failed", command=name)
            self.failed(name, arguments, str(error) or type(error).__name__)

    def ending(self, now: int) -> tuple[list[tuple[int, int]], list[Leg]] | None:
        """Tapes and legs that are to end with a tick that begins now, or None."""
        tapes = [each for each in self._ending_tapes if each[1] < now]
        legs = [each for each in self._closing_legs if each.closing_at is not None and each.closing_at < now]
        return (tapes, legs) if tapes or legs else None

    def report_drops(self) -> None:
        """Tells the numbers of dropped packets that have changed."""
        dropped = self._legs.dropped
        for slot in np.flatnonzero(dropped.any(axis=1)).tolist():
            leg = self._legs.by_slot.get(slot)
            drops = self._relay.drops(slot)
            if leg is not None and self._drops_told.get(slot) != drops:
                self._drops_told[slot] = drops
                self._report("dropped", leg.leg_id, drops)

    def failed(self, name: str, arguments: list[Any], error: str) -> None:
        """Tells the edge whom a command that could not be carried out concerns."""
        now = self._now_us()
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
        self,
        slot: int,
        leg_id: str,
        host: str,
        port: int,
        remote: list[Any] | None,
        generation: int,
        waits: bool,
        fds: list[int],
    ) -> None:
        leg = Leg(slot, leg_id, host, port, (fds[0], fds[1]), waiting=waits)
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
        leg.codecs = _formats(remote.payload_types, remote.telephone_event)
        ours = remote.telephone_event if remote.expected_event is None else remote.expected_event
        leg.expected = _formats(remote.expected, ours) if remote.expected else {}
        leg.event_pt = remote.telephone_event
        legs.events[slot] = False
        for pt, codec in leg.hears.items():
            if codec[0] == "telephone-event":
                legs.events[slot, pt] = True
                leg.digits.clock_rate = codec[1]
        if remote.receiving and not legs.receiving[slot] and not keep:
            legs.last_at[slot] = self._now_us()  # its silence begins to count now
        legs.receiving[slot] = remote.receiving
        leg.sending = remote.sending
        legs.negotiated[slot] = True
        self._relay.sender.route(leg)
        self._mixer.negotiated(leg)
        self._player.negotiated(leg, self._now_us())
        self._attach(leg)

    def _attach(self, leg: Leg) -> None:
        if not leg.attached and not leg.waiting:
            leg.attached = True
            self._legs.attached[leg.slot] = True
            for kind, fd in enumerate(leg.fds):
                self._sweep.attach(2 * leg.slot + kind, fd)

    def _do_attach(self, slot: int, state: list[Any] | None) -> None:
        leg = self._legs.by_slot.get(slot)
        if leg is None:
            return
        if state is not None:
            self._legs.adopt(leg, state)
            self._player.resume(leg)
            self._dialler.resume(leg)
        leg.waiting = False
        self._relay.sender.route(leg)
        if self._legs.negotiated[slot]:
            self._attach(leg)

    def _do_release(self, slot: int, at: int) -> None:
        leg = self._legs.by_slot.get(slot)
        if leg is None:
            self._report("released", slot, None)
        elif leg.closing_at is None:
            leg.leaving = True
            self._do_close(slot, at)

    def _do_take_over(self) -> None:
        count = self._relay.take_over()
        self.begun = True
        if self._legs.by_slot:
            log.info("took over from a media process that died", legs=len(self._legs.by_slot), packets=count)

    def _do_connect(self, a: int, b: int) -> None:
        one, other = self._legs.by_slot.get(a), self._legs.by_slot.get(b)
        if one is not None and other is not None:
            self._mixer.leave(one)
            self._mixer.leave(other)
            self._legs.connect(one, other)
            self._mixer.couple(one, other)

    def _do_disconnect(self, slot: int) -> None:
        leg = self._legs.by_slot.get(slot)
        if leg is not None:
            self._mixer.leave(leg)
            self._legs.connect(leg, None)

    def _do_mix(self, mix_id: str, slots: list[int]) -> None:
        legs = self._legs.by_slot
        self._mixer.join(mix_id, [legs[slot] for slot in slots if slot in legs])

    def _do_mute(self, slot: int, muted: bool) -> None:
        if slot in self._legs.by_slot:
            self._legs.muted[slot] = muted

    def _do_beep(self, slot: int, beep: list[Any] | None, at: int) -> None:
        leg = self._legs.by_slot.get(slot)
        if leg is not None:
            self._relay.sender.beeper.set(leg, wire.beep_from_wire(beep) if beep is not None else None, at)

    def _do_digits(self, slot: int, number: int, digits: str, _at: int) -> None:
        leg = self._legs.by_slot.get(slot)
        if leg is None:
            self._report("digits_sent", slot, number)
        else:
            self._dialler.dial(leg, number, digits)

    def _do_tones(self, slot: int, on: bool) -> None:
        leg = self._legs.by_slot.get(slot)
        if leg is not None:
            self._relay.keypad.tones.set(leg, on)

    def _do_codes(self, slot: int, codes: list[str]) -> None:
        leg = self._legs.by_slot.get(slot)
        if leg is not None:
            self._relay.keypad.set_codes(leg, codes, self._now_us())

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
            self._player.stop(leg, play_id, self._now_us())

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
        self.told = True

    def finish(self, tapes: list[tuple[int, int]], legs: list[Leg]) -> None:
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
            state = self._legs.state(leg)
            self._player.forget(leg, self._now_us())
            self._mixer.leave(leg)
            self._relay.sender.beeper.set(leg, None, 0)
            self._relay.keypad.tones.set(leg, False)
            self._dialler.forget(leg)
            if leg.attached:
                for kind in (0, 1):
                    self._sweep.detach(2 * leg.slot + kind)
            self._report("dropped", leg.leg_id, self._relay.drops(leg.slot))
            self._legs.remove(leg)
            self._arena.forget_leg(leg.slot)
            for fd in leg.fds:
                os.close(fd)
            self._report(*(("released", leg.slot, state) if leg.leaving else ("leg_closed", leg.slot)))


def _formats(payload_types: Mapping[int, Codec], event: int | None) -> dict[int, Format]:
    formats = {pt: (codec.name.lower(), codec.rate, codec.channels) for pt, codec in payload_types.items()}
    if event is not None:
        formats[event] = ("telephone-event", payload_types[event].rate if event in payload_types else 8000, 1)
    return formats
