"""Integrations: where recordings are exported to.

The contract only reads them. Making, changing and deleting one are ours. Secrets go in and never come out.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import Query

from earwitness.domain.ids import new_id
from earwitness.store import audit, integrations
from earwitness.store.tables import Integration
from earwitness.web.kernel.callers import Caller, Signed
from earwitness.web.kernel.changes import check_version, required_text
from earwitness.web.kernel.documents import Document, Moment, OneOf, RequestBody
from earwitness.web.kernel.errors import bad_request, conflict, not_found
from earwitness.web.kernel.operations import Family, any_of
from earwitness.web.kernel.paging import CommaList, Listing, Paging
from earwitness.web.kernel.services import Parts, Services

family = Family("Integrations")

PATH = "/api/v2/integrations"
OURS = "/api/v2/earwitness/integrations"
VIEW = "integrations:integration:view"
ADD = "integrations:integration:add"
EDIT = "integrations:integration:edit"
DELETE = "integrations:integration:delete"
KIND = "integration"
REPORTED = ("ACTIVE", "ACTIVATING", "INACTIVE", "DEACTIVATING", "ERROR")
FORMATS = ("WAV", "WAV_ULAW", "MP3", "OGG_OPUS", "OGG_VORBIS", "WEBM", "FLAC", "ORIGINAL")
NAMES = {integrations.FOLDER: "Folder", integrations.S3: "S3 bucket"}
PROPERTIES = {
    integrations.FOLDER: ("path", "format"),
    integrations.S3: ("bucket", "prefix", "region", "endpoint", "virtualHosted", "format"),
}
SECRETS = ("accessKeyId", "secretAccessKey", "sessionToken")
LONGEST = 1000


class IntegrationTypeDocument(Document):
    """What it is."""

    id: str
    name: str
    description: str
    provider: str
    category: str
    self_uri: str


class CredentialInfo(Document):
    """That there are credentials; never what they are."""

    id: str
    name: str


class IntegrationConfiguration(Document):
    """How it is set up."""

    id: str
    name: str
    version: int
    properties: dict[str, Any]
    advanced: dict[str, Any]
    notes: str | None = None
    credentials: dict[str, CredentialInfo]
    self_uri: str


class IntegrationConfigurationInfo(Document):
    """The present one."""

    current: IntegrationConfiguration


class MessageInfo(Document):
    """What to tell people."""

    message: str


class IntegrationStatusInfo(Document):
    """What the worker found when it tried."""

    code: str
    effective: str
    detail: MessageInfo | None = None
    last_updated: Moment | None = None


class IntegrationDocument(Document):
    """An integration."""

    id: str
    name: str
    integration_type: IntegrationTypeDocument
    notes: str | None = None
    intended_state: str
    config: IntegrationConfigurationInfo
    reported_state: IntegrationStatusInfo
    attributes: dict[str, str]
    version: int
    self_uri: str


class IntegrationInput(RequestBody):
    """An integration to make, or what is to change of one: absent stays, null removes."""

    name: str | None = None
    type: Annotated[str, OneOf(*integrations.TYPES)] | None = None
    notes: str | None = None
    intended_state: Annotated[str, OneOf("ENABLED", "DISABLED")] | None = None
    properties: dict[str, Any] | None = None
    credentials: dict[str, str | None] | None = None
    """``accessKeyId``, ``secretAccessKey``, ``sessionToken``; absent ones stay, null removes one."""
    version: int | None = None


@family.operation("GET", PATH, "get_integrations", any_of(VIEW), returns=Listing[IntegrationDocument], audited=KIND)
def list_integrations(
    caller: Signed,
    parts: Parts,
    page: Paging,
    sort_by: Annotated[str | None, Query(alias="sortBy")] = None,
    ids: CommaList = None,
    integration_type: Annotated[str | None, Query(alias="integrationType")] = None,
    reported_state: Annotated[Annotated[str, OneOf(*REPORTED)] | None, Query(alias="reportedState")] = None,
) -> Listing[IntegrationDocument]:
    """Integrations by name."""
    with parts.database.reading() as session:
        found = integrations.listing(
            session,
            ids=ids,
            kind=integration_type,
            reported=reported_state,
            descending=(sort_by or "").strip().casefold() in ("-name", "name:desc"),
            number=page.number,
            size=page.size,
        )
    return page.envelope([_document(row) for row in found.items], found.total)


@family.operation(
    "GET", PATH + "/{integrationId}", "get_integration", any_of(VIEW), returns=IntegrationDocument, audited=KIND
)
def one_integration(caller: Signed, parts: Parts, integrationId: str) -> IntegrationDocument:
    """An integration, with what the worker found when it last tried."""
    with parts.database.reading() as session:
        row = integrations.get(session, integrationId)
    if row is None:
        raise not_found("integration", integrationId)
    return _document(row)


@family.operation("POST", OURS, "post_earwitness_integrations", any_of(ADD), returns=IntegrationDocument, audited=KIND)
def create_integration(caller: Signed, parts: Parts, body: IntegrationInput) -> IntegrationDocument:
    """Makes an integration of type ``earwitness-folder`` or ``earwitness-s3``.

    Properties of a folder: ``path``, below ``exports`` of the data folder; of a bucket: ``bucket``, ``prefix``,
    ``region``, ``endpoint``, ``virtualHosted``; of both: ``format`` (WAV if absent).
    """
    if body.type is None:
        raise bad_request(f"type must be one of {', '.join(integrations.TYPES)}.", "type")
    name, now, integration_id = required_text(body.name, "name"), parts.clock.now_us(), new_id()
    row = Integration(
        id=integration_id,
        name=name,
        type=body.type,
        notes=_notes(body.notes),
        intended_state=body.intended_state or integrations.DISABLED,
        config=_properties(body.type, body.properties or {}),
        secrets=integrations.seal(parts.box, integration_id, _secrets(body.type, body.credentials or {}, {})),
        created_at=now,
        modified_at=now,
        created_by=caller.subject.id,
        modified_by=caller.subject.id,
        version=1,
    )
    row.reported_code = (
        integrations.INACTIVE if row.intended_state == integrations.DISABLED else integrations.ACTIVATING
    )
    with parts.database.transaction() as session:
        if integrations.name_taken(session, name):
            raise conflict(f"There is an integration {name} already.", "general.conflict")
        session.add(row)
        session.flush()
        _note(parts, caller, session, row, "create", {"after": _told(row)})
        return _document(row)


@family.operation(
    "PUT",
    OURS + "/{integrationId}",
    "put_earwitness_integration",
    any_of(EDIT),
    returns=IntegrationDocument,
    audited=KIND,
)
def change_integration(caller: Signed, parts: Parts, integrationId: str, body: IntegrationInput) -> IntegrationDocument:
    """Changes an integration; its type stays. Whatever waits for it is tried again."""
    given, now = body.given(), parts.clock.now_us()
    with parts.database.transaction() as session:
        row = integrations.get(session, integrationId)
        if row is None:
            raise not_found("integration", integrationId)
        if body.type is not None and body.type != row.type:
            raise bad_request("The type of an integration does not change.", "type", "invalid.value")
        before, wanted = _told(row), dict[str, Any]()
        if "name" in given:
            wanted["name"] = required_text(body.name, "name")
            if integrations.name_taken(session, wanted["name"], but=row.id):
                raise conflict(f"There is an integration {wanted['name']} already.", "general.conflict")
        if "notes" in given:
            wanted["notes"] = _notes(body.notes)
        if body.intended_state is not None:
            wanted["intended_state"] = body.intended_state
        if body.properties is not None:
            wanted["config"] = _properties(row.type, body.properties)
        changed = {key: value for key, value in wanted.items() if getattr(row, key) != value}
        known = integrations.unseal(parts.box, row)
        secrets = _secrets(row.type, body.credentials or {}, known)
        if secrets != known:
            changed["secrets"] = integrations.seal(parts.box, row.id, secrets)
        if changed:
            check_version(row.version, body.version)
            for key, value in changed.items():
                setattr(row, key, value)
            row.version, row.modified_at, row.modified_by = row.version + 1, now, caller.subject.id
            enabled = row.intended_state == integrations.ENABLED
            row.reported_code = integrations.ACTIVATING if enabled else integrations.INACTIVE
            row.reported_detail, row.reported_at = None, now
            session.flush()
            detail = {"before": before, "after": _told(row)}
            _note(parts, caller, session, row, "change", detail | ({"secrets": "changed"} if secrets != known else {}))
        return _document(row)


@family.operation(
    "DELETE", OURS + "/{integrationId}", "delete_earwitness_integration", any_of(DELETE), status=204, audited=KIND
)
def delete_integration(caller: Signed, parts: Parts, integrationId: str) -> None:
    """Deletes an integration with its secrets. Recordings that were to be exported there wait, and say so."""
    with parts.database.transaction() as session:
        row = session.get(Integration, integrationId)
        if row is None:
            raise not_found("integration", integrationId)
        if row.intended_state == integrations.DELETED:
            return
        before = _told(row)
        row.intended_state, row.secrets, row.reported_code = integrations.DELETED, None, integrations.INACTIVE
        row.version, row.modified_at, row.modified_by = row.version + 1, parts.clock.now_us(), caller.subject.id
        session.flush()
        _note(parts, caller, session, row, "delete", {"before": before})


def _properties(kind: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """:raises ApiError: 400 naming the property."""
    unknown = sorted(set(given) - set(PROPERTIES[kind]))
    if unknown:
        raise bad_request(
            f"properties.{unknown[0]} is none of {', '.join(PROPERTIES[kind])}.", f"properties.{unknown[0]}"
        )
    found = {key: value for key, value in given.items() if value is not None}
    for key, value in found.items():
        right = isinstance(value, bool) if key == "virtualHosted" else isinstance(value, str) and len(value) <= LONGEST
        if not right:
            raise bad_request(f"properties.{key} is of the wrong type, or too long.", f"properties.{key}")
    chosen = str(found.get("format", "WAV")).upper()
    if chosen not in FORMATS:
        raise bad_request(
            f"properties.format must be one of {', '.join(FORMATS)}.", "properties.format", "invalid.value"
        )
    if "format" in found:
        found["format"] = chosen
    if kind == integrations.FOLDER:
        _check_folder(str(found.get("path", "")))
    else:
        _check_bucket(found)
    return found


def _check_folder(path: str) -> None:
    parts = PurePosixPath(path).parts
    if (
        not parts
        or path.startswith("/")
        or ".." in parts
        or "\\" in path
        or any(part.startswith(".") for part in parts)
    ):
        raise bad_request(
            "properties.path must be a folder below the exports folder, such as archive/2026.",
            "properties.path",
            "invalid.value",
        )


def _check_bucket(found: Mapping[str, Any]) -> None:
    if not found.get("bucket") or "/" in str(found["bucket"]):
        raise bad_request("properties.bucket is required: the name of a bucket.", "properties.bucket")
    endpoint = found.get("endpoint")
    if endpoint is not None:
        try:
            parts = urlsplit(endpoint)
            right = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.username is None
        except ValueError:
            right = False
        if not right:
            raise bad_request(
                "properties.endpoint must be an http or https address.", "properties.endpoint", "invalid.value"
            )


def _secrets(kind: str, given: Mapping[str, str | None], known: Mapping[str, str]) -> dict[str, str]:
    """The secrets as they are to be.

    :raises ApiError: 400 naming the one that there is not.
    """
    allowed = SECRETS if kind == integrations.S3 else ()
    for key, value in given.items():
        if key not in allowed:
            raise bad_request(f"credentials.{key[:100]} is unknown here.", f"credentials.{key[:100]}")
        if value is not None and len(value) > LONGEST:
            raise bad_request(f"credentials.{key} is too long.", f"credentials.{key}", "invalid.value")
    merged = {**known, **given}
    return {key: value for key, value in merged.items() if value}


def _notes(text: str | None) -> str | None:
    if text is not None and len(text) > LONGEST:
        raise bad_request(f"notes may have {LONGEST} characters.", "notes", "invalid.value")
    return text


def _told(row: Integration) -> dict[str, Any]:
    """For the audit log."""
    return {
        "name": row.name,
        "type": row.type,
        "intendedState": row.intended_state,
        "properties": row.config,
        "notes": row.notes,
    }


def _note(parts: Services, caller: Caller, session: Any, row: Integration, action: str, detail: dict[str, Any]) -> None:
    audit.add(
        session,
        at=parts.clock.now_us(),
        subject=caller.subject,
        action=action,
        entity_type=KIND,
        entity_id=row.id,
        remote_address=caller.remote_address,
        detail=detail,
    )


def _document(row: Integration) -> IntegrationDocument:
    uri = f"{PATH}/{row.id}"
    kind = IntegrationTypeDocument(
        id=row.type,
        name=NAMES.get(row.type, row.type),
        description="Recordings are exported to it",
        provider="earwitness",
        category="export",
        self_uri=f"{PATH}/types/{row.type}",
    )
    credentials = {} if row.secrets is None else {"target": CredentialInfo(id=row.id, name=f"{row.name} credentials")}
    current = IntegrationConfiguration(
        id=row.id,
        name=row.name,
        version=row.version,
        properties=row.config,
        advanced={},
        notes=row.notes,
        credentials=credentials,
        self_uri=f"{uri}/config/current",
    )
    reported = IntegrationStatusInfo(
        code=row.reported_code,
        effective="enabled" if row.intended_state == integrations.ENABLED else "disabled",
        detail=MessageInfo(message=row.reported_detail) if row.reported_detail else None,
        last_updated=row.reported_at,
    )
    return IntegrationDocument(
        id=row.id,
        name=row.name,
        integration_type=kind,
        notes=row.notes,
        intended_state=row.intended_state,
        config=IntegrationConfigurationInfo(current=current),
        reported_state=reported,
        attributes={},
        version=row.version,
        self_uri=uri,
    )
