"""DTMF in audio (ITU-T Q.23, Q.24): samples in, digits out.

Every 10 ms the eight frequencies are looked for in the last 25 ms. It is a digit when one of the low and one of the
high ones stand out from their group, make up most of the sound, are about as loud as each other (twist), and are where
they should be to 2.2 %, as their phases tell. Three such looks in a row make a digit, two others end it. Voices seldom
do all that.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from earwitness.media.rtp.g711 import I16

LOW = (697, 770, 852, 941)
HIGH = (1209, 1336, 1477, 1633)
KEYS = ("123A", "456B", "789C", "*0#D")
HOP_MS = 10
LEAST_PEAK = 230.0
"""-40 dBm0."""
STANDS_OUT = 2.0
"""Times as high as any other of its group."""
MOST_OF_IT = 0.6
"""Share of the sound's power."""
TWIST = (10 ** (-9 / 20), 10 ** (7 / 20))
"""High : low."""
OFF = 0.022
HITS = 3
MISSES = 2


@dataclass(frozen=True, slots=True)
class Tone:
    """A digit that was heard."""

    digit: str
    start: int
    """Sample where it began, from the first one that was fed."""
    end: int


class Detector:
    """State of one stream.

    :param rate: Hz; 8000 or 16000
    """

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._size = round(rate * 0.0256)
        self._hop = rate * HOP_MS // 1000
        window = np.hanning(self._size + 2)[1:-1]
        hertz = np.array(LOW + HIGH)
        turns = np.exp(-2j * np.pi * hertz[:, None] * np.arange(self._size) / rate)
        self._matrix = (turns * window * 2 / window.sum()).T.astype(np.complex64)
        self._window = (window**2 / (window**2).sum()).astype(np.float32)
        self._advance = np.exp(-2j * np.pi * hertz * self._hop / rate)
        self._limit = 2 * np.pi * OFF * hertz * self._hop / rate
        self._kept = np.zeros(0, np.float32)
        self._position = 0
        """Sample at which ``_kept`` begins."""
        self._before = np.zeros(8, np.complex64)
        self._digit = ""
        self._hits = 0
        self._misses = 0
        self._start = 0
        self._end = 0

    @property
    def position(self) -> int:
        """Samples that were fed."""
        return self._position + len(self._kept)

    def feed(self, samples: I16) -> list[Tone]:
        """The next samples; returns the digits that have ended in them."""
        line = np.concatenate((self._kept, samples.astype(np.float32)))
        looks = (len(line) - self._size) // self._hop + 1 if len(line) >= self._size else 0
        if not looks:
            self._kept = line
            return []
        frames = np.lib.stride_tricks.sliding_window_view(line, self._size)[:: self._hop][:looks]
        found = frames @ self._matrix
        power = (frames**2) @ self._window
        tones = []
        for number in range(looks):
            digit = self._look(found[number], float(power[number]))
            self._before = found[number]
            tones += self._count(digit, self._position + number * self._hop)
        self._kept = line[looks * self._hop :]
        self._position += looks * self._hop
        return tones

    def finish(self) -> list[Tone]:
        """The sound has stopped."""
        return self.feed(np.zeros(self._size + MISSES * self._hop, np.int16))

    def _look(self, found: np.ndarray[tuple[int], np.dtype[np.complex64]], power: float) -> str:
        peaks = np.abs(found)
        row, column = int(peaks[:4].argmax()), 4 + int(peaks[4:].argmax())
        low, high = float(peaks[row]), float(peaks[column])
        if min(low, high) < LEAST_PEAK or (low**2 + high**2) / 2 < MOST_OF_IT * power:
            return ""
        if not TWIST[0] <= high / low <= TWIST[1]:
            return ""
        others = np.delete(peaks, (row, column))
        if others[:3].max() * STANDS_OUT > low or others[3:].max() * STANDS_OUT > high:
            return ""
        digit = KEYS[row][column - 4]
        if digit == self._digit or (self._before[[row, column]] != 0).all():
            for which in (row, column):
                turned = found[which] * np.conj(self._before[which]) * self._advance[which]
                if abs(self._before[which]) > LEAST_PEAK and abs(float(np.angle(turned))) > self._limit[which]:
                    return ""
        return digit

    def _count(self, digit: str, position: int) -> list[Tone]:
        tones = []
        if digit and digit == self._digit:
            self._hits += 1
            self._misses = 0
            self._end = position + self._size
        elif self._digit:
            self._misses += 1
            if self._misses >= MISSES or (digit and self._hits < HITS):
                if self._hits >= HITS:
                    tones.append(Tone(self._digit, self._start, self._end))
                self._digit = ""
        if digit and not self._digit:
            self._digit, self._hits, self._misses = digit, 1, 0
            self._start, self._end = position, position + self._size
        return tones
