"""Divisions: the parts of the organisation in which roles are granted."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from sqlalchemy.orm import Session

from earwitness.domain.ids import new_id
from earwitness.store import deleted_divisions, divisions_queries, users
from earwitness.store.tables import Division
from earwitness.web.api import divisions
from earwitness.web.kernel import changes
from earwitness.web.kernel.callers import Caller, Signed
from earwitness.web.kernel.documents import Document, RequestBody
from earwitness.web.kernel.errors import conflict, not_found
from earwitness.web.kernel.operations import SIGNED_IN, Family, all_of, any_of
from earwitness.web.kernel.paging import CommaList, Listing, Paging
from earwitness.web.kernel.services import Parts

family = Family("Divisions")
PATH = "/api/v2/authorization/divisions"
MOST = 10_000
"""Divisions that there may be."""


class DivisionDocument(Document):
    """A division."""

    id: str
    name: str
    description: str | None = None
    home_division: bool
    self_uri: str


class DivisionBody(RequestBody):
    """A division to make or change."""

    name: str | None = None
    description: str | None = None


def document(row: Division) -> DivisionDocument:
    """The document of a division."""
    return DivisionDocument(
        id=row.id,
        name=row.name,
        description=row.description,
        home_division=row.home,
        self_uri=f"{PATH}/{row.id}",
    )


def _find(session: Session, division_id: str) -> Division:
    row = users.division(session, division_id)
    if row is None:
        raise not_found("division", division_id)
    return row


def free_name(session: Session, name: str | None, row: Division | None) -> str:
    """A name that no other division than ``row`` has.

    :raises ApiError: 400, none; 409, taken, or there are as many divisions as there may be.
    """
    if row is None and deleted_divisions.count(session) >= MOST:
        raise conflict(f"There may be {MOST} divisions.", "limit.exceeded")
    text = changes.required_text(name, "name")
    for other in users.divisions(session, size=10_000).items:
        if other.name.casefold() == text.casefold() and (row is None or other.id != row.id):
            raise conflict(f"There is a division {other.name!r} already.")
    return text


@family.operation("GET", PATH, "get_authorization_divisions", SIGNED_IN, returns=Listing[DivisionDocument])
def list_divisions(
    caller: Signed,
    parts: Parts,
    page: Paging,
    name: str | None = None,
    ids: Annotated[CommaList, Query(alias="id")] = None,
) -> Listing[DivisionDocument]:
    """Divisions, by name."""
    with parts.database.reading() as session:
        rows = [row for row in users.divisions(session, name=name, size=10_000).items if ids is None or row.id in ids]
        return page.envelope([document(row) for row in page.cut(rows)], len(rows))


@family.operation(
    "POST",
    PATH,
    "post_authorization_divisions",
    all_of("authorization:division:add", "authorization:grant:add"),
    returns=DivisionDocument,
)
def create_division(caller: Signed, parts: Parts, body: DivisionBody) -> DivisionDocument:
    """Adds a division."""
    now = parts.clock.now_us()
    with changes.changing(parts, caller) as session:
        row = Division(
            id=new_id(),
            name=free_name(session, body.name, None),
            description=body.description,
            created_at=now,
            modified_at=now,
            created_by=caller.subject.id,
            modified_by=caller.subject.id,
        )
        session.add(row)
        session.flush()
        return document(row)


@family.operation("GET", PATH + "/home", "get_authorization_divisions_home", SIGNED_IN, returns=DivisionDocument)
def home(caller: Signed, parts: Parts) -> DivisionDocument:
    """The division of whatever has none of its own."""
    with parts.database.reading() as session:
        return document(divisions.home(session))


@family.operation("GET", PATH + "/{divisionId}", "get_authorization_division", SIGNED_IN, returns=DivisionDocument)
def one_division(caller: Signed, parts: Parts, divisionId: str) -> DivisionDocument:
    """A division."""
    with parts.database.reading() as session:
        return document(_find(session, divisionId))


@family.operation(
    "PUT",
    PATH + "/{divisionId}",
    "put_authorization_division",
    any_of("authorization:division:edit"),
    returns=DivisionDocument,
)
def change_division(caller: Signed, parts: Parts, divisionId: str, body: DivisionBody) -> DivisionDocument:
    """Changes name and description of a division."""
    with changes.changing(parts, caller) as session:
        row = _find(session, divisionId)
        wanted: dict[str, str | None] = {}
        if "name" in body.given():
            wanted["name"] = free_name(session, body.name, row)
        if "description" in body.given():
            wanted["description"] = body.description
        if changes.apply(row, wanted, None):
            row.version += 1
            row.modified_at, row.modified_by = parts.clock.now_us(), caller.subject.id
            session.flush()
        return document(row)


@family.operation(
    "DELETE",
    PATH + "/{divisionId}",
    "delete_authorization_division",
    any_of("authorization:division:delete"),
    status=204,
)
def delete_division(caller: Signed, parts: Parts, divisionId: str) -> None:
    """Removes a division that nothing and nobody belongs to, calls of the past included."""
    with changes.changing(parts, caller) as session:
        row = _find(session, divisionId)
        if row.home:
            raise conflict("The home division stays.")
        used = divisions_queries.first_use(session, divisionId)
        if used is not None:
            raise conflict(f"The division has {used}.")
        deleted_divisions.note(session, row, parts.clock.now_us())
        session.delete(row)


@family.operation(
    "GET",
    "/api/v2/authorization/divisionspermitted/me",
    "get_authorization_divisionspermitted_me",
    SIGNED_IN,
    returns=list[DivisionDocument],
)
def permitted(
    caller: Signed, parts: Parts, permission: Annotated[str, Query()], name: str | None = None
) -> list[DivisionDocument]:
    """The divisions in which the caller holds a permission."""
    return _permitted(caller, parts, permission, name)


def _permitted(caller: Caller, parts: Parts, permission: str, name: str | None) -> list[DivisionDocument]:
    reach = caller.access.divisions_for(permission)
    with parts.database.reading() as session:
        return [document(row) for row in users.divisions(session, within=reach, name=name, size=10_000).items]
