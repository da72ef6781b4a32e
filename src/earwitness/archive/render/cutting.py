"""Some stretches of a recording, one after the other: what somebody hears who may not hear all of it (contract J12).

Samples outside are thrown away before anything is encoded, so that nothing of them is in the bytes that are made.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from earwitness.archive.render.peaks import SPAN_MS, Peaks

I16 = NDArray[np.int16]
Stretches = Sequence[tuple[int, int]]
"""In ms of the file, in order, not touching; the ends are outside."""


def in_samples(stretches: Stretches, rate: int, length: int) -> list[tuple[int, int]]:
    """The stretches in samples of a channel, within ``length``."""
    found = ((start * rate // 1000, min(end * rate // 1000, length)) for start, end in stretches)
    return [(start, end) for start, end in found if end > start]


def pieces(blocks: Iterable[I16], wanted: Sequence[tuple[int, int]]) -> Iterator[I16]:
    """Of blocks of samples (n, channels) those that are wanted; places count from the first block."""
    at = 0
    for block in blocks:
        until = at + len(block)
        for start, end in wanted:
            if start < until and end > at:
                yield block[max(start - at, 0) : end - at]
        at = until


def peaks_within(peaks: Peaks, stretches: Stretches) -> Peaks:
    """The spans that lie within the stretches, whole."""
    values = [peaks.values[-(-start // SPAN_MS) : end // SPAN_MS] for start, end in stretches]
    return Peaks(np.concatenate(values) if values else peaks.values[:0])
