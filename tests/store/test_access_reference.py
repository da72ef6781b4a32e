"""Grants, conditions and calls that hypothesis makes, held against a slow and obvious reading of the rules.

The reference looks at plain lists and asks each rule in words. The scoped query, its twin without a database
(``domain.access.call``) and every way to a recording must say the same.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from earwitness.domain.access import Grant, Role, Subject, resolve
from earwitness.domain.access.call import Call, reaches
from earwitness.domain.access.condition import evaluations_document, own_calls_document
from earwitness.store import conversations, hearing, recordings, user_recordings
from earwitness.store.database import Database
from earwitness.store.tables import (
    Conversation,
    ConversationDivision,
    ConversationPart,
    ConversationQueue,
    ConversationTeam,
    Evaluation,
    Participant,
    Recording,
)

VIEW, SEGMENTS = "recording:recording:view", "recording:recordingSegment:view"
CALLS = "conversation:communication:view"
SCORE, SIGN = "quality:evaluation:editScore", "quality:evaluation:editAgentSignoff"
PERMISSIONS = (VIEW, SEGMENTS, CALLS, SCORE, SIGN, "recording:*:view", "routing:queue:view")
USERS, DIVISIONS, QUEUES, TEAMS = ("ann", "bob", "eve"), ("d1", "d2", "d3"), ("q1", "q2"), ("t1", "t2")
STATES = ("PENDING", "INPROGRESS", "FINISHED", "INREVIEW", "RETRACTED")


@dataclass(frozen=True)
class Told:
    """A call in plain words."""

    users: tuple[str, ...]
    outsider: str | None
    divisions: tuple[str, ...]
    parts: tuple[tuple[str, int, int], ...]
    queues: tuple[str, ...]
    teams: tuple[str, ...]
    owner: str
    evaluations: tuple[tuple[str, str, str, bool, bool, bool], ...] = ()
    """Evaluator, agent, state, released, never released, deleted."""


@dataclass
class Held:
    """A grant in plain words."""

    permission: str
    division: str
    condition: Any = None
    terms: list[Any] = field(default_factory=list)


def some(values: tuple[str, ...], least: int = 0) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(values), unique=True, min_size=least, max_size=len(values)).map(tuple)


evaluations = st.tuples(
    st.sampled_from(USERS), st.sampled_from(USERS), st.sampled_from(STATES), st.booleans(), st.booleans(), st.booleans()
)
parts = st.tuples(st.sampled_from(DIVISIONS), st.integers(0, 9), st.integers(1, 6)).map(
    lambda part: (part[0], part[1] * 1000, (part[1] + part[2]) * 1000)
)
calls = st.builds(
    Told,
    users=some(USERS),
    outsider=st.none() | st.sampled_from(USERS),
    divisions=some(DIVISIONS, 1),
    parts=st.lists(parts, max_size=3, unique_by=lambda part: part[:2]).map(tuple),
    queues=some(QUEUES),
    teams=some(TEAMS),
    owner=st.sampled_from(USERS),
    evaluations=st.lists(evaluations, max_size=2).map(tuple),
)
leaves = st.one_of(
    st.sampled_from(USERS).map(lambda key: {"operands": [{"type": "USER", "user": {"id": key}}]}),
    st.sampled_from(QUEUES).map(lambda key: {"operator": "IN", "operands": [{"type": "QUEUE", "value": key}]}),
    st.sampled_from(TEAMS).map(lambda key: {"operands": [{"type": "TEAM", "team": {"id": key}}]}),
    st.just(own_calls_document()),
    st.sampled_from(["evaluator", "agent"]).map(evaluations_document),
    st.just({"operator": "GT", "operands": [{"type": "SCALAR", "value": "7"}]}),
)
conditions = st.recursive(
    leaves,
    lambda inner: st.builds(
        lambda terms, conjunction: {"terms": terms, "conjunction": conjunction},
        st.lists(inner, min_size=1, max_size=3),
        st.sampled_from(["AND", "OR"]),
    ),
    max_leaves=4,
)
grants = st.builds(Held, st.sampled_from(PERMISSIONS), st.sampled_from((*DIVISIONS, "*")), st.none() | conditions)


class Reference:
    """The rules, read one by one."""

    def __init__(self, user: str | None, held: list[Held]) -> None:
        self.user, self.held = (
            user,
            [item for item in held if item.condition is None or self._understood(item.condition)],
        )

    def _understood(self, node: Any) -> bool:
        if "terms" in node:
            return all(self._understood(term) for term in node["terms"])
        return bool(node.get("operator") != "GT")

    def _has(self, item: Held, permission: str) -> bool:
        return item.permission == permission or (
            item.permission == "recording:*:view"
            and permission.startswith("recording:")
            and permission.endswith("view")
        )

    def _holds(self, node: Any, call: Told) -> bool:
        if "terms" in node:
            answers = [self._holds(term, call) for term in node["terms"]]
            return all(answers) if node["conjunction"] == "AND" else any(answers)
        (operand,) = node["operands"]
        kind, value = operand["type"], operand.get("value")
        if kind == "USER":
            return operand["user"]["id"] in call.users
        if kind == "QUEUE":
            return value in call.queues
        if kind == "TEAM":
            return operand["team"]["id"] in call.teams
        if value == "AssignedEvaluation":
            return self._assigned(call)
        if value == "ReleasedEvaluation":
            return self._released(call)
        return self.user is not None and self.user in call.users

    def _assigned(self, call: Told) -> bool:
        return any(
            evaluator == self.user and state != "RETRACTED" and not deleted
            for evaluator, _, state, _, _, deleted in call.evaluations
        )

    def _released(self, call: Told) -> bool:
        return any(
            agent == self.user and state in ("FINISHED", "INREVIEW") and released and not never and not deleted
            for _, agent, state, released, never, deleted in call.evaluations
        )

    def _anywhere(self, permission: str) -> bool:
        return self.user is not None and any(self._has(item, permission) for item in self.held)

    def by_grant(self, permission: str, call: Told) -> bool:
        for item in self.held:
            within = item.division == "*" or item.division in call.divisions
            if self._has(item, permission) and within and (item.condition is None or self._holds(item.condition, call)):
                return True
        return False

    def by_evaluation(self, call: Told) -> bool:
        return (self._anywhere(SCORE) and self._assigned(call)) or (self._anywhere(SIGN) and self._released(call))

    def hears(self, call: Told) -> set[int]:
        """Thousandths of the file, 0 to 9, that may be heard. The recording is all of 0..10 s."""
        if self.by_grant(VIEW, call) or self.by_evaluation(call):
            return set(range(10))
        divisions: set[str] = set()
        for item in self.held:
            within = item.division == "*" or item.division in call.divisions
            if self._has(item, SEGMENTS) and within and (item.condition is None or self._holds(item.condition, call)):
                divisions |= set(DIVISIONS) if item.division == "*" else {item.division}
        if divisions and set(call.divisions) <= divisions:
            return set(range(10))
        return {
            second
            for division, start, end in call.parts
            for second in range(10)
            if division in divisions and start <= second * 1000 and (second + 1) * 1000 <= end
        }


@pytest.fixture(scope="module")
def database(migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    path = tmp_path_factory.mktemp("reference") / "reference.db"
    path.write_bytes(migrated_sqlite.read_bytes())
    database = Database(f"sqlite:///{path}")
    yield database
    database.dispose()


_numbers = itertools.count()


def store(session: Any, call: Told) -> tuple[str, str, str]:
    number = next(_numbers)
    key, trunk, own = f"c{number}", f"r{number}", f"o{number}"
    session.add(Conversation(id=key, organization_id="o", started_at=0, ended_at=10_000_000, direction="inbound",
                             finalised_at=1))  # fmt: skip
    session.flush()
    session.add_all(ConversationDivision(conversation_id=key, division_id=item) for item in call.divisions)
    session.add_all(ConversationQueue(conversation_id=key, queue_id=item) for item in call.queues)
    session.add_all(ConversationTeam(conversation_id=key, team_id=item, user_id="x") for item in call.teams)
    session.add_all(
        ConversationPart(conversation_id=key, division_id=division, started_at=start * 1000, ended_at=end * 1000)
        for division, start, end in call.parts
    )
    people = [(user, "agent") for user in call.users] + ([(call.outsider, "external")] if call.outsider else [])
    session.add_all(
        Participant(conversation_id=key, id=f"p{n}", purpose=purpose, user_id=user, joined_at=0)
        for n, (user, purpose) in enumerate(people)
    )
    session.add_all(
        Evaluation(id=f"e{number}-{n}", context_id="c", conversation_id=key, conversation_at=0, form_id="f",
                   form_context_id="f", evaluator_user_id=evaluator, agent_user_id=agent, status=state,
                   released_at=1 if released else None, never_release=never, deleted_at=1 if deleted else None,
                   created_at=1, assigned_at=1, changed_at=1)
        for n, (evaluator, agent, state, released, never, deleted) in enumerate(call.evaluations)
    )  # fmt: skip
    for id_, role in ((trunk, "CUSTOMER_EXPERIENCE"), (own, "ADHOC")):
        session.add(Recording(id=id_, conversation_id=key, kind="trunk", media_subtype="Trunk", role=role,
                              owner_user_id=call.owner if role == "ADHOC" else None, file_state="AVAILABLE",
                              started_at=0, ended_at=10_000_000, duration_ms=10_000, audio_format="a", mime_type="m",
                              channels=2, sample_rate=8000, size=1, created_at=1, modified_at=1))  # fmt: skip
    session.flush()
    return key, trunk, own


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    told=st.lists(calls, min_size=1, max_size=3),
    held=st.lists(grants, max_size=4),
    who=st.sampled_from([("user", "ann"), ("user", "bob"), ("client", "ann")]),
)
def test_j1_j11_j12_j13_j14_the_scoped_query_is_the_rules(
    database: Database, told: list[Told], held: list[Held], who: tuple[str, str]
) -> None:
    subject = Subject(*who)
    access = resolve(
        subject,
        [Grant(Role(f"r{n}", "R", (item.permission,)), item.division, item.condition) for n, item in enumerate(held)],
    )
    reference = Reference(subject.user_id, held)
    with database.transaction() as session:
        stored = [(call, *store(session, call)) for call in told]
    with database.reading() as session:
        listed = {row.id for row in recordings.listing(session, access, size=10_000).items}
        inbox = {row.id for row in user_recordings.inbox(session, access, size=10_000).items}
        for call, key, trunk, own in stored:
            seconds = reference.hears(call)
            row = recordings.get(session, access, trunk)
            some_part = any(True for _ in seconds)
            if row is not None:
                cut = hearing.heard(session, access, row)
                heard = set(range(10)) if cut is None else {
                    second for second in range(10) if any(a <= second * 1000 and (second + 1) * 1000 <= b
                                                          for a, b in cut.stretches)}  # fmt: skip
                assert heard == seconds
            else:
                assert not some_part
            assert (trunk in listed) == (row is not None)
            assert (trunk in {item.id for item in recordings.of_conversation(session, access, key)}) == (
                row is not None
            )
            mine = subject.user_id is not None and call.owner == subject.user_id
            assert (own in inbox) == (own in listed) == (recordings.get(session, access, own) is not None) == mine
            hidden = dataclasses.replace(access, personal=False)
            assert recordings.get(session, hidden, own) is None
            by_right = reference.by_grant(CALLS, call) or reference.by_evaluation(call)
            took_part = subject.user_id is not None and subject.user_id in call.users
            assert (conversations.get(session, access, key) is not None) == (by_right or took_part)
            twin = Call(
                frozenset(call.divisions), frozenset(call.users), frozenset(call.queues), frozenset(call.teams),
                frozenset(e for e, _, state, _, _, gone in call.evaluations if state != "RETRACTED" and not gone),
                frozenset(a for _, a, state, out, never, gone in call.evaluations
                          if state in ("FINISHED", "INREVIEW") and out and not never and not gone),
            )  # fmt: skip
            for permission in (VIEW, SEGMENTS, CALLS):
                assert reaches(access, permission, twin) == reference.by_grant(permission, call)
