"""Slows down whoever guesses passwords: exponential back-off per source address and per user name. Pure.

After ``free`` failures each further one doubles the time during which no password of that source (or for that user)
is looked at: 1 s, 2 s, 4 s, … up to ``longest``. A source that has authenticated as a user before is not kept out by
others guessing at that user. Tables are bounded; the entry unused for longest goes first.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass


@dataclass(slots=True)
class _Record:
    failures: int
    last: float
    until: float


class GuessThrottle:
    """Remembers failures. Times are seconds on any clock that does not step."""

    def __init__(
        self, *, free: int = 10, longest: float = 900.0, forget_after: float = 3600.0, max_entries: int = 10000
    ) -> None:
        self._free = free
        self._longest = longest
        self._forget_after = forget_after
        self._max = max_entries
        self._records: OrderedDict[tuple[str, str], _Record] = OrderedDict()
        self._trusted: OrderedDict[tuple[str, str], None] = OrderedDict()

    def wait(self, source: str, username: str, now: float) -> float:
        """Seconds during which this source, or this user, is not listened to; 0: go on."""
        until = self._until(("source", source))
        if (source, username) not in self._trusted:
            until = max(until, self._until(("user", username)))
        return max(0.0, until - now)

    def failed(self, source: str, username: str, now: float) -> None:
        """A wrong password or an unknown user."""
        for key in (("source", source), ("user", username[:256])):
            record = self._records.pop(key, None)
            if record is None or now - record.last > self._forget_after:
                record = _Record(0, now, now)
            record.failures += 1
            record.last = now
            over = record.failures - self._free
            if over > 0:
                record.until = now + min(self._longest, 2.0 ** min(over - 1, 20))
            self._records[key] = record
        while len(self._records) > self._max:
            self._records.popitem(last=False)

    def succeeded(self, source: str, username: str) -> None:
        """A right password: both start afresh."""
        self._records.pop(("source", source), None)
        self._records.pop(("user", username[:256]), None)
        self._trusted.pop((source, username), None)
        self._trusted[(source, username)] = None
        while len(self._trusted) > self._max:
            self._trusted.popitem(last=False)

    def _until(self, key: tuple[str, str]) -> float:
        record = self._records.get((key[0], key[1][:256]))
        return record.until if record is not None else 0.0
