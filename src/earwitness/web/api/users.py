"""Users: the directory, and what other documents say of a user."""

from __future__ import annotations

import re
from typing import Annotated, Any

import structlog
from fastapi import Query
from sqlalchemy.orm import Session

from earwitness.domain.ids import new_id
from earwitness.store import access as access_store
from earwitness.store import oauth, telephony, user_routing, users
from earwitness.store.tables import User
from earwitness.web.api import divisions, grants, roles
from earwitness.web.api.divisions import DivisionInput, DivisionReference
from earwitness.web.api.organizations import Organization, organization_document
from earwitness.web.api.password_rules import acceptable
from earwitness.web.api.roles import UserAuthorization
from earwitness.web.api.user_stations import UserStations, user_stations
from earwitness.web.kernel import changes
from earwitness.web.kernel.callers import Caller, Signed
from earwitness.web.kernel.documents import Document, OneOf, RequestBody
from earwitness.web.kernel.errors import ApiError, bad_request, conflict, not_found
from earwitness.web.kernel.operations import SIGNED_IN, Family, any_of
from earwitness.web.kernel.paging import CommaList, Listing, Paging
from earwitness.web.kernel.passwords import hash_password
from earwitness.web.kernel.services import Parts, Services

log = structlog.get_logger()

family = Family("Users")

State = Annotated[str, OneOf("active", "inactive", "deleted")]
_EMAIL = re.compile(r"[^@\s,;<>\"]{1,64}@[^@\s,;<>\"]{1,189}")
_PHONE = re.compile(r"\+?[0-9]{2,20}")


class Contact(Document):
    """A way to reach a user."""

    address: str
    display: str | None = None
    media_type: str
    type: str


class UserDocument(Document):
    """A user."""

    id: str
    name: str
    division: DivisionReference
    department: str | None = None
    email: str
    username: str
    primary_contact_info: list[Contact]
    addresses: list[Contact]
    state: str
    title: str | None = None
    manager: dict[str, str] | None = None
    version: int
    acd_auto_answer: bool
    authorization: UserAuthorization | None = None
    station: UserStations | None = None
    self_uri: str


class UserMe(UserDocument):
    """The user who asks."""

    organization: Organization | None = None


class UsersSearchResponse(Document):
    """What a search found."""

    total: int
    page_count: int
    page_size: int
    page_number: int
    types: list[str]
    results: list[UserDocument]


class ContactInput(RequestBody):
    """A way to reach a user."""

    address: str | None = None
    media_type: Annotated[str, OneOf("PHONE", "EMAIL", "SMS")] | None = None


class CreateUser(RequestBody):
    """A new user."""

    name: str
    email: str
    password: str | None = None
    department: str | None = None
    title: str | None = None
    division_id: str | None = None
    state: State | None = None
    addresses: list[ContactInput] | None = None


class UpdateUser(RequestBody):
    """Changes of a user; absent fields stay."""

    name: str | None = None
    email: str | None = None
    department: str | None = None
    title: str | None = None
    manager: str | None = None
    version: int | None = None
    state: State | None = None
    addresses: list[ContactInput] | None = None
    division: DivisionInput | None = None


class Criterion(RequestBody):
    """One condition of a search."""

    type: str | None = None
    fields: list[str] | None = None
    value: str | None = None
    values: list[str] | None = None


class UserSearchRequest(RequestBody):
    """A search for users."""

    page_size: int | None = None
    page_number: int | None = None
    query: list[Criterion] | None = None


def user_document(
    session: Session, user: User, expand: list[str] | None = None, kind: type[UserDocument] = UserDocument
) -> UserDocument:
    """The document of a user; ``expand`` may hold ``authorization`` and ``station``."""
    wanted = set(expand or ())
    contacts = [Contact(address=user.email, media_type="EMAIL", type="PRIMARY")]
    phones = []
    if user.address:
        phones = [Contact(address=user.address, display=user.address, media_type="PHONE", type="WORK")]
    manager = None
    if user.manager_id:
        manager = {"id": user.manager_id, "selfUri": f"/api/v2/users/{user.manager_id}"}
    return kind(
        id=user.id,
        name=user.name,
        division=divisions.reference(users.division(session, user.division_id), user.division_id),
        department=user.department,
        email=user.email,
        username=user.email,
        primary_contact_info=[*contacts, *phones],
        addresses=phones,
        state=user.state,
        title=user.title,
        manager=manager,
        version=user.version,
        acd_auto_answer=False,
        authorization=roles.authorization_of(session, "user", user.id) if "authorization" in wanted else None,
        station=user_stations(session, user.id) if "station" in wanted else None,
        self_uri=f"/api/v2/users/{user.id}",
    )


@family.operation("GET", "/api/v2/users", "get_users", SIGNED_IN, returns=Listing[UserDocument])
def list_users(
    caller: Signed,
    parts: Parts,
    page: Paging,
    ids: Annotated[CommaList, Query(alias="id")] = None,
    expand: CommaList = None,
    state: Annotated[str, Query(pattern="^(active|inactive|deleted|any)$")] = "active",
    sort_order: Annotated[str, OneOf("ascending", "descending"), Query(alias="sortOrder")] = "ascending",
) -> Listing[UserDocument]:
    """The directory, by name. Everybody in the organisation may look people up."""
    with parts.database.reading() as session:
        down = sort_order.lower() == "descending"
        found = users.listing(session, ids=ids, state=state, down=down, number=page.number, size=page.size)
        return page.envelope([user_document(session, user, expand) for user in found.items], found.total)


@family.operation("POST", "/api/v2/users", "post_users", any_of("directory:user:add"), returns=UserDocument)
def create_user(caller: Signed, parts: Parts, body: CreateUser) -> UserDocument:
    """Adds a user. Without a password the user cannot sign in until one is set."""
    name, email = changes.required_text(body.name, "name"), _email(body.email)
    hashed = hash_password(acceptable(body.password)) if body.password is not None else None
    now = parts.clock.now_us()
    with changes.changing(parts, caller) as session:
        division_id = divisions.chosen(session, body.division_id)
        check_division(caller, "directory:user:add", division_id)
        if users.by_email(session, email) is not None:
            raise conflict(f"{email} is taken.", "general.conflict")
        user = User(
            id=new_id(),
            name=name,
            email=email,
            password_hash=hashed,
            state=body.state or "active",
            division_id=division_id,
            title=body.title,
            department=body.department,
            address=_phone(body.addresses),
            created_at=now,
            modified_at=now,
            created_by=caller.subject.id,
            modified_by=caller.subject.id,
        )
        session.add(user)
        session.flush()
        return user_document(session, user)


@family.operation("GET", "/api/v2/users/me", "get_users_me", SIGNED_IN, returns=UserMe)
def me(caller: Signed, parts: Parts, expand: CommaList = None) -> UserDocument:
    """The user who asks. Programs with credentials of their own are nobody: 400 (S9)."""
    if caller.user_id is None:
        raise bad_request("This request requires a user context. Client credentials cannot be used for requests to me.")
    with parts.database.reading() as session:
        user = find_user(session, caller.user_id)
        document = user_document(session, user, expand, UserMe)
        assert isinstance(document, UserMe)
        if "organization" in (expand or ()):
            row = users.organization(session)
            document.organization = organization_document(row) if row is not None else None
        return document


@family.operation(
    "POST",
    "/api/v2/users/search",
    "post_users_search",
    any_of("directory:user:view"),
    returns=UsersSearchResponse,
    reads=True,
)
def search(caller: Signed, parts: Parts, body: UserSearchRequest) -> UsersSearchResponse:
    """Users whose name or email contains the searched text; several conditions must all hold."""
    size, number = body.page_size or 25, body.page_number or 1
    if not (1 <= size <= 500 and 1 <= number <= 1_000_000):
        raise bad_request("pageSize must be 1 to 500, pageNumber above 0.", "pageSize", "invalid.value")
    texts = [text for item in body.query or [] for text in (item.values or [item.value or ""]) if text]
    with parts.database.reading() as session:
        text = texts[0] if texts else None
        rows = users.listing(session, state="active", text=text, size=10_000).items
        for more in (text.lower() for text in texts[1:]):
            rows = [row for row in rows if more in row.name.lower() or more in row.email.lower()]
        part = rows[(number - 1) * size : number * size]
        return UsersSearchResponse(
            total=len(rows),
            page_count=-(-len(rows) // size),
            page_size=size,
            page_number=number,
            types=["users"],
            results=[user_document(session, row) for row in part],
        )


@family.operation("GET", "/api/v2/users/{userId}", "get_user", SIGNED_IN, returns=UserDocument)
def one_user(
    caller: Signed,
    parts: Parts,
    userId: str,
    expand: CommaList = None,
    state: Annotated[str, Query(pattern="^(active|deleted)$")] = "active",
) -> UserDocument:
    """A user."""
    with parts.database.reading() as session:
        return user_document(session, find_user(session, userId, deleted=state == "deleted"), expand)


@family.operation(
    "PATCH",
    "/api/v2/users/{userId}",
    "patch_user",
    any_of("directory:user:edit", "directory:organization:admin"),
    returns=UserDocument,
)
def change_user(caller: Signed, parts: Parts, userId: str, body: UpdateUser) -> UserDocument:
    """Changes a user; ``state`` active brings a deleted one back. A user who is not active loses every token."""
    now = parts.clock.now_us()
    with changes.changing(parts, caller) as session:
        user = find_user(session, userId, deleted=True)
        check_division(caller, "directory:user:edit", user.division_id, "directory:organization:admin")
        given = body.given()
        wanted: dict[str, Any] = {key: given[key] for key in ("department", "title") if key in given}
        if "name" in given:
            wanted["name"] = changes.required_text(body.name, "name")
        if "email" in given:
            wanted["email"] = _email(body.email or "")
            owner = users.by_email(session, wanted["email"])
            if owner is not None and owner.id != user.id:
                raise conflict(f"{wanted['email']} is taken.", "general.conflict")
            if wanted["email"] != user.email:
                check_no_more_than_own(session, caller, user.id)
        if "manager" in given:
            wanted["manager_id"] = find_user(session, body.manager).id if body.manager else None
        if body.division is not None and body.division.id:
            wanted["division_id"] = divisions.chosen(session, body.division)
            check_division(caller, "directory:user:edit", wanted["division_id"], "directory:organization:admin")
        if "addresses" in given:
            wanted["address"] = _phone(body.addresses)
        if body.state is not None:
            wanted["state"] = body.state
        if changes.apply(user, wanted, body.version):
            if wanted.get("state", "active") != "active":
                _retire(session, caller, user, now)
            users.touch(user, now, caller.subject.id)
            session.flush()
        document, retired = user_document(session, user), wanted.get("state", "active") != "active"
    if retired:
        _stand_down(parts, userId)
    return document


@family.operation(
    "DELETE",
    "/api/v2/users/{userId}",
    "delete_user",
    any_of("directory:user:delete", "directory:organization:admin"),
    returns=dict[str, Any],
)
def delete_user(caller: Signed, parts: Parts, userId: str) -> dict[str, Any]:
    """Marks a user deleted; what the user did stays on record. Deleting twice is deleting once."""
    now = parts.clock.now_us()
    with changes.changing(parts, caller) as session:
        user = find_user(session, userId, deleted=True)
        check_division(caller, "directory:user:delete", user.division_id, "directory:organization:admin")
        if user.state != "deleted":
            user.state = "deleted"
            _retire(session, caller, user, now)
            users.touch(user, now, caller.subject.id)
    _stand_down(parts, userId)
    return {}


def _stand_down(parts: Services, user_id: str) -> None:
    """Has the edge give no more calls of queues to somebody. It learns of it from its configuration, too, but later."""
    try:
        parts.edge.set_agent(user_id, on_queue=False)
    except ApiError as error:
        log.info("web.agent_not_stood_down", user_id=user_id, error=error.message)


def _retire(session: Session, caller: Caller, user: User, now: int) -> None:
    """What must go when a user is no longer active."""
    if user.id == caller.subject.id:
        raise conflict("You cannot deactivate yourself.")
    grants.keep_an_administrator(session)
    oauth.end_tokens_of(session, user.id)
    if user_routing.get(session, user.id) is not None:
        user_routing.put(session, user.id, now, presence=user_routing.OFFLINE, message=None, status="OFF_QUEUE")
    if user.state == "deleted":
        for station in telephony.stations(session, user_id=user.id, size=500).items:
            if station.user_id == user.id:
                telephony.associate(session, station, None, now, caller.subject.id)
            if station.default_user_id == user.id:
                telephony.set_default_user(session, station, None, now, caller.subject.id)


def find_user(session: Session, user_id: str, *, deleted: bool = False) -> User:
    user = users.get(session, user_id, deleted=deleted)
    if user is None:
        raise not_found("user", user_id)
    return user


def check_division(caller: Caller, permission: str, division_id: str, *others: str) -> None:
    """:raises ApiError: 403, the permission (or one of ``others``) is held, but not in that division."""
    divisions.check(caller, division_id, permission, *others)


def check_no_more_than_own(session: Session, caller: Caller, user_id: str) -> None:
    """Nobody takes over an account that may do more than they may themselves."""
    if user_id == caller.subject.id:
        return
    for grant, role in access_store.grants(session, user_id):
        roles.check_may_give(caller, role.permissions, role.permission_policies, grant.division_id)


def _email(text: str) -> str:
    email = text.strip().lower()
    if not _EMAIL.fullmatch(email):
        raise bad_request("email must look like name@example.com.", "email", "invalid.value")
    return email


def _phone(contacts: list[ContactInput] | None) -> str | None:
    for contact in contacts or []:
        if contact.media_type in (None, "PHONE") and contact.address:
            number = re.sub(r"[\s()./-]", "", contact.address.removeprefix("tel:"))
            if not _PHONE.fullmatch(number):
                raise bad_request(f"{contact.address!r} is no phone number.", "addresses", "invalid.value")
            return number
    return None
