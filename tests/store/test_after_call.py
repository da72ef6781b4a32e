"""After-call work, channels of live events, the inbox."""

from __future__ import annotations

from typing import Any

import pytest

from earwitness.domain.access import Grant, Role, Subject, resolve
from earwitness.store import (
    after_call_work,
    internal,
    notification_channels,
    retention,
    retention_tasks,
    user_recordings,
)
from earwitness.store.database import Database
from earwitness.store.tables import Conversation, Recording, RecordingObject

S = 1_000_000


@pytest.fixture
def database(database_url: str) -> Any:
    database = Database(database_url)
    yield database
    database.dispose()


def add(session: Any, participant_id: str = "p", deadline_at: int = 60 * S) -> Any:
    return after_call_work.add(
        session,
        conversation_id="c",
        participant_id=participant_id,
        user_id="u",
        queue_id="q",
        started_at=0,
        deadline_at=deadline_at,
    )


def test_work_is_open_until_a_code_is_given(database: Database) -> None:
    with database.transaction() as session:
        row = add(session)
        assert add(session).id == row.id
        assert after_call_work.is_open(session, "c")
        assert after_call_work.open_for(session, "c", "p") is row
        given = {"code_id": "k", "code_name": "Sale", "notes": "n", "tags": ["t"], "by": "u"}
        assert after_call_work.give(session, row, at=5 * S, **given)
        assert after_call_work.open_for(session, "c", "p") is None
        assert not after_call_work.is_open(session, "c")
        assert not after_call_work.give(session, row, at=6 * S, code_id="l", code_name="Other")
    with database.reading() as session:
        found = after_call_work.of_participant(session, "c", "p")
        assert found is not None
        assert (found.code_id, found.given_at, found.timed_out) == ("l", 6 * S, False)


def test_w3_a_forgotten_wrap_up_is_closed_when_its_time_is_over(database: Database) -> None:
    with database.transaction() as session:
        add(session, "early", 10 * S)
        add(session, "late", 20 * S)
        done = add(session, "done", 5 * S)
        after_call_work.give(session, done, at=1, code_id="k", code_name="Sale")
        assert [row.participant_id for row in after_call_work.close_overdue(session, 10 * S)] == ["early"]
        assert after_call_work.is_open(session, "c")
        assert [row.participant_id for row in after_call_work.close_overdue(session, 30 * S)] == ["late"]
        assert not after_call_work.is_open(session, "c")
    with database.reading() as session:
        rows = {row.participant_id: row for row in after_call_work.of_conversation(session, "c")}
        assert [rows[name].timed_out for name in ("early", "late", "done")] == [True, True, False]
        assert (rows["early"].code_name, rows["early"].given_at) == ("ININ-WRAP-UP-TIMEOUT", 10 * S)
        assert not after_call_work.give(
            session, rows["done"], at=9, code_id=None, code_name=after_call_work.TIMEOUT_CODE, timed_out=True
        )


def test_s39_of_too_many_channels_the_oldest_goes(database: Database) -> None:
    subject = Subject("user", "u")
    with database.transaction() as session:
        made = [
            notification_channels.create(session, subject, client_id="app", at=n, expires_at=100, most=3).id
            for n in range(5)
        ]
        other = notification_channels.create(session, subject, client_id=None, at=9, expires_at=10)
        held = notification_channels.of_subject(session, subject, client_id="app", now=50)
        assert [row.id for row in held] == made[2:]
        assert [row.id for row in notification_channels.list(session, subject)] == [other.id]
        notification_channels.set_topics(session, held[0], ["a", "b", "a"], 200)
        assert notification_channels.get(session, held[0].id, 150).topics == ["a", "b"]  # type: ignore[union-attr]
        assert notification_channels.get(session, held[1].id, 150) is None
        assert notification_channels.expire(session, 150) == 3
        assert notification_channels.get(session, held[0].id, 150) is not None


def _recording(recording_id: str, owner: str, at: int) -> Recording:
    return Recording(
        id=recording_id, conversation_id="c", kind="user", media_subtype="Station", role="ADHOC", owner_user_id=owner,
        file_state="AVAILABLE", started_at=at, ended_at=at + S, duration_ms=1000, audio_format="audio/opus",
        mime_type="audio/ogg", channels=1, sample_rate=8000, size=1, created_at=at, modified_at=at,
    )  # fmt: skip


def test_e2_e10_the_inbox_is_its_owners_alone(database: Database) -> None:
    conversation = Conversation(
        id="c", organization_id="o", started_at=0, ended_at=9, direction="internal", finalised_at=9
    )
    recordings = [_recording("r1", "ada", 1), _recording("r2", "ada", 2), _recording("r3", "bob", 3)]
    derived = RecordingObject(
        recording_id="r1", object_key="r1-0-mp3/master", role="derived", media_type="audio/mpeg", size=1, sha256="",
        created_at=1,
    )  # fmt: skip
    everything = Grant(Role("all", "all", ("recording:*:*",)), "*")
    ada, bob, program = (
        resolve(Subject(kind, name), [everything]) for kind, name in (("user", "ada"), ("user", "bob"), ("client", "x"))
    )
    with database.transaction() as session:
        internal.store_finished(
            session, internal.FinishedConversation(conversation, recordings=recordings, objects=[derived])
        )
    with database.transaction() as session:
        assert [row.id for row in user_recordings.inbox(session, ada).items] == ["r2", "r1"]
        assert user_recordings.inbox(session, program).total == 0
        assert user_recordings.get(session, bob, "r1") is None
        row = user_recordings.get(session, ada, "r1")
        assert row is not None
        assert user_recordings.set_read(session, row, True, 10)
        assert not user_recordings.set_read(session, row, True, 11)
        assert user_recordings.rename(session, row, "Order 7", 12)
        found = user_recordings.summary(session, ada)
        assert (found.read, found.unread, found.total) == (1, 1, 2)
        assert retention_tasks.vault_ids(session, ["r1"]) == {"r1": ("r1", "r1-0-mp3")}
        assert retention.ask_to_delete(session, ["r1"], "user:ada", "its owner", 20, inbox=True) == ["r1"]
        assert user_recordings.get(session, ada, "r1") is None
        found = user_recordings.summary(session, ada)
        assert (found.read, found.unread) == (0, 1)
