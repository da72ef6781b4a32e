"""The Earwitness that the demo shows: an installation of its own, started like any other and used over HTTP."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from earwitness import app
from earwitness.cli.demo.api import Api, DemoError
from earwitness.settings import Settings, load, variables
from earwitness.supervisor import before_exec

START_S = 60.0


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
        self._apis: list[Api] = []

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
        self._api(grant_type="client_credentials")

    @property
    def api(self) -> Api:
        """The API, as the client that ``init`` made."""
        return self._apis[0]

    def api_of(self, email: str, password: str) -> Api:
        """The API, as one of the people uses it."""
        return self._api(grant_type="password", username=email, password=password)

    def _api(self, **form: str) -> Api:
        self._apis.append(Api(self.url, self._secrets["client"], **form))
        return self._apis[-1]

    def stop(self) -> None:
        """Ends it the way Ctrl-C does."""
        for api in self._apis:
            api.close()
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
