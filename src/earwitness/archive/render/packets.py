"""Batches of RTP packets as columns, and their headers read a batch at a time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import structlog
from numpy.typing import NDArray

from earwitness.media.tape import reader
from earwitness.media.tape.format import TapeError

U8 = NDArray[np.uint8]
I64 = NDArray[np.int64]

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Packets:
    """N packets in the order in which they were captured."""

    buffer: U8
    """Bytes that hold them all."""
    offset: I64
    """(N,) where each begins in ``buffer``."""
    length: I64
    """(N,) bytes of each."""
    arrival_us: I64
    """(N,) UTC µs."""

    def __len__(self) -> int:
        return len(self.offset)

    def select(self, which: slice | NDArray[np.bool_] | I64) -> Packets:
        """Some of them; the buffer is shared."""
        return Packets(self.buffer, self.offset[which], self.length[which], self.arrival_us[which])

    @staticmethod
    def empty() -> Packets:
        """None at all."""
        none = np.empty(0, dtype=np.int64)
        return Packets(np.empty(0, dtype=np.uint8), none, none, none)

    @staticmethod
    def of(packets: list[tuple[int, bytes]]) -> Packets:
        """From (arrival µs, bytes) pairs."""
        length = np.array([len(data) for _, data in packets], dtype=np.int64)
        offset = np.concatenate([[0], np.cumsum(length)[:-1]]).astype(np.int64) if packets else length
        buffer = np.frombuffer(b"".join(data for _, data in packets), dtype=np.uint8)
        return Packets(buffer, offset, length, np.array([at for at, _ in packets], dtype=np.int64))


def join(first: Packets, second: Packets) -> Packets:
    """One batch from two, in that order; copies bytes only where the buffers differ."""
    if not len(first) or not len(second):
        return second if not len(first) else first
    if first.buffer is second.buffer:
        buffer, shift = first.buffer, 0
    else:
        buffer, shift = np.concatenate([first.buffer, second.buffer]), len(first.buffer)
    return Packets(
        buffer,
        np.concatenate([first.offset, second.offset + shift]),
        np.concatenate([first.length, second.length]),
        np.concatenate([first.arrival_us, second.arrival_us]),
    )


@dataclass(frozen=True, slots=True)
class Headers:
    """RTP headers of M valid packets (RFC 3550 §5.1), as columns."""

    row: I64
    """(M,) which packet of the batch."""
    ssrc: I64
    seq: I64
    """16 bit."""
    timestamp: I64
    """32 bit."""
    payload_type: I64
    payload_offset: I64
    """(M,) where the payload begins in the buffer."""
    payload_length: I64
    """(M,) bytes, padding taken off."""
    malformed: int
    """Packets of the batch that are no RTP: wrong version, too short, RTCP."""


def read_headers(packets: Packets) -> Headers:
    """Reads the headers of a batch. Never raises; what is not RTP is counted in ``malformed``."""
    buffer, n = packets.buffer, len(packets)
    offset, length = packets.offset, packets.length
    fits = (length >= 12) & (offset >= 0) & (offset + length <= len(buffer))
    row = np.flatnonzero(fits)
    at = offset[row]
    first, second = buffer[at], buffer[at + 1]
    good = (first >> 6 == 2) & ~((second >= 192) & (second <= 223))
    if not good.all():
        row, at, first, second = row[good], at[good], first[good], second[good]
    size = length[row]
    header = 12 + 4 * (first & 15).astype(np.int64)
    extended = np.flatnonzero((first & 0x10) != 0)
    if len(extended):
        start = at[extended] + header[extended]
        inside = header[extended] + 4 <= size[extended]
        header[extended] += 4
        extended, start = extended[inside], start[inside]
        header[extended] += 4 * ((buffer[start + 2].astype(np.int64) << 8) | buffer[start + 3])
    payload = size - header
    padded = np.flatnonzero(((first & 0x20) != 0) & (payload > 0))
    if len(padded):
        payload[padded] -= buffer[at[padded] + size[padded] - 1].astype(np.int64)
    good = payload >= 0
    if not good.all():
        row, at, second, header, payload = row[good], at[good], second[good], header[good], payload[good]
    fixed = buffer[at[:, None] + np.arange(2, 12)].astype(np.int64)
    return Headers(
        row=row,
        ssrc=(fixed[:, 6] << 24) | (fixed[:, 7] << 16) | (fixed[:, 8] << 8) | fixed[:, 9],
        seq=(fixed[:, 0] << 8) | fixed[:, 1],
        timestamp=(fixed[:, 2] << 24) | (fixed[:, 3] << 16) | (fixed[:, 4] << 8) | fixed[:, 5],
        payload_type=(second & 0x7F).astype(np.int64),
        payload_offset=at + header,
        payload_length=payload,
        malformed=n - len(row),
    )


def read_tape(path: Path) -> Packets:
    """Reads a tape file. One that is missing, or none of ours, has no packets; a cut end is left out; RTCP too."""
    try:
        tape = reader.read(path)
    except (OSError, TapeError) as error:
        if not isinstance(error, FileNotFoundError):
            log.warning("tape file unreadable", file=path.name, error=str(error))
        return Packets.empty()
    packets = Packets(tape.data, tape.offsets, tape.lengths, tape.arrival_us)
    return packets.select(~tape.rtcp) if tape.rtcp.any() else packets
