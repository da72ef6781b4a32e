"""Keys that phones tell by INFO, as old ones do: passed on, or kept while they may become the record code.

What is kept has been answered with 200 already. It is passed on late when it is clear that it is no code: another key
came that does not belong to it, or none for ``PATIENCE_S``. Keys in RTP are the media engine's business.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from earwitness.edge.calls.leg import Leg
from earwitness.edge.calls.services import Timer
from earwitness.edge.sip.message import Request, Response
from earwitness.edge.sip.transaction_server import ServerTransaction

if TYPE_CHECKING:
    from earwitness.edge.calls.conversation import Conversation

PATIENCE_S = 2.0
"""As long as the media engine waits for the rest of a code."""
KEYS = tuple("0123456789*#ABCD")


@dataclass(slots=True)
class _Row:
    """Keys of one leg that may become a code, and the requests that told them."""

    keys: str = ""
    requests: list[Request] = field(default_factory=list)
    timer: Timer | None = None


class InfoKeys:
    """The INFO requests of all legs."""

    def __init__(self) -> None:
        self._rows: dict[str, _Row] = {}
        """By leg; each lives until its timer."""

    def __call__(self, conversation: Conversation, leg: Leg, transaction: ServerTransaction, request: Request) -> None:
        """Answers an INFO."""
        keys = keys_of(request)
        code = conversation.directory.snapshot.record_code if leg.station is not None and leg.answered else ""
        if len(keys) != 1 or not code:
            self._let_go(conversation, leg)
            _pass_on(conversation, leg, request, keys, transaction.respond)
            return
        row = self._rows.get(leg.id)
        if row is not None and not code.startswith(row.keys + keys):
            self._let_go(conversation, leg)
            row = None
        if not code.startswith(keys if row is None else row.keys + keys):
            _pass_on(conversation, leg, request, keys, transaction.respond)
            return
        transaction.respond(200)
        if row is None:
            row = self._rows[leg.id] = _Row()
        row.keys += keys
        row.requests.append(request)
        if row.timer is not None:
            row.timer.cancel()
        if row.keys == code:
            del self._rows[leg.id]
            conversation.reactions.code(leg)
            return
        row.timer = conversation.services.call_later(PATIENCE_S, lambda: self._let_go(conversation, leg))

    def _let_go(self, conversation: Conversation, leg: Leg) -> None:
        row = self._rows.pop(leg.id, None)
        if row is None:
            return
        if row.timer is not None:
            row.timer.cancel()
        for request in row.requests if not leg.ended else ():
            _pass_on(conversation, leg, request, keys_of(request), lambda _status: None)


def _pass_on(
    conversation: Conversation, leg: Leg, request: Request, keys: str, respond: Callable[[int], object]
) -> None:
    other = conversation.partner(leg)
    if other is None or other.session is None:
        respond(200 if keys or conversation.activity is not None else 480)
    else:

        def answered(response: Response | None) -> None:
            respond(response.status if response is not None else 408)

        headers = [(name, value) for key, name, value in request.fields if key == "info-package"]
        content_type = request.get("content-type") or ""
        if not other.session.request_in_dialog("INFO", headers, request.body, content_type, answered):
            respond(480)
            return
    for key in keys:
        conversation.reactions.digit(leg, key)


def keys_of(request: Request) -> str:
    """The keys that an INFO tells; none when it tells something else."""
    if request.content_type != "application/dtmf-relay":
        return ""
    found = ""
    for line in request.body.decode("ascii", "replace").splitlines():
        name, _, value = line.partition("=")
        if name.strip().lower() == "signal" and value.strip()[:1] in KEYS:
            found += value.strip()[:1]
    return found
