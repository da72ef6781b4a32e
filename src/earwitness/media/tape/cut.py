"""Taking back what a tape should not hold: packets that were taped before the command that closed it was known.

A close command says since when nothing may be on the tape. Packets that arrived later and went by before the command
came (the edge was held up between looking at the clock and sending) are on the tape by then and have to go.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from earwitness.media.tape.format import RECORD_HEADER
from earwitness.media.tape.reader import record_starts


@dataclass(frozen=True, slots=True)
class Cut:
    """What is left of a row of records."""

    good: int
    """So many bytes from the beginning stay as they are."""
    rest: bytes
    """Records behind the first one that goes which stay nevertheless."""
    removed: int
    """Records that go."""


def cut_late(data: npt.NDArray[np.uint8], start_us: int, until_us: int, latest_us: npt.NDArray[np.int64]) -> Cut | None:
    """Finds the records of packets that arrived at ``until_us`` or later; None when there are none.

    :param data: whole records, shape (bytes,)
    :param start_us: what their offsets count from
    :param latest_us: exact arrival of the last records of ``data``, as far as known, oldest first. Where only the
        offset of a record is known, whole milliseconds, and does not decide, it goes.
    """
    starts = record_starts(data, 0)
    if not len(starts):
        return None
    milliseconds = data[starts[:, None] + np.arange(4, RECORD_HEADER)].copy().view(">u4")[:, 0].astype(np.int64)
    late = milliseconds >= (until_us - start_us) // 1000
    known = min(len(latest_us), len(starts))
    if known:
        late[-known:] = latest_us[-known:] >= until_us
    if not late.any():
        return None
    ends = np.append(starts[1:], _end(data, int(starts[-1])))
    first = int(np.argmax(late))
    stay = np.flatnonzero(~late[first:]) + first
    rest = b"".join(data[starts[index] : ends[index]].tobytes() for index in stay.tolist())
    return Cut(int(starts[first]), rest, int(late.sum()))


def _end(data: npt.NDArray[np.uint8], start: int) -> int:
    return start + int(data[start]) * 256 + int(data[start + 1])
