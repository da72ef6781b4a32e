"""The control API of the edge, as the web process uses it: calls in progress, and hanging up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import structlog

from earwitness.web.kernel.errors import ApiError, unavailable

log = structlog.get_logger()


class EdgeControl:
    """Client of the edge on this machine. Where it listens is read from its run folder each time, it may restart."""

    def __init__(self, run_dir: Path, timeout_s: float = 3.0) -> None:
        self._run_dir = run_dir
        self._client = httpx.Client(timeout=timeout_s, trust_env=False)

    def close(self) -> None:
        """Closes idle connections."""
        self._client.close()

    def conversations(self) -> list[dict[str, Any]]:
        """Every conversation in progress, as the edge gives them.

        :raises ApiError: 503, no edge answers.
        """
        document = self._call("GET", "/conversations").json()
        found = document.get("conversations", document.get("entities")) if isinstance(document, dict) else document
        return [item for item in found or [] if isinstance(item, dict)]

    def conversation(self, conversation_id: str) -> dict[str, Any] | None:
        """One conversation in progress, or None.

        :raises ApiError: 503, no edge answers.
        """
        response = self._call("GET", f"/conversations/{_segment(conversation_id)}")
        if response.status_code == 404:
            return None
        document = response.json()
        return document if isinstance(document, dict) else None

    def disconnect(self, conversation_id: str, by: str) -> bool:
        """Hangs up every leg on behalf of ``by``; False: no such conversation in progress.

        :raises ApiError: 503, no edge answers.
        """
        return (
            self._call("POST", f"/conversations/{_segment(conversation_id)}/disconnect", {"by": by}).status_code != 404
        )

    def health(self) -> dict[str, Any] | None:
        """What the edge says of itself, or None when it does not answer."""
        try:
            document = self._call("GET", "/health").json()
        except (ApiError, ValueError):
            return None
        return document if isinstance(document, dict) else None

    def _call(self, method: str, path: str, body: dict[str, str] | None = None) -> httpx.Response:
        try:
            base = json.loads((self._run_dir / "edge.json").read_text())["control_url"]
            token = (self._run_dir / "control.token").read_text().strip()
            response = self._client.request(
                method, base + path, json=body, headers={"Authorization": f"Bearer {token}"}
            )
        except (OSError, ValueError, KeyError, httpx.HTTPError) as error:
            log.warning("web.edge_away", error=repr(error))
            raise unavailable("The edge, which runs the calls, does not answer.") from error
        if response.status_code >= 400 and response.status_code != 404:
            log.error("web.edge_refused", status=response.status_code, path=path)
            raise unavailable("The edge, which runs the calls, refused the request.")
        return response


def _segment(conversation_id: str) -> str:
    safe = "".join(char for char in conversation_id if char.isalnum() or char in "-_")
    return safe if safe == conversation_id and safe else "unknown"
