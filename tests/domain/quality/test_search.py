"""Search of evaluations and sums over them, and aggregates."""

from __future__ import annotations

import pytest

from earwitness.domain.quality import aggregates
from earwitness.domain.quality.aggregates import Fact, Filter, Predicate, View
from earwitness.domain.quality.search import (
    LONGEST_US,
    Aggregation,
    Criterion,
    Record,
    SearchError,
    aggregate,
    check_criteria,
    narrowed,
)

DAY = 86_400_000_000


def record(agent: str, total: float | None, *scores: tuple[str, int], at: int = 0) -> Record:
    own = {"agentId": [agent], "totalScore": [] if total is None else [total], "createdDate": [at], "released": [True]}
    questions = [{"questionGroupId": "g", "questionId": key, "questionScore": score} for key, score in scores]
    return Record(own, questions, [{"questionGroupId": "g", "questionGroupScore": float(sum(s for _, s in scores))}])


ADA, BEN = record("ada", 90.0, ("q1", 5), ("q2", 0)), record("ben", 40.0, ("q1", 1), ("q2", 5), at=DAY)


@pytest.mark.parametrize(
    ("criteria", "found"),
    [
        ([Criterion("EXACT", "agentId", ("ADA", "cleo"))], [ADA]),
        ([Criterion("EXACT", "agentId", ("ada",), negated=True)], [BEN]),
        ([Criterion("RANGE", "totalScore", low=40.0, high=90.0)], [ADA, BEN]),
        ([Criterion("GREATER_THAN", "totalScore", low=40.0)], [ADA]),
        ([Criterion("LESS_THAN_EQUAL_TO", "totalScore", high=40.0)], [BEN]),
        ([Criterion("EXACT", "released", ("true",))], [ADA, BEN]),
        ([Criterion("EXACT", "questionId", ("q1",)), Criterion("GREATER_THAN", "questionScore", low=4.0)], [ADA]),
        ([Criterion("EXACT", "questionId", ("q3",))], []),
        (
            [Criterion("EXACT", "questionGroupId", ("g",)), Criterion("LESS_THAN", "questionGroupScore", high=6.0)],
            [ADA],
        ),
        ([Criterion("REQUIRED_FIELDS", "totalScore")], [ADA, BEN]),
    ],
)
def test_criteria(criteria, found):
    assert [each for each in (ADA, BEN) if narrowed(each, criteria) is not None] == found


def test_a_time_range_of_three_months_is_needed():
    check_criteria([Criterion("DATE_RANGE", "createdDate", low=0, high=LONGEST_US)])
    for criteria in ([], [Criterion("DATE_RANGE", "createdDate", low=0, high=LONGEST_US + 1)]):
        with pytest.raises(SearchError):
            check_criteria(criteria)


def test_sums():
    records = [ADA, BEN, record("ada", None)]
    by_agent = Aggregation("a", "agentId", "TERM", size=1, subs=(Aggregation("mean", "totalScore", "AVERAGE"),))
    found = aggregate(records, [by_agent])["a"]
    assert [(item["key"], item["documentCount"]) for item in found["buckets"]] == [("ada", 2)]
    assert found["buckets"][0]["subAggregations"]["mean"] == {"count": 1, "value": 90.0}
    assert found["sumOtherDocumentCount"] == 1
    stats = aggregate(records, [Aggregation("s", "totalScore", "STATS")])["s"]
    assert stats == {"count": 2, "sum": 130.0, "minimum": 40.0, "maximum": 90.0, "average": 65.0}
    assert aggregate([], [Aggregation("s", "totalScore", "AVERAGE")])["s"] == {"count": 0}
    ranges = Aggregation("r", "totalScore", "RANGE", ranges=((None, 50.0), (50.0, 90.0), (90.0, None)))
    assert [b["documentCount"] for b in aggregate(records, [ranges])["r"]["buckets"]] == [1, 0, 1]
    days = aggregate(records, [Aggregation("d", "createdDate", "DATE_HISTOGRAM")])["d"]["buckets"]
    assert [(b["keyAsString"], b["documentCount"]) for b in days] == [
        ("1970-01-01T00:00:00.000Z", 2),
        ("1970-01-02T00:00:00.000Z", 1),
    ]


def test_sums_over_questions_look_at_the_question_of_their_bucket():
    mean = Aggregation("mean", "questionScore", "AVERAGE")
    found = aggregate([ADA, BEN], [Aggregation("q", "questionId", "TERM", subs=(mean,))])["q"]["buckets"]
    assert {item["key"]: item["subAggregations"]["mean"]["value"] for item in found} == {"q1": 3.0, "q2": 2.5}


def fact(at: int, score: float, *queues: str) -> Fact:
    return Fact(at, {"queueId": queues, "userId": ["ada"]}, {"nEvaluations": 1.0, "oTotalScore": score})


def test_aggregates_by_interval_and_group():
    facts = [fact(0, 50.0, "q"), fact(DAY, 100.0, "q"), fact(DAY + 1, 0.0)]
    spans = aggregates.spans(0, 2 * DAY, aggregates.period("P1D"))
    bound = View("good", "oTotalScore", 80.0, None)
    found = aggregates.sums(facts, spans, ["queueId"], ["nEvaluations", "oTotalScore"], [bound])
    assert [group for group, _ in found] == [{}, {"queueId": "q"}]
    (first, metrics, _), (second, _, views) = found[1][1]
    assert (first, second) == ((0, DAY), (DAY, 2 * DAY))
    assert metrics == {"nEvaluations": {"count": 1}, "oTotalScore": {"count": 1, "sum": 50.0, "min": 50.0, "max": 50.0}}
    assert views["good"]["count"] == 1


def test_filters():
    queue, none = Predicate("queueId", "matches", "Q"), Predicate("queueId", "notExists")
    assert Filter(True).holds(fact(0, 1.0))
    assert Filter(True, (queue,)).holds(fact(0, 1.0, "q"))
    assert not Filter(True, (queue, none)).holds(fact(0, 1.0, "q"))
    assert Filter(False, (queue, none)).holds(fact(0, 1.0))
    assert not Filter(True, (), (Filter(False, (queue,)),)).holds(fact(0, 1.0))


@pytest.mark.parametrize("text", ["", "P", "PT", "P1M", "1D", "PT0M", "P1DT"])
def test_granularities(text):
    if text == "P1DT":
        assert aggregates.period(text) == DAY
        return
    with pytest.raises(ValueError):
        aggregates.period(text)


def test_there_are_not_too_many_intervals():
    with pytest.raises(ValueError, match="steps"):
        aggregates.spans(0, 3000 * DAY, DAY)
