"""What becomes of recordings: what is under way, what is protected, bulk jobs, erasures of one person.

The indexes of ``recordings`` that sweeps use hold only what is still to be done, so they do not grow with the past.
"""

from __future__ import annotations

from sqlalchemy import ForeignKey, Index, Integer, literal_column
from sqlalchemy.orm import Mapped, mapped_column

from earwitness.store.tables.base import ID, Base, Document, Identified
from earwitness.store.tables.conversations import Recording

NOT_DELETED = Recording.file_state != literal_column("'DELETED'")
"""Spelled out, so that both databases see that an index below fits."""
AVAILABLE = Recording.file_state == literal_column("'AVAILABLE'")
RESTORED = Recording.file_state == literal_column("'RESTORED'")

for _name, _column, _where in (
    ("ix_recordings_deletion_due", Recording.delete_date, NOT_DELETED & Recording.delete_date.is_not(None)),
    ("ix_recordings_age", Recording.created_at, NOT_DELETED),
    ("ix_recordings_archive_due", Recording.archive_date, AVAILABLE & Recording.archive_date.is_not(None)),
    ("ix_recordings_restore_ends", Recording.restore_expires_at, RESTORED),
):
    Index(_name, _column, Recording.id, sqlite_where=_where, postgresql_where=_where)


class DeletionProtection(Base):
    """A conversation whose recordings are not to be deleted, whatever anybody or any date says (I2)."""

    __tablename__ = "deletion_protections"

    conversation_id: Mapped[str] = mapped_column(
        ID, ForeignKey("conversations.id", ondelete="CASCADE"), primary_key=True
    )
    at: Mapped[int] = mapped_column()
    by: Mapped[str] = mapped_column()
    """``user:<id>`` or ``client:<id>``."""


class RetentionTask(Base):
    """Something that the worker is to do with a recording. At most one each; destroying takes the place of any other.

    While somebody works on it, ``next_at`` is later; after that it is anybody's again.
    """

    __tablename__ = "retention_tasks"
    __table_args__ = (Index("ix_retention_tasks_next", "begun", "next_at"),)

    recording_id: Mapped[str] = mapped_column(ID, ForeignKey("recordings.id", ondelete="CASCADE"), primary_key=True)
    kind: Mapped[str] = mapped_column(index=True)
    """``destroy``, ``archive`` or ``restore``."""
    begun: Mapped[bool] = mapped_column(default=True)
    """False: it was asked to destroy a recording that is protected; it waits."""
    by: Mapped[str] = mapped_column()
    """``system``, or ``user:<id>``, ``client:<id>``."""
    reason: Mapped[str] = mapped_column()
    asked_at: Mapped[int] = mapped_column()
    next_at: Mapped[int] = mapped_column()
    tries: Mapped[int] = mapped_column(Integer, default=0)
    """Failed ones."""
    problem: Mapped[str | None] = mapped_column(default=None)
    """What went wrong the last time."""


class RecordingJob(Base, Identified):
    """A bulk job (I7)."""

    __tablename__ = "recording_jobs"

    subject_type: Mapped[str] = mapped_column()
    subject_id: Mapped[str] = mapped_column(ID, index=True)
    created_at: Mapped[int] = mapped_column(index=True)
    state: Mapped[str] = mapped_column(index=True)
    """``PENDING``, ``READY``, ``PROCESSING``, ``FULFILLED``, ``FAILED`` or ``CANCELLED``."""
    query: Mapped[Document] = mapped_column()
    """``RecordingJobsQuery``, as it was given."""
    action: Mapped[str] = mapped_column(index=True)
    cursor: Mapped[str | None] = mapped_column(default=None)
    """The last recording that was looked at while it selects."""
    next_at: Mapped[int] = mapped_column(default=0)
    tries: Mapped[int] = mapped_column(Integer, default=0)
    finished_at: Mapped[int | None] = mapped_column(default=None)
    conversations: Mapped[int] = mapped_column(Integer, default=0)
    recordings: Mapped[int] = mapped_column(Integer, default=0)
    skipped: Mapped[int] = mapped_column(Integer, default=0)
    failed: Mapped[int] = mapped_column(Integer, default=0)
    processed: Mapped[int] = mapped_column(Integer, default=0)
    error: Mapped[str | None] = mapped_column(default=None)


class RecordingJobItem(Base):
    """A recording that a bulk job has selected."""

    __tablename__ = "recording_job_items"
    __table_args__ = (Index("ix_recording_job_items_state", "job_id", "state", "recording_id"),)

    job_id: Mapped[str] = mapped_column(ID, ForeignKey("recording_jobs.id", ondelete="CASCADE"), primary_key=True)
    recording_id: Mapped[str] = mapped_column(ID, primary_key=True)
    conversation_id: Mapped[str] = mapped_column(ID)
    state: Mapped[str] = mapped_column()
    """``WAITING``, ``DONE``, ``SKIPPED`` or ``FAILED``."""
    why: Mapped[str | None] = mapped_column(default=None)


class Erasure(Base, Identified):
    """Find and erase one person."""

    __tablename__ = "erasures"

    state: Mapped[str] = mapped_column(index=True)
    """``PREVIEW``, ``CONFIRMED`` (being carried out), ``DONE`` or ``CANCELLED``."""
    created_at: Mapped[int] = mapped_column(index=True)
    created_by: Mapped[str] = mapped_column()
    reason: Mapped[str] = mapped_column(default="")
    number: Mapped[str | None] = mapped_column(default=None)
    """Whom to find; None once it is done, for then nobody is to know."""
    country_code: Mapped[str | None] = mapped_column(default=None)
    pseudonym: Mapped[str] = mapped_column()
    """What stands in the place of the number."""
    confirmed_at: Mapped[int | None] = mapped_column(default=None)
    confirmed_by: Mapped[str | None] = mapped_column(default=None)
    finished_at: Mapped[int | None] = mapped_column(default=None)
    receipt: Mapped[Document | None] = mapped_column(default=None)


class ErasureItem(Base):
    """A conversation in which a person was found."""

    __tablename__ = "erasure_items"

    erasure_id: Mapped[str] = mapped_column(ID, ForeignKey("erasures.id", ondelete="CASCADE"), primary_key=True)
    conversation_id: Mapped[str] = mapped_column(ID, primary_key=True)
    found_as: Mapped[list[str]] = mapped_column(default=list)
    """``caller``, ``called``, ``participant``."""
    state: Mapped[str] = mapped_column(default="FOUND")
    """``FOUND``, ``HELD`` (protected: left as it is) or ``ERASED``."""
    recording_ids: Mapped[list[str]] = mapped_column(default=list)
    """Recordings that were destroyed with it."""
