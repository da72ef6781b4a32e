"""Who asks: the bearer token of a request, resolved to a subject and everything it may do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import HTTPBearer

from earwitness.domain.access import Access, Subject
from earwitness.store import access as access_store
from earwitness.store import oauth as oauth_store
from earwitness.web.kernel.errors import ApiError
from earwitness.web.kernel.services import Parts, remote_address
from earwitness.web.kernel.throttle import caller_key

MAX_TOKEN = 512

_scheme = HTTPBearer(auto_error=False, description="An access token of POST /oauth/token.")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, by which token, from where."""

    subject: Subject
    access: Access
    token_sha256: str
    client_id: str | None
    scope: tuple[str, ...]
    expires_at: int
    remote_address: str

    @property
    def user_id(self) -> str | None:
        """The user's id; None for programs."""
        return self.subject.user_id


def _unauthorised(message: str, code: str) -> ApiError:
    return ApiError(401, message, code, headers={"WWW-Authenticate": 'Bearer realm="earwitness"'})


def authenticate(request: Request, parts: Parts, _declared: Annotated[object, Security(_scheme)]) -> Caller:
    """The caller of a request.

    :raises ApiError: 401, no token, or none that is valid now.
    """
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    token = token.strip()
    if kind.lower() != "bearer" or not token:
        raise _unauthorised(
            "No authentication bearer token specified in authorization header.", "authentication.required"
        )
    now = parts.clock.now_us()
    with parts.database.reading() as session:
        found = oauth_store.token(session, token, now) if len(token) <= MAX_TOKEN else None
        if found is None:
            raise _unauthorised("Invalid login credentials.", "bad.credentials")
        subject = Subject(found.subject_type, found.subject_id)
        caller = Caller(
            subject,
            access_store.access_of(session, subject),
            found.sha256,
            found.client_id,
            tuple(found.scope),
            found.expires_at,
            remote_address(request),
        )
    parts.known_tokens.add(caller_key(request.headers["authorization"]))
    request.state.caller = caller
    return caller


Signed = Annotated[Caller, Depends(authenticate)]
