"""The beep that tells a party that it is recorded: a tone of so many ms every so many ms, over whatever it is sent.

Each beep of a leg begins with the first packet after its time and goes on from packet to packet, so that its length
does not depend on when packets come. Relayed and played packets in G.711 are changed by table; of other codecs only the
packets of a beep go through decoder and encoder; a mix adds the tone to its sum. When nothing is sent to the leg, the
beep makes packets of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import structlog

from earwitness.media.engine.interface import Beep
from earwitness.media.rtp import codecs
from earwitness.media.rtp.arena import MAX_PACKET, PAYLOAD, Bool, Int64
from earwitness.media.rtp.codecs import CodecError, Decoder, Encoder, Format
from earwitness.media.rtp.g711 import A_LAW, I16, MU_LAW, a_law, mu_law
from earwitness.media.rtp.legs import Leg, Legs
from earwitness.media.rtp.outgoing import Outgoing, named
from earwitness.media.rtp.packets import payload_offset

log = structlog.get_logger()

FULL_SCALE_DBM0 = 3.17
"""Level of a sine that just fits (ITU-T G.711)."""
LATE_MS = 500
"""A beep that could not begin for so long is left out."""
QUIET_US = 100_000
"""When nothing has been sent for so long, the beep makes packets of its own."""
FRAME_US = 20_000


@dataclass(slots=True)
class Beeping:
    """The beep of one leg."""

    leg: Leg
    beep: Beep
    at: int
    """When the first one was due, us."""
    source: int
    number: int = -1
    """Which beep this is, from 0."""
    position: float = 0
    """How much of it has been heard, s."""
    decoder: Decoder | None = None
    encoder: Encoder | None = None
    codec: Format | None = None
    next_frame_at: int = 0

    def begin(self, now: int) -> None:
        """The next beep's time may have come."""
        number, since = divmod(now - self.at, self.beep.interval_ms * 1000)
        if number != self.number and number >= 0:
            self.number = number
            late = since > (self.beep.duration_ms + LATE_MS) * 1000
            self.position = self.beep.duration_ms / 1000 if late else 0
            self.decoder = self.encoder = self.codec = None

    @property
    def sounds(self) -> bool:
        """Whether there is something of it still to be heard."""
        return self.position * 1000 < self.beep.duration_ms - 1e-6

    def tone(self, count: int, rate: int) -> I16:
        """The next samples of it, shape (count,); beyond its end silence."""
        beep = self.beep
        start = round(self.position * rate)
        number = start + np.arange(count)
        wave = np.zeros(count)
        for hertz, level in (
            (beep.frequency_hz, beep.amplitude_db),
            (beep.tone2_frequency_hz, beep.tone2_amplitude_db),
        ):
            if hertz:
                peak = 32767 * 10 ** ((level - FULL_SCALE_DBM0) / 20)
                wave += peak * np.sin(2 * np.pi * hertz * number / rate)
        wave[number >= beep.duration_ms * rate // 1000] = 0
        self.position += count / rate
        return np.clip(np.rint(wave), -32768, 32767).astype(np.int16)


class Beeper:
    """The beeps of a media process."""

    def __init__(self, legs: Legs) -> None:
        self._legs = legs
        self._beeping: dict[int, Beeping] = {}
        self.sounding: Bool = np.zeros(len(legs.can_send), np.bool_)
        """Legs that hear a beep now."""

    @property
    def active(self) -> bool:
        """Whether any leg is to hear beeps."""
        return bool(self._beeping)

    def set(self, leg: Leg, beep: Beep | None, at: int) -> None:
        """A leg is to hear a beep from ``at`` (us) on, or (None) none any more."""
        self._beeping.pop(leg.slot, None)
        self.sounding[leg.slot] = False
        if beep is not None and beep.interval_ms > 0 and beep.duration_ms > 0:
            self._beeping[leg.slot] = Beeping(leg, beep, at, named("beep " + leg.leg_id))

    def tick(self, now: int) -> None:
        """Begins the beeps whose time has come; to be called before packets are sent."""
        for slot, beeping in self._beeping.items():
            beeping.begin(now)
            self.sounding[slot] = beeping.sounds

    def tone(self, slot: int, count: int, rate: int) -> I16 | None:
        """What a leg hears of its beep in the next samples that it is sent."""
        beeping = self._beeping.get(slot)
        if beeping is None or not beeping.sounds:
            return None
        return beeping.tone(count, rate)

    def over(
        self, rows: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], places: Int64, lengths: Int64, slots: Int64
    ) -> Int64:
        """Puts the beep over packets that are about to be sent.

        :param rows: memory, shape (rows, bytes), packets at ``PAYLOAD``
        :param places: row of each packet; it may be changed
        :param slots: leg that each is sent to
        :returns: bytes of each packet
        """
        lengths = lengths.copy()
        for index in np.flatnonzero(self.sounding[slots]).tolist():
            beeping = self._beeping[int(slots[index])]
            if not beeping.sounds:
                continue
            row, length = rows[int(places[index]), PAYLOAD:], int(lengths[index])
            packet = row[:length].tobytes()
            codec = beeping.leg.codecs.get(packet[1] & 0x7F)
            if codec is None or not codecs.transcodable(codec):
                continue
            start = payload_offset(packet)
            end = length - (packet[-1] if packet[0] & 0x20 else 0)
            try:
                payload = _over(beeping, codec, packet[start:end])
            except Exception as error:  # whatever a codec library raises: the packet goes without its beep
                log.info("no beep over a packet", codec=codec[0], error=str(error))
                continue
            if len(payload) > MAX_PACKET - start:
                continue
            row[0] &= 0xDF
            row[start : start + len(payload)] = np.frombuffer(payload, np.uint8)
            lengths[index] = start + len(payload)
        return lengths

    def alone(self, outgoing: Outgoing, now: int) -> list[tuple[Leg, int, int, bytes]]:
        """Packets for legs that hear their beep and are sent nothing else: (leg, payload type, stamp, payload); their
        streams are begun.
        """
        packets = []
        for slot in np.flatnonzero(self.sounding).tolist():
            beeping = self._beeping[slot]
            leg = beeping.leg
            ours = int(outgoing.source[slot]) == beeping.source
            quiet = now - int(outgoing.at[slot]) >= (0 if ours else QUIET_US)
            if not (quiet and self._legs.can_send[slot] and beeping.sounds and now >= beeping.next_frame_at):
                continue
            chosen = codecs.choice(leg.codecs, leg.hears.get(int(self._legs.last_pt[slot])))
            if chosen is None:
                continue
            payload_type, codec = chosen
            try:
                _prepare(beeping, codec)
            except CodecError as error:
                log.error("no beep for a leg", leg=leg.leg_id, error=str(error))
                beeping.position = beeping.beep.duration_ms
                continue
            assert beeping.encoder is not None
            late = now - beeping.next_frame_at >= 5 * FRAME_US
            beeping.next_frame_at = (now if late else beeping.next_frame_at) + FRAME_US
            rate = 16000 if codecs.wideband(codec) else 8000
            if not beeping.position:
                outgoing.interrupt(slot)
            payload = beeping.encoder.encode(beeping.tone(rate // 50, rate))
            stamp = round(beeping.position * codec[1])
            outgoing.begin(leg, beeping.source, codec[1], now, stamp)
            packets.append((leg, payload_type, stamp, payload))
        return packets


def _prepare(beeping: Beeping, codec: Format) -> None:
    if beeping.codec != codec:
        rate = 16000 if codecs.wideband(codec) else 8000
        beeping.decoder, beeping.encoder = codecs.decoder(codec, rate), codecs.encoder(codec, rate)
        beeping.codec = codec


def _over(beeping: Beeping, codec: Format, payload: bytes) -> bytes:
    """A payload with the beep over it."""
    if codec[0] in ("pcmu", "pcma"):
        table, law = (MU_LAW, mu_law) if codec[0] == "pcmu" else (A_LAW, a_law)
        return law(_sum(table[np.frombuffer(payload, np.uint8)], beeping, 8000)).tobytes()
    _prepare(beeping, codec)
    assert beeping.decoder is not None
    assert beeping.encoder is not None
    rate = 16000 if codecs.wideband(codec) else 8000
    samples = beeping.decoder.decode(payload)
    return beeping.encoder.encode(_sum(samples, beeping, rate)) if len(samples) else payload


def _sum(samples: I16, beeping: Beeping, rate: int) -> I16:
    whole = samples.astype(np.int32) + beeping.tone(len(samples), rate)
    summed: I16 = np.clip(whole, -32768, 32767).astype(np.int16)
    return summed
