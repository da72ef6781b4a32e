"""Against SIPp, an independent implementation: its built-in caller and callee, without and with loss."""

from __future__ import annotations

import asyncio
import random
import shutil
import socket
from pathlib import Path
from typing import Any

import pytest
import uvloop

from earwitness.edge.sip.events import EndpointConfig, Target
from earwitness.edge.sip.transport import Transport

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(shutil.which("sipp") is None, reason="needs sipp: apt-get install sip-tester"),
]

SDP = (
    b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 6000 RTP/AVP 0\r\n"
    b"a=rtpmap:0 PCMU/8000\r\n"
)


class Party:
    """Answers calls, and hangs up calls of its own as soon as they are answered."""

    def __init__(self) -> None:
        self.ends: list[str] = []
        self.transport: Transport | None = None

    def on_invite(self, session: Any, request: Any) -> None:
        session.owner = self
        session.progress(180)
        session.accept(SDP)

    def on_request(self, *args: Any) -> None:
        args[-2].respond(200)

    def on_progress(self, session: Any, response: Any) -> None:
        pass

    def on_ack(self, session: Any, request: Any) -> None:
        pass

    def on_accepted(self, session: Any, response: Any) -> None:
        self.ends.append("accepted")
        session.bye()

    def on_rejected(self, session: Any, response: Any) -> None:
        self.ends.append(f"rejected {response.status}")

    def on_bye(self, session: Any, request: Any) -> None:
        self.ends.append("bye")

    def on_failed(self, session: Any, cause: Any) -> None:
        self.ends.append(f"failed {cause.value}")


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def sipp(folder: Path, *arguments: str) -> int:
    quiet = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(
        "sipp", *arguments, "-i", "127.0.0.1", "-nostdin", "-timeout", "60s", "-timeout_error",
        cwd=folder, stdin=quiet, stdout=quiet, stderr=quiet,
    )  # fmt: skip
    try:
        return await asyncio.wait_for(process.wait(), 90)
    finally:
        if process.returncode is None:
            process.kill()


@pytest.mark.parametrize("extra", [[], ["-lost", "5"], ["-t", "t1"]], ids=["udp", "udp 5 % lost", "tcp"])
def test_sipp_calls_us(tmp_path: Path, extra: list[str]) -> None:
    async def scenario() -> None:
        party = Party()
        transport = Transport(EndpointConfig(), party)
        await transport.start("127.0.0.1", 0)
        remote = f"127.0.0.1:{transport.port}"
        code = await sipp(tmp_path, "-sn", "uac", remote, "-m", "60", "-r", "60", "-p", str(free_port()), *extra)
        assert code == 0
        if "-lost" not in extra:  # when ACK and BYE are both lost, SIPp takes our next 200 for the answer to its BYE
            assert party.ends == ["bye"] * 60
            assert transport.endpoint.sizes["sessions"] == 0
        await transport.stop()

    uvloop.run(scenario())


@pytest.mark.parametrize("kind", ["udp", "udp 5 % lost", "tcp"])
def test_we_call_sipp(tmp_path: Path, kind: str) -> None:
    async def scenario() -> None:
        party = Party()
        transport = Transport(EndpointConfig(), party)
        await transport.start("127.0.0.1", 0)
        port = free_port()
        extra = ["-t", "t1"] if kind == "tcp" else []
        if "lost" in kind:
            lose(transport, 0.05)
        peer = asyncio.create_task(sipp(tmp_path, "-sn", "uas", "-p", str(port), "-m", "60", *extra))
        flow = transport.endpoint.flow_to(kind[:3], ("127.0.0.1", port))
        target = Target("sip:service@127.0.0.1", flow, "<sip:a@127.0.0.1>", "<sip:service@127.0.0.1>")
        await listening(flow.transport, port)
        for _ in range(60):
            transport.endpoint.invite(target, SDP, owner=party)
            await asyncio.sleep(0.01)
        assert await peer == 0
        assert party.ends == ["accepted"] * 60
        await transport.stop()

    uvloop.run(scenario())


def lose(transport: Transport, share: float) -> None:
    """Lose some of what we send. (SIPp's callee gives up when both its 180 and its 200 are lost, so those arrive.)"""
    rng = random.Random(5)
    take = transport.endpoint.take_outgoing
    transport.endpoint.take_outgoing = lambda: [item for item in take() if rng.random() >= share]  # type: ignore[method-assign]


async def listening(kind: str, port: int) -> None:
    """Wait until somebody has bound the port."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("takes_tcp", [True, False])
def test_a_long_invite_reaches_sipp(tmp_path: Path, takes_tcp: bool) -> None:
    async def scenario() -> None:
        party = Party()
        transport = Transport(EndpointConfig(), party)
        await transport.start("127.0.0.1", 0)
        port = free_port()
        extra = ["-t", "t1"] if takes_tcp else []
        peer = asyncio.create_task(sipp(tmp_path, "-sn", "uas", "-p", str(port), "-m", "3", *extra))
        flow = transport.endpoint.flow_to("udp", ("127.0.0.1", port))
        target = Target("sip:service@127.0.0.1", flow, "<sip:a@127.0.0.1>", "<sip:service@127.0.0.1>")
        await listening("tcp" if takes_tcp else "udp", port)
        for _ in range(3):
            transport.endpoint.invite(target, SDP + b"a=x\r\n" * 300, owner=party)
        assert await peer == 0
        assert party.ends == ["accepted"] * 3
        await transport.stop()

    uvloop.run(scenario())
