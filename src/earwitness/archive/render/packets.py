"""Batches of RTP packets as columns, and their headers read a batch at a time."""

from __future__ import annotations

from dataclasses import dataclass, replace
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
    rtcp: NDArray[np.bool_] | None = None
    """(N,) which are RTCP; None: none of them."""

    def __len__(self) -> int:
        return len(self.offset)

    def select(self, which: slice | NDArray[np.bool_] | I64) -> Packets:
        """Some of them; the buffer is shared."""
        rtcp = None if self.rtcp is None else self.rtcp[which]
        return Packets(self.buffer, self.offset[which], self.length[which], self.arrival_us[which], rtcp)

    def divided(self) -> tuple[Packets, Packets]:
        """Media, and RTCP."""
        if self.rtcp is None:
            return self, Packets.empty()
        media, reports = self.select(~self.rtcp), self.select(self.rtcp)
        return replace(media, rtcp=None), reports

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
    rtcp = None
    if first.rtcp is not None or second.rtcp is not None:
        none = np.zeros(max(len(first), len(second)), dtype=np.bool_)
        halves = (none[: len(half)] if half.rtcp is None else half.rtcp for half in (first, second))
        rtcp = np.concatenate(list(halves))
    return Packets(
        buffer,
        np.concatenate([first.offset, second.offset + shift]),
        np.concatenate([first.length, second.length]),
        np.concatenate([first.arrival_us, second.arrival_us]),
        rtcp,
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
    head = _heads(buffer, at)
    first, second = head[:, 0], head[:, 1]
    good = (first >> 6 == 2) & ~((second >= 192) & (second <= 223))
    if not good.all():
        row, at, head, first, second = row[good], at[good], head[good], first[good], second[good]
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
        row, at, head = row[good], at[good], head[good]
        second, header, payload = second[good], header[good], payload[good]
    word = np.ascontiguousarray(head).view(">u4")
    return Headers(
        row=row,
        ssrc=word[:, 2].astype(np.int64),
        seq=word[:, 0].astype(np.int64) & 0xFFFF,
        timestamp=word[:, 1].astype(np.int64),
        payload_type=(second & 0x7F).astype(np.int64),
        payload_offset=at + header,
        payload_length=payload,
        malformed=n - len(row),
    )


def _heads(buffer: U8, at: I64) -> U8:
    """The first 12 bytes of each packet, (n, 12); packets at equal distances are a view, not a copy."""
    if len(at) > 1:
        steps = at[1:] - at[:-1]
        if steps[0] >= 12 and (steps == steps[0]).all():
            return np.lib.stride_tricks.as_strided(buffer[at[0] :], (len(at), 12), (int(steps[0]), 1), writeable=False)
    return np.asarray(buffer[at[:, None] + np.arange(12)])


def read_tape(path: Path) -> Packets:
    """Reads a tape file. One that is missing, or none of ours, has no packets; a cut end is left out."""
    try:
        tape = reader.read(path)
    except (OSError, TapeError) as error:
        if not isinstance(error, FileNotFoundError):
            log.warning("tape file unreadable", file=path.name, error=str(error))
        return Packets.empty()
    return of_tape(tape)


def of_tape(tape: reader.Tape) -> Packets:
    """The packets of a tape file."""
    return Packets(tape.data, tape.offsets, tape.lengths, tape.arrival_us, tape.rtcp if tape.rtcp.any() else None)
