"""Conditions, one kind after the other, and what of them is refused."""

from __future__ import annotations

import contextlib
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from policy_calls import DAY, START, facts, ids, policy, zone

from earwitness.domain.policy import Agent, PolicyError, check

MINUTE = 60_000_000


def fits(conditions: dict[str, Any], **call: Any) -> bool:
    return policy("p", conditions).conditions.matches(facts(**call))


def test_f7_empty_conditions_match_everything() -> None:
    assert fits({})
    assert fits({"forUsers": [], "directions": [], "timeAllowed": {"timeSlots": [], "empty": True}, "duration": None})


@pytest.mark.parametrize(
    ("condition", "call", "other"),
    [
        ({"forUsers": ids("u", [1, 2])}, {"agents": (Agent("u2", 1),)}, {"agents": (Agent("u3", 1),)}),
        ({"forQueues": ids("q", [1])}, {"queues": frozenset({"q1", "q9"})}, {"queues": frozenset({"q9"})}),
        ({"wrapupCodes": ids("w", [1])}, {"wrapup_codes": frozenset({"w1"})}, {"wrapup_codes": frozenset()}),
        ({"languages": ids("l", [1])}, {"languages": frozenset({"l1"})}, {"languages": frozenset({"en-us"})}),
        ({"directions": ["OUTBOUND"]}, {"direction": "OUTBOUND"}, {"direction": "INTERNAL"}),
        ({"teams": ids("t", [1])}, {"teams": frozenset({("t1", "ann")})}, {"teams": frozenset({("t1", "bob")})}),
        ({"mediaTypes": ["CALL"]}, {}, {"media_type": "CHAT"}),
        ({"customerParticipation": "YES"}, {"customer": True}, {"customer": False}),
        ({"customerParticipation": "NO"}, {"customer": False}, {"customer": True}),
        (
            {"forQueues": ids("q", [1]), "directions": ["INBOUND"]},
            {"queues": frozenset({"q1"})},
            {"queues": frozenset({"q1"}), "direction": "OUTBOUND"},
        ),
    ],
)
def test_f6_each_kind_matches_what_it_names(condition: Any, call: Any, other: Any) -> None:
    assert fits(condition, **call)
    assert not fits(condition, **other)


def test_f6_users_who_only_listened_in_are_not_meant() -> None:
    assert not fits({"forUsers": ids("u", [1])}, agents=(Agent("u1", 1, observes=True),))


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("2026-11-22T13:20:00Z/2026-11-22T13:20:01Z", True),
        ("2026-11-22T13:00:00.000Z/2026-11-22T13:20:00.000Z", False),
        ("2026-11-22T14:20:00+01:00/2026-11-23T00:00:00+01:00", True),
        ("2026-11-20/2026-11-22", True),
        ("2026-11-22/2026-11-22", True),
        ("2026-11-20/2026-11-21", False),
        ("2026-11-22T13:20:00/2026-11-22T13:21:00", True),
    ],
)
def test_f6_date_ranges(text: str, holds: bool) -> None:
    assert fits({"dateRanges": ["2020-01-01/2020-01-02", text]}) == holds


def slot(day: int, start: str, stop: str) -> dict[str, Any]:
    return {"day": day, "startTime": start, "stopTime": stop}


def at(zone_name: str, *moment: int) -> int:
    return round(datetime(*moment, tzinfo=zone(zone_name)).timestamp() * 1e6)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("slots", "moment", "holds"),
    [
        ([slot(7, "13:20:00.000", "13:21:00.000")], (2026, 11, 22, 13, 20), True),
        ([slot(7, "13:00:00.000", "13:20:00.000")], (2026, 11, 22, 13, 20), False),
        ([slot(6, "13:00:00.000", "14:00:00.000")], (2026, 11, 22, 13, 20), False),
        ([slot(5, "22:00:00.000", "06:00:00.000")], (2026, 11, 21, 5, 59), True),  # Friday night is Saturday morning
        ([slot(5, "22:00:00.000", "06:00:00.000")], (2026, 11, 20, 5, 59), False),
        ([slot(7, "22:00:00.000", "06:00:00.000")], (2026, 11, 23, 0, 0), True),  # past the end of the week
        ([slot(7, "22:00:00.000", "06:00:00.000")], (2026, 11, 22, 0, 0), False),
        ([slot(1, "00:00:00.000", "24:00:00.000")], (2026, 11, 23, 23, 59, 59), True),
        ([slot(1, "00:00:00.000", "23:59:59.999")], (2026, 11, 23, 23, 59, 59, 999_500), True),
        ([slot(1, "08:00", "09:00"), slot(2, "08:00", "09:00")], (2026, 11, 24, 8, 30), True),
    ],
)
def test_f6_time_slots(slots: Any, moment: Any, holds: bool) -> None:
    asked = {"timeAllowed": {"timeSlots": slots, "timeZoneId": "Europe/Berlin"}}
    start = at("Europe/Berlin", *moment)
    assert fits(asked, start=start, end=start) == holds


def test_f6_time_slots_follow_summer_time() -> None:
    asked = {"timeAllowed": {"timeSlots": [slot(1, "09:00", "10:00")], "timeZoneId": "Europe/Berlin"}}
    winter, summer = at("UTC", 2026, 1, 5, 8, 30), at("UTC", 2026, 7, 6, 7, 30)
    assert fits(asked, start=winter, end=winter)
    assert fits(asked, start=summer, end=summer)
    assert not fits(asked, start=at("UTC", 2026, 7, 6, 8, 30), end=0)
    # 02:30 comes twice on the day that summer time ends, and never on the day that it begins.
    night = {"timeAllowed": {"timeSlots": [slot(7, "02:00", "03:00")], "timeZoneId": "Europe/Berlin"}}
    for hour, holds in ((0, True), (1, True), (2, False)):
        start = at("UTC", 2026, 10, 25, hour, 30)
        assert fits(night, start=start, end=start) == holds
    spring = [at("UTC", 2026, 3, 29, 0, minute) for minute in range(0, 60, 10)]
    spring += [at("UTC", 2026, 3, 29, 1, minute) for minute in range(0, 60, 10)]
    assert not any(fits(night, start=start, end=start) for start in spring)


@pytest.mark.parametrize(
    ("duration", "seconds", "holds"),
    [
        ({"durationMode": "Over", "durationRange": "PT1M"}, 60, False),
        ({"durationMode": "Over", "durationRange": "PT1M"}, 60.001, True),
        ({"durationMode": "Under", "durationRange": "00:01:00"}, 60, False),
        ({"durationMode": "Under", "durationRange": "00:01:00.000"}, 59.999, True),
        ({"durationMode": "Between", "durationTarget": "DURATION_RANGE", "durationRange": "PT1M/PT2M"}, 60, True),
        ({"durationMode": "Between", "durationRange": "PT1M/PT2M"}, 120, True),
        ({"durationMode": "Between", "durationRange": "PT1M-PT1H30M"}, 5401, False),
        ({"durationRange": "00:01:00-00:02:00"}, 90, True),
        ({"durationTarget": "DURATION", "durationOperator": "GREATER_THAN", "durationRange": "PT30S"}, 31, True),
        ({"durationTarget": "DURATION", "durationOperator": "<", "durationRange": "PT30S"}, 31, False),
    ],
)
def test_f6_duration(duration: Any, seconds: float, holds: bool) -> None:
    assert fits({"duration": duration}, start=START, end=START + round(seconds * 1e6)) == holds


@pytest.mark.parametrize(
    ("conditions", "field"),
    [
        ({"forUsers": [{"name": "Ann"}]}, "forUsers[0].id"),
        ({"forUsers": {"id": "x"}}, "forUsers"),
        ({"forQueues": ["q"]}, "forQueues[0]"),
        ({"directions": ["SIDEWAYS"]}, "directions"),
        ({"directions": "INBOUND"}, "directions"),
        ({"dateRanges": ["2026-01-02/2026-01-01"]}, "dateRanges"),
        ({"dateRanges": ["2026-01-02T00:00:00Z/2026-01-02T00:00:00Z"]}, "dateRanges"),
        ({"dateRanges": ["yesterday/today"]}, "dateRanges"),
        ({"dateRanges": ["2026-01-01"]}, "dateRanges"),
        ({"timeAllowed": {"timeZoneId": "Mars/Olympus"}}, "timeAllowed.timeZoneId"),
        ({"timeAllowed": {"timeZoneId": "../../etc/passwd"}}, "timeAllowed.timeZoneId"),
        ({"timeAllowed": {"timeSlots": [slot(8, "1:00", "2:00")]}}, "timeAllowed.timeSlots[0].day"),
        ({"timeAllowed": {"timeSlots": [{"startTime": "1:00", "stopTime": "2:00"}]}}, "timeAllowed.timeSlots[0].day"),
        ({"timeAllowed": {"timeSlots": [slot(1, "25:00", "2:00")]}}, "timeAllowed.timeSlots[0].startTime"),
        ({"timeAllowed": {"timeSlots": [slot(1, "9:61", "2:00")]}}, "timeAllowed.timeSlots[0].startTime"),
        ({"timeAllowed": {"timeSlots": [slot(1, "09:00", "09:00")]}}, "timeAllowed.timeSlots[0].stopTime"),
        ({"duration": {"durationMode": "Over"}}, "duration.durationRange"),
        ({"duration": {"durationMode": "Over", "durationRange": "PT1M/PT2M"}}, "duration.durationRange"),
        ({"duration": {"durationMode": "Between", "durationRange": "PT1M"}}, "duration.durationRange"),
        ({"duration": {"durationMode": "Between", "durationRange": "PT3M/PT2M"}}, "duration.durationRange"),
        ({"duration": {"durationRange": "PT3M"}}, "duration.durationMode"),
        ({"duration": {"durationMode": "Over", "durationRange": "soon"}}, "duration.durationRange"),
        ({"duration": {"durationMode": "Over", "durationRange": "P999999D"}}, "duration.durationRange"),
        ({"duration": {"durationOperator": "about", "durationRange": "PT3M"}}, "duration.durationOperator"),
        ({"customerParticipation": "MAYBE"}, "customerParticipation"),
    ],
)
def test_conditions_that_nobody_can_meet_name_their_field(conditions: Any, field: str) -> None:
    with pytest.raises(PolicyError) as caught:
        check({"conditions": conditions})
    assert caught.value.field == f"conditions.{field}"
    with pytest.raises(PolicyError) as caught:
        check({"mediaPolicies": {"callPolicy": {"conditions": conditions}}})
    assert caught.value.field == f"mediaPolicies.callPolicy.conditions.{field}"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=10,
)
FIELDS = (
    *("forUsers", "dateRanges", "directions", "timeAllowed", "timeSlots", "timeZoneId", "startTime", "stopTime", "day"),
    *("duration", "durationRange", "durationMode", "durationTarget", "durationOperator", "retentionDuration", "days"),
    *("deleteRetention", "archiveRetention", "assignMeteredEvaluations", "evaluators", "evaluationForm", "id", "user"),
    *("timeInterval", "months", "maxNumberEvaluations", "integrationExport", "integration", "assignEvaluations"),
)
WILD = st.recursive(
    JSON,
    lambda inner: st.dictionaries(st.sampled_from(FIELDS), inner, max_size=4) | st.lists(inner, max_size=2),
    max_leaves=12,
)


@given(WILD, WILD, WILD)
def test_whatever_is_sent_is_read_or_refused(conditions: Any, actions: Any, media: Any) -> None:
    with contextlib.suppress(PolicyError):
        check({"conditions": conditions, "actions": actions, "mediaPolicies": {"callPolicy": media}})


def test_f1_f2_dates_of_policies_are_told_apart() -> None:
    assert policy("p", enabled_at=START + DAY).enabled_at > facts().start
