"""Evaluation aggregates: how many, and how good, by interval and group."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import Field
from sqlalchemy.orm import Session

from earwitness.domain.access import Access
from earwitness.domain.quality import aggregates as rules
from earwitness.domain.quality import evaluation as life
from earwitness.domain.quality.aggregates import Fact, Filter, Predicate, View
from earwitness.store import evaluation_search
from earwitness.store.tables import Evaluation
from earwitness.web.kernel.callers import Signed
from earwitness.web.kernel.documents import Document, OneOf, RequestBody, date_text, parse_date
from earwitness.web.kernel.errors import bad_request
from earwitness.web.kernel.operations import SIGNED_IN, Family, any_of
from earwitness.web.kernel.services import Parts

family = Family("Evaluation activity")
TIMES = {
    "conversationStart": "conversation_at",
    "evaluationCreatedDate": "created_at",
    "evaluationReleaseDate": "release_date",
    "eventTime": "changed_at",
}
LONGEST_US = 366 * 86_400 * 1_000_000


class RangeInput(RequestBody):
    """From inclusive, to exclusive."""

    gte: float | None = None
    lt: float | None = None


class PredicateInput(RequestBody):
    """A condition on a dimension."""

    type: Annotated[str, OneOf("dimension", "property", "metric")] | None = None
    dimension: Annotated[str, OneOf(*rules.DIMENSIONS)] | None = None
    operator: Annotated[str, OneOf("matches", "exists", "notExists")] | None = None
    value: str | None = None


class ClauseInput(RequestBody):
    """Conditions together."""

    type: Annotated[str, OneOf("and", "or")] | None = None
    predicates: list[PredicateInput] | None = Field(default=None, max_length=500)


class FilterInput(ClauseInput):
    """Which evaluations count."""

    clauses: list[ClauseInput] | None = Field(default=None, max_length=100)


class ViewInput(RequestBody):
    """How many values are in a range."""

    target: Annotated[str, OneOf(*rules.METRICS)] | None = None
    name: str | None = Field(default=None, max_length=256)
    function: Annotated[str, OneOf("rangeBound")] | None = None
    range: RangeInput | None = None


class OwnQuery(RequestBody):
    """What is asked about oneself."""

    interval: str | None = None
    time_zone: str | None = None
    group_by: list[Annotated[str, OneOf(*rules.DIMENSIONS)]] | None = Field(default=None, max_length=5)
    metrics: list[Annotated[str, OneOf(*rules.METRICS)]] | None = None
    alternate_time_dimension: Annotated[str, OneOf(*TIMES)] | None = None
    context_id: str | None = None


class AggregationQuery(OwnQuery):
    """What is asked."""

    granularity: str | None = None
    filter: FilterInput | None = None
    flatten_multivalued_dimensions: bool | None = None
    views: list[ViewInput] | None = Field(default=None, max_length=10)


class MetricData(Document):
    """Statistics of a metric."""

    metric: str
    stats: dict[str, Any]


class ViewData(Document):
    """Statistics of a view."""

    name: str
    stats: dict[str, Any]


class IntervalData(Document):
    """An interval."""

    interval: str
    metrics: list[MetricData]
    views: list[ViewData] | None = None


class GroupData(Document):
    """A group."""

    group: dict[str, str] | None = None
    data: list[IntervalData]


class AggregatesReply(Document):
    """Groups in which something was."""

    results: list[GroupData]


@family.operation(
    "POST",
    "/api/v2/analytics/evaluations/aggregates/query",
    "post_analytics_evaluations_aggregates_query",
    any_of("analytics:evaluationAggregate:view"),
    returns=AggregatesReply,
    reads=True,
)
def aggregates(caller: Signed, parts: Parts, body: AggregationQuery) -> AggregatesReply:
    """Sums over the evaluations that exist for the caller: those that it may view or sum up.

    Times are those of ``alternateTimeDimension``, by default of the last change. A granularity is in weeks, days, hours
    or minutes; intervals begin at the interval asked for, in UTC.
    """
    with parts.database.reading() as session:
        return _sums(session, body, caller.access, None)


@family.operation(
    "POST",
    "/api/v2/quality/evaluations/aggregates/query/me",
    "post_quality_evaluations_aggregates_query_me",
    SIGNED_IN,
    returns=AggregatesReply,
    reads=True,
)
def own_aggregates(caller: Signed, parts: Parts, body: OwnQuery) -> AggregatesReply:
    """Sums over the released evaluations of the caller."""
    if caller.user_id is None:
        raise bad_request("This request requires a user context. Client credentials cannot be used for requests to me.")
    asked = AggregationQuery.model_validate(body.model_dump(by_alias=True, exclude_unset=True))
    with parts.database.reading() as session:
        return _sums(session, asked, None, caller.user_id)


def _sums(session: Session, body: AggregationQuery, access: Access | None, agent_id: str | None) -> AggregatesReply:
    since, until = _interval(body.interval)
    try:
        step = rules.period(body.granularity) if body.granularity else None
        spans = rules.spans(since, until, step)
    except ValueError as error:
        raise bad_request(f"granularity: {error}.", "granularity", "invalid.value") from error
    wanted = _filter(body.filter)
    views = [_view(item, number) for number, item in enumerate(body.views or [])]
    column = TIMES[body.alternate_time_dimension or "eventTime"]
    facts = _facts(session, access, agent_id, column, since, until)
    chosen = (fact for fact in facts if wanted.holds(fact) and _in_context(fact, body.context_id))
    try:
        found = rules.sums(chosen, spans, body.group_by or [], body.metrics or rules.METRICS, views)
    except evaluation_search.TooManyError as error:
        raise bad_request(f"interval: {error}.", "interval") from error
    return AggregatesReply(
        results=[
            GroupData(
                group=group or None,
                data=[
                    IntervalData(
                        interval="/".join(map(date_text, span)),
                        metrics=[MetricData(metric=name, stats=stats) for name, stats in metrics.items()],
                        views=[ViewData(name=name, stats=stats) for name, stats in seen.items()] or None,
                    )
                    for span, metrics, seen in data
                ],
            )
            for group, data in found
        ]
    )


def _interval(text: str | None) -> tuple[int, int]:
    first, _, last = (text or "").partition("/")
    try:
        since, until = parse_date(first), parse_date(last)
    except (ValueError, OverflowError) as error:
        raise bad_request("interval must be two dates with a slash between them.", "interval") from error
    if not since < until <= since + LONGEST_US:
        raise bad_request("interval must end after it begins, within a year.", "interval", "invalid.value")
    return since, until


def _filter(body: FilterInput | None) -> Filter:
    if body is None:
        return Filter(every=True)
    clauses = tuple(_clause(item, f"filter.clauses.{number}") for number, item in enumerate(body.clauses or []))
    own = _clause(body, "filter")
    return Filter(own.every, own.predicates, clauses)


def _clause(body: ClauseInput, at: str) -> Filter:
    predicates = []
    for number, item in enumerate(body.predicates or []):
        where = f"{at}.predicates.{number}"
        if item.dimension is None or item.type not in (None, "dimension"):
            raise bad_request(f"{where}.dimension is required.", f"{where}.dimension", "invalid.value")
        operator = item.operator or "matches"
        if operator == "matches" and item.value is None:
            raise bad_request(f"{where}.value is required.", f"{where}.value", "invalid.value")
        predicates.append(Predicate(item.dimension, operator, item.value))
    return Filter(body.type != "or", tuple(predicates))


def _view(item: ViewInput, number: int) -> View:
    if not item.name or item.target is None:
        raise bad_request("A view needs a name and a target.", f"views.{number}.name")
    edges = item.range or RangeInput()
    return View(item.name, item.target, edges.gte, edges.lt)


def _in_context(fact: Fact, context_id: str | None) -> bool:
    return context_id is None or context_id in fact.dimensions["evaluationContextId"]


def _facts(
    session: Session, access: Access | None, agent_id: str | None, column: str, since: int, until: int
) -> Iterator[Fact]:
    for row, divisions in evaluation_search.within(session, access, column, since, until, agent_id):
        yield Fact(getattr(row, column), _dimensions(row, divisions), _metrics(row))


def _dimensions(row: Evaluation, divisions: list[str]) -> dict[str, list[str]]:
    found: dict[str, list[str | None]] = {
        "assigneeApplicable": [_flag(row.assignee_applicable)],
        "assigneeId": [row.assignee_user_id],
        "calibrationId": [row.calibration_id],
        "contextId": [row.form_context_id],
        "conversationId": [row.conversation_id],
        "divisionId": list(divisions),
        "evaluationContextId": [row.context_id],
        "evaluationId": [row.id],
        "evaluatorId": [row.evaluator_user_id],
        "formId": [row.form_id],
        "mediaType": ["voice"],
        "queueId": [row.queue_id],
        "released": [_flag(row.released_at is not None)],
        "rescored": [_flag(row.rescore)],
        "systemSubmitted": ["false"],
        "teamId": [row.agent_team_id],
        "userId": [row.agent_user_id],
    }
    return {name: [value for value in values if value] for name, values in found.items()}


def _flag(value: bool) -> str:
    return "true" if value else "false"


def _metrics(row: Evaluation) -> dict[str, float]:
    if row.deleted_at is not None:
        return {"nEvaluationsDeleted": 1.0}
    if row.status == life.RETRACTED:
        return {}
    found = {"nEvaluations": 1.0}
    if row.rescore:
        found["nEvaluationsRescored"] = 1.0
    if row.status in life.SEEN_BY_AGENT:
        scores = {"oTotalScore": row.total_score, "oTotalCriticalScore": row.total_critical_score}
        found |= {name: value for name, value in scores.items() if value is not None}
    return found
