from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from earwitness.edge.sip import sdp
from earwitness.edge.sip.sdp import Direction, Format, SdpError

CARRIER = b"""v=0\r
o=carrier 123 456 IN IP4 192.0.2.10\r
s=-\r
c=IN IP4 192.0.2.10\r
b=AS:64\r
t=0 0\r
a=x-vendor:kept\r
m=audio 40000 RTP/AVP 8 0 111 101\r
a=rtpmap:8 PCMA/8000\r
a=rtpmap:111 opus/48000/2\r
a=fmtp:111 useinbandfec=1;stereo=0\r
a=rtpmap:101 telephone-event/8000\r
a=fmtp:101 0-15\r
a=ptime:20\r
a=sendrecv\r
"""


def test_a_description_comes_back_byte_for_byte() -> None:
    assert sdp.build(sdp.parse(CARRIER)) == CARRIER


def test_bare_line_feeds_are_read() -> None:
    assert sdp.build(sdp.parse(CARRIER.replace(b"\r\n", b"\n"))) == CARRIER


def test_audio_stream() -> None:
    stream = sdp.parse(CARRIER).audio()
    assert stream is not None
    assert (stream.host, stream.port, stream.rtcp) == ("192.0.2.10", 40000, ("192.0.2.10", 40001))
    assert stream.formats == (
        Format(8, "PCMA", 8000),
        Format(0, "PCMU", 8000),
        Format(111, "opus", 48000, 2, "useinbandfec=1;stereo=0"),
        Format(101, "telephone-event", 8000, 1, "0-15"),
    )
    assert stream.ptime == 20
    assert stream.direction is Direction.SENDRECV
    assert stream.telephone_event == Format(101, "telephone-event", 8000, 1, "0-15")


def _head(*lines: str) -> bytes:
    return "\r\n".join(["v=0", "o=- 1 1 IN IP4 192.0.2.1", "s=-", "c=IN IP4 192.0.2.1", "t=0 0", *lines, ""]).encode()


def test_the_first_usable_audio_line_is_taken() -> None:
    description = sdp.parse(
        _head(
            "m=video 5000 RTP/AVP 96",
            "m=audio 5002 RTP/SAVP 0",
            "m=audio 0 RTP/AVP 0",
            "m=audio 5004 RTP/AVP 97",
            "m=audio 5006 RTP/AVP 0",
            "c=IN IP4 192.0.2.77/127",
            "a=rtcp:6000 IN IP4 192.0.2.78",
            "a=rtcp-mux",
            "m=audio 5008 RTP/AVP 0",
        )
    )
    stream = description.audio()
    assert stream is not None
    assert (stream.index, stream.host, stream.port) == (4, "192.0.2.77", 5006)
    assert stream.rtcp == ("192.0.2.78", 6000)
    assert stream.rtcp_mux


@pytest.mark.parametrize(
    "lines",
    [
        (),
        ("m=video 5000 RTP/AVP 96",),
        ("m=audio 0 RTP/AVP 0",),
        ("m=audio 5000 RTP/AVP 97",),
        ("m=audio 5000 RTP/AVP 101", "a=rtpmap:101 telephone-event/8000"),
    ],
)
def test_no_audio_for_us(lines: tuple[str, ...]) -> None:
    assert sdp.parse(_head(*lines)).audio() is None


@pytest.mark.parametrize(
    ("session", "media", "host", "expected"),
    [
        ("sendonly", None, "192.0.2.1", Direction.SENDONLY),
        ("sendonly", "inactive", "192.0.2.1", Direction.INACTIVE),
        (None, None, "0.0.0.0", Direction.SENDONLY),
        (None, "recvonly", "0.0.0.0", Direction.INACTIVE),
        (None, "sendonly", "0.0.0.0", Direction.SENDONLY),
        (None, None, "192.0.2.1", Direction.SENDRECV),
    ],
)
def test_hold_forms(session: str | None, media: str | None, host: str, expected: Direction) -> None:
    above = [f"a={session}"] if session else []
    below = [f"a={media}"] if media else []
    stream = sdp.parse(_head(*above, "m=audio 4000 RTP/AVP 0", f"c=IN IP4 {host}", *below)).audio()
    assert stream is not None
    assert stream.effective_direction is expected


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"hello",
        b"v=1\r\no=- 1 1 IN IP4 a\r\n",
        b"v=0\r\ns=-\r\n",
        b"o=- 1 1 IN IP4 a\r\nv=0\r\n",
        _head("m=audio"),
        _head("m=audio 70000 RTP/AVP 0"),
        _head("m=audio -1 RTP/AVP 0"),
        _head("m=audio x RTP/AVP 0"),
        _head("m=audio 4000/0 RTP/AVP 0"),
        _head("not a line"),
        _head(*["m=audio 1 RTP/AVP 0"] * 33),
        _head(*["a=x"] * 2001),
        b"v=0" + b"x" * 70000,
    ],
)
def test_what_is_no_sdp_is_refused(body: bytes) -> None:
    with pytest.raises(SdpError):
        sdp.parse(body)


@given(st.binary(max_size=400))
@example(_head("m=audio 4000 RTP/AVP 0 \xb2", "a=rtpmap:\xb2 X/1"))
def test_any_bytes_parse_or_raise_sdp_error(body: bytes) -> None:
    _read(body)


LINES = st.lists(
    st.one_of(
        st.sampled_from(
            [
                "m=audio 4000 RTP/AVP 0 8 96 101",
                "m=video 1 RTP/AVP 1",
                "c=IN IP4 192.0.2.1",
                "c=IN IP6 ::1",
                "c=IN IP4",
                "a=rtpmap:96 opus/48000/2",
            ]
        ),
        st.sampled_from(
            [
                "a=sendonly",
                "a=fmtp:96 x",
                "a=rtcp:x",
                "a=rtcp:5 IN IP4 h",
                "a=ptime:20.5",
                "a=rtpmap:200 X/1",
                "a=rtpmap:0 /",
                "",
            ]
        ),
        st.text(max_size=30).map(lambda text: "a=" + text),
    ),
    max_size=12,
)


@given(LINES)
def test_descriptions_of_odd_lines_parse_or_raise_sdp_error(lines: list[str]) -> None:
    _read("\r\n".join(["v=0", "o=- 1 1 IN IP4 h", *lines]).encode("utf-8", "replace"))


def _read(body: bytes) -> None:
    try:
        description = sdp.parse(body)
        stream = description.audio()
    except SdpError:
        return
    assert sdp.parse(sdp.build(description)) == description
    if stream is not None:
        assert 0 < stream.port <= 65535
        assert stream.formats
