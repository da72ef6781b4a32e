"""Many people behind one address: one of them does not shut out the others."""

from __future__ import annotations

import httpx

from earwitness.web.kernel.shell import Limits

ME = "/api/v2/organizations/me"


def get(site, path, token=None):
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return httpx.get(site.url + path, headers=headers, trust_env=False, verify=False)


def test_refused_tokens_slow_down_only_strangers(start_site, migrated_sqlite, tmp_path, recorded):
    (tmp_path / "w.db").write_bytes(migrated_sqlite.read_bytes())
    limits = Limits(refusals_per_window=5)
    site = start_site(f"sqlite:///{tmp_path / 'w.db'}", limits=limits)
    _, recording_id = recorded.store_call(site)
    page = site.http("agent").get(f"/api/v2/earwitness/recordings/{recording_id}/page").json()["pageUri"]
    assert get(site, ME, site.world.tokens["agent"]).status_code == 200
    statuses = [get(site, ME, f"guess{n}").status_code for n in range(20)]
    assert set(statuses) == {401, 429}
    assert get(site, ME, site.world.tokens["agent"]).status_code == 200
    sign_in = {"grant_type": "password", "username": "agent@example.com", "password": "correct horse battery"}
    fresh = httpx.post(site.url + "/oauth/token", data=sign_in, trust_env=False, verify=False).json()["access_token"]
    assert get(site, ME, fresh).status_code == 200
    assert httpx.get(page, trust_env=False, verify=False).status_code == 200
    assert get(site, "/api/v2/earwitness/health", "guess").status_code in (200, 503)


def test_an_ended_token_is_a_stranger_again(start_site, migrated_sqlite, tmp_path):
    (tmp_path / "w.db").write_bytes(migrated_sqlite.read_bytes())
    site = start_site(f"sqlite:///{tmp_path / 'w.db'}", limits=Limits(refusals_per_window=3))
    http = site.http("agent")
    assert http.delete("/api/v2/tokens/me").status_code == 204
    assert {http.get(ME).status_code for _ in range(20)} == {401, 429}
