"""The permissions that roles can be made of."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query, Request

from earwitness.domain import access as rules
from earwitness.domain.access.subject import policy_permissions
from earwitness.web.kernel.callers import Signed
from earwitness.web.kernel.documents import Document
from earwitness.web.kernel.operations import SIGNED_IN, Family
from earwitness.web.kernel.paging import Listing, Paging

family = Family("Permissions")


class PermissionDocument(Document):
    """A permission."""

    domain: str
    entity_type: str
    action: str
    label: str
    allows_conditions: bool
    division_aware: bool


class PermissionCollection(Document):
    """The permissions of one domain, by kind of object."""

    id: str
    name: str
    domain: str
    permission_map: dict[str, list[PermissionDocument]]
    self_uri: str


@family.operation(
    "GET",
    "/api/v2/authorization/permissions",
    "get_authorization_permissions",
    SIGNED_IN,
    returns=Listing[PermissionCollection],
)
def list_permissions(
    caller: Signed,
    request: Request,
    page: Paging,
    query_type: Annotated[str, Query(alias="queryType", pattern="^(domain|permission)$")] = "permission",
    query: str | None = None,
) -> Listing[PermissionCollection]:
    """Every permission that an operation asks for or that a built-in role holds, by domain.

    ``query`` keeps those that contain it: in their domain, or anywhere.
    """
    names = {name for route in request.app.state.operations for name in _needed(route)}
    for role in rules.DEFAULT_ROLES:
        names.update(role.permissions)
        names.update(name for policy in role.policies for name in policy_permissions(policy))
    split = sorted(tuple(name.split(":")) for name in names if "*" not in name and name.count(":") == 2)
    domains: dict[str, dict[str, list[PermissionDocument]]] = {}
    for domain, entity, action in split:
        searched = domain if query_type == "domain" else f"{domain}:{entity}:{action}"
        if query and query.casefold() not in searched.casefold():
            continue
        per_call = domain in {"recording", "conversation", "quality"}
        domains.setdefault(domain, {}).setdefault(entity, []).append(
            PermissionDocument(
                domain=domain,
                entity_type=entity,
                action=action,
                label=f"{domain} > {entity} > {action}",
                allows_conditions=per_call,
                division_aware=domain not in {"authorization", "oauth", "audits"},
            )
        )
    collections = [
        PermissionCollection(
            id=domain,
            name=domain,
            domain=domain,
            permission_map=entities,
            self_uri=f"/api/v2/authorization/permissions/{domain}",
        )
        for domain, entities in domains.items()
    ]
    return page.envelope(page.cut(collections), len(collections))


def _needed(route: Any) -> list[str]:
    extra = getattr(route, "openapi_extra", None) or {}
    found: list[str] = extra.get("x-earwitness-permissions", {}).get("permissions", [])
    return found
