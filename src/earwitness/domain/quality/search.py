"""Search of evaluations, and sums over what is found.

An evaluation is a ``Record``: values of its own, and items for its questions and question groups. A criterion on a
question speaks of items: one item must fit all of them (``questionId`` says which). A ``TERM`` over a question field
narrows the items that its sub-aggregations look at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

Value = str | float | bool
Item = Mapping[str, Value]

DATES = ("conversationDate", "createdDate", "submittedDate", "releaseDate")
NUMBERS = (
    *("totalScore", "totalCriticalScore", "disputeCount", "rescoreCount", *DATES),
    *("questionScore", "questionGroupScore", "criticalQuestionGroupScore"),
    *("questionGroupScorePercentage", "criticalQuestionGroupScorePercentage"),
)
OF_GROUPS = (
    *("questionGroupMarkedNA", "questionGroupScore", "criticalQuestionGroupScore"),
    *("questionGroupScorePercentage", "criticalQuestionGroupScorePercentage"),
)
OF_QUESTIONS = ("questionId", "questionAnswerId", "questionScore", "questionMarkedNA", "failedKillQuestion")
BOTH = ("questionGroupId",)
OWN = (
    *("evaluationId", "conversationId", "contextId", "formId", "evaluationStatus", "queueId", "agentTeamId"),
    *("divisionId", "agentId", "evaluatorId", "assigneeId", "released", "mediaType", "formIdReleased"),
    *("totalScore", "totalCriticalScore", "disputeCount", "rescoreCount", *DATES),
)
NEVER = (
    *("aiScoringFailureType", "questionAiAnswerFailureType", "questionAiScored", "questionEaScored"),
    *("eaSuggestionCount", "eaAcceptedSuggestionCount", "aiSuggestionCount", "aiAcceptedSuggestionCount"),
)
"""Of assistance by machines, which there is none of."""
FIELDS = (*OWN, *OF_GROUPS, *OF_QUESTIONS, *BOTH)
MOST_BUCKETS = 100
LONGEST_US = 93 * 86_400 * 1_000_000
"""Three months."""
CALENDAR = ("year", "quarter", "month", "week", "day", "hour", "minute")


class SearchError(ValueError):
    """A search that cannot be carried out."""

    def __init__(self, where: str, message: str) -> None:
        self.field, self.message = where, message
        super().__init__(f"{where}: {message}")


@dataclass(frozen=True, slots=True)
class Record:
    """One evaluation."""

    own: Mapping[str, Sequence[Value]]
    questions: Sequence[Item] = ()
    groups: Sequence[Item] = ()

    def values(self, name: str) -> list[Value]:
        """What it has in a field."""
        if name in self.own:
            return list(self.own[name])
        items = self.groups if name in (*OF_GROUPS, *BOTH) and not (name in BOTH and self.questions) else self.questions
        return [item[name] for item in items if name in item]


@dataclass(frozen=True, slots=True)
class Criterion:
    """One condition."""

    kind: str
    field: str
    values: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    negated: bool = False

    def fits(self, found: Iterable[Value]) -> bool:
        """Whether values of the field fulfil it, the negation included."""
        test: Callable[[Value], bool] = self._test
        return any(test(value) for value in found) != self.negated

    def _test(self, value: Value) -> bool:
        if self.kind == "REQUIRED_FIELDS":
            return True
        if self.kind == "EXACT":
            return as_text(value).casefold() in {text.casefold() for text in self.values}
        number = float(value) if not isinstance(value, str) else None
        if number is None:
            return False
        above = self.low is None or (number > self.low if self.kind == "GREATER_THAN" else number >= self.low)
        below = self.high is None or (number < self.high if self.kind == "LESS_THAN" else number <= self.high)
        return above and below


def as_text(value: Value) -> str:
    """A value as criteria and buckets write it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def narrowed(record: Record, criteria: Sequence[Criterion]) -> Record | None:
    """The record with the items that the criteria speak of; None: it does not fit."""
    if any(not item.fits(record.own[item.field]) for item in criteria if item.field in record.own):
        return None
    of_groups = [item for item in criteria if item.field in OF_GROUPS or item.field in BOTH]
    of_questions = [item for item in criteria if item.field in OF_QUESTIONS or item.field in BOTH]
    groups = _fitting(record.groups, of_groups)
    questions = _fitting(record.questions, of_questions)
    if (of_groups and not groups) or (any(c.field in OF_QUESTIONS for c in criteria) and not questions):
        return None
    return replace(record, questions=questions, groups=groups)


def _fitting(items: Sequence[Item], criteria: Sequence[Criterion]) -> Sequence[Item]:
    if not criteria:
        return items
    return [i for i in items if all(c.fits([i[c.field]] if c.field in i else []) for c in criteria)]


def check_criteria(criteria: Sequence[Criterion]) -> None:
    """:raises SearchError: no time range of three months at most."""
    for item in criteria:
        if item.field in DATES and not item.negated and item.low is not None and item.high is not None:
            if item.high - item.low > LONGEST_US:
                raise SearchError("query", "the time range may have three months")
            return
    raise SearchError("query", "a DATE_RANGE over one of the dates is required")


@dataclass(frozen=True, slots=True)
class Aggregation:
    """A sum over records."""

    name: str
    field: str
    kind: str
    size: int = 10
    calendar: str = "day"
    ranges: tuple[tuple[float | None, float | None], ...] = ()
    subs: tuple[Aggregation, ...] = ()


def aggregate(records: Sequence[Record], wanted: Sequence[Aggregation]) -> dict[str, dict[str, Any]]:
    """Name -> ``EvaluationSearchAggregationResponse``."""
    return {item.name: _one(records, item) for item in wanted}


def _one(records: Sequence[Record], wanted: Aggregation) -> dict[str, Any]:
    if wanted.kind == "TERM":
        return _terms(records, wanted)
    if wanted.kind == "RANGE":
        return {"buckets": [_range(records, wanted, low, high) for low, high in wanted.ranges]}
    if wanted.kind == "DATE_HISTOGRAM":
        return _histogram(records, wanted)
    found = [value for record in records for value in record.values(wanted.field)]
    if wanted.kind == "COUNT":
        return {"value": float(len(found)), "count": len(found)}
    numbers = [float(value) for value in found if not isinstance(value, str)]
    sums: dict[str, Any] = {"count": len(numbers), "sum": float(sum(numbers))}
    if numbers:
        sums |= {"minimum": min(numbers), "maximum": max(numbers), "average": sum(numbers) / len(numbers)}
    if wanted.kind == "SUM":
        return {"value": sums["sum"], "count": len(numbers)}
    if wanted.kind == "AVERAGE":
        return {"count": len(numbers), **({"value": sums["average"]} if numbers else {})}
    return sums


def _bucket(key: str, records: Sequence[Record], wanted: Aggregation, **more: Any) -> dict[str, Any]:
    made: dict[str, Any] = {
        "key": key,
        "keyAsString": key,
        "documentCount": len(records),
        "count": len(records),
        **more,
    }
    if wanted.subs:
        made["subAggregations"] = aggregate(records, wanted.subs)
    return made


def _terms(records: Sequence[Record], wanted: Aggregation) -> dict[str, Any]:
    buckets: dict[str, list[Record]] = {}
    for record in records:
        for key in dict.fromkeys(as_text(value) for value in record.values(wanted.field)):
            buckets.setdefault(key, []).append(_with_items(record, wanted.field, key))
    ordered = sorted(buckets.items(), key=lambda item: (-len(item[1]), item[0]))
    return {
        "buckets": [_bucket(key, found, wanted) for key, found in ordered[: wanted.size]],
        "documentCountErrorUpperBound": 0,
        "sumOtherDocumentCount": sum(len(found) for _, found in ordered[wanted.size :]),
    }


def _with_items(record: Record, name: str, key: str) -> Record:
    def kept(items: Sequence[Item]) -> Sequence[Item]:
        return [item for item in items if name in item and as_text(item[name]) == key]

    if name in record.own:
        return record
    groups = kept(record.groups) if name in OF_GROUPS or name in BOTH else record.groups
    questions = kept(record.questions) if name in OF_QUESTIONS or name in BOTH else record.questions
    return replace(record, questions=questions, groups=groups)


def _range(records: Sequence[Record], wanted: Aggregation, low: float | None, high: float | None) -> dict[str, Any]:
    def inside(value: Value) -> bool:
        number = float(value) if not isinstance(value, str) else None
        return number is not None and (low is None or number >= low) and (high is None or number < high)

    found = [record for record in records if any(inside(value) for value in record.values(wanted.field))]
    edges = {name: edge for name, edge in (("from", low), ("to", high)) if edge is not None}
    key = f"{'*' if low is None else as_text(float(low))}-{'*' if high is None else as_text(float(high))}"
    return _bucket(key, found, wanted, **edges)


def _histogram(records: Sequence[Record], wanted: Aggregation) -> dict[str, Any]:
    buckets: dict[int, list[Record]] = {}
    for record in records:
        for start in dict.fromkeys(_begin(float(value), wanted.calendar) for value in record.values(wanted.field)):
            buckets.setdefault(start, []).append(record)
    made = []
    for start, found in sorted(buckets.items()):
        text = datetime.fromtimestamp(start / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        made.append(_bucket(str(start), found, wanted, keyAsString=text, keyValue=start))
    return {"buckets": made}


def _begin(us: float, calendar: str) -> int:
    """Start of the year, month… in which a time is, milliseconds; UTC."""
    moment = datetime.fromtimestamp(us / 1_000_000, UTC).replace(second=0, microsecond=0)
    if calendar == "minute":
        return int(moment.timestamp()) * 1000
    moment = moment.replace(minute=0)
    if calendar != "hour":
        moment = moment.replace(hour=0)
    if calendar == "week":
        return int(moment.timestamp() - moment.weekday() * 86_400) * 1000
    if calendar in ("month", "quarter", "year"):
        month = {"month": moment.month, "quarter": (moment.month - 1) // 3 * 3 + 1, "year": 1}[calendar]
        moment = moment.replace(month=month, day=1)
    return int(moment.timestamp()) * 1000
