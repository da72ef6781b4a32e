"""A call of a scripted phone: its state, and what a test can do in it. ``ScriptedPhone`` makes them."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Self
from urllib.parse import quote

from peers.probe import SipText, rtp_address
from peers.rtp import Address, RtpEnd
from peers.voice import Ear, Mouth, dtmf

if TYPE_CHECKING:
    from peers.caller import ScriptedPhone

NAMES = {0: "PCMU/8000", 8: "PCMA/8000", 101: "telephone-event/8000"}
OURS = {"sendonly": "recvonly", "recvonly": "sendonly", "inactive": "inactive", "sendrecv": "sendrecv"}
"""The direction of an answer by that of its offer."""


def describe(address: Address, formats: Sequence[tuple[int, str]], version: int, direction: str) -> bytes:
    """A session description of one audio stream."""
    lines = ["v=0", f"o=scripted 7 {version} IN IP4 {address[0]}", "s=-", f"c=IN IP4 {address[0]}", "t=0 0"]
    lines += [f"m=audio {address[1]} RTP/AVP {' '.join(str(number) for number, _ in formats)}"]
    lines += [f"a=rtpmap:{number} {name}" for number, name in formats]
    lines += [f"a=fmtp:{number} 0-15" for number, name in formats if name.startswith("telephone-event")]
    return "".join(f"{line}\r\n" for line in [*lines, f"a={direction}"]).encode()


def formats_in(body: bytes) -> list[tuple[int, str]]:
    """The payload types of a description that a scripted phone knows, in its order."""
    line = re.search(rb"^m=audio \d+ \S+ ([\d ]+)", body, re.MULTILINE)
    told = {int(n): name.decode() for n, name in re.findall(rb"^a=rtpmap:(\d+) (\S+)", body, re.MULTILINE)}
    numbers = [int(number) for number in line[1].split()] if line else []
    named = [(number, told.get(number, NAMES.get(number, ""))) for number in numbers]
    return [(number, name) for number, name in named if name.upper() in {known.upper() for known in NAMES.values()}]


def direction_in(body: bytes) -> str:
    """``sendrecv``, ``sendonly``, ``recvonly`` or ``inactive``."""
    found = re.search(rb"^a=(sendrecv|sendonly|recvonly|inactive)", body, re.MULTILINE)
    return found[1].decode() if found else "sendrecv"


def tag_of(value: str) -> str:
    found = re.search(r";\s*tag=([^;>\s]+)", value)
    return found[1] if found else ""


class ScriptedCall:
    """One call. ``state``: calling, ringing, up, ended; ``status`` is the final response of one that was not taken."""

    def __init__(self, phone: ScriptedPhone, call_id: str, local: str, remote: str, target: str) -> None:
        self.phone, self.call_id, self.local, self.remote, self.target = phone, call_id, local, remote, target
        self.rtp = RtpEnd(phone.address[0])
        self.mouth, self.ear = Mouth(self.rtp), Ear(self.rtp, time.monotonic())
        self.state, self.status = "calling", 0
        self.by_peer = False
        """The other side has ended it."""
        self.cseq, self.version, self.direction, self.theirs = 0, 1, "sendrecv", "sendrecv"
        self.formats: list[tuple[int, str]] = [(number, NAMES[number]) for number in phone.formats]
        self.invite: SipText | None = None
        """Incoming: the INVITE."""
        self.offers: list[SipText] = []
        """Offers that arrived within the call."""
        self.reports: list[str] = []
        """Status lines of the NOTIFYs about our REFERs."""
        self.transferred = ""
        """The last of them, once the peer said that no more come."""
        self._via, self._extra, self._tries = "", "", 0

    # -- what a test does ---------------------------------------------------------------------------------------------

    def wait(self, *states: str, within_s: float = 10.0) -> Self:
        """Waits for one of the states."""
        self.phone.wait(lambda: self.state in states, f"call to be {' or '.join(states)}: {self!r}", within_s)
        return self

    def wait_ringing(self, within_s: float = 10.0) -> Self:
        return self.wait("ringing", "up", within_s=within_s)

    def wait_answered(self, within_s: float = 10.0) -> Self:
        self.wait("up", "ended", within_s=within_s)
        assert self.state == "up", f"{self!r} was refused: {self.status}"
        return self

    def wait_ended(self, within_s: float = 10.0) -> Self:
        return self.wait("ended", within_s=within_s)

    def wait_refused(self, within_s: float = 10.0) -> int:
        """Its final status."""
        return self.wait_ended(within_s).status

    def answer(self) -> Self:
        """Takes an incoming call."""
        with self.phone.changed:
            assert self.invite is not None, "not an incoming call"
            if self.state in ("calling", "ringing"):
                self._up(self.invite.body)
                self._understand(self.invite.body)
                self.phone.respond(self.invite, 200, self._description(), self.local, repeat=True)
        return self

    def reject(self, status: int = 486) -> None:
        """Refuses an incoming call."""
        with self.phone.changed:
            assert self.invite is not None, "not an incoming call"
            if self.state in ("calling", "ringing"):
                self._ended(status)
                self.phone.respond(self.invite, status, b"", self.local, repeat=True)

    def ring(self) -> None:
        with self.phone.changed:
            if self.invite is not None and self.state == "calling":
                self.state = "ringing"
                self.phone.respond(self.invite, 180, b"", self.local)

    def hang_up(self) -> Self:
        """Ends it the right way: BYE, CANCEL or a refusal."""
        if self.state == "up":
            self.request("BYE")
            with self.phone.changed:
                self._ended(0)
        elif self.state != "ended" and self.invite is not None:
            self.reject(480)
        elif self.state != "ended":
            self.phone.wait_heard((self._via, "INVITE"))
            cancel = self._text("CANCEL", self.cseq, b"", "", self._via, to=self.remote)
            self.phone.transact(cancel, "CANCEL", self._via)
            self.wait_ended()
        return self

    def tone(self, hz: float) -> Self:
        """Speaks a tone from now on; 0: is silent."""
        self.mouth.hz = hz
        return self

    def speak(self, hz: float, seconds: float) -> Self:
        """Speaks a tone for a span, and then nothing; returns when it is over."""
        self.tone(hz)
        time.sleep(seconds)
        return self.tone(0)

    def press(self, digits: str, how: str = "rfc4733", seconds: float = 0.1) -> Self:
        """Presses keys, one after the other; ``how``: rfc4733, inband or info. Returns when they are sent."""
        for digit in digits:
            if how == "info":
                body = f"Signal={digit}\r\nDuration={round(seconds * 1000)}\r\n".encode()
                self.request("INFO", body, "Content-Type: application/dtmf-relay\r\n")
            elif how == "inband":
                self.mouth.say(dtmf(digit, seconds))
                self.mouth.say(dtmf(digit, seconds) * 0)
            else:
                self.mouth.press(digit, seconds)
        self.mouth.said(5 + 3 * seconds * len(digits))
        return self

    def hearing(self, seconds: float = 0.5) -> float:
        """The frequency heard in the next ``seconds``, Hz; 0: quiet."""
        return self.ear.hearing(seconds)

    def hold(self) -> SipText:
        """Puts the other side on hold, and sends it nothing meanwhile."""
        return self.reinvite("sendonly")

    def resume(self) -> SipText:
        return self.reinvite("sendrecv")

    def reinvite(self, direction: str) -> SipText:
        """Offers anew; gives the final response."""
        with self.phone.changed:
            self.version += 1
            self.direction = direction
            body = self._description()
        reply = self.request("INVITE", body)
        if reply.status < 300:
            with self.phone.changed:
                self._understand(reply.body)
        return reply

    def refer(self, to: str | ScriptedCall, *, extra: str = "") -> SipText:
        """Asks to be replaced: by a number or URI (blind), or by the party of another call of ours (attended).

        Gives the response to the REFER; ``wait_transferred`` gives what came of it.
        """
        if isinstance(to, ScriptedCall):
            replaces = f"{to.call_id};to-tag={tag_of(to.remote)};from-tag={tag_of(to.local)}"
            uri = re.search(r"<([^>]+)>", to.remote)
            assert uri is not None, to.remote
            goal = f"{uri[1]}?Replaces={quote(replaces, safe='')}"
        else:
            goal = to if ":" in to else f"sip:{to}@{self.phone.server[0]}:{self.phone.server[1]}"
        by = re.search(r"<[^>]+>", self.local)
        assert by is not None, self.local
        self.transferred = ""
        return self.request("REFER", b"", f"Refer-To: <{goal}>\r\nReferred-By: {by[0]}\r\n{extra}")

    def wait_transferred(self, within_s: float = 15.0) -> str:
        """The outcome of the REFER as the peer told it, e.g. ``SIP/2.0 200 OK``; empty when it hung up and, within two
        more seconds, told nothing.
        """
        self.phone.wait(lambda: bool(self.transferred) or self.state == "ended", "the transfer's outcome", within_s)
        with self.phone.changed:
            self.phone.changed.wait_for(lambda: bool(self.transferred), 2.0)
        return self.transferred

    def request(self, method: str, body: bytes = b"", extra: str = "") -> SipText:
        """Sends a request within the call, and gives the final response (an INVITE's is acknowledged)."""
        with self.phone.changed:
            self.cseq += 1
            number, branch = self.cseq, self.phone.branch()
            text = self._text(method, number, body, extra, branch)
        return self.phone.transact(text, method, branch)

    def __repr__(self) -> str:
        return f"<{self.state} {self.local} {self.remote} {self.status or ''}>"

    # -- what the phone does ------------------------------------------------------------------------------------------

    def _description(self) -> bytes:
        return describe(self.rtp.address, self.formats, self.version, self.direction)

    def _text(self, method: str, cseq: int, body: bytes, extra: str, branch: str, *, to: str = "") -> bytes:
        if body and "content-type" not in extra.lower():
            extra += "Content-Type: application/sdp\r\n"
        return self.phone.text(
            method, self.target, self.local, to or self.remote, self.call_id, cseq, body, extra, branch
        )

    def _start(self, extra: str) -> None:
        self.cseq += 1
        self._tries += 1
        self._via, self._extra = self.phone.branch(), extra
        self.phone.send(self._text("INVITE", self.cseq, self._description(), extra, self._via), (self._via, "INVITE"))

    def _receive_response(self, message: SipText) -> None:
        """A response to an INVITE, in the reader's thread."""
        initial = self._via in message["via"]
        if message.status < 200:
            if initial and self.state == "calling" and message.status > 100:
                self.state = "ringing"
            return
        to, cseq = message["to"], int(message["cseq"].split()[0])
        if message.status >= 300:
            branch = re.search(r"branch=([^;,\s]+)", message["via"])
            assert branch is not None, message
            self.phone.send(self._text("ACK", cseq, b"", "", branch[1], to=to))
            if not initial or self.state in ("up", "ended"):
                return
            if message.status in (401, 407) and self._tries == 1 and self.phone.account is not None:
                self._start(self._extra + self.phone.credentials(message, "INVITE", self.target))
            else:
                self._ended(message.status)
            return
        if contact := re.search(r"<([^>]+)>", message["contact"]):
            self.target = contact[1]
        self.remote = to
        self.phone.send(self._text("ACK", cseq, b"", "", self.phone.branch()))
        if initial and self.state not in ("up", "ended"):
            self._up(message.body)
            self._understand(message.body)

    def _receive_request(self, request: SipText) -> None:
        """A request within the call, in the reader's thread."""
        if request.method == "INVITE":
            self.offers.append(request)
            self.version += 1
            if request.body:
                self.direction = OURS[direction_in(request.body)]
                self._understand(request.body)
            self.phone.respond(request, 200, self._description(), self.local, repeat=True)
        elif request.method == "CANCEL":
            self.phone.respond(request, 200, b"", self.local)
            if self.invite is not None and self.state in ("calling", "ringing"):
                self.by_peer = True
                self._ended(487)
                self.phone.respond(self.invite, 487, b"", self.local, repeat=True)
        else:
            self.phone.respond(request, 200, b"", self.local)
            if request.method == "NOTIFY":
                self.reports.append(request.body.decode(errors="replace").strip())
                if request["subscription-state"].startswith("terminated"):
                    self.transferred = self.reports[-1]
            elif request.method == "BYE" and self.state != "ended":
                self.by_peer = True
                self._ended(0)

    def _up(self, body: bytes) -> None:
        self.state = "up"
        self.ear.since = time.monotonic()
        self.mouth.start()

    def _understand(self, body: bytes) -> None:
        """Takes a description of the peer's: where to, under which numbers, whether at all."""
        agreed = formats_in(body)
        audio = next((number for number, name in agreed if not name.startswith("telephone")), None)
        assert audio is not None, body
        event = next((number for number, name in agreed if name.startswith("telephone")), None)
        self.mouth.payload_type, self.mouth.event_type = audio, event
        self.ear.event_type = event
        self.formats = [(number, name) for number, name in agreed if number in (audio, event)]
        self.theirs = direction_in(body)
        self.mouth.to = rtp_address(body)
        self.mouth.speaks = self.direction == "sendrecv" and self.theirs in ("sendrecv", "recvonly")

    def _ended(self, status: int) -> None:
        self.state, self.status = "ended", status
        self.mouth.speaks = False

    def close(self) -> None:
        self.mouth.close()
        self.rtp.close()
