"""Roles beyond making and changing them: the built-in ones as they were, how many roles somebody has, settings."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from pydantic import Field
from sqlalchemy.orm import Session

from earwitness.domain import access as rules
from earwitness.domain.ids import new_id
from earwitness.store import access as access_store
from earwitness.store import audit, users
from earwitness.store import settings as setting_store
from earwitness.store.tables import Role
from earwitness.web.api.roles import EVERY_DIVISION, RoleDocument, check_may_give, role_document
from earwitness.web.kernel import changes
from earwitness.web.kernel.callers import Caller, Signed
from earwitness.web.kernel.documents import Document, RequestBody
from earwitness.web.kernel.errors import bad_request
from earwitness.web.kernel.operations import SIGNED_IN, Family, any_of
from earwitness.web.kernel.paging import CommaList, Listing, Page, Paging
from earwitness.web.kernel.services import Parts, Services

family = Family("Roles")
PATH = "/api/v2/authorization"
EDIT_ROLES = "authorization:role:edit"
ANALYSIS = "authorization"
MOST_SUBJECTS = 100


class RoleName(RequestBody):
    """A built-in role, by its id or by what it is."""

    id: str | None = None
    default_role_id: str | None = None


class Product(Document):
    """What the organisation has."""

    id: str


class AuthorizationSettings(Document):
    """Whether unused permissions are looked for. They are not here."""

    analysis_enabled: bool
    analysis_days: int


class AuthorizationSettingsInput(RequestBody):
    """Settings to change."""

    analysis_enabled: bool | None = None
    analysis_days: int | None = Field(default=None, ge=1, le=3650)


@family.operation(
    "POST",
    PATH + "/roles/default",
    "post_authorization_roles_default",
    any_of(EDIT_ROLES),
    returns=Listing[RoleDocument],
)
def add_defaults(caller: Signed, parts: Parts, page: Paging, force: bool = False) -> Listing[RoleDocument]:
    """Adds built-in roles that are missing; with ``force`` every one is made again what it was to begin with."""
    with changes.changing(parts, caller) as session:
        missing = [known.key for known in rules.DEFAULT_ROLES if access_store.default_role(session, known.key) is None]
        for key in missing:
            _check(caller, key)
        access_store.add_default_roles(session, parts.clock.now_us(), new_id)
        if force:
            for known in rules.DEFAULT_ROLES:
                _reset(session, parts, caller, known.key)
        session.flush()
        return _listing(session, page)


@family.operation(
    "PUT",
    PATH + "/roles/default",
    "put_authorization_roles_default",
    any_of(EDIT_ROLES),
    returns=Listing[RoleDocument],
)
def reset_defaults(caller: Signed, parts: Parts, page: Paging, body: list[RoleName]) -> Listing[RoleDocument]:
    """Makes these built-in roles again what they were to begin with."""
    with changes.changing(parts, caller) as session:
        for item in body:
            row = session.get(Role, item.id) if item.id else None
            key = item.default_role_id or (row.default_role_id if row is not None else None)
            if key is None or access_store.default_role(session, key) is None:
                raise bad_request(f"{item.id or item.default_role_id} is no built-in role.", "id", "invalid.value")
            _reset(session, parts, caller, key)
        session.flush()
        return _listing(session, page)


def _check(caller: Caller, key: str) -> None:
    """Nobody makes a role that may more than they may themselves."""
    known = next(item for item in rules.DEFAULT_ROLES if item.key == key)
    check_may_give(caller, list(known.permissions), [dict(item) for item in known.policies], EVERY_DIVISION)


def _reset(session: Session, parts: Services, caller: Caller, key: str) -> None:
    known = next((item for item in rules.DEFAULT_ROLES if item.key == key), None)
    row = access_store.default_role(session, key)
    if known is None or row is None:
        raise bad_request(f"{key} is no built-in role any more.", "defaultRoleId", "invalid.value")
    wanted = {"permissions": list(known.permissions), "permission_policies": [dict(item) for item in known.policies]}
    if changes.differing(row, wanted):
        _check(caller, key)
        changes.apply(row, wanted, None)
        row.version += 1
        row.modified_at, row.modified_by = parts.clock.now_us(), caller.subject.id


def _listing(session: Session, page: Page) -> Listing[RoleDocument]:
    found = [row for known in rules.DEFAULT_ROLES if (row := access_store.default_role(session, known.key)) is not None]
    return page.envelope([role_document(session, row) for row in page.cut(found)], len(found))


@family.operation(
    "GET",
    PATH + "/subjects/rolecounts",
    "get_authorization_subjects_rolecounts",
    any_of("authorization:grant:view"),
    returns=dict[str, int],
)
def role_counts(caller: Signed, parts: Parts, ids: Annotated[CommaList, Query(alias="id")] = None) -> dict[str, int]:
    """How many different roles each of these subjects holds."""
    if not ids or len(ids) > MOST_SUBJECTS:
        raise bad_request(f"id names 1 to {MOST_SUBJECTS} subjects.", "id")
    with parts.database.reading() as session:
        return {key: len({role.id for _, role in access_store.grants(session, key)}) for key in ids}


@family.operation("GET", PATH + "/products", "get_authorization_products", SIGNED_IN, returns=Listing[Product])
def products(caller: Signed, parts: Parts, page: Paging) -> Listing[Product]:
    """What the organisation has: this recorder."""
    with parts.database.reading() as session:
        found = [Product(id="earwitness")] if users.organization(session) is not None else []
    return page.envelope(page.cut(found), len(found))


@family.operation(
    "GET",
    PATH + "/settings",
    "get_authorization_settings",
    any_of("directory:organization:admin", "authorization:settings:view"),
    returns=AuthorizationSettings,
)
def settings(caller: Signed, parts: Parts) -> AuthorizationSettings:
    """Whether, and over how many days, unused permissions are looked for. They are not here."""
    with parts.database.reading() as session:
        return AuthorizationSettings(analysis_enabled=False, **_stored(session))


@family.operation(
    "PATCH",
    PATH + "/settings",
    "patch_authorization_settings",
    any_of("directory:organization:admin", "authorization:settings:edit"),
    returns=AuthorizationSettings,
)
def change_settings(caller: Signed, parts: Parts, body: AuthorizationSettingsInput) -> AuthorizationSettings:
    """Changes them. The analysis of unused permissions cannot be switched on: there is none."""
    if body.analysis_enabled:
        raise bad_request("There is no analysis of unused permissions here.", "analysisEnabled", "invalid.value")
    now = parts.clock.now_us()
    with parts.database.transaction() as session:
        stored = _stored(session)
        if body.analysis_days is not None and body.analysis_days != stored["analysis_days"]:
            stored["analysis_days"] = body.analysis_days
            setting_store.put(session, ANALYSIS, {"analysisDays": body.analysis_days}, now)
            audit.add(session, at=now, subject=caller.subject, action="change", entity_type="authorizationSettings",
                      remote_address=caller.remote_address, detail=dict(stored))  # fmt: skip
        return AuthorizationSettings(analysis_enabled=False, **stored)


def _stored(session: Session) -> dict[str, int]:
    return {"analysis_days": int(setting_store.get(session, ANALYSIS, {}).get("analysisDays", 90))}
