"""What is played, as files that media processes can be handed: a path opened, or a prompt's bytes in memory.

Bytes that are played to many legs at a time lie in one memory file, so that a media process can tell that they are the
same and encode them once.
"""

from __future__ import annotations

import io
import os
from pathlib import Path


class Sources:
    """Memory files by what is in them; each goes when the last play of it ends."""

    def __init__(self) -> None:
        self._by_content: dict[bytes, int] = {}
        self._uses: dict[int, tuple[bytes, int]] = {}

    def open(self, source: Path | bytes) -> int:
        """A descriptor to read a source from; to be given back with ``close``. Raises OSError."""
        if isinstance(source, Path):
            return os.open(source, os.O_RDONLY | os.O_CLOEXEC)
        fd = self._by_content.get(source)
        if fd is None:
            fd = os.memfd_create("earwitness-prompt", os.MFD_CLOEXEC)
            with io.FileIO(fd, "w", closefd=False) as memory:
                memory.write(source)
            self._by_content[source] = fd
        self._uses[fd] = (source, self._uses.get(fd, (source, 0))[1] + 1)
        return fd

    def close(self, fd: int) -> None:
        """A play of this descriptor has ended."""
        source, uses = self._uses.pop(fd, (b"", 1))
        if uses > 1:
            self._uses[fd] = (source, uses - 1)
            return
        self._by_content.pop(source, None)
        os.close(fd)
