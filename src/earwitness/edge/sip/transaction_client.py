"""Client transactions: one request, repeated until somebody answers (RFC 3261 §17.1, RFC 6026 §8.4).

INVITE:      CALLING -1xx-> PROCEEDING -2xx-> ACCEPTED -M-> TERMINATED
                                       -3xx+-> COMPLETED (ACK each) -D-> TERMINATED
             A repeats it (UDP), B gives up, C (PROCEEDING only) is the longest wait for a final response.
others:      CALLING -1xx-> PROCEEDING -final-> COMPLETED -K-> TERMINATED;  E repeats it (UDP), F gives up.

CANCEL waits for the first 1xx (§9.1). After it a peer has 64*T1 to send a final response.
"""

from __future__ import annotations

from typing import Protocol

from earwitness.edge.sip.events import Failure, Flow
from earwitness.edge.sip.headers import header_key
from earwitness.edge.sip.message import Request, Response
from earwitness.edge.sip.timers import Timer
from earwitness.edge.sip.transaction import Core, State


class ClientUser(Protocol):
    """Who sent the request."""

    def on_response(self, transaction: ClientTransaction, response: Response) -> None:
        """A provisional response, the final one, or (INVITE) each repeated 2xx."""

    def on_failure(self, transaction: ClientTransaction, cause: Failure) -> None:
        """No final response will come. The transaction is over."""


class _Nobody:
    """The user of a CANCEL, whose own answer tells nothing, and of transactions that are over."""

    def on_response(self, transaction: ClientTransaction, response: Response) -> None:
        pass

    def on_failure(self, transaction: ClientTransaction, cause: Failure) -> None:
        pass


NOBODY = _Nobody()


class ClientTransaction:
    """A non-INVITE client transaction, and the base of the INVITE one. ``start`` sends the request."""

    __slots__ = ("_core", "_data", "_give_up", "_interval", "_repeat", "_user", "flow", "key", "request", "state")

    def __init__(self, core: Core, request: Request, flow: Flow, user: ClientUser) -> None:
        self._core = core
        self._user = user
        self.request = request
        self.flow = flow
        self.state = State.CALLING
        self.key = f"{request.top_via.branch} {request.method}"
        self._data = b""
        self._interval = core.config.timers.t1
        self._repeat: Timer | None = None
        self._give_up: Timer | None = None

    def start(self) -> None:
        """Send the request and start the timers."""
        timers = self._core.config.timers
        self._data = self.request.to_bytes()
        self._core.add_client(self)
        if self.flow.transport == "udp":
            self._repeat = self._core.after(timers.t1, self._on_repeat)
        self._give_up = self._core.after(timers.patience, self._on_timeout)
        self._core.send(self.flow, self._data)

    def receive(self, response: Response) -> None:
        """A response whose branch and method are ours."""
        if self.state not in (State.CALLING, State.PROCEEDING):
            return
        if response.status < 200:
            self.state = State.PROCEEDING
            self._interval = self._core.config.timers.t2
        else:
            self._stop_timers()
            self.state = State.COMPLETED
            if self.flow.transport == "udp":
                self._give_up = self._core.after(self._core.config.timers.t4, self.terminate)
            else:
                user = self._user
                self.terminate()
                user.on_response(self, response)
                return
        self._user.on_response(self, response)

    def fail(self, cause: Failure) -> None:
        """No answer is to be expected any more (timeout, lost connection)."""
        if self.state in (State.CALLING, State.PROCEEDING):
            user = self._user
            self.terminate()
            user.on_failure(self, cause)

    def terminate(self) -> None:
        """Forget it; late responses will match nothing."""
        if self.state is not State.TERMINATED:
            self.state = State.TERMINATED
            self._stop_timers()
            self._user = NOBODY
            self._core.remove_client(self)

    def _stop_timers(self) -> None:
        if self._repeat is not None:
            self._repeat.cancel()
            self._repeat = None
        if self._give_up is not None:
            self._give_up.cancel()
            self._give_up = None

    def _on_repeat(self) -> None:
        self._core.send(self.flow, self._data)
        self._interval = min(self._interval * 2, self._core.config.timers.t2)
        self._repeat = self._core.after(self._interval, self._on_repeat)

    def _on_timeout(self) -> None:
        self.fail(Failure.TIMEOUT)


class InviteClientTransaction(ClientTransaction):
    """The INVITE client transaction."""

    __slots__ = ("_ack", "_cancel_headers", "_cancelled", "acks")

    def __init__(self, core: Core, request: Request, flow: Flow, user: ClientUser) -> None:
        super().__init__(core, request, flow, user)
        self._ack = b""
        self._cancelled = False
        self._cancel_headers: list[tuple[str, str]] | None = None
        self.acks: dict[str, tuple[Flow, bytes]] = {}
        """The ACK of each 2xx by its To tag, to be repeated with it."""

    def receive(self, response: Response) -> None:
        status = response.status
        user = self._user
        if self.state in (State.CALLING, State.PROCEEDING):
            if status < 200:
                self._on_provisional(status)
            elif status < 300:
                self._stop_timers()
                self.state = State.ACCEPTED
                self._give_up = self._core.after(self._core.config.timers.patience, self.terminate)
            else:
                self._on_rejection(response)
            user.on_response(self, response)
        elif self.state is State.ACCEPTED:
            if 200 <= status < 300:
                user.on_response(self, response)
        elif self.state is State.COMPLETED and status >= 300:
            self._core.send(self.flow, self._ack)

    def cancel(self, headers: list[tuple[str, str]]) -> None:
        """Send a CANCEL, as soon as a 1xx allows it. ``headers`` (Reason) go along."""
        if self._cancelled or self._cancel_headers is not None:
            return
        self._cancel_headers = headers
        if self.state is State.PROCEEDING:
            self._send_cancel()

    def _on_provisional(self, status: int) -> None:
        first = self.state is State.CALLING
        self.state = State.PROCEEDING
        if self._cancelled:
            return
        if first or status > 100:
            self._stop_timers()
            self._give_up = self._core.after(self._core.config.timers.timer_c, self._on_timer_c)
        if self._cancel_headers is not None:
            self._send_cancel()

    def _on_timer_c(self) -> None:
        self._cancel_headers = []
        self._send_cancel()

    def _send_cancel(self) -> None:
        self._cancelled = True
        self._stop_timers()
        self._give_up = self._core.after(self._core.config.timers.patience, self._on_timeout)
        fields = [f for f in self.request.fields if f[0] in ("from", "to", "call-id", "route", "max-forwards")]
        fields.insert(0, next(f for f in self.request.fields if f[0] == "via"))
        fields.append(("cseq", "CSeq", f"{self.request.cseq[0]} CANCEL"))
        fields += [(header_key(name), name, value) for name, value in self._cancel_headers or []]
        ClientTransaction(self._core, Request("CANCEL", self.request.uri, fields), self.flow, NOBODY).start()

    def _on_rejection(self, response: Response) -> None:
        self._stop_timers()
        self.state = State.COMPLETED
        fields = []
        for field in self.request.fields:
            if field[0] in ("via", "from", "call-id", "route", "max-forwards"):
                fields.append(field)
            elif field[0] == "to":
                fields.append(("to", "To", response.get("to") or field[2]))
        fields.append(("cseq", "CSeq", f"{self.request.cseq[0]} ACK"))
        self._ack = Request("ACK", self.request.uri, fields).to_bytes()
        self._core.send(self.flow, self._ack)
        if self.flow.transport == "udp":
            self._give_up = self._core.after(max(32.0, self._core.config.timers.patience), self.terminate)
        else:
            self.terminate()

    def _on_repeat(self) -> None:
        self._core.send(self.flow, self._data)
        self._interval *= 2
        self._repeat = self._core.after(self._interval, self._on_repeat)
