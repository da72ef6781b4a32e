"""What the audit log must have, and when."""

from __future__ import annotations

from typing import Any

import httpx
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from earwitness.store.tables import AuditEntry
from earwitness.web.api import media


def fetch(uri: str, **more) -> httpx.Response:
    return httpx.get(uri, trust_env=False, verify=False, timeout=20, **more)


def entries(site: Any, *, after: int = 0) -> list[AuditEntry]:
    with site.world.database.reading() as session:
        rows = list(session.scalars(select(AuditEntry).where(AuditEntry.id > after).order_by(AuditEntry.id)))
        session.expunge_all()
    return rows


def test_no_listening_without_a_row(sqlite_site, recorded, monkeypatch):
    conversation_id, recording_id = recorded.store_call(sqlite_site)
    reply = sqlite_site.http().get(f"/api/v2/conversations/{conversation_id}/recordings/{recording_id}").json()
    uri = reply["mediaUris"]["0"]["mediaUri"]
    real, failures = media.note_subject, [OperationalError("", {}, Exception("database is locked"))]

    def note(*args, **more):
        if failures:
            raise failures.pop()
        real(*args, **more)

    monkeypatch.setattr(media, "note_subject", note)
    assert [fetch(uri).status_code for _ in range(3)] == [503, 200, 200]
    assert [row.action for row in entries(sqlite_site)].count("listen") == 1


def test_a_refused_change_of_dates_is_noted(sqlite_site, recorded):
    conversation_id, recording_id = recorded.store_call(sqlite_site)
    path = f"/api/v2/conversations/{conversation_id}/recordings/{recording_id}"
    for name, status in {"supervisor": 403, "other": 404}.items():
        assert sqlite_site.http(name).put(path, json={"deleteDate": None}).status_code == status
    users = sqlite_site.world.users
    assert [(row.subject_id, row.action, row.entity_id, row.result) for row in entries(sqlite_site)] == [
        (users["supervisor"], "editRetention", recording_id, "denied"),
        (users["other"], "editRetention", recording_id, "denied"),
    ]


def test_strangers_are_noted_but_cannot_fill_the_disk(sqlite_site, recorded):
    _, recording_id = recorded.store_call(sqlite_site)
    sign_in = {"grant_type": "password", "username": "Admin@example.com", "password": "wrong"}
    assert sqlite_site.http(None).post("/oauth/token", data=sign_in).status_code == 401
    for _ in range(30):
        assert fetch(f"{sqlite_site.url}/api/v2/earwitness/media/{recording_id}/0.webm?signature=x").status_code == 403
    assert fetch(f"{sqlite_site.url}/play/{recording_id}").status_code == 403
    rows = entries(sqlite_site)
    assert {row.result for row in rows} == {"denied"}
    assert {row.subject_type for row in rows} == {"anonymous"}
    assert (rows[0].action, rows[0].entity_type, rows[0].detail) == ("signIn", "user", {"name": "admin@example.com"})
    assert (rows[1].action, rows[1].entity_id) == ("listen", recording_id)
    assert 20 <= len(rows) <= 32


TRUNKS = "/api/v2/telephony/providers/edges/trunkbasesettings"
PASSWORD = "trunk_sip_authentication_credentials_password"


def instance(value):
    return {"value": {"instance": value}}


def test_who_switched_recording_off(sqlite_site):
    http, on, off = sqlite_site.http(), instance(True), instance(False)
    body = {"name": "Carrier", "trunkMetabase": {"id": "external_sip.json"}, "properties": {"a": on}}
    body["properties"] |= {"trunk_recording_enabled": on, PASSWORD: instance("hush")}
    made = http.post(TRUNKS, json=body).json()
    properties = {**made["properties"], "trunk_recording_enabled": off, PASSWORD: instance("hush hush")}
    assert http.put(f"{TRUNKS}/{made['id']}", json={**made, "properties": properties}).status_code == 200
    assert http.delete(f"{TRUNKS}/{made['id']}").status_code == 204
    created, changed, deleted = entries(sqlite_site)
    admin = sqlite_site.world.users["admin"]
    for row, action in ((created, "create"), (changed, "change"), (deleted, "delete")):
        assert (row.action, row.entity_type, row.entity_id, row.subject_id) == (action, "trunkBase", made["id"], admin)
        assert row.remote_address == "127.0.0.1"
        assert "hush" not in str(row.detail)
    assert created.detail["after"]["properties.trunk_recording_enabled"] == on
    assert changed.detail == {
        "before": {"properties.trunk_recording_enabled": on},
        "after": {"properties.trunk_recording_enabled": off, "secrets": "changed"},
    }
    assert deleted.detail == {"before": {"state": "active"}, "after": {"state": "deleted", "secrets": "changed"}}


def test_who_took_over_an_account(sqlite_site):
    http, users = sqlite_site.http(), sqlite_site.world.users
    assert http.post(f"/api/v2/users/{users['agent']}/password", json={"newPassword": "long enough"}).status_code == 204
    assert http.patch(f"/api/v2/users/{users['agent']}", json={"email": "x@example.com"}).status_code == 200
    assert http.delete(f"/api/v2/users/{users['other']}").status_code == 200
    assert http.delete(f"/api/v2/users/{users['other']}").status_code == 200
    http.post("/api/v2/users", json={"name": "Eve", "email": "eve@example.com", "password": "long enough"})
    role = http.post("/api/v2/authorization/roles", json={"name": "R", "permissions": ["directory:user:view"]}).json()[
        "id"
    ]
    http.patch(f"/api/v2/authorization/roles/{role}", json={"permissions": ["recording:recording:view"]})
    http.delete(f"/api/v2/authorization/roles/{role}")
    rows = [(row.action, row.entity_type, row.detail) for row in entries(sqlite_site)]
    assert rows[0] == ("change", "user", {"before": {}, "after": {"password": "changed"}})
    assert rows[1][2] == {"before": {"email": "agent@example.com"}, "after": {"email": "x@example.com"}}
    assert rows[2][2]["after"] == {"state": "deleted"}
    assert rows[3][:2] == ("create", "user")
    assert rows[3][2]["after"]["password"] == "changed"
    assert [row[:2] for row in rows[4:]] == [("create", "role"), ("change", "role"), ("delete", "role")]


def test_who_sits_where_and_what_numbers_lead_where(sqlite_site):
    http, agent = sqlite_site.http(), sqlite_site.world.users["agent"]
    phone = http.post("/api/v2/telephony/providers/edges/phones", json={"name": "Desk"}).json()
    station = phone["lines"][0]["id"]
    http.put(f"/api/v2/users/{agent}/station/associatedstation/{station}")
    numbers = {"startPhoneNumber": "+4930100", "endPhoneNumber": "+4930102"}
    http.post("/api/v2/telephony/providers/edges/didpools", json=numbers)
    http.post("/api/v2/earwitness/callroutes", json={"name": "R", "dnis": ["+4930100"]})
    did = http.get("/api/v2/telephony/providers/edges/dids?phoneNumber=102").json()["entities"][0]["id"]
    http.put(f"/api/v2/telephony/providers/edges/dids/{did}", json={"owner": {"id": agent}, "ownerType": "USER"})
    rows = [(row.action, row.entity_type) for row in entries(sqlite_site)]
    assert sorted(rows[:2]) == [("create", "phone"), ("create", "station")]
    assert rows[2:] == [("change", "station"), ("create", "didPool"), ("create", "callRoute"), ("change", "did")]
