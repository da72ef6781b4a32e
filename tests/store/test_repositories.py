"""People, roles, clients, tokens, settings, audit: what each repository promises."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError

from earwitness.domain.access import ALL_DIVISIONS, Divisions, Subject
from earwitness.store import access, audit, oauth, settings, users
from earwitness.store.database import Database
from earwitness.store.tables import Division, Grant, OauthClient, User

_count = itertools.count(1)


def new_id() -> str:
    return f"id{next(_count)}"


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    with database.transaction() as session:
        session.add(Division(id="home", name="Home", home=True, created_at=1, modified_at=1))
        session.add(Division(id="berlin", name="Berlin", created_at=1, modified_at=1))
        session.flush()
        for name, division, state in (
            ("Ann", "home", "active"),
            ("Bob", "berlin", "active"),
            ("Cäsar 100%", "berlin", "inactive"),
            ("Dora", "home", "deleted"),
        ):
            times = {"created_at": 1, "modified_at": 1}
            email = f"{name[:3].lower()}@x.org"
            session.add(User(id=name[0].lower(), name=name, email=email, division_id=division, state=state, **times))
    yield database
    database.dispose()


def _names(page: Any) -> list[str]:
    return [row.name for row in page.items]


def test_users_are_found(database: Database) -> None:
    with database.reading() as session:
        assert _names(users.listing(session)) == ["Ann", "Bob"]
        assert _names(users.listing(session, state=None)) == ["Ann", "Bob", "Cäsar 100%"]
        assert _names(users.listing(session, state="any")) == ["Ann", "Bob", "Cäsar 100%", "Dora"]
        assert _names(users.listing(session, within=Divisions(ids=frozenset({"berlin"})))) == ["Bob"]
        assert _names(users.listing(session, within=Divisions())) == []
        assert _names(users.listing(session, text="BO")) == ["Bob"]
        assert _names(users.listing(session, text="%", state=None)) == ["Cäsar 100%"]
        assert _names(users.listing(session, text="a*n")) == ["Ann"]
        assert _names(users.listing(session, ids=["a", "zzz"])) == ["Ann"]
        assert [row.id for row in users.by_ids(session, ["d", "a", "zzz"])] == ["a", "d"]
        found = users.by_email(session, "  ANN@X.org ")
        assert found is not None
        assert found.id == "a"
        assert users.get(session, "d") is None
        assert users.get(session, "d", deleted=True) is not None


def test_two_users_cannot_have_one_address(database: Database) -> None:
    twin = User(id="t", name="T", email="ann@x.org", division_id="home", created_at=1, modified_at=1)

    def add() -> None:
        with database.transaction() as session:
            session.add(twin)

    with pytest.raises(IntegrityError):
        add()


def test_divisions(database: Database) -> None:
    with database.reading() as session:
        home = users.home_division(session)
        assert home is not None
        assert home.id == "home"
        assert _names(users.divisions(session)) == ["Berlin", "Home"]
        assert _names(users.divisions(session, name="ber")) == ["Berlin"]
        assert _names(users.divisions(session, within=Divisions(ids=frozenset({"home"})))) == ["Home"]


def test_default_roles_are_added_once(database: Database) -> None:
    with database.transaction() as session:
        assert len(access.add_default_roles(session, 1, new_id)) == 8
    with database.transaction() as session:
        role = access.default_role(session, "agent")
        assert role is not None
        role.description = "Ours"
        assert access.add_default_roles(session, 2, new_id) == []
    with database.reading() as session:
        assert _names(access.roles(session)) == [
            *("Administrator", "Agent", "Communicate user", "Evaluator", "Listener to own calls"),
            *("Quality administrator", "Recording administrator", "Supervisor"),
        ]
        again = access.default_role(session, "agent")
        assert again is not None
        assert again.description == "Ours"


def test_an_earlier_installation_gets_new_roles_and_rights(database: Database) -> None:
    with database.transaction() as session:
        assert access.renew_default_roles(session, 1, new_id) == []
        access.add_default_roles(session, 1, new_id)
        for key in ("administrator", "agent", "supervisor"):
            role = access.default_role(session, key)
            assert role is not None
            role.permissions = ["conversation:call:add"]
            if key != "agent":
                role.version, role.modified_by = 2, "somebody"
        gone = access.default_role(session, "qualityAdministrator")
        assert gone is not None
        gone.default_role_id, gone.is_default = None, False  # somebody's own role of that name
        session.flush()
        renewed = {role.default_role_id: role.name for role in access.renew_default_roles(session, 2, new_id)}
        assert renewed == {
            "administrator": "Administrator",
            "agent": "Agent",
            "qualityAdministrator": "Quality administrator (built-in)",
        }
        supervisor = access.default_role(session, "supervisor")
        assert supervisor is not None
        assert supervisor.permissions == ["conversation:call:add"]
        assert access.renew_default_roles(session, 3, new_id) == []


def test_grants_become_access(database: Database) -> None:
    ann = Subject("user", "a")
    with database.transaction() as session:
        access.add_default_roles(session, 1, new_id)
        supervisor, agent = access.default_role(session, "supervisor"), access.default_role(session, "agent")
        assert supervisor is not None
        assert agent is not None
        for role, division in ((supervisor, "berlin"), (agent, "*"), (agent, "*")):
            access.grant(
                session,
                Grant(
                    id=new_id(),
                    subject_type="user",
                    subject_id="a",
                    role_id=role.id,
                    division_id=division,
                    granted_at=1,
                ),
            )
        assert len(access.grants(session, "a")) == 2
        assert access.subjects_of_role(session, agent.id) == ["a"]
    with database.transaction() as session:
        held = access.access_of(session, ann)
        assert held.divisions_for("recording:recording:view") == Divisions(ids=frozenset({"berlin"}))
        assert held.divisions_for("conversation:call:record") == ALL_DIVISIONS
        assert not access.access_of(session, Subject("client", "a")).permissions()
        assert access.revoke(session, "a", role_id=supervisor.id) == 1
        assert access.revoke(session, "a", division_id="berlin") == 0
        assert not access.access_of(session, ann).divisions_for("recording:recording:view")
        assert access.revoke(session, "a") == 1


def test_tokens_live_as_long_as_owner_client_and_time_allow(database: Database) -> None:
    with database.transaction() as session:
        session.add(OauthClient(id="c", name="C", secret_hash="x", created_at=1, modified_at=1))
        session.flush()
        oauth.add_token(session, "of-ann", Subject("user", "a"), at=1, expires_at=100, client_id="c")
        oauth.add_token(session, "of-c", Subject("client", "c"), at=1, expires_at=100)
        oauth.add_token(session, "of-dora", Subject("user", "d"), at=1, expires_at=100)
    with database.reading() as session:
        row = oauth.token(session, "of-ann", 99)
        assert row is not None
        assert (row.subject_id, "of-ann" in row.sha256) == ("a", False)
        assert oauth.token(session, "of-ann", 100) is None
        assert oauth.token(session, "of-dora", 50) is None
        assert oauth.token(session, "unknown", 50) is None
    with database.transaction() as session:
        client = oauth.client(session, "c")
        assert client is not None
        client.state = "inactive"
        session.flush()
        assert oauth.token(session, "of-ann", 50) is None
        assert oauth.token(session, "of-c", 50) is None
        client.state = "active"
        session.flush()
        assert oauth.token(session, "of-c", 50) is not None
        assert oauth.end_token(session, "of-dora") is True
        assert oauth.end_token(session, "of-dora") is False
        assert _names(oauth.clients(session)) == ["C"]
        assert oauth.delete_client(session, "c") is True
        assert oauth.delete_client(session, "c") is False
        assert oauth.token(session, "of-ann", 50) is None


def test_tokens_end(database: Database) -> None:
    with database.transaction() as session:
        for token, until in (("one", 10), ("two", 20), ("three", 30)):
            oauth.add_token(session, token, Subject("user", "a"), at=1, expires_at=until)
        assert oauth.remove_expired(session, 10) == 1
        assert oauth.end_tokens_of(session, "a") == 2


def test_settings(database: Database) -> None:
    with database.transaction() as session:
        assert settings.get(session, "recording", {"a": 0}) == {"a": 0}
        settings.put(session, "recording", {"a": 1}, 5)
        settings.put(session, "recording", {"a": 2}, 6)
        settings.put(session, "nothing", None, 6)
    with database.reading() as session:
        assert settings.get(session, "recording") == {"a": 2}
        assert settings.get(session, "nothing", 1) is None


def test_audit(database: Database) -> None:
    ann = Subject("user", "a")
    with database.transaction() as session:
        for at, action in ((1, "media.read"), (2, "media.read"), (3, "list")):
            audit.add(session, at=at, subject=ann, action=action, entity_type="recording", entity_id=f"r{at}",
                      conversation_id="c", remote_address="192.0.2.1", detail={"n": at})  # fmt: skip
        audit.add(session, at=4, subject=audit.ANONYMOUS, action="sign-in", entity_type="user", result="denied")
    with database.reading() as session:
        assert [row.at for row in audit.listing(session).items] == [4, 3, 2, 1]
        assert [row.at for row in audit.listing(session, action="media.read").items] == [2, 1]
        assert [row.at for row in audit.listing(session, subject_id="a", since=2, until=3).items] == [2]
        assert [row.detail for row in audit.listing(session, entity_type="recording", entity_id="r3").items] == [
            {"n": 3}
        ]
        denied = audit.listing(session, size=1).items[0]
        assert (denied.subject_type, denied.subject_id, denied.result) == ("anonymous", None, "denied")
        assert audit.listing(session, conversation_id="c").total == 3
