"""Recording keys as people see them: when made, by whom, of which kind. The keys are in the key folder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from earwitness.store import settings as setting_store
from earwitness.store.paging import Page, page_of
from earwitness.store.tables import KeyConfiguration, RecordingKey, Setting

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
