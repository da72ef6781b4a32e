"""A heap of timers: O(log n) to start, O(1) to cancel, no scans. Times are seconds of the endpoint's clock."""

from __future__ import annotations

import heapq
from collections.abc import Callable


class Timer:
    """One started timer."""

    __slots__ = ("action", "queue", "when")

    def __init__(self, when: float, action: Callable[[], None], queue: TimerQueue) -> None:
        self.when = when
        self.action: Callable[[], None] | None = action
        self.queue = queue

    def cancel(self) -> None:
        """Never fire; cancelling twice, or after firing, is fine."""
        if self.action is not None:
            self.action = None
            self.queue.forget()


class TimerQueue:
    """All timers of an endpoint."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Timer]] = []
        self._count = 0
        self._cancelled = 0

    def start(self, when: float, action: Callable[[], None]) -> Timer:
        timer = Timer(when, action, self)
        self._count += 1
        heapq.heappush(self._heap, (when, self._count, timer))
        return timer

    def next(self) -> float | None:
        """When the earliest timer is due, or None."""
        heap = self._heap
        while heap and heap[0][2].action is None:
            heapq.heappop(heap)
            self._cancelled -= 1
        return heap[0][0] if heap else None

    def due(self, now: float) -> Callable[[], None] | None:
        """Take the earliest timer that is due at ``now``: its action, or None when there is none."""
        when = self.next()
        if when is None or when > now:
            return None
        timer = heapq.heappop(self._heap)[2]
        action, timer.action = timer.action, None
        return action

    def forget(self) -> None:
        """A timer was cancelled: the heap is rebuilt when cancelled ones are most of it, so they do not hold memory."""
        self._cancelled += 1
        if self._cancelled > 512 and self._cancelled * 2 > len(self._heap):
            self._heap = [entry for entry in self._heap if entry[2].action is not None]
            heapq.heapify(self._heap)
            self._cancelled = 0

    def __len__(self) -> int:
        return len(self._heap) - self._cancelled
