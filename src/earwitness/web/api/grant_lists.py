"""Grants seen from divisions and roles, and what belongs to a division."""

from __future__ import annotations

from typing import Any

from earwitness.store import access as access_store
from earwitness.store import named as named_store
from earwitness.store import users as user_store
from earwitness.store.tables import CallRoute, Flow, Queue, WrapupCode
from earwitness.web.api import divisions, grants, roles, users
from earwitness.web.api.divisions import DivisionReference
from earwitness.web.api.grants import GrantDocument
from earwitness.web.kernel import changes
from earwitness.web.kernel.callers import Signed
from earwitness.web.kernel.documents import Document
from earwitness.web.kernel.errors import bad_request, not_found
from earwitness.web.kernel.operations import SIGNED_IN, Family, any_of
from earwitness.web.kernel.paging import Listing, Paging
from earwitness.web.kernel.services import Parts

family = Family("Grant lists")

MOST_OBJECTS = 1000
EDIT_USERS = ("directory:user:edit", "directory:organization:admin")
NAMED: dict[str, tuple[Any, str]] = {
    "QUEUE": (Queue, "routing:queue:edit"),
    "FLOW": (Flow, "architect:flow:edit"),
    "WRAPUPCODE": (WrapupCode, "routing:wrapupCode:edit"),
    "CALLROUTE": (CallRoute, "routing:callRoute:edit"),
}
"""``objectType`` -> table, and the right to edit such objects."""
SUBJECT_TYPES = {"user": "PC_USER", "client": "PC_OAUTH_CLIENT"}


class SubjectDivisionGrants(Document):
    """A holder of a role, and where it holds it."""

    id: str
    name: str
    divisions: list[DivisionReference]
    type: str
    self_uri: str


@family.operation(
    "GET",
    "/api/v2/authorization/divisions/{divisionId}/grants",
    "get_authorization_division_grants",
    any_of("authorization:grant:view"),
    returns=Listing[GrantDocument],
)
def grants_in_division(caller: Signed, parts: Parts, divisionId: str, page: Paging) -> Listing[GrantDocument]:
    """The grants in a division, oldest first; those in every division are not among them."""
    with parts.database.reading() as session:
        if user_store.division(session, divisionId) is None:
            raise not_found("division", divisionId)
        found = access_store.grants_in(session, division_id=divisionId)
        part = [grants.grant_document(session, grant, role) for grant, role in page.cut(found)]
        return page.envelope(part, len(found))


@family.operation(
    "GET",
    "/api/v2/authorization/roles/{roleId}/subjectgrants",
    "get_authorization_role_subjectgrants",
    any_of("authorization:role:view"),
    returns=Listing[SubjectDivisionGrants],
)
def holders_of_role(caller: Signed, parts: Parts, roleId: str, page: Paging) -> Listing[SubjectDivisionGrants]:
    """Who holds a role, and in which divisions; ``*`` is all of them."""
    with parts.database.reading() as session:
        roles.find_role(session, roleId)
        held: dict[tuple[str, str], set[str]] = {}
        for grant, _ in access_store.grants_in(session, role_id=roleId):
            held.setdefault((grant.subject_type, grant.subject_id), set()).add(grant.division_id)
        part = []
        for kind, subject_id in page.cut(list(held)):
            where = divisions.references(session, held[kind, subject_id])
            part.append(
                SubjectDivisionGrants(
                    id=subject_id,
                    name=grants.name_of(session, subject_id),
                    divisions=[where[key] for key in sorted(where)],
                    type=SUBJECT_TYPES.get(kind, "UNKNOWN"),
                    self_uri=f"/api/v2/authorization/subjects/{subject_id}",
                )
            )
        return page.envelope(part, len(held))


@family.operation(
    "POST",
    "/api/v2/authorization/divisions/{divisionId}/objects/{objectType}",
    "post_authorization_division_object",
    SIGNED_IN,
    status=204,
)
def move_to_division(caller: Signed, parts: Parts, divisionId: str, objectType: str, body: list[str]) -> None:
    """Moves objects to a division: all of them or none. Types: USER, QUEUE, FLOW, WRAPUPCODE, CALLROUTE.

    Takes the right to edit such objects there and where they come from.
    """
    kind = objectType.upper()
    if kind != "USER" and kind not in NAMED:
        listed = ", ".join(["USER", *NAMED])
        raise bad_request(f"Objects that can be moved here: {listed}.", "objectType", "invalid.value")
    if len(body) > MOST_OBJECTS:
        raise bad_request(f"Up to {MOST_OBJECTS} objects can be moved at once.", None, "invalid.value")
    now, by = parts.clock.now_us(), caller.subject.id
    rights = EDIT_USERS if kind == "USER" else (NAMED[kind][1],)
    with changes.changing(parts, caller) as session:
        divisions.check(caller, divisionId, *rights)
        if user_store.division(session, divisionId) is None:
            raise not_found("division", divisionId)
        for object_id in dict.fromkeys(body):
            if kind == "USER":
                user = users.find_user(session, object_id)
                divisions.check(caller, user.division_id, *rights)
                if changes.apply(user, {"division_id": divisionId}, None):
                    user_store.touch(user, now, by)
                continue
            row = named_store.get(session, NAMED[kind][0], object_id)
            if row is None:
                raise not_found(kind.lower(), object_id)
            divisions.check(caller, row.division_id, *rights)
            if changes.apply(row, {"division_id": divisionId}, None):
                named_store.touch(row, now, by)
