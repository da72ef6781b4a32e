"""Bodies of several parts: the session description is found, whatever stands beside it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earwitness.edge.sip.message import Request, parse_message
from earwitness.edge.sip.multipart import description_in, take_description

DESCRIPTION = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"
ISUP = b"\x01\x00\x60\x00\xff\r\n\x80"


def parts(*of: tuple[str, str, bytes]) -> bytes:
    body = b""
    for kind, disposition, content in of:
        body += b"--edge\r\nContent-Type: " + kind.encode() + b"\r\n"
        body += (b"Content-Disposition: " + disposition.encode() + b"\r\n" if disposition else b"") + b"\r\n"
        body += content + b"\r\n"
    return body + b"--edge--\r\n"


MIXED = "multipart/mixed;boundary=edge"


@pytest.mark.parametrize("kind", [MIXED, 'Multipart/Mixed; boundary="edge"', "multipart/alternative; boundary=edge"])
@pytest.mark.parametrize("disposition", ["", "signal;handling=optional", "signal; handling=optional"])
def test_the_description_is_taken_and_the_rest_left(kind: str, disposition: str) -> None:
    sdp, isup = ("application/sdp", "", DESCRIPTION), ("application/isup;version=itu-t92+", disposition, ISUP)
    for body in (parts(sdp, isup), parts(isup, sdp)):
        found = description_in(kind, body)
        assert found is not None
        assert found.strip() == DESCRIPTION.strip()


@pytest.mark.parametrize(
    "body",
    [
        parts(("application/isup", "", ISUP)),
        parts(("application/sdp", "", DESCRIPTION), ("application/isup", "signal; handling=required", ISUP)),
        b"",
        b"--edge",
        DESCRIPTION,
    ],
)
def test_without_one_or_beside_a_part_that_must_be_understood_there_is_none(body: bytes) -> None:
    assert description_in(MIXED, body) is None


def test_the_message_has_the_description_for_its_body() -> None:
    body = parts(("application/sdp", "session", DESCRIPTION), ("application/isup", "signal;handling=optional", ISUP))
    head = f"INVITE sip:1@h SIP/2.0\r\nCall-ID: 1\r\nc: {MIXED}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    message = parse_message(head + body)
    assert isinstance(message, Request)
    take_description(message)
    assert message.content_type == "application/sdp"
    assert message.body.strip() == DESCRIPTION.strip()


@given(st.text(max_size=80), st.binary(max_size=300))
def test_any_bytes_are_a_description_or_none(content_type: str, body: bytes) -> None:
    found = description_in(f"multipart/mixed;{content_type}", b"--edge\r\n" + body)
    assert found is None or isinstance(found, bytes)
