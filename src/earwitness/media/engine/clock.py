"""The one wall clock of a running edge and its media processes.

CLOCK_MONOTONIC is shared by all processes of a machine, so wall time is that clock plus an anchor which the edge takes
once, at its start, and hands to every media process. Event times, tape times and packet times are therefore comparable,
and none of them steps when somebody sets the clock of the machine during a call.
"""

from __future__ import annotations

import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WallClock:
    """UTC microseconds, never stepping."""

    anchor_us: int
    """UTC microseconds at CLOCK_MONOTONIC 0."""

    @classmethod
    def start(cls) -> WallClock:
        """A clock anchored to the machine's wall clock of this moment."""
        return cls(time.time_ns() // 1000 - time.monotonic_ns() // 1000)

    def now_us(self) -> int:
        """UTC microseconds now."""
        return self.anchor_us + time.monotonic_ns() // 1000
