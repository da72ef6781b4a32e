"""Files that are uploaded as recordings (I12), and reports of what became of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import delete, or_, select
from sqlalchemy.orm import Session, undefer

from earwitness.store.tables import RecordingUpload, UploadReport

ANNOUNCED = "Announced"
"""An address was given, no file has come."""
PENDING, SUCCESS, FAILURE, WAITING = "Pending", "Success", "Failure", "WaitForConversation"
STATES = (PENDING, SUCCESS, FAILURE, WAITING)
"""Those that reports know."""
MOST_IN_REPORT = 50_000
REPORT_DAYS = 30
"""How long a report is kept."""
DAY_US = 86_400_000_000


def get(session: Session, upload_id: str, *, lock: bool = False) -> RecordingUpload | None:
    """The upload of that id.

    :param lock: nobody else changes it until the transaction ends.
    """
    statement = select(RecordingUpload).where(RecordingUpload.id == upload_id)
    return session.scalars(statement.with_for_update() if lock else statement).first()


def pending(session: Session, limit: int) -> Sequence[RecordingUpload]:
    """Files that have come and are to be taken in, the oldest first."""
    statement = select(RecordingUpload).where(RecordingUpload.state == PENDING)
    return session.scalars(statement.order_by(RecordingUpload.received_at, RecordingUpload.id).limit(limit)).all()


def uncleared(session: Session, limit: int) -> list[str]:
    """Ids of uploads that were taken in, or refused, and whose file as it came is still in the vault."""
    statement = select(RecordingUpload.id).where(
        RecordingUpload.cleared_at.is_(None), RecordingUpload.state.in_((SUCCESS, FAILURE, WAITING))
    )
    return list(session.scalars(statement.order_by(RecordingUpload.id).limit(limit)))


def same_file(session: Session, upload: RecordingUpload) -> RecordingUpload | None:
    """An earlier upload of the same bytes whose recording, or orphan, may still be there."""
    statement = select(RecordingUpload).where(
        RecordingUpload.sha256 == upload.sha256,
        RecordingUpload.id != upload.id,
        or_(
            RecordingUpload.state.in_((SUCCESS, WAITING)),
            (RecordingUpload.state == PENDING) & (RecordingUpload.received_at < upload.received_at),
            (RecordingUpload.state == PENDING)
            & (RecordingUpload.received_at == upload.received_at)
            & (RecordingUpload.id < upload.id),
        ),
    )
    return session.scalars(statement.order_by(RecordingUpload.received_at, RecordingUpload.id)).first()


def settle(session: Session, recording_id: str, state: str, at: int, error: str | None = None) -> None:
    """Notes what became of an upload that waited for its conversation; nothing where there is no such."""
    statement = select(RecordingUpload).where(
        RecordingUpload.recording_id == recording_id, RecordingUpload.state == WAITING
    )
    for row in session.scalars(statement):
        row.state, row.error, row.finished_at = state, error, at
    session.flush()


def rows_since(session: Session, since: int | None, state: str | None) -> list[dict[str, Any]]:
    """What a report tells of uploads that came since a time, the newest first, ``MOST_IN_REPORT`` at the most."""
    statement = select(RecordingUpload).where(RecordingUpload.state.in_(STATES if state is None else (state,)))
    if since is not None:
        statement = statement.where(RecordingUpload.received_at >= since)
    ordered = statement.order_by(RecordingUpload.received_at.desc(), RecordingUpload.id).limit(MOST_IN_REPORT)
    return [
        {
            "uploadKey": row.id,
            "fileName": row.file_name,
            "status": row.state,
            "error": row.error,
            "received": row.received_at,
            "finished": row.finished_at,
            "size": row.size,
            "sha256": row.sha256,
            "conversationId": row.conversation_id,
            "recordingId": row.recording_id if row.state == SUCCESS else None,
            "orphanId": row.recording_id if row.state == WAITING else None,
        }
        for row in session.scalars(ordered)
    ]


def forgettable(session: Session, now: int) -> tuple[list[str], list[str]]:
    """Ids of announced uploads that no file came to in time, and of reports that nobody needs any more."""
    announced = select(RecordingUpload.id).where(
        RecordingUpload.state == ANNOUNCED, RecordingUpload.expires_at < now - DAY_US
    )
    reports = select(UploadReport.id).where(UploadReport.created_at < now - REPORT_DAYS * DAY_US)
    return list(session.scalars(announced.limit(500))), list(session.scalars(reports.limit(100)))


def forget(session: Session, uploads: Sequence[str], reports: Sequence[str]) -> None:
    """Forgets announced uploads and reports."""
    session.execute(delete(RecordingUpload).where(RecordingUpload.id.in_(uploads), RecordingUpload.state == ANNOUNCED))
    session.execute(delete(UploadReport).where(UploadReport.id.in_(reports)))


def report(session: Session, report_id: str) -> UploadReport | None:
    """A report with its rows."""
    statement = select(UploadReport).where(UploadReport.id == report_id)
    return session.scalars(statement.options(undefer(UploadReport.rows))).first()
