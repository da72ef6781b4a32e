"""What stations record (A7), as the edge gets it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from earwitness.domain.configuration import Snapshot
from earwitness.domain.recording.settings import TrunkRecording
from earwitness.store import named, snapshot, trunks
from earwitness.store.database import Database
from earwitness.store.tables import Division, Organization, Phone, Site, Station, TrunkBase

_count = itertools.count(1)
AT: dict[str, Any] = {"created_at": 1, "modified_at": 1, "division_id": "home"}


class NoBox:
    """There is nothing to seal."""

    def encrypt(self, plain: bytes, context: bytes) -> bytes:
        raise NotImplementedError

    def decrypt(self, sealed: bytes, context: bytes) -> bytes:
        raise NotImplementedError


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """Phones in Rome and Oslo, one at no site, and a station without a phone."""
    database = Database(database_url)
    with database.transaction() as session:
        session.add(Organization(id="o", name="Acme", created_at=1))
        session.add(Division(id="home", name="Home", home=True, created_at=1, modified_at=1))
        session.flush()
        session.add_all([Site(id="rome", name="Rome", **AT), Site(id="oslo", name="Oslo", **AT)])
        session.flush()
        for name, site in (("rome", "rome"), ("oslo", "oslo"), ("nowhere", None)):
            session.add(Phone(id=f"p-{name}", name=name, site_id=site, **AT))
            session.flush()
            session.add(Station(id=f"s-{name}", name=name, username=name, phone_id=f"p-{name}", **AT))
        session.add(Station(id="s-soft", name="soft", username="soft", **AT))
    yield database
    database.dispose()


def add(database: Database, name: str, site: str | None = None, kind: str = "PHONE", **values: Any) -> str:
    with database.transaction() as session:
        base = TrunkBase(id=f"b{next(_count)}", name=name, trunk_metabase_id="m", trunk_type=kind, site_id=site, **AT)
        properties = {key: {"value": {"instance": value}} for key, value in values.items()}
        trunks.set_properties(base, properties, NoBox())
        trunks.add_base(session, base, lambda: f"t{next(_count)}")
        return base.id


def build(database: Database) -> Snapshot:
    with database.reading() as session:
        found = snapshot.build(session, NoBox())
    assert Snapshot.from_document(found.to_document()) == found
    return found


def recording(database: Database) -> dict[str, TrunkRecording]:
    return {item.username: item.recording for item in build(database).stations if item.recording is not None}


def test_a3_a7_no_station_records_until_somebody_turns_it_on(database: Database) -> None:
    assert recording(database) == {}
    add(database, "Phones")
    add(database, "Carrier", kind="EXTERNAL", trunk_recording_enabled=True)
    add(database, "Tie", kind="EDGE", trunk_recording_enabled=True)
    assert recording(database) == {}


def test_a7_a_phone_trunk_without_a_site_is_for_every_station(database: Database) -> None:
    add(
        database,
        "Phones",
        trunk_recording_enabled=True,
        trunk_recording_dualChannel=True,
        trunk_recording_audioFormat="audio/PCMU",
        trunk_recording_consent_required=True,
        trunk_disallow_recording_during_hold=False,
        trunk_recording_beep_enabled=True,
    )
    found = recording(database)
    assert set(found) == {"rome", "oslo", "nowhere", "soft"}
    assert {settings.audio_format for settings in found.values()} == {"audio/PCMU"}
    one = found["rome"]
    assert one.dual_channel
    assert one.consent_required
    assert one.holds
    assert one.beep.enabled
    assert build(database).trunks == (), "it carries no calls to the outside"


def test_a7_a_phone_trunk_of_a_site_is_for_its_phones_and_comes_first(database: Database) -> None:
    add(database, "Rome", "rome", trunk_recording_enabled=True)
    assert set(recording(database)) == {"rome"}
    add(database, "All", trunk_recording_enabled=True, trunk_recording_audioFormat="audio/L16")
    assert {name: item.audio_format for name, item in recording(database).items()} == {
        "rome": "audio/opus",
        "oslo": "audio/L16",
        "nowhere": "audio/L16",
        "soft": "audio/L16",
    }
    add(database, "Oslo", "oslo", trunk_recording_enabled=False)
    assert set(recording(database)) == {"rome", "nowhere", "soft"}, "a site may be left out"


def test_a7_of_two_phone_trunks_the_one_that_records_counts(database: Database) -> None:
    add(database, "A")
    add(database, "B", trunk_recording_enabled=True, trunk_recording_audioFormat="audio/PCMA")
    add(database, "C", trunk_recording_enabled=True, trunk_recording_audioFormat="audio/L16")
    assert {item.audio_format for item in recording(database).values()} == {"audio/PCMA"}


def test_a7_a_phone_trunk_that_is_off_deleted_or_broken_records_nothing(database: Database) -> None:
    add(database, "Off", trunk_recording_enabled=True, trunk_enabled=False)
    add(database, "Broken", trunk_recording_enabled=True, trunk_recording_audioFormat="audio/flac")
    gone = add(database, "Gone", trunk_recording_enabled=True)
    with database.transaction() as session:
        base = named.get(session, TrunkBase, gone)
        assert base is not None
        trunks.delete_base(session, base, 2, None)
    assert recording(database) == {}


def test_a7_the_version_moves_when_a_phone_goes_to_another_site(database: Database) -> None:
    add(database, "Rome", "rome", trunk_recording_enabled=True)
    before = build(database).version
    with database.transaction() as session:
        session.get_one(Phone, "p-oslo").site_id = "rome"
    assert build(database).version > before
    assert set(recording(database)) == {"rome", "oslo"}
