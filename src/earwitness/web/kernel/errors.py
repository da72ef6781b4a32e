"""The one error shape of the API (contract S35, S36) and its way to the client.

Everything that goes wrong ends as ``{message, code, status, contextId, details, errors, messageWithParams,
messageParams}``: our own refusals, requests that do not fit, unknown paths, and what nobody expected.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DataError, IntegrityError, OperationalError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.routing import Match, Route

log = structlog.get_logger()

CODES: dict[int, str] = {
    400: "bad.request",
    401: "authentication.required",
    403: "not.authorized",
    404: "not.found",
    405: "method.not.allowed",
    409: "conflict",
    413: "request.entity.too.large",
    415: "unsupported.media.type",
    416: "range.not.satisfiable",
    429: "too.many.requests.retry.after",
    500: "internal.server.error",
    503: "service.unavailable",
    504: "request.timeout",
}
"""Status -> code where the refusal names none of its own."""


@dataclass
class ApiError(Exception):
    """A refusal that the client gets to read."""

    status: int
    message: str
    code: str = ""
    details: list[dict[str, str]] = field(default_factory=list)
    params: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    oauth_error: str = ""
    """``error`` of RFC 6749 §5.2, in replies of the token endpoint."""

    def document(self, context_id: str) -> dict[str, Any]:
        """The error body; ``context_id`` is the correlation id of the response."""
        oauth = {"error": self.oauth_error, "error_description": self.message} if self.oauth_error else {}
        return {
            **oauth,
            "message": self.message,
            "code": self.code or CODES.get(self.status, "bad.request" if self.status < 500 else CODES[500]),
            "status": self.status,
            "contextId": context_id,
            "messageWithParams": self.message,
            "messageParams": self.params,
            "details": self.details,
            "errors": [],
        }


def bad_request(message: str, field_name: str | None = None, code: str = "bad.request") -> ApiError:
    """400; ``code`` may be ``invalid.value`` or ``invalid.date``."""
    details = [] if field_name is None else [{"errorCode": code, "fieldName": field_name}]
    return ApiError(400, message, code, details)


def not_found(what: str, entity_id: str) -> ApiError:
    """404, also for what the caller may not see."""
    return ApiError(404, f"No {what} with id {entity_id}.", "not.found", params={"id": entity_id, "type": what})


def conflict(message: str, code: str = "conflict") -> ApiError:
    """409: right in itself, not with what is there."""
    return ApiError(409, message, code)


def missing_permissions(permissions: Iterable[str], every: bool) -> ApiError:
    """403 naming the permissions that would do: one of them, or all when ``every``."""
    names = list(permissions)
    if every or len(names) == 1:
        code, text = "missing.permissions", "You are missing the following permission(s): "
    else:
        code, text = "missing.any.permissions", "You need one of the following permissions: "
    listed = ", ".join(names)
    return ApiError(403, text + listed, code, params={"permissions": listed})


def unavailable(message: str) -> ApiError:
    """503 without ``Retry-After``: the SDK hands it to its caller at once (S21)."""
    return ApiError(503, message, "service.unavailable")


def install(app: FastAPI) -> None:
    """Makes ``app`` answer every failure in the error shape."""
    app.add_exception_handler(ApiError, _api_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(OperationalError, _database_away)
    app.add_exception_handler(DataError, _unstorable)
    app.add_exception_handler(IntegrityError, _integrity)


def response(error: ApiError, context_id: str) -> JSONResponse:
    """The error as a response; ``context_id`` is the correlation id."""
    return JSONResponse(error.document(context_id), error.status, headers=error.headers)


def _respond(request: Request, error: ApiError) -> JSONResponse:
    return response(error, str(request.scope.get("correlation_id", "")))


def _api_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ApiError)
    return _respond(request, error)


def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    problems = [problem for problem in error.errors() if isinstance(problem, Mapping)]
    details = []
    texts = []
    code = "bad.request"
    for problem in problems[:20]:
        where = ".".join(str(part) for part in problem.get("loc", ())[1:]) or "body"
        kind = str(problem.get("type", ""))
        code = {"earwitness_date": "invalid.date", "earwitness_enum": "invalid.value"}.get(kind, code)
        details.append({"errorCode": kind, "fieldName": where})
        texts.append(f"{where}: {problem.get('msg', 'invalid')}")
    return _respond(request, ApiError(400, "; ".join(texts) or "The request is invalid.", code, details))


def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    headers = dict(error.headers or {})
    message = str(error.detail)
    if error.status_code == 404:
        message = f"No such resource: {request.url.path}"
    elif error.status_code == 405:
        allowed = sorted(allowed_methods(request))
        headers["Allow"] = ", ".join(allowed)
        message = f"{request.method} is not possible here; {', '.join(allowed)} is."
    return _respond(request, ApiError(error.status_code, message, headers=headers))


def allowed_methods(request: Request) -> set[str]:
    """Methods that the path of ``request`` knows."""
    methods: set[str] = set()
    for route in request.app.state.operations:
        if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE:
            methods |= set(route.methods or ())
    return methods


def _database_away(request: Request, error: Exception) -> JSONResponse:
    log.error("web.database_away", error=str(getattr(error, "orig", error)), path=request.url.path)
    return _respond(request, unavailable("The database does not answer."))


def _unstorable(request: Request, error: Exception) -> JSONResponse:
    return _respond(request, bad_request("A value of the request cannot be stored.", code="invalid.value"))


def _integrity(request: Request, error: Exception) -> JSONResponse:
    log.info("web.conflict", error=str(getattr(error, "orig", error)), path=request.url.path)
    return _respond(
        request, conflict("The request collides with something that exists, or names something that does not.")
    )
