"""Whose the data folder is. A second edge would end the first one's calls on disk and its media."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


class Claim:
    """A lock that the system takes back when its owner dies."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd = -1

    def take(self) -> None:
        """Takes it; nothing happens where it is ours already.

        :raises OSError: another edge has it.
        """
        if self._fd >= 0:
            return
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(fd)
            raise OSError(f"another edge is running on {self._path.parent.parent}") from None
        self._fd = fd

    def give_back(self) -> None:
        """Others may take it."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
