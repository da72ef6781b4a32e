"""The inbox, through the vendor's SDK: the owner alone."""

from __future__ import annotations

import json

import httpx
import PureCloudPlatformClientV2 as sdk  # noqa: N813
import pytest
from PureCloudPlatformClientV2.rest import ApiException

from earwitness.store.tables import Recording, Role


def inbox(site, name="agent"):
    return sdk.UserRecordingsApi(site.sdk(name))


def status_of(action, *arguments, **more):
    with pytest.raises(ApiException) as caught:
        action(*arguments, **more)
    return caught.value.status


def test_e2_e9_e14_the_owner_alone(site, recorded):
    conversation_id, recording_id = recorded.store_call(site, role="ADHOC")
    mine = inbox(site).get_userrecordings()
    assert [(item.id, item.read, item.duration_milliseconds) for item in mine.entities] == [(recording_id, False, 2000)]
    assert mine.entities[0].created_by.id == site.world.users["agent"]
    assert inbox(site).get_userrecording(recording_id).conversation.id == conversation_id
    for name in ("client", "admin", "supervisor", "other", "nobody"):
        others = inbox(site, name)
        assert others.get_userrecordings().entities == []
        assert others.get_userrecordings_summary().total_count == 0
        assert status_of(others.get_userrecording, recording_id) == 404
        assert status_of(others.put_userrecording, recording_id, sdk.UserRecording()) == 404
        assert status_of(others.delete_userrecording, recording_id) == 404
        assert status_of(others.get_userrecording_transcoding, recording_id) == 404
        if name != "nobody":
            http = site.http(name)
            listed = http.get(f"/api/v2/conversations/{conversation_id}/recordings")
            assert recording_id not in listed.text
            assert http.get(f"/api/v2/conversations/{conversation_id}/recordings/{recording_id}").status_code == 404
    own = sdk.RecordingApi(site.sdk("agent")).get_conversation_recordings(conversation_id)
    assert [(item.id, item.recording_file_role) for item in own] == [(recording_id, "ADHOC")]


def test_e8_no_retention_reaches_the_inbox(site, recorded):
    conversation_id, recording_id = recorded.store_call(site, role="ADHOC")
    path = f"/api/v2/conversations/{conversation_id}/recordings/{recording_id}"
    with site.world.database.transaction() as session:
        before = session.get_one(Recording, recording_id)
        session.get_one(Role, site.world.roles["agent"]).permissions = ["recording:recording:*"]
    for name in ("agent", "client", "admin", "supervisor", "other"):
        http = site.http(name)
        for change in ({"deleteDate": "2030-01-01"}, {"archiveDate": "2030-01-01"}, {"deleteDate": None}, {}):
            assert http.put(path, json=change).status_code == 404, name
    assert site.http("nobody").put(path, json={"deleteDate": "2030-01-01"}).status_code in (403, 404)
    own = site.http("agent")
    assert own.get(path).status_code == 200, "the owner hears it there all the same"
    own.put(f"/api/v2/userrecordings/{recording_id}", json={"read": True, "deleteDate": "2030-01-01T00:00:00Z"})
    with site.world.database.reading() as session:
        after = session.get_one(Recording, recording_id)
        assert (after.delete_date, after.archive_date) == (before.delete_date, before.archive_date) == (None, None)
        assert after.file_state == "AVAILABLE"


def test_e10_name_and_read_flag(site, recorded):
    _, recording_id = recorded.store_call(site, role="ADHOC")
    recorded.store_call(site, role="ADHOC")
    own = inbox(site)
    change = own.get_userrecording(recording_id)
    change.read, change.name = True, "The promise"
    changed = own.put_userrecording(recording_id, change)
    assert (changed.read, changed.name) == (True, "The promise")
    counts = own.get_userrecordings_summary()
    assert (counts.read_count, counts.unread_count, counts.total_count) == (1, 1, 2)
    expanded = own.get_userrecording(recording_id, expand=["conversation"])
    assert [person.purpose for person in expanded.conversation.participants] == ["external", "user"]
    change.name = "x" * 300
    assert status_of(own.put_userrecording, recording_id, change) == 400


def test_e11_media_by_signed_address(site, recorded):
    _, recording_id = recorded.store_call(site, role="ADHOC")
    own = inbox(site)
    for format_id in ("OGG_OPUS", "WAV", "MP3"):
        found = own.get_userrecording_transcoding(recording_id, format_id=format_id)
        assert found.state == "Completed"
        assert found.result_uri == found.content_location_uri
        reply = httpx.get(found.content_location_uri, trust_env=False)
        assert reply.status_code == 200
        assert len(reply.content) > 1000
    assert status_of(own.get_userrecording_transcoding, recording_id, format_id="NONE") == 400
    with site.world.database.transaction() as session:
        session.connection().exec_driver_sql("UPDATE users SET state = 'inactive' WHERE email = 'agent@example.com'")
    assert httpx.get(found.content_location_uri, trust_env=False).status_code == 404


def test_deleting_destroys(site, recorded):
    _, recording_id = recorded.store_call(site, role="ADHOC")
    own = inbox(site)
    uri = own.get_userrecording_transcoding(recording_id, format_id="WAV").result_uri
    own.delete_userrecording(recording_id)
    own.delete_userrecording(recording_id)
    assert own.get_userrecordings().entities == []
    assert status_of(own.get_userrecording, recording_id) == 404
    assert httpx.get(uri, trust_env=False).status_code == 404
    rows = site.http().get("/api/v2/earwitness/audit", params={"entityId": recording_id}).json()["entities"]
    assert "deleteUserRecording" in {row["action"] for row in rows}
    assert "The promise" not in json.dumps(rows)


def test_a_policy_recording_is_no_inbox_item(site, recorded):
    _, recording_id = recorded.store_call(site)
    own = inbox(site)
    assert own.get_userrecordings().entities == []
    assert status_of(own.get_userrecording, recording_id) == 404
    assert status_of(own.delete_userrecording, recording_id) == 404
