"""What a PUT does to an evaluation: the body's fields that stick, and what follows from them.

The rules are those of ``domain.quality.evaluation``; here they meet rows and bodies.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.orm import Session

from earwitness.domain.ids import new_id
from earwitness.domain.quality import answers as reading
from earwitness.domain.quality import evaluation as life
from earwitness.domain.quality import form as forms
from earwitness.domain.quality import scoring
from earwitness.domain.quality.conditions import FormError
from earwitness.store import evaluation_visibility, users
from earwitness.store import evaluations as evaluation_store
from earwitness.store.tables import Evaluation
from earwitness.web.api.quality import form_documents
from earwitness.web.api.quality.evaluation_documents import COMMENTS, EvaluationInput
from earwitness.web.kernel.callers import Caller
from earwitness.web.kernel.errors import bad_request, conflict

EVALUATORS_COMMENTS = COMMENTS[:2]
AGENTS_COMMENT = COMMENTS[2]


@dataclass(frozen=True, slots=True)
class Changed:
    """An evaluation after a PUT."""

    row: Evaluation
    """Another one than before, where a rescore made a new version."""
    detail: dict[str, Any] = field(default_factory=dict)
    """For the audit log: before and after; empty: nothing has changed."""


@dataclass(slots=True)
class _Answered:
    score: scoring.Score
    comments: dict[str, str | None]
    missing: list[FormError]

    def differs(self, row: Evaluation) -> bool:
        """From what is written down."""
        kept = {name: row.answers.get(name) for name in EVALUATORS_COMMENTS}
        return self.score.document != _scores(row) or {n: self.comments.get(n) for n in EVALUATORS_COMMENTS} != kept


def standing(session: Session, caller: Caller, row: Evaluation) -> life.Standing:
    """Who the caller is to the evaluation."""
    user_id = caller.user_id
    return life.Standing(
        evaluation_visibility.held(session, caller.access, row),
        is_agent=user_id is not None and user_id == row.agent_user_id,
        is_evaluator=user_id is not None and user_id in (row.evaluator_user_id, row.assignee_user_id),
        released=row.released_at is not None,
    )


def first(session: Session, caller: Caller, row: Evaluation, body: EvaluationInput, now: int) -> Evaluation:
    """What the body of a new evaluation says beyond who, whom and by which form."""
    return change(session, row, standing(session, caller, row), body, now).row


def change(session: Session, row: Evaluation, who: life.Standing, body: EvaluationInput, now: int) -> Changed:
    """Does what a PUT asks for, as far as the caller may.

    :raises ApiError: 400, a field that is wrong; 409, it cannot be done to the evaluation as it is.
    """
    try:
        return _change(session, row, who, body, now)
    except life.LifeError as error:
        message = f"{error.field}: {error.message}."
        raise (
            conflict(message) if error.in_this_state else bad_request(message, error.field, "invalid.value")
        ) from error


def _change(session: Session, row: Evaluation, who: life.Standing, body: EvaluationInput, now: int) -> Changed:
    given = body.given()
    form_row = evaluation_store.form_of(session, row)
    form = forms.read(form_row.question_groups, form_row.weight_mode)
    settings = life.read_settings(form_row.evaluation_settings)
    _check_form(row, body)
    answered = _answered(form, row, body) if "answers" in given and who.may("answers") else None
    new_answers = answered is not None and answered.differs(row)
    if row.status == life.RETRACTED:
        later = evaluation_store.successor(session, row)
        if later is not None and answered is not None and not answered.differs(later):
            return Changed(later)  # the request that made it, once more
        raise conflict("The evaluation was retracted.")
    before = _facts(row)
    status = _status(row, who, body, new_answers)
    disputed = row.status == life.FINISHED and status == life.INREVIEW
    review_done = row.status == life.INREVIEW and status == life.FINISHED
    rescored = row.status in life.SEEN_BY_AGENT and (
        new_answers or (row.status, status) == (life.FINISHED, life.INPROGRESS)
    )
    if status == life.FINISHED and (row.status != life.FINISHED or new_answers):
        _check_complete(form, row, answered)
    if rescored and settings.revisions and row.calibration_id is None:
        row = _revise(session, row, now)
    if answered is not None and new_answers:
        kept = {AGENTS_COMMENT: row.answers.get(AGENTS_COMMENT)}
        evaluation_store.set_score(row, answered.score, {**answered.comments, **kept})
    if status == life.FINISHED and (row.status != life.FINISHED or new_answers):
        row.submitted_at = now
    if rescored:
        row.rescore, row.agent_has_read = True, False
    if disputed:
        _dispute(row, settings, now)
    if review_done:
        row.declined_review = not new_answers
    row.status = status
    if who.may("assignee"):
        _assign(session, row, body, now)
    if who.may("agent"):
        _sign_off(row, body)
    release = life.Release(row.release_date, row.never_release)
    if who.may("release"):
        release = life.release_of(release, {k: given[k] for k in ("release_date", "never_release") if k in given}, now)
        if not release.never and row.calibration_id is not None:
            raise bad_request("An evaluation for a calibration is never released.", "neverRelease", "invalid.value")
    row.release_date, row.never_release = release.date, release.never
    row.released_at = release.released_at(row.status, row.released_at, now)
    after = _facts(row)
    if after == before:
        return Changed(row)
    row.changed_at = now
    session.flush()
    names = [name for name in after if after[name] != before[name]]
    return Changed(row, {"before": {n: before[n] for n in names}, "after": {n: after[n] for n in names}})


def _check_form(row: Evaluation, body: EvaluationInput) -> None:
    asked = body.evaluation_form.id if body.evaluation_form is not None else None
    if asked is not None and asked != row.form_id:
        raise bad_request("The evaluation is by another version of the form.", "evaluationForm.id", "invalid.value")
    agent = body.agent.id if body.agent is not None else None
    if agent is not None and agent != row.agent_user_id:
        raise bad_request("The agent of an evaluation does not change.", "agent.id", "invalid.value")


def _answered(form: forms.Form, row: Evaluation, body: EvaluationInput) -> _Answered | None:
    """Answers and comments of the body; a body that speaks of no question leaves the answers as they are."""
    if body.answers is None:
        return None
    given = body.answers.given()
    document = body.answers.document() if body.answers.question_group_scores is not None else row.answers
    try:
        read = reading.read(form, document)
        names = zip(("comments", "private_comments"), EVALUATORS_COMMENTS, strict=True)
        comments = {
            name: reading.comment(given[python], f"answers.{name}") if python in given else row.answers.get(name)
            for python, name in names
        }
    except FormError as error:
        raise form_documents.form_error(error) from error
    return _Answered(scoring.score(form, read), comments, reading.missing(form, read))


def _check_complete(form: forms.Form, row: Evaluation, answered: _Answered | None) -> None:
    missing = reading.missing(form, reading.read(form, row.answers)) if answered is None else answered.missing
    if missing:
        raise form_documents.form_error(*missing)


def _status(row: Evaluation, who: life.Standing, body: EvaluationInput, new_answers: bool) -> str:
    status = life.next_status(row.status, body.status, who)
    return life.INPROGRESS if status == life.PENDING and new_answers else status


def _revise(session: Session, row: Evaluation, now: int) -> Evaluation:
    """A new version of the evaluation; the one before is retracted, and the agent sees it no more."""
    own = ("id", "version", "retracted_id", "revision_created_at")
    names = [attribute.key for attribute in Evaluation.__mapper__.column_attrs if attribute.key not in own]
    copy = {name: getattr(row, name) for name in names}
    made = Evaluation(id=new_id(), version=row.version + 1, retracted_id=row.id, revision_created_at=now, **copy)
    row.status, row.released_at, row.changed_at = life.RETRACTED, None, now
    session.add(made)
    session.flush()
    return made


def _dispute(row: Evaluation, settings: life.Disputes, now: int) -> None:
    assignee = life.dispute(
        settings, row.dispute_count, row.evaluator_user_id, calibration=row.calibration_id is not None
    )
    row.dispute_count += 1
    row.declined_review = False
    _give(row, assignee, now)


def _give(row: Evaluation, assignee: str | None, now: int) -> None:
    if row.assignee_user_id != assignee:
        row.assignee_user_id, row.assignee_changed_at = assignee, now
    row.assignee_applicable = assignee is not None


def _assign(session: Session, row: Evaluation, body: EvaluationInput, now: int) -> None:
    evaluator = body.evaluator.id if body.evaluator is not None else None
    if evaluator is not None and evaluator != row.evaluator_user_id:
        if row.status not in (life.PENDING, life.INPROGRESS) or row.calibration_id is not None:
            raise life.LifeError("evaluator.id", "the evaluator does not change any more", in_this_state=True)
        _check_person(session, row, evaluator, "evaluator.id")
        if row.assignee_user_id == row.evaluator_user_id:
            _give(row, evaluator, now)
        row.evaluator_user_id, row.assigned_at = evaluator, now
    assignee = body.assignee.id if body.assignee is not None else None
    if body.assigned is False:
        if assignee is not None:
            raise bad_request("An evaluation with an assignee is assigned.", "assigned", "invalid.value")
        _give(row, None, now)
    elif assignee is not None and assignee != row.assignee_user_id and evaluator in (None, row.evaluator_user_id):
        _check_person(session, row, assignee, "assignee.id")
        _give(row, assignee, now)


def _check_person(session: Session, row: Evaluation, user_id: str, at: str) -> None:
    user = users.get(session, user_id)
    if user is None or user.state != "active":
        raise bad_request(f"There is no active user {user_id}.", at, "invalid.value")
    if user_id == row.agent_user_id:
        raise bad_request("Nobody evaluates oneself.", at, "invalid.value")


def _sign_off(row: Evaluation, body: EvaluationInput) -> None:
    if body.agent_has_read is not None:
        row.agent_has_read = body.agent_has_read
    if body.answers is not None and "agent_comments" in body.answers.given():
        try:
            text = reading.comment(body.answers.agent_comments, f"answers.{AGENTS_COMMENT}")
        except FormError as error:
            raise form_documents.form_error(error) from error
        rest = {name: value for name, value in row.answers.items() if name != AGENTS_COMMENT}
        row.answers = rest if text is None else {**rest, AGENTS_COMMENT: text}


def _scores(row: Evaluation) -> dict[str, Any]:
    return {name: value for name, value in row.answers.items() if name not in COMMENTS}


def _facts(row: Evaluation) -> dict[str, Any]:
    """What the audit log tells of."""
    return {
        "id": row.id,
        "status": row.status,
        "answers": _scores(row),
        **{name: row.answers.get(name) for name in COMMENTS},
        "totalScore": row.total_score,
        "evaluator": row.evaluator_user_id,
        "assignee": row.assignee_user_id,
        "releaseDate": row.release_date,
        "neverRelease": row.never_release,
        "agentHasRead": row.agent_has_read,
        "rescore": row.rescore,
        "disputeCount": row.dispute_count,
        "declinedReview": row.declined_review,
    }
