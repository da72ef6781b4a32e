"""Presence and routing status: how agents go on queue."""

from __future__ import annotations

import json

import PureCloudPlatformClientV2 as sdk  # noqa: N813
import pytest
from PureCloudPlatformClientV2.rest import ApiException

from earwitness.store import user_routing


def on_queue(site, user_id):
    with site.world.database.reading() as session:
        row = user_routing.get(session, user_id)
        return row is not None and row.on_queue


def presence(word=None, **more):
    body = sdk.UserPresence()
    if word is not None:
        body.presence_definition = sdk.PresenceDefinition()
        body.presence_definition.system_presence = word
    for key, value in more.items():
        setattr(body, key, value)
    return body


def test_on_queue_and_off_it(site):
    agent = site.world.users["agent"]
    api, users = sdk.PresenceApi(site.sdk("agent")), sdk.UsersApi(site.sdk("agent"))
    assert api.get_user_presences_purecloud(agent).presence_definition.system_presence == "Offline"
    assert users.get_user_routingstatus(agent).status == "OFF_QUEUE"
    changed = api.patch_user_presence(agent, "PURECLOUD", presence("On Queue"))
    assert changed.presence_definition.system_presence == "On Queue"
    assert site.edge.told == [("PUT", f"/agents/{agent}", {"on_queue": True})]
    assert on_queue(site, agent)
    assert users.get_user_routingstatus(agent).status == "IDLE"
    api.patch_user_presences_purecloud(agent, presence("On Queue"))
    assert len(site.edge.told) == 1
    site.edge.agents[agent]["status"] = "NOT_RESPONDING"
    body = sdk.RoutingStatus()
    body.status = "IDLE"
    assert users.put_user_routingstatus(agent, body).status == "IDLE"
    assert site.edge.told[-1] == ("PUT", f"/agents/{agent}", {"status": "IDLE"})
    found = site.http("agent").get("/api/v2/presencedefinitions").json()["entities"]
    meal = next(item["id"] for item in found if item["systemPresence"] == "Meal")
    definition = sdk.PresenceDefinition()
    definition.id = meal
    lunch = sdk.UserPresence()
    lunch.presence_definition, lunch.message = definition, "back at one"
    changed = api.patch_user_presences_purecloud(agent, lunch)
    assert (changed.presence_definition.system_presence, changed.message) == ("Meal", "back at one")
    assert site.edge.told[-1] == ("PUT", f"/agents/{agent}", {"on_queue": False})
    assert not on_queue(site, agent)
    with pytest.raises(ApiException) as caught:
        users.put_user_routingstatus(agent, body)
    assert caught.value.status == 409
    api.patch_user_presences_purecloud(agent, presence("OnQueue"))
    body.status = "OFF_QUEUE"
    assert users.put_user_routingstatus(agent, body).status == "OFF_QUEUE"
    assert api.get_user_presences_purecloud(agent).presence_definition.system_presence == "Available"


def test_who_may_set_whose_presence(sqlite_site):
    world = sqlite_site.world
    agent, path = world.users["agent"], f"/api/v2/users/{world.users['agent']}/presences/purecloud"
    body = {"presenceDefinition": {"systemPresence": "Break"}}
    assert sqlite_site.http("other").patch(path, json=body).status_code == 403
    assert (
        sqlite_site.http("nobody").put(f"/api/v2/users/{agent}/routingstatus", json={"status": "IDLE"}).status_code
        == 403
    )
    assert sqlite_site.http("admin").patch(path, json=body).status_code == 200
    assert sqlite_site.http("client").patch(path, json={"message": "hello"}).json()["message"] == "hello"
    http = sqlite_site.http("agent")
    assert http.patch(path, json={"message": None}).json().get("message") is None
    for wrong in ({"systemPresence": "Dancing"}, {"id": "none"}, {}):
        assert http.patch(path, json={"presenceDefinition": wrong}).status_code == 400
    assert http.patch(path.replace("purecloud", "mitel"), json=body).status_code == 404
    assert http.get("/api/v2/users/none/presences/purecloud").status_code == 404
    assert http.get("/api/v2/users/none/routingstatus").json()["status"] == "OFF_QUEUE"
    names = [item["name"] for item in http.get("/api/v2/systempresences").json()]
    assert {"Available", "On Queue", "Offline"} <= set(names)
    listed = sdk.PresenceApi(sqlite_site.sdk()).get_presence_definitions().entities
    assert "OnQueue" in {item.system_presence for item in listed}


def test_without_an_edge_nobody_goes_on_queue(sqlite_site):
    agent = sqlite_site.world.users["agent"]
    path, http = f"/api/v2/users/{agent}/presences/purecloud", sqlite_site.http("agent")
    sqlite_site.edge.refusal = (409, {"status": 409, "code": "no.station", "message": "The user has no phone."})
    reply = http.patch(path, json={"presenceDefinition": {"systemPresence": "On Queue"}})
    assert (reply.status_code, reply.json()["code"]) == (409, "no.station")
    (sqlite_site.arguments.run_dir / "edge.json").write_text(json.dumps({"control_url": "http://127.0.0.1:9"}))
    assert http.patch(path, json={"presenceDefinition": {"systemPresence": "On Queue"}}).status_code == 503
    assert not on_queue(sqlite_site, agent)
    assert http.patch(path, json={"presenceDefinition": {"systemPresence": "Away"}}).status_code == 200
    assert http.get(f"/api/v2/users/{agent}/routingstatus").json()["status"] == "OFF_QUEUE"


def test_an_edge_that_has_not_heard_of_a_new_user_reads_its_configuration(sqlite_site):
    agent = sqlite_site.world.users["agent"]
    path, body = f"/api/v2/users/{agent}/presences/purecloud", {"presenceDefinition": {"systemPresence": "On Queue"}}
    sqlite_site.edge.strangers.add(agent)
    assert sqlite_site.http("agent").patch(path, json=body).status_code == 200
    assert [told[:2] for told in sqlite_site.edge.told] == [
        ("PUT", f"/agents/{agent}"), ("POST", "/reload"), ("PUT", f"/agents/{agent}"),
    ]  # fmt: skip
    assert sqlite_site.edge.agents[agent]["on_queue"]
    assert on_queue(sqlite_site, agent)


def test_whoever_is_no_longer_active_is_offline(sqlite_site):
    http, agent = sqlite_site.http(), sqlite_site.world.users["agent"]
    presence = f"/api/v2/users/{agent}/presences/purecloud"
    on_queue = {"presenceDefinition": {"systemPresence": "On Queue"}}
    assert http.patch(presence, json=on_queue).status_code == 200
    assert http.patch(f"/api/v2/users/{agent}", json={"state": "inactive"}).status_code == 200
    assert sqlite_site.edge.agents[agent]["on_queue"] is False
    assert http.patch(f"/api/v2/users/{agent}", json={"state": "active"}).status_code == 200
    assert http.get(presence).json()["presenceDefinition"]["systemPresence"] == "Offline"
    assert http.get(f"/api/v2/users/{agent}/routingstatus").json()["status"] == "OFF_QUEUE"
