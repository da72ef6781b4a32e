"""After-call work: what agents have still to say about a call that has ended.

A conversation is complete when it has ended and none of its after-call work is open. What nobody gives in time is
closed by the worker with ``TIMEOUT_CODE``, so a forgotten wrap-up strands no recording (W3).
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import exists, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from earwitness.domain.ids import new_id
from earwitness.store import search_index
from earwitness.store.tables import AfterCallWork

TIMEOUT_CODE = "ININ-WRAP-UP-TIMEOUT"
"""Name of the code of work that was closed because its time was over."""


def add(
    session: Session,
    *,
    conversation_id: str,
    participant_id: str,
    user_id: str,
    queue_id: str,
    started_at: int,
    deadline_at: int,
    prompt: str = "OPTIONAL",
) -> AfterCallWork:
    """Opens the work of a participant; if it is known already, gives it as it is. Times are UTC microseconds."""
    known = of_participant(session, conversation_id, participant_id)
    if known is not None:
        return known
    row = AfterCallWork(
        id=new_id(),
        conversation_id=conversation_id,
        participant_id=participant_id,
        user_id=user_id,
        queue_id=queue_id,
        prompt=prompt,
        started_at=started_at,
        deadline_at=deadline_at,
    )
    try:
        with session.begin_nested():
            session.add(row)
    except IntegrityError:  # another process was first
        found = of_participant(session, conversation_id, participant_id)
        if found is None:
            raise
        return found
    return row


def of_participant(session: Session, conversation_id: str, participant_id: str) -> AfterCallWork | None:
    """The work of a participant, open or done."""
    return session.scalars(
        select(AfterCallWork).where(
            AfterCallWork.conversation_id == conversation_id, AfterCallWork.participant_id == participant_id
        )
    ).first()


def of_conversation(session: Session, conversation_id: str) -> Sequence[AfterCallWork]:
    """All work of a conversation, open or done, in order of time."""
    statement = select(AfterCallWork).where(AfterCallWork.conversation_id == conversation_id)
    return session.scalars(statement.order_by(AfterCallWork.started_at, AfterCallWork.id)).all()


def of_conversations(session: Session, conversation_ids: Sequence[str]) -> dict[str, list[AfterCallWork]]:
    """All work of several conversations, in order of time, by conversation."""
    statement = select(AfterCallWork).where(AfterCallWork.conversation_id.in_(conversation_ids))
    found: dict[str, list[AfterCallWork]] = {key: [] for key in conversation_ids}
    for row in session.scalars(statement.order_by(AfterCallWork.started_at, AfterCallWork.id)):
        found[row.conversation_id].append(row)
    return found


def open_for(session: Session, conversation_id: str, participant_id: str) -> AfterCallWork | None:
    """The work of a participant, if it is still to be done."""
    row = of_participant(session, conversation_id, participant_id)
    return row if row is not None and row.given_at is None else None


def is_open(session: Session, conversation_id: str) -> bool:
    """Whether anybody has still something to say about the call."""
    wanted = select(1).where(AfterCallWork.conversation_id == conversation_id, AfterCallWork.given_at.is_(None))
    return bool(session.scalar(select(exists(wanted))))


def give(
    session: Session,
    row: AfterCallWork,
    *,
    at: int,
    code_id: str | None,
    code_name: str | None,
    notes: str | None = None,
    tags: Sequence[str] = (),
    by: str | None = None,
    timed_out: bool = False,
) -> bool:
    """Notes what the agent has said, which closes the work; gives whether it was open.

    Work that is done can be given another code; a time-out changes nothing of it.
    """
    was_open = row.given_at is None
    if timed_out and not was_open:
        return False
    row.code_id, row.code_name, row.notes, row.tags = code_id, code_name, notes, list(tags)
    row.given_at, row.given_by, row.timed_out = at, by, timed_out
    session.flush()
    if code_id is not None:
        search_index.add_wrapup(session, row.conversation_id, code_id)
    return was_open


def overdue(session: Session, now: int, most: int = 1000) -> Sequence[AfterCallWork]:
    """Open work whose time is over, the oldest first. Locked against other workers until the transaction ends."""
    statement = select(AfterCallWork).where(AfterCallWork.given_at.is_(None), AfterCallWork.deadline_at <= now)
    ordered = statement.order_by(AfterCallWork.deadline_at, AfterCallWork.id).limit(most)
    return session.scalars(ordered.with_for_update(skip_locked=True)).all()


def close_overdue(session: Session, now: int) -> Sequence[AfterCallWork]:
    """Closes the work whose time is over; gives what was closed."""
    rows = overdue(session, now)
    for row in rows:
        give(session, row, at=now, code_id=None, code_name=TIMEOUT_CODE, timed_out=True)
    return rows
