"""The audit log, asked in the contract's ways: at once, for the last two weeks; in two steps, for all that is kept.

Nothing here removes entries: they are kept as long as the installation is, which is more than a year (J16). Questions
about conversations (``/quality/conversations/audits``) are answered as far as the caller's right to the details of
interactions reaches, and leave out what people did with inboxes of their own.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
from collections.abc import Sequence
from typing import Annotated

from fastapi import Query
from sqlalchemy.orm import Session

from earwitness.domain.access import Access
from earwitness.domain.ids import new_id
from earwitness.store import audit_search
from earwitness.store.tables import AuditEntry, AuditQuery
from earwitness.web.api.access import audit_documents
from earwitness.web.api.access.audit_questions import (
    AUDITS,
    QUALITY,
    Asked,
    EntityActions,
    Filter,
    QualityQueryResults,
    QualityQueryStatus,
    QueryInput,
    QueryResults,
    QueryStatus,
    RealtimeInput,
    RealtimeResults,
    RelatedInput,
    RelatedResults,
    ServiceDocument,
    ServiceMapping,
    Sort,
    given,
    read,
)
from earwitness.web.kernel.callers import Caller, Signed
from earwitness.web.kernel.errors import bad_request, not_found
from earwitness.web.kernel.operations import Family, all_of
from earwitness.web.kernel.paging import CommaList
from earwitness.web.kernel.services import Parts, Services

family = Family("Audits")

PATH = "/api/v2/audits/query"
QUALITY_PATH = "/api/v2/quality/conversations/audits/query"
VIEW, VIEW_INTERACTIONS = all_of("audits:audit:view"), all_of("audits:interactionDetails:view")
REALTIME_US = 14 * 24 * 3600 * 1_000_000
"""How far back a question may go that is answered at once (J16)."""
MOST = 500
"""Of a page."""


@family.operation("POST", PATH, "post_audits_query", VIEW, returns=QueryStatus, each_time=True)
def ask(caller: Signed, parts: Parts, body: QueryInput) -> QueryStatus:
    """Asks the audit log; the answer is fetched by the id. It is as of now."""
    asked = read(given(body), AUDITS)
    return _status(_keep(caller, parts, AUDITS, asked), asked)


def _keep(caller: Caller, parts: Services, kind: str, asked: Asked) -> AuditQuery:
    with parts.database.transaction() as session:
        now = parts.clock.now_us()
        return audit_search.keep(session, new_id(), kind, caller.subject, asked.document(), now)


def _status(row: AuditQuery, asked: Asked) -> QueryStatus:
    return QueryStatus(
        id=row.id,
        state="Succeeded",
        start_date=row.asked_at,
        interval=asked.interval,
        service_name=asked.service_name,
        filters=[Filter(**item) for item in asked.filters],
        sort=[Sort(name=item["name"], sort_order=item["sortOrder"]) for item in asked.sort],
    )


@family.operation("POST", PATH + "/realtime", "post_audits_query_realtime", VIEW, returns=RealtimeResults, reads=True)
def ask_now(caller: Signed, parts: Parts, body: RealtimeInput, expand: CommaList = None) -> RealtimeResults:
    """Asks the audit log of the last 14 days, and answers at once."""
    asked = read(given(body), AUDITS)
    if asked.question.since < parts.clock.now_us() - REALTIME_US:
        raise bad_request("interval begins within the last 14 days.", "interval", "invalid.date")
    size, number = body.page_size or 25, body.page_number or 1
    if not 1 <= size <= MOST or not 1 <= number <= 1_000_000:
        raise bad_request(f"pageSize is 1 to {MOST}, pageNumber 1 or more.", "pageSize", "invalid.value")
    with parts.database.reading() as session:
        rows = audit_search.entries(session, asked.question, offset=(number - 1) * size, limit=size)
        total = audit_search.count(session, asked.question)
        found = audit_documents.messages(session, rows)
    return RealtimeResults(
        entities=found, page_size=size, page_number=number, total=total, page_count=-(-total // size)
    )


@family.operation(
    "POST", PATH + "/realtime/related", "post_audits_query_realtime_related", VIEW, returns=RelatedResults, reads=True
)
def ask_related(caller: Signed, parts: Parts, body: RelatedInput, expand: CommaList = None) -> RelatedResults:
    """What else was done in the same step as an entry tells of."""
    with parts.database.reading() as session:
        number = body.audit_id or ""
        if not number:
            raise bad_request("auditId is required.", "auditId")
        known = number.isascii() and number.isdecimal() and len(number) < 19
        rows = audit_search.related(session, int(number)) if known else None
        if rows is None:
            raise not_found("audit", number)
        return RelatedResults(entities=audit_documents.messages(session, rows))


@family.operation(
    "GET",
    PATH + "/realtime/servicemapping",
    "get_audits_query_realtime_servicemapping",
    VIEW,
    returns=ServiceMapping,
)
def realtime_services(caller: Signed, parts: Parts) -> ServiceMapping:
    """Services, kinds of objects and actions that questions can be about."""
    return _services(parts)


@family.operation("GET", PATH + "/servicemapping", "get_audits_query_servicemapping", VIEW, returns=ServiceMapping)
def services(caller: Signed, parts: Parts) -> ServiceMapping:
    """Services, kinds of objects and actions that questions can be about."""
    return _services(parts)


def _services(parts: Services) -> ServiceMapping:
    with parts.database.reading() as session:
        seen = audit_search.kinds(session)
    known: dict[str, dict[str, set[str]]] = {
        service: {kind: set(audit_documents.ACTIONS) for kind in kinds}
        for service, kinds in audit_documents.SERVICES.items()
    }
    for kind, actions in seen.items():
        service = known.setdefault(audit_documents.service_of(kind), {})
        service[kind] = service.get(kind, set()) | actions
    return ServiceMapping(
        services=[
            ServiceDocument(
                name=service,
                entities=[EntityActions(name=kind, actions=sorted(kinds[kind])) for kind in sorted(kinds)],
            )
            for service, kinds in sorted(known.items())
        ]
    )


@family.operation("GET", PATH + "/{transactionId}", "get_audits_query_transaction_id", VIEW, returns=QueryStatus)
def status(caller: Signed, parts: Parts, transactionId: str) -> QueryStatus:
    """A question that the caller asked."""
    row = _find(caller, parts, transactionId, AUDITS)
    return _status(row, read(row.query, AUDITS))


@family.operation(
    "GET",
    PATH + "/{transactionId}/results",
    "get_audits_query_transaction_id_results",
    VIEW,
    returns=QueryResults,
)
def results(
    caller: Signed,
    parts: Parts,
    transactionId: str,
    cursor: str | None = None,
    page_size: Annotated[int, Query(alias="pageSize", ge=1, le=MOST)] = 25,
    expand: CommaList = None,
    allow_redirect: Annotated[bool, Query(alias="allowRedirect")] = False,
) -> QueryResults:
    """A page of the answer."""
    row = _find(caller, parts, transactionId, AUDITS)
    with parts.database.reading() as session:
        rows, further = _page(session, row, AUDITS, cursor, page_size, None)
        found = audit_documents.messages(session, rows)
    return QueryResults(id=row.id, page_size=page_size, cursor=further, entities=found)


@family.operation(
    "POST",
    QUALITY_PATH,
    "post_quality_conversations_audits_query",
    VIEW_INTERACTIONS,
    returns=QualityQueryStatus,
    each_time=True,
)
def ask_of_conversations(caller: Signed, parts: Parts, body: QueryInput) -> QualityQueryStatus:
    """Asks what was done with recordings and evaluations of conversations; the answer is fetched by the id."""
    asked = read(given(body), QUALITY)
    return _quality_status(_keep(caller, parts, QUALITY, asked), asked)


def _quality_status(row: AuditQuery, asked: Asked) -> QualityQueryStatus:
    plain = _status(row, asked)
    return QualityQueryStatus(
        id=plain.id,
        state=plain.state,
        date_start=plain.start_date,
        interval=plain.interval,
        filters=plain.filters,
        sort=plain.sort,
    )


@family.operation(
    "GET",
    QUALITY_PATH + "/{transactionId}",
    "get_quality_conversations_audits_query_transaction_id",
    VIEW_INTERACTIONS,
    returns=QualityQueryStatus,
)
def status_of_conversations(caller: Signed, parts: Parts, transactionId: str) -> QualityQueryStatus:
    """A question about conversations that the caller asked."""
    row = _find(caller, parts, transactionId, QUALITY)
    return _quality_status(row, read(row.query, QUALITY))


@family.operation(
    "GET",
    QUALITY_PATH + "/{transactionId}/results",
    "get_quality_conversations_audits_query_transaction_id_results",
    VIEW_INTERACTIONS,
    returns=QualityQueryResults,
)
def results_of_conversations(
    caller: Signed,
    parts: Parts,
    transactionId: str,
    cursor: str | None = None,
    page_size: Annotated[int, Query(alias="pageSize", ge=1, le=MOST)] = 25,
    expand: CommaList = None,
) -> QualityQueryResults:
    """A page of the answer, of the conversations that the caller's right reaches now."""
    row = _find(caller, parts, transactionId, QUALITY)
    with parts.database.reading() as session:
        rows, further = _page(session, row, QUALITY, cursor, page_size, caller.access)
        found = audit_documents.quality_messages(session, rows)
    return QualityQueryResults(id=row.id, page_size=page_size, cursor=further, entities=found)


def _find(caller: Caller, parts: Services, query_id: str, kind: str) -> AuditQuery:
    with parts.database.reading() as session:
        row = audit_search.kept(session, query_id, kind, caller.subject)
    if row is None:
        raise not_found("audit query", query_id)
    return row


def _page(
    session: Session, row: AuditQuery, kind: str, cursor: str | None, size: int, access: Access | None
) -> tuple[Sequence[AuditEntry], str | None]:
    asked = read(row.query, kind, last_entry=row.last_entry)
    question = asked.question
    words = {item["value"].casefold() for item in asked.filters if item["property"] == "Action"}
    if kind == QUALITY and words:  # they are words of the contract: those of ours that mean them
        known = {action for actions in audit_search.kinds(session).values() for action in actions}
        meant = tuple(action for action in known if audit_documents.quality_action(action).casefold() in words)
        question = dataclasses.replace(question, actions=meant or ("none of ours",))
    rows = audit_search.entries(session, question, access=access, after=_place(cursor), limit=size + 1)
    further = len(rows) > size
    rows = rows[:size]
    mark = base64.urlsafe_b64encode(f"{rows[-1].at}.{rows[-1].id}".encode()).decode() if further else None
    return rows, mark


def _place(cursor: str | None) -> tuple[int, int] | None:
    if not cursor:
        return None
    try:
        at, _, number = base64.urlsafe_b64decode(cursor.encode()).decode().partition(".")
        place = int(at), int(number)
    except (binascii.Error, ValueError) as error:
        raise bad_request("This is no cursor of an answer.", "cursor", "invalid.value") from error
    if not all(0 <= value < 1 << 62 for value in place):
        raise bad_request("This is no cursor of an answer.", "cursor", "invalid.value")
    return place
