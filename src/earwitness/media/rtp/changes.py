"""Changes of source of one leg: a few are told as they come, of a flood one a second with their number.

A stream that changes its SSRC with each packet (broken gateways do, and anybody on a call may) would otherwise write
fifty events a second.
"""

from __future__ import annotations

EACH_US = 1_000_000
BURST = 4
"""Changes that are told at once before it is one a second: a transfer makes two or three."""

Change = tuple[int, int, int, str, int]
"""SSRC, payload type, when (us), cause, and how many changes this one stands for."""


class Changes:
    """The state of one leg."""

    __slots__ = ("_due", "_kept")

    def __init__(self) -> None:
        self._due = 0
        self._kept: Change | None = None

    def add(self, ssrc: int, payload_type: int, at: int, cause: str) -> Change | None:
        """A change; returned when it may be told now, kept for ``take`` otherwise."""
        count = 1 + (self._kept[4] if self._kept is not None else 0)
        self._kept = (ssrc, payload_type, at, cause, count)
        return self.take() if self.due(at) else None

    def due(self, now: int) -> bool:
        """Whether something is kept that may be told now (us)."""
        return self._kept is not None and now >= self._due - (BURST - 1) * EACH_US

    def take(self) -> Change | None:
        """What was kept: the latest change, with the number of all."""
        kept, self._kept = self._kept, None
        if kept is not None:
            self._due = max(self._due, kept[2]) + EACH_US
        return kept
