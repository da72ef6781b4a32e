"""Who sees which conversations and recordings."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest

from earwitness.domain.access import DEFAULT_ROLES, Access, Grant, Role, Subject, resolve
from earwitness.store import conversations, internal, recordings, search, search_filters
from earwitness.store.database import Database
from earwitness.store.internal import FinishedConversation
from earwitness.store.tables import Conversation, Participant, Recording, RecordingObject

ROLES = {role.key: Role(role.key, role.name, role.permissions, role.policies) for role in DEFAULT_ROLES}


def access_of(user: str, role: str, division: str = "*", condition: dict[str, Any] | None = None) -> Access:
    return resolve(Subject("user", user), [Grant(ROLES[role], division, condition)])


NOBODY = resolve(Subject("user", "nobody"), [])
ADMIN = access_of("root", "administrator")


def recording(conversation: str, id_: str, owner: str | None = None, start: int = 1, **values: Any) -> Recording:
    fields: dict[str, Any] = {
        "kind": "user" if owner else "trunk",
        "media_subtype": "Station" if owner else "Trunk",
        "role": "ADHOC" if owner else "CUSTOMER_EXPERIENCE",
        "file_state": "AVAILABLE",
        "peaks": b"peaks",
        **values,
    }
    return Recording(
        id=id_, conversation_id=conversation, owner_user_id=owner, started_at=start, ended_at=start + 1, duration_ms=1,
        audio_format="audio/opus", mime_type="audio/ogg", channels=2, sample_rate=8000, size=1, created_at=1,
        modified_at=1, **fields,
    )  # fmt: skip


def finished(
    id_: str, users: list[str], divisions: list[str], *, queue: str | None = None, owners: tuple[str, ...] = ()
) -> FinishedConversation:
    people = [
        Participant(conversation_id=id_, id=f"{id_}-{user}", purpose="user", user_id=user, joined_at=1)
        for user in users
    ]
    people.append(
        Participant(conversation_id=id_, id=f"{id_}-x", purpose="external", user_id=None, queue_id=queue, joined_at=1)
    )
    rows = [recording(id_, f"{id_}-trunk", start=int(id_[1:]))]
    rows += [recording(id_, f"{id_}-{owner}-own", owner) for owner in owners]
    objects = [RecordingObject(recording_id=r.id, object_key="k", role="master", media_type="m", size=1, sha256="",
                               created_at=1) for r in rows]  # fmt: skip
    conversation = Conversation(
        id=id_, organization_id="o", started_at=int(id_[1:]), ended_at=int(id_[1:]) + 9, direction="inbound",
        events=[{"seq": 0}], finalised_at=1,
    )  # fmt: skip
    return FinishedConversation(conversation, people, rows, objects, divisions)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    with database.transaction() as session:
        for row in (
            finished("c1", ["ann"], ["berlin"], owners=("ann",)),
            finished("c2", ["ann", "bob"], ["berlin", "paris"], owners=("bob", "ann")),
            finished("c3", ["bob"], ["paris"], queue="sales"),
            finished("c4", [], ["home"]),
        ):
            assert internal.store_finished(session, row)
    yield database
    database.dispose()


def seen(database: Database, access: Access) -> set[str]:
    with database.reading() as session:
        listed = {row.id for row in recordings.listing(session, access, size=100).items}
        for conversation in ("c1", "c2", "c3", "c4"):
            for row in recordings.of_conversation(session, access, conversation):
                assert row.id in listed
                assert recordings.get(session, access, row.id) is not None
        everything = {f"{c}-{o}" for c in ("c1", "c2", "c3", "c4") for o in ("trunk", "ann-own", "bob-own")}
        for missing in everything - listed:
            assert recordings.get(session, access, missing) is None
    return listed


def seen_conversations(database: Database, access: Access) -> set[str]:
    with database.reading() as session:
        return {row.id for row in search.page(session, access).rows}


def test_e2_administrator_sees_everything_but_user_recordings(database: Database) -> None:
    assert seen(database, ADMIN) == {"c1-trunk", "c2-trunk", "c3-trunk", "c4-trunk"}
    assert seen_conversations(database, ADMIN) == {"c1", "c2", "c3", "c4"}


def test_e2_even_an_administrator_owns_own_user_recordings(database: Database) -> None:
    assert seen(database, access_of("ann", "administrator")) >= {"c1-ann-own", "c2-ann-own"}


def test_j11_supervisor_sees_calls_that_touched_the_division(database: Database) -> None:
    assert seen(database, access_of("sue", "supervisor", "berlin")) == {"c1-trunk", "c2-trunk"}
    assert seen(database, access_of("sue", "supervisor", "paris")) == {"c2-trunk", "c3-trunk"}
    assert seen(database, access_of("sue", "supervisor", "rome")) == set()
    assert seen_conversations(database, access_of("sue", "supervisor", "berlin")) == {"c1", "c2"}


def test_j14_own_calls_by_condition(database: Database) -> None:
    assert seen(database, access_of("ann", "ownCalls", "berlin")) == {
        "c1-trunk",
        "c1-ann-own",
        "c2-trunk",
        "c2-ann-own",
    }
    assert seen(database, access_of("bob", "ownCalls", "paris")) == {"c2-trunk", "c2-bob-own", "c3-trunk"}
    assert seen(database, access_of("bob", "ownCalls", "berlin")) == {"c2-trunk", "c2-bob-own"}


def test_j13_a_queue_narrows_the_right(database: Database) -> None:
    sales = {"operands": [{"type": "QUEUE", "queue": {"id": "sales"}}]}
    assert seen(database, access_of("sue", "supervisor", "*", sales)) == {"c3-trunk"}


def test_j13_a_call_that_was_in_several_queues_is_reached_by_each(database: Database) -> None:
    with database.transaction() as session:
        row = finished("c5", ["ann"], ["berlin"], queue="service")
        assert internal.store_finished(session, dataclasses.replace(row, queue_ids=["sales", "service"]))
    for queue, calls in (("sales", {"c3-trunk", "c5-trunk"}), ("service", {"c5-trunk"}), ("other", set())):
        condition = {"operands": [{"type": "QUEUE", "queue": {"id": queue}}]}
        assert seen(database, access_of("sue", "supervisor", "*", condition)) == calls


def test_j13_a_team_that_was_on_no_call_reaches_nothing(database: Database) -> None:
    team = {"operands": [{"type": "TEAM", "team": {"id": "t"}}]}
    assert seen(database, access_of("sue", "supervisor", "*", team)) == set()


def test_j13_or_widens_and_narrows(database: Database) -> None:
    users = {
        "conjunction": "OR",
        "terms": [
            {"operands": [{"type": "USER", "user": {"id": "ann"}}]},
            {"operands": [{"type": "QUEUE", "queue": {"id": "sales"}}]},
        ],
    }
    assert seen(database, access_of("sue", "supervisor", "*", users)) == {"c1-trunk", "c2-trunk", "c3-trunk"}
    both = {**users, "conjunction": "AND"}
    assert seen(database, access_of("sue", "supervisor", "*", both)) == set()


def test_without_grants_there_is_nothing_but_ones_own(database: Database) -> None:
    assert seen(database, NOBODY) == set()
    assert seen_conversations(database, NOBODY) == set()
    bob = resolve(Subject("user", "bob"), [])
    assert seen(database, bob) == {"c2-bob-own"}
    assert seen_conversations(database, bob) == {"c2", "c3"}


def test_a_program_owns_nothing(database: Database) -> None:
    """A client whose id equals a user's is still no user."""
    client = resolve(Subject("client", "ann"), [Grant(ROLES["agent"], "*"), Grant(ROLES["ownCalls"], "*")])
    assert seen(database, client) == set()
    program = resolve(Subject("client", "x"), [Grant(ROLES["administrator"], "*")])
    assert seen(database, program) == {"c1-trunk", "c2-trunk", "c3-trunk", "c4-trunk"}


def test_an_external_participant_gives_no_right(database: Database) -> None:
    with database.transaction() as session:
        row = finished("c9", [], ["home"])
        row.participants[0].user_id = "ann"  # purpose: external
        internal.store_finished(session, row)
    assert "c9-trunk" not in seen_of(database, access_of("ann", "ownCalls"), "c9")


def seen_of(database: Database, access: Access, conversation: str) -> set[str]:
    with database.reading() as session:
        return {row.id for row in recordings.of_conversation(session, access, conversation)}


def test_g14_tombstones_only_where_asked_for(database: Database) -> None:
    with database.transaction() as session:
        row = internal.recording(session, "c1-trunk")
        assert row is not None
        row.file_state = "DELETED"
    assert seen_of(database, ADMIN, "c1") == set()
    with database.reading() as session:
        rows = recordings.of_conversation(session, ADMIN, "c1", deleted=True)
        assert [(row.id, row.file_state) for row in rows] == [("c1-trunk", "DELETED")]
        assert recordings.listing(session, ADMIN).total == 3


def test_finishing_twice_is_finishing_once(database: Database) -> None:
    with database.transaction() as session:
        assert internal.store_finished(session, finished("c1", ["eve"], ["rome"])) is False
    with database.reading() as session:
        row = conversations.get(session, ADMIN, "c1")
        assert row is not None
        assert [p.user_id for p in conversations.participants(session, row)] == ["ann", None]
        assert conversations.division_ids(session, row) == ["berlin"]
        assert row.events == [{"seq": 0}]


def test_pages_and_times(database: Database) -> None:
    with database.reading() as session:
        page = recordings.listing(session, ADMIN, number=2, size=3)
        assert ([row.id for row in page.items], page.total, page.count) == (["c1-trunk"], 4, 2)
        assert recordings.listing(session, ADMIN, number=9, size=3).items == []
        page = recordings.listing(session, ADMIN, since=2, until=4)
        assert [row.id for row in page.items] == ["c3-trunk", "c2-trunk"]
        assert [row.id for row in search.page(session, ADMIN, [search_filters.users(["bob"])]).rows] == ["c3", "c2"]
        mine = recordings.listing(session, access_of("ann", "agent"), role="ADHOC", owner_user_id="ann")
        assert {row.id for row in mine.items} == {"c1-ann-own", "c2-ann-own"}
        with pytest.raises(ValueError, match="start at 1"):
            recordings.listing(session, ADMIN, number=0)


def test_objects_of_a_recording(database: Database) -> None:
    with database.transaction() as session:
        row = recordings.get(session, ADMIN, "c1-trunk")
        assert row is not None
        assert row.peaks == b"peaks"
        for size in (2, 3):
            recordings.put_object(
                session,
                RecordingObject(recording_id=row.id, object_key="z", role="derived", media_type="m", size=size,
                                sha256="", created_at=2),
            )  # fmt: skip
        assert [(item.object_key, item.size) for item in recordings.objects(session, row)] == [("z", 3), ("k", 1)]
