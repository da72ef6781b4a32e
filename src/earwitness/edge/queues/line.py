"""One queue: who waits, in the order of being served, and who is free, longest first."""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import dataclass, field

from earwitness.domain.configuration import Queue

Place = tuple[int, int, int, str]
"""(-priority, when it entered, number of arrival, call id): sorts as calls are served."""


@dataclass(slots=True)
class Call:
    """A call that nobody has answered yet."""

    call_id: str
    queue_id: str
    entered: int
    place: Place
    offered_to: str | None = None
    last_offered_to: str | None = None
    overdue: int = 0
    """When an offer about which nothing is heard ends."""


@dataclass(slots=True)
class Line:
    """A queue's state. Sorted lists: insertion moves memory, but finding a place and the first one are cheap."""

    queue: Queue
    members: frozenset[str]
    waiting: list[Place] = field(default_factory=list)
    """Calls that ring nowhere."""
    free: list[tuple[int, int, str]] = field(default_factory=list)
    """Agents by (last handled, idle since, user id)."""
    calls: set[str] = field(default_factory=set)
    """Every call of the queue, waiting or ringing."""

    def wait(self, call: Call) -> None:
        """Puts a call at its place."""
        insort(self.waiting, call.place)

    def unwait(self, call: Call) -> None:
        """Takes a waiting call out."""
        del self.waiting[self.place_of(call)]

    def place_of(self, call: Call) -> int:
        """How many waiting calls are served before this one."""
        return bisect_left(self.waiting, call.place)

    def list_free(self, place: tuple[int, int, str]) -> None:
        """An agent has become free."""
        insort(self.free, place)

    def unlist_free(self, place: tuple[int, int, str]) -> None:
        """An agent is not free any more."""
        del self.free[bisect_left(self.free, place)]

    def first_free(self, but: str | None) -> str:
        """Who has been free the longest, another than ``but`` if there is one.

        :raises IndexError: nobody is free.
        """
        first = self.free[0][2]
        return self.free[1][2] if first == but and len(self.free) > 1 else first
