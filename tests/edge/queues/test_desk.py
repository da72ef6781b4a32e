"""Calls and agents, told as conversations with the desk; S is a second."""

from __future__ import annotations

import json

import pytest

from earwitness.domain.configuration import Queue
from earwitness.edge.queues.actions import AcwTimedOut, Lost, Offer, Withdraw
from earwitness.edge.queues.desk import GRACE_US, Desk, UnknownAgent

S = 1_000_000
SALES = Queue("sales", "Sales", members=("ann", "ben", "cem"), alerting_s=8.0)
HELP = Queue("help", "Help", members=("cem", "dia"), alerting_s=20.0)


@pytest.fixture
def desk():
    desk = Desk()
    assert desk.configure((SALES, HELP), ("ann", "ben", "cem", "dia", "eve"), 0) == []
    for user in ("ann", "ben", "cem", "dia", "eve"):
        assert desk.reachable(user, True, 0) == []
    return desk


def on_queue(desk, *users, now=1 * S):
    for place, user in enumerate(users):
        assert desk.set_agent(user, True, None, now + place) == []


def status(desk, user):
    return desk.agent(user).status


def test_the_longest_idle_agent_is_offered_the_call(desk):
    on_queue(desk, "ben", "ann")
    assert desk.enter("c1", "sales", 10 * S) == [Offer("c1", "sales", "ben", 8.0)]
    assert desk.enter("c2", "sales", 11 * S) == [Offer("c2", "sales", "ann", 8.0)]
    assert desk.enter("c3", "sales", 12 * S) == []
    assert desk.position("c3") == 1


def test_who_has_handled_a_call_longest_ago_is_next_whatever_their_status_did_meanwhile(desk):
    on_queue(desk, "ann", "ben")
    desk.enter("c1", "sales", 10 * S)
    desk.answered("c1", "ann", 11 * S)
    desk.free("ann", 20 * S)
    desk.set_agent("ben", False, None, 21 * S)
    desk.set_agent("ben", True, None, 30 * S)
    assert desk.enter("c2", "sales", 40 * S) == [Offer("c2", "sales", "ben", 8.0)]


def test_calls_by_priority_then_by_waiting_time_across_the_queues_of_an_agent(desk):
    desk.enter("old", "help", 1 * S)
    desk.enter("young", "sales", 2 * S)
    desk.enter("urgent", "sales", 3 * S, 5)
    assert desk.set_agent("cem", True, None, 4 * S) == [Offer("urgent", "sales", "cem", 8.0)]
    assert desk.answered("urgent", "cem", 5 * S) == []
    assert desk.free("cem", 6 * S) == [Offer("old", "help", "cem", 20.0)]


@pytest.mark.parametrize("cause", ["timeout", "rejected", "unreachable"])
def test_who_does_not_take_a_call_gets_none_until_idle_again_and_the_call_goes_on(desk, cause):
    on_queue(desk, "ann", "ben")
    desk.enter("c1", "sales", 10 * S)
    assert desk.declined("c1", "ann", 18 * S, cause) == [Offer("c1", "sales", "ben", 8.0)]
    assert status(desk, "ann") == "NOT_RESPONDING"
    assert desk.declined("c1", "ben", 26 * S, cause) == []
    assert desk.set_agent("ann", None, "IDLE", 30 * S) == [Offer("c1", "sales", "ann", 8.0)]


def test_off_queue_and_on_again_makes_an_agent_responding(desk):
    on_queue(desk, "ann")
    desk.enter("c1", "sales", 10 * S)
    desk.declined("c1", "ann", 18 * S, "timeout")
    assert desk.set_agent("ann", True, None, 19 * S) == []
    assert status(desk, "ann") == "NOT_RESPONDING"
    assert desk.set_agent("ann", False, None, 20 * S) == []
    assert status(desk, "ann") == "OFF_QUEUE"
    assert desk.set_agent("ann", True, None, 21 * S) == [Offer("c1", "sales", "ann", 8.0)]


def test_a_call_is_not_offered_twice_in_a_row_to_one_agent_while_another_is_free(desk):
    users = ("ann", "ben")
    on_queue(desk, *users)
    desk.configure((Queue("sales", "", members=("ann",)),), users, 5 * S)
    desk.enter("c1", "sales", 10 * S)
    assert desk.configure((Queue("sales", ""),), users, 11 * S) == [Withdraw("c1", "ann")]
    assert desk.configure((SALES,), users, 12 * S) == [Offer("c1", "sales", "ben", 8.0)]
    assert desk.busy("ben", 13 * S, in_queue_call=False) == [Withdraw("c1", "ben"), Offer("c1", "sales", "ann", 8.0)]
    assert desk.reachable("ann", False, 14 * S) == [Withdraw("c1", "ann")]
    assert desk.reachable("ann", True, 15 * S) == [Offer("c1", "sales", "ann", 8.0)]


def test_a_caller_who_hangs_up_while_it_rings_frees_the_agent_who_keeps_the_place(desk):
    on_queue(desk, "ann", "ben")
    desk.enter("c1", "sales", 10 * S)
    assert desk.leave("c1", 12 * S) == [Withdraw("c1", "ann")]
    assert status(desk, "ann") == "IDLE"
    assert desk.enter("c2", "sales", 13 * S) == [Offer("c2", "sales", "ann", 8.0)]
    assert desk.leave("never came", 14 * S) == []


def test_an_answer_that_comes_too_late_is_not_given_the_call(desk):
    on_queue(desk, "ann", "ben")
    desk.enter("c1", "sales", 10 * S)
    desk.declined("c1", "ann", 18 * S, "timeout")
    assert desk.answered("c1", "ann", 18 * S) == [Withdraw("c1", "ann")]
    assert desk.declined("c1", "ann", 18 * S, "timeout") == []
    assert desk.answered("c1", "ben", 19 * S) == []
    assert desk.position("c1") is None
    assert status(desk, "ben") == "INTERACTING"


def test_calls_of_any_kind_keep_further_calls_away(desk):
    on_queue(desk, "ann")
    desk.busy("ann", 2 * S, in_queue_call=False)
    assert status(desk, "ann") == "COMMUNICATING"
    assert desk.enter("c1", "sales", 3 * S) == []
    assert desk.free("ann", 4 * S) == [Offer("c1", "sales", "ann", 8.0)]
    assert desk.busy("eve", 4 * S, in_queue_call=False) == []
    assert status(desk, "eve") == "OFF_QUEUE"


def test_an_agent_who_leaves_the_queue_or_whose_phone_is_gone_rings_no_more(desk):
    on_queue(desk, "ann", "ben")
    desk.enter("c1", "sales", 10 * S)
    assert desk.set_agent("ann", False, None, 11 * S) == [Withdraw("c1", "ann"), Offer("c1", "sales", "ben", 8.0)]
    assert desk.reachable("ben", False, 12 * S) == [Withdraw("c1", "ben")]
    assert desk.enter("c2", "sales", 13 * S) == []


@pytest.mark.parametrize(
    ("prompt", "blocks"),
    [
        ("OPTIONAL", False),
        ("AGENT_REQUESTED", False),
        ("MANDATORY", True),
        ("MANDATORY_TIMEOUT", True),
        ("MANDATORY_FORCED_TIMEOUT", True),
    ],
)
def test_f3_after_call_work_keeps_calls_away_by_its_prompt_and_ends_at_its_time(desk, prompt, blocks):
    on_queue(desk, "ann")
    desk.enter("c1", "sales", 10 * S)
    desk.answered("c1", "ann", 11 * S)
    assert desk.begin_acw("ann", "conv", "part", "sales", 20 * S, prompt, 30 * S) == []
    desk.free("ann", 20 * S)
    assert status(desk, "ann") == ("INTERACTING" if blocks else "IDLE")
    acw = desk.agent("ann").acw
    assert acw is not None
    assert acw.deadline == 50 * S
    assert bool(desk.enter("c2", "sales", 21 * S)) is not blocks
    assert desk.tick(49 * S) == ([] if blocks else [Withdraw("c2", "ann")])
    timed_out = desk.tick(50 * S)
    assert timed_out[0] == AcwTimedOut("ann", "conv", "part", "sales")
    assert timed_out[1:] == ([Offer("c2", "sales", "ann", 8.0)] if blocks else [])
    assert desk.agent("ann").acw is None


def test_a_wrap_up_that_is_given_frees_the_agent(desk):
    on_queue(desk, "ann")
    desk.begin_acw("ann", "conv", "part", "sales", 20 * S, "MANDATORY", 30 * S)
    desk.enter("c2", "sales", 21 * S)
    assert desk.end_acw("ann", 25 * S, "another") == []
    assert desk.end_acw("ann", 25 * S, "part") == [Offer("c2", "sales", "ann", 8.0)]
    assert AcwTimedOut not in {type(action) for action in desk.tick(60 * S)}


def test_no_early_exit_means_the_whole_time_passes(desk):
    on_queue(desk, "ann")
    desk.begin_acw("ann", "conv", "part", "sales", 20 * S, "MANDATORY_FORCED_TIMEOUT", 30 * S)
    desk.enter("c2", "sales", 21 * S)
    assert desk.end_acw("ann", 25 * S) == []
    assert desk.agent("ann").acw is None
    assert status(desk, "ann") == "INTERACTING"
    assert desk.tick(50 * S) == [Offer("c2", "sales", "ann", 8.0)]


def test_an_offer_that_nobody_reports_about_is_taken_back(desk):
    on_queue(desk, "ann", "ben")
    desk.enter("c1", "sales", 10 * S)
    assert desk.next_at == 18 * S + GRACE_US
    assert desk.tick(18 * S) == []
    assert desk.tick(18 * S + GRACE_US) == [Withdraw("c1", "ann"), Offer("c1", "sales", "ben", 8.0)]
    assert status(desk, "ann") == "NOT_RESPONDING"
    desk.answered("c1", "ben", 24 * S)
    assert desk.next_at is None


def test_queues_agents_and_members_come_and_go(desk):
    on_queue(desk, "ann", "cem", "dia")
    desk.enter("c1", "sales", 10 * S)
    desk.enter("c2", "sales", 11 * S)
    desk.enter("c3", "sales", 12 * S)
    assert desk.enter("c0", "nowhere", 12 * S) == [Lost("c0")]
    without_cem = Queue("sales", "Sales", members=("ann", "dia"), alerting_s=5.0)
    users = ("ann", "cem", "dia")
    assert desk.configure((without_cem, HELP), users, 13 * S) == [
        Withdraw("c2", "cem"),
        Offer("c2", "sales", "dia", 5.0),
    ]
    assert desk.configure((HELP,), users, 14 * S) == [
        Withdraw("c1", "ann"), Lost("c1"), Withdraw("c2", "dia"), Lost("c2"), Lost("c3")
    ]  # fmt: skip
    with pytest.raises(UnknownAgent):
        desk.agent("ben")
    with pytest.raises(UnknownAgent):
        desk.set_agent("ben", True, None, 15 * S)
    with pytest.raises(ValueError, match="NOT_RESPONDING"):
        desk.set_agent("ann", None, "NOT_RESPONDING", 15 * S)
    assert desk.enter("c4", "help", 16 * S) == [Offer("c4", "help", "cem", 20.0)]
    assert desk.configure((HELP,), ("dia",), 17 * S) == [Withdraw("c4", "cem"), Offer("c4", "help", "dia", 20.0)]


def test_a_call_that_enters_another_queue_leaves_the_first(desk):
    on_queue(desk, "ann", "dia")
    desk.enter("c1", "sales", 10 * S)
    assert desk.enter("c1", "help", 11 * S) == [Withdraw("c1", "ann"), Offer("c1", "help", "dia", 20.0)]
    assert [view.waiting for view in desk.queues(12 * S)] == [1, 0]


def test_what_is_seen_of_queues(desk):
    on_queue(desk, "ann", "cem")
    desk.enter("c1", "sales", 10 * S)
    desk.enter("c2", "sales", 11 * S)
    desk.enter("c3", "sales", 12 * S)
    desk.enter("c4", "sales", 13 * S, 1)
    help_view, sales = desk.queues(20 * S)
    assert (sales.waiting, sales.longest_us, sales.on_queue, sales.idle) == (4, 10 * S, 2, 0)
    assert (help_view.waiting, help_view.longest_us, help_view.on_queue, help_view.idle) == (0, 0, 1, 0)
    assert [desk.position(call) for call in ("c1", "c4", "c3")] == [1, 1, 2]


def test_agents_survive_a_restart(desk):
    on_queue(desk, "ann", "ben", "cem")
    desk.enter("c1", "sales", 10 * S)
    desk.declined("c1", "ann", 18 * S, "timeout")
    desk.answered("c1", "ben", 19 * S)
    before = desk.revision
    desk.begin_acw("ben", "conv", "part", "sales", 30 * S, "MANDATORY", 60 * S)
    desk.free("ben", 30 * S)
    assert desk.revision != before
    document = json.loads(json.dumps(desk.to_document()))
    again = Desk.from_document({"agents": {**document["agents"], "broken": {"since": "x"}, "worse": 7}})
    again.configure((SALES, HELP), ("ann", "ben", "cem", "dia", "eve"), 40 * S)
    assert [(view.user_id, view.status) for view in again.agents()] == [
        ("ann", "NOT_RESPONDING"), ("ben", "INTERACTING"), ("cem", "IDLE"), ("dia", "OFF_QUEUE"), ("eve", "OFF_QUEUE")
    ]  # fmt: skip
    assert again.agent("ben").acw == desk.agent("ben").acw
    assert again.enter("c2", "sales", 41 * S) == []
    assert again.reachable("cem", True, 42 * S) == [Offer("c2", "sales", "cem", 8.0)]
    assert again.tick(90 * S)[0] == Withdraw("c2", "cem")
    assert again.agent("ben").acw is None
    assert Desk.from_document({}).agents() == []
