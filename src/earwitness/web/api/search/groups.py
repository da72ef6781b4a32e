"""Groups: users under a common name. They give no rights. Whoever signs in sees them; owners say who is in them."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query
from sqlalchemy.orm import Session

from earwitness.domain.ids import new_id
from earwitness.store import audit, groups, users
from earwitness.store.tables import Group
from earwitness.web.api.users import UserDocument, user_document
from earwitness.web.kernel import changes
from earwitness.web.kernel.callers import Caller, Signed
from earwitness.web.kernel.documents import Document, Moment, OneOf, RequestBody
from earwitness.web.kernel.errors import bad_request, conflict, missing_permissions, not_found
from earwitness.web.kernel.free_documents import kept
from earwitness.web.kernel.operations import SIGNED_IN, Family, any_of
from earwitness.web.kernel.paging import CommaList, Listing, Paging
from earwitness.web.kernel.services import Parts, Services

family = Family("Groups")
PATH = "/api/v2/groups"
ADD, EDIT, DELETE = (f"directory:group:{act}" for act in ("add", "edit", "delete"))
ECHOED = ("addresses", "images", "rules_visible", "visibility", "roles_enabled", "include_owners", "calls_enabled",
          "email", "type")  # fmt: skip
MOST_MEMBERS = 50
SortOrder = Annotated[str | None, OneOf("ascending", "descending", "asc", "desc", "SCORE"), Query(alias="sortOrder")]


class GroupBody(RequestBody):
    """A group; absent fields stay as they are."""

    name: str | None = None
    description: str | None = None
    state: Annotated[str, OneOf("active", "inactive", "deleted")] | None = None
    version: int | None = None
    type: Annotated[str, OneOf("official", "social")] | None = None
    images: list[dict[str, Any]] | None = None
    addresses: list[dict[str, Any]] | None = None
    rules_visible: bool | None = None
    visibility: Annotated[str, OneOf("public", "owners", "members")] | None = None
    roles_enabled: bool | None = None
    include_owners: bool | None = None
    calls_enabled: bool | None = None
    email: str | None = None
    owner_ids: list[str] | None = None


class MembersBody(RequestBody):
    """Who is to be a member."""

    member_ids: list[str] | None = None
    version: int | None = None


class GroupDocument(Document):
    """A group."""

    id: str
    name: str
    description: str | None = None
    date_modified: Moment
    member_count: int
    state: str
    version: int
    type: str
    images: list[dict[str, Any]] | None = None
    addresses: list[dict[str, Any]] | None = None
    rules_visible: bool
    visibility: str
    roles_enabled: bool
    include_owners: bool
    calls_enabled: bool
    email: str | None = None
    owners: list[UserDocument]
    self_uri: str


def _document(session: Session, row: Group) -> GroupDocument:
    defaults: dict[str, Any] = {"rules_visible": True, "visibility": "public", "roles_enabled": False,
                                "include_owners": False, "calls_enabled": False, "type": "official"}  # fmt: skip
    return GroupDocument(
        id=row.id,
        name=row.name,
        description=row.description,
        date_modified=row.modified_at,
        member_count=groups.count(session, row.id),
        state=row.state,
        version=row.version,
        owners=[user_document(session, user) for user in groups.people(session, row.id, owners=True, size=500).items],
        self_uri=f"{PATH}/{row.id}",
        **(defaults | row.extra),
    )


def _find(session: Session, group_id: str) -> Group:
    row = groups.get(session, group_id)
    if row is None:
        raise not_found("group", group_id)
    return row


def _check_owner(session: Session, caller: Caller, row: Group) -> None:
    """:raises ApiError: 403, the caller neither owns the group nor may edit groups."""
    own = caller.user_id is not None and groups.owns(session, row.id, caller.user_id)
    if not own and not caller.access.allows(EDIT):
        raise missing_permissions([EDIT], every=True)


def _columns(session: Session, body: GroupBody, row: Group | None) -> dict[str, Any]:
    given, wanted = body.given(), dict[str, Any]()
    if row is None or "name" in given:
        wanted["name"] = changes.required_text(body.name, "name")
        other = groups.named(session, wanted["name"])
        if other is not None and (row is None or other.id != row.id):
            raise conflict(f"There is a group {other.name!r} already.", "general.conflict")
    if "description" in given:
        wanted["description"] = body.description
    echoed = {name: kept(given[name], name) for name in ECHOED if given.get(name) is not None}
    gone = {name for name in ECHOED if name in given and given[name] is None}
    known = dict(row.extra) if row is not None else {}
    wanted["extra"] = {name: value for name, value in (known | echoed).items() if name not in gone}
    return wanted


def _people(session: Session, ids: list[str], field: str) -> list[str]:
    """:raises ApiError: 400, somebody is no user."""
    for user_id in ids:
        if users.get(session, user_id) is None:
            raise bad_request(f"There is no user {user_id}.", field, "invalid.value")
    return ids


@family.operation("GET", PATH, "get_groups", SIGNED_IN, returns=Listing[GroupDocument])
def listing(
    caller: Signed,
    parts: Parts,
    page: Paging,
    ids: Annotated[CommaList, Query(alias="id")] = None,
    sort_order: SortOrder = None,
) -> Listing[GroupDocument]:
    """Groups, by name."""
    down = (sort_order or "").startswith("desc")
    with parts.database.reading() as session:
        found = groups.listing(session, ids=ids, down=down, number=page.number, size=page.size)
        return page.envelope([_document(session, row) for row in found.items], found.total)


@family.operation("POST", PATH, "post_groups", any_of(ADD), returns=GroupDocument)
def create(caller: Signed, parts: Parts, body: GroupBody) -> GroupDocument:
    """Adds a group. Whoever makes it owns it, unless ``ownerIds`` says otherwise."""
    now = parts.clock.now_us()
    with changes.changing(parts, caller) as session:
        columns = _columns(session, body, None)
        default = [caller.user_id] if caller.user_id is not None else []
        owners = _people(session, body.owner_ids if body.owner_ids is not None else default, "ownerIds")
        row = Group(id=new_id(), state="active", created_at=now, modified_at=now, created_by=caller.subject.id,
                    modified_by=caller.subject.id, **columns)  # fmt: skip
        session.add(row)
        session.flush()
        groups.set_owners(session, row.id, owners)
        return _document(session, row)


@family.operation("GET", PATH + "/{groupId}", "get_group", SIGNED_IN, returns=GroupDocument)
def one(caller: Signed, parts: Parts, groupId: str) -> GroupDocument:
    """A group."""
    with parts.database.reading() as session:
        return _document(session, _find(session, groupId))


@family.operation("PUT", PATH + "/{groupId}", "put_group", any_of(EDIT), returns=GroupDocument)
def change(caller: Signed, parts: Parts, groupId: str, body: GroupBody) -> GroupDocument:
    """Changes a group."""
    with changes.changing(parts, caller) as session:
        row = _find(session, groupId)
        wanted = _columns(session, body, row)
        if body.state is not None:
            wanted["state"] = body.state
        changed = changes.apply(row, wanted, body.version)
        if body.owner_ids is not None:
            groups.set_owners(session, row.id, _people(session, body.owner_ids, "ownerIds"))
        if changed:
            _touch(row, parts, caller)
        session.flush()
        return _document(session, row)


@family.operation("DELETE", PATH + "/{groupId}", "delete_group", any_of(DELETE), status=204)
def remove(caller: Signed, parts: Parts, groupId: str) -> None:
    """Removes a group; twice is once."""
    with changes.changing(parts, caller) as session:
        row = groups.get(session, groupId, deleted=True)
        if row is None:
            raise not_found("group", groupId)
        if row.state != "deleted":
            row.state = "deleted"
            _touch(row, parts, caller)


@family.operation(
    "GET", PATH + "/{groupId}/individuals", "get_group_individuals", SIGNED_IN, returns=Listing[UserDocument]
)
def individuals(caller: Signed, parts: Parts, page: Paging, groupId: str) -> Listing[UserDocument]:
    """Members and owners of a group, by name."""
    with parts.database.reading() as session:
        found = groups.individuals(session, _find(session, groupId).id)
        return page.envelope([user_document(session, user) for user in page.cut(found)], len(found))


MEMBERS = PATH + "/{groupId}/members"


@family.operation("GET", MEMBERS, "get_group_members", SIGNED_IN, returns=Listing[UserDocument])
def members(
    caller: Signed,
    parts: Parts,
    page: Paging,
    groupId: str,
    expand: CommaList = None,
    sort_order: SortOrder = None,
) -> Listing[UserDocument]:
    """Members of a group, by name."""
    down = (sort_order or "").startswith("desc")
    with parts.database.reading() as session:
        row = _find(session, groupId)
        found = groups.people(session, row.id, down=down, number=page.number, size=page.size)
        return page.envelope([user_document(session, user, expand) for user in found.items], found.total)


@family.operation("POST", MEMBERS, "post_group_members", SIGNED_IN, status=202, returns=dict[str, Any])
def add_members(caller: Signed, parts: Parts, groupId: str, body: MembersBody) -> dict[str, Any]:
    """Makes users members: by an owner of the group, or by who may edit groups."""
    if not body.member_ids or len(body.member_ids) > MOST_MEMBERS:
        raise bad_request(f"memberIds names 1 to {MOST_MEMBERS} users.", "memberIds")
    with changes.changing(parts, caller) as session:
        row = _find(session, groupId)
        _check_owner(session, caller, row)
        seen = row.version
        added = groups.add(session, row.id, _people(session, body.member_ids, "memberIds"))
        if added:
            changes.check_version(seen, body.version)
            _note(session, parts, caller, row, "add", added)
    return {}


@family.operation("DELETE", MEMBERS, "delete_group_members", SIGNED_IN, status=202, returns=dict[str, Any])
def remove_members(caller: Signed, parts: Parts, groupId: str, ids: CommaList = None) -> dict[str, Any]:
    """Users are members no more: by an owner of the group, by who may edit groups, or by themselves."""
    if not ids:
        raise bad_request("ids is required.", "ids")
    with changes.changing(parts, caller) as session:
        row = _find(session, groupId)
        if ids != [caller.user_id]:
            _check_owner(session, caller, row)
        removed = groups.remove(session, row.id, ids)
        if removed:
            _note(session, parts, caller, row, "remove", removed)
    return {}


def _note(session: Session, parts: Services, caller: Caller, row: Group, what: str, user_ids: list[str]) -> None:
    _touch(row, parts, caller)
    audit.add(
        session,
        at=parts.clock.now_us(),
        subject=caller.subject,
        action=f"{what}Members",
        entity_type="group",
        entity_id=row.id,
        remote_address=caller.remote_address,
        detail={"users": user_ids},
    )


def _touch(row: Group, parts: Services, caller: Caller) -> None:
    row.version = (row.version or 0) + 1
    row.modified_at, row.modified_by = parts.clock.now_us(), caller.subject.id
