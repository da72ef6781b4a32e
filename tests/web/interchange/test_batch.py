"""Batch downloads (I10): rights when asked for and when fetched, formats, what is wrong with an item."""

from __future__ import annotations

import uuid
from typing import Any

import PureCloudPlatformClientV2 as sdk  # noqa: N813
import pytest
from PureCloudPlatformClientV2.rest import ApiException
from sqlalchemy import delete

from earwitness.store import audit
from earwitness.store.tables import BatchDownload, Grant, Recording
from earwitness.worker import batch_downloads as chore

PATH = "/api/v2/recording/batchrequests"


def ask(http: Any, *items: tuple[str, str | None], **more: Any) -> str:
    wanted = [{"conversationId": first, **({"recordingId": second} if second else {})} for first, second in items]
    reply = http.post(PATH, json={"batchDownloadRequestList": wanted, **more})
    assert reply.status_code == 200, reply.text
    return reply.json()["id"]


def test_i10_items_are_answered_by_an_address_or_by_what_is_wrong(shop, recorded):
    conversation_id, recording_id = recorded.store_call(shop.site)
    other, deleted_id = recorded.store_call(shop.site)
    third, archived_id = recorded.store_call(shop.site)
    with shop.transaction() as session:
        session.get(Recording, deleted_id).file_state = "DELETED"
        session.get(Recording, archived_id).file_state = "ARCHIVED"
    api = sdk.RecordingApi(shop.site.sdk())
    body = sdk.BatchDownloadJobSubmission()
    body.batch_download_request_list = []
    for first, second in ((conversation_id, None), (conversation_id, deleted_id), (other, deleted_id), (third, None)):
        item = sdk.BatchDownloadRequest()
        item.conversation_id, item.recording_id = first, second
        body.batch_download_request_list.append(item)
    job = api.post_recording_batchrequests(body)
    state = api.get_recording_batchrequest(job.id)
    assert (state.status, state.expected_result_count, state.result_count) == ("InProgress", 4, 0)
    assert chore.work(shop.bench) == 1
    state = api.get_recording_batchrequest(job.id)
    assert (state.status, state.expected_result_count, state.result_count, state.error_count) == ("Completed", 4, 4, 3)
    good, wrong, gone, archived = state.results
    assert (good.recording_id, good.content_type, good.error_msg) == (recording_id, "audio/ogg", None)
    assert "no such recording" in wrong.error_msg
    assert "deleted" in gone.error_msg
    assert "archived" in archived.error_msg
    assert [item.result_url for item in (wrong, gone, archived)] == [None] * 3
    got = shop.site.http(None).get(good.result_url)
    assert (got.status_code, got.content[:4]) == (200, b"OggS")
    assert recording_id in got.headers["content-disposition"]
    with shop.reading() as session:
        actions = [entry.action for entry in audit.listing(session, entity_id=recording_id).items]
        assert "listen" in actions
        assert audit.listing(session, entity_id=job.id).items[0].action == "batchDownload"


def test_i10_every_recording_of_a_conversation_and_another_format(shop, recorded, make_orphan):
    conversation_id, recording_id = recorded.store_call(shop.site)
    second = make_orphan(shop, conversation_id=conversation_id)
    http = shop.site.http()
    assert http.put(f"/api/v2/orphanrecordings/{second}", json={}).status_code == 200
    job = ask(http, (conversation_id, None), formatId="mp3")
    chore.work(shop.bench)
    state = http.get(f"{PATH}/{job}").json()
    assert (state["status"], state["expectedResultCount"], state["errorCount"]) == ("Completed", 2, 0)
    assert {item["recordingId"] for item in state["results"]} == {recording_id, second}
    for item in state["results"]:
        assert item["contentType"] == "audio/mpeg"
        got = shop.site.http(None).get(item["resultUrl"])
        assert got.status_code == 200
        assert got.headers["content-type"] == "audio/mpeg"
    assert shop.vault.manifest(f"{recording_id}-s-mp3") is not None


def test_i10_rights_are_those_of_the_asker_when_made_and_when_fetched(shop, recorded):
    site, world = shop.site, shop.site.world
    conversation_id, recording_id = recorded.store_call(site)
    elsewhere, _ = recorded.store_call(site, divisions=[world.home], user="admin")
    supervisor = site.http("supervisor")
    job = ask(supervisor, (conversation_id, recording_id), (elsewhere, None))
    chore.work(shop.bench)
    mine, others = supervisor.get(f"{PATH}/{job}").json()["results"]
    assert "not for you" in others["errorMsg"] or "no recording of it for you" in others["errorMsg"]
    assert site.http(None).get(mine["resultUrl"]).status_code == 200
    for name in ("admin", "agent", "nobody", "client"):
        assert site.http(name).get(f"{PATH}/{job}").status_code == 404, name
    with shop.transaction() as session:
        session.execute(delete(Grant).where(Grant.subject_id == world.users["supervisor"]))
    assert site.http(None).get(mine["resultUrl"]).status_code == 404
    again = supervisor.get(f"{PATH}/{job}").json()["results"][0]
    assert "errorMsg" in again
    assert "resultUrl" not in again
    assert site.http("nobody").post(PATH, json={"batchDownloadRequestList": []}).status_code == 403


def test_i10_addresses_end_after_the_time_for_batches(small_shop, recorded):
    shop, http = small_shop, small_shop.site.http()
    conversation_id, _ = recorded.store_call(shop.site)
    assert http.put("/api/v2/recording/settings", json={"recordingBatchDownloadUrlTtl": 3}).status_code == 200
    job = ask(http, (conversation_id, None))
    chore.work(shop.bench)
    link = http.get(f"{PATH}/{job}").json()["results"][0]["resultUrl"]
    shop.clock.forward(seconds=170)
    assert shop.site.http(None).get(link).status_code == 200
    shop.clock.forward(seconds=15)
    assert shop.site.http(None).get(link).status_code == 403
    fresh = http.get(f"{PATH}/{job}").json()["results"][0]["resultUrl"]
    assert shop.site.http(None).get(fresh).status_code == 200


def test_i10_a_conversation_that_is_not_stored_yet_is_waited_for(small_shop, recorded):
    shop, http = small_shop, small_shop.site.http()
    soon, never = str(uuid.uuid4()), str(uuid.uuid4())
    job = ask(http, (soon, None), (never, None), (soon, None))
    chore.work(shop.bench)
    state = http.get(f"{PATH}/{job}").json()
    assert (state["status"], state["expectedResultCount"]) == ("InProgress", 2)
    recorded.store_call(shop.site, conversation_id=soon)
    chore.work(shop.bench)
    assert http.get(f"{PATH}/{job}").json()["resultCount"] == 1
    shop.clock.forward(seconds=601)
    chore.work(shop.bench)
    state = http.get(f"{PATH}/{job}").json()
    assert (state["status"], state["errorCount"]) == ("Completed", 1)
    shop.clock.forward(days=8)
    chore.work(shop.bench)
    assert http.get(f"{PATH}/{job}").status_code == 404
    with shop.reading() as session:
        assert session.get(BatchDownload, job) is None


def test_i10_wrong_requests(small_shop):
    http = small_shop.site.http()
    one = {"conversationId": str(uuid.uuid4())}
    for body in (
        {},
        {"batchDownloadRequestList": []},
        {"batchDownloadRequestList": None},
        {"batchDownloadRequestList": {}},
        {"batchDownloadRequestList": [{}]},
        {"batchDownloadRequestList": [{"conversationId": 5}]},
        {"batchDownloadRequestList": [{"conversationId": "x" * 100}]},
        {"batchDownloadRequestList": [one] * 101},
        {"batchDownloadRequestList": [one], "formatId": "AIFF"},
    ):
        assert http.post(PATH, json=body).status_code == 400, body
    api = sdk.RecordingApi(small_shop.site.sdk())
    with pytest.raises(ApiException) as missing:
        api.get_recording_batchrequest(str(uuid.uuid4()))
    assert missing.value.status == 404
