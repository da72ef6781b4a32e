"""The endpoint on real sockets: UDP and TCP beside each other, garbage, broken streams, reuse of connections."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
import uvloop

from earwitness.edge.sip import transport as module
from earwitness.edge.sip.events import EndpointConfig, Target, Timers
from earwitness.edge.sip.message import parse_message
from earwitness.edge.sip.transport import Transport

BODY = b"v=0\r\n" + b"a=x\r\n" * 2200


class Callee:
    """Answers everything; notes what happens; ``happened`` wakes whoever waits."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.happened = asyncio.Event()

    def _note(self, name: str) -> None:
        self.names.append(name)
        self.happened.set()

    async def until(self, name: str, times: int = 1) -> None:
        async with asyncio.timeout(10):
            while self.names.count(name) < times:
                self.happened.clear()
                await self.happened.wait()

    def on_invite(self, session: Any, request: Any) -> None:
        session.owner = self
        self.size = len(request.body)
        session.accept(b"v=0\r\n")
        self._note("invite")

    def on_request(self, *args: Any) -> None:
        args[-2].respond(200)
        self._note("request")

    def on_accepted(self, session: Any, response: Any) -> None:
        self._note("accepted")

    def on_ack(self, session: Any, request: Any) -> None:
        self._note("ack")

    def on_bye(self, session: Any, request: Any) -> None:
        self._note("bye")

    def on_failed(self, session: Any, cause: Any) -> None:
        self._note(f"failed {cause.value}")


@contextlib.asynccontextmanager
async def transports(count: int) -> AsyncIterator[list[Any]]:
    made = []
    for _ in range(count):
        handler = Callee()
        transport = Transport(EndpointConfig(timers=Timers(t1=0.05), tcp_above=0), handler)
        await transport.start("127.0.0.1", 0)
        made.append((transport, handler))
    try:
        yield made
    finally:
        for transport, _ in made:
            await transport.stop()


def options(transport: str, port: int, number: int = 1, via_port: str = "") -> bytes:
    via = f"SIP/2.0/{transport} 127.0.0.1:{via_port or port};branch=z9hG4bK-{number};rport"
    return (
        f"OPTIONS sip:x@127.0.0.1 SIP/2.0\r\nVia: {via}\r\n"
        f"From: <sip:a@b>;tag=1\r\nTo: <sip:x@b>\r\nCall-ID: {number}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    ).encode()


def call(transport: Any, handler: Any, kind: str, port: int, body: bytes = BODY) -> Any:
    flow = transport.endpoint.flow_to(kind, ("127.0.0.1", port))
    target = Target("sip:bob@127.0.0.1", flow, "<sip:a@127.0.0.1>", "<sip:b@127.0.0.1>")
    return transport.endpoint.invite(target, body, owner=handler)


def test_calls_over_udp_and_tcp() -> None:
    async def scenario() -> None:
        async with transports(2) as ((ours, calls), (theirs, answers)):
            for number, kind in enumerate(("udp", "tcp"), 1):
                session = call(ours, calls, kind, theirs.port)
                await answers.until("ack", number)
                assert answers.size == len(BODY)
                assert kind in session.request.get("via").lower()
                session.bye()
                await answers.until("bye", number)
            assert len(theirs._connections) == 1

    uvloop.run(scenario())


def test_hang_up_by_the_called_side_uses_the_callers_connection() -> None:
    async def scenario() -> None:
        async with transports(2) as ((ours, calls), (theirs, answers)):
            sessions = []
            answers.on_ack = lambda session, request: (sessions.append(session), answers._note("ack"))
            call(ours, calls, "tcp", theirs.port)
            await answers.until("ack")
            sessions[0].bye()
            await calls.until("bye")
            assert len(ours._connections) == len(theirs._connections) == 1

    uvloop.run(scenario())


def test_refused_connection_fails_the_call_at_once() -> None:
    async def scenario() -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            async with transports(1) as ((ours, calls),):
                call(ours, calls, "tcp", taken.getsockname()[1])
                await calls.until("failed transport")

    uvloop.run(scenario())


def test_lost_connection_fails_the_call() -> None:
    async def scenario() -> None:
        async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(100)
            writer.transport.abort()

        server = await asyncio.start_server(swallow, "127.0.0.1", 0)
        async with transports(1) as ((ours, calls),):
            call(ours, calls, "tcp", server.sockets[0].getsockname()[1])
            await calls.until("failed transport")
        server.close()

    uvloop.run(scenario())


def test_impossible_addresses_do_not_stop_the_listener() -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        async with transports(1) as ((ours, handler),):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
                peer.setblocking(False)
                peer.bind(("127.0.0.1", 0))
                await loop.sock_connect(peer, ("127.0.0.1", ours.port))
                port = peer.getsockname()[1]
                for number, bad in enumerate(("99999", "0", "-5", "65536", "1" * 400), 10):
                    await loop.sock_sendall(peer, options("UDP", port, number, bad))
                for garbage in (b"\x00" * 50, b"\r\n\r\n", b"\xff" * 1400, b"INVITE", options("UDP", port)[:60]):
                    await loop.sock_sendall(peer, garbage)
                call(ours, handler, "udp", 99999)
                call(ours, handler, "tcp", 99999)
                call(ours, handler, "carrier-pigeon", 5060)
                await loop.sock_sendall(peer, options("UDP", port, 99))
                answer = parse_message(await asyncio.wait_for(loop.sock_recv(peer, 9000), 10))
                assert (answer.status, answer.call_id) == (200, "99")  # type: ignore[union-attr]

    uvloop.run(scenario())


def test_tcp_chunks_pipelining_keepalive_and_hopeless_streams() -> None:
    async def scenario() -> None:
        async with transports(1) as ((ours, handler),):
            reader, writer = await asyncio.open_connection("127.0.0.1", ours.port)
            writer.write(b"\r\n\r\n")
            assert await asyncio.wait_for(reader.readexactly(2), 10) == b"\r\n"
            writer.write(b"".join(options("TCP", 1, number) for number in (1, 2, 3)))
            for number in (1, 2, 3):
                head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
                assert f"Call-ID: {number}\r\n".encode() in head
            text = options("TCP", 1, 4)
            for position in range(0, len(text), 7):
                writer.write(text[position : position + 7])
                await asyncio.sleep(0)
            assert b"Call-ID: 4" in await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
            writer.write(b"OPTIONS sip:x SIP/2.0\r\nContent-Length: -1\r\n\r\n")
            assert await asyncio.wait_for(reader.read(), 10) == b""
            writer.close()
            _, writer = await asyncio.open_connection("127.0.0.1", ours.port)
            writer.write(options("TCP", 1, 5))
            await handler.until("request", 5)
            writer.close()

    uvloop.run(scenario())


async def connect(port: int, number: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection that has brought a message and had its answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(options("TCP", 1, number))
    await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
    return reader, writer


def test_one_host_cannot_take_all_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PER_HOST", 3)

    async def scenario() -> None:
        async with transports(1) as ((ours, _),):
            made = [await connect(ours.port, number) for number in range(3)]
            made[0][1].write(options("TCP", 1, 10))
            await asyncio.wait_for(made[0][0].readuntil(b"\r\n\r\n"), 10)
            made.append(await connect(ours.port, 11))
            assert await asyncio.wait_for(made[1][0].read(), 10) == b""
            assert len(ours._connections) == 3
            assert ours._accepted == {"127.0.0.1": 3}
            for _, writer in made:
                writer.close()
            while ours._accepted:
                await asyncio.sleep(0)

    uvloop.run(scenario())


def test_known_hosts_keep_their_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PER_HOST", 2)
    monkeypatch.setattr(module, "MAX_CONNECTIONS", 4)

    async def scenario() -> None:
        async with transports(1) as ((ours, _),):
            known = True
            ours.is_known = lambda host: known
            made = [await connect(ours.port, number) for number in range(4)]
            reader, writer = await asyncio.open_connection("127.0.0.1", ours.port)
            assert await asyncio.wait_for(reader.read(), 10) == b""
            assert len(ours._connections) == 4
            known = False
            made.append(await connect(ours.port, 9))
            assert await asyncio.wait_for(made[0][0].read(), 10) == b""
            for _, each in [*made, (reader, writer)]:
                each.close()

    uvloop.run(scenario())


def test_plain_asyncio_works_as_well() -> None:
    async def scenario() -> None:
        async with transports(2) as ((ours, calls), (theirs, answers)):
            session = call(ours, calls, "tcp", theirs.port)
            await answers.until("ack")
            session.bye()
            await answers.until("bye")

    asyncio.run(scenario())


def test_names_are_resolved_only_on_request() -> None:
    async def scenario() -> None:
        async with transports(1) as ((ours, _),):
            flow = await ours.resolve("udp", "localhost", 5070)
            assert flow.remote == ("127.0.0.1", 5070)
            assert flow.local == ("127.0.0.1", ours.port)

    uvloop.run(scenario())
