"""io_uring through raw system calls: the few parts of it that a sweep needs (io_uring_enter(2), io_uring_register(2)).

Submission entries and completions are read and written as numpy arrays in the memory that is shared with the kernel.
The ring is set up so that the kernel does its work only inside ``enter`` (DEFER_TASKRUN, Linux 6.1 or later), so
nothing changes behind our back.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import struct

import numpy as np

from earwitness.media.rtp.arena import Int64, UInt32, UInt64

SETUP, ENTER, REGISTER = 425, 426, 427
SETUP_CQSIZE, SETUP_SUBMIT_ALL, SETUP_TASKRUN_FLAG = 1 << 3, 1 << 7, 1 << 9
SETUP_SINGLE_ISSUER, SETUP_DEFER_TASKRUN = 1 << 12, 1 << 13
FEATURE_SINGLE_MMAP = 1
ENTER_GETEVENTS = 1
SQ_CQ_OVERFLOW, SQ_TASKRUN = 1 << 1, 1 << 2
REGISTER_FILES, REGISTER_FILES_UPDATE = 2, 6
REGISTER_PBUF_RING, UNREGISTER_PBUF_RING, REGISTER_SYNC_CANCEL = 22, 23, 24
OFFSET_SQES = 0x10000000

OP_RECVMSG, OP_SEND = 10, 26
FIXED_FILE, BUFFER_SELECT, CQE_SKIP_SUCCESS = 1 << 0, 1 << 5, 1 << 6
RECV_MULTISHOT = 1 << 1
CQE_BUFFER, CQE_MORE = 1, 2

_libc = ctypes.CDLL(None, use_errno=True)
_syscall = _libc.syscall
_syscall.restype = ctypes.c_long


def _call(*arguments: int) -> int:
    result = int(_syscall(*(ctypes.c_long(each) for each in arguments)))
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


class Ring:
    """One ring. Raises OSError where io_uring is missing, too old or forbidden."""

    def __init__(self, entries: int, completions: int) -> None:
        params = bytearray(120)
        flags = SETUP_CQSIZE | SETUP_SUBMIT_ALL | SETUP_TASKRUN_FLAG | SETUP_SINGLE_ISSUER | SETUP_DEFER_TASKRUN
        struct.pack_into("=III", params, 0, entries, completions, flags)
        raw = (ctypes.c_uint8 * 120).from_buffer(params)
        self.fd = _call(SETUP, entries, ctypes.addressof(raw))
        os.set_inheritable(self.fd, False)
        self.entries: int
        self.entries, count = struct.unpack_from("=II", params, 0)
        if not struct.unpack_from("=I", params, 20)[0] & FEATURE_SINGLE_MMAP:
            os.close(self.fd)
            raise OSError(38, "io_uring without a single mapping")
        head, tail, mask, _, sq_flags, _, array = struct.unpack_from("=IIIIIII", params, 40)
        cq_head, cq_tail, cq_mask, _, _, cqes = struct.unpack_from("=IIIIII", params, 80)
        size = max(array + self.entries * 4, cqes + count * 16)
        self._rings = mmap.mmap(self.fd, size, mmap.MAP_SHARED | mmap.MAP_POPULATE)
        self._entries = mmap.mmap(self.fd, self.entries * 64, mmap.MAP_SHARED | mmap.MAP_POPULATE, offset=OFFSET_SQES)
        words: UInt32 = np.frombuffer(self._rings, np.uint32)
        words[array // 4 : array // 4 + self.entries] = np.arange(self.entries)
        self._sq_tail = words[tail // 4 : tail // 4 + 1]
        self._sq_flags = words[sq_flags // 4 : sq_flags // 4 + 1]
        self._sq_mask = int(words[mask // 4])
        self._cq_head = words[cq_head // 4 : cq_head // 4 + 1]
        self._cq_tail = words[cq_tail // 4 : cq_tail // 4 + 1]
        self._cq_mask = int(words[cq_mask // 4])
        self._submissions: UInt64 = np.frombuffer(self._entries, np.uint64).reshape(self.entries, 8)
        self._completions: UInt64 = np.frombuffer(self._rings, np.uint64, count * 2, cqes).reshape(count, 2)
        del head
        self._queued = 0

    def close(self) -> None:
        """Cancels what is under way; memory goes with the object."""
        os.close(self.fd)

    def room(self) -> int:
        """Submissions that fit before the next ``enter``."""
        return self.entries - self._queued

    def queue(self, submissions: UInt64) -> None:
        """Queues submission entries, shape (n, 8), n <= ``room()``; ``enter`` submits them."""
        count = len(submissions)
        tail = int(self._sq_tail[0])
        first = tail & self._sq_mask
        part = min(count, self.entries - first)
        self._submissions[first : first + part] = submissions[:part]
        if part < count:
            self._submissions[: count - part] = submissions[part:]
        self._sq_tail[0] = (tail + count) & 0xFFFFFFFF
        self._queued += count

    def enter(self) -> None:
        """Submits what is queued and lets the kernel do all the work that has come up. Raises OSError."""
        while True:
            done = int(_syscall(ENTER, self.fd, self._queued, 0, ENTER_GETEVENTS, None, 0))
            if done < 0:
                number = ctypes.get_errno()
                if number == 4:
                    continue
                raise OSError(number, os.strerror(number))
            self._queued -= done
            if not self._queued and not int(self._sq_flags[0]) & (SQ_TASKRUN | SQ_CQ_OVERFLOW):
                return
            if int(self._cq_tail[0]) - int(self._cq_head[0]) & 0xFFFFFFFF > self._cq_mask // 2:
                return

    def completions(self) -> UInt64:
        """Takes all completions there are: shape (n, 2), user data and (flags << 32 | result)."""
        head, tail = int(self._cq_head[0]), int(self._cq_tail[0])
        count = tail - head & 0xFFFFFFFF
        first = head & self._cq_mask
        taken = self._completions[first : first + count]
        taken = np.concatenate((taken, self._completions[: count - len(taken)])) if len(taken) < count else taken.copy()
        self._cq_head[0] = tail
        return taken

    def register_files(self, count: int) -> None:
        """A table of ``count`` files, all empty. Raises OSError (EMFILE: more than RLIMIT_NOFILE)."""
        files = np.full(count, -1, np.int32)
        _call(REGISTER, self.fd, REGISTER_FILES, files.ctypes.data, count)

    def set_file(self, index: int, fd: int) -> None:
        """Puts a file (or -1) into the table."""
        files = np.array([fd], np.int32)
        update = np.zeros(2, np.uint64)
        update.view(np.uint32)[0] = index
        update[1] = files.ctypes.data
        _call(REGISTER, self.fd, REGISTER_FILES_UPDATE, update.ctypes.data, 1)

    def add_buffers(self, group: int, address: int, entries: int) -> None:
        """Registers a ring of buffers (page aligned memory) as a group. Raises OSError (ENOMEM: RLIMIT_MEMLOCK)."""
        raw = np.frombuffer(struct.pack("=QIHHQQQ", address, entries, group, 0, 0, 0, 0), np.uint8).copy()
        _call(REGISTER, self.fd, REGISTER_PBUF_RING, raw.ctypes.data, 1)

    def remove_buffers(self, group: int) -> None:
        """Takes a group back."""
        raw = np.frombuffer(struct.pack("=QIHHQQQ", 0, 0, group, 0, 0, 0, 0), np.uint8).copy()
        _call(REGISTER, self.fd, UNREGISTER_PBUF_RING, raw.ctypes.data, 1)

    def cancel(self, user_data: int) -> None:
        """Ends the request with this user data; returns when it has ended (or when there is none)."""
        raw = np.frombuffer(struct.pack("=QiIqqB7s3Q", user_data, -1, 0, -1, -1, 0, bytes(7), 0, 0, 0), np.uint8).copy()
        try:
            _call(REGISTER, self.fd, REGISTER_SYNC_CANCEL, raw.ctypes.data, 1)
        except FileNotFoundError:
            return


def submissions(
    count: int,
    *,
    opcode: int,
    flags: int,
    priority: int = 0,
    files: Int64,
    second: UInt64 | int,
    address: UInt64 | int,
    length: Int64 | int,
    message_flags: int = 0,
    user_data: Int64 | int,
    tail: Int64 | int,
) -> UInt64:
    """Submission entries, shape (count, 8); the arguments are the fields of struct io_uring_sqe in order."""
    entries: UInt64 = np.zeros((count, 8), np.uint64)
    entries[:, 0] = (files << 32) | (opcode | flags << 8 | priority << 16)
    entries[:, 1] = second
    entries[:, 2] = address
    entries[:, 3] = length | message_flags << 32
    entries[:, 4] = user_data
    entries[:, 5] = tail
    return entries
