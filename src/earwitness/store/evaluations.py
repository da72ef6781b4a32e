"""Evaluations: to assign, to count, to find, to release.

``assign`` is how one comes to be, for a policy and for a person alike. What exists for whom:
``store.evaluation_visibility``; who may change what of one: ``domain.quality.evaluation``.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.orm import Session

from earwitness.domain.access import Access
from earwitness.domain.ids import new_id
from earwitness.domain.quality import answers, scoring
from earwitness.domain.quality import evaluation as life
from earwitness.domain.quality import form as forms
from earwitness.store import evaluation_forms, internal
from earwitness.store.evaluation_visibility import visible_to
from earwitness.store.paging import Page, page_of
from earwitness.store.tables import ConversationTeam, Evaluation, EvaluationForm, User

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
        status=life.PENDING,
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
    read = forms.read(form.question_groups, form.weight_mode)
    set_score(row, scoring.score(read, answers.defaults(read)), {})
    session.add(row)
    session.flush()
    return row


def set_score(row: Evaluation, score: scoring.Score, comments: dict[str, Any]) -> None:
    """Writes answers down, and what they are worth; ``comments`` are those on the whole, by the contract's names."""
    row.answers = {**score.document, **{name: text for name, text in comments.items() if text is not None}}
    row.total_score = score.total
    row.total_critical_score = score.critical
    row.failed_kill = score.failed_kill


def form_of(session: Session, row: Evaluation) -> EvaluationForm:
    """The version of the form that it is by, deleted or not."""
    return session.get_one(EvaluationForm, row.form_id)


def get(
    session: Session, access: Access, evaluation_id: str, *permissions: str, deleted: bool = False
) -> Evaluation | None:
    """The evaluation of that id, if it exists for the subject."""
    seen = visible_to(access, *permissions, deleted=deleted)
    return session.scalars(select(Evaluation).where(Evaluation.id == evaluation_id, seen)).first()


def versions(session: Session, row: Evaluation) -> Sequence[Evaluation]:
    """All versions of an evaluation, the first one first."""
    statement = select(Evaluation).where(Evaluation.context_id == row.context_id, Evaluation.deleted_at.is_(None))
    return session.scalars(statement.order_by(Evaluation.version)).all()


def successor(session: Session, row: Evaluation) -> Evaluation | None:
    """The version that a rescore made of it."""
    return session.scalars(select(Evaluation).where(Evaluation.retracted_id == row.id)).first()


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which evaluations; None: whichever. ``since`` inclusive, ``until`` exclusive, of the time of assignment."""

    conversation_id: str | None = None
    agent_id: str | None = None
    team_id: str | None = None
    evaluator_id: str | None = None
    assignee_id: str | None = None
    queue_id: str | None = None
    form_context_id: str | None = None
    statuses: Collection[str] | None = None
    released: bool | None = None
    read: bool | None = None
    since: int | None = None
    until: int | None = None
    deleted_people: bool = False
    """Also those whose agent or evaluator was deleted."""

    @property
    def agent_alone(self) -> bool:
        """Asked for by the agent, and by neither call nor evaluator: then what is never released is left out."""
        return self.agent_id is not None and self.conversation_id is None and self.evaluator_id is None


def query(
    session: Session, access: Access, wanted: Wanted, *, down: bool = True, number: int = 1, size: int = 25
) -> Page[Evaluation]:
    """A page of evaluations that exist for the subject, by time of assignment; by an agent alone: by release."""
    statement = _wanted(select(Evaluation).where(visible_to(access)), wanted)
    column: Any = func.coalesce(Evaluation.release_date, 0) if wanted.agent_alone else Evaluation.assigned_at
    order = (column.desc(), Evaluation.id.desc()) if down else (column, Evaluation.id)
    return page_of(session, statement.order_by(*order), number, size)


def _wanted(statement: Select[Any], wanted: Wanted) -> Select[Any]:
    equal: dict[Any, Any] = {
        Evaluation.conversation_id: wanted.conversation_id,
        Evaluation.agent_user_id: wanted.agent_id,
        Evaluation.agent_team_id: wanted.team_id,
        Evaluation.evaluator_user_id: wanted.evaluator_id,
        Evaluation.assignee_user_id: wanted.assignee_id,
        Evaluation.queue_id: wanted.queue_id,
        Evaluation.form_context_id: wanted.form_context_id,
        Evaluation.agent_has_read: wanted.read,
    }
    for column, value in equal.items():
        if value is not None:
            statement = statement.where(column == value)
    if wanted.statuses is not None:
        statement = statement.where(Evaluation.status.in_(wanted.statuses))
    if wanted.released is not None:
        statement = statement.where(Evaluation.released_at.is_not(None) == wanted.released)
    if wanted.agent_alone:
        statement = statement.where(Evaluation.never_release.is_(False))
    if wanted.since is not None:
        statement = statement.where(Evaluation.assigned_at >= wanted.since)
    if wanted.until is not None:
        statement = statement.where(Evaluation.assigned_at < wanted.until)
    if not wanted.deleted_people:
        gone = select(User.id).where(User.state == "deleted")
        statement = statement.where(
            Evaluation.agent_user_id.not_in(gone), func.coalesce(Evaluation.evaluator_user_id, "").not_in(gone)
        )
    return statement


def made_by_hand(session: Session, agent_id: str, since: int) -> int:
    """How many evaluations of an agent people have made at ``since`` or later (J10), deleted ones included."""
    statement = select(func.count()).where(
        Evaluation.agent_user_id == agent_id,
        Evaluation.assigned_at >= since,
        Evaluation.source_type == "User",
        Evaluation.calibration_id.is_(None),
        Evaluation.version == 1,
    )
    return session.scalar(statement) or 0


def release_due(session: Session, now: int, most: int) -> Sequence[Evaluation]:
    """Lets agents see what is finished and whose date has come, ``most`` at a time; gives those that it did."""
    due = select(Evaluation).where(
        Evaluation.status.in_(life.SEEN_BY_AGENT),
        Evaluation.release_date <= now,
        Evaluation.released_at.is_(None),
        Evaluation.never_release.is_(False),
        Evaluation.deleted_at.is_(None),
    )
    rows = session.scalars(due.order_by(Evaluation.release_date).limit(most)).all()
    for row in rows:
        row.released_at = row.changed_at = now
    session.flush()
    return rows


def changed_since(session: Session, since: int, most: int = 2000) -> Sequence[Evaluation]:
    """Evaluations that have changed at ``since`` or later, deleted ones too, in order. On nobody's behalf."""
    statement = select(Evaluation).where(Evaluation.changed_at >= since)
    return session.scalars(statement.order_by(Evaluation.changed_at, Evaluation.id).limit(most)).all()


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
