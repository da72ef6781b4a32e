"""Who may give and take rights, and who must stay."""

from __future__ import annotations

from typing import Any

import pytest

from earwitness.store.tables import Grant, Role

SUBJECTS = "/api/v2/authorization/subjects"
ROLES = "/api/v2/authorization/roles"


def give(site: Any, name: str, division_id: str, *permissions: str) -> str:
    """Gives a user a role of these permissions in a division; the role's id."""
    world, role_id = site.world, f"role-{name}-{len(site.world.roles)}"
    with world.database.transaction() as session:
        stamp = {"created_at": 1, "modified_at": 1}
        session.add(Role(id=role_id, name=role_id, permissions=list(permissions), permission_policies=[], **stamp))
        session.flush()
        session.add(Grant(id=role_id, subject_type="user", subject_id=world.users[name], role_id=role_id,
                          division_id=division_id, granted_at=1))  # fmt: skip
    world.roles[role_id] = role_id
    return role_id


def test_nobody_takes_what_they_could_not_give(sqlite_site):
    world = sqlite_site.world
    give(
        sqlite_site, "other", world.sales, "authorization:grant:add", "authorization:grant:delete", "oauth:client:edit"
    )
    http, admin, role = sqlite_site.http("other"), world.users["admin"], world.roles["administrator"]
    pair = {"roleId": role, "divisionId": "*"}
    replies = [
        http.delete(f"{SUBJECTS}/{admin}/divisions/*/roles/{role}"),
        http.post(f"{SUBJECTS}/{admin}/bulkremove", json={"grants": [pair]}),
        http.post(f"{SUBJECTS}/{admin}/bulkreplace", json={"grants": []}),
        http.put(f"/api/v2/users/{admin}/roles", json=[]),
        http.put(f"{ROLES}/{role}/users/remove", json=[admin]),
        http.put(f"/api/v2/oauth/clients/{world.client}", json={"roleDivisions": []}),
    ]
    assert [(reply.status_code, reply.json()["code"]) for reply in replies] == [(403, "missing.permissions")] * 6
    assert sqlite_site.http("admin").get("/api/v2/oauth/clients").status_code == 200


@pytest.mark.parametrize("how", ["one", "bulk", "members"])
def test_what_one_could_give_and_what_is_ones_own_can_be_taken(sqlite_site, how):
    world = sqlite_site.world
    small = give(sqlite_site, "agent", world.sales, "directory:user:view")
    own = give(sqlite_site, "other", world.sales, "authorization:grant:delete", "directory:user:view")
    http, agent, me = sqlite_site.http("other"), world.users["agent"], world.users["other"]
    grants = {"grants": [{"roleId": small, "divisionId": world.sales}]}
    reply = {
        "one": lambda: http.delete(f"{SUBJECTS}/{agent}/divisions/{world.sales}/roles/{small}"),
        "bulk": lambda: http.post(f"{SUBJECTS}/{agent}/bulkremove", json=grants),
        "members": lambda: http.put(f"{ROLES}/{small}/users/remove", json=[agent]),
    }[how]()
    assert reply.status_code < 300
    assert http.delete(f"{SUBJECTS}/{agent}/divisions/{world.sales}/roles/{small}").status_code == 204
    left = sqlite_site.http().get(f"{SUBJECTS}/{agent}").json()["grants"]
    assert {grant["role"]["id"] for grant in left} == {world.roles["agent"], world.roles["ownCalls"]}
    assert http.delete(f"{SUBJECTS}/{me}/divisions/{world.sales}/roles/{world.roles['agent']}").status_code == 204
    assert http.delete(f"{SUBJECTS}/{me}/divisions/{world.sales}/roles/{own}").status_code == 204


def test_somebody_active_stays_administrator(sqlite_site):
    world = sqlite_site.world
    http = sqlite_site.http("other")
    give(sqlite_site, "other", "*", "directory:*:*", "oauth:*:*", "authorization:*:*")
    admin, client = f"/api/v2/users/{world.users['admin']}", f"/api/v2/oauth/clients/{world.client}"
    assert http.put(client, json={"state": "disabled"}).status_code == 200
    for reply in (http.patch(admin, json={"state": "inactive"}), http.delete(admin)):
        assert (reply.status_code, reply.json()["message"]) == (409, "Somebody must stay administrator.")
    assert http.put(client, json={"state": "active"}).status_code == 200
    assert http.patch(admin, json={"state": "inactive"}).status_code == 200
    assert http.put(client, json={"state": "disabled"}).status_code == 409


EDGES = "/api/v2/telephony/providers/edges"


def test_telephony_is_administered_in_the_granted_divisions(sqlite_site):
    world, admin, other = sqlite_site.world, sqlite_site.http(), sqlite_site.http("other")
    give(sqlite_site, "other", world.sales, "telephony:*:*", "routing:*:*")
    base = {"trunkMetabase": {"id": "external_sip.json"}}
    families = {
        f"{EDGES}/trunkbasesettings": base,
        f"{EDGES}/phonebasesettings": {},
        f"{EDGES}/phones": {},
        f"{EDGES}/sites": {},
        "/api/v2/architect/ivrs": {},
        "/api/v2/earwitness/callroutes": {},
    }
    for path, more in families.items():
        at_home = admin.post(path, json={"name": "Home's", **more}).json()
        in_sales = other.post(path, json={"name": "Ours", "division": {"id": world.sales}, **more}).json()
        refused = [
            other.post(path, json={"name": "X", **more}),
            other.put(f"{path}/{at_home['id']}", json={**at_home, "name": "Y"}),
            other.delete(f"{path}/{at_home['id']}"),
            other.put(f"{path}/{in_sales['id']}", json={**in_sales, "division": {"id": world.home}}),
        ]
        assert [reply.status_code for reply in refused] == [403] * 4, path
        assert other.put(f"{path}/{in_sales['id']}", json={**in_sales, "name": "Y"}).status_code == 200, path
        assert other.delete(f"{path}/{in_sales['id']}").status_code == 204, path
    numbers = {"startPhoneNumber": "+4930100", "endPhoneNumber": "+4930100"}
    pool = admin.post(f"{EDGES}/didpools", json=numbers).json()["id"]
    did = admin.get(f"{EDGES}/dids").json()["entities"][0]["id"]
    station = admin.post(f"{EDGES}/phones", json={"name": "Desk"}).json()["lines"][0]["id"]
    agent = world.users["agent"]
    assert admin.put(f"/api/v2/users/{agent}/station/associatedstation/{station}").status_code == 204
    refused = [
        other.delete(f"{EDGES}/didpools/{pool}"),
        other.put(f"{EDGES}/dids/{did}", json={"owner": {"id": agent}, "ownerType": "USER"}),
        other.post(f"/api/v2/earwitness/stations/{station}/credentials"),
        other.delete(f"/api/v2/stations/{station}/associateduser"),
        other.delete(f"/api/v2/users/{agent}/station/associatedstation"),
        other.put(f"/api/v2/users/{agent}/station/associatedstation/{station}"),
        other.put(f"/api/v2/users/{agent}/station/defaultstation/{station}"),
    ]
    assert [reply.status_code for reply in refused] == [403] * 7


def test_agents_sit_down_and_stand_up_by_themselves(sqlite_site):
    admin, agent = sqlite_site.http(), sqlite_site.http("agent")
    station = admin.post(f"{EDGES}/phones", json={"name": "Desk"}).json()["lines"][0]["id"]
    mine = "/api/v2/users/stations/me"
    assert agent.put(f"{mine}/associatedstation/{station}").status_code == 204
    assert agent.get(mine).json()["associatedStation"]["id"] == station
    assert agent.delete(f"{mine}/associatedstation").status_code == 204


def test_j12_segments_reach_calls_with_a_part_in_the_divisions(site, recorded):
    world = site.world
    within, recording_id = recorded.store_call(site)
    across, other_id = recorded.store_call(site, user="admin", divisions=[world.sales, world.home])
    elsewhere, _ = recorded.store_call(site, user="admin", divisions=[world.home])
    give(site, "nobody", world.sales, "recording:recordingSegment:view")
    http = site.http("nobody")
    replies = [http.get(f"/api/v2/conversations/{key}/recordings") for key in (within, across, elsewhere)]
    assert [reply.status_code for reply in replies] == [200, 200, 404]
    assert [[item["id"] for item in reply.json()] for reply in replies[:2]] == [[recording_id], []]
    assert http.get(f"/api/v2/conversations/{within}/recordings/{recording_id}").status_code == 200
    assert http.get(f"/api/v2/conversations/{across}/recordings/{other_id}").status_code == 404
    both, third_id = recorded.store_call(site, divisions=[world.sales, world.home])
    assert [item["id"] for item in http.get(f"/api/v2/conversations/{both}/recordings").json()] == [third_id]


def test_kinds_of_which_there_are_none_are_an_empty_list(sqlite_site, recorded):
    conversation_id, recording_id = recorded.store_call(sqlite_site)
    give(sqlite_site, "nobody", sqlite_site.world.sales, "recording:snippetRecording:view")
    http = sqlite_site.http("nobody")
    reply = http.get(f"/api/v2/conversations/{conversation_id}/recordings")
    assert (reply.status_code, reply.json()) == (200, [])
    assert http.get(f"/api/v2/conversations/{conversation_id}/recordings/{recording_id}").status_code == 404


def test_e2_why_tells_nobody_of_other_peoples_recordings(sqlite_site, recorded):
    tape_id, conversation_id, own = recorded.new_id(), recorded.new_id(), recorded.new_id()
    events = recorded.call_events(conversation_id, sqlite_site.world.users["agent"], tape_id, ended=False)
    opened = {**events[-1].data, "tape_id": own, "leg_id": "s", "kind": "user"}
    events.append(type(events[-1])(len(events), events[-1].at, "tape.opened", opened))
    sqlite_site.edge.conversations[conversation_id] = recorded.live_document(events)
    for name, tapes in {"agent": {tape_id, own}, "supervisor": {tape_id}, "client": {tape_id}}.items():
        reply = sqlite_site.http(name).get(f"/api/v2/earwitness/conversations/{conversation_id}/why")
        assert {span["tapeId"] for span in reply.json()["spans"]} == tapes, name


def test_grants_of_a_division_and_of_a_role(sqlite_site):
    world, http = sqlite_site.world, sqlite_site.http()
    found = http.get(f"/api/v2/authorization/divisions/{world.sales}/grants").json()
    assert {grant["subjectId"] for grant in found["entities"]} == {
        world.users[n] for n in ("supervisor", "agent", "other")
    }
    found = http.get(f"{ROLES}/{world.roles['administrator']}/subjectgrants").json()["entities"]
    assert {(item["name"], item["type"]) for item in found} == {("Admin", "PC_USER"), ("Tests", "PC_OAUTH_CLIENT")}
    assert [division["id"] for division in found[0]["divisions"]] == ["*"]


def test_users_are_moved_by_who_may_edit_them_here_and_there(sqlite_site):
    world, http = sqlite_site.world, sqlite_site.http()
    give(sqlite_site, "other", world.sales, "directory:user:edit")
    path, agent = "/api/v2/authorization/divisions/{}/objects/USER", world.users["agent"]
    assert sqlite_site.http("other").post(path.format(world.home), json=[agent]).status_code == 403
    assert sqlite_site.http("other").post(path.format(world.sales), json=[world.users["admin"]]).status_code == 403
    assert http.post(path.format(world.home), json=[agent, "nobody"]).status_code == 404
    assert http.get(f"/api/v2/users/{agent}").json()["division"]["id"] == world.sales
    assert http.post(path.format(world.home), json=[agent]).status_code == 204
    assert http.get(f"/api/v2/users/{agent}").json()["division"]["id"] == world.home


def test_lists_can_be_searched_and_turned_round(sqlite_site):
    http = sqlite_site.http()
    names = [user["name"] for user in http.get("/api/v2/users?sortOrder=descending").json()["entities"]]
    assert names == sorted(names, reverse=True)
    found = http.get("/api/v2/authorization/permissions?query=SELFstation").json()["entities"]
    assert [(item["domain"], list(item["permissionMap"])) for item in found] == [
        ("telephony", ["selfStationAssociation"])
    ]
