"""Slows down whoever guesses passwords: exponential back-off per source address and per user name. Pure.

After ``free`` failures each further one doubles the time during which no password of that source (or for that user)
is looked at: 1 s, 2 s, 4 s, … up to ``longest``. A user who has authenticated from a source before is kept out neither
by others guessing at that user nor by others guessing from that source (phones of one office share an address): only by
wrong passwords of this user from this source, and for ``longest_trusted`` at most. Tables are bounded; the entry unused
for longest goes first.
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
        self,
        *,
        free: int = 10,
        longest: float = 900.0,
        longest_trusted: float = 30.0,
        forget_after: float = 3600.0,
        max_entries: int = 10000,
    ) -> None:
        self._free = free
        self._longest = longest
        self._longest_trusted = longest_trusted
        self._forget_after = forget_after
        self._max = max_entries
        self._records: OrderedDict[tuple[str, ...], _Record] = OrderedDict()
        self._trusted: OrderedDict[tuple[str, str], None] = OrderedDict()

    def wait(self, source: str, username: str, now: float) -> float:
        """Seconds during which this user is not listened to at this source; 0: go on."""
        until = max(self._until(key) for key in self._keys(source, username))
        return max(0.0, until - now)

    def failed(self, source: str, username: str, now: float) -> None:
        """A wrong password or an unknown user."""
        for key in self._keys(source, username):
            record = self._records.pop(key, None)
            if record is None or now - record.last > self._forget_after:
                record = _Record(0, now, now)
            record.failures += 1
            record.last = now
            over = record.failures - self._free
            if over > 0:
                longest = self._longest_trusted if key[0] == "pair" else self._longest
                record.until = now + min(longest, 2.0 ** min(over - 1, 20))
            self._records[key] = record
        while len(self._records) > self._max:
            self._records.popitem(last=False)

    def succeeded(self, source: str, username: str) -> None:
        """A right password: both start afresh."""
        pair = (source, username[:256])
        for key in (("source", source), ("user", username[:256]), ("pair", *pair)):
            self._records.pop(key, None)
        self._trusted.pop(pair, None)
        self._trusted[pair] = None
        while len(self._trusted) > self._max:
            self._trusted.popitem(last=False)

    def _keys(self, source: str, username: str) -> tuple[tuple[str, ...], ...]:
        """What an attempt counts for."""
        name = username[:256]
        if (source, name) in self._trusted:
            return (("pair", source, name),)
        return ("source", source), ("user", name)

    def _until(self, key: tuple[str, ...]) -> float:
        record = self._records.get(key)
        return record.until if record is not None else 0.0
