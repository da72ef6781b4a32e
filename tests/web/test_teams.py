"""Work teams: through the vendor's SDK; and that a call knows them as they were (J13)."""

from __future__ import annotations

import uuid

import httpx
import PureCloudPlatformClientV2 as sdk  # noqa: N813
import pytest
from PureCloudPlatformClientV2.rest import ApiException

from earwitness.store.tables import AuditEntry, Grant, Role


def model(kind, **fields):
    made = getattr(sdk, kind)()
    for key, value in fields.items():
        setattr(made, key, value)
    return made


def refused(call, *arguments, **more):
    with pytest.raises(ApiException) as caught:
        call(*arguments, **more)
    return caught.value.status


def give(site, name, division_id, *permissions, condition=None):
    world, role_id = site.world, f"role-{name}-{len(site.world.roles)}"
    with world.database.transaction() as session:
        stamp = {"created_at": 1, "modified_at": 1}
        session.add(Role(id=role_id, name=role_id, permissions=list(permissions), permission_policies=[], **stamp))
        session.flush()
        session.add(Grant(id=role_id, subject_type="user", subject_id=world.users[name], role_id=role_id,
                          division_id=division_id, condition=condition, granted_at=1))  # fmt: skip
    world.roles[role_id] = role_id


def test_a_team_lives(site):
    world, api = site.world, sdk.TeamsApi(site.sdk())
    made = api.post_teams(model("Team", name="North", description="Those up there"))
    assert (made.name, made.description, made.member_count, made.division.id) == (
        "North", "Those up there", 0, world.home,
    )  # fmt: skip
    assert refused(api.post_teams, model("Team", name="North", description="again")) == 409
    assert refused(api.post_teams, model("Team")) == 400
    assert refused(api.get_team, str(uuid.uuid4())) == 404
    made.description = None
    made.name = "North East"
    changed = api.patch_team(made.id, made)
    assert (changed.name, changed.date_created) == ("North East", made.date_created)
    assert (
        api.patch_team(made.id, model("Team", division=model("WritableDivision", id=world.sales))).division.name
        == "Sales"
    )
    assert refused(api.patch_team, made.id, model("Team", division=model("WritableDivision", id="none"))) == 400
    ann, bob = world.users["agent"], world.users["other"]
    members = model("TeamMembers", member_ids=[ann, "nobody at all", world.users["admin"], bob])
    reply = api.post_team_members(made.id, members)
    assert [item.id for item in reply.entities] == [ann, bob]
    assert [(item.id, item.reason) for item in reply.failures] == [
        ("nobody at all", "UserNotFound"),
        (world.users["admin"], "UserGroupDivisionMismatch"),
    ]
    assert [item.name for item in api.get_team_members(made.id).entities] == ["Agent", "Other"]
    assert api.get_team(made.id).member_count == 2
    second = api.post_teams(model("Team", name="South", division=model("WritableDivision", id=world.sales)))
    reply = api.post_team_members(second.id, model("TeamMembers", member_ids=[ann]))
    assert [item.reason for item in reply.failures] == ["UserGroupLimitExceeded"]
    api.delete_team_members(made.id, ann)
    api.delete_team_members(made.id, f"{ann},unknown")
    assert api.post_team_members(second.id, model("TeamMembers", member_ids=[ann])).entities[0].id == ann
    assert [team.name for team in api.get_teams(name="sou").entities] == ["South"]
    first = api.get_teams(page_size=1)
    assert ([team.name for team in first.entities], first.previous_uri) == (["North East"], None)
    follow = site.http().get(first.next_uri).json()
    assert ([team["name"] for team in follow["entities"]], "nextUri" in follow) == (["South"], False)
    assert [team["name"] for team in site.http().get(follow["previousUri"]).json()["entities"]] == ["North East"]
    assert refused(api.get_teams, after="no cursor") == 400
    api.delete_team(made.id)
    api.delete_team(made.id)
    assert refused(api.get_team, made.id) == 404
    assert refused(api.get_team_members, made.id) == 404
    with world.database.reading() as session:
        told = [(row.action, row.entity_type) for row in session.query(AuditEntry) if row.entity_type == "team"]
    assert told.count(("addMember", "team")) == 3
    assert told.count(("removeMember", "team")) == 1
    assert told.count(("delete", "team")) == 1


def test_teams_of_another_division_do_not_exist(sqlite_site):
    world, admin, supervisor = sqlite_site.world, sqlite_site.http(), sqlite_site.http("supervisor")
    home = admin.post("/api/v2/teams", json={"name": "Home's"}).json()["id"]
    sales = admin.post("/api/v2/teams", json={"name": "Ours", "division": {"id": world.sales}}).json()["id"]
    assert [team["id"] for team in supervisor.get("/api/v2/teams").json()["entities"]] == [sales]
    assert supervisor.get(f"/api/v2/teams/{home}").status_code == 404
    assert supervisor.patch(f"/api/v2/teams/{sales}", json={"name": "X"}).status_code == 403
    give(sqlite_site, "supervisor", world.sales, "groups:team:*")
    assert supervisor.patch(f"/api/v2/teams/{home}", json={"name": "X"}).status_code == 404
    assert supervisor.patch(f"/api/v2/teams/{sales}", json={"division": {"id": world.home}}).status_code == 403
    assert supervisor.post("/api/v2/teams", json={"name": "Y"}).status_code == 403
    assert (
        supervisor.post(f"/api/v2/teams/{home}/members", json={"memberIds": [world.users["agent"]]}).status_code == 404
    )
    assert supervisor.post(f"/api/v2/teams/{sales}/members", json={"memberIds": []}).status_code == 400
    assert supervisor.delete(f"/api/v2/teams/{sales}/members").status_code == 400
    assert supervisor.delete(f"/api/v2/teams/{sales}").status_code == 204


def test_j13_the_team_at_the_time_of_the_call(site, recorded):
    world, admin = site.world, site.http()
    clock = site.app.state.services.clock
    object.__setattr__(clock, "now_us", lambda: recorded.START - 10_000_000)
    team = admin.post("/api/v2/teams", json={"name": "Then", "division": {"id": world.sales}}).json()["id"]
    later = admin.post("/api/v2/teams", json={"name": "Now", "division": {"id": world.sales}}).json()["id"]
    admin.post(f"/api/v2/teams/{team}/members", json={"memberIds": [world.users["agent"]]})
    object.__setattr__(clock, "now_us", lambda: recorded.START + 60_000_000)
    admin.request("DELETE", f"/api/v2/teams/{team}/members", params={"id": world.users["agent"]})
    admin.post(f"/api/v2/teams/{later}/members", json={"memberIds": [world.users["agent"]]})
    conversation_id, recording_id = recorded.store_call(site)  # stored long after the call
    view = "recording:recording:view"
    for name, wanted in (("nobody", team), ("other", later)):
        condition = {"operands": [{"type": "TEAM", "team": {"id": wanted}}]}
        give(site, name, "*", view, condition=condition)
    path = f"/api/v2/conversations/{conversation_id}/recordings/{recording_id}"
    assert site.http("other").get(path).status_code == 404
    reply = site.http("nobody").get(path)
    assert reply.status_code == 200
    uri = reply.json()["mediaUris"]["0"]["mediaUri"]
    assert httpx.get(uri, trust_env=False).status_code == 200
    admin.delete(f"/api/v2/teams/{team}")
    assert site.http("nobody").get(path).status_code == 200  # the call stays the team's
