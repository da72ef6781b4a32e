"""Searching conversations: what is found, in what order, page by page, and that lists hide and show nothing."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from earwitness.domain.access import Access, Divisions, Scope, Subject
from earwitness.domain.access.condition import Involves
from earwitness.domain.access.subject import ALL_DIVISIONS, Entitlement
from earwitness.domain.search import terms
from earwitness.store import after_call_work, search, search_filters, search_index
from earwitness.store.database import Database
from earwitness.store.internal import FinishedConversation, store_finished
from earwitness.store.search import Position
from earwitness.store.tables import Conversation, ConversationTerm, Participant
from earwitness.store.visibility import VIEW_CONVERSATIONS, conversations_visible_to

SECOND = 1_000_000


@pytest.fixture
def database(database_url: str) -> Any:
    database = Database(database_url)
    yield database
    database.dispose()


def access(*divisions: str, user: str = "me", condition: Any = None) -> Access:
    reach = ALL_DIVISIONS if "*" in divisions else Divisions(ids=frozenset(divisions))
    return Access(Subject("user", user), (Entitlement(VIEW_CONVERSATIONS, Scope(reach, condition)),))


def store(session: Any, key: str, at: int, *, divisions: Any = ("a",), user: str = "u1", **more: Any) -> None:
    name, queue = more.pop("name", "Anna Müller"), more.pop("queue", None)
    reasons = [{"row": row, "why": row} for row in more.pop("why", ("trunk",))]
    leg = {"leg_id": "s", "kind": "station", "direction": "outbound", "external": False, "address": "sip:42@x"}
    both: dict[str, Any] = {"start": at, "legs": [], "segments": []}
    timeline = {
        "participants": [
            {**both, "participant_id": "p1", "purpose": "external", "name": name, "address": more.get("ani", "1")},
            {**both, "participant_id": "p2", "purpose": "user", "name": "Agent", "user_id": user,
             "legs": [{**leg, "offered": at}]},
        ],
        "tapes": [],
    }  # fmt: skip
    values = {"direction": "inbound", "ani": "+49301234567", "dnis": "+49800555", "recording_state": "RECORDED", **more}
    conversation = Conversation(
        id=key, organization_id="o", started_at=at, ended_at=at + values.pop("lasted", 60 * SECOND), timeline=timeline,
        events=[], why=[{"at": at, "reasons": reasons}], finalised_at=at, **values,
    )  # fmt: skip
    people = [
        Participant(conversation_id=key, id="p1", purpose="external", name=name, joined_at=at),
        Participant(conversation_id=key, id="p2", purpose="user", user_id=user, joined_at=at),
    ]
    store_finished(
        session, FinishedConversation(conversation, people, [], [], list(divisions), [queue] if queue else [])
    )


def ids(found: search.Found) -> list[str]:
    return [row.id for row in found.rows]


def everything(session: Any, who: Access, filters: Any = (), **more: Any) -> list[str]:
    found, after = [], None
    for _ in range(1000):
        page = search.page(session, who, filters, after=after, **more)
        found += ids(page)
        if (after := page.next) is None:
            return found
    raise AssertionError("no end")


def test_newest_first_in_the_divisions_and_ones_own(database: Database) -> None:
    with database.transaction() as session:
        store(session, "c1", 1 * SECOND)
        store(session, "c2", 3 * SECOND, divisions=["b"])
        store(session, "c3", 2 * SECOND, divisions=["b", "a"])
        store(session, "c4", 4 * SECOND, divisions=["z"], user="me")
        store(session, "c5", 5 * SECOND, divisions=["z"])
    with database.reading() as session:
        assert ids(search.page(session, access("a", "b"))) == ["c4", "c2", "c3", "c1"]
        assert ids(search.page(session, access("a", "b"), newest_first=False)) == ["c1", "c3", "c2", "c4"]
        assert ids(search.page(session, access("a"))) == ["c4", "c3", "c1"]
        assert ids(search.page(session, access("*"))) == ["c5", "c4", "c2", "c3", "c1"]
        assert ids(search.page(session, access("a"), since=2 * SECOND, until=4 * SECOND)) == ["c3"]
        assert search.count(session, access("a", "b")) == search.Count(4, True)
        first = search.page(session, access("a", "b"), size=3)
        assert (ids(first), first.next) == (["c4", "c2", "c3"], Position(2 * SECOND, "c3"))
        assert ids(search.page(session, access("a", "b"), after=first.next)) == ["c1"]
        assert ids(search.page(session, Access(Subject("client", "x")))) == []
        own = access("*", user="u1", condition=Involves(current_user=True))
        assert ids(search.page(session, own)) == ["c5", "c2", "c3", "c1"]


def test_each_filter(database: Database) -> None:
    with database.transaction() as session:
        store(session, "c1", 1, queue="q1", direction="outbound", ani="0049 (30) 1234567")
        store(session, "c2", 2, user="u2", lasted=1 * SECOND, name="Bernd Öztürk", ani="+431111111")
        store(session, "c3", 3, recording_state="NONE", why=("consent",), ani="anonymous", name="")
        work = after_call_work.add(session, conversation_id="c2", participant_id="p2", user_id="u2", queue_id="q",
                                   started_at=3, deadline_at=9)  # fmt: skip
        after_call_work.give(session, work, at=5, code_id="sold", code_name="Sold")
    f, who = search_filters, access("*")
    with database.reading() as session:

        def found(*filters: Any) -> list[str]:
            return ids(search.page(session, who, filters))

        assert found(f.users(["u2"])) == ["c2"]
        assert found(f.users([])) == []
        assert found(f.queues(["q1", "q2"])) == ["c1"]
        assert found(f.directions(["outbound"])) == ["c1"]
        assert found(f.duration(None, 2000)) == ["c2"]
        assert found(f.duration(2000, None)) == ["c3", "c1"]
        assert found(f.recording_states(["NONE"])) == ["c3"]
        assert found(f.audible(True)) == []
        assert found(f.why(["consent"])) == ["c3"]
        assert found(f.wrapups(["sold"])) == ["c2"]
        assert found(f.evaluation_states(["NONE"], who), f.users(["u2"])) == ["c2"]
        assert found(f.policies(["p"]), f.verdicts(["KEEP"])) == []
        for spelling in ("+49301234567", "030/123 45 67", "004930-1234567", "1234567", "sip:+49301234567@carrier"):
            assert found(f.number(session, spelling)) == ["c1"], spelling
        with pytest.raises(ValueError, match="no number"):
            f.number(session, "12")
        assert found(*f.text(session, "müll")) == ["c1"]
        assert found(*f.text(session, "ÖZTÜRK bern")) == ["c2"]
        assert found(*f.text(session, "bernd 030 1234567")) == []
        assert found(*f.text(session, "anonymous")) == ["c3"]
        assert found(*f.text(session, "agent")) == ["c3", "c2", "c1"]
        assert found(*f.text(session, "800555")) == []
        assert found(*f.text(session, "nobody")) == []


def test_a_search_ends_in_time_and_says_where_to_go_on(database: Database) -> None:
    with database.transaction() as session:
        for number in range(60):
            store(session, f"c{number:02}", number // 3, divisions=["z"] if number else ["a"], queue="q")
    with database.reading() as session:
        page = search.page(session, access("*"), [search_filters.duration(None, 1)], budget=1)
        assert page.rows == []
        thin = [search_filters.queues(["q"])]
        assert everything(session, access("a"), thin, budget=1, size=2) == ["c00"]
        assert everything(session, access("z"), thin, budget=1, size=7) == [f"c{n:02}" for n in range(59, 0, -1)]
        up = everything(session, access("z"), thin, budget=1, size=7, newest_first=False)
        assert up == [f"c{n:02}" for n in range(1, 60)]
        assert search.count(session, access("z"), thin, most=10) == search.Count(10, False)


def test_forgetting_and_writing_again(database: Database) -> None:
    with database.transaction() as session:
        store(session, "c1", 1)
        search_index.write(session, "c1")
        search_index.write(session, "unknown")
        before = set(session.scalars(select(ConversationTerm.term)))
        assert {"d:a", "u:u1", "n:76543210394", "w:anna", "w:müller", "y:trunk", "n:24"} <= before
        row = session.get(Conversation, "c1")
        assert row is not None
        search_index.forget(session, "c1")
        assert session.scalars(select(ConversationTerm.term)).all() == []
        row.timeline, row.ani = {"participants": [], "tapes": []}, ""
        session.flush()
        search_index.write(session, "c1")
        assert set(session.scalars(select(ConversationTerm.term))) == {"d:a", "n:55500894", "u:u1", "y:trunk"}


@pytest.mark.parametrize("seed", range(4))
def test_lists_hold_whatever_is_visible(database: Database, seed: int) -> None:
    """Against the slow and obvious: all that the scoped query gives, sorted."""
    import random

    random_ = random.Random(seed)
    with database.transaction() as session:
        for number in range(80):
            store(session, f"c{number}", random_.randrange(20), user=random_.choice(["me", "u1", "u2"]),
                  divisions=random_.sample(["a", "b", "c"], random_.randint(1, 2)),
                  queue=random_.choice([None, "q1"]), direction=random_.choice(["inbound", "outbound"]))  # fmt: skip
    subjects = [
        access("a"), access("a", "b"), access("*"), access("c", condition=Involves(queues=frozenset({"q1"}))),
        access("*", condition=Involves(users=frozenset({"u2"}), queues=frozenset({"q2"}))),
        Access(Subject("client", "x"), access("b").entitlements),
    ]  # fmt: skip
    asked = [
        [],
        [search_filters.queues(["q1"])],
        [search_filters.users(["u1"]), search_filters.directions(["inbound"])],
    ]
    with database.reading() as session:
        for who, filters, down in itertools.product(subjects, asked, (True, False)):
            statement = select(Conversation.started_at, Conversation.id).where(
                conversations_visible_to(who), *(item.where for item in filters)
            )
            expected = sorted(((row[0], row[1]) for row in session.execute(statement)), reverse=down)
            budget = random_.choice([1, 40, 12_000])
            found = everything(session, who, filters, newest_first=down, size=random_.randint(1, 30), budget=budget)
            assert found == [key for _, key in expected]


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60), st.text(max_size=60))
def test_any_text_makes_terms(name: str, address: str) -> None:
    found = terms.of(terms.Facts(names=[name], addresses=[address], users=[name]))
    assert found == sorted(set(found))
    assert all(0 < len(term) <= terms.LONGEST and "\x00" not in term for term in found)


def test_calls_of_before_get_their_terms_by_the_migration(database: Database) -> None:
    import alembic.command

    from earwitness.store.schema import alembic_config

    with database.transaction() as session:
        for number in range(3):
            store(session, f"c{number}", number, queue="q")
        known = set(session.scalars(select(ConversationTerm.term)))
    with database.engine.execution_options(writes=True).begin() as connection:
        alembic.command.downgrade(alembic_config(connection), "0007")
        alembic.command.upgrade(alembic_config(connection), "head")
    with database.reading() as session:
        assert set(session.scalars(select(ConversationTerm.term))) == known
        assert ids(search.page(session, access("a"))) == ["c2", "c1", "c0"]
