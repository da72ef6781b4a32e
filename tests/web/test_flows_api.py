"""Flows through the vendor's SDK: made, saved, checked, published, uploaded, locked, deactivated."""

from __future__ import annotations

import httpx
import PureCloudPlatformClientV2 as sdk  # noqa: N813
import pytest
from PureCloudPlatformClientV2.rest import ApiException

from earwitness.store import snapshot
from earwitness.store.secret_box import KeyFileBox
from earwitness.store.tables import Grant, Role

TEXT = """\
inboundCall:
  name: Hotline
  description: Where people call
  defaultLanguage: en-us
  supportedLanguages:
    en-us: {defaultLanguageSkill: {noValue: true}}
    de-de: {defaultLanguageSkill: {noValue: true}}
  startUpRef: "./tasks/task[main]"
  tasks:
    - task:
        name: Main
        refId: main
        actions:
          - playAudio:
              name: Hello
              audio: {tts: "Hello, {{who}}"}
          - disconnect:
              name: Bye
"""
GOOD = TEXT.replace("{{who}}", "world")
TO_QUEUE = GOOD.replace("          - disconnect:\n              name: Bye\n", """\
          - transferToAcd:
              name: To the queue
              targetQueue: {lit: {name: Sales}}
          - disconnect:
              name: Bye
""")  # fmt: skip


def built(site):
    with site.world.database.reading() as session:
        return snapshot.build(session, KeyFileBox.open(site.arguments.keys_dir))


def refused(call, *arguments, **more):
    with pytest.raises(ApiException) as caught:
        call(*arguments, **more)
    return caught.value.status


def new_flow(api, name="Hotline", flow_type="INBOUNDCALL"):
    body = sdk.Flow()
    body.name, body.type = name, flow_type
    return api.post_flows(body)


def upload(site, text, **register):
    http = site.http()
    made = http.post("/api/v2/flows/jobs", json=register).json()
    reply = httpx.put(made["presignedUrl"], content=text, headers=made["headers"], trust_env=False)
    assert reply.status_code == 200, reply.text
    return http.get(f"/api/v2/flows/jobs/{made['id']}", params={"expand": "messages"}).json()


def test_a_flow_lives(site):
    api = sdk.ArchitectApi(site.sdk())
    flow = new_flow(api)
    assert (flow.type, flow.active, flow.published_version, flow.division.id) == (
        "INBOUNDCALL", False, None, site.world.home,
    )  # fmt: skip
    assert refused(api.post_flows_actions_publish, flow.id) == 409
    first = api.post_flow_versions(flow.id, {"yaml": GOOD})
    assert (first.id, first.type, [x.language for x in first.supported_languages]) == (
        "1.0", "SAVE", ["en-us", "de-de"],
    )  # fmt: skip
    assert isinstance(first.date_created, int)
    assert built(site).flows == ()
    done = api.post_flows_actions_publish(flow.id)
    assert (done.complete, done.action_name, done.action_status, done.client.id) == (
        True, "PUBLISH", "SUCCESS", site.world.client,
    )  # fmt: skip
    (known,) = built(site).flows
    assert (known.id, known.name, known.type, known.version, known.source) == (
        flow.id, "Hotline", "inboundcall", "1.0", GOOD,
    )  # fmt: skip
    tree = api.get_flow_version_configuration(flow.id, "1.0")
    assert tree["inboundCall"]["tasks"][0]["task"]["refId"] == "main"
    assert api.get_flow_latestconfiguration(flow.id) == tree
    text = site.http().get(f"/api/v2/earwitness/flows/{flow.id}/versions/1.0/text").json()
    assert text == {"yaml": GOOD}
    # The tree as JSON is as good a body; it is saved, and calls go on by the published version.
    tree["inboundCall"]["description"] = "Changed"
    second = api.post_flow_versions(flow.id, tree)
    assert second.id == "2.0"
    assert api.post_flow_versions(flow.id, {**tree}).id == "2.0"
    assert built(site).flows[0].version == "1.0"
    api.post_flows_actions_publish(flow.id, version="2.0")
    assert built(site).flows[0].version == "2.0"
    shown = api.get_flow(flow.id)
    assert (shown.active, shown.published_version.id, shown.saved_version.id) == (True, "2.0", "2.0")
    listed = api.get_flow_versions(flow.id).entities
    assert [(v.id, v.type) for v in listed] == [("2.0", "PUBLISH"), ("1.0", "PUBLISH")]
    assert listed[1].date_published_end is not None
    assert api.get_flow_version(flow.id, "1.0").id == "1.0"
    assert refused(api.get_flow_version, flow.id, "7.0") == 404
    # Back to an earlier version, then off.
    api.post_flows_actions_publish(flow.id, version="1.0")
    assert built(site).flows[0].source == GOOD
    assert api.post_flows_actions_deactivate(flow.id).active is False
    assert built(site).flows == ()
    body = sdk.Flow()
    body.name, body.description = "Hotline 2", "Renamed"
    assert api.put_flow(flow.id, body).name == "Hotline 2"
    api.delete_flow(flow.id)
    api.delete_flow(flow.id)
    assert refused(api.get_flow, flow.id) == 404
    assert api.get_flow(flow.id, deleted=True).deleted is True
    assert [item.id for item in api.get_flows(deleted=True).entities] == [flow.id]


def test_a_bad_flow_is_never_published(site):
    api, http = sdk.ArchitectApi(site.sdk()), site.http()
    flow = new_flow(api)
    api.post_flow_versions(flow.id, {"yaml": GOOD})
    api.post_flows_actions_publish(flow.id)
    bad = GOOD.replace("playAudio", "playAudioTwice").replace("refId: main", "refId: other")
    api.post_flow_versions(flow.id, {"yaml": bad})
    reply = http.post("/api/v2/flows/actions/publish", params={"flow": flow.id})
    assert (reply.status_code, reply.json()["code"]) == (400, "flow.invalid")
    details = reply.json()["details"]
    line = bad.splitlines().index("          - playAudioTwice:") + 1
    assert any(item["fieldName"].startswith(f"line {line},") for item in details), details
    assert all(item["entityName"] for item in details)
    assert f"line {line}:" in reply.json()["message"]
    assert built(site).flows[0].version == "1.0"
    # What it names must be there.
    api.post_flow_versions(flow.id, {"yaml": TO_QUEUE})
    reply = http.post("/api/v2/flows/actions/publish", params={"flow": flow.id, "version": "3.0"})
    assert reply.status_code == 400
    assert "there is no queue 'Sales'" in reply.json()["message"]
    http.post("/api/v2/routing/queues", json={"name": "sales"})
    reply = http.post("/api/v2/flows/actions/publish", params={"flow": flow.id})
    assert reply.status_code == 200, reply.text
    assert built(site).flows[0].version == "3.0"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"yaml": 7},
        {"yaml": "a: [b"},
        {"yaml": "- a\n- b\n"},
        {"yaml": GOOD.replace("inboundCall", "inqueueCall")},
        {"yaml": TEXT},
        {"yaml": TEXT, "substitutions": {"who": 7}},
        {"outboundCall": {}},
    ],
)
def test_what_cannot_be_saved(lasting_site, body):
    http = lasting_site.http()
    found = http.get("/api/v2/flows", params={"name": "Saving"}).json()["entities"]
    flow = found[0] if found else http.post("/api/v2/flows", json={"name": "Saving", "type": "inboundcall"}).json()
    reply = http.post(f"/api/v2/flows/{flow['id']}/versions", json=body)
    assert reply.status_code == 400, reply.text


def test_an_upload_makes_and_publishes_a_flow(site):
    job = upload(site, TEXT, substitutions={"who": 'wo"rld: yes'})
    assert (job["status"], job["command"]) == ("Success", "Publish"), job
    (known,) = built(site).flows
    assert (known.id, known.name) == (job["flow"]["id"], "Hotline")
    assert 'Hello, wo"rld: yes' in known.source.replace('\\"', '"')
    again = upload(site, GOOD)
    assert again["flow"]["id"] == known.id
    assert [f.version for f in built(site).flows] == ["2.0"]
    broken = upload(site, GOOD.replace("disconnect", "explode"))
    assert (broken["status"], "flow" in broken) == ("Failure", False)
    line = GOOD.splitlines().index("          - disconnect:") + 1
    assert broken["messages"][0]["text"].startswith(f"line {line}, column ")
    assert broken["messages"][0]["type"] == "Error"
    assert upload(site, TEXT)["status"] == "Failure"
    assert upload(site, b"\xff\xfe")["status"] == "Failure"
    assert upload(site, GOOD.replace("name: Hotline", "name: Hotline\n  division: Nowhere"))["status"] == "Failure"
    moved = upload(site, GOOD.replace("name: Hotline", "name: Hotline\n  division: sales"))
    assert moved["status"] == "Success", moved
    assert site.http().get(f"/api/v2/flows/{known.id}").json()["division"]["id"] == site.world.sales
    assert [f.version for f in built(site).flows] == ["3.0"]
    api = sdk.ArchitectApi(site.sdk())
    made = api.post_flows_jobs(body=sdk.RegisterArchitectJobRequest())
    assert api.get_flows_job(made.id, expand=["messages"]).status == "Registered"
    assert httpx.put(made.presigned_url, content=GOOD, trust_env=False).status_code == 200
    assert httpx.put(made.presigned_url, content=GOOD, trust_env=False).status_code == 200
    assert httpx.put(made.presigned_url, content=TO_QUEUE, trust_env=False).status_code == 409
    assert api.get_flows_job(made.id).status == "Success"
    assert (
        httpx.put(made.presigned_url.replace("expires=1", "expires=2"), content=b"", trust_env=False).status_code == 403
    )
    assert refused(api.get_flows_job, "none") == 404


def give(site, name, division_id, *permissions):
    world, role_id = site.world, f"role-{name}-{len(site.world.roles)}"
    with world.database.transaction() as session:
        stamp = {"created_at": 1, "modified_at": 1}
        session.add(Role(id=role_id, name=role_id, permissions=list(permissions), permission_policies=[], **stamp))
        session.flush()
        session.add(Grant(id=role_id, subject_type="user", subject_id=world.users[name], role_id=role_id,
                          division_id=division_id, granted_at=1))  # fmt: skip
    world.roles[role_id] = role_id


def test_flows_are_there_for_those_of_their_division(sqlite_site):
    world, admin, other = sqlite_site.world, sqlite_site.http(), sqlite_site.http("other")
    give(sqlite_site, "other", world.sales, "architect:*:*")
    home = admin.post("/api/v2/flows", json={"name": "Home's", "type": "inboundcall"}).json()["id"]
    ours = {"name": "Ours", "type": "inboundcall", "division": {"id": world.sales}}
    ours = other.post("/api/v2/flows", json=ours).json()["id"]
    assert other.post("/api/v2/flows", json={"name": "X", "type": "inboundcall"}).status_code == 403
    assert [item["id"] for item in other.get("/api/v2/flows").json()["entities"]] == [ours]
    assert [item["id"] for item in other.get("/api/v2/flows/divisionviews").json()["entities"]] == [ours]
    replies = [
        other.get(f"/api/v2/flows/{home}"),
        other.put(f"/api/v2/flows/{home}", json={"name": "Y"}),
        other.delete(f"/api/v2/flows/{home}"),
        other.post(f"/api/v2/flows/{home}/versions", json={"yaml": GOOD}),
        *(other.post(f"/api/v2/flows/actions/{name}", params={"flow": home})
          for name in ("checkin", "checkout", "publish", "deactivate", "revert", "unlock")),
    ]  # fmt: skip
    assert [reply.status_code for reply in replies] == [404] * len(replies)
    made = other.post("/api/v2/flows/jobs", json={}).json()
    httpx.put(made["presignedUrl"], content=GOOD, trust_env=False)
    job = other.get(f"/api/v2/flows/jobs/{made['id']}").json()
    assert job["status"] == "Failure"
    assert "architect:flow:add" in job["messages"][0]["text"]
    assert admin.get(f"/api/v2/flows/jobs/{made['id']}").status_code == 404
    made = other.post("/api/v2/flows/jobs", json={"createStubs": True}).json()
    text = GOOD.replace("name: Hotline", "name: Ours\n  division: Sales")
    httpx.put(made["presignedUrl"], content=text, trust_env=False)
    assert other.get(f"/api/v2/flows/jobs/{made['id']}").json()["flow"]["id"] == ours
    assert sqlite_site.http("agent").get("/api/v2/flows").status_code == 403


def test_locks(sqlite_site):
    world, admin, other = sqlite_site.world, sqlite_site.http(), sqlite_site.http("other")
    give(sqlite_site, "other", "*", *(f"architect:flow:{name}" for name in ("view", "edit", "publish")))
    flow = admin.post("/api/v2/flows", json={"name": "Locked", "type": "inboundcall"}).json()["id"]
    text = {"yaml": GOOD}

    def act(http, name):
        return http.post(f"/api/v2/flows/actions/{name}", params={"flow": flow})

    assert act(admin, "checkout").json()["lockedUser"]["id"] == world.users["admin"]
    assert act(admin, "checkout").status_code == 200
    for reply in (
        act(other, "checkout"),
        other.post(f"/api/v2/flows/{flow}/versions", json=text),
        act(other, "revert"),
    ):
        assert (reply.status_code, reply.json()["code"]) == (409, "flow.locked")
    assert act(other, "unlock").status_code == 403
    assert act(admin, "checkin").status_code == 409
    assert admin.post(f"/api/v2/flows/{flow}/versions", json=text).status_code == 200
    assert act(other, "publish").status_code == 409
    assert act(admin, "checkin").json()["actionName"] == "CHECKIN"
    assert admin.get(f"/api/v2/flows/{flow}").json()["checkedInVersion"]["type"] == "CHECKIN"
    assert "lockedUser" not in admin.get(f"/api/v2/flows/{flow}").json()
    assert act(other, "checkout").status_code == 200
    changed = {"yaml": GOOD.replace("world", "moon")}
    assert other.post(f"/api/v2/flows/{flow}/versions", json=changed).json()["id"] == "2.0"
    assert act(other, "revert").json()["savedVersion"]["id"] == "1.0"
    assert [v["id"] for v in admin.get(f"/api/v2/flows/{flow}/versions").json()["entities"]] == ["1.0"]
    assert act(other, "checkout").status_code == 200
    assert act(admin, "unlock").json().get("lockedUser") is None
    # Who may unlock need not mind a lock when publishing.
    assert act(other, "checkout").status_code == 200
    assert act(admin, "publish").status_code == 200
    mine = admin.get("/api/v2/flows", params={"lockedBy": world.users["other"]}).json()
    assert mine["total"] == 0


def test_finding_flows(lasting_site):
    http = lasting_site.http()
    for name, kind in (("Find A", "inboundcall"), ("Find B", "inqueuecall"), ("Find C", "outboundcall")):
        http.post("/api/v2/flows", json={"name": name, "type": kind, "description": f"about {name[-1]}"})

    def names(**query):
        found = http.get("/api/v2/flows", params={"name": "Find", **query}).json()["entities"]
        return [item["name"][-1] for item in found]

    assert names() == ["A", "B", "C"]
    assert names(sortOrder="desc") == ["C", "B", "A"]
    assert names(type="inboundcall,outboundcall") == ["A", "C"]
    assert names(description="about B") == ["B"]
    assert names(nameOrDescription="about c") == ["C"]
    assert names(publishVersionId="1.0") == names(secure="published") == names(virtualAgentEnabled="true") == []
    assert names(editableBy="me") == ["A", "B", "C"]
    assert http.get("/api/v2/flows", params={"publishedAfter": "yesterday"}).status_code == 400
    assert http.post("/api/v2/flows", json={"name": "x", "type": "BOT"}).status_code == 400
    assert http.post("/api/v2/flows", json={"name": "Find A", "type": "INBOUNDCALL"}).status_code == 409


def test_what_is_in_use_stays(sqlite_site):
    http = sqlite_site.http()
    flow = http.post("/api/v2/flows", json={"name": "Wait", "type": "inqueuecall"}).json()["id"]
    queue = http.post("/api/v2/routing/queues", json={"name": "Sales", "queueFlow": {"id": flow}}).json()
    assert queue["queueFlow"]["name"] == "Wait"
    assert http.delete(f"/api/v2/flows/{flow}").status_code == 409
    assert http.put(f"/api/v2/routing/queues/{queue['id']}", json={"queueFlow": None}).status_code == 200
    assert http.delete(f"/api/v2/flows/{flow}").status_code == 204
