"""When recordings are deleted, archived and restored, and who asked for it; on nobody's behalf.

What is to be done follows from three things: the dates of a recording, the organisation's maximum, and whether its
conversation is protected. Deciding to delete and destroying are two steps. With the decision a recording is
``DELETED``: nobody reaches it any more, and there is no way back. ``store.retention_tasks`` then keeps in mind that
its audio is to be destroyed, until there is a receipt.

Web may call what is given ids that it has found through ``store.recordings``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Select, and_, func, not_, select
from sqlalchemy.orm import Session

from earwitness.store import protection, retention_tasks
from earwitness.store import settings as setting_store
from earwitness.store.tables import Recording, RetentionTask
from earwitness.store.tables.base import Document
from earwitness.store.tables.retention import AVAILABLE, NOT_DELETED, RESTORED
from earwitness.store.visibility import ADHOC

MAXIMUM = "retention"
"""Settings: ``{"days", "createdAt", "modifiedAt"}``."""
LEAST_DAYS = 90
"""The shortest organisation maximum (F20)."""
MOST_DAYS = 36_500
DAY_US = 86_400_000_000
DELETED = "DELETED"
ARCHIVE_MEDIUM = "CLOUDARCHIVE"
SYSTEM = "system"
EXPORT_GRACE_US = 3_600_000_000
"""How long a due export may keep a recording beyond its delete date."""
BY_DATE = "its delete date"
BY_MAXIMUM = "the organisation's maximum"
_CHUNK = 500


@dataclass(frozen=True, slots=True)
class Due:
    """A recording that is to be deleted now."""

    recording_id: str
    reason: str


def maximum_days(session: Session) -> int | None:
    """How many days recordings are kept at the most, counted from their creation; None: no maximum (F20)."""
    stored = setting_store.get(session, MAXIMUM) or {}
    return stored.get("days")


def set_maximum(session: Session, days: int | None, at: int) -> None:
    """Changes the maximum.

    :raises ValueError: below ``LEAST_DAYS`` or above ``MOST_DAYS``.
    """
    if days is not None and not LEAST_DAYS <= days <= MOST_DAYS:
        raise ValueError(f"recordings are kept {LEAST_DAYS} to {MOST_DAYS} days, not {days}")
    stored = setting_store.get(session, MAXIMUM) or {"createdAt": at}
    setting_store.put(session, MAXIMUM, {**stored, "days": days, "modifiedAt": at}, at)


def due(session: Session, now: int, limit: int) -> list[Due]:
    """Recordings to be deleted, the longest overdue first, those of protected conversations left out.

    A delete date does not reach what users keep in their inboxes (E8), the organisation's maximum does (F20).
    """
    unprotected = not_(protection.is_protected(Recording.conversation_id))
    dated = select(Recording.id).where(
        NOT_DELETED,
        Recording.delete_date.is_not(None),
        Recording.delete_date <= now,
        Recording.role != ADHOC,
        not_(_awaits_export(now)),
    )
    statement = dated.where(unprotected).order_by(Recording.delete_date, Recording.id).limit(limit)
    found = [Due(recording_id, BY_DATE) for recording_id in session.scalars(statement)]
    days = maximum_days(session)
    if days is None or len(found) >= limit:
        return found
    old = select(Recording.id).where(NOT_DELETED, Recording.created_at <= now - days * DAY_US, unprotected)
    known = {item.recording_id for item in found}
    aged = session.scalars(old.order_by(Recording.created_at, Recording.id).limit(limit))
    found += [Due(recording_id, BY_MAXIMUM) for recording_id in aged if recording_id not in known]
    return found[:limit]


def _awaits_export(now: int) -> ColumnElement[bool]:
    """It was to be exported before it is deleted, and that has not been done yet; but not for ever."""
    exported = func.coalesce(Recording.exported_date, 0)
    return and_(
        Recording.delete_date > now - EXPORT_GRACE_US,
        Recording.export_integration_id.is_not(None),
        func.coalesce(Recording.export_date, now + 1) <= now,
        exported < func.coalesce(Recording.export_date, 0),
    )


def ask_to_delete(
    session: Session, recording_ids: Sequence[str], by: str, reason: str, at: int, *, inbox: bool = False
) -> list[str]:
    """Decides that recordings are deleted; gives the ids of those whose destruction begins now.

    A recording of a protected conversation waits until the protection is revoked; then it goes. One that is deleted
    already stays as it is, and so do user recordings, unless ``inbox``.

    :param by: ``system``, ``user:<id>`` or ``client:<id>``; it is in the receipt.
    :param reason: for people; it is in the receipt.
    """
    begun = []
    for start in range(0, len(recording_ids), _CHUNK):
        begun += _ask(session, recording_ids[start : start + _CHUNK], by, reason, at, inbox=inbox)
    return begun


def _ask(session: Session, ids: Sequence[str], by: str, reason: str, at: int, *, inbox: bool) -> list[str]:
    statement = select(Recording).where(Recording.id.in_(sorted(ids)), NOT_DELETED)
    if not inbox:
        statement = statement.where(Recording.role != ADHOC)
    statement = statement.order_by(Recording.id).with_for_update()
    rows = session.scalars(statement.execution_options(populate_existing=True)).all()
    held = protection.protected_among(session, (row.conversation_id for row in rows if row.role != ADHOC))
    begun = {row.id: row.role == ADHOC or row.conversation_id not in held for row in rows}
    retention_tasks.put_all(session, begun, "destroy", by=by, reason=reason, at=at)
    for row in rows:
        if begun[row.id]:
            row.file_state = DELETED
            row.modified_at, row.version = at, row.version + 1
    session.flush()
    return [recording_id for recording_id, now in begun.items() if now]


def released(session: Session, limit: int) -> list[RetentionTask]:
    """Deletions that waited for a protection which is gone."""
    statement = (
        select(RetentionTask)
        .join(Recording, Recording.id == RetentionTask.recording_id)
        .where(RetentionTask.begun.is_(False), not_(protection.is_protected(Recording.conversation_id)))
    )
    return list(session.scalars(statement.limit(limit)))


def receipt(session: Session, recording_id: str) -> Document | None:
    """The receipt of a destroyed recording, as the vault gave it; None: it is not destroyed, or not yet."""
    return session.scalar(select(Recording.receipt).where(Recording.id == recording_id))


def archiving_due(session: Session, now: int) -> bool:
    """Whether ``begin_archiving`` has something to do."""
    fresh = select(Recording.id).where(
        AVAILABLE, Recording.archive_date.is_not(None), Recording.archive_date <= now, Recording.role != ADHOC
    )
    over = select(Recording.id).where(RESTORED, Recording.restore_expires_at <= now)
    return any(session.scalar(statement.limit(1)) is not None for statement in (fresh, over))


def begin_archiving(session: Session, now: int, limit: int) -> int:
    """Marks those ``ARCHIVED`` whose archive date has come, and those whose restoration has ended (G1); how many.

    Nobody plays them from now on; what is to be moved is in ``retention_tasks``.
    """
    fresh = select(Recording).where(
        AVAILABLE, Recording.archive_date.is_not(None), Recording.archive_date <= now, Recording.role != ADHOC
    )
    rows = list(_locked(session, fresh.order_by(Recording.archive_date, Recording.id).limit(limit)))
    if len(rows) < limit:
        over = select(Recording).where(RESTORED, Recording.restore_expires_at <= now)
        ordered = over.order_by(Recording.restore_expires_at, Recording.id)
        rows += _locked(session, ordered.limit(limit - len(rows)))
    for row in rows:
        reason = "its archive date" if row.restore_expires_at is None else "the end of its restoration"
        row.file_state, row.archive_medium, row.restore_expires_at = "ARCHIVED", ARCHIVE_MEDIUM, None
        row.modified_at, row.version = now, row.version + 1
        retention_tasks.put(session, row.id, "archive", by=SYSTEM, reason=reason, at=now)
    session.flush()
    return len(rows)


def _locked(session: Session, statement: Select[Recording]) -> Sequence[Recording]:
    return session.scalars(statement.with_for_update(skip_locked=True)).all()


def begin_restoring(session: Session, row: Recording, until: int, *, by: str, at: int) -> None:
    """Brings an archived recording back until a time (G4); one that is back already stays until then.

    The row must have been read ``for update`` or in a transaction that writes.
    """
    row.archive_date = row.restore_expires_at = until
    row.modified_at, row.version = at, row.version + 1
    if row.file_state != "RESTORED":
        row.file_state = "RESTORING"
        retention_tasks.put(session, row.id, "restore", by=by, reason="restored on request", at=at)
    session.flush()
