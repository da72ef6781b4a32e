"""Recording keys as people see them: when made, by whom, of which kind. The keys are in the key folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from earwitness.domain.ids import new_id
from earwitness.store import settings as setting_store
from earwitness.store.paging import Page, page_of
from earwitness.store.tables import KeyConfiguration, OrphanRecording, Recording, RecordingKey, RecordingObject, Setting

ROTATION = "recording_key_rotation"
"""Settings: ``{"period", "since"}``; ``since``: when the period was set, UTC microseconds."""
DISABLED = "DISABLED"
DAY_US = 86_400_000_000
PERIODS = {"DAILY": DAY_US, "WEEKLY": 7 * DAY_US, "MONTHLY": 30 * DAY_US, "YEARLY": 365 * DAY_US}
"""Period -> length."""
DEFAULT_ROTATION: dict[str, Any] = {"period": DISABLED, "since": 0}


def listing(session: Session, *, number: int = 1, size: int = 25) -> Page[RecordingKey]:
    """A page of keys, the newest first."""
    return page_of(session, select(RecordingKey).order_by(RecordingKey.version.desc()), number, size)


def versions(session: Session) -> set[int]:
    """Numbers that are known."""
    return set(session.scalars(select(RecordingKey.version)))


def newest(session: Session) -> RecordingKey | None:
    """The key in use, as far as known."""
    return session.scalars(select(RecordingKey).order_by(RecordingKey.version.desc()).limit(1)).first()


def by_version(session: Session, version: int) -> RecordingKey | None:
    """The key of that number."""
    return session.scalars(select(RecordingKey).where(RecordingKey.version == version)).first()


def configurations(session: Session) -> Sequence[KeyConfiguration]:
    """Every configuration, the one in use first."""
    statement = select(KeyConfiguration).order_by(KeyConfiguration.modified_at.desc(), KeyConfiguration.id)
    return session.scalars(statement).all()


def in_use(session: Session) -> KeyConfiguration | None:
    """The configuration that was changed last; None: keys are our own."""
    return next(iter(configurations(session)), None)


def rotation(session: Session) -> dict[str, Any]:
    """``{"period", "since"}``."""
    return dict(setting_store.get(session, ROTATION) or DEFAULT_ROTATION)


def lock_rotation(session: Session, at: int) -> dict[str, Any]:
    """The same; nobody else rotates until the transaction ends."""
    if session.get(Setting, ROTATION) is None:
        setting_store.put(session, ROTATION, DEFAULT_ROTATION, at)
    row = session.scalars(select(Setting).where(Setting.key == ROTATION).with_for_update()).one()
    return dict(row.value)


@dataclass(frozen=True, slots=True)
class Found:
    """A recording key of the key folder."""

    kind: str
    created_at: int
    summary: str
    configuration_id: str | None = None
    keypair_id: str | None = None
    kms_arn: str | None = None


def sync(session: Session, found: Mapping[int, Found], user_id: str | None = None) -> None:
    """Notes keys that the key folder holds and nobody has noted yet.

    :param user_id: who made the newest of them, if anybody.
    """
    known = versions(session)
    for version in sorted(set(found) - known):
        key = found[version]
        own = key.kind == "Native"
        session.add(
            RecordingKey(
                id=new_id(),
                version=version,
                type=key.kind,
                created_at=key.created_at,
                summary=key.summary,
                user_id=user_id if version == max(found) else None,
                configuration_id=key.configuration_id,
                keypair_id=key.keypair_id,
                kms_arn=key.kms_arn,
                rewrap_scope="native" if own and version > 1 else None,
            )
        )
    session.flush()


def next_to_rewrap(session: Session, after: str, limit: int) -> list[tuple[str, list[str]]]:
    """Recordings and orphans after an id, each with its ids in the vault; on nobody's behalf."""
    kept = select(Recording.id).where(Recording.id > after, Recording.file_state != "DELETED")
    alone = select(OrphanRecording.id).where(
        OrphanRecording.id > after,
        OrphanRecording.file_state != "DELETED",
        ~exists(select(1).where(Recording.id == OrphanRecording.id)),
    )
    ids = sorted(
        [
            *session.scalars(kept.order_by(Recording.id).limit(limit)),
            *session.scalars(alone.order_by(OrphanRecording.id).limit(limit)),
        ]
    )[:limit]
    objects: dict[str, set[str]] = {}
    listed = select(RecordingObject.recording_id, RecordingObject.object_key).where(
        RecordingObject.recording_id.in_(ids)
    )
    for recording_id, key in session.execute(listed):
        objects.setdefault(recording_id, set()).add(key.partition("/")[0])
    for row in session.scalars(select(OrphanRecording).where(OrphanRecording.id.in_(ids))):
        objects.setdefault(row.id, set()).update(str(item["object_key"]).partition("/")[0] for item in row.objects)
    return [(key, [key, *sorted(objects.get(key, set()) - {key})]) for key in ids]
