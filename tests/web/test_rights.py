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
    assert [grant["role"]["id"] for grant in left] == [world.roles["agent"]]
    assert http.delete(f"{SUBJECTS}/{me}/divisions/{world.sales}/roles/{world.roles['agent']}").status_code == 204
    assert http.delete(f"{SUBJECTS}/{me}/divisions/{world.sales}/roles/{own}").status_code == 204
