"""Evaluations as documents and as bodies."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import Field
from sqlalchemy.orm import Session

from earwitness.domain.quality import evaluation as life
from earwitness.store import evaluation_visibility, users
from earwitness.store import evaluations as evaluation_store
from earwitness.store.tables import Evaluation, Queue, WorkTeam
from earwitness.web.api.quality import form_documents
from earwitness.web.api.quality.form_documents import FormMention
from earwitness.web.kernel.callers import Caller
from earwitness.web.kernel.documents import (
    DateInput,
    Document,
    Moment,
    OneOf,
    Reference,
    ReferenceInput,
    RequestBody,
    parse_date,
)
from earwitness.web.kernel.errors import bad_request

Free = dict[str, Any]
CALL = "CALL"
COMMENTS = ("comments", "privateComments", "agentComments")
"""Of the whole, in ``EvaluationScoringSet``."""
TOTALS = (
    *("totalScore", "totalCriticalScore", "totalNonCriticalScore"),
    *("maxTotalRawScore", "maxTotalRawCriticalScore", "anyFailedKillQuestions"),
)


Order = OneOf("asc", "desc", "ascending", "descending")


def moment(text: str | None, name: str) -> int | None:
    """A time of a query, UTC microseconds.

    :raises ApiError: 400, no date.
    """
    if text is None:
        return None
    try:
        return parse_date(text)
    except (ValueError, OverflowError) as error:
        raise bad_request(f"{name}: no date: {error}.", name, "invalid.date") from error


def path_of(row: Evaluation) -> str:
    """Where the evaluation is."""
    return f"/api/v2/quality/conversations/{row.conversation_id}/evaluations/{row.id}"


class QuestionScoreInput(RequestBody):
    """An answer."""

    question_id: str | None = None
    answer_id: str | None = None
    marked_na: bool | None = Field(default=None, alias="markedNA")
    system_marked_na: bool | None = Field(default=None, alias="systemMarkedNA")
    comments: str | None = None
    multiple_select_question_option_scores: list[QuestionScoreInput] | None = None


class GroupScoreInput(RequestBody):
    """Answers to the questions of a group."""

    question_group_id: str | None = None
    marked_na: bool | None = Field(default=None, alias="markedNA")
    system_marked_na: bool | None = Field(default=None, alias="systemMarkedNA")
    question_scores: list[QuestionScoreInput] | None = None


class AnswersInput(RequestBody):
    """Answers and comments; scores in it are worked out anew."""

    question_group_scores: list[GroupScoreInput] | None = None
    comments: str | None = None
    private_comments: str | None = None
    agent_comments: str | None = None

    def document(self) -> Free:
        """As the contract has it, without what is null."""
        return self.model_dump(by_alias=True, exclude_none=True)


class SourceInput(RequestBody):
    """What an evaluation comes from; only ``Program`` may be said by who makes one by hand."""

    id: str | None = None
    name: str | None = None
    type: Annotated[str, OneOf("Policy", "User", "Unknown", "Program")] | None = None


class EvaluationInput(RequestBody):
    """An evaluation to make or change."""

    evaluation_form: ReferenceInput | None = None
    evaluator: ReferenceInput | None = None
    agent: ReferenceInput | None = None
    assignee: ReferenceInput | None = None
    assigned: bool | None = None
    conversation: ReferenceInput | None = None
    status: Annotated[str, OneOf(*life.STATUSES)] | None = None
    answers: AnswersInput | None = None
    agent_has_read: bool | None = None
    release_date: DateInput | None = None
    never_release: bool | None = None
    declined_review: bool | None = None
    rescore: bool | None = None


class Person(Document):
    """A user."""

    id: str
    name: str | None = None
    state: str | None = None
    self_uri: str


class SourceDocument(Document):
    """What an evaluation comes from."""

    id: str | None = None
    name: str | None = None
    type: str


class VersionsDocument(Document):
    """Versions of an evaluation."""

    total: int
    entities: list[Reference]


class EvaluationDocument(Document):
    """An evaluation."""

    id: str
    name: str | None = None
    conversation: Reference
    evaluation_form: FormMention
    evaluator: Person | None = None
    agent: Person
    assignee: Person | None = None
    assignee_applicable: bool
    assigned: bool
    calibration: Reference | None = None
    status: str
    answers: Free | None = None
    agent_has_read: bool
    release_date: Moment | None = None
    never_release: bool
    assigned_date: Moment
    created_date: Moment
    changed_date: Moment
    submitted_date: Moment | None = None
    revision_created_date: Moment | None = None
    date_assignee_changed: Moment | None = None
    queue: Reference | None = None
    agent_team: Reference | None = None
    media_type: list[str]
    division_ids: list[str]
    rescore: bool
    conversation_date: Moment
    conversation_end_date: Moment | None = None
    redacted: bool
    is_scoring_index: bool
    has_assistance_failed: bool
    evaluation_source: SourceDocument
    dispute_count: int
    version: int
    version_history: VersionsDocument | None = None
    declined_review: bool
    evaluation_context_id: str
    retracted_evaluation: Reference | None = None
    authorized_actions: list[str] | None = None
    self_uri: str


@dataclass(frozen=True, slots=True)
class Shown:
    """How much of evaluations a reply shows."""

    answers: bool = True
    totals: bool = True
    """Without ``answers``: at least what they add up to."""
    questions: bool = False
    """The form's questions."""
    blind: Collection[str] = field(default_factory=frozenset)
    """Ids of evaluations whose answers are not shown."""


def documents(
    session: Session, caller: Caller, rows: Iterable[Evaluation], shown: Shown = Shown()
) -> list[EvaluationDocument]:
    """Documents of evaluations that were found for the caller."""
    found = list(rows)
    asked = {user for row in found for user in (row.agent_user_id, row.evaluator_user_id, row.assignee_user_id) if user}
    people = {user.id: user for user in users.by_ids(session, sorted(asked))}
    divisions = evaluation_visibility.division_ids(session, [row.conversation_id for row in found])

    def person(user_id: str) -> Person:
        user = people.get(user_id)
        return Person(
            id=user_id,
            name=user.name if user is not None else None,
            state=user.state if user is not None else None,
            self_uri=f"/api/v2/users/{user_id}",
        )

    def one(row: Evaluation) -> EvaluationDocument:
        form = evaluation_store.form_of(session, row)
        return EvaluationDocument(
            id=row.id,
            conversation=Reference(id=row.conversation_id, self_uri=f"/api/v2/conversations/{row.conversation_id}"),
            evaluation_form=form_documents.mention(form, questions=shown.questions),
            evaluator=person(row.evaluator_user_id) if row.evaluator_user_id else None,
            agent=person(row.agent_user_id),
            assignee=person(row.assignee_user_id) if row.assignee_user_id else None,
            assignee_applicable=row.assignee_applicable,
            assigned=row.assignee_user_id is not None,
            calibration=_calibration(row),
            status=row.status,
            answers=_answers(row, caller, shown),
            agent_has_read=row.agent_has_read,
            release_date=row.release_date,
            never_release=row.never_release,
            assigned_date=row.assigned_at,
            created_date=row.created_at,
            changed_date=row.changed_at,
            submitted_date=row.submitted_at,
            revision_created_date=row.revision_created_at,
            date_assignee_changed=row.assignee_changed_at,
            queue=_queue(session, row),
            agent_team=_team(session, row),
            media_type=[CALL],
            division_ids=divisions.get(row.conversation_id, []),
            rescore=row.rescore,
            conversation_date=row.conversation_at,
            conversation_end_date=row.conversation_ended_at,
            redacted=False,
            is_scoring_index=row.is_scoring_index,
            has_assistance_failed=False,
            evaluation_source=SourceDocument(id=row.source_id, name=row.source_name, type=row.source_type),
            dispute_count=row.dispute_count,
            version=row.version,
            declined_review=row.declined_review,
            evaluation_context_id=row.context_id,
            retracted_evaluation=_version(row, row.retracted_id),
            self_uri=path_of(row),
        )

    return [one(row) for row in found]


def document(session: Session, caller: Caller, row: Evaluation, shown: Shown = Shown()) -> EvaluationDocument:
    """The document of one evaluation, with the history of its versions."""
    made = documents(session, caller, [row], shown)[0]
    if row.agent_user_id != caller.user_id:  # the agent sees what is released, and no more
        versions = evaluation_store.versions(session, row)
        mentions = [Reference(id=each.id, self_uri=path_of(each)) for each in versions]
        made.version_history = VersionsDocument(total=len(mentions), entities=mentions)
    return made


def _answers(row: Evaluation, caller: Caller, shown: Shown) -> Free | None:
    if row.id in shown.blind:
        return None
    if not shown.answers:
        return {name: row.answers[name] for name in TOTALS if name in row.answers} if shown.totals else None
    hidden = {"privateComments"} if row.agent_user_id == caller.user_id else set()
    return {name: value for name, value in row.answers.items() if name not in hidden}


def _calibration(row: Evaluation) -> Reference | None:
    if row.calibration_id is None:
        return None
    return Reference(id=row.calibration_id, self_uri=f"/api/v2/quality/calibrations/{row.calibration_id}")


def _version(row: Evaluation, evaluation_id: str | None) -> Reference | None:
    if evaluation_id is None:
        return None
    base = path_of(row).rpartition("/")[0]
    return Reference(id=evaluation_id, self_uri=f"{base}/{evaluation_id}")


def _queue(session: Session, row: Evaluation) -> Reference | None:
    if row.queue_id is None:
        return None
    queue = session.get(Queue, row.queue_id)
    name = queue.name if queue is not None else None
    return Reference(id=row.queue_id, name=name, self_uri=f"/api/v2/routing/queues/{row.queue_id}")


def _team(session: Session, row: Evaluation) -> Reference | None:
    if row.agent_team_id is None:
        return None
    team = session.get(WorkTeam, row.agent_team_id)
    name = team.name if team is not None else None
    return Reference(id=row.agent_team_id, name=name, self_uri=f"/api/v2/teams/{row.agent_team_id}")
