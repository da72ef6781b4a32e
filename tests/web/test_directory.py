"""Groups, external contacts, deleted divisions, built-in roles, programs and tokens, through the vendor's SDK."""

from __future__ import annotations

import PureCloudPlatformClientV2 as sdk  # noqa: N813
import pytest
from PureCloudPlatformClientV2.rest import ApiException

from earwitness.domain.access import Subject
from earwitness.domain.access.roles import DEFAULT_ROLES
from earwitness.store import oauth
from earwitness.web.kernel.idle import IdleTokens


def model(kind, **fields):
    made = getattr(sdk, kind)()
    for key, value in fields.items():
        setattr(made, key, value)
    return made


def refused(call, *arguments, **more):
    with pytest.raises(ApiException) as caught:
        call(*arguments, **more)
    return caught.value.status


def test_groups_and_their_members(site):
    world, api, own = site.world, sdk.GroupsApi(site.sdk()), sdk.GroupsApi(site.sdk("agent"))
    made = api.post_groups(model("GroupCreate", name="Night", type="social", visibility="members", rules_visible=False,
                                 owner_ids=[world.users["agent"]]))  # fmt: skip
    assert (made.type, made.visibility, made.rules_visible, made.member_count) == ("social", "members", False, 0)
    assert [owner.id for owner in made.owners] == [world.users["agent"]]
    assert refused(api.post_groups, model("GroupCreate", name="night")) == 409
    assert refused(own.post_groups, model("GroupCreate", name="Mine")) == 403
    assert refused(api.post_groups, model("GroupCreate", name="X", owner_ids=["nobody"])) == 400
    both = [world.users["supervisor"], world.users["other"]]
    own.post_group_members(made.id, model("GroupMembersUpdate", member_ids=both, version=made.version))
    stale = model("GroupMembersUpdate", member_ids=[world.users["admin"]], version=made.version)
    assert refused(own.post_group_members, made.id, stale) == 409
    strangers = sdk.GroupsApi(site.sdk("nobody"))
    assert refused(strangers.post_group_members, made.id, stale) == 403
    assert refused(api.post_group_members, made.id, model("GroupMembersUpdate", member_ids=[])) == 400
    assert [user.name for user in strangers.get_group_members(made.id).entities] == ["Other", "Supervisor"]
    assert [user.name for user in api.get_group_individuals(made.id).entities] == ["Agent", "Other", "Supervisor"]
    sdk.GroupsApi(site.sdk("supervisor")).delete_group_members(made.id, world.users["supervisor"])
    group = api.get_group(made.id)
    assert group.member_count == 1
    group.description, group.state = "At night", "inactive"
    changed = api.put_group(made.id, body=model("GroupUpdate", description="At night", version=group.version))
    assert (changed.description, changed.name, changed.visibility) == ("At night", "Night", "members")
    assert refused(api.put_group, made.id, body=model("GroupUpdate", description="Late", version=1)) == 409
    assert [item.id for item in api.get_groups(id=[made.id]).entities] == [made.id]
    api.delete_group(made.id)
    api.delete_group(made.id)
    assert refused(api.get_group, made.id) == 404
    assert api.get_groups().total == 0


def test_external_contacts(site):
    world, api = site.world, sdk.ExternalContactsApi(site.sdk())
    body = model("ExternalContact", first_name="Eva", last_name="Lind", work_email="eva@example.com",
                 work_phone=model("PhoneNumber", user_input="+49 30 999"),
                 division=model("WritableStarrableDivision", id=world.sales))  # fmt: skip
    made = api.post_externalcontacts_contacts(body)
    assert (made.last_name, made.work_phone.user_input, made.cell_phone) == ("Lind", "+49 30 999", None)
    assert refused(api.post_externalcontacts_contacts, model("ExternalContact")) == 400
    wrong = model("ExternalContact", last_name="X", cell_phone=model("PhoneNumber", user_input="call me"))
    assert refused(api.post_externalcontacts_contacts, wrong) == 400
    made.title, made.work_phone = "Dr", None
    changed = api.put_externalcontacts_contact(made.id, made)
    assert (changed.title, changed.first_name, changed.work_phone.user_input) == ("Dr", "Eva", "+49 30 999")
    assert [item.id for item in api.get_externalcontacts_contacts(q="lind").entities] == [made.id]
    path = f"/api/v2/externalcontacts/contacts/{made.id}"
    assert site.http("nobody").get(path).status_code == 403
    assert site.http("admin").put(path, json={"workPhone": None}).json().get("workPhone") is None
    api.delete_externalcontacts_contact(made.id)
    api.delete_externalcontacts_contact(made.id)
    assert refused(api.get_externalcontacts_contact, made.id) == 404


def test_deleted_divisions_can_be_made_again(site):
    api = sdk.AuthorizationApi(site.sdk())
    made = api.post_authorization_divisions(model("AuthzDivision", name="Short-lived", description="d"))
    assert refused(api.post_authorization_division_restore, "unknown", model("AuthzDivision", name="X")) == 404
    api.delete_authorization_division(made.id)
    assert [item.id for item in api.get_authorization_divisions_deleted().entities] == [made.id]
    again = api.post_authorization_division_restore(made.id, model("AuthzDivision", name="Long-lived"))
    assert (again.id, again.name, again.description) == (made.id, "Long-lived", "d")
    assert api.post_authorization_division_restore(made.id, model("AuthzDivision", name="Y")).name == "Long-lived"
    assert api.get_authorization_divisions_deleted().total == 0
    assert api.get_authorization_divisions_limit() == 10_000
    first = api.get_authorization_divisions_query(page_size="2")
    http, seen, uri = site.http(), [], "/api/v2/authorization/divisions/query?pageSize=2"
    while uri:
        page = http.get(uri).json()
        seen += [item["id"] for item in page["entities"]]
        uri = page.get("nextUri")
    assert seen == sorted([site.world.home, site.world.sales, made.id])
    assert [item.id for item in first.entities] == seen[:2]
    back = http.get("/api/v2/authorization/divisions/query", params={"before": seen[2], "pageSize": 2}).json()
    assert [item["id"] for item in back["entities"]] == seen[:2]
    assert "previousUri" not in back


def test_where_somebody_may(site):
    world, api = site.world, sdk.AuthorizationApi(site.sdk("supervisor"))
    mine = api.get_authorization_divisionspermitted_paged_me("recording:recording:view")
    assert ([item.id for item in mine.entities], mine.all_divs_permitted) == ([world.sales], False)
    admin = sdk.AuthorizationApi(site.sdk())
    theirs = admin.get_authorization_divisionspermitted_paged_subject_id(world.users["admin"], "routing:queue:view")
    assert (theirs.total, theirs.all_divs_permitted) == (2, True)
    other = api.get_authorization_divisionspermitted_paged_subject_id
    assert refused(other, world.users["admin"], "routing:queue:view") == 403
    assert refused(admin.get_authorization_divisionspermitted_paged_subject_id, "x", "routing:queue:view") == 404
    counts = site.http().get("/api/v2/authorization/subjects/rolecounts", params={"id": world.users["supervisor"]})
    assert counts.json() == {world.users["supervisor"]: 1}
    assert [item.id for item in admin.get_authorization_products().entities] == ["earwitness"]


def test_built_in_roles_as_they_were(site):
    world, http = site.world, site.http()
    path, role = "/api/v2/authorization/roles/default", world.roles["evaluator"]
    changed = http.put(f"/api/v2/authorization/roles/{role}", json={"name": "Evaluator", "permissions": []}).json()
    assert changed["permissions"] == []
    assert http.post(path).status_code == 200
    assert http.get(f"/api/v2/authorization/roles/{role}").json()["permissions"] == []
    listed = http.put(path, json=[{"id": role}]).json()
    known = next(item for item in DEFAULT_ROLES if item.key == "evaluator")
    assert http.get(f"/api/v2/authorization/roles/{role}").json()["permissions"] == sorted(known.permissions)
    assert listed["total"] == len(DEFAULT_ROLES)
    assert http.post(path, params={"force": "true"}).json()["total"] == len(DEFAULT_ROLES)
    assert http.put(path, json=[{"id": "none"}]).status_code == 400
    settings = "/api/v2/authorization/settings"
    assert http.get(settings).json() == {"analysisEnabled": False, "analysisDays": 90}
    assert http.patch(settings, json={"analysisDays": 30}).json()["analysisDays"] == 30
    assert http.patch(settings, json={"analysisEnabled": True}).status_code == 400
    assert site.http("agent").patch(settings, json={"analysisDays": 30}).status_code == 403


def test_programs_scopes_and_ending_tokens(site):
    world, api = site.world, sdk.OAuthApi(site.sdk())
    http = site.http()
    http.put(f"/api/v2/oauth/clients/{world.client}", json={"scope": ["recordings"]})
    found = api.get_oauth_authorizations()
    assert [(item.client.name, item.state, item.scope) for item in found.entities] == [
        ("Tests", "Authorized", ["recordings"])
    ]
    assert api.get_oauth_authorization(world.client).roles == [world.roles["administrator"]]
    assert refused(api.get_oauth_authorization, "x") == 404
    assert [item.id for item in api.get_oauth_scopes().entities] == ["recordings"]
    assert api.get_oauth_scope("recordings").description
    assert refused(api.get_oauth_scope, "x") == 404
    tokens = sdk.TokensApi(site.sdk())
    assert site.http("agent").get("/api/v2/users/me").status_code == 200
    tokens.delete_token(world.users["agent"])
    assert site.http("agent").get("/api/v2/users/me").status_code == 401
    assert refused(tokens.delete_token, "nobody") == 404
    assert site.http("supervisor").delete(f"/api/v2/tokens/{world.users['other']}").status_code == 403


def test_idle_tokens_end(sqlite_site):
    world, http = sqlite_site.world, sqlite_site.http()
    path = "/api/v2/tokens/timeout"
    assert http.get(path).json()["enableIdleTokenTimeout"] is False
    assert http.put(path, json={"idleTokenTimeoutSeconds": 299}).status_code == 400
    assert sqlite_site.http("agent").put(path, json={"idleTokenTimeoutSeconds": 300}).status_code == 403
    body = {"idleTokenTimeoutSeconds": 300, "enableIdleTokenTimeout": True, "inactivityTimeoutUnit": "Minutes"}
    assert http.put(path, json=body).json() == body
    assert http.put(path, json={"inactivityTimeoutGroupsEnabled": True}).status_code == 400
    idle, minute = IdleTokens(), 60_000_000
    with world.database.transaction() as session:
        oauth.add_token(session, "t", Subject("user", world.users["agent"]), at=0, expires_at=1 << 60)
        assert [idle.used(session, "t", at * minute) for at in (0, 4, 9, 15, 16)] == [True, True, True, False, False]
        assert idle.used(session, "other", 16 * minute)


def test_data_protection_requests(site, recorded):
    http, path = site.http(), "/api/v2/gdpr"
    recorded.store_call(site)
    found = http.get(f"{path}/subjects", params={"searchType": "PHONE", "searchValue": "+49 30 111"}).json()
    assert [item["phoneNumbers"] for item in found["entities"]] == [["+49 30 111"]]
    found = http.get(f"{path}/subjects", params={"searchType": "EMAIL", "searchValue": "agent@example.com"}).json()
    assert [item["userId"] for item in found["entities"]] == [site.world.users["agent"]]
    assert http.get(f"{path}/subjects", params={"searchType": "TWITTER", "searchValue": "x"}).json()["total"] == 0
    assert http.get(f"{path}/subjects", params={"searchType": "PHONE", "searchValue": "x"}).status_code == 400
    body = {"requestType": "GDPR_DELETE", "subject": {"phoneNumbers": ["+4930111"]}}
    for wrong, confirmed in (
        (body, False), ({**body, "requestType": "GDPR_EXPORT"}, True), ({**body, "subject": {}}, True),
        ({**body, "subject": {"phoneNumbers": ["111"]}}, True),
    ):  # fmt: skip
        reply = http.post(f"{path}/requests", json=wrong, params={"deleteConfirmed": confirmed})
        assert reply.status_code == 400, reply.text
    made = http.post(f"{path}/requests", json=body, params={"deleteConfirmed": True}).json()
    assert (made["status"], made["subject"]["phoneNumbers"]) == ("DELETING", ["+4930111"])
    assert http.get(f"{path}/requests").json()["total"] == 1
    assert http.get(f"{path}/requests/{made['id']}").json()["id"] == made["id"]
    assert http.get(f"{path}/requests/x").status_code == 404
    assert site.http("supervisor").get(f"{path}/requests").status_code == 403
