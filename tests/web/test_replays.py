"""S20: a POST that is sent again is carried out once."""

from __future__ import annotations

import asyncio

import pytest
from starlette.responses import Response

from earwitness.web.kernel.replays import REPLAYED, Replays, fingerprint

SITES = "/api/v2/telephony/providers/edges/sites"


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
        first = asyncio.create_task(replays.run("me", same, 0.0, handle))
        second = asyncio.create_task(replays.run("me", same, 1.0, handle))
        await asyncio.sleep(0)
        gate.set()
        assert [(await task).body for task in (first, second)] == [b"done", b"done"]
        assert len(calls) == 1
        await replays.run("me", same, 10.5, handle)
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
            await replays.run("me", b"x", 0.0, broken)
        assert (await replays.run("me", b"x", 1.0, fine)).body == b"fine"

    asyncio.run(story())
