"""What the worker is to do with recordings: destroy, archive, bring back. A table of work, safe for several workers.

Taking a task sets ``next_at`` to some time from now, within which nobody else takes it; a worker that dies leaves it
to be taken after that. One that fails is tried again after 1, 2, 4 … 300 seconds, for ever. Should the clock jump back,
a ``next_at`` further off than any of these is no reason to wait.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Select, and_, delete, func, or_, select
from sqlalchemy.orm import Session

from earwitness.domain.access import Subject
from earwitness.store import audit
from earwitness.store.tables import AuditEntry, Recording, RecordingObject, RetentionTask
from earwitness.store.tables.base import Document

LEASE_US = 120_000_000
LONGEST_WAIT_US = 300_000_000
FURTHEST_US = 2 * LONGEST_WAIT_US
"""No task waits longer than this; one that seems to was put when the clock was ahead."""


@dataclass(frozen=True, slots=True)
class Task:
    """A task that was taken."""

    recording_id: str
    conversation_id: str
    kind: str
    by: str
    reason: str
    asked_at: int
    tries: int
    vault_ids: tuple[str, ...]
    """What the vault holds of the recording: its own id, then those of what was made of it."""


def put(session: Session, recording_id: str, kind: str, *, by: str, reason: str, at: int, begun: bool = True) -> None:
    """Notes a task. What is to be destroyed is not to be anything else; whoever asked first is in the receipt."""
    _put(session, session.get(RetentionTask, recording_id), recording_id, kind, by, reason, at, begun)


def put_all(session: Session, begun: Mapping[str, bool], kind: str, *, by: str, reason: str, at: int) -> None:
    """Notes a task of each of several recordings.

    :param begun: recording -> whether it begins now.
    """
    known = {row.recording_id: row for row in _tasks(session, sorted(begun))}
    for recording_id, now in begun.items():
        _put(session, known.get(recording_id), recording_id, kind, by, reason, at, now)


def _put(
    session: Session,
    row: RetentionTask | None,
    recording_id: str,
    kind: str,
    by: str,
    reason: str,
    at: int,
    begun: bool,
) -> None:
    if row is None:
        session.add(
            RetentionTask(
                recording_id=recording_id, kind=kind, begun=begun, by=by, reason=reason, asked_at=at, next_at=at
            )
        )
        return
    if row.kind != "destroy":  # somebody may be at work on it: next_at stays
        row.kind, row.by, row.reason, row.asked_at, row.tries = kind, by, reason, at, 0
        row.begun = begun
    elif begun and not row.begun:
        row.begun, row.next_at = True, at


def take(session: Session, now: int, limit: int) -> list[Task]:
    """Tasks to do now, the longest due first; they are ours for ``LEASE_US``."""
    statement = select(RetentionTask).where(_due(now))
    ordered = statement.order_by(RetentionTask.next_at, RetentionTask.recording_id).limit(limit)
    return _take(session, ordered, now)


def anything(session: Session, now: int) -> bool:
    """Whether ``take`` would find something, others' work apart."""
    return session.scalar(select(RetentionTask.recording_id).where(_due(now)).limit(1)) is not None


def _due(now: int) -> ColumnElement[bool]:
    return and_(RetentionTask.begun, or_(RetentionTask.next_at <= now, RetentionTask.next_at > now + FURTHEST_US))


def take_these(session: Session, recording_ids: Sequence[str], now: int) -> list[Task]:
    """Tasks of these recordings, unless somebody else is at them."""
    statement = select(RetentionTask).where(
        RetentionTask.begun, RetentionTask.recording_id.in_(recording_ids), RetentionTask.next_at <= now
    )
    return _take(session, statement, now)


def _take(session: Session, statement: Select[RetentionTask], now: int) -> list[Task]:
    rows = session.scalars(statement.with_for_update(skip_locked=True)).all()
    ids = [row.recording_id for row in rows]
    held = vault_ids(session, ids)
    found = select(Recording.id, Recording.conversation_id).where(Recording.id.in_(ids))
    conversations = {row.id: row.conversation_id for row in session.execute(found)}
    for row in rows:
        row.next_at = now + LEASE_US
    return [
        Task(
            row.recording_id,
            conversations[row.recording_id],
            row.kind,
            row.by,
            row.reason,
            row.asked_at,
            row.tries,
            held[row.recording_id],
        )
        for row in rows
    ]


def vault_ids(session: Session, recording_ids: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """What the vault holds of recordings: each one's own id, then those of what was made of it."""
    found: dict[str, dict[str, None]] = {recording_id: {recording_id: None} for recording_id in recording_ids}
    statement = select(RecordingObject.recording_id, RecordingObject.object_key).where(
        RecordingObject.recording_id.in_(recording_ids)
    )
    for row in session.execute(statement.order_by(RecordingObject.object_key)):
        found[row.recording_id][row.object_key.partition("/")[0]] = None
    return {recording_id: tuple(ids) for recording_id, ids in found.items()}


def destroyed(session: Session, receipts: Mapping[str, Document], now: int) -> int:
    """Notes that the audio of recordings is destroyed; gives of how many that is news.

    What had content goes, the row stays as a tombstone with the receipt. Safe to repeat.
    """
    ids = sorted(receipts)
    tasks = {row.recording_id: row for row in _tasks(session, ids)}
    statement = select(Recording).where(Recording.id.in_(sorted(tasks))).order_by(Recording.id).with_for_update()
    told: list[AuditEntry] = []
    for row in session.scalars(statement).all():
        task = tasks[row.id]
        if row.deleted_at is None:
            row.deleted_at, row.receipt = now, receipts[row.id]
            row.peaks, row.name, row.annotations, row.restore_expires_at = None, None, [], None
            row.modified_at, row.version = now, row.version + 1
            kind, _, subject_id = task.by.partition(":")
            told.append(
                AuditEntry(
                    at=now,
                    subject_type=kind,
                    subject_id=subject_id or None,
                    action="recording.deleted",
                    entity_type="recording",
                    entity_id=row.id,
                    conversation_id=row.conversation_id,
                    result="allowed",
                    detail={"reason": task.reason, "askedAt": task.asked_at},
                )
            )
    session.add_all(told)
    session.flush()
    session.execute(delete(RecordingObject).where(RecordingObject.recording_id.in_(sorted(tasks))))
    session.execute(delete(RetentionTask).where(RetentionTask.recording_id.in_(sorted(tasks))))
    return len(told)


def moved(session: Session, task: Task, now: int) -> bool:
    """Notes that a recording is in the archive, or back; False where something else was asked for meanwhile."""
    recording = session.get(Recording, task.recording_id, with_for_update=True)
    rows = _tasks(session, [task.recording_id])
    if not rows or recording is None:
        return False
    if rows[0].kind != task.kind or rows[0].asked_at != task.asked_at:
        rows[0].next_at = now  # we are through, whoever waits for us may begin
        return False
    if task.kind == "restore" and recording.file_state == "RESTORING":
        recording.file_state = "RESTORED"
        recording.modified_at, recording.version = now, recording.version + 1
    session.delete(rows[0])
    kind, _, subject_id = task.by.partition(":")
    audit.add(
        session,
        at=now,
        subject=Subject(kind, subject_id),
        action="recording.archived" if task.kind == "archive" else "recording.restored",
        entity_type="recording",
        entity_id=recording.id,
        conversation_id=recording.conversation_id,
        detail={"reason": task.reason},
    )
    return True


def failed(session: Session, problems: Mapping[str, str], now: int) -> None:
    """Notes what went wrong; each is tried again, later and later."""
    for row in _tasks(session, sorted(problems)):
        row.tries, row.problem = row.tries + 1, problems[row.recording_id][:1000]
        row.next_at = now + min(LONGEST_WAIT_US, 1_000_000 << min(row.tries - 1, 20))


def get(session: Session, recording_id: str) -> RetentionTask | None:
    """What is to be done with a recording; None: nothing."""
    return session.get(RetentionTask, recording_id)


def failing(session: Session) -> int:
    """How many tasks have failed and wait to be tried again."""
    statement = select(func.count()).select_from(RetentionTask).where(RetentionTask.begun, RetentionTask.tries > 0)
    return int(session.scalar(statement) or 0)


def leftovers(session: Session, limit: int) -> list[str]:
    """Deleted recordings of which something was made while they were being destroyed."""
    statement = (
        select(RecordingObject.recording_id)
        .join(Recording, Recording.id == RecordingObject.recording_id)
        .where(Recording.deleted_at.is_not(None))
    )
    return list(session.scalars(statement.distinct().limit(limit)))


def _tasks(session: Session, recording_ids: Sequence[str]) -> Sequence[RetentionTask]:
    statement = select(RetentionTask).where(RetentionTask.recording_id.in_(recording_ids))
    return session.scalars(statement.order_by(RetentionTask.recording_id).with_for_update()).all()
