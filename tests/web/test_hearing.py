"""Who may hear a policy recording (J1, J2), how long an address lives, who is told who hears, and seeing as another."""

from __future__ import annotations

import uuid
from typing import Any

import httpx
import pytest

from earwitness.store.tables import AuditEntry, Evaluation, Grant, Recording, Role, User

VIEW = "recording:recording:view"


def fetch(uri: str, **more: Any) -> httpx.Response:
    return httpx.get(uri, trust_env=False, timeout=30, **more)


def add_user(site: Any, name: str, *roles: str, division: str | None = None) -> str:
    """A user with default roles in a division (sales), and a token."""
    from earwitness.domain.access import Subject
    from earwitness.store import oauth

    world = site.world
    user_id = world.users[name] = str(uuid.uuid4())
    with world.database.transaction() as session:
        session.add(User(id=user_id, name=name.title(), email=f"{name}@example.com", division_id=world.sales,
                         created_at=1, modified_at=1))  # fmt: skip
        session.flush()
        for role in roles:
            session.add(Grant(id=str(uuid.uuid4()), subject_type="user", subject_id=user_id, granted_at=1,
                              role_id=world.roles[role], division_id=division or world.sales))  # fmt: skip
        token = world.tokens[name] = f"token-of-{user_id}"
        oauth.add_token(session, token, Subject("user", user_id), at=1, expires_at=1 << 60)
    return user_id


def evaluation(site: Any, conversation_id: str, evaluator: str, agent: str, **more: Any) -> str:
    key = str(uuid.uuid4())
    with site.world.database.transaction() as session:
        session.add(Evaluation(id=key, context_id=key, conversation_id=conversation_id, conversation_at=1, form_id="f",
                               form_context_id="f", evaluator_user_id=evaluator, agent_user_id=agent, created_at=1,
                               assigned_at=1, changed_at=1, **{"status": "PENDING", **more}))  # fmt: skip
    return key


def change(site: Any, table: Any, key: str, **values: Any) -> None:
    with site.world.database.transaction() as session:
        row = session.get(table, key)
        for name, value in values.items():
            setattr(row, name, value)


def uri_of(site: Any, name: str, call: tuple[str, str]) -> str:
    reply = site.http(name).get(f"/api/v2/conversations/{call[0]}/recordings/{call[1]}")
    assert reply.status_code == 200, reply.text
    return str(reply.json()["mediaUris"]["0"]["mediaUri"])


def test_j1_j2_supervisor_assigned_evaluator_and_agent_of_a_released_evaluation(site, recorded):
    ann = add_user(site, "ann", "agent")
    eva = add_user(site, "eva", "evaluator")
    add_user(site, "idle", "evaluator")
    add_user(site, "comm", "communicate")
    call = recorded.store_call(site, user="ann")
    path = f"/api/v2/conversations/{call[0]}/recordings/{call[1]}"

    def statuses() -> list[int]:
        return [site.http(name).get(path).status_code for name in ("supervisor", "ann", "eva", "idle", "comm")]

    assert statuses() == [200, 404, 404, 404, 403]
    key = evaluation(site, call[0], eva, ann)
    assert statuses() == [200, 404, 200, 404, 403]
    # J2: it is reached from the conversation, for who is told of it by the evaluation.
    assert site.http("eva").get(f"/api/v2/conversations/{call[0]}").status_code == 200
    assert [item["id"] for item in site.http("eva").get(f"/api/v2/conversations/{call[0]}/recordings").json()] == [
        call[1]
    ]
    assert fetch(uri_of(site, "eva", call)).status_code == 200
    for values, agent_hears in (
        ({"status": "FINISHED"}, False),
        ({"released_at": 1}, True),
        ({"status": "INREVIEW"}, True),
        ({"status": "INPROGRESS"}, False),
        ({"status": "FINISHED", "never_release": True}, False),
        ({"never_release": False}, True),
    ):
        change(site, Evaluation, key, **values)
        assert statuses() == [200, 200 if agent_hears else 404, 200, 404, 403], values
    change(site, Evaluation, key, status="RETRACTED")
    assert statuses() == [200, 404, 404, 404, 403]
    change(site, Evaluation, key, status="FINISHED", deleted_at=1)
    assert statuses() == [200, 404, 404, 404, 403]


def test_e2_no_evaluation_reaches_a_user_recording(sqlite_site, recorded):
    ann, eva = add_user(sqlite_site, "ann", "agent"), add_user(sqlite_site, "eva", "evaluator")
    call = recorded.store_call(sqlite_site, user="ann", role="ADHOC")
    evaluation(sqlite_site, call[0], eva, ann, status="FINISHED", released_at=1)
    path = f"/api/v2/conversations/{call[0]}/recordings/{call[1]}"
    statuses = {name: sqlite_site.http(name).get(path).status_code for name in ("ann", "eva", "supervisor", "admin")}
    assert statuses == {"ann": 200, "eva": 404, "supervisor": 404, "admin": 404}


@pytest.mark.parametrize("what", ["grant", "role", "user", "evaluation", "division", "recording", "token"])
def test_an_address_dies_with_the_right_that_it_was_made_by(sqlite_site, recorded, what):
    site, world = sqlite_site, sqlite_site.world
    ann = add_user(site, "ann", "agent")
    listener = add_user(site, "lis", *(["evaluator"] if what == "evaluation" else ["supervisor"]))
    call = recorded.store_call(site, user="ann")
    key = evaluation(site, call[0], listener, ann) if what == "evaluation" else ""
    uri = uri_of(site, "lis", call)
    page = site.http("lis").get(f"/api/v2/earwitness/recordings/{call[1]}/page").json()["pageUri"]
    assert fetch(uri).status_code == 200
    admin = site.http()
    if what == "grant":
        grants = f"/api/v2/authorization/subjects/{listener}/divisions/{world.sales}/roles/{world.roles['supervisor']}"
        assert admin.delete(grants).status_code == 204
    elif what == "role":
        permissions = {"permissions": ["routing:queue:view"]}
        path = f"/api/v2/authorization/roles/{world.roles['supervisor']}"
        assert admin.patch(path, json=permissions).status_code == 200
    elif what == "user":
        assert admin.patch(f"/api/v2/users/{listener}", json={"state": "inactive", "version": 1}).status_code == 200
    elif what == "evaluation":
        change(site, Evaluation, key, status="RETRACTED")
    elif what == "division":
        other = admin.post("/api/v2/authorization/divisions", json={"name": "Elsewhere"}).json()["id"]
        with world.database.transaction() as session:
            session.query(Grant).filter(Grant.subject_id == listener).update({"division_id": other})
    elif what == "recording":
        change(site, Recording, call[1], file_state="DELETED")
    else:
        assert site.http("lis").delete("/api/v2/tokens/me").status_code == 204
    expected = 200 if what == "token" else 404  # who signs out may still listen; who lost the right may not
    assert [fetch(uri, headers=headers).status_code for headers in ({}, {"Range": "bytes=5-9"})] == [
        expected, 206 if what == "token" else 404,
    ]  # fmt: skip
    assert fetch(page).status_code == expected
    if what != "token":
        with world.database.reading() as session:
            rows = [row for row in session.query(AuditEntry) if row.action == "listen" and row.result == "denied"]
        assert len(rows) == 2


def test_who_can_hear_and_through_which_grant(site, recorded):
    world, path = site.world, "/api/v2/earwitness/recordings/{}/access"
    ann, eva = add_user(site, "ann", "agent"), add_user(site, "eva", "evaluator")
    add_user(site, "far", "supervisor", division=world.home)
    call = recorded.store_call(site, user="ann")
    key = evaluation(site, call[0], eva, ann, status="FINISHED", released_at=1)
    with world.database.transaction() as session:
        role = Role(id="seg", name="Seg", permissions=["recording:recordingSegment:view"], permission_policies=[],
                    created_at=1, modified_at=1)  # fmt: skip
        session.add(role)
        session.flush()
        session.add(Grant(id="seg", subject_type="user", subject_id=world.users["nobody"], role_id="seg",
                          division_id=world.sales, granted_at=1))  # fmt: skip
    found = {item["name"]: item for item in site.http().get(path.format(call[1])).json()["entities"]}
    assert set(found) == {"Admin", "Ann", "Eva", "Nobody", "Supervisor", "Tests"}
    assert all(item["whole"] for item in found.values())  # the call touched one division alone
    (way,) = found["Supervisor"]["ways"]
    assert (way["kind"], way["permission"], way["role"]["name"], way["division"]["name"]) == (
        "grant", VIEW, "Supervisor", "Sales",
    )  # fmt: skip
    for name, part in (("Ann", "agent"), ("Eva", "evaluator")):  # the role by its condition, and the evaluation itself
        grant, way = found[name]["ways"]
        assert (grant["kind"], way["kind"], way["evaluation"]["id"], way["part"]) == ("grant", "evaluation", key, part)
        assert grant["roleConditions"]
    assert found["Tests"]["type"] == "client"
    # What it says is what is: each of them, and nobody else, is answered.
    for name in ("admin", "supervisor", "ann", "eva", "nobody", "agent", "far", "other"):
        status = site.http(name).get(f"/api/v2/conversations/{call[0]}/recordings/{call[1]}").status_code
        assert (status == 200) == (name.title() in found), name
    assert site.http("supervisor").get(path.format(call[1])).status_code == 403
    assert site.http().get(path.format("unknown")).status_code == 404
    inbox = recorded.store_call(site, user="ann", role="ADHOC")
    assert site.http().get(path.format(inbox[1])).status_code == 404
    with world.database.reading() as session:
        told = [row.result for row in session.query(AuditEntry) if row.action == "viewAccess"]
    assert sorted(told) == ["allowed", "denied", "denied"]


def test_seeing_as_another_user_reads_and_plays_nothing_more(sqlite_site, recorded):
    site, world = sqlite_site, sqlite_site.world
    inbox = recorded.store_call(site, role="ADHOC")
    call = recorded.store_call(site)
    foreign = recorded.store_call(site, user="admin", divisions=[world.home])
    body = {"userId": world.users["agent"], "reason": "ticket 7: cannot find the call"}
    assert site.http("supervisor").post("/api/v2/earwitness/see-as", json=body).status_code == 403
    assert site.http().post("/api/v2/earwitness/see-as", json={**body, "reason": " "}).status_code == 400
    assert site.http().post("/api/v2/earwitness/see-as", json={**body, "userId": "unknown"}).status_code == 404
    assert site.http("client").post("/api/v2/earwitness/see-as", json=body).status_code == 400
    made = site.http().post("/api/v2/earwitness/see-as", json=body).json()
    headers = {"Authorization": f"Bearer {made['accessToken']}"}
    http = httpx.Client(base_url=site.url, headers=headers, trust_env=False, timeout=20)
    assert http.get("/api/v2/users/me").json()["id"] == world.users["agent"]
    subject = http.get("/api/v2/authorization/subjects/me").json()
    assert subject["id"] == world.users["agent"]
    reply = http.get(f"/api/v2/conversations/{call[0]}/recordings/{call[1]}")
    assert reply.status_code == 200
    assert http.get(f"/api/v2/conversations/{foreign[0]}/recordings/{foreign[1]}").status_code == 404
    # The inbox stays closed, and is not there.
    assert http.get("/api/v2/userrecordings").json()["total"] == 0
    assert http.get(f"/api/v2/userrecordings/{inbox[1]}").status_code == 404
    assert http.get(f"/api/v2/conversations/{inbox[0]}/recordings/{inbox[1]}").status_code == 404
    # Nothing is changed, and no further token is had.
    for method, path, body_ in (
        ("POST", "/api/v2/earwitness/see-as", body),
        ("PUT", f"/api/v2/conversations/{call[0]}/recordings/{call[1]}", {}),
        ("POST", "/api/v2/notifications/channels", None),
        ("DELETE", "/api/v2/tokens/me", None),
    ):
        refused = http.request(method, path, json=body_)
        assert (refused.status_code, refused.json()["code"]) == (403, "see.as.read.only"), path
    # What plays, plays for the administrator: with the administrator's right it dies, whatever the user may.
    uri = reply.json()["mediaUris"]["0"]["mediaUri"]
    assert f"user%3A{world.users['admin']}" in uri
    with world.database.reading() as session:
        rows = [row for row in session.query(AuditEntry) if row.action == "seeAs"]
    assert {row.subject_id for row in rows} == {world.users["admin"], world.users["supervisor"]} - {
        world.users["supervisor"]
    }
    assert rows[0].detail == {"reason": body["reason"]}
    assert {"method": "GET", "path": "/api/v2/userrecordings"} in [row.detail for row in rows]
    assert {row.entity_id for row in rows} == {world.users["agent"]}
    clock = site.app.state.services.clock
    later = clock.now_us() + 16 * 60 * 1_000_000
    object.__setattr__(clock, "now_us", lambda: later)
    assert http.get("/api/v2/users/me").status_code == 401
    http.close()


def test_who_lost_the_right_to_see_as_sees_no_more(sqlite_site):
    site, world = sqlite_site, sqlite_site.world
    add_user(site, "boss", "administrator", division="*")
    body = {"userId": world.users["agent"], "reason": "checking"}
    made = site.http("boss").post("/api/v2/earwitness/see-as", json=body).json()
    headers = {"Authorization": f"Bearer {made['accessToken']}"}
    assert httpx.get(f"{site.url}/api/v2/users/me", headers=headers, trust_env=False).status_code == 200
    grant = f"/api/v2/authorization/subjects/{world.users['boss']}/divisions/*/roles/{world.roles['administrator']}"
    assert site.http().delete(grant).status_code == 204
    assert httpx.get(f"{site.url}/api/v2/users/me", headers=headers, trust_env=False).status_code == 401


def test_nobody_sees_as_somebody_with_more_rights(sqlite_site):
    site, world = sqlite_site, sqlite_site.world
    with world.database.transaction() as session:
        session.add(Role(id="look", name="Look", permissions=["authorization:subject:seeAs"], permission_policies=[],
                         created_at=1, modified_at=1))  # fmt: skip
        session.flush()
        session.add(Grant(id="look", subject_type="user", subject_id=world.users["supervisor"], role_id="look",
                          division_id="*", granted_at=1))  # fmt: skip
    http = site.http("supervisor")
    for name, status in (("admin", 403), ("nobody", 200)):
        body = {"userId": world.users[name], "reason": "curious"}
        assert http.post("/api/v2/earwitness/see-as", json=body).status_code == status
