"""Call routes to flows, in the contract's form, and to queues, in ours."""

from __future__ import annotations

import PureCloudPlatformClientV2 as sdk  # noqa: N813

from earwitness.store import snapshot
from earwitness.store.secret_box import KeyFileBox

IVRS, ROUTES = "/api/v2/architect/ivrs", "/api/v2/earwitness/callroutes"


def routes(site):
    with site.world.database.reading() as session:
        known = snapshot.build(session, KeyFileBox.open(site.arguments.keys_dir)).call_routes
    return {route.name: (route.target_type, route.target) for route in known}


def test_a_number_leads_to_a_flow(site):
    http, architect = site.http("client"), sdk.ArchitectApi(site.sdk())
    flow = http.post("/api/v2/flows", json={"name": "Day", "type": "inboundcall"}).json()["id"]
    night = http.post("/api/v2/flows", json={"name": "Night", "type": "inboundcall"}).json()["id"]
    waiting = http.post("/api/v2/flows", json={"name": "Wait", "type": "inqueuecall"}).json()["id"]
    ivr = sdk.IVR()
    ivr.name, ivr.dnis, ivr.open_hours_flow = "Hotline", ["+4930101"], sdk.DomainEntityRef()
    ivr.open_hours_flow.id = flow
    ivr.closed_hours_flow = sdk.DomainEntityRef()
    ivr.closed_hours_flow.id = night
    made = architect.post_architect_ivrs(ivr)
    assert (made.open_hours_flow.id, made.open_hours_flow.name, made.closed_hours_flow.name) == (flow, "Day", "Night")
    assert routes(site) == {"Hotline": ("flow", flow)}
    again = architect.get_architect_ivr(made.id)
    again.description = "x"
    assert architect.put_architect_ivr(made.id, again).open_hours_flow.id == flow
    shown = http.get(f"{ROUTES}/{made.id}").json()
    assert shown["target"] == {"type": "flow", "id": flow}
    assert http.delete(f"/api/v2/flows/{flow}").status_code == 409
    for wrong in (waiting, "none"):
        assert http.put(f"{IVRS}/{made.id}", json={"openHoursFlow": {"id": wrong}}).status_code == 400
        assert http.put(f"{ROUTES}/{made.id}", json={"target": {"type": "flow", "id": wrong}}).status_code == 400
    assert http.put(f"{IVRS}/{made.id}", json={"name": "Hotline"}).json()["openHoursFlow"]["id"] == flow
    bare = http.put(f"{IVRS}/{made.id}", json={"openHoursFlow": None, "closedHoursFlow": None}).json()
    assert {"openHoursFlow", "closedHoursFlow"}.isdisjoint(bare)
    assert routes(site) == {}


def test_a_number_leads_to_a_queue(site):
    http = site.http("client")
    queue = http.post("/api/v2/routing/queues", json={"name": "Sales"}).json()["id"]
    body = {"name": "Direct", "dnis": ["+4930102"], "target": {"type": "queue", "id": queue}}
    made = http.post(ROUTES, json=body).json()
    assert made["target"] == {"type": "queue", "id": queue}
    assert routes(site) == {"Direct": ("queue", queue)}
    # In the contract's form it has no target, and a client that gives that back changes nothing.
    ivr = http.get(f"{IVRS}/{made['id']}").json()
    assert "openHoursFlow" not in ivr
    assert http.put(f"{IVRS}/{made['id']}", json={**ivr, "openHoursFlow": None}).status_code == 200
    assert routes(site) == {"Direct": ("queue", queue)}
    assert http.delete(f"/api/v2/routing/queues/{queue}").status_code == 409
    assert http.delete(f"/api/v2/routing/queues/{queue}", params={"forceDelete": True}).status_code == 204
    wrong = {"name": "X", "target": {"type": "queue", "id": queue}}
    assert http.post(ROUTES, json=wrong).status_code == 400
