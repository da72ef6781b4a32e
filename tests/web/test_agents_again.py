"""An edge that has started learns who is on queue."""

from __future__ import annotations

import json

from earwitness.store import user_routing
from earwitness.web.agents_again import AgentsAgain


def test_an_edge_that_lost_its_folder_is_told_again(sqlite_site):
    world, edge, services = sqlite_site.world, sqlite_site.edge, sqlite_site.app.state.services
    with world.database.transaction() as session:
        for name, presence in (("agent", "On Queue"), ("other", "On Queue"), ("nobody", "Meal")):
            user_routing.put(session, world.users[name], 1, presence=presence, message=None, status="IDLE")
    told = f"/agents/{world.users['agent']}"
    edge.agents[world.users["other"]] = {"user_id": world.users["other"], "on_queue": True, "status": "IDLE"}
    again = AgentsAgain(services)
    assert again.look()
    assert edge.told == [("PUT", told, {"on_queue": True})]
    assert again.look()
    assert len(edge.told) == 1
    # The same again when the edge is another one; one that is away is asked later.
    edge.agents.clear()
    path = sqlite_site.arguments.run_dir / "edge.json"
    address = path.read_text()
    path.write_text(json.dumps({"control_url": "http://127.0.0.1:9"}))
    assert not again.look()
    path.write_text(json.dumps({**json.loads(address), "pid": 2}))
    edge.refusal = (409, {"status": 409, "code": "no.station", "message": "The user has no phone."})
    assert again.look()
    assert {method + path for method, path, _body in edge.told[1:]} == {
        "PUT" + told,
        f"PUT/agents/{world.users['other']}",
    }
    path.unlink()
    assert again.look()


def test_it_looks_by_itself(sqlite_site):
    again = AgentsAgain(sqlite_site.app.state.services)
    again.start()
    again.stop()
