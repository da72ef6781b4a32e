"""Server transactions: one request, answered once however often it arrives (RFC 3261 §17.2, RFC 6026 §8.5).

INVITE:   PROCEEDING -2xx-> ACCEPTED -L-> TERMINATED    (the session repeats the 2xx until its ACK comes)
                     -3xx+-> COMPLETED (G repeats it) -ACK-> CONFIRMED -I-> TERMINATED;  H: no ACK came
others:   PROCEEDING (Trying) -final-> COMPLETED -J-> TERMINATED
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from earwitness.edge.sip.events import Flow
from earwitness.edge.sip.headers import first_element
from earwitness.edge.sip.message import Request
from earwitness.edge.sip.responses import build_response
from earwitness.edge.sip.timers import Timer
from earwitness.edge.sip.transaction import Core, State


def response_flow(request: Request, source: Flow) -> Flow:
    """Where responses go (RFC 3261 §18.2.2, RFC 3581 §4): to the source, at the Via's port unless ``rport`` was asked
    for.

    The top Via gets its ``received`` and ``rport`` here, as text, in place.
    """
    via = request.top_via
    host, port = source.remote
    for index, (key, name, value) in enumerate(request.fields):
        if key == "via":
            request.fields[index] = (key, name, _stamp(value, host, port, via.wants_rport, via.host != host))
            break
    if source.transport != "udp" or via.wants_rport:
        return source
    return source._replace(remote=(host, via.port or 5060))


def _stamp(value: str, host: str, port: int, rport: bool, moved: bool) -> str:
    if not rport and not moved:
        return value
    first, rest = first_element(value)
    parts = [part for part in first.split(";") if part.split("=")[0].strip().lower() not in ("rport", "received")]
    parts[-1] = parts[-1].rstrip()
    parts.append(f"received={host}")
    if rport:
        parts.append(f"rport={port}")
    return ";".join(parts) + rest


class ServerTransaction:
    """A non-INVITE server transaction, and the base of the INVITE one."""

    __slots__ = (
        "_core",
        "_repeat",
        "_timer",
        "flow",
        "key",
        "last",
        "local_tag",
        "merge_key",
        "request",
        "source",
        "state",
        "status",
    )

    def __init__(self, core: Core, request: Request, source: Flow, key: str, local_tag: str = "") -> None:
        self._core = core
        self.request = request
        self.source = source
        """Where the request came from."""
        self.flow = response_flow(request, source)
        self.key = key
        self.merge_key: tuple[str, str, int, str] | None = None
        self.local_tag = local_tag or core.token()
        """The To tag of our responses, where the request has none."""
        self.state = State.PROCEEDING
        self.status = 0
        """Of the last response, 0 before there is one."""
        self.last = b""
        self._timer: Timer | None = None
        self._repeat: Timer | None = None
        self._arm()

    @property
    def answered(self) -> bool:
        """A final response has been given."""
        return self.status >= 200

    def respond(
        self,
        status: int,
        reason: str | None = None,
        headers: Sequence[tuple[str, str]] = (),
        body: bytes = b"",
        content_type: str = "",
    ) -> bool:
        """Answer. A second final response does nothing and gives False.

        :raises ValueError: a header contains a line break.
        """
        if self.answered or self.state is State.TERMINATED:
            return False
        response = build_response(
            self.request,
            status,
            reason,
            to_tag=self.local_tag if status > 100 else "",
            headers=[*headers, ("Server", self._core.config.user_agent)],
            body=body,
            content_type=content_type,
        )
        self.last = response.to_bytes()
        self.status = status
        self._core.send(self.flow, self.last)
        if status >= 200:
            self._on_final(status)
        return True

    def _arm(self) -> None:
        """Nobody waits longer than 64*T1 for an answer (timer F), so an owner who forgets costs no memory."""
        self._timer = self._core.after(self._core.config.timers.patience, self._on_forgotten)

    def _on_forgotten(self) -> None:
        self.respond(500)

    def receive_again(self) -> None:
        """The same request once more."""
        if self.last:
            self._core.send(self.flow, self.last)

    def terminate(self) -> None:
        """Forget it."""
        if self.state is not State.TERMINATED:
            self.state = State.TERMINATED
            self._stop_timer()
            self._core.remove_server(self)

    def _on_final(self, status: int) -> None:
        self._stop_timer()
        self.state = State.COMPLETED
        if self.flow.transport == "udp":
            self._timer = self._core.after(self._core.config.timers.patience, self.terminate)
        else:
            self.terminate()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class InviteServerTransaction(ServerTransaction):
    """The INVITE server transaction."""

    __slots__ = ("_interval", "on_cancel")

    def __init__(self, core: Core, request: Request, source: Flow, key: str, local_tag: str = "") -> None:
        super().__init__(core, request, source, key, local_tag)
        self._interval = core.config.timers.t1
        self.on_cancel: Callable[[Request], None] | None = None
        """Called with the CANCEL; the CANCEL itself has been answered."""

    def _arm(self) -> None:
        """A call may ring for as long as its owner likes."""

    def receive_ack(self) -> None:
        """The ACK of a 3xx..6xx."""
        if self.state is State.COMPLETED:
            self.state = State.CONFIRMED
            self._stop_timer()
            if self.flow.transport == "udp":
                self._timer = self._core.after(self._core.config.timers.t4, self.terminate)
            else:
                self.terminate()

    def receive_again(self) -> None:
        if self.state is not State.CONFIRMED and self.last:
            self._core.send(self.flow, self.last)

    def acknowledged(self) -> None:
        """The ACK of our 2xx came: a repeated INVITE is only absorbed from now on."""
        self.last = b""

    def terminate(self) -> None:
        super().terminate()
        self.on_cancel = None

    def _on_final(self, status: int) -> None:
        patience = self._core.config.timers.patience
        if status < 300:
            self.state = State.ACCEPTED
            self._timer = self._core.after(patience, self.terminate)
            return
        self.state = State.COMPLETED
        self._timer = self._core.after(patience, self.terminate)
        if self.flow.transport == "udp":
            self._repeat = self._core.after(self._interval, self._on_repeat)

    def _on_repeat(self) -> None:
        self._core.send(self.flow, self.last)
        self._interval = min(self._interval * 2, self._core.config.timers.t2)
        self._repeat = self._core.after(self._interval, self._on_repeat)

    def _stop_timer(self) -> None:
        super()._stop_timer()
        if self._repeat is not None:
            self._repeat.cancel()
            self._repeat = None
