"""TCP streams: chunks of any size, several messages in one, keep-alive, and streams that cannot be followed."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earwitness.edge.sip.framing import PONG, StreamFramer
from earwitness.edge.sip.headers import SipParseError

ONE = b"OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/TCP c;branch=z9hG4bK1\r\nContent-Length: 5\r\n\r\nhello"
TWO = b"OPTIONS sip:a@b SIP/2.0\r\nl : 0\r\n\r\n"
BIG = b"INVITE sip:a@b SIP/2.0\r\nCONTENT-LENGTH:11000\r\n\r\n" + b"\r\n\r\nx" * 2200


@given(st.lists(st.integers(1, 700), min_size=1, max_size=60))
def test_any_chunks(sizes: list[int]) -> None:
    stream = ONE + TWO + b"\r\n" + BIG + b"\r\n\r\n" + ONE
    framer = StreamFramer()
    frames = []
    position = 0
    for size in [*sizes, len(stream)]:
        frames += framer.feed(stream[position : position + size])
        position += size
    assert frames == [ONE, TWO, BIG, PONG, ONE]


def test_three_pipelined_in_one_segment() -> None:
    assert StreamFramer().feed(ONE + ONE + TWO) == [ONE, ONE, TWO]


def test_keep_alive_is_answered_once_per_double_break() -> None:
    framer = StreamFramer()
    assert framer.feed(b"\r\n\r\n") == [PONG]
    assert framer.feed(b"\r") == []
    assert framer.feed(b"\n\r\n") == [PONG]
    assert framer.feed(b"\r\n" + ONE) == [ONE]


@pytest.mark.parametrize(
    "data",
    [
        b"OPTIONS sip:a@b SIP/2.0\r\nContent-Length: -1\r\n\r\n",
        b"OPTIONS sip:a@b SIP/2.0\r\nContent-Length: 1\r\nl: 2\r\n\r\n",
        b"OPTIONS sip:a@b SIP/2.0\r\nContent-Length: 99999999\r\n\r\n",
        b"x" * 70000,
        b"\rX",
    ],
)
def test_hopeless_streams_are_given_up(data: bytes) -> None:
    with pytest.raises(SipParseError):
        StreamFramer().feed(data)


@given(st.lists(st.binary(max_size=60), max_size=20))
def test_fuzz(chunks: list[bytes]) -> None:
    framer = StreamFramer()
    with contextlib.suppress(SipParseError):
        for chunk in chunks:
            framer.feed(chunk)
