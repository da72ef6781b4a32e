"""On time, once, and for good: deletion, archive and restoration, on both databases with a real vault."""

from __future__ import annotations

from typing import Any

import pytest

from earwitness.archive.vault import DestroyedError, receipt
from earwitness.store import protection, retention, retention_tasks
from earwitness.worker.destroy import destroy

DAY = 86_400_000_000
MINUTE = 60_000_000


def test_g1_g2_a_recording_is_deleted_when_its_date_has_come(house: Any) -> None:
    doomed, other = house.record(delete_date=house.now + DAY), house.record()
    spooled = house.folder / "spool" / house.row(doomed).conversation_id
    spooled.mkdir()
    (spooled / f"{doomed}.0.0.rtpdump").write_bytes(b"plain")
    (spooled / "events.jsonl").write_bytes(b"{}")
    assert house.later(DAY - 1) == 0
    assert house.row(doomed).file_state == "AVAILABLE"
    assert house.later(1) == 1
    row = house.row(doomed)
    assert (row.file_state, row.deleted_at, row.peaks, row.annotations) == ("DELETED", house.now, None, [])
    assert house.objects_of(doomed) == []
    assert [path.name for path in spooled.iterdir()] == ["events.jsonl"]
    vault = house.vault()
    for name in (doomed, f"{doomed}-0-wav"):
        with pytest.raises(DestroyedError):
            vault.open(name)
    proof = receipt.check(row.receipt, vault.keyring.public_keys())
    assert (proof.recording_id, proof.by, proof.reason) == (doomed, "system", retention.BY_DATE)
    assert vault.log.find(proof.log_entry()) is not None
    assert [entry.detail["reason"] for entry in house.audited(doomed)] == [retention.BY_DATE]
    assert house.row(other).file_state == "AVAILABLE"
    assert len(house.objects_of(other)) > 0
    assert house.later(DAY) == 0
    assert len(house.audited(doomed)) == 1


def test_f20_h6_the_organisations_maximum_caps_every_recording(house: Any) -> None:
    kept, inbox = house.record(delete_date=house.now + 400 * DAY), house.record(role="ADHOC", owner="u")
    with house.database.transaction() as session:
        with pytest.raises(ValueError, match="90"):
            retention.set_maximum(session, 89, house.now)
        retention.set_maximum(session, 90, house.now)
    assert house.later(90 * DAY - 1) == 0
    assert house.later(1) == 2
    for recording_id in (kept, inbox):
        row = house.row(recording_id)
        assert (row.file_state, row.receipt["receipt"]["reason"]) == ("DELETED", retention.BY_MAXIMUM)


def test_e8_dates_do_not_reach_the_inbox(house: Any) -> None:
    inbox = house.record(role="ADHOC", owner="u", delete_date=house.now, archive_date=house.now)
    assert house.later(DAY) == 0
    with house.database.transaction() as session:
        assert retention.ask_to_delete(session, [inbox], "system", "a policy", house.now) == []
        assert retention.ask_to_delete(session, [inbox], "user:u", "its owner", house.now, inbox=True) == [inbox]
    assert house.later(1) == 1
    assert house.row(inbox).receipt["receipt"]["by"] == "user:u"


def test_i2_i3_protection_beats_dates_maximum_and_hands(house: Any) -> None:
    dated = house.record(delete_date=house.now)
    conversation_id = house.row(dated).conversation_id
    asked = house.record(conversation_id=conversation_id)
    with house.database.transaction() as session:
        retention.set_maximum(session, 90, house.now)
        assert protection.protect(session, conversation_id, at=house.now, by="user:u")
        assert protection.protect(session, conversation_id, at=house.now, by="user:u")
        assert retention.ask_to_delete(session, [asked], "user:u", "by hand", house.now) == []
    assert house.later(100 * DAY) == 0
    assert {house.row(name).file_state for name in (dated, asked)} == {"AVAILABLE"}
    with house.database.transaction() as session:
        assert protection.revoke(session, conversation_id)
        assert not protection.revoke(session, conversation_id)
    assert house.later(1) == 2
    assert house.row(asked).receipt["receipt"]["reason"] == "by hand"
    assert house.row(dated).file_state == "DELETED"
    with house.database.transaction() as session:
        assert not protection.protect(session, conversation_id, at=house.now, by="user:u"), "nothing is left"


def test_g1_g4_archive_and_restore(house: Any) -> None:
    recording_id = house.record(archive_date=house.now + DAY, delete_date=house.now + 30 * DAY)
    assert house.later(DAY) == 1
    row = house.row(recording_id)
    assert (row.file_state, row.archive_medium) == ("ARCHIVED", "CLOUDARCHIVE")
    lying = [path for path in house.objects_of(recording_id) if path.endswith(".sealed")]
    assert len(lying) == 3
    assert all(path.startswith("archive/") for path in lying)
    with house.database.transaction() as session:
        locked = session.get_one(type(row), recording_id)
        retention.begin_restoring(session, locked, house.now + 2 * DAY, by="user:u", at=house.now)
    assert house.row(recording_id).file_state == "RESTORING"
    assert house.later(1) == 1
    assert house.row(recording_id).file_state == "RESTORED"
    assert house.vault().open(recording_id).item("master").read()[:8] == b"what was"
    assert house.later(2 * DAY) == 1
    assert (house.row(recording_id).file_state, house.row(recording_id).restore_expires_at) == ("ARCHIVED", None)
    assert all(path.startswith("archive/") for path in house.objects_of(recording_id) if path.endswith(".sealed"))
    assert house.later(30 * DAY) == 1
    assert house.objects_of(recording_id) == []
    assert [len(house.audited(recording_id, f"recording.{what}")) for what in ("archived", "restored", "deleted")] == [
        2, 1, 1]  # fmt: skip


def test_a_clock_that_goes_back_undoes_nothing_and_hurries_nothing(house: Any) -> None:
    gone, soon = house.record(delete_date=house.now + DAY), house.record(delete_date=house.now + 3 * DAY)
    assert house.later(DAY) == 1
    house.now -= 5 * DAY
    asked = house.record()
    with house.database.transaction() as session:
        retention.ask_to_delete(session, [asked], "system", "a policy", house.now + 5 * DAY)
    assert house.later(MINUTE) == 1, "what was decided while the clock was ahead is carried out"
    assert house.row(asked).file_state == "DELETED"
    assert house.row(gone).file_state == "DELETED"
    assert house.row(soon).file_state == "AVAILABLE"
    assert house.later(7 * DAY) == 1
    assert len(house.audited(gone)) == 1


def test_a_clock_that_leaps_forward_is_not_believed_at_once(house: Any) -> None:
    recording_id = house.record(delete_date=house.now + DAY)
    house.later(1)
    house.now += 5 * DAY
    assert house.later(MINUTE) == 0
    house.now -= 5 * DAY
    assert house.later(MINUTE) == 0
    assert house.row(recording_id).file_state == "AVAILABLE"
    house.now += 5 * DAY
    assert house.later(MINUTE) == 0
    assert house.later(14 * MINUTE) == 0
    assert house.later(2 * MINUTE) == 1, "nobody put it right: it may be right"


def test_what_was_made_while_a_recording_was_destroyed_goes_too(house: Any) -> None:
    recording_id = house.record(delete_date=house.now)
    assert house.later(1) == 1
    late = f"{recording_id}-1-mp3"
    from earwitness.archive.vault import Item
    from earwitness.store.tables import RecordingObject

    with house.database.transaction() as session:
        session.add(RecordingObject(recording_id=recording_id, object_key=f"{late}/master", role="derived",
                                    media_type="x/y", size=1, sha256="", created_at=1))  # fmt: skip
    house.vault().seal(late, [Item("master", "x/y", b"said")], {}, 1)
    first = house.row(recording_id).receipt
    assert house.later(2 * 3600 * 1_000_000) == 1
    with pytest.raises(DestroyedError):
        house.vault().open(late)
    assert house.row(recording_id).receipt == first
    assert len(house.audited(recording_id)) == 1
    with house.database.reading() as session:
        assert retention_tasks.leftovers(session, 10) == []


def test_g2_who_destroys_at_once_gets_the_receipt(house: Any) -> None:
    recording_id, held, inbox = house.record(), house.record(), house.record(role="ADHOC", owner="u")
    with house.database.transaction() as session:
        protection.protect(session, house.row(held).conversation_id, at=house.now, by="user:u")
    found = destroy(house.bench, recording_id, by="system", reason="a policy")
    assert found == house.row(recording_id).receipt
    assert destroy(house.bench, recording_id, by="system", reason="another") == found
    assert destroy(house.bench, held, by="system", reason="a policy") is None
    assert destroy(house.bench, inbox, by="system", reason="a policy") is None
    assert destroy(house.bench, "nowhere", by="system", reason="a policy") is None
    assert destroy(house.bench, inbox, by="user:u", reason="its owner", inbox=True) is not None
    assert len(house.audited(recording_id)) == 1
    assert house.row(held).file_state == "AVAILABLE"


def test_an_export_that_is_due_is_waited_for_but_not_for_ever(house: Any) -> None:
    fields = {"delete_date": house.now, "export_date": house.now, "export_integration_id": "i"}
    exported, broken = house.record(**fields, exported_date=house.now), house.record(**fields)
    assert house.later(1) == 1
    assert house.row(exported).file_state == "DELETED"
    assert house.row(broken).file_state == "AVAILABLE"
    assert house.later(60 * MINUTE) == 1
    assert house.row(broken).file_state == "DELETED"
