"""Evaluation forms, evaluations of agents, calibrations of evaluators; surveys of customers."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ForeignKey, Index, Integer
from sqlalchemy.orm import Mapped, mapped_column

from earwitness.store.tables.base import ID, Base, Document, Identified, Named


class VersionedForm(Named):
    """A form: a draft that may change, or a published version that does not (J8)."""

    context_id: Mapped[str] = mapped_column(ID, index=True)
    """The same for a draft and every version that was published of it."""
    published_at: Mapped[int | None] = mapped_column(default=None, index=True)
    """None: a draft."""
    question_groups: Mapped[list[dict[str, Any]]] = mapped_column(default=list)
    """As in the contract, with ids; read by ``domain.quality.form``."""


class EvaluationForm(Base, VersionedForm):
    """A form to evaluate calls by."""

    __tablename__ = "evaluation_forms"

    weight_mode: Mapped[str] = mapped_column(default="SCALED")
    """``SCALED`` or ``OFF``."""
    evaluation_settings: Mapped[Document] = mapped_column(default=dict)


class Evaluation(Base, Identified):
    """How one agent did in one conversation, by one form, as one evaluator sees it.

    Facts about the past: they point at people, conversations and forms without foreign keys. Select what somebody may
    see through ``store.evaluations`` alone.
    """

    __tablename__ = "evaluations"
    __table_args__ = (
        Index("ix_evaluations_agent_user_id_assigned_at", "agent_user_id", "assigned_at"),
        Index("ix_evaluations_evaluator_user_id_assigned_at", "evaluator_user_id", "assigned_at"),
        Index("ix_evaluations_policy_id_assigned_at", "policy_id", "assigned_at"),
        Index("ix_evaluations_status_release_date", "status", "release_date"),
    )

    context_id: Mapped[str] = mapped_column(ID, index=True)
    """The same for all versions of an evaluation; a rescore may make a further version."""
    version: Mapped[int] = mapped_column(Integer, default=1)
    """From 1, of the versions of one context."""
    retracted_id: Mapped[str | None] = mapped_column(ID, default=None)
    """The version before this one."""
    conversation_id: Mapped[str] = mapped_column(ID, index=True)
    conversation_at: Mapped[int] = mapped_column(index=True)
    """Start of the conversation."""
    conversation_ended_at: Mapped[int | None] = mapped_column(default=None)
    queue_id: Mapped[str | None] = mapped_column(ID, default=None, index=True)
    form_id: Mapped[str] = mapped_column(ID)
    """A published version."""
    form_context_id: Mapped[str] = mapped_column(ID, index=True)
    agent_user_id: Mapped[str] = mapped_column(ID)
    agent_team_id: Mapped[str | None] = mapped_column(ID, default=None, index=True)
    """The agent's team at the time of the call."""
    evaluator_user_id: Mapped[str | None] = mapped_column(ID, default=None)
    assignee_user_id: Mapped[str | None] = mapped_column(ID, default=None, index=True)
    """Whose turn it is: the evaluator, or who looks into a dispute. None: nobody's."""
    assignee_applicable: Mapped[bool] = mapped_column(default=True)
    assignee_changed_at: Mapped[int | None] = mapped_column(default=None)
    status: Mapped[str] = mapped_column()
    """``PENDING``, ``INPROGRESS``, ``FINISHED``, ``INREVIEW`` or ``RETRACTED`` (J3)."""
    answers: Mapped[Document] = mapped_column(default=dict)
    """``EvaluationScoringSet`` of the contract, scored."""
    total_score: Mapped[float | None] = mapped_column(default=None)
    """0 to 100; None: nothing in it is scored."""
    total_critical_score: Mapped[float | None] = mapped_column(default=None)
    failed_kill: Mapped[bool] = mapped_column(default=False)
    release_date: Mapped[int | None] = mapped_column(default=None)
    """From when on the agent may see it, once it is finished."""
    never_release: Mapped[bool] = mapped_column(default=False)
    released_at: Mapped[int | None] = mapped_column(default=None)
    """Since when the agent sees it. None: hidden from the agent, and so are the recordings through it (J1, J6)."""
    agent_has_read: Mapped[bool] = mapped_column(default=False)
    rescore: Mapped[bool] = mapped_column(default=False)
    dispute_count: Mapped[int] = mapped_column(Integer, default=0)
    declined_review: Mapped[bool] = mapped_column(default=False)
    calibration_id: Mapped[str | None] = mapped_column(ID, default=None, index=True)
    is_scoring_index: Mapped[bool] = mapped_column(default=False)
    """In its calibration, the one that the others are held against."""
    source_type: Mapped[str] = mapped_column(default="User")
    """``Policy``, ``User``, ``Unknown`` or ``Program``."""
    source_id: Mapped[str | None] = mapped_column(ID, default=None)
    source_name: Mapped[str | None] = mapped_column(default=None)
    policy_id: Mapped[str | None] = mapped_column(ID, default=None)
    created_at: Mapped[int] = mapped_column()
    """Of the first version."""
    created_by: Mapped[str | None] = mapped_column(default=None)
    """User or program; None: a policy."""
    revision_created_at: Mapped[int | None] = mapped_column(default=None)
    assigned_at: Mapped[int] = mapped_column()
    changed_at: Mapped[int] = mapped_column(index=True)
    submitted_at: Mapped[int | None] = mapped_column(default=None)
    """When it was last finished."""
    deleted_at: Mapped[int | None] = mapped_column(default=None, index=True)


class Calibration(Base, Identified):
    """Several evaluators evaluate the same agent in the same call, and their scores are compared."""

    __tablename__ = "calibrations"

    conversation_id: Mapped[str] = mapped_column(ID, index=True)
    form_id: Mapped[str] = mapped_column(ID)
    context_id: Mapped[str] = mapped_column(ID)
    """Of the form."""
    agent_user_id: Mapped[str] = mapped_column(ID)
    calibrator_user_id: Mapped[str] = mapped_column(ID, index=True)
    expert_user_id: Mapped[str | None] = mapped_column(ID, default=None)
    policy_id: Mapped[str | None] = mapped_column(ID, default=None)
    created_at: Mapped[int] = mapped_column(index=True)
    created_by: Mapped[str | None] = mapped_column(default=None)
    deleted_at: Mapped[int | None] = mapped_column(default=None)


class CalibrationEvaluator(Base):
    """Who takes part in a calibration, the expert included."""

    __tablename__ = "calibration_evaluators"

    calibration_id: Mapped[str] = mapped_column(ID, ForeignKey("calibrations.id", ondelete="CASCADE"), primary_key=True)
    user_id: Mapped[str] = mapped_column(ID, primary_key=True, index=True)
    evaluation_id: Mapped[str] = mapped_column(ID)


class SurveyForm(Base, VersionedForm):
    """A form by which customers say how a call was. Language, header and footer are in ``extra``."""

    __tablename__ = "survey_forms"

    disabled: Mapped[bool] = mapped_column(default=False)
    """Of a published version: nobody is asked by it any more, and who was cannot answer."""


class Survey(Base, Identified):
    """How one customer found one call."""

    __tablename__ = "surveys"

    conversation_id: Mapped[str] = mapped_column(ID, index=True)
    form_id: Mapped[str] = mapped_column(ID)
    """A published version."""
    agent_user_id: Mapped[str | None] = mapped_column(ID, default=None)
    agent_team_id: Mapped[str | None] = mapped_column(ID, default=None)
    queue_id: Mapped[str | None] = mapped_column(ID, default=None)
    status: Mapped[str] = mapped_column()
    """``Pending``, ``InProgress`` or ``Finished``."""
    answers: Mapped[Document] = mapped_column(default=dict)
    """``SurveyScoringSet`` of the contract, scored."""
    token_sha256: Mapped[str] = mapped_column(unique=True)
    """Of what the customer's address ends in."""
    created_at: Mapped[int] = mapped_column()
    created_by: Mapped[str | None] = mapped_column(default=None)
    completed_at: Mapped[int | None] = mapped_column(default=None)
