"""A session: one INVITE usage, that is one call leg, whichever side began it.

EARLY -2xx-> CONFIRMED -BYE, failure-> TERMINATED, or EARLY -> TERMINATED at once. ``UasSession`` and ``UacSession``
drive the
first step; this base runs what both have once there is a dialog: requests in it, BYE, session timer. Re-INVITE and
UPDATE with
their glare rules are in ``renegotiation``. Ending a session stops all its timers and takes it out of the endpoint's
table, except that
it waits there for the answer to our own BYE, so that a BYE of the peer that crosses it is answered 200.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from typing import Protocol

from earwitness.edge.sip.dialog import Dialog, listens_at_contact
from earwitness.edge.sip.events import Authenticate, Failure, Flow, HeaderList, SessionHandler
from earwitness.edge.sip.exchange import Exchange
from earwitness.edge.sip.message import Request, Response
from earwitness.edge.sip.renegotiation import Renegotiation
from earwitness.edge.sip.session_timer import SessionTimer
from earwitness.edge.sip.transaction import MAGIC, Core
from earwitness.edge.sip.transaction_client import ClientTransaction
from earwitness.edge.sip.transaction_server import ServerTransaction


class SessionState(enum.Enum):
    EARLY = "early"
    CONFIRMED = "confirmed"
    TERMINATED = "terminated"


class SessionCore(Core, Protocol):
    """What a session needs of the endpoint."""

    def remove_session(self, session: Session) -> None: ...


class Session:
    """See the module. Attributes are for reading, except ``owner``."""

    role = ""
    """``uas`` (they called us) or ``uac`` (we called them)."""

    def __init__(self, core: SessionCore, call_id: str, local_tag: str, flow: Flow) -> None:
        self.core = core
        self.call_id = call_id
        self.local_tag = local_tag
        self.id = f"{call_id};{local_tag}"
        """Unique among the sessions of this endpoint."""
        self.state = SessionState.EARLY
        self.owner: SessionHandler | None = None
        """Who gets the events; a slot for the user of the stack. None again when the session has ended."""
        self.flow = flow
        """The way the initial INVITE took."""
        self.request: Request | None = None
        """The initial INVITE."""
        self.dialog: Dialog | None = None
        """The confirmed dialog, or the (latest) early one."""
        self.authenticate: Authenticate | None = None
        self.local_body = b""
        """The last offer or answer of ours that stands, that is, was not refused; a session refresh repeats it."""
        self.on_trying: Callable[[], None] | None = None
        """UAC: called once, at the first 1xx of any kind, 100 included; for owners who want to know that the peer
        reacts.
        """
        self.on_withdrawn: Callable[[], None] | None = None
        """Called when the peer cancels a re-INVITE that ``on_reinvite`` has told and nobody has answered yet; 487 has
        been sent, and the session goes on as it was.
        """
        self.replaces: Session | None = None
        """UAS: the live session that the INVITE asks to take the place of (RFC 3891); it is confirmed, or an outgoing
        one that rings. Whether the caller may, and hanging the old one up, is the handler's business.
        """
        self.transfers = 0
        """REFERs of the peer that were accepted."""
        self.transfers_open = 0
        """Those without an outcome yet; see ``refer``."""
        self.timer = SessionTimer(core, self._refresh, self._expired)
        self.renegotiation = Renegotiation(self)
        self._bye_headers: HeaderList | None = None

    @property
    def remote_tag(self) -> str:
        return self.dialog.remote_tag if self.dialog else ""

    @property
    def alive(self) -> bool:
        return self.state is not SessionState.TERMINATED

    @property
    def confirmed(self) -> bool:
        return self.state is SessionState.CONFIRMED

    # What the owner calls.

    def request_in_dialog(
        self,
        method: str,
        headers: HeaderList = (),
        body: bytes = b"",
        content_type: str = "",
        on_response: Callable[[Response | None], None] | None = None,
    ) -> bool:
        """Send INFO, OPTIONS, REFER, NOTIFY, MESSAGE. ``on_response`` gets the final response, or None when there was
        none.

        A 481 to it, or no answer at all, ends the session with ``on_failed`` (RFC 5057), after ``on_response``.
        """
        if not self.alive or self.dialog is None:
            return False

        def answered(_: ClientTransaction, response: Response) -> None:
            if response.status >= 200:
                if on_response is not None:
                    self.core.guard(on_response, response)
                if response.status == 481:
                    self.failed(Failure.GONE)

        def failed(cause: Failure) -> None:
            if on_response is not None:
                self.core.guard(on_response, None)
            self.failed(cause)

        self.exchange(method, headers, body, content_type, answered, failed)
        return True

    def reinvite(
        self, body: bytes = b"", headers: HeaderList = (), content_type: str = "", *, defer_ack: bool = False
    ) -> bool:
        """Send a re-INVITE; ``on_reinvite_result`` follows. One at a time: False while another one is under way.

        491 is retried after the time RFC 3261 §14.1 gives. With ``defer_ack`` (empty body: the peer makes the offer)
        the 2xx is ACKed by ``ack(body)``.
        """
        return self.renegotiation.send("INVITE", body, headers, content_type, defer_ack)

    def update(self, body: bytes = b"", headers: HeaderList = (), content_type: str = "") -> bool:
        """Send an UPDATE (RFC 3311); ``on_reinvite_result`` follows. False while a re-INVITE or UPDATE is under way."""
        return self.renegotiation.send("UPDATE", body, headers, content_type, False)

    def accept_reinvite(self, body: bytes = b"", headers: HeaderList = (), content_type: str = "") -> bool:
        """200 to the peer's re-INVITE or UPDATE."""
        return self.renegotiation.accept(body, headers, content_type)

    def reject_reinvite(self, status: int, reason: str | None = None, headers: HeaderList = ()) -> bool:
        """Refuse the peer's re-INVITE or UPDATE; the session goes on as it was."""
        return self.renegotiation.reject(status, reason, headers)

    def pin(self) -> None:
        """Requests within the dialog go back the way the peer's come, whatever its Contact says (phones behind NAT).

        Not so for a caller that shows that it listens elsewhere (``listens_at_contact``).
        """
        if self.role == "uas" and self.request is not None and listens_at_contact(self.request, self.flow):
            return
        if self.dialog is not None:
            self.dialog.pinned = True
            self.dialog.moved()

    def ack(self, body: bytes = b"", content_type: str = "") -> bool:
        """Send the deferred ACK of a 2xx to our INVITE or re-INVITE; ``body`` is the answer to the peer's offer."""
        return self.renegotiation.ack(body, content_type)

    def bye(self, headers: HeaderList = ()) -> bool:
        """Hang up a confirmed session. Silent: no event follows."""
        if self.state is not SessionState.CONFIRMED or self.dialog is None:
            return False
        self.close()
        self.dismiss()
        self._bye_headers = headers
        if not self._must_wait():
            self.send_bye()
        return True

    def hang_up(self, headers: HeaderList = ()) -> bool:
        """End the session the right way for its state: BYE, CANCEL or 480."""
        raise NotImplementedError

    # For the rest of the stack.

    def exchange(
        self,
        method: str,
        headers: HeaderList,
        body: bytes,
        content_type: str,
        on_response: Callable[[ClientTransaction, Response], None],
        on_failure: Callable[[Failure], None],
        *,
        contact: bool = False,
        dialog: Dialog | None = None,
    ) -> Exchange:
        """Send a request in the dialog, with the session's credentials if it is challenged."""
        chosen = dialog or self.dialog
        if chosen is None:
            raise RuntimeError("no dialog yet")

        def make(credentials: list[tuple[str, str]]) -> tuple[Request, Flow]:
            chosen.local_seq += 1
            branch = MAGIC + self.core.token()
            every = [*headers, *credentials, ("User-Agent", self.core.config.user_agent)]
            return chosen.request(
                method, branch, chosen.local_seq, self.core.config, every, body, content_type, contact=contact
            )

        switch = not chosen.pinned
        return Exchange(self.core, make, self.authenticate, on_response, on_failure, may_switch=switch).start()

    def find_dialog(self, remote_tag: str) -> Dialog | None:
        """The dialog with that peer."""
        return self.dialog if self.dialog is not None and self.dialog.remote_tag == remote_tag else None

    def receive_ack(self, request: Request) -> None:
        """An ACK in our dialog."""
        if not self.renegotiation.acknowledged(request):
            return
        if self.alive and self.owner is not None:
            self.core.guard(self.owner.on_ack, self, request)
        self.renegotiation.resume()

    def receive_request(self, transaction: ServerTransaction, request: Request) -> None:
        """A new request with our tags, already checked by the endpoint."""
        dialog = self.find_dialog(request.from_tag)
        number, method = request.cseq
        if dialog is None or (not self.alive and method != "BYE"):
            transaction.respond(481)
            return
        if number < dialog.remote_seq and method != "BYE":
            transaction.respond(500, "Out of order", [("Retry-After", "1")])
            return
        dialog.remote_seq = max(number, dialog.remote_seq)
        if dialog.pinned:
            dialog.flow = transaction.source
            dialog.moved()
        if method == "BYE":
            self._receive_bye(transaction, request)
        elif method in ("INVITE", "UPDATE"):
            self.renegotiation.receive(transaction, request, dialog)
        elif method == "OPTIONS":
            transaction.respond(200, headers=self.capabilities())
        elif method == "PRACK":
            self.receive_prack(transaction, request)
        elif method == "NOTIFY":
            # We subscribe to nothing; the call is not meant by this 481 (RFC 5057 §5.1).
            transaction.respond(481, "Subscription Does Not Exist")
        elif self.owner is None:
            transaction.respond(480)
        elif not self.core.guard(self.owner.on_request, self, transaction, request):
            transaction.respond(500)

    def receive_prack(self, transaction: ServerTransaction, request: Request) -> None:
        """RFC 3262: a PRACK of nothing that we sent."""
        transaction.respond(481)

    def capabilities(self) -> list[tuple[str, str]]:
        """Allow, Supported and Accept."""
        return self.core.config.capabilities()

    def close(self) -> None:
        """No more events to the owner; timers and pending requests end."""
        self.state = SessionState.TERMINATED
        self.timer.stop()
        self.renegotiation.close()

    def end(self) -> None:
        """Close and leave the endpoint's table."""
        self.close()
        self.leave()

    def dismiss(self) -> SessionHandler | None:
        """The owner, who is let go of: nothing more will be told, and a finished call is freed at once."""
        owner, self.owner = self.owner, None
        self.on_trying = self.on_withdrawn = None
        self.replaces = None
        return owner

    def leave(self) -> None:
        """Out of the endpoint's table; our 2xx is repeated no more."""
        self.renegotiation.stop_repeating()
        self.core.remove_session(self)

    def failed(self, cause: Failure, *, hang_up: bool = True) -> None:
        """The session ends without the peer saying so."""
        if not self.alive:
            return
        confirmed = self.state is SessionState.CONFIRMED
        self.close()
        if confirmed and hang_up and cause is not Failure.GONE:
            self.send_bye()
        else:
            self.leave()
        if (owner := self.dismiss()) is not None:
            self.core.guard(owner.on_failed, self, cause)

    def send_bye(self, dialog: Dialog | None = None, headers: Sequence[tuple[str, str]] = ()) -> None:
        """BYE, and leave the table when it is answered."""
        headers = headers or self._bye_headers or ()
        if not self.alive:
            self._bye_headers = None
            self.renegotiation.stop_repeating()

        def done(_: ClientTransaction, response: Response) -> None:
            if response.status >= 200 and not self.alive:
                self.leave()

        def lost(_: Failure) -> None:
            if not self.alive:
                self.leave()

        self.exchange("BYE", headers, b"", "", done, lost, dialog=dialog)

    def settled(self) -> None:
        """The ACK for which a BYE had to wait has come, or will not come."""
        if self._bye_headers is not None and not self.alive:
            self.send_bye()

    def _must_wait(self) -> bool:
        """RFC 3261 §15: a callee sends no BYE before the ACK of its 2xx; a caller ACKs first."""
        if self.renegotiation.owes_ack:
            self.renegotiation.ack(b"", "")
        return self.role == "uas" and self.renegotiation.awaits_ack

    def _receive_bye(self, transaction: ServerTransaction, request: Request) -> None:
        transaction.respond(200)
        if not self.alive:
            if self._bye_headers is not None:
                self._bye_headers = None
                self.leave()
            return
        early = self.state is SessionState.EARLY
        self.on_peer_left()
        self.end()
        if (owner := self.dismiss()) is not None:
            if early and self.role == "uas":
                self.core.guard(owner.on_cancelled, self, request)
            else:
                self.core.guard(owner.on_bye, self, request)

    def on_peer_left(self) -> None:
        """A BYE came: settle what is open."""

    def _refresh(self) -> None:
        self.renegotiation.refresh()

    def _expired(self) -> None:
        self.failed(Failure.EXPIRED)
