"""The SIP endpoint, sans-IO: bytes and time go in, bytes and handler calls come out. It owns no socket, clock or
randomness.

``receive`` takes one datagram, or one framed message of a stream; ``take_outgoing`` gives what is to be sent;
``next_timer`` says when ``fire_timers`` wants to be called. Neither ``receive`` nor ``fire_timers`` ever raises. What
is not answered is counted in ``counters`` under the reason.

Road of a request: parse -> defects (400, 505, ...) stateless -> its transaction (repeated: the same answer again) ->
ACK, CANCEL
-> overload (503) and merged requests (482) -> a session by its To tag (481) -> admission (405, 420, 415, 483, ...) ->
handler.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence

import structlog

from earwitness.edge.sip.admission import refusal
from earwitness.edge.sip.dialog import contact_for
from earwitness.edge.sip.events import (
    Address,
    Authenticate,
    EndpointConfig,
    Failure,
    Flow,
    Handler,
    SessionHandler,
    Target,
)
from earwitness.edge.sip.headers import SipParseError
from earwitness.edge.sip.message import Request, Response, defect, parse_message
from earwitness.edge.sip.multipart import take_description
from earwitness.edge.sip.replaces import match
from earwitness.edge.sip.responses import build_stateless
from earwitness.edge.sip.session import Session
from earwitness.edge.sip.session_uac import UacSession
from earwitness.edge.sip.session_uas import UasSession
from earwitness.edge.sip.standalone import send_request
from earwitness.edge.sip.timers import Timer, TimerQueue
from earwitness.edge.sip.transaction import State, server_key
from earwitness.edge.sip.transaction_client import ClientTransaction
from earwitness.edge.sip.transaction_server import InviteServerTransaction, ServerTransaction, response_flow

log = structlog.get_logger()

RETRY_AFTER_S = "5"
NO_TCP_S = 3600.0
"""A peer that takes no TCP connection is not asked again for so long."""


class Endpoint:
    """See the module.

    ``clock`` gives seconds (monotonic). ``rng`` makes tags and branches: ``random.SystemRandom()`` except in tests.
    ``on_output`` is called when something to send has appeared where there was nothing.
    """

    def __init__(
        self,
        config: EndpointConfig,
        handler: Handler,
        *,
        clock: Callable[[], float],
        rng: random.Random,
        on_output: Callable[[], None] | None = None,
    ) -> None:
        self.config = config
        self.handler = handler
        self.on_output = on_output
        self.counters: Counter[str] = Counter()
        self._clock = clock
        self._rng = rng
        self._timers = TimerQueue()
        self._outgoing: list[tuple[Flow, bytes]] = []
        self._clients: dict[str, ClientTransaction] = {}
        self._servers: dict[str, ServerTransaction] = {}
        self._per_host: Counter[str] = Counter()
        self._merges: dict[tuple[str, str, int, str], str] = {}
        self._sessions: dict[tuple[str, str], Session] = {}
        self._by_flow: dict[Flow, set[ClientTransaction]] = {}
        self._no_tcp: dict[Address, float] = {}

    # What the transport calls.

    def receive(self, data: bytes, source: Flow) -> None:
        """One message from ``source``. Never raises."""
        try:
            if not data.strip(b"\r\n\x00 "):
                self.counters["keepalive"] += 1
                return
            message = parse_message(data)
            take_description(message)
            if isinstance(message, Request):
                self._receive_request(message, source)
            else:
                self._receive_response(message)
        except SipParseError as error:
            self.counters["unparsable"] += 1
            log.debug("sip.dropped", remote=source.remote[0], reason=error.reason)
        except Exception:
            self.counters["internal error"] += 1
            log.exception("sip.receive_failed", remote=source.remote[0])

    def take_outgoing(self) -> list[tuple[Flow, bytes]]:
        """What is to be sent, in order; it is yours now."""
        outgoing, self._outgoing = self._outgoing, []
        return outgoing

    def next_timer(self) -> float | None:
        """When (on the clock) ``fire_timers`` has something to do, or None."""
        return self._timers.next()

    def fire_timers(self) -> None:
        """Run what is due. Never raises."""
        now = self._clock()
        while (action := self._timers.due(now)) is not None:
            try:
                action()
            except Exception:
                self.counters["internal error"] += 1
                log.exception("sip.timer_failed")

    def flow_failed(self, flow: Flow) -> None:
        """Nothing can be sent on ``flow``.

        Its connection was lost or could not be opened. Requests waiting on it fail.
        """
        for transaction in list(self._by_flow.get(flow, ())):
            transaction.fail(Failure.TRANSPORT)

    # What users call.

    def invite(
        self,
        target: Target,
        body: bytes = b"",
        content_type: str = "application/sdp",
        *,
        owner: SessionHandler | None = None,
        authenticate: Authenticate | None = None,
        defer_ack: bool = False,
    ) -> UacSession:
        """Start a call. An empty body asks the peer for an offer (late offer; then ``defer_ack`` is needed).

        :raises ValueError: a header contains a line break.
        """
        call_id = target.call_id or f"{self.token()}{self.token()}"
        tag = target.from_tag or self.token()
        session = UacSession(self, call_id, tag, target, body, content_type, authenticate, defer_ack)
        session.owner = owner
        session.start()
        self._sessions[(call_id, tag)] = session
        return session

    def request(
        self,
        method: str,
        target: Target,
        body: bytes = b"",
        content_type: str = "",
        *,
        on_response: Callable[[Response | None], None],
        authenticate: Authenticate | None = None,
    ) -> None:
        """Send a request outside a dialog (OPTIONS, REGISTER, MESSAGE). ``on_response`` gets the final response, or
        None.

        :raises ValueError: a header contains a line break.
        """
        send_request(self, method, target, body, content_type, on_response, authenticate)

    def session_for(self, call_id: str, local_tag: str, remote_tag: str) -> Session | None:
        """The live session of a dialog, early or confirmed: what a Replaces means, whose to-tag is our local one."""
        session = self._session_for(call_id, local_tag, remote_tag)
        return session if session is not None and session.alive else None

    def flow_to(self, transport: str, remote: Address) -> Flow:
        """The way to an address (a literal IP), for a ``Target``."""
        return Flow(transport, self.config.address_for(transport, remote), remote)

    @property
    def sizes(self) -> dict[str, int]:
        """Entries per table, for health and leak tests."""
        return {
            "sessions": len(self._sessions),
            "client_transactions": len(self._clients),
            "server_transactions": len(self._servers),
            "merge_keys": len(self._merges),
            "hosts": len(self._per_host),
            "flows": len(self._by_flow),
            "timers": len(self._timers),
        }

    # What transactions and sessions call (``Core``).

    def send(self, flow: Flow, data: bytes) -> None:
        """Queue a message."""
        self._outgoing.append((flow, data))
        if len(self._outgoing) == 1 and self.on_output is not None:
            self.on_output()

    def after(self, delay: float, action: Callable[[], None]) -> Timer:
        """Start a timer."""
        return self._timers.start(self._clock() + delay, action)

    def token(self) -> str:
        """64 random bits."""
        return f"{self._rng.getrandbits(64):016x}"

    def chance(self, low: float, high: float) -> float:
        """A random number between the two."""
        return self._rng.uniform(low, high)

    def guard(self, call: Callable[..., None], *args: object) -> bool:
        """Call a handler; its exceptions are logged and counted, and give False."""
        try:
            call(*args)
        except Exception:
            self.counters["handler error"] += 1
            log.exception("sip.handler_failed", handler=getattr(call, "__name__", "?"))
            return False
        return True

    def may_connect(self, flow: Flow) -> bool:
        """No TCP connection to there has been refused lately."""
        return self._no_tcp.get(flow.remote, 0.0) <= self._clock()

    def connecting_failed(self, flow: Flow) -> None:
        """A TCP connection was."""
        now = self._clock()
        self._no_tcp = {remote: until for remote, until in self._no_tcp.items() if until > now}
        self._no_tcp[flow.remote] = now + NO_TCP_S

    def add_client(self, transaction: ClientTransaction) -> None:
        """A client transaction has started."""
        self._clients[transaction.key] = transaction
        self._by_flow.setdefault(transaction.flow, set()).add(transaction)

    def remove_client(self, transaction: ClientTransaction) -> None:
        """It is over."""
        self._clients.pop(transaction.key, None)
        peers = self._by_flow.get(transaction.flow)
        if peers is not None:
            peers.discard(transaction)
            if not peers:
                del self._by_flow[transaction.flow]

    def remove_server(self, transaction: ServerTransaction) -> None:
        """It is over."""
        if self._servers.pop(transaction.key, None) is None:
            return
        host = transaction.source.remote[0]
        self._per_host[host] -= 1
        if self._per_host[host] <= 0:
            del self._per_host[host]
        if transaction.merge_key is not None:
            self._merges.pop(transaction.merge_key, None)

    def remove_session(self, session: Session) -> None:
        """It is over; more than once is fine."""
        self._sessions.pop((session.call_id, session.local_tag), None)

    # Receiving.

    def _session_for(self, call_id: str, local_tag: str, remote_tag: str) -> Session | None:
        session = self._sessions.get((call_id, local_tag))
        return session if session is not None and session.find_dialog(remote_tag) is not None else None

    def _receive_response(self, response: Response) -> None:
        if defect(response) is not None:
            self.counters["bad response"] += 1
            return
        if len(response.elements("via")) != 1:
            self.counters["response not for us"] += 1
            return
        transaction = self._clients.get(f"{response.top_via.branch} {response.cseq[1]}")
        if transaction is None:
            self.counters["stray response"] += 1
        else:
            transaction.receive(response)

    def _receive_request(self, request: Request, source: Flow) -> None:
        error = defect(request)
        if error is not None:
            self.counters["bad request"] += 1
            if request.method != "ACK":
                self._refuse_statelessly(request, source, error.status, error.reason)
            return
        key = server_key(request)
        known = self._servers.get(key)
        if known is not None and request.method != "ACK":
            known.receive_again()
        elif isinstance(known, InviteServerTransaction) and known.state is not State.ACCEPTED:
            known.receive_ack()
        elif request.method == "ACK":
            self._receive_ack(request)
        elif request.method == "CANCEL":
            self._receive_cancel(request, source, key)
        elif self._overloaded(request, source):
            self.counters["overload"] += 1
            self._refuse_statelessly(request, source, 503, None, [("Retry-After", RETRY_AFTER_S)])
        else:
            self._receive_new(request, source, key)

    def _overloaded(self, request: Request, source: Flow) -> bool:
        """Too many open transactions, in all or of this address; calls that are up may always go on."""
        full = (
            len(self._servers) >= self.config.max_transactions
            or self._per_host[source.remote[0]] >= self.config.max_transactions_per_host
        )
        return full and (request.call_id, request.to_tag) not in self._sessions

    def _receive_ack(self, request: Request) -> None:
        session = self._sessions.get((request.call_id, request.to_tag))
        if session is None:
            self.counters["stray ack"] += 1
        else:
            session.receive_ack(request)

    def _receive_cancel(self, request: Request, source: Flow, key: str) -> None:
        invite = self._servers.get(server_key(request, "INVITE"))
        if not isinstance(invite, InviteServerTransaction):
            self._refuse_statelessly(request, source, 481)
            return
        transaction = ServerTransaction(self, request, source, key, invite.local_tag)
        self._add_server(transaction)
        transaction.respond(200)
        if not invite.answered and invite.on_cancel is not None:
            invite.on_cancel(request)

    def _add_server(self, transaction: ServerTransaction) -> None:
        self._servers[transaction.key] = transaction
        self._per_host[transaction.source.remote[0]] += 1

    def _receive_new(self, request: Request, source: Flow, key: str) -> None:
        session: Session | None = None
        merge: tuple[str, str, int, str] | None = None
        if request.to_tag:
            session = self._sessions.get((request.call_id, request.to_tag))
            if session is None:
                self._refuse_statelessly(request, source, 481)
                return
        else:
            merge = (request.call_id, request.from_tag, request.cseq[0], request.method)
            if merge in self._merges:
                self._refuse_statelessly(request, source, 482)
                return
            self._merges[merge] = key
        kind = InviteServerTransaction if request.method == "INVITE" else ServerTransaction
        transaction = kind(self, request, source, key)
        transaction.merge_key = merge
        self._add_server(transaction)
        refused = refusal(request, self.config, in_dialog=session is not None)
        if refused is not None:
            transaction.respond(refused.status, refused.reason, refused.headers)
        elif session is not None:
            if request.method == "INVITE":
                transaction.respond(100)
            session.receive_request(transaction, request)
        elif isinstance(transaction, InviteServerTransaction):
            self._receive_invite(transaction, request)
        elif not self.guard(self.handler.on_request, transaction, request):
            transaction.respond(500)

    def _receive_invite(self, transaction: InviteServerTransaction, request: Request) -> None:
        if len(self._sessions) >= self.config.max_sessions:
            self.counters["overload"] += 1
            transaction.respond(503, None, [("Retry-After", RETRY_AFTER_S)])
            return
        transaction.respond(100)
        try:
            replaces = match(request, self._session_for)
        except SipParseError as error:
            transaction.respond(error.status, "Bad Replaces" if error.status == 400 else None)
            return
        flow = transaction.source
        session = UasSession(self, transaction, request, flow, contact_for(flow, request.parsed_uri.user))
        session.replaces = replaces
        if session.timer.too_small(request):
            transaction.respond(422, None, [("Min-SE", str(self.config.min_se))])
            return
        self._sessions[(session.call_id, session.local_tag)] = session
        if not self.guard(self.handler.on_invite, session, request):
            session.reject(500)
        elif session.alive and session.owner is None:
            session.reject(480)

    def _refuse_statelessly(
        self,
        request: Request,
        source: Flow,
        status: int,
        reason: str | None = None,
        headers: Sequence[tuple[str, str]] = (),
    ) -> None:
        flow = response_flow(request, source)
        self.send(flow, build_stateless(request, status, reason, headers).to_bytes())
