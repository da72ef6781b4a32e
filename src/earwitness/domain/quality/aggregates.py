"""Sums over evaluations, by interval and group: the contract's evaluation aggregates."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

METRICS = ("nEvaluations", "nEvaluationsDeleted", "nEvaluationsRescored", "oTotalScore", "oTotalCriticalScore")
DIMENSIONS = (
    *("assigneeApplicable", "assigneeId", "calibrationId", "contextId", "conversationId", "divisionId"),
    *("evaluationContextId", "evaluationId", "evaluatorId", "formId", "mediaType", "queueId", "released", "rescored"),
    *("systemSubmitted", "teamId", "userId"),
)
MOST_INTERVALS = 2000
_PERIOD = re.compile(r"P(?:(?P<W>\d{1,4})W)?(?:(?P<D>\d{1,4})D)?(?:T(?:(?P<H>\d{1,4})H)?(?:(?P<M>\d{1,5})M)?)?")
_SECONDS = {"W": 7 * 86_400, "D": 86_400, "H": 3600, "M": 60}


@dataclass(frozen=True, slots=True)
class Fact:
    """One evaluation."""

    at: int
    """UTC microseconds."""
    dimensions: Mapping[str, Sequence[str]]
    metrics: Mapping[str, float]
    """Those that it counts in; a score is its value."""


@dataclass(frozen=True, slots=True)
class Predicate:
    """A condition on a dimension."""

    dimension: str
    operator: str
    """``matches``, ``exists`` or ``notExists``."""
    value: str | None = None

    def holds(self, fact: Fact) -> bool:
        """Whether a fact fulfils it."""
        found = fact.dimensions.get(self.dimension, ())
        if self.operator == "matches":
            return any(value.casefold() == (self.value or "").casefold() for value in found)
        return bool(found) == (self.operator == "exists")


@dataclass(frozen=True, slots=True)
class Filter:
    """Predicates and clauses, all of which or one of which must hold; without any it holds."""

    every: bool
    predicates: tuple[Predicate, ...] = ()
    clauses: tuple[Filter, ...] = ()

    def holds(self, fact: Fact) -> bool:
        """Whether a fact fulfils it."""
        results = [item.holds(fact) for item in self.predicates] + [item.holds(fact) for item in self.clauses]
        return not results or (all(results) if self.every else any(results))


@dataclass(frozen=True, slots=True)
class View:
    """How many values of a metric are in a range: ``low`` inclusive, ``high`` exclusive."""

    name: str
    target: str
    low: float | None = None
    high: float | None = None


def period(text: str) -> int:
    """A duration such as ``P1D`` or ``PT30M``, microseconds.

    :raises ValueError: none of weeks, days, hours and minutes.
    """
    match = _PERIOD.fullmatch(text)
    seconds = sum(int(n) * _SECONDS[unit] for unit, n in match.groupdict().items() if n) if match is not None else 0
    if not seconds:
        raise ValueError("a granularity is a duration such as PT30M, PT1H, P1D or P1W")
    return seconds * 1_000_000


def spans(since: int, until: int, step: int | None) -> list[tuple[int, int]]:
    """The interval cut into steps; None: in one piece.

    :raises ValueError: too many of them.
    """
    if step is None:
        return [(since, until)]
    if (until - since) // step > MOST_INTERVALS:
        raise ValueError(f"the interval has more than {MOST_INTERVALS} steps of that granularity")
    return [(start, min(start + step, until)) for start in range(since, until, step)]


def sums(
    facts: Iterable[Fact],
    spans_: Sequence[tuple[int, int]],
    group_by: Sequence[str],
    metrics: Sequence[str],
    views: Sequence[View],
) -> list[tuple[dict[str, str], list[tuple[tuple[int, int], dict[str, Any], dict[str, Any]]]]]:
    """Groups, and for each its spans in which something was: (span, metric -> statistics, view -> statistics)."""
    step = spans_[0][1] - spans_[0][0]
    found: dict[tuple[str, ...], dict[int, list[Fact]]] = {}
    for fact in facts:
        number = (fact.at - spans_[0][0]) // step
        for key in product(*(fact.dimensions.get(name) or ("",) for name in group_by)):
            found.setdefault(key, {}).setdefault(number, []).append(fact)
    made = []
    for key, by_span in sorted(found.items()):
        group = {name: value for name, value in zip(group_by, key, strict=True) if value}
        data = []
        for number, inside in sorted(by_span.items()):
            values = {name: [f.metrics[name] for f in inside if name in f.metrics] for name in METRICS}
            shown = {name: _statistics(name, values[name]) for name in metrics if values[name]}
            seen = {view.name: _statistics(view.target, _in_range(values[view.target], view)) for view in views}
            data.append((spans_[number], shown, seen))
        made.append((group, data))
    return made


def _in_range(values: Sequence[float], view: View) -> list[float]:
    return [v for v in values if (view.low is None or v >= view.low) and (view.high is None or v < view.high)]


def _statistics(metric: str, values: Sequence[float]) -> dict[str, Any]:
    if metric.startswith("n"):
        return {"count": len(values)}
    edges = {"min": min(values), "max": max(values)} if values else {}
    return {"count": len(values), "sum": float(sum(values)), **edges}
