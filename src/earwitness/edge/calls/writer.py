"""Writes what happened to the spool: ``spool/<conversation id>/events.jsonl``.

One ``write`` per batch on a file opened with O_APPEND, so a killed process leaves whole lines but for the last. What
the disk does not take (full, gone) stays in memory up to a bound and is written when the next batch succeeds. ``sync``
makes the whole spool durable; ``SpoolSync`` calls it once a second off the event loop's thread, so that disk latency
never delays a call.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Sequence
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
        """Adds lines (without line feeds). False when the disk did not take them; they are tried again next time."""
        for line in lines:
            self._pending += line
            self._pending += b"\n"
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
            if len(self._pending) > MAX_PENDING:
                cut = self._pending.rfind(b"\n", 0, MAX_PENDING) + 1
                del self._pending[cut:]
            return False
        self.failing = None
        return True

    def close(self) -> None:
        """Tries once more and lets go."""
        self.flush()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


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
