"""Somebody with a telephone: a SIP user agent and a voice, on our own stack and media engine.

A party registers or not, calls or is called, speaks prepared WAVs, presses keys, and hangs up. It is a client like any
other: what it does to Earwitness goes over sockets.
"""

from __future__ import annotations

import asyncio
import random
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field

from earwitness.domain.ids import new_id
from earwitness.edge.sip import digest, offer_answer, sdp
from earwitness.edge.sip.events import Authenticate, EndpointConfig, Failure, Target
from earwitness.edge.sip.message import Request, Response
from earwitness.edge.sip.sdp import AudioStream, Direction, Format
from earwitness.edge.sip.session import Session
from earwitness.edge.sip.session_uas import UasSession
from earwitness.edge.sip.transaction_server import ServerTransaction
from earwitness.edge.sip.transport import Transport
from earwitness.media.engine.interface import Codec, Remote
from earwitness.media.engine.ours import OurEngine

HOST = "127.0.0.1"
FORMATS: tuple[Format, ...] = (
    Format(0, "PCMU", 8000),
    Format(8, "PCMA", 8000),
    Format(101, "telephone-event", 8000, 1, "0-16"),
)


class CallFailed(RuntimeError):  # noqa: N818 - what happened, as people say it
    """The call was not answered; the message says why."""


@dataclass(slots=True)
class Call:
    """One call of a party. ``up`` is set when it is answered, ``over`` when it ended."""

    session: Session
    leg_id: str
    local: offer_answer.LocalDescription
    wav: bytes
    stream: AudioStream | None = None
    up: asyncio.Event = field(default_factory=asyncio.Event)
    over: asyncio.Event = field(default_factory=asyncio.Event)
    failure: str = ""


class Party:
    """See the module. ``await start()`` first."""

    def __init__(self, name: str, engine: OurEngine) -> None:
        self.name = name
        self.rings_s = 0.8
        self.voices: dict[str, bytes] = {}
        """What it says as soon as it answers a call, by the caller's number."""
        self.calls: dict[str, Call] = {}
        self._engine = engine
        self._incoming: asyncio.Queue[Call] = asyncio.Queue()
        self._transport: Transport | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._credentials: tuple[str, str] | None = None

    @property
    def transport(self) -> Transport:
        """Its sockets."""
        if self._transport is None:
            raise RuntimeError("not started")
        return self._transport

    async def start(self) -> None:
        """Listens on a free port."""
        self._transport = Transport(
            EndpointConfig(user_agent=f"Earwitness demo ({self.name})"), self, rng=random.SystemRandom()
        )
        await self._transport.start(HOST, 0)

    async def stop(self) -> None:
        """Hangs up and closes."""
        for call in list(self.calls.values()):
            self.hang_up(call)
        if self._transport is not None:
            await self._transport.stop()

    async def register(self, registrar: tuple[str, int], username: str, password: str) -> None:
        """Registers for an hour.

        :raises CallFailed: refused.
        """
        self._credentials = (username, password)
        address = f"<sip:{username}@{registrar[0]}:{registrar[1]}>"
        flow = self.transport.endpoint.flow_to("udp", registrar)
        contact = f"<sip:{username}@{HOST}:{self.transport.port}>"
        headers = (("Contact", contact), ("Expires", "3600"))
        target = Target(f"sip:{registrar[0]}:{registrar[1]}", flow, address, address, headers=headers)
        answer: asyncio.Future[Response | None] = asyncio.get_running_loop().create_future()
        self.transport.endpoint.request(
            "REGISTER", target, on_response=answer.set_result, authenticate=_authenticator(username, password)
        )
        response = await answer
        if response is None or response.status != 200:
            raise CallFailed(f"{self.name} could not register: {response.status if response else 'no answer'}")

    async def call(self, peer: tuple[str, int], number: str, own: str, wav: bytes, ring_s: float = 20) -> Call:
        """Calls ``number`` at ``peer`` as ``own``; gives the call once it is answered.

        :raises CallFailed: not answered.
        """
        leg_id = new_id()
        media = self._engine.open_leg(leg_id, group=leg_id, host=HOST)
        local = offer_answer.LocalDescription(secrets.randbelow(2**31), HOST, media.rtp_port, media.rtcp_port)
        domain = f"{peer[0]}:{peer[1]}"
        flow = self.transport.endpoint.flow_to("udp", peer)
        target = Target(
            f"sip:{number}@{domain}",
            flow,
            f'"{self.name}" <sip:{own}@{HOST}:{self.transport.port}>',
            f"<sip:{number}@{domain}>",
            contact_user=own.lstrip("+"),
        )
        authenticate = _authenticator(*self._credentials) if self._credentials else None
        session = self.transport.endpoint.invite(target, local.offer(FORMATS), owner=self, authenticate=authenticate)
        call = self._keep(Call(session, leg_id, local, wav))
        ended = asyncio.ensure_future(call.over.wait())
        answered = asyncio.ensure_future(call.up.wait())
        await asyncio.wait({ended, answered}, timeout=ring_s, return_when=asyncio.FIRST_COMPLETED)
        for task in (ended, answered):
            task.cancel()
        if not call.up.is_set():
            self.hang_up(call)
            raise CallFailed(call.failure or "no answer")
        return call

    async def answered_call(self) -> Call:
        """The next call that it was called by and answered."""
        return await self._incoming.get()

    def say(self, call: Call, wav: bytes) -> None:
        """Speaks from now on; what it was saying before ends."""
        self._engine.play(call.leg_id, "voice", wav)

    def press(self, call: Call, digits: str) -> None:
        """Presses keys."""
        self._engine.send_digits(call.leg_id, digits)

    def hang_up(self, call: Call) -> None:
        """Ends the call, whatever its state."""
        call.session.hang_up()
        self._ended(call.session, "")

    # What the stack tells.

    def on_invite(self, session: UasSession, request: Request) -> None:
        leg_id = new_id()
        media = self._engine.open_leg(leg_id, group=leg_id, host=HOST)
        local = offer_answer.LocalDescription(secrets.randbelow(2**31), HOST, media.rtp_port, media.rtcp_port)
        session.owner = self
        call = self._keep(Call(session, leg_id, local, self.voices.get(_caller(request), b"")))
        task = asyncio.get_running_loop().create_task(self._answer(call, session, request))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, call: Call, session: UasSession, request: Request) -> None:
        session.progress(180)
        await asyncio.sleep(self.rings_s)
        try:
            offer = sdp.parse(request.body)
            stream = offer_answer.audio_of(offer)
            formats = offer_answer.common_formats(stream.formats, FORMATS)
        except (sdp.SdpError, offer_answer.NotAcceptable):
            session.reject(488)
            self._ended(session, "no codec in common")
            return
        call.stream = stream
        direction = Direction.of(sends=stream.effective_direction.receives, receives=stream.effective_direction.sends)
        if session.accept(call.local.answer(offer, formats, direction), content_type="application/sdp"):
            self._talk(call, formats)
            call.up.set()
            self._incoming.put_nowait(call)

    def on_request(self, first: object, second: object, third: object = None) -> None:
        """OPTIONS and the like from outside a call, or something in a call."""
        transaction = second if isinstance(second, ServerTransaction) else first
        if isinstance(transaction, ServerTransaction):
            transaction.respond(200)

    def on_progress(self, session: Session, response: Response) -> None:
        """Ringing."""

    def on_accepted(self, session: Session, response: Response) -> None:
        call = self.calls[session.id]
        call.stream = offer_answer.answered_stream(sdp.parse(response.body), FORMATS)
        self._talk(call, call.stream.formats)
        call.up.set()

    def on_rejected(self, session: Session, response: Response) -> None:
        self._ended(session, f"{response.status} {response.reason}")

    def on_ack(self, session: Session, request: Request) -> None:
        """Our answer arrived."""

    def on_cancelled(self, session: Session, request: Request) -> None:
        self._ended(session, "cancelled")

    def on_reinvite(self, session: Session, request: Request) -> None:
        call = self.calls[session.id]
        try:
            offer = sdp.parse(request.body)
            stream = offer_answer.audio_of(offer)
            formats = offer_answer.common_formats(stream.formats, FORMATS)
        except (sdp.SdpError, offer_answer.NotAcceptable):
            session.reject_reinvite(488)
            return
        theirs = stream.effective_direction
        direction = Direction.of(sends=theirs.receives, receives=theirs.sends)
        call.stream = stream
        session.accept_reinvite(call.local.answer(offer, formats, direction), content_type="application/sdp")
        self._point(call, formats, sending=direction.sends, receiving=direction.receives)

    def on_reinvite_result(self, session: Session, response: Response) -> None:
        """No party offers anew."""

    def on_bye(self, session: Session, request: Request) -> None:
        self._ended(session, "")

    def on_failed(self, session: Session, cause: Failure) -> None:
        self._ended(session, cause.value)

    def _keep(self, call: Call) -> Call:
        self.calls[call.session.id] = call
        return call

    def _talk(self, call: Call, formats: tuple[Format, ...]) -> None:
        self._point(call, formats, sending=True, receiving=True)
        if call.wav:
            self._engine.play(call.leg_id, "voice", call.wav)

    def _point(self, call: Call, formats: tuple[Format, ...], *, sending: bool, receiving: bool) -> None:
        if call.stream is None:
            return
        event = next((f.payload_type for f in formats if f.is_telephone_event), None)
        codecs = {f.payload_type: Codec(f.name, f.clock_rate, f.channels) for f in formats if f.is_audio}
        remote = Remote((call.stream.host, call.stream.port), call.stream.rtcp, codecs, event, sending, receiving)
        self._engine.set_remote(call.leg_id, remote)

    def _ended(self, session: Session, failure: str) -> None:
        call = self.calls.pop(session.id, None)
        if call is not None:
            call.failure = failure
            self._engine.close_leg(call.leg_id)
            call.over.set()


def _caller(request: Request) -> str:
    """The user part of From."""
    match = re.search(r"sips?:([^@>;]+)@", request.get("from") or "")
    return match[1] if match else ""


def _authenticator(username: str, password: str) -> Authenticate:
    def authenticate(challenges: Sequence[str], method: str, uri: str, body: bytes) -> str | None:
        cnonce = secrets.token_hex(8)
        return digest.authorize(challenges, username, password, method=method, uri=uri, cnonce=cnonce)

    return authenticate
