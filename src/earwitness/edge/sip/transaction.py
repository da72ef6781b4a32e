"""What client and server transactions share: how they are matched, and what they need of the endpoint (RFC 3261 §17,
RFC 6026).

A transaction is matched by a key made of text that the peer repeats: the branch where it has the magic cookie, and for
RFC 2543 peers the headers that such a peer repeats (§17.2.3).
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from earwitness.edge.sip.events import EndpointConfig, Flow
from earwitness.edge.sip.message import Request
from earwitness.edge.sip.timers import Timer

if TYPE_CHECKING:
    from earwitness.edge.sip.transaction_client import ClientTransaction
    from earwitness.edge.sip.transaction_server import ServerTransaction

MAGIC = "z9hG4bK"


class State(enum.Enum):
    """States of RFC 3261 figures 5 to 8, with Accepted of RFC 6026."""

    CALLING = "calling"
    """INVITE client: sent, nothing heard. Non-INVITE client: Trying."""
    PROCEEDING = "proceeding"
    COMPLETED = "completed"
    CONFIRMED = "confirmed"
    ACCEPTED = "accepted"
    TERMINATED = "terminated"


class Core(Protocol):
    """What a transaction or session needs of the endpoint."""

    config: EndpointConfig

    def send(self, flow: Flow, data: bytes) -> None: ...

    def after(self, delay: float, action: Callable[[], None]) -> Timer:
        """Start a timer, ``delay`` seconds from now."""

    def token(self) -> str:
        """64 random bits as text, for tags and branches."""

    def chance(self, low: float, high: float) -> float:
        """A random number between the two."""

    def guard(self, call: Callable[..., None], *args: object) -> bool:
        """Call a handler; its exceptions are logged, and give False."""

    def may_connect(self, flow: Flow) -> bool:
        """Whether a TCP connection to the remote of ``flow`` is worth trying."""

    def connecting_failed(self, flow: Flow) -> None:
        """It was not: remember for a while."""

    def add_client(self, transaction: ClientTransaction) -> None: ...

    def remove_client(self, transaction: ClientTransaction) -> None: ...

    def remove_server(self, transaction: ServerTransaction) -> None: ...


def server_key(request: Request, method: str | None = None) -> str:
    """The key under which a request's server transaction is kept; ``method`` to look up another one's (CANCEL's
    INVITE).

    :raises SipParseError: Via, From or CSeq cannot be read.
    """
    method = method or request.method
    if method == "ACK":
        method = "INVITE"
    via = request.top_via
    if via.branch.startswith(MAGIC) and len(via.branch) > len(MAGIC):
        return f"{via.branch} {via.host}:{via.port} {method}"
    return f"{request.get('via')} {request.call_id} {request.from_tag} {request.cseq[0]} {method}"
