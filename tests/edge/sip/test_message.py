"""Parsing and writing messages: what must be read, what must be refused, and that nothing of a peer's is rewritten."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earwitness.edge.sip.headers import SipParseError, parse_cseq, parse_params, parse_via, split_list
from earwitness.edge.sip.message import Request, Response, defect, parse_message
from earwitness.edge.sip.responses import build_response
from earwitness.edge.sip.uri import parse_name_addr, parse_uri

INVITE = (
    b"INVITE sip:+4930123@192.0.2.1;user=phone SIP/2.0\r\n"
    b"v: SIP/2.0/UDP 192.0.2.99:5060;branch=z9hG4bK+ab/c==;rport, SIP/2.0/TCP h_1:5061;branch=z9hG4bK2\r\n"
    b'f: "M\xc3\xbcller, \\"J\\"" <sip:j@192.0.2.99>;tag=a/b==\r\n'
    b"t: <sip:+4930123@192.0.2.1>\r\ni: 1@x\r\nCSeq: 0009\r\n  INVITE\r\n"
    b'm: <sip:j@192.0.2.99:5062;transport=TCP>;+sip.instance="<urn:uuid:1,2;3>"\r\n'
    b"X-Odd:\xff\xfe raw\r\nMAX-FORWARDS: 0068\r\nk: timer , 100rel\r\nSupported: replaces\r\nl: 3\r\n\r\nabcTRAILING"
)


def test_compact_folded_and_raw_headers() -> None:
    message = parse_message(INVITE)
    assert isinstance(message, Request)
    assert defect(message) is None
    assert message.cseq == (9, "INVITE")
    assert message.from_.display == 'Müller, "J"'
    assert message.from_tag == "a/b=="
    assert message.top_via.branch == "z9hG4bK+ab/c=="
    assert message.top_via.wants_rport
    assert message.call_id == "1@x"
    assert message.body == b"abc"
    assert message.tokens("supported") == {"timer", "100rel", "replaces"}
    contact = message.contact
    assert contact is not None
    assert contact.params["+sip.instance"] == '"<urn:uuid:1,2;3>"'
    assert contact.uri.transport == "tcp"
    assert message.parsed_uri.username == "+4930123"


def test_headers_survive_a_round_trip_byte_by_byte() -> None:
    message = parse_message(INVITE)
    assert isinstance(message, Request)
    response = build_response(message, 200, to_tag="ours").to_bytes()
    for line in (
        b"v: SIP/2.0/UDP 192.0.2.99:5060;branch=z9hG4bK+ab/c==;rport, SIP/2.0/TCP h_1:5061;branch=z9hG4bK2\r\n",
        b'f: "M\xc3\xbcller, \\"J\\"" <sip:j@192.0.2.99>;tag=a/b==\r\n',
        b"t: <sip:+4930123@192.0.2.1>;tag=ours\r\n",
    ):
        assert line in response
    message.fields = [field for field in message.fields if field[0] != "content-length"]
    assert b"X-Odd: \xff\xfe raw\r\n" in message.to_bytes()


def test_content_length_counts_bytes() -> None:
    request = Request("MESSAGE", "sip:a@b", [], "grüß".encode())
    assert b"Content-Length: 6\r\n" in request.to_bytes()
    parsed = parse_message(request.to_bytes())
    assert parsed.body == "grüß".encode()


def test_line_breaks_cannot_be_smuggled_in() -> None:
    message = parse_message(INVITE.replace(b"i: 1@x", b"i: 1@x\rEvil: 1"))
    assert "\r" not in message.call_id
    request = Request("OPTIONS", "sip:a@b", [("x", "X", "a\nb")])
    with pytest.raises(ValueError, match="line break"):
        request.to_bytes()


@pytest.mark.parametrize(
    ("spoil", "status"),
    [
        (lambda t: t.replace(b"l: 3", b"l: 300"), 400),
        (lambda t: t.replace(b"l: 3", b"l: -3"), 400),
        (lambda t: t.replace(b"l: 3", b"l: 3\r\nContent-Length: 4"), 400),
        (lambda t: t.replace(b"l: 3", b"l: 3\r\nContent-Length: three"), 400),
        (lambda t: t.replace(b"i: 1@x\r\n", b""), 400),
        (lambda t: t.replace(b"i: 1@x\r\n", b"i: 1@x\r\nCall-ID: 2@x\r\n"), 400),
        (lambda t: t.replace(b"CSeq: 0009", b"CSeq: 4294967296"), 400),
        (lambda t: t.replace(b"CSeq: 0009\r\n  INVITE", b"CSeq: 9 OPTIONS"), 400),
        (lambda t: t.replace(b"SIP/2.0\r\nv:", b"SIP/7.0\r\nv:"), 505),
        (lambda t: t.replace(b'"M', b"M"), 400),
        (lambda t: t.replace(b"INVITE sip:", b"INVITE  sip:"), 400),
        (lambda t: t.replace(b"sip:+4930123@192.0.2.1;user=phone", b"<sip:a@b>"), 400),
        (lambda t: t.replace(b";user=phone SIP", b"?Route=%3Csip:x%3E SIP"), 400),
        (lambda t: t.replace(b"sip:+4930123@192.0.2.1;user=phone", b"mailto:a@b"), 416),
        (lambda t: t.replace(b"sip:+4930123@192.0.2.1;", b"sip:" + b"9" * 9000 + b"@192.0.2.1;"), 414),
        (lambda t: t.replace(b"0068", b"256"), 400),
        (lambda t: t.replace(b"h_1:5061", b"h_1:70000"), 400),
        (lambda t: t.replace(b"X-Odd:", b"No colon here\r\nX-Odd:"), 400),
        (lambda t: t.replace(b"X-Odd:", b"A: b\r\n" * 300 + b"X-Odd:"), 400),
    ],
)
def test_defects(spoil: Any, status: int) -> None:
    text = spoil(INVITE)
    assert text != INVITE
    error = defect(parse_message(text))
    assert error is not None
    assert error.status == status


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00\x01",
        b"GET / HTTP/1.1\r\n\r\n",
        b"SIP/2.0 4294967301 x\r\n\r\n",
        b"SIP/2.0\r\n\r\n",
        b"INVITE\r\n\r\n",
    ],
)
def test_what_is_not_sip_is_refused(data: bytes) -> None:
    with pytest.raises(SipParseError):
        parse_message(data)


def test_bare_line_feeds_are_understood() -> None:
    message = parse_message(INVITE.replace(b"\r\n", b"\n"))
    assert defect(message) is None
    assert message.body == b"abc"


def test_responses_without_a_reason_or_with_a_strange_one() -> None:
    assert parse_message(b"SIP/2.0 100 \r\n\r\n").reason == ""  # type: ignore[union-attr]
    odd = parse_message("SIP/2.0 200 = 2**3 * 5**2 но\r\n\r\n".encode())
    assert isinstance(odd, Response)
    assert odd.status == 200


@pytest.mark.parametrize(
    ("text", "user", "host", "port"),
    [
        ("sip:alice@example.com", "alice", "example.com", None),
        ("SIP:alice:secret@h_o-st.x:5061;lr", "alice", "h_o-st.x", 5061),
        ("sip:[2001:db8::1]:5060;transport=TCP", "", "2001:db8::1", 5060),
        ("sip:user;par=u%40example.net@example.com", "user;par=u@example.net", "example.com", None),
        ("sip:sips%3Auser%40example.com@example.net", "sips:user@example.com", "example.net", None),
        ("tel:+49-30-123;phone-context=x", "+49-30-123", "", None),
    ],
)
def test_uris(text: str, user: str, host: str, port: int | None) -> None:
    uri = parse_uri(text)
    assert (uri.username, uri.host, uri.port) == (user, host, port)
    assert uri.text == text


@pytest.mark.parametrize("text", ["sip:", "sip:@", "sip:a@b:0", "sip:a@b:99999", "sip:a@[::1", "sip:a b@c", ":x", "x"])
def test_bad_uris(text: str) -> None:
    with pytest.raises(SipParseError):
        parse_uri(text)


@pytest.mark.parametrize(
    ("text", "display", "uri", "tag"),
    [
        ("sip:a@b;tag=1", "", "sip:a@b", "1"),
        ("<sip:a@b;x=1>;tag=1", "", "sip:a@b;x=1", "1"),
        ("caller<sip:a@b>;tag=1", "caller", "sip:a@b", "1"),
        ('"J Rosenberg \\\\\\""       <sip:a@b>  ;\t tag = 98asjd8', 'J Rosenberg \\"', "sip:a@b", "98asjd8"),
        ("Bell, Alexander <sip:a@b>;tag=43", "Bell, Alexander", "sip:a@b", "43"),
        ('"a <b>; tag=x" <sip:a@b>', "a <b>; tag=x", "sip:a@b", ""),
    ],
)
def test_name_addresses(text: str, display: str, uri: str, tag: str) -> None:
    parsed = parse_name_addr(text)
    assert (parsed.display, parsed.uri_text, parsed.tag) == (display, uri, tag)


@pytest.mark.parametrize(
    "text", ["", '"open <sip:a@b>', "<sip:a@b", '"x" y <sip:a@b>', "<>", "sip:a@b c", "<sip:a@b> x"]
)
def test_bad_name_addresses(text: str) -> None:
    with pytest.raises(SipParseError):
        parse_name_addr(text)


def test_lists_parameters_and_vias() -> None:
    assert split_list('<sip:a,b@c>;x="1,2", "d, e" <sip:f@g> ,') == ['<sip:a,b@c>;x="1,2"', '"d, e" <sip:f@g>', ""]
    assert parse_params(';a=1;B;c="x;y\\";";a=2') == {"a": "1", "b": None, "c": '"x;y\\";"'}
    via = parse_via("SIP  /    2.0   / UDP  192.168.255.111 : 5080  ; branch=z9hG4bK30239;rport=7")
    assert (via.transport, via.host, via.port, via.branch) == ("UDP", "192.168.255.111", 5080, "z9hG4bK30239")
    assert parse_via("SIP/2.0/TCP [::1]:5060").host == "::1"


@given(st.binary(max_size=400))
def test_fuzz_any_bytes(data: bytes) -> None:
    check_parser(data)


@given(st.integers(0, len(INVITE)), st.integers(0, 40), st.binary(max_size=12))
def test_fuzz_spoiled_invites(start: int, length: int, patch: bytes) -> None:
    check_parser(INVITE[:start] + patch + INVITE[start + length :])


@given(st.text(max_size=80))
def test_fuzz_header_values(text: str) -> None:
    for parse in (parse_uri, parse_name_addr, parse_via, parse_cseq, parse_params, split_list):
        with contextlib.suppress(SipParseError):
            parse(text)


def check_parser(data: bytes) -> None:
    try:
        message = parse_message(data)
    except SipParseError:
        return
    if defect(message) is None:
        assert message.call_id
        assert message.top_via.host
        if isinstance(message, Request):
            parse_message(build_response(message, 200, to_tag="t").to_bytes())


def test_long_blanks_and_quotes_take_linear_time() -> None:
    for filler in (
        b" " * 60000,
        b"\t\n " * 20000,
        b'"' * 60000,
        b"\\" * 60000,
        b";" * 60000,
        b"," * 60000,
        b"<" * 60000,
    ):
        check_parser(INVITE.replace(b"t: <sip:+4930123@192.0.2.1>", b"t: " + filler)[:65000])
        check_parser(INVITE.replace(b"X-Odd:", b"v: SIP/2.0/UDP h" + filler + b"\r\nX-Odd:"))
