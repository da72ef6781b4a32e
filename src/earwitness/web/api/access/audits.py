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
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Query
from sqlalchemy.orm import Session

from earwitness.domain.access import Access
from earwitness.domain.ids import new_id
from earwitness.store import audit_search
from earwitness.store.audit_search import Question
from earwitness.store.tables import AuditEntry, AuditQuery
from earwitness.web.api.access import audit_documents
from earwitness.web.api.access.audit_documents import AuditMessage, QualityAuditMessage
from earwitness.web.kernel.callers import Caller, Signed
from earwitness.web.kernel.documents import Document, Moment, OneOf, RequestBody, parse_date
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
AUDITS, QUALITY = "audits", "quality"
PROPERTIES = ("UserId", "TrusteeOrganizationId", "ClientId", "Action", "EntityType", "EntityId")
QUALITY_SERVICES = {"recordingservice": ("conversation", "recording")} | {
    "qualityservice": ("calibration", "evaluation", "survey")
}
"""Service of audits of conversations, in lower case -> kinds of objects."""
QUALITY_PROPERTIES = (*PROPERTIES, "TrusteeOnlyAudits", "ConversationId", "ServiceName")


class Filter(Document):
    """What a property has to be."""

    property: str
    value: str


class Sort(Document):
    """The order of the answer."""

    name: str
    sort_order: str


class FilterInput(RequestBody):
    """What a property has to be; several values of one property are alternatives."""

    property: Annotated[str, OneOf(*QUALITY_PROPERTIES)]
    value: str


class SortInput(RequestBody):
    """The order of the answer."""

    name: Annotated[str, OneOf("Timestamp")] = "Timestamp"
    sort_order: Annotated[str, OneOf("ascending", "descending")] = "descending"


class QueryInput(RequestBody):
    """A question; ``interval`` is ``start/end``."""

    interval: str | None = None
    service_name: str | None = None
    filters: list[FilterInput] | None = None
    sort: list[SortInput] | None = None


class RealtimeInput(QueryInput):
    """A question that is answered at once."""

    page_number: int | None = None
    page_size: int | None = None


class RelatedInput(RequestBody):
    """An entry whose company is asked for."""

    audit_id: str | None = None
    sort: list[SortInput] | None = None


class QueryStatus(Document):
    """A question whose answer can be fetched."""

    id: str
    state: str
    start_date: Moment
    interval: str
    service_name: str | None = None
    filters: list[Filter]
    sort: list[Sort]


class QualityQueryStatus(Document):
    """A question about conversations whose answer can be fetched."""

    id: str
    state: str
    date_start: Moment
    interval: str
    filters: list[Filter]
    sort: list[Sort]


class QueryResults(Document):
    """A page of an answer; ``cursor`` leads to the next, absent at the end."""

    id: str
    page_size: int
    cursor: str | None = None
    entities: list[AuditMessage]


class QualityQueryResults(Document):
    """A page of an answer; ``cursor`` leads to the next, absent at the end."""

    id: str
    page_size: int
    cursor: str | None = None
    entities: list[QualityAuditMessage]


class RealtimeResults(Document):
    """A page of an answer."""

    entities: list[AuditMessage]
    page_size: int
    page_number: int
    total: int
    page_count: int


class RelatedResults(Document):
    """Entries that belong together."""

    entities: list[AuditMessage]


class EntityActions(Document):
    """What is done to a kind of object."""

    name: str
    actions: list[str]


class ServiceDocument(Document):
    """A service and the kinds of objects that its entries are about."""

    name: str
    entities: list[EntityActions]


class ServiceMapping(Document):
    """What questions can be about."""

    services: list[ServiceDocument]


@dataclass(frozen=True, slots=True)
class Asked:
    """A question as it was asked, checked."""

    interval: str
    question: Question
    service_name: str | None
    filters: list[dict[str, str]]
    sort: list[dict[str, str]]

    def document(self) -> dict[str, Any]:
        """To be kept, and read again by ``_read``."""
        return {
            "interval": self.interval,
            "serviceName": self.service_name,
            "filters": self.filters,
            "sort": self.sort,
        }


def _read(document: dict[str, Any], kind: str, *, last_entry: int | None = None) -> Asked:
    """:raises ApiError: 400, no such interval, service or property."""
    interval = document.get("interval")
    since, until = _interval(interval)
    service, filters, sort = document.get("serviceName"), document.get("filters") or [], document.get("sort") or []
    known = PROPERTIES if kind == AUDITS else QUALITY_PROPERTIES
    values: dict[str, list[str]] = {}
    for item in filters:
        if item["property"] not in known:
            raise bad_request(f"property must be one of {', '.join(known)}.", "filters.property", "invalid.value")
        values.setdefault(item["property"], []).append(item["value"])
    kinds, other_than = _kinds(service if kind == AUDITS else None)
    if kind == QUALITY:
        kinds = tuple(audit_documents.QUALITY_KINDS)
    if asked_kinds := values.get("EntityType"):
        named = {name.casefold() for name in asked_kinds}
        if kind == QUALITY:
            chosen = [key for key, word in audit_documents.QUALITY_KINDS.items() if word.casefold() in named]
        else:
            chosen = [name for name in asked_kinds if kinds is None or name in kinds]
        kinds = tuple(name for name in chosen if name not in other_than)
    if "ServiceName" in values:
        of_services = {kind for name in values["ServiceName"] for kind in QUALITY_SERVICES.get(name.casefold(), ())}
        kinds = tuple(name for name in kinds or () if name in of_services)
    if "TrusteeOrganizationId" in values or "TrusteeOnlyAudits" in values:
        kinds = ()  # no other organisation works here
    return Asked(
        interval=str(interval),
        question=Question(
            since,
            until,
            kinds,
            other_than,
            tuple(values.get("UserId", ())),
            tuple(values.get("Action", ())) if kind == AUDITS else (),
            tuple(values.get("EntityId", ())),
            tuple(values.get("ConversationId", ())),
            tuple(values.get("ClientId", ())),
            upwards=bool(sort) and sort[0]["sortOrder"] == "ascending",
            last_entry=last_entry,
        ),
        service_name=service,
        filters=filters,
        sort=sort,
    )


def _given(body: QueryInput) -> dict[str, Any]:
    return {
        "interval": body.interval,
        "serviceName": body.service_name,
        "filters": [{"property": item.property, "value": item.value} for item in body.filters or []],
        "sort": [{"name": item.name, "sortOrder": item.sort_order} for item in body.sort or []],
    }


def _interval(text: object) -> tuple[int, int]:
    start, slash, end = text.partition("/") if isinstance(text, str) else ("", "", "")
    try:
        since, until = parse_date(start), parse_date(end)
    except (ValueError, OverflowError) as error:
        raise bad_request("interval is start/end, two dates.", "interval", "invalid.date") from error
    if not slash or until <= since:
        raise bad_request("interval ends after it begins.", "interval", "invalid.date")
    return since, until


def _kinds(service: str | None) -> tuple[tuple[str, ...] | None, tuple[str, ...]]:
    """Kinds of objects of a service, and those that it does not have."""
    if service is None:
        return None, ()
    if service == audit_documents.PLATFORM:
        return None, tuple(audit_documents.SERVICE_OF)
    if service not in audit_documents.SERVICES:
        known = ", ".join((*audit_documents.SERVICES, audit_documents.PLATFORM))
        raise bad_request(f"serviceName must be one of {known}.", "serviceName", "invalid.value")
    return audit_documents.SERVICES[service], ()


@family.operation("POST", PATH, "post_audits_query", VIEW, returns=QueryStatus, each_time=True)
def ask(caller: Signed, parts: Parts, body: QueryInput) -> QueryStatus:
    """Asks the audit log; the answer is fetched by the id. It is as of now."""
    asked = _read(_given(body), AUDITS)
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
    asked = _read(_given(body), AUDITS)
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
    return _status(row, _read(row.query, AUDITS))


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
    asked = _read(_given(body), QUALITY)
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
    return _quality_status(row, _read(row.query, QUALITY))


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
    asked = _read(row.query, kind, last_entry=row.last_entry)
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
