"""A wall clock that is not believed when it leaps. Pure: both clocks are arguments."""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog

log = structlog.get_logger()

LEAP_S = 120.0
"""More than this between two looks, beyond what has really passed, is a leap."""
HOLD_S = 900.0
"""How long a clock that has leapt forward is not believed."""


def passed_s() -> float:
    """Seconds that have really passed since some moment, sleep of the machine included."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


class SteadyClock:
    """Holds a wall clock against one that only ever runs."""

    def __init__(self, passed_s: Callable[[], float] = passed_s) -> None:
        self._passed_s = passed_s
        self._anchor: tuple[int, float] | None = None
        self._held_until_s = 0.0

    def now(self, wall_us: int) -> int | None:
        """The time, UTC microseconds; None: the clock has leapt forward a while ago, and is not believed yet."""
        passed = self._passed_s()
        if self._anchor is not None:
            ahead_s = (wall_us - self._anchor[0]) / 1e6 - (passed - self._anchor[1])
            if ahead_s > LEAP_S:
                self._held_until_s = passed + HOLD_S
                log.error("the clock has leapt forward; nothing is deleted by date for a while", by_s=round(ahead_s))
            elif ahead_s < -LEAP_S:
                self._held_until_s = 0.0
                log.warning("the clock was put back", by_s=round(-ahead_s))
        self._anchor = (wall_us, passed)
        return wall_us if passed >= self._held_until_s else None
