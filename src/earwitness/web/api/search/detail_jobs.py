"""Queries over many conversations whose answer is read page by page.

Nothing has to be prepared: a job keeps the question, and each page of results is looked for when it is read. So a job
is fulfilled as soon as it is made. It is its maker's alone, and is forgotten after a day.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from pydantic import Field
from sqlalchemy.orm import Session

from earwitness.domain.ids import new_id
from earwitness.store import detail_jobs as store
from earwitness.store import search
from earwitness.store.tables import DetailJob
from earwitness.web.api.search import cursors, details
from earwitness.web.api.search.detail_documents import ConversationDetail
from earwitness.web.api.search.details import VIEW, VIEWS, QueryBody
from earwitness.web.kernel.callers import Caller, Signed
from earwitness.web.kernel.documents import Document, Moment
from earwitness.web.kernel.errors import bad_request, not_found
from earwitness.web.kernel.operations import Family, any_of
from earwitness.web.kernel.services import Parts

family = Family("Conversation details")
PATH = "/api/v2/analytics/conversations/details/jobs"
DAY_US = 24 * 3600 * 1_000_000


class JobBody(QueryBody):
    """An AsyncConversationQuery."""

    limit: int | None = Field(default=None, ge=1)
    start_of_day_interval_matching: bool | None = None


class JobMade(Document):
    """A job that was made."""

    job_id: str


class JobStatus(Document):
    """How far a job is."""

    state: str
    submission_date: Moment
    completion_date: Moment
    expiration_date: Moment


class JobResults(Document):
    """A page of results."""

    conversations: list[ConversationDetail]
    cursor: str | None = None
    """Where to go on. Absent: this was the last page."""
    data_availability_date: Moment


class Availability(Document):
    """Up to when conversations can be found."""

    data_availability_date: Moment


@family.operation("POST", PATH, "post_analytics_conversations_details_jobs", VIEWS, status=202, returns=JobMade)
def make(caller: Signed, parts: Parts, body: JobBody) -> JobMade:
    """Keeps a query; its results are read at ``/results``."""
    if body.interval is None:
        raise bad_request("interval is required.", "interval")
    if body.order_by not in (None, "conversationStart", "segmentStart"):
        raise bad_request("Conversations are in order of their start.", "orderBy", "invalid.value")
    now = parts.clock.now_us()
    document = body.document() | {"order": body.order, "limit": body.limit}
    with parts.database.transaction() as session:
        details.read(session, caller, document)
        store.forget_expired(session, now)
        row = DetailJob(
            id=new_id(),
            subject_type=caller.subject.type,
            subject_id=caller.subject.id,
            query=document,
            created_at=now,
            expires_at=now + DAY_US,
        )
        session.add(row)
        return JobMade(job_id=row.id)


@family.operation(
    "GET",
    PATH + "/availability",
    "get_analytics_conversations_details_jobs_availability",
    any_of(VIEW),
    returns=Availability,
)
def availability(caller: Signed, parts: Parts) -> Availability:
    """Up to when conversations can be found: to this moment, once they are over and stored."""
    return Availability(data_availability_date=parts.clock.now_us())


@family.operation("GET", PATH + "/{jobId}", "get_analytics_conversations_details_job", VIEWS, returns=JobStatus)
def status(caller: Signed, parts: Parts, jobId: str) -> JobStatus:
    """How far a job is: fulfilled."""
    with parts.database.reading() as session:
        row = _find(session, caller, jobId, parts.clock.now_us())
        return JobStatus(
            state="FULFILLED",
            submission_date=row.created_at,
            completion_date=row.created_at,
            expiration_date=row.expires_at,
        )


@family.operation("DELETE", PATH + "/{jobId}", "delete_analytics_conversations_details_job", VIEWS, status=204)
def forget(caller: Signed, parts: Parts, jobId: str) -> None:
    """Forgets a job."""
    with parts.database.transaction() as session:
        session.delete(_find(session, caller, jobId, parts.clock.now_us()))


@family.operation(
    "GET", PATH + "/{jobId}/results", "get_analytics_conversations_details_job_results", VIEWS, returns=JobResults
)
def results(
    caller: Signed,
    parts: Parts,
    jobId: str,
    cursor: str | None = None,
    page_size: Annotated[int, Query(alias="pageSize", ge=1, le=1000)] = 1000,
) -> JobResults:
    """The next conversations. A page may have fewer than ``pageSize``, or none; the last one has no ``cursor``."""
    with parts.database.reading() as session:
        job = _find(session, caller, jobId, parts.clock.now_us())
        asked = details.read(session, caller, job.query)
        seen, after = _place(cursor)
        limit = job.query.get("limit")
        left = page_size if limit is None else min(page_size, int(limit) - seen)
        until = min(asked.until if asked.until is not None else job.created_at, job.created_at)
        if left <= 0:
            return JobResults(conversations=[], data_availability_date=job.created_at)
        found = search.page(
            session,
            caller.access,
            asked.filters,
            since=asked.since,
            until=until,
            after=cursors.from_text(after),
            size=left,
            newest_first=job.query.get("order") == "desc",
            permission=VIEW,
            budget=search.THOROUGH,
            whole=True,
        )
        seen += len(found.rows)
        more = found.next is not None and (limit is None or seen < int(limit))
        return JobResults(
            conversations=details.documents(session, found.rows, attributes=True),
            cursor=f"{seen}.{cursors.to_text(found.next)}" if more else None,
            data_availability_date=job.created_at,
        )


def _place(cursor: str | None) -> tuple[int, str | None]:
    """How many results were read, and the cursor of the search."""
    if not cursor:
        return 0, None
    seen, dot, after = cursor.partition(".")
    if not (dot and seen.isascii() and seen.isdigit() and len(seen) < 12):
        raise bad_request("cursor is not one that was given out.", "cursor", "invalid.value")
    return int(seen), after


def _find(session: Session, caller: Caller, job_id: str, now: int) -> DetailJob:
    row = store.get(session, caller.subject, job_id, now)
    if row is None:
        raise not_found("job", job_id)
    return row
