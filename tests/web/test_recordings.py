"""Recordings: lists, documents, dates, media, through the vendor's SDK and a player's HTTP."""

from __future__ import annotations

import io
import threading
from pathlib import Path

import av
import httpx
import numpy as np
import PureCloudPlatformClientV2 as sdk  # noqa: N813
import pytest
from PureCloudPlatformClientV2.rest import ApiException

from earwitness.archive.vault import Vault, split_object_key
from earwitness.store import audit
from earwitness.store.tables import Conversation, RecordingObject


def fetch(uri: str, **more) -> httpx.Response:
    return httpx.get(uri, trust_env=False, verify=False, timeout=20, **more)


def decoded(content: bytes) -> tuple[np.ndarray, int]:
    with av.open(io.BytesIO(content)) as container:
        frames = list(container.decode(audio=0))
        blocks = []
        for frame in frames:
            block = frame.to_ndarray()
            channels = frame.layout.nb_channels
            blocks.append(block.reshape(-1, channels).T if not frame.format.is_planar else block)
        return np.concatenate(blocks, axis=1).astype(np.float64), frames[0].sample_rate


def test_g7_g8_g9_media_by_the_sdk_and_a_player(site, recorded):
    conversation_id, recording_id = recorded.store_call(site)
    api = sdk.RecordingApi(site.sdk())
    found = api.get_conversation_recordings(conversation_id, max_wait_ms=1000)
    assert [r.id for r in found] == [recording_id]
    one = found[0]
    assert (one.media_subtype, one.file_state, one.recording_file_role) == ("Trunk", "AVAILABLE", "CUSTOMER_EXPERIENCE")
    assert one.start_time == "2026-11-22T12:00:01.000Z" or one.start_time.endswith("Z")
    assert one.output_duration_ms == 2000
    assert set(one.media_uris) == {"0", "1", "S"}
    assert 0.1 < max(one.media_uris["0"].waveform_data) <= 1
    expected = {"0": [440], "1": [1000], "S": [440, 1000]}
    for format_id, kind in (
        ("WEBM", "audio/webm"),
        ("WAV", "audio/wav"),
        ("MP3", "audio/mpeg"),
        ("OGG_OPUS", "audio/ogg"),
        ("WAV_ULAW", "audio/wav"),
    ):
        media = api.get_conversation_recording(conversation_id, recording_id, format_id=format_id).media_uris
        for key, tones in expected.items():
            reply = fetch(media[key].media_uri)
            assert reply.status_code == 200, reply.text
            assert reply.headers["content-type"] == kind
            samples, rate = decoded(reply.content)
            assert [round(recorded.dominant(line, rate), -1) for line in samples] == tones
    assert api.get_conversation_recording(conversation_id, recording_id, format_id="NONE").media_uris is None
    both = api.get_conversation_recording(conversation_id, recording_id, format_id="WEBM", media_formats=["WAV", "MP3"])
    assert ".wav?" in both.media_uris["0"].media_uri
    vault = Vault.at(site.arguments.vault_url, site.arguments.keys_dir)
    with site.world.database.reading() as session:
        for row in session.query(RecordingObject).filter_by(recording_id=recording_id, role="derived"):
            vault_id, item = split_object_key(row.object_key)
            assert vault.open(vault_id).item(item).etag == row.sha256


def test_g9_ranges(site, recorded):
    conversation_id, recording_id = recorded.store_call(site)
    http = site.http()
    path = f"/api/v2/conversations/{conversation_id}/recordings/{recording_id}"
    uri = http.get(path, params={"formatId": "WAV"}).json()["mediaUris"]["S"]["mediaUri"]
    whole = fetch(uri)
    size = len(whole.content)
    assert whole.headers["accept-ranges"] == "bytes"
    for header, (start, end) in {
        "bytes=0-0": (0, 1),
        "bytes=100-199": (100, 200),
        "bytes=-10": (size - 10, size),
        "bytes=20-": (20, size),
        f"bytes=5-{size + 100}": (5, size),
    }.items():
        part = fetch(uri, headers={"Range": header})
        assert part.status_code == 206
        assert part.content == whole.content[start:end]
        assert part.headers["content-range"] == f"bytes {start}-{end - 1}/{size}"
    assert fetch(uri, headers={"Range": f"bytes={size}-"}).status_code == 416
    assert fetch(uri, headers={"Range": "bytes=0-1,5-6"}).status_code == 200
    etag = whole.headers["etag"]
    assert fetch(uri, headers={"Range": "bytes=0-1", "If-Range": etag}).status_code == 206
    assert fetch(uri, headers={"Range": "bytes=0-1", "If-Range": '"other"'}).status_code == 200
    head = httpx.head(uri, trust_env=False, verify=False)
    assert (head.status_code, head.headers["content-length"], head.content) == (200, str(size), b"")
    named = http.get(path, params={"download": True, "fileName": "a/b ü"}).json()["mediaUris"]["0"]["mediaUri"]
    assert fetch(named).headers["content-disposition"] == "attachment; filename*=UTF-8''ab%20%C3%BC.webm"


def test_g9_addresses_are_for_one_recording_one_subject_and_a_while(sqlite_site, recorded):
    conversation_id, recording_id = recorded.store_call(sqlite_site)
    _, other = recorded.store_call(sqlite_site)
    supervisor = sqlite_site.http("supervisor")
    reply = supervisor.get(f"/api/v2/conversations/{conversation_id}/recordings").json()
    uri = reply[0]["mediaUris"]["0"]["mediaUri"]
    assert fetch(uri).status_code == 200
    assert fetch(uri.replace(recording_id, other)).status_code == 403
    assert fetch(uri.replace("/0.webm", "/1.webm")).status_code == 403
    world = sqlite_site.world
    assert fetch(uri.replace(world.users["supervisor"], world.users["admin"])).status_code == 403
    expires = int(httpx.URL(uri).params["expires"])
    assert fetch(uri.replace(str(expires), str(expires + 60))).status_code == 403
    admin = sqlite_site.http()
    grants = f"/api/v2/authorization/subjects/{world.users['supervisor']}/bulkreplace"
    assert admin.post(grants, json={"grants": []}).status_code == 204
    gone = fetch(uri)
    assert (gone.status_code, gone.json()["code"]) == (404, "not.found")


def test_j13_j14_who_sees_a_recording(site, recorded):
    in_sales = recorded.store_call(site)
    at_home = recorded.store_call(site, user="admin", divisions=[site.world.home])
    expected = {
        "admin": (200, 200),
        "client": (200, 200),
        "supervisor": (200, 404),
        "agent": (200, 404),
        "other": (404, 404),
        "nobody": (403, 403),
    }
    for name, statuses in expected.items():
        http = site.http(name)
        for (conversation_id, recording_id), status in zip((in_sales, at_home), statuses, strict=True):
            base = f"/api/v2/conversations/{conversation_id}"
            for path in (
                "recordings",
                "recordingmetadata",
                f"recordings/{recording_id}",
                f"recordingmetadata/{recording_id}",
            ):
                assert http.get(f"{base}/{path}", params={"maxWaitMs": 0}).status_code == status, (name, path)


def test_e2_e14_a_user_recording_is_its_owners_alone(site, recorded):
    conversation_id, recording_id = recorded.store_call(site, role="ADHOC")
    for name, ids in {"agent": [recording_id], "admin": [], "supervisor": [], "client": []}.items():
        http = site.http(name)
        found = http.get(f"/api/v2/conversations/{conversation_id}/recordings")
        assert [item["id"] for item in found.json()] == ids, name
        assert http.get(f"/api/v2/conversations/{conversation_id}/recordings/{recording_id}").status_code == (
            200 if ids else 404
        )


def test_b11_ids_of_pauses(sqlite_site, recorded):
    conversation_id, recording_id = recorded.store_call(sqlite_site)
    api = sdk.RecordingApi(sqlite_site.sdk())
    first, second = (api.get_conversation_recording(conversation_id, recording_id).annotations for _ in range(2))
    assert first[1].id == first[2].id == second[1].id
    assert first[0].id != second[0].id
    assert [a.reason for a in first] == ["Hold", "SecurePause", "SecurePause"]


def test_g3_dates(site, recorded):
    conversation_id, recording_id = recorded.store_call(site)
    api = sdk.RecordingApi(site.sdk())
    recording = api.get_conversation_recording(conversation_id, recording_id)
    recording.delete_date = "2030-01-02T03:04:05"
    changed = api.put_conversation_recording(conversation_id, recording_id, recording)
    assert changed.delete_date.isoformat() == "2030-01-02T03:04:05+00:00"
    http = site.http()
    path = f"/api/v2/conversations/{conversation_id}/recordings/{recording_id}"
    kept = http.put(path, json={"fileState": "DELETED", "archiveDate": "2029-01-01T00:00:00+02:00"}).json()
    assert kept["deleteDate"] == "2030-01-02T03:04:05.000Z"
    assert kept["archiveDate"] == "2028-12-31T22:00:00.000Z"
    assert kept["fileState"] == "AVAILABLE"
    assert "deleteDate" not in http.put(path, json={"deleteDate": None}).json()
    assert http.put(path, json={"deleteDate": "tomorrow"}).json()["code"] == "invalid.date"
    assert site.http("supervisor").put(path, json={"deleteDate": None}).status_code == 403
    assert site.http("other").put(path, json={"deleteDate": None}).status_code == 404


def test_c2_consent_gives_no_shield(site, recorded):
    """What a caller agreed to is kept and deleted like anything else."""
    api = sdk.RecordingApi(site.sdk())
    seen = []
    for consented in (True, False):
        conversation_id, recording_id = recorded.store_call(site)
        if consented:
            with site.world.database.transaction() as session:
                call = session.get_one(Conversation, conversation_id)
                given = {"leg_id": "t", "flow_id": "f", "at": recorded.START}
                call.timeline = {**call.timeline, "consent": "granted", "consent_given": given}
        recording = api.get_conversation_recording(conversation_id, recording_id)
        fields = {name for name, value in recording.to_dict().items() if value is not None}
        recording.delete_date = "2027-01-02T03:04:05"
        changed = api.put_conversation_recording(conversation_id, recording_id, recording)
        seen.append((fields, changed.delete_date, changed.file_state))
        recording.delete_date = sdk.ApiNullValue()
        assert api.put_conversation_recording(conversation_id, recording_id, recording).delete_date is None
    assert seen[0] == seen[1], "nothing about it says that it is protected, and its dates are anybody's with the right"


def test_g6_waits_for_a_call_that_has_just_ended(site, recorded):
    tape_id, conversation_id = recorded.new_id(), recorded.new_id()
    events = recorded.call_events(conversation_id, site.world.users["agent"], tape_id, ended=False)
    site.edge.conversations[conversation_id] = recorded.live_document(events)
    http = site.http("supervisor")
    path = f"/api/v2/conversations/{conversation_id}/recordings"
    busy = http.get(path)
    assert (busy.status_code, busy.json(), busy.headers["retry-after"]) == (202, [], "1")
    assert site.http("other").get(path).status_code == 404
    # The edge has forgotten it, the spool has it, the worker is at it.
    site.edge.conversations.clear()
    folder = site.arguments.spool_dir / conversation_id
    folder.mkdir(parents=True)
    ended = recorded.call_events(conversation_id, site.world.users["agent"], tape_id, ended=True)
    (folder / "events.jsonl").write_text("".join(event.to_json() + "\n" for event in ended))
    assert http.get(path, params={"maxWaitMs": 0}).status_code == 202
    api = sdk.RecordingApi(site.sdk())
    assert api.get_conversation_recordings(conversation_id, max_wait_ms=50) == []
    assert api.api_client.last_response.status == 202

    moved = []

    def finish() -> None:
        moved.append(recorded.store_call_as(site, conversation_id))
        (folder / "events.jsonl").unlink()

    waiting = threading.Timer(0.2, finish)
    waiting.start()
    reply = http.get(path, params={"maxWaitMs": 60_000})
    waiting.join()
    assert reply.status_code == 200
    assert [item["id"] for item in reply.json()] == moved


def test_every_access_leaves_a_row(sqlite_site, recorded):
    conversation_id, recording_id = recorded.store_call(sqlite_site)
    agent = sqlite_site.http("agent")
    reply = agent.get(f"/api/v2/conversations/{conversation_id}/recordings/{recording_id}").json()
    uri = reply["mediaUris"]["0"]["mediaUri"]
    for _ in range(3):
        fetch(uri, headers={"Range": "bytes=0-9"})
    agent.get(f"/api/v2/conversations/{conversation_id}/recordings")
    agent.get(f"/api/v2/conversations/{conversation_id}/recordingmetadata")
    sqlite_site.http("nobody").get(f"/api/v2/conversations/{conversation_id}/recordings/{recording_id}")
    sqlite_site.http("other").get(f"/api/v2/conversations/{conversation_id}/recordings/{recording_id}")
    with sqlite_site.world.database.reading() as session:
        rows = audit.listing(session, conversation_id=conversation_id, size=100).items
        found = [(row.subject_id, row.action, row.result) for row in reversed(rows)]
    users = sqlite_site.world.users
    assert found == [
        (users["agent"], "viewRecording", "allowed"),
        (users["agent"], "listen", "allowed"),
        (users["agent"], "listRecordings", "allowed"),
        (users["agent"], "listRecordings", "allowed"),
        (users["nobody"], "get_conversation_recording", "denied"),
        (users["other"], "viewRecording", "denied"),
    ]
    listed = sqlite_site.http().get("/api/v2/earwitness/audit", params={"conversationId": conversation_id})
    assert listed.json()["total"] == 6
    assert sqlite_site.http("agent").get("/api/v2/earwitness/audit").status_code == 403


def test_settings(site):
    api = sdk.RecordingApi(site.sdk())
    settings = api.get_recording_settings()
    assert settings.recording_playback_url_ttl == 60
    settings.recording_playback_url_ttl = 5
    assert api.put_recording_settings(settings).recording_playback_url_ttl == 5
    assert api.put_recording_settings(settings).recording_playback_url_ttl == 5
    settings.recording_playback_url_ttl = 61
    with pytest.raises(ApiException) as caught:
        api.put_recording_settings(settings)
    assert caught.value.status == 400
    assert site.http("supervisor").put("/api/v2/recording/settings", json={}).status_code == 403


def test_the_plain_page(sqlite_site, recorded):
    _, recording_id = recorded.store_call(sqlite_site)
    link = sqlite_site.http("agent").get(f"/api/v2/earwitness/recordings/{recording_id}/page").json()["pageUri"]
    page = fetch(link)
    assert page.status_code == 200
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "+4930111" in page.text
    assert "the trunk records" in page.text
    source = page.text.split('<source src="')[1].split('"')[0].replace("&amp;", "&")
    assert fetch(sqlite_site.url + source).headers["content-type"] == "audio/webm"
    assert fetch(link.split("?")[0]).status_code == 403


def test_a_damaged_recording_is_an_error_and_a_destroyed_one_is_gone(sqlite_site, recorded):
    conversation_id, recording_id = recorded.store_call(sqlite_site)
    path = f"/api/v2/conversations/{conversation_id}/recordings/{recording_id}"
    uri = sqlite_site.http().get(path, params={"formatId": "OGG_OPUS"}).json()["mediaUris"]["S"]["mediaUri"]
    sealed = next(Path(sqlite_site.arguments.vault_url).rglob("*.sealed"))
    damaged = bytearray(sealed.read_bytes())
    damaged[100] ^= 1
    sealed.write_bytes(damaged)
    assert fetch(uri).status_code == 500
    vault = Vault.at(sqlite_site.arguments.vault_url, sqlite_site.arguments.keys_dir)
    vault.destroy(recording_id, by="test", reason="test", at_us=1)
    assert fetch(uri).status_code == 404
