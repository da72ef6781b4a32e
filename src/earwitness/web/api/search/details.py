"""Details of conversations of the past: by id, and by a query. What can be asked is in ``store.detail_query``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import Query
from pydantic import Field
from sqlalchemy.orm import Session

from earwitness.store import conversations as conversation_store
from earwitness.store import detail_query, later_facts, search
from earwitness.store.detail_query import QueryError
from earwitness.store.search import Count
from earwitness.store.tables import Conversation
from earwitness.web.api.search.detail_documents import ConversationDetail, detail
from earwitness.web.kernel.callers import Caller, Signed
from earwitness.web.kernel.documents import Document, OneOf, RequestBody
from earwitness.web.kernel.errors import bad_request, missing_permissions, not_found
from earwitness.web.kernel.operations import Family, any_of
from earwitness.web.kernel.paging import CommaList
from earwitness.web.kernel.services import Parts

family = Family("Conversation details")
PATH = "/api/v2/analytics/conversations"
VIEW = "analytics:conversationDetail:view"
VIEW_OWN = "analytics:agentConversationDetail:view"
"""Of the calls that one took part in."""
VIEW_EVALUATIONS = "quality:evaluation:view"
VIEWS = any_of(VIEW, VIEW_OWN)
MOST_BY_ID = 100
DEEPEST = 10_000
"""So many conversations can be paged through; beyond that the interval is to be narrowed, or a job used."""


class PagingSpec(RequestBody):
    """Which page."""

    page_size: int | None = Field(default=None, ge=1, le=100)
    page_number: int | None = Field(default=None, ge=1, le=DEEPEST)


class QueryBody(RequestBody):
    """A ConversationQuery."""

    interval: str | None = None
    order: Annotated[str, OneOf("asc", "desc", "unordered")] | None = None
    order_by: Annotated[str, OneOf("conversationStart", "conversationEnd", "segmentStart", "segmentEnd")] | None = None
    conversation_filters: list[dict[str, Any]] | None = None
    segment_filters: list[dict[str, Any]] | None = None
    evaluation_filters: list[dict[str, Any]] | None = None
    survey_filters: list[dict[str, Any]] | None = None
    resolution_filters: list[dict[str, Any]] | None = None
    aggregations: list[dict[str, Any]] | None = None
    paging: PagingSpec | None = None

    def document(self) -> dict[str, Any]:
        """What ``store.detail_query`` reads."""
        return {
            "interval": self.interval,
            "conversationFilters": self.conversation_filters,
            "segmentFilters": self.segment_filters,
            "evaluationFilters": self.evaluation_filters,
            "surveyFilters": self.survey_filters,
            "resolutionFilters": self.resolution_filters,
        }


class QueryReply(Document):
    """What a query found."""

    conversations: list[ConversationDetail]
    total_hits: int


class Details(Document):
    """Conversations by id."""

    conversations: list[ConversationDetail]


@family.operation("GET", PATH + "/details", "get_analytics_conversations_details", VIEWS, returns=Details)
def by_ids(caller: Signed, parts: Parts, ids: Annotated[CommaList, Query(alias="id")] = None) -> Details:
    """The details of up to a hundred conversations; those that do not exist for the caller are left out."""
    if not ids or len(ids) > MOST_BY_ID:
        raise bad_request(f"id names 1 to {MOST_BY_ID} conversations.", "id")
    with parts.database.reading() as session:
        rows = [row for key in dict.fromkeys(ids) if (row := _find(session, caller, key)) is not None]
        return Details(conversations=documents(session, rows))


@family.operation(
    "GET",
    PATH + "/{conversationId}/details",
    "get_analytics_conversation_details",
    VIEWS,
    returns=ConversationDetail,
)
def one(caller: Signed, parts: Parts, conversationId: str) -> ConversationDetail:
    """The details of a conversation of the past."""
    with parts.database.reading() as session:
        row = _find(session, caller, conversationId)
        if row is None:
            raise not_found("conversation", conversationId)
        return documents(session, [row])[0]


def _find(session: Session, caller: Caller, conversation_id: str) -> Conversation | None:
    return conversation_store.get(session, caller.access, conversation_id, VIEW)


@family.operation(
    "POST",
    PATH + "/details/query",
    "post_analytics_conversations_details_query",
    VIEWS,
    returns=QueryReply,
    reads=True,
)
def query(caller: Signed, parts: Parts, body: QueryBody) -> QueryReply:
    """Conversations of the past that took place in ``interval`` and fit every filter, in order of their start.

    ``totalHits`` is exact up to 10,000 and says 10,000 beyond. A dimension or metric that is not known here is refused
    by name. Aggregations are none of ours.
    """
    if body.aggregations:
        raise bad_request("Aggregations cannot be asked for here.", "aggregations", "invalid.value")
    if body.order_by not in (None, "conversationStart", "segmentStart"):
        raise bad_request("Conversations are in order of their start.", "orderBy", "invalid.value")
    if body.interval is None:
        raise bad_request("interval is required.", "interval")
    paging = body.paging or PagingSpec()
    size, number = paging.page_size or 25, paging.page_number or 1
    if size * number > DEEPEST:
        raise bad_request(
            f"Only {DEEPEST} conversations can be paged through: narrow the interval, or use a job.",
            "paging.pageNumber",
            "invalid.value",
        )
    with parts.database.reading() as session:
        asked = read(session, caller, body.document())
        found = search.numbered(
            session, caller.access, asked.filters, number, size, since=asked.since, until=asked.until,
            newest_first=body.order == "desc", permission=VIEW,
        )  # fmt: skip
        total: Count = search.count(
            session, caller.access, asked.filters, since=asked.since, until=asked.until, most=DEEPEST, permission=VIEW,
            budget=search.THOROUGH,
        )  # fmt: skip
        return QueryReply(conversations=documents(session, found.rows), total_hits=total.total)


def read(session: Session, caller: Caller, document: dict[str, Any]) -> detail_query.Query:
    """The filters of a query.

    :raises ApiError: 400, it cannot be carried out; 403, it asks about evaluations and the caller may see none.
    """
    if document.get("evaluationFilters") and not caller.access.allows(VIEW_EVALUATIONS):
        raise missing_permissions([VIEW_EVALUATIONS], every=True)
    try:
        return detail_query.read(session, document, caller.access)
    except QueryError as error:
        raise bad_request(str(error), error.field, "invalid.value") from error


def documents(session: Session, rows: Sequence[Conversation], *, attributes: bool = False) -> list[ConversationDetail]:
    """The details of conversations that were found for the caller."""
    touched = search.touched(session, rows)
    of_users = search.teams(session, rows)
    return [
        detail(
            timeline,
            touched[row.id],
            external_tag=row.external_tag,
            edge_id=row.edge_id,
            teams=of_users.get(row.id),
            attributes=attributes,
        )
        for row, timeline in zip(rows, later_facts.timelines_of(session, rows), strict=True)
    ]
