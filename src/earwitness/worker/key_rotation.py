"""Recording keys change by a schedule (I11), and data keys are wrapped anew with the one in use.

Rotation makes a key of the kind that is configured; if those who keep it do not answer, the key before stays in use,
and it is tried again. Data keys of our own keys are wrapped anew by themselves; those that a key service or a KMS
guards, or is to guard, only when somebody asks for it: it cannot be taken back.
"""

from __future__ import annotations

from dataclasses import asdict

import structlog
from sqlalchemy.orm import Session

from earwitness.archive.vault import DestroyedError, KeyServiceError, NotSealedError, Vault, VaultError
from earwitness.archive.vault.key_facts import facts_of
from earwitness.archive.vault.key_making import Way, make_key
from earwitness.archive.vault.recording_keys import KMS, NATIVE
from earwitness.store import audit, recording_keys
from earwitness.store import settings as setting_store
from earwitness.store.recording_keys import Found
from earwitness.worker.bench import Bench
from earwitness.worker.vaults import vault_of

log = structlog.get_logger()

AGAIN_US = 900_000_000
"""After a rotation that failed."""
MOST = 100
"""Recordings whose data keys are wrapped anew in one go."""


def rotate(bench: Bench) -> int | None:
    """Makes a new key if it is time; gives its number."""
    now = bench.now_us()
    keyring = vault_of(bench.arguments).keyring
    found = {number: Found(**asdict(key)) for number, key in facts_of(keyring, bench.arguments.keys).items()}
    with bench.database.reading() as session:
        unknown = set(found) - recording_keys.versions(session)
        period = recording_keys.rotation(session)["period"]
    if not unknown and period not in recording_keys.PERIODS:
        return None
    with bench.database.transaction() as session:
        recording_keys.sync(session, found)
        if not _take(session, now):
            return None
        configured = recording_keys.in_use(session)
        way = Way(NATIVE)
        if configured is not None:
            way = Way(configured.type, configured.id, (configured.url or "") if configured.type == KMS else "")
    error = None
    try:
        version = make_key(bench.arguments.keys, way)
    except KeyServiceError as problem:
        version, error = None, str(problem)
        log.error("the recording key could not be rotated; the one before stays in use", error=error)
    found = {number: Found(**asdict(key)) for number, key in facts_of(keyring, bench.arguments.keys).items()}
    with bench.database.transaction() as session:
        recording_keys.sync(session, found)
        if error is None:
            told = recording_keys.lock_rotation(session, now)
            setting_store.put(session, recording_keys.ROTATION, {**told, "rotatedAt": now, "triedAt": 0}, now)
        configured = recording_keys.in_use(session)
        if configured is not None and configured.type == way.kind:
            configured.error = error
        audit.add(
            session,
            at=now,
            subject=audit.SYSTEM,
            action="recordingKey.rotated",
            entity_type="recordingKey",
            entity_id=str(version) if version is not None else None,
            result="allowed" if error is None else "failed",
            detail={"type": way.kind} | ({"error": error} if error is not None else {}),
        )
    return version


def _take(session: Session, now: int) -> bool:
    """Whether it is time; then nobody else tries for a while."""
    told = recording_keys.lock_rotation(session, now)
    period, newest = recording_keys.PERIODS.get(told["period"]), recording_keys.newest(session)
    if period is None:
        return False
    last = max(told.get("since", 0), told.get("rotatedAt", 0), newest.created_at if newest is not None else 0)
    if now - last < period or now - told.get("triedAt", 0) < AGAIN_US:
        return False
    setting_store.put(session, recording_keys.ROTATION, {**told, "triedAt": now}, now)
    return True


def rewrap(bench: Bench) -> int:
    """Wraps some data keys anew with the key in use; gives how many recordings were looked at."""
    with bench.database.reading() as session:
        newest = recording_keys.newest(session)
        if newest is None or newest.rewrap_scope is None or newest.rewrapped_at is not None:
            return 0
        due = recording_keys.next_to_rewrap(session, newest.rewrapped_after, MOST)
    vault = vault_of(bench.arguments)
    if vault.keyring.version != newest.version:
        return 0  # a key has been added; ``rotate`` notes it first
    after = newest.rewrapped_after
    try:
        for recording_id, vault_ids in due:
            for vault_id in vault_ids:
                _rewrap(vault, vault_id, every=newest.rewrap_scope == "all")
            after = recording_id
    except KeyServiceError as error:
        log.warning("data keys are not wrapped anew now; tried again", error=str(error))
    with bench.database.transaction() as session:
        row = recording_keys.by_version(session, newest.version)
        if row is not None and row.rewrapped_after == newest.rewrapped_after:
            row.rewrapped_after = after
            if not due:
                row.rewrapped_at = bench.now_us()
    return len(due)


def _rewrap(vault: Vault, vault_id: str, *, every: bool) -> None:
    """:raises KeyServiceError: not now."""
    try:
        if every or vault.keyring.kind(vault.wrapped_by(vault_id)) == NATIVE:
            vault.rewrap(vault_id)
    except (NotSealedError, DestroyedError):
        return
    except KeyServiceError:
        raise
    except VaultError as error:
        log.error("a data key cannot be wrapped anew", recording_id=vault_id, error=str(error))
