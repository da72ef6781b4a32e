"""Integrations and exports: folders and buckets that are there, away, and somebody else's; each recording once."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import shutil
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import PureCloudPlatformClientV2 as sdk  # noqa: N813
import pytest
from sqlalchemy import select

from earwitness.store import audit
from earwitness.store.tables import Export, Integration, Recording
from earwitness.worker import exports as chore

OURS = "/api/v2/earwitness/integrations"
PATH = "/api/v2/integrations"
SECRET = "wJalrXUtnFEMI/K7MDENG"


@pytest.fixture
def bucket() -> Iterator[Any]:
    specification = importlib.util.spec_from_file_location("s3_server", Path(__file__).with_name("s3_server.py"))
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules["s3_server"] = module
    specification.loader.exec_module(module)
    bucket = module.Bucket().start()
    yield bucket
    bucket.stop()


def make(shop: Any, **body: Any) -> str:
    given = {"name": "Archive", "type": "earwitness-folder", "intendedState": "ENABLED", "properties": {"path": "a/b"}}
    reply = shop.site.http().post(OURS, json=given | body)
    assert reply.status_code == 200, reply.text
    return reply.json()["id"]


def plan(shop: Any, recording_id: str, integration_id: str) -> None:
    """Has a recording exported from now on."""
    with shop.transaction() as session:
        row = session.get(Recording, recording_id)
        row.export_date, row.export_integration_id = shop.clock.us, integration_id


def exported(shop: Any, recording_id: str) -> int | None:
    with shop.reading() as session:
        return session.get(Recording, recording_id).exported_date


def files(shop: Any) -> dict[str, bytes]:
    folder = chore.exports_folder(shop.bench) / "a/b"
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.*") if path.is_file()}


def test_i8_a_recording_is_exported_once_with_its_document(shop, recorded):
    conversation_id, recording_id = recorded.store_call(shop.site)
    integration_id = make(shop)
    assert chore.work(shop.bench) == 0, "nothing is due"
    api = sdk.IntegrationsApi(shop.site.sdk())
    assert api.get_integration(integration_id).reported_state.code == "ACTIVE"
    plan(shop, recording_id, integration_id)
    assert chore.work(shop.bench) == 1
    found = files(shop)
    audio = next(name for name in found if name.endswith(".wav"))
    beside = audio.replace(".wav", ".json")
    assert audio == f"2026/11/22/{conversation_id}/{recording_id}.wav"
    assert set(found) == {audio, beside, ".earwitness-target"}
    document = json.loads(found[beside])
    assert document["file"]["sha256"] == hashlib.sha256(found[audio]).hexdigest()
    assert document["conversation"]["ani"] == "+4930111"
    assert [person["purpose"] for person in document["conversation"]["participants"]] == ["external", "user"]
    assert document["proof"]["master"]["master"] == shop.vault.manifest(recording_id).item("master").sha256
    assert exported(shop, recording_id) == shop.clock.us
    shop.clock.forward(seconds=3600)
    assert chore.work(shop.bench) == 0, "never twice"
    with shop.reading() as session:
        entries = audit.listing(session, entity_id=recording_id, action="recording.exported").items
        assert [entry.detail["path"] for entry in entries] == [audio]
    reply = shop.site.http().get(f"/api/v2/conversations/{conversation_id}/recordings/{recording_id}").json()
    assert reply["exportedDate"] >= reply["exportDate"]


def test_i8_a_crash_before_the_note_does_not_export_again(shop, recorded, monkeypatch):
    _, recording_id = recorded.store_call(shop.site)
    plan(shop, recording_id, make(shop))

    def dies(*_arguments: Any, **_more: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("earwitness.store.exports.done", dies)
        with pytest.raises(KeyboardInterrupt):
            chore.work(shop.bench)
    before = {name: path for name, path in files(shop).items()}  # noqa: C416
    assert len(before) == 3
    assert exported(shop, recording_id) is None
    assert chore.work(shop.bench) == 0, "somebody may still be at it"
    shop.clock.forward(seconds=901)
    assert chore.work(shop.bench) == 1
    assert files(shop) == before
    assert exported(shop, recording_id) is not None


def test_g5_a_cleared_export_does_not_happen(small_shop, recorded):
    shop = small_shop
    conversation_id, recording_id = recorded.store_call(shop.site)
    plan(shop, recording_id, make(shop))
    path = f"/api/v2/conversations/{conversation_id}/recordings/{recording_id}"
    assert shop.site.http().put(path, params={"clearExport": "true"}, json={}).status_code == 200
    assert chore.work(shop.bench) == 0
    assert exported(shop, recording_id) is None


def test_i8_a_folder_that_is_away_is_waited_for(shop, recorded):
    _, recording_id = recorded.store_call(shop.site)
    integration_id = make(shop)
    chore.work(shop.bench)
    folder = chore.exports_folder(shop.bench) / "a/b"
    aside = folder.with_name("aside")
    folder.rename(aside)
    plan(shop, recording_id, integration_id)
    http = shop.site.http()
    waits = []
    for _ in range(3):
        assert chore.work(shop.bench) == 1
        state = http.get(f"{PATH}/{integration_id}").json()["reportedState"]
        assert state["code"] == "ERROR"
        assert "not there" in state["detail"]["message"]
        with shop.reading() as session:
            row = session.scalars(select(Export)).one()
            waits.append(row.next_at - shop.clock.us)
        assert chore.work(shop.bench) == 0
        shop.clock.us = row.next_at
    assert waits == [10_000_000, 20_000_000, 40_000_000]
    folder.mkdir()
    chore.work(shop.bench)
    assert "mounted" in http.get(f"{PATH}/{integration_id}").json()["reportedState"]["detail"]["message"]
    assert list(folder.iterdir()) == [], "nothing is written below a mount point"
    folder.rmdir()
    aside.rename(folder)
    shop.clock.forward(seconds=3600)
    assert chore.work(shop.bench) == 1
    assert exported(shop, recording_id) is not None
    assert http.get(f"{PATH}/{integration_id}").json()["reportedState"]["code"] == "ACTIVE"


def test_i8_a_change_of_the_integration_is_tried_at_once(small_shop, recorded):
    shop = small_shop
    _, recording_id = recorded.store_call(shop.site)
    integration_id = make(shop, intendedState="DISABLED")
    plan(shop, recording_id, integration_id)
    chore.work(shop.bench)
    with shop.reading() as session:
        assert "not enabled" in session.scalars(select(Export)).one().error
    body = {"intendedState": "ENABLED", "properties": {"path": "a/b", "format": "mp3"}}
    changed = shop.site.http().put(f"{OURS}/{integration_id}", json=body).json()
    assert (changed["intendedState"], changed["version"]) == ("ENABLED", 2)
    assert chore.work(shop.bench) == 1
    assert [name for name in files(shop) if name.endswith(".mp3")]


def test_e8_inbox_items_and_deleted_recordings_are_not_exported(small_shop, recorded):
    shop = small_shop
    _, inbox = recorded.store_call(shop.site, role="ADHOC")
    _, deleted = recorded.store_call(shop.site)
    integration_id = make(shop)
    for recording_id in (inbox, deleted):
        plan(shop, recording_id, integration_id)
    with shop.transaction() as session:
        session.get(Recording, deleted).file_state = "DELETED"
    assert chore.work(shop.bench) == 0


def test_i8_a_bucket_gets_recordings_and_its_secrets_are_never_shown(shop, recorded, bucket):
    _, recording_id = recorded.store_call(shop.site)
    properties = {
        "bucket": "calls",
        "prefix": "in/",
        "endpoint": f"http://127.0.0.1:{bucket.port}",
        "format": "OGG_OPUS",
    }
    credentials = {"accessKeyId": bucket.access_key, "secretAccessKey": SECRET}
    reply = shop.site.http().post(OURS, json={"name": "Bucket", "type": "earwitness-s3", "intendedState": "ENABLED",
                                              "properties": properties, "credentials": credentials})  # fmt: skip
    assert reply.status_code == 200, reply.text
    assert SECRET not in reply.text
    integration_id = reply.json()["id"]
    plan(shop, recording_id, integration_id)
    assert chore.work(shop.bench) == 1
    assert sorted(name.rpartition(".")[2] for name in bucket.objects) == ["earwitness-target", "json", "opus"]
    assert all(name.startswith("calls/in/") for name in bucket.objects)
    assert exported(shop, recording_id) is not None
    http = shop.site.http()
    shown = http.get(f"{PATH}/{integration_id}")
    assert SECRET not in shown.text
    assert bucket.access_key not in shown.text
    assert list(shown.json()["config"]["current"]["credentials"]) == ["target"]
    with shop.reading() as session:
        stored = session.get(Integration, integration_id)
        assert SECRET.encode() not in stored.secrets
        assert all(SECRET not in json.dumps(entry.detail) for entry in audit.listing(session, size=500).items)
    assert http.put(f"{OURS}/{integration_id}", json={"credentials": {"accessKeyId": "AKIAOTHER"}}).status_code == 200
    chore.work(shop.bench)
    state = http.get(f"{PATH}/{integration_id}").json()["reportedState"]
    assert state["code"] == "ERROR"
    assert SECRET not in json.dumps(state)


def test_i8_a_bucket_that_is_down_is_waited_for(small_shop, recorded, bucket):
    shop = small_shop
    _, recording_id = recorded.store_call(shop.site)
    properties = {"bucket": "calls", "endpoint": f"http://127.0.0.1:{bucket.port}"}
    integration_id = make(shop, type="earwitness-s3", properties=properties,
                          credentials={"accessKeyId": bucket.access_key, "secretAccessKey": SECRET})  # fmt: skip
    chore.work(shop.bench)
    bucket.broken = True
    plan(shop, recording_id, integration_id)
    assert chore.work(shop.bench) == 1
    assert exported(shop, recording_id) is None
    bucket.broken = False
    shop.clock.forward(seconds=11)
    assert chore.work(shop.bench) == 1
    assert exported(shop, recording_id) is not None
    assert len(bucket.puts) == 3


def test_i8_a_recording_that_cannot_be_read_keeps_no_other_from_going(small_shop, recorded):
    shop = small_shop
    _, broken = recorded.store_call(shop.site)
    _, good = recorded.store_call(shop.site)
    integration_id = make(shop)
    for recording_id in (broken, good):
        plan(shop, recording_id, integration_id)
    for path in (shop.bench.arguments.keys / "data").rglob("*.key"):
        if broken in str(path):
            path.unlink()
    assert chore.work(shop.bench) == 2
    assert exported(shop, good) is not None
    assert exported(shop, broken) is None
    with shop.reading() as session:
        assert "data key" in session.get(Export, (broken, integration_id)).error
    assert shop.site.http().get(f"{PATH}/{integration_id}").json()["reportedState"]["code"] == "ACTIVE"


def test_a_place_belongs_to_one_integration(small_shop, recorded):
    first = make(small_shop)
    second = make(small_shop, name="Other")
    chore.work(small_shop.bench)
    http = small_shop.site.http()
    states = {key: http.get(f"{PATH}/{key}").json()["reportedState"] for key in (first, second)}
    assert sorted(state["code"] for state in states.values()) == ["ACTIVE", "ERROR"]
    assert http.delete(f"{OURS}/{first}").status_code == 204
    assert http.delete(f"{OURS}/{first}").status_code == 204
    assert http.get(f"{PATH}/{first}").status_code == 404
    assert http.get(PATH).json()["total"] == 1
    _, recording_id = recorded.store_call(small_shop.site)
    plan(small_shop, recording_id, first)
    chore.work(small_shop.bench)
    with small_shop.reading() as session:
        assert session.scalars(select(Export)).one().error == "the integration was deleted"
    shutil.rmtree(chore.exports_folder(small_shop.bench))


@pytest.mark.parametrize(("body", "field"), [
    ({"name": ""}, "name"), ({"name": None}, "name"), ({"type": "ftp"}, "type"), ({"type": None}, "type"),
    ({"properties": {"path": "/etc"}}, "properties.path"), ({"properties": {"path": "a/../../b"}}, "properties.path"),
    ({"properties": {}}, "properties.path"), ({"properties": {"path": 7}}, "properties.path"),
    ({"properties": {"path": ".hidden"}}, "properties.path"),
    ({"properties": {"path": "a", "format": "AIFF"}}, "properties.format"),
    ({"properties": {"path": "a", "bucket": "b"}}, "properties.bucket"),
    ({"properties": "text"}, "properties"), ({"credentials": {"accessKeyId": "x"}}, "credentials.accessKeyId"),
    ({"type": "earwitness-s3", "properties": {}}, "properties.bucket"),
    ({"type": "earwitness-s3", "properties": {"bucket": "a", "endpoint": "file:///etc"}}, "properties.endpoint"),
    ({"type": "earwitness-s3", "properties": {"bucket": "a", "endpoint": "http://u:p@h/"}}, "properties.endpoint"),
    ({"intendedState": "DELETED"}, "intendedState"), ({"notes": "x" * 2000}, "notes"),
])  # fmt: skip
def test_wrong_requests(lasting_site, body, field):
    given = {"name": str(uuid.uuid4()), "type": "earwitness-folder", "properties": {"path": "a"}} | body
    reply = lasting_site.http().post(OURS, json=given)
    assert (reply.status_code, reply.json()["details"][0]["fieldName"]) == (400, field), reply.text


def test_changing_needs_what_it_changes(small_shop):
    http = small_shop.site.http()
    one, _ = make(small_shop), make(small_shop, name="Second", properties={"path": "c"})
    assert (
        http.post(OURS, json={"name": "archive", "type": "earwitness-folder", "properties": {"path": "d"}}).status_code
        == 409
    )
    assert http.put(f"{OURS}/{one}", json={"name": "second"}).status_code == 409
    assert http.put(f"{OURS}/{one}", json={"type": "earwitness-s3"}).status_code == 400
    assert http.put(f"{OURS}/{one}", json={"notes": "x", "version": 9}).status_code == 409
    assert http.put(f"{OURS}/{one}", json={"notes": "x", "version": 1}).json()["notes"] == "x"
    assert http.put(f"{OURS}/{one}", json={"notes": None}).json().get("notes") is None
    assert http.put(f"{OURS}/{uuid.uuid4()}", json={}).status_code == 404
    assert http.delete(f"{OURS}/{uuid.uuid4()}").status_code == 404
    names = [item["name"] for item in http.get(PATH, params={"sortBy": "-name", "pageSize": 1}).json()["entities"]]
    assert names == ["Second"]
    assert http.get(PATH, params={"ids": one}).json()["total"] == 1
    assert http.get(PATH, params={"reportedState": "NONSENSE"}).status_code == 400
    for name in ("supervisor", "agent", "nobody"):
        assert small_shop.site.http(name).get(PATH).status_code == 403
        assert small_shop.site.http(name).post(OURS, json={}).status_code == 403
