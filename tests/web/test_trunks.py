"""Trunk base settings and trunks, through the vendor's SDK."""

from __future__ import annotations

import json

import PureCloudPlatformClientV2 as sdk  # noqa: N813
import pytest
from PureCloudPlatformClientV2.rest import ApiException

from earwitness.store import snapshot
from earwitness.store.secret_box import KeyFileBox

METABASE = "external_sip_pcv_byoc_carrier.json"
PASSWORD = "trunk_sip_authentication_credentials_password"


def instance(value):
    return {"value": {"instance": value}}


def refusal(caught):
    return json.loads(caught.value.body)


def test_a12_from_template_to_a_recording_trunk(site):
    api = sdk.TelephonyProvidersEdgeApi(site.sdk())
    assert [m.id for m in api.get_telephony_providers_edges_trunkbasesettings_availablemetabases().entities]
    base = api.get_telephony_providers_edges_trunkbasesettings_template(METABASE)
    assert base.properties["trunk_recording_enabled"] == instance(False)
    assert base.properties["trunk_disallow_recording_during_hold"] == instance(True)
    base.name = "Carrier"
    base.properties["trunk_recording_enabled"] = instance(True)
    base.properties["trunk_transport_serverProxyList"] = instance(["192.0.2.1:5060"])
    base.properties["trunk_sip_authentication_credentials_username"] = instance("me")
    base.properties[PASSWORD] = instance("hush")
    base.properties["vendor_only_key"] = {"odd": [1, None, {"a": None}]}
    made = api.post_telephony_providers_edges_trunkbasesettings(base)
    assert made.properties["vendor_only_key"] == {"odd": [1, None, {"a": None}]}
    assert made.properties[PASSWORD] == instance("********")
    assert made.trunk_type == "EXTERNAL"
    trunks = api.get_telephony_providers_edges_trunks(trunk_base_id=made.id).entities
    assert [(t.name, t.enabled, t.trunk_base.id) for t in trunks] == [("Carrier", True, made.id)]
    assert api.get_telephony_providers_edges_trunk(trunks[0].id).proxy_address_list == ["192.0.2.1:5060"]
    counts = api.get_telephony_providers_edges_trunkswithrecording()
    assert (counts.enabled_count, counts.disabled_count) == (1, 0)
    assert api.get_telephony_providers_edges_trunkbasesettings(recording_enabled=False).entities == []
    assert api.get_telephony_providers_edges_trunkbasesettings(recording_enabled=True).total == 1
    # GET, change, PUT: the mask keeps the password (S15), the version moves on.
    again = api.get_telephony_providers_edges_trunkbasesetting(made.id)
    again.properties["trunk_recording_enabled"] = instance(False)
    changed = api.put_telephony_providers_edges_trunkbasesetting(made.id, again)
    assert changed.version == made.version + 1
    assert api.put_telephony_providers_edges_trunkbasesetting(made.id, again).version == changed.version
    with site.world.database.reading() as session:
        built = snapshot.build(session, KeyFileBox.open(site.arguments.keys_dir))
    assert built.trunks[0].credentials.password == "hush"
    assert built.trunks[0].recording.enabled is False
    found = api.post_telephony_providers_edges_trunkbasesettings_search(
        sdk.TelephonySearchRequest.from_json(
            json.dumps({"query": [{"type": "STARTS_WITH", "fields": ["name"], "value": "carr"}]})
        )
        if hasattr(sdk.TelephonySearchRequest, "from_json")
        else {"query": [{"type": "STARTS_WITH", "fields": ["name"], "value": "carr"}]}
    )
    assert found.total == 1
    api.delete_telephony_providers_edges_trunkbasesetting(made.id)
    api.delete_telephony_providers_edges_trunkbasesetting(made.id)
    assert api.get_telephony_providers_edges_trunks().entities == []


@pytest.mark.parametrize(
    ("key", "value", "named"),
    [
        ("trunk_recording_enabled", "yes", "trunk_recording_enabled"),
        ("trunk_recording_audioFormat", "audio/mp9", "trunk_recording_audioFormat"),
        ("trunk_recording_audioFormat", "audio/TrueSpeech", "trunk_recording_audioFormat"),
        ("trunk_access_acl_allowList", ["300.0.0.1"], "trunk_access_acl_allowList"),
        ("trunk_transport_serverProxyList", "192.0.2.1", "trunk_transport_serverProxyList"),
        ("trunk_transport_serverProxyList", ["host:99999"], "trunk_transport_serverProxyList"),
        ("trunk_transport_protocolVariant", "tls", "trunk_transport_protocolVariant"),
        ("trunk_maxDialTimeout", "soon", "trunk_maxDialTimeout"),
        ("earwitness_outbound_patterns", ["("], "earwitness_outbound_patterns"),
        (PASSWORD, 12, PASSWORD),
    ],
)
def test_wrong_settings_name_their_key(sqlite_site, key, value, named):
    http = sqlite_site.http()
    body = {"name": "X", "trunkMetabase": {"id": METABASE}, "properties": {key: instance(value)}}
    reply = http.post("/api/v2/telephony/providers/edges/trunkbasesettings", json=body)
    assert reply.status_code == 400
    assert named in reply.json()["message"]
    assert reply.json()["details"][0]["fieldName"] == f"properties.{named}"


def test_a8_dual_channel_needs_a_format_with_two_channels(sqlite_site):
    http = sqlite_site.http()
    properties = {
        "trunk_recording_dualChannel": instance(True),
        "trunk_recording_audioFormat": instance("audio/GSM"),
    }
    body = {"name": "X", "trunkMetabase": {"id": METABASE}, "properties": properties}
    assert http.post("/api/v2/telephony/providers/edges/trunkbasesettings", json=body).status_code == 400
    properties["trunk_recording_audioFormat"] = instance("audio/PCMA")
    assert http.post("/api/v2/telephony/providers/edges/trunkbasesettings", json=body).status_code == 200


def test_a_change_on_an_old_version_is_refused(sqlite_site):
    http = sqlite_site.http()
    path = "/api/v2/telephony/providers/edges/trunkbasesettings"
    made = http.post(path, json={"name": "X", "trunkMetabase": {"id": METABASE}}).json()
    first = {**made, "name": "Y"}
    assert http.put(f"{path}/{made['id']}", json=first).status_code == 200
    assert http.put(f"{path}/{made['id']}", json=first).status_code == 200
    assert http.put(f"{path}/{made['id']}", json={**made, "name": "Z"}).status_code == 409


def test_agents_do_not_see_trunks(site):
    with pytest.raises(ApiException) as caught:
        sdk.TelephonyProvidersEdgeApi(site.sdk("agent")).get_telephony_providers_edges_trunks()
    assert caught.value.status == 403
    assert refusal(caught)["code"] == "missing.permissions"


def test_s14_properties_that_a_change_does_not_name_stay(sqlite_site):
    http = sqlite_site.http()
    path = "/api/v2/telephony/providers/edges/trunkbasesettings"
    properties = {"trunk_recording_enabled": instance(True), PASSWORD: instance("hush"), "odd": 1}
    made = http.post(path, json={"name": "X", "trunkMetabase": {"id": METABASE}, "properties": properties}).json()
    one = f"{path}/{made['id']}"
    changed = http.put(one, json={"properties": {"trunk_label": instance("L")}}).json()
    assert changed["properties"] == {**made["properties"], "trunk_label": instance("L")}
    for _ in range(2):
        body = {"properties": {"odd": None, PASSWORD: None}, "version": changed["version"]}
        less = http.put(one, json=body)
        assert less.status_code == 200, less.text
    assert "odd" not in less.json()["properties"]
    assert less.json()["properties"][PASSWORD] == instance(None)
    assert less.json()["properties"]["trunk_recording_enabled"] == instance(True)
