"""What a contact centre call leaves: several tapes, none, destroyed ones, after-call work."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from earwitness.archive.render.plan import read_events
from earwitness.archive.vault import Vault
from earwitness.domain.access import DEFAULT_ROLES, Grant, Role, Subject, resolve
from earwitness.domain.conversation.timeline import Timeline, fold
from earwitness.store import after_call_work, audit, conversations, internal, later_facts, recordings
from earwitness.store.database import Database
from earwitness.store.tables import Division, Recording, User
from earwitness.worker.after_call import close_overdue, work_of
from earwitness.worker.arguments import WorkerArguments
from earwitness.worker.finalise import Finaliser
from earwitness.worker.rendering import ConversationRenderer
from earwitness.worker.rows import flows_of, queues_of

SECOND = 1_000_000
ADMIN = resolve(Subject("user", "root"), [Grant(Role("r", "R", DEFAULT_ROLES[0].permissions), "*")])


class DirectPool:
    """Renders in the test's own process."""

    def __init__(self, arguments: WorkerArguments) -> None:
        self.vault = Vault.at(arguments.vault_url, arguments.keys)
        self.spool = arguments.spool

    def render(self, conversation_id: str, tape_ids: list[str]) -> Future[list[str]]:
        future: Future[list[str]] = Future()
        future.set_result(ConversationRenderer(self.spool / conversation_id, self.vault).finish(tape_ids))
        return future


@pytest.fixture
def finaliser(arguments: WorkerArguments) -> Iterator[Finaliser]:
    database = Database(arguments.database_url)
    with database.transaction() as session:
        session.add(Division(id="home", name="Home", home=True, created_at=1, modified_at=1))
        session.flush()
        for name in ("ann", "bob"):
            user = User(id=name, name=name, email=f"{name}@x", division_id="home", created_at=1, modified_at=1)
            session.add(user)
    yield Finaliser(database, DirectPool(arguments), arguments.spool)  # type: ignore[arg-type]
    database.dispose()


def finish(finaliser: Finaliser, call: Any) -> list[Recording]:
    tape_ids = finaliser.plan(call.id)
    assert tape_ids is not None
    finaliser.store(call.id, finaliser.render(call.id, tape_ids))
    finaliser.clear(call.id)
    with finaliser.database.reading() as session:
        return list(internal.recordings_of(session, call.id))


def recorded(call: Any, from_us: int, to_us: int, **tape: Any) -> str:
    """A tape of its own; gives its id."""
    call.next_tape()
    call.open(from_us, **tape)
    call.talk(from_us, (to_us - from_us) / 1e6)
    call.close(to_us)
    return str(call.tape_id)


def test_e6_each_user_recording_is_a_recording_of_its_owner(finaliser: Finaliser, make_call: Any) -> None:
    call = make_call(user_id="ann")
    call.begin()
    trunk = recorded(call, 0, 4 * SECOND)
    first = recorded(call, SECOND, 2 * SECOND, kind="user")
    second = recorded(call, 3 * SECOND, 4 * SECOND, kind="user")
    call.end(4 * SECOND)
    found = {row.id: (row.role, row.owner_user_id, row.media_subtype) for row in finish(finaliser, call)}
    assert found == {
        trunk: ("CUSTOMER_EXPERIENCE", None, "Trunk"),
        first: ("ADHOC", "ann", "Station"),
        second: ("ADHOC", "ann", "Station"),
    }


def test_a11_a_consult_is_a_recording_of_its_own(finaliser: Finaliser, make_call: Any) -> None:
    call = make_call()
    call.begin()
    trunk = recorded(call, 0, SECOND)
    call.event(0, "participant.joined", participant_id=f"{call.id}-3", purpose="external", address="+49")
    call.event(
        0, "leg.offered", leg_id=f"{call.id}-c", participant_id=f"{call.id}-3", kind="trunk", direction="outbound",
        external=True, trunk_id="t", address="+49",
    )  # fmt: skip
    consult = recorded(call, SECOND, 2 * SECOND, kind="consult", leg="c")
    call.end(2 * SECOND)
    assert {row.id: row.media_subtype for row in finish(finaliser, call)} == {trunk: "Trunk", consult: "Consult"}


def test_a7_a_station_tape_is_a_recording_for_those_who_may_hear_the_trunks(
    finaliser: Finaliser, make_call: Any
) -> None:
    call = make_call(user_id="ann")
    call.begin()
    trunk = recorded(call, 0, 2 * SECOND)
    station = recorded(call, 0, 2 * SECOND, kind="station", leg="b")
    call.end(2 * SECOND)
    found = {row.id: (row.role, row.owner_user_id, row.media_subtype) for row in finish(finaliser, call)}
    assert found == {trunk: ("CUSTOMER_EXPERIENCE", None, "Trunk"), station: ("CUSTOMER_EXPERIENCE", None, "Station")}
    with finaliser.database.reading() as session:
        assert {row.id for row in recordings.of_conversation(session, ADMIN, call.id)} == {trunk, station}
        own = recordings.of_conversation(session, resolve(Subject("user", "ann"), []), call.id)
        assert own == [], "it is no item of the user's inbox (E2)"
        conversation = conversations.get(session, ADMIN, call.id)
        assert conversation is not None
        assert conversation.recording_state == "RECORDED"


def test_c1_a_destroyed_tape_is_no_recording(finaliser: Finaliser, make_call: Any, arguments: WorkerArguments) -> None:
    call = make_call()
    call.begin()
    call.open()
    call.talk(0, 1)
    call.close(SECOND, "consent", "the caller refused consent")
    about = {"tape_id": call.tape_id, "leg_id": f"{call.id}-a", "kind": "trunk"}
    call.event(SECOND, "tape.destroyed", **about, reasons=[{"row": "consent", "why": "the caller refused consent"}])
    call.end(2 * SECOND)
    assert finish(finaliser, call) == []
    assert not call.folder.exists()
    assert not [path for path in Path(arguments.vault_url).rglob("*") if path.is_file()]
    with finaliser.database.reading() as session:
        row = conversations.get(session, ADMIN, call.id)
        assert row is not None
        assert row.recording_state == "NONE"
        assert [(span["captured"], span["reasons"][0]["row"]) for span in row.why] == [
            (False, "consent"),
            (False, "consent"),
        ]
        told = audit.listing(session, conversation_id=call.id)
        assert [entry.action for entry in told.items] == ["recording.destroyed"]


def test_a6_a_call_without_a_tape_is_stored(finaliser: Finaliser, make_call: Any) -> None:
    call = make_call()
    call.begin()
    call.end(SECOND)
    assert finish(finaliser, call) == []
    with finaliser.database.reading() as session:
        assert conversations.get(session, ADMIN, call.id) is not None


def queue_call(make_call: Any) -> Any:
    call = make_call(user_id="ann")
    call.begin()
    call.event(0, "participant.joined", participant_id="ivr", purpose="ivr", flow_id="f")
    call.event(0, "segment.started", segment_id="s1", participant_id="ivr", kind="ivr", flow_id="f")
    call.event(0, "participant.joined", participant_id="acd", purpose="acd", queue_id="q1")
    call.event(0, "segment.started", segment_id="s2", participant_id="acd", kind="queue", queue_id="q2")
    work = {"participant_id": f"{call.id}-2", "user_id": "ann", "queue_id": "q1"}
    call.event(SECOND, "acw.started", **work, prompt="MANDATORY_TIMEOUT", timeout_s=30)
    return call


def test_w3_work_that_nobody_ends_is_ended(finaliser: Finaliser, make_call: Any) -> None:
    call = queue_call(make_call)
    call.end(2 * SECOND)
    finish(finaliser, call)
    deadline = call.start_us + 31 * SECOND
    with finaliser.database.reading() as session:
        row = after_call_work.of_participant(session, call.id, f"{call.id}-2")
        assert row is not None
        assert (row.user_id, row.queue_id, row.deadline_at, row.given_at) == ("ann", "q1", deadline, None)
        assert after_call_work.is_open(session, call.id)
    assert close_overdue(finaliser.database, deadline - 1) == 0
    assert close_overdue(finaliser.database, deadline) == 1
    assert close_overdue(finaliser.database, deadline) == 0
    with finaliser.database.reading() as session:
        assert not after_call_work.is_open(session, call.id)
        conversation = conversations.get(session, ADMIN, call.id)
        assert conversation is not None
        agent = later_facts.timeline_of(session, conversation).participant(f"{call.id}-2")
        assert agent is not None
        assert agent.wrapup is not None
        assert agent.wrapup["code"] == "ININ-WRAP-UP-TIMEOUT"
        assert [entry.action for entry in audit.listing(session, conversation_id=call.id).items] == ["wrapup.timeout"]


@pytest.mark.parametrize("before", [True, False])
def test_f3_work_that_was_done_in_the_call_is_done(finaliser: Finaliser, make_call: Any, before: bool) -> None:
    call = make_call(user_id="ann") if before else queue_call(make_call)
    if before:
        call.begin()
    call.event(SECOND, "wrapup.given", participant_id=f"{call.id}-2", code="sold", name="So\x00ld", notes="well")
    if before:
        work = {"participant_id": f"{call.id}-2", "user_id": "ann", "queue_id": "q1"}
        call.event(SECOND, "acw.started", **work, prompt="OPTIONAL", timeout_s=2.5)
    call.end(2 * SECOND)
    finish(finaliser, call)
    with finaliser.database.reading() as session:
        row = after_call_work.of_participant(session, call.id, f"{call.id}-2")
        assert row is not None
        assert (row.code_id, row.code_name, row.notes, row.timed_out) == ("sold", "So\ufffdld", "well", False)
        assert not after_call_work.is_open(session, call.id)


def test_f3_what_was_said_before_the_call_was_stored_stays(finaliser: Finaliser, make_call: Any) -> None:
    call = queue_call(make_call)
    call.end(2 * SECOND)
    with finaliser.database.transaction() as session:
        row = after_call_work.add(
            session, conversation_id=call.id, participant_id=f"{call.id}-2", user_id="ann", queue_id="q1",
            started_at=1, deadline_at=2,
        )  # fmt: skip
        after_call_work.give(session, row, at=3, code_id="c", code_name="C")
    finish(finaliser, call)
    with finaliser.database.reading() as session:
        known = after_call_work.of_participant(session, call.id, f"{call.id}-2")
        assert known is not None
        assert (known.code_id, known.given_at) == ("c", 3)


def test_j11_queues_and_flows_of_a_call_are_known(make_call: Any) -> None:
    call = queue_call(make_call)
    timeline = timeline_of(call)
    assert (queues_of(timeline), flows_of(timeline)) == (["q1", "q2"], ["f"])
    assert [work.deadline_at - work.started_at for work in work_of(timeline)] == [30 * SECOND]


def timeline_of(call: Any) -> Timeline:
    return fold(read_events(call.folder))
