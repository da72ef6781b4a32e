"""Orphans: recordings whose conversation is not known, not there, or not complete (H1).

They are rows apart from ``recordings``, so nothing that starts from the scoped query ever finds one. Attaching one
makes it a recording of the same id, and the orphan is gone (H3). Who may see orphans is a right of its own, not a
matter of divisions: nobody knows whose call it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, exists, func, select
from sqlalchemy.orm import Session, undefer

from earwitness.store import policy_applying
from earwitness.store.paging import Page
from earwitness.store.tables import AfterCallWork, Conversation, OrphanRecording, Recording, RecordingObject
from earwitness.store.visibility import ADHOC

AVAILABLE, DELETED = "AVAILABLE", "DELETED"
NO_CONVERSATION = "NO_CONVERSATION"
UNKNOWN_CONVERSATION = "UNKNOWN_CONVERSATION"
NOT_COMPLETE = "CONVERSATION_NOT_COMPLETE"
NOT_EVALUATED = "CONVERSATION_NOT_EVALUATED"
EVALUATED = "EVALUATED"
MOST_UNKNOWN = 500
"""Orphans in a list that is not limited to known conversations (H5)."""


@dataclass(frozen=True, slots=True)
class Target:
    """A conversation that an orphan may be attached to."""

    id: str
    consent_refused: bool
    """The caller wanted no recording; then none is attached (C1)."""
    cause: str


def _known() -> ColumnElement[bool]:
    return exists(select(1).where(Conversation.id == OrphanRecording.conversation_id))


def _here() -> Select[OrphanRecording]:
    return select(OrphanRecording).where(OrphanRecording.file_state != DELETED)


def get(session: Session, orphan_id: str, *, deleted: bool = False, lock: bool = False) -> OrphanRecording | None:
    """The orphan of that id, with its peaks; a deleted one only if asked for.

    :param lock: nobody else changes it until the transaction ends.
    """
    statement = select(OrphanRecording).where(OrphanRecording.id == orphan_id)
    if not deleted:
        statement = statement.where(OrphanRecording.file_state != DELETED)
    if lock:
        statement = statement.with_for_update()
    return session.scalars(statement.options(undefer(OrphanRecording.peaks))).first()


def listing(
    session: Session,
    *,
    known: bool = False,
    media: str | None = None,
    descending: bool = True,
    number: int = 1,
    size: int = 25,
) -> Page[OrphanRecording]:
    """A page of orphans by the time they were recorded.

    :param known: only those whose conversation is there; otherwise there are never more than ``MOST_UNKNOWN`` (H5).
    :param media: ``Call`` or ``Screen``; None: both. We have no orphaned screens.
    """
    if media is not None and media.casefold() != "call":
        return Page([], 0, number, size)
    statement = _here()
    if known:
        statement = statement.where(_known())
    total = session.scalar(select(func.count()).select_from(statement.subquery())) or 0
    offset = (number - 1) * size
    if not known:
        total = min(total, MOST_UNKNOWN)
        size_now = max(0, min(size, total - offset))
    else:
        size_now = size
    order = OrphanRecording.created_at.desc() if descending else OrphanRecording.created_at
    ordered = statement.order_by(order, OrphanRecording.id).offset(offset).limit(size_now)
    items = session.scalars(ordered).all() if offset < total and size_now else []
    return Page(items, total, number, size)


def statuses(session: Session, rows: Sequence[OrphanRecording]) -> dict[str, str]:
    """``orphanStatus`` of each (H2): what there is of its conversation at this moment."""
    ids = sorted({row.conversation_id for row in rows if row.conversation_id is not None})
    found = {
        row.id: row
        for row in session.execute(select(Conversation.id, Conversation.completed_at).where(Conversation.id.in_(ids)))
    }
    waiting = set(
        session.scalars(
            select(AfterCallWork.conversation_id).where(
                AfterCallWork.conversation_id.in_(sorted(found)), AfterCallWork.given_at.is_(None)
            )
        )
    )

    def status(row: OrphanRecording) -> str:
        if row.conversation_id is None:
            return NO_CONVERSATION
        conversation = found.get(row.conversation_id)
        if conversation is None:
            return UNKNOWN_CONVERSATION
        if conversation.completed_at is not None:
            return EVALUATED
        return NOT_COMPLETE if conversation.id in waiting else NOT_EVALUATED

    return {row.id: status(row) for row in rows}


def add(session: Session, row: OrphanRecording) -> bool:
    """Adds an orphan, unless it is there already, or is a recording by now; gives whether it was added."""
    if session.get(OrphanRecording, row.id) is not None or session.get(Recording, row.id) is not None:
        return False
    session.add(row)
    session.flush()
    return True


def target(session: Session, conversation_id: str) -> Target | None:
    """A finished conversation to attach to, whoever may see it: an orphan is given to where it belongs."""
    row = session.execute(
        select(Conversation.id, Conversation.timeline, Conversation.cause).where(Conversation.id == conversation_id)
    ).first()
    if row is None:
        return None
    return Target(row.id, (row.timeline or {}).get("consent") == "refused", row.cause)


def attach(
    session: Session,
    row: OrphanRecording,
    conversation_id: str,
    at: int,
    dates: dict[str, Any] | None = None,
) -> Recording:
    """Makes an orphan a recording of a conversation that is there; the orphan is gone afterwards.

    Where policies were applied to the conversation already, their verdict sets the dates that are not given here.

    :param dates: ``archive_date``, ``delete_date``, ``export_date``, ``export_integration_id``.
    """
    recording = Recording(
        id=row.id,
        conversation_id=conversation_id,
        kind=row.kind,
        media_subtype=row.media_subtype,
        role=ADHOC if row.kind == "user" else "CUSTOMER_EXPERIENCE",
        owner_user_id=row.owner_user_id,
        leg_id=row.leg_id,
        file_state=row.file_state if row.channels else "ERROR",  # captured, but nobody can decode it
        started_at=row.started_at,
        ended_at=row.ended_at,
        duration_ms=row.duration_ms,
        audio_format=row.audio_format,
        mime_type=row.mime_type,
        channels=row.channels,
        sample_rate=row.sample_rate,
        size=row.size,
        sha256=row.sha256,
        annotations=row.annotations,
        openings=row.openings,
        quality=row.quality,
        peaks=row.peaks,
        created_at=row.created_at,
        modified_at=at,
        **(dates or {}),
    )
    objects = [RecordingObject(recording_id=row.id, **item) for item in row.objects]
    session.delete(row)
    session.flush()
    session.add(recording)
    session.flush()
    session.add_all(objects)
    conversation = session.get(Conversation, conversation_id)
    if conversation is not None and recording.role != ADHOC:
        conversation.recording_state = "RECORDED"
    session.flush()
    policy_applying.late(session, recording, at)
    return recording


def put_object(session: Session, orphan_id: str, item: dict[str, Any]) -> bool:
    """Notes an object of an orphan in the vault, in place of what was noted of it; False: the orphan is gone."""
    row = get(session, orphan_id, lock=True)
    if row is None:
        return False
    others = [known for known in row.objects if known["object_key"] != item["object_key"]]
    row.objects = [*others, item]
    session.flush()
    return True


def vault_ids(row: OrphanRecording) -> list[str]:
    """What the vault holds of an orphan: its own id, then those of derived formats."""
    derived = sorted({str(item["object_key"]).partition("/")[0] for item in row.objects} - {row.id})
    return [row.id, *derived]


def condemn(session: Session, row: OrphanRecording, *, by: str, reason: str) -> None:
    """Decides that an orphan is deleted: nobody reaches it any more. The worker destroys it.

    :param by: ``system``, ``user:<id>`` or ``client:<id>``; it is in the receipt.
    """
    row.file_state = DELETED
    row.receipt = {"asked": {"by": by, "reason": reason}}
    session.flush()


def condemned(session: Session, limit: int) -> Sequence[OrphanRecording]:
    """Orphans that are to be destroyed."""
    statement = select(OrphanRecording).where(
        OrphanRecording.file_state == DELETED, OrphanRecording.deleted_at.is_(None)
    )
    return session.scalars(statement.order_by(OrphanRecording.id).limit(limit)).all()


def bury(session: Session, row: OrphanRecording, receipt: dict[str, Any], at: int) -> None:
    """Leaves a tombstone of an orphan whose audio the vault has destroyed."""
    row.file_state, row.deleted_at, row.receipt = DELETED, at, receipt
    row.peaks, row.annotations, row.objects = None, [], []
    session.flush()


def arrived(session: Session, limit: int) -> Sequence[OrphanRecording]:
    """Uploaded ones that were waiting for a conversation which is there now."""
    statement = _here().where(OrphanRecording.source == "upload", _known())
    return session.scalars(statement.order_by(OrphanRecording.id).limit(limit)).all()


def older_than(session: Session, created_before: int, limit: int) -> Sequence[OrphanRecording]:
    """Orphans that were recorded before a time (UTC microseconds), oldest first (H6)."""
    statement = _here().where(OrphanRecording.created_at <= created_before)
    return session.scalars(statement.order_by(OrphanRecording.created_at, OrphanRecording.id).limit(limit)).all()
