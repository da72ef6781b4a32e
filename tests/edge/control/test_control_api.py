"""The control API over a real HTTP server, on a switchboard without calls or with a call that is made up."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import websockets

from earwitness.domain.configuration import Snapshot
from earwitness.domain.conversation.events import Event
from earwitness.edge.control import app as control
from earwitness.edge.control.server import ControlServer, control_token
from earwitness.edge.sip.registrar import Contact, Registrar, Source

EVENTS = [
    Event(
        0,
        5,
        "conversation.started",
        {"conversation_id": "c1", "organization_id": "o", "direction": "inbound", "ani": "1", "dnis": "2"},
    )
]


class FakeSwitchboard:
    """What the API asks of a switchboard."""

    def __init__(self) -> None:
        self.hung_up: list[str | None] = []
        call = SimpleNamespace(
            id="c1",
            state=SimpleNamespace(value="up"),
            story=SimpleNamespace(events=lambda: EVENTS),
            disconnect=lambda by=None: self.hung_up.append(by),
        )
        self.conversations = {"c1": call}
        self.registrar = Registrar()
        self.directory = SimpleNamespace(snapshot=Snapshot(4, "o"))
        self.spool_full = False
        self.counters = {"INVITE": 3}
        self.subscribers: list[Any] = []

    def subscribe(self, subscriber: Any) -> Any:
        self.subscribers.append(subscriber)
        return lambda: self.subscribers.remove(subscriber)


class Api:
    """A running server and a client with the token."""

    def __init__(self, switchboard: FakeSwitchboard, server: ControlServer, client: httpx.AsyncClient) -> None:
        self.switchboard, self.server, self.client = switchboard, server, client


def _with_api(check: Any, token: str = "secret") -> None:
    async def main() -> None:
        switchboard = FakeSwitchboard()

        async def reload() -> int:
            return 9

        app = control.make_app(
            switchboard,  # type: ignore[arg-type]
            token,
            figures=lambda: {"legs": 0},
            reload=reload,
            unix_time=lambda: 1000.0,
        )
        server = ControlServer(app, "127.0.0.1", 0)
        server.start()
        headers = {"Authorization": f"Bearer {token}"}
        base = f"http://127.0.0.1:{server.port}"
        try:
            async with httpx.AsyncClient(base_url=base, headers=headers, trust_env=False) as client:
                await check(Api(switchboard, server, client))
        finally:
            await server.stop()

    asyncio.run(main())


@pytest.mark.parametrize("path", ["/health", "/conversations", "/conversations/c1", "/registrations"])
@pytest.mark.parametrize("header", [None, "", "secret", "Bearer wrong", "Bearer sécret"])
def test_nothing_without_the_token(path: str, header: str | None) -> None:
    async def check(api: Api) -> None:
        given = {"Authorization": header.encode()} if header is not None else {}
        async with httpx.AsyncClient(base_url=api.client.base_url, trust_env=False) as client:
            assert (await client.get(path, headers=given)).status_code == 401

    _with_api(check)


def test_figures_conversations_and_registrations() -> None:
    async def check(api: Api) -> None:
        api.switchboard.registrar.register(
            "s1",
            [Contact("sip:a@b")],
            star=False,
            expires=60,
            call_id="c",
            cseq=1,
            source=Source("udp", "192.0.2.1", 5060),
            now=1000.0,
        )
        health = (await api.client.get("/health")).json()
        assert (health["conversations"], health["registrations"], health["configVersion"]) == (1, 1, 4)
        (listed,) = (await api.client.get("/conversations")).json()["conversations"]
        assert listed == (await api.client.get("/conversations/c1")).json()
        assert listed["timeline"]["ani"] == "1"
        assert listed["events"][0]["type"] == "conversation.started"
        assert (await api.client.get("/conversations/c2")).status_code == 404
        (binding,) = (await api.client.get("/registrations")).json()["registrations"]
        assert (binding["station_id"], binding["source"]["host"]) == ("s1", "192.0.2.1")
        assert (await api.client.post("/reload")).json() == {"version": 9}

    _with_api(check)


@pytest.mark.parametrize(
    ("body", "status", "by"),
    [
        (b"", 202, [None]),
        (b'{"by": "u"}', 202, ["u"]),
        (b"[1]", 400, []),
        (b'{"by": 3}', 202, [None]),
        (b"{", 400, []),
    ],
)
def test_disconnect(body: bytes, status: int, by: list[str | None]) -> None:
    async def check(api: Api) -> None:
        assert (await api.client.post("/conversations/c1/disconnect", content=body)).status_code == status
        assert api.switchboard.hung_up == by
        assert (await api.client.post("/conversations/c2/disconnect")).status_code == 404

    _with_api(check)


def test_live_events() -> None:
    async def check(api: Api) -> None:
        url = f"ws://127.0.0.1:{api.server.port}/events"
        headers = {"Authorization": "Bearer secret"}
        async with websockets.connect(url, additional_headers=headers, proxy=None) as live:
            while not api.switchboard.subscribers:
                await asyncio.sleep(0)
            api.switchboard.subscribers[0]("c1", EVENTS[0])
            message = json.loads(await live.recv())
            assert message["conversation_id"] == "c1"
            assert message["event"]["data"]["dnis"] == "2"
        while api.switchboard.subscribers:
            await asyncio.sleep(0)

    _with_api(check)


def test_a_listener_that_falls_behind_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "MAX_BEHIND", 2)

    async def check(api: Api) -> None:
        url = f"ws://127.0.0.1:{api.server.port}/events"
        headers = {"Authorization": "Bearer secret"}
        async with websockets.connect(url, additional_headers=headers, proxy=None) as live:
            while not api.switchboard.subscribers:
                await asyncio.sleep(0)
            for _ in range(5):
                api.switchboard.subscribers[0]("c1", EVENTS[0])
            await live.wait_closed()
            assert live.close_code == 1013

    _with_api(check)


def test_live_events_need_the_token() -> None:
    async def check(api: Api) -> None:
        with pytest.raises(websockets.InvalidStatus):
            await websockets.connect(f"ws://127.0.0.1:{api.server.port}/events", proxy=None)

    _with_api(check)


def test_the_token_is_kept_and_private(tmp_path: Path) -> None:
    path = tmp_path / "run" / "control.token"
    token = control_token(path)
    assert len(token) >= 32
    assert control_token(path) == token
    assert path.stat().st_mode & 0o777 == 0o600
