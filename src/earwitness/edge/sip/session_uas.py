"""A session that a peer began: their INVITE, our answer (RFC 3261 §13.3, RFC 3262).

Where the caller requires 100rel, each 1xx above 100 is sent reliably: with an RSeq, one at a time, repeated until its
PRACK; a final 2xx waits for that PRACK, and 64*T1 without one ends the call with 504. For callers that merely support
it 1xx are sent plainly.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from earwitness.edge.sip.dialog import Dialog
from earwitness.edge.sip.events import Failure, Flow, HeaderList
from earwitness.edge.sip.headers import SipParseError, parse_cseq, parse_number
from earwitness.edge.sip.message import Request
from earwitness.edge.sip.session import Session, SessionCore, SessionState
from earwitness.edge.sip.timers import Timer
from earwitness.edge.sip.transaction_server import InviteServerTransaction, ServerTransaction


@dataclass(slots=True)
class _Answer:
    status: int
    body: bytes
    headers: HeaderList
    content_type: str


class UasSession(Session):
    """An incoming call."""

    role = "uas"
    dialog: Dialog
    request: Request

    def __init__(
        self, core: SessionCore, transaction: InviteServerTransaction, request: Request, flow: Flow, contact: str
    ) -> None:
        super().__init__(core, request.call_id, transaction.local_tag, flow)
        self.request = request
        self.transaction = transaction
        self.dialog = Dialog.of_request(request, flow, transaction.local_tag, contact)
        self.renegotiation.learn(request)
        transaction.on_cancel = self._on_cancel
        self._reliable = "100rel" in request.tokens("require")
        self._rseq = 0
        self._waiting: deque[_Answer] = deque()
        self._unpracked: bytes = b""
        self._interval = 0.0
        self._repeat: Timer | None = None
        self._limit: Timer | None = None

    def progress(self, status: int, body: bytes = b"", headers: HeaderList = (), content_type: str = "") -> bool:
        """Send a 1xx (101..199), with early media when it has a body."""
        if self.state is not SessionState.EARLY or self.transaction.answered:
            return False
        if body:
            self.local_body = body
        answer = _Answer(status, body, headers, content_type)
        if not self._reliable:
            own = [*headers, ("Contact", self.dialog.contact)]
            return self.transaction.respond(status, None, own, body, content_type)
        self._waiting.append(answer)
        self._send_next()
        return True

    def accept(self, body: bytes = b"", headers: HeaderList = (), content_type: str = "") -> bool:
        """200 OK, repeated until the ACK comes (``on_ack``); without one the session fails with ``NO_ACK``."""
        if self.state is not SessionState.EARLY or self.transaction.answered:
            return False
        if body:
            self.local_body = body
        self._waiting.append(_Answer(200, body, headers, content_type))
        self._send_next()
        return True

    def reject(self, status: int, reason: str | None = None, headers: HeaderList = ()) -> bool:
        """A final 3xx..6xx. Silent: no event follows."""
        if self.state is not SessionState.EARLY or self.transaction.answered:
            return False
        self._waiting.clear()
        self._stop_reliable()
        sent = self.transaction.respond(status, reason, headers)
        self.end()
        self.dismiss()
        return sent

    def hang_up(self, headers: HeaderList = ()) -> bool:
        if self.state is SessionState.EARLY:
            return self.reject(480, None, headers)
        return self.bye(headers)

    def receive_prack(self, transaction: ServerTransaction, request: Request) -> None:
        if self._unpracked and self._matches(request):
            self._stop_reliable()
            transaction.respond(200)
            self._send_next()
        else:
            transaction.respond(481)

    def on_peer_left(self) -> None:
        if not self.transaction.answered:
            self._waiting.clear()
            self.transaction.respond(487)

    def close(self) -> None:
        super().close()
        if not self.transaction.answered:
            self.transaction.respond(480)
        self._stop_reliable()
        self._waiting.clear()

    def _send_next(self) -> None:
        """Send what waits, up to a reliable 1xx that has to be PRACKed first."""
        while self._waiting and not self._unpracked:
            answer = self._waiting.popleft()
            if answer.status >= 200:
                self._send_final(answer)
                return
            self._rseq = self._rseq or int(self.core.chance(1, 2**31 - 1))
            own = [
                *answer.headers,
                ("Contact", self.dialog.contact),
                ("Require", "100rel"),
                ("RSeq", str(self._rseq)),
            ]
            self.transaction.respond(answer.status, None, own, answer.body, answer.content_type)
            self._unpracked = self.transaction.last
            self._interval = self.core.config.timers.t1
            self._repeat = self.core.after(self._interval, self._on_repeat)
            self._limit = self.core.after(self.core.config.timers.patience, self._on_no_prack)

    def _send_final(self, answer: _Answer) -> None:
        self.state = SessionState.CONFIRMED
        self.dialog.confirmed = True
        own = [
            *answer.headers,
            ("Contact", self.dialog.contact),
            *self.capabilities()[:2],
            *self.timer.answer_headers(self.request),
        ]
        self.transaction.respond(200, None, own, answer.body, answer.content_type)
        self.renegotiation.repeat(self.transaction)

    def _matches(self, request: Request) -> bool:
        rack = (request.get("rack") or "").split(None, 1)
        try:
            return (
                len(rack) == 2
                and parse_number(rack[0], 2**32) == self._rseq
                and parse_cseq(rack[1]) == self.request.cseq
            )
        except SipParseError:
            return False

    def _on_repeat(self) -> None:
        self.core.send(self.transaction.flow, self._unpracked)
        self._interval *= 2
        self._repeat = self.core.after(self._interval, self._on_repeat)

    def _on_no_prack(self) -> None:
        self._stop_reliable()
        self.transaction.respond(504)
        self.failed(Failure.TIMEOUT)

    def _stop_reliable(self) -> None:
        if self._unpracked:
            self._unpracked = b""
            self._rseq += 1
        for timer in (self._repeat, self._limit):
            if timer is not None:
                timer.cancel()
        self._repeat = self._limit = None

    def _on_cancel(self, request: Request) -> None:
        if self.transaction.answered:
            return
        self.transaction.respond(487)
        self.end()
        if (owner := self.dismiss()) is not None:
            self.core.guard(owner.on_cancelled, self, request)
