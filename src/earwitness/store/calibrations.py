"""Calibrations: several evaluations of the same agent in the same call, to be compared."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, and_, exists, false, or_, select
from sqlalchemy.orm import Session

from earwitness.domain.access import Access
from earwitness.domain.ids import new_id
from earwitness.domain.quality import evaluation as life
from earwitness.store import evaluations
from earwitness.store.evaluation_visibility import reached, visible_to
from earwitness.store.paging import Page, page_of
from earwitness.store.tables import Calibration, CalibrationEvaluator, Evaluation

VIEW = "quality:calibration:view"


class HasBegunError(ValueError):
    """Somebody who has begun to evaluate cannot be taken out."""


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
    people = dict.fromkeys([*([expert_id] if expert_id else []), *evaluator_ids])
    if not people:
        raise evaluations.CannotAssignError("a calibration needs an evaluator")
    session.add(made)
    for user_id in people:
        evaluation = _seat(session, made, user_id, at, source_type, source_id, source_name, created_by)
        evaluation.is_scoring_index = user_id == expert_id
        made.context_id = evaluation.form_context_id
    session.flush()
    return made


def _seat(
    session: Session,
    row: Calibration,
    user_id: str,
    at: int,
    source_type: str,
    source_id: str | None,
    source_name: str | None,
    created_by: str | None,
) -> Evaluation:
    evaluation = evaluations.assign(
        session,
        conversation_id=row.conversation_id,
        form_id=row.form_id,
        evaluator_id=user_id,
        agent_id=row.agent_user_id,
        at=at,
        source_type=source_type,
        source_id=source_id,
        source_name=source_name,
        policy_id=row.policy_id,
        calibration_id=row.id,
        created_by=created_by,
    )
    evaluation.never_release = True  # a comparison of evaluators is nothing for the agent
    session.flush()
    session.add(CalibrationEvaluator(calibration_id=row.id, user_id=user_id, evaluation_id=evaluation.id))
    return evaluation


def set_people(
    session: Session, row: Calibration, evaluator_ids: Sequence[str], expert_id: str | None, at: int, by: str | None
) -> None:
    """Has these take part, and no others.

    :param at: now, UTC microseconds; ``by``: whose doing it is.
    :raises HasBegunError: somebody who would be taken out has begun.
    """
    wanted = dict.fromkeys([*([expert_id] if expert_id else []), *evaluator_ids])
    known = {seat.user_id: seat for seat in seats(session, row)}
    for user_id, seat in known.items():
        if user_id not in wanted:
            evaluation = session.get_one(Evaluation, seat.evaluation_id)
            if evaluation.status != life.PENDING:
                raise HasBegunError(f"the evaluator {user_id} has begun")
            evaluation.deleted_at = evaluation.changed_at = at
            session.delete(seat)
    for user_id in wanted:
        if user_id not in known:
            _seat(session, row, user_id, at, "User", by, None, by)
    session.flush()
    if expert_id != row.expert_user_id:
        row.expert_user_id = expert_id
        index = next((seat.evaluation_id for seat in seats(session, row) if seat.user_id == expert_id), None)
        set_index(session, row, index)
    session.flush()


def set_index(session: Session, row: Calibration, evaluation_id: str | None) -> None:
    """Says which evaluation the others are held against."""
    for seat in seats(session, row):
        session.get_one(Evaluation, seat.evaluation_id).is_scoring_index = seat.evaluation_id == evaluation_id


def delete(session: Session, row: Calibration, at: int) -> None:
    """Deletes a calibration and its evaluations."""
    row.deleted_at = at
    for seat in seats(session, row):
        evaluation = session.get_one(Evaluation, seat.evaluation_id)
        if evaluation.deleted_at is None:
            evaluation.deleted_at = evaluation.changed_at = at
    session.flush()


def calibrations_visible_to(access: Access, permission: str = VIEW) -> ColumnElement[bool]:
    """Condition on ``Calibration``: by right in a division of the call, or because the subject takes part. Never for
    the agent who is evaluated.
    """
    user_id = access.subject.user_id
    by_right = exists(select(1).where(Evaluation.calibration_id == Calibration.id, reached(access, permission)))
    if user_id is None:
        return by_right
    seat = exists(
        select(1).where(CalibrationEvaluator.calibration_id == Calibration.id, CalibrationEvaluator.user_id == user_id)
    )
    takes_part = seat if permission == VIEW else false()
    own = Calibration.calibrator_user_id == user_id
    return and_(Calibration.agent_user_id != user_id, or_(by_right, takes_part, own))


def find(
    session: Session, access: Access, calibration_id: str, permission: str = VIEW, *, deleted: bool = False
) -> Calibration | None:
    """The calibration of that id, if it exists for the subject."""
    statement = select(Calibration).where(Calibration.id == calibration_id, calibrations_visible_to(access, permission))
    row = session.scalars(statement).first()
    return row if row is not None and (deleted or row.deleted_at is None) else None


def listing(
    session: Session,
    access: Access,
    *,
    calibrator_id: str,
    conversation_id: str | None = None,
    since: int | None = None,
    until: int | None = None,
    down: bool = True,
    number: int = 1,
    size: int = 25,
) -> Page[Calibration]:
    """A page of calibrations of a calibrator, by time; ``since`` inclusive, ``until`` exclusive, UTC microseconds."""
    statement = select(Calibration).where(
        Calibration.deleted_at.is_(None),
        Calibration.calibrator_user_id == calibrator_id,
        calibrations_visible_to(access),
    )
    if conversation_id is not None:
        statement = statement.where(Calibration.conversation_id == conversation_id)
    if since is not None:
        statement = statement.where(Calibration.created_at >= since)
    if until is not None:
        statement = statement.where(Calibration.created_at < until)
    column = Calibration.created_at
    order = (column.desc(), Calibration.id.desc()) if down else (column, Calibration.id)
    return page_of(session, statement.order_by(*order), number, size)


def evaluations_of(session: Session, access: Access, row: Calibration) -> Sequence[Evaluation]:
    """Those of its evaluations that exist for the subject."""
    seen = or_(visible_to(access), and_(Evaluation.deleted_at.is_(None), _by_calibration(access)))
    statement = select(Evaluation).where(Evaluation.calibration_id == row.id, seen)
    return session.scalars(statement.order_by(Evaluation.assigned_at, Evaluation.id)).all()


def _by_calibration(access: Access) -> ColumnElement[bool]:
    """Who may view calibrations of the call, and has no part in this one, sees what is compared."""
    user_id = access.subject.user_id
    if user_id is None:
        return reached(access, VIEW)
    seat = select(1).where(
        CalibrationEvaluator.calibration_id == Evaluation.calibration_id, CalibrationEvaluator.user_id == user_id
    )
    return and_(reached(access, VIEW), ~exists(seat))


def get(session: Session, calibration_id: str) -> Calibration | None:
    """The calibration of that id, unless it was deleted."""
    row = session.get(Calibration, calibration_id)
    return row if row is not None and row.deleted_at is None else None


def seats(session: Session, calibration: Calibration) -> Sequence[CalibrationEvaluator]:
    """Who takes part."""
    statement = select(CalibrationEvaluator).where(CalibrationEvaluator.calibration_id == calibration.id)
    return session.scalars(statement.order_by(CalibrationEvaluator.user_id)).all()
