"""Programs and tokens beyond making them: what is authorised, scopes, ending somebody's tokens, idle time-outs."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field
from sqlalchemy.orm import Session

from earwitness.store import access as access_store
from earwitness.store import audit, oauth, users
from earwitness.store import settings as setting_store
from earwitness.store.tables import OauthClient
from earwitness.web.api import divisions
from earwitness.web.kernel.callers import Signed
from earwitness.web.kernel.documents import Document, Moment, OneOf, Reference, RequestBody
from earwitness.web.kernel.errors import bad_request, not_found
from earwitness.web.kernel.idle import IDLE, LONGEST_S, SHORTEST_S
from earwitness.web.kernel.operations import SIGNED_IN, Family, any_of
from earwitness.web.kernel.services import Parts

family = Family("Tokens")
AUTHORIZATIONS = "/api/v2/oauth/authorizations"
SCOPES = "/api/v2/oauth/scopes"
TIMEOUT = "/api/v2/tokens/timeout"
END = "oauth:token:delete"


class AuthorizedClient(Document):
    """A program."""

    id: str
    name: str
    description: str | None = None
    authorized_grant_type: str
    scope: list[str]
    state: str


class Authorization(Document):
    """What a program may do here."""

    client: AuthorizedClient
    scope: list[str]
    roles: list[str]
    resource_owner: Reference
    date_created: Moment
    date_modified: Moment
    created_by: Reference | None = None
    modified_by: Reference | None = None
    pending: bool
    state: str
    self_uri: str


class Authorizations(Document):
    """Every program."""

    total: int
    entities: list[Authorization]
    self_uri: str


class Scope(Document):
    """A word that programs are registered with. Rights come from roles; scopes are kept and shown."""

    id: str
    description: str
    self_uri: str


class Scopes(Document):
    """Every scope that a program is registered with."""

    total: int
    entities: list[Scope]
    self_uri: str


class IdleTimeout(Document):
    """After how long unused a token of a user ends."""

    idle_token_timeout_seconds: int
    enable_idle_token_timeout: bool
    inactivity_timeout_unit: str


class IdleTimeoutInput(RequestBody):
    """The same to change; absent fields stay."""

    idle_token_timeout_seconds: int | None = Field(default=None, ge=SHORTEST_S, le=LONGEST_S)
    enable_idle_token_timeout: bool | None = None
    inactivity_timeout_unit: Annotated[str, OneOf("Minutes", "Hours")] | None = None
    inactivity_timeout_groups_enabled: bool | None = None


def _authorization(session: Session, row: OauthClient) -> Authorization:
    organization = users.organization(session)
    assert organization is not None
    return Authorization(
        client=AuthorizedClient(
            id=row.id, name=row.name, description=row.description, authorized_grant_type=row.authorized_grant_type,
            scope=list(row.scope), state=row.state,
        ),
        scope=list(row.scope),
        roles=list(dict.fromkeys(role.id for _, role in access_store.grants(session, row.id))),
        resource_owner=Reference(id=organization.id, name=organization.name),
        date_created=row.created_at,
        date_modified=row.modified_at,
        created_by=Reference(id=row.created_by) if row.created_by else None,
        modified_by=Reference(id=row.modified_by) if row.modified_by else None,
        pending=False,
        state="Authorized" if row.state == "active" else "Revoked",
        self_uri=f"{AUTHORIZATIONS}/{row.id}",
    )  # fmt: skip


@family.operation(
    "GET", AUTHORIZATIONS, "get_oauth_authorizations", any_of("oauth:client:authorize"), returns=Authorizations
)
def authorizations(caller: Signed, parts: Parts) -> Authorizations:
    """Every program and what it may do here, by name. One that is not active is revoked."""
    with parts.database.reading() as session:
        entities = [_authorization(session, row) for row in oauth.clients(session, size=10_000).items]
    return Authorizations(total=len(entities), entities=entities, self_uri=AUTHORIZATIONS)


@family.operation(
    "GET",
    AUTHORIZATIONS + "/{clientId}",
    "get_oauth_authorization",
    any_of("oauth:client:authorize"),
    returns=Authorization,
)
def authorization(caller: Signed, parts: Parts, clientId: str) -> Authorization:
    """A program and what it may do here."""
    with parts.database.reading() as session:
        row = oauth.client(session, clientId)
        if row is None:
            raise not_found("client", clientId)
        return _authorization(session, row)


def _scopes(parts: Parts) -> list[Scope]:
    with parts.database.reading() as session:
        names = {name for row in oauth.clients(session, size=10_000).items for name in row.scope}
    text = "Programs are registered with it. Rights come from roles."
    return [Scope(id=name, description=text, self_uri=f"{SCOPES}/{name}") for name in sorted(names)]


@family.operation("GET", SCOPES, "get_oauth_scopes", SIGNED_IN, returns=Scopes)
def scopes(caller: Signed, parts: Parts) -> Scopes:
    """Scopes that programs are registered with."""
    found = _scopes(parts)
    return Scopes(total=len(found), entities=found, self_uri=SCOPES)


@family.operation("GET", SCOPES + "/{scopeId}", "get_oauth_scope", SIGNED_IN, returns=Scope)
def scope(caller: Signed, parts: Parts, scopeId: str) -> Scope:
    """A scope that a program is registered with."""
    found = next((item for item in _scopes(parts) if item.id == scopeId), None)
    if found is None:
        raise not_found("scope", scopeId)
    return found


@family.operation("DELETE", "/api/v2/tokens/{userId}", "delete_token", any_of(END), status=204)
def end_tokens(caller: Signed, parts: Parts, userId: str) -> None:
    """Ends every token of a user: whoever holds one has to sign in again."""
    with parts.database.transaction() as session:
        user = users.get(session, userId, deleted=True)
        if user is None:
            raise not_found("user", userId)
        divisions.check(caller, user.division_id, END)
        ended = oauth.end_tokens_of(session, user.id)
        audit.add(session, at=parts.clock.now_us(), subject=caller.subject, action="endTokens", entity_type="user",
                  entity_id=user.id, remote_address=caller.remote_address, detail={"tokens": ended})  # fmt: skip


def _timeout(stored: dict[str, Any]) -> IdleTimeout:
    return IdleTimeout(
        idle_token_timeout_seconds=int(stored.get("seconds", LONGEST_S)),
        enable_idle_token_timeout=bool(stored.get("enabled", False)),
        inactivity_timeout_unit=str(stored.get("unit", "Minutes")),
    )


@family.operation("GET", TIMEOUT, "get_tokens_timeout", SIGNED_IN, returns=IdleTimeout)
def timeout(caller: Signed, parts: Parts) -> IdleTimeout:
    """After how long unused a token of a user ends."""
    with parts.database.reading() as session:
        return _timeout(setting_store.get(session, IDLE, {}))


@family.operation("PUT", TIMEOUT, "put_tokens_timeout", any_of("directory:organization:admin"), returns=IdleTimeout)
def change_timeout(caller: Signed, parts: Parts, body: IdleTimeoutInput) -> IdleTimeout:
    """Changes it: 5 minutes to 8 hours, off to begin with. Tokens of programs do not idle."""
    if body.inactivity_timeout_groups_enabled:
        raise bad_request("Groups have no time-outs of their own.", "inactivityTimeoutGroupsEnabled", "invalid.value")
    now = parts.clock.now_us()
    with parts.database.transaction() as session:
        stored = dict(setting_store.get(session, IDLE, {}))
        given = {"seconds": body.idle_token_timeout_seconds, "enabled": body.enable_idle_token_timeout,
                 "unit": body.inactivity_timeout_unit}  # fmt: skip
        new = {key: value for key, value in given.items() if value is not None and stored.get(key) != value}
        if new:
            setting_store.put(session, IDLE, {**stored, **new}, now)
            audit.add(session, at=now, subject=caller.subject, action="change", entity_type="idleTokenTimeout",
                      remote_address=caller.remote_address, detail=new)  # fmt: skip
    parts.idle.look_again()
    return _timeout({**stored, **new})
