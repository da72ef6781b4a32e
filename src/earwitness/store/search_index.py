"""Keeps the terms that conversations are found by (``domain.search.terms``). On nobody's behalf; ``store.search`` asks.

What changes a name, a number, a wrap-up or a team of a stored conversation calls ``write`` afterwards; what erases
them calls ``forget`` before, since terms are found again only by what they are made of.
"""

from __future__ import annotations

from sqlalchemy import ColumnElement, and_, delete, insert, select
from sqlalchemy.orm import Session

from earwitness.domain.search import terms
from earwitness.store.tables import (
    AfterCallWork,
    Conversation,
    ConversationDivision,
    ConversationQueue,
    ConversationTeam,
    ConversationTerm,
    Participant,
)


def write(session: Session, conversation_id: str) -> None:
    """Adds the terms of a stored conversation that are missing; nothing if it is not stored."""
    row = session.get(Conversation, conversation_id)
    if row is None:
        return
    known = _known(session, row)
    _put(session, row, [term for term in _terms(session, row) if term not in known])


def add_wrapup(session: Session, conversation_id: str, code: str) -> None:
    """Adds what an agent said of a stored conversation after it; nothing if it is not stored yet."""
    row = session.get(Conversation, conversation_id)
    term = terms.wrapup(code)
    if row is not None and session.get(ConversationTerm, (term, row.started_at, row.id)) is None:
        _put(session, row, [term])


def forget(session: Session, conversation_id: str) -> None:
    """Removes the terms of a conversation, so that no search finds it by a name, a number or anything else."""
    row = session.get(Conversation, conversation_id)
    if row is not None:
        session.execute(delete(ConversationTerm).where(_of(row, _terms(session, row))))


def _put(session: Session, row: Conversation, found: list[str]) -> None:
    if found:
        rows = [{"term": term, "started_at": row.started_at, "conversation_id": row.id} for term in found]
        session.execute(insert(ConversationTerm), rows)


def _known(session: Session, row: Conversation) -> set[str]:
    return set(session.scalars(select(ConversationTerm.term).where(_of(row, _terms(session, row)))))


def _of(row: Conversation, found: list[str]) -> ColumnElement[bool]:
    return and_(
        ConversationTerm.term.in_(found),
        ConversationTerm.started_at == row.started_at,
        ConversationTerm.conversation_id == row.id,
    )


def _terms(session: Session, row: Conversation) -> list[str]:
    of_divisions = select(ConversationDivision.division_id).where(ConversationDivision.conversation_id == row.id)
    of_queues = select(ConversationQueue.queue_id).where(ConversationQueue.conversation_id == row.id)
    of_teams = select(ConversationTeam.team_id).where(ConversationTeam.conversation_id == row.id)
    given = select(AfterCallWork.code_id).where(
        AfterCallWork.conversation_id == row.id, AfterCallWork.code_id.is_not(None)
    )
    of_users = select(Participant.user_id).where(
        Participant.conversation_id == row.id, Participant.purpose.in_(terms.AGENTS), Participant.user_id.is_not(None)
    )
    return terms.of(
        terms.facts_of(
            ani=row.ani,
            dnis=row.dnis,
            timeline=row.timeline,
            why=row.why,
            users=[user_id for user_id in session.scalars(of_users) if user_id is not None],
            divisions=session.scalars(of_divisions).all(),
            queues=session.scalars(of_queues).all(),
            teams=session.scalars(of_teams).all(),
            wrapups=[code for code in session.scalars(given) if code is not None],
        )
    )
