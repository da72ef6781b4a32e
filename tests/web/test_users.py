"""Users, roles and grants, through the vendor's SDK."""

from __future__ import annotations

import PureCloudPlatformClientV2 as sdk  # noqa: N813
import pytest
from PureCloudPlatformClientV2.rest import ApiException


def make_user(api, name="Ada", **more):
    body = sdk.CreateUser()
    body.name, body.email, body.password = name, f"{name.lower()}@example.com", "long enough pw"
    for key, value in more.items():
        setattr(body, key, value)
    return api.post_users(body)


def test_a_users_life(site):
    api = sdk.UsersApi(site.sdk())
    ada = make_user(api, division_id=site.world.sales)
    assert (ada.state, ada.division.name, ada.username) == ("active", "Sales", "ada@example.com")
    with pytest.raises(ApiException) as caught:
        make_user(api)
    assert caught.value.status == 409
    change = sdk.UpdateUser()
    change.title, change.version = "Head", ada.version
    changed = api.patch_user(ada.id, change)
    assert (changed.title, changed.version) == ("Head", ada.version + 1)
    assert api.patch_user(ada.id, change).version == changed.version
    listed = api.get_users(page_size=2)
    assert (listed.total, listed.page_count, len(listed.entities)) == (6, 3, 2)
    search = sdk.UserSearchRequest()
    search.query = [sdk.UserSearchCriteria()]
    search.query[0].value, search.query[0].fields, search.query[0].type = "ada", ["name"], "QUERY_STRING"
    assert [u.id for u in api.post_users_search(search).results] == [ada.id]
    api.delete_user(ada.id)
    api.delete_user(ada.id)
    with pytest.raises(ApiException) as caught:
        api.get_user(ada.id)
    assert caught.value.status == 404
    assert api.get_user(ada.id, state="deleted").state == "deleted"
    change = sdk.UpdateUser()
    change.state = "active"
    assert api.patch_user(ada.id, change).state == "active"


def test_s9_me_is_for_users(site):
    with pytest.raises(ApiException) as caught:
        sdk.UsersApi(site.sdk()).get_users_me()
    assert caught.value.status == 400
    mine = sdk.UsersApi(site.sdk("agent")).get_users_me(expand=["authorization", "organization", "station"])
    assert mine.name == "Agent"
    assert "recording:recording:view" in mine.authorization.permissions
    assert mine.organization.name == "Test Ltd"


def test_roles_of_a_user(site):
    users, authorization = sdk.UsersApi(site.sdk()), sdk.AuthorizationApi(site.sdk())
    ada = make_user(users)
    roles = {role.name: role.id for role in authorization.get_authorization_roles().entities}
    given = users.put_user_roles(ada.id, [roles["Agent"], roles["Supervisor"]])
    assert {role.name for role in given.roles} == {"Agent", "Supervisor"}
    assert [r.name for r in users.put_user_roles(ada.id, [roles["Agent"]]).roles] == ["Agent"]
    pair = sdk.RoleDivisionPair()
    pair.role_id, pair.division_id = roles["Supervisor"], site.world.sales
    grants = sdk.RoleDivisionGrants()
    grants.grants = [pair]
    authorization.post_authorization_subject_bulkreplace(ada.id, grants)
    subject = authorization.get_authorization_subject(ada.id)
    assert [(g.role.name, g.division.name) for g in subject.grants] == [("Supervisor", "Sales")]
    authorization.delete_authorization_subject_division_role(ada.id, site.world.sales, roles["Supervisor"])
    assert authorization.get_authorization_subject(ada.id).grants == []


def test_nobody_gives_away_what_they_do_not_hold(sqlite_site):
    http = sqlite_site.http()
    role = http.post(
        "/api/v2/authorization/roles",
        json={"name": "Granter", "permissions": ["authorization:grant:add", "directory:user:edit"]},
    ).json()
    world = sqlite_site.world
    path = f"/api/v2/authorization/subjects/{world.users['agent']}/divisions/{world.home}/roles"
    assert http.post(f"{path}/{role['id']}").status_code == 204
    agent = sqlite_site.http("agent")
    assert agent.post(f"{path}/{role['id']}").status_code == 204
    refused = agent.post(f"{path}/{world.roles['administrator']}")
    assert refused.status_code == 403
    taken_over = agent.patch(f"/api/v2/users/{world.users['admin']}", json={"email": "mine@example.com"})
    assert taken_over.status_code == 403


def test_the_last_administrator_stays(sqlite_site):
    http = sqlite_site.http()
    world = sqlite_site.world
    for subject, expected in ((world.client, 204), (world.users["admin"], 409)):
        reply = http.post(f"/api/v2/authorization/subjects/{subject}/bulkreplace", json={"grants": []})
        assert reply.status_code == expected


def test_passwords(sqlite_site):
    agent = sqlite_site.http("agent")
    wrong = {"oldPassword": "no", "newPassword": "another long one"}
    assert agent.post("/api/v2/users/me/password", json=wrong).status_code == 400
    right = {"oldPassword": "correct horse battery", "newPassword": "another long one"}
    assert agent.post("/api/v2/users/me/password", json=right).status_code == 204
    assert agent.get("/api/v2/users/me").status_code == 200
    form = {"grant_type": "password", "username": "agent@example.com", "password": "another long one"}
    token = agent.post("/oauth/token", data=form).json()["access_token"]
    user_id = sqlite_site.world.users["agent"]
    admin = sqlite_site.http()
    short = admin.post(f"/api/v2/users/{user_id}/password", json={"newPassword": "short"})
    assert short.json()["code"] == "invalid.password"
    assert admin.post(f"/api/v2/users/{user_id}/password", json={"newPassword": "set by admin"}).status_code == 204
    gone = agent.get("/api/v2/users/me", headers={"Authorization": f"Bearer {token}"})
    assert gone.status_code == 401
