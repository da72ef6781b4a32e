"""Uploads (I12): signed addresses, real files, duplicates, what is no recording, waiting for a conversation."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import uuid
from typing import Any

import PureCloudPlatformClientV2 as sdk  # noqa: N813
import pytest
from sqlalchemy import select

from earwitness.archive.vault.vault import Vault
from earwitness.store import audit
from earwitness.store.tables import Conversation, Grant, RecordingUpload, UploadReport
from earwitness.worker import imports
from earwitness.worker import orphans as orphan_chores

PATH = "/api/v2/uploads/recordings"
REPORTS = "/api/v2/recording/uploads/reports"


def announce(shop: Any, **body: Any) -> dict[str, Any]:
    reply = shop.site.http().post(PATH, json=body)
    assert reply.status_code == 200, reply.text
    return reply.json()


def put(shop: Any, content: bytes, headers: dict[str, str] | None = None, **body: Any) -> str:
    """Uploads a file; gives its upload's id."""
    told = announce(shop, **body)
    reply = shop.site.http(None).put(told["url"], content=content, headers={**told["headers"], **(headers or {})})
    assert reply.status_code == 200, reply.text
    shop.clock.forward(seconds=1)
    return told["uploadKey"].partition("/")[0]


def states(shop: Any) -> dict[str, tuple[str, str | None]]:
    with shop.reading() as session:
        return {row.id: (row.state, row.error) for row in session.scalars(select(RecordingUpload))}


def test_i12_a_wav_becomes_a_recording_of_its_conversation(shop, recorded, make_wav):
    conversation_id, first = recorded.store_call(shop.site)
    content = make_wav(1.5, channels=2)
    api = sdk.UploadsApi(shop.site.sdk())
    body = sdk.UploadUrlRequest()
    body.file_name, body.content_type = f"{conversation_id}.wav", "audio/wav"
    body.content_md5 = base64.b64encode(hashlib.md5(content).digest()).decode()
    told = api.post_uploads_recordings(body)
    assert told.headers == {"Content-Type": "audio/wav", "Content-MD5": body.content_md5}
    stranger = shop.site.http(None)
    assert stranger.put(told.url, content=content, headers=told.headers).status_code == 200
    assert stranger.put(told.url, content=content, headers=told.headers).status_code == 200, "again is fine"
    other = stranger.put(told.url, content=content + b"xx", headers={"Content-Type": "audio/wav"})
    assert other.status_code == 409
    upload_id = told.upload_key.partition("/")[0]
    assert states(shop)[upload_id] == ("Pending", None)
    assert imports.work(shop.bench) == 1
    assert states(shop)[upload_id] == ("Success", None)
    http = shop.site.http()
    rows = http.get(f"/api/v2/conversations/{conversation_id}/recordings", params={"formatId": "WAV"}).json()
    made = next(row for row in rows if row["id"] != first)
    assert (made["outputDurationMs"], set(made["mediaUris"])) == (1500, {"0", "1", "S"})
    assert stranger.get(made["mediaUris"]["S"]["mediaUri"]).content[:4] == b"RIFF"
    assert shop.vault.open(made["id"]).manifest.facts["uploaded"]["sha256"] == hashlib.sha256(content).hexdigest()
    assert shop.vault.tombstone(f"upload-{upload_id}") is not None
    assert http.get("/api/v2/orphanrecordings").json()["total"] == 0
    left = [path.name for path in shop.bench.arguments.spool.iterdir()] if shop.bench.arguments.spool.exists() else []
    assert not [name for name in left if name.startswith(".upload")], "no plain audio lies about"
    with shop.reading() as session:
        told_of = [entry.action for entry in audit.listing(session, entity_id=upload_id).items]
    assert told_of == ["upload.received", "upload.announced"]


def test_i12_without_its_conversation_it_waits_as_an_orphan(shop, recorded, make_wav):
    soon = str(uuid.uuid4())
    upload_id = put(shop, make_wav(1.0), conversationId=soon, startTime="2026-11-20T10:00:00Z")
    lone = put(shop, make_wav(0.5), fileName="whose.wav")
    imports.work(shop.bench)
    assert [states(shop)[key][0] for key in (upload_id, lone)] == ["WaitForConversation"] * 2
    http = shop.site.http()
    found = {item["orphanStatus"]: item for item in http.get("/api/v2/orphanrecordings").json()["entities"]}
    assert set(found) == {"UNKNOWN_CONVERSATION", "NO_CONVERSATION"}
    assert found["UNKNOWN_CONVERSATION"]["recording"]["startTime"] == "2026-11-20T10:00:00.000Z"
    assert found["NO_CONVERSATION"]["name"] == "whose.wav"
    recorded.store_call(shop.site, conversation_id=soon)
    imports.work(shop.bench)
    assert states(shop)[upload_id][0] == "Success"
    assert len(http.get(f"/api/v2/conversations/{soon}/recordings").json()) == 2
    orphan = found["NO_CONVERSATION"]["id"]
    assert http.put(f"/api/v2/orphanrecordings/{orphan}", json={"conversationId": soon}).status_code == 200
    assert states(shop)[lone][0] == "Success"


def test_i12_a_waiting_upload_whose_orphan_is_deleted_has_failed(small_shop, make_wav):
    shop, http = small_shop, small_shop.site.http()
    content = make_wav(0.5)
    upload_id = put(shop, content)
    imports.work(shop.bench)
    orphan = http.get("/api/v2/orphanrecordings").json()["entities"][0]["id"]
    assert http.delete(f"/api/v2/orphanrecordings/{orphan}").status_code == 200
    assert states(shop)[upload_id] == ("Failure", "the orphan was deleted")
    orphan_chores.bury_condemned(shop.bench)
    again = put(shop, content)
    imports.work(shop.bench)
    assert states(shop)[again][0] == "WaitForConversation", "what was deleted is no duplicate"


def test_i12_duplicates_and_what_is_no_recording_are_refused(shop, recorded, make_wav):
    conversation_id, _ = recorded.store_call(shop.site)
    content = make_wav(1.0)
    first = put(shop, content, conversationId=conversation_id, fileName="a.wav")
    second = put(shop, content, conversationId=conversation_id, fileName="b.wav")
    short = put(shop, content[:-500])
    text = put(shop, b"this is not audio, whatever it says", {"Content-Type": "audio/wav"})
    headless = put(shop, b"OggS" + bytes(500))
    for _ in range(2):
        imports.work(shop.bench)
    found = states(shop)
    assert found[first] == ("Success", None)
    assert found[second] == ("Failure", f"the same file was uploaded before, as a.wav ({first})")
    assert found[short] == ("Failure", "the WAV file is cut short: 500 bytes of its samples are missing")
    assert found[text] == ("Failure", "the file is no WAV, MP3 or Ogg file")
    assert "cannot be read as audio" in found[headless][1]
    for upload_id in (first, second, short, text, headless):
        assert shop.vault.tombstone(f"upload-{upload_id}") is not None
    assert len(shop.site.http().get(f"/api/v2/conversations/{conversation_id}/recordings").json()) == 2


def test_c1_an_upload_does_not_get_round_a_refusal(small_shop, recorded, make_wav):
    shop = small_shop
    conversation_id, _ = recorded.store_call(shop.site)
    with shop.transaction() as session:
        row = session.scalars(select(Conversation)).one()
        row.timeline = {**row.timeline, "consent": "refused"}
    upload_id = put(shop, make_wav(0.5), conversationId=conversation_id)
    imports.work(shop.bench)
    assert states(shop)[upload_id] == ("Failure", "the caller of that conversation refused to be recorded")


def test_i12_addresses_are_signed_and_end(small_shop, make_wav):
    shop, stranger = small_shop, small_shop.site.http(None)
    told = announce(shop, signedUrlTimeoutSeconds=5)
    content = make_wav(0.2)
    for url in (
        told["url"].replace("signature=", "signature=0"),
        told["url"].partition("?")[0],
        told["url"].replace(told["uploadKey"].partition("/")[0], str(uuid.uuid4())),
    ):
        assert stranger.put(url, content=content).status_code == 403
    assert stranger.put(told["url"], content=content, headers={"Content-MD5": "0" * 32}).status_code == 400
    assert stranger.put(told["url"], content=b"").status_code == 400
    bad = stranger.put(told["url"], content=content, headers={"x-earwitness-conversation-id": "none"})
    assert bad.status_code == 400
    shop.clock.forward(seconds=6)
    assert stranger.put(told["url"], content=content).status_code == 403
    told = announce(shop)
    with shop.transaction() as session:
        for grant in session.scalars(select(Grant)):
            session.delete(grant)
    assert stranger.put(told["url"], content=content).status_code == 403
    with shop.reading() as session:
        assert {row.state for row in session.scalars(select(RecordingUpload))} == {"Announced"}


@pytest.mark.parametrize(("body", "field"), [
    ({"fileName": ".hidden"}, "fileName"), ({"fileName": "a b"}, "fileName"), ({"fileName": "a/"}, "fileName"),
    ({"fileName": "a|b"}, "fileName"), ({"fileName": ""}, "fileName"), ({"fileName": 7}, "fileName"),
    ({"signedUrlTimeoutSeconds": 0}, "signedUrlTimeoutSeconds"),
    ({"signedUrlTimeoutSeconds": 604_801}, "signedUrlTimeoutSeconds"),
    ({"contentMd5": "abc"}, "contentMd5"), ({"contentType": "audio"}, "contentType"),
    ({"contentType": "audio/x\r\nX: y"}, "contentType"),
    ({"serverSideEncryption": "ROT13"}, "serverSideEncryption"), ({"conversationId": "x"}, "conversationId"),
    ({"startTime": "now"}, "startTime"),
])  # fmt: skip
def test_i12_wrong_requests(lasting_site, body, field):
    reply = lasting_site.http().post(PATH, json=body)
    assert (reply.status_code, reply.json()["details"][0]["fieldName"]) == (400, field)
    assert lasting_site.http("agent").post(PATH, json={}).status_code == 403


def test_i12_reports_tell_what_became_of_uploads(shop, make_wav):
    good = put(shop, make_wav(0.5), fileName="=cmd.wav")
    bad = put(shop, b"not audio at all, is it")
    announce(shop)
    imports.work(shop.bench)
    api = sdk.RecordingApi(shop.site.sdk())
    made = api.post_recording_uploads_reports(sdk.RecordingUploadReportRequest())
    report = api.get_recording_uploads_report(made.id)
    assert report.state == "Completed"
    reply = shop.site.http(None).get(report.signed_url)
    assert reply.headers["content-type"].startswith("text/csv")
    rows = {row["uploadKey"]: row for row in csv.DictReader(io.StringIO(reply.text))}
    assert {key: row["status"] for key, row in rows.items()} == {good: "WaitForConversation", bad: "Failure"}
    assert rows[good]["fileName"] == "'=cmd.wav"
    assert rows[bad]["error"] == "the file is no WAV, MP3 or Ogg file"
    http = shop.site.http()
    failed = http.post(REPORTS, json={"uploadStatus": "failure"}).json()
    assert len(shop.site.http(None).get(failed["signedUrl"]).text.splitlines()) == 2
    none = http.post(REPORTS, json={"dateSince": "2099-01-01T00:00:00Z"}).json()
    assert len(shop.site.http(None).get(none["signedUrl"]).text.splitlines()) == 1
    assert http.post(REPORTS, json={"uploadStatus": "Lost"}).status_code == 400
    assert http.get(f"{REPORTS}/{uuid.uuid4()}").status_code == 404
    assert shop.site.http("supervisor").post(REPORTS, json={}).status_code == 403
    assert shop.site.http(None).get(report.signed_url.replace("signature=", "signature=0")).status_code == 403
    shop.clock.forward(seconds=3700)
    assert shop.site.http(None).get(report.signed_url).status_code == 403


def test_i12_what_uploads_leave_behind_is_removed(small_shop, make_wav):
    shop = small_shop
    announce(shop)
    received = put(shop, make_wav(0.2))
    shop.site.http().post(REPORTS, json={})
    shop.bench.arguments.spool.mkdir(exist_ok=True)
    draft = shop.bench.arguments.spool / ".upload-of-a-process-that-died"
    draft.write_bytes(b"plain audio")
    imports.tidy(shop.bench)
    assert draft.exists()
    assert len(states(shop)) == 2
    shop.clock.forward(days=31)
    imports.tidy(shop.bench)
    assert not draft.exists()
    assert list(states(shop)) == [received]
    with shop.reading() as session:
        assert session.scalars(select(UploadReport)).all() == []


def test_i12_a_vault_that_is_away_loses_nothing(small_shop, recorded, make_wav, monkeypatch):
    shop = small_shop
    conversation_id, _ = recorded.store_call(shop.site)
    upload_id = put(shop, make_wav(0.4), conversationId=conversation_id)

    def away(*_arguments: Any, **_more: Any) -> None:
        raise OSError("the object store is away")

    with monkeypatch.context() as patched:
        patched.setattr(Vault, "seal", away)
        imports.work(shop.bench)
        told = announce(shop)
        assert shop.site.http(None).put(told["url"], content=make_wav(0.3)).status_code == 503
    assert states(shop)[upload_id] == ("Pending", None)
    with monkeypatch.context() as patched:
        patched.setattr(Vault, "destroy", away)
        with pytest.raises(OSError, match="away"):
            imports.work(shop.bench)
    assert shop.vault.tombstone(f"upload-{upload_id}") is None
    imports.work(shop.bench)
    assert shop.vault.tombstone(f"upload-{upload_id}") is not None
    assert states(shop)[upload_id] == ("Success", None)
    assert shop.site.http(None).put(told["url"], content=make_wav(0.3)).status_code == 200
