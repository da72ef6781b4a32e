"""Recording keys through the API (I11): three kinds, rotation, wrapping anew, a key service that is away."""

from __future__ import annotations

import json
import uuid
from typing import Any

import PureCloudPlatformClientV2 as sdk  # noqa: N813
import pytest
from PureCloudPlatformClientV2.rest import ApiException
from sqlalchemy import select

from earwitness.archive.vault import kms
from earwitness.archive.vault.vault import Vault
from earwitness.store import audit
from earwitness.store.tables import AuditEntry, KeyConfiguration
from earwitness.worker import key_rotation as chore

KEYS = "/api/v2/recording/recordingkeys"
SCHEDULE = f"{KEYS}/rotationschedule"
LOCAL = "/api/v2/recording/localkeys"
CONFIGURATIONS = "/api/v2/recording/keyconfigurations"
REWRAP = "/api/v2/earwitness/recordingkeys/rewrap"


def configure(shop: Any, server: Any) -> str:
    body = {"keyConfigurationType": "LocalKeyManager", "url": server.url, "apiId": server.api_id,
            "apiKey": server.api_key}  # fmt: skip
    reply = shop.site.http().post(CONFIGURATIONS, json=body)
    assert reply.status_code == 200, reply.text
    assert server.api_key not in reply.text
    return reply.json()["id"]


def listen(shop: Any, conversation_id: str) -> Any:
    rows = shop.site.http().get(f"/api/v2/conversations/{conversation_id}/recordings").json()
    return shop.site.http(None).get(rows[0]["mediaUris"]["0"]["mediaUri"])


def forget_vault(shop: Any) -> None:
    """As after a restart of the web process."""
    shop.site.app.state.services._vault = None


def test_i11_a_new_key_of_our_own_and_old_recordings_stay_readable(shop, recorded):
    conversation_id, recording_id = recorded.store_call(shop.site)
    api = sdk.RecordingApi(shop.site.sdk("admin"))
    assert [key.name for key in api.get_recording_recordingkeys().entities] == ["Recording key 1"]
    made = api.post_recording_recordingkeys()
    assert (made.name, made.key_configuration_type) == ("Recording key 2", "Native")
    assert made.user.id == shop.site.world.users["admin"]
    listed = api.get_recording_recordingkeys().entities
    assert [key.name for key in listed] == ["Recording key 2", "Recording key 1"]
    assert len({key.keydata_summary for key in listed}) == 2
    assert listen(shop, conversation_id).status_code == 200
    assert shop.vault.wrapped_by(recording_id) == 1
    assert chore.rewrap(shop.bench) == 1
    assert shop.vault.wrapped_by(recording_id) == 2
    assert chore.rewrap(shop.bench) == 0
    assert shop.site.http().get(REWRAP).json()["dateCompleted"]
    assert listen(shop, conversation_id).status_code == 200


@pytest.mark.parametrize(("period", "days"), [("DAILY", 1), ("WEEKLY", 7), ("MONTHLY", 30), ("YEARLY", 365)])
def test_i11_keys_rotate_by_the_schedule(small_shop, period, days):
    shop = small_shop
    api = sdk.RecordingApi(shop.site.sdk())
    assert api.get_recording_recordingkeys_rotationschedule().period == "DISABLED"
    shop.clock.forward(days=400)
    assert chore.rotate(shop.bench) is None
    body = sdk.KeyRotationSchedule()
    body.period = period
    assert api.put_recording_recordingkeys_rotationschedule(body).period == period
    assert chore.rotate(shop.bench) == 2
    assert chore.rotate(shop.bench) is None
    shop.clock.forward(days=days - 0.1)
    assert chore.rotate(shop.bench) is None
    shop.clock.forward(days=0.2)
    assert chore.rotate(shop.bench) == 3
    body.period = "DISABLED"
    api.put_recording_recordingkeys_rotationschedule(body)
    shop.clock.forward(days=1000)
    assert chore.rotate(shop.bench) is None
    http = shop.site.http()
    for wrong in ({}, {"period": "HOURLY"}, {"period": None}, {"period": 5}):
        assert http.put(SCHEDULE, json=wrong).status_code == 400
    with shop.reading() as session:
        told = [entry.detail for entry in audit.listing(session, entity_type="keyRotationSchedule").items]
    assert told[-1] == {"before": {"period": "DISABLED"}, "after": {"period": period}}


def test_i11_a_local_key_manager_guards_what_is_recorded_from_now_on(shop, recorded, key_server):
    before, _ = recorded.store_call(shop.site)
    configuration_id = configure(shop, key_server)
    keypair_id, public_key = key_server.make()
    api = sdk.RecordingApi(shop.site.sdk())
    body = sdk.LocalEncryptionKeyRequest()
    body.config_id, body.keypair_id, body.public_key = configuration_id, keypair_id, public_key
    made = api.post_recording_localkeys(body)
    assert (made.key_configuration_type, made.keydata_summary) == ("LocalKeyManager", public_key)
    assert made.local_encryption_configuration.url == key_server.url
    assert made.local_encryption_configuration.api_key is None
    during, recording_id = recorded.store_call(shop.site)
    assert shop.vault.wrapped_by(recording_id) == 2
    assert listen(shop, during).status_code == 200
    key_server.stop()
    forget_vault(shop)
    away, offline = recorded.store_call(shop.site)
    assert shop.vault.wrapped_by(offline) == 2, "recording goes on"
    reply = listen(shop, away)
    assert reply.status_code == 503
    assert "key service" in reply.json()["message"]
    assert "Retry-After" not in reply.headers
    assert listen(shop, before).status_code == 200
    key_server.start()
    assert listen(shop, away).status_code == 200


def test_i11_wrapping_everything_anew_is_asked_for(small_shop, recorded, key_server):
    shop, http = small_shop, small_shop.site.http()
    conversation_id, recording_id = recorded.store_call(shop.site)
    configure(shop, key_server)
    assert http.post(KEYS).status_code == 200, "the service makes a key pair"
    chore.rewrap(shop.bench)
    assert shop.vault.wrapped_by(recording_id) == 1, "not by itself"
    assert http.post(REWRAP).json()["scope"] == "all"
    key_server.stop()
    chore.rewrap(shop.bench)
    assert shop.vault.wrapped_by(recording_id) == 2, "wrapping needs nobody"
    forget_vault(shop)
    assert listen(shop, conversation_id).status_code == 503
    native = http.post(CONFIGURATIONS, json={"keyConfigurationType": "Native"})
    assert native.status_code == 200
    assert http.post(KEYS).json()["name"] == "Recording key 3"
    http.put(SCHEDULE, json={"period": "DAILY"})
    http.post(REWRAP, headers={"X-Again": "1"})
    assert chore.rewrap(shop.bench) == 1
    assert shop.vault.wrapped_by(recording_id) == 2, "the service is away"
    key_server.start()
    chore.rewrap(shop.bench)
    assert Vault.at(shop.bench.arguments.vault_url, shop.bench.arguments.keys).wrapped_by(recording_id) == 3


def test_i11_nothing_is_taken_into_use_that_does_not_work(shop, key_server):
    http = shop.site.http()
    good = {"keyConfigurationType": "LocalKeyManager", "url": key_server.url, "apiId": key_server.api_id,
            "apiKey": key_server.api_key}  # fmt: skip
    for body, field in (
        ({}, "keyConfigurationType"),
        ({"keyConfigurationType": "Magic"}, "keyConfigurationType"),
        ({"keyConfigurationType": "None"}, "keyConfigurationType"),
        ({"keyConfigurationType": "LocalKeyManager"}, "url"),
        ({**good, "apiKey": None}, "apiKey"),
        ({**good, "apiKey": "wrong"}, "url"),
        ({**good, "url": "http://127.0.0.1:1/"}, "url"),
        ({**good, "url": "not an address"}, "url"),
        ({**good, "url": 5}, "url"),
        ({"keyConfigurationType": "KmsSymmetric"}, "url"),
        ({"keyConfigurationType": "KmsSymmetric", "url": "arn:aws:kms:eu-central-1:1:alias/a"}, "url"),
    ):
        for path in (CONFIGURATIONS, f"{CONFIGURATIONS}/validate"):
            reply = http.post(path, json=body)
            assert (reply.status_code, reply.json()["details"][0]["fieldName"]) == (400, field), (body, reply.text)
    reply = http.post(CONFIGURATIONS, json={"keyConfigurationType": "KmsSymmetric", "url": "arn:aws:kms:x"})
    assert "no KMS provider is configured" in reply.json()["message"]
    assert http.post(f"{CONFIGURATIONS}/validate", json=good).status_code == 200
    assert http.get(CONFIGURATIONS).json()["total"] == 0, "validating saves nothing"
    configuration_id = configure(shop, key_server)
    keypair_id, public_key = key_server.make()
    for body, field in (
        ({}, "keypairId"),
        ({"configId": str(uuid.uuid4()), "keypairId": keypair_id, "publicKey": public_key}, "configId"),
        ({"configId": configuration_id, "keypairId": keypair_id, "publicKey": "AAAA"}, "publicKey"),
    ):
        reply = http.post(LOCAL, json=body)
        assert (reply.status_code, reply.json()["details"][0]["fieldName"]) == (400, field), body
    strange = {"configId": configuration_id, "keypairId": key_server.make()[0], "publicKey": public_key}
    reply = http.post(LOCAL, json=strange)
    assert reply.status_code == 503
    assert [key["keyConfigurationType"] for key in http.get(KEYS).json()["entities"]] == ["Native"]
    key_server.stop()
    reply = http.post(KEYS)
    assert (reply.status_code, reply.json()["code"]) == (503, "service.unavailable")
    api = sdk.RecordingApi(shop.site.sdk())
    assert "cannot be reached" in api.get_recording_keyconfiguration(configuration_id).last_error.message
    with pytest.raises(ApiException) as missing:
        api.get_recording_keyconfiguration(str(uuid.uuid4()))
    assert missing.value.status == 404


def test_i11_a_failed_rotation_keeps_the_key_and_is_tried_again(small_shop, key_server):
    shop, http = small_shop, small_shop.site.http()
    configuration_id = configure(shop, key_server)
    http.put(SCHEDULE, json={"period": "DAILY"})
    shop.clock.forward(days=2)
    key_server.stop()
    assert chore.rotate(shop.bench) is None
    assert http.get(f"{CONFIGURATIONS}/{configuration_id}").json()["lastError"]["status"] == 503
    key_server.start()
    assert chore.rotate(shop.bench) is None, "not at once"
    shop.clock.forward(seconds=901)
    assert chore.rotate(shop.bench) == 2
    assert "lastError" not in http.get(f"{CONFIGURATIONS}/{configuration_id}").json()
    assert http.get(KEYS).json()["entities"][0]["keyConfigurationType"] == "LocalKeyManager"


def test_i11_a_configuration_changes_and_its_secret_stays_secret(shop, key_server):
    http, configuration_id = shop.site.http(), configure(shop, key_server)
    same = http.put(f"{CONFIGURATIONS}/{configuration_id}", json={"keyConfigurationType": "LocalKeyManager"})
    assert same.status_code == 200, "the api key is known"
    assert same.json()["url"] == key_server.url
    wrong = http.put(f"{CONFIGURATIONS}/{configuration_id}", json={"apiKey": "wrong"})
    assert wrong.status_code == 400
    assert http.post(KEYS).status_code == 200
    native = http.post(CONFIGURATIONS, json={"keyConfigurationType": "Native", "url": "ignored"}).json()
    assert "url" not in native
    assert http.get(CONFIGURATIONS).json()["entities"][0]["id"] == native["id"]
    assert http.put(f"{CONFIGURATIONS}/{uuid.uuid4()}", json={"keyConfigurationType": "Native"}).status_code == 404
    with shop.reading() as session:
        told = json.dumps([entry.detail for entry in session.scalars(select(AuditEntry))])
        rows = [f"{row.url} {row.api_id}" for row in session.scalars(select(KeyConfiguration))]
    assert key_server.api_key not in told + "".join(rows)
    for name in ("supervisor", "agent", "nobody"):
        for path in (KEYS, SCHEDULE, CONFIGURATIONS):
            assert shop.site.http(name).get(path).status_code == 403
        assert shop.site.http(name).post(KEYS).status_code == 403


class Machine:
    """A KMS of the tests."""

    def encrypt(self, key_id: str, plain: bytes) -> bytes:
        return bytes(byte ^ 0x5A for byte in plain)

    decrypt = encrypt


def test_i11_a_kms_that_is_provided(small_shop, recorded):
    shop, http = small_shop, small_shop.site.http()
    kms.register("testkms", Machine())
    try:
        reply = http.post(CONFIGURATIONS, json={"keyConfigurationType": "KmsSymmetric", "url": "testkms:recordings"})
        assert reply.status_code == 200, reply.text
        made = http.post(KEYS).json()
        assert (made["keyConfigurationType"], made["kmsKeyArn"]) == ("KmsSymmetric", "testkms:recordings")
        conversation_id, recording_id = recorded.store_call(shop.site)
        assert shop.vault.wrapped_by(recording_id) == 2
        assert listen(shop, conversation_id).status_code == 200
    finally:
        kms.unregister("testkms")
    forget_vault(shop)
    reply = listen(shop, conversation_id)
    assert reply.status_code == 503
    assert "no KMS provider" in reply.json()["message"]
