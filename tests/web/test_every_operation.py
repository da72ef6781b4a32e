"""What holds of every operation: the error shape, the headers, who may, and what OpenAPI says of it."""

from __future__ import annotations

import os
import re
import uuid
from pathlib import Path

import pytest
from fastapi.routing import APIRoute

from earwitness.domain.access import Subject
from earwitness.store import oauth
from earwitness.web.app import FAMILIES
from earwitness.web.kernel.shell import Limits

TABLE = Path(__file__).with_name("permissions.txt")
OPERATIONS = [
    (next(iter(route.methods)), route.path, route)
    for family in FAMILIES
    for route in family.routes
    if isinstance(route, APIRoute)
]
NAMES = [f"{method} {path}" for method, path, _ in OPERATIONS]
HEADERS = ("ININ-Correlation-Id", "inin-ratelimit-count", "inin-ratelimit-allowed", "inin-ratelimit-reset")
FIELDS = {"message", "code", "status", "contextId", "details", "errors", "messageWithParams", "messageParams"}
REQUIRED = {"permission": "recording:recording:view", "trunkMetabaseId": "external_sip.json",
            "phoneMetabaseId": "generic_sip.json", "phoneBaseSettingsId": "none", "flow": "none",
            "retentionThresholdDays": "1", "id": "none", "contextId": "none", "calibratorId": "none",
            "customerSurveyUrl": "none", "searchType": "PHONE", "searchValue": "+4930111"}  # fmt: skip


def address(path: str) -> str:
    return re.sub(r"\{\w+\}", lambda _: str(uuid.uuid4()), path)


def query(route: APIRoute) -> dict[str, str]:
    return {item.alias: REQUIRED[item.alias] for item in route.dependant.query_params if item.field_info.is_required()}


def has_shape(reply, status=None):
    assert reply.headers["content-type"] == "application/json", reply.text
    body = reply.json()
    assert set(body) >= FIELDS, body
    assert body["status"] == reply.status_code
    assert body["contextId"] == reply.headers["ININ-Correlation-Id"]
    assert body["message"]
    assert body["code"]
    if status is not None:
        assert reply.status_code == status, body
    for name in HEADERS:
        assert reply.headers[name]


@pytest.mark.parametrize(("method", "path", "route"), OPERATIONS, ids=NAMES)
def test_s35_refusals_have_one_shape(lasting_site, method, path, route):
    stranger = lasting_site.http(None)
    needs = route.openapi_extra["x-earwitness-permissions"]
    if method != "HEAD":
        reply = stranger.request(method, address(path), headers={"Authorization": "Bearer nonsense"})
        if needs["signedIn"]:
            has_shape(reply, 401)
            assert reply.json()["code"] == "bad.credentials"
            bare = stranger.request(method, address(path))
            has_shape(bare, 401)
            assert bare.json()["code"] == "authentication.required"
            assert "WWW-Authenticate" in bare.headers
    signed = lasting_site.http("client")
    wrong = signed.request("PROPFIND", address(path))
    has_shape(wrong, 405)
    assert method in wrong.headers["Allow"]
    if route.body_field is not None and path != "/oauth/token":
        json_type = {"Content-Type": "application/json"}
        for body in (b"{", b"nonsense", b'{"a": NaN}', b'{"a": "\\u0000"}', b"\xff\xfe", b"[" * 5000, b'"text"', b"7"):
            has_shape(signed.request(method, address(path), content=body, headers=json_type), 400)
        has_shape(signed.request(method, address(path), content=b"a=b", headers={"Content-Type": "text/plain"}), 415)


def test_s36_codes(lasting_site):
    http = lasting_site.http()
    missing = http.get("/api/v2/nothing/here")
    has_shape(missing, 404)
    assert missing.json()["code"] == "not.found"
    has_shape(http.get("/api/v2/users", params={"pageSize": 0}), 400)
    has_shape(http.get("/api/v2/users", params={"pageSize": "many"}), 400)
    has_shape(http.get("/api/v2/users", params={"state": "outdated_sdk_version"}), 400)
    has_shape(http.get("/api/v2/users%00"), 400)
    has_shape(http.get("/api/v2/users?name=%00"), 400)
    big = http.post("/api/v2/users", content=b" " * (5 * 1024 * 1024), headers={"Content-Type": "application/json"})
    has_shape(big, 413)

    def pieces():
        for _ in range(80):
            yield b" " * 65536

    json_type = {"Content-Type": "application/json"}
    has_shape(http.post("/api/v2/users", content=pieces(), headers=json_type), 413)
    refused = lasting_site.http("nobody").get(f"/api/v2/conversations/{uuid.uuid4()}/recordings")
    assert refused.json()["code"] == "missing.any.permissions"
    assert "recording:recording:view" in refused.json()["messageParams"]["permissions"]


def test_a_crash_tells_nothing(lasting_site, monkeypatch):
    def broken(*_arguments, **_more):
        raise RuntimeError("the secret reason")

    monkeypatch.setattr("earwitness.store.users.listing", broken)
    reply = lasting_site.http().get("/api/v2/users")
    has_shape(reply, 500)
    assert "secret" not in reply.text


def test_an_expired_token(lasting_site):
    world = lasting_site.world
    token = f"expired-{uuid.uuid4()}"
    with world.database.transaction() as session:
        oauth.add_token(session, token, Subject("user", world.users["admin"]), at=1, expires_at=2)
    reply = lasting_site.http(None).get("/api/v2/users", headers={"Authorization": f"Bearer {token}"})
    has_shape(reply, 401)


def test_openapi_names_permissions(lasting_site):
    document = lasting_site.http(None).get("/api/v2/docs/openapi.json").json()
    seen = set()
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            needs = operation["x-earwitness-permissions"]
            assert operation["description"], path
            assert ("security" in operation) is True, (method, path)
            assert bool(operation["security"]) == needs["signedIn"], (method, path)
            assert all(name in operation["description"] for name in needs["permissions"])
            seen.add(operation["operationId"])
    assert len(seen) == len(OPERATIONS)


@pytest.mark.timeout(900)
def test_who_may(lasting_site):
    """``permissions.txt`` lists who is let in by each operation: A administrator, S supervisor, G agent, N nobody.

    Found by asking: 403 is a no. When the table changes on purpose, ``WRITE_TABLES=1`` writes the new one: read the
    difference.
    """
    world, lines = lasting_site.world, []
    for method, path, route in sorted(OPERATIONS, key=lambda item: (item[1], item[0])):
        allowed = ""
        for letter, name in (("A", "admin"), ("S", "supervisor"), ("G", "agent"), ("N", "nobody")):
            with world.database.transaction() as session:
                token = f"once-{uuid.uuid4()}"
                oauth.add_token(session, token, Subject("user", world.users[name]), at=1, expires_at=1 << 60)
            reply = lasting_site.http(None).request(
                method,
                address(path),
                params=query(route),
                json={} if route.body_field is not None and path != "/oauth/token" else None,
                headers={"Authorization": f"Bearer {token}"},
            )
            assert reply.status_code < 500, reply.text
            assert reply.status_code != 401
            allowed += letter if reply.status_code != 403 else "-"
        lines.append(f"{allowed} {method:6} {path}")
    found = "\n".join(lines) + "\n"
    if os.environ.get("WRITE_TABLES"):
        TABLE.write_text(found)
    assert found == TABLE.read_text()


def test_429_and_its_headers(start_site, migrated_sqlite, tmp_path):
    (tmp_path / "limited.db").write_bytes(migrated_sqlite.read_bytes())
    site = start_site(f"sqlite:///{tmp_path / 'limited.db'}", limits=Limits(requests_per_window=3))
    http = site.http()
    replies = [http.get("/api/v2/organizations/me") for _ in range(9)]
    limited = [reply for reply in replies if reply.status_code == 429]
    assert limited
    has_shape(limited[0], 429)
    assert 1 <= int(limited[0].headers["Retry-After"]) <= 10
    assert limited[0].json()["code"] == "too.many.requests.retry.after"
    assert limited[0].headers["inin-ratelimit-allowed"] == "3"
