"""Questions to the audit log as the contract asks them: their bodies and replies, and what they mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from earwitness.store.audit_search import Question
from earwitness.web.api.access import audit_documents
from earwitness.web.api.access.audit_documents import AuditMessage, QualityAuditMessage
from earwitness.web.kernel.documents import Document, Moment, OneOf, RequestBody, parse_date
from earwitness.web.kernel.errors import bad_request

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
        """To be kept, and read again by ``read``."""
        return {
            "interval": self.interval,
            "serviceName": self.service_name,
            "filters": self.filters,
            "sort": self.sort,
        }


def read(document: dict[str, Any], kind: str, *, last_entry: int | None = None) -> Asked:
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


def given(body: QueryInput) -> dict[str, Any]:
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
