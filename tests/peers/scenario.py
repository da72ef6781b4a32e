"""Scenarios for sipp, put together from steps: what a carrier does in one call, as a caller or as the called.

Each step appends sipp's XML. The caller's dialog is written with ``[peer_tag_param]`` and ``[next_url]``, that of the
called with the From and To that arrived, so steps of both sides may follow each other in any order.
"""

from __future__ import annotations

from typing import Self

CODECS = {"PCMU": (0, "PCMU/8000"), "PCMA": (8, "PCMA/8000"), "G722": (9, "G722/8000"), "G729": (18, "G729/8000")}
NO_OFFER = ("",)


def sdp(
    codecs: tuple[str, ...] = ("PCMU",), direction: str = "", version: int = 1, port: str = "[rtpstream_audio_port]"
) -> str:
    """A session description; ``direction`` is an attribute name or empty."""
    formats = [CODECS[name] for name in codecs]
    lines = [
        "v=0",
        f"o=carrier 1 {version} IN IP4 [local_ip]",
        "s=-",
        "c=IN IP4 [media_ip]",
        "t=0 0",
        f"m=audio {port} RTP/AVP {' '.join(str(number) for number, _ in formats)} 101",
        *(f"a=rtpmap:{number} {name}" for number, name in formats),
        "a=rtpmap:101 telephone-event/8000",
        "a=fmtp:101 0-15",
        *([f"a={direction}"] if direction else []),
    ]
    return "\n".join(lines)


class Scenario:
    """The steps so far; ``xml()`` is the file for sipp. Use ``Caller`` or ``Called``."""

    tag = "ear[pid]x[call_number]"

    def __init__(self, name: str) -> None:
        self.name = name
        self._steps: list[str] = []
        self._variables = ""
        self._cseq = 0
        self._version = 0

    def xml(self) -> str:
        steps = "\n".join(self._steps)
        if self._variables:
            steps += f'\n<Reference variables="{self._variables}"/>'
        return f'<?xml version="1.0" encoding="UTF-8"?>\n<scenario name="{self.name}">\n{steps}\n</scenario>\n'

    # -- the smallest steps ------------------------------------------------------------------------------------------

    def send(self, head: str, body: str = "", *, again: bool = False) -> Self:
        """Sends a message; ``again``: repeats it until it is answered."""
        kind = "Content-Type: application/sdp\n" if body else ""
        text = (
            f"{head.strip()}\n{kind}Content-Length: [len]\n\n{body}\n"
            if body
            else f"{head.strip()}\nContent-Length: 0\n\n"
        )
        attributes = ' retrans="500"' if again else ""
        self._steps.append(f"<send{attributes}><![CDATA[\n{text}\n]]></send>")
        return self

    def expect(
        self, what: int | str, *, optional: bool = False, auth: bool = False, within_ms: int = 0, action: str = ""
    ) -> Self:
        """Waits for a response (number) or a request (method)."""
        kind = f'response="{what}"' if isinstance(what, int) else f'request="{what}"'
        flags = (' optional="true"' if optional else "") + (' auth="true"' if auth else "") + ' rrs="true"'
        flags += f' timeout="{within_ms}"' if within_ms else ""
        self._steps.append(f"<recv {kind}{flags}>{f'<action>{action}</action>' if action else ''}</recv>")
        return self

    def pause(self, milliseconds: int) -> Self:
        self._steps.append(f'<pause milliseconds="{milliseconds}"/>')
        return self

    def play(self, hz: float) -> Self:
        """Plays a tone (mu-law) until told otherwise; the file is filled in by the carrier."""
        self._steps.append(f'<nop><action><exec rtp_stream="[tone{hz:g}],-1,0,PCMU/8000"/></action></nop>')
        return self

    def stop_playing(self) -> Self:
        self._steps.append('<nop><action><exec rtp_stream="pause"/></action></nop>')
        return self

    def go_on_playing(self) -> Self:
        self._steps.append('<nop><action><exec rtp_stream="resume"/></action></nop>')
        return self

    # -- within a dialog ---------------------------------------------------------------------------------------------

    def _request_head(self, method: str, cseq: int, extra: str = "") -> str:
        raise NotImplementedError

    def request(self, method: str, body: str = "", extra: str = "") -> Self:
        """Sends a request within the dialog."""
        self._cseq += 1
        return self.send(self._request_head(method, self._cseq, extra), body, again=True)

    def bye(self) -> Self:
        """Hangs up."""
        return self.request("BYE").expect(200)

    def reinvite(self, codecs: tuple[str, ...] = ("PCMU",), direction: str = "", *, answer: int = 200) -> Self:
        """Offers anew within the call."""
        self._version += 1
        self.request("INVITE", sdp(codecs, direction, 1 + self._version))
        self.expect(100, optional=True).expect(answer)
        return self.send(self._request_head("ACK", self._cseq))

    def respond(self, status: str, body: str = "", extra: str = "", to_tag: bool = False) -> Self:
        """Answers the request that arrived last."""
        tag = f";tag={self.tag}" if to_tag else ""
        head = (
            f"SIP/2.0 {status}\n[last_Via:]\n[last_Record-Route:]\n[last_From:]\n[last_To:]{tag}\n"
            "[last_Call-ID:]\n[last_CSeq:]\n"
            f"Contact: <sip:carrier@[local_ip]:[local_port];transport=[transport]>\n{extra}"
        )
        return self.send(head, body)

    def answer_reinvite(self, codecs: tuple[str, ...] = ("PCMU",), direction: str = "") -> Self:
        """Waits for an offer within the call (the other party holds, resumes) and accepts it."""
        self._version += 1
        self.expect("INVITE")
        self.respond("200 OK", sdp(codecs, direction, 1 + self._version))
        return self.expect("ACK")

    def refer(self, to: str, *, answer: int = 202) -> Self:
        """Asks to be replaced by a number at the peer's, or by a URI; what comes of it, ``notified`` waits for.

        Attended transfers are for ``caller.ScriptedPhone``: the steps of one sipp call cannot name another call.
        """
        uri = to if ":" in to else f"sip:{to}@[remote_ip]:[remote_port]"
        return self.request("REFER", extra=f"Refer-To: <{uri}>\n").expect(answer)

    def notified(self, times: int = 1, within_ms: int = 10000) -> Self:
        """Waits for so many NOTIFYs, and answers each."""
        for _ in range(times):
            self.expect("NOTIFY", within_ms=within_ms).respond("200 OK")
        return self

    def linger(self, milliseconds: int = 4000) -> Self:
        """Stays to answer what is repeated because an answer was lost."""
        self._steps.append(f'<timewait milliseconds="{milliseconds}"/>')
        return self

    def hung_up(self, within_ms: int = 20000) -> Self:
        """Waits for the other side's BYE and answers it."""
        return self.expect("BYE", within_ms=within_ms).respond("200 OK")


class Caller(Scenario):
    """The carrier calls in. The number is sipp's ``-s``."""

    def __init__(self, caller: str = "+4930111222") -> None:
        super().__init__("caller")
        self.caller = caller
        self._established = False

    def _request_head(self, method: str, cseq: int, extra: str = "") -> str:
        target = "[next_url]" if self._established else "sip:[service]@[remote_ip]:[remote_port]"
        peer = "[peer_tag_param]" if self._established else ""
        routes = "[routes]\n" if self._established else ""
        return (
            f"{method} {target} SIP/2.0\n"
            f"Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]\n{routes}"
            f"From: <sip:{self.caller}@[local_ip]:[local_port]>;tag={self.tag}\n"
            f"To: <sip:[service]@[remote_ip]:[remote_port]>{peer}\n"
            "Call-ID: [call_id]\n"
            f"CSeq: {cseq} {method}\n"
            "Contact: <sip:carrier@[local_ip]:[local_port];transport=[transport]>\n"
            f"Max-Forwards: 70\n{extra}"
        )

    def invite(self, codecs: tuple[str, ...] = ("PCMU",), *, offer: str | None = None, extra: str = "") -> Self:
        """Calls; ``codecs=NO_OFFER`` sends no session description (late offer)."""
        body = offer if offer is not None else "" if codecs == NO_OFFER else sdp(codecs)
        return self.request("INVITE", body, extra)

    def authorise(self, username: str, password: str, codecs: tuple[str, ...] = ("PCMU",)) -> Self:
        """Expects to be challenged, and calls again with credentials."""
        self.expect(100, optional=True).expect(401, auth=True)
        self._acknowledge_refusal()
        return self.invite(codecs, extra=f"[authentication username={username} password={password}]\n")

    def _acknowledge_refusal(self) -> None:
        self.send(
            "ACK sip:[service]@[remote_ip]:[remote_port] SIP/2.0\n[last_Via:]\n"
            f"From: <sip:{self.caller}@[local_ip]:[local_port]>;tag={self.tag}\n"
            f"[last_To:]\nCall-ID: [call_id]\nCSeq: {self._cseq} ACK\nMax-Forwards: 70"
        )

    def ringing(self, status: int = 180) -> Self:
        """Waits for the call to ring (or for early media)."""
        self.expect(100, optional=True)
        return self.expect(status)

    def answered(self, late_answer: tuple[str, ...] | None = None) -> Self:
        """Waits for the answer and acknowledges it; ``late_answer``: codecs of our answer in the ACK."""
        self.expect(100, optional=True).expect(180, optional=True).expect(183, optional=True).expect(200)
        self._established = True
        return self.send(self._request_head("ACK", self._cseq), sdp(late_answer) if late_answer else "")

    def refused(self, status: int) -> Self:
        """Waits for a refusal and acknowledges it."""
        self.expect(100, optional=True).expect(180, optional=True).expect(183, optional=True).expect(status)
        self._acknowledge_refusal()
        return self

    def cancel(self) -> Self:
        """Gives up while it rings."""
        self.send(
            "CANCEL sip:[service]@[remote_ip]:[remote_port] SIP/2.0\n[last_Via:]\n"
            f"From: <sip:{self.caller}@[local_ip]:[local_port]>;tag={self.tag}\n"
            "To: <sip:[service]@[remote_ip]:[remote_port]>\nCall-ID: [call_id]\n"
            f"CSeq: {self._cseq} CANCEL\nMax-Forwards: 70",
            again=True,
        )
        self.expect(200)
        self.expect(487)
        self._acknowledge_refusal()
        return self


class Called(Scenario):
    """The carrier is called."""

    REMEMBER = (
        '<ereg regexp=".*" search_in="hdr" header="From:" assign_to="remote"/>'
        '<ereg regexp=".*" search_in="hdr" header="To:" assign_to="local"/>'
        '<ereg regexp=".*" search_in="hdr" header="CSeq:" assign_to="offer"/>'
    )

    def __init__(self) -> None:
        super().__init__("called")
        self._variables = "remote,local,offer"

    def _request_head(self, method: str, cseq: int, extra: str = "") -> str:
        return (
            f"{method} [next_url] SIP/2.0\nVia: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]\n"
            f"From:[$local];tag={self.tag}\nTo:[$remote]\nCall-ID: [call_id]\nCSeq: {cseq} {method}\n"
            f"Contact: <sip:carrier@[local_ip]:[local_port];transport=[transport]>\nMax-Forwards: 70\n{extra}"
        )

    def offered(self) -> Self:
        """Waits for a call."""
        return self.expect("INVITE", action=self.REMEMBER)

    def challenge(self, realm: str, *, status: int = 407) -> Self:
        """Asks for credentials; whether the right ones came, ``Sipp.credentials`` tells."""
        header = "WWW-Authenticate" if status == 401 else "Proxy-Authenticate"
        asked = f'{header}: Digest realm="{realm}", nonce="5e57a7a1b2c3d4", algorithm=MD5, qop="auth"\n'
        self.respond(f"{status} Who Are You", extra=asked, to_tag=True).expect("ACK")
        return self.offered()

    def ring(self) -> Self:
        return self.respond("180 Ringing", to_tag=True)

    def early_media(self, codecs: tuple[str, ...] = ("PCMU",)) -> Self:
        return self.respond("183 Session Progress", sdp(codecs), to_tag=True)

    def answer(self, codecs: tuple[str, ...] = ("PCMU",)) -> Self:
        self._again("200 OK", sdp(codecs))
        return self.expect("ACK")

    def refuse(self, status: str) -> Self:
        self._again(status)
        return self.expect("ACK")

    def _again(self, status: str, body: str = "") -> None:
        self.respond(status, body, to_tag=True)
        self._steps[-1] = self._steps[-1].replace("<send>", '<send retrans="500">')

    def cancelled(self) -> Self:
        """Waits for the caller to give up."""
        self.expect("CANCEL").respond("200 OK", to_tag=True)
        self.send(
            f"SIP/2.0 487 Request Terminated\n[last_Via:]\n[last_From:]\n[last_To:];tag={self.tag}\n[last_Call-ID:]\n"
            "CSeq:[$offer]",
            again=True,
        )
        return self.expect("ACK")
