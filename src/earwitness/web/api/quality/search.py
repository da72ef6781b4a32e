"""Search of evaluations, by their facts and by single questions, and sums over what is found."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from earwitness.domain.quality import search as rules
from earwitness.domain.quality.search import Aggregation, Criterion, SearchError
from earwitness.store import evaluation_search
from earwitness.store import evaluations as evaluation_store
from earwitness.web.api.quality import evaluation_documents as documents
from earwitness.web.api.quality.evaluation_documents import EvaluationDocument
from earwitness.web.kernel.callers import Signed
from earwitness.web.kernel.documents import Document, OneOf, RequestBody, parse_date
from earwitness.web.kernel.errors import bad_request
from earwitness.web.kernel.operations import Family, any_of
from earwitness.web.kernel.services import Parts

family = Family("Evaluations")
SEARCH_ANY = "quality:evaluation:searchAny"
VIEW = "quality:evaluation:view"
KINDS = (
    *("EXACT", "DATE_RANGE", "GREATER_THAN", "GREATER_THAN_EQUAL_TO", "LESS_THAN", "LESS_THAN_EQUAL_TO"),
    *("RANGE", "REQUIRED_FIELDS"),
)
SUMS = ("TERM", "STATS", "SUM", "COUNT", "AVERAGE", "RANGE", "DATE_HISTOGRAM")
SEARCHED = tuple(name for name in rules.FIELDS if name not in ("formIdReleased", "disputeCount", "rescoreCount"))
SUMMED = (*rules.FIELDS, *rules.NEVER)


class CriterionInput(RequestBody):
    """A condition; all must hold, of several values one."""

    type: Annotated[str, OneOf(*KINDS)] | None = None
    field: Annotated[str, OneOf(*SEARCHED)] | None = None
    value: str | None = None
    values: list[str] | None = Field(default=None, max_length=500)
    start_value: str | None = None
    end_value: str | None = None
    operator: Annotated[str, OneOf("AND", "NOT")] | None = None


class RangeInput(RequestBody):
    """From inclusive, to exclusive."""

    from_: float | None = Field(default=None, alias="from")
    to: float | None = None


class AggregationInput(RequestBody):
    """A sum."""

    name: str | None = Field(default=None, max_length=256)
    field: Annotated[str, OneOf(*SUMMED)] | None = None
    type: Annotated[str, OneOf(*SUMS)] | None = None
    size: int | None = Field(default=None, ge=1, le=rules.MOST_BUCKETS)
    calendar_interval: str | None = None
    format: str | None = None
    ranges: list[RangeInput] | None = Field(default=None, max_length=100)
    sub_aggregations: list[AggregationInput] | None = Field(default=None, max_length=20)


class SearchInput(RequestBody):
    """A search, or sums."""

    query: list[CriterionInput] | None = Field(default=None, max_length=50)
    aggregations: list[AggregationInput] | None = Field(default=None, max_length=20)
    page_size: int | None = Field(default=None, ge=0, le=500)
    page_number: int | None = Field(default=None, ge=1, le=1_000_000)
    sort_order: Annotated[str, OneOf("ASC", "DESC")] | None = None
    sort_by: Annotated[str, OneOf(*rules.DATES)] | None = None
    system_submitted: bool | None = None


class SearchReply(Document):
    """What was found."""

    page_size: int
    page_number: int
    total: int
    results: list[EvaluationDocument]
    aggregations: dict[str, dict[str, Any]] | None = None


@family.operation(
    "POST",
    "/api/v2/quality/evaluations/search",
    "post_quality_evaluations_search",
    any_of(SEARCH_ANY),
    returns=SearchReply,
    reads=True,
)
def search_evaluations(caller: Signed, parts: Parts, body: SearchInput) -> SearchReply:
    """Evaluations that fit all conditions, of those that the caller may search or view.

    A DATE_RANGE of three months at most over one of the dates is required. With aggregations there is no page.
    """
    try:
        criteria = [_criterion(item, number) for number, item in enumerate(body.query or [])]
        rules.check_criteria(criteria)
        wanted = [_aggregation(item, f"aggregations.{number}") for number, item in enumerate(body.aggregations or [])]
    except SearchError as error:
        raise bad_request(f"{error.field}: {error.message}.", error.field, "invalid.value") from error
    size = 0 if wanted else (25 if body.page_size is None else body.page_size)
    if wanted and body.page_size:
        raise bad_request("pageSize must be 0 or absent with aggregations.", "pageSize", "invalid.value")
    number = body.page_number or 1
    with parts.database.reading() as session:
        try:
            found = (
                []
                if body.system_submitted
                else evaluation_search.search(session, caller.access, criteria, SEARCH_ANY, VIEW)
            )
        except evaluation_search.TooManyError as error:
            raise bad_request(f"query: {error}.", "query") from error
        sums = rules.aggregate([item.record for item in found], wanted) if wanted else None
        by = body.sort_by or "createdDate"
        down = body.sort_order != "ASC"
        found.sort(key=lambda item: (item.record.own[by][0] if item.record.own[by] else 0, item.id), reverse=down)
        ids = [item.id for item in found[(number - 1) * size : number * size]]
        rows = [
            row
            for key in ids
            if (row := evaluation_store.get(session, caller.access, key, SEARCH_ANY, VIEW)) is not None
        ]
        return SearchReply(
            page_size=size,
            page_number=number,
            total=len(found),
            results=documents.documents(session, caller, rows),
            aggregations=sums,
        )


def _criterion(item: CriterionInput, number: int) -> Criterion:
    at = f"query.{number}"
    if item.field is None:
        raise SearchError(f"{at}.field", "is required")
    kind = item.type or "EXACT"
    negated = item.operator == "NOT"
    if kind in ("EXACT", "REQUIRED_FIELDS"):
        values = tuple(item.values or ([item.value] if item.value is not None else []))
        if kind == "EXACT" and not values:
            raise SearchError(f"{at}.value", "is required")
        return Criterion(kind, item.field, values, negated=negated)
    if item.field not in rules.NUMBERS or (kind == "DATE_RANGE" and item.field not in rules.DATES):
        raise SearchError(f"{at}.type", f"cannot be {kind} with {item.field}")
    read = _moment if item.field in rules.DATES else _number
    if kind in ("DATE_RANGE", "RANGE"):
        if item.start_value is None or item.end_value is None:
            raise SearchError(f"{at}.startValue", "a range needs startValue and endValue")
        low, high = read(item.start_value, f"{at}.startValue"), read(item.end_value, f"{at}.endValue")
        return Criterion(kind, item.field, low=low, high=high, negated=negated)
    if item.value is None:
        raise SearchError(f"{at}.value", "is required")
    edge = read(item.value, f"{at}.value")
    low_edge = edge if kind.startswith("GREATER") else None
    return Criterion(kind, item.field, low=low_edge, high=None if low_edge is not None else edge, negated=negated)


def _moment(text: str, at: str) -> float:
    try:
        return parse_date(text)
    except (ValueError, OverflowError) as error:
        raise SearchError(at, f"is no date: {error}") from error


def _number(text: str, at: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise SearchError(at, "is no number") from error


SHORT = {"1y": "year", "1q": "quarter", "1M": "month", "1w": "week", "1d": "day", "1h": "hour", "1m": "minute"}


def _aggregation(item: AggregationInput, at: str, depth: int = 3) -> Aggregation:
    if not item.name:
        raise SearchError(f"{at}.name", "is required")
    if item.field is None or item.type is None:
        raise SearchError(f"{at}.field", "field and type are required")
    if item.type in ("STATS", "SUM", "AVERAGE", "RANGE") and item.field not in (*rules.NUMBERS, *rules.NEVER):
        raise SearchError(f"{at}.type", f"cannot be {item.type} with {item.field}")
    if item.type == "DATE_HISTOGRAM" and item.field not in rules.DATES:
        raise SearchError(f"{at}.type", f"cannot be DATE_HISTOGRAM with {item.field}")
    if item.type == "RANGE" and not item.ranges:
        raise SearchError(f"{at}.ranges", "is required")
    if item.sub_aggregations and not depth:
        raise SearchError(f"{at}.subAggregations", "are nested too deeply")
    subs = [
        _aggregation(sub, f"{at}.subAggregations.{n}", depth - 1) for n, sub in enumerate(item.sub_aggregations or [])
    ]
    calendar = SHORT.get(item.calendar_interval or "day", item.calendar_interval or "day")
    if calendar not in rules.CALENDAR:
        raise SearchError(f"{at}.calendarInterval", f"must be one of {', '.join(rules.CALENDAR)}")
    return Aggregation(
        item.name,
        item.field,
        item.type,
        item.size or 10,
        calendar,
        tuple((edge.from_, edge.to) for edge in item.ranges or []),
        tuple(subs),
    )
