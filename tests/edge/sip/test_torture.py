"""RFC 4475 in our own words, and its own 49 messages where a folder of them is at hand: answered or dropped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earwitness.edge.sip.headers import SipParseError
from earwitness.edge.sip.message import Request, defect, parse_message

FOLDER = Path(__file__).parents[4] / "shared" / "torture"
SAMPLES = sorted(FOLDER.glob("*.dat")) if FOLDER.is_dir() else []

VALID = {
    "wsinv", "intmeth", "esc01", "escnull", "esc02", "lwsdisp", "longreq", "dblreq", "semiuri", "transports", "mpart01",
    "unreason", "noreason",
}  # fmt: skip
"""RFC 4475 §3.1.1."""
INVALID = {
    "badinv01": 400, "clerr": 400, "ncl": 400, "scalar02": 400, "scalarlg": 400, "quotbal": 400, "ltgtruri": 400,
    "lwsruri": 400, "lwsstart": 400, "escruri": 400, "badvers": 505, "mismatch01": 400, "mismatch02": 400,
    "mcl01": 400, "multi01": 400, "insuf": 400, "unkscm": 416, "novelsc": 416,
}  # fmt: skip
"""RFC 4475 §3.1.2 and §3.3, as far as a parser can tell. The others of §3.1.2 are repaired, as the RFC allows."""

STRANGE = b"""INVITE sip:vivek@192.0.2.1;unknownparam SIP/2.0
TO :
 sip:vivek@192.0.2.1 ;   tag    = none-%s
from   : "J Rosenberg \\\\\\""       <sip:jd@192.0.2.99>
  ;
  tag = 98asjd8
MaX-fOrWaRdS: 0068
Call-ID: strange.(){}<>?"\\@x
Content-Length   : 0
cseq: 0009
  INVITE
Via  : SIP  /   2.0
 /UDP
    192.0.2.99;branch=390skdjuw
s :
NewFangledHeader:   newfangled value
 continued newfangled value
UnknownHeaderWithUnusualValue: ;;,,;;,;
v:  SIP  / 2.0  / TCP     spindle.example.com   ;
  branch  =   z9hG4bK9ikj8  ,
 SIP  /    2.0   / UDP  192.168.255.111   ; branch=
 z9hG4bK30239
m:"Quoted string \\"\\"" <sip:jd@192.0.2.99> ; newparam =
      newvalue ;
  secondparam ; q = 0.33

""".replace(b"\n", b"\r\n")


def test_strange_but_valid_blanks_and_folds(wire: Any) -> None:
    text = STRANGE.replace(b" ;   tag    = none-%s", b"")
    out = wire.put(text)
    assert [message.status for message in out] == [100]
    request = wire.handler.last("invite")
    assert request.from_.display == 'J Rosenberg \\"'
    assert request.cseq == (9, "INVITE")
    assert request.contact.uri_text == "sip:jd@192.0.2.99"
    assert len(out[0].elements("via")) == 3


def test_two_requests_in_one_datagram_are_one(wire: Any, req: Any) -> None:
    wire.handler.on["request"] = lambda transaction, _: transaction.respond(200)
    out = wire.put(req("OPTIONS") + req("INVITE", branch="z9hG4bK-2"))
    assert [message.status for message in out] == [200]


def test_responses_out_of_nowhere_are_dropped(wire: Any) -> None:
    text = (
        "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.198;branch=z9hG4bK1324923\r\nCall-ID: x\r\nCSeq: 35 INVITE\r\n"
        "From: sip:user@example.com;tag=1\r\nTo: sip:user@example.edu;tag=2\r\nContent-Length: 0\r\n\r\n"
    )
    assert wire.put(text) == []
    assert wire.endpoint.counters["stray response"] == 1


def test_proxy_extensions_do_not_concern_us(wire: Any, req: Any) -> None:
    out = wire.put(req("OPTIONS", headers="Require: nothingSupportsThis\r\nProxy-Require: norThis\r\n"))
    assert out[0].status == 420
    assert out[0].get("unsupported") == "nothingSupportsThis"


@pytest.mark.parametrize("size", [7_000, 16_000, 60_000])
def test_large_headers(wire: Any, req: Any, size: int) -> None:
    assert wire.put(req("INVITE", headers=f"X-Large: {'x' * size}\r\n"))[0].status == 100


def test_too_large_messages_are_dropped(wire: Any, req: Any) -> None:
    assert wire.put(req("INVITE", headers=f"X-Large: {'x' * 70_000}\r\n")) == []
    assert wire.endpoint.counters["unparsable"] == 1


@pytest.mark.skipif(not SAMPLES, reason="no folder of RFC 4475 messages beside the checkout")
@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
def test_rfc_4475_message(wire: Any, req: Any, sample: Path) -> None:
    data = sample.read_bytes()
    wire.put(data)
    wire.advance(1)
    assert wire.endpoint.counters["internal error"] == 0
    assert wire.put(req("INVITE"))[0].status == 100
    name = sample.stem
    try:
        message = parse_message(data)
    except SipParseError:
        assert name not in VALID
        return
    error = defect(message)
    if name in VALID:
        assert error is None
    if name in INVALID:
        assert error is not None
        if isinstance(message, Request):
            assert error.status == INVALID[name]


SEEDS = [path.read_bytes() for path in SAMPLES] + [STRANGE]


@settings(max_examples=150)
@given(st.data())
def test_fuzz_endpoint_never_raises(make_wire: Any, data: st.DataObject) -> None:
    wire = make_wire()
    for _ in range(data.draw(st.integers(1, 4))):
        seed = data.draw(st.sampled_from(SEEDS))
        start = data.draw(st.integers(0, len(seed)))
        patch = data.draw(st.binary(max_size=8))
        length = data.draw(st.integers(0, 30))
        wire.endpoint.receive(seed[:start] + patch + seed[start + length :], wire.flow)
        for session in wire.handler.sessions:
            session.accept(b"x")
    wire.advance(40)
    assert wire.endpoint.counters["internal error"] == 0
    assert wire.endpoint.counters["handler error"] == 0


@settings(max_examples=80)
@given(st.lists(st.tuples(st.integers(0, 12), st.sampled_from(["INVITE", "ACK", "BYE", "CANCEL", "PRACK", "UPDATE"]),
                          st.integers(0, 3), st.booleans(), st.booleans()), max_size=25))  # fmt: skip
def test_fuzz_any_order_of_requests_leaves_nothing(make_wire: Any, req: Any, steps: list[Any]) -> None:
    wire = make_wire()
    for action, method, number, tagged, body in steps:
        session = wire.handler.sessions[-1] if wire.handler.sessions else None
        tag = session.local_tag if tagged and session else ""
        wire.put(
            req(method, branch=f"z9hG4bK-{number}", cseq=number, to_tag=tag, body=b"v=0" if body else b"",
                headers=f"RAck: {number} 1 INVITE\r\nSupported: timer, 100rel\r\nSession-Expires: {number * 60}\r\n"
                + ("Require: 100rel\r\n" if action == 3 else ""))
        )  # fmt: skip
        if session is not None:
            choices: list[Any] = [
                lambda s: s.progress(180),
                lambda s: s.accept(b"v"),
                lambda s: s.reject(486),
                lambda s: s.progress(183, b"v"),
                lambda s: s.bye(),
                lambda s: s.reinvite(b"v"),
                lambda s: s.update(b"v"),
                lambda s: s.accept_reinvite(b"v"),
                lambda s: s.reject_reinvite(488),
                lambda s: s.hang_up(),
                lambda s: s.request_in_dialog("INFO"),
                lambda s: s.reinvite(b"", defer_ack=True),
                lambda s: wire.advance(7),
            ]
            choices[action](session)
        wire.take()
    for session in wire.handler.sessions:
        session.hang_up()
    for transaction in wire.handler.transactions:
        transaction.respond(200)
    sizes = wire.settle()
    assert wire.endpoint.counters["internal error"] == 0
    assert wire.endpoint.counters["handler error"] == 0
    assert set(sizes.values()) == {0}, sizes
