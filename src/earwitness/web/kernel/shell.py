"""The outermost layer of every request: correlation id, limits, headers, the last catch.

Written against ASGI itself, so that nothing (an unknown path, a crash, a refusal by the framework) leaves without the
contract's headers (S37) and error shape (S35).
"""

from __future__ import annotations

import time
import traceback
import uuid
from dataclasses import dataclass

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from earwitness.web.kernel import errors
from earwitness.web.kernel.throttle import WINDOW_S, Allowance, KnownTokens, RateLimit, caller_key

log = structlog.get_logger()

SECURE_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}
"""Set where the reply has none of its own."""


LARGE = "/api/v2/earwitness/uploads/"
"""Bodies that are streamed to the disk."""
HEALTH = "/api/v2/earwitness/health"
"""Who restarts the service when it does not answer must not be made to wait."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one request and of one caller."""

    body_bytes: int = 4 * 1024 * 1024
    upload_bytes: int = 160 * 1024 * 1024
    """Of what is put to a signed address; such bodies go to the disk, not to the memory."""
    requests_per_window: int = 2000
    """Of one token (or one address, without a token) in ``WINDOW_S`` seconds."""
    refusals_per_window: int = 200
    """Bearer tokens of one address refused in ``WINDOW_S`` seconds, before its unknown tokens have to wait.

    Tokens that are known to be good, signed addresses and whatever else comes without a token do not wait for that:
    behind one address there may be many people.
    """


class Shell:
    """ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp, limits: Limits, known: KnownTokens) -> None:
        self.app = app
        self.limits = limits
        self.known = known
        self.requests = RateLimit(limits.requests_per_window)
        self.refusals = RateLimit(limits.refusals_per_window)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one request; anything but HTTP passes."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        correlation_id = str(uuid.uuid4())
        scope["correlation_id"] = correlation_id
        started = time.monotonic()
        address = scope["client"][0] if scope.get("client") else ""
        headers = Headers(scope=scope)
        authorization = headers.get("authorization", "")
        key = caller_key(authorization) if authorization else f"address:{address}"
        stranger = address if authorization[:7].lower() == "bearer " and key not in self.known else None
        allowance = self.requests.take(key, started)
        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if status == 401:
                    self.known.discard(key)
                    if stranger is not None:
                        self.refusals.take(stranger, started)
                _add_headers(MutableHeaders(scope=message), correlation_id, allowance)
            await send(message)

        refusal = self._refusal(scope, headers, allowance, stranger, started)
        if refusal is not None:
            await errors.response(refusal, correlation_id)(scope, receive, send_with_headers)
        else:
            try:
                await self.app(scope, self._bounded(receive, self._most(scope)), send_with_headers)
            except Exception as error:
                log.error(  # as text: renderers that show local variables would show secrets
                    "web.crash",
                    path=scope["path"],
                    method=scope["method"],
                    correlation_id=correlation_id,
                    traceback="".join(traceback.format_exception(error)),
                )
                if status:
                    raise  # the reply is under way; the server must cut the connection
                failure = errors.ApiError(500, "Something went wrong here; the log knows it by the context id.")
                await errors.response(failure, correlation_id)(scope, receive, send_with_headers)
        log.debug(
            "web.request",
            method=scope["method"],
            path=scope["path"],
            status=status,
            ms=round((time.monotonic() - started) * 1000, 1),
            correlation_id=correlation_id,
        )

    def _refusal(
        self, scope: Scope, headers: Headers, allowance: Allowance, stranger: str | None, now: float
    ) -> errors.ApiError | None:
        refused = self.refusals.look(stranger, now) if stranger is not None else None
        braked = refused is not None and refused.exceeded
        if (allowance.exceeded or braked) and scope["path"] != HEALTH:
            slowest = refused if refused is not None and not allowance.exceeded else allowance
            return errors.ApiError(
                429,
                f"Rate limit exceeded: {slowest.allowed} requests in {WINDOW_S} seconds. "
                f"Retry the request in {slowest.reset_s} seconds.",
                headers={"Retry-After": str(slowest.reset_s)},
            )
        if "\0" in scope["path"] or b"%00" in scope.get("query_string", b""):
            return errors.bad_request("NUL is not allowed in addresses.")
        length = headers.get("content-length", "")
        most = self._most(scope)
        if length.isdecimal() and int(length) > most:
            return _too_large(most)
        return None

    def _most(self, scope: Scope) -> int:
        large = scope["method"] == "PUT" and scope["path"].startswith(LARGE)
        return self.limits.upload_bytes if large else self.limits.body_bytes

    def _bounded(self, receive: Receive, most: int) -> Receive:
        taken = 0

        async def bounded() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > most:
                raise HTTPException(413, _too_large(most).message)
            return message

        return bounded


def _too_large(limit: int) -> errors.ApiError:
    return errors.ApiError(413, f"Bodies may have {limit} bytes.", headers={"Connection": "close"})


def _add_headers(headers: MutableHeaders, correlation_id: str, allowance: Allowance) -> None:
    headers["ININ-Correlation-Id"] = correlation_id
    headers["inin-ratelimit-count"] = str(allowance.count)
    headers["inin-ratelimit-allowed"] = str(allowance.allowed)
    headers["inin-ratelimit-reset"] = str(allowance.reset_s)
    for name, value in SECURE_HEADERS.items():
        headers.setdefault(name, value)
