"""What the documents of all named objects have in common."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from earwitness.domain.ids import new_id
from earwitness.store import named as named_store
from earwitness.store import users
from earwitness.store.named import N
from earwitness.store.tables import CallRoute, DidPool, Phone, PhoneBase, Site, Trunk, TrunkBase
from earwitness.web.api import divisions
from earwitness.web.api.divisions import DivisionInput, DivisionReference
from earwitness.web.kernel import changes
from earwitness.web.kernel.callers import Caller
from earwitness.web.kernel.documents import Document, Moment, Reference, RequestBody
from earwitness.web.kernel.errors import bad_request, not_found

Row = Site | TrunkBase | Trunk | PhoneBase | Phone | DidPool | CallRoute

ADMINISTERS_TELEPHONY = "telephony:plugin:all"


class NamedDocument(Document):
    """Base of the documents of telephony objects."""

    id: str
    name: str
    division: DivisionReference | None = None
    description: str | None = None
    version: int
    date_created: Moment
    date_modified: Moment
    modified_by: str | None = None
    created_by: str | None = None
    state: str
    self_uri: str


class NamedInput(RequestBody):
    """Base of the bodies of telephony objects."""

    name: str | None = None
    description: str | None = None
    division: DivisionInput | None = None
    version: int | None = None


def common(session: Session, row: Row, path: str) -> dict[str, Any]:
    """The fields of ``NamedDocument``, as keyword arguments; ``path`` is where the family lives."""
    return {
        "id": row.id,
        "name": row.name,
        "division": divisions.reference(users.division(session, row.division_id), row.division_id),
        "description": row.description,
        "version": row.version,
        "date_created": row.created_at,
        "date_modified": row.modified_at,
        "modified_by": row.modified_by,
        "created_by": row.created_by,
        "state": row.state,
        "self_uri": f"{path}/{row.id}",
    }


def new_columns(
    session: Session, caller: Caller, body: NamedInput, now: int, permission: str = ADMINISTERS_TELEPHONY
) -> dict[str, Any]:
    """The columns that all new rows share.

    :raises ApiError: 400, no name, or no such division; 403, ``permission`` is not held in that division.
    """
    division_id = divisions.chosen(session, body.division)
    divisions.check(caller, division_id, permission)
    return {
        "id": new_id(),
        "name": changes.required_text(body.name, "name"),
        "description": body.description,
        "division_id": division_id,
        "created_at": now,
        "modified_at": now,
        "created_by": caller.subject.id,
        "modified_by": caller.subject.id,
    }


def changed_columns(
    session: Session, caller: Caller, body: NamedInput, permission: str = ADMINISTERS_TELEPHONY
) -> dict[str, Any]:
    """The shared columns that a body changes.

    :raises ApiError: 400, an empty name, or no such division; 403, ``permission`` is not held in the new division.
    """
    given, wanted = body.given(), dict[str, Any]()
    if "name" in given:
        wanted["name"] = changes.required_text(body.name, "name")
    if "description" in given:
        wanted["description"] = body.description
    if body.division is not None and body.division.id:
        wanted["division_id"] = divisions.chosen(session, body.division)
        divisions.check(caller, wanted["division_id"], permission)
    return wanted


def find(session: Session, table: type[N], object_id: str, what: str) -> N:
    """The object of that id, unless deleted.

    :raises ApiError: 404.
    """
    row = named_store.get(session, table, object_id)
    if row is None:
        raise not_found(what, object_id)
    return row


def find_for_change(
    session: Session, caller: Caller, table: type[N], object_id: str, what: str, *permissions: str
) -> N:
    """The object of that id, for who holds one of ``permissions`` (to administer telephony) in its division.

    :raises ApiError: 404; 403, not in that division.
    """
    row = find(session, table, object_id, what)
    divisions.check(caller, row.division_id, *(permissions or (ADMINISTERS_TELEPHONY,)))
    return row


def find_for_delete(
    session: Session, caller: Caller, table: type[N], object_id: str, what: str, permission: str = ADMINISTERS_TELEPHONY
) -> N | None:
    """The object to delete; None if it is deleted already, which is fine (S20).

    :raises ApiError: 404, there never was one; 403, ``permission`` is not held in its division.
    """
    row = named_store.get(session, table, object_id, deleted=True)
    if row is None:
        raise not_found(what, object_id)
    divisions.check(caller, row.division_id, permission)
    return row if row.state != "deleted" else None


def must_exist(session: Session, table: type[N], object_id: str, field_name: str) -> str:
    """The id of an object that a body names.

    :raises ApiError: 400, no such object.
    """
    if named_store.get(session, table, object_id) is None:
        raise bad_request(f"{field_name}: there is no object {object_id}.", field_name, "invalid.value")
    return object_id


def site_reference(site_id: str | None) -> Reference | None:
    """How a document mentions a site."""
    if site_id is None:
        return None
    return Reference(id=site_id, self_uri=f"/api/v2/telephony/providers/edges/sites/{site_id}")
