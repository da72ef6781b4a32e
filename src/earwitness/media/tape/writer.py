"""Writing tapes: packets are copied into the arena by the tick, and from there into files by a thread of its own.

The tick (``Tapes.append``) never touches a disk. It copies records, a batch at a time, behind one another into the
buffer of their channel and moves the channel's *tail*. The flusher writes what lies between *head* and tail, then moves
*committed* (bytes of the file that are good) and head. All three live in shared memory: whoever takes over from a
process that was killed goes on at committed with what lies between head and tail, so a record is in the file once or,
at worst, twice; never not at all.

Only the tick moves the tail and only the flusher the head, with one exception: when both are equal the tick sets first
the tail and then the head to 0. The flusher takes a head beyond the tail for an empty buffer.

A tape is closed as of a time, and the command may come late: what was taped meanwhile is taken back, from the buffer
and from the file, before the tape counts as complete (see ``cut``).

A second thread calls ``syncfs`` once a second while something is being written (design §7).
"""

from __future__ import annotations

import ctypes
import errno
import os
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
import structlog

from earwitness.media.rtp.arena import PAYLOAD, ROW, TAPE_BUFFER, Arena, Int64
from earwitness.media.tape.cut import cut_late
from earwitness.media.tape.format import PACKET_HEADER, RECORD_HEADER, encode_header, parse_header
from earwitness.media.tape.opening import Opening

log = structlog.get_logger()

NEVER = np.iinfo(np.int64).max
FLUSH_S = 0.2
SYNC_S = 1.0
RETRY_FLUSHES = 5
MARGIN_MS = 1000
"""Packets on a channel are in order of arrival but for this much."""
RECENT = 64
"""Packets of a channel whose arrival is known to the microsecond."""

_syncfs = ctypes.CDLL(None, use_errno=True).syncfs


class Tapes:
    """All tapes of a media process. ``report`` takes engine events as (name, fields); any thread may call it."""

    def __init__(self, arena: Arena, now_us: Callable[[], int], report: Callable[..., None]) -> None:
        channels = arena.layout.channels
        self._arena = arena
        self._now_us = now_us
        self._report = report
        self.from_us: Int64 = np.full(channels, NEVER, np.int64)
        self.until_us: Int64 = np.full(channels, NEVER, np.int64)
        self._start_us: Int64 = np.zeros(channels, np.int64)
        self._packets: Int64 = arena.tape_packets
        self._recent: Int64 = np.zeros(channels * RECENT, np.int64)
        self._known_from: Int64 = np.zeros(channels, np.int64)
        self._latest: Int64 = np.zeros(channels, np.int64)
        self.openings: dict[int, Opening] = {}
        self._work: deque[Opening] = deque()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._dirty = threading.Event()
        self._devices: dict[int, int] = {}
        self._completed: list[Opening] = []
        self._view = memoryview(arena.tape_data.data)
        self._threads: list[threading.Thread] = []
        data = arena.tape_data
        self._windows = np.lib.stride_tricks.as_strided(data, (len(data) - ROW, ROW), (1, 1))

    def start(self) -> None:
        """Starts the flusher and the syncer."""
        for target in (self._flush_loop, self._sync_loop):
            thread = threading.Thread(target=target, name=target.__name__, daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """Writes what is in the buffers, closes all files and ends the threads. Openings stay resumable."""
        self._stopping.set()
        self._wake.set()
        self._dirty.set()
        for thread in self._threads:
            thread.join()
        for opening in list(self.openings.values()):
            self._close_files(opening)
        for fd in self._devices.values():
            os.close(fd)

    @property
    def busy(self) -> bool:
        """Whether any opening is not yet complete."""
        return bool(self.openings)

    # --- the tick's side

    def open(self, opening: Opening, generation: int) -> None:
        """Begins an opening, or goes on with it when the arena says that its slot already belongs to ``generation``."""
        arena = self._arena
        for channel in (2 * opening.slot, 2 * opening.slot + 1):
            self._latest[channel] = NEVER  # what a predecessor has taped is not known
            if arena.tape_generation[channel] != generation:
                arena.tape_tail[channel] = 0
                arena.tape_head[channel] = 0
                arena.tape_committed[channel] = 0
                arena.tape_packets[channel] = 0
                self._latest[channel] = 0
                arena.tape_generation[channel] = generation
            elif arena.tape_head[channel] > arena.tape_tail[channel]:
                arena.tape_head[channel] = 0
                arena.tape_tail[channel] = 0
            self._start_us[channel] = opening.start_us
            self.until_us[channel] = NEVER
            self.from_us[channel] = opening.start_us
            self._known_from[channel] = self._packets[channel]
        self.openings[opening.slot] = opening
        self._work.append(opening)
        self._wake.set()

    def end(self, slot: int, at: int) -> None:
        """Packets that arrive at ``at`` or later are no longer taped; such as are taped already will be taken back."""
        self.until_us[2 * slot : 2 * slot + 2] = at

    def finish(self, slot: int) -> None:
        """All packets that belong on the tape have been appended: complete its files."""
        opening = self.openings.get(slot)
        if opening is not None:
            self.from_us[2 * slot : 2 * slot + 2] = NEVER
            opening.closing = True
            self._wake.set()

    def append(self, channels: Int64, rows: Int64, lengths: Int64, arrival_us: Int64, *, rtcp: bool = False) -> None:
        """Tapes packets that lie in arena rows; equally long arrays, packets of a channel in order.

        Packets that arrived outside their opening are left out.
        """
        inside = (arrival_us >= self.from_us[channels]) & (arrival_us < self.until_us[channels])
        if not inside.all():
            channels, rows = channels[inside], rows[inside]
            lengths, arrival_us = lengths[inside], arrival_us[inside]
        if not len(channels):
            return
        arena = self._arena
        head, tail = arena.tape_head, arena.tape_tail
        drained = channels[head[channels] == tail[channels]]
        tail[drained] = 0
        head[drained] = 0
        sizes = lengths + RECORD_HEADER
        if len(channels) > 1:
            order = np.argsort(channels, kind="stable")
            channels, rows, sizes, arrival_us = channels[order], rows[order], sizes[order], arrival_us[order]
        ends = np.cumsum(sizes)
        first = np.flatnonzero(np.diff(channels, prepend=-1))
        counts = np.diff(first, append=len(channels))
        before = ends[first] - sizes[first]
        places = ends - sizes - np.repeat(before, counts) + tail[channels]
        fits = places + sizes <= TAPE_BUFFER
        if not fits.all():
            self._overflow(channels[~fits], arrival_us[~fits])
            channels, rows, sizes = channels[fits], rows[fits], sizes[fits]
            arrival_us, places = arrival_us[fits], places[fits]
            if not len(channels):
                return
            first = np.flatnonzero(np.diff(channels, prepend=-1))
            counts = np.diff(first, append=len(channels))
        offset_ms = np.maximum((arrival_us - self._start_us[channels]) // 1000, 0)
        record = (sizes << 48) | ((0 if rtcp else 1) * (sizes - RECORD_HEADER) << 32) | (offset_ms & 0xFFFFFFFF)
        arena.rows64[rows, PAYLOAD // 8 - 1] = record.astype(np.uint64).byteswap()
        width = min(int(sizes.max()) + 7 & ~7, ROW - PAYLOAD + RECORD_HEADER)
        start = PAYLOAD - RECORD_HEADER
        # Rows are copied one after another, each as wide as the widest: what a row copies too much, the next one
        # overwrites or the tail leaves out.
        self._windows[channels * TAPE_BUFFER + places, :width] = arena.rows[rows, start : start + width]
        last = first + counts - 1
        each = channels[last]
        if len(each) == len(channels):
            number, latest = self._packets[channels], arrival_us
        else:
            number = self._packets[channels] + np.arange(len(channels)) - np.repeat(first, counts)
            latest = np.maximum.reduceat(arrival_us, first)
        self._recent[channels * RECENT + number % RECENT] = arrival_us
        self._latest[each] = np.maximum(self._latest[each], latest)
        tail[each] = places[last] + sizes[last]
        self._packets[each] += counts

    def _overflow(self, channels: Int64, arrival_us: Int64) -> None:
        for channel, at in zip(channels.tolist(), arrival_us.tolist(), strict=True):
            opening = self.openings.get(channel >> 1)
            if opening is None:
                continue
            missing = opening.missing[channel & 1]
            if missing is None:
                opening.missing[channel & 1] = [at, at, 1]
            else:
                missing[1] = at
                missing[2] += 1

    # --- the flusher's side

    def _flush_loop(self) -> None:
        while not self._stopping.is_set():
            self._wake.wait(FLUSH_S)
            urgent = self._wake.is_set()
            self._wake.clear()
            if urgent:
                self._urgent()
            else:
                self.flush()
        self.flush()

    def _urgent(self) -> None:
        while self._work:
            self._attend(self._work.popleft())
        for opening in [each for each in list(self.openings.values()) if each.closing]:
            self._attend(opening)

    def flush(self) -> None:
        """Writes all that is waiting (called by the flusher; by tests without threads)."""
        self._work.clear()
        for opening in list(self.openings.values()):
            self._attend(opening)

    def _attend(self, opening: Opening) -> None:
        closing = opening.closing  # looked at before writing: what is appended meanwhile belongs on the tape
        if opening.wait and not self._stopping.is_set():
            opening.wait -= 1
        else:
            try:
                if closing or (self._stopping.is_set() and self.until_us[2 * opening.slot] != NEVER):
                    self._take_back(opening)
                self._write(opening)
            except OSError as error:
                self._failed(opening, error)
        if closing and not self._stopping.is_set():
            if opening.failed and opening.patience > 0:
                opening.patience -= 1
            else:
                self._complete(opening)

    def _write(self, opening: Opening) -> None:
        if not opening.fds:
            self._open_files(opening)
        arena = self._arena
        for channel, fd in zip((2 * opening.slot, 2 * opening.slot + 1), opening.fds, strict=True):
            while True:
                head, tail = int(arena.tape_head[channel]), int(arena.tape_tail[channel])
                if head != int(arena.tape_head[channel]):
                    continue  # the tick has just begun the buffer anew
                if head >= tail:
                    break
                base = channel * TAPE_BUFFER
                position = int(arena.tape_committed[channel])
                if opening.aligned[channel & 1]:
                    offset_ms = PACKET_HEADER.unpack_from(self._view, base + head)[2]
                    opening.marks[channel & 1].append((position, offset_ms))
                opening.aligned[channel & 1] = False
                written = os.pwrite(fd, self._view[base + head : base + tail], position)
                arena.tape_committed[channel] += written
                arena.tape_head[channel] += written
                opening.aligned[channel & 1] = written == tail - head
                self._dirty.set()
        if opening.failed:
            opening.failed = False
            self._report("tape_recovered", opening.tape_id, opening.opening, opening.leg_id, self._now_us())
        self._report_missing(opening)

    def _take_back(self, opening: Opening) -> None:
        """Takes records of packets that arrived too late out of buffers and files; nobody appends any more."""
        if not opening.fds:
            self._open_files(opening)
        committed = self._arena.tape_committed
        for number, fd in enumerate(opening.fds):
            channel = 2 * opening.slot + number
            self._cut(opening, channel, fd)
            good, size = int(committed[channel]), os.fstat(fd).st_size
            if size > good:
                os.pwrite(fd, bytes(size - good), good)  # what a file system only forgets can be found again
                os.ftruncate(fd, good)
                self._dirty.set()

    def _cut(self, opening: Opening, channel: int, fd: int) -> None:
        arena = self._arena
        until = int(self.until_us[channel])
        if self._latest[channel] < until:
            return
        limit_ms = (until - opening.start_us) // 1000 - MARGIN_MS
        early = [position for position, offset_ms in opening.marks[channel & 1] if offset_ms < limit_ms]
        start = early[-1] if early else parse_header(os.pread(fd, 512, 0)).size
        head, tail = int(arena.tape_head[channel]), int(arena.tape_tail[channel])
        base, committed = channel * TAPE_BUFFER, int(arena.tape_committed[channel])
        waiting = self._view[base + head : base + max(head, tail)]
        data = np.frombuffer(os.pread(fd, committed - start, start) + waiting, np.uint8)
        total = int(self._packets[channel])
        known = np.arange(max(int(self._known_from[channel]), total - RECENT), total)
        cut = cut_late(data, opening.start_us, until, self._recent[channel * RECENT + known % RECENT])
        if cut is None:
            return
        log.info("taken back from a tape", tape=opening.tape_id, channel=channel & 1, packets=cut.removed)
        good, rest = start + cut.good, cut.rest
        if good >= committed:  # only what waits
            tail = head + good - committed
            self._view[base + tail : base + tail + len(rest)] = rest
            arena.tape_tail[channel] = tail + len(rest)
        else:
            if len(rest) > TAPE_BUFFER:
                raise OSError(errno.EIO, "tape out of order")
            arena.tape_head[channel] = tail
            arena.tape_committed[channel] = good
            self._view[base : base + len(rest)] = rest
            arena.tape_tail[channel] = len(rest)
            arena.tape_head[channel] = 0
            opening.marks[channel & 1].clear()
        self._packets[channel] -= cut.removed
        self._latest[channel] = 0

    def _open_files(self, opening: Opening) -> None:
        opening.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        fds: list[int] = []
        try:
            for channel in (0, 1):
                fds.append(os.open(opening.path(channel), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
                index = 2 * opening.slot + channel
                if self._arena.tape_committed[index] == 0:
                    head = encode_header(opening.start_us, opening.host, opening.port)
                    os.ftruncate(fds[-1], 0)
                    if os.pwrite(fds[-1], head, 0) != len(head):
                        raise OSError(28, "No space left on device")
                    self._arena.tape_committed[index] = len(head)
                    opening.aligned[channel] = True
        except OSError:
            for fd in fds:
                os.close(fd)
            raise
        opening.fds = fds
        device = opening.device = os.fstat(fds[0]).st_dev
        if device not in self._devices:
            self._devices[device] = os.open(opening.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._report("tape_opened", opening.tape_id, opening.opening, opening.leg_id, opening.start_us)

    def _failed(self, opening: Opening, error: OSError) -> None:
        opening.wait = RETRY_FLUSHES - 1
        if not opening.failed:
            opening.failed = True
            self._tell_failed(opening, error.strerror or str(error))

    def _tell_failed(self, opening: Opening, reason: str) -> None:
        self._report("tape_failed", opening.tape_id, opening.opening, opening.leg_id, reason, self._now_us())

    def _complete(self, opening: Opening) -> None:
        arena = self._arena
        channels = (2 * opening.slot, 2 * opening.slot + 1)
        for number, channel in enumerate(channels):
            if arena.tape_head[channel] < arena.tape_tail[channel]:
                until = int(min(self.until_us[channel], self._now_us()))
                missing = opening.missing[number] or [opening.start_us, until, 0]
                opening.missing[number] = [missing[0], until, missing[2]]
            arena.forget_tape(channel)
        self._report_missing(opening)
        self._close_files(opening)
        sizes = tuple(int(arena.tape_committed[channel]) for channel in channels)
        packets = tuple(int(self._packets[channel]) for channel in channels)
        del self.openings[opening.slot]
        self._completed.append(opening)
        arguments: tuple[Any, ...] = (opening.tape_id, opening.opening, opening.leg_id, packets, sizes)
        self._report("tape_closed", *arguments, int(min(self.until_us[channels[0]], self._now_us())), opening.slot)

    def _report_missing(self, opening: Opening) -> None:
        for channel, missing in enumerate(opening.missing):
            if missing is not None:
                opening.missing[channel] = None
                self._report("gap", opening.leg_id, channel, missing[0], missing[1], "disk", missing[2])

    def _close_files(self, opening: Opening) -> None:
        for fd in opening.fds:
            os.close(fd)
        opening.fds = []

    def _sync_loop(self) -> None:
        while not self._stopping.is_set():
            self._dirty.wait()
            self._dirty.clear()
            self.sync()
            self._stopping.wait(SYNC_S)

    def sync(self) -> None:
        """Makes durable what is written, and tells whose tapes may have lost something when that fails (called by the
        syncer; by tests without threads).
        """
        completed, self._completed = self._completed, []
        for device, fd in list(self._devices.items()):
            if _syncfs(fd) == 0:
                continue
            reason = f"not safe on disk: {os.strerror(ctypes.get_errno())}"
            log.error("what was written may be lost", reason=reason)
            for opening in [*completed, *list(self.openings.values())]:
                if opening.device == device and not opening.lost:
                    opening.lost = True
                    self._tell_failed(opening, reason)
