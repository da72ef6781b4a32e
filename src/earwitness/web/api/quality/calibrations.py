"""Calibrations: several people evaluate one agent in one call, and are compared."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from sqlalchemy.orm import Session

from earwitness.domain.quality import calibration as rules
from earwitness.domain.quality import evaluation as life
from earwitness.store import calibrations as calibration_store
from earwitness.store import conversations as conversation_store
from earwitness.store import evaluation_forms, users
from earwitness.store.tables import Calibration, EvaluationForm, User
from earwitness.store.visibility import AGENTS
from earwitness.web.api.quality import evaluation_documents, form_documents
from earwitness.web.api.quality.activity import person, rounded
from earwitness.web.api.quality.evaluation_documents import EvaluationDocument, Order, Person, Shown, moment
from earwitness.web.api.quality.evaluations import visible_conversation
from earwitness.web.api.quality.form_documents import FormMention
from earwitness.web.api.recording_audit import note
from earwitness.web.kernel.callers import Caller, Signed
from earwitness.web.kernel.documents import Document, Moment, Reference, ReferenceInput, RequestBody
from earwitness.web.kernel.errors import bad_request, conflict, missing_permissions, not_found
from earwitness.web.kernel.operations import Family, any_of
from earwitness.web.kernel.paging import CommaList, Listing, Paging
from earwitness.web.kernel.services import Parts, Services

family = Family("Calibrations")
PATH = "/api/v2/quality/calibrations"
KIND = "calibration"
VIEW, ADD, EDIT, DELETE = (f"quality:calibration:{action}" for action in ("view", "add", "edit", "delete"))
MOST_EVALUATORS = 100


class CalibrationInput(RequestBody):
    """A calibration to make or change."""

    conversation: ReferenceInput | None = None
    evaluation_form: ReferenceInput | None = None
    agent: ReferenceInput | None = None
    calibrator: ReferenceInput | None = None
    evaluators: list[ReferenceInput] | None = None
    expert_evaluator: ReferenceInput | None = None
    scoring_index: ReferenceInput | None = None


class CalibrationDocument(Document):
    """A calibration. Scores are of the evaluations that are finished."""

    id: str
    calibrator: Person
    agent: Person
    conversation: Reference
    evaluation_form: FormMention | None = None
    context_id: str
    average_score: int | None = None
    high_score: int | None = None
    low_score: int | None = None
    created_date: Moment
    evaluations: list[EvaluationDocument]
    evaluators: list[Person]
    scoring_index: EvaluationDocument | None = None
    expert_evaluator: Person | None = None
    self_uri: str


@family.operation("GET", PATH, "get_quality_calibrations", any_of(VIEW), returns=Listing[CalibrationDocument])
def list_calibrations(
    caller: Signed,
    parts: Parts,
    page: Paging,
    calibrator_id: Annotated[str, Query(alias="calibratorId")],
    expand: Annotated[CommaList, Query()] = None,
    conversation_id: Annotated[str | None, Query(alias="conversationId")] = None,
    start: Annotated[str | None, Query(alias="startTime")] = None,
    end: Annotated[str | None, Query(alias="endTime")] = None,
    sort_order: Annotated[str, Order, Query(alias="sortOrder")] = "desc",
) -> Listing[CalibrationDocument]:
    """Calibrations of a calibrator, the newest first."""
    with parts.database.reading() as session:
        found = calibration_store.listing(
            session,
            caller.access,
            calibrator_id=calibrator_id,
            conversation_id=conversation_id,
            since=moment(start, "startTime"),
            until=moment(end, "endTime"),
            down=sort_order.startswith("desc"),
            number=page.number,
            size=page.size,
        )
        return page.envelope([_document(session, caller, row) for row in found.items], found.total)


@family.operation("POST", PATH, "post_quality_calibrations", any_of(ADD), returns=CalibrationDocument, audited=KIND)
def create_calibration(
    caller: Signed, parts: Parts, body: CalibrationInput, expand: Annotated[CommaList, Query()] = None
) -> CalibrationDocument:
    """Makes a calibration and an evaluation for everybody in it.

    The agent is, unless told otherwise, the first of the call; the calibrator whoever asks.
    """
    now = parts.clock.now_us()
    with parts.database.transaction() as session:
        if body.conversation is None or not body.conversation.id:
            raise bad_request("conversation.id is required.", "conversation.id")
        conversation = visible_conversation(parts, session, caller, body.conversation.id)
        form = evaluation_forms.published(session, _id(body.evaluation_form) or "")
        if form is None:
            raise bad_request("This is no published evaluation form.", "evaluationForm.id", "invalid.value")
        agents = [
            who.user_id
            for who in conversation_store.participants(session, conversation)
            if who.purpose in AGENTS and who.user_id is not None
        ]
        agent_id = _id(body.agent) or next(iter(agents), None)
        if agent_id is None or agent_id not in agents:
            raise bad_request("The agent did not take part in the conversation.", "agent.id", "invalid.value")
        calibrator_id = _id(body.calibrator) or caller.user_id
        if calibrator_id is None:
            raise bad_request("calibrator.id is required.", "calibrator.id")
        _person(session, calibrator_id, "calibrator.id", agent_id)
        evaluator_ids, expert_id = _people(session, body, agent_id)
        row = calibration_store.assign(
            session,
            conversation_id=conversation.id,
            form_id=form.id,
            calibrator_id=calibrator_id,
            evaluator_ids=evaluator_ids,
            expert_id=expert_id,
            agent_id=agent_id,
            at=now,
            source_id=caller.user_id,
            created_by=caller.subject.id,
        )
        _note(parts, caller, session, "create", row)
        return _document(session, caller, row)


@family.operation(
    "GET", PATH + "/{calibrationId}", "get_quality_calibration", any_of(VIEW), returns=CalibrationDocument
)
def one_calibration(
    caller: Signed,
    parts: Parts,
    calibrationId: str,
    calibrator_id: Annotated[str | None, Query(alias="calibratorId")] = None,
    conversation_id: Annotated[str | None, Query(alias="conversationId")] = None,
) -> CalibrationDocument:
    """A calibration; its calibrator or its conversation must be named. Who takes part and has not finished sees neither
    scores nor what the others think.
    """
    if calibrator_id is None and conversation_id is None:
        raise bad_request("calibratorId or conversationId is required.", "calibratorId")
    with parts.database.reading() as session:
        row = calibration_store.find(session, caller.access, calibrationId)
        if (
            row is None
            or calibrator_id not in (None, row.calibrator_user_id)
            or conversation_id not in (None, row.conversation_id)
        ):
            raise not_found("calibration", calibrationId)
        return _document(session, caller, row)


@family.operation(
    "PUT",
    PATH + "/{calibrationId}",
    "put_quality_calibration",
    any_of(EDIT),
    returns=CalibrationDocument,
    audited=KIND,
)
def change_calibration(caller: Signed, parts: Parts, calibrationId: str, body: CalibrationInput) -> CalibrationDocument:
    """Changes evaluators, expert and scoring index; the rest of the body is passed over, absent fields stay."""
    with parts.database.transaction() as session:
        row = calibration_store.find(session, caller.access, calibrationId)
        if row is None:
            raise not_found("calibration", calibrationId)
        _allow(session, caller, row, EDIT)
        given = body.given()
        known = [seat.user_id for seat in calibration_store.seats(session, row)]
        new = CalibrationInput()
        new.evaluators = body.evaluators
        new.expert_evaluator = body.expert_evaluator
        if "evaluators" in given or "expert_evaluator" in given:
            if body.evaluators is None:
                new.evaluators = [_reference(user_id) for user_id in known if user_id != row.expert_user_id]
            if "expert_evaluator" not in given and row.expert_user_id is not None:
                new.expert_evaluator = _reference(row.expert_user_id)
            evaluator_ids, expert_id = _people(session, new, row.agent_user_id)
            try:
                calibration_store.set_people(
                    session, row, evaluator_ids, expert_id, parts.clock.now_us(), caller.subject.id
                )
            except calibration_store.HasBegunError as error:
                raise conflict(f"{str(error).capitalize()}.") from error
        index = _id(body.scoring_index)
        if index is not None:
            if all(seat.evaluation_id != index for seat in calibration_store.seats(session, row)):
                raise bad_request("No evaluation of the calibration.", "scoringIndex.id", "invalid.value")
            calibration_store.set_index(session, row, index)
        session.flush()
        _note(parts, caller, session, "change", row)
        return _document(session, caller, row)


@family.operation(
    "DELETE",
    PATH + "/{calibrationId}",
    "delete_quality_calibration",
    any_of(DELETE),
    returns=CalibrationDocument,
    audited=KIND,
)
def delete_calibration(
    caller: Signed, parts: Parts, calibrationId: str, calibrator_id: Annotated[str, Query(alias="calibratorId")]
) -> CalibrationDocument:
    """Deletes a calibration with its evaluations."""
    with parts.database.transaction() as session:
        row = calibration_store.find(session, caller.access, calibrationId, deleted=True)
        if row is None or row.calibrator_user_id != calibrator_id:
            raise not_found("calibration", calibrationId)
        _allow(session, caller, row, DELETE)
        found = _document(session, caller, row)
        if row.deleted_at is None:
            calibration_store.delete(session, row, parts.clock.now_us())
            _note(parts, caller, session, "delete", row)
        return found


def _allow(session: Session, caller: Caller, row: Calibration, permission: str) -> None:
    if calibration_store.find(session, caller.access, row.id, permission, deleted=True) is None:
        raise missing_permissions((permission,), every=True)


def _note(parts: Services, caller: Caller, session: Session, action: str, row: Calibration) -> None:
    people = [seat.user_id for seat in calibration_store.seats(session, row)]
    detail = {"evaluators": people, "expert": row.expert_user_id, "form": row.form_id, "agent": row.agent_user_id}
    note(parts, caller, action, KIND, row.id, row.conversation_id, session=session, detail=detail)


def _people(session: Session, body: CalibrationInput, agent_id: str) -> tuple[list[str], str | None]:
    """Evaluators and expert of a body.

    :raises ApiError: 400, none, too many, or no such user.
    """
    expert_id = _id(body.expert_evaluator)
    if expert_id is not None:
        _person(session, expert_id, "expertEvaluator.id", agent_id)
    ids = []
    for number, reference in enumerate(body.evaluators or []):
        if not reference.id:
            raise bad_request("An evaluator needs an id.", f"evaluators.{number}.id")
        _person(session, reference.id, f"evaluators.{number}.id", agent_id)
        ids.append(reference.id)
    if not 1 <= len({*ids, *([expert_id] if expert_id else [])}) <= MOST_EVALUATORS:
        raise bad_request(f"A calibration needs 1 to {MOST_EVALUATORS} evaluators.", "evaluators")
    return ids, expert_id


def _person(session: Session, user_id: str, field: str, agent_id: str) -> User:
    user = users.get(session, user_id)
    if user is None or user.state != "active":
        raise bad_request(f"There is no active user {user_id}.", field, "invalid.value")
    if user_id == agent_id:
        raise bad_request("Nobody has a part in a calibration about oneself.", field, "invalid.value")
    return user


def _id(reference: ReferenceInput | None) -> str | None:
    return reference.id or None if reference is not None else None


def _reference(user_id: str) -> ReferenceInput:
    return ReferenceInput.model_validate({"id": user_id})


def _document(session: Session, caller: Caller, row: Calibration) -> CalibrationDocument:
    seats = calibration_store.seats(session, row)
    seen = calibration_store.evaluations_of(session, caller.access, row)
    shown = evaluation_documents.documents(session, caller, seen, Shown())
    all_seen = {seat.evaluation_id for seat in seats} <= {item.id for item in seen}
    totals = [item.total_score if item.status in life.SEEN_BY_AGENT else None for item in seen] if all_seen else []
    compared = rules.compare(totals)
    form = session.get(EvaluationForm, row.form_id)
    asked = {seat.user_id for seat in seats} | {row.agent_user_id, row.calibrator_user_id}
    known = {user.id: person(user) for user in users.by_ids(session, sorted(asked))}

    def who(user_id: str) -> Person:
        return known.get(user_id) or Person(id=user_id, self_uri=f"/api/v2/users/{user_id}")

    index = next((item.id for item in seen if item.is_scoring_index), None)
    return CalibrationDocument(
        id=row.id,
        calibrator=who(row.calibrator_user_id),
        agent=who(row.agent_user_id),
        conversation=Reference(id=row.conversation_id, self_uri=f"/api/v2/conversations/{row.conversation_id}"),
        evaluation_form=form_documents.mention(form) if form is not None else None,
        context_id=row.context_id,
        average_score=rounded(compared.average),
        high_score=rounded(compared.high),
        low_score=rounded(compared.low),
        created_date=row.created_at,
        evaluations=shown,
        evaluators=[who(seat.user_id) for seat in seats if seat.user_id != row.expert_user_id],
        scoring_index=next((item for item in shown if item.id == index), None),
        expert_evaluator=who(row.expert_user_id) if row.expert_user_id is not None else None,
        self_uri=f"{PATH}/{row.id}",
    )
