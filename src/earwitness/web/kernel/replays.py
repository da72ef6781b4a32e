"""Repeated POSTs (S20): the vendor's client sends a request again when the connection broke before the reply.

A POST that is the same to the byte as the caller's latest write, within ``WINDOW_S`` seconds, gets the reply of the
first one instead of being carried out again; if the first is still at work, it waits for it. Any other write of the
same token in between ends that, so that "make, delete, make again" makes twice. Refusals are never repeated from
memory. Who repeats is asked for anew: a token that has ended meanwhile gets nothing, and one whose rights have changed
gets the operation, not the memory of it. PUT, PATCH and DELETE need none of this: done twice they are done once.

The memory is that of this process: behind several web processes a repetition may reach another one. What has a unique
name, number or address is refused there (409), the rest would be made twice.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.responses import Response

from earwitness.domain.access import Access

WINDOW_S = 10.0
MOST_CALLERS = 10_000
REPLAYED = "Earwitness-Replayed"
"""Header of a reply that was given before."""


@dataclass(slots=True)
class _Write:
    fingerprint: bytes
    at: float
    reply: asyncio.Future[tuple[Response, Access] | None]
    """The reply, and what its caller could do at that time."""


class Replays:
    """The latest POST of each caller. For one event loop; times are seconds of a monotonic clock."""

    def __init__(self) -> None:
        self._latest: OrderedDict[str, _Write] = OrderedDict()

    def forget(self, caller: str) -> None:
        """The caller has written something else."""
        self._latest.pop(caller, None)

    async def run(
        self,
        caller: str,
        fingerprint: bytes,
        now: float,
        handle: Callable[[], Awaitable[Response]],
        access: Callable[[], Awaitable[Access]],
    ) -> Response:
        """Carries out a POST, unless it repeats the latest write of the caller.

        :param access: what the caller may do at this moment; raises where the caller may not come in at all. It is
            asked after ``handle`` has succeeded, and before its reply is given again.
        """
        known = self._latest.get(caller)
        if known is not None and known.fingerprint == fingerprint and now - known.at < WINDOW_S:
            earlier = await asyncio.shield(known.reply)
            if earlier is not None and await access() == earlier[1]:
                return _copy(earlier[0])
        write = _Write(fingerprint, now, asyncio.get_running_loop().create_future())
        self._latest[caller] = write
        self._latest.move_to_end(caller)
        self._prune(now)
        reply: tuple[Response, Access] | None = None
        try:
            response = await handle()
            if 200 <= response.status_code < 300:
                reply = response, await access()
            return response
        finally:
            write.reply.set_result(reply)
            if reply is None:
                self._drop(caller, write)
            else:  # replies may hold secrets: they go when they are of no use any more
                asyncio.get_running_loop().call_later(WINDOW_S, self._drop, caller, write)

    def _drop(self, caller: str, write: _Write) -> None:
        if self._latest.get(caller) is write:
            del self._latest[caller]

    def _prune(self, now: float) -> None:
        while self._latest:
            caller, oldest = next(iter(self._latest.items()))
            if now - oldest.at < WINDOW_S and len(self._latest) <= MOST_CALLERS:
                return
            del self._latest[caller]


def fingerprint(path: str, query: str, body: bytes) -> bytes:
    """What makes two requests the same."""
    digest = hashlib.sha256()
    for part in (path.encode(), query.encode(), body):
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.digest()


def _copy(response: Response) -> Response:
    copy = Response(bytes(response.body), response.status_code, media_type=response.media_type)
    for name, value in response.headers.items():
        if name not in ("content-length",):
            copy.headers[name] = value
    copy.headers[REPLAYED] = "true"
    return copy
