"""Whose address a request has when a proxy is in front."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest

from earwitness.web.arguments import WebArguments
from earwitness.web.process import server_config


@pytest.mark.parametrize(
    ("trusted", "peer", "seen"),
    [
        ("", "127.0.0.1", ("127.0.0.1", "http")),
        ("10.0.0.0/8,127.0.0.1/32", "10.1.2.3", ("203.0.113.7", "https")),
        ("10.0.0.0/8", "192.0.2.1", ("192.0.2.1", "http")),
    ],
)
def test_only_trusted_proxies_tell_the_client(trusted, peer, seen):
    found = []

    async def app(scope, _receive, send):
        found.append((scope["client"][0], scope["scheme"]))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    folder = Path("unused")
    arguments = WebArguments("sqlite://", "vault", folder, folder, trusted_proxies=trusted)
    config = server_config(arguments, app)
    config.load()

    async def ask() -> None:
        transport = httpx.ASGITransport(config.loaded_app, client=(peer, 1))
        headers = {"X-Forwarded-For": "198.51.100.1, 203.0.113.7", "X-Forwarded-Proto": "https"}
        async with httpx.AsyncClient(transport=transport, base_url="http://recorder") as client:
            await client.get("/", headers=headers)

    asyncio.run(ask())
    assert found == [seen]
