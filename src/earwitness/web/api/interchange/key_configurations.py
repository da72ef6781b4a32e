"""How recording keys are made: our own, a key service of the customer's, or a KMS (I11).

The configuration that was saved last is in use: it says of which kind the next recording key will be. Keys that there
are stay what they are. What we need to ask a key service (address, id, key) is in the key folder and never shown again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from sqlalchemy.orm import Session

from earwitness.archive.vault import KeyServiceError
from earwitness.archive.vault.key_making import try_kms, try_service
from earwitness.archive.vault.key_service import KeyService
from earwitness.archive.vault.keys import put_service, service_of
from earwitness.archive.vault.recording_keys import KMS, LOCAL, NATIVE
from earwitness.domain.ids import new_id
from earwitness.store import audit, recording_keys
from earwitness.store.tables import KeyConfiguration
from earwitness.web.kernel.callers import Caller, Signed
from earwitness.web.kernel.documents import Document, OneOf, RequestBody
from earwitness.web.kernel.errors import bad_request, not_found
from earwitness.web.kernel.operations import Family, any_of
from earwitness.web.kernel.services import Parts, Services

family = Family("Recording keys")

PATH = "/api/v2/recording/keyconfigurations"
VIEW = "recording:encryptionKey:view"
EDIT = "recording:encryptionKey:edit"
KIND = "keyConfiguration"
LONGEST = 2000


class LastError(Document):
    """What went wrong last."""

    message: str
    code: str
    status: int


class KeyConfigurationDocument(Document):
    """A configuration; its ``apiKey`` is never told."""

    id: str
    url: str | None = None
    api_id: str | None = None
    key_configuration_type: str
    last_error: LastError | None = None
    self_uri: str


class KeyConfigurationListing(Document):
    """All of them, the one in use first."""

    total: int
    entities: list[KeyConfigurationDocument]
    self_uri: str


class KeyConfigurationInput(RequestBody):
    """A configuration to save. ``apiKey`` may be left out where it is known already."""

    url: str | None = None
    api_id: str | None = None
    api_key: str | None = None
    key_configuration_type: Annotated[str, OneOf(KMS, LOCAL, NATIVE, "None")] | None = None


@dataclass(frozen=True, slots=True)
class Checked:
    """A configuration that works."""

    kind: str
    url: str | None
    api_id: str | None
    api_key: str | None


@family.operation(
    "GET", PATH, "get_recording_keyconfigurations", any_of(VIEW), returns=KeyConfigurationListing, audited=KIND
)
def list_configurations(caller: Signed, parts: Parts) -> KeyConfigurationListing:
    """Every configuration, the one in use first."""
    with parts.database.reading() as session:
        rows = recording_keys.configurations(session)
    return KeyConfigurationListing(total=len(rows), entities=[_document(row) for row in rows], self_uri=PATH)


@family.operation(
    "POST", PATH, "post_recording_keyconfigurations", any_of(EDIT), returns=KeyConfigurationDocument, audited=KIND
)
def create_configuration(caller: Signed, parts: Parts, body: KeyConfigurationInput) -> KeyConfigurationDocument:
    """Saves a configuration, once it has been tried: a key service must answer and know us, a KMS must seal and open.

    For ``KmsSymmetric``, ``url`` is the key to seal with (an ARN).
    """
    checked = _checked(parts, body, None)
    row = KeyConfiguration(id=new_id(), created_at=parts.clock.now_us())
    return _save(parts, caller, row, checked, "create")


@family.operation(
    "POST",
    PATH + "/validate",
    "post_recording_keyconfigurations_validate",
    any_of(EDIT),
    returns=KeyConfigurationDocument,
    audited=KIND,
    reads=True,
)
def validate_configuration(caller: Signed, parts: Parts, body: KeyConfigurationInput) -> KeyConfigurationDocument:
    """Tries a configuration and saves nothing. What is wrong is a 400 that says it."""
    checked = _checked(parts, body, None)
    return KeyConfigurationDocument(
        id=new_id(),
        url=checked.url,
        api_id=checked.api_id,
        key_configuration_type=checked.kind,
        self_uri=PATH,
    )


@family.operation(
    "GET",
    PATH + "/{keyConfigurationId}",
    "get_recording_keyconfiguration",
    any_of(VIEW),
    returns=KeyConfigurationDocument,
    audited=KIND,
)
def one_configuration(caller: Signed, parts: Parts, keyConfigurationId: str) -> KeyConfigurationDocument:
    """A configuration."""
    with parts.database.reading() as session:
        return _document(_find(session, keyConfigurationId))


@family.operation(
    "PUT",
    PATH + "/{keyConfigurationId}",
    "put_recording_keyconfiguration",
    any_of(EDIT),
    returns=KeyConfigurationDocument,
    audited=KIND,
)
def change_configuration(
    caller: Signed, parts: Parts, keyConfigurationId: str, body: KeyConfigurationInput
) -> KeyConfigurationDocument:
    """Changes a configuration, once it has been tried, and takes it into use.

    Keys of a key service go with their configuration: a new address or ``apiKey`` holds for them at once.
    """
    with parts.database.reading() as session:
        row = _find(session, keyConfigurationId)
    return _save(parts, caller, row, _checked(parts, body, row), "change")


def _checked(parts: Services, body: KeyConfigurationInput, row: KeyConfiguration | None) -> Checked:
    """What is to be saved, complete, and tried.

    :raises ApiError: 400, something is missing, or it does not work.
    """
    kind = body.key_configuration_type or (row.type if row is not None else None)
    if kind is None:
        raise bad_request("keyConfigurationType is required.", "keyConfigurationType")
    if kind == "None":
        raise bad_request(
            "Recordings are always encrypted: take Native for keys of our own.",
            "keyConfigurationType",
            "invalid.value",
        )
    url, api_id, api_key = body.url, body.api_id, body.api_key
    if row is not None:
        same = row.type == kind
        given = body.given()
        url = url if "url" in given or not same else row.url
        api_id = api_id if "api_id" in given or not same else row.api_id
    if any(len(text) > LONGEST for text in (url or "", api_id or "", api_key or "")):
        raise bad_request(f"Fields may have {LONGEST} characters.", "url", "invalid.value")
    try:
        if kind == LOCAL:
            if api_key is None and row is not None:
                api_key = service_of(parts.arguments.keys_dir, row.id).api_key
            for field, value in (("url", url), ("apiId", api_id), ("apiKey", api_key)):
                if not value:
                    raise bad_request(f"{field} is required for {LOCAL}.", field)
            try_service(KeyService(url or "", api_id or "", api_key or ""))
        elif kind == KMS:
            if not url:
                raise bad_request(f"url is required for {KMS}: the key to seal with.", "url")
            api_id = api_key = None
            try_kms(url)
        else:
            url = api_id = api_key = None
    except KeyServiceError as error:
        raise bad_request(f"The configuration does not work: {error}", "url", "invalid.value") from error
    return Checked(kind, url, api_id, api_key)


def _save(
    parts: Services, caller: Caller, row: KeyConfiguration, checked: Checked, action: str
) -> KeyConfigurationDocument:
    kind, now = checked.kind, parts.clock.now_us()
    if kind == LOCAL:  # before the row, so that no configuration is ever in use that cannot be asked
        put_service(parts.arguments.keys_dir, row.id, checked.url or "", checked.api_id or "", checked.api_key or "")
    with parts.database.transaction() as session:
        last = recording_keys.in_use(session)
        row = session.merge(row)
        if last is not None and last.id != row.id:
            now = max(now, last.modified_at + 1)  # the one that is saved last is in use, whatever the clock says
        row.type, row.url, row.api_id, row.error, row.modified_at = kind, checked.url, checked.api_id, None, now
        session.flush()
        audit.add(
            session,
            at=now,
            subject=caller.subject,
            action=action,
            entity_type=KIND,
            entity_id=row.id,
            remote_address=caller.remote_address,
            detail={"type": kind, "url": checked.url, "apiId": checked.api_id},
        )
        return _document(row)


def _find(session: Session, configuration_id: str) -> KeyConfiguration:
    row = session.get(KeyConfiguration, configuration_id)
    if row is None:
        raise not_found("key configuration", configuration_id)
    return row


def _document(row: KeyConfiguration) -> KeyConfigurationDocument:
    error = None
    if row.error is not None:
        error = LastError(message=row.error, code="service.unavailable", status=503)
    return KeyConfigurationDocument(
        id=row.id,
        url=row.url,
        api_id=row.api_id,
        key_configuration_type=row.type,
        last_error=error,
        self_uri=f"{PATH}/{row.id}",
    )
