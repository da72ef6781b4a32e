"""Questions about many conversations that are kept until their answers were read."""

from __future__ import annotations

from sqlalchemy import delete
from sqlalchemy.orm import Session

from earwitness.domain.access import Subject
from earwitness.store.tables import DetailJob


def get(session: Session, subject: Subject, job_id: str, now: int) -> DetailJob | None:
    """The job of that id, if it is the subject's and has not expired."""
    row = session.get(DetailJob, job_id)
    own = row is not None and (row.subject_type, row.subject_id) == (subject.type, subject.id)
    return row if own and row is not None and row.expires_at > now else None


def forget_expired(session: Session, now: int) -> None:
    """Removes jobs whose time is over."""
    session.execute(delete(DetailJob).where(DetailJob.expires_at <= now))
