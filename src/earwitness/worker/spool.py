"""Watching the spool: which conversations are up, which have ended.

A conversation has ended when the last line of its ``events.jsonl`` is ``conversation.ended``; the edge writes nothing
after it. A look costs one ``stat`` for each folder and reads only logs that have grown.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import uuid
from dataclasses import dataclass, field
from errno import ENOTEMPTY
from pathlib import Path

import structlog

log = structlog.get_logger()

TAIL = 4096
"""Bytes of a log that are read to find its last line; the last event is far shorter."""

DESTRUCTION = (b'"consent.refused"', b'"tape.destroyed"')
"""What stands in a log where captured audio must be forgotten at once."""


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at the spool found; ids of conversations."""

    live: tuple[str, ...]
    ended: tuple[str, ...]
    """Oldest log first."""
    destroyed: tuple[str, ...] = ()
    """Live ones in which something that was captured has been destroyed since the last look."""


@dataclass(slots=True)
class _Seen:
    size: int = -1
    ended: bool = False
    modified: float = 0.0
    destroyed: bool = False


@dataclass(slots=True)
class SpoolWatcher:
    """Looks at a spool again and again."""

    spool: Path
    _seen: dict[str, _Seen] = field(default_factory=dict)

    def look(self) -> Look:
        """The conversations in the spool now. A spool that is not there is an empty one."""
        found: dict[str, _Seen] = {}
        try:
            entries = list(os.scandir(self.spool))
        except FileNotFoundError:
            entries = []
        for entry in entries:
            if entry.name.startswith("."):
                continue
            seen = self._seen.get(entry.name) or _Seen()
            if not seen.ended and not self._update(entry.path, seen):
                continue
            found[entry.name] = seen
        self._seen = found
        ended = sorted((seen.modified, name) for name, seen in found.items() if seen.ended)
        live = {name: seen for name, seen in found.items() if not seen.ended}
        destroyed = tuple(name for name, seen in live.items() if seen.destroyed)
        for name in destroyed:
            live[name].destroyed = False
        return Look(tuple(live), tuple(name for _, name in ended), destroyed)

    @staticmethod
    def _update(folder: str, seen: _Seen) -> bool:
        path = os.path.join(folder, "events.jsonl")
        try:
            status = os.stat(path)
        except (FileNotFoundError, NotADirectoryError):
            return False
        if status.st_size != seen.size:
            fresh = read_from(Path(path), max(0, min(seen.size, status.st_size - TAIL)))
            seen.size, seen.modified = status.st_size, status.st_mtime
            seen.ended = _ends(fresh)
            seen.destroyed = seen.destroyed or any(mark in fresh for mark in DESTRUCTION)
        return True


def read_from(log: Path, start: int) -> bytes:
    """An event log from a byte on; nothing where it is gone."""
    try:
        with log.open("rb") as file:
            file.seek(start)
            return file.read()
    except FileNotFoundError:
        return b""


def has_ended(log: Path) -> bool:
    """Whether the last whole line of an event log is ``conversation.ended``. A log that is gone has not."""
    try:
        size = log.stat().st_size
    except FileNotFoundError:
        return False
    return _ends(read_from(log, max(0, size - TAIL)))


def _ends(tail: bytes) -> bool:
    if not tail.endswith(b"\n"):
        return False
    try:
        event = json.loads(tail[:-1].rpartition(b"\n")[2])
    except ValueError:
        return False
    return isinstance(event, dict) and event.get("type") == "conversation.ended"


def spool_id(spool: Path) -> str:
    """An id that stays with a spool, made with the folder when there is none. Who works on it answers to this name."""
    spool.mkdir(parents=True, exist_ok=True)
    path = spool / ".id"
    if not path.exists():
        draft = spool / f".id.{os.getpid()}"
        draft.write_text(str(uuid.uuid4()), encoding="ascii")
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
        draft.unlink()
    return path.read_text(encoding="ascii")


def remove_folder(folder: Path) -> None:
    """Removes a conversation's folder; one that is gone is no error.

    It is renamed first, so that nobody ever finds half of one; ``remove_leftovers`` finishes what a crash interrupted.
    """
    doomed = folder.with_name(f".{folder.name}.done")
    try:
        folder.rename(doomed)
    except FileNotFoundError:
        pass
    except OSError:
        _remove(doomed)
        folder.rename(doomed)
    _remove(doomed)


def remove_leftovers(spool: Path) -> int:
    """Removes what ``remove_folder`` had renamed but could not remove, or not before the process died.

    Gives the number of folders that still cannot be removed.
    """
    return sum(not _remove(path) for path in spool.glob(".*.done"))


def _remove(folder: Path) -> bool:
    """Removes as much of a folder as can be; whether that is all of it. What stays is plain audio, hence an error."""

    def told(_function: object, path: str, failure: tuple[type[BaseException], BaseException, object]) -> None:
        error = failure[1]
        if not isinstance(error, FileNotFoundError) and not (isinstance(error, OSError) and error.errno == ENOTEMPTY):
            log.error("a file of a finished call cannot be removed; tried again later", path=path, error=str(error))

    shutil.rmtree(folder, onerror=told)
    return not folder.exists()
