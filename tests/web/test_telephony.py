"""Sites, phones, stations, numbers, call routes, edges: through the vendor's SDK."""

from __future__ import annotations

import hashlib

import PureCloudPlatformClientV2 as sdk  # noqa: N813
import pytest
from PureCloudPlatformClientV2.rest import ApiException

from earwitness.store import snapshot
from earwitness.store.secret_box import KeyFileBox


def built(site):
    with site.world.database.reading() as session:
        return snapshot.build(session, KeyFileBox.open(site.arguments.keys_dir))


def make_phone(api, name="Desk 1"):
    base = api.get_telephony_providers_edges_phonebasesettings_template("generic_sip.json")
    base.name = f"{name} base"
    base = api.post_telephony_providers_edges_phonebasesettings(base)
    phone = api.get_telephony_providers_edges_phones_template(base.id)
    phone.name = name
    return api.post_telephony_providers_edges_phones(phone)


def test_a_phone_its_station_and_its_user(site):
    client = site.sdk()
    api, stations, users = sdk.TelephonyProvidersEdgeApi(client), sdk.StationsApi(client), sdk.UsersApi(client)
    phone = make_phone(api)
    assert [line.name for line in phone.lines] == ["Desk 1"]
    station = stations.get_station(phone.lines[0].id)
    assert (station.name, station.status) == ("Desk 1", "AVAILABLE")
    agent = site.world.users["agent"]
    users.put_user_station_associatedstation_station_id(agent, station.id)
    assert stations.get_station(station.id).status == "ASSOCIATED"
    assert users.get_user_station(agent).associated_station.id == station.id
    assert api.get_telephony_providers_edges_phone(phone.id).lines[0].logged_in_user.id == agent
    http = site.http("client")
    told = http.post(f"/api/v2/earwitness/stations/{station.id}/credentials").json()
    assert (told["username"], told["realm"]) == ("desk-1", "earwitness")
    known = built(site).stations[0]
    expected = hashlib.md5(f"desk-1:earwitness:{told['password']}".encode()).hexdigest()
    assert (known.user_id, known.ha1_md5) == (agent, expected)
    stations.delete_station_associateduser(station.id)
    users.put_user_station_defaultstation_station_id(agent, station.id)
    assert users.get_user_station(agent).effective_station.id == station.id
    users.delete_user_station_defaultstation(agent)
    assert users.get_user_station(agent).effective_station is None
    # A second line comes and goes with the phone's body; GET, change, PUT.
    again = api.get_telephony_providers_edges_phone(phone.id)
    line = sdk.Line()
    line.name, line.properties = "Desk 1 b", {"earwitness_extension": {"value": {"instance": "102"}}}
    again.lines.append(line)
    changed = api.put_telephony_providers_edges_phone(phone.id, again)
    assert [line.name for line in changed.lines] == ["Desk 1", "Desk 1 b"]
    assert {s.extension for s in built(site).stations} == {"", "102"}
    other = make_phone(api, "Desk 2")
    other.lines[0].properties = {"earwitness_extension": {"value": {"instance": "102"}}}
    with pytest.raises(ApiException) as caught:
        api.put_telephony_providers_edges_phone(other.id, other)
    assert caught.value.status == 409
    api.delete_telephony_providers_edges_phone(phone.id)
    api.delete_telephony_providers_edges_phone(phone.id)
    assert [s.name for s in built(site).stations] == ["Desk 2"]


def test_an_agent_takes_a_seat(sqlite_site):
    phone = make_phone(sdk.TelephonyProvidersEdgeApi(sqlite_site.sdk()))
    admin, station = sqlite_site.http(), phone.lines[0].id
    mine = "/api/v2/users/stations/me/associatedstation"
    assert sqlite_site.http("nobody").put(f"{mine}/{station}").status_code == 403
    assert admin.put(f"{mine}/{station}").status_code == 204
    assert admin.get("/api/v2/users/stations/me").json()["associatedStation"]["id"] == station
    assert admin.delete(mine).status_code == 204
    assert admin.get("/api/v2/users/stations/me").json() == {}


def test_numbers_and_call_routes(site):
    client = site.sdk()
    api, architect = sdk.TelephonyProvidersEdgeApi(client), sdk.ArchitectApi(client)
    pool = sdk.DIDPool()
    pool.start_phone_number, pool.end_phone_number = "+4930100", "+4930109"
    made = api.post_telephony_providers_edges_didpools(pool)
    pool.end_phone_number = "+4930105"
    with pytest.raises(ApiException) as caught:
        api.post_telephony_providers_edges_didpools(pool)
    assert caught.value.status == 409
    dids = api.get_telephony_providers_edges_dids(page_size=100).entities
    assert [did.phone_number for did in dids] == [f"+493010{n}" for n in range(10)]
    own = dids[0]
    own.owner, own.owner_type = sdk.DomainEntityRef(), "USER"
    own.owner.id = site.world.users["agent"]
    http = site.http("client")
    did_path = f"/api/v2/telephony/providers/edges/dids/{own.id}"
    given = http.put(did_path, json={"owner": {"id": own.owner.id}, "ownerType": "USER"})
    assert given.json()["owner"]["name"] == "Agent"
    ivr = sdk.IVR()
    ivr.name, ivr.dnis = "Hotline", ["+4930101", "+4930102"]
    ivr = architect.post_architect_ivrs(ivr)
    route = {"target": {"type": "user", "id": site.world.users["agent"]}}
    path = f"/api/v2/earwitness/callroutes/{ivr.id}"
    assert http.put(path, json=route).json()["target"] == {"type": "user", "id": site.world.users["agent"]}
    routes = built(site).call_routes
    assert {(r.dnis, r.target) for r in routes} == {
        (("+4930101", "+4930102"), own.owner.id),
        (("+4930100",), own.owner.id),
    }
    assert api.get_telephony_providers_edges_dids(phone_number="+4930101").entities[0].owner_type == "IVR_CONFIG"
    assert http.put(did_path.replace(own.id, dids[1].id), json={}).status_code == 409
    twice = {"name": "Other", "dnis": ["+4930102"], "target": {"type": "number", "number": "+49401"}}
    assert http.post("/api/v2/earwitness/callroutes", json=twice).status_code == 409
    architect_again = architect.get_architect_ivr(ivr.id)
    architect_again.dnis = ["+4930101"]
    assert architect.put_architect_ivr(ivr.id, architect_again).dnis == ["+4930101"]
    assert http.get(path).json()["target"]["type"] == "user"
    assert http.post("/api/v2/earwitness/callroutes", json=twice).json()["target"]["number"] == "+49401"
    bad = architect.get_architect_ivr(ivr.id)
    bad.open_hours_flow = sdk.DomainEntityRef()
    bad.open_hours_flow.id = "no-such-flow"
    with pytest.raises(ApiException) as caught:
        architect.put_architect_ivr(ivr.id, bad)
    assert caught.value.status == 400
    assert http.delete(f"/api/v2/telephony/providers/edges/didpools/{made.id}").status_code == 409
    architect.delete_architect_ivr(ivr.id)
    architect.delete_architect_ivr(ivr.id)
    assert [entity.name for entity in architect.get_architect_ivrs().entities] == ["Other"]


def test_sites_and_edges(sqlite_site):
    api = sdk.TelephonyProvidersEdgeApi(sqlite_site.sdk())
    site = sdk.Site()
    site.name = "Berlin"
    site = api.post_telephony_providers_edges_sites(site)
    site.description = "HQ"
    assert api.put_telephony_providers_edges_site(site.id, site).description == "HQ"
    assert [s.name for s in api.get_telephony_providers_edges_sites().entities] == ["Berlin", "Main"]
    api.delete_telephony_providers_edges_site(site.id)
    edge = api.get_telephony_providers_edges().entities[0]
    assert (edge.online_status, api.get_telephony_providers_edge(edge.id).name) == ("ONLINE", "edge")
    assert api.get_telephony_providers_edge_trunks(edge.id).entities == []


def test_programs(site):
    api = sdk.OAuthApi(site.sdk())
    request = sdk.OAuthClientRequest()
    request.name, request.authorized_grant_type = "Export", "CLIENT-CREDENTIALS"
    pair = sdk.RoleDivision()
    pair.role_id, pair.division_id = site.world.roles["supervisor"], site.world.sales
    request.role_divisions = [pair]
    made = api.post_oauth_clients(request)
    assert made.secret
    assert made.role_ids == [site.world.roles["supervisor"]]
    assert api.get_oauth_client(made.id).secret is None
    client = site.sdk(None).get_client_credentials_token(made.id, made.secret)
    with pytest.raises(ApiException) as caught:
        sdk.OAuthApi(client).get_oauth_clients()
    assert caught.value.status == 403
    renewed = api.post_oauth_client_secret(made.id)
    assert renewed.secret != made.secret
    for secret in (made.secret, renewed.secret):
        reply = site.http(None).post("/oauth/token", data={"grant_type": "client_credentials"}, auth=(made.id, secret))
        assert reply.status_code == (200 if secret == renewed.secret else 401)
    request.state = "inactive"
    assert api.put_oauth_client(made.id, request).state == "inactive"
    assert {c.name for c in api.get_oauth_clients().entities} == {"Tests", "Export"}
    api.delete_oauth_client(made.id)
    with pytest.raises(ApiException) as caught:
        api.get_oauth_client(made.id)
    assert caught.value.status == 404


def test_divisions(sqlite_site):
    api = sdk.AuthorizationApi(sqlite_site.sdk())
    division = sdk.AuthzDivision()
    division.name = "Support"
    division = api.post_authorization_divisions(division)
    division.description = "Second floor"
    assert api.put_authorization_division(division.id, division).description == "Second floor"
    assert [d.name for d in api.get_authorization_divisions().entities] == ["Home", "Sales", "Support"]
    assert api.get_authorization_divisions_home().home_division is True
    api.delete_authorization_division(division.id)
    with pytest.raises(ApiException) as caught:
        api.delete_authorization_division(sqlite_site.world.sales)
    assert caught.value.status == 409
    path = "/api/v2/authorization/divisionspermitted/me"
    permitted = sqlite_site.http("supervisor").get(path, params={"permission": "recording:recording:view"})
    assert [d["name"] for d in permitted.json()] == ["Sales"]
    assert api.get_authorization_permissions(page_size=100).total > 5
    assert api.get_authorization_subjects_me().grants[0].role.name == "Administrator"
