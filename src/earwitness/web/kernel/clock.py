"""The clocks of the web process, as one argument."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


def _now_us() -> int:
    return time.time_ns() // 1000


@dataclass(frozen=True, slots=True)
class Clock:
    """Replaced in tests."""

    now_us: Callable[[], int] = _now_us
    """UTC, microseconds."""
    monotonic: Callable[[], float] = time.monotonic
    """Seconds, never steps."""
    sleep: Callable[[float], None] = time.sleep
    """Waits, seconds."""
