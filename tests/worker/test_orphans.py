"""Damaged spool folders give their tapes up as orphans (H1), with real packets and a real vault."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from sqlalchemy import select

from earwitness.archive.render.convert import read_samples
from earwitness.archive.vault import Vault
from earwitness.store import audit
from earwitness.store.database import Database
from earwitness.store.tables import Division, OrphanRecording
from earwitness.worker import orphans
from earwitness.worker.arguments import WorkerArguments
from earwitness.worker.bench import Bench


@pytest.fixture
def bench(arguments: WorkerArguments) -> Iterator[Bench]:
    """Half an hour from now: everything in the spool is old."""
    database = Database(arguments.database_url)
    with database.transaction() as session:
        session.add(Division(id="home", name="Home", home=True, created_at=1, modified_at=1))
    yield Bench(database, arguments, lambda: time.time_ns() // 1000 + 1_800_000_000)
    database.dispose()


def rows(bench: Bench) -> dict[str, OrphanRecording]:
    with bench.database.reading() as session:
        return {row.id: row for row in session.scalars(select(OrphanRecording))}


def damage(call: Any, number: int, text: str = '{"seq": 3, "at"') -> None:
    """Breaks a line of the event log."""
    path = call.folder / "events.jsonl"
    lines = path.read_text().splitlines()
    lines[number] = text
    path.write_text("\n".join(lines) + "\n")


def heard(bench: Bench, recording_id: str, channel: int) -> float:
    """The loudest frequency of a channel."""
    item = Vault.at(bench.arguments.vault_url, bench.arguments.keys).open(recording_id).item("master")
    samples, rate = read_samples(io.BytesIO(item.read()))
    line = samples[:, channel]
    return float(np.argmax(np.abs(np.fft.rfft(line * np.hanning(len(line))))) * rate / len(line))


def test_h1_a_damaged_log_makes_orphans_of_its_tapes(bench: Bench, simple_call: Any) -> None:
    call, whole = simple_call(2.0), simple_call(1.0)
    damage(call, 3)
    assert orphans.rescue(bench) == 1
    assert list(rows(bench)) == [call.tape_id]
    row = rows(bench)[call.tape_id]
    assert (row.conversation_id, row.kind, row.channels, row.duration_ms) == (call.id, "trunk", 2, 2000)
    assert "event log is damaged" in row.why
    assert heard(bench, call.tape_id, 0) == pytest.approx(440, abs=5)
    assert heard(bench, call.tape_id, 1) == pytest.approx(1000, abs=5)
    assert not call.folder.exists()
    assert whole.folder.exists(), "what can be finished is left alone"
    vault = Vault.at(bench.arguments.vault_url, bench.arguments.keys)
    assert b'{"seq": 3, "at"\n' in vault.open(call.tape_id).item("story").read()
    with bench.database.reading() as session:
        assert audit.listing(session, entity_id=call.tape_id).items[0].action == "orphan.created"
    assert orphans.rescue(bench) == 0


def test_h1_tapes_without_any_story(bench: Bench, simple_call: Any) -> None:
    call = simple_call(1.5)
    (call.folder / "events.jsonl").unlink()
    assert orphans.rescue(bench) == 1
    row = rows(bench)[call.tape_id]
    assert (row.why, row.duration_ms) == ("there is no event log", 1500)
    assert heard(bench, call.tape_id, 1) == pytest.approx(1000, abs=5)


def test_h1_the_log_of_another_conversation(bench: Bench, simple_call: Any) -> None:
    call, other = simple_call(1.0), simple_call(1.0)
    (call.folder / "events.jsonl").write_bytes((other.folder / "events.jsonl").read_bytes())
    assert orphans.rescue(bench) == 1
    assert rows(bench)[call.tape_id].why == f"the event log is that of conversation '{other.id}'"
    assert other.folder.exists()


def test_h1_a_tape_that_cannot_be_decoded_is_kept_as_it_is(bench: Bench, simple_call: Any) -> None:
    call = simple_call(1.0)
    (call.folder / "events.jsonl").unlink()
    for channel in (0, 1):
        (call.folder / f"{call.tape_id}.0.{channel}.rtpdump").write_bytes(b"not a tape %d" % channel)
    assert orphans.rescue(bench) == 1
    row = rows(bench)[call.tape_id]
    assert (row.channels, row.mime_type, row.duration_ms) == (0, "application/x-rtpdump", 0)
    vault = Vault.at(bench.arguments.vault_url, bench.arguments.keys)
    assert vault.open(call.tape_id).item("capture-1").read() == b"not a tape 1"
    assert not call.folder.exists()


def test_c1_a_refusal_in_a_damaged_log_destroys_what_was_captured(bench: Bench, simple_call: Any) -> None:
    call = simple_call(1.0)
    damage(call, -2, '{"seq": 9, "type": "consent.refused", "da')
    assert orphans.rescue(bench) == 1
    assert rows(bench) == {}
    assert not call.folder.exists()
    assert Vault.at(bench.arguments.vault_url, bench.arguments.keys).objects.list("recordings") == []
    with bench.database.reading() as session:
        told = audit.listing(session, conversation_id=call.id).items
    assert [entry.action for entry in told] == ["recording.destroyed"]


def test_a_tape_that_was_destroyed_in_the_call_stays_so(bench: Bench, simple_call: Any) -> None:
    call = simple_call(1.0)
    damage(call, -2, f'{{"type": "tape.destroyed", "data": {{"tape_id": "{call.tape_id}"')
    assert orphans.rescue(bench) == 1
    assert rows(bench) == {}


def test_e2_a_users_tape_keeps_its_owner(bench: Bench, make_call: Any) -> None:
    call = make_call()
    call.begin()
    call.open(kind="user")
    call.talk(0, 1.0)
    call.close(1_000_000)
    call.end(1_000_000)
    damage(call, -1)
    call.event(2_000_000, "conversation.ended", cause="hangup")
    assert orphans.rescue(bench) == 1
    row = rows(bench)[call.tape_id]
    assert (row.kind, row.owner_user_id) == ("user", call.user_id)


def test_somebody_may_still_write(bench: Bench, simple_call: Any) -> None:
    call = simple_call(1.0)
    damage(call, 3)
    now = Bench(bench.database, bench.arguments, lambda: time.time_ns() // 1000)
    assert orphans.rescue(now) == 0
    old = time.time() - 1200
    for path in (*call.folder.iterdir(), call.folder):
        os.utime(path, (old, old))
    assert orphans.rescue(now) == 1


def test_a_damaged_log_without_a_tape_is_kept_aside(bench: Bench, make_call: Any) -> None:
    call = make_call()
    call.begin()
    call.end(1_000_000)
    damage(call, 2)
    assert orphans.rescue(bench) == 1
    assert not call.folder.exists()
    assert (call.folder.with_name(f".damaged-{call.id}") / "events.jsonl").exists()
    assert orphans.rescue(bench) == 0


def test_a_rescue_that_dies_is_done_again(bench: Bench, simple_call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    call = simple_call(1.0)
    (call.folder / "events.jsonl").unlink()

    def dies(*_arguments: Any) -> None:
        raise OSError("the power is gone")

    for step in ("earwitness.worker.orphans.remove_folder", "earwitness.store.orphans.add"):
        with monkeypatch.context() as patched:
            patched.setattr(step, dies)
            assert orphans.rescue(bench) == 0
    assert orphans.rescue(bench) == 1
    assert list(rows(bench)) == [call.tape_id]
    assert not call.folder.exists()
