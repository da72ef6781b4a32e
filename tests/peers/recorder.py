"""A running Earwitness, set up and asked as a customer does it: the command line, signals, the vendor's SDK, HTTP."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import PureCloudPlatformClientV2 as sdk  # noqa: N813
import sqlalchemy

from peers.phone import Account
from peers.ports import free_port
from peers.process import Process
from peers.tones import Audio, decode
from peers.waiting import eventually

ROOT = Path(__file__).parents[2]
METABASE = "external_sip_pcv_byoc_carrier.json"
COMMAND = (sys.executable, "-m", "earwitness.cli.main")
_callers = itertools.count(1)


def new_caller() -> str:
    """A number that nobody called from before: conversations are told apart by it."""
    return f"+4930{next(_callers):06d}"


class Recorder:
    """One instance in a folder of its own, on free ports of 127.0.0.1."""

    def __init__(
        self,
        data: Path,
        *,
        settings: Mapping[str, str] | None = None,
        before_start: Callable[[Path], None] | None = None,
    ) -> None:
        self.data = data
        self.log = data.parent / f"{data.name}.log"
        first = free_port(run=2)
        range_start = 16384 + (first % 400) * 40
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("EARWITNESS_")},
            "EARWITNESS_SIP_HOST": "127.0.0.1",
            "EARWITNESS_SIP_PORT": "0",
            "EARWITNESS_WEB_PORT": "0",
            "EARWITNESS_RTP_PORT_MIN": str(range_start),
            "EARWITNESS_RTP_PORT_MAX": "32767",
            **(settings or {}),
        }
        self.secrets = self._initialise()
        if before_start is not None:
            before_start(data)
        self.process: Process | None = None
        self._client: sdk.ApiClient | None = None
        self._http: httpx.Client | None = None

    def _initialise(self) -> dict[str, Any]:
        done = subprocess.run(
            [*self.command("init"), "--organization", "Test Ltd"],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        made: dict[str, Any] = json.loads(done.stdout)
        return made

    def command(self, name: str) -> list[str]:
        """A command of Earwitness for this instance."""
        return [*COMMAND, name, "--data", str(self.data)]

    # -- processes --------------------------------------------------------------------------------------------------

    def start(self, within_s: float = 90.0) -> Recorder:
        """Starts ``earwitness serve`` and waits until the edge and the API answer."""
        with self.log.open("a") as log:
            log.write(f"--- start at {time.time():.3f}\n")
        if self.process is not None:
            self.process.close()
        self.process = Process(self.command("serve"), self.log, environment=self.environment)
        self.ready(within_s)
        return self

    def ready(self, within_s: float = 90.0) -> None:
        """Waits until edge and API answer."""

        def answers() -> bool:
            assert self.process is not None
            assert self.process.running, f"earwitness serve ended:\n{self.printed()}"
            if not (self._told("edge") and self._told("web")):
                return False
            try:
                return httpx.get(f"{self.url}/api/v2/earwitness/health", timeout=2, trust_env=False).status_code == 200
            except httpx.HTTPError:
                return False

        eventually(answers, "Earwitness to be ready", within_s, self.printed)

    def _told(self, name: str) -> dict[str, Any]:
        with contextlib.suppress(OSError, ValueError):
            found: dict[str, Any] = json.loads((self.data / "run" / f"{name}.json").read_text())
            return found
        return {}

    @property
    def sip(self) -> str:
        """``host:port`` of SIP."""
        told = self._told("edge")
        return f"127.0.0.1:{told['sip_port']}"

    @property
    def sip_address(self) -> tuple[str, int]:
        host, port = self.sip.split(":")
        return host, int(port)

    @property
    def url(self) -> str:
        return str(self._told("web")["url"])

    def pids(self) -> dict[str, int]:
        """Process name (``edge``, ``media``, ``media2``, ``worker``, ``web``) -> pid, of what lives now."""
        assert self.process is not None
        found: dict[str, int] = {}
        with contextlib.suppress(OSError):
            children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
            for pid in children:
                with contextlib.suppress(OSError):
                    words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                    name = next((w.decode() for w in words if w in (b"edge", b"media", b"worker", b"web")), "")
                    if not name:  # not yet what it will be: between fork and exec
                        continue
                    count = sum(1 for known in found if known.rstrip("0123456789") == name)
                    found[name if not count else f"{name}{count + 1}"] = int(pid)
        return found

    def kill(self, name: str) -> int:
        """``kill -9`` of one child; gives the pid that died."""
        pid = self.pids()[name]
        os.kill(pid, signal.SIGKILL)
        return pid

    def replaced(self, name: str, old: int, within_s: float = 10.0) -> None:
        """Waits until another process does that work."""
        eventually(lambda: self.pids().get(name, old) != old, f"a new {name}", within_s)

    def rss(self, *names: str) -> int:
        """Bytes of memory that these processes hold (resident)."""
        total = 0
        for name, pid in self.pids().items():
            if name.rstrip("0123456789") in names:
                total += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")
        return total

    def cpu(self, *names: str) -> float:
        """CPU seconds (user + system) that these processes have used."""
        total = 0.0
        for name, pid in self.pids().items():
            if name.rstrip("0123456789") in names:
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        return total

    def printed(self) -> str:
        return self.log.read_text(errors="replace")[-20_000:] if self.log.exists() else ""

    def story(self) -> str:
        """What happened, for a human."""
        return self.printed()

    def stop(self, sign: int = signal.SIGINT, within_s: float = 30.0) -> int:
        """Tells it to end (Ctrl-C) and waits; gives the exit status."""
        assert self.process is not None
        self.process.process.send_signal(sign)
        return self.process.wait(within_s)

    def close(self) -> None:
        if self._client is not None and self._client.http_client is not None:
            self._client.http_client.rest_client.pool_manager.clear()
        if self._http is not None:
            self._http.close()
        self._client = self._http = None
        if self.process is not None:
            for pid in self.pids().values() if not self.process.running else ():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.process.close(20)

    # -- the API ----------------------------------------------------------------------------------------------------

    @property
    def sdk(self) -> sdk.ApiClient:
        """The vendor's client, signed in with the client credentials that ``init`` printed."""
        if self._client is None or self._client.host != self.url:
            sdk.configuration.host = self.url
            client = sdk.ApiClient()
            secrets = self.secrets["client"]
            self._client = client.get_client_credentials_token(secrets["id"], secrets["secret"])
        return self._client

    @property
    def http(self) -> httpx.Client:
        """The API without the SDK, for what the vendor does not have."""
        if self._http is None or str(self._http.base_url).rstrip("/") != self.url:
            headers = {"Authorization": f"Bearer {self.sdk.access_token}"}
            self._http = httpx.Client(base_url=self.url, headers=headers, timeout=30, trust_env=False)
        return self._http

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        reply = self.http.post(path, json=body)
        assert reply.status_code < 300, f"{path}: {reply.status_code} {reply.text}"
        document: dict[str, Any] = reply.json()
        return document

    def get(self, path: str) -> Any:
        reply = self.http.get(path)
        assert reply.status_code < 300, f"{path}: {reply.status_code} {reply.text}"
        return reply.json()

    # -- set-up -----------------------------------------------------------------------------------------------------

    def trunk(self, name: str, hosts: tuple[str, ...], **properties: Any) -> Any:
        """Trunk base settings, and with them a trunk, for peers at ``hosts``; records on two channels unless told."""
        edges = sdk.TelephonyProvidersEdgeApi(self.sdk)
        template = edges.get_telephony_providers_edges_trunkbasesettings_template(METABASE)
        base = sdk.TrunkBase()
        base.name, base.trunk_type, base.trunk_metabase = name, "EXTERNAL", template.trunk_metabase
        values = {
            "trunk_recording_enabled": True,
            "trunk_recording_dualChannel": True,
            "trunk_access_acl_allowList": [f"{host}/32" for host in hosts],
            **properties,
        }
        base.properties = {**template.properties, **{k: {"value": {"instance": v}} for k, v in values.items()}}
        return edges.post_telephony_providers_edges_trunkbasesettings(base)

    def change_trunk(self, base: Any, **properties: Any) -> Any:
        """Changes properties of a trunk base, the way SDK users do: get, modify, put."""
        edges = sdk.TelephonyProvidersEdgeApi(self.sdk)
        fresh = edges.get_telephony_providers_edges_trunkbasesetting(base.id)
        fresh.properties.update({k: {"value": {"instance": v}} for k, v in properties.items()})
        return edges.put_telephony_providers_edges_trunkbasesetting(base.id, fresh)

    def user(self, name: str) -> Any:
        body = sdk.CreateUser()
        body.name, body.email, body.password = name, f"{name}@example.com", "correct horse battery staple"
        return sdk.UsersApi(self.sdk).post_users(body)

    def account(self, user: Any) -> Account:
        """A phone for a user: phone, station, association, credentials."""
        name = f"{user.name} phone"
        body = {
            "name": name,
            "site": {"id": self.secrets["site"]["id"]},
            "lines": [{"name": name}],
            "state": "active",
        }
        phone = self.post("/api/v2/telephony/providers/edges/phones", body)
        del phone
        stations = sdk.StationsApi(self.sdk).get_stations(name=name).entities
        assert stations, f"no station {name}"
        station = stations[0]
        sdk.UsersApi(self.sdk).put_user_station_associatedstation_station_id(user.id, station.id)
        made = self.post(f"/api/v2/earwitness/stations/{station.id}/credentials", {})
        return Account(made["username"], made["password"], self.sip)

    def route(self, name: str, numbers: list[str], user: Any) -> dict[str, Any]:
        """A dialled number leads to a user."""
        body = {"name": name, "dnis": numbers, "target": {"type": "user", "id": user.id}}
        return self.post("/api/v2/earwitness/callroutes", body)

    def in_use(self, mark: str) -> None:
        """Waits until the edge works by a change: until its copy of the configuration has the id or number in it."""
        copy = self.data / "edge" / "snapshot.json"
        eventually(lambda: copy.exists() and mark in copy.read_text(), f"the edge to know {mark}", 5, self.printed)

    # -- calls and recordings ---------------------------------------------------------------------------------------

    def spooled(self) -> Iterator[tuple[str, list[dict[str, Any]]]]:
        """Conversations in the spool, with their events so far."""
        for file in sorted((self.data / "spool").glob("*/events.jsonl")):
            with contextlib.suppress(OSError, ValueError):
                yield file.parent.name, [json.loads(line) for line in file.read_text().splitlines() if line]

    def conversation(self, ani: str, within_s: float = 10.0) -> str:
        """Id of the conversation that was called from ``ani`` (or where a participant has it), live or ended."""

        def found() -> str | None:
            for conversation, events in self.spooled():
                if any(ani in json.dumps(event["data"]) for event in events[:6]):
                    return conversation
            return self._ended(ani)

        return eventually(found, f"a conversation of {ani}", within_s)

    def _ended(self, ani: str) -> str | None:
        """The API lists no conversations of others by number, so the row is looked up in the database."""
        url = self.environment.get("EARWITNESS_DATABASE_URL") or f"sqlite:///{self.data / 'earwitness.db'}"
        engine = sqlalchemy.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
        statement = sqlalchemy.text("SELECT id FROM conversations WHERE ani LIKE :number OR dnis LIKE :number")
        with engine.connect() as connection:
            row = connection.execute(statement, {"number": f"%{ani}%"}).first()
        engine.dispose()
        return str(row[0]) if row else None

    def live(self) -> list[str]:
        """Conversations in progress."""
        return [name for name, events in self.spooled() if events and events[-1]["type"] != "conversation.ended"]

    def events(self, conversation: str) -> list[dict[str, Any]]:
        """Events of a conversation that is still in the spool."""
        return dict(self.spooled()).get(conversation, [])

    def recordings(
        self, conversation: str, *, within_s: float = 15.0, format_id: str = "WAV", count: int = 1
    ) -> list[Any]:
        """Recordings of an ended conversation through the SDK, once there are ``count`` with media."""
        api = sdk.RecordingApi(self.sdk)

        def ready() -> list[Any] | None:
            found = api.get_conversation_recordings(conversation, max_wait_ms=2000, format_id=format_id) or []
            whole = [item for item in found if item.media_uris]
            return found if len(whole) >= count else None

        return eventually(ready, f"{count} recording(s) of {conversation}", within_s, self.printed)

    def never_recorded(self, conversation: str) -> dict[str, Any]:
        """Waits until the conversation is finalised, checks that it has no recording, and gives the reasons."""

        def finalised() -> bool:
            return conversation not in dict(self.spooled())

        eventually(finalised, f"{conversation} to be finalised", 15, self.printed)
        found = sdk.RecordingApi(self.sdk).get_conversation_recordings(conversation, max_wait_ms=1) or []
        assert found == [], found
        why: dict[str, Any] = self.get(f"/api/v2/earwitness/conversations/{conversation}/why")
        return why

    def media(self, recording: Any, key: str = "") -> bytes:
        """The file of one channel key, fetched as a browser fetches it: without a token.

        ``key`` empty: both channels in one file, however the instance names it.
        """
        uris = recording.media_uris
        if not key:
            key = "S" if "S" in uris else "0"
        reply = httpx.get(uris[key].media_uri, timeout=30, trust_env=False)
        assert reply.status_code == 200, f"{reply.status_code} {reply.text[:300]}"
        return reply.content

    def audio(self, recording: Any, key: str = "") -> Audio:
        return decode(self.media(recording, key))
