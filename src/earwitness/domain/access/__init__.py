"""Who may do what: permissions, roles, grants, conditions. Pure; the store turns the answer into SQL."""

from earwitness.domain.access.condition import Condition, ConditionError, from_document
from earwitness.domain.access.permission import covers, is_permission
from earwitness.domain.access.roles import DEFAULT_ROLES, DefaultRole
from earwitness.domain.access.subject import (
    ALL_DIVISIONS,
    Access,
    AccessRefusedError,
    Divisions,
    Grant,
    NotAllowedError,
    NotVisibleError,
    Role,
    Scope,
    Subject,
    resolve,
)

__all__ = [
    "ALL_DIVISIONS",
    "DEFAULT_ROLES",
    "Access",
    "AccessRefusedError",
    "Condition",
    "ConditionError",
    "DefaultRole",
    "Divisions",
    "Grant",
    "NotAllowedError",
    "NotVisibleError",
    "Role",
    "Scope",
    "Subject",
    "covers",
    "from_document",
    "is_permission",
    "resolve",
]
