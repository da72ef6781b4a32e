"""The one wall clock of a running edge and its media processes.

CLOCK_MONOTONIC is shared by all processes of a machine, so wall time is that clock plus an anchor which the edge takes
once, at its start, and hands to every media process. Event times, tape times and packet times are therefore comparable,
and none of them steps when somebody sets the clock of the machine during a call.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


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

    Packets that were stamped before a step and are read after it need the difference of before: for a while both are
    tried, and the one counts that puts the packet nearer to the present, but not beyond it.
    """

    UNDISTURBED_NS = 5_000
    STEP_US = 50_000
    """A change of the difference that is no drift."""
    WAIT_US = 60_000_000
    """Longest time that a packet is taken to have waited in its socket."""

    def __init__(self, clock: WallClock) -> None:
        self._clock = clock
        self._offset_us = 0
        self._former_us: int | None = None
        self._former_until = 0
        self._read(believe=True)
        for _ in range(100):
            if self._read():
                break
        self._former_us = None

    def arrivals(self, stamps_us: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """When packets arrived that have just been read, UTC us on the ``WallClock``, never later than now.

        :param stamps_us: the kernel's stamps, microseconds of the machine's wall clock
        """
        self._read()
        now = self._clock.now_us()
        arrival = stamps_us + self._offset_us
        if self._former_us is not None:
            if now > self._former_until:
                self._former_us = None
            else:
                other = stamps_us + self._former_us
                arrival = np.where((arrival > now) | ((other <= now) & (other > arrival)), other, arrival)
        np.minimum(arrival, now, out=arrival)
        return np.maximum(arrival, now - self.WAIT_US, out=arrival)

    def now_us(self) -> int:
        """The ``WallClock``'s time."""
        return self._clock.now_us()

    def _read(self, *, believe: bool = False) -> bool:
        before = time.monotonic_ns()
        stamp = time.time_ns()
        after = time.monotonic_ns()
        if after - before > self.UNDISTURBED_NS and not believe:
            return False
        offset_us = self._clock.anchor_us + ((before + after) // 2 - stamp) // 1000
        if abs(offset_us - self._offset_us) > self.STEP_US:
            self._former_us = self._offset_us
            self._former_until = self._clock.now_us() + self.WAIT_US
        self._offset_us = offset_us
        return True
