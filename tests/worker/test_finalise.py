"""The steps of finalise and the rows they make, without engine or processes."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from earwitness.archive.vault import Vault, split_object_key
from earwitness.domain.access import DEFAULT_ROLES, Grant, Role, Subject, resolve
from earwitness.domain.conversation.events import EventError
from earwitness.store import conversations, recordings
from earwitness.store.database import Database
from earwitness.store.tables import Division, Recording, User
from earwitness.worker import rendered
from earwitness.worker.arguments import WorkerArguments
from earwitness.worker.engine import EngineError, check_sqlite, default_url
from earwitness.worker.finalise import Finaliser
from earwitness.worker.rendering import ConversationRenderer

SECOND = 1_000_000
KNOWN = DEFAULT_ROLES[0]
ADMIN = resolve(Subject("user", "root"), [Grant(Role("r", "R", KNOWN.permissions), "*")])


class DirectPool:
    """Renders in the test's own process."""

    def __init__(self, arguments: WorkerArguments) -> None:
        self.vault = Vault.at(arguments.vault_url, arguments.keys)
        self.spool = arguments.spool

    def render(self, conversation_id: str, tape_ids: list[str]) -> Future[list[str]]:
        future: Future[list[str]] = Future()
        try:
            future.set_result(ConversationRenderer(self.spool / conversation_id, self.vault).finish(tape_ids))
        except Exception as error:
            future.set_exception(error)
        return future


@pytest.fixture
def finaliser(arguments: WorkerArguments) -> Iterator[Finaliser]:
    database = Database(arguments.database_url)
    with database.transaction() as session:
        session.add(Division(id="home", name="Home", home=True, created_at=1, modified_at=1))
        session.add(Division(id="berlin", name="Berlin", created_at=1, modified_at=1))
        session.flush()
        session.add(User(id="ann", name="Ann", email="a@x", division_id="berlin", created_at=1, modified_at=1))
    yield Finaliser(database, DirectPool(arguments), arguments.spool)  # type: ignore[arg-type]
    database.dispose()


def finish(finaliser: Finaliser, call: Any) -> None:
    tape_ids = finaliser.plan(call.id)
    assert tape_ids is not None
    finaliser.store(call.id, finaliser.render(call.id, tape_ids))
    assert finaliser.clear(call.id) == 0.0


def stored(finaliser: Finaliser, call: Any) -> tuple[Any, list[str], list[Recording]]:
    with finaliser.database.reading() as session:
        conversation = conversations.get(session, ADMIN, call.id)
        assert conversation is not None
        divisions = conversations.division_ids(session, conversation)
        return conversation, divisions, list(recordings.of_conversation(session, ADMIN, call.id))


def test_j11_a_call_belongs_to_its_users_divisions(finaliser: Finaliser, simple_call: Any) -> None:
    call = simple_call(user_id="ann")
    finish(finaliser, call)
    conversation, divisions, (recording,) = stored(finaliser, call)
    assert divisions == ["berlin"]
    assert conversation.timeline["cause"] == "hangup"
    assert [event["type"] for event in conversation.events][:2] == ["conversation.started", "participant.joined"]
    assert recording.peaks is not None
    assert recording.quality["channels"][0]["packets"] == 100
    assert not call.folder.exists()


def test_an_object_is_named_by_vault_id_and_item(
    finaliser: Finaliser, simple_call: Any, arguments: WorkerArguments
) -> None:
    call = simple_call()
    finish(finaliser, call)
    (recording,) = stored(finaliser, call)[2]
    with finaliser.database.reading() as session:
        (row,) = recordings.objects(session, recording)
    vault_id, item = split_object_key(row.object_key)
    assert (vault_id, item) == (call.tape_id, "master")
    assert Vault.at(arguments.vault_url, arguments.keys).open(vault_id).item(item).etag == row.sha256


def test_a_call_of_nobody_known_belongs_to_the_home_division(finaliser: Finaliser, simple_call: Any) -> None:
    call = simple_call()
    finish(finaliser, call)
    assert stored(finaliser, call)[1] == ["home"]


def test_a_call_that_was_not_recorded_tells_why(finaliser: Finaliser, make_call: Any) -> None:
    call = make_call()
    call.begin()
    why = {"row": "trunk", "why": "the trunk does not record"}
    call.event(0, "tape.withheld", tape_id=call.tape_id, leg_id=f"{call.id}-a", kind="trunk", reasons=[why])
    call.end(SECOND)
    finish(finaliser, call)
    conversation, _, rows = stored(finaliser, call)
    assert rows == []
    assert conversation.recording_state == "NONE"
    assert conversation.why[0]["reasons"] == [why]


def test_c1_a_refused_call_leaves_no_recording(
    finaliser: Finaliser, make_call: Any, arguments: WorkerArguments
) -> None:
    call = make_call()
    call.begin()
    call.open()
    call.talk(0, 2)
    call.close(2 * SECOND, "consent", "the caller refused")
    call.event(2 * SECOND, "consent.refused", leg_id=f"{call.id}-a", flow_id="f")
    call.end(3 * SECOND)
    finish(finaliser, call)
    conversation, _, rows = stored(finaliser, call)
    assert rows == []
    assert conversation.recording_state == "NONE"
    assert not call.folder.exists()
    assert not [path for path in Path(arguments.vault_url).rglob("*") if path.is_file()]


def test_e2_a_user_recording_belongs_to_its_user(finaliser: Finaliser, make_call: Any) -> None:
    call = make_call(user_id="ann")
    call.begin()
    call.open(kind="user")
    call.talk(0, 2)
    call.close(2 * SECOND)
    call.end(2 * SECOND)
    finish(finaliser, call)
    conversation, _, rows = stored(finaliser, call)
    assert rows == []  # not even for the administrator
    assert conversation.recording_state == "NONE"
    with finaliser.database.reading() as session:
        own = recordings.of_conversation(session, resolve(Subject("user", "ann"), []), call.id)
    assert [(row.id, row.role, row.media_subtype) for row in own] == [(call.tape_id, "ADHOC", "Station")]


def test_b10_pauses_become_annotations(finaliser: Finaliser, make_call: Any) -> None:
    call = make_call()
    call.begin()
    call.open()
    call.talk(0, 2)
    call.close(2 * SECOND, "hold", "held")
    call.open(5 * SECOND)
    call.talk(5 * SECOND, 1)
    call.close(6 * SECOND, "pause", "secure pause")
    call.open(8 * SECOND)
    call.talk(8 * SECOND, 1)
    call.close(9 * SECOND)
    call.end(9 * SECOND)
    finish(finaliser, call)
    (recording,) = stored(finaliser, call)[2]
    assert abs(recording.duration_ms - 4000) <= 20
    found = [
        (item["reason"], item["realtimeLocation"], item["absoluteLocation"], item["durationMs"])
        for item in recording.annotations
    ]
    assert found == [("Hold", 2000, 2000, 3000), ("SecurePause", 6000, 3000, 2000)]
    assert len({item["id"] for item in recording.annotations}) == 1  # B11
    assert len(recording.openings) == 3


def test_a_tape_that_was_open_for_no_time_gives_no_recording(finaliser: Finaliser, make_call: Any) -> None:
    call = make_call()
    call.begin()
    call.open()
    call.close(0)
    call.end(SECOND)
    finish(finaliser, call)
    assert stored(finaliser, call)[2] == []


def test_a_tape_without_packets_is_silence_of_full_length(finaliser: Finaliser, make_call: Any) -> None:
    call = make_call()
    call.begin()
    call.open()
    call.close(3 * SECOND)
    call.end(3 * SECOND)
    finish(finaliser, call)
    (recording,) = stored(finaliser, call)[2]
    assert abs(recording.duration_ms - 3000) <= 20


def test_a_failed_tape_is_seen(finaliser: Finaliser, make_call: Any) -> None:
    call = make_call()
    call.begin()
    call.event(0, "tape.failed", tape_id=call.tape_id, error="the disk is full")
    call.end(SECOND)
    finish(finaliser, call)
    assert stored(finaliser, call)[0].recording_state == "FAILED"


def test_no_display_name_keeps_a_recording_from_being_stored(finaliser: Finaliser, make_call: Any) -> None:
    call = make_call()
    call.begin()
    call.event(0, "participant.joined", participant_id="odd", purpose="external", name="a\x00\ud800b", address="\x00")
    call.open()
    call.close(SECOND)
    call.end(SECOND)
    finish(finaliser, call)
    conversation, _, rows = stored(finaliser, call)
    assert len(rows) == 1
    with finaliser.database.reading() as session:
        names = [person.name for person in conversations.participants(session, conversation)]
    assert "a\ufffd?b" in names
    assert conversation.timeline["participants"][2]["name"] == "a\x00\ud800b"


@pytest.mark.parametrize("audio_format", ["audio/PCMU", "audio/L16"])
def test_a9_other_formats(finaliser: Finaliser, simple_call: Any, audio_format: str) -> None:
    call = simple_call(audio_format=audio_format)
    finish(finaliser, call)
    (recording,) = stored(finaliser, call)[2]
    assert (recording.audio_format, recording.mime_type) == (audio_format, "audio/wav")


def test_every_step_may_be_repeated(finaliser: Finaliser, simple_call: Any) -> None:
    call = simple_call()
    for _ in range(2):
        tape_ids = finaliser.plan(call.id)
        assert tape_ids == [call.tape_id]
        assert finaliser.render(call.id, tape_ids) == tape_ids
    assert finaliser.store(call.id, [call.tape_id]) is True
    assert finaliser.store(call.id, [call.tape_id]) is False
    assert finaliser.plan(call.id) is None
    finaliser.clear(call.id)
    finaliser.clear(call.id)
    assert finaliser.plan(call.id) is None
    assert len(stored(finaliser, call)[2]) == 1


def test_a_crash_between_sealing_and_noting_seals_once(
    finaliser: Finaliser, simple_call: Any, arguments: WorkerArguments
) -> None:
    call = simple_call()
    finaliser.render(call.id, [call.tape_id])
    rendered.path_of(call.folder, call.tape_id).unlink()
    finish(finaliser, call)
    (recording,) = stored(finaliser, call)[2]
    vault = Vault.at(arguments.vault_url, arguments.keys)
    assert vault.verify(call.tape_id).item("master").sha256 == recording.sha256
    assert len(vault.log.tree()) == 1


def test_a_destroyed_recording_does_not_come_back(
    finaliser: Finaliser, simple_call: Any, arguments: WorkerArguments
) -> None:
    call = simple_call()
    vault = Vault.at(arguments.vault_url, arguments.keys)
    vault.destroy(call.tape_id, by="test", reason="test", at_us=1)
    finish(finaliser, call)
    assert stored(finaliser, call)[2] == []


def test_no_plain_audio_is_left_behind(finaliser: Finaliser, simple_call: Any, arguments: WorkerArguments) -> None:
    call = simple_call()
    finaliser.render(call.id, [call.tape_id])
    names = {path.name for path in call.folder.iterdir()}
    tape = call.tape_id
    assert names == {"events.jsonl", f"{tape}.0.0.rtpdump", f"{tape}.0.1.rtpdump", f"{tape}.rendered.json"}
    for path in Path(arguments.vault_url).rglob("*"):
        assert not path.is_file() or b"OggS" not in path.read_bytes()


def test_a_log_of_another_conversation_is_refused(finaliser: Finaliser, simple_call: Any) -> None:
    call = simple_call()
    call.folder.rename(call.folder.with_name("other"))
    with pytest.raises(ValueError, match="conversation"):
        finaliser.plan("other")


def test_a_damaged_log_is_refused(finaliser: Finaliser, simple_call: Any) -> None:
    call = simple_call()
    log = call.folder / "events.jsonl"
    log.write_text("nonsense\n" + log.read_text())
    with pytest.raises(EventError):
        finaliser.plan(call.id)


def test_a_spool_folder_may_be_kept(finaliser: Finaliser, simple_call: Any) -> None:
    call = simple_call()
    seconds = int((call.folder / "events.jsonl").stat().st_mtime)
    keeper = Finaliser(
        finaliser.database, finaliser.pool, finaliser.spool, keep_s=60, now_us=lambda: (seconds + 20) * SECOND
    )
    assert 39 < keeper.clear(call.id) < 42
    later = Finaliser(
        finaliser.database, finaliser.pool, finaliser.spool, keep_s=60, now_us=lambda: (seconds + 61) * SECOND
    )
    assert later.clear(call.id) == 0.0
    assert not call.folder.exists()


def test_nothing_is_added_for_what_is_not_there(finaliser: Finaliser) -> None:
    assert finaliser.plan("gone") is None
    with finaliser.database.reading() as session:
        assert session.scalars(select(Recording)).all() == []


def test_an_sqlite_that_is_too_old_is_refused() -> None:
    check_sqlite()
    with pytest.raises(EngineError, match=r"3\.34\.0"):
        check_sqlite((3, 34, 0))


def test_where_the_engine_keeps_its_state(tmp_path: Path) -> None:
    assert default_url("sqlite:///x.db", tmp_path) == f"sqlite:///{tmp_path}/workflows.db"
    assert default_url("postgresql://u:p@h/d", tmp_path) == "postgresql+psycopg://u:p@h/d"
