"""Peaks of a recording for its waveform: the least and greatest sample of every 20 ms, 8 bit each."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

I16 = NDArray[np.int16]
I8 = NDArray[np.int8]

SPAN_MS = 20
_HEAD = struct.Struct("<4sHHI")


@dataclass(frozen=True, slots=True)
class Peaks:
    """Least and greatest sample of each span."""

    values: I8
    """(spans, channels, 2): least, greatest, -128..127."""

    def waveform(self, points: int, channel: int | None = None) -> list[float]:
        """``points`` values 0..1, the greatest amplitude of each stretch; fewer where there are fewer spans.

        :param channel: one channel, or None for the louder of all.
        """
        height = np.maximum(self.values[:, :, 1].astype(np.int16), -self.values[:, :, 0].astype(np.int16))
        line = height.max(axis=1, initial=0) if channel is None else height[:, channel]
        points = min(points, len(line))
        if points <= 0:
            return []
        starts = np.arange(points) * len(line) // points
        return [round(min(1.0, value / 127), 3) for value in np.maximum.reduceat(line, starts).tolist()]

    def to_bytes(self) -> bytes:
        """Head ``EWPK``, channels, span in ms, number of spans; then the values."""
        return _HEAD.pack(b"EWPK", self.values.shape[1], SPAN_MS, len(self.values)) + self.values.tobytes()

    @staticmethod
    def from_bytes(data: bytes) -> Peaks:
        """The reverse of ``to_bytes``.

        :raises ValueError: something else.
        """
        if len(data) < _HEAD.size:
            raise ValueError("peaks: cut short")
        magic, channels, span, count = _HEAD.unpack_from(data)
        if magic != b"EWPK" or span != SPAN_MS or len(data) != _HEAD.size + count * channels * 2:
            raise ValueError("peaks: not ours")
        return Peaks(np.frombuffer(data, dtype=np.int8, offset=_HEAD.size).reshape(count, channels, 2))


class Meter:
    """Measures peaks, level, silence and clipping while samples pass."""

    SILENT = 104
    """-50 dBFS."""

    def __init__(self, rate: int, channels: int) -> None:
        self.span = rate * SPAN_MS // 1000
        self.channels = channels
        self.spans = 0
        self.silent = np.zeros(channels, dtype=np.int64)
        self.clipped = np.zeros(channels, dtype=np.int64)
        self.greatest = np.zeros(channels, dtype=np.int64)
        self.energy = np.zeros(channels)
        self.loud = np.zeros(channels, dtype=np.int64)
        self._rest = np.zeros((0, channels), dtype=np.int16)
        self._parts: list[I8] = []

    def samples(self, block: I16) -> None:
        """Takes samples (n, channels)."""
        whole = np.concatenate([self._rest, block]) if len(self._rest) else block
        usable = len(whole) // self.span * self.span
        self._rest = whole[usable:].copy("K")
        if usable:
            self._measure(whole[:usable])

    def finish(self) -> Peaks:
        """The peaks; a last short span is filled up with silence."""
        if len(self._rest):
            short = self.span - len(self._rest)
            self._measure(np.concatenate([self._rest, np.zeros((short, self.channels), dtype=np.int16)]))
            self._rest = self._rest[:0]
        values = np.concatenate(self._parts) if self._parts else np.zeros((0, self.channels, 2), dtype=np.int8)
        return Peaks(values)

    def level_dbfs(self, channel: int) -> float | None:
        """Root mean square of the spans that are not silent."""
        if not self.loud[channel]:
            return None
        return round(float(10 * np.log10(self.energy[channel] / (self.loud[channel] * self.span) / 32768.0**2)), 1)

    def peak_dbfs(self, channel: int) -> float | None:
        """The greatest sample."""
        peak = int(self.greatest[channel])
        return round(float(20 * np.log10(peak / 32768)), 1) if peak else None

    def _measure(self, block: I16) -> None:
        for channel in range(self.channels):
            line = np.ascontiguousarray(block[:, channel]).reshape(-1, self.span)
            least, greatest = line.min(axis=1), line.max(axis=1)
            height = np.maximum(greatest.astype(np.int32), -least.astype(np.int32))
            loud = height > self.SILENT
            self.silent[channel] += int((~loud).sum())
            self.greatest[channel] = max(int(self.greatest[channel]), int(height.max()))
            if height.max() >= 32767:
                self.clipped[channel] += int(((line >= 32767) | (line <= -32767)).sum())
            if loud.any():
                active = line[loud].astype(np.float32).ravel()
                self.energy[channel] += float(np.dot(active, active))
                self.loud[channel] += int(loud.sum())
            pair = np.stack([least >> 8, greatest >> 8], axis=1).astype(np.int8)
            if channel == 0:
                self._parts.append(np.empty((len(pair), self.channels, 2), dtype=np.int8))
            self._parts[-1][:, channel] = pair
        self.spans += len(block) // self.span
