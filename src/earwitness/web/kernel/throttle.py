"""Rate limits and the brake on guessing, in memory of this process.

Fixed windows of ``WINDOW_S`` seconds, short so that ``Retry-After`` stays small: the vendor's client sleeps that long
by itself, up to ten times (S21). Time is an argument, seconds on any monotonic clock.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from dataclasses import dataclass

WINDOW_S = 10


@dataclass(frozen=True, slots=True)
class Allowance:
    """Where a key stands in the current window."""

    count: int
    allowed: int
    reset_s: int

    @property
    def exceeded(self) -> bool:
        """More than allowed."""
        return self.count > self.allowed


class RateLimit:
    """Counts requests per key and window."""

    def __init__(self, allowed: int) -> None:
        self.allowed = allowed
        self._window = -1
        self._counts: dict[str, int] = {}
        self._lock = threading.Lock()

    def take(self, key: str, now: float) -> Allowance:
        """Counts one request of ``key`` and says where that leaves it."""
        return self._count(key, now, 1)

    def look(self, key: str, now: float) -> Allowance:
        """Where ``key`` stands, without counting."""
        return self._count(key, now, 0)

    def _count(self, key: str, now: float, step: int) -> Allowance:
        window = int(now // WINDOW_S)
        with self._lock:
            if window != self._window:
                self._window, self._counts = window, {}
            count = self._counts.get(key, 0) + step
            if step:
                self._counts[key] = count
        return Allowance(count, self.allowed, max(1, int((window + 1) * WINDOW_S - now + 0.999)))


def caller_key(authorization: str) -> str:
    """What stands for an Authorization header in memory."""
    return hashlib.sha256(authorization.encode()).hexdigest()


class KnownTokens:
    """Tokens that were good the last time: given out or accepted by this process. Thread-safe."""

    MOST = 50_000

    def __init__(self) -> None:
        self._keys: OrderedDict[str, None] = OrderedDict()
        self._lock = threading.Lock()

    def __contains__(self, key: str) -> bool:
        return key in self._keys

    def add(self, key: str) -> None:
        """The token of this key is good."""
        with self._lock:
            self._keys[key] = None
            self._keys.move_to_end(key)
            while len(self._keys) > self.MOST:
                self._keys.popitem(last=False)

    def discard(self, key: str) -> None:
        """It was refused."""
        with self._lock:
            self._keys.pop(key, None)


class GuessBrake:
    """Slows down who guesses passwords: after ``FREE`` failures of one name from one address, a wait that doubles.

    The wait is kept per (name, address), so that nobody can lock out somebody else from elsewhere; a second count per
    address stops one machine from trying many names.
    """

    FREE = 5
    FREE_PER_ADDRESS = 50
    LONGEST_S = 60.0
    FORGET_S = 900.0
    MAX_KEYS = 20_000

    def __init__(self) -> None:
        self._failures: OrderedDict[tuple[str, str], tuple[int, float]] = OrderedDict()
        self._lock = threading.Lock()

    def wait_s(self, name: str, address: str, now: float) -> float:
        """How long this guesser still has to wait; 0: may try."""
        with self._lock:
            return max(
                self._wait((name, address), self.FREE, now), self._wait(("", address), self.FREE_PER_ADDRESS, now)
            )

    def failed(self, name: str, address: str, now: float) -> None:
        """Takes note of a wrong password."""
        with self._lock:
            for key in ((name, address), ("", address)):
                count, last = self._failures.pop(key, (0, now))
                self._failures[key] = (count + 1 if now - last < self.FORGET_S else 1, now)
            while len(self._failures) > self.MAX_KEYS:
                self._failures.popitem(last=False)

    def succeeded(self, name: str, address: str) -> None:
        """Forgets the failures of this name from this address."""
        with self._lock:
            self._failures.pop((name, address), None)

    def _wait(self, key: tuple[str, str], free: int, now: float) -> float:
        count, last = self._failures.get(key, (0, now))
        if count < free or now - last >= self.FORGET_S:
            return 0.0
        return max(0.0, last + min(self.LONGEST_S, 2.0 ** (count - free)) - now)
