"""Channels that cannot hear each other: one mono Opus stream for each, and no work for silence.

Coupled stereo predicts one side from the other, and what is left of that prediction is heard where it does not belong.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from earwitness.archive.render.framing import delimit
from earwitness.archive.render.opus import Encoder

I16 = NDArray[np.int16]

SILENT_PEAK = 8
"""Up to this (of 32768) a frame is silence: A-law has no zero, its least step is 8."""
QUIET_PEAK = 128
"""Up to this, -48 dBFS, it is what lines and rooms sound like while nobody speaks: worth fewer bits."""
QUIET_BITRATES = {8000: 8000, 16000: 12000}
"""Rate -> bit/s of a quiet frame; the least with which libopus keeps the bandwidth of speech."""
QUIET_COMPLEXITY = 0
"""Of quiet frames at the most: half of a call, a fiftieth of what encoding it costs, and nothing that is heard."""


class UncoupledEncoder:
    """16 bit samples of one or two channels to packets of as many streams (RFC 7845 §5.1.1)."""

    def __init__(self, rate: int, channels: int, *, bitrate: int, complexity: int, frame_ms: int) -> None:
        """
        :param bitrate: bit/s of all channels together, while all of them are loud; each has its equal share.
        :raises OpusError: as ``opus.Encoder``.
        """
        share = bitrate // channels
        self._sides = [_Side(rate, share, complexity, frame_ms) for _ in range(channels)]
        self.frame, self.lookahead = self._sides[0].encoder.frame, self._sides[0].encoder.lookahead

    def encode(self, samples: I16) -> list[bytes]:
        """Packets of samples (n, channels); n must be a multiple of ``frame``."""
        packets = [side.encode(np.ascontiguousarray(samples[:, at])) for at, side in enumerate(self._sides)]
        if len(packets) == 1:
            return packets[0]
        return [delimit(first) + second for first, second in zip(*packets, strict=True)]


class _Side:
    """One channel. Frames of silence are not encoded: their packet was made once.

    A packet holds the last ``lookahead`` samples of the frame before its own, so one more is encoded after the last
    that is not silent. Before the first that is not, the encoder takes the frame of silence before it, whose packet
    nobody needs: else it would join what comes to what it saw when it last worked. It predicts nothing from that.
    """

    def __init__(self, rate: int, bitrate: int, complexity: int, frame_ms: int) -> None:
        self.encoder = Encoder(rate, 1, bitrate=bitrate, complexity=complexity, frame_ms=frame_ms)
        self._silence = silence(rate, bitrate, complexity, frame_ms)
        self._bitrates = (0, min(bitrate, QUIET_BITRATES.get(rate, bitrate)), bitrate)
        self._complexities = (0, min(complexity, QUIET_COMPLEXITY), complexity)
        self._last = 0
        """Whether the last frame was silent (0), quiet (1) or loud (2)."""
        self._passed: I16 | None = None
        """The last frame, if the encoder has not seen it."""

    def encode(self, samples: I16) -> list[bytes]:
        """Packets of samples (n)."""
        frames = samples.reshape(-1, self.encoder.frame)
        if not len(frames):
            return []
        peak = np.maximum(frames.max(axis=1).astype(np.int32), -frames.min(axis=1).astype(np.int32))
        heard = (peak > SILENT_PEAK).astype(np.int8) + (peak > QUIET_PEAK)
        level = np.maximum(heard, np.concatenate([[self._last], heard[:-1]]))
        self._last = int(heard[-1])
        packets: list[bytes] = []
        edges = (np.flatnonzero(level[1:] != level[:-1]) + 1).tolist()
        for start, stop in zip([0, *edges], [*edges, len(level)], strict=True):
            packets += self._run(frames[start:stop], int(level[start]))
        return packets

    def _run(self, frames: I16, level: int) -> list[bytes]:
        """Packets of frames of one level."""
        if not level:
            self._passed = frames[-1].copy()
            return [self._silence] * len(frames)
        self.encoder.set_bitrate(self._bitrates[level])
        self.encoder.set_complexity(self._complexities[level])
        if self._passed is None:
            return self.encoder.encode(frames.reshape(-1, 1))
        self.encoder.predict(False)
        _, first = self.encoder.encode(np.concatenate([self._passed, frames[0]])[:, None])
        self.encoder.predict(True)
        self._passed = None
        return [first, *self.encoder.encode(frames[1:].reshape(-1, 1))]


@cache
def silence(rate: int, bitrate: int, complexity: int, frame_ms: int) -> bytes:
    """The packet of a frame of silence, which depends on none before it. Not the first: it has the encoder's start."""
    encoder = Encoder(rate, 1, bitrate=bitrate, complexity=complexity, frame_ms=frame_ms)
    encoder.predict(False)
    return encoder.encode(np.zeros((4 * encoder.frame, 1), dtype=np.int16))[-1]
