"""Mixing: each member of a mix hears all the others, whatever its codec.

Every 20 ms, at the same moment for all mixes, one frame of each member is taken from its jitter buffer and decoded, the
sum of each mix is made, and each member is sent the sum without itself. A mix works at 8 kHz, or at 16 kHz when one of
its members has a codec that carries more. Sums, limits and G.711 are done for all members of all mixes at once.

Two connected legs that have no codec in common are a mix of two (``Mixer.pair``).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import structlog

from earwitness.media.rtp import codecs
from earwitness.media.rtp.arena import MAX_PACKET, PAYLOAD, Int64
from earwitness.media.rtp.codecs import CodecError, Decoder, Encoder, Format
from earwitness.media.rtp.dtmf import Passing
from earwitness.media.rtp.g711 import I16, U8, a_law, mu_law
from earwitness.media.rtp.jitter import Jitter
from earwitness.media.rtp.legs import Leg, Legs
from earwitness.media.rtp.outgoing import named
from earwitness.media.rtp.packets import COMFORT_NOISE, payload_offset
from earwitness.media.rtp.sender import Sender

log = structlog.get_logger()

FRAME_US = 20_000
CATCH_UP = 10
"""Frames sent at once when the process was late; more are skipped."""
CONCEALED = 2
"""Lost frames in a row that are filled in; after them it is silence."""


@dataclass(slots=True, eq=False)
class Member:
    """A leg in a mix."""

    leg: Leg
    mix: Mix
    ssrc: int = -1
    jitter: Jitter | None = None
    rate: int = 0
    """RTP clock of what it says."""
    decoders: dict[Format, Decoder] = field(default_factory=dict)
    decoder: Decoder | None = None
    kept: I16 = field(default_factory=lambda: np.zeros(0, np.int16))
    """Decoded and not yet mixed."""
    lost: int = 0
    encoder: Encoder | None = None
    """None: by table."""
    codec: Format | None = None
    """What it is sent."""
    payload_type: int = 0

    def pull(self, count: int) -> I16 | None:
        """The next samples, shape (count,); None: silence."""
        jitter = self.jitter
        if jitter is None:
            return None
        first = self.kept if len(self.kept) else self._next(jitter, count)
        if first is None:
            return None
        parts = [first]
        have = len(parts[0])
        while have < count:
            more = self._next(jitter, count - have)
            parts.append(more if more is not None else np.zeros(count - have, np.int16))
            have += len(parts[-1])
        samples = np.concatenate(parts) if len(parts) > 1 else parts[0]
        self.kept = samples[count:]
        return samples[:count]

    def _next(self, jitter: Jitter, wanted: int) -> I16 | None:
        """Some samples (may be none at all), or None: nothing for at least as long as is wanted, or 20 ms."""
        taken = jitter.take()
        if isinstance(taken, int):
            count = taken * self.mix.rate // self.rate
            self.lost += 1
            if self.lost > CONCEALED or self.decoder is None:
                return None if count >= wanted else np.zeros(count, np.int16)
            samples = self.decoder.conceal(count)
            return samples if len(samples) == count else np.resize(samples, count) if len(samples) else None
        self.lost = 0
        payload_type, payload = taken
        codec = self.leg.hears.get(payload_type)
        samples, ticks = np.zeros(0, np.int16), 0
        if codec is not None and codec[1] == self.rate:
            try:
                if codec not in self.decoders:
                    self.decoders[codec] = codecs.decoder(codec, self.mix.rate)
                self.decoder = self.decoders[codec]
                samples = self.decoder.decode(payload)
                ticks = codecs.duration(codec, payload, len(samples), self.mix.rate)
            except Exception as error:  # whatever a codec library raises about a stranger's bytes is silence
                log.info("payload not decodable", codec=codec[0], error=str(error))
                self.decoders.pop(codec, None)
                self.decoder = None
        jitter.played(ticks or self.rate // 50)
        return samples if ticks else np.zeros(self.mix.rate // 50, np.int16)


@dataclass(slots=True, eq=False)
class Mix:
    """Legs that hear each other."""

    mix_id: str
    source: int
    rate: int = 8000
    members: dict[int, Member] = field(default_factory=dict)
    """By leg slot."""
    pair: bool = False
    """Two connected legs without a codec in common."""
    passing: dict[tuple[int, int], Passing] = field(default_factory=dict)
    """Digits that are passed on, by slots: (from, to)."""


class Mixer:
    """The mixes of a media process."""

    def __init__(self, sender: Sender, legs: Legs) -> None:
        self._sender = sender
        self._legs = legs
        self._mixes: dict[str, Mix] = {}
        self._by_slot: dict[int, Member] = {}
        self._frame = 0
        self._ticked = 0

    @property
    def active(self) -> bool:
        """Whether anything is mixed."""
        return bool(self._mixes)

    def join(self, mix_id: str, legs: list[Leg]) -> None:
        """A mix has these members from now on; none: it is gone."""
        mix = self._mixes.get(mix_id)
        former = mix.members if mix is not None else {}
        for slot in former.keys() - {leg.slot for leg in legs}:
            self._remove(former[slot])
        if not legs:
            self._mixes.pop(mix_id, None)
            return
        if mix is None:
            mix = self._mixes[mix_id] = Mix(mix_id, named("mix " + mix_id))
        for leg in legs:
            present = self._by_slot.get(leg.slot)
            if present is not None and present.mix is mix:
                continue
            self.leave(leg)
            self._legs.connect(leg, None)
            self._add(mix, leg)
        self._settle(mix)

    def leave(self, leg: Leg) -> None:
        """A leg is in no mix; a pair that it was in is none any more."""
        member = self._by_slot.get(leg.slot)
        if member is None:
            return
        mix = member.mix
        for each in list(mix.members.values()) if mix.pair else [member]:
            self._remove(each)
        if mix.members:
            self._settle(mix)
        else:
            self._mixes.pop(mix.mix_id, None)

    def negotiated(self, leg: Leg) -> None:
        """A leg's codecs may be others now."""
        member = self._by_slot.get(leg.slot)
        if member is not None and not member.mix.pair:
            self._settle(member.mix)
        if leg.peer is not None:
            self.couple(leg, leg.peer)

    def couple(self, one: Leg, other: Leg) -> None:
        """Two legs are connected: relayed when they have a codec in common, mixed when they have not."""
        ours, theirs = set(one.audio()), set(other.audio())
        apart = bool(ours and theirs) and not ours & theirs
        apart = apart or self._foreign(one, theirs) or self._foreign(other, ours)
        if apart and all(any(codecs.transcodable(each) for each in those) for those in (ours, theirs)):
            self.pair(one, other)
        else:
            self.leave(one)
            self.leave(other)
            self._legs.couple(one, other)

    def _foreign(self, leg: Leg, known: set[Format]) -> bool:
        """Whether a leg says something that the other one has not negotiated and we can translate."""
        spoken = leg.hears.get(int(self._legs.last_pt[leg.slot]))
        return bool(known) and spoken is not None and codecs.transcodable(spoken) and spoken not in known

    def format_changed(self, leg: Leg) -> None:
        """A leg sends another format than before."""
        other = leg.peer
        if other is not None and self._legs.peer[leg.slot] >= 0 and self._foreign(leg, set(other.audio())):
            self.couple(leg, other)

    def pair(self, one: Leg, other: Leg) -> None:
        """Two connected legs hear each other through decoder and encoder."""
        present = self._by_slot.get(one.slot)
        if present is None or not present.mix.pair or other.slot not in present.mix.members:
            self.leave(one)
            self.leave(other)
            name = " ".join(sorted((one.leg_id, other.leg_id)))
            mix = self._mixes["pair " + name] = Mix("pair " + name, named("pair " + name), pair=True)
            for leg in (one, other):
                self._add(mix, leg)
            present = self._by_slot[one.slot]
        self._legs.uncouple(one)
        self._legs.uncouple(other)
        self._settle(present.mix)

    def _add(self, mix: Mix, leg: Leg) -> None:
        if not self._by_slot:
            self._frame = 0
        member = mix.members[leg.slot] = self._by_slot[leg.slot] = Member(leg, mix)
        self._legs.listen(leg, "mix", lambda payload_type, packet, at: self._heard(member, payload_type, packet, at))

    def _remove(self, member: Member) -> None:
        slot = member.leg.slot
        member.mix.members.pop(slot, None)
        if self._by_slot.get(slot) is member:
            del self._by_slot[slot]
            self._legs.listen(member.leg, "mix", None)
            self._sender.outgoing.interrupt(slot)

    def _settle(self, mix: Mix) -> None:
        """Chooses codecs and rate."""
        chosen: dict[int, tuple[int, Format]] = {}
        for slot, member in mix.members.items():
            found = codecs.choice(member.leg.codecs, member.leg.hears.get(int(self._legs.last_pt[slot])))
            member.codec = None
            if found is not None:
                chosen[slot] = found
        rate = 16000 if sum(codecs.wideband(codec) for _, codec in chosen.values()) > 1 else 8000
        if rate != mix.rate:
            mix.rate = rate
            for member in mix.members.values():
                member.decoders.clear()
                member.decoder = member.encoder = None
                member.kept = member.kept[:0]
        for slot, (payload_type, codec) in chosen.items():
            member = mix.members[slot]
            try:
                by_table = rate == 8000 and codec[0] in ("pcmu", "pcma")
                member.encoder = None if by_table else codecs.encoder(codec, rate)
            except CodecError as error:
                log.error("a leg cannot be sent what is mixed", leg=member.leg.leg_id, error=str(error))
                continue
            member.payload_type, member.codec = payload_type, codec

    # --- what members say

    def _heard(self, member: Member, payload_type: int, packet: bytes, at: int) -> None:
        codec = member.leg.hears.get(payload_type)
        if codec is None or payload_type == COMFORT_NOISE:
            return
        ssrc, timestamp = int.from_bytes(packet[8:12], "big"), int.from_bytes(packet[4:8], "big")
        payload = packet[payload_offset(packet) : len(packet) - (packet[-1] if packet[0] & 0x20 else 0)]
        if codec[0] == "telephone-event":
            self._pass_digit(member, codec[1], ssrc, timestamp, payload, at)
            return
        if not codecs.transcodable(codec):
            return
        if member.jitter is None or ssrc != member.ssrc or codec[1] != member.rate:
            member.jitter, member.ssrc, member.rate = Jitter(codec[1]), ssrc, codec[1]
            member.decoders.clear()
        member.jitter.put(timestamp, (payload_type, payload))

    def _pass_digit(self, member: Member, rate: int, ssrc: int, timestamp: int, payload: bytes, at: int) -> None:
        """A telephone event goes to all others that have negotiated such."""
        mix, sender, now = member.mix, self._sender, max(at, self._ticked)  # it may have been kept for a while
        for slot, other in mix.members.items():
            leg = other.leg
            if other is member or leg.event_pt is None or len(payload) < 4 or not self._legs.can_send[slot]:
                continue
            if not sender.outgoing.started(slot):
                continue
            theirs = leg.codecs[leg.event_pt][1]
            duration = min((payload[2] << 8 | payload[3]) * theirs // rate, 0xFFFF)
            passing = mix.passing.setdefault((member.leg.slot, slot), Passing())
            candidate = sender.outgoing.next(slot, now).timestamp
            stamp, begins = passing.stamp((ssrc, timestamp), candidate, duration)
            event = payload[:2] + duration.to_bytes(2, "big")
            sender.insert(leg, leg.event_pt, event, marker=begins, timestamp=stamp, at=now, since=at)

    # --- what they are sent

    def tick(self, now: int) -> None:
        """Sends the frames that are due."""
        due, self._ticked = now // FRAME_US, now
        for frame in range(max(self._frame, due - CATCH_UP) + 1 if self._frame else due, due + 1):
            for rate in (8000, 16000):
                members = [
                    member for mix in self._mixes.values() if mix.rate == rate for member in mix.members.values()
                ]
                if members:
                    self._mix(members, rate, frame, now)
        self._frame = due

    def _mix(self, members: list[Member], rate: int, frame: int, now: int) -> None:
        size = rate // 50
        said: np.ndarray[tuple[int, ...], np.dtype[np.int32]] = np.zeros((len(members), size), np.int32)
        starts, mix = [], None
        for index, member in enumerate(members):
            samples = member.pull(size)
            if samples is not None:
                said[index] = samples
            if member.mix is not mix:
                starts.append(index)
                mix = member.mix
        total = np.add.reduceat(said, starts, axis=0)
        heard = np.repeat(total, np.diff(starts, append=len(members)), axis=0) - said
        can_send = self._legs.can_send
        sent = [n for n, member in enumerate(members) if member.codec is not None and can_send[member.leg.slot]]
        beeper = self._sender.beeper
        for n in sent if beeper.active else ():
            tone = beeper.tone(members[n].leg.slot, size, rate)
            if tone is not None:
                heard[n] += tone
        if sent:
            self._send([members[n] for n in sent], heard[sent], frame, now)

    def _send(
        self, members: list[Member], heard: np.ndarray[tuple[int, ...], np.dtype[np.int32]], frame: int, now: int
    ) -> None:
        sender = self._sender
        samples: I16 = np.clip(heard, -32768, 32767).astype(np.int16)
        rows = sender.build_rows(len(members))
        lengths: Int64 = np.full(len(members), 160)
        for name, law in (("pcmu", mu_law), ("pcma", a_law)):
            by_table = [
                n
                for n, member in enumerate(members)
                if member.encoder is None and member.codec and member.codec[0] == name
            ]
            if by_table:
                coded: U8 = law(samples[by_table])
                sender.rows[rows[by_table], PAYLOAD + 12 : PAYLOAD + 172] = coded
        for n, member in enumerate(members):
            if member.encoder is not None:
                payload = member.encoder.encode(samples[n])[: MAX_PACKET - 12]
                sender.rows[rows[n], PAYLOAD + 12 : PAYLOAD + 12 + len(payload)] = np.frombuffer(payload, np.uint8)
                lengths[n] = len(payload)
        stamps = np.array([frame * codecs.ticks(member.codec) for member in members if member.codec is not None])
        for n, member in enumerate(members):
            assert member.codec is not None
            sender.outgoing.begin(member.leg, member.mix.source, member.codec[1], now, int(stamps[n]))
        slots = np.array([member.leg.slot for member in members])
        payload_types = np.array([member.payload_type for member in members])
        sender.emit(rows, slots, payload_types, stamps, lengths, now, beeped=True)
