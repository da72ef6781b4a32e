"""Requests outside a dialog: OPTIONS, REGISTER, MESSAGE (RFC 3261 §8.1)."""

from __future__ import annotations

from collections.abc import Callable

from earwitness.edge.sip.events import Authenticate, Failure, Flow, Target
from earwitness.edge.sip.exchange import Exchange
from earwitness.edge.sip.headers import header_key
from earwitness.edge.sip.message import Request, Response
from earwitness.edge.sip.transaction import MAGIC, Core
from earwitness.edge.sip.transaction_client import ClientTransaction
from earwitness.edge.sip.uri import format_host


def send_request(
    core: Core,
    method: str,
    target: Target,
    body: bytes,
    content_type: str,
    on_response: Callable[[Response | None], None],
    authenticate: Authenticate | None,
) -> None:
    """Send it, answering challenges. ``on_response`` gets the final response, or None when there was none.

    :raises ValueError: a header contains a line break.
    """
    call_id = target.call_id or f"{core.token()}{core.token()}"
    tag = target.from_tag or core.token()
    flow = target.flow
    number = (target.cseq or 1) - 1
    host = f"{format_host(flow.local[0])}:{flow.local[1]}"

    def make(credentials: list[tuple[str, str]]) -> tuple[Request, Flow]:
        nonlocal number
        number += 1
        via = f"SIP/2.0/{flow.transport.upper()} {host};branch={MAGIC}{core.token()};rport"
        pairs = [
            ("Via", via),
            ("Max-Forwards", str(target.max_forwards)),
            ("From", f"{target.from_};tag={tag}"),
            ("To", target.to),
            ("Call-ID", call_id),
            ("CSeq", f"{number} {method}"),
            ("User-Agent", core.config.user_agent),
            *target.headers,
            *credentials,
        ]
        if body:
            pairs.append(("Content-Type", content_type))
        return Request(method, target.uri, [(header_key(name), name, value) for name, value in pairs], body), flow

    def answered(_: ClientTransaction, response: Response) -> None:
        if response.status >= 200:
            core.guard(on_response, response)

    def failed(_: Failure) -> None:
        core.guard(on_response, None)

    Exchange(core, make, authenticate, answered, failed, may_switch=not target.pin).start()
