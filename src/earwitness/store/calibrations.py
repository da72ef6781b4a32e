"""Calibrations: several evaluations of the same agent in the same call, to be compared."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from earwitness.domain.ids import new_id
from earwitness.store import evaluations
from earwitness.store.tables import Calibration, CalibrationEvaluator


def assign(
    session: Session,
    *,
    conversation_id: str,
    form_id: str,
    calibrator_id: str,
    evaluator_ids: Sequence[str],
    agent_id: str,
    at: int,
    expert_id: str | None = None,
    source_type: str = "User",
    source_id: str | None = None,
    source_name: str | None = None,
    policy_id: str | None = None,
    created_by: str | None = None,
) -> Calibration:
    """Makes a calibration, and an evaluation for the expert and for each evaluator. Who is named twice counts once.

    :param form_id: of a published version, not deleted.
    :param at: now, UTC microseconds.
    :raises CannotAssignError: no such finished conversation, or no such published form.
    """
    made = Calibration(
        id=new_id(),
        conversation_id=conversation_id,
        form_id=form_id,
        context_id=form_id,
        agent_user_id=agent_id,
        calibrator_user_id=calibrator_id,
        expert_user_id=expert_id,
        policy_id=policy_id,
        created_at=at,
        created_by=created_by,
    )
    seats = []
    for user_id in dict.fromkeys([*([expert_id] if expert_id else []), *evaluator_ids]):
        evaluation = evaluations.assign(
            session,
            conversation_id=conversation_id,
            form_id=form_id,
            evaluator_id=user_id,
            agent_id=agent_id,
            at=at,
            source_type=source_type,
            source_id=source_id,
            source_name=source_name,
            policy_id=policy_id,
            calibration_id=made.id,
            created_by=created_by,
        )
        evaluation.is_scoring_index = user_id == expert_id
        evaluation.never_release = True  # a comparison of evaluators is nothing for the agent
        made.context_id = evaluation.form_context_id
        seats.append(CalibrationEvaluator(calibration_id=made.id, user_id=user_id, evaluation_id=evaluation.id))
    if not seats:
        raise evaluations.CannotAssignError("a calibration needs an evaluator")
    session.add(made)
    session.flush()
    session.add_all(seats)
    session.flush()
    return made


def get(session: Session, calibration_id: str) -> Calibration | None:
    """The calibration of that id, unless it was deleted."""
    row = session.get(Calibration, calibration_id)
    return row if row is not None and row.deleted_at is None else None


def seats(session: Session, calibration: Calibration) -> Sequence[CalibrationEvaluator]:
    """Who takes part."""
    statement = select(CalibrationEvaluator).where(CalibrationEvaluator.calibration_id == calibration.id)
    return session.scalars(statement.order_by(CalibrationEvaluator.user_id)).all()
