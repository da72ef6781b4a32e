"""Surveys: to ask a customer about a call, to answer, and to read the answers.

Nothing is sent to anybody: whoever makes a survey gets the address by which it is answered, and hands it on. Whoever
has the address answers; it cannot be guessed, and is not kept.
"""

from __future__ import annotations

import secrets
from typing import Annotated, Any
from urllib.parse import parse_qs, urlencode, urlsplit

from fastapi import Query, Request
from pydantic import Field
from sqlalchemy.orm import Session

from earwitness.domain.quality import survey as rules
from earwitness.domain.quality.conditions import FormError
from earwitness.store import audit, evaluation_forms, surveys, users
from earwitness.store import conversations as conversation_store
from earwitness.store.tables import Queue, Survey, SurveyForm
from earwitness.store.visibility import AGENTS
from earwitness.web.api import scoped
from earwitness.web.api.quality import survey_documents
from earwitness.web.api.quality.evaluations import visible_conversation
from earwitness.web.api.quality.form_documents import form_error
from earwitness.web.api.quality.survey_documents import SurveyFormInput, SurveyFormMention
from earwitness.web.api.quality.survey_forms import ADD as ADD_FORM
from earwitness.web.api.quality.survey_forms import VIEW as VIEW_FORM
from earwitness.web.api.recording_audit import note, note_subject
from earwitness.web.kernel import changes
from earwitness.web.kernel.callers import Caller, Signed
from earwitness.web.kernel.documents import Document, Moment, OneOf, Reference, RequestBody
from earwitness.web.kernel.errors import bad_request, conflict, not_found
from earwitness.web.kernel.operations import PUBLIC, SIGNED_IN, Family, any_of
from earwitness.web.kernel.services import Parts, base_url, remote_address

family = Family("Surveys")
PATH = "/api/v2/quality/surveys"
SCORABLE = PATH + "/scorable"
KIND = "survey"
VIEW, ADD = "quality:survey:view", "quality:survey:add"
Free = dict[str, Any]
CustomerUrl = Annotated[str, Query(alias="customerSurveyUrl", max_length=2000)]


class QuestionScoreInput(RequestBody):
    """An answer."""

    question_id: str | None = None
    answer_id: str | None = None
    marked_na: bool | None = Field(default=None, alias="markedNA")
    system_marked_na: bool | None = Field(default=None, alias="systemMarkedNA")
    nps_score: int | None = None
    nps_text_answer: str | None = None
    free_text_answer: str | None = None


class GroupScoreInput(RequestBody):
    """Answers to the questions of a group."""

    question_group_id: str | None = None
    marked_na: bool | None = Field(default=None, alias="markedNA")
    system_marked_na: bool | None = Field(default=None, alias="systemMarkedNA")
    question_scores: list[QuestionScoreInput] | None = None


class AnswersInput(RequestBody):
    """Answers of a customer; scores in it are worked out anew."""

    question_group_scores: list[GroupScoreInput] | None = None

    def document(self) -> Free:
        """As the contract has it, without what is null."""
        return self.model_dump(by_alias=True, exclude_none=True)


class SurveyInput(RequestBody):
    """Whom to ask, and what."""

    conversation_id: str | None = None
    survey_form_context_id: str | None = None
    agent_id: str | None = None
    queue_id: str | None = None


class ScorableInput(RequestBody):
    """Answers."""

    status: Annotated[str, OneOf("Pending", "Sent", "InProgress", "Finished", "OptOut", "Error", "Expired")] | None = (
        None
    )
    answers: AnswersInput | None = None


class ScoringInput(RequestBody):
    """A form and answers to it."""

    survey_form: SurveyFormInput | None = None
    answers: AnswersInput | None = None


class SurveyAnswers(Document):
    """Answers with what they are worth."""

    total_score: float | None = None
    nps_score: int | None = None
    question_group_scores: list[Free]


class ScorableDocument(Document):
    """A survey as the customer sees it."""

    id: str
    survey_form: SurveyFormMention
    status: str
    answers: SurveyAnswers | None = None
    self_uri: str


class SurveyDocument(ScorableDocument):
    """A survey."""

    conversation: Reference
    agent: Reference | None = None
    queue: Reference | None = None
    agent_team: Reference | None = None
    completed_date: Moment | None = None
    survey_type: str
    missing_required_answer: bool | None = None


class NewSurveyDocument(SurveyDocument):
    """A new survey, and where it is answered."""

    customer_survey_url: str


@family.operation("POST", PATH, "post_quality_surveys", any_of(ADD), returns=NewSurveyDocument, audited=KIND)
def create_survey(request: Request, caller: Signed, parts: Parts, body: SurveyInput) -> NewSurveyDocument:
    """Makes a survey about a finished call, by the version of the form that was published last.

    It is about the last agent of the call and their queue, unless told otherwise. ``customerSurveyUrl`` is told once.
    """
    conversation_id = changes.required_text(body.conversation_id, "conversationId", 64)
    context_id = changes.required_text(body.survey_form_context_id, "surveyFormContextId", 64)
    token = secrets.token_urlsafe(24)
    with parts.database.transaction() as session:
        conversation = visible_conversation(parts, session, caller, conversation_id)
        form = evaluation_forms.latest(session, SurveyForm, context_id)
        if form is None or form.disabled or not scoped.sees(caller, form.division_id, VIEW_FORM, ADD_FORM):
            message = "There is no published survey form of that context that is enabled."
            raise bad_request(message, "surveyFormContextId", "invalid.value")
        people = conversation_store.participants(session, conversation)
        agents = [person for person in people if person.purpose in AGENTS and person.user_id is not None]
        if body.agent_id is not None:
            agents = [person for person in agents if person.user_id == body.agent_id]
            if not agents:
                raise bad_request("The agent did not take part in the conversation.", "agentId", "invalid.value")
        agent = agents[-1] if agents else None
        queue_id = body.queue_id or (agent.queue_id if agent is not None else None)
        if body.queue_id is not None and session.get(Queue, body.queue_id) is None:
            raise bad_request(f"There is no queue {body.queue_id}.", "queueId", "invalid.value")
        row = surveys.add(
            session,
            conversation_id=conversation.id,
            form=form,
            agent_id=agent.user_id if agent is not None else None,
            queue_id=queue_id,
            token=token,
            at=parts.clock.now_us(),
            by=caller.subject.id,
        )
        note(parts, caller, "create", KIND, row.id, row.conversation_id, session=session, detail={"form": form.id})
        url = f"{base_url(request, parts)}{SCORABLE}?{urlencode({'customerSurveyUrl': token})}"
        return NewSurveyDocument(**dict(_document(session, row)), customer_survey_url=url)


@family.operation("GET", SCORABLE, "get_quality_surveys_scorable", PUBLIC, returns=ScorableDocument)
def scorable_survey(parts: Parts, url: CustomerUrl) -> ScorableDocument:
    """The survey of a customer's address, to be answered."""
    with parts.database.reading() as session:
        return _scorable(session, _by_url(session, url))


@family.operation("PUT", SCORABLE, "put_quality_surveys_scorable", PUBLIC, returns=ScorableDocument)
def answer_survey(request: Request, parts: Parts, url: CustomerUrl, body: ScorableInput) -> ScorableDocument:
    """Answers the survey of a customer's address; with ``status`` Finished for good."""
    with parts.database.transaction() as session:
        row = _by_url(session, url)
        form = surveys.form_of(session, row)
        status = body.status or rules.INPROGRESS
        if status not in (rules.INPROGRESS, rules.FINISHED):
            raise bad_request("status must be InProgress or Finished.", "status", "invalid.value")
        document = body.answers.document() if body.answers is not None else row.answers
        try:
            scored = rules.score(form.question_groups, document)
        except FormError as error:
            raise form_error(error) from error
        if row.status == rules.FINISHED:
            if scored.document != row.answers:
                raise conflict("The survey was answered.")
            return _scorable(session, row)
        if form.disabled:
            raise conflict("The survey form was disabled.")
        if status == rules.FINISHED and scored.missing:
            raise form_error(*scored.missing)
        row.answers, row.status = scored.document, status
        if status == rules.FINISHED:
            row.completed_at = parts.clock.now_us()
        note_subject(
            parts,
            audit.ANONYMOUS,
            remote_address(request),
            "answer",
            KIND,
            row.id,
            row.conversation_id,
            session=session,
            detail={"status": status},
        )
        session.flush()
        return _scorable(session, row)


@family.operation(
    "POST", PATH + "/scoring", "post_quality_surveys_scoring", SIGNED_IN, returns=SurveyAnswers, reads=True
)
def score_answers(body: ScoringInput) -> SurveyAnswers:
    """What answers to a survey form, given with its questions and their ids, would be worth."""
    if body.survey_form is None or body.survey_form.question_groups is None:
        raise bad_request("surveyForm.questionGroups is required.", "surveyForm.questionGroups")
    if body.answers is None:
        raise bad_request("answers is required.", "answers")
    groups = survey_documents.groups_of(body.survey_form)
    try:
        return SurveyAnswers.model_validate(rules.score(groups, body.answers.document()).document)
    except FormError as error:
        raise form_error(error) from error


@family.operation("GET", PATH + "/{surveyId}", "get_quality_survey", any_of(VIEW), returns=SurveyDocument, audited=KIND)
def one_survey(caller: Signed, parts: Parts, surveyId: str) -> SurveyDocument:
    """A survey of a conversation that the caller may view surveys of."""
    with parts.database.reading() as session:
        row = surveys.get(session, surveyId)
        if row is None or not _visible(session, caller, row.conversation_id):
            raise not_found("survey", surveyId)
        return _document(session, row)


@family.operation(
    "GET",
    "/api/v2/quality/conversations/{conversationId}/surveys",
    "get_quality_conversation_surveys",
    any_of(VIEW),
    returns=list[SurveyDocument],
    audited=KIND,
)
def surveys_of_conversation(caller: Signed, parts: Parts, conversationId: str) -> list[SurveyDocument]:
    """Surveys of a conversation."""
    with parts.database.reading() as session:
        if not _visible(session, caller, conversationId):
            raise not_found("conversation", conversationId)
        return [_document(session, row) for row in surveys.of_conversation(session, conversationId)]


def _visible(session: Session, caller: Caller, conversation_id: str) -> bool:
    return conversation_store.get(session, caller.access, conversation_id, VIEW) is not None


def _by_url(session: Session, url: str) -> Survey:
    """The survey of an address, or of what it ends in.

    :raises ApiError: 404.
    """
    try:
        token = parse_qs(urlsplit(url).query).get("customerSurveyUrl", [url])[0]
    except ValueError:
        token = url
    row = surveys.by_token(session, token)
    if row is None:
        raise not_found("survey", "of that address")
    return row


def _scorable(session: Session, row: Survey) -> ScorableDocument:
    return ScorableDocument(
        id=row.id,
        survey_form=survey_documents.mention(surveys.form_of(session, row)),
        status=row.status,
        answers=SurveyAnswers.model_validate(row.answers) if row.answers else None,
        self_uri=f"{PATH}/{row.id}",
    )


def _document(session: Session, row: Survey) -> SurveyDocument:
    agent = users.get(session, row.agent_user_id, deleted=True) if row.agent_user_id is not None else None
    queue = session.get(Queue, row.queue_id) if row.queue_id is not None else None
    return SurveyDocument(
        **dict(_scorable(session, row)),
        conversation=Reference(id=row.conversation_id, self_uri=f"/api/v2/conversations/{row.conversation_id}"),
        agent=_reference(row.agent_user_id, agent.name if agent is not None else None, "users"),
        queue=_reference(row.queue_id, queue.name if queue is not None else None, "routing/queues"),
        agent_team=_reference(row.agent_team_id, None, "teams"),
        completed_date=row.completed_at,
        survey_type="Web",
        missing_required_answer=False if row.status == rules.FINISHED else None,
    )


def _reference(key: str | None, name: str | None, family_path: str) -> Reference | None:
    return None if key is None else Reference(id=key, name=name, self_uri=f"/api/v2/{family_path}/{key}")
