"""RFC 4733 telephone events of one leg: packets in, each digit out once.

A digit is sent as a row of packets with one RTP timestamp and growing duration, its last packet three times with the
end bit set. The digit is reported at the first end packet; when every end packet was lost, at the next digit or after
``TIMEOUT_US`` without a packet.
"""

from __future__ import annotations

from dataclasses import dataclass

from earwitness.media.rtp.packets import DIGITS

TIMEOUT_US = 400_000
MOST_PASSING = 32


@dataclass(frozen=True, slots=True)
class Press:
    """A digit that was pressed."""

    digit: str
    duration_ms: int
    at: int
    """UTC microseconds of the packet that ended it."""


class Passing:
    """Events that are put into another stream: their time stamps there.

    Each event keeps the time stamp of its beginning, and no two have the same, however late they come.
    """

    __slots__ = ("_end", "_stamps")

    def __init__(self) -> None:
        self._stamps: dict[tuple[int, int], int] = {}
        self._end: int | None = None

    def stamp(self, key: tuple[int, int], candidate: int, duration: int) -> tuple[int, bool]:
        """The time stamp of a packet of an event, and whether it is the first one.

        :param key: SSRC and time stamp where it comes from
        :param candidate: the time stamp that an event that begins now would have
        :param duration: as in the packet, in the clock of the other stream
        """
        stamp = self._stamps.get(key)
        begins = stamp is None
        if stamp is None:
            if self._end is not None and (candidate - self._end) & 0x80000000:
                candidate = self._end
            while len(self._stamps) >= MOST_PASSING:
                del self._stamps[next(iter(self._stamps))]
            stamp = self._stamps[key] = candidate
        end = (stamp + duration + 1) & 0xFFFFFFFF
        if self._end is None or not (end - self._end) & 0x80000000:
            self._end = end
        return stamp, begins


class Digits:
    """State of one leg."""

    __slots__ = ("_done", "_open", "clock_rate")

    def __init__(self, clock_rate: int = 8000) -> None:
        self.clock_rate = clock_rate
        self._open: tuple[tuple[int, int], int, int, int] | None = None  # (ssrc, timestamp), event, duration, last at
        self._done: tuple[int, int] | None = None

    def packet(self, ssrc: int, timestamp: int, payload: bytes, at: int) -> list[Press]:
        """One telephone-event packet; returns the digits that it completes (a packet that is none is ignored)."""
        if len(payload) < 4 or payload[0] >= len(DIGITS):
            return []
        event, end, duration = payload[0], bool(payload[1] & 0x80), payload[2] << 8 | payload[3]
        key = (ssrc, timestamp)
        if key == self._done:
            return []
        presses = []
        if self._open is not None and self._open[0] != key:
            if (timestamp - self._open[0][1]) & 0x80000000 and ssrc == self._open[0][0]:
                return []  # a packet of an older digit, late
            presses.append(self._close())
        if end:
            self._open, self._done = None, key
            presses.append(Press(DIGITS[event], self._milliseconds(duration), at))
        else:
            longest = max(duration, self._open[2]) if self._open else duration
            self._open = (key, event, longest, at)
        return presses

    def expire(self, now: int) -> list[Press]:
        """A digit whose end got lost, once nothing more came for it."""
        if self._open is not None and now - self._open[3] > TIMEOUT_US:
            return [self._close()]
        return []

    @property
    def pending(self) -> bool:
        """Whether a digit has begun and not ended."""
        return self._open is not None

    def _close(self) -> Press:
        assert self._open is not None
        key, event, duration, at = self._open
        self._open, self._done = None, key
        return Press(DIGITS[event], self._milliseconds(duration), at)

    def _milliseconds(self, duration: int) -> int:
        return round(duration * 1000 / max(self.clock_rate, 1))
