"""Bulk jobs (I7–I9): one action on the recordings of all conversations that a query finds.

States: a job is made ``PENDING`` and selects; with its counts it is ``READY``; whoever made it lets it go
(``PROCESSING``), and it ends ``FULFILLED`` or ``FAILED``. Until then it can be ``CANCELLED``; what it did stays done.

It selects and acts with the rights that its maker has at that moment. Each step is one transaction on a locked job, and
notes how far it has come, so a step that is cut short is done again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import Session

from earwitness.domain.access import Access, Subject
from earwitness.domain.ids import new_id
from earwitness.store import audit, detail_query, protection, retention
from earwitness.store.paging import Page, page_of
from earwitness.store.tables import Conversation, Organization, Recording, RecordingJob, RecordingJobItem
from earwitness.store.tables.base import Document
from earwitness.store.tables.retention import NOT_DELETED
from earwitness.store.visibility import ADHOC, visible_to

EDIT_RETENTION = "recording:recording:editRetention"
PENDING, READY, PROCESSING = "PENDING", "READY", "PROCESSING"
FULFILLED, FAILED, CANCELLED = "FULFILLED", "FAILED", "CANCELLED"
AT_WORK = (PENDING, PROCESSING)
MOST_AT_WORK = 2
"""Jobs of an organisation that are pending or processing (I7)."""
CONVERSATIONS = 500
"""That one step of selecting goes through."""
ITEMS = 200
"""That one step of processing does."""
MOST_TRIES = 8


@dataclass(frozen=True, slots=True)
class Wish:
    """What a job is to do."""

    action: str
    """``DELETE``, ``ARCHIVE`` or ``EXPORT``."""
    date: int | None
    """UTC microseconds; None: by age."""
    age_days: int | None
    """After the creation of each recording."""
    integration_id: str | None
    clear_export: bool
    policy_based: bool

    def date_of(self, row: Recording) -> int:
        """When the action is due for a recording."""
        return self.date if self.date is not None else row.created_at + (self.age_days or 0) * retention.DAY_US


def wish_of(job: RecordingJob) -> Wish:
    """What a job is to do."""
    query = job.query
    return Wish(
        job.action,
        query.get("_actionDate"),
        query.get("actionAge"),
        query.get("integrationId"),
        bool(query.get("clearExport", False)),
        bool(query.get("includePolicyBasedRecordings", True)),
    )


def at_work(session: Session) -> int:
    """How many jobs are pending or processing; nobody else begins one until the transaction ends."""
    session.scalars(select(Organization.id).with_for_update()).all()
    statement = select(func.count()).select_from(RecordingJob).where(RecordingJob.state.in_(AT_WORK))
    return int(session.scalar(statement) or 0)


def create(session: Session, subject: Subject, query: Document, at: int) -> RecordingJob:
    """Makes a job that begins to select."""
    row = RecordingJob(
        id=new_id(),
        subject_type=subject.type,
        subject_id=subject.id,
        created_at=at,
        state=PENDING,
        query=query,
        action=str(query["action"]),
    )
    session.add(row)
    session.flush()
    return row


def get(session: Session, job_id: str, *, lock: bool = False) -> RecordingJob | None:
    """The job of that id."""
    return session.get(RecordingJob, job_id, with_for_update=lock or None)


def listing(
    session: Session,
    *,
    state: str | None = None,
    action: str | None = None,
    subject_id: str | None = None,
    by_user: bool = False,
    number: int = 1,
    size: int = 25,
) -> Page[RecordingJob]:
    """A page of jobs, newest first, or by who made them."""
    statement = select(RecordingJob)
    for column, wanted in (
        (RecordingJob.state, state),
        (RecordingJob.action, action),
        (RecordingJob.subject_id, subject_id),
    ):
        if wanted is not None:
            statement = statement.where(column == wanted)
    order = (RecordingJob.subject_id,) if by_user else ()
    return page_of(session, statement.order_by(*order, RecordingJob.created_at.desc(), RecordingJob.id), number, size)


def failures(session: Session, job: RecordingJob, number: int, size: int) -> Page[RecordingJobItem]:
    """A page of the recordings that a job failed with."""
    statement = select(RecordingJobItem).where(RecordingJobItem.job_id == job.id, RecordingJobItem.state == FAILED)
    return page_of(session, statement.order_by(RecordingJobItem.recording_id), number, size)


def due(session: Session, now: int) -> list[str]:
    """Jobs to go on with, the oldest first."""
    statement = select(RecordingJob.id).where(RecordingJob.state.in_(AT_WORK), RecordingJob.next_at <= now)
    return list(session.scalars(statement.order_by(RecordingJob.created_at, RecordingJob.id)))


def locked(session: Session, job_id: str) -> RecordingJob | None:
    """A job to go on with; None: somebody else does, or it is over."""
    statement = select(RecordingJob).where(RecordingJob.id == job_id, RecordingJob.state.in_(AT_WORK))
    return session.scalars(statement.with_for_update(skip_locked=True)).first()


def select_more(session: Session, job: RecordingJob, access: Access, now: int) -> bool:
    """Selects from the next conversations; gives whether it is through, and the job ready.

    :raises QueryError: the query cannot be carried out.
    """
    wish = wish_of(job)
    query = detail_query.read(session, _conversations(job), access)
    statement = select(Conversation.id, Conversation.started_at).where(*(item.where for item in query.filters))
    if query.since is not None:
        statement = statement.where(Conversation.started_at >= query.since)
    if query.until is not None:
        statement = statement.where(Conversation.started_at < query.until)
    if job.cursor:
        at, _, last = job.cursor.partition(":")
        later = and_(Conversation.started_at == int(at), Conversation.id > last)
        statement = statement.where(Conversation.started_at >= int(at), or_(Conversation.started_at > int(at), later))
    ordered = statement.order_by(Conversation.started_at, Conversation.id).limit(CONVERSATIONS)
    calls = session.execute(ordered).all()
    _add(session, job, access, wish, [row.id for row in calls])
    job.tries = 0
    if len(calls) == CONVERSATIONS:
        job.cursor = f"{calls[-1].started_at}:{calls[-1].id}"
        return False
    job.state = READY
    return True


def _conversations(job: RecordingJob) -> Document:
    aged = job.query.get("agedConversationInterval")
    return {"interval": aged} if aged else dict(job.query.get("conversationQuery") or {})


def _add(session: Session, job: RecordingJob, access: Access, wish: Wish, conversation_ids: Sequence[str]) -> None:
    if not conversation_ids or not wish.policy_based:
        return
    statement = select(Recording.id, Recording.conversation_id, Recording.file_state).where(
        Recording.conversation_id.in_(conversation_ids),
        Recording.role != ADHOC,
        NOT_DELETED,
        visible_to(access),
        visible_to(access, EDIT_RETENTION),
    )
    rows = session.execute(statement.order_by(Recording.id)).all()
    held = protection.protected_among(session, conversation_ids) if wish.action == "DELETE" else set()
    for row in rows:
        why = None
        if row.conversation_id in held:
            why = "the conversation is protected from deletion"
        elif wish.action == "ARCHIVE" and row.file_state not in ("AVAILABLE", "UPLOADING"):
            why = "it is archived"
        state = "WAITING" if why is None else "SKIPPED"
        session.add(
            RecordingJobItem(
                job_id=job.id, recording_id=row.id, conversation_id=row.conversation_id, state=state, why=why
            )
        )
        job.skipped += why is not None
    job.recordings += len(rows)
    job.conversations += len({row.conversation_id for row in rows})
    session.flush()


def process_more(session: Session, job: RecordingJob, access: Access, now: int) -> bool:
    """Does the next items; gives whether it is through, and the job over."""
    waiting = select(RecordingJobItem).where(RecordingJobItem.job_id == job.id, RecordingJobItem.state == "WAITING")
    items = session.scalars(waiting.order_by(RecordingJobItem.recording_id).limit(ITEMS)).all()
    if not items:
        done = job.recordings - job.skipped
        job.state = FAILED if done and job.failed >= done else FULFILLED
        job.error = "It failed with every recording." if job.state == FAILED else None
        job.finished_at = now
        return True
    wish, subject = wish_of(job), Subject(job.subject_type, job.subject_id)
    ids = [item.recording_id for item in items]
    statement = select(Recording).where(Recording.id.in_(ids), visible_to(access), visible_to(access, EDIT_RETENTION))
    locked_rows = statement.order_by(Recording.id).with_for_update(of=Recording)
    rows = {row.id: row for row in session.scalars(locked_rows)}
    held = protection.protected_among(session, (row.conversation_id for row in rows.values()))
    at_once = []
    for item in items:
        row = rows.get(item.recording_id)
        item.state, item.why = _apply(row, wish, held, now)
        job.processed += item.state == "DONE"
        job.skipped += item.state == "SKIPPED"
        job.failed += item.state == FAILED
        if row is None or item.state != "DONE":
            continue
        row.modified_at, row.version = now, row.version + 1
        if wish.action == "DELETE" and wish.date_of(row) <= now:
            at_once.append(row.id)
        _tell(session, job, subject, row, wish, now)
    session.flush()
    if at_once:
        by = f"{job.subject_type}:{job.subject_id}"
        retention.ask_to_delete(session, at_once, by, f"bulk job {job.id}", now)
    job.tries = 0
    return False


def _apply(row: Recording | None, wish: Wish, held: set[str], now: int) -> tuple[str, str | None]:
    """Sets the dates of one recording; gives the state of its item, and why it is not done."""
    if row is None:
        return FAILED, "it may not be changed any more by who made the job"
    if row.file_state == retention.DELETED:
        return "SKIPPED", "it is deleted"
    date = wish.date_of(row)
    if wish.action == "DELETE":
        if row.conversation_id in held:
            return "SKIPPED", "the conversation is protected from deletion"
        pending = row.export_date is not None and (row.exported_date or 0) < row.export_date
        if wish.clear_export and pending:
            row.export_date = None
        elif pending and row.export_date is not None and row.export_date > date:
            row.export_date = date
        if row.file_state == "AVAILABLE" and row.archive_date is not None and row.archive_date >= date:
            row.archive_date = None
        row.delete_date = date
    elif wish.action == "ARCHIVE":
        if row.file_state != "AVAILABLE":
            return "SKIPPED", "it is archived"
        if row.delete_date is not None and row.delete_date <= max(date, now):
            return FAILED, "it will be deleted by then"
        row.archive_date = date
    else:
        if row.delete_date is not None and row.delete_date <= max(date, now):
            return FAILED, "it will be deleted by then"
        row.export_date, row.export_integration_id = max(date, now), wish.integration_id
    return "DONE", None


def _tell(session: Session, job: RecordingJob, subject: Subject, row: Recording, wish: Wish, now: int) -> None:
    detail: dict[str, Any] = {"job": job.id, "action": wish.action, "date": wish.date_of(row)}
    audit.add(
        session,
        at=now,
        subject=subject,
        action="bulkJob",
        entity_type="recording",
        entity_id=row.id,
        conversation_id=row.conversation_id,
        detail=detail,
    )


def stumbled(session: Session, job: RecordingJob, problem: str, now: int) -> None:
    """Notes that a step went wrong; it is tried again a few times, then the job has failed."""
    job.tries += 1
    job.error = problem[:1000]
    job.next_at = now + (1_000_000 << min(job.tries, 8))
    if job.tries >= MOST_TRIES:
        job.state, job.finished_at = FAILED, now


def cancel(session: Session, job: RecordingJob, now: int) -> None:
    """Ends a job that is not over; one that is over goes."""
    if job.state in (PENDING, READY, PROCESSING):
        job.state, job.finished_at = CANCELLED, now
    elif job.state != CANCELLED:
        session.delete(job)
