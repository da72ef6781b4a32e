"""Programs that call the API."""

from __future__ import annotations

from typing import Annotated, Any

from sqlalchemy.orm import Session

from earwitness.domain.ids import new_id
from earwitness.store import access as access_store
from earwitness.store import audit, oauth
from earwitness.store.tables import OauthClient
from earwitness.web.api import divisions, grants, roles
from earwitness.web.kernel import changes
from earwitness.web.kernel.callers import Caller, Signed
from earwitness.web.kernel.documents import Document, Moment, OneOf, Reference, RequestBody
from earwitness.web.kernel.errors import bad_request, not_found
from earwitness.web.kernel.operations import Family, any_of
from earwitness.web.kernel.paging import Listing, Paging
from earwitness.web.kernel.passwords import hash_password, new_token
from earwitness.web.kernel.services import Parts

family = Family("OAuth clients")
PATH = "/api/v2/oauth/clients"
GRANT_TYPES = ("CLIENT-CREDENTIALS", "PASSWORD")
VALIDITY_S = (300, 172_800)


class RoleDivisionDocument(Document):
    """A role in a division."""

    role_id: str
    division_id: str


class ClientDocument(Document):
    """A program. ``secret`` is there once: in the reply that made it."""

    id: str
    name: str
    description: str | None = None
    access_token_validity_seconds: int
    registered_redirect_uri: list[str]
    secret: str | None = None
    role_ids: list[str]
    date_created: Moment
    date_modified: Moment
    created_by: Reference | None = None
    modified_by: Reference | None = None
    authorized_grant_type: str
    scope: list[str]
    role_divisions: list[RoleDivisionDocument]
    state: str
    self_uri: str


class RoleDivisionInput(RequestBody):
    """A role in a division."""

    role_id: str
    division_id: str | None = None


class ClientInput(RequestBody):
    """A program to make or change; absent fields stay."""

    name: str | None = None
    description: str | None = None
    access_token_validity_seconds: int | None = None
    registered_redirect_uri: list[str] | None = None
    role_ids: list[str] | None = None
    role_divisions: list[RoleDivisionInput] | None = None
    authorized_grant_type: (
        Annotated[str, OneOf("CODE", "TOKEN", "SAML2-BEARER", "PASSWORD", "CLIENT-CREDENTIALS")] | None
    ) = None
    scope: list[str] | None = None
    state: Annotated[str, OneOf("active", "disabled", "inactive")] | None = None


def _document(session: Session, row: OauthClient, secret: str | None = None) -> ClientDocument:
    held = access_store.grants(session, row.id)
    return ClientDocument(
        id=row.id,
        name=row.name,
        description=row.description,
        access_token_validity_seconds=row.access_token_validity_s,
        registered_redirect_uri=list(row.registered_redirect_uris),
        secret=secret,
        role_ids=list(dict.fromkeys(role.id for _, role in held)),
        date_created=row.created_at,
        date_modified=row.modified_at,
        created_by=_by(row.created_by),
        modified_by=_by(row.modified_by),
        authorized_grant_type=row.authorized_grant_type,
        scope=list(row.scope),
        role_divisions=[RoleDivisionDocument(role_id=role.id, division_id=g.division_id) for g, role in held],
        state=row.state,
        self_uri=f"{PATH}/{row.id}",
    )


def _by(subject_id: str | None) -> Reference | None:
    return Reference(id=subject_id) if subject_id else None


def _find(session: Session, client_id: str) -> OauthClient:
    row = oauth.client(session, client_id)
    if row is None:
        raise not_found("client", client_id)
    return row


def _columns(body: ClientInput) -> dict[str, Any]:
    wanted: dict[str, Any] = {}
    given = body.given()
    if "name" in given:
        wanted["name"] = changes.required_text(body.name, "name")
    if "description" in given:
        wanted["description"] = body.description
    if body.access_token_validity_seconds is not None:
        if not VALIDITY_S[0] <= body.access_token_validity_seconds <= VALIDITY_S[1]:
            raise bad_request(
                f"accessTokenValiditySeconds must be {VALIDITY_S[0]} to {VALIDITY_S[1]}.",
                "accessTokenValiditySeconds",
                "invalid.value",
            )
        wanted["access_token_validity_s"] = body.access_token_validity_seconds
    if body.registered_redirect_uri is not None:
        wanted["registered_redirect_uris"] = body.registered_redirect_uri
    if body.scope is not None:
        wanted["scope"] = body.scope
    if body.state is not None:
        wanted["state"] = body.state
    if body.authorized_grant_type is not None:
        if body.authorized_grant_type not in GRANT_TYPES:
            raise bad_request(
                f"authorizedGrantType must be one of {', '.join(GRANT_TYPES)} here.",
                "authorizedGrantType",
                "invalid.value",
            )
        wanted["authorized_grant_type"] = body.authorized_grant_type
    return wanted


def _set_roles(session: Session, caller: Caller, row: OauthClient, body: ClientInput, now: int) -> None:
    if body.role_divisions is None and body.role_ids is None:
        return
    home = divisions.home(session).id
    if body.role_divisions is not None:
        wanted = {(pair.role_id, pair.division_id or home) for pair in body.role_divisions}
    else:
        wanted = {(role_id, home) for role_id in body.role_ids or []}
    subject = ("client", row.id)
    held = {(role.id, grant.division_id) for grant, role in access_store.grants(session, row.id)}
    for role_id, division_id in sorted(held - wanted):
        grants.take(session, caller, subject, role_id, division_id, now)
    for role_id, division_id in sorted(wanted - held):
        role = access_store.role(session, role_id)
        if role is None:
            raise bad_request(f"There is no role {role_id}.", "roleDivisions.roleId", "invalid.value")
        grants.give(session, caller, subject, role, division_id, now)
    grants.keep_an_administrator(session)


def _no_more_than_own(session: Session, caller: Caller, row: OauthClient) -> None:
    """Nobody gets hold of a program that may do more than they may themselves."""
    for grant, role in access_store.grants(session, row.id):
        roles.check_may_give(caller, role.permissions, role.permission_policies, grant.division_id)


@family.operation("GET", PATH, "get_oauth_clients", any_of("oauth:client:view"), returns=Listing[ClientDocument])
def list_clients(caller: Signed, parts: Parts, page: Paging) -> Listing[ClientDocument]:
    """Programs, by name."""
    with parts.database.reading() as session:
        found = oauth.clients(session, number=page.number, size=page.size)
        return page.envelope([_document(session, row) for row in found.items], found.total)


@family.operation("POST", PATH, "post_oauth_clients", any_of("oauth:client:add"), returns=ClientDocument)
def create_client(caller: Signed, parts: Parts, body: ClientInput) -> ClientDocument:
    """Adds a program. Its secret is in the reply and nowhere else."""
    changes.required_text(body.name, "name")
    columns, now, secret = _columns(body), parts.clock.now_us(), new_token()
    hashed = hash_password(secret)
    with parts.database.transaction() as session:
        row = OauthClient(
            id=new_id(),
            secret_hash=hashed,
            created_at=now,
            modified_at=now,
            created_by=caller.subject.id,
            modified_by=caller.subject.id,
            **columns,
        )
        session.add(row)
        session.flush()
        _set_roles(session, caller, row, body, now)
        _note(session, caller, now, "create", row.id)
        return _document(session, row, secret)


@family.operation("GET", PATH + "/{clientId}", "get_oauth_client", any_of("oauth:client:view"), returns=ClientDocument)
def one_client(caller: Signed, parts: Parts, clientId: str) -> ClientDocument:
    """A program."""
    with parts.database.reading() as session:
        return _document(session, _find(session, clientId))


@family.operation("PUT", PATH + "/{clientId}", "put_oauth_client", any_of("oauth:client:edit"), returns=ClientDocument)
def change_client(caller: Signed, parts: Parts, clientId: str, body: ClientInput) -> ClientDocument:
    """Changes a program. One that is not active loses every token."""
    columns, now = _columns(body), parts.clock.now_us()
    with parts.database.transaction() as session:
        row = _find(session, clientId)
        _set_roles(session, caller, row, body, now)
        if changes.apply(row, columns, None):
            row.version += 1
            row.modified_at, row.modified_by = now, caller.subject.id
            if row.state != "active":
                grants.keep_an_administrator(session)
                oauth.end_tokens_of(session, row.id)
            _note(session, caller, now, "change", row.id)
            session.flush()
        return _document(session, row)


@family.operation("DELETE", PATH + "/{clientId}", "delete_oauth_client", any_of("oauth:client:delete"), status=204)
def delete_client(caller: Signed, parts: Parts, clientId: str) -> None:
    """Removes a program and ends its tokens."""
    with parts.database.transaction() as session:
        _find(session, clientId)
        access_store.revoke(session, clientId)
        grants.keep_an_administrator(session)
        oauth.delete_client(session, clientId)
        _note(session, caller, parts.clock.now_us(), "delete", clientId)


@family.operation(
    "POST",
    PATH + "/{clientId}/secret",
    "post_oauth_client_secret",
    any_of("oauth:client:edit"),
    returns=ClientDocument,
)
def new_secret(caller: Signed, parts: Parts, clientId: str) -> ClientDocument:
    """Makes a new secret; the old one and every token end at once."""
    secret, now = new_token(), parts.clock.now_us()
    hashed = hash_password(secret)
    with parts.database.transaction() as session:
        row = _find(session, clientId)
        _no_more_than_own(session, caller, row)
        row.secret_hash = hashed
        row.version += 1
        row.modified_at, row.modified_by = now, caller.subject.id
        if row.id != caller.subject.id:
            oauth.end_tokens_of(session, row.id)
        _note(session, caller, now, "newSecret", row.id)
        session.flush()
        return _document(session, row, secret)


def _note(session: Session, caller: Caller, now: int, action: str, client_id: str) -> None:
    audit.add(
        session,
        at=now,
        subject=caller.subject,
        action=action,
        entity_type="oauthClient",
        entity_id=client_id,
        remote_address=caller.remote_address,
    )
