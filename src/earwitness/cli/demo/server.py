"""The Earwitness that the demo shows: an installation of its own, started like any other and used over HTTP."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx

from earwitness import app
from earwitness.settings import Settings, load, variables
from earwitness.supervisor import before_exec

START_S = 60.0


class DemoError(RuntimeError):
    """The demo cannot go on; the message says why."""


def free_port(wanted: int) -> int:
    """``wanted`` if nobody listens there, else 0: any."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            return 0
    return wanted


class Server:
    """An installation in ``data``, running as a child process. ``start``, use, ``stop``."""

    def __init__(self, data: Path, web_port: int) -> None:
        self.settings: Settings = load(
            data=data, sip_host="127.0.0.1", sip_port=0, web_port=web_port or free_port(8080), log_level="warning"
        )
        self.log = data / "demo.log"
        self.url = ""
        self.registrar = ("127.0.0.1", 0)
        self._process: subprocess.Popen[bytes] | None = None
        self._secrets: dict[str, Any] = {}
        self._http: httpx.Client | None = None

    def start(self) -> None:
        """Initialises and serves; returns when calls can be made.

        :raises DemoError: it does not come up.
        """
        try:
            self._secrets = app.initialise(self.settings, "Demo", "admin@demo.example")
        except app.AppError as error:
            raise DemoError(str(error)) from error
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "earwitness.cli.main", "serve"],
                env={**os.environ, **variables(self.settings)},
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                preexec_fn=before_exec(os.getpid()),
            )
        deadline = time.monotonic() + START_S
        while not (edge := app.running(self.settings.run, "edge")) or not (
            web := app.running(self.settings.run, "web")
        ):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise DemoError(f"Earwitness did not start; its log:\n{self.log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.05)
        self.url = web["url"]
        self.registrar = ("127.0.0.1", edge["sip_port"])
        self._http = httpx.Client(base_url=self.url, timeout=30)
        client = self._secrets["client"]
        reply = self._http.post(
            "/oauth/token", data={"grant_type": "client_credentials"}, auth=(client["id"], client["secret"])
        )
        self._http.headers["Authorization"] = f"Bearer {self._checked(reply)['access_token']}"

    def stop(self) -> None:
        """Ends it the way Ctrl-C does."""
        if self._http is not None:
            self._http.close()
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(30)

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def sign_in(self) -> dict[str, Any]:
        """What ``init`` printed for the administrator and the client."""
        return {**self._secrets["administrator"], "client": self._secrets["client"]}

    def get(self, path: str, **parameters: Any) -> Any:
        """GET below ``/api/v2``."""
        return self._request("GET", path, params=parameters)

    def post(self, path: str, body: Any) -> Any:
        """POST below ``/api/v2``."""
        return self._request("POST", path, json=body)

    def put(self, path: str, body: Any = None) -> Any:
        """PUT below ``/api/v2``."""
        return self._request("PUT", path, json=body)

    def fetch(self, url: str) -> bytes:
        """Whatever is behind an address that the API gave, without credentials, as a browser would."""
        reply = httpx.get(url, timeout=30)
        if reply.status_code != 200:
            raise DemoError(f"GET {url.split('?')[0]}: {reply.status_code}")
        return reply.content

    def _request(self, method: str, path: str, **options: Any) -> Any:
        if self._http is None:
            raise DemoError("not started")
        return self._checked(self._http.request(method, f"/api/v2{path}", **options))

    @staticmethod
    def _checked(reply: httpx.Response) -> Any:
        if reply.status_code >= 300:
            raise DemoError(f"{reply.request.method} {reply.request.url.path}: {reply.status_code} {reply.text[:500]}")
        try:
            return reply.json() if reply.content else None
        except json.JSONDecodeError as error:
            raise DemoError(f"{reply.request.url.path} gave no JSON") from error
