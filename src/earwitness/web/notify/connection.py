"""One client that listens on a channel: what it wants, what it may, and what is still to be sent to it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from earwitness.domain.access import Access, Subject
from earwitness.web.notify.topics import Topic, parse

MOST_FRAMES = 2_000
MOST_BYTES = 8 * 1024 * 1024
"""A client that is further behind than this is let go: it connects again and asks for what it missed."""

BEHIND = (1013, "too far behind")
REPLACED = (4000, "another connection took over the channel")
GONE = (4404, "the channel is gone")
STOPPING = (1012, "the server stops")


@dataclass(slots=True, eq=False)
class Connection:
    """Made in an event loop; ``put``, ``end`` and ``subscribe`` may be called from any thread."""

    channel_id: str
    subject: Subject
    access: Access
    base_url: str
    """Where the client reaches us, for addresses in events."""
    topics: tuple[Topic, ...] = ()
    _frames: deque[str] = field(default_factory=deque)
    _bytes: int = 0
    _woken: asyncio.Event = field(default_factory=asyncio.Event)
    _end: tuple[int, str] | None = None
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)

    def subscribe(self, names: Iterable[str]) -> None:
        """What it wants from now on; names that are no topic are left out."""
        self.topics = tuple(topic for name in names if (topic := parse(name)) is not None)

    def wants(self, *kinds: str) -> list[Topic]:
        """Its topics of these kinds."""
        return [topic for topic in self.topics if topic.kind in kinds]

    def put(self, frame: str) -> None:
        """Something to send. Too much of it ends the connection."""
        self._here(self._put, frame)

    def end(self, code: int, reason: str) -> None:
        """Nothing more is sent but what waits already."""
        self._here(self._finish, code, reason)

    def _here(self, do: Callable[..., None], *values: object) -> None:
        try:
            here = asyncio.get_running_loop() is self._loop
        except RuntimeError:
            here = False
        if here:
            do(*values)
        elif not self._loop.is_closed():
            self._loop.call_soon_threadsafe(do, *values)

    def _put(self, frame: str) -> None:
        if self._end is not None:
            return
        size = len(frame)
        if len(self._frames) >= MOST_FRAMES or self._bytes + size > MOST_BYTES:
            self._frames.clear()
            self._bytes = 0
            self._finish(*BEHIND)
            return
        self._frames.append(frame)
        self._bytes += size
        self._woken.set()

    def _finish(self, code: int, reason: str) -> None:
        self._end = self._end or (code, reason)
        self._woken.set()

    async def next(self) -> str | tuple[int, str]:
        """The next frame to send, or the code and reason to close with."""
        while True:
            if self._frames:
                frame = self._frames.popleft()
                self._bytes -= len(frame)
                return frame
            if self._end is not None:
                return self._end
            self._woken.clear()
            await self._woken.wait()
