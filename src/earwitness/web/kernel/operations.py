"""How an operation of the API is declared: method, path, the vendor's name for it, and who may.

``Family`` is a router whose every operation states what it needs. The statement is enforced before the operation
runs, and the same statement is what OpenAPI shows (``x-earwitness-permissions`` and the description).
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import anyio.to_thread
from fastapi import APIRouter, Depends, Request, Response
from fastapi.params import Form
from fastapi.routing import APIRoute
from pydantic import Field
from starlette.exceptions import HTTPException

from earwitness.domain.access import Access
from earwitness.store import audit
from earwitness.web.kernel import strict_json
from earwitness.web.kernel.callers import Caller, Signed, authenticate
from earwitness.web.kernel.documents import Document
from earwitness.web.kernel.errors import ApiError, missing_permissions
from earwitness.web.kernel.replays import Replays, fingerprint
from earwitness.web.kernel.services import Parts, Services

FORM_TYPE = "application/x-www-form-urlencoded"


class ErrorDetail(Document):
    """One thing that is wrong."""

    error_code: str | None = None
    field_name: str | None = None
    entity_id: str | None = None
    entity_name: str | None = None


class ErrorBody(Document):
    """Every refusal and failure."""

    message: str
    code: str
    status: int
    context_id: str
    message_with_params: str
    message_params: dict[str, str]
    details: list[ErrorDetail]
    errors: list[dict[str, Any]]
    error: str | None = None
    error_description: str | None = Field(default=None, alias="error_description")


@dataclass(frozen=True, slots=True)
class Needs:
    """What an operation asks of its caller."""

    signed_in: bool = True
    permissions: tuple[str, ...] = ()
    every: bool = False
    """All of ``permissions``; False: one of them."""

    def check(self, caller: Caller) -> None:
        """:raises ApiError: 403 naming what is missing."""
        if not self.permissions:
            return
        held = [caller.access.allows(permission) for permission in self.permissions]
        if not (all(held) if self.every else any(held)):
            raise missing_permissions(self.permissions, self.every)

    @property
    def text(self) -> str:
        """For people."""
        if not self.signed_in:
            return "Needs no sign-in."
        if not self.permissions:
            return "Needs a token, and no permission."
        return f"Needs {'all' if self.every else 'any'} of: {', '.join(self.permissions)}."


PUBLIC = Needs(signed_in=False)
SIGNED_IN = Needs()


def any_of(*permissions: str) -> Needs:
    """One of these permissions."""
    return Needs(permissions=permissions)


def all_of(*permissions: str) -> Needs:
    """Every one of these permissions."""
    return Needs(permissions=permissions, every=True)


class ApiErrorPassing(HTTPException):
    """Carries our refusal through FastAPI's reading of bodies, which turns any other exception into a bare 400."""


class StrictRequest(Request):
    """A request whose JSON is read strictly."""

    async def json(self) -> Any:
        """:raises ApiError: 400, not JSON or not storable."""
        if not hasattr(self, "_json"):
            try:
                self._json = strict_json.loads(await self.body())
            except ValueError as error:
                raise ApiErrorPassing(400, f"The body is not acceptable JSON: {error}") from error
        return self._json


class StrictRoute(APIRoute):
    """A route that refuses bodies which are no JSON (415), reads JSON strictly, and does repeated POSTs once."""

    each_time = False
    """The operation is never answered from memory: it only looks, or it has no caller whom a repetition tells."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """See FastAPI."""
        handler = super().get_route_handler()
        takes_body = self.body_field is not None
        form = takes_body and isinstance(self.body_field.field_info, Form)  # type: ignore[union-attr]

        async def strict(request: Request) -> Response:
            if takes_body:
                kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
                has_body = request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers
                fits = kind == FORM_TYPE if form else kind == "application/json" or kind.endswith("+json")
                if has_body and kind and not fits:
                    raise ApiError(415, f"Bodies are {FORM_TYPE if form else 'application/json'} here, not {kind}.")
            own = StrictRequest(request.scope, request.receive)
            try:
                return await (handler(own) if self.each_time else _once(own, handler))
            except ApiErrorPassing as error:
                raise ApiError(error.status_code, error.detail) from error

        return strict


async def _once(request: Request, handler: Callable[[Request], Coroutine[Any, Any, Response]]) -> Response:
    """Carries out a request; of a POST that repeats the one before, gives the same reply."""
    caller = request.headers.get("authorization", "")
    if not caller.startswith("Bearer "):
        return await handler(request)
    memory: Replays = request.app.state.replays
    key = hashlib.sha256(caller.encode()).hexdigest()
    if request.method != "POST":
        memory.forget(key)
        return await handler(request)
    same = fingerprint(request.url.path, request.url.query, await request.body())

    async def access() -> Access:
        known = getattr(request.state, "caller", None)  # of the operation, if that is what ran in this request
        if known is None:
            parts = request.app.state.services
            known = await anyio.to_thread.run_sync(authenticate, request, parts, None)
        assert isinstance(known, Caller)
        return known.access

    return await memory.run(key, same, time.monotonic(), lambda: handler(request), access)


class Family(APIRouter):
    """The operations of one resource family."""

    def __init__(self, tag: str) -> None:
        super().__init__(tags=[tag], route_class=StrictRoute)

    def operation(
        self,
        method: str,
        path: str,
        name: str,
        needs: Needs,
        *,
        returns: Any = None,
        status: int = 200,
        also: dict[int, str] | None = None,
        audited: str | None = None,
        reads: bool = False,
        each_time: bool = False,
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Declares an operation.

        :param name: The vendor's SDK method, or our own name.
        :param returns: The reply's type, or None for an empty reply.
        :param also: Further successful statuses and what they mean.
        :param reads: A POST that only looks, or may be done again: it is carried out each time.
        :param each_time: A POST that is meant again when it comes again, such as pressing a key, or that harms nothing
            when it is carried out twice: it is never answered from memory.
        :param audited: Kind of object whose refusals are written to the audit log.
        """

        def declare(function: Callable[..., Any]) -> Callable[..., Any]:
            summary, _, rest = (function.__doc__ or name).strip().partition("\n")
            responses: dict[int | str, dict[str, Any]] = {
                "default": {"model": ErrorBody, "description": "Refused or failed."}
            }
            responses |= {code: {"description": text} for code, text in (also or {}).items()}

            def check(caller: Signed, request: Request, parts: Parts) -> None:
                try:
                    if caller.seen_as is not None and not (reads or method in ("GET", "HEAD")):
                        raise ApiError(403, "Who sees as another user changes nothing.", "see.as.read.only")
                    needs.check(caller)
                except ApiError:
                    if audited is not None:
                        _note_refusal(caller, request, parts, name, audited)
                    raise

            self.add_api_route(
                path,
                function,
                methods=[method],
                operation_id=name,
                summary=summary,
                description="\n\n".join(part for part in (summary, _dedent(rest), needs.text) if part),
                dependencies=[Depends(check)] if needs.signed_in else [],
                response_model=returns,
                response_model_exclude_none=True,
                status_code=status,
                responses=responses,
                openapi_extra={
                    "x-earwitness-permissions": {
                        "mode": "ALL" if needs.every else "ANY",
                        "permissions": list(needs.permissions),
                        "signedIn": needs.signed_in,
                    },
                    **({} if needs.signed_in else {"security": []}),
                },
            )
            made = self.routes[-1]
            assert isinstance(made, StrictRoute)
            made.each_time = reads or each_time or method in ("GET", "HEAD") or not needs.signed_in
            return function

        return declare


def _note_refusal(caller: Caller, request: Request, parts: Services, operation: str, entity_type: str) -> None:
    conversation_id = request.path_params.get("conversationId")
    with parts.database.transaction() as session:
        audit.add(
            session,
            at=parts.clock.now_us(),
            subject=caller.subject,
            action=operation,
            entity_type=entity_type,
            entity_id=str(request.path_params.get("recordingId") or conversation_id or "")[:64] or None,
            conversation_id=str(conversation_id)[:64] if conversation_id else None,
            remote_address=caller.remote_address,
            result="denied",
        )


def _dedent(text: str) -> str:
    return "\n".join(line.strip() for line in text.strip().splitlines())
