"""Automatic level control of a recording (``trunk_recording_levelControlEnabled``): quiet and loud parties sound alike.

Each channel by itself, in spans of 20 ms. The level of speech is followed through spans that hold any, quickly when it
rises, slowly when it falls; in between nothing moves, so that pauses are not pumped up and noise stays where it is. The
gain goes towards ``TARGET_DBFS``, at most ``MOST_DB`` up and ``LEAST_DB`` down, so slowly that nobody hears it move. A
limiter that sees one span ahead keeps every sample below ``CEILING_DBFS``: gains are set at the edges of spans, no
greater than either neighbour can bear, and run straight in between.

The same samples give the same result however they are cut into blocks.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

I16 = NDArray[np.int16]

SPAN_MS = 20
TARGET_DBFS = -20.0
"""Root mean square of speech."""
MOST_DB, LEAST_DB = 18.0, -12.0
CEILING_DBFS = -1.0
GATE_DBFS = -45.0
"""Root mean square below which a span counts as a pause."""
RISE_S, FALL_S = 0.5, 2.0
"""Time constants by which the level of speech is followed."""
UP_DB_S, DOWN_DB_S = 6.0, 20.0
"""Fastest change of the gain."""

_SPAN_S = SPAN_MS / 1000
_RISE, _FALL = 1 - np.exp(-_SPAN_S / RISE_S), 1 - np.exp(-_SPAN_S / FALL_S)
_UP, _DOWN = UP_DB_S * _SPAN_S, DOWN_DB_S * _SPAN_S
_CEILING = 32768 * 10 ** (CEILING_DBFS / 20)
_SILENCE_DB = -120.0


class _Gain:
    """The gain of one channel, span by span, dB."""

    def __init__(self) -> None:
        self.level_db = TARGET_DBFS
        self.gain_db = 0.0

    def after(self, span_db: float) -> float:
        """The gain that a span of this level asks for."""
        if span_db >= GATE_DBFS:
            difference = span_db - self.level_db
            self.level_db += difference * (_RISE if difference > 0 else _FALL)
            wanted = min(MOST_DB, max(LEAST_DB, TARGET_DBFS - self.level_db))
            self.gain_db += min(_UP, max(-_DOWN, wanted - self.gain_db))
        return self.gain_db


class LevelControl:
    """Takes samples, gives them back up to two spans later, with their levels made even."""

    def __init__(self, rate: int, channels: int) -> None:
        """:param rate: samples per second."""
        self._span, self._channels = rate * SPAN_MS // 1000, channels
        self._gains = [_Gain() for _ in range(channels)]
        self._rest = np.zeros((0, channels), dtype=np.int16)
        self._held: I16 | None = None
        """The last whole span, which waits for its right edge."""
        self._edge = np.ones(channels)
        """Gain at the left edge of what is held."""
        self._own = np.ones(channels)
        """Gain that the held span asks for, with what it can bear."""

    def samples(self, block: I16) -> I16:
        """Takes samples (n, channels); gives those that are ready, (m, channels)."""
        whole = np.concatenate([self._rest, block]) if len(self._rest) else block
        usable = len(whole) // self._span * self._span
        self._rest = whole[usable:].copy()
        return self._level(whole[:usable].reshape(-1, self._span, self._channels))

    def finish(self) -> I16:
        """The rest."""
        short = len(self._rest)
        parts = []
        if short:
            filled = np.zeros((1, self._span, self._channels), dtype=np.int16)
            filled[0, :short] = self._rest
            self._rest = self._rest[:0]
            parts.append(self._level(filled))
        if self._held is not None:
            parts.append(self._apply(self._held[None], np.stack([self._edge, self._own])))
            self._held = None
        out = np.concatenate(parts) if parts else np.zeros((0, self._channels), dtype=np.int16)
        return out[: len(out) - (self._span - short)] if short else out

    def _level(self, spans: I16) -> I16:
        """Spans (n, samples, channels) -> samples that are ready."""
        if not len(spans):
            return np.zeros((0, self._channels), dtype=np.int16)
        wide = spans.astype(np.int32)
        power = (wide * wide).sum(axis=1, dtype=np.int64) / self._span
        level_db = 10 * np.log10(np.maximum(power / 32768.0**2, 10 ** (_SILENCE_DB / 10)))
        asked_db = np.empty_like(level_db)
        for channel, gain in enumerate(self._gains):
            asked_db[:, channel] = [gain.after(value) for value in level_db[:, channel].tolist()]
        bearable = _CEILING / np.maximum(np.abs(wide).max(axis=1), 1.0)
        own = np.minimum(10 ** (asked_db / 20), bearable)
        if self._held is None:
            ready, before = spans[:-1], own[:1]
        else:
            ready, before = np.concatenate([self._held[None], spans[:-1]]), np.stack([self._edge, self._own])
        series = np.concatenate([before[1:], own]) if self._held is not None else own
        inner = np.minimum(series[:-1], series[1:])
        edges = np.concatenate([before[:1], inner])
        self._held, self._edge, self._own = spans[-1].copy(), edges[-1], own[-1]
        return self._apply(ready, edges)

    def _apply(self, spans: I16, edges: NDArray[np.float64]) -> I16:
        """Spans (n, samples, channels) under gains that run straight from edge to edge (n + 1, channels)."""
        way = (np.arange(self._span) / self._span)[None, :, None]
        gains = edges[:-1, None, :] * (1 - way) + edges[1:, None, :] * way
        out = np.rint(spans * gains)
        return np.asarray(np.clip(out, -32768, 32767).astype(np.int16)).reshape(-1, self._channels)
