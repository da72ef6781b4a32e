"""The life of a recording through the vendor's SDK: dates, restoration, protection, deletion with a receipt."""

from __future__ import annotations

import datetime as dt
from typing import Any

import httpx
import PureCloudPlatformClientV2 as sdk  # noqa: N813
import pytest
from PureCloudPlatformClientV2.rest import ApiException

from earwitness.archive.vault import IntegrityError, receipt
from earwitness.archive.vault.log import canonical
from earwitness.archive.vault.merkle import leaf_hash, verify_inclusion
from earwitness.store.tables import Recording, Setting
from earwitness.web.kernel.documents import date_text
from earwitness.worker.arguments import WorkerArguments
from earwitness.worker.bench import Bench
from earwitness.worker.purge import Purge
from earwitness.worker.steady import SteadyClock

DAY = 86_400_000_000
RECORDING = "/api/v2/conversations/{}/recordings/{}"


def now_us() -> int:
    return int(dt.datetime.now(dt.UTC).timestamp() * 1e6)


def work(site: Any, ahead_us: int = 0) -> int:
    """A turn of the worker's chore, perhaps some time from now."""
    arguments = WorkerArguments(
        database_url=site.arguments.database_url,
        spool=site.arguments.spool_dir,
        vault_url=site.arguments.vault_url,
        keys=site.arguments.keys_dir,
    )
    bench = Bench(site.world.database, arguments, lambda: now_us() + ahead_us)
    return Purge(SteadyClock(lambda: 0.0))(bench)


def at(us: int) -> str:
    return date_text(now_us() + us)


def status_of(action: Any, *arguments: Any, **more: Any) -> int:
    with pytest.raises(ApiException) as caught:
        action(*arguments, **more)
    return int(caught.value.status)


def test_g3_absent_stays_null_removes_and_the_rest_is_ignored(site, recorded):
    path = RECORDING.format(*recorded.store_call(site))
    http = site.http()
    first = http.put(path, json={"deleteDate": at(9 * DAY), "archiveDate": at(3 * DAY), "exportDate": at(DAY)}).json()
    assert {"deleteDate", "archiveDate", "exportDate"} <= first.keys()
    again = http.put(path, json={**first, "fileState": "DELETED", "conversationId": "x", "outputDurationMs": 1}).json()
    assert {key: again[key] for key in first if key != "mediaUris" and key != "annotations"} == {
        key: first[key] for key in first if key != "mediaUris" and key != "annotations"
    }
    assert http.put(path, json={"archiveDate": None}).json()["deleteDate"] == first["deleteDate"]
    assert "exportDate" not in http.put(path + "?clearExport=true", json={}).json()
    assert "deleteDate" not in http.put(path, json={"deleteDate": None}).json()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"deleteDate": -DAY}, "deleteDate"),
        ({"archiveDate": -DAY}, "archiveDate"),
        ({"exportDate": -3600 * 1_000_000}, "exportDate"),
        ({"deleteDate": DAY, "archiveDate": 2 * DAY}, "archiveDate"),
        ({"deleteDate": DAY, "exportDate": DAY}, "exportDate"),
    ],
)
def test_g3_dates_that_are_past_or_contradict_are_refused(sqlite_site, recorded, change, field):
    path = RECORDING.format(*recorded.store_call(sqlite_site))
    moment = now_us()
    body = {key: date_text(moment + value) for key, value in change.items()}
    reply = sqlite_site.http().put(path, json=body)
    assert (reply.status_code, reply.json()["code"]) == (400, "invalid.date")
    assert reply.json()["details"][0]["fieldName"] == field
    assert field in reply.json()["message"]
    assert "deleteDate" not in sqlite_site.http().get(path).json()


def test_g3_a_delete_date_before_a_stamped_archive_date_is_refused(sqlite_site, recorded):
    path = RECORDING.format(*recorded.store_call(sqlite_site))
    http = sqlite_site.http()
    assert http.put(path, json={"archiveDate": at(5 * DAY)}).status_code == 200
    reply = http.put(path, json={"deleteDate": at(DAY)})
    assert reply.status_code == 400
    assert "archiveDate" in reply.json()["message"]
    assert http.put(path, json={"deleteDate": at(DAY), "archiveDate": None}).status_code == 200


def test_g2_g10_g12_g14_deleted_by_date(site, recorded):
    conversation_id, recording_id = recorded.store_call(site)
    api = sdk.RecordingApi(site.sdk())
    found = api.get_conversation_recording(conversation_id, recording_id, format_id="WEBM")
    media = found.media_uris["S"].media_uri
    found.delete_date = date_text(now_us() + DAY)
    api.put_conversation_recording(conversation_id, recording_id, found)
    assert work(site) == 0
    assert work(site, 2 * DAY) == 1
    assert api.get_conversation_recordings(conversation_id) == []
    assert status_of(api.get_conversation_recording, conversation_id, recording_id) == 404
    assert status_of(api.put_conversation_recording, conversation_id, recording_id, found) == 404
    (tombstone,) = api.get_conversation_recordingmetadata(conversation_id)
    assert (tombstone.id, tombstone.file_state, tombstone.annotations) == (recording_id, "DELETED", None)
    assert httpx.get(media, trust_env=False).status_code == 404


def test_w5_deleting_needs_a_right_and_a_reason_and_leaves_a_receipt(site, recorded):
    conversation_id, recording_id = recorded.store_call(site)
    path = f"/api/v2/earwitness/recordings/{recording_id}"
    http = site.http()
    assert http.delete(path).status_code == 400
    assert http.delete(path, params={"reason": "  "}).status_code == 400
    assert site.http("supervisor").delete(path, params={"reason": "x"}).status_code == 403
    assert site.http("nobody").delete(path, params={"reason": "x"}).status_code == 403
    assert http.delete(f"/api/v2/earwitness/recordings/{recorded.new_id()}", params={"reason": "x"}).status_code == 404
    assert http.get(path + "/receipt").json()["code"] == "not.deleted"
    asked = http.request("DELETE", path, json={"reason": "the customer asked us to"})
    assert (asked.status_code, asked.json()["state"]) == (200, "DESTROYING")
    assert asked.json()["by"] == f"user:{site.world.users['admin']}"
    assert http.get(RECORDING.format(conversation_id, recording_id)).status_code == 404
    assert work(site) == 1
    assert http.delete(path, params={"reason": "once more"}).json()["state"] == "DESTROYED"
    found = http.get(path + "/receipt", params={"proof": "true"}).json()
    body = receipt.check(found["receipt"], found["publicKeys"])
    assert (body.recording_id, body.reason) == (recording_id, "the customer asked us to")
    assert body.by == f"user:{site.world.users['admin']}"
    proof = found["log"]
    leaf = leaf_hash(canonical(proof["entry"]))
    path_hashes = [bytes.fromhex(item) for item in proof["path"]]
    root = bytes.fromhex(proof["head"]["root"])
    assert verify_inclusion(leaf, proof["index"], proof["size"], path_hashes, root)
    forged = {**found["receipt"], "receipt": {**found["receipt"]["receipt"], "by": "somebody else"}}
    with pytest.raises(IntegrityError):
        receipt.check(forged, found["publicKeys"])
    rows = http.get("/api/v2/earwitness/audit", params={"entityId": recording_id}).json()["entities"]
    assert {"deleteRecording", "recording.deleted"} <= {row["action"] for row in rows}


def test_e8_the_owner_deletes_by_the_same_road(site, recorded):
    _, recording_id = recorded.store_call(site, role="ADHOC")
    recorded_too = f"/api/v2/earwitness/recordings/{recording_id}"
    assert site.http().delete(recorded_too, params={"reason": "x"}).status_code == 404
    sdk.UserRecordingsApi(site.sdk("agent")).delete_userrecording(recording_id)
    assert work(site) == 1
    with site.world.database.reading() as session:
        row = session.get_one(Recording, recording_id)
        assert row.receipt["receipt"]["by"] == f"user:{site.world.users['agent']}"
    mine = site.http("agent").get(recorded_too + "/receipt")
    assert mine.status_code in (200, 403)
    assert site.http().get(recorded_too + "/receipt").status_code == 404


def test_g4_g10_archived_recordings_are_restored_for_a_while(site, recorded):
    conversation_id, recording_id = recorded.store_call(site)
    api, http, path = sdk.RecordingApi(site.sdk()), site.http(), RECORDING.format(conversation_id, recording_id)
    media = http.get(path).json()["mediaUris"]["S"]["mediaUri"]
    assert http.put(path, json={"archiveDate": at(DAY), "deleteDate": at(90 * DAY)}).status_code == 200
    assert work(site, 2 * DAY) == 1
    found = api.get_conversation_recording(conversation_id, recording_id)
    assert (found.file_state, found.archive_medium, found.media_uris, found.start_time) == (
        "ARCHIVED", "CLOUDARCHIVE", None, None)  # fmt: skip
    assert api.get_conversation_recordingmetadata(conversation_id)[0].annotations is None
    assert httpx.get(media, trust_env=False).status_code == 404
    assert http.put(path, json=http.get(path).json()).json()["fileState"] == "ARCHIVED", "sent back as it came"
    assert http.put(path, json={"archiveDate": None}).status_code == 409
    assert http.put(path, json={"archiveDate": at(-DAY)}).status_code == 400
    assert http.put(path, json={"archiveDate": at(99 * DAY)}).status_code == 400, "after its delete date"
    until = at(7 * DAY)
    restoring = http.put(path, json={"archiveDate": until}).json()
    assert (restoring["fileState"], restoring["restoreExpirationTime"]) == ("RESTORING", until)
    assert "mediaUris" not in restoring
    assert work(site) == 1
    back = http.get(path).json()
    assert back["fileState"] == "RESTORED"
    assert httpx.get(back["mediaUris"]["S"]["mediaUri"], trust_env=False).status_code == 200
    longer = at(20 * DAY)
    assert http.put(path, json={"archiveDate": longer}).json()["restoreExpirationTime"] == longer
    assert work(site, 10 * DAY) == 0
    assert work(site, 21 * DAY) == 1
    assert http.get(path).json()["fileState"] == "ARCHIVED"


def test_i1_i2_i4_i5_i6_protection(site, recorded):
    calls = [recorded.store_call(site) for _ in range(3)]
    ids = [conversation_id for conversation_id, _ in calls]
    api, http = sdk.RecordingApi(site.sdk()), site.http()
    query = sdk.ConversationDeletionProtectionQuery()
    query.conversation_ids = [*ids[:2], ids[0], "nowhere"]
    done = api.put_recordings_deletionprotection(protect=True, body=query)
    assert [(item.conversation.id, item.error_code) for item in done.failed_updates] == [("nowhere", "not.found")]
    query.conversation_ids = ids
    assert [item.id for item in api.post_recordings_deletionprotection(query)] == ids[:2]
    assert sdk.RecordingApi(site.sdk("nobody")).post_recordings_deletionprotection(query) == []
    assert status_of(sdk.RecordingApi(site.sdk("supervisor")).put_recordings_deletionprotection, body=query) == 403
    refused = http.delete(f"/api/v2/earwitness/recordings/{calls[0][1]}", params={"reason": "x"})
    assert (refused.status_code, refused.json()["code"]) == (409, "deletion.protected")
    for conversation_id, recording_id in calls:
        path = RECORDING.format(conversation_id, recording_id)
        assert http.put(path, json={"deleteDate": at(DAY)}).status_code == 200
    assert work(site, 2 * DAY) == 1, "the one that is not protected"
    query.conversation_ids = ids[:2]
    assert api.put_recordings_deletionprotection(protect=False, body=query).failed_updates == []
    assert api.post_recordings_deletionprotection(query) == []
    assert work(site, 2 * DAY) == 2
    query.conversation_ids = [ids[0]]
    gone = api.put_recordings_deletionprotection(protect=True, body=query).failed_updates
    assert [item.error_code for item in gone] == ["no.recording"]
    rows = http.get("/api/v2/earwitness/audit", params={"conversationId": ids[0]}).json()["entities"]
    assert [row["action"] for row in rows if row["action"] in ("protect", "unprotect")] == ["unprotect", "protect"]
    query.conversation_ids = [str(number) for number in range(101)]
    assert status_of(api.put_recordings_deletionprotection, protect=True, body=query) == 400
    assert http.put("/api/v2/recordings/deletionprotection", json={}).status_code == 400


def test_i1_at_most_a_thousand(sqlite_site, recorded, monkeypatch):
    monkeypatch.setattr("earwitness.store.protection.MOST", 1)
    ids = [recorded.store_call(sqlite_site)[0] for _ in range(2)]
    reply = sqlite_site.http().put("/api/v2/recordings/deletionprotection", json={"conversationIds": ids}).json()
    assert [(item["conversation"]["id"], item["errorCode"]) for item in reply["failedUpdates"]] == [
        (ids[1], "limit.reached")
    ]


def test_f20_settings_of_the_maximum(site, recorded):
    api = sdk.AnalyticsApi(site.sdk())
    assert api.get_analytics_dataretention_settings().retention_days is None
    body = sdk.UpdateAnalyticsDataRetentionRequest()
    for wrong in (89, 0, -1, 1 << 40):
        body.retention_days = wrong
        assert status_of(api.put_analytics_dataretention_settings, body) == 400
    body.retention_days = 90
    assert api.put_analytics_dataretention_settings(body).retention_days == 90
    found = api.get_analytics_dataretention_settings()
    assert found.retention_days == 90
    assert found.date_created is not None
    assert found.date_modified is not None
    path = "/api/v2/analytics/dataretention/settings"
    assert site.http().put(path, json={}).status_code == 400
    assert site.http().put(path, json={"retentionDays": "90"}).status_code == 400
    assert site.http("supervisor").put(path, json={"retentionDays": 95}).status_code == 403
    assert "retentionDays" not in site.http().put(path, json={"retentionDays": None}).json()
    with site.world.database.reading() as session:
        assert session.get_one(Setting, "retention").value["days"] is None


def test_the_retention_query_reads_on_where_it_stopped(site, recorded):
    calls = [recorded.store_call(site) for _ in range(5)]
    recorded.store_call(site, role="ADHOC")
    with site.world.database.transaction() as session:
        for number, (_, recording_id) in enumerate(calls):
            session.get_one(Recording, recording_id).created_at = now_us() - number // 2 * DAY - 10 * DAY
    api, http = sdk.RecordingApi(site.sdk()), site.http()
    everything = api.get_recordings_retention_query(9)
    assert {item.recording_id for item in everything.entities} == {recording_id for _, recording_id in calls}
    assert everything.next_uri is None
    assert [item.recording_id for item in api.get_recordings_retention_query(11).entities] == [
        item.recording_id for item in everything.entities[:3]
    ]
    seen, uri = [], "/api/v2/recordings/retention/query?retentionThresholdDays=9&pageSize=2"
    while uri:
        page = http.get(uri).json()
        seen += [item["recordingId"] for item in page["entities"]]
        uri = page.get("nextUri")
    assert seen == [item.recording_id for item in everything.entities]
    assert http.get("/api/v2/recordings/retention/query").status_code == 400
    assert http.get("/api/v2/recordings/retention/query?retentionThresholdDays=1&cursor=%25").status_code == 400
    assert site.http("nobody").get("/api/v2/recordings/retention/query?retentionThresholdDays=1").status_code == 403


def test_g13_restorations_are_not_counted_and_no_error_is_made_up(sqlite_site, recorded):
    conversation_id, recording_id = recorded.store_call(sqlite_site)
    api = sdk.RecordingApi(sqlite_site.sdk())
    one = api.get_conversation_recording(conversation_id, recording_id)
    (without_media,) = api.get_conversation_recordingmetadata(conversation_id)
    for found in (one, without_media):
        assert found.max_allowed_restorations_for_org == 10_000
        assert found.remaining_restorations_allowed_for_org == 10_000
    assert one.recording_error_status is None


def test_g15_a_recording_of_eleven_hours_is_played_like_any(sqlite_site, recorded):
    conversation_id, recording_id = recorded.store_call(sqlite_site)
    with sqlite_site.world.database.transaction() as session:
        row = session.get_one(Recording, recording_id)
        row.duration_ms = 11 * 3600 * 1000
        row.ended_at = row.started_at + row.duration_ms * 1000
    found = sdk.RecordingApi(sqlite_site.sdk()).get_conversation_recording(conversation_id, recording_id)
    assert found.output_duration_ms == 11 * 3600 * 1000
    assert httpx.get(found.media_uris["S"].media_uri, trust_env=False).status_code == 200
