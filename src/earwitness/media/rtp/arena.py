"""The memory that a media process works in, and that outlives it.

One memory file (memfd: never on a disk, never in a core dump) per media process, made by the edge and mapped by the
process and, when that dies, by its replacement. It holds what would otherwise be lost with the process:

* packets that were read from a socket and not yet relayed and taped (``rows``),
* where each leg's packets come from and go to (latched addresses), and what was reported of it,
* packets that were taped and not yet written to their file (``tape_data`` from ``tape_head`` to ``tape_tail``), and how
  much of the file is known to be good (``tape_committed``).

A row is ``ROW`` bytes and laid out like a buffer of io_uring's multishot recvmsg (io_uring_recvmsg_out), which plain
recvmmsg imitates::

    0   namelen, controllen, payloadlen, flags (4 x uint32, io_uring only)
    16  source address (sockaddr, 32 bytes)
    48  control messages (64 bytes): SO_TIMESTAMPNS at 48, SO_RXQ_OVFL at 80; the last 8 bytes are free for the tape's
    record header 112 the packet
"""

from __future__ import annotations

import mmap
import os
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

ROW = 2048
NAME = 16
CONTROL = 48
CONTROL_SIZE = 64
PAYLOAD = 112
MAX_PACKET = ROW - PAYLOAD
DEPTH = 4
"""Rows per socket: what one socket can deliver in one system call."""
TAPE_BUFFER = 256 * 1024
"""Bytes of a channel that can wait for the disk: 29 s of G.711 at 20 ms, more than waits in a socket after a stall."""
TAPE_SLACK = ROW
LEG_WORDS = 20
LEG_SIZE = 64 + 8 * LEG_WORDS
"""Bytes kept of a leg: two addresses, and numbers."""

UInt8 = npt.NDArray[np.uint8]
UInt32 = npt.NDArray[np.uint32]
UInt64 = npt.NDArray[np.uint64]
Int64 = npt.NDArray[np.int64]
Int32 = npt.NDArray[np.int32]
Bool = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Layout:
    """Sizes of an arena for so many legs; the same number gives the same layout in every process."""

    legs: int

    @property
    def sockets(self) -> int:
        """Two a leg: RTP at ``2 * leg``, RTCP at ``2 * leg + 1``."""
        return 2 * self.legs

    @property
    def rows(self) -> int:
        """Receive rows; as many follow for packets that are sent otherwise than they came."""
        return self.sockets * DEPTH

    @property
    def channels(self) -> int:
        """Tape channels: two a tape, as many tapes as legs."""
        return 2 * self.legs

    def sections(self) -> dict[str, tuple[int, int]]:
        """Name -> (offset, size), page aligned."""
        sizes = {
            "rows": 2 * self.rows * ROW,
            "headers": self.rows * 64,
            "tape_data": self.channels * TAPE_BUFFER + TAPE_SLACK,
            "tape_state": self.channels * 8 * 5,
            "legs": (self.legs + 1) * LEG_SIZE,
        }
        sections, offset = {}, 0
        for name, size in sizes.items():
            size = -(-size // mmap.PAGESIZE) * mmap.PAGESIZE
            sections[name] = (offset, size)
            offset += size
        return sections

    @property
    def size(self) -> int:
        """Bytes in all (address space; memory is used as rows are touched)."""
        return sum(size for _, size in self.sections().values())


def create(layout: Layout) -> int:
    """A new, zeroed arena; returns its file descriptor. Raises OSError."""
    fd = os.memfd_create("earwitness-media", os.MFD_CLOEXEC)
    os.ftruncate(fd, layout.size)
    return fd


class Arena:
    """A mapped arena: numpy views into the shared memory."""

    def __init__(self, fd: int, layout: Layout) -> None:
        self.layout = layout
        self._map = mmap.mmap(fd, layout.size)
        self._map.madvise(mmap.MADV_DONTDUMP)
        whole = np.frombuffer(self._map, dtype=np.uint8)
        self._whole = whole
        part = {name: whole[at : at + size] for name, (at, size) in layout.sections().items()}
        count = 2 * layout.rows
        self.flat: UInt8 = part["rows"][: count * ROW]
        self.rows: UInt8 = self.flat.reshape(count, ROW)
        self.rows64: UInt64 = self.rows.view(np.uint64)
        self.rows_address = int(self.flat.ctypes.data)
        """Address of row 0 in this process."""
        self.headers: UInt64 = part["headers"][: layout.rows * 64].view(np.uint64).reshape(layout.rows, 8)
        """struct mmsghdr of each row."""
        self.lengths: UInt32 = self.headers.view(np.uint32)[:, 14]
        """msg_len of each row: not 0 = read and not yet done with."""
        self.headers_address = int(part["headers"].ctypes.data)
        self.tape_data: UInt8 = part["tape_data"]
        self.tape_address = int(part["tape_data"].ctypes.data)
        state = part["tape_state"][: layout.channels * 40].view(np.int64).reshape(5, layout.channels)
        self.tape_head: Int64 = state[0]
        """Bytes of a channel's buffer that are in its file."""
        self.tape_tail: Int64 = state[1]
        """Bytes of a channel's buffer that are filled."""
        self.tape_committed: Int64 = state[2]
        """Good bytes of the channel's file."""
        self.tape_generation: Int64 = state[3]
        """Which opening the channel belongs to (numbers given by the edge, from 1)."""
        self.tape_packets: Int64 = state[4]
        """Records that were put into the channel's buffer."""
        count = layout.legs + 1
        legs = part["legs"][: count * LEG_SIZE]
        self.names: UInt8 = legs[: count * 64].reshape(2 * count, 32)
        """sockaddr that each socket sends to; the last two are of no leg."""
        words = legs[count * 64 :].view(np.int64).reshape(LEG_WORDS, count)
        self.source: UInt64 = words[0].view(np.uint64)
        """Key of each leg's latched source; 0: none."""
        self.last_at: Int64 = words[1]
        """Arrival (us) of each leg's last valid packet."""
        self.last_ssrc: UInt32 = words[2].view(np.uint32)[:count]
        self.started: UInt8 = words[3].view(np.uint8)[:count]
        """1: the leg's first packet was reported."""
        self.silent: UInt8 = words[3].view(np.uint8)[2 * count : 3 * count]
        self.last_pt: Int32 = words[4].view(np.int32)[:count]
        self.overflows: UInt32 = words[5].view(np.uint32)
        """SO_RXQ_OVFL counter of each socket as last seen."""
        self.name_lengths: Int64 = words[6:8].reshape(2 * count)
        self.leg_generation: Int64 = words[8]
        """Which leg all this is about (numbers given by the edge, from 1)."""
        self.leg_words: Int64 = words
        """All numbers of the legs, shape (LEG_WORDS, legs + 1)."""
        # What is sent to each leg, see ``outgoing``:
        self.out_source: UInt64 = words[9].view(np.uint64)
        self.out_ssrc: UInt64 = words[10].view(np.uint64)
        self.out_head: UInt64 = words[11].view(np.uint64)
        self.out_at: Int64 = words[12]
        self.out_rate: Int64 = words[13]
        self.seq_shift: Int64 = words[14]
        self.ts_shift: Int64 = words[15]
        # How far a play and a row of digits have come, see ``play`` and ``dial``:
        self.play_key: Int64 = words[16]
        self.play_sent: Int64 = words[17]
        self.dial_key: Int64 = words[18]
        self.dial_sent: Int64 = words[19]

    def forget_leg(self, leg: int) -> None:
        """Gives back the memory of a leg's rows, which hold nothing any more."""
        start, _ = self.layout.sections()["rows"]
        size = 2 * DEPTH * ROW
        self._map.madvise(mmap.MADV_REMOVE, start + leg * size, size)

    def forget_tape(self, channel: int) -> None:
        """Gives back the memory of a channel's buffer, which is empty."""
        start, _ = self.layout.sections()["tape_data"]
        self._map.madvise(mmap.MADV_REMOVE, start + channel * TAPE_BUFFER, TAPE_BUFFER)
