"""Trunks, phones, numbers, and the snapshot that the edge gets of them."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError

from earwitness.domain.access import Divisions
from earwitness.domain.configuration import Snapshot
from earwitness.store import named, settings, snapshot, telephony, trunks
from earwitness.store.database import Database
from earwitness.store.secrets import ha1
from earwitness.store.tables import CallRoute, Did, Division, Organization, Station, Trunk, TrunkBase, User

_count = itertools.count(1)
AT: dict[str, Any] = {"created_at": 1, "modified_at": 1, "division_id": "home"}


def new_id() -> str:
    return f"id{next(_count)}"


class Box:
    """Seals by turning bytes round; enough to see what is sealed and for what."""

    def encrypt(self, plain: bytes, context: bytes) -> bytes:
        return context + b"|" + plain[::-1]

    def decrypt(self, sealed: bytes, context: bytes) -> bytes:
        head, _, body = sealed.rpartition(b"|")
        if head != context:
            raise ValueError("sealed for something else")
        return body[::-1]


def properties(**values: Any) -> dict[str, Any]:
    return {key: {"value": {"instance": value}} for key, value in values.items()}


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    with database.transaction() as session:
        session.add(Organization(id="o", name="Acme", created_at=1))
        session.add(Division(id="home", name="Home", home=True, created_at=1, modified_at=1))
        session.flush()
        for name in ("Ann", "Bob", "Eve"):
            state = "inactive" if name == "Eve" else "active"
            session.add(User(id=name[0].lower(), name=name, email=f"{name.lower()}@x", state=state, **AT))
    yield database
    database.dispose()


def add_trunk(database: Database, name: str = "Carrier", **values: Any) -> str:
    with database.transaction() as session:
        base = TrunkBase(id=new_id(), name=name, trunk_metabase_id="m", **AT)
        trunks.set_properties(base, properties(**values), Box())
        trunks.add_base(session, base, new_id)
        return base.id


def build(database: Database) -> Snapshot:
    with database.reading() as session:
        found = snapshot.build(session, Box())
    assert Snapshot.from_document(found.to_document()) == found
    return found


def test_nothing_without_an_organization(database_url: str) -> None:
    database = Database(database_url)
    with database.reading() as session, pytest.raises(LookupError, match="init"):
        snapshot.build(session, Box())
    database.dispose()


def test_a_trunk_reaches_the_edge_with_every_setting(database: Database) -> None:
    add_trunk(
        database,
        trunk_recording_enabled=True,
        trunk_recording_dualChannel=True,
        trunk_transport_serverProxyList=["192.0.2.1:5060", " sbc.example:5061 "],
        trunk_transport_protocolVariant="TCP",
        trunk_access_acl_allowList=["198.51.100.0/24"],
        trunk_access_acl_denyList="203.0.113.1, 203.0.113.2",
        trunk_sip_authentication_credentials_username="acme",
        trunk_sip_authentication_credentials_realm="carrier",
        trunk_sip_authentication_credentials_password="s3cret",
        trunk_maxDialTimeout="1m30s",
        earwitness_outbound_patterns=[r"\+49.*"],
        earwitness_record_failure="refuse",
        unknown_key=[1, {"a": None}],
    )
    (trunk,) = build(database).trunks
    assert trunk.servers == ("192.0.2.1:5060", "sbc.example:5061")
    assert (trunk.transport, trunk.allow, trunk.deny) == ("tcp", ("198.51.100.0/24",), ("203.0.113.1", "203.0.113.2"))
    assert trunk.credentials is not None
    assert (trunk.credentials.username, trunk.credentials.password, trunk.credentials.realm) == (
        "acme",
        "s3cret",
        "carrier",
    )
    assert (trunk.max_dial_s, trunk.patterns, trunk.refuse_unrecordable) == (90.0, (r"\+49.*",), True)
    assert trunk.enabled
    assert trunk.recording.enabled
    assert trunk.recording.dual_channel
    assert not trunk.recording.holds


def test_a_password_never_lies_among_the_properties(database: Database) -> None:
    base_id = add_trunk(database, trunk_sip_authentication_credentials_password="s3cret", unknown_key="kept")
    with database.transaction() as session:
        base = named.get(session, TrunkBase, base_id)
        assert base is not None
        assert base.properties == properties(unknown_key="kept")
        assert "s3cret" not in str(base.secrets)
        for values, expected in (
            ({}, "s3cret"),
            ({trunks.PASSWORD: trunks.MASK}, "s3cret"),
            ({trunks.PASSWORD: None}, "s3cret"),
            ({trunks.PASSWORD: "new"}, "new"),
            ({trunks.PASSWORD: ""}, ""),
        ):
            trunks.set_properties(base, properties(**values), Box())
            assert trunks.secret(base, trunks.PASSWORD, Box()) == expected


def test_a_trunk_that_cannot_be_understood_is_left_out(database: Database) -> None:
    add_trunk(database, "Bad", trunk_maxDialTimeout="soon")
    add_trunk(database, "Worse", trunk_recording_audioFormat="audio/GSM", trunk_recording_dualChannel=True)
    add_trunk(database, "Good")
    assert [trunk.name for trunk in build(database).trunks] == ["Good"]


def test_changes_of_a_base_reach_its_trunk(database: Database) -> None:
    base_id = add_trunk(database)
    with database.transaction() as session:
        base = named.get(session, TrunkBase, base_id)
        assert base is not None
        base.name = "Renamed"
        trunks.set_properties(base, properties(trunk_enabled=False), Box())
        trunks.base_changed(session, base, 9, "a")
        assert (base.version, base.modified_at, base.modified_by) == (2, 9, "a")
    (trunk,) = build(database).trunks
    assert (trunk.name, trunk.enabled) == ("Renamed", False)
    with database.transaction() as session:
        base = named.get(session, TrunkBase, base_id)
        assert base is not None
        trunks.delete_base(session, base, 10, "a")
    assert build(database).trunks == ()
    with database.reading() as session:
        assert named.get(session, TrunkBase, base_id) is None
        assert named.get(session, TrunkBase, base_id, deleted=True) is not None
        assert trunks.trunks(session).total == 0


def test_a12_trunks_with_recording_are_counted(database: Database) -> None:
    add_trunk(database, "On", trunk_recording_enabled=True)
    add_trunk(database, "Off")
    add_trunk(database, "Off too", trunk_recording_enabled=False)
    with database.reading() as session:
        assert trunks.recording_counts(session) == (1, 2)
        assert trunks.recording_counts(session, "PHONE") == (0, 0)
        assert [base.name for base in trunks.bases(session, recording=True).items] == ["On"]
        page = trunks.bases(session, recording=False, number=2, size=1)
        assert ([base.name for base in page.items], page.total) == (["Off too"], 2)
        assert trunks.bases(session, name="off").total == 2


def test_a3_recording_is_off_until_somebody_turns_it_on(database: Database) -> None:
    add_trunk(database)
    assert not build(database).trunks[0].recording.enabled


def station(name: str, **values: Any) -> Station:
    return Station(id=f"s-{name}", name=name, username=name, **{**AT, **values})


def test_stations_and_who_sits_there(database: Database) -> None:
    with database.transaction() as session:
        first, second = station("one", default_user_id="a"), station("two")
        session.add_all([first, second, station("three", user_id="e"), station("gone", state="deleted")])
        telephony.set_credentials(first, "one", "pw", 2, None)
        session.flush()
    found = {item.username: item for item in build(database).stations}
    assert set(found) == {"one", "two", "three"}
    assert found["one"].user_id == "a"
    assert found["three"].user_id is None  # Eve is inactive
    assert found["one"].ha1_md5 == hashlib.md5(b"one:earwitness:pw").hexdigest()
    assert found["one"].ha1_sha256 == hashlib.sha256(b"one:earwitness:pw").hexdigest()
    with database.transaction() as session:
        telephony.associate(session, session.get_one(Station, "s-two"), "a", 3, None)
    found = {item.username: item for item in build(database).stations}
    assert (found["one"].user_id, found["two"].user_id) == (None, "a")
    with database.transaction() as session:
        telephony.associate(session, session.get_one(Station, "s-one"), "a", 4, None)
        telephony.set_default_user(session, session.get_one(Station, "s-two"), "a", 4, None)
        assert [row.name for row in telephony.stations(session, user_id="a").items] == ["one", "two"]
    with database.reading() as session:
        assert session.get_one(Station, "s-two").user_id is None
        assert session.get_one(Station, "s-one").default_user_id is None
        found_row = telephony.station_by_username(session, "one")
        assert found_row is not None
        assert telephony.station_by_username(session, "gone") is None


def test_a_sip_name_is_taken_once_and_free_again_when_deleted(database: Database) -> None:
    with database.transaction() as session:
        session.add_all([station("one"), Station(id="old", name="x", username="one", **{**AT, "state": "deleted"})])

    def again() -> None:
        with database.transaction() as session:
            session.add(Station(id="new", name="x", username="one", **AT))

    with pytest.raises(IntegrityError):
        again()


def test_numbers_lead_to_routes_first_then_to_their_owners(database: Database) -> None:
    with database.transaction() as session:
        for number, owner in (("+491", "a"), ("+492", "b"), ("+493", None)):
            session.add(
                Did(id=number, number=number, owner_type="USER" if owner else None, owner_id=owner, created_at=1,
                    modified_at=1)
            )  # fmt: skip
        session.add(CallRoute(id="r", name="Route", dnis=["+491", "+499"], target_type="user", target="b", **AT))
        session.add(CallRoute(id="n", name="Nowhere", dnis=["+497"], **AT))
        session.add(
            CallRoute(id="i", name="Off", dnis=["+498"], target_type="user", target="b", **{**AT, "state": "inactive"})
        )
    found = build(database)
    assert [(route.dnis, route.target) for route in found.call_routes] == [(("+491", "+499"), "b"), (("+492",), "b")]
    assert {user.id: user.address for user in found.users} == {"a": "+491", "b": "+492"}
    with database.reading() as session:
        route = telephony.route_for(session, "+499")
        assert route is not None
        assert route.id == "r"
        assert telephony.route_for(session, "+498") is None
        assert [row.number for row in telephony.dids(session, phone_number="49").items] == ["+491", "+492", "+493"]
        assert telephony.dids(session, owner_id="a").total == 1


def test_the_version_moves_with_every_change_that_the_edge_needs(database: Database) -> None:
    before = build(database).version
    add_trunk(database)
    after = build(database).version
    assert after == before + 1
    with database.transaction() as session:
        settings.put(session, settings.TELEPHONY, {"ringTimeoutSeconds": 12}, 5)
    found = build(database)
    assert (found.version, found.ring_timeout_s) == (after + 1, 12.0)
    with database.reading() as session:
        assert snapshot.configuration_version(session) == found.version


def test_listing_by_division(database: Database) -> None:
    add_trunk(database)
    with database.reading() as session:
        assert named.listing(session, Trunk).total == 1
        assert named.listing(session, Trunk, divisions=Divisions(ids=frozenset({"rome"}))).total == 0
        assert named.listing(session, TrunkBase, name="CARR", state="active").total == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", 7.0), ("2m", 120.0), ("90s", 90.0), ("1m30s", 90.0), ("1h", 3600.0), ("45", 45.0), ("2M", 120.0)],
)
def test_lengths_of_time(text: str, expected: float) -> None:
    assert snapshot.seconds(text, 7.0) == expected


@pytest.mark.parametrize("text", ["0", "0s", "soon", "-1", "1.5m", "m"])
def test_bad_lengths_of_time(text: str) -> None:
    with pytest.raises(ValueError, match=r"length of time|above 0"):
        snapshot.seconds(text, 7.0)


def test_ha1_takes_any_password() -> None:
    assert len(ha1("ä", "pä:ss")[0]) == 32
