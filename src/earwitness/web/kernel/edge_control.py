"""The control API of the edge, as the web process uses it: calls in progress, what to do with them, and agents.

What the edge refuses (409, 400) is passed on with its code and message; what it does not know is None.
"""

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

    def command(self, conversation_id: str, do: str, **values: Any) -> dict[str, Any] | None:
        """Has something done in a conversation; gives the edge's answer, None: no such conversation in progress.

        :param do: what, as the control API names it; ``values`` are its arguments, those that are None left out.
        :raises ApiError: 409 or 400 with the edge's code, it cannot be done now, or so; 503, no edge answers.
        """
        given = {key: value for key, value in values.items() if value is not None}
        response = self._call("POST", f"/conversations/{_segment(conversation_id)}/commands", {"do": do, **given})
        return None if response.status_code == 404 else _object(response)

    def call(self, user_id: str, to: dict[str, str], on_behalf_of_queue: str | None = None) -> str:
        """Rings the user's phone, then dials ``to`` (``address``, ``user`` or ``queue``); the new conversation's id.

        :raises ApiError: as ``command``; 409 where the user has no phone that can be rung.
        """
        body: dict[str, Any] = {"user": user_id, "to": to}
        if on_behalf_of_queue is not None:
            body["on_behalf_of_queue"] = on_behalf_of_queue
        response = self._call("POST", "/calls", body)
        made = _object(response).get("id")
        if response.status_code == 404 or not isinstance(made, str):
            raise _refusal(response, 409) if response.status_code == 404 else unavailable("The edge gave no call.")
        return made

    def agents(self) -> list[dict[str, Any]]:
        """What agents do at this moment.

        :raises ApiError: 503, no edge answers.
        """
        found = _object(self._call("GET", "/agents")).get("agents")
        return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []

    def set_agent(self, user_id: str, *, on_queue: bool | None = None, status: str | None = None) -> None:
        """Says that an agent takes calls of its queues, or is idle again.

        An edge that has not heard of the user is made to read its configuration first.

        :raises ApiError: as ``command``; 409, the edge does not know the user.
        """
        given = {"on_queue": on_queue, "status": status}
        body = {key: value for key, value in given.items() if value is not None}
        path = f"/agents/{_segment(user_id)}"
        if self._call("PUT", path, body).status_code == 404:
            self._call("POST", "/reload")
            response = self._call("PUT", path, body)
            if response.status_code == 404:
                raise _refusal(response, 409)

    def end_acw(self, user_id: str, participant_id: str | None = None) -> None:
        """The agent's after-call work is done (that of a participant, of several): it may get the next call.

        :raises ApiError: 503, no edge answers.
        """
        which = f"?participant={_segment(participant_id)}" if participant_id is not None else ""
        self._call("DELETE", f"/agents/{_segment(user_id)}/acw{which}")

    def queues(self) -> list[dict[str, Any]]:
        """How many wait in each queue, and who could answer.

        :raises ApiError: 503, no edge answers.
        """
        found = _object(self._call("GET", "/queues")).get("queues")
        return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []

    def health(self) -> dict[str, Any] | None:
        """What the edge says of itself, or None when it does not answer."""
        try:
            document = self._call("GET", "/health").json()
        except (ApiError, ValueError):
            return None
        return document if isinstance(document, dict) else None

    def whereabouts(self) -> tuple[str, str]:
        """The address of the control API and its token, as they are now.

        :raises OSError, ValueError, KeyError: no edge has told where it is.
        """
        base = json.loads((self._run_dir / "edge.json").read_text())["control_url"]
        return str(base), (self._run_dir / "control.token").read_text().strip()

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> httpx.Response:
        try:
            base, token = self.whereabouts()
            response = self._client.request(
                method, base + path, json=body, headers={"Authorization": f"Bearer {token}"}
            )
        except (OSError, ValueError, KeyError, httpx.HTTPError) as error:
            log.warning("web.edge_away", error=repr(error))
            raise unavailable("The edge, which runs the calls, does not answer.") from error
        if response.status_code in (400, 409):
            raise _refusal(response, response.status_code)
        if response.status_code >= 400 and response.status_code != 404:
            log.error("web.edge_refused", status=response.status_code, path=path)
            raise unavailable("The edge, which runs the calls, refused the request.")
        return response


def _object(response: httpx.Response) -> dict[str, Any]:
    try:
        document = response.json() if response.content.strip() else {}
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _refusal(response: httpx.Response, status: int) -> ApiError:
    """What the edge refused, as the client gets to read it."""
    document = _object(response)
    message = str(document.get("message") or "The edge, which runs the calls, refused the request.")
    return ApiError(status, message, str(document.get("code") or ""))


def _segment(conversation_id: str) -> str:
    safe = "".join(char for char in conversation_id if char.isalnum() or char in "-_")
    return safe if safe == conversation_id and safe else "unknown"
