"""Surveys: what customers were asked, and what they said."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from earwitness.domain.ids import new_id
from earwitness.domain.quality import survey as rules
from earwitness.store.tables import ConversationTeam, Survey, SurveyForm


def add(
    session: Session,
    *,
    conversation_id: str,
    form: SurveyForm,
    agent_id: str | None,
    queue_id: str | None,
    token: str,
    at: int,
    by: str,
) -> Survey:
    """Makes a survey that waits for its answers.

    :param token: what the customer's address ends in; only its hash is kept.
    :param at: now, UTC microseconds; ``by``: whose doing it is.
    """
    team = select(ConversationTeam.team_id).where(
        ConversationTeam.conversation_id == conversation_id, ConversationTeam.user_id == agent_id
    )
    row = Survey(
        id=new_id(),
        conversation_id=conversation_id,
        form_id=form.id,
        agent_user_id=agent_id,
        agent_team_id=session.scalars(team.limit(1)).first() if agent_id is not None else None,
        queue_id=queue_id,
        status=rules.PENDING,
        token_sha256=_hash(token),
        created_at=at,
        created_by=by,
    )
    session.add(row)
    session.flush()
    return row


def by_token(session: Session, token: str) -> Survey | None:
    """The survey of a customer's address."""
    return session.scalars(select(Survey).where(Survey.token_sha256 == _hash(token))).first()


def get(session: Session, survey_id: str) -> Survey | None:
    """The survey of that id. Whether it exists for a subject is a matter of its conversation."""
    return session.get(Survey, survey_id)


def of_conversation(session: Session, conversation_id: str) -> Sequence[Survey]:
    """Surveys of a conversation that was found for a subject, oldest first."""
    statement = select(Survey).where(Survey.conversation_id == conversation_id)
    return session.scalars(statement.order_by(Survey.created_at, Survey.id)).all()


def form_of(session: Session, row: Survey) -> SurveyForm:
    """The version of the form that it is by, deleted or not."""
    return session.get_one(SurveyForm, row.form_id)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
