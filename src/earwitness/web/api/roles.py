"""Roles, and the permissions that they are made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from fastapi import Query
from sqlalchemy.orm import Session

from earwitness.domain import access as rules
from earwitness.domain.access.subject import policy_permissions
from earwitness.domain.ids import new_id
from earwitness.store import access as access_store
from earwitness.store.tables import Role
from earwitness.web.kernel import changes
from earwitness.web.kernel.callers import Caller, Signed
from earwitness.web.kernel.documents import Document, RequestBody
from earwitness.web.kernel.errors import bad_request, conflict, missing_permissions, not_found
from earwitness.web.kernel.operations import Family, any_of
from earwitness.web.kernel.paging import CommaList, Listing, Paging
from earwitness.web.kernel.services import Parts

family = Family("Roles")

EVERY_DIVISION = "*"


class RoleReference(Document):
    """A role, where it is mentioned."""

    id: str
    name: str


class PermissionPolicy(Document):
    """Actions on one kind of object, perhaps under a condition."""

    domain: str
    entity_name: str
    policy_name: str
    policy_description: str | None = None
    action_set: list[str]
    allow_conditions: bool
    resource_condition_node: dict[str, Any] | None = None


class UserAuthorization(Document):
    """What a user may do."""

    roles: list[RoleReference]
    unused_roles: list[RoleReference]
    permissions: list[str]
    permission_policies: list[PermissionPolicy]


class RoleDocument(Document):
    """A role."""

    id: str
    name: str
    description: str | None = None
    default_role_id: str | None = None
    permissions: list[str]
    unused_permissions: list[str]
    permission_policies: list[PermissionPolicy]
    user_count: int | None = None
    role_needs_update: bool
    default: bool
    base: bool
    self_uri: str


class PolicyInput(RequestBody):
    """Actions on one kind of object, perhaps under a condition."""

    domain: str
    entity_name: str
    action_set: list[str]
    policy_name: str | None = None
    policy_description: str | None = None
    allow_conditions: bool | None = None
    resource_condition_node: dict[str, Any] | None = None


class RoleInput(RequestBody):
    """A role; absent fields stay as they are."""

    name: str | None = None
    description: str | None = None
    permissions: list[str] | None = None
    permission_policies: list[PolicyInput] | None = None


def authorization_of(session: Session, subject_type: str, subject_id: str) -> UserAuthorization:
    """What a subject may do, over all of its grants."""
    found: dict[str, RoleReference] = {}
    permissions: set[str] = set()
    policies: list[PermissionPolicy] = []
    for grant, role in access_store.grants(session, subject_id):
        if grant.subject_type == subject_type and role.id not in found:
            found[role.id] = RoleReference(id=role.id, name=role.name)
            permissions.update(rules.subject.role_permissions(access_store.as_role(role)))
            policies += [policy_document(policy) for policy in role.permission_policies]
    return UserAuthorization(
        roles=list(found.values()),
        unused_roles=[],
        permissions=sorted(permissions),
        permission_policies=policies,
    )


def policy_document(policy: Mapping[str, Any]) -> PermissionPolicy:
    """A stored policy as documents show it."""
    return PermissionPolicy(
        domain=str(policy.get("domain", "")),
        entity_name=str(policy.get("entityName", "")),
        policy_name=str(policy.get("policyName") or f"{policy.get('domain')}_{policy.get('entityName')}"),
        policy_description=policy.get("policyDescription"),
        action_set=list(policy.get("actionSet") or []),
        allow_conditions=bool(policy.get("allowConditions", True)),
        resource_condition_node=policy.get("resourceConditionNode"),
    )


def role_document(session: Session, role: Role, *, count: bool = False) -> RoleDocument:
    """The document of a role; ``count`` adds how many users hold it."""
    return RoleDocument(
        id=role.id,
        name=role.name,
        description=role.description,
        default_role_id=role.default_role_id,
        permissions=list(role.permissions),
        unused_permissions=[],
        permission_policies=[policy_document(policy) for policy in role.permission_policies],
        user_count=len(access_store.subjects_of_role(session, role.id)) if count else None,
        role_needs_update=False,
        default=role.is_default,
        base=role.is_base,
        self_uri=f"/api/v2/authorization/roles/{role.id}",
    )


def check_may_give(
    caller: Caller, permissions: Iterable[str], policies: Iterable[Mapping[str, Any]], division_id: str
) -> None:
    """Nobody gives away what they do not hold themselves, in that division and without condition.

    :raises ApiError: 403 naming what the caller lacks.
    """
    asked = [*permissions, *(pattern for policy in policies for pattern in policy_permissions(policy))]
    missing = []
    for pattern in asked:
        reach = caller.access.divisions_for(pattern)
        if not (reach.every if division_id == EVERY_DIVISION else division_id in reach):
            missing.append(pattern)
    if missing:
        raise missing_permissions(missing, every=True)


@family.operation(
    "GET",
    "/api/v2/authorization/roles",
    "get_authorization_roles",
    any_of("authorization:role:view"),
    returns=Listing[RoleDocument],
)
def list_roles(
    caller: Signed,
    parts: Parts,
    page: Paging,
    name: str | None = None,
    user_count: Annotated[bool, Query(alias="userCount")] = True,
    default_role_id: Annotated[CommaList, Query(alias="defaultRoleId")] = None,
    permission: CommaList = None,
    ids: Annotated[CommaList, Query(alias="id")] = None,
) -> Listing[RoleDocument]:
    """Roles, by name."""
    with parts.database.reading() as session:
        rows = [
            role
            for role in access_store.roles(session, name=name, size=10_000).items
            if (ids is None or role.id in ids)
            and (default_role_id is None or role.default_role_id in default_role_id)
            and (permission is None or all(_holds(role, wanted) for wanted in permission))
        ]
        return page.envelope([role_document(session, row, count=user_count) for row in page.cut(rows)], len(rows))


def _holds(role: Role, permission: str) -> bool:
    held = rules.subject.role_permissions(access_store.as_role(role))
    return any(rules.covers(pattern, permission) for pattern in held)


@family.operation(
    "POST",
    "/api/v2/authorization/roles",
    "post_authorization_roles",
    any_of("authorization:role:add"),
    returns=RoleDocument,
)
def create_role(caller: Signed, parts: Parts, body: RoleInput) -> RoleDocument:
    """Adds a role."""
    now = parts.clock.now_us()
    permissions, policies = _permissions(body), _policies(body)
    check_may_give(caller, permissions, policies, EVERY_DIVISION)
    with changes.changing(parts, caller) as session:
        role = Role(
            id=new_id(),
            name=_free_name(session, body.name, None),
            description=body.description,
            permissions=permissions,
            permission_policies=policies,
            created_at=now,
            modified_at=now,
            created_by=caller.subject.id,
            modified_by=caller.subject.id,
        )
        session.add(role)
        session.flush()
        return role_document(session, role)


@family.operation(
    "GET",
    "/api/v2/authorization/roles/{roleId}",
    "get_authorization_role",
    any_of("authorization:role:view"),
    returns=RoleDocument,
)
def one_role(
    caller: Signed, parts: Parts, roleId: str, user_count: Annotated[bool, Query(alias="userCount")] = False
) -> RoleDocument:
    """A role."""
    with parts.database.reading() as session:
        return role_document(session, find_role(session, roleId), count=user_count)


@family.operation(
    "PUT",
    "/api/v2/authorization/roles/{roleId}",
    "put_authorization_role",
    any_of("authorization:role:edit"),
    returns=RoleDocument,
)
def replace_role(caller: Signed, parts: Parts, roleId: str, body: RoleInput) -> RoleDocument:
    """Changes a role."""
    return _change(caller, parts, roleId, body)


@family.operation(
    "PATCH",
    "/api/v2/authorization/roles/{roleId}",
    "patch_authorization_role",
    any_of("authorization:role:edit"),
    returns=RoleDocument,
)
def change_role(caller: Signed, parts: Parts, roleId: str, body: RoleInput) -> RoleDocument:
    """Changes a role."""
    return _change(caller, parts, roleId, body)


def _change(caller: Caller, parts: Parts, role_id: str, body: RoleInput) -> RoleDocument:
    given = body.given()
    with changes.changing(parts, caller) as session:
        role = find_role(session, role_id)
        wanted: dict[str, Any] = {}
        if "name" in given:
            wanted["name"] = _free_name(session, body.name, role)
        if "description" in given:
            wanted["description"] = body.description
        if "permissions" in given:
            wanted["permissions"] = _permissions(body)
        if "permission_policies" in given:
            wanted["permission_policies"] = _policies(body)
        if {"permissions", "permission_policies"} & wanted.keys():
            if role.default_role_id == "administrator" and changes.differing(role, wanted):
                raise conflict("The administrator role keeps its permissions, or nobody could repair the others.")
            check_may_give(
                caller,
                wanted.get("permissions", role.permissions),
                wanted.get("permission_policies", role.permission_policies),
                EVERY_DIVISION,
            )
        if changes.apply(role, wanted, None):
            role.version += 1
            role.modified_at, role.modified_by = parts.clock.now_us(), caller.subject.id
            session.flush()
        return role_document(session, role)


@family.operation(
    "DELETE",
    "/api/v2/authorization/roles/{roleId}",
    "delete_authorization_role",
    any_of("authorization:role:delete"),
    status=204,
)
def delete_role(caller: Signed, parts: Parts, roleId: str) -> None:
    """Removes a role; its grants go with it. Built-in roles stay."""
    with changes.changing(parts, caller) as session:
        role = find_role(session, roleId)
        if role.is_base:
            raise conflict("Built-in roles cannot be deleted.")
        session.delete(role)


def find_role(session: Session, role_id: str) -> Role:
    """:raises ApiError: 404, no such role."""
    role = access_store.role(session, role_id)
    if role is None:
        raise not_found("role", role_id)
    return role


def _free_name(session: Session, name: str | None, role: Role | None) -> str:
    text = changes.required_text(name, "name")
    others = access_store.roles(session, name=text.replace("*", "?"), size=10_000).items
    if any(other.name == text and (role is None or other.id != role.id) for other in others):
        raise conflict(f"There is a role {text!r} already.")
    return text


def _permissions(body: RoleInput) -> list[str]:
    permissions = list(dict.fromkeys(body.permissions or []))
    for permission in permissions:
        if not rules.is_permission(permission):
            raise bad_request(f"{permission!r} is no domain:entity:action.", "permissions", "invalid.value")
    return permissions


def _policies(body: RoleInput) -> list[dict[str, Any]]:
    found = []
    for policy in body.permission_policies or []:
        document = policy.model_dump(by_alias=True, exclude_none=True)
        if not all(rules.is_permission(pattern) for pattern in policy_permissions(document)):
            raise bad_request("domain, entityName and actionSet must be names or *.", "permissionPolicies")
        if policy.resource_condition_node is not None:
            try:
                rules.from_document(policy.resource_condition_node)
            except rules.ConditionError as error:
                raise bad_request(
                    f"resourceConditionNode: {error}", "permissionPolicies.resourceConditionNode", "invalid.value"
                ) from error
        found.append(document)
    return found
