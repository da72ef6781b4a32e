"""A session that we began: our INVITE, the peer's answers (RFC 3261 §13.2, forking of §13.2.2.4, RFC 3262).

A proxy may fork the INVITE: each To tag is a dialog of its own. The first 2xx wins; every other one is ACKed and hung
up. So is a 2xx that crosses our CANCEL. Reliable 1xx are PRACKed in RSeq order.
"""

from __future__ import annotations

from weakref import ref

from earwitness.edge.sip.dialog import Dialog, contact_for
from earwitness.edge.sip.events import Authenticate, Failure, Flow, HeaderList, Target
from earwitness.edge.sip.exchange import Exchange
from earwitness.edge.sip.headers import SipParseError, header_key, parse_number
from earwitness.edge.sip.message import Request, Response
from earwitness.edge.sip.renegotiation import send_ack
from earwitness.edge.sip.session import Session, SessionCore, SessionState
from earwitness.edge.sip.session_timer import interval_of
from earwitness.edge.sip.transaction import MAGIC
from earwitness.edge.sip.transaction_client import ClientTransaction, InviteClientTransaction
from earwitness.edge.sip.uri import format_host

MAX_FORKS = 16
"""Early dialogs of one INVITE that are kept; further branches may ring, but unreliably."""


class UacSession(Session):
    """An outgoing call."""

    role = "uac"

    def __init__(
        self,
        core: SessionCore,
        call_id: str,
        local_tag: str,
        target: Target,
        body: bytes,
        content_type: str,
        authenticate: Authenticate | None,
        defer_ack: bool,
    ) -> None:
        super().__init__(core, call_id, local_tag, target.flow)
        self.target = target
        self.authenticate = authenticate
        self.local_body = body
        self._content_type = content_type
        self._defer_ack = defer_ack
        self._seq = target.cseq or 1
        self._cancelled = False
        self._raised = False
        self._early: dict[str, Dialog] = {}
        self._rseqs: dict[str, int] = {}
        self.timer.interval = core.config.session_expires
        self.contact = contact_for(target.flow, target.contact_user)
        self._weak_exchange: ref[Exchange] | None = None
        """The INVITE's transaction holds the exchange, which holds this session for late 2xx."""

    def start(self) -> None:
        """Send the INVITE."""
        switch = not self.target.pin
        exchange = Exchange(
            self.core, self._make, self.authenticate, self._on_response, self._on_failure, may_switch=switch
        )
        self._weak_exchange = ref(exchange)
        exchange.start()

    @property
    def _exchange(self) -> Exchange | None:
        return self._weak_exchange() if self._weak_exchange is not None else None

    def _cancel_invite(self, headers: HeaderList) -> None:
        if (exchange := self._exchange) is not None:
            exchange.cancel(list(headers))

    def cancel(self, headers: HeaderList = ()) -> bool:
        """Give up before the answer.

        CANCEL as soon as a 1xx allows it. ``headers`` may hold a Reason. The end follows as an event.
        """
        if self.state is not SessionState.EARLY or self._cancelled:
            return False
        self._cancelled = True
        self._cancel_invite(headers)
        return True

    def hang_up(self, headers: HeaderList = ()) -> bool:
        if self.state is SessionState.EARLY:
            return self.cancel(headers)
        return self.bye(headers)

    def find_dialog(self, remote_tag: str) -> Dialog | None:
        if self.state is SessionState.EARLY:
            return self._early.get(remote_tag)
        return super().find_dialog(remote_tag)

    def on_peer_left(self) -> None:
        if self.state is SessionState.EARLY:
            self._cancelled = True
            self._cancel_invite(())

    def close(self) -> None:
        super().close()
        self._cancel_invite(())

    def _make(self, credentials: list[tuple[str, str]]) -> tuple[Request, Flow]:
        target = self.target
        flow = target.flow
        via = f"SIP/2.0/{flow.transport.upper()} {format_host(flow.local[0])}:{flow.local[1]}"
        fields = [
            ("via", "Via", f"{via};branch={MAGIC}{self.core.token()};rport"),
            ("max-forwards", "Max-Forwards", str(target.max_forwards)),
            ("from", "From", f"{target.from_};tag={self.local_tag}"),
            ("to", "To", target.to),
            ("call-id", "Call-ID", self.call_id),
            ("cseq", "CSeq", f"{self._seq} INVITE"),
            ("contact", "Contact", self.contact),
            ("allow", "Allow", ", ".join(self.core.config.allow)),
        ]
        # An offer in a reliable 1xx would need its answer in our PRACK, which the owner could not give.
        tags = [tag for tag in self.core.config.supported if tag != "100rel" or self.local_body]
        if tags:
            fields.append(("supported", "Supported", ", ".join(tags)))
        fields.append(("user-agent", "User-Agent", self.core.config.user_agent))
        for name, value in [*self.timer.request_headers(), *target.headers, *credentials]:
            fields.append((header_key(name), name, value))
        if self.local_body:
            fields.append(("content-type", "Content-Type", self._content_type or "application/sdp"))
        self._seq += 1
        self.request = Request("INVITE", target.uri, fields, self.local_body)
        return self.request, flow

    def _on_response(self, transaction: ClientTransaction, response: Response) -> None:
        status = response.status
        exchange = self._exchange
        if not isinstance(transaction, InviteClientTransaction) or exchange is None:
            return
        if 200 <= status < 300:
            self._on_2xx(transaction, response, exchange)
        elif self.state is not SessionState.EARLY:
            return
        elif status < 200:
            on_trying, self.on_trying = self.on_trying, None
            if on_trying is not None:
                self.core.guard(on_trying)
            if status > 100:
                self._on_1xx(transaction, response)
        elif status == 422 and self._raise_interval(response):
            exchange.start()
        else:
            self.end()
            if (owner := self.dismiss()) is not None:
                self.core.guard(owner.on_rejected, self, response)

    def _on_failure(self, cause: Failure) -> None:
        self.failed(Failure.CANCELLED if self._cancelled else cause)

    def _on_1xx(self, transaction: InviteClientTransaction, response: Response) -> None:
        tag = response.to_tag
        if tag:
            dialog = self._early.get(tag)
            if dialog is None and len(self._early) < MAX_FORKS:
                dialog = Dialog.of_response(transaction.request, response, self.flow, self.contact)
                dialog.pinned = dialog.pinned or self.target.pin
                self._early[tag] = dialog
            elif dialog is not None:
                dialog.update_from_response(response)
            if dialog is not None:
                self.dialog = dialog
                if "100rel" in response.tokens("require") and not self._acknowledge_1xx(dialog, response):
                    return
        self.renegotiation.learn(response)
        if self.owner is not None and not self._cancelled:
            self.core.guard(self.owner.on_progress, self, response)

    def _acknowledge_1xx(self, dialog: Dialog, response: Response) -> bool:
        """PRACK a reliable 1xx; False: it is a repetition or out of order, and must be ignored (RFC 3262 §4)."""
        try:
            rseq = parse_number(response.get("rseq") or "", 2**32 - 1)
        except SipParseError:
            return True
        last = self._rseqs.get(dialog.remote_tag)
        if last is not None and rseq != last + 1:
            return False
        self._rseqs[dialog.remote_tag] = rseq
        number, method = response.cseq
        headers = [("RAck", f"{rseq} {number} {method}")]
        self.exchange("PRACK", headers, b"", "", _ignore, _ignore_failure, dialog=dialog)
        return True

    def _on_2xx(self, transaction: InviteClientTransaction, response: Response, exchange: Exchange) -> None:
        sent = transaction.acks.get(response.to_tag)
        if sent is not None:
            self.core.send(*sent)
            return
        if self.state is SessionState.EARLY and not self._cancelled:
            self._confirm(transaction, response, exchange)
            return
        if self.dialog is not None and self.dialog.confirmed and self.dialog.remote_tag == response.to_tag:
            return  # the winner, whose ACK the owner has still to give
        dialog = self._dialog_for(transaction, response)
        send_ack(self, dialog, transaction, response, exchange)
        if self.state is SessionState.EARLY:
            self.dialog = dialog
            dialog.confirmed = True
            self.state = SessionState.CONFIRMED
            self.failed(Failure.CANCELLED)
        else:
            self.send_bye(dialog)

    def _confirm(self, transaction: InviteClientTransaction, response: Response, exchange: Exchange) -> None:
        dialog = self._dialog_for(transaction, response)
        dialog.confirmed = True
        self.dialog = dialog
        self.state = SessionState.CONFIRMED
        self._early.clear()
        self._rseqs.clear()
        self.renegotiation.learn(response)
        self.timer.accepted(response)
        self.renegotiation.hold_ack(transaction, response, exchange, self._defer_ack)
        if self.owner is not None:
            self.core.guard(self.owner.on_accepted, self, response)

    def _dialog_for(self, transaction: InviteClientTransaction, response: Response) -> Dialog:
        dialog = self._early.get(response.to_tag)
        if dialog is None:
            dialog = Dialog.of_response(transaction.request, response, self.flow, self.contact)
        else:
            dialog.update_from_response(response)
        dialog.pinned = dialog.pinned or self.target.pin
        return dialog

    def _raise_interval(self, response: Response) -> bool:
        shortest, _ = interval_of(response, "min-se")
        if self._raised or self._cancelled or not self.timer.interval or shortest <= 0:
            return False
        self._raised = True
        self.timer.interval = max(self.timer.interval, shortest)
        return True


def _ignore(_: ClientTransaction, response: Response) -> None:
    """The answer to a PRACK or to the BYE of a branch that lost tells nothing."""


def _ignore_failure(cause: Failure) -> None:
    """The INVITE's own timers notice when the peer is gone."""
