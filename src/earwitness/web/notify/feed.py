"""The one connection of this process to the edge's live events: reconnects by itself, and catches up after a gap."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import anyio.to_thread
import structlog
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from earwitness.web.kernel.edge_control import EdgeControl
from earwitness.web.kernel.errors import ApiError

log = structlog.get_logger()

RETRY_S = (0.2, 0.5, 1.0, 2.0)
"""Waits between attempts, seconds; the last one from then on."""
LONGEST_MESSAGE = 4 * 1024 * 1024


class Feed:
    """Follows the edge until it is cancelled."""

    def __init__(
        self,
        edge: EdgeControl,
        *,
        resync: Callable[[list[dict[str, Any]]], None],
        message: Callable[[str | bytes], Awaitable[None]],
    ) -> None:
        """:param resync: takes every conversation in progress, after each (re)connection.
        :param message: takes each message of the stream.
        """
        self._edge, self._resync, self._message = edge, resync, message

    async def run(self) -> None:
        """Connects, catches up, listens; again and again."""
        failures = 0
        while True:
            try:
                await self._listen()
                failures = 0
            except (OSError, ValueError, KeyError, ApiError, WebSocketException, TimeoutError) as error:
                log.info("web.edge_events_lost", error=repr(error)) if failures == 0 else None
                failures += 1
            await asyncio.sleep(RETRY_S[min(failures, len(RETRY_S) - 1)])

    async def _listen(self) -> None:
        base, token = self._edge.whereabouts()
        address = "ws" + base.removeprefix("http") + "/events"
        headers = {"Authorization": f"Bearer {token}"}
        async with connect(
            address, additional_headers=headers, max_size=LONGEST_MESSAGE, open_timeout=3, close_timeout=1, proxy=None
        ) as stream:
            # What happens from now on waits in the stream while the present is asked for: nothing falls in between.
            self._resync(await anyio.to_thread.run_sync(self._edge.conversations))
            with contextlib.suppress(StopAsyncIteration):
                async for text in stream:
                    await self._message(text)
