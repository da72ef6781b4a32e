"""The API of the demo's Earwitness, as one client or user sees it."""

from __future__ import annotations

import json
import time
from typing import Any

import httpx

PUBLISH_S = 20.0


class DemoError(RuntimeError):
    """The demo cannot go on; the message says why."""


class Api:
    """Signed in; ``close`` it. Paths are below ``/api/v2``."""

    def __init__(self, url: str, client: dict[str, str], **form: str) -> None:
        """:param form: the token request: ``grant_type`` and what belongs to it.
        :raises DemoError: refused.
        """
        self._http = httpx.Client(base_url=url, timeout=30)
        reply = self._http.post("/oauth/token", data=form, auth=(client["id"], client["secret"]))
        self._http.headers["Authorization"] = f"Bearer {_checked(reply)['access_token']}"

    def close(self) -> None:
        """Drops its connections."""
        self._http.close()

    def get(self, path: str, **parameters: Any) -> Any:
        """GET."""
        return self._request("GET", path, params=parameters)

    def post(self, path: str, body: Any) -> Any:
        """POST."""
        return self._request("POST", path, json=body)

    def put(self, path: str, body: Any = None) -> Any:
        """PUT."""
        return self._request("PUT", path, json=body)

    def patch(self, path: str, body: Any) -> Any:
        """PATCH."""
        return self._request("PATCH", path, json=body)

    def publish(self, name: str, source: bytes) -> str:
        """Uploads a flow and publishes it; gives its id.

        :raises DemoError: it has mistakes, or takes too long.
        """
        job = self.post("/flows/jobs", {"fileName": name})
        _checked(httpx.put(job["presignedUrl"], content=source, headers=job.get("headers") or {}, timeout=30))
        deadline = time.monotonic() + PUBLISH_S
        while time.monotonic() < deadline:
            state = self.get(f"/flows/jobs/{job['id']}", expand="messages")
            if state["status"] == "Success":
                return str(state["flow"]["id"])
            if state["status"] == "Failure":
                raise DemoError(f"{name}: {state.get('messages')}")
            time.sleep(0.05)
        raise DemoError(f"{name} is still not published after {PUBLISH_S:.0f} s")

    def _request(self, method: str, path: str, **options: Any) -> Any:
        return _checked(self._http.request(method, f"/api/v2{path}", **options))


def fetch(url: str) -> bytes:
    """Whatever is behind an address that the API gave, without credentials, as a browser would.

    :raises DemoError: it is refused.
    """
    reply = httpx.get(url, timeout=30)
    if reply.status_code != 200:
        raise DemoError(f"GET {url.split('?')[0]}: {reply.status_code}")
    return reply.content


def _checked(reply: httpx.Response) -> Any:
    if reply.status_code >= 300:
        raise DemoError(f"{reply.request.method} {reply.request.url.path}: {reply.status_code} {reply.text[:500]}")
    try:
        return reply.json() if reply.content else None
    except json.JSONDecodeError as error:
        raise DemoError(f"{reply.request.url.path} gave no JSON") from error
