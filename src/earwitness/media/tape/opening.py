"""One opening of a tape, as the process that writes it knows it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

CLOSE_PATIENCE = 50
"""Flushes that a closed tape waits for its disk: ten seconds."""
MARKS = 64


@dataclass(slots=True)
class Opening:
    """One opening of a tape: two channels, two files."""

    slot: int
    """Channels ``2 * slot`` (said) and ``2 * slot + 1`` (heard)."""
    tape_id: str
    opening: int
    leg_id: str
    leg: int
    directory: Path
    host: str
    port: int
    start_us: int
    fds: list[int] = field(default_factory=list)
    closing: bool = False
    failed: bool = False
    wait: int = 0
    """Flushes until a failed disk is tried again."""
    patience: int = CLOSE_PATIENCE
    missing: list[list[int] | None] = field(default_factory=lambda: [None, None])
    """Per channel [from_us, to_us, packets] of what did not fit while the disk failed."""
    marks: tuple[deque[tuple[int, int]], deque[tuple[int, int]]] = field(
        default_factory=lambda: (deque(maxlen=MARKS), deque(maxlen=MARKS))
    )
    """Per channel, where in the file each of the last flushes began, and the offset (ms) of its first record."""
    aligned: list[bool] = field(default_factory=lambda: [False, False])
    """Per channel, whether the file ends with a whole record for sure."""
    device: int = -1
    lost: bool = False
    """The disk has said that it lost something (told once)."""

    def path(self, channel: int) -> Path:
        """The file of a channel."""
        return self.directory / f"{self.tape_id}.{self.opening}.{channel}.rtpdump"
