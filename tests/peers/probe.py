"""A SIP peer by hand, for what polite programs never send: one UDP socket, messages as text, RTP as scheduled.

It shares no code with Earwitness. Requests that arrive are answered at once: 200 to BYE, OPTIONS, INFO and to offers
within a call; a new INVITE as ``answering`` says.
"""

from __future__ import annotations

import contextlib
import itertools
import re
import socket
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from peers import digest
from peers.rtp import Address, RtpEnd

CODECS = {0: "PCMU/8000", 8: "PCMA/8000", 9: "G722/8000", 101: "telephone-event/8000", 111: "opus/48000/2"}
_number = itertools.count(1)


class SipText:
    """A message, read no further than a test needs."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        head, _, self.body = data.partition(b"\r\n\r\n")
        self.line, *rest = head.decode("utf-8", "replace").split("\r\n")
        self.fields = [
            (name.strip().lower(), value.strip()) for name, _, value in (line.partition(":") for line in rest)
        ]

    @property
    def status(self) -> int:
        """0 in a request."""
        return int(self.line.split()[1]) if self.line.startswith("SIP/2.0") else 0

    @property
    def method(self) -> str:
        return self["cseq"].split()[-1] if self.status else self.line.split()[0]

    def __getitem__(self, name: str) -> str:
        return next((value for key, value in self.fields if key == name), "")

    def every(self, name: str) -> list[str]:
        return [value for key, value in self.fields if key == name]

    def __repr__(self) -> str:
        return f"<{self.line}>"


def sdp(address: Address, formats: tuple[int, ...] = (0, 101), *, version: int = 1, direction: str = "") -> bytes:
    """A session description of one audio stream."""
    lines = ["v=0", f"o=probe 7 {version} IN IP4 {address[0]}", "s=-", f"c=IN IP4 {address[0]}", "t=0 0"]
    lines += [f"m=audio {address[1]} RTP/AVP {' '.join(map(str, formats))}"]
    lines += [f"a=rtpmap:{number} {CODECS[number]}" for number in formats]
    lines += [f"a={direction}"] if direction else []
    return "".join(f"{line}\r\n" for line in lines).encode()


def rtp_address(body: bytes) -> Address:
    """Where a session description wants its audio."""
    host = re.search(rb"^c=IN IP4 (\S+)", body, re.MULTILINE)
    port = re.search(rb"^m=audio (\d+)", body, re.MULTILINE)
    assert host is not None, body
    assert port is not None, body
    return host[1].decode(), int(port[1])


class ProbeCall:
    """A call that the probe made or took."""

    def __init__(self, probe: Probe, call_id: str, local: str, remote: str, target: str) -> None:
        self.probe, self.call_id, self.local, self.remote, self.target = probe, call_id, local, remote, target
        self.rtp = RtpEnd(probe.address[0])
        self.media: Address = ("", 0)
        self.version, self.cseq = 1, 1
        self.formats: tuple[int, ...] = (0, 101)
        self.answered_at = 0.0
        self.ended_at = 0.0
        """Monotonic seconds."""
        self.ended = threading.Event()
        self.offers: list[SipText] = []
        """Offers that arrived within the call."""

    def request(self, method: str, body: bytes = b"", extra: str = "") -> SipText:
        """Sends a request within the dialog; gives the final response (an INVITE's 200 is acknowledged)."""
        self.cseq += 1
        reply = self.probe.transact(method, self.target, self.local, self.remote, self.call_id, self.cseq, body, extra)
        if method == "INVITE" and 200 <= reply.status < 300:
            self._acknowledge()
            if reply.body:
                self.media = rtp_address(reply.body)
        return reply

    def _acknowledge(self, body: bytes = b"") -> None:
        self.probe.send_request("ACK", self.target, self.local, self.remote, self.call_id, self.cseq, body)

    def reinvite(self, formats: tuple[int, ...] | None = None, direction: str = "") -> SipText:
        self.version += 1
        self.formats = formats or self.formats
        return self.request("INVITE", sdp(self.rtp.address, self.formats, version=self.version, direction=direction))

    def bye(self) -> SipText:
        self.ended_at = time.monotonic()
        reply = self.request("BYE")
        self.ended.set()
        return reply

    def close(self) -> None:
        self.rtp.close()


class Probe:
    """The peer. ``answering``: takes new calls as ``on_call`` says (a status, 200 takes it)."""

    def __init__(self, host: str = "127.0.0.4", port: int = 0) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((host, port))
        self.address: Address = self._socket.getsockname()
        self.server: Address = ("127.0.0.1", 5060)
        self.seen: list[SipText] = []
        self._changed = threading.Condition()
        self.calls: dict[str, ProbeCall] = {}
        self.on_call: Callable[[SipText], int] = lambda invite: 486
        self._taken: set[tuple[str, str, str]] = set()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    # -- wire --------------------------------------------------------------------------------------------------------

    def send(self, data: bytes) -> None:
        """Any bytes, to the server."""
        self._socket.sendto(data, self.server)

    def _read(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                data, source = self._socket.recvfrom(65535)
                if not data.strip():
                    continue
                message = SipText(data)
                if not message.status:
                    self._answer(message, source)
                with self._changed:
                    self.seen.append(message)
                    self._changed.notify_all()

    def wait(self, fits: Callable[[SipText], bool], what: str, within_s: float = 5.0, after: int = 0) -> SipText:
        """The first message that fits, from ``seen[after]`` on."""
        with self._changed:
            if not self._changed.wait_for(lambda: any(fits(m) for m in self.seen[after:]), within_s):
                raise AssertionError(f"no {what} within {within_s:g} s, only {self.seen[after:]}")
            return next(m for m in self.seen[after:] if fits(m))

    # -- requests ----------------------------------------------------------------------------------------------------

    def _text(
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
    ) -> bytes:
        host, port = self.address
        lines = [
            f"{method} {target} SIP/2.0",
            f"Via: SIP/2.0/UDP {host}:{port};branch={branch};rport",
            f"From: {local}",
            f"To: {remote}",
            f"Call-ID: {call_id}",
            f"CSeq: {cseq} {method}",
            f"Contact: <sip:probe@{host}:{port}>",
            "Max-Forwards: 70",
            *([extra.strip()] if extra.strip() else []),
            *(["Content-Type: application/sdp"] if body else []),
            f"Content-Length: {len(body)}",
        ]
        return ("\r\n".join(lines) + "\r\n\r\n").encode() + body

    def send_request(
        self,
        method: str,
        target: str,
        local: str,
        remote: str,
        call_id: str,
        cseq: int,
        body: bytes = b"",
        extra: str = "",
    ) -> str:
        """Sends it once; gives its branch."""
        branch = f"z9hG4bKprobe{next(_number)}+x"
        self.send(self._text(method, target, local, remote, call_id, cseq, body, extra, branch))
        return branch

    def transact(
        self,
        method: str,
        target: str,
        local: str,
        remote: str,
        call_id: str,
        cseq: int,
        body: bytes = b"",
        extra: str = "",
    ) -> SipText:
        """Sends it and gives the final response, whatever it is; a refused INVITE is acknowledged."""
        after = len(self.seen)
        branch = self.send_request(method, target, local, remote, call_id, cseq, body, extra)

        def final(message: SipText) -> bool:
            return message.status >= 200 and branch in message["via"] and message.method == method

        reply = self.wait(final, f"final response to {method}", 40, after)
        if method == "INVITE" and reply.status >= 300:
            self.send(self._text("ACK", target, local, reply["to"], call_id, cseq, b"", "", branch))
        return reply

    def options(self, user: str = "") -> SipText:
        """Asks the server whether it is there."""
        host, port = self.server
        target = f"sip:{user}@{host}:{port}" if user else f"sip:{host}:{port}"
        number = next(_number)
        return self.transact(
            "OPTIONS", target, f"<sip:probe@{self.address[0]}>;tag=o{number}", f"<{target}>", f"options{number}", 1
        )

    def invite(
        self,
        number: str,
        *,
        caller: str = "+4930999",
        formats: tuple[int, ...] = (0, 101),
        body: bytes | None = None,
        extra: str = "",
        credentials: tuple[str, str] | None = None,
    ) -> tuple[SipText, ProbeCall]:
        """Calls; gives the final response, and the call (acknowledged, when it was accepted).

        ``credentials``: user name and password, told when they are asked for.
        """
        unique = next(_number)
        target = f"sip:{number}@{self.server[0]}:{self.server[1]}"
        local = f"<sip:{caller}@{self.address[0]}>;tag=p{unique}"
        call = ProbeCall(self, f"probe{unique}@{self.address[0]}", local, f"<{target}>", target)
        call.formats = formats
        self.calls[call.call_id] = call
        offer = sdp(call.rtp.address, formats) if body is None else body
        reply = self.transact("INVITE", target, local, call.remote, call.call_id, call.cseq, offer, extra)
        if reply.status == 401 and credentials is not None:
            call.cseq += 1
            extra += self._credentials(reply, "INVITE", target, *credentials)
            reply = self.transact("INVITE", target, local, call.remote, call.call_id, call.cseq, offer, extra)
        if 200 <= reply.status < 300:
            call.remote = reply["to"]
            contact = re.search(r"<([^>]+)>", reply["contact"])
            assert contact is not None
            call.target = contact[1]
            call.media = rtp_address(reply.body)
            call._acknowledge(sdp(call.rtp.address, formats) if not offer else b"")
            call.answered_at = time.monotonic()
        return reply, call

    def call(self, number: str, **how: object) -> ProbeCall:
        """Calls and is answered."""
        reply, call = self.invite(number, **how)  # type: ignore[arg-type]
        assert reply.status == 200, reply.data.decode(errors="replace")
        return call

    def register(self, username: str, password: str) -> SipText:
        """Registers as a phone does: asked for the password, it answers (RFC 2617, MD5); gives the final response."""
        host, port = self.server
        target, unique = f"sip:{host}:{port}", next(_number)
        local, call_id = f"<sip:{username}@{host}:{port}>", f"register{unique}"

        def send(cseq: int, extra: str = "") -> SipText:
            tagged = f"{local};tag=r{unique}"
            return self.transact("REGISTER", target, tagged, local, call_id, cseq, b"", f"{extra}Expires: 3600")

        asked = send(1)
        if asked.status != 401:
            return asked
        return send(2, self._credentials(asked, "REGISTER", target, username, password))

    def _credentials(self, asked: SipText, method: str, target: str, username: str, password: str) -> str:
        """The header line that answers the MD5 challenge of ``asked``."""
        challenge = next(value for value in asked.every("www-authenticate") if "SHA-256" not in value)
        values = {**digest.parameters(challenge), "username": username, "uri": target}
        values |= {"nc": "00000001", "cnonce": f"{next(_number):08x}", "qop": "auth"}
        values["response"] = digest.response(values, password, method)
        bare = ("nc", "qop", "algorithm")
        quoted = ", ".join(f'{name}="{value}"' for name, value in values.items() if name not in bare)
        return f"Authorization: Digest {quoted}, algorithm=MD5, qop=auth, nc={values['nc']}\r\n"

    # -- answers -----------------------------------------------------------------------------------------------------

    def _respond(self, request: SipText, status: int, to: Address, body: bytes = b"", tag: str = "") -> None:
        lines = [f"SIP/2.0 {status} Probe"]
        lines += [f"Via: {value}" for value in request.every("via")]
        lines += [f"Record-Route: {value}" for value in request.every("record-route")]
        lines += [
            f"From: {request['from']}",
            f"To: {request['to']}{f';tag={tag}' if tag and 'tag=' not in request['to'] else ''}",
            f"Call-ID: {request['call-id']}",
            f"CSeq: {request['cseq']}",
            f"Contact: <sip:probe@{self.address[0]}:{self.address[1]}>",
            *(["Content-Type: application/sdp"] if body else []),
            f"Content-Length: {len(body)}",
        ]
        self._socket.sendto(("\r\n".join(lines) + "\r\n\r\n").encode() + body, to)

    def _answer(self, request: SipText, source: Address) -> None:
        call = self.calls.get(request["call-id"])
        if request.method == "ACK":
            return
        if request.method == "INVITE" and call is None:
            self._answer_call(request, source)
        elif request.method == "INVITE" and call is not None:
            key = (request["call-id"], request["cseq"], request["via"])
            if key not in self._taken:
                self._taken.add(key)
                call.version += 1
                call.offers.append(request)
                if request.body:
                    call.media = rtp_address(request.body)
            turned = {b"a=sendonly": "recvonly", b"a=recvonly": "sendonly", b"a=inactive": "inactive"}
            direction = next((mine for theirs, mine in turned.items() if theirs in request.body), "")
            self._respond(
                request, 200, source, sdp(call.rtp.address, call.formats, version=call.version, direction=direction)
            )
        else:
            self._respond(request, 200, source)
            if request.method == "BYE" and call is not None and not call.ended.is_set():
                call.ended_at = time.monotonic()
                call.ended.set()

    def _answer_call(self, request: SipText, source: Address) -> None:
        status = self.on_call(request)
        tag = f"t{next(_number)}"
        if status != 200:
            self._respond(request, status, source, tag=tag)
            return
        contact = re.search(r"<([^>]+)>", request["contact"])
        assert contact is not None
        call = ProbeCall(self, request["call-id"], f"{request['to']};tag={tag}", request["from"], contact[1])
        call.media = rtp_address(request.body)
        call.answered_at = time.monotonic()
        self.calls[call.call_id] = call
        self._respond(request, 200, source, sdp(call.rtp.address), tag)

    def story(self) -> str:
        """What happened, for a human."""
        return "\n".join(message.data.decode(errors="replace") for message in self.seen[-30:])

    # -- end ---------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        for call in self.calls.values():
            call.close()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._reader.join(1)
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            print(self.story())
        self.close()
