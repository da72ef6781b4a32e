"""Writes what happened to the spool: ``spool/<conversation id>/events.jsonl``.

One ``write`` per batch on a file opened with O_APPEND, so a killed process leaves whole lines but for the last. What
the disk does not take (full, gone) stays in memory up to a bound and is written when the next batch succeeds, or by
``Backlog`` when the call is over: its last line hands the folder to the worker. ``sync`` makes the whole spool durable;
``SpoolSync`` calls it once a second off the event loop's thread, so that disk latency never delays a call.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import structlog

log = structlog.get_logger()

MAX_PENDING = 1_000_000
"""Bytes of one conversation that may wait for the disk."""


class EventLog:
    """The event file of one conversation. The folder is made when the first batch is written."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._pending = bytearray()
        self._fd = -1
        self.failing: OSError | None = None
        """What the disk said last, while something waits for it."""

    def append(self, lines: Sequence[bytes]) -> bool:
        """Adds lines (without line feeds). False when the disk did not take them; they are tried again next time.

        Where too much waits already, what came before these lines is lost: the last ones are the end of the call.
        """
        data = b"".join(line + b"\n" for line in lines)
        if len(self._pending) + len(data) > MAX_PENDING:
            cut = self._pending.rfind(b"\n", 0, max(0, MAX_PENDING - len(data))) + 1
            if cut < len(self._pending):
                log.error("events are lost", folder=str(self._folder), bytes=len(self._pending) - cut)
                del self._pending[cut:]
        self._pending += data
        return self.flush()

    def flush(self) -> bool:
        """Tries to write what waits; True when nothing does any more."""
        if not self._pending:
            return True
        try:
            if self._fd < 0:
                self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
                self._fd = os.open(self._folder / "events.jsonl", flags, 0o600)
            while self._pending:
                written = os.write(self._fd, self._pending)
                del self._pending[:written]
        except OSError as error:
            if self.failing is None:
                log.error("events cannot be written", folder=str(self._folder), error=error.strerror)
            self.failing = error
            return False
        self.failing = None
        return True

    def lines(self) -> list[bytes]:
        """Everything so far, whether the disk has it already or not."""
        try:
            written = (self._folder / "events.jsonl").read_bytes()
        except OSError:
            written = b""
        return (written + self._pending).splitlines()

    def close(self) -> bool:
        """Tries once more and lets go. False when something still waits: then nothing is let go of."""
        if not self.flush():
            return False
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        return True


class Backlog:
    """Event files of calls that are over, which the disk did not take whole: tried again each second until it does."""

    def __init__(
        self, call_later: Callable[[float, Callable[[], None]], object], touched: Callable[[], None], every: float = 1.0
    ) -> None:
        """:param touched: told when one has been written. :param every: seconds."""
        self._call_later = call_later
        self._touched = touched
        self._every = every
        self._logs: list[EventLog] = []
        self._waiting = False

    def __len__(self) -> int:
        return len(self._logs)

    def add(self, unwritten: EventLog) -> None:
        """``close`` of this one gave False."""
        self._logs.append(unwritten)
        self._wait()

    def try_again(self) -> bool:
        """True when nothing is left."""
        before = len(self._logs)
        self._logs = [item for item in self._logs if not item.close()]
        if len(self._logs) < before:
            log.warning("events of ended calls have been written", calls=before - len(self._logs))
            self._touched()
        return not self._logs

    def _wait(self) -> None:
        if not self._waiting:
            self._waiting = True
            self._call_later(self._every, self._due)

    def _due(self) -> None:
        self._waiting = False
        if not self.try_again():
            self._wait()


def sync(folder: Path) -> None:
    """Makes everything on the folder's file system durable (``syncfs``; where there is none, ``sync``).

    :raises OSError: the disk says no.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "syncfs"):
        os.sync()
        return
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if libc.syncfs(fd) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
    finally:
        os.close(fd)


class SpoolSync:
    """A thread that makes the spool durable every ``interval`` seconds while something was written."""

    def __init__(self, folder: Path, interval: float = 1.0) -> None:
        self._folder = folder
        self._interval = interval
        self._dirty = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="spool-sync", daemon=True)

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def touched(self) -> None:
        """Something was written."""
        self._dirty.set()

    def stop(self) -> None:
        """Syncs a last time and ends; waits for it."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(5.0)

    def _run(self) -> None:
        last = False
        while not last:
            last = self._stop.wait(self._interval)
            if self._dirty.is_set():
                self._dirty.clear()
                try:
                    sync(self._folder)
                except OSError as error:
                    log.error("the spool cannot be made durable", error=error.strerror)
