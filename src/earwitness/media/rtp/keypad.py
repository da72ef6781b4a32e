"""The digits that parties press: told once, kept while they may become a feature code, passed on late otherwise."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from earwitness.media.rtp.codes import Codes, Held, Key, Verdict
from earwitness.media.rtp.legs import Leg, Legs
from earwitness.media.rtp.packets import DIGITS, payload_offset
from earwitness.media.rtp.sender import Sender
from earwitness.media.rtp.tones import Tones


class Keypad:
    """The digits of all legs. ``report`` takes events as (name, fields)."""

    def __init__(self, sender: Sender, legs: Legs, report: Callable[..., None]) -> None:
        self._sender = sender
        self._legs = legs
        self._report = report
        self.tones = Tones(legs, self._pressed)

    def set_codes(self, leg: Leg, codes: Sequence[str], now: int) -> None:
        """Watches for these codes from now on; none: for none."""
        former, leg.codes = leg.codes, Codes(codes) if codes else None
        self._legs.coded[leg.slot] = bool(codes)
        if former is not None:
            self._settle(leg, former.decide(), now)

    def event(self, leg: Leg, packet: bytes, at: int) -> None:
        """A telephone event of a leg without codes; it is relayed as any packet."""
        payload = packet[payload_offset(packet) :]
        if len(payload) >= 4 and payload[0] < len(DIGITS):
            self.tones.event(leg, DIGITS[payload[0]], at)
        ssrc, timestamp = _key(packet)
        for press in leg.digits.packet(ssrc, timestamp, payload, at):
            self._report("digit", leg.leg_id, press.digit, press.duration_ms, press.at)

    def hold(self, leg: Leg, packet: bytes, at: int) -> None:
        """A telephone event of a leg with codes; it goes nowhere but by ``_settle``."""
        assert leg.codes is not None
        if leg.peer is not None and self._legs.peer[leg.slot] >= 0 and self._legs.can_send[leg.peer.slot]:
            self._sender.outgoing.withhold(leg.peer.slot, 1)
        payload = packet[payload_offset(packet) :]
        if len(payload) < 4 or payload[0] >= len(DIGITS):
            return
        digit = DIGITS[payload[0]]
        self.tones.event(leg, digit, at)
        duration_ms = (payload[2] << 8 | payload[3]) * 1000 // max(leg.digits.clock_rate, 1)
        ended = bool(payload[1] & 0x80)
        verdict = leg.codes.packet(digit, _key(packet), ended=ended, duration_ms=duration_ms, packet=packet, at=at)
        self._settle(leg, verdict, at)

    def expire(self, leg: Leg, now: int) -> None:
        """What nothing more comes for."""
        if leg.digits.pending:
            for press in leg.digits.expire(now):
                self._report("digit", leg.leg_id, press.digit, press.duration_ms, press.at)
        if leg.codes is not None and leg.codes.pending:
            self._settle(leg, leg.codes.expire(now), now)

    def _pressed(self, leg: Leg, digit: str, duration_ms: int, at: int) -> None:
        if leg.codes is None:
            self._report("digit", leg.leg_id, digit, duration_ms, at)
        else:
            self._settle(leg, leg.codes.tone(digit, duration_ms, at), at)

    def _settle(self, leg: Leg, verdict: Verdict, at: int) -> None:
        for held in verdict.passed:
            for packet in held.packets:
                self._pass(leg, held, packet, at)
            if held.ended:
                self._report("digit", leg.leg_id, held.digit, held.duration_ms, held.at)
        if verdict.code is not None:
            self._report("code", leg.leg_id, verdict.code, at)

    def _pass(self, leg: Leg, held: Held, packet: bytes, at: int) -> None:
        legs, outgoing = self._legs, self._sender.outgoing
        if legs.muted[leg.slot]:
            return
        self._sender.tape_late(leg, packet, held.since, at)
        for listener in list(leg.listeners.values()):
            listener(packet[1] & 0x7F, packet, held.since)
        other = leg.peer
        if other is None or legs.peer[leg.slot] < 0 or not legs.can_send[other.slot] or other.event_pt is None:
            return
        if not outgoing.started(other.slot):
            return
        assert held.key is not None
        payload = packet[payload_offset(packet) :]
        candidate = outgoing.next(other.slot, at).timestamp
        stamp, begins = leg.passing.stamp(held.key, candidate, payload[2] << 8 | payload[3])
        self._sender.insert(other, other.event_pt, payload, marker=begins, timestamp=stamp, at=at, since=held.since)


def _key(packet: bytes) -> Key:
    return int.from_bytes(packet[8:12], "big"), int.from_bytes(packet[4:8], "big")
