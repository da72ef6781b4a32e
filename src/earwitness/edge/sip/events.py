"""The words between the SIP stack and whoever uses it: flows, configuration, targets and the two handler protocols.

How to use the stack (``Endpoint`` owns no socket; ``transport.Transport`` connects it to real ones):

* Incoming call: ``Handler.on_invite(session, request)`` with a fresh ``UasSession`` (100 Trying is already out). Set
  ``session.owner`` there, then call ``session.progress / accept / reject`` whenever you like.
* Outgoing call: ``session = endpoint.invite(target, body, owner=...)`` gives a ``UacSession``; what follows arrives
at its owner.
* Each session reports its end exactly once, by one of ``on_rejected``, ``on_cancelled``, ``on_bye`` or ``on_failed``,
unless
  its owner ended it with ``bye()`` or ``reject()`` itself, which is silent. A session that was ``cancel()``-ed still
  reports: ``on_rejected``
  with the 487, or ``on_failed`` with ``Failure.CANCELLED`` when a 2xx crossed the CANCEL (it has been ACKed and BYEd).
* ``session.on_trying`` and ``session.on_withdrawn`` may be set by owners who want to know that a called peer reacts at
  all, or that a re-INVITE needs no answer any more.
* Methods of a session that come too late (the peer hung up meanwhile) do nothing and return False.
* Bodies are opaque bytes; offer and answer are the owner's business.

Times are seconds of the clock that the endpoint was given (monotonic); ports are 1..65535.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from earwitness.edge.sip.message import Request, Response
    from earwitness.edge.sip.session import Session
    from earwitness.edge.sip.session_uas import UasSession
    from earwitness.edge.sip.transaction_server import ServerTransaction

Address = tuple[str, int]
"""Host (literal IP address without brackets) and port."""

HeaderList = Sequence[tuple[str, str]]
"""Header names and values, in order."""

Authenticate = Callable[[Sequence[str], str, str, bytes], "str | None"]
"""``(challenges, method, uri, body) -> credentials`` for digest.

The values of the WWW-Authenticate or Proxy-Authenticate headers go in; out comes the value of the Authorization or
Proxy-Authorization header, or None to give up (the 401 or 407 is then the final answer).
"""


class Flow(NamedTuple):
    """A way to a peer: where a message came from and where one is to be sent."""

    transport: str
    """``udp`` or ``tcp``."""
    local: Address
    """Our address as the peer should know it; goes into Via and Contact."""
    remote: Address
    """The peer's address."""
    connection: int = 0
    """TCP: the number of an open connection; 0: whichever leads to ``remote``, opened when there is none."""


class Failure(enum.Enum):
    """Why a session ended without the peer saying so."""

    TIMEOUT = "timeout"
    """No answer to a request (timers B, F, C)."""
    TRANSPORT = "transport"
    """The connection failed or the address cannot be reached."""
    NO_ACK = "no-ack"
    """Our 2xx was never acknowledged; a BYE has been sent."""
    GONE = "gone"
    """The peer does not know the dialog any more (481)."""
    EXPIRED = "expired"
    """The session timer ran out (RFC 4028); a BYE has been sent."""
    CANCELLED = "cancelled"
    """Our CANCEL crossed a 2xx, which has been acknowledged and hung up."""


@dataclass(frozen=True, slots=True)
class Timers:
    """RFC 3261 §17 and its appendix A; seconds. Tests scale ``t1``."""

    t1: float = 0.5
    t2: float = 4.0
    t4: float = 5.0
    timer_c: float = 180.0
    """An INVITE without a final response is cancelled this long after its last 1xx."""

    @property
    def patience(self) -> float:
        """64*T1: timers B, D, F, H, J, L and M."""
        return 64 * self.t1


def _same_host(transport: str, remote: Address) -> Address:
    return ("127.0.0.1", 5060)


def _always(connection: int) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class EndpointConfig:
    """What an endpoint says of itself, and its limits."""

    address_for: Callable[[str, Address], Address] = _same_host
    """``(transport, remote) -> our address`` towards that peer, for Via and Contact."""
    connected: Callable[[int], bool] = _always
    """Whether the TCP connection of that number is still open."""
    timers: Timers = field(default_factory=Timers)
    user_agent: str = "Earwitness"
    allow: tuple[str, ...] = (
        "INVITE",
        "ACK",
        "CANCEL",
        "BYE",
        "OPTIONS",
        "INFO",
        "UPDATE",
        "PRACK",
        "REGISTER",
        "REFER",
        "NOTIFY",
        "MESSAGE",
    )
    supported: tuple[str, ...] = ("100rel", "timer", "replaces", "norefersub")
    """Option tags that a peer may require."""
    accept: tuple[str, ...] = ("application/sdp",)
    """Content types (lower case) of INVITE, UPDATE, PRACK and ACK bodies."""
    min_se: int = 90
    """Shortest session interval that is accepted, seconds (RFC 4028)."""
    session_expires: int = 0
    """Session interval asked for in our own INVITEs, seconds; 0: only what the peer asks for."""
    max_transactions: int = 60_000
    """Beyond these, requests outside a dialog are answered 503."""
    max_transactions_per_host: int = 20_000
    """The same, for the requests of one address."""
    max_sessions: int = 10_000
    tcp_above: int = 1300
    """Longer requests, bytes, go over TCP even where UDP was meant (RFC 3261 §18.1.1); 0: never."""

    def capabilities(self) -> list[tuple[str, str]]:
        """The headers Allow, Supported and Accept."""
        return [
            ("Allow", ", ".join(self.allow)),
            ("Supported", ", ".join(self.supported)),
            ("Accept", ", ".join(self.accept)),
        ]


@dataclass(frozen=True, slots=True)
class Target:
    """Where a request outside a dialog goes."""

    uri: str
    """The Request-URI, e.g. ``sip:+4930123@203.0.113.5``."""
    flow: Flow
    """The next hop; ``endpoint.flow_to(transport, address)`` makes one."""
    from_: str
    """The From value without a tag, e.g. ``"Anna" <sip:200@pbx.example>``."""
    to: str
    """The To value without a tag."""
    contact_user: str = ""
    headers: HeaderList = ()
    """Additional headers (P-Asserted-Identity, Route, ...)."""
    max_forwards: int = 70
    """A B2BUA passes on what came in, less one."""
    pin: bool = False
    """True: requests within the dialog use ``flow`` whatever the peer's Contact says (peers behind NAT)."""
    call_id: str = ""
    """Empty: a new one. A registration keeps its own."""
    cseq: int = 0
    """0: a new one."""
    from_tag: str = ""
    """Empty: a new one."""


class Handler(Protocol):
    """Who takes what starts outside a dialog."""

    def on_invite(self, session: UasSession, request: Request) -> None:
        """A new incoming call. Set ``session.owner``; a call left without an owner is answered 480.

        ``session.replaces`` is the call that it wants to take over; who may do that, the handler decides.
        """

    def on_request(self, transaction: ServerTransaction, request: Request) -> None:
        """REGISTER, OPTIONS, MESSAGE ...: answer, now or later, by ``transaction.respond(status, ...)``."""


class SessionHandler(Protocol):
    """Who owns a session. Exceptions raised here are logged and do not disturb the stack."""

    def on_progress(self, session: Session, response: Response) -> None:
        """UAC: 101..199; ``response.to_tag`` tells the branches of a forked call apart.

        Reliable ones have been PRACKed.
        """

    def on_accepted(self, session: Session, response: Response) -> None:
        """UAC: the first 2xx. ACKed already, unless ``defer_ack``: then call ``session.ack(body)``."""

    def on_rejected(self, session: Session, response: Response) -> None:
        """UAC: the final response is 3xx..6xx (after digest and session interval have been negotiated). The end."""

    def on_ack(self, session: Session, request: Request) -> None:
        """The ACK of our 2xx (initial or re-INVITE) arrived; its body is the answer to a late offer."""

    def on_cancelled(self, session: Session, request: Request) -> None:
        """UAS: the caller gave up (CANCEL, or BYE before the answer); 487 has been sent. The end."""

    def on_reinvite(self, session: Session, request: Request) -> None:
        """A re-INVITE, or an UPDATE with a body (see ``request.method``).

        Answer by ``accept_reinvite`` or ``reject_reinvite``.
        """

    def on_reinvite_result(self, session: Session, response: Response) -> None:
        """The final response to our re-INVITE or UPDATE. 491 has been retried. ACKed already unless ``defer_ack``.

        Also the answer (a 2xx with a body) to a refresh that the session timer sent by itself: the peer may have
        moved.
        """

    def on_request(self, session: Session, transaction: ServerTransaction, request: Request) -> None:
        """INFO, REFER, MESSAGE in the dialog: answer by ``transaction.respond``; a REFER by ``refer.receive_refer``."""

    def on_bye(self, session: Session, request: Request) -> None:
        """The peer hung up; 200 has been sent. The end."""

    def on_failed(self, session: Session, cause: Failure) -> None:
        """The end, without the peer saying so."""
