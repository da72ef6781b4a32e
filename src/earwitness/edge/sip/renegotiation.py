"""Re-INVITE and UPDATE in a session, in both directions, and the ACKs that INVITEs owe (RFC 3261 §14, RFC 3311, RFC
4028).

At most one of ours (``_out``) and one of the peer's (``_in``) is open. Who meets the other on the way answers 491 and
tries again later: the side that made the Call-ID after 2.1..4 s, the other after 0..2 s. A second request while the
first is unanswered gets 500. Ours waits while our own 2xx has not been ACKed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import ref

from earwitness.edge.sip.dialog import Dialog
from earwitness.edge.sip.events import Failure, HeaderList
from earwitness.edge.sip.exchange import AnswerRepeater, Exchange
from earwitness.edge.sip.message import Message, Request, Response
from earwitness.edge.sip.session_timer import interval_of
from earwitness.edge.sip.timers import Timer
from earwitness.edge.sip.transaction import MAGIC
from earwitness.edge.sip.transaction_client import ClientTransaction, InviteClientTransaction
from earwitness.edge.sip.transaction_server import InviteServerTransaction, ServerTransaction

if TYPE_CHECKING:
    from earwitness.edge.sip.session import Session


@dataclass(slots=True)
class _Ours:
    """Our re-INVITE or UPDATE, kept for a retry."""

    method: str
    body: bytes
    headers: HeaderList
    content_type: str
    defer_ack: bool
    silent: bool = False
    """A session refresh, of which the owner only needs to know what the peer answers to our description."""
    raised: bool = False
    """Retried once after 422."""
    exchange: Exchange | None = None


class Renegotiation:
    """Belongs to one session."""

    def __init__(self, session: Session) -> None:
        self._weak_session = ref(session)
        self._core = session.core
        self._out: _Ours | None = None
        self._queued: _Ours | None = None
        self._retry: Timer | None = None
        self._in: ServerTransaction | None = None
        self._in_request: Request | None = None
        self._held: tuple[InviteServerTransaction, Request] | None = None
        self._repeater: AnswerRepeater | None = None
        self._unacked: tuple[InviteClientTransaction, Response, Exchange] | None = None
        self._peer_updates = False

    @property
    def _session(self) -> Session:
        session = self._weak_session()
        if session is None:
            raise RuntimeError("the session is gone")
        return session

    @property
    def owes_ack(self) -> bool:
        """A 2xx of the peer waits for ``ack``."""
        return self._unacked is not None

    @property
    def awaits_ack(self) -> bool:
        """Our 2xx waits for the peer's ACK."""
        return self._repeater is not None

    def learn(self, message: Message) -> None:
        """Note whether the peer allows UPDATE."""
        self._peer_updates = self._peer_updates or "update" in message.tokens("allow")

    # Ours.

    def send(self, method: str, body: bytes, headers: HeaderList, content_type: str, defer_ack: bool) -> bool:
        """See ``Session.reinvite`` and ``Session.update``."""
        return self._begin(_Ours(method, body, headers, content_type, defer_ack))

    def refresh(self) -> None:
        """Refresh the session for its timer; whatever else is under way does so as well."""
        session = self._session
        if self._peer_updates:
            self._begin(_Ours("UPDATE", b"", (), "", False, silent=True))
        elif session.local_body:
            self._begin(_Ours("INVITE", session.local_body, (), "", False, silent=True))

    def _begin(self, ours: _Ours) -> bool:
        session = self._session
        ready = session.dialog is not None and session.alive
        if ours.method == "INVITE":
            ready = ready and session.state.value == "confirmed"
        if not ready or self._out or self._queued or self._in or self._held or self._unacked:
            return False
        if self._repeater is not None:
            self._queued = ours
        else:
            self._start(ours)
        return True

    def _start(self, ours: _Ours) -> None:
        session = self._session
        self._out = ours
        self._retry = None
        headers = [*ours.headers, *session.timer.request_headers(), *session.capabilities()[:2]]

        def answered(transaction: ClientTransaction, response: Response) -> None:
            self._on_answer(ours, transaction, response)

        def failed(cause: Failure) -> None:
            self._out = ours.exchange = None
            session.failed(cause)

        ours.exchange = session.exchange(
            ours.method, headers, ours.body, ours.content_type, answered, failed, contact=True
        )

    def _on_answer(self, ours: _Ours, transaction: ClientTransaction, response: Response) -> None:
        session = self._session
        status = response.status
        if status < 200:
            return
        if isinstance(transaction, InviteClientTransaction) and status < 300 and self._again(transaction, response):
            return
        if self._out is ours:
            self._out = None
        exchange, ours.exchange = ours.exchange, None
        if not session.alive:
            if isinstance(transaction, InviteClientTransaction) and status < 300 and exchange is not None:
                self.hold_ack(transaction, response, exchange, False)
            return
        if status == 491:
            self._out = ours
            low, high = (2.1, 4.0) if session.role == "uac" else (0.0, 2.0)
            self._retry = self._core.after(self._core.chance(low, high), lambda: self._start(ours))
            return
        if status == 422 and not ours.raised and interval_of(response, "min-se")[0]:
            ours.raised = True
            session.timer.interval = max(session.timer.interval, interval_of(response, "min-se")[0])
            self._start(ours)
            return
        if status < 300:
            self._accepted(ours, transaction, response, exchange)
        told = not ours.silent or (status < 300 and response.body)
        if session.owner is not None and told:
            self._core.guard(session.owner.on_reinvite_result, session, response)
        if status in (408, 481):
            session.failed(Failure.GONE if status == 481 else Failure.TIMEOUT)

    def _accepted(
        self, ours: _Ours, transaction: ClientTransaction, response: Response, exchange: Exchange | None
    ) -> None:
        session = self._session
        if ours.body:
            session.local_body = ours.body
        if session.dialog is not None:
            session.dialog.refresh_target(response)
        self.learn(response)
        session.timer.accepted(response)
        if isinstance(transaction, InviteClientTransaction) and exchange is not None:
            self.hold_ack(transaction, response, exchange, ours.defer_ack)

    def hold_ack(
        self, transaction: InviteClientTransaction, response: Response, exchange: Exchange, defer: bool
    ) -> None:
        """A 2xx to our INVITE came: ACK it now, or when the owner has the body for it."""
        self._unacked = (transaction, response, exchange)
        if not defer:
            self.ack(b"", "")

    def ack(self, body: bytes, content_type: str) -> bool:
        """See ``Session.ack``."""
        dialog = self._session.dialog
        if self._unacked is None or dialog is None:
            return False
        transaction, response, exchange = self._unacked
        self._unacked = None
        if body:
            self._session.local_body = body
        send_ack(self._session, dialog, transaction, response, exchange, body, content_type)
        return True

    def _again(self, transaction: InviteClientTransaction, response: Response) -> bool:
        """A 2xx that we have seen: its ACK is repeated, or is still due."""
        sent = transaction.acks.get(response.to_tag)
        if sent is not None:
            self._core.send(*sent)
            return True
        return self._unacked is not None and self._unacked[0] is transaction

    # The peer's.

    def receive(self, transaction: ServerTransaction, request: Request, dialog: Dialog) -> None:
        """A re-INVITE or UPDATE."""
        session = self._session
        invite = request.method == "INVITE"
        if session.timer.too_small(request):
            transaction.respond(422, headers=[("Min-SE", str(self._core.config.min_se))])
        elif not invite and not request.body:
            self.learn(request)
            dialog.refresh_target(request)
            headers = [("Contact", dialog.contact), *session.timer.answer_headers(request)]
            transaction.respond(200, headers=headers)
        elif self._in is not None or self._held is not None or (invite and session.state.value == "early"):
            transaction.respond(500, headers=[("Retry-After", str(int(self._core.chance(0, 10))))])
        elif (self._out is not None and self._retry is None) or self._queued is not None or self._unacked is not None:
            transaction.respond(491)
        elif self._repeater is None:
            self._take(transaction, request)
        elif isinstance(transaction, InviteServerTransaction):
            self._held = (transaction, request)
            transaction.on_cancel = self._on_cancel
        else:
            transaction.respond(491)

    def _take(self, transaction: ServerTransaction, request: Request) -> None:
        session = self._session
        if session.owner is None:
            transaction.respond(488)
            return
        self._in, self._in_request = transaction, request
        if isinstance(transaction, InviteServerTransaction):
            transaction.on_cancel = self._on_cancel
        if not self._core.guard(session.owner.on_reinvite, session, request):
            self.reject(500, None, ())

    def accept(self, body: bytes, headers: HeaderList, content_type: str) -> bool:
        """See ``Session.accept_reinvite``."""
        session = self._session
        transaction, request, dialog = self._in, self._in_request, session.dialog
        if transaction is None or request is None or dialog is None:
            return False
        self._in = self._in_request = None
        self.learn(request)
        dialog.refresh_target(request)
        if body:
            session.local_body = body
        own = [("Contact", dialog.contact), *session.capabilities()[:2], *session.timer.answer_headers(request)]
        transaction.respond(200, None, [*headers, *own], body, content_type)
        if isinstance(transaction, InviteServerTransaction):
            self.repeat(transaction)
        return True

    def reject(self, status: int, reason: str | None, headers: HeaderList) -> bool:
        """See ``Session.reject_reinvite``."""
        transaction, self._in, self._in_request = self._in, None, None
        return transaction is not None and transaction.respond(status, reason, headers)

    def repeat(self, transaction: InviteServerTransaction) -> None:
        """Our 2xx has been sent: repeat it until the ACK comes."""
        self._repeater = AnswerRepeater(self._core, transaction, self._on_no_ack)

    def acknowledged(self, request: Request) -> bool:
        """An ACK; True when it is the one that was awaited."""
        if self._repeater is None or self._repeater.cseq != request.cseq[0]:
            return False
        self.stop_repeating()
        return True

    def resume(self) -> None:
        """The awaited ACK has been told to the owner: go on with what had to wait for it."""
        held, self._held = self._held, None
        queued, self._queued = self._queued, None
        if held is not None:
            self._take(*held)
        elif queued is not None:
            self._start(queued)
        self._session.settled()

    def stop_repeating(self) -> None:
        """Nobody wants our 2xx any more."""
        if self._repeater is not None:
            self._repeater.stop()
            self._repeater = None

    def close(self) -> None:
        """The session is over. A 2xx that waits for its ACK goes on waiting."""
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        self._out = self._queued = None
        transaction, self._in, self._in_request = self._in, None, None
        if transaction is None and self._held is not None:
            transaction, self._held = self._held[0], None
        if transaction is not None:
            transaction.respond(487)

    def _on_no_ack(self) -> None:
        self._repeater = None
        self._queued = None
        if self._session.alive:
            self._session.failed(Failure.NO_ACK)
        else:
            self._session.settled()

    def _on_cancel(self, request: Request) -> None:
        if self._held is not None:
            self._held[0].respond(487)
            self._held = None
        elif self.reject(487, None, ()) and self._session.on_withdrawn is not None:
            self._core.guard(self._session.on_withdrawn)


def send_ack(
    session: Session,
    dialog: Dialog,
    transaction: InviteClientTransaction,
    response: Response,
    exchange: Exchange,
    body: bytes = b"",
    content_type: str = "",
) -> None:
    """The ACK of a 2xx: a request of its own in the dialog, with the INVITE's CSeq number and credentials
    (§13.2.2.4).
    """
    core = session.core
    request, flow = dialog.request(
        "ACK",
        MAGIC + core.token(),
        transaction.request.cseq[0],
        core.config,
        exchange.credentials,
        body,
        content_type,
    )
    data = request.to_bytes()
    transaction.acks[response.to_tag] = (flow, data)
    core.send(flow, data)
