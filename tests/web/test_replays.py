"""S20: a POST that is sent again is carried out once."""

from __future__ import annotations

import asyncio

import pytest
from starlette.responses import Response

from earwitness.domain.access import Access, Subject
from earwitness.store import access as access_store
from earwitness.store import oauth
from earwitness.web.kernel.replays import REPLAYED, WINDOW_S, Replays, fingerprint

SITES = "/api/v2/telephony/providers/edges/sites"


async def anybody() -> Access:
    return Access(Subject("user", "me"))


def test_s20_a_repeated_post_makes_one(sqlite_site):
    http = sqlite_site.http()
    replies = [http.post(SITES, json={"name": "Berlin"}) for _ in range(3)]
    assert len({reply.json()["id"] for reply in replies}) == 1
    assert [reply.headers.get(REPLAYED) for reply in replies] == [None, "true", "true"]
    assert sqlite_site.http("client").post(SITES, json={"name": "Berlin"}).json()["id"] != replies[0].json()["id"]
    assert http.delete(f"{SITES}/{replies[0].json()['id']}").status_code == 204
    assert http.post(SITES, json={"name": "Berlin"}).json()["id"] != replies[0].json()["id"]
    names = [entity["name"] for entity in http.get(SITES).json()["entities"]]
    assert names == ["Berlin", "Berlin", "Main"]


def test_searches_look_each_time(sqlite_site):
    http = sqlite_site.http()
    replies = [http.post("/api/v2/users/search", json={}) for _ in range(2)]
    assert all(reply.status_code == 200 and REPLAYED not in reply.headers for reply in replies)


def test_refusals_are_not_remembered(sqlite_site):
    http = sqlite_site.http()
    assert [http.post(SITES, json={}).status_code for _ in range(2)] == [400, 400]
    assert http.post(SITES, json={}).headers.get(REPLAYED) is None


def test_a_repetition_waits_for_the_first():
    async def story() -> None:
        replays, gate, calls = Replays(), asyncio.Event(), []

        async def handle() -> Response:
            calls.append(1)
            await gate.wait()
            return Response(b"done")

        same = fingerprint("/a", "", b"{}")
        first = asyncio.create_task(replays.run("me", same, 0.0, handle, anybody))
        second = asyncio.create_task(replays.run("me", same, 1.0, handle, anybody))
        await asyncio.sleep(0)
        gate.set()
        assert [(await task).body for task in (first, second)] == [b"done", b"done"]
        assert len(calls) == 1
        await replays.run("me", same, 10.5, handle, anybody)
        assert len(calls) == 2

    asyncio.run(story())


def test_a_repetition_of_a_crash_tries_again():
    async def story() -> None:
        replays = Replays()

        async def broken() -> Response:
            raise RuntimeError

        async def fine() -> Response:
            return Response(b"fine")

        with pytest.raises(RuntimeError):
            await replays.run("me", b"x", 0.0, broken, anybody)
        assert (await replays.run("me", b"x", 1.0, fine, anybody)).body == b"fine"

    asyncio.run(story())


def test_who_repeats_is_asked_for_anew(sqlite_site):
    http, world = sqlite_site.http(), sqlite_site.world
    clients = "/api/v2/oauth/clients"
    body = {"name": "Wallboard", "authorizedGrantType": "CLIENT-CREDENTIALS"}
    assert "secret" in http.post(clients, json=body).json()
    with world.database.transaction() as session:
        oauth.end_tokens_of(session, world.users["admin"])
    reply = http.post(clients, json=body)
    assert (reply.status_code, reply.headers.get(REPLAYED)) == (401, None)


def test_who_lost_rights_gets_the_operation_and_no_memory(sqlite_site):
    http, world = sqlite_site.http(), sqlite_site.world
    clients = "/api/v2/oauth/clients"
    body = {"name": "Wallboard", "authorizedGrantType": "CLIENT-CREDENTIALS"}
    assert http.post(clients, json=body).status_code == 200
    with world.database.transaction() as session:
        access_store.revoke(session, world.users["admin"])
    reply = http.post(clients, json=body)
    assert (reply.status_code, reply.json()["code"]) == (403, "missing.permissions")


def test_replies_are_forgotten_in_time():
    async def story() -> None:
        replays, timers = Replays(), []
        asyncio.get_running_loop().call_later = lambda s, call, *args: timers.append((s, call, args))

        async def handle() -> Response:
            return Response(b"secret")

        await replays.run("me", b"x", 0.0, handle, anybody)
        ((seconds, call, args),) = timers
        assert seconds == WINDOW_S
        call(*args)
        assert not replays._latest

    asyncio.run(story())
