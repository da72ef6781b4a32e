"""From a call in the spool to the end of its recording, with every step real: finalise, wrap up, apply, destroy."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import pytest
from sqlalchemy import select

from earwitness.archive.vault import DestroyedError, Item, Vault
from earwitness.domain.policy.telling import Kept, tell
from earwitness.store import after_call_work, completion, internal
from earwitness.store.database import Database
from earwitness.store.tables import Division, Recording, RecordingObject, RetentionPolicy, User
from earwitness.worker.apply_policies import ApplyPolicies
from earwitness.worker.arguments import WorkerArguments
from earwitness.worker.bench import Bench
from earwitness.worker.finalise import Finaliser
from earwitness.worker.purge import Purge
from earwitness.worker.rendering import ConversationRenderer
from earwitness.worker.steady import SteadyClock

SECOND = 1_000_000
DAY = 86_400 * SECOND
START = 1_795_353_600_000_000


class Here:
    """Renders in the test's own process."""

    def __init__(self, arguments: WorkerArguments) -> None:
        self.arguments = arguments

    def render(self, conversation_id: str, tape_ids: list[str]) -> Future[list[str]]:
        vault = Vault.at(self.arguments.vault_url, self.arguments.keys)
        done: Future[list[str]] = Future()
        done.set_result(ConversationRenderer(self.arguments.spool / conversation_id, vault).finish(tape_ids))
        return done


class Office:
    """A worker whose clock only the test moves."""

    def __init__(self, arguments: WorkerArguments) -> None:
        self.now = START + 10 * SECOND
        self.arguments, self.database = arguments, Database(arguments.database_url)
        self.bench = Bench(self.database, arguments, lambda: self.now)
        self.finaliser = Finaliser(
            self.database,
            Here(arguments),
            arguments.spool,
            now_us=lambda: self.now,  # type: ignore[arg-type]
        )
        self.policies, self.purge = ApplyPolicies(), Purge(SteadyClock(self._passed_s), monotonic=self._passed_s)
        with self.database.transaction() as session:
            session.add(Division(id="home", name="Home", home=True, created_at=1, modified_at=1))
            session.flush()
            session.add(User(id="ann", name="Ann", email="a@x", division_id="home", created_at=1, modified_at=1))

    def _passed_s(self) -> float:
        return self.now / 1e6

    def policy(self, key: str, actions: dict[str, Any], conditions: dict[str, Any] | None = None) -> None:
        block = {"callPolicy": {"actions": actions, "conditions": conditions or {}}}
        with self.database.transaction() as session:
            session.add(RetentionPolicy(id=key, name=key.title(), enabled=True, enabled_at=START - DAY, created_at=1,
                                        modified_at=1, document={"mediaPolicies": block}))  # fmt: skip

    def work(self) -> None:
        self.policies(self.bench)
        self.purge(self.bench)

    def recording(self, recording_id: str) -> Recording:
        with self.database.reading() as session:
            found = internal.recording(session, recording_id)
            assert found is not None
            return found

    def told(self, recording_id: str) -> str:
        row = self.recording(recording_id)
        kept = Kept(row.created_at, row.delete_date, row.archive_date, row.deleted_at, row.file_state == "DELETED")
        with self.database.reading() as session:
            decision = completion.decision(session, row.conversation_id)
            assert decision is not None
            return tell(kept, decision.verdict, decision.matched, self.now)


@pytest.fixture
def office(arguments: WorkerArguments) -> Iterator[Office]:
    made = Office(arguments)
    yield made
    made.database.dispose()


def wrapped_call(make_call: Any) -> Any:
    """A recorded queue call of Ann's, who has a wrap-up to give."""
    call = make_call(user_id="ann", start_us=START)
    call.begin()
    call.open()
    call.talk(0, 1.0)
    work = {"participant_id": f"{call.id}-2", "user_id": "ann", "queue_id": "q1"}
    call.event(SECOND, "acw.started", **work, prompt="MANDATORY", timeout_s=60.0)
    call.close(SECOND)
    call.end(SECOND)
    return call


def test_f3_f9_from_the_spool_to_the_end(office: Office, make_call: Any) -> None:
    office.policy("sold", {"retentionDuration": {"deleteRetention": {"days": 100}}}, {"wrapupCodes": [{"id": "w"}]})
    office.policy("short", {"retentionDuration": {"deleteRetention": {"days": 30}}}, {"forUsers": [{"id": "ann"}]})
    call = wrapped_call(make_call)
    office.finaliser.finish(call.id)
    office.work()
    assert office.recording(call.tape_id).retention_why is None  # Ann is still at it
    with office.database.transaction() as session:
        row = after_call_work.of_participant(session, call.id, f"{call.id}-2")
        assert row is not None
        after_call_work.give(session, row, at=office.now, code_id="w", code_name="Sold")
    office.work()
    assert office.told(call.tape_id) == (
        'To be deleted on 2 March 2027 because policy "Sold" says delete after 100 days; '
        'over "Short" (delete after 30 days): it has the longest explicit number of days.'
    )
    office.now += 100 * DAY - SECOND
    office.work()
    assert office.recording(call.tape_id).file_state == "AVAILABLE"
    office.now += SECOND
    office.work()
    row_after = office.recording(call.tape_id)
    assert (row_after.file_state, row_after.deleted_at) == ("DELETED", office.now)
    assert office.told(call.tape_id).startswith('Deleted on 2 March 2027 because policy "Sold" says')
    with pytest.raises(DestroyedError):
        Vault.at(office.arguments.vault_url, office.arguments.keys).open(call.tape_id)


def test_f8_always_deleted_right_after_the_call(office: Office, simple_call: Any) -> None:
    office.policy("always", {"alwaysDelete": True})
    call = simple_call(1.0, start_us=START)
    office.finaliser.finish(call.id)
    office.work()
    row = office.recording(call.tape_id)
    assert (row.file_state, row.deleted_at) == ("DELETED", office.now)
    assert row.receipt is not None
    assert row.receipt["receipt"]["reason"] == 'policy "Always": it always deletes, whatever the others say'


def test_f22_a_transcript_goes_with_its_recording(office: Office, simple_call: Any) -> None:
    office.policy("short", {"retentionDuration": {"deleteRetention": {"days": 1}}})
    call = simple_call(1.0, start_us=START)
    office.finaliser.finish(call.id)
    vault = Vault.at(office.arguments.vault_url, office.arguments.keys)
    name, text = f"{call.tape_id}-transcript", b"what was said"
    sealed = vault.seal(name, [Item("master", "text/plain", text)], {}, office.now).item("master")
    with office.database.transaction() as session:
        session.add(RecordingObject(recording_id=call.tape_id, object_key=f"{name}/master", role="transcript",
                                    media_type="text/plain", size=sealed.size, sha256=sealed.sha256,
                                    created_at=office.now))  # fmt: skip
    office.work()
    assert vault.open(name) is not None
    office.now += DAY
    office.work()
    assert office.recording(call.tape_id).file_state == "DELETED"
    with pytest.raises(DestroyedError):
        Vault.at(office.arguments.vault_url, office.arguments.keys).open(name)
    with office.database.reading() as session:
        assert session.scalars(select(RecordingObject)).all() == []
