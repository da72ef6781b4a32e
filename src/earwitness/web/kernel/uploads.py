"""Bytes that clients put to a signed address: it needs no token, works for a while, and for one thing."""

from __future__ import annotations

from fastapi import Request

from earwitness.domain.access import Access, Subject
from earwitness.store import access as access_store
from earwitness.store import oauth, users
from earwitness.web.kernel.errors import ApiError
from earwitness.web.kernel.services import Services, base_url

BASE = "/api/v2/earwitness/uploads"
LIFE_S = 3600


def address(request: Request, parts: Services, subject: Subject, kind: str, name: str) -> str:
    """An absolute address to put ``name`` to, on behalf of a subject."""
    path = f"{BASE}/{kind}/{name}"
    expires = parts.clock.now_us() // 1_000_000 + LIFE_S
    return base_url(request, parts) + parts.signer.signed(path, f"{subject.type}:{subject.id}", expires)


def subject_of(request: Request, parts: Services) -> Subject:
    """For whom the address of a request was made.

    :raises ApiError: 403, forged, altered or expired, or made for somebody who is not with us any more.
    """
    text = parts.signer.subject(request.url.path, request.query_params, parts.clock.now_us() / 1e6)
    kind, _, subject_id = (text or "").partition(":")
    if kind in ("user", "client") and subject_id:
        with parts.database.reading() as session:
            owner = users.get(session, subject_id) if kind == "user" else oauth.client(session, subject_id)
            if owner is not None and owner.state == "active":
                return Subject(kind, subject_id)
    raise ApiError(403, "This address is not valid, or no longer.", "not.authorized")


def access_of(parts: Services, subject: Subject) -> Access:
    """What the subject may do at this moment."""
    with parts.database.reading() as session:
        return access_store.access_of(session, subject)
