"""Reading a tape file into arrays."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from earwitness.media.tape.format import PACKET_HEADER, RECORD_HEADER, TapeHeader, parse_header


@dataclass(frozen=True, slots=True)
class Tape:
    """One channel of one opening."""

    header: TapeHeader
    data: npt.NDArray[np.uint8]
    """The whole file, shape (bytes,)."""
    arrival_us: npt.NDArray[np.int64]
    """UTC microseconds (to the millisecond), shape (packets,)."""
    offsets: npt.NDArray[np.int64]
    """Where each packet starts in ``data``, shape (packets,)."""
    lengths: npt.NDArray[np.int64]
    """Bytes of each packet, shape (packets,)."""
    rtcp: npt.NDArray[np.bool_]
    """Which records are RTCP, shape (packets,)."""
    good_bytes: int
    """Size of the file up to the end of its last whole record; what follows is damaged or cut short."""

    def __len__(self) -> int:
        return len(self.offsets)

    def packet(self, index: int) -> bytes:
        """The bytes of one packet."""
        start = int(self.offsets[index])
        return self.data[start : start + int(self.lengths[index])].tobytes()


def read(path: Path) -> Tape:
    """Reads a file. A last record that was cut short is left out.

    :raises TapeError: no rtpdump file. :raises OSError: it cannot be read.
    """
    return parse(np.fromfile(path, np.uint8))


def parse(data: npt.NDArray[np.uint8]) -> Tape:
    """Reads a file's bytes, shape (bytes,). Raises TapeError."""
    header = parse_header(data[:512].tobytes())
    starts = record_starts(data, header.size)
    fields = np.empty((len(starts), 2), np.int64)
    if len(starts):
        raw = data[starts[:, None] + np.arange(RECORD_HEADER)]
        fields[:, 0] = raw[:, :2].copy().view(">u2")[:, 0].astype(np.int64)
        fields[:, 1] = raw[:, 4:].copy().view(">u4")[:, 0]
        plen = raw[:, 2:4].copy().view(">u2")[:, 0]
    else:
        plen = np.empty(0, np.uint16)
    good = int(starts[-1] + fields[-1, 0]) if len(starts) else header.size
    return Tape(
        header=header,
        data=data,
        arrival_us=header.start_us + fields[:, 1] * 1000,
        offsets=starts + RECORD_HEADER,
        lengths=fields[:, 0] - RECORD_HEADER,
        rtcp=plen == 0,
        good_bytes=good,
    )


def record_starts(data: npt.NDArray[np.uint8], first: int) -> npt.NDArray[np.int64]:
    """Where whole records start, from ``first`` on.

    Runs of equally long records, the rule with telephone codecs, are found by numpy at once.
    """
    size = len(data)
    memory = memoryview(data.data)
    found: list[npt.NDArray[np.int64]] = []
    single: list[int] = []
    at, run, previous = first, 0, -1
    while at + RECORD_HEADER <= size:
        length = PACKET_HEADER.unpack_from(memory, at)[0]
        if length < RECORD_HEADER or at + length > size:
            break
        run = run + 1 if length == previous else 0
        previous = length
        if run < 4:
            single.append(at)
            at += length
            continue
        count = _run_length(data, at, length)
        found.append(np.array(single, np.int64))
        single = []
        found.append(at + length * np.arange(count, dtype=np.int64))
        at += length * count
        run, previous = 0, -1
    found.append(np.array(single, np.int64))
    return np.concatenate(found)


def _run_length(data: npt.NDArray[np.uint8], at: int, length: int) -> int:
    """How many records of this length follow one another from ``at``; at least 1."""
    possible = (len(data) - at) // length
    block = data[at : at + possible * length].reshape(possible, length)
    same = (block[:, 0] == length >> 8) & (block[:, 1] == length & 0xFF)
    return possible if same.all() else int(np.argmin(same))
