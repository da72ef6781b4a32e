"""What the contract lacks: why a call is or is not recorded, health, the audit log."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any

from fastapi import Query, Response
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from earwitness.domain.conversation.timeline import Tape, Timeline
from earwitness.domain.recording.why import spans
from earwitness.store import audit
from earwitness.web.api.seen import find
from earwitness.web.kernel.callers import Signed
from earwitness.web.kernel.documents import Document, Moment, parse_date
from earwitness.web.kernel.errors import bad_request
from earwitness.web.kernel.operations import PUBLIC, SIGNED_IN, Family, any_of
from earwitness.web.kernel.paging import Listing, Paging
from earwitness.web.kernel.services import Parts

family = Family("Earwitness")


class Reason(Document):
    """What one row of the recording rules said."""

    row: str
    why: str
    setting: str | None = None


class WhySpan(Document):
    """A stretch of a call that was captured, or not, and for which reasons."""

    tape_id: str | None = None
    kind: str
    start: Moment
    end: Moment
    captured: bool
    reasons: list[Reason]


class Why(Document):
    """Why a conversation was recorded, or not."""

    conversation_id: str
    in_progress: bool
    consent: str
    spans: list[WhySpan]


class Health(Document):
    """Whether the parts answer."""

    status: str
    database: str
    edge: str
    spool: str
    """``ok``, ``full`` (new calls cannot be recorded) or ``away``."""


class AuditRow(Document):
    """Who did what to which object."""

    id: int
    at: Moment
    subject_type: str
    subject_id: str | None = None
    action: str
    entity_type: str
    entity_id: str | None = None
    conversation_id: str | None = None
    remote_address: str | None = None
    result: str
    detail: dict[str, Any]


@family.operation(
    "GET", "/api/v2/earwitness/conversations/{conversationId}/why", "get_earwitness_why", SIGNED_IN, returns=Why
)
def why(caller: Signed, parts: Parts, conversationId: str) -> Why:
    """Every stretch of every tape of a conversation: captured or not, and the reasons.

    Of user recordings everybody sees their own (E2).
    """
    with parts.database.reading() as session:
        seen = find(parts, session, caller.access, conversationId)
    found = spans(_without_others_tapes(seen.timeline, caller.user_id), parts.clock.now_us())
    return Why(
        conversation_id=conversationId,
        in_progress=seen.in_progress,
        consent=seen.timeline.consent,
        spans=[
            WhySpan(
                tape_id=span.tape_id,
                kind=span.kind,
                start=span.start,
                end=span.end,
                captured=span.captured,
                reasons=[
                    Reason(row=str(item.get("row", "")), why=str(item.get("why", "")), setting=item.get("setting"))
                    for item in span.reasons
                ],
            )
            for span in found
        ],
    )


def _without_others_tapes(timeline: Timeline, user_id: str | None) -> Timeline:
    def shown(tape: Tape) -> bool:
        owner = timeline.participant_of(tape.leg_id)
        return tape.kind != "user" or (user_id is not None and owner is not None and owner.user_id == user_id)

    return dataclasses.replace(timeline, tapes=[tape for tape in timeline.tapes if shown(tape)])


@family.operation(
    "GET",
    "/api/v2/earwitness/health",
    "get_earwitness_health",
    PUBLIC,
    returns=Health,
    also={503: "Something does not answer."},
)
def health(parts: Parts, response: Response) -> Health:
    """Whether database and edge answer and calls can be recorded; 503 if not."""
    try:
        with parts.database.reading() as session:
            session.execute(text("SELECT 1"))
        database = "ok"
    except SQLAlchemyError:
        database = "away"
    told = parts.edge.health()
    edge = "ok" if told is not None else "away"
    spool = "away" if told is None else "full" if told.get("spoolFull") else "ok"
    right = database == edge == spool == "ok"
    response.status_code = 200 if right else 503
    return Health(status="ok" if right else "degraded", database=database, edge=edge, spool=spool)


@family.operation(
    "GET",
    "/api/v2/earwitness/audit",
    "get_earwitness_audit",
    any_of("audits:audit:view"),
    returns=Listing[AuditRow],
)
def audit_log(
    caller: Signed,
    parts: Parts,
    page: Paging,
    subject_id: Annotated[str | None, Query(alias="subjectId")] = None,
    entity_type: Annotated[str | None, Query(alias="entityType")] = None,
    entity_id: Annotated[str | None, Query(alias="entityId")] = None,
    conversation_id: Annotated[str | None, Query(alias="conversationId")] = None,
    action: str | None = None,
    since: str | None = None,
    until: str | None = None,
) -> Listing[AuditRow]:
    """The audit log, newest first."""
    with parts.database.reading() as session:
        found = audit.listing(
            session,
            subject_id=subject_id,
            entity_type=entity_type,
            entity_id=entity_id,
            conversation_id=conversation_id,
            action=action,
            since=_date(since, "since"),
            until=_date(until, "until"),
            number=page.number,
            size=page.size,
        )
        rows = [
            AuditRow(
                id=row.id,
                at=row.at,
                subject_type=row.subject_type,
                subject_id=row.subject_id,
                action=row.action,
                entity_type=row.entity_type,
                entity_id=row.entity_id,
                conversation_id=row.conversation_id,
                remote_address=row.remote_address,
                result=row.result,
                detail=row.detail,
            )
            for row in found.items
        ]
        return page.envelope(rows, found.total)


def _date(value: str | None, name: str) -> int | None:
    if value is None:
        return None
    try:
        return parse_date(value)
    except (ValueError, OverflowError) as error:
        raise bad_request(f"{name}: {error}", name, "invalid.date") from error
