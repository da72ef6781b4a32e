"""Evaluations: to assign, to count, to find.

``assign`` is how one comes to be, for a policy and for a person alike; ``visible_to`` is which of them exist for a
subject. Who may change what of one: ``domain.quality.evaluation``.
"""

from __future__ import annotations

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from earwitness.domain.ids import new_id
from earwitness.store import evaluation_forms, internal
from earwitness.store.tables import ConversationTeam, Evaluation

PENDING = "PENDING"
SOURCES = {name.casefold(): name for name in ("Policy", "User", "Unknown", "Program")}


class CannotAssignError(ValueError):
    """There is no such conversation, or no such published form."""


def assign(
    session: Session,
    *,
    conversation_id: str,
    form_id: str,
    evaluator_id: str | None,
    agent_id: str,
    at: int,
    source_type: str = "User",
    source_id: str | None = None,
    source_name: str | None = None,
    policy_id: str | None = None,
    calibration_id: str | None = None,
    created_by: str | None = None,
) -> Evaluation:
    """Makes an evaluation of an agent in a finished conversation, ``PENDING``, with the default answers of its form.

    :param form_id: of a published version, not deleted.
    :param evaluator_id: None: nobody's yet.
    :param at: now, UTC microseconds.
    :param source_type: ``Policy``, ``User``, ``Unknown`` or ``Program``, in any case.
    :raises CannotAssignError: no such finished conversation, or no such published form.
    """
    conversation = internal.conversation(session, conversation_id)
    if conversation is None:
        raise CannotAssignError(f"there is no finished conversation {conversation_id}")
    form = evaluation_forms.published(session, form_id)
    if form is None:
        raise CannotAssignError(f"there is no published evaluation form {form_id}")
    people = [person for person in internal.participants(session, conversation_id) if person.user_id == agent_id]
    team = select(ConversationTeam.team_id).where(
        ConversationTeam.conversation_id == conversation_id, ConversationTeam.user_id == agent_id
    )
    evaluation_id = new_id()
    row = Evaluation(
        id=evaluation_id,
        context_id=evaluation_id,
        conversation_id=conversation_id,
        conversation_at=conversation.started_at,
        conversation_ended_at=conversation.ended_at,
        queue_id=next((person.queue_id for person in people if person.queue_id), None),
        form_id=form.id,
        form_context_id=form.context_id,
        agent_user_id=agent_id,
        agent_team_id=session.scalars(team.limit(1)).first(),
        evaluator_user_id=evaluator_id,
        assignee_user_id=evaluator_id,
        status=PENDING,
        source_type=SOURCES.get(source_type.casefold(), "Unknown"),
        source_id=source_id,
        source_name=source_name,
        policy_id=policy_id,
        calibration_id=calibration_id,
        created_at=at,
        created_by=created_by,
        assigned_at=at,
        changed_at=at,
    )
    session.add(row)
    session.flush()
    return row


def count_for_evaluator(session: Session, evaluator_id: str, policy_id: str, since_us: int) -> int:
    """How many evaluations a policy has assigned to an evaluator at ``since_us`` or later, deleted ones included."""
    return _assigned_by(session, policy_id, since_us, Evaluation.evaluator_user_id == evaluator_id)


def count_for_agent(session: Session, agent_id: str, policy_id: str, since_us: int) -> int:
    """How many evaluations of an agent a policy has assigned at ``since_us`` or later, deleted ones included."""
    return _assigned_by(session, policy_id, since_us, Evaluation.agent_user_id == agent_id)


def _assigned_by(session: Session, policy_id: str, since_us: int, whose: ColumnElement[bool]) -> int:
    statement = select(func.count()).where(
        Evaluation.policy_id == policy_id,
        Evaluation.assigned_at >= since_us,
        Evaluation.version == 1,
        Evaluation.calibration_id.is_(None),
        whose,
    )
    return session.scalar(statement) or 0
