"""Divisions and how other documents mention them."""

from __future__ import annotations

from sqlalchemy.orm import Session

from earwitness.store import users
from earwitness.store.tables import Division
from earwitness.web.kernel.callers import Caller
from earwitness.web.kernel.documents import Document, RequestBody
from earwitness.web.kernel.errors import ApiError, bad_request, missing_permissions


class DivisionReference(Document):
    """A division, where it is mentioned."""

    id: str
    name: str | None = None
    self_uri: str | None = None


class DivisionInput(RequestBody):
    """A division, where a body mentions it."""

    id: str | None = None


def reference(division: Division | None, division_id: str) -> DivisionReference:
    """How a document mentions a division."""
    return DivisionReference(
        id=division_id,
        name=division.name if division is not None else None,
        self_uri=f"/api/v2/authorization/divisions/{division_id}",
    )


def references(session: Session, division_ids: set[str]) -> dict[str, DivisionReference]:
    """Mentions of several divisions, by id."""
    return {key: reference(users.division(session, key), key) for key in division_ids}


def home(session: Session) -> Division:
    """The home division.

    :raises ApiError: 503, the installation was not initialised.
    """
    found = users.home_division(session)
    if found is None:
        raise ApiError(503, "This installation has no organisation yet: run `earwitness init`.")
    return found


def chosen(session: Session, asked: DivisionInput | str | None) -> str:
    """The division of a new object: what was asked for, else home.

    :raises ApiError: 400, no such division.
    """
    division_id = asked.id if isinstance(asked, DivisionInput) else asked
    if not division_id:
        return home(session).id
    if users.division(session, division_id) is None:
        raise bad_request(f"There is no division {division_id}.", "division.id", "invalid.value")
    return division_id


def check(caller: Caller, division_id: str, *permissions: str) -> None:
    """:raises ApiError: 403, the caller holds none of ``permissions`` in that division."""
    if not any(division_id in caller.access.divisions_for(name) for name in permissions):
        raise missing_permissions(permissions, every=False)
