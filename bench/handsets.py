"""Phones by the dozen in one event loop, cheap enough to run beside what they measure.

A ``Line`` is a SIP socket and an RTP socket that all its calls share; a ``Beat`` sends one precomputed frame of G.711
for each call every 20 ms (a quarter of the calls every 5 ms) and empties the RTP sockets. Every tone fits into a frame
a whole number of times, so a frame of it has the same bytes wherever it is relayed, and what a call hears is looked up.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import re
import socket
import struct
import sys
import time
from collections import Counter, deque
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from peers import digest
from peers.call import OURS, describe, direction_in, formats_in, tag_of
from peers.phone import Account
from peers.probe import SipText, rtp_address
from peers.rtp import Address
from peers.tones import alaw, tone, ulaw

T1_S, GIVE_UP_S, RING_S = 0.5, 32.0, 60.0
FRAME_S, SAMPLES, SLOTS = 0.02, 160, 4
STEP_HZ, TOP_HZ = 50, 3400
PCMU, PCMA, EVENT = 0, 8, 101
FORMATS = [(PCMA, "PCMA/8000"), (EVENT, "telephone-event/8000")]
FRAMES = {
    (payload_type, hz): encode(tone(hz, FRAME_S))
    for payload_type, encode in ((PCMU, ulaw), (PCMA, alaw))
    for hz in range(0, TOP_HZ + 1, STEP_HZ)
}
"""One frame of each tone; 0 is silence."""
SOUNDS = {(payload_type, frame): hz for (payload_type, hz), frame in FRAMES.items()}
UNKNOWN_HZ = -1
"""Something else was heard: music, a prompt, ringing."""
PAUSE_S = 0.4
"""Between two prompts it is quiet for less than this."""
KEYS = "0123456789*#ABCD"
_number = itertools.count(1)
_unique = f"{time.time_ns() % 10**9:x}"


class CallFailed(Exception):  # noqa: N818 - what happened to the call, not to the program
    """A call did not go as it should; the message says how."""


class Call:
    """One leg at our end. ``up`` and ``ended`` are set once."""

    def __init__(self, line: Line, call_id: str, local: str, remote: str, target: str, user: str) -> None:
        self.line, self.call_id, self.local, self.remote, self.target, self.user = (
            line, call_id, local, remote, target, user,
        )  # fmt: skip
        self.invite: SipText | None = None
        """Incoming: the INVITE."""
        self.up, self.ended, self.transferred = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.report = ""
        """Last words of the peer about our REFER."""
        self.hz = 0
        """What is said now; 0: silence."""
        self.said: Counter[int] = Counter()
        """Frames sent by tone."""
        self.heard: Counter[int] = Counter()
        """Frames received by tone."""
        self.heard_at = 0.0
        """When the last one came, monotonic seconds."""
        self.cseq, self.version, self.direction, self.theirs = 0, 1, "sendrecv", "sendrecv"
        self.holds = False
        """By re-INVITE: it says so in its answers too."""
        self.formats = list(FORMATS)
        self.payload_type, self.event_type = PCMA, EVENT
        self.to: Address | None = None
        self._keys: deque[tuple[bytes, bool, int]] = deque()
        self._sequence, self._timestamp, self._ssrc = 0, 16000, 0x3C0D0000 + next(_number)
        self._event_began = 0

    # -- signalling ---------------------------------------------------------------------------------------------------

    async def dial(self) -> None:
        """Calls and waits for the answer.

        :raises CallFailed: it was refused.
        """
        self.line.calls[self.call_id] = self
        reply = await self._invite("sendrecv")
        if reply.status >= 300:
            self._end()
            raise CallFailed(f"the call was refused: {reply.line}")
        self._begin()

    def ring(self) -> None:
        assert self.invite is not None
        self.line.respond(self.invite, 180, b"", self.local)

    async def answer(self) -> None:
        """Takes an incoming call; returns when that is acknowledged.

        :raises CallFailed: it is over, or the ACK does not come.
        """
        assert self.invite is not None
        if self.ended.is_set():
            raise CallFailed("the call was over before it could be taken")
        if self.invite.body:
            self.understand(self.invite.body)
        self._begin()
        self.line.respond(self.invite, 200, self.description(), self.local)
        await self.wait(self.up, "the ACK", GIVE_UP_S)

    async def reinvite(self, direction: str) -> None:
        """Holds (``sendonly``) or resumes (``sendrecv``).

        :raises CallFailed: it was refused; a 491 is tried again.
        """
        self.holds = direction == "sendonly"
        for wait_s in (0.4, 0.9, 1.7, 0.0):
            reply = await self._invite(direction)
            if reply.status < 300:
                return
            if reply.status != 491 or not wait_s:
                raise CallFailed(f"{direction} was refused: {reply.line}")
            await asyncio.sleep(wait_s)

    async def refer(self, number: str) -> None:
        """Asks for a blind transfer.

        :raises CallFailed: it was not accepted.
        """
        host, port = self.line.server
        extra = f"Refer-To: <sip:{number}@{host}:{port}>\r\n"
        reply = await self.request("REFER", b"", extra)
        if reply.status != 202:
            raise CallFailed(f"the REFER was refused: {reply.line}")

    async def hang_up(self) -> None:
        """Says BYE, unless it is over."""
        if not self.ended.is_set():
            self._end()
            await self.request("BYE")

    async def _invite(self, direction: str) -> SipText:
        self.direction = direction
        reply = await self.request("INVITE", self.description())
        if reply.status < 300:
            self.understand(reply.body)
        return reply

    async def request(self, method: str, body: bytes = b"", extra: str = "") -> SipText:
        """Sends a request within the call; gives the final response."""
        self.cseq += 1
        if body:
            self.version += 1
            extra += "Content-Type: application/sdp\r\n"
        number, branch = self.cseq, self.line.branch()
        text = self._text(method, number, body, extra, branch)
        reply = await self.line.transact(text, method, branch)
        if method == "INVITE":
            if reply.status < 300:
                if contact := re.search(r"<([^>]+)>", reply["contact"]):
                    self.target = contact[1]
                self.remote = reply["to"]
                branch = self.line.branch()
            ack = self._text("ACK", number, b"", "", branch, to=reply["to"])
            self.line.acknowledge(self.call_id, number, ack)
        return reply

    def _text(self, method: str, cseq: int, body: bytes, extra: str, branch: str, *, to: str = "") -> bytes:
        return self.line.text(
            method, self.target, self.local, to or self.remote, self.call_id, cseq, body, extra, branch, self.user
        )

    def description(self) -> bytes:
        return describe(self.line.rtp_address, self.formats, self.version, self.direction)

    def understand(self, body: bytes) -> None:
        """Takes the peer's description."""
        agreed = formats_in(body)
        names = {name.upper(): number for number, name in agreed}
        audio = names.get("PCMA/8000", names.get("PCMU/8000"))
        if audio is None:
            raise CallFailed(f"no G.711 in {body!r}")
        self.payload_type = audio
        self.event_type = names.get("TELEPHONE-EVENT/8000", EVENT)
        self.formats = [(number, name) for number, name in agreed if number in (audio, self.event_type)]
        self.theirs = direction_in(body)
        self.to = rtp_address(body)
        self.line.by_media[self.to] = self

    def received(self, request: SipText) -> None:
        """A request of the peer's within the call."""
        if request.method in ("INVITE", "UPDATE"):
            if request.body:
                asked = OURS[direction_in(request.body)]
                held = {"sendrecv": "sendonly", "recvonly": "inactive"}.get(asked, asked)
                self.direction = held if self.holds else asked
                self.understand(request.body)
            self.version += 1
            body = self.description() if request.method == "INVITE" or request.body else b""
            self.line.respond(request, 200, body, self.local)
            return
        self.line.respond(request, 200, b"", self.local)
        if request.method == "NOTIFY":
            self.report = request.body.decode(errors="replace").strip()
            if request["subscription-state"].startswith("terminated"):
                self.transferred.set()
        elif request.method == "BYE":
            self._end()
        elif request.method == "CANCEL" and self.invite is not None and not self.up.is_set():
            self._end()
            self.line.respond(self.invite, 487, b"", self.local)

    def acknowledged(self, ack: SipText) -> None:
        self.up.set()
        if ack.body:
            self.understand(ack.body)

    async def wait(self, event: asyncio.Event, what: str, within_s: float = 10.0) -> None:
        """:raises CallFailed: it does not come, or the call ends first."""
        ended = asyncio.ensure_future(self.ended.wait())
        wanted = asyncio.ensure_future(event.wait())
        await asyncio.wait((ended, wanted), timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
        for future in (ended, wanted):
            future.cancel()
        if not event.is_set():
            raise CallFailed(f"{what}: {'the call ended first' if self.ended.is_set() else f'not in {within_s:g} s'}")

    def _begin(self) -> None:
        if self.invite is None:
            self.up.set()
        self.line.beat.slots[next(_number) % SLOTS].append(self)

    def _end(self) -> None:
        self.ended.set()
        for slot in self.line.beat.slots:
            with contextlib.suppress(ValueError):
                slot.remove(self)
        if self.to is not None and self.line.by_media.get(self.to) is self:
            del self.line.by_media[self.to]

    # -- audio --------------------------------------------------------------------------------------------------------

    def say(self, hz: int) -> None:
        """Speaks a tone from the next frame on; 0: silence."""
        self.hz = hz

    def press(self, key: str, frames: int = 5) -> None:
        """Queues a key as telephone events (RFC 4733 §2.5), with its end told three times."""
        code = KEYS.index(key)
        for number in range(1, frames + 1):
            end = number == frames
            payload = struct.pack(">BBH", code, 0x8A if end else 0x0A, number * SAMPLES)
            self._keys.append((payload, number == 1, 3 if end else 1))

    def frame(self) -> None:
        """20 ms have passed."""
        self._timestamp = (self._timestamp + SAMPLES) & 0xFFFFFFFF
        if self.to is None or self.direction in ("recvonly", "inactive") or self.theirs in ("sendonly", "inactive"):
            return
        if self._keys:
            payload, first, times = self._keys.popleft()
            self._event_began = self._timestamp if first else self._event_began
            for _ in range(times):
                self._send(payload, self.event_type | (0x80 if first else 0), self._event_began)
            return
        self.said[self.hz] += 1
        self._send(FRAMES[self.payload_type, self.hz], self.payload_type, self._timestamp)

    def _send(self, payload: bytes, second: int, timestamp: int) -> None:
        self._sequence = (self._sequence + 1) & 0xFFFF
        header = struct.pack(">BBHII", 0x80, second, self._sequence, timestamp, self._ssrc)
        if self.to is not None:
            with contextlib.suppress(OSError):
                self.line.rtp.sendto(header + payload, self.to)

    async def heard_out(self, within_s: float = 15.0) -> None:
        """Waits for the end of what is played: something else than tones was heard, and then nothing for a while.

        :raises CallFailed: it is silent all the time, or goes on and on.
        """
        deadline = time.monotonic() + within_s
        while not self.heard[UNKNOWN_HZ] or time.monotonic() - self.heard_at < PAUSE_S:
            if time.monotonic() > deadline:
                raise CallFailed(f"heard {self.heard[UNKNOWN_HZ]} frames of a prompt in {within_s:g} s")
            await asyncio.sleep(PAUSE_S / 8)

    def hear(self, data: bytes) -> None:
        self.heard_at = time.monotonic()
        self.heard[SOUNDS.get((data[1] & 0x7F, data[12:]), UNKNOWN_HZ)] += 1


class Line(asyncio.DatagramProtocol):
    """Phones that share their sockets. ``called`` is told each call that comes in."""

    def __init__(self, beat: Beat, host: str, server: Address, called: Callable[[Call], None]) -> None:
        self.beat, self.host, self.server, self.called = beat, host, server, called
        self.rtp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.rtp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self.rtp.bind((host, 0))
        self.rtp.setblocking(False)
        self.rtp_address: Address = self.rtp.getsockname()
        self.calls: dict[str, Call] = {}
        self.by_media: dict[Address, Call] = {}
        """By the address that the peer sends from."""
        self._waiting: dict[tuple[str, str], asyncio.Future[SipText]] = {}
        self._proceeding: set[str] = set()
        self._acks: dict[tuple[str, str], bytes] = {}
        self._answers: dict[tuple[str, str], bytes] = {}
        self._repeats: dict[tuple[str, str], asyncio.TimerHandle] = {}
        self._registrations = itertools.count(1)
        beat.lines.append(self)

    async def open(self, port: int) -> None:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(self.host, port))
        self.address: Address = self._transport.get_extra_info("sockname")

    def close(self) -> None:
        for timer in self._repeats.values():
            timer.cancel()
        self._transport.close()
        self.rtp.close()

    def new_call(self, number: str, caller: str) -> Call:
        """A call to make, to a number at the server."""
        host, port = self.server
        unique = f"{next(_number)}{_unique}"
        target = f"sip:{number}@{host}:{port}"
        local = f"<sip:{caller}@{self.host}>;tag=h{unique}"
        return Call(self, f"handset{unique}@{self.host}", local, f"<{target}>", target, caller)

    async def register(self, account: Account, expires_s: int = 3600) -> None:
        """:raises CallFailed: refused."""
        host, port = self.server
        target, local = f"sip:{host}:{port}", f"<sip:{account.username}@{host}:{port}>"
        call_id, proof = f"r{next(_number)}{_unique}", ""
        for cseq in (1, 2):
            branch = self.branch()
            extra = f"Expires: {expires_s}\r\n{proof}"
            from_ = f"{local};tag=r{_unique}"
            text = self.text(
                "REGISTER", target, from_, local, call_id, cseq, b"", extra, branch, account.username
            )  # fmt: skip
            reply = await self.transact(text, "REGISTER", branch)
            if reply.status != 401:
                break
            proof = credentials(reply, account, "REGISTER", target)
        if reply.status != 200:
            raise CallFailed(f"{account.username} could not register: {reply.line}")

    # -- wire ---------------------------------------------------------------------------------------------------------

    def branch(self) -> str:
        return f"z9hG4bK{_unique}.{next(_number)}"

    def text(
        self,
        method: str,
        target: str,
        local: str,
        remote: str,
        call_id: str,
        cseq: int,
        body: bytes,
        extra: str,
        branch: str,
        user: str,
    ) -> bytes:
        """A request; ``extra``: header lines, each with CRLF."""
        host, port = self.address
        head = (
            f"{method} {target} SIP/2.0\r\nVia: SIP/2.0/UDP {host}:{port};branch={branch};rport\r\n"
            f"From: {local}\r\nTo: {remote}\r\nCall-ID: {call_id}\r\nCSeq: {cseq} {method}\r\n"
            f"Contact: <sip:{user}@{host}:{port}>\r\nMax-Forwards: 70\r\n"
            f"{extra}Content-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body

    async def transact(self, data: bytes, method: str, branch: str) -> SipText:
        """Sends a request until it is answered; gives the final response.

        :raises CallFailed: none comes.
        """
        future: asyncio.Future[SipText] = asyncio.get_running_loop().create_future()
        self._waiting[branch, method] = future
        delay, waited = T1_S, 0.0
        try:
            while waited < (RING_S if branch in self._proceeding else GIVE_UP_S):
                if branch not in self._proceeding:
                    self._transport.sendto(data, self.server)
                with contextlib.suppress(TimeoutError):
                    return await asyncio.wait_for(asyncio.shield(future), delay)
                waited += delay
                delay = min(2 * delay, 4.0)
        finally:
            del self._waiting[branch, method]
            self._proceeding.discard(branch)
        raise CallFailed(f"no final response to {method}")

    def acknowledge(self, call_id: str, cseq: int, ack: bytes) -> None:
        """Sends an ACK, now and whenever the response comes again."""
        self._acks[call_id, f"{cseq} INVITE"] = ack
        self._transport.sendto(ack, self.server)

    def respond(self, request: SipText, status: int, body: bytes, local: str) -> None:
        """Answers; the same when the request comes again. Final answers to an INVITE are repeated until the ACK."""
        tag = "" if tag_of(request["to"]) else f";tag={tag_of(local)}"
        user = re.search(r"sip:([^@>]+)@", local)
        lines = [f"SIP/2.0 {status} Handset", *(f"Via: {value}" for value in request.every("via"))]
        lines += [f"Record-Route: {value}" for value in request.every("record-route")]
        lines += [f"From: {request['from']}", f"To: {request['to']}{tag}", f"Call-ID: {request['call-id']}"]
        lines += [f"CSeq: {request['cseq']}"]
        lines += [f"Contact: <sip:{user[1] if user else 'handset'}@{self.address[0]}:{self.address[1]}>"]
        lines += ["Content-Type: application/sdp"] if body else []
        data = ("\r\n".join([*lines, f"Content-Length: {len(body)}"]) + "\r\n\r\n").encode() + body
        self._answers[request["via"], request.method] = data
        self._transport.sendto(data, self.server)
        if request.method == "INVITE" and status >= 200:
            self._repeat((request["call-id"], request["cseq"].split()[0]), data, T1_S, 0.0)

    def _repeat(self, key: tuple[str, str], data: bytes, delay: float, waited: float) -> None:
        def again() -> None:
            self._transport.sendto(data, self.server)
            self._repeat(key, data, min(2 * delay, 4.0), waited + delay)

        if waited < GIVE_UP_S:
            self._repeats[key] = asyncio.get_running_loop().call_later(delay, again)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        del addr
        if not data.strip():
            return
        message = SipText(data)
        call = self.calls.get(message["call-id"])
        if message.status:
            self._response(message)
        elif message.method == "ACK":
            timer = self._repeats.pop((message["call-id"], message["cseq"].split()[0]), None)
            if timer is not None:
                timer.cancel()
                if call is not None:
                    call.acknowledged(message)
        elif (again := self._answers.get((message["via"], message.method))) is not None:
            self._transport.sendto(again, self.server)
        elif call is not None:
            call.received(message)
        elif message.method == "INVITE":
            self._invited(message)
        else:
            self.respond(message, 200 if message.method in ("OPTIONS", "NOTIFY") else 481, b"", ";tag=h")

    def _response(self, message: SipText) -> None:
        found = re.search(r"branch=([^;,\s]+)", message["via"])
        branch = found[1] if found else ""
        future = self._waiting.get((branch, message.method))
        if message.status < 200:
            if message.method == "INVITE":
                self._proceeding.add(branch)
        elif future is not None and not future.done():
            future.set_result(message)
        elif (ack := self._acks.get((message["call-id"], message["cseq"]))) is not None:
            self._transport.sendto(ack, self.server)

    def _invited(self, invite: SipText) -> None:
        contact = re.search(r"<([^>]+)>", invite["contact"])
        user = re.search(r"sip:([^@>;]+)@", invite.line)
        assert contact is not None, invite.data
        assert user is not None, invite.data
        local = f"{invite['to']};tag=h{next(_number)}{_unique}"
        call = Call(self, invite["call-id"], local, invite["from"], contact[1], user[1])
        call.invite = invite
        self.calls[call.call_id] = call
        self.called(call)


class Beat:
    """Sends and receives the audio of every line's calls."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.slots: list[list[Call]] = [[] for _ in range(SLOTS)]
        self.late_s = 0.0
        """The longest that a frame was late: beyond some 0.2 s the machine was too busy to tell anything."""

    async def run(self) -> None:
        """Until cancelled. Frames that are late are made up for at once, as by a phone on a slow network."""
        step = FRAME_S / SLOTS
        began, tick = time.monotonic(), 0
        while True:
            await asyncio.sleep(max(0.0, began + (tick + 1) * step - time.monotonic()))
            due = int((time.monotonic() - began) / step)
            self.late_s = max(self.late_s, (due - tick - 1) * step)
            for number in range(tick, due):
                for call in self.slots[number % SLOTS]:
                    call.frame()
            tick = due
            for line in self.lines:
                self._drain(line)

    @staticmethod
    def _drain(line: Line) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                data, source = line.rtp.recvfrom(2048)
                call = line.by_media.get(source)
                if call is not None:
                    call.hear(data)


def credentials(asked: SipText, account: Account, method: str, target: str) -> str:
    """The header line that answers a challenge (MD5)."""
    challenge = next(value for value in asked.every("www-authenticate") if "SHA-256" not in value)
    values = {**digest.parameters(challenge), "username": account.username, "uri": target}
    values |= {"nc": "00000001", "cnonce": f"{next(_number):08x}", "qop": "auth"}
    values["response"] = digest.response(values, account.password, method)
    bare = ("nc", "qop", "algorithm")
    quoted = ", ".join(f'{name}="{value}"' for name, value in values.items() if name not in bare)
    return f"Authorization: Digest {quoted}, algorithm=MD5, qop=auth, nc={values['nc']}\r\n"
