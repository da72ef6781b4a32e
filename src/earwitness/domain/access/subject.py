"""What a subject may do, resolved from its grants.

``resolve`` folds grants and roles into an ``Access``: a flat list of (permission pattern, divisions, condition).
Everything about access is asked of it; the store's ``visible_to`` turns its scopes into SQL.

Two kinds of no (design §10): what a subject cannot see does not exist for it (404), what it sees but may not do is
forbidden (403). ``Access.require`` raises the one or the other, in that order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from earwitness.domain.access import condition
from earwitness.domain.access.condition import All, Condition
from earwitness.domain.access.permission import covers

EVERY_DIVISION = "*"
"""In a grant: all divisions, those yet to be made included."""


class AccessRefusedError(Exception):
    """The subject may not."""


class NotVisibleError(AccessRefusedError):
    """For this subject there is no such thing: 404."""


class NotAllowedError(AccessRefusedError):
    """The subject lacks a permission: 403."""

    def __init__(self, permissions: Iterable[str]) -> None:
        self.permissions = tuple(permissions)
        super().__init__(f"missing permission: {', '.join(self.permissions)}")


@dataclass(frozen=True, slots=True)
class Subject:
    """Who asks: a user, or a program with credentials of its own."""

    type: str
    """``user`` or ``client``."""
    id: str

    @property
    def user_id(self) -> str | None:
        """The user's id; None for a program, which owns no calls and no recordings."""
        return self.id if self.type == "user" else None


@dataclass(frozen=True, slots=True)
class Role:
    """A named set of permissions."""

    id: str
    name: str
    permissions: tuple[str, ...] = ()
    """Held without condition."""
    policies: tuple[Mapping[str, Any], ...] = ()
    """``DomainPermissionPolicy`` documents: further permissions, each perhaps under a condition."""


@dataclass(frozen=True, slots=True)
class Grant:
    """A role in a division."""

    role: Role
    division_id: str
    """Or ``EVERY_DIVISION``."""
    condition: Mapping[str, Any] | None = None
    """``DomainResourceConditionNode``."""


@dataclass(frozen=True, slots=True)
class Divisions:
    """A set of divisions, which may be all."""

    every: bool = False
    ids: frozenset[str] = frozenset()

    def __contains__(self, division_id: object) -> bool:
        return self.every or division_id in self.ids

    def __or__(self, other: Divisions) -> Divisions:
        return ALL_DIVISIONS if self.every or other.every else Divisions(ids=self.ids | other.ids)

    def __bool__(self) -> bool:
        return self.every or bool(self.ids)


ALL_DIVISIONS = Divisions(every=True)


@dataclass(frozen=True, slots=True)
class Scope:
    """Where a permission reaches: calls in ``divisions`` for which ``condition`` holds."""

    divisions: Divisions
    condition: Condition | None = None


@dataclass(frozen=True, slots=True)
class Entitlement:
    """One permission pattern and where it reaches."""

    pattern: str
    scope: Scope


@dataclass(frozen=True, slots=True)
class Access:
    """Everything that a subject may do."""

    subject: Subject
    entitlements: tuple[Entitlement, ...] = ()
    personal: bool = True
    """What is the subject's alone is within reach: its inbox. Not for who looks at what another user sees (E2)."""

    def allows(self, permission: str) -> bool:
        """Whether the subject holds the permission anywhere."""
        return any(covers(item.pattern, permission) for item in self.entitlements)

    def allows_any(self, permissions: Iterable[str]) -> bool:
        """Whether it holds one of them; true of none asked."""
        asked = tuple(permissions)
        return not asked or any(self.allows(permission) for permission in asked)

    def allows_all(self, permissions: Iterable[str]) -> bool:
        """Whether it holds every one of them."""
        return all(self.allows(permission) for permission in permissions)

    def scopes_for(self, permission: str) -> tuple[Scope, ...]:
        """Where the permission reaches; the union counts."""
        scopes = (item.scope for item in self.entitlements if covers(item.pattern, permission))
        return tuple(dict.fromkeys(scopes))

    def divisions_for(self, permission: str) -> Divisions:
        """Divisions in whose objects (users, trunks, queues…) the permission holds.

        Conditions speak of calls; a permission under a condition reaches no other objects.
        """
        found = Divisions()
        for scope in self.scopes_for(permission):
            if scope.condition is None:
                found = found | scope.divisions
        return found

    def permissions(self) -> tuple[str, ...]:
        """Every pattern held, sorted."""
        return tuple(sorted({item.pattern for item in self.entitlements}))

    def require(self, *permissions: str, visible: bool = True, every: bool = False) -> None:
        """Lets pass who sees the object and holds one of ``permissions`` (all of them if ``every``).

        :raises NotVisibleError: the object is not visible to the subject. Asked first.
        :raises NotAllowedError: permission missing.
        """
        if not visible:
            raise NotVisibleError
        if not (self.allows_all(permissions) if every else self.allows_any(permissions)):
            raise NotAllowedError(p for p in permissions if not self.allows(p))


def policy_permissions(policy: Mapping[str, Any]) -> tuple[str, ...]:
    """The permission patterns of a ``DomainPermissionPolicy``."""
    actions = policy.get("actionSet") or []
    return tuple(f"{policy.get('domain')}:{policy.get('entityName')}:{action}" for action in actions)


def role_permissions(role: Role) -> tuple[str, ...]:
    """Every pattern that a role holds, with or without condition, sorted."""
    found = set(role.permissions)
    for policy in role.policies:
        found.update(policy_permissions(policy))
    return tuple(sorted(found))


def resolve(subject: Subject, grants: Iterable[Grant]) -> Access:
    """The access that ``grants`` give. A condition that cannot be understood gives nothing."""
    found: dict[Entitlement, None] = {}
    for grant in grants:
        every = grant.division_id == EVERY_DIVISION
        divisions = ALL_DIVISIONS if every else Divisions(ids=frozenset({grant.division_id}))
        held = [(pattern, None) for pattern in grant.role.permissions]
        conditioned = [
            (pattern, policy.get("resourceConditionNode"))
            for policy in grant.role.policies
            for pattern in policy_permissions(policy)
        ]
        for pattern, document in [*held, *conditioned]:
            try:
                scope = Scope(divisions, _both(grant.condition, document))
            except condition.ConditionError:
                continue
            found[Entitlement(pattern, scope)] = None
    return Access(subject, tuple(found))


def _both(one: Mapping[str, Any] | None, other: Mapping[str, Any] | None) -> Condition | None:
    terms = tuple(condition.from_document(document) for document in (one, other) if document is not None)
    if len(terms) == 2:
        return All(terms)
    return terms[0] if terms else None
