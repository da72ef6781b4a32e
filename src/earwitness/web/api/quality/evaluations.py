"""Evaluations of a conversation: to make, read, change and delete (J3 to J10, J15)."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from sqlalchemy.orm import Session

from earwitness.domain.quality import evaluation as life
from earwitness.store import conversations as conversation_store
from earwitness.store import evaluation_forms, users
from earwitness.store import evaluations as evaluation_store
from earwitness.store.tables import Conversation, Evaluation
from earwitness.store.visibility import AGENTS, VIEW_CONVERSATIONS, VIEW_RECORDINGS
from earwitness.web.api import live, scoped
from earwitness.web.api.quality import evaluation_changes
from earwitness.web.api.quality import evaluation_documents as documents
from earwitness.web.api.quality.evaluation_documents import EvaluationDocument, EvaluationInput, Shown
from earwitness.web.api.recording_audit import note
from earwitness.web.kernel.callers import Caller, Signed
from earwitness.web.kernel.documents import ReferenceInput
from earwitness.web.kernel.errors import bad_request, conflict, missing_permissions, not_found
from earwitness.web.kernel.operations import Family, any_of
from earwitness.web.kernel.paging import CommaList, Listing, Paging
from earwitness.web.kernel.services import Parts, Services

family = Family("Evaluations")
PATH = "/api/v2/quality/conversations/{conversationId}/evaluations"
KIND = "evaluation"
VIEW, ADD, ASSIGN, RELEASE, EDIT, EDIT_SCORE, SIGN_OFF, DELETE = (
    f"quality:evaluation:{action}"
    for action in ("view", "add", "assign", "release", "edit", "editScore", "editAgentSignoff", "delete")
)
EXPANDABLE = ("agent", "assignee", "evaluator", "evaluatorId", "evaluationForm")
FORM_VIEW = "quality:evaluationForm:view"


@family.operation(
    "POST",
    PATH,
    "post_quality_conversation_evaluations",
    any_of(ADD),
    returns=EvaluationDocument,
    audited=KIND,
)
def create_evaluation(
    caller: Signed,
    parts: Parts,
    conversationId: str,
    body: EvaluationInput,
    expand: Annotated[CommaList, Query()] = None,
) -> EvaluationDocument:
    """Makes an evaluation of an agent who took part in a finished conversation (J4).

    The form must be a published version; one person may be evaluated 50 times in 24 hours by hand (J10).
    """
    shown = _shown(expand)
    now = parts.clock.now_us()
    with parts.database.transaction() as session:
        conversation = visible_conversation(parts, session, caller, conversationId)
        if body.conversation is not None and body.conversation.id not in (None, conversationId):
            raise bad_request("conversation.id is not that of the address.", "conversation.id", "invalid.value")
        form_id = _required(body.evaluation_form, "evaluationForm.id")
        evaluator_id = _required(body.evaluator, "evaluator.id")
        agent_id = _required(body.agent, "agent.id")
        form = evaluation_forms.published(session, form_id)
        if form is None or not scoped.sees(caller, form.division_id, FORM_VIEW, ADD):
            raise bad_request("This is no published evaluation form.", "evaluationForm.id", "invalid.value")
        evaluator = users.get(session, evaluator_id)
        if evaluator is None or evaluator.state != "active":
            raise bad_request(f"There is no active user {evaluator_id}.", "evaluator.id", "invalid.value")
        took_part = {
            person.user_id
            for person in conversation_store.participants(session, conversation)
            if person.purpose in AGENTS
        }
        if agent_id not in took_part:
            raise bad_request("The agent did not take part in the conversation.", "agent.id", "invalid.value")
        if evaluator_id == agent_id:
            raise bad_request("Nobody evaluates oneself.", "evaluator.id", "invalid.value")
        made = evaluation_store.made_by_hand(session, agent_id, now - life.BY_HAND_WITHIN_US)
        if made >= life.MOST_BY_HAND:
            raise conflict(f"The agent has been evaluated {made} times by hand within 24 hours.", "evaluation.limit")
        row = evaluation_store.assign(
            session,
            conversation_id=conversation.id,
            form_id=form.id,
            evaluator_id=evaluator_id,
            agent_id=agent_id,
            at=now,
            source_type="User",
            source_id=caller.user_id,
            created_by=caller.subject.id,
        )
        note(
            parts,
            caller,
            "create",
            KIND,
            row.id,
            row.conversation_id,
            session=session,
            detail={"form": form.id, "agent": agent_id, "evaluator": evaluator_id},
        )
        row = evaluation_changes.first(session, caller, row, body, now)
        return documents.document(session, caller, row, shown)


@family.operation(
    "GET",
    PATH + "/{evaluationId}",
    "get_quality_conversation_evaluation",
    any_of(VIEW, ASSIGN, RELEASE),
    returns=EvaluationDocument,
    audited=KIND,
)
def one_evaluation(
    caller: Signed,
    parts: Parts,
    conversationId: str,
    evaluationId: str,
    expand: Annotated[CommaList, Query()] = None,
) -> EvaluationDocument:
    """An evaluation, and what the caller may do with it (J15). An agent sees it once it is released (J6)."""
    shown = _shown(expand)
    with parts.database.reading() as session:
        row = _find(session, caller, conversationId, evaluationId, VIEW, ASSIGN, RELEASE)
        found = None
        if row is not None:
            found = documents.document(session, caller, row, shown)
            standing = evaluation_changes.standing(session, caller, row)
            found.authorized_actions = list(standing.actions)
    note(parts, caller, "view", KIND, evaluationId, conversationId, allowed=found is not None)
    if found is None:
        raise not_found("evaluation", evaluationId)
    return found


@family.operation(
    "PUT",
    PATH + "/{evaluationId}",
    "put_quality_conversation_evaluation",
    any_of(EDIT, EDIT_SCORE, SIGN_OFF),
    returns=EvaluationDocument,
    audited=KIND,
)
def change_evaluation(
    caller: Signed,
    parts: Parts,
    conversationId: str,
    evaluationId: str,
    body: EvaluationInput,
    expand: Annotated[CommaList, Query()] = None,
) -> EvaluationDocument:
    """Changes an evaluation; absent fields stay. What sticks depends on who asks (J5).

    Evaluators answer and finish; who may assign gives it to somebody else; who may release sets ``releaseDate`` or
    ``neverRelease``; the agent reads (``agentHasRead``), comments (``answers.agentComments``) and disputes
    (``status`` INREVIEW). Answers to another version of the form, unknown ids, and finishing with questions open are
    refused. New answers to a finished evaluation are a rescore, which may make a new version with an id of its own.
    """
    shown = _shown(expand)
    with parts.database.transaction() as session:
        row = _find(session, caller, conversationId, evaluationId, VIEW, ASSIGN, RELEASE, EDIT)
        if row is None:
            raise not_found("evaluation", evaluationId)
        standing = evaluation_changes.standing(session, caller, row)
        if not any(action in standing.actions for action in (life.EDIT, life.EDIT_SCORE, life.SIGN_OFF)):
            raise missing_permissions((EDIT, EDIT_SCORE, SIGN_OFF), every=False)
        changed = evaluation_changes.change(session, row, standing, body, parts.clock.now_us())
        if changed.detail:
            note(
                parts,
                caller,
                "change",
                KIND,
                changed.row.id,
                conversationId,
                session=session,
                detail=changed.detail,
            )
        return documents.document(session, caller, changed.row, shown)


@family.operation(
    "DELETE",
    PATH + "/{evaluationId}",
    "delete_quality_conversation_evaluation",
    any_of(DELETE),
    returns=EvaluationDocument,
    audited=KIND,
)
def delete_evaluation(
    caller: Signed,
    parts: Parts,
    conversationId: str,
    evaluationId: str,
    expand: Annotated[CommaList, Query()] = None,
) -> EvaluationDocument:
    """Deletes an evaluation; what was heard through it is heard no more."""
    shown = _shown(expand)
    now = parts.clock.now_us()
    with parts.database.transaction() as session:
        row = _find(session, caller, conversationId, evaluationId, VIEW, ASSIGN, RELEASE, DELETE, deleted=True)
        if row is None:
            raise not_found("evaluation", evaluationId)
        if life.DELETE not in evaluation_changes.standing(session, caller, row).actions:
            raise missing_permissions((DELETE,), every=True)
        if row.deleted_at is None:
            row.deleted_at = row.changed_at = now
            row.released_at = None
            note(parts, caller, "delete", KIND, row.id, row.conversation_id, session=session)
            session.flush()
        return documents.document(session, caller, row, shown)


@family.operation(
    "GET",
    "/api/v2/quality/evaluations/query",
    "get_quality_evaluations_query",
    any_of(VIEW),
    returns=Listing[EvaluationDocument],
)
def query_evaluations(
    caller: Signed,
    parts: Parts,
    page: Paging,
    expand: Annotated[CommaList, Query()] = None,
    conversation_id: Annotated[str | None, Query(alias="conversationId")] = None,
    agent_id: Annotated[str | None, Query(alias="agentUserId")] = None,
    team_id: Annotated[str | None, Query(alias="agentTeamId")] = None,
    evaluator_id: Annotated[str | None, Query(alias="evaluatorUserId")] = None,
    assignee_id: Annotated[str | None, Query(alias="assigneeUserId")] = None,
    queue_id: Annotated[str | None, Query(alias="queueId")] = None,
    start: Annotated[str | None, Query(alias="startTime")] = None,
    end: Annotated[str | None, Query(alias="endTime")] = None,
    form_context_id: Annotated[str | None, Query(alias="formContextId")] = None,
    states: Annotated[CommaList, Query(alias="evaluationState")] = None,
    released: Annotated[bool | None, Query(alias="isReleased")] = None,
    read: Annotated[bool | None, Query(alias="agentHasRead")] = None,
    totals: Annotated[bool, Query(alias="expandAnswerTotalScores")] = False,
    maximum: Annotated[int | None, Query(ge=1, le=10_000)] = None,
    sort_order: Annotated[str, documents.Order, Query(alias="sortOrder")] = "desc",
    deleted_people: Annotated[bool, Query(alias="includeDeletedUsers")] = False,
) -> Listing[EvaluationDocument]:
    """Evaluations of a conversation, evaluator, agent or assignee, of which one must be named (J7).

    By time of assignment; by agent alone: by release, without those that are never released. ``maximum`` bounds how
    many there are in all pages.
    """
    if all(value is None for value in (conversation_id, agent_id, evaluator_id, assignee_id)):
        raise bad_request(
            "One of conversationId, evaluatorUserId, agentUserId or assigneeUserId is required.", "conversationId"
        )
    wanted = evaluation_store.Wanted(
        conversation_id=conversation_id,
        agent_id=agent_id,
        team_id=team_id,
        evaluator_id=evaluator_id,
        assignee_id=assignee_id,
        queue_id=queue_id,
        form_context_id=form_context_id,
        statuses=_statuses(states),
        released=released,
        read=read,
        since=documents.moment(start, "startTime"),
        until=documents.moment(end, "endTime"),
        deleted_people=deleted_people,
    )
    shown = Shown(answers=False, totals=totals, questions=_shown(expand).questions)
    with parts.database.reading() as session:
        down = conversation_id is not None or sort_order.startswith("desc")
        found = evaluation_store.query(session, caller.access, wanted, down=down, number=page.number, size=page.size)
        total = found.total if maximum is None else min(found.total, maximum)
        left = max(0, total - page.offset)
        return page.envelope(documents.documents(session, caller, found.items[:left], shown), total)


def _find(
    session: Session, caller: Caller, conversation_id: str, evaluation_id: str, *permissions: str, deleted: bool = False
) -> Evaluation | None:
    row = evaluation_store.get(session, caller.access, evaluation_id, *permissions, deleted=deleted)
    return row if row is not None and row.conversation_id == conversation_id else None


def visible_conversation(parts: Services, session: Session, caller: Caller, conversation_id: str) -> Conversation:
    """The conversation, which must be there for who has it evaluated.

    :raises ApiError: 404; 409, it is still going on.
    """
    for permission in (VIEW_CONVERSATIONS, VIEW_RECORDINGS):
        found = conversation_store.get(session, caller.access, conversation_id, permission)
        if found is not None:
            return found
    pending = live.find(parts, session, conversation_id)
    if pending is not None and live.visible(pending, caller.access, VIEW_CONVERSATIONS):
        raise conflict("The conversation is not finished yet.")
    raise not_found("conversation", conversation_id)


def _required(reference: ReferenceInput | None, field: str) -> str:
    if reference is None or not reference.id:
        raise bad_request(f"{field} is required.", field)
    return reference.id


def _shown(expand: list[str] | None) -> Shown:
    for name in expand or []:
        if name not in EXPANDABLE:
            raise bad_request(f"expand must be one of {', '.join(EXPANDABLE)}.", "expand", "invalid.value")
    return Shown(questions="evaluationForm" in (expand or []))


def _statuses(states: list[str] | None) -> list[str] | None:
    if states is None:
        return None
    known = {name.casefold(): name for name in life.STATUSES}
    if any(name.casefold() not in known for name in states):
        raise bad_request(f"evaluationState takes {', '.join(life.STATUSES)}.", "evaluationState", "invalid.value")
    return [known[name.casefold()] for name in states]
