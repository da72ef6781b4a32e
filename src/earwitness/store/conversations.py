"""Ended conversations, for a subject: every function asks who is asking and starts from the scoped query."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session, undefer

from earwitness.domain.access import Access
from earwitness.store.tables import Conversation, ConversationDivision, Participant
from earwitness.store.visibility import VIEW_CONVERSATIONS, conversations_visible_to


def stored(session: Session, conversation_id: str) -> bool:
    """Whether that call is finished and stored: one cheap look for those who wait, who then ask the scoped query."""
    return session.scalar(select(Conversation.id).where(Conversation.id == conversation_id)) is not None


def get(
    session: Session, access: Access, conversation_id: str, permission: str = VIEW_CONVERSATIONS
) -> Conversation | None:
    """The conversation of that id, with its events, if it exists for the subject."""
    statement = select(Conversation).where(
        Conversation.id == conversation_id, conversations_visible_to(access, permission)
    )
    return session.scalars(statement.options(undefer(Conversation.events))).first()


def participants(session: Session, conversation: Conversation) -> Sequence[Participant]:
    """Who took part in a conversation that was found through one of the functions above."""
    statement = select(Participant).where(Participant.conversation_id == conversation.id)
    return session.scalars(statement.order_by(Participant.joined_at, Participant.id)).all()


def division_ids(session: Session, conversation: Conversation) -> list[str]:
    """Divisions that a conversation touched, sorted."""
    statement = select(ConversationDivision.division_id).where(ConversationDivision.conversation_id == conversation.id)
    return sorted(session.scalars(statement))
