"""SIP endpoints without sockets: ``wire`` is one endpoint whose peer is the test, ``network`` several that talk.

Time is a number that the test advances; the network loses, repeats and reorders as told.
"""

from __future__ import annotations

import heapq
import random
import re
from collections.abc import Callable
from typing import Any

import pytest

from earwitness.edge.sip.endpoint import Endpoint
from earwitness.edge.sip.events import EndpointConfig, Failure, Flow
from earwitness.edge.sip.message import Request, Response, parse_message

US = ("192.0.2.1", 5060)
PEER = ("192.0.2.99", 5060)

OFFER = b"v=0\r\no=- 1 1 IN IP4 192.0.2.99\r\ns=-\r\nc=IN IP4 192.0.2.99\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"
ANSWER = OFFER.replace(b"192.0.2.99", b"192.0.2.1")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Recorder:
    """A handler and session owner that writes down what it is told; ``on`` adds reactions by event name."""

    def __init__(self) -> None:
        self.events: list[tuple[str, Any]] = []
        self.sessions: list[Any] = []
        self.transactions: list[Any] = []
        self.on: dict[str, Callable[..., None]] = {}

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.events]

    def last(self, name: str) -> Any:
        return [value for event, value in self.events if event == name][-1]

    def _note(self, name: str, value: Any, *args: Any) -> None:
        self.events.append((name, value))
        if name in self.on:
            self.on[name](*args)

    def on_invite(self, session: Any, request: Request) -> None:
        session.owner = self
        self.sessions.append(session)
        self._note("invite", request, session, request)

    def on_request(self, *args: Any) -> None:
        transaction, request = args[-2], args[-1]
        self.transactions.append(transaction)
        self._note("request", request, *args)

    def on_progress(self, session: Any, response: Response) -> None:
        self._note("progress", response, session, response)

    def on_accepted(self, session: Any, response: Response) -> None:
        self._note("accepted", response, session, response)

    def on_rejected(self, session: Any, response: Response) -> None:
        self._note("rejected", response, session, response)

    def on_ack(self, session: Any, request: Request) -> None:
        self._note("ack", request, session, request)

    def on_cancelled(self, session: Any, request: Request) -> None:
        self._note("cancelled", request, session, request)

    def on_reinvite(self, session: Any, request: Request) -> None:
        self._note("reinvite", request, session, request)

    def on_reinvite_result(self, session: Any, response: Response) -> None:
        self._note("reinvite_result", response, session, response)

    def on_bye(self, session: Any, request: Request) -> None:
        self._note("bye", request, session, request)

    def on_failed(self, session: Any, cause: Failure) -> None:
        self._note("failed", cause, session, cause)


class Wire:
    """One endpoint; the test plays the peer at 192.0.2.99:5060 and reads what comes out."""

    def __init__(self, **config: Any) -> None:
        self.clock = Clock()
        self.handler = Recorder()
        self.config = EndpointConfig(address_for=lambda transport, remote: US, **config)
        self.endpoint = Endpoint(self.config, self.handler, clock=self.clock, rng=random.Random(7))
        self.flow = Flow("udp", US, PEER)
        self.tcp = Flow("tcp", US, PEER, 1)
        self.sent_to: list[Flow] = []

    def put(self, data: str | bytes, source: Flow | None = None) -> list[Any]:
        """Deliver a message; what the endpoint sends at once."""
        if isinstance(data, str):
            data = data.encode("utf-8", "surrogateescape")
        self.endpoint.receive(data, source or self.flow)
        return self.take()

    def take(self) -> list[Any]:
        """What the endpoint has sent, parsed."""
        out = self.endpoint.take_outgoing()
        self.sent_to = [flow for flow, _ in out]
        return [parse_message(data) for _, data in out]

    def advance(self, seconds: float) -> list[Any]:
        """Let time pass, timer by timer; what was sent meanwhile, each with its time in ``at``."""
        end = self.clock.now + seconds
        start = self.clock.now
        sent = []
        while (when := self.endpoint.next_timer()) is not None and when <= end:
            self.clock.now = max(self.clock.now, when)
            self.endpoint.fire_timers()
            for message in self.take():
                message.at = round(self.clock.now - start, 3)
                sent.append(message)
        self.clock.now = end
        return sent

    def settle(self) -> dict[str, int]:
        """Let every timer run out; the sizes of all tables after that."""
        self.advance(10_000)
        return self.endpoint.sizes

    def target(self, **values: Any) -> Any:
        from earwitness.edge.sip.events import Target

        values.setdefault("uri", "sip:bob@192.0.2.99")
        values.setdefault("flow", self.flow)
        values.setdefault("from_", "<sip:alice@192.0.2.1>")
        values.setdefault("to", "<sip:bob@192.0.2.99>")
        return Target(**values)


def request_text(
    method: str,
    *,
    uri: str = "sip:alice@192.0.2.1",
    branch: str = "z9hG4bK-1",
    cseq: int = 1,
    call_id: str = "call-1",
    from_tag: str = "ft",
    to_tag: str = "",
    body: bytes = b"",
    headers: str = "",
    via: str = "",
    contact: str = "Contact: <sip:bob@192.0.2.99:5060>\r\n",
    cseq_method: str = "",
) -> bytes:
    """A request as the peer would write it; ``headers`` are whole lines with CRLF."""
    via = via or f"SIP/2.0/UDP 192.0.2.99:5060;branch={branch};rport"
    to = f";tag={to_tag}" if to_tag else ""
    kind = "Content-Type: application/sdp\r\n" if body and "content-type" not in headers.lower() else ""
    head = (
        f"{method} {uri} SIP/2.0\r\nVia: {via}\r\nMax-Forwards: 70\r\nFrom: <sip:bob@192.0.2.99>;tag={from_tag}\r\n"
        f"To: <sip:alice@192.0.2.1>{to}\r\nCall-ID: {call_id}\r\nCSeq: {cseq} {cseq_method or method}\r\n"
        f"{contact}{headers}{kind}Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode("utf-8", "surrogateescape") + body


def response_text(
    request: Request, status: int, *, to_tag: str = "tt", body: bytes = b"", headers: str = "", contact: bool = True
) -> bytes:
    """A response of the peer to a request of ours."""
    lines = [f"SIP/2.0 {status} Whatever"]
    for key, name, value in request.fields:
        if key in ("via", "from", "call-id", "cseq"):
            lines.append(f"{name}: {value}")
        elif key == "to":
            tag = f";tag={to_tag}" if to_tag and "tag=" not in value else ""
            lines.append(f"{name}: {value}{tag}")
    if contact:
        lines.append("Contact: <sip:bob@192.0.2.99:5060>")
    if body:
        lines.append("Content-Type: application/sdp")
    head = "\r\n".join(lines) + "\r\n" + headers + f"Content-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


class Network:
    """Endpoints at 192.0.2.1, .2, ... with a shared clock and an imperfect network between them."""

    def __init__(self, loss: float = 0.0, duplicate: float = 0.0, jitter: float = 0.0, seed: int = 1) -> None:
        self.clock = Clock()
        self.rng = random.Random(seed)
        self.loss = loss
        self.duplicate = duplicate
        self.jitter = jitter
        self.nodes: dict[str, tuple[Endpoint, Recorder]] = {}
        self.log: list[tuple[str, str]] = []
        self._air: list[tuple[float, int, Flow, bytes]] = []
        self._count = 0

    def node(self, host: str, **config: Any) -> tuple[Endpoint, Recorder]:
        recorder = Recorder()
        settings = EndpointConfig(address_for=lambda transport, remote: (host, 5060), **config)
        endpoint = Endpoint(settings, recorder, clock=self.clock, rng=random.Random(self.rng.random()))
        self.nodes[host] = (endpoint, recorder)
        return endpoint, recorder

    def run(self, seconds: float) -> None:
        """Let time pass."""
        end = self.clock.now + seconds
        while True:
            self._collect()
            times = [t for endpoint, _ in self.nodes.values() if (t := endpoint.next_timer()) is not None]
            if self._air:
                times.append(self._air[0][0])
            if not times or min(times) > end:
                break
            self.clock.now = max(self.clock.now, min(times))
            while self._air and self._air[0][0] <= self.clock.now:
                _, _, flow, data = heapq.heappop(self._air)
                if flow.remote[0] in self.nodes:
                    source = Flow(flow.transport, flow.remote, flow.local, flow.connection)
                    self.nodes[flow.remote[0]][0].receive(data, source)
            for endpoint, _ in self.nodes.values():
                endpoint.fire_timers()
        self.clock.now = end

    def _collect(self) -> None:
        for host, (endpoint, _) in self.nodes.items():
            for flow, data in endpoint.take_outgoing():
                self.log.append((host, re.split(rb" (?:SIP/2.0)?|\r", data, maxsplit=2)[0].decode()))
                copies = 1 + (self.rng.random() < self.duplicate)
                for _ in range(copies):
                    if self.rng.random() >= self.loss:
                        self._count += 1
                        when = self.clock.now + 0.01 + self.rng.random() * self.jitter
                        heapq.heappush(self._air, (when, self._count, flow, data))


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture(scope="session")
def make_wire() -> type[Wire]:
    return Wire


@pytest.fixture(scope="session")
def make_network() -> type[Network]:
    return Network


@pytest.fixture(scope="session")
def req() -> Callable[..., bytes]:
    return request_text


@pytest.fixture(scope="session")
def resp() -> Callable[..., bytes]:
    return response_text
