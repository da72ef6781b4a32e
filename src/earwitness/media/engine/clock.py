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


class KernelTime:
    """From the wall-clock times that the kernel stamps packets with to a ``WallClock``'s.

    The difference between the two is constant until somebody sets the clock, so a reading that was disturbed (the
    process was not running for a moment between looking at one clock and at the other) is not believed.
    """

    UNDISTURBED_NS = 5_000

    def __init__(self, clock: WallClock) -> None:
        self._clock = clock
        self._offset_us = 0
        self._read(believe=True)
        for _ in range(100):
            if self._read():
                break

    def offset_us(self) -> int:
        """What to add to a stamp of the kernel, microseconds."""
        self._read()
        return self._offset_us

    def _read(self, *, believe: bool = False) -> bool:
        before = time.monotonic_ns()
        stamp = time.time_ns()
        after = time.monotonic_ns()
        if after - before > self.UNDISTURBED_NS and not believe:
            return False
        self._offset_us = self._clock.anchor_us + ((before + after) // 2 - stamp) // 1000
        return True
