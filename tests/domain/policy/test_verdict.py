"""One verdict, with the winner and the reasons of all others; actions that add up; who is evaluated."""

from __future__ import annotations

from typing import Any

import pytest
from policy_calls import START, facts, ids, policy, zone

from earwitness.domain.policy import (
    Agent,
    AssignMetered,
    Form,
    Interval,
    PolicyError,
    PolicyIndex,
    Rules,
    Unsupported,
    check,
    decide,
    evaluate,
    read_policy,
)
from earwitness.domain.policy.choice import choose
from earwitness.domain.policy.metering import since
from earwitness.domain.policy.times import EPOCH

KEEP: dict[str, Any] = {}
DELETE = {"retainRecording": False, "deleteRecording": True}
ALWAYS = {"alwaysDelete": True}


def days(number: int, archive: int = 0) -> dict[str, Any]:
    return {"retentionDuration": {"deleteRetention": {"days": number}, "archiveRetention": {"days": archive}}}


def verdict(*actions: dict[str, Any], **more: Any) -> Any:
    return decide([policy(f"p{n}", None, one, order=n) for n, one in enumerate(actions)], **more)


@pytest.mark.parametrize(
    ("actions", "action", "number", "winner"),
    [
        ([], "KEEP", None, None),
        ([{"retainRecording": True, "deleteRecording": True}], "KEEP", None, "p0"),
        ([DELETE], "DELETE", None, "p0"),
        ([{"alwaysDelete": True, "retainRecording": True}], "DELETE", None, "p0"),
        ([days(30), days(100), days(31)], "DELETE_AFTER", 100, "p1"),
        ([KEEP, days(30)], "DELETE_AFTER", 30, "p1"),
        ([KEEP, days(10_000), days(30)], "DELETE_AFTER", 10_000, "p1"),
        ([DELETE, KEEP], "KEEP", None, "p1"),
        ([DELETE, days(1)], "DELETE_AFTER", 1, "p1"),
        ([days(30), ALWAYS, KEEP], "DELETE", None, "p1"),
        ([{"retainRecording": False}], "KEEP", None, None),
        ([days(0)], "KEEP", None, "p0"),
    ],
)
def test_f8_f10_f11_f12_f13_who_wins(actions: Any, action: str, number: int | None, winner: str | None) -> None:
    found = verdict(*actions)
    assert (found.action, found.days) == (action, number)
    assert (found.policy.id if found.policy is not None else None) == winner


def test_f12_every_loser_hears_why() -> None:
    found = verdict(days(30), days(100), KEEP, DELETE, {"retainRecording": False})
    assert [word.why for word in found.words] == [
        'policy "P1" names 100 days, which is longer',
        "it has the longest explicit number of days",
        'it names no number of days, and policy "P1" names 100 (10,000 days would beat it)',
        'policy "P1" keeps longer',
        "it says neither keep nor delete",
    ]
    found = verdict(KEEP, ALWAYS, ALWAYS, DELETE)
    assert [word.why for word in found.words] == [
        'policy "P1" always deletes',
        "it always deletes, whatever the others say",
        'policy "P1" always deletes, and comes first',
        'policy "P1" always deletes',
    ]
    found = verdict(DELETE, DELETE, {"retentionDuration": {}})
    assert [word.why for word in found.words][:2] == ['policy "P2" keeps longer'] * 2


def test_f9_of_two_that_keep_equally_long_the_one_that_archives_later_is_named() -> None:
    found = verdict(days(30), days(30, 5), days(30, 9))
    assert (found.policy.id, found.archive_days) == ("p2", 9)
    assert "archives later" in found.words[0].why
    assert verdict(KEEP, {"retentionDuration": {"archiveRetention": {"days": 7}}}).archive_days == 7


def test_c2_consent_is_no_shield_unless_the_organisation_says_so() -> None:
    assert verdict(ALWAYS, consent_granted=True).action == "DELETE"
    shield = Rules(consent_shields=True)
    assert verdict(ALWAYS, consent_granted=True, rules=shield).action == "KEEP"
    assert verdict(DELETE, days(3), consent_granted=True, rules=shield).days == 3
    assert verdict(ALWAYS, consent_granted=False, rules=shield).action == "DELETE"


def test_w2_keeping_can_be_made_to_beat_days() -> None:
    found = verdict(days(30), KEEP, rules=Rules(keep_wins=True))
    assert (found.action, found.policy.id) == ("KEEP", "p1")
    assert verdict(ALWAYS, KEEP, rules=Rules(keep_wins=True)).action == "DELETE"


@pytest.mark.parametrize("consent", ["refused", "missing"])
def test_c1_c5_without_consent_no_policy_runs(consent: str) -> None:
    found = evaluate(PolicyIndex([policy("p", None, ALWAYS)]), facts(consent=consent))
    assert not found.applied
    assert (found.matched, found.verdict.action, found.planned) == ((), "KEEP", ())
    assert "no policy runs" in found.verdict.why


def test_f1_f2_a_policy_is_for_conversations_that_begin_after_it() -> None:
    early, late = policy("a", enabled_at=START), policy("b", None, ALWAYS, enabled_at=START + 1)
    found = evaluate(PolicyIndex([early, late]), facts())
    assert [p.id for p in found.matched] == ["a"]
    assert [p.id for p in found.missed] == ["b"]
    assert found.verdict.action == "KEEP"


EVALUATE = {"assignEvaluations": [{"evaluationForm": {"id": "f"}, "user": {"id": "eve"}}]}
METERED = {
    "evaluators": ids("e", [1, 2]),
    "maxNumberEvaluations": 2,
    "evaluationForm": {"id": "f"},
    "timeInterval": {"weeks": 1},
}
TALKED = (Agent("boss", 1, observes=True), Agent("ann", 2), Agent("bob", 3), Agent("coach", 4, observes=True))


def test_f14_actions_add_up_in_order() -> None:
    made = [
        policy("b", None, {**EVALUATE, "integrationExport": {"integration": {"id": "s3"}}}, order=2),
        policy("a", None, {**EVALUATE, "assignSurveys": [{"sendingDomain": "x"}]}, order=5),
        policy("c", None, {**DELETE, "assignCalibrations": [
            {"calibrator": {"id": "c"}, "evaluators": ids("e", [1]), "evaluationForm": {"contextId": "k"}}]}, order=1),
    ]  # fmt: skip
    found = evaluate(PolicyIndex(made), facts())
    told = [(item.policy.id, type(item.action).__name__) for item in found.planned]
    assert told == [
        ("c", "AssignCalibration"),
        ("b", "AssignEvaluation"),
        ("b", "Export"),
        ("a", "AssignEvaluation"),
        ("a", "Unsupported"),
    ]
    assert isinstance(found.planned[-1].action, Unsupported)


def test_f15_the_first_agent_is_evaluated_and_by_agent_the_last_that_is_meant() -> None:
    actions = {**EVALUATE, "assignMeteredEvaluations": [METERED], "assignMeteredAssignmentByAgent": [METERED]}
    found = evaluate(PolicyIndex([policy("p", None, actions)]), facts(agents=TALKED))
    assert [item.agent_id for item in found.planned] == ["ann", "ann", "bob"]
    meant = policy("p", {"forUsers": [{"id": "ann"}]}, actions)
    assert [p.agent_id for p in evaluate(PolicyIndex([meant]), facts(agents=TALKED)).planned] == ["ann"] * 3
    team = policy("p", {"teams": [{"id": "t"}]}, actions)
    call = facts(agents=TALKED, teams=frozenset({("t", "ann"), ("t", "coach")}))
    assert [p.agent_id for p in evaluate(PolicyIndex([team]), call).planned] == ["ann"] * 3
    nobody = evaluate(PolicyIndex([policy("p", None, actions)]), facts(agents=()))
    assert [item.agent_id for item in nobody.planned] == [None] * 3


def test_f16_the_work_is_shared_up_to_the_number() -> None:
    action = AssignMetered(Form("f", None), ("e1", "e2"), 2, Interval(), by_agent=False)
    had = {"e1": 0, "e2": 0}
    given = []
    for _ in range(5):
        chosen = choose(action, action.evaluator_ids, had.__getitem__, 0)
        given.append(chosen)
        if chosen is not None:
            had[chosen] += 1
    assert given == ["e1", "e2", "e1", "e2", None]
    by_agent = AssignMetered(Form("f", None), ("e1", "e2"), 2, Interval(), by_agent=True)
    assert choose(by_agent, by_agent.evaluator_ids, {"e1": 9, "e2": 3}.__getitem__, 1) == "e2"
    assert choose(by_agent, by_agent.evaluator_ids, had.__getitem__, 2) is None
    assert choose(action, (), had.__getitem__, 0) is None


def text(us: int) -> str:
    from datetime import timedelta

    return (EPOCH + timedelta(microseconds=us)).isoformat(timespec="minutes").removesuffix("+00:00")


@pytest.mark.parametrize(
    ("interval", "zone_name", "first"),
    [
        (Interval(weeks=1), None, "2026-11-15T13:20"),
        (Interval(months=1, hours=2), None, "2026-10-22T11:20"),
        (Interval(months=9), None, "2026-02-22T13:20"),
        (Interval(), None, "1970-01-01T00:00"),
        (Interval(months=1200, weeks=5200), None, "1970-01-01T00:00"),
        (Interval(days=1), "Europe/Berlin", "2026-11-21T23:00"),
        (Interval(days=2), "Europe/Berlin", "2026-11-20T23:00"),
        (Interval(weeks=1), "Europe/Berlin", "2026-11-15T23:00"),
        (Interval(months=1), "Europe/Berlin", "2026-10-31T23:00"),
        (Interval(months=2), "Europe/Berlin", "2026-09-30T22:00"),
        (Interval(hours=1), "Asia/Kolkata", "2026-11-22T12:30"),
    ],
)
def test_f16_since_when_evaluations_count(interval: Interval, zone_name: str | None, first: str) -> None:
    assert text(since(interval, START, None if zone_name is None else zone(zone_name))) == first


@pytest.mark.parametrize(
    ("actions", "field"),
    [
        (days(-1), "retentionDuration.deleteRetention.days"),
        (days(10, 10), "retentionDuration.archiveRetention.days"),
        (days(10, 11), "retentionDuration.archiveRetention.days"),
        (days(10**9), "retentionDuration.deleteRetention.days"),
        ({"retentionDuration": {"deleteRetention": {"days": True}}}, "retentionDuration.deleteRetention.days"),
        ({"retentionDuration": {"deleteRetention": {"days": 1.5}}}, "retentionDuration.deleteRetention.days"),
        ({"retentionDuration": {"archiveRetention": {"days": 1, "storageMedium": "TAPE"}}},
         "retentionDuration.archiveRetention.storageMedium"),
        ({**DELETE, **days(3)}, "deleteRecording"),
        ({**DELETE, "retentionDuration": {"archiveRetention": {"days": 1}}}, "deleteRecording"),
        ({"retainRecording": "yes"}, "retainRecording"),
        ({"assignEvaluations": [{"user": {"id": "u"}}]}, "assignEvaluations[0].evaluationForm"),
        ({"assignEvaluations": [{"evaluationForm": {"id": "f"}}]}, "assignEvaluations[0].user"),
        ({"assignMeteredEvaluations": [{**METERED, "maxNumberEvaluations": 0}]},
         "assignMeteredEvaluations[0].maxNumberEvaluations"),
        ({"assignMeteredEvaluations": [{**METERED, "evaluators": []}]}, "assignMeteredEvaluations[0].evaluators"),
        ({"assignMeteredEvaluations": [{**METERED, "timeInterval": {"days": -1}}]},
         "assignMeteredEvaluations[0].timeInterval.days"),
        ({"assignMeteredAssignmentByAgent": [{**METERED, "timeZone": "Nowhere"}]},
         "assignMeteredAssignmentByAgent[0].timeZone"),
        ({"assignCalibrations": [{"evaluators": ids("e", [1]), "evaluationForm": {"id": "f"}}]},
         "assignCalibrations[0].calibrator"),
        ({"integrationExport": {"shouldExportScreenRecordings": True}}, "integrationExport.integration"),
        ({"initiateScreenRecording": {"deleteRetention": {"days": 400}}},
         "initiateScreenRecording.deleteRetention.days"),
    ],
)  # fmt: skip
def test_actions_that_contradict_each_other_name_their_field(actions: Any, field: str) -> None:
    with pytest.raises(PolicyError) as caught:
        check({"actions": actions})
    assert caught.value.field == f"actions.{field}"


def test_f21_screen_recordings_go_within_a_year_calls_need_not() -> None:
    check({"actions": {"initiateScreenRecording": {"deleteRetention": {"days": 365}}, **days(1_000_000)}})


def test_f5_both_forms_are_read_and_the_one_for_calls_counts() -> None:
    def read(document: dict[str, Any]) -> Any:
        return read_policy("p", "P", 0, 0, document)

    new = {"callPolicy": {"conditions": {"directions": ["INBOUND"]}, "actions": days(3)}}
    old = {"conditions": {"directions": ["OUTBOUND"]}, "actions": days(9)}
    assert read({"mediaPolicies": new}).actions.retention.delete_days == 3
    assert read(old).actions.retention.delete_days == 9
    both = read({"mediaPolicies": new, **old})
    assert (both.actions.retention.delete_days, both.conditions.directions) == (3, {"INBOUND"})
    other = read({"mediaPolicies": {"chatPolicy": {"actions": ALWAYS}}})
    assert not other.calls
    assert PolicyIndex([other]).matching(facts()) == []
    assert read({"mediaPolicies": {"chatPolicy": {}}, **old}).calls
    assert read({}).calls


def test_policies_for_another_platform_are_for_its_conversations_alone() -> None:
    ours, theirs = policy("a"), policy("b", cross_platform=True)
    index = PolicyIndex([ours, theirs])
    assert [found.id for found in index.matching(facts())] == ["a"]
    assert [found.id for found in index.matching(facts(other_platform=True))] == ["b"]
