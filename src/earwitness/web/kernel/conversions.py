"""Work that takes long and a whole core, apart from the threads that answer requests.

Who asks waits without occupying a thread, for a while; then 503 with a small ``Retry-After``, and the work goes on, so
that asking again finds it done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import structlog

from earwitness.web.kernel.errors import ApiError

log = structlog.get_logger()

WORKERS = 2
"""At the same time: each holds a whole file in memory; plain audio never touches a disk."""
MOST_PENDING = 32
"""Pieces of work, those under way included; beyond it there is nothing to wait for."""
PATIENCE_S = 30.0
RETRY_S = 5


def busy() -> ApiError:
    """503 with ``Retry-After``."""
    return ApiError(503, "The file is being made. Ask again.", headers={"Retry-After": str(RETRY_S)})


class Conversions:
    """Named work, each once. For one event loop."""

    def __init__(self, workers: int = WORKERS, patience_s: float = PATIENCE_S, most: int = MOST_PENDING) -> None:
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="convert")
        self._patience_s, self._most = patience_s, most
        self._pending: dict[str, asyncio.Future[None]] = {}

    async def done(self, name: str, work: Callable[[], None]) -> None:
        """Returns when the work of that name is done; whoever asks while it is under way waits for the same.

        :raises ApiError: 503, not done yet, or too much to do.
        """
        pending = self._pending.get(name)
        if pending is None:
            if len(self._pending) >= self._most:
                raise busy()
            pending = asyncio.get_running_loop().run_in_executor(self._pool, work)
            self._pending[name] = pending
            pending.add_done_callback(lambda future: self._finished(name, future))
        finished, _ = await asyncio.wait([pending], timeout=self._patience_s)
        if not finished:
            raise busy()
        pending.result()

    def _finished(self, name: str, future: asyncio.Future[None]) -> None:
        del self._pending[name]
        error = None if future.cancelled() else future.exception()
        if error is not None:
            log.warning("web.conversion_failed", name=name, error=str(error))

    def close(self) -> None:
        """Begins nothing more."""
        self._pool.shutdown(wait=False, cancel_futures=True)
