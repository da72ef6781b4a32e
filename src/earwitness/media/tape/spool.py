"""Where things lie in the spool, and how full its disk is.

::

    <spool>/<conversation id>/events.jsonl
    <spool>/<conversation id>/<tape id>.<opening>.<channel>.rtpdump
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

EVENTS = "events.jsonl"
_TAPE_FILE = re.compile(r"(?P<tape>[0-9A-Za-z_-]{1,64})\.(?P<opening>[0-9]{1,6})\.(?P<channel>[01])\.rtpdump")


@dataclass(frozen=True, slots=True)
class TapeFile:
    """One channel of one opening of a tape."""

    path: Path
    tape_id: str
    opening: int
    channel: int
    """0: what the leg's party said; 1: what was sent to it."""


@dataclass(frozen=True, slots=True)
class Space:
    """The disk below the spool, bytes."""

    total: int
    free: int
    """What an unprivileged process may still write."""
    free_files: int


def tape_files(folder: Path) -> list[TapeFile]:
    """The tape files of a conversation's folder, by tape, opening and channel; files of other names are left out."""
    found = []
    for path in folder.iterdir():
        match = _TAPE_FILE.fullmatch(path.name)
        if match is not None:
            found.append(TapeFile(path, match["tape"], int(match["opening"]), int(match["channel"])))
    return sorted(found, key=lambda file: (file.tape_id, file.opening, file.channel))


def conversations(spool: Path) -> Iterator[Path]:
    """The folders of the spool that hold events, oldest first. Nothing when the spool does not exist."""
    if not spool.is_dir():
        return
    folders = [folder for folder in spool.iterdir() if (folder / EVENTS).is_file()]
    yield from sorted(folders, key=lambda folder: (folder.stat().st_mtime_ns, folder.name))


def space(spool: Path) -> Space:
    """Figures of the spool's file system. Raises OSError when the spool is not there."""
    figures = os.statvfs(spool)
    return Space(figures.f_blocks * figures.f_frsize, figures.f_bavail * figures.f_frsize, figures.f_favail)


def days_left(free: int, written: int, seconds: float) -> float | None:
    """Forecast: days until ``free`` bytes are used up at the pace of ``written`` bytes in ``seconds``; None: never."""
    return free / written * seconds / 86400 if written > 0 and seconds > 0 else None
