"""Recordings that are to be exported, and how far that is; on nobody's behalf. Never import this from ``web``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, and_, or_, select
from sqlalchemy.orm import Session

from earwitness.store.tables import Conversation, Export, Participant, Recording
from earwitness.store.tables.interchange import NOT_EXPORTED
from earwitness.store.visibility import ADHOC

PLAYABLE = ("AVAILABLE", "RESTORED")
LEASE_US = 900_000_000
"""While somebody works on an export, nobody else begins it for so long."""
FIRST_WAIT_US = 10_000_000
LONGEST_WAIT_US = 3_600_000_000


@dataclass(frozen=True, slots=True)
class Due:
    """A recording to be exported now."""

    recording_id: str
    integration_id: str
    export_date: int
    attempts: int


@dataclass(frozen=True, slots=True)
class Facts:
    """What is told of a recording at the target."""

    recording: Recording
    conversation: Conversation
    participants: list[Participant]


def anything_due(session: Session, now: int) -> bool:
    """Whether ``take`` would find something."""
    return session.execute(_due(now).limit(1)).first() is not None


def _due(now: int) -> Select[str, str | None, int | None]:
    joined = and_(Export.recording_id == Recording.id, Export.integration_id == Recording.export_integration_id)
    return (
        select(Recording.id, Recording.export_integration_id, Recording.export_date)
        .outerjoin(Export, joined)
        .where(
            NOT_EXPORTED,
            Recording.export_date <= now,
            Recording.export_integration_id.is_not(None),
            Recording.file_state.in_(PLAYABLE),
            Recording.role != ADHOC,
            or_(Export.next_at.is_(None), Export.next_at <= now, Export.export_date != Recording.export_date),
        )
        .order_by(Recording.export_date, Recording.id)
    )


def take(session: Session, now: int, limit: int) -> list[Due]:
    """Takes what is due: until ``LEASE_US`` from now it is this caller's."""
    statement = _due(now).limit(limit).with_for_update(of=Recording, skip_locked=True)
    found = []
    for found_row in session.execute(statement).all():
        recording_id, integration_id, export_date = str(found_row[0]), str(found_row[1]), int(found_row[2] or 0)
        row = session.get(Export, (recording_id, integration_id))
        if row is None:
            row = Export(recording_id=recording_id, integration_id=integration_id, export_date=export_date, next_at=now)
            row.attempts = 0
            session.add(row)
        if row.export_date != export_date:
            row.export_date, row.attempts, row.done_at = export_date, 0, None
        row.next_at = now + LEASE_US
        found.append(Due(recording_id, integration_id, export_date, row.attempts))
    session.flush()
    return found


def facts(session: Session, recording_id: str) -> Facts | None:
    """What there is of a recording that can be played; None: it is gone."""
    recording = session.get(Recording, recording_id)
    if recording is None or recording.file_state not in PLAYABLE:
        return None
    conversation = session.get(Conversation, recording.conversation_id)
    if conversation is None:
        return None
    people = select(Participant).where(Participant.conversation_id == conversation.id)
    return Facts(recording, conversation, list(session.scalars(people.order_by(Participant.joined_at, Participant.id))))


def done(session: Session, due: Due, now: int, path: str, sha256: str) -> Recording | None:
    """Notes that a recording is there; gives the recording, None: it is gone meanwhile."""
    row = session.get(Export, (due.recording_id, due.integration_id))
    if row is not None:
        row.done_at, row.error, row.path, row.sha256, row.next_at = now, None, path, sha256, now
    recording = session.scalars(select(Recording).where(Recording.id == due.recording_id).with_for_update()).first()
    if recording is not None:
        recording.exported_date = max(now, due.export_date)
        recording.modified_at, recording.version = now, recording.version + 1
    session.flush()
    return recording


def failed(session: Session, due: Due, now: int, error: str) -> int:
    """Notes why it did not go; gives how often in a row, by now. The next try waits longer each time."""
    row = session.get(Export, (due.recording_id, due.integration_id))
    if row is None:
        return 0
    row.attempts += 1
    row.error = error[:2000]
    row.next_at = now + min(LONGEST_WAIT_US, FIRST_WAIT_US * 2 ** min(row.attempts - 1, 20))
    session.flush()
    return row.attempts


def again(session: Session, integration_id: str, now: int) -> None:
    """Has everything that waits for an integration tried at once: it has changed, or is back."""
    waiting = select(Export).where(
        Export.integration_id == integration_id, Export.done_at.is_(None), Export.next_at > now, Export.attempts > 0
    )
    for row in session.scalars(waiting.limit(1000)):
        row.next_at = now
    session.flush()


def state(session: Session, recording_id: str) -> list[dict[str, Any]]:
    """What is known of the exports of a recording."""
    rows = session.scalars(select(Export).where(Export.recording_id == recording_id).order_by(Export.integration_id))
    return [
        {"integrationId": row.integration_id, "attempts": row.attempts, "error": row.error, "path": row.path}
        for row in rows
    ]
