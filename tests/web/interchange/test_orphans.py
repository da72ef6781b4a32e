"""Orphans through the vendor's SDK and plain HTTP (H1–H6)."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import PureCloudPlatformClientV2 as sdk  # noqa: N813
import pytest
from PureCloudPlatformClientV2.rest import ApiException
from sqlalchemy import select

from earwitness.store import audit, integrations, retention
from earwitness.store.tables import Conversation, Integration, OrphanRecording
from earwitness.worker import orphans as chores

ORPHANS = "/api/v2/orphanrecordings"


def later(shop: Any, days: float) -> str:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=shop.clock.us) + timedelta(days=days)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def recordings_of(shop: Any, conversation_id: str) -> list[dict[str, Any]]:
    return shop.site.http().get(f"/api/v2/conversations/{conversation_id}/recordings").json()


def test_h1_h2_an_orphan_is_nowhere_but_among_the_orphans(shop, recorded, make_orphan):
    conversation_id, recording_id = recorded.store_call(shop.site)
    unmatched = make_orphan(shop)
    unknown = make_orphan(shop, conversation_id=str(uuid.uuid4()))
    late = make_orphan(shop, conversation_id=conversation_id)
    api = sdk.RecordingApi(shop.site.sdk())
    found = {item.id: item for item in api.get_orphanrecordings().entities}
    assert {key: item.orphan_status for key, item in found.items()} == {
        unmatched: "NO_CONVERSATION",
        unknown: "UNKNOWN_CONVERSATION",
        late: "CONVERSATION_NOT_EVALUATED",
    }
    with shop.transaction() as session:
        session.scalars(select(Conversation)).one().completed_at = 5
    assert api.get_orphanrecording(late).orphan_status == "EVALUATED"
    assert [item["id"] for item in recordings_of(shop, conversation_id)] == [recording_id]
    one = found[unmatched]
    assert (one.media_type, one.file_state, one.recording.output_duration_ms) == ("CALL", "AVAILABLE", 2000)
    assert one.recording.media_uris is None
    for name in ("nobody", "agent", "supervisor"):
        assert shop.site.http(name).get(ORPHANS).status_code == 403
        assert shop.site.http(name).get(f"{ORPHANS}/{unmatched}").status_code == 403


def test_h2_not_complete_while_somebody_has_a_wrapup_to_do(shop, recorded, make_orphan):
    from earwitness.store import after_call_work

    conversation_id, _ = recorded.store_call(shop.site)
    orphan = make_orphan(shop, conversation_id=conversation_id)
    with shop.transaction() as session:
        work = after_call_work.add(session, conversation_id=conversation_id, participant_id="p2", user_id="u",
                                   queue_id="q", prompt="MANDATORY", started_at=1, deadline_at=1 << 60)  # fmt: skip
    http = shop.site.http()
    assert http.get(f"{ORPHANS}/{orphan}").json()["orphanStatus"] == "CONVERSATION_NOT_COMPLETE"
    with shop.transaction() as session:
        after_call_work.give(
            session, session.merge(work), at=2, code_id=None, code_name=None, notes=None, tags=[], by=None
        )
    assert http.get(f"{ORPHANS}/{orphan}").json()["orphanStatus"] == "CONVERSATION_NOT_EVALUATED"


def test_h3_attaching_makes_a_recording_of_the_same_id(shop, recorded, make_orphan):
    conversation_id, recording_id = recorded.store_call(shop.site)
    orphan = make_orphan(shop, conversation_id=conversation_id)
    with shop.transaction() as session:
        session.scalars(select(Conversation)).one().recording_state = "NONE"
    api = sdk.RecordingApi(shop.site.sdk())
    body = sdk.OrphanUpdateRequest()
    made = api.put_orphanrecording(orphan, body=body)
    assert (made.id, made.conversation_id, made.output_duration_ms) == (orphan, conversation_id, 2000)
    with pytest.raises(ApiException) as gone:
        api.get_orphanrecording(orphan)
    assert gone.value.status == 404
    assert {item["id"] for item in recordings_of(shop, conversation_id)} == {recording_id, orphan}
    playable = next(item for item in recordings_of(shop, conversation_id) if item["id"] == orphan)
    heard = shop.site.http(None).get(playable["mediaUris"]["S"]["mediaUri"])
    assert heard.status_code == 200
    with shop.reading() as session:
        assert session.scalars(select(Conversation)).one().recording_state == "RECORDED"
        told = [entry.action for entry in audit.listing(session, entity_id=orphan).items]
    assert {"attach", "recording.created"} <= set(told)


def test_h3_the_conversation_may_be_told_and_must_be_there(shop, recorded, make_orphan):
    conversation_id, _ = recorded.store_call(shop.site)
    orphan, http = make_orphan(shop), shop.site.http()
    for body, field in (
        ({}, "conversationId"),
        ({"conversationId": str(uuid.uuid4())}, "conversationId"),
        ({"conversationId": 7}, "conversationId"),
    ):
        reply = http.put(f"{ORPHANS}/{orphan}", json=body)
        assert (reply.status_code, reply.json()["details"][0]["fieldName"]) == (400, field)
    assert http.put(f"{ORPHANS}/{uuid.uuid4()}", json={"conversationId": conversation_id}).status_code == 404
    assert http.put(f"{ORPHANS}/{orphan}", json={"conversationId": conversation_id}).status_code == 200
    assert http.put(f"{ORPHANS}/{orphan}", json={"conversationId": conversation_id}).status_code == 404


def test_h3_c1_a_refusal_stays_a_refusal(small_shop, recorded, make_orphan):
    conversation_id, _ = recorded.store_call(small_shop.site)
    with small_shop.transaction() as session:
        row = session.scalars(select(Conversation)).one()
        row.timeline = {**row.timeline, "consent": "refused"}
    orphan = make_orphan(small_shop, conversation_id=conversation_id)
    reply = small_shop.site.http().put(f"{ORPHANS}/{orphan}", json={})
    assert (reply.status_code, reply.json()["code"]) == (409, "consent.refused")


def test_h4_dates_lie_ahead_and_the_export_has_a_target(shop, recorded, make_orphan):
    conversation_id, _ = recorded.store_call(shop.site)
    with shop.transaction() as session:
        session.add(Integration(id="i1", name="Target", type=integrations.FOLDER, config={"path": "x"},
                                created_at=1, modified_at=1))  # fmt: skip
    orphan, http = make_orphan(shop, conversation_id=conversation_id), shop.site.http()
    for body, field in (
        ({"archiveDate": later(shop, 0.9)}, "archiveDate"),
        ({"exportDate": later(shop, 0.9), "integrationId": "i1"}, "exportDate"),
        ({"deleteDate": later(shop, 0.9)}, "deleteDate"),
        ({"archiveDate": later(shop, 5), "deleteDate": later(shop, 4)}, "deleteDate"),
        ({"exportDate": later(shop, 5), "integrationId": "i1", "deleteDate": later(shop, 5)}, "deleteDate"),
        ({"exportDate": later(shop, 5)}, "integrationId"),
        ({"exportDate": later(shop, 5), "integrationId": "i2"}, "integrationId"),
        ({"archiveDate": "soon"}, "archiveDate"),
        ({"archiveDate": -5}, "archiveDate"),
    ):
        reply = http.put(f"{ORPHANS}/{orphan}", json=body)
        assert (reply.status_code, reply.json()["details"][0]["fieldName"]) == (400, field), body
    dates = {"archiveDate": later(shop, 2), "exportDate": later(shop, 3), "deleteDate": later(shop, 4)}
    made = http.put(f"{ORPHANS}/{orphan}", json={**dates, "integrationId": "i1"})
    assert made.status_code == 200
    assert {key: made.json()[key] for key in dates} == dates


def test_h5_without_known_conversations_the_list_ends_at_500(shop, recorded):
    conversation_id, _ = recorded.store_call(shop.site)
    stamp = {"file_state": "AVAILABLE", "started_at": 1, "ended_at": 2, "duration_ms": 0, "audio_format": "a",
             "mime_type": "audio/wav", "channels": 1, "sample_rate": 8000, "size": 1, "sha256": "", "source": "spool",
             "recovered_at": 3}  # fmt: skip
    with shop.transaction() as session:
        session.add_all(
            OrphanRecording(id=f"o{n:04}", conversation_id=conversation_id if n % 100 else None, created_at=n, **stamp)
            for n in range(730)
        )
    http = shop.site.http()
    listing = http.get(ORPHANS, params={"pageSize": 200, "pageNumber": 3}).json()
    assert (listing["total"], listing["pageCount"], len(listing["entities"])) == (500, 3, 100)
    assert http.get(ORPHANS, params={"pageSize": 200, "pageNumber": 4}).json()["entities"] == []
    known = http.get(ORPHANS, params={"hasConversation": "true", "pageSize": 500, "pageNumber": 2}).json()
    assert (known["total"], len(known["entities"])) == (722, 222)
    assert listing["entities"][0]["id"] == "o0329"
    oldest = http.get(ORPHANS, params={"sortBy": "createdTime", "pageSize": 1}).json()
    assert oldest["entities"][0]["id"] == "o0000"
    assert http.get(ORPHANS, params={"media": "Screen"}).json()["total"] == 0
    assert http.get(ORPHANS, params={"media": "Smell"}).status_code == 400
    assert http.get(ORPHANS, params={"pageSize": 0}).status_code == 400


def test_h6_an_orphan_lives_until_the_organisations_maximum(shop, make_orphan):
    old = make_orphan(shop)
    expire = chores.ExpireOrphans()
    expire.clock._passed_s = lambda: shop.clock.us / 1e6
    shop.clock.forward(days=3000)
    fresh = make_orphan(shop)
    assert expire(shop.bench) == 0
    with shop.transaction() as session:
        retention.set_maximum(session, 100, shop.clock.us)
    assert expire(shop.bench) == 1
    assert chores.bury_condemned(shop.bench) == 1
    http = shop.site.http()
    assert http.get(f"{ORPHANS}/{old}").status_code == 404
    assert http.get(f"{ORPHANS}/{fresh}").status_code == 200
    receipt = shop.vault.tombstone(old)
    assert receipt is not None
    assert receipt.reason == retention.BY_MAXIMUM


def test_h6_deleting_takes_it_away_at_once_and_destroys_the_key(shop, make_orphan):
    orphan = make_orphan(shop)
    api = sdk.RecordingApi(shop.site.sdk())
    link = api.get_orphanrecording_media(orphan, format_id="MP3").media_uris["0"].media_uri
    assert shop.site.http(None).get(link).status_code == 200
    with shop.reading() as session:
        objects = [item["object_key"] for item in session.get(OrphanRecording, orphan).objects]
    assert objects == [f"{orphan}/master", f"{orphan}-0-mp3/master"]
    assert api.delete_orphanrecording(orphan).file_state == "DELETED"
    assert shop.site.http(None).get(link).status_code == 404
    assert api.delete_orphanrecording(orphan).file_state == "DELETED", "repeating it is fine"
    assert api.get_orphanrecordings().entities == []
    assert chores.bury_condemned(shop.bench) == 1
    assert chores.bury_condemned(shop.bench) == 0
    for vault_id in (orphan, f"{orphan}-0-mp3"):
        assert shop.vault.tombstone(vault_id) is not None
    assert shop.vault.data_keys.list("recordings") == []
    with shop.reading() as session:
        row = session.get(OrphanRecording, orphan)
        assert row.receipt["receipt"]["by"] == f"client:{shop.site.world.client}"
    assert shop.site.http().delete(f"{ORPHANS}/{uuid.uuid4()}").status_code == 404


def test_h1_listening_needs_the_right_and_is_told(shop, make_orphan):
    orphan, http = make_orphan(shop), shop.site.http()
    reply = http.get(
        f"{ORPHANS}/{orphan}/media", params={"formatId": "WAV", "download": "true", "fileName": "x"}
    ).json()
    assert set(reply["mediaUris"]) == {"0", "1", "S"}
    link = reply["mediaUris"]["S"]["mediaUri"]
    stranger = shop.site.http(None)
    heard = stranger.get(link, headers={"Range": "bytes=0-99"})
    assert (heard.status_code, len(heard.content)) == (206, 100)
    assert "attachment" in heard.headers["content-disposition"]
    assert http.get(f"{ORPHANS}/{orphan}/media", params={"formatId": "NONE"}).json().get("mediaUris") is None
    assert http.get(f"{ORPHANS}/{orphan}/media", params={"formatId": "AIFF"}).status_code == 400
    with shop.reading() as session:
        told = audit.listing(session, entity_id=orphan, action="listen").items
    assert [(entry.entity_type, entry.result) for entry in told] == [("orphanRecording", "allowed")]
    assert stranger.get(link.replace(".wav", ".opus")).status_code == 403
    shop.clock.forward(days=1)
    assert stranger.get(link).status_code == 403


def test_e2_nobody_hears_a_users_own_recording_as_an_orphan(small_shop, recorded, make_orphan):
    shop, owner = small_shop, small_shop.site.world.users["agent"]
    conversation_id, _ = recorded.store_call(shop.site)
    orphan = make_orphan(shop, kind="user", owner_user_id=owner, conversation_id=conversation_id)
    nobodys = make_orphan(shop, kind="user", conversation_id=conversation_id)
    http = shop.site.http()
    assert "mediaUris" not in http.get(f"{ORPHANS}/{orphan}/media").json()
    assert http.put(f"{ORPHANS}/{nobodys}", json={}).json()["code"] == "owner.unknown"
    assert http.put(f"{ORPHANS}/{orphan}", json={}).status_code == 200
    assert orphan not in {item["id"] for item in recordings_of(shop, conversation_id)}
    mine = shop.site.http("agent").get("/api/v2/userrecordings").json()
    assert [item["id"] for item in mine["entities"]] == [orphan]


def test_h3_what_cannot_be_decoded_is_attached_without_audio(small_shop, recorded, make_orphan):
    shop, http = small_shop, small_shop.site.http()
    conversation_id, _ = recorded.store_call(shop.site)
    orphan = make_orphan(shop, conversation_id=conversation_id, channels=0, mime_type="application/x-rtpdump")
    assert "mediaUris" not in http.get(f"{ORPHANS}/{orphan}/media").json()
    assert http.put(f"{ORPHANS}/{orphan}", json={}).json()["fileState"] == "ERROR"
    shown = next(item for item in recordings_of(shop, conversation_id) if item["id"] == orphan)
    assert "mediaUris" not in shown
