"""Queues, members, wrap-up codes, languages, skills: through the vendor's SDK."""

from __future__ import annotations

import PureCloudPlatformClientV2 as sdk  # noqa: N813
import pytest
from PureCloudPlatformClientV2.rest import ApiException

from earwitness.store import snapshot
from earwitness.store.secret_box import KeyFileBox
from earwitness.store.tables import Grant, Role


def built(site):
    with site.world.database.reading() as session:
        return snapshot.build(session, KeyFileBox.open(site.arguments.keys_dir))


def give(site, name, division_id, *permissions):
    world, role_id = site.world, f"role-{name}-{len(site.world.roles)}"
    with world.database.transaction() as session:
        stamp = {"created_at": 1, "modified_at": 1}
        session.add(Role(id=role_id, name=role_id, permissions=list(permissions), permission_policies=[], **stamp))
        session.flush()
        session.add(Grant(id=role_id, subject_type="user", subject_id=world.users[name], role_id=role_id,
                          division_id=division_id, granted_at=1))  # fmt: skip
    world.roles[role_id] = role_id


def model(kind, **fields):
    made = getattr(sdk, kind)()
    for key, value in fields.items():
        setattr(made, key, value)
    return made


def refused(call, *arguments, **more):
    with pytest.raises(ApiException) as caught:
        call(*arguments, **more)
    return caught.value.status


def test_b4_a_queue_lives(site):
    api = sdk.RoutingApi(site.sdk())
    made = api.post_routing_queues(model("CreateQueueRequest", name="Sales"))
    assert (made.suppress_in_queue_call_recording, made.acw_settings.wrapup_prompt) == (True, "OPTIONAL")
    assert (made.member_count, made.joined_member_count, made.division.id) == (0, 0, site.world.home)
    assert made.media_settings.call.alerting_timeout_seconds == 8
    assert refused(api.post_routing_queues, model("CreateQueueRequest", name="Sales", description="again")) == 409
    # GET, change, PUT: read-only fields come back and are ignored; unknown settings are kept.
    queue = api.get_routing_queue(made.id)
    queue.description = "We sell"
    queue.suppress_in_queue_call_recording = False
    queue.media_settings.call.alerting_timeout_seconds = 20
    queue.acw_settings = model("AcwSettings", wrapup_prompt="MANDATORY_TIMEOUT", timeout_ms=30000)
    queue.scoring_method = "PriorityOnly"
    queue.enable_transcription = True
    queue.calling_party_name = "Acme"
    changed = api.put_routing_queue(made.id, queue)
    assert (changed.description, changed.scoring_method, changed.enable_transcription) == (
        "We sell", "PriorityOnly", True,
    )  # fmt: skip
    known = built(site).queues[0]
    assert (known.suppress_recording, known.alerting_s, known.acw, known.acw_s) == (
        False, 20.0, "MANDATORY_TIMEOUT", 30.0,
    )  # fmt: skip
    # Absent is not null (S14): a body of a single field changes that field.
    partly = site.http().put(f"/api/v2/routing/queues/{made.id}", json={"acwSettings": None}).json()
    assert partly["acwSettings"] == {"wrapupPrompt": "OPTIONAL"}
    assert (partly["callingPartyName"], partly["mediaSettings"]["call"]["alertingTimeoutSeconds"]) == ("Acme", 20)
    copy = api.post_routing_queues(model("CreateQueueRequest", name="Sales 2", source_queue_id=made.id))
    assert (copy.calling_party_name, copy.suppress_in_queue_call_recording) == ("Acme", False)
    assert [q.name for q in api.get_routing_queues(name="sales").entities] == ["Sales", "Sales 2"]
    assert [q.name for q in api.get_routing_queues(sort_order="desc").entities] == ["Sales 2", "Sales"]
    assert [q.id for q in api.get_routing_queues(id=[copy.id]).entities] == [copy.id]
    assert api.get_routing_queues(has_peer=True).entities == []
    assert [q.name for q in api.get_routing_queues_divisionviews(sort_by="id").entities]
    assert api.get_routing_queues_divisionviews_all().total == 2
    api.delete_routing_queue(copy.id)
    api.delete_routing_queue(copy.id)
    assert refused(api.get_routing_queue, copy.id) == 404
    assert [q.name for q in built(site).queues] == ["Sales"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": " "},
        {"name": "x", "queueFlow": {"id": "none"}},
        {"name": "x", "onHoldPrompt": {"id": "none"}},
        {"name": "x", "division": {"id": "none"}},
        {"name": "x", "scoringMethod": "outdated_sdk_version"},
        {"name": "x", "acwSettings": {"wrapupPrompt": "SOMETIMES"}},
        {"name": "x", "acwSettings": {"timeoutMs": 10}},
        {"name": "x", "mediaSettings": {"call": {"alertingTimeoutSeconds": 0}}},
        {"name": "x", "mediaSettings": {"call": 7}},
        {"name": "x", "routingRules": [{"operator": "outdated_sdk_version"}]},
    ],
)
def test_what_no_queue_can_be(lasting_site, body):
    reply = lasting_site.http().post("/api/v2/routing/queues", json=body)
    assert reply.status_code == 400, reply.text


def test_members_join_and_leave(site):
    world, api = site.world, sdk.RoutingApi(site.sdk())
    queue = api.post_routing_queues(model("CreateQueueRequest", name="Sales"))
    agent, other = world.users["agent"], world.users["other"]
    api.post_routing_queue_members(queue.id, [model("WritableEntity", id=agent), model("WritableEntity", id=other)])
    members = api.get_routing_queue_members(queue.id).entities
    assert [(m.name, m.joined, m.ring_number, m.member_by) for m in members] == [
        ("Agent", True, 1, "user"), ("Other", True, 1, "user"),
    ]  # fmt: skip
    assert set(built(site).queues[0].members) == {agent, other}
    api.patch_routing_queue_member(queue.id, agent, model("QueueMember", id=agent, joined=False))
    assert built(site).queues[0].members == (other,)
    shown = api.get_routing_queue(queue.id)
    assert (shown.member_count, shown.joined_member_count) == (2, 1)
    many = [model("QueueMember", id=agent, joined=True, ring_number=2), model("QueueMember", id=other, joined=False)]
    listed = api.patch_routing_queue_members(queue.id, many).entities
    assert [(m.id, m.joined, m.ring_number) for m in listed] == [(agent, True, 2), (other, False, 1)]
    assert [m.id for m in api.get_routing_queue_members(queue.id, joined=True).entities] == [agent]
    assert [m.id for m in api.get_routing_queue_members(queue.id, name="oth").entities] == [other]
    site.edge.agents[agent] = {"user_id": agent, "on_queue": True, "status": "INTERACTING", "since": 1}
    busy = api.get_routing_queue_members(queue.id, routing_status=["INTERACTING"], expand=["routingStatus"]).entities
    assert [(m.id, m.routing_status.status) for m in busy] == [(agent, "INTERACTING")]
    assert api.get_routing_queue_members(queue.id, member_by="group").entities == []
    assert refused(api.post_routing_queue_members, queue.id, [model("WritableEntity", id="nobody")]) == 400
    assert refused(api.patch_routing_queue_member, queue.id, world.users["nobody"], model("QueueMember")) == 404
    # The agent's own view.
    mine = sdk.RoutingApi(site.sdk("agent"))
    assert [(q.name, q.joined) for q in mine.get_routing_queues_me().entities] == [("Sales", True)]
    left = mine.patch_user_queue(queue.id, agent, model("UserQueue", joined=False))
    assert left.joined is False
    assert mine.get_routing_queues_me(joined=True).entities == []
    assert refused(mine.patch_user_queue, queue.id, other, model("UserQueue", joined=True)) == 403
    joined = mine.patch_user_queues(agent, [model("UserQueue", id=queue.id, joined=True)]).entities
    assert [(q.id, q.joined) for q in joined] == [(queue.id, True)]
    assert [q.id for q in api.get_user_queues(agent, joined=True).entities] == [queue.id]
    assert refused(api.get_routing_queues_me) == 400
    # Out again, once or twice.
    api.delete_routing_queue_member(queue.id, agent)
    api.delete_routing_queue_member(queue.id, agent)
    api.post_routing_queue_members(queue.id, [model("WritableEntity", id=other)], delete=True)
    assert api.get_routing_queue_members(queue.id).entities == []
    rows = site.http().get("/api/v2/earwitness/audit", params={"entityType": "queueMembers"}).json()["entities"]
    words = [word for row in rows for word in row["detail"]]
    assert set(words) == {"added", "removed", "joined", "left"}


def test_queues_are_there_for_those_of_their_division(sqlite_site):
    world, admin, other = sqlite_site.world, sqlite_site.http(), sqlite_site.http("other")
    give(sqlite_site, "other", world.sales, "routing:queue:*", "routing:wrapupCode:*", "routing:queueMember:manage")
    path = "/api/v2/routing/queues"
    home = admin.post(path, json={"name": "Home's"}).json()["id"]
    ours = other.post(path, json={"name": "Ours", "division": {"id": world.sales}}).json()["id"]
    assert [item["id"] for item in other.get(path).json()["entities"]] == [ours]
    assert [item["id"] for item in other.get(f"{path}/divisionviews").json()["entities"]] == [ours]
    assert other.post(path, json={"name": "X"}).status_code == 403
    for reply in (
        other.get(f"{path}/{home}"),
        other.put(f"{path}/{home}", json={"name": "Y"}),
        other.delete(f"{path}/{home}"),
        other.get(f"{path}/{home}/members"),
        other.post(f"{path}/{home}/members", json=[]),
        other.get(f"{path}/{home}/wrapupcodes"),
    ):
        assert reply.status_code == 404
    assert other.put(f"{path}/{ours}", json={"division": {"id": world.home}}).status_code == 403
    supervisor = sqlite_site.http("supervisor")
    assert supervisor.get(f"{path}/{ours}").status_code == 200
    assert supervisor.get(f"{path}/{home}").status_code == 404
    assert supervisor.put(f"{path}/{ours}", json={"name": "Z"}).status_code == 403
    codes = "/api/v2/routing/wrapupcodes"
    everywhere = admin.post(codes, json={"name": "Everywhere", "division": {"id": "*"}}).json()
    there = admin.post(codes, json={"name": "There"}).json()["id"]
    here = other.post(codes, json={"name": "Here", "division": {"id": world.sales}}).json()["id"]
    assert everywhere["division"]["id"] == "*"
    found = other.get(codes).json()["entities"]
    assert [item["name"] for item in found] == ["Everywhere", "Here"]
    assert other.get(f"{codes}/{there}").status_code == 404
    assert other.delete(f"{codes}/{everywhere['id']}").status_code == 403
    assert other.post(codes, json={"name": "W", "division": {"id": "*"}}).status_code == 403
    assert other.delete(f"{codes}/{here}").status_code == 204


def test_wrapup_codes(site):
    api = sdk.RoutingApi(site.sdk())
    sold = api.post_routing_wrapupcodes(model("WrapupCodeRequest", name="Sold", description="At last"))
    later = api.post_routing_wrapupcodes(model("WrapupCodeRequest", name="Later"))
    assert refused(api.post_routing_wrapupcodes, model("WrapupCodeRequest", name="Sold", description="x")) == 409
    assert [c.name for c in api.get_routing_wrapupcodes().entities] == ["Later", "Sold"]
    assert [c.name for c in api.get_routing_wrapupcodes(sort_order="descending").entities] == ["Sold", "Later"]
    changed = api.put_routing_wrapupcode(sold.id, model("WrapupCodeRequest", name="Sold it"))
    assert (changed.name, changed.description) == ("Sold it", "At last")
    queue = api.post_routing_queues(model("CreateQueueRequest", name="Sales"))
    references = [model("WrapUpCodeReference", id=code.id) for code in (sold, later)]
    offered = api.post_routing_queue_wrapupcodes(queue.id, references)
    assert [c.id for c in offered] == [sold.id, later.id]
    assert [c.name for c in built(site).queues[0].wrapup_codes] == ["Later", "Sold it"]
    assert [c.name for c in api.get_routing_queue_wrapupcodes(queue.id, name="sold").entities] == ["Sold it"]
    api.delete_routing_queue_wrapupcode(queue.id, later.id)
    api.delete_routing_queue_wrapupcode(queue.id, later.id)
    assert [c.name for c in api.get_routing_queue_wrapupcodes(queue.id).entities] == ["Sold it"]
    assert refused(api.post_routing_queue_wrapupcodes, queue.id, [model("WrapUpCodeReference", id="none")]) == 400
    api.delete_routing_wrapupcode(sold.id)
    api.delete_routing_wrapupcode(sold.id)
    assert api.get_routing_queue_wrapupcodes(queue.id).entities == []
    assert refused(api.get_routing_wrapupcode, sold.id) == 404
    assert [c.name for c in api.get_routing_wrapupcodes_divisionviews().entities] == ["Later"]
    assert [c.name for c in api.get_routing_wrapupcodes_divisionviews(include_state="Deleted").entities] == ["Sold it"]
    assert api.get_routing_wrapupcodes_divisionview(later.id).name == "Later"


def test_languages_skills_and_settings(site):
    api = sdk.RoutingApi(site.sdk())
    german = api.post_routing_languages(model("Language", name="de-de"))
    assert refused(api.post_routing_languages, model("Language", name="de-de", state="active")) == 409
    assert [x.name for x in api.get_routing_languages().entities] == ["de-de"]
    assert api.get_routing_language(german.id).state == "active"
    api.delete_routing_language(german.id)
    api.delete_routing_language(german.id)
    assert refused(api.get_routing_language, german.id) == 404
    api.post_routing_skills(model("CreateRoutingSkill", name="Patience"))
    assert [x.name for x in api.get_routing_skills(name="pat").entities] == ["Patience"]
    assert api.get_routing_settings().reset_agent_score_on_presence_change is False
    api.put_routing_settings(model("RoutingSettings", reset_agent_score_on_presence_change=True))
    assert api.get_routing_settings().reset_agent_score_on_presence_change is True
    api.delete_routing_settings()
    assert api.get_routing_settings().reset_agent_score_on_presence_change is False


def test_settings_of_calls(site):
    http, path = site.http(), "/api/v2/earwitness/telephony/settings"
    assert http.get(path).json() == {"ringTimeoutSeconds": 30, "recordCode": "*1"}
    assert http.put(path, json={"recordCode": "*77"}).json() == {"ringTimeoutSeconds": 30, "recordCode": "*77"}
    assert http.put(path, json={"ringTimeoutSeconds": 12}).json()["recordCode"] == "*77"
    assert (built(site).record_code, built(site).ring_timeout_s) == ("*77", 12.0)
    assert [http.put(path, json={"recordCode": code}).status_code for code in ("1", "*", "*123456789", "")] == [
        400, 400, 400, 200,
    ]  # fmt: skip
    assert built(site).record_code == ""
    assert site.http("agent").put(path, json={"recordCode": "*2"}).status_code == 403


def test_d3_the_setting_for_conferences_reaches_the_edge(site):
    api = sdk.RecordingApi(site.sdk())
    assert built(site).stop_when_only_external is True
    api.put_recording_settings(model("RecordingSettings", stop_recording_when_only_external_participants=False))
    assert built(site).stop_when_only_external is False


def test_queues_and_flows_are_moved_by_who_may_edit_them_here_and_there(sqlite_site):
    world, admin = sqlite_site.world, sqlite_site.http()
    give(sqlite_site, "other", world.sales, "routing:queue:*")
    queue = admin.post("/api/v2/routing/queues", json={"name": "Moved"}).json()["id"]
    flow = admin.post("/api/v2/flows", json={"name": "Moved", "type": "inboundcall"}).json()["id"]
    code = admin.post("/api/v2/routing/wrapupcodes", json={"name": "Moved"}).json()["id"]
    path = f"/api/v2/authorization/divisions/{world.sales}/objects"
    assert sqlite_site.http("other").post(f"{path}/QUEUE", json=[queue]).status_code == 403
    assert admin.post(f"{path}/QUEUE", json=[queue, "none"]).status_code == 404
    for kind, key, place in (
        ("QUEUE", queue, "routing/queues"), ("FLOW", flow, "flows"), ("WRAPUPCODE", code, "routing/wrapupcodes"),
    ):  # fmt: skip
        assert admin.post(f"{path}/{kind}", json=[key]).status_code == 204
        assert admin.get(f"/api/v2/{place}/{key}").json()["division"]["id"] == world.sales
    assert sqlite_site.http("other").get(f"/api/v2/routing/queues/{queue}").status_code == 200
    assert admin.post(f"{path}/CAMPAIGN", json=[]).status_code == 400
