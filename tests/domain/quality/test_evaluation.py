"""The life of an evaluation: every transition, every right, every date (J3, J5, J6, J15)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earwitness.domain.quality import evaluation as life
from earwitness.domain.quality.calibration import Comparison, compare
from earwitness.domain.quality.evaluation import LifeError, Release, Standing

NOW = 1_795_353_600_000_000
DAY = 86_400_000_000
EVERYTHING = frozenset(life.ACTIONS)
SUPERVISOR = Standing(EVERYTHING)
EVALUATOR = Standing(frozenset({life.EDIT_SCORE}), is_evaluator=True)
AGENT = Standing(frozenset({life.SIGN_OFF}), is_agent=True, released=True)


def test_j3_every_transition():
    reached = {}
    for name, who in (("supervisor", SUPERVISOR), ("evaluator", EVALUATOR), ("agent", AGENT)):
        for before in life.STATUSES:
            for wanted in life.STATUSES:
                try:
                    after = life.next_status(before, wanted, who)
                except LifeError:
                    continue
                if after != before:
                    reached.setdefault(name, set()).add((before, after))
    scoring = {
        ("PENDING", "INPROGRESS"),
        ("PENDING", "FINISHED"),
        ("INPROGRESS", "FINISHED"),
        ("FINISHED", "INPROGRESS"),
        ("INREVIEW", "FINISHED"),
    }
    assert reached["evaluator"] == scoring
    assert reached["supervisor"] == scoring | {("FINISHED", "RETRACTED"), ("INREVIEW", "RETRACTED")}
    assert reached["agent"] == {("FINISHED", "INREVIEW")}


def test_j3_who_has_no_say_changes_nothing():
    nobody = Standing(frozenset({life.RELEASE}))
    assert all(life.next_status(a, b, nobody) == a for a in life.STATUSES for b in life.STATUSES)


def test_j5_actions():
    assert SUPERVISOR.actions == ("assign", "edit", "delete", "release", "viewAudit")
    assert Standing(EVERYTHING, is_evaluator=True).actions == (
        "assign",
        "edit",
        "editScore",
        "delete",
        "release",
        "viewAudit",
    )
    assert EVALUATOR.actions == ("editScore",)
    assert AGENT.actions == ("editAgentSignoff",)
    assert Standing(EVERYTHING, is_agent=True).actions == ()
    assert Standing(EVERYTHING, is_agent=True, released=True).actions == ("editAgentSignoff",)


@given(st.frozensets(st.sampled_from(life.ACTIONS)), st.booleans(), st.booleans(), st.booleans())
def test_j15_nobody_may_what_was_not_given(held, is_agent, is_evaluator, released):
    who = Standing(held, is_agent, is_evaluator, released)
    assert set(who.actions) <= held
    if is_agent:
        assert set(who.actions) <= {life.SIGN_OFF}
        assert not any(who.may(part) for part in life.FIELDS if part != "agent")
        assert released or not who.actions
    else:
        assert life.SIGN_OFF not in who.actions


def test_j6_release_dates():
    day = Release(NOW)
    assert life.release_of(Release(), {"release_date": NOW + 45 * DAY}, NOW).date == NOW + 45 * DAY
    assert life.release_of(day, {}, NOW) == day
    assert life.release_of(day, {"release_date": None}, NOW) == Release()
    assert life.release_of(day, {"never_release": True}, NOW) == Release(None, True)
    assert life.release_of(Release(None, True), {"never_release": False, "release_date": 5}, NOW) == Release(5)
    for before, given_ in (
        (Release(), {"release_date": NOW + 45 * DAY + 1}),
        (Release(), {"never_release": True, "release_date": NOW}),
        (Release(None, True), {"release_date": NOW}),
    ):
        with pytest.raises(LifeError) as caught:
            life.release_of(before, given_, NOW)
        assert caught.value.field == "releaseDate"


def test_j6_released_is_finished_and_due():
    due = Release(NOW)
    assert due.released_at("FINISHED", None, NOW) == NOW
    assert due.released_at("INREVIEW", NOW - 5, NOW) == NOW - 5
    for status in ("PENDING", "INPROGRESS", "RETRACTED"):
        assert due.released_at(status, NOW - 5, NOW) is None
    assert due.released_at("FINISHED", None, NOW - 1) is None
    assert Release().released_at("FINISHED", None, NOW) is None
    assert Release(NOW, True).released_at("FINISHED", 1, NOW) is None


def test_disputes_go_to_whom_the_form_names():
    document = {
        "disputesEnabled": True,
        "disputesAllowedPerEvaluation": 3,
        "disputesAssignees": [{"type": "Original"}, {"type": "Individual", "user": {"id": "boss"}}, {"type": "None"}],
    }
    settings = life.read_settings(document)
    found = [life.dispute(settings, count, "ada", calibration=False) for count in range(3)]
    assert found == ["ada", "boss", None]
    for count, calibration in ((3, False), (0, True)):
        with pytest.raises(LifeError):
            life.dispute(settings, count, "ada", calibration=calibration)
    with pytest.raises(LifeError):
        life.dispute(life.read_settings({}), 0, "ada", calibration=False)
    assert life.dispute(life.Disputes(True, 1), 0, "ada", calibration=False) == "ada"


@pytest.mark.parametrize(
    "document",
    [
        {"disputesAllowedPerEvaluation": -1},
        {"disputesAllowedPerEvaluation": 11},
        {"disputesAssignees": [{"type": "Individual"}]},
        {"disputesEnabled": True, "disputesAllowedPerEvaluation": 2, "disputesAssignees": [{}]},
    ],
)
def test_settings_that_cannot_be_carried_out(document):
    with pytest.raises(LifeError):
        life.read_settings(document)


def test_calibrations_compare_what_is_finished():
    assert compare([80.0, None, 100.0]) == Comparison(90.0, 100.0, 80.0)
    assert compare([None]) == Comparison(None, None, None)
