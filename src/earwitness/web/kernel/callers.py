"""Who asks: the bearer token of a request, resolved to a subject and everything it may do."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import HTTPBearer
from sqlalchemy.orm import Session

from earwitness.domain.access import Access, Subject
from earwitness.store import access as access_store
from earwitness.store import audit, users
from earwitness.store import oauth as oauth_store
from earwitness.store.tables import AccessToken
from earwitness.web.kernel.errors import ApiError
from earwitness.web.kernel.services import Parts, Services, remote_address
from earwitness.web.kernel.throttle import caller_key

MAX_TOKEN = 512
SEE_AS = "authorization:subject:seeAs"
"""To look at what another user sees."""

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
    seen_as: str | None = None
    """Id of the user whose view it is, of a token that only looks: ``subject`` is who looks, ``access`` is what that
    user may do, without the inbox (E2)."""

    @property
    def user_id(self) -> str | None:
        """Id of the user as whom the request is answered; None for programs."""
        return self.access.subject.user_id


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
        if found.subject_type == "user" and not parts.idle.used(session, found.sha256, now):
            raise _unauthorised("The token was not used for too long.", "bad.credentials")
        subject = Subject(found.subject_type, found.subject_id)
        access, seen_as = access_store.access_of(session, subject), None
        if found.seen_by is not None:
            access, seen_as, subject = dataclasses.replace(access, personal=False), subject.id, _looker(session, found)
        caller = Caller(
            subject,
            access,
            found.sha256,
            found.client_id,
            tuple(found.scope),
            found.expires_at,
            remote_address(request),
            seen_as,
        )
    if seen_as is not None:
        _note_look(request, parts, caller, seen_as)
    parts.known_tokens.add(caller_key(request.headers["authorization"]))
    request.state.caller = caller
    return caller


def _looker(session: Session, token: AccessToken) -> Subject:
    """Who looks through a token that sees as another user.

    :raises ApiError: 401, the right to look is gone, or who had it.
    """
    user = users.get(session, token.seen_by or "")
    looker = Subject("user", token.seen_by or "")
    if user is None or user.state != "active" or not access_store.access_of(session, looker).allows(SEE_AS):
        raise _unauthorised("Invalid login credentials.", "bad.credentials")
    return looker


def _note_look(request: Request, parts: Services, caller: Caller, user_id: str) -> None:
    """Every request through such a token is in the audit log before it is answered."""
    with parts.database.transaction() as session:
        audit.add(
            session,
            at=parts.clock.now_us(),
            subject=caller.subject,
            action="seeAs",
            entity_type="user",
            entity_id=user_id,
            remote_address=caller.remote_address,
            detail={"method": request.method, "path": request.url.path[:500]},
        )


Signed = Annotated[Caller, Depends(authenticate)]
