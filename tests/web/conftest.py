"""A web process on a port of its own, an organisation in its database, and the vendor's SDK pointed at it."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import PureCloudPlatformClientV2 as sdk  # noqa: N813
import pytest
import uvicorn

from earwitness.domain.access import Subject
from earwitness.store import access, oauth
from earwitness.store.database import Database
from earwitness.store.tables import Division, Grant, OauthClient, Organization, User
from earwitness.store.tables import Site as StoredSite
from earwitness.web.app import create_app
from earwitness.web.arguments import WebArguments
from earwitness.web.kernel.passwords import hash_password
from earwitness.web.kernel.shell import Limits

NOW = 1_795_353_600_000_000
SECRET = "s3cret-of-the-tests"
PASSWORD = "correct horse battery"
SECRET_HASH = hash_password(SECRET)
PASSWORD_HASH = hash_password(PASSWORD)


def new_id() -> str:
    return str(uuid.uuid4())


@dataclass
class World:
    """An organisation with two divisions and who is in it; the agents hear their own calls."""

    database: Database
    organization_id: str = field(default_factory=new_id)
    home: str = field(default_factory=new_id)
    sales: str = field(default_factory=new_id)
    client: str = field(default_factory=new_id)
    users: dict[str, str] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    roles: dict[str, str] = field(default_factory=dict)

    def build(self) -> None:
        stamp = {"created_at": NOW, "modified_at": NOW}
        with self.database.transaction() as session:
            session.add(Organization(id=self.organization_id, name="Test Ltd", created_at=NOW))
            session.add(Division(id=self.home, name="Home", home=True, **stamp))
            session.add(Division(id=self.sales, name="Sales", **stamp))
            session.flush()
            for role in access.add_default_roles(session, NOW, new_id):
                assert role.default_role_id is not None
                self.roles[role.default_role_id] = role.id
            session.add(OauthClient(id=self.client, name="Tests", secret_hash=SECRET_HASH, **stamp))
            self._grant(session, "client", self.client, "administrator", "*")
            session.add(StoredSite(id=new_id(), name="Main", division_id=self.home, **stamp))
            for name, role_key, division in (
                ("admin", "administrator", "*"),
                ("supervisor", "supervisor", self.sales),
                ("agent", "agent", self.sales),
                ("other", "agent", self.sales),
                ("nobody", None, None),
            ):
                user_id = self.users[name] = new_id()
                email = f"{name}@example.com"
                where = self.home if name in {"admin", "nobody"} else self.sales
                session.add(
                    User(
                        id=user_id,
                        name=name.title(),
                        email=email,
                        password_hash=PASSWORD_HASH,
                        division_id=where,
                        **stamp,
                    )
                )
                session.flush()
                if role_key is not None and division is not None:
                    self._grant(session, "user", user_id, role_key, division)
                if role_key == "agent":
                    self._grant(session, "user", user_id, "ownCalls", self.sales)
                token = self.tokens[name] = f"token-of-{name}-{new_id()}"
                oauth.add_token(session, token, Subject("user", user_id), at=NOW, expires_at=1 << 60)
            token = self.tokens["client"] = f"token-of-client-{new_id()}"
            subject = Subject("client", self.client)
            oauth.add_token(session, token, subject, at=NOW, expires_at=1 << 60, client_id=self.client)

    def _grant(self, session: Any, kind: str, subject_id: str, role_key: str, division: str) -> None:
        session.add(
            Grant(
                id=new_id(),
                subject_type=kind,
                subject_id=subject_id,
                role_id=self.roles[role_key],
                division_id=division,
                granted_at=NOW,
            )
        )
        session.flush()


class FakeEdge:
    """The edge's control API as far as the web process uses it: an ordinary HTTP server with calls in a dict."""

    def __init__(self) -> None:
        self.conversations: dict[str, dict[str, Any]] = {}
        self.disconnected: list[str] = []
        self.agents: dict[str, dict[str, Any]] = {}
        self.queues: list[dict[str, Any]] = []
        self.strangers: set[str] = set()
        """Users that it hears of when it reads its configuration again."""
        self.told: list[tuple[str, str, dict[str, Any]]] = []
        """What it was told, in order: method, path, body."""
        self.refusal: tuple[int, dict[str, Any]] | None = None
        """Given in answer to whatever it is told next."""
        self.replies: dict[str, dict[str, Any]] = {}
        """What a command answers, by its name."""
        self.listeners: list[asyncio.Queue[str | None]] = []
        """Of whoever listens to events; None closes the connection."""

    @property
    def commands(self) -> list[dict[str, Any]]:
        """The commands that it was given, in order."""
        return [body for _, path, body in self.told if path.endswith("/commands")]

    async def _listen(self, receive: Any, send: Any) -> None:
        """``WS /events``: whatever is put into the listener's queue."""
        await receive()
        queue: asyncio.Queue[str | None] = asyncio.Queue()
        await send({"type": "websocket.accept"})
        self.loop = asyncio.get_running_loop()
        self.listeners.append(queue)
        gone = asyncio.ensure_future(receive())
        try:
            while True:
                due = asyncio.ensure_future(queue.get())
                await asyncio.wait({due, gone}, return_when=asyncio.FIRST_COMPLETED)
                if not due.done():
                    due.cancel()
                    return
                if (text := due.result()) is None:
                    await send({"type": "websocket.close", "code": 1013})
                    return
                await send({"type": "websocket.send", "text": text})
        finally:
            self.listeners.remove(queue)
            gone.cancel()

    def tell(self, text: str | None) -> None:
        """Sends a text to everybody who listens; None: closes their connections."""
        for queue in list(self.listeners):
            self.loop.call_soon_threadsafe(queue.put_nowait, text)

    def _agent(self, method: str, user_id: str, rest: list[str], body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        known = {"user_id": user_id, "on_queue": False, "status": "OFF_QUEUE", "since": NOW, "acw": None}
        agent = self.agents.setdefault(user_id, known)
        if method == "DELETE" and rest == ["acw"]:
            agent["acw"] = None
            return 204, {}
        if "on_queue" in body:
            agent |= {"on_queue": body["on_queue"], "status": "IDLE" if body["on_queue"] else "OFF_QUEUE"}
        if body.get("status") == "IDLE":
            agent["status"] = "IDLE"
        return 200, agent

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await self._listen(receive, send)
            return
        headers, content = dict(scope["headers"]), b""
        if scope["type"] == "http":
            more = True
            while more:
                message = await receive()
                content, more = content + message.get("body", b""), message.get("more_body", False)
        path = scope["path"].strip("/").split("/")
        status, document = 404, {}
        if headers.get(b"authorization") != b"Bearer control-token":
            status = 401
        elif path == ["health"]:
            status, document = 200, {"status": "ok"}
        elif path == ["conversations"]:
            status, document = 200, {"conversations": list(self.conversations.values())}
        elif len(path) >= 2 and path[0] == "conversations" and path[1] in self.conversations:
            status, document = 200, self.conversations[path[1]]
            if path[2:] == ["disconnect"]:
                self.disconnected.append(path[1])
                status = 202
            elif path[2:] == ["commands"]:
                status, document = 200, self.replies.get(json.loads(content)["do"], {})
        elif path == ["calls"]:
            status, document = 201, {"id": new_id()}
        elif path == ["agents"]:
            status, document = 200, {"agents": list(self.agents.values())}
        elif path == ["queues"]:
            status, document = 200, {"queues": self.queues}
        elif path == ["reload"]:
            self.strangers.clear()
            status, document = 200, {"version": 1}
        elif path[0] == "agents" and path[1] not in self.strangers:
            status, document = self._agent(scope["method"], path[1], path[2:], json.loads(content or b"{}"))
        if scope["method"] != "GET" and status != 401:
            self.told.append((scope["method"], "/" + "/".join(path), json.loads(content or b"{}")))
            if self.refusal is not None:
                (status, document), self.refusal = self.refusal, None
        body = b"" if status == 204 else json.dumps(document).encode()
        kind = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": status, "headers": kind})
        await send({"type": "http.response.body", "body": body})


class Running:
    """A uvicorn server in a thread."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        config = uvicorn.Config(app, log_config=None, lifespan="auto", timeout_keep_alive=60, ws="websockets-sansio")
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [self.socket]}, daemon=True)

    def __enter__(self) -> Running:
        self.thread.start()
        deadline = time.monotonic() + 10
        while not self.server.started:
            assert self.thread.is_alive()
            assert time.monotonic() < deadline
            time.sleep(0.005)
        return self

    def __exit__(self, *_error: object) -> None:
        self.server.should_exit = True
        self.thread.join(10)
        self.socket.close()


@dataclass
class Site:
    """Everything a test of the API needs."""

    url: str
    world: World
    edge: FakeEdge
    arguments: WebArguments
    app: Any
    clients: dict[str | None, httpx.Client] = field(default_factory=dict)
    closers: list[Callable[[], None]] = field(default_factory=list)

    def wait(self, condition: Callable[[], Any]) -> None:
        """Until a condition holds."""
        deadline = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def http(self, name: str | None = "admin") -> httpx.Client:
        if name in self.clients:
            return self.clients[name]
        headers = {} if name is None else {"Authorization": f"Bearer {self.world.tokens[name]}"}
        client = httpx.Client(base_url=self.url, headers=headers, timeout=20, trust_env=False, verify=False)
        self.closers.append(client.close)
        self.clients[name] = client
        return client

    def sdk(self, name: str | None = "client") -> sdk.ApiClient:
        sdk.configuration.host = self.url
        client = sdk.ApiClient()
        self.closers.append(lambda: client.http_client and client.http_client.rest_client.pool_manager.clear())
        if name is not None:
            client.access_token = self.world.tokens[name]
        return client


@contextmanager
def starting(folder: Path) -> Iterator[Callable[..., Site]]:
    """Starts sites whose files are in ``folder``; ends them all."""
    running: list[Running] = []
    sites: list[Site] = []

    def start(database_url: str, **changes: Any) -> Site:
        world = World(Database(database_url))
        world.build()
        edge = FakeEdge()
        control = Running(edge)
        running.append(control.__enter__())
        run_dir = folder / "run"
        run_dir.mkdir(exist_ok=True)
        (run_dir / "edge.json").write_text(json.dumps({"control_url": control.url}))
        (run_dir / "control.token").write_text("control-token")
        values = {
            "database_url": database_url,
            "vault_url": str(folder / "vault"),
            "keys_dir": folder / "keys",
            "run_dir": run_dir,
            "spool_dir": folder / "spool",
            "prompts_dir": folder / "prompts",
            "wait_poll_s": 0.02,
        }
        arguments = WebArguments(**{**values, **changes})
        server = Running(create_app(arguments))
        running.append(server.__enter__())
        sites.append(Site(server.url, world, edge, arguments, server.app))
        return sites[-1]

    try:
        yield start
    finally:
        for site in sites:
            for close in (*site.closers, site.world.database.dispose):
                close()
        for server in reversed(running):
            server.__exit__()


@pytest.fixture
def start_site(tmp_path: Path) -> Iterator[Callable[..., Site]]:
    with starting(tmp_path) as start:
        yield start


@pytest.fixture(scope="module")
def lasting_site(migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One site for all tests of a module, on SQLite."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "web.db").write_bytes(migrated_sqlite.read_bytes())
    with starting(folder) as start:
        yield start(
            f"sqlite:///{folder / 'web.db'}", limits=Limits(requests_per_window=1 << 30, refusals_per_window=1 << 30)
        )


@pytest.fixture
def site(database_url: str, start_site: Callable[..., Site]) -> Site:
    """Runs its test on SQLite and on PostgreSQL."""
    return start_site(database_url)


@pytest.fixture
def sqlite_site(migrated_sqlite: Path, tmp_path: Path, start_site: Callable[..., Site]) -> Site:
    """Runs its test once."""
    target = tmp_path / "web.db"
    target.write_bytes(migrated_sqlite.read_bytes())
    return start_site(f"sqlite:///{target}")


@pytest.fixture(scope="session")
def recorded() -> Any:
    """The module ``recorded.py`` beside this file: calls to put into database and vault."""
    spec = importlib.util.spec_from_file_location("web_recorded", Path(__file__).with_name("recorded.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
