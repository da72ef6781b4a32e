"""REFER and Replaces against others: baresip, SIPp and the harness's scripted phone, over real sockets."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import uvloop

from earwitness.edge.sip.events import EndpointConfig, Flow, Target
from earwitness.edge.sip.refer import Transfer, receive_refer
from earwitness.edge.sip.transport import Transport

sys.path.insert(0, str(Path(__file__).parents[2]))

from peers.caller import ScriptedPhone
from peers.carrier import Carrier
from peers.phone import Account, Phone
from peers.scenario import Caller

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(shutil.which("sipp") is None, reason="needs sipp: apt-get install sip-tester"),
]

SDP = (
    b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 6000 RTP/AVP 0 101\r\n"
    b"a=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\n"
)


class Exchange:
    """Takes every call and every REFER; reports ringing and the outcome, then hangs up on the referrer."""

    def __init__(self, outcome: int = 200) -> None:
        self.outcome = outcome
        self.transport: Transport
        self.loop: asyncio.AbstractEventLoop
        self.sessions: list[Any] = []
        self.replaced: list[Any] = []
        self.transfers: list[Transfer] = []
        self.ends: list[str] = []

    def call(self, target: Target) -> None:
        self.transport.endpoint.invite(target, SDP, owner=self)

    def on_invite(self, session: Any, request: Any) -> None:
        session.owner = self
        self.sessions.append(session)
        session.accept(SDP)
        if session.replaces is not None:
            self.replaced.append(session.replaces)
            session.replaces.bye()

    def on_request(self, *args: Any) -> None:
        if args[-1].method != "REFER":
            args[-2].respond(200)
        elif (transfer := receive_refer(*args)) is not None and transfer.accept():
            self.transfers.append(transfer)
            transfer.progress(180)
            transfer.final(self.outcome, done=args[0].bye if self.outcome == 200 else None)

    def on_accepted(self, session: Any, response: Any) -> None:
        self.sessions.append(session)

    def on_progress(self, session: Any, response: Any) -> None:
        pass

    def on_ack(self, session: Any, request: Any) -> None:
        pass

    def on_reinvite(self, session: Any, request: Any) -> None:
        session.accept_reinvite(SDP)

    def on_bye(self, session: Any, request: Any) -> None:
        self.ends.append("bye")

    def on_failed(self, session: Any, cause: Any) -> None:
        self.ends.append(cause.value)


def running(exchange: Exchange, talk: Callable[[str], None]) -> None:
    """Runs ``talk`` (which waits and blocks) in a thread of its own while the exchange is open."""

    async def scenario() -> None:
        exchange.loop = asyncio.get_running_loop()
        exchange.transport = Transport(EndpointConfig(), exchange)
        await exchange.transport.start("127.0.0.1", 0)
        try:
            await asyncio.to_thread(talk, f"127.0.0.1:{exchange.transport.port}")
        finally:
            await exchange.transport.stop()

    uvloop.run(scenario())


def test_sipp_refers(tmp_path: Path) -> None:
    exchange = Exchange()

    def talk(server: str) -> None:
        with Carrier(tmp_path) as carrier:
            carrier.call(Caller().invite().answered().refer("300").notified(2).hung_up(), server, "200").finish()

    running(exchange, talk)
    assert [transfer.refer.user for transfer in exchange.transfers] == ["300"]


def test_a_scripted_phone_refers_hears_of_it_and_is_hung_up(tmp_path: Path) -> None:
    exchange = Exchange()

    def talk(server: str) -> None:
        with ScriptedPhone(server=server) as phone:
            call = phone.call("200").wait_answered()
            assert call.refer("300").status == 202
            assert call.wait_transferred() == "SIP/2.0 200 OK"
            assert call.wait_ended().by_peer
            assert call.reports[0] == "SIP/2.0 100 Trying"

    running(exchange, talk)


def test_a_failed_transfer_leaves_the_call(tmp_path: Path) -> None:
    exchange = Exchange(486)

    def talk(server: str) -> None:
        with ScriptedPhone(server=server) as phone:
            call = phone.call("200").wait_answered()
            for _ in range(2):
                assert call.refer("300").status == 202
                assert call.wait_transferred() == "SIP/2.0 486 Busy Here"
            assert call.state == "up"
            assert phone.seen[-1]["event"].startswith("refer;id=")
            call.hang_up()

    running(exchange, talk)
    assert exchange.ends == ["bye"]


def test_an_attended_transfer_names_a_call_that_we_find() -> None:
    exchange = Exchange()

    def talk(server: str) -> None:
        with ScriptedPhone(server=server) as phone:
            first, consult = phone.call("200").wait_answered(), phone.call("300").wait_answered()
            first.refer(consult)
            assert first.wait_transferred() == "SIP/2.0 200 OK"
            [transfer] = exchange.transfers
            named = transfer.refer.replaces
            assert named is not None
            found = exchange.transport.endpoint.session_for(named.call_id, named.to_tag, named.from_tag)
            assert found is exchange.sessions[1]
            replaces = f"Replaces: {named}\r\nRequire: replaces\r\n"
            with ScriptedPhone("127.0.0.7", server=server) as other:
                other.call("300", extra=replaces).wait_answered()
                assert consult.wait_ended().by_peer
                assert other.call("300", extra=replaces).wait_refused() in (481, 603)
            assert exchange.replaced == [found]

    running(exchange, talk)


@pytest.mark.skipif(shutil.which("baresip") is None, reason="needs baresip")
@pytest.mark.parametrize("outcome", [200, 486])
def test_baresip_transfers(tmp_path: Path, outcome: int) -> None:
    exchange = Exchange(outcome)

    def talk(server: str) -> None:
        with Phone(tmp_path / "alice", Account("alice", "secret", "")) as alice:
            flow = Flow("udp", ("127.0.0.1", exchange.transport.port or 0), ("127.0.0.1", alice.sip_port))
            target = Target(
                f"sip:alice@127.0.0.1:{alice.sip_port}", flow, "<sip:200@127.0.0.1>", "<sip:alice@127.0.0.1>"
            )
            exchange.loop.call_soon_threadsafe(lambda: exchange.call(target))
            alice.wait("CALL_ESTABLISHED")
            mark = alice.mark()
            alice.transfer(f"sip:300@{server}")
            if outcome == 200:
                alice.wait("CALL_CLOSED", after=mark)
            else:
                alice.wait("TRANSFER_FAILED", after=mark)
                assert not alice.saw("CALL_CLOSED", after=mark)
            assert exchange.transfers[0].refer.user == "300"

    running(exchange, talk)
