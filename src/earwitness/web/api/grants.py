"""Who holds which role where."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy.orm import Session

from earwitness.domain.ids import new_id
from earwitness.store import access as access_store
from earwitness.store import audit, oauth, users
from earwitness.store.tables import Grant, Role
from earwitness.web.api import divisions, roles
from earwitness.web.api.roles import EVERY_DIVISION
from earwitness.web.kernel.callers import Caller, Signed
from earwitness.web.kernel.documents import Document, Moment, RequestBody
from earwitness.web.kernel.errors import ApiError, bad_request, conflict, not_found
from earwitness.web.kernel.operations import SIGNED_IN, Family, all_of, any_of
from earwitness.web.kernel.services import Parts, Services

family = Family("Grants")


class GrantDivision(Document):
    """The division of a grant; ``*`` for all."""

    id: str
    name: str | None = None
    home_division: bool
    self_uri: str


class GrantRole(Document):
    """The role of a grant."""

    id: str
    name: str
    description: str | None = None
    default: bool
    self_uri: str


class GrantDocument(Document):
    """A role in a division."""

    subject_id: str
    division: GrantDivision
    role: GrantRole
    grant_made_at: Moment


class SubjectDocument(Document):
    """A user or program with its grants."""

    id: str
    name: str
    grants: list[GrantDocument]
    version: int
    self_uri: str


class RoleDivision(RequestBody):
    """A role in a division; without a division in the home division."""

    role_id: str
    division_id: str | None = None


class RoleDivisionGrants(RequestBody):
    """Several of them."""

    grants: list[RoleDivision]


def give(session: Session, caller: Caller, subject: tuple[str, str], role: Role, division_id: str, now: int) -> None:
    """Gives ``subject`` (type, id) a role in a division; once is enough.

    :raises ApiError: 403, the caller does not hold what the role holds; 400, no such division.
    """
    if division_id != EVERY_DIVISION and users.division(session, division_id) is None:
        raise bad_request(f"There is no division {division_id}.", "divisionId", "invalid.value")
    roles.check_may_give(caller, role.permissions, role.permission_policies, division_id)
    row = Grant(
        id=new_id(),
        subject_type=subject[0],
        subject_id=subject[1],
        role_id=role.id,
        division_id=division_id,
        granted_at=now,
        granted_by=caller.subject.id,
    )
    access_store.grant(session, row)
    note(session, caller, now, "grant", subject, {"roleId": role.id, "divisionId": division_id})


def take(session: Session, caller: Caller, subject: tuple[str, str], role_id: str, division_id: str, now: int) -> None:
    """Takes a role in a division away; taking away what is not there is no error.

    :raises ApiError: 403, it is somebody else's and the caller could not have given it.
    """
    if subject[1] != caller.subject.id:
        for grant, role in access_store.grants(session, subject[1]):
            if (role.id, grant.division_id) == (role_id, division_id):
                roles.check_may_give(caller, role.permissions, role.permission_policies, division_id)
    if access_store.revoke(session, subject[1], role_id, division_id):
        note(session, caller, now, "revoke", subject, {"roleId": role_id, "divisionId": division_id})


def note(
    session: Session, caller: Caller, now: int, action: str, subject: tuple[str, str], detail: dict[str, str]
) -> None:
    audit.add(
        session,
        at=now,
        subject=caller.subject,
        action=action,
        entity_type=subject[0],
        entity_id=subject[1],
        remote_address=caller.remote_address,
        detail=detail,
    )


def find_subject(session: Session, subject_id: str) -> tuple[str, str, str]:
    """Type, id and name.

    :raises ApiError: 404.
    """
    user = users.get(session, subject_id)
    if user is not None:
        return "user", user.id, user.name
    client = oauth.client(session, subject_id)
    if client is not None:
        return "client", client.id, client.name
    raise not_found("subject", subject_id)


def name_of(session: Session, subject_id: str) -> str:
    """The name of whoever holds a grant, deleted or not; the id, where nobody knows."""
    subject = users.get(session, subject_id, deleted=True) or oauth.client(session, subject_id)
    return subject.name if subject is not None else subject_id


def grant_document(session: Session, grant: Grant, role: Role) -> GrantDocument:
    """The document of a grant."""
    division = users.division(session, grant.division_id)
    return GrantDocument(
        subject_id=grant.subject_id,
        division=GrantDivision(
            id=grant.division_id,
            name=division.name if division is not None else grant.division_id,
            home_division=division is not None and division.home,
            self_uri=f"/api/v2/authorization/divisions/{grant.division_id}",
        ),
        role=GrantRole(
            id=role.id,
            name=role.name,
            description=role.description,
            default=role.is_default,
            self_uri=f"/api/v2/authorization/roles/{role.id}",
        ),
        grant_made_at=grant.granted_at,
    )


def _document(session: Session, subject: tuple[str, str, str]) -> SubjectDocument:
    found = [grant_document(session, grant, role) for grant, role in access_store.grants(session, subject[1])]
    return SubjectDocument(
        id=subject[1],
        name=subject[2],
        grants=found,
        version=1,
        self_uri=f"/api/v2/authorization/subjects/{subject[1]}",
    )


@family.operation(
    "GET", "/api/v2/authorization/subjects/me", "get_authorization_subjects_me", SIGNED_IN, returns=SubjectDocument
)
def my_grants(caller: Signed, parts: Parts) -> SubjectDocument:
    """The caller's grants."""
    with parts.database.reading() as session:
        return _document(session, find_subject(session, caller.access.subject.id))


@family.operation(
    "GET",
    "/api/v2/authorization/subjects/{subjectId}",
    "get_authorization_subject",
    any_of("authorization:grant:view"),
    returns=SubjectDocument,
)
def grants_of(caller: Signed, parts: Parts, subjectId: str) -> SubjectDocument:
    """The grants of a user or program."""
    with parts.database.reading() as session:
        return _document(session, find_subject(session, subjectId))


@family.operation(
    "POST",
    "/api/v2/authorization/subjects/{subjectId}/bulkadd",
    "post_authorization_subject_bulkadd",
    all_of("authorization:grant:add"),
    status=204,
)
def add_grants(caller: Signed, parts: Parts, subjectId: str, body: RoleDivisionGrants) -> None:
    """Gives roles in divisions."""
    with parts.database.transaction() as session:
        _add(session, caller, parts, find_subject(session, subjectId)[:2], body.grants)


@family.operation(
    "POST",
    "/api/v2/authorization/subjects/{subjectId}/bulkremove",
    "post_authorization_subject_bulkremove",
    all_of("authorization:grant:delete"),
    status=204,
)
def remove_grants(caller: Signed, parts: Parts, subjectId: str, body: RoleDivisionGrants) -> None:
    """Takes roles in divisions away."""
    now = parts.clock.now_us()
    with parts.database.transaction() as session:
        subject = find_subject(session, subjectId)
        for pair in body.grants:
            take(session, caller, subject[:2], pair.role_id, _division(session, pair.division_id), now)
        keep_an_administrator(session)


@family.operation(
    "POST",
    "/api/v2/authorization/subjects/{subjectId}/bulkreplace",
    "post_authorization_subject_bulkreplace",
    all_of("authorization:grant:add", "authorization:grant:delete"),
    status=204,
)
def replace_grants(caller: Signed, parts: Parts, subjectId: str, body: RoleDivisionGrants) -> None:
    """Makes these the only grants of a user or program."""
    now = parts.clock.now_us()
    with parts.database.transaction() as session:
        subject = find_subject(session, subjectId)[:2]
        wanted = {(pair.role_id, _division(session, pair.division_id)) for pair in body.grants}
        for grant, role in access_store.grants(session, subject[1]):
            if (role.id, grant.division_id) not in wanted:
                take(session, caller, subject, role.id, grant.division_id, now)
        _add(session, caller, parts, subject, body.grants)
        keep_an_administrator(session)


@family.operation(
    "POST",
    "/api/v2/authorization/subjects/{subjectId}/divisions/{divisionId}/roles/{roleId}",
    "post_authorization_subject_division_role",
    all_of("authorization:grant:add"),
    status=204,
)
def add_grant(caller: Signed, parts: Parts, subjectId: str, divisionId: str, roleId: str) -> None:
    """Gives one role in one division."""
    with parts.database.transaction() as session:
        subject, role = find_subject(session, subjectId), roles.find_role(session, roleId)
        give(session, caller, subject[:2], role, divisionId, parts.clock.now_us())


@family.operation(
    "DELETE",
    "/api/v2/authorization/subjects/{subjectId}/divisions/{divisionId}/roles/{roleId}",
    "delete_authorization_subject_division_role",
    all_of("authorization:grant:delete"),
    status=204,
)
def remove_grant(caller: Signed, parts: Parts, subjectId: str, divisionId: str, roleId: str) -> None:
    """Takes one role in one division away."""
    with parts.database.transaction() as session:
        subject = find_subject(session, subjectId)
        take(session, caller, subject[:2], roleId, divisionId, parts.clock.now_us())
        keep_an_administrator(session)


def _add(
    session: Session, caller: Caller, parts: Services, subject: tuple[str, str], pairs: Iterable[RoleDivision]
) -> None:
    for pair in pairs:
        role = access_store.role(session, pair.role_id)
        if role is None:
            raise bad_request(f"There is no role {pair.role_id}.", "grants.roleId", "invalid.value")
        give(session, caller, subject, role, _division(session, pair.division_id), parts.clock.now_us())


def _division(session: Session, division_id: str | None) -> str:
    return division_id or divisions.home(session).id


def keep_an_administrator(session: Session) -> None:
    """:raises ApiError: 409, nobody would be left who could repair the rights."""
    role = access_store.default_role(session, "administrator")
    if role is None:
        raise ApiError(500, "The administrator role is gone.")
    people = [users.get(session, user_id) for user_id in access_store.subjects_of_role(session, role.id)]
    programs = [oauth.client(session, key) for key in access_store.subjects_of_role(session, role.id, "client")]
    if not any(subject is not None and subject.state == "active" for subject in (*people, *programs)):
        raise conflict("Somebody must stay administrator.")
