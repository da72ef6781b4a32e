"""Recording keys (I11): those that there are, new ones, and when they change by themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Annotated, Any

from sqlalchemy.orm import Session

from earwitness.archive.vault import KeyMissingError, KeyServiceError
from earwitness.archive.vault.key_facts import facts_of
from earwitness.archive.vault.key_making import Way, make_key, register_key
from earwitness.archive.vault.recording_keys import KMS, LOCAL, NATIVE
from earwitness.store import audit, recording_keys, users
from earwitness.store import settings as setting_store
from earwitness.store.recording_keys import Found
from earwitness.store.tables import KeyConfiguration, RecordingKey
from earwitness.web.api.interchange.key_configurations import EDIT, VIEW
from earwitness.web.api.interchange.key_configurations import PATH as CONFIGURATIONS
from earwitness.web.kernel.callers import Caller, Signed
from earwitness.web.kernel.changes import required_text
from earwitness.web.kernel.documents import Document, Moment, OneOf, Reference, RequestBody
from earwitness.web.kernel.errors import bad_request, conflict, unavailable
from earwitness.web.kernel.operations import Family, any_of
from earwitness.web.kernel.paging import Listing, Paging
from earwitness.web.kernel.services import Parts, Services

family = Family("Recording keys")

PATH = "/api/v2/recording/recordingkeys"
SCHEDULE = PATH + "/rotationschedule"
REWRAP = "/api/v2/earwitness/recordingkeys/rewrap"
KIND = "recordingKey"


class LocalConfiguration(Document):
    """The key service that keeps the private half."""

    id: str
    url: str | None = None
    api_id: str | None = None
    self_uri: str


class EncryptionKey(Document):
    """A recording key; what can be told of it."""

    id: str
    name: str
    create_date: Moment
    keydata_summary: str
    user: Reference | None = None
    local_encryption_configuration: LocalConfiguration | None = None
    key_configuration_type: str
    kms_key_arn: str | None = None
    self_uri: str


class LocalKeyInput(RequestBody):
    """A key pair that a key service has made."""

    config_id: str | None = None
    public_key: str | None = None
    keypair_id: str | None = None


class KeyRotationSchedule(Document):
    """How often there is a new key."""

    id: str
    name: str
    period: str
    self_uri: str


class KeyRotationScheduleInput(RequestBody):
    """How often there is to be a new key."""

    period: Annotated[str, OneOf("DISABLED", *recording_keys.PERIODS)] | None = None


class Rewrapping(Document):
    """How far wrapping data keys anew is."""

    key_version: int
    scope: str
    date_completed: Moment | None = None


@family.operation(
    "GET", PATH, "get_recording_recordingkeys", any_of(VIEW), returns=Listing[EncryptionKey], audited=KIND
)
def list_keys(caller: Signed, parts: Parts, page: Paging) -> Listing[EncryptionKey]:
    """Recording keys, the newest first: that is the one in use."""
    _note_keys(parts)
    with parts.database.reading() as session:
        found = recording_keys.listing(session, number=page.number, size=page.size)
        return page.envelope([_document(session, row) for row in found.items], found.total)


@family.operation("POST", PATH, "post_recording_recordingkeys", any_of(EDIT), returns=EncryptionKey, audited=KIND)
def create_key(caller: Signed, parts: Parts) -> EncryptionKey:
    """Makes a recording key of the kind that is configured, which wraps data keys from now on.

    Recordings that there are stay readable. If those who are to keep the key do not answer, nothing changes (503).
    """
    with parts.database.reading() as session:
        configured = recording_keys.in_use(session)
    way = Way(NATIVE)
    if configured is not None:
        way = Way(configured.type, configured.id, (configured.url or "") if configured.type == KMS else "")
    return _made(parts, caller, lambda: make_key(parts.arguments.keys_dir, way))


@family.operation(
    "POST",
    "/api/v2/recording/localkeys",
    "post_recording_localkeys",
    any_of(EDIT),
    returns=EncryptionKey,
    audited=KIND,
)
def register_local_key(caller: Signed, parts: Parts, body: LocalKeyInput) -> EncryptionKey:
    """Takes a key pair of a key service into use: the public half is kept here.

    The service is asked to open something first; what it cannot open would never be played again.
    """
    keypair_id = required_text(body.keypair_id, "keypairId")
    public_key = required_text(body.public_key, "publicKey", 16_384)
    configuration_id = required_text(body.config_id, "configId")
    with parts.database.reading() as session:
        row = session.get(KeyConfiguration, configuration_id)
    if row is None or row.type != LOCAL:
        raise bad_request(f"There is no configuration {configuration_id} of {LOCAL}.", "configId", "invalid.value")
    try:
        return _made(
            parts,
            caller,
            lambda: register_key(parts.arguments.keys_dir, configuration_id, keypair_id, public_key),
        )
    except ValueError as error:
        raise bad_request(str(error), "publicKey", "invalid.value") from error


@family.operation(
    "GET",
    SCHEDULE,
    "get_recording_recordingkeys_rotationschedule",
    any_of(VIEW),
    returns=KeyRotationSchedule,
    audited=KIND,
)
def schedule(caller: Signed, parts: Parts) -> KeyRotationSchedule:
    """How often there is a new key."""
    with parts.database.reading() as session:
        return _schedule(str(recording_keys.rotation(session)["period"]))


@family.operation(
    "PUT",
    SCHEDULE,
    "put_recording_recordingkeys_rotationschedule",
    any_of(EDIT),
    returns=KeyRotationSchedule,
    audited=KIND,
)
def change_schedule(caller: Signed, parts: Parts, body: KeyRotationScheduleInput) -> KeyRotationSchedule:
    """How often there is to be a new key, counted from the newest; a month has 30 days, a year 365."""
    if body.period is None:
        raise bad_request("period is required.", "period")
    now = parts.clock.now_us()
    with parts.database.transaction() as session:
        told = recording_keys.lock_rotation(session, now)
        if told["period"] != body.period:
            before = told["period"]
            setting_store.put(session, recording_keys.ROTATION, {**told, "period": body.period}, now)
            detail = {"before": {"period": before}, "after": {"period": body.period}}
            _audit(parts, session, caller, "change", "keyRotationSchedule", None, detail)
    return _schedule(body.period)


@family.operation(
    "POST", REWRAP, "post_earwitness_recordingkeys_rewrap", any_of(EDIT), returns=Rewrapping, audited=KIND
)
def start_rewrapping(caller: Signed, parts: Parts) -> Rewrapping:
    """Has the data keys of all recordings wrapped anew with the key in use, whatever wraps them now.

    With a key service or a KMS that cannot be taken back: without it nothing that is wrapped so can be played.
    """
    _note_keys(parts)
    with parts.database.transaction() as session:
        row = recording_keys.newest(session)
        assert row is not None
        if row.rewrap_scope != "all":
            row.rewrap_scope, row.rewrapped_after, row.rewrapped_at = "all", "", None
            _audit(parts, session, caller, "rewrap", KIND, row.id, {"version": row.version})
        return _rewrapping(row)


@family.operation("GET", REWRAP, "get_earwitness_recordingkeys_rewrap", any_of(VIEW), returns=Rewrapping, audited=KIND)
def rewrapping(caller: Signed, parts: Parts) -> Rewrapping:
    """How far that is."""
    _note_keys(parts)
    with parts.database.reading() as session:
        row = recording_keys.newest(session)
        assert row is not None
        return _rewrapping(row)


def _made(parts: Services, caller: Caller, make: Callable[[], int]) -> EncryptionKey:
    """Makes a key, and tells of it.

    :raises ApiError: 503, those who are to keep it do not answer, or refuse.
    """
    _note_keys(parts)
    try:
        version = make()
    except KeyServiceError as error:
        with parts.database.transaction() as session:
            configured = recording_keys.in_use(session)
            if configured is not None:
                configured.error = str(error)
            _audit(parts, session, caller, "create", KIND, None, {"error": str(error)}, result="failed")
        raise unavailable(f"No key was made: {error}") from error
    _note_keys(parts, caller.user_id)
    with parts.database.transaction() as session:
        row = recording_keys.by_version(session, version)
        assert row is not None
        configured = recording_keys.in_use(session)
        if configured is not None:
            configured.error = None
        _audit(parts, session, caller, "create", KIND, row.id, {"version": version, "type": row.type})
        return _document(session, row)


def _note_keys(parts: Services, user_id: str | None = None) -> None:
    """Has the database know of every key in the key folder.

    :raises ApiError: 409, there is none.
    """
    folder = parts.arguments.keys_dir
    try:
        keyring = parts.vault.keyring
    except KeyMissingError as error:
        raise conflict(str(error), "keys.missing") from error
    found = {number: Found(**asdict(key)) for number, key in facts_of(keyring, folder).items()}
    with parts.database.reading() as session:
        known = recording_keys.versions(session)
    if set(found) - known:
        with parts.database.transaction() as session:
            recording_keys.sync(session, found, user_id)


def _audit(
    parts: Services,
    session: Session,
    caller: Caller,
    action: str,
    kind: str,
    entity_id: str | None,
    detail: Mapping[str, Any],
    result: str = "allowed",
) -> None:
    audit.add(
        session,
        at=parts.clock.now_us(),
        subject=caller.subject,
        action=action,
        entity_type=kind,
        entity_id=entity_id,
        remote_address=caller.remote_address,
        result=result,
        detail=dict(detail),
    )


def _document(session: Session, row: RecordingKey) -> EncryptionKey:
    user = users.get(session, row.user_id) if row.user_id is not None else None
    local = None
    if row.type == LOCAL and row.configuration_id is not None:
        configured = session.get(KeyConfiguration, row.configuration_id)
        local = LocalConfiguration(
            id=row.configuration_id,
            url=configured.url if configured is not None else None,
            api_id=configured.api_id if configured is not None else None,
            self_uri=f"{CONFIGURATIONS}/{row.configuration_id}",
        )
    return EncryptionKey(
        id=row.id,
        name=f"Recording key {row.version}",
        create_date=row.created_at,
        keydata_summary=row.summary,
        user=Reference(id=user.id, name=user.name, self_uri=f"/api/v2/users/{user.id}") if user is not None else None,
        local_encryption_configuration=local,
        key_configuration_type=row.type,
        kms_key_arn=row.kms_arn,
        self_uri=f"{PATH}/{row.id}",
    )


def _schedule(period: str) -> KeyRotationSchedule:
    return KeyRotationSchedule(
        id="rotationschedule", name="Rotation of recording keys", period=period, self_uri=SCHEDULE
    )


def _rewrapping(row: RecordingKey) -> Rewrapping:
    return Rewrapping(key_version=row.version, scope=row.rewrap_scope or "none", date_completed=row.rewrapped_at)
