"""Recordings, for a subject: every function asks who is asking and starts from the scoped query."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import or_, select
from sqlalchemy.orm import Session, undefer

from earwitness.domain.access import Access
from earwitness.store.paging import Page, page_of
from earwitness.store.tables import Recording, RecordingObject
from earwitness.store.tables.retention import NOT_DELETED
from earwitness.store.visibility import ADHOC, VIEW_RECORDINGS, visible_to

DELETED = "DELETED"


def get(session: Session, access: Access, recording_id: str, permission: str = VIEW_RECORDINGS) -> Recording | None:
    """The recording of that id, with its peaks, if it exists for the subject; tombstones included."""
    statement = select(Recording).where(Recording.id == recording_id, visible_to(access, permission))
    return session.scalars(statement.options(undefer(Recording.peaks))).first()


def of_conversation(
    session: Session,
    access: Access,
    conversation_id: str,
    *,
    deleted: bool = False,
    permission: str = VIEW_RECORDINGS,
) -> Sequence[Recording]:
    """Recordings of a conversation that exist for the subject, in order of time; tombstones only if asked for (G14)."""
    statement = select(Recording).where(Recording.conversation_id == conversation_id, visible_to(access, permission))
    if not deleted:
        statement = statement.where(Recording.file_state != DELETED)
    return session.scalars(
        statement.options(undefer(Recording.peaks)).order_by(Recording.started_at, Recording.id)
    ).all()


def listing(
    session: Session,
    access: Access,
    *,
    role: str | None = None,
    owner_user_id: str | None = None,
    since: int | None = None,
    until: int | None = None,
    deleted: bool = False,
    number: int = 1,
    size: int = 25,
) -> Page[Recording]:
    """A page of recordings by start, newest first; ``since`` inclusive, ``until`` exclusive, UTC microseconds."""
    statement = select(Recording).where(visible_to(access))
    if not deleted:
        statement = statement.where(Recording.file_state != DELETED)
    if role is not None:
        statement = statement.where(Recording.role == role)
    if owner_user_id is not None:
        statement = statement.where(Recording.owner_user_id == owner_user_id)
    if since is not None:
        statement = statement.where(Recording.started_at >= since)
    if until is not None:
        statement = statement.where(Recording.started_at < until)
    return page_of(session, statement.order_by(Recording.started_at.desc(), Recording.id), number, size)


@dataclass(frozen=True, slots=True)
class Position:
    """Where a list that is read in parts goes on: behind this recording."""

    created_at: int
    recording_id: str


def created_before(
    session: Session, access: Access, until: int, *, after: Position | None = None, size: int = 25
) -> Sequence[Recording]:
    """Recordings that were made before a time and are not deleted, oldest first; inboxes are left out."""
    statement = select(Recording).where(
        visible_to(access), NOT_DELETED, Recording.role != ADHOC, Recording.created_at < until
    )
    if after is not None:
        statement = statement.where(
            Recording.created_at >= after.created_at,
            or_(Recording.created_at > after.created_at, Recording.id > after.recording_id),
        )
    return session.scalars(statement.order_by(Recording.created_at, Recording.id).limit(size)).all()


def objects(session: Session, recording: Recording) -> Sequence[RecordingObject]:
    """The vault's objects of a recording that was found through one of the functions above."""
    statement = select(RecordingObject).where(RecordingObject.recording_id == recording.id)
    return session.scalars(statement.order_by(RecordingObject.role, RecordingObject.object_key)).all()


def put_object(session: Session, row: RecordingObject) -> None:
    """Notes an object, e.g. a derived format; what was noted of it before is replaced."""
    session.merge(row)
    session.flush()
