"""Columns: packets that have a place but are not written yet, and what is done with whole batches of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

I64 = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Pending:
    """Placed packets that are not written yet, as columns in order of arrival."""

    buffer: NDArray[np.uint8]
    at: I64
    """Payload begins here."""
    size: I64
    start: I64
    """First sample, from the opening."""
    samples: I64
    """At the codec's own rate."""
    codec: I64
    """Index into the channel's codecs."""
    kind: I64
    source: I64
    segment: I64
    seq: I64

    @property
    def same_stream(self) -> NDArray[np.bool_]:
        """(N - 1,) which packets have the source and the segment of the one before them."""
        same: NDArray[np.bool_] = (self.source[1:] == self.source[:-1]) & (self.segment[1:] == self.segment[:-1])
        return same

    @property
    def in_order(self) -> bool:
        """Whether they are one stream in the order of its sequence numbers, each once."""
        return bool(self.same_stream.all() and (self.seq[1:] > self.seq[:-1]).all())

    def select(self, which: NDArray[np.bool_] | I64) -> Pending:
        if which.dtype == np.bool_ and which.all():
            return self
        columns = (self.at, self.size, self.start, self.samples, self.codec, self.kind)
        rest = (self.source, self.segment, self.seq)
        return Pending(self.buffer, *(c[which] for c in columns), *(c[which] for c in rest))


def groups(column: I64) -> list[tuple[int, I64]]:
    """(value, rows) for each distinct value, by first appearance; rows ascend."""
    if not len(column):
        return []
    if (column == column[0]).all():
        return [(int(column[0]), np.arange(len(column)))]
    order = np.argsort(column, kind="stable")
    cuts = np.flatnonzero(np.diff(column[order])) + 1
    groups = [(int(column[rows[0]]), rows) for rows in np.split(order, cuts)]
    return sorted(groups, key=lambda group: int(group[1][0]))


def gather(buffer: NDArray[np.uint8], at: I64, size: I64) -> NDArray[np.uint8]:
    """The payloads, one after the other."""
    if len(at) == 1:
        return buffer[at[0] : at[0] + size[0]]
    steps = at[1:] - at[:-1]
    if (size == size[0]).all() and (steps == steps[0]).all() and steps[0] >= size[0]:
        view = np.lib.stride_tricks.as_strided(buffer[at[0] :], (len(at), int(size[0])), (int(steps[0]), 1))
        return view.reshape(-1)
    ends = np.cumsum(size)
    return buffer[np.repeat(at - (ends - size), size) + np.arange(int(ends[-1]))]


def merge(parts: list[Pending]) -> Pending | None:
    """One set of columns from several; payloads are copied together only where buffers differ."""
    parts = [part for part in parts if len(part.seq)]
    if not parts:
        return None
    merged = parts[0]
    for part in parts[1:]:
        shift, buffer = 0, merged.buffer
        if part.buffer is not buffer:
            shift, buffer = len(buffer), np.concatenate([buffer, part.buffer])
        merged = Pending(
            buffer,
            np.concatenate([merged.at, part.at + shift]),
            *(
                np.concatenate([getattr(merged, name), getattr(part, name)])
                for name in ("size", "start", "samples", "codec", "kind", "source", "segment", "seq")
            ),
        )
    return merged
