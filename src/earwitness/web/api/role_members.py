"""Roles seen from their holders: the users of a role, the roles of a user."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from earwitness.store import access as access_store
from earwitness.web.api import divisions, grants, roles
from earwitness.web.api.roles import UserAuthorization
from earwitness.web.kernel.callers import Signed
from earwitness.web.kernel.documents import Document, RequestBody
from earwitness.web.kernel.operations import SIGNED_IN, Family, all_of, any_of
from earwitness.web.kernel.paging import Listing, Paging
from earwitness.web.kernel.services import Parts

family = Family("Role members")


class UserReference(Document):
    """A user, by id."""

    id: str
    self_uri: str


class SubjectDivisions(RequestBody):
    """Subjects, and the divisions in which they get a role."""

    subject_ids: list[str]
    division_ids: list[str] | None = None


@family.operation(
    "POST",
    "/api/v2/authorization/roles/{roleId}",
    "post_authorization_role",
    all_of("authorization:grant:add"),
    status=204,
)
def give_role(
    caller: Signed,
    parts: Parts,
    roleId: str,
    body: SubjectDivisions,
    subject_type: Annotated[str, Query(alias="subjectType")] = "PC_USER",
) -> None:
    """Gives a role to several subjects in several divisions."""
    now = parts.clock.now_us()
    with parts.database.transaction() as session:
        role = roles.find_role(session, roleId)
        for subject_id in body.subject_ids:
            subject = grants.find_subject(session, subject_id)
            for division_id in body.division_ids or [divisions.home(session).id]:
                grants.give(session, caller, subject[:2], role, division_id, now)


@family.operation(
    "GET",
    "/api/v2/authorization/roles/{roleId}/users",
    "get_authorization_role_users",
    SIGNED_IN,
    returns=Listing[UserReference],
)
def users_of_role(caller: Signed, parts: Parts, roleId: str, page: Paging) -> Listing[UserReference]:
    """Users that hold a role anywhere."""
    with parts.database.reading() as session:
        roles.find_role(session, roleId)
        ids = access_store.subjects_of_role(session, roleId)
    found = [UserReference(id=user_id, self_uri=f"/api/v2/users/{user_id}") for user_id in page.cut(ids)]
    return page.envelope(found, len(ids))


@family.operation(
    "PUT",
    "/api/v2/authorization/roles/{roleId}/users/add",
    "put_authorization_role_users_add",
    any_of("authorization:grant:add"),
    returns=list[str],
)
def add_users(caller: Signed, parts: Parts, roleId: str, body: list[str]) -> list[str]:
    """Gives users a role in the home division."""
    with parts.database.transaction() as session:
        role, home = roles.find_role(session, roleId), divisions.home(session).id
        for user_id in body:
            grants.give(session, caller, grants.find_subject(session, user_id)[:2], role, home, parts.clock.now_us())
    return body


@family.operation(
    "PUT",
    "/api/v2/authorization/roles/{roleId}/users/remove",
    "put_authorization_role_users_remove",
    any_of("authorization:grant:delete"),
    returns=list[str],
)
def remove_users(caller: Signed, parts: Parts, roleId: str, body: list[str]) -> list[str]:
    """Takes a role away from users, in whatever division."""
    now = parts.clock.now_us()
    with parts.database.transaction() as session:
        roles.find_role(session, roleId)
        for user_id in body:
            subject = grants.find_subject(session, user_id)[:2]
            for grant, role in access_store.grants(session, user_id):
                if role.id == roleId:
                    grants.take(session, caller, subject, roleId, grant.division_id, now)
        grants.keep_an_administrator(session)
    return body


@family.operation(
    "GET",
    "/api/v2/users/{subjectId}/roles",
    "get_user_roles",
    any_of("authorization:grant:view"),
    returns=UserAuthorization,
)
def user_roles(caller: Signed, parts: Parts, subjectId: str) -> UserAuthorization:
    """The roles of a user, and what they add up to."""
    with parts.database.reading() as session:
        kind, subject_id, _ = grants.find_subject(session, subjectId)
        return roles.authorization_of(session, kind, subject_id)


@family.operation(
    "PUT",
    "/api/v2/users/{subjectId}/roles",
    "put_user_roles",
    any_of("authorization:grant:add"),
    returns=UserAuthorization,
)
def set_user_roles(caller: Signed, parts: Parts, subjectId: str, body: list[str]) -> UserAuthorization:
    """Makes these the only roles of a user. New ones are given in the home division, kept ones stay where they are."""
    now = parts.clock.now_us()
    with parts.database.transaction() as session:
        kind, subject_id, _ = grants.find_subject(session, subjectId)
        held = {role.id for _, role in access_store.grants(session, subject_id)}
        for grant, role in access_store.grants(session, subject_id):
            if role.id not in body:
                grants.take(session, caller, (kind, subject_id), role.id, grant.division_id, now)
        for role_id in dict.fromkeys(body):
            if role_id not in held:
                home = divisions.home(session).id
                grants.give(session, caller, (kind, subject_id), roles.find_role(session, role_id), home, now)
        grants.keep_an_administrator(session)
        return roles.authorization_of(session, kind, subject_id)
