"""A scripted phone: a small SIP user agent whose every step a test decides, for menus, queues and transfers.

    with ScriptedPhone("127.0.0.2", server=office.sip) as phone:       # or account=office.account("alice"), .register()
        call = phone.call("+494012345")
        call.wait_answered()
        call.ear.wait_for(440)                  # a prompt
        call.press("2")                         # RFC 4733; how="inband" or "info"
        call.tone(700)                          # speaks from now on
        call.hold(); call.resume()
        call.refer("+49301"); call.wait_transferred()
        call.hang_up()

``answers`` says what becomes of calls to it: ``"auto"`` takes them after ``ring_s``, ``"ring"`` lets them ring until
``call.answer()`` or ``call.reject()``, a number refuses them with that status. It shares no code with Earwitness. One
UDP socket; a thread reads it and repeats what is not answered.
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
from peers.call import ScriptedCall, tag_of
from peers.phone import Account
from peers.probe import SipText
from peers.rtp import Address

T1_S, GIVE_UP_S = 0.5, 32.0
_number = itertools.count(1)
_unique = f"{time.time_ns() % 10**9:x}"


class ScriptedPhone:
    """See the module."""

    def __init__(
        self,
        host: str = "127.0.0.6",
        *,
        port: int = 0,
        server: str = "127.0.0.1:5060",
        account: Account | None = None,
        answers: str | int = "auto",
        ring_s: float = 0.0,
        formats: tuple[int, ...] = (0, 8, 101),
        hz: float = 0.0,
    ) -> None:
        """:param account: how it registers and proves itself; its registrar is the server then.
        :param hz: the tone with which each of its calls begins.
        """
        name, _, number = ((account.registrar if account else "") or server).rpartition(":")
        self.server: Address = (name, int(number))
        self.account, self.answers, self.ring_s, self.formats, self.hz = account, answers, ring_s, formats, hz
        self.user = account.username if account else "+4930777"
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((host, port))
        self._socket.settimeout(0.05)
        self.address: Address = self._socket.getsockname()
        self.changed = threading.Condition(threading.RLock())
        self.calls: list[ScriptedCall] = []
        self.seen: list[SipText] = []
        self._taken = 0
        self._unanswered: dict[tuple[str, str], tuple[bytes, Address, float, float]] = {}
        """What is repeated: data, where to, when next, since when."""
        self._answers: dict[tuple[str, str], bytes] = {}
        self._timers: list[tuple[float, ScriptedCall]] = []
        self._registration = (f"r{next(_number)}{_unique}", 0)
        self._closing = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    # -- what a test does ---------------------------------------------------------------------------------------------

    def call(self, number: str, *, caller: str = "", extra: str = "") -> ScriptedCall:
        """Calls a number or URI; the call goes on by itself. ``extra``: header lines, each with CRLF."""
        target = number if ":" in number else f"sip:{number}@{self.server[0]}:{self.server[1]}"
        unique = f"{next(_number)}{_unique}"
        host = self.address[0] if self.account is None else f"{self.server[0]}:{self.server[1]}"
        local = f"<sip:{caller or self.user}@{host}>;tag=s{unique}"
        with self.changed:
            call = ScriptedCall(self, f"scripted{unique}@{self.address[0]}", local, f"<{target}>", target)
            call.tone(self.hz)
            self.calls.append(call)
            call._start(extra)
        return call

    def wait_called(self, within_s: float = 10.0) -> ScriptedCall:
        """The next incoming call, each once."""

        def incoming() -> list[ScriptedCall]:
            return [call for call in self.calls if call.invite is not None]

        self.wait(lambda: len(incoming()) > self._taken, "call to come in", within_s)
        self._taken += 1
        return incoming()[self._taken - 1]

    def register(self, expires_s: int = 600) -> Self:
        """Registers as its account; 0 ends it."""
        assert self.account is not None
        host, port = self.server
        target, (call_id, cseq) = f"sip:{host}:{port}", self._registration
        local, extra = f"<sip:{self.account.username}@{host}:{port}>", f"Expires: {expires_s}\r\n"
        proof = ""
        for number in (cseq + 1, cseq + 2):
            self._registration = (call_id, number)
            branch = self.branch()
            from_ = f"{local};tag=r{_unique}"
            text = self.text("REGISTER", target, from_, local, call_id, number, b"", proof + extra, branch)
            reply = self.transact(text, "REGISTER", branch)
            if reply.status != 401:
                break
            proof = self.credentials(reply, "REGISTER", target)
        assert reply.status == 200, reply.data.decode(errors="replace")
        return self

    def wait(self, ask: Callable[[], bool], what: str, within_s: float) -> None:
        """Waits until something is so that the reader's thread brings about."""
        with self.changed:
            assert self.changed.wait_for(ask, within_s), f"{self.user}: no {what} in {within_s:g} s\n{self.story()}"

    def story(self) -> str:
        """What happened, for a human."""
        heard = [f"{call!r} heard {call.ear.story()}; {call.reports}" for call in self.calls]
        return "\n".join([f"--- scripted phone {self.user}", *heard, *(repr(message) for message in self.seen[-40:])])

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
    ) -> bytes:
        """A request; ``extra``: header lines, each with CRLF."""
        host, port = self.address
        head = (
            f"{method} {target} SIP/2.0\r\nVia: SIP/2.0/UDP {host}:{port};branch={branch};rport\r\n"
            f"From: {local}\r\nTo: {remote}\r\nCall-ID: {call_id}\r\nCSeq: {cseq} {method}\r\n"
            f"Contact: <sip:{self.user}@{host}:{port}>\r\nMax-Forwards: 70\r\n"
            f"{extra}Content-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body

    def send(self, data: bytes, repeat: tuple[str, str] | None = None, to: Address | None = None) -> None:
        """Sends, and with ``repeat`` (branch, method) again until it is answered."""
        to = to or self.server
        if repeat is not None:
            now = time.monotonic()
            self._unanswered[repeat] = (data, to, now + T1_S, now)
        with contextlib.suppress(OSError):
            self._socket.sendto(data, to)

    def transact(self, data: bytes, method: str, branch: str, within_s: float = 20.0) -> SipText:
        """Sends a request and gives the final response."""
        found: list[SipText] = []

        def answered() -> bool:
            found[:] = [
                m for m in self.seen if m.status >= 200 and m.method == method and f"branch={branch}" in m["via"]
            ]
            return bool(found)

        with self.changed:
            self.send(data, (branch, method))
        self.wait(answered, f"final response to {method}", within_s)
        return found[0]

    def wait_heard(self, key: tuple[str, str]) -> None:
        """Waits until what was sent under ``key`` is repeated no more: a response came."""
        self.wait(lambda: key not in self._unanswered, "response", 10)

    def respond(self, request: SipText, status: int, body: bytes, local: str, *, repeat: bool = False) -> None:
        """Answers; the same again when the request is repeated, and with ``repeat`` until the ACK comes."""
        tag = "" if tag_of(request["to"]) else f";tag={tag_of(local)}"
        lines = [f"SIP/2.0 {status} Scripted", *(f"Via: {value}" for value in request.every("via"))]
        lines += [f"Record-Route: {value}" for value in request.every("record-route")]
        lines += [f"From: {request['from']}", f"To: {request['to']}{tag}", f"Call-ID: {request['call-id']}"]
        lines += [f"CSeq: {request['cseq']}", f"Contact: <sip:{self.user}@{self.address[0]}:{self.address[1]}>"]
        lines += ["Content-Type: application/sdp"] if body else []
        data = ("\r\n".join([*lines, f"Content-Length: {len(body)}"]) + "\r\n\r\n").encode() + body
        self._answers[request["via"], request.method] = data
        self.send(data, (request["call-id"], request["cseq"].split()[0]) if repeat else None)

    def credentials(self, asked: SipText, method: str, target: str) -> str:
        """The header line that answers a challenge (MD5)."""
        assert self.account is not None
        proxy = asked.status == 407
        challenges = asked.every("proxy-authenticate" if proxy else "www-authenticate")
        challenge = next(value for value in challenges if "SHA-256" not in value)
        values = {**digest.parameters(challenge), "username": self.account.username, "uri": target}
        values |= {"nc": "00000001", "cnonce": f"{next(_number):08x}", "qop": "auth"}
        values["response"] = digest.response(values, self.account.password, method)
        bare = ("nc", "qop", "algorithm")
        quoted = ", ".join(f'{name}="{value}"' for name, value in values.items() if name not in bare)
        name = "Proxy-Authorization" if proxy else "Authorization"
        return f"{name}: Digest {quoted}, algorithm=MD5, qop=auth, nc={values['nc']}\r\n"

    def _read(self) -> None:
        while not self._closing:
            data = b""
            with contextlib.suppress(TimeoutError):
                try:
                    data, _ = self._socket.recvfrom(65535)
                except OSError as error:
                    if isinstance(error, TimeoutError):
                        raise
                    if self._closing:
                        return
            with self.changed:
                if data.strip():
                    message = SipText(data)
                    self.seen.append(message)
                    self._receive(message)
                self._on_time(time.monotonic())
                self.changed.notify_all()

    def _on_time(self, now: float) -> None:
        for key, (data, to, due, since) in list(self._unanswered.items()):
            if now - since > GIVE_UP_S:
                del self._unanswered[key]
            elif now >= due:
                self._unanswered[key] = (data, to, now + min(4.0, 2 * (due - since)), since)
                self.send(data, None, to)
        for item in [item for item in self._timers if now >= item[0]]:
            self._timers.remove(item)
            item[1].answer()

    def _receive(self, message: SipText) -> None:
        call = next((call for call in self.calls if call.call_id == message["call-id"]), None)
        if message.status:
            branch = re.search(r"branch=([^;,\s]+)", message["via"])
            if branch is not None and (message.status >= 200 or message.method == "INVITE"):
                self._unanswered.pop((branch[1], message.method), None)
            if call is not None and message.method == "INVITE":
                call._receive_response(message)
        elif message.method == "ACK":
            self._unanswered.pop((message["call-id"], message["cseq"].split()[0]), None)
            if call is not None and message.body:
                call._understand(message.body)
        elif (again := self._answers.get((message["via"], message.method))) is not None:
            self.send(again)
        elif call is not None:
            call._receive_request(message)
        elif message.method == "INVITE":
            self._called(message)
        else:
            status = 200 if message.method in ("OPTIONS", "NOTIFY") else 481
            self.respond(message, status, b"", f";tag=x{next(_number)}")

    def _called(self, invite: SipText) -> None:
        contact = re.search(r"<([^>]+)>", invite["contact"])
        assert contact is not None, invite.data
        local = f"{invite['to']};tag=s{next(_number)}{_unique}"
        call = ScriptedCall(self, invite["call-id"], local, invite["from"], contact[1])
        call.invite = invite
        call.tone(self.hz)
        self.calls.append(call)
        if isinstance(self.answers, int):
            call.reject(self.answers)
            return
        call.ring()
        if self.answers == "auto":
            self._timers.append((time.monotonic() + self.ring_s, call))

    # -- end ----------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Vanishes, without a word to anybody."""
        self._closing = True
        self._reader.join(2)
        for call in self.calls:
            call.close()
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            print(self.story())
        self.close()
