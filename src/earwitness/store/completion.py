"""When a conversation is complete, and what its policies decided. For workflows, on nobody's behalf.

A conversation is complete when it has ended and none of its after-call work is open (F3); work that nobody does is
closed when its time is over (W3). It becomes complete once: ``claim`` locks its row, and whoever holds it sets
``completed_at`` in the same transaction as all that follows from it.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from earwitness.store.tables import AfterCallWork, Conversation, PolicyDecision

_OPEN = exists(select(1).where(AfterCallWork.conversation_id == Conversation.id, AfterCallWork.given_at.is_(None)))


def due(session: Session, most: int) -> Sequence[str]:
    """Conversations that are complete and not yet noted so, those that ended first in front."""
    statement = select(Conversation.id).where(Conversation.completed_at.is_(None), ~_OPEN)
    return session.scalars(statement.order_by(Conversation.ended_at, Conversation.id).limit(most)).all()


def claim(session: Session, conversation_id: str) -> Conversation | None:
    """The conversation, locked until the transaction ends; None if somebody else has it, or it is not to be done."""
    statement = select(Conversation).where(
        Conversation.id == conversation_id, Conversation.completed_at.is_(None), ~_OPEN
    )
    return session.scalars(statement.with_for_update(skip_locked=True, of=Conversation)).first()


def decision(session: Session, conversation_id: str) -> PolicyDecision | None:
    """What was decided about a conversation that the caller may speak of."""
    return session.get(PolicyDecision, conversation_id)
