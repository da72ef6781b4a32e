"""The sweep by io_uring: one system call reads every socket, one sends every packet.

Each RTP socket has one multishot RECVMSG under way and ``DEPTH`` buffers of its own, which are its rows in the arena:
what the kernel fills says by its place which socket it came from, and the row's header says how long it is. So a
process that was killed before it looked at its completions leaves nothing unclear (see ``leftovers``). Buffers are
taken and given back in turn, so entry n of a socket's buffer ring is always its row n and giving rows back is only
adding to the ring's tail.

Measured beside the plain sweep (250 calls relayed and recorded, CPU seconds per million packets): 11.4 instead of 14.8;
rtpengine in user space, relaying only: 16.4 (docs/decisions/0003-relay-sweep.md).

RTCP sockets, which have a packet every few seconds, stay with epoll and ``recvmmsg``.
"""

from __future__ import annotations

import mmap

import numpy as np

from earwitness.media.rtp import uring
from earwitness.media.rtp.arena import CONTROL_SIZE, DEPTH, ROW, Arena, Int64, UInt64
from earwitness.media.rtp.sweep import MSG_DONTWAIT, MSG_TRUNC, Batch, MmsgSweep

SEND = 1 << 62
ENOBUFS = 105


class UringSweep(MmsgSweep):
    """Raises OSError where io_uring is missing, too old (before Linux 6.1), forbidden or short of resources."""

    def __init__(self, arena: Arena) -> None:
        self._ring = uring.Ring(4096, 32768)
        try:
            self._ring.register_files(arena.layout.sockets)
        except OSError:
            self._ring.close()
            raise
        super().__init__(arena)
        legs = arena.layout.legs
        self._memory = mmap.mmap(-1, legs * mmap.PAGESIZE)
        buffers = np.frombuffer(self._memory, np.uint8).reshape(legs, mmap.PAGESIZE)
        self._buffers64: UInt64 = buffers.view(np.uint64)
        self._tails = buffers.view(np.uint16)[:, 7]
        self._buffers_address = int(buffers.ctypes.data)
        self._message = np.zeros(7, np.uint64)
        self._message[1] = 32
        self._message[5] = CONTROL_SIZE
        self._generation = np.zeros(legs, np.int64)
        self._by_ring = np.zeros(legs, np.bool_)
        self._rows32 = arena.rows.view(np.uint32)
        self._unarmed: list[int] = []
        self._refused = 0

    def attach(self, index: int, fd: int) -> None:
        """See ``Sweep``."""
        self._ring.set_file(index, fd)
        if index & 1:
            super().attach(index, fd)
            return
        leg = index >> 1
        self._buffers64[leg, :] = 0
        try:
            self._ring.add_buffers(leg, self._buffers_address + leg * mmap.PAGESIZE, DEPTH)
        except OSError:
            super().attach(index, fd)  # RLIMIT_MEMLOCK
            return
        self._fds[index] = fd
        self._by_ring[leg] = True
        self._unarmed.append(leg)

    def detach(self, index: int) -> None:
        """See ``Sweep``."""
        leg = index >> 1
        if index & 1 or not self._by_ring[leg]:
            super().detach(index)
        else:
            if leg in self._unarmed:
                self._unarmed.remove(leg)
            self._ring.cancel(self._user_data(leg))
            self._generation[leg] += 1
            self._ring.remove_buffers(leg)
            self._memory.madvise(mmap.MADV_DONTNEED, leg * mmap.PAGESIZE, mmap.PAGESIZE)
            self._by_ring[leg] = False
            self._fds[index] = -1
            rows = index * DEPTH + np.arange(DEPTH)
            self._arena.rows64[rows, 1] = 0
        self._ring.set_file(index, -1)

    def leftovers(self) -> Batch | None:
        """See ``Sweep``."""
        legs = np.flatnonzero(self._by_ring)
        rows = (legs[:, None] * (2 * DEPTH) + np.arange(DEPTH)).ravel()
        rows = rows[self._arena.rows64[rows, 1] != 0]
        # A row that is not the first in its ring may hold the older packet: order by arrival.
        rows = rows[np.lexsort((self._arena.rows64[rows, 9], self._arena.rows64[rows, 8], rows // DEPTH))]
        ours = self._of_rows(rows) if len(rows) else None
        return _joined(ours, super().leftovers())

    def receive(self) -> Batch | None:
        """See ``Sweep``."""
        return _joined(self._sweep(), super().receive())

    def receive_more(self) -> Batch | None:
        """See ``Sweep``."""
        return _joined(self._sweep() if self._unarmed else None, super().receive_more())

    def backlog(self) -> set[int]:
        """See ``Sweep``."""
        return super().backlog().union(2 * leg for leg in self._unarmed)

    def release(self, batch: Batch) -> None:
        """See ``Sweep``."""
        legs = batch.sockets >> 1
        by_ring = self._by_ring[legs] & (batch.sockets & 1 == 0)
        if not by_ring.all():
            super().release(
                Batch(*(each[~by_ring] for each in (batch.rows, batch.sockets, batch.lengths, batch.control)))
            )
            batch = Batch(*(each[by_ring] for each in (batch.rows, batch.sockets, batch.lengths, batch.control)))
            legs = legs[by_ring]
        self._arena.rows64[batch.rows, 1] = 0
        np.add.at(self._tails, legs, np.uint16(1))

    def send(self, addresses: UInt64, lengths: Int64, sockets: Int64, names: UInt64, name_lengths: Int64) -> int:
        """See ``Sweep``; refusals are counted at the next call."""
        ring = self._ring
        start, total = 0, len(addresses)
        while start < total:
            part = slice(start, start + ring.room())
            ring.queue(
                uring.submissions(
                    len(addresses[part]),
                    opcode=uring.OP_SEND,
                    flags=uring.FIXED_FILE | uring.CQE_SKIP_SUCCESS,
                    files=sockets[part],
                    second=names[part],
                    address=addresses[part],
                    length=lengths[part],
                    message_flags=MSG_DONTWAIT,
                    user_data=SEND,
                    tail=name_lengths[part] << 32,
                )
            )
            ring.enter()
            start = part.stop
        refused, self._refused = self._refused, 0
        return refused

    def close(self) -> None:
        """See ``Sweep``."""
        self._ring.close()
        super().close()

    def _user_data(self, leg: int) -> int:
        return leg | int(self._generation[leg]) << 32

    def _sweep(self) -> Batch | None:
        ring = self._ring
        if self._unarmed:
            self._arm_sockets()
        ring.enter()
        done = ring.completions()
        if not len(done):
            return None
        user_data = done[:, 0].astype(np.int64)
        result = (done[:, 1] & np.uint64(0xFFFFFFFF)).astype(np.uint32).view(np.int32)
        flags = (done[:, 1] >> np.uint64(32)).astype(np.int64)
        legs = user_data & 0xFFFFFFFF
        ours = user_data < SEND
        if not ours.all():
            self._refused += int((~ours).sum())
            user_data, result, flags, legs = user_data[ours], result[ours], flags[ours], legs[ours]
        ours = self._by_ring[legs] & (self._generation[legs] == user_data >> 32)
        ended = ours & (flags & uring.CQE_MORE == 0)
        if ended.any():
            self._unarmed += legs[ended].tolist()
        good = ours & (flags & uring.CQE_BUFFER != 0) & (result > 0)
        if not good.all():
            legs, flags = legs[good], flags[good]
        return self._of_rows(legs * (2 * DEPTH) + (flags >> 16)) if len(legs) else None

    def _arm_sockets(self) -> None:
        legs = np.array(self._unarmed, np.int64)
        self._unarmed = []
        fresh = legs[self._buffers64[legs, 0] == 0]
        for place in range(DEPTH):
            rows = fresh * (2 * DEPTH) + place
            self._buffers64[fresh, 2 * place] = (rows * ROW + self._arena.rows_address).astype(np.uint64)
            self._buffers64[fresh, 2 * place + 1] = ROW | place << 32
        self._tails[fresh] = DEPTH
        for start in range(0, len(legs), self._ring.entries):
            part = legs[start : start + self._ring.entries]
            self._ring.queue(
                uring.submissions(
                    len(part),
                    opcode=uring.OP_RECVMSG,
                    flags=uring.FIXED_FILE | uring.BUFFER_SELECT,
                    priority=uring.RECV_MULTISHOT,
                    files=2 * part,
                    second=0,
                    address=int(self._message.ctypes.data),
                    length=1,
                    user_data=part | self._generation[part] << 32,
                    tail=part,
                )
            )
            self._ring.enter()

    def _of_rows(self, rows: Int64) -> Batch:
        head = self._rows32[rows, :4].astype(np.int64)
        lengths = head[:, 2]
        lengths[head[:, 3] & MSG_TRUNC != 0] = 0
        return Batch(rows, rows // DEPTH, lengths, head[:, 1])


def _joined(one: Batch | None, other: Batch | None) -> Batch | None:
    if one is None or other is None:
        return one or other
    pairs = zip(
        (one.rows, one.sockets, one.lengths, one.control),
        (other.rows, other.sockets, other.lengths, other.control),
        strict=True,
    )
    return Batch(*(np.concatenate(pair) for pair in pairs))
