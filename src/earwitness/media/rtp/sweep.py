"""Moving packets between sockets and the arena, many per system call.

``MmsgSweep`` works everywhere on Linux: epoll says which sockets have something, one ``recvmmsg(MSG_DONTWAIT)`` empties
a socket into its rows, one ``sendmmsg`` sends all packets that go out by the same socket. The functions of the C
library are called through ctypes with the interpreter's lock held (``PyDLL``): none of these calls can block.
"""

from __future__ import annotations

import ctypes
import select
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from earwitness.media.rtp.arena import (
    CONTROL,
    CONTROL_SIZE,
    DEPTH,
    MAX_PACKET,
    NAME,
    PAYLOAD,
    ROW,
    Arena,
    Int64,
    UInt64,
)

MSG_DONTWAIT = 0x40
MSG_TRUNC = 0x20

_libc = ctypes.PyDLL(None, use_errno=True)
_recvmmsg = _libc.recvmmsg
_recvmmsg.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int, ctypes.c_void_p)
_sendmmsg = _libc.sendmmsg
_sendmmsg.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int)


@dataclass(frozen=True, slots=True)
class Batch:
    """Packets that were read and not yet released: equally long arrays, a socket's packets in order of arrival."""

    rows: Int64
    """Row in the arena."""
    sockets: Int64
    lengths: Int64
    """Bytes of the packet; 0 when it did not fit a row."""
    control: Int64
    """Bytes of control messages."""


class Sweep(Protocol):
    """How a media process reads and writes its sockets."""

    def attach(self, index: int, fd: int) -> None:
        """Start reading a socket."""

    def detach(self, index: int) -> None:
        """Stop reading a socket; its rows must have been released."""

    def receive(self) -> Batch | None:
        """What has arrived, or None; of each socket as much as fits its rows."""

    def receive_more(self) -> Batch | None:
        """More from the sockets that filled their rows, or None. To be called after ``release``."""

    def backlog(self) -> set[int]:
        """Sockets that may hold more than was read of them in this tick."""

    def release(self, batch: Batch) -> None:
        """The packets of a batch are relayed and taped; their rows may be used again."""

    def leftovers(self) -> Batch | None:
        """What a predecessor had read and not released; to be called once, before ``receive``."""

    def send(self, addresses: UInt64, lengths: Int64, sockets: Int64, names: UInt64, name_lengths: Int64) -> int:
        """Send packets (addresses of bytes and of sockaddrs in memory). Returns how many were refused by the kernel."""

    def close(self) -> None:
        """Give everything back; the sockets stay open."""


class MmsgSweep:
    """epoll, recvmmsg and sendmmsg."""

    def __init__(self, arena: Arena, *, send_capacity: int = 8192) -> None:
        self._arena = arena
        layout = arena.layout
        self._epoll = select.epoll()
        self._fds = np.full(layout.sockets, -1, np.int64)
        self._index_of: dict[int, int] = {}
        self._again: list[int] = []
        rows = np.arange(layout.rows, dtype=np.uint64)
        self._iovecs = np.empty((layout.rows, 2), np.uint64)
        self._iovecs[:, 0] = rows * np.uint64(ROW) + np.uint64(arena.rows_address + PAYLOAD)
        self._iovecs[:, 1] = MAX_PACKET
        self._row_header = arena.headers
        # Addresses in struct mmsghdr belong to the process that wrote them: set them for ours, keep msg_len.
        header = arena.headers
        header[:, 0] = rows * np.uint64(ROW) + np.uint64(arena.rows_address + NAME)
        header[:, 2] = rows * np.uint64(16) + np.uint64(self._iovecs.ctypes.data)
        header[:, 3] = 1
        header[:, 4] = rows * np.uint64(ROW) + np.uint64(arena.rows_address + CONTROL)
        self._arm(np.flatnonzero(arena.lengths == 0))
        self._out = np.zeros((send_capacity, 8), np.uint64)
        self._out_iovecs = np.zeros((send_capacity, 2), np.uint64)
        slots = np.arange(send_capacity, dtype=np.uint64)
        self._out[:, 2] = slots * np.uint64(16) + np.uint64(self._out_iovecs.ctypes.data)
        self._out[:, 3] = 1
        self._out_address = self._out.ctypes.data

    def attach(self, index: int, fd: int) -> None:
        """See ``Sweep``."""
        self._fds[index] = fd
        self._index_of[fd] = index
        self._epoll.register(fd, select.EPOLLIN)

    def detach(self, index: int) -> None:
        """See ``Sweep``."""
        fd = int(self._fds[index])
        if fd >= 0:
            self._epoll.unregister(fd)
            del self._index_of[fd]
            self._fds[index] = -1
        if index in self._again:
            self._again.remove(index)

    def receive(self) -> Batch | None:
        """See ``Sweep``."""
        index_of = self._index_of
        return self._read([index_of[fd] for fd, _ in self._epoll.poll(0, len(index_of) or 1)])

    def receive_more(self) -> Batch | None:
        """See ``Sweep``."""
        return self._read(self._again)

    def _read(self, ready: list[int]) -> Batch | None:
        if not ready:
            self._again = []
            return None
        fds, base = self._fds, self._arena.headers_address
        step = DEPTH * 64
        read = [
            _recvmmsg(fd, base + index * step, DEPTH, MSG_DONTWAIT, None)
            for fd, index in zip(fds[ready].tolist(), ready, strict=True)
        ]
        counts = np.array(read, np.int64)
        sockets = np.array(ready, np.int64)
        self._again = sockets[counts == DEPTH].tolist()
        np.maximum(counts, 0, out=counts)
        total = int(counts.sum())
        if not total:
            return None
        sockets = np.repeat(sockets, counts)
        rank = np.arange(total) - np.repeat(np.cumsum(counts) - counts, counts)
        return self._batch(sockets * DEPTH + rank, sockets)

    def backlog(self) -> set[int]:
        """See ``Sweep``."""
        return set(self._again)

    def leftovers(self) -> Batch | None:
        """See ``Sweep``."""
        rows = np.flatnonzero(self._arena.lengths)
        return self._batch(rows, rows // DEPTH) if len(rows) else None

    def release(self, batch: Batch) -> None:
        """See ``Sweep``."""
        self._arm(batch.rows)

    def send(self, addresses: UInt64, lengths: Int64, sockets: Int64, names: UInt64, name_lengths: Int64) -> int:
        """See ``Sweep``."""
        capacity = len(self._out)
        refused = 0
        for start in range(0, len(addresses), capacity):
            part = slice(start, start + capacity)
            refused += self._send(addresses[part], lengths[part], sockets[part], names[part], name_lengths[part])
        return refused

    def close(self) -> None:
        """See ``Sweep``."""
        self._epoll.close()

    def _send(self, addresses: UInt64, lengths: Int64, sockets: Int64, names: UInt64, name_lengths: Int64) -> int:
        count = len(addresses)
        out = self._out
        out[:count, 0] = names
        out[:count, 1] = name_lengths
        self._out_iovecs[:count, 0] = addresses
        self._out_iovecs[:count, 1] = lengths
        starts = np.flatnonzero(np.diff(sockets, prepend=-1))
        sizes = np.diff(starts, append=count)
        fds = self._fds[sockets[starts]]
        base = self._out_address
        refused = 0
        for fd, start, size in zip(fds.tolist(), (starts * 64 + base).tolist(), sizes.tolist(), strict=True):
            sent = _sendmmsg(fd, start, size, MSG_DONTWAIT)
            while sent != size:  # the first one that is left was refused: skip it, send the others
                sent = max(sent, 0) + 1
                refused += 1
                start, size = start + sent * 64, size - sent
                if not size:
                    break
                sent = _sendmmsg(fd, start, size, MSG_DONTWAIT)
        return refused

    def _arm(self, rows: Int64) -> None:
        """Lengths of address and control area are overwritten by each read; msg_len 0 says that a row is done with."""
        header = self._row_header
        header[rows, 1] = 32
        header[rows, 5] = CONTROL_SIZE
        header[rows, 7] = 0

    def _batch(self, rows: Int64, sockets: Int64) -> Batch:
        lengths = self._arena.lengths[rows].astype(np.int64)
        lengths[(self._row_header[rows, 6] & np.uint64(MSG_TRUNC)) != 0] = 0
        return Batch(rows, sockets, lengths, self._row_header[rows, 5].astype(np.int64))
