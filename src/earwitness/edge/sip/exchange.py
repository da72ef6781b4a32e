"""A request until its final answer, digest challenges included (RFC 3261 §22), and the repeating of our own 2xx
(§13.3.1.4).
"""

from __future__ import annotations

from collections.abc import Callable

from earwitness.edge.sip.events import Authenticate, Failure, Flow
from earwitness.edge.sip.headers import SipParseError
from earwitness.edge.sip.message import Request, Response
from earwitness.edge.sip.timers import Timer
from earwitness.edge.sip.transaction import Core
from earwitness.edge.sip.transaction_client import ClientTransaction, InviteClientTransaction
from earwitness.edge.sip.transaction_server import InviteServerTransaction
from earwitness.edge.sip.uri import format_host

MAX_ATTEMPTS = 4
"""Requests sent for one purpose: proxies and server may challenge, each may call a nonce stale once."""

OUTLINE = 40
"""Bytes of a request apart from its URI, headers and body: method, version, Content-Length, empty line."""

Make = Callable[[list[tuple[str, str]]], tuple[Request, Flow]]


class Exchange:
    """Sends what ``make(credential headers)`` builds (with a new branch and CSeq each time), answering challenges on
    the way.
    """

    def __init__(
        self,
        core: Core,
        make: Make,
        authenticate: Authenticate | None,
        on_response: Callable[[ClientTransaction, Response], None],
        on_failure: Callable[[Failure], None],
        *,
        may_switch: bool = False,
    ) -> None:
        """:param may_switch: a request too long for a datagram goes over TCP, and over UDP only if nobody listens."""
        self._core = core
        self._make = make
        self._authenticate = authenticate
        self._on_response = on_response
        self._on_failure = on_failure
        self._may_switch = may_switch
        self._switched: Flow | None = None
        self._attempts = 0
        self.credentials: list[tuple[str, str]] = []
        """Authorization headers of the last attempt; the ACK of a 2xx repeats them (§22.1)."""
        self.transaction: ClientTransaction | None = None

    def start(self) -> Exchange:
        """Send a first, or after a change of what ``make`` builds a further, attempt."""
        self._attempts += 1
        request, flow = self._make(self.credentials)
        self._switched = None
        if self._may_switch and flow.transport == "udp" and self._too_long(request) and self._core.may_connect(flow):
            self._switched = flow
            flow = self._over_tcp(request, flow)
        kind = InviteClientTransaction if request.method == "INVITE" else ClientTransaction
        self.transaction = kind(self._core, request, flow, self)
        self.transaction.start()
        return self

    def cancel(self, headers: list[tuple[str, str]]) -> None:
        """CANCEL the INVITE, and answer no challenge any more."""
        self._authenticate = None
        self._may_switch = False
        if isinstance(self.transaction, InviteClientTransaction):
            self.transaction.cancel(headers)

    def on_response(self, transaction: ClientTransaction, response: Response) -> None:
        """From the transaction."""
        self._switched = None
        if response.status in (401, 407) and self._answer_challenge(transaction.request, response):
            self.start()
        else:
            self._on_response(transaction, response)

    def on_failure(self, transaction: ClientTransaction, cause: Failure) -> None:
        """From the transaction."""
        if self._switched is not None and self._may_switch and cause is Failure.TRANSPORT:
            self._core.connecting_failed(self._switched)
            self.start()
        else:
            self._on_failure(cause)

    def _too_long(self, request: Request) -> bool:
        limit = self._core.config.tcp_above
        lines = sum(len(name) + len(value) + 4 for _, name, value in request.fields)
        return 0 < limit < len(request.uri) + lines + len(request.body) + OUTLINE

    def _over_tcp(self, request: Request, flow: Flow) -> Flow:
        """The same hop by TCP; the Via of ``request`` says so."""
        tcp = Flow("tcp", self._core.config.address_for("tcp", flow.remote), flow.remote)
        index = next(number for number, field in enumerate(request.fields) if field[0] == "via")
        key, name, value = request.fields[index]
        host = f"{format_host(tcp.local[0])}:{tcp.local[1]}"
        request.fields[index] = (key, name, f"SIP/2.0/TCP {host};{value.partition(';')[2]}")
        return tcp

    def _answer_challenge(self, request: Request, response: Response) -> bool:
        if self._authenticate is None or self._attempts >= MAX_ATTEMPTS:
            return False
        proxy = response.status == 407
        challenges = response.get_all("proxy-authenticate" if proxy else "www-authenticate")
        value = self._authenticate(challenges, request.method, request.uri, request.body)
        if value is None:
            return False
        name = "Proxy-Authorization" if proxy else "Authorization"
        self.credentials = [pair for pair in self.credentials if pair[0] != name] + [(name, value)]
        return True


class AnswerRepeater:
    """Repeats a 2xx to an INVITE, T1 doubling up to T2, until its ACK comes; on UDP and TCP alike."""

    def __init__(self, core: Core, transaction: InviteServerTransaction, on_timeout: Callable[[], None]) -> None:
        self._core = core
        self._transaction = transaction
        self._on_timeout = on_timeout
        self._interval = core.config.timers.t1
        self._data = transaction.last
        self.cseq = transaction.request.cseq[0]
        """The CSeq number that the ACK will have."""
        self._repeat: Timer = core.after(self._interval, self._on_repeat)
        self._limit: Timer = core.after(core.config.timers.patience, self._give_up)

    def stop(self) -> None:
        """The ACK came, or nobody wants it any more."""
        self._repeat.cancel()
        self._limit.cancel()
        self._transaction.acknowledged()

    def _on_repeat(self) -> None:
        self._core.send(self._transaction.flow, self._data)
        self._interval = min(self._interval * 2, self._core.config.timers.t2)
        self._repeat = self._core.after(self._interval, self._on_repeat)

    def _give_up(self) -> None:
        self.stop()
        self._on_timeout()


def final_cseq(response: Response) -> int:
    """The CSeq number of a response that has passed the parser's checks; 0 otherwise."""
    try:
        return response.cseq[0]
    except SipParseError:
        return 0
