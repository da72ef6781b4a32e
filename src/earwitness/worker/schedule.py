"""Which conversations are being finished, and which wait to be tried again. Pure: monotonic time is an argument."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

MOST_RUNS = 64
LONGEST_WAIT_S = 300.0
LOST_S = 60.0
"""A run that the engine no longer knows as active, and that said nothing for so long, is lost."""


@dataclass(slots=True)
class _Again:
    """A conversation that must run again."""

    failures: int
    next_s: float


@dataclass(slots=True)
class Schedule:
    """At most ``MOST_RUNS`` run at once. One that failed runs again after 1, 2, 4 … 300 seconds, for ever."""

    running: dict[str, float] = field(default_factory=dict)
    """Conversation -> when it was started."""
    waiting: dict[str, _Again] = field(default_factory=dict)

    def due(self, ended: Iterable[str], now_s: float) -> list[str]:
        """Conversations of ``ended`` to start now: first those never tried, in their order."""
        room = max(0, MOST_RUNS - len(self.running))
        idle = [name for name in ended if name not in self.running]
        fresh = [name for name in idle if name not in self.waiting]
        again = [name for name in idle if name in self.waiting and self.waiting[name].next_s <= now_s]
        return [*fresh, *again][:room]

    def started(self, name: str, now_s: float) -> None:
        """A run began."""
        self.running[name] = now_s

    def finished(self, name: str, error: str | None, now_s: float, again_s: float = 0.0) -> int:
        """A run ended; gives how often in a row it has failed.

        Without an error it runs again after ``again_s``, if any.
        """
        self.running.pop(name, None)
        before = self.waiting.pop(name, None)
        if error is None:
            if again_s:
                self.waiting[name] = _Again(0, now_s + again_s)
            return 0
        failures = 1 + (before.failures if before is not None else 0)
        self.waiting[name] = _Again(failures, now_s + min(LONGEST_WAIT_S, 2.0 ** min(failures - 1, 16)))
        return failures

    def lost(self, active: set[str], now_s: float) -> list[str]:
        """Conversations that were started a while ago and are not among the engine's ``active`` runs."""
        return [name for name, since in self.running.items() if name not in active and now_s - since > LOST_S]

    def keep(self, names: Iterable[str]) -> None:
        """Forgets what waits for conversations that are no longer in the spool."""
        present = set(names)
        for name in [name for name in self.waiting if name not in present]:
            del self.waiting[name]
