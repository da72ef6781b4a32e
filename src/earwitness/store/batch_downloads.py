"""Batches of recordings that somebody wants to download (I10)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from earwitness.domain.access import Subject
from earwitness.store.tables import BatchDownload, BatchDownloadItem

MOST_ITEMS = 100
KEPT_US = 7 * 86_400_000_000
"""How long a batch that is done is remembered."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """An item as asked for."""

    conversation_id: str
    recording_id: str | None = None


def add(
    session: Session, job_id: str, subject: Subject, wanted: Sequence[Wanted], at: int, format_id: str | None = None
) -> BatchDownload:
    """A new batch."""
    job = BatchDownload(id=job_id, subject_type=subject.type, subject_id=subject.id, created_at=at, format_id=format_id)
    session.add(job)
    session.flush()
    session.add_all(
        BatchDownloadItem(
            job_id=job_id, number=number, conversation_id=item.conversation_id, recording_id=item.recording_id
        )
        for number, item in enumerate(wanted)
    )
    session.flush()
    return job


def get(session: Session, subject: Subject, job_id: str) -> BatchDownload | None:
    """The subject's own batch of that id."""
    job = session.get(BatchDownload, job_id)
    own = job is not None and (job.subject_type, job.subject_id) == (subject.type, subject.id)
    return job if own else None


def items(session: Session, job_id: str) -> Sequence[BatchDownloadItem]:
    """Everything in a batch, in order."""
    statement = select(BatchDownloadItem).where(BatchDownloadItem.job_id == job_id)
    return session.scalars(statement.order_by(BatchDownloadItem.number)).all()


def unfinished(session: Session, limit: int) -> Sequence[BatchDownload]:
    """Batches with something to do, the oldest first."""
    statement = select(BatchDownload).where(BatchDownload.finished_at.is_(None))
    return session.scalars(statement.order_by(BatchDownload.created_at, BatchDownload.id).limit(limit)).all()


def locked(session: Session, job_id: str) -> BatchDownload | None:
    """A batch that nobody else changes until the transaction ends."""
    return session.scalars(select(BatchDownload).where(BatchDownload.id == job_id).with_for_update()).first()


def next_number(session: Session, job_id: str) -> int:
    """For an item that comes in addition."""
    last = session.scalar(select(func.max(BatchDownloadItem.number)).where(BatchDownloadItem.job_id == job_id))
    return 0 if last is None else int(last) + 1


def old(session: Session, now: int) -> list[str]:
    """Batches that were done long ago."""
    gone = BatchDownload.finished_at.is_not(None) & (BatchDownload.finished_at < now - KEPT_US)
    return list(session.scalars(select(BatchDownload.id).where(gone).limit(100)))


def forget(session: Session, ids: Sequence[str]) -> None:
    """Forgets batches."""
    session.execute(delete(BatchDownloadItem).where(BatchDownloadItem.job_id.in_(ids)))
    session.execute(delete(BatchDownload).where(BatchDownload.id.in_(ids)))
