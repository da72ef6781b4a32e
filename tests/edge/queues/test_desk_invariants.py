"""Whatever happens in whatever order, the desk keeps its promises."""

from __future__ import annotations

import json
import random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from earwitness.domain.configuration import Queue
from earwitness.edge.queues.actions import Lost, Offer, Withdraw
from earwitness.edge.queues.desk import Desk, UnknownAgent

USERS = tuple("abcde")
QUEUES = ("x", "y", "z")
users, queues, calls = st.sampled_from(USERS), st.sampled_from(QUEUES), st.integers(0, 7).map(str)


class AnyDay(RuleBasedStateMachine):
    """A second bookkeeping, kept only from what was told to the desk and what it said."""

    def __init__(self) -> None:
        super().__init__()
        self.desk = Desk()
        self.now = 0
        self.members: dict[str, set[str]] = {}
        self.known: set[str] = set()
        self.reachable: set[str] = set()
        self.waiting: dict[str, tuple[str, int, int]] = {}
        """Call -> (queue, -priority, order of arrival)."""
        self.rings: dict[str, str] = {}
        """Call -> user."""
        self.last: dict[str, str] = {}
        self.arrivals = 0
        self.configure([set(USERS[:3]), set(USERS[2:]), set()], set(USERS))

    def carry_out(self, actions):
        for action in actions:
            if isinstance(action, Offer):
                queue = self.waiting[action.call_id][0]
                assert queue == action.queue_id
                assert action.call_id not in self.rings, "one call, two agents"
                assert action.user_id not in self.rings.values(), "one agent, two calls"
                assert self.eligible(action.user_id, queue)
                if self.last.get(action.call_id) == action.user_id:
                    others = self.members[queue] - {action.user_id} - set(self.rings.values())
                    assert not any(self.eligible(user, queue) for user in others), "twice in a row"
                self.rings[action.call_id] = self.last[action.call_id] = action.user_id
            elif isinstance(action, Withdraw):
                assert self.rings.pop(action.call_id) == action.user_id
            elif isinstance(action, Lost):
                self.waiting.pop(action.call_id, None)
                assert action.call_id not in self.rings

    def eligible(self, user, queue):
        return (
            user in self.members.get(queue, ())
            and user in self.known & self.reachable
            and self.desk.agent(user).status == "IDLE"
        )

    @rule(members=st.lists(st.sets(users), max_size=3), known=st.sets(users, min_size=2))
    def configure(self, members, known):
        self.members = {queue: some & known for queue, some in zip(QUEUES, members, strict=False)}
        self.reachable &= known
        self.known = known
        configured = [Queue(name, name, members=tuple(sorted(some))) for name, some in self.members.items()]
        gone = {call for call, (queue, *_) in self.waiting.items() if queue not in self.members}
        actions = self.desk.configure(configured, known, self.now)
        assert {action.call_id for action in actions if isinstance(action, Lost)} == gone
        self.carry_out(actions)

    @rule(us=st.integers(0, 40_000_000))
    def time_passes(self, us):
        self.now += us

    @rule()
    def tick(self):
        self.carry_out(self.desk.tick(self.now))
        assert (self.desk.next_at or self.now + 1) > self.now

    @rule(call=calls, queue=queues, priority=st.integers(0, 2))
    def enter(self, call, queue, priority):
        actions = self.desk.enter(call, queue, self.now, priority)
        if call in self.rings:
            self.carry_out(actions[:1])
            actions = actions[1:]
        self.arrivals += 1
        self.last.pop(call, None)
        self.waiting[call] = (queue, -priority, self.arrivals)
        self.carry_out(actions)

    @rule(call=calls)
    def leave(self, call):
        actions = self.desk.leave(call, self.now)
        self.carry_out(actions[:1] if call in self.rings else [])
        ringing = [action for action in actions if isinstance(action, Offer)]
        self.waiting.pop(call, None)
        self.carry_out(ringing)

    @precondition(lambda self: self.rings)
    @rule(data=st.data())
    def answered(self, data):
        call = data.draw(st.sampled_from(sorted(self.rings)))
        user = self.rings.pop(call)
        del self.waiting[call]
        self.carry_out(self.desk.answered(call, user, self.now))
        assert self.desk.agent(user).status == "INTERACTING"

    @precondition(lambda self: self.rings)
    @rule(data=st.data(), cause=st.sampled_from(("timeout", "rejected", "unreachable")))
    def declined(self, data, cause):
        call = data.draw(st.sampled_from(sorted(self.rings)))
        user = self.rings.pop(call)
        self.carry_out(self.desk.declined(call, user, self.now, cause))
        assert self.desk.agent(user).status == "NOT_RESPONDING"

    @rule(call=calls, user=users)
    def reports_of_what_is_not_offered_change_nothing(self, call, user):
        if self.rings.get(call) != user:
            assert self.desk.answered(call, user, self.now) == [Withdraw(call, user)]
            assert self.desk.declined(call, user, self.now, "timeout") == []

    @rule(user=users, on_queue=st.sampled_from((True, True, False, None)), status=st.sampled_from((None, "IDLE")))
    def set_agent(self, user, on_queue, status):
        try:
            self.carry_out(self.desk.set_agent(user, on_queue, status, self.now))
        except UnknownAgent:
            assert user not in self.known

    @rule(user=users, reachable=st.sampled_from((True, True, False)))
    def reach(self, user, reachable):
        (self.reachable.add if reachable and user in self.known else self.reachable.discard)(user)
        self.carry_out(self.desk.reachable(user, reachable, self.now))

    @rule(user=users, in_queue_call=st.booleans())
    def busy(self, user, in_queue_call):
        if user not in self.rings.values() or not in_queue_call:
            self.carry_out(self.desk.busy(user, self.now, in_queue_call))

    @rule(user=users)
    def free(self, user):
        self.carry_out(self.desk.free(user, self.now))

    @rule(
        user=users,
        prompt=st.sampled_from(("MANDATORY", "OPTIONAL", "MANDATORY_FORCED_TIMEOUT")),
        us=st.integers(0, 90_000_000),
    )
    def begin_acw(self, user, prompt, us):
        if user not in self.rings.values() or prompt != "OPTIONAL":
            self.carry_out(self.desk.begin_acw(user, "conv", str(self.now), "x", self.now, prompt, us))

    @rule(user=users)
    def end_acw(self, user):
        self.carry_out(self.desk.end_acw(user, self.now))

    @invariant()
    def nobody_waits_while_somebody_could_talk_to_them(self):
        for call, (queue, *_) in self.waiting.items():
            if call not in self.rings:
                free = {user for user in self.members.get(queue, ()) if self.eligible(user, queue)}
                assert free <= set(self.rings.values())

    @invariant()
    def calls_are_served_in_order(self):
        for queue in self.members:
            line = sorted(
                (place[1:], call)
                for call, place in self.waiting.items()
                if place[0] == queue and call not in self.rings
            )
            assert [self.desk.position(call) for _, call in line] == list(range(1, len(line) + 1))

    @invariant()
    def what_is_seen_is_so(self):
        seen = {view.queue_id: view for view in self.desk.queues(self.now)}
        assert seen.keys() == self.members.keys()
        for queue, view in seen.items():
            assert view.waiting == sum(place[0] == queue for place in self.waiting.values())
            idle = {user for user in self.members[queue] if self.eligible(user, queue)} - set(self.rings.values())
            assert view.idle == len(idle)

    @invariant()
    def a_restart_keeps_the_agents(self):
        document = self.desk.to_document()
        assert Desk.from_document(json.loads(json.dumps(document))).to_document() == document


TestAnyDay = AnyDay.TestCase
TestAnyDay.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_a_crowd_is_served_in_order():
    """300 calls before 1,000 agents, each in three queues: every call is taken, none twice."""
    chance = random.Random(5)
    people = [f"u{number}" for number in range(1000)]
    rooms = [
        Queue(f"q{number}", "", members=tuple(people[number::10] + people[number + 1 :: 10])) for number in range(10)
    ]
    desk = Desk()
    desk.configure(rooms, people, 0)
    for person in people:
        desk.reachable(person, True, 0)
    for number in range(300):
        assert desk.enter(f"c{number}", f"q{chance.randrange(10)}", number) == []
    taken = []
    for now, person in enumerate(people, 1000):
        taken += desk.set_agent(person, True, None, now)
    assert len({action.call_id for action in taken}) == 300
    assert len({action.user_id for action in taken}) == 300
    for action in taken:
        assert desk.answered(action.call_id, action.user_id, 3000) == []
    assert sum(view.waiting for view in desk.queues(3000)) == 0
