"""Digits in the audio of legs that are listened to (``detect_tones``).

A phone that sends RFC 4733 events may let the beginning of the tone through as audio as well. So a tone is told a
little later than it ends, and not at all when an event of the same digit was seen about the same time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import structlog

from earwitness.media.rtp import codecs
from earwitness.media.rtp.codecs import Decoder, Format
from earwitness.media.rtp.goertzel import Detector, Tone
from earwitness.media.rtp.legs import Leg, Legs
from earwitness.media.rtp.packets import COMFORT_NOISE, payload_offset

log = structlog.get_logger()

HELD_US = 150_000
"""How long a tone waits for an event of the same digit; events that are so much earlier than the tone count, too."""
QUIET_US = 100_000
"""Without a packet for so long, the sound has stopped."""

Press = Callable[[Leg, str, int, int], None]
"""Gets digits as (leg, digit, duration in ms, at in us)."""


class Listening:
    """State of one leg."""

    def __init__(self, leg: Leg) -> None:
        self._leg = leg
        self._codec: Format | None = None
        self._decoder: Decoder | None = None
        self._detector = Detector(8000)
        self._rate = 8000
        self._last_at = 0
        self._last_stamp: int | None = None
        self._ssrc = b""
        self._open = False
        self._tones: list[tuple[Tone, int, int]] = []
        self._events: deque[tuple[str, int]] = deque(maxlen=32)

    def packet(self, payload_type: int, packet: bytes, at: int) -> None:
        """A packet of the leg (see ``legs.Listener``)."""
        codec = self._leg.hears.get(payload_type)
        if codec is None or payload_type == COMFORT_NOISE or not codecs.transcodable(codec):
            return
        stamp = int.from_bytes(packet[4:8], "big")
        if packet[8:12] != self._ssrc:
            self._ssrc = packet[8:12]
            self._finish(at)
        if self._last_stamp is not None and (stamp - self._last_stamp - 1) & 0x80000000:
            return  # late or repeated
        if codec != self._codec or at - self._last_at > QUIET_US:
            self._finish(at)
            if codec != self._codec:
                self._rate = 16000 if codecs.wideband(codec) else 8000
                self._codec, self._decoder = codec, codecs.decoder(codec, self._rate)
            self._detector = Detector(self._rate)
        assert self._decoder is not None
        end = len(packet) - (packet[-1] if packet[0] & 0x20 else 0)
        try:
            samples = self._decoder.decode(packet[payload_offset(packet) : end])
        except Exception as error:  # whatever a codec library raises about a stranger's bytes
            log.info("payload not decodable", codec=codec[0], error=str(error))
            self._codec = None
            return
        self._last_at, self._last_stamp, self._open = at, stamp, True
        self._found(self._detector.feed(samples), at)

    def event(self, digit: str, at: int) -> None:
        """An RFC 4733 packet of the leg says this digit."""
        self._events.append((digit, at))

    def tell(self, now: int) -> list[tuple[str, int, int]]:
        """Digits that are to be told now: (digit, duration in ms, at in us)."""
        if self._open and now - self._last_at > QUIET_US:
            self._finish(now)
        ripe = [each for each in self._tones if now - each[2] >= HELD_US]
        self._tones = [each for each in self._tones if now - each[2] < HELD_US]
        return [
            (tone.digit, (tone.end - tone.start) * 1000 // self._rate, ended)
            for tone, began, ended in ripe
            if not any(digit == tone.digit and began - HELD_US <= at <= ended + HELD_US for digit, at in self._events)
        ]

    def _finish(self, at: int) -> None:
        self._open = False
        self._last_stamp = None
        self._found(self._detector.finish(), min(at, self._last_at))

    def _found(self, tones: list[Tone], at: int) -> None:
        position = self._detector.position
        for tone in tones:
            began, ended = (at - (position - each) * 1_000_000 // self._rate for each in (tone.start, tone.end))
            self._tones.append((tone, began, ended))


class Tones:
    """The legs of a media process that are listened to."""

    def __init__(self, legs: Legs, press: Press) -> None:
        self._legs = legs
        self._press = press
        self._listening: dict[int, tuple[Leg, Listening]] = {}

    def set(self, leg: Leg, on: bool) -> None:
        """Listen to a leg, or do no longer."""
        if on and leg.slot not in self._listening:
            listening = Listening(leg)
            self._listening[leg.slot] = (leg, listening)
            self._legs.listen(leg, "tones", listening.packet)
        elif not on and leg.slot in self._listening:
            del self._listening[leg.slot]
            self._legs.listen(leg, "tones", None)

    def event(self, leg: Leg, digit: str, at: int) -> None:
        """An RFC 4733 packet of a leg."""
        if leg.slot in self._listening:
            self._listening[leg.slot][1].event(digit, at)

    def tick(self, now: int) -> None:
        """Tells what was heard; to be called about ten times a second."""
        for leg, listening in list(self._listening.values()):
            for digit, duration_ms, at in listening.tell(now):
                self._press(leg, digit, duration_ms, at)
