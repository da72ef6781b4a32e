from __future__ import annotations

import pytest

from earwitness.edge.sip import offer_answer, sdp
from earwitness.edge.sip.offer_answer import FULL_OFFER, LocalDescription, NotAcceptable
from earwitness.edge.sip.sdp import Direction, Format

PCMU, PCMA = Format(0, "PCMU", 8000), Format(8, "PCMA", 8000)
OPUS = Format(111, "opus", 48000, 2)
EVENTS = Format(101, "telephone-event", 8000, 1, "0-15")


def _offer(*lines: str) -> sdp.SessionDescription:
    rows = ["v=0", "o=- 1 1 IN IP4 192.0.2.1", "s=-", "c=IN IP4 192.0.2.1", "t=0 0", *lines, ""]
    return sdp.parse("\r\n".join(rows).encode())


def test_our_offer_reads_back() -> None:
    ours = LocalDescription(7, "192.0.2.9", 20000, 20001)
    stream = offer_answer.audio_of(sdp.parse(ours.offer([PCMU, OPUS, EVENTS], ptime=20)))
    assert (stream.host, stream.port, stream.formats, stream.ptime) == ("192.0.2.9", 20000, (PCMU, OPUS, EVENTS), 20)


def test_ipv6_and_an_odd_rtcp_port_are_written() -> None:
    body = LocalDescription(7, "2001:db8::9", 20000, 30000).offer([PCMU])
    assert b"c=IN IP6 2001:db8::9\r\n" in body
    assert b"a=rtcp:30000\r\n" in body


def test_version_grows_exactly_with_changes() -> None:
    ours = LocalDescription(7, "192.0.2.9", 20000)
    first = ours.offer([PCMU])
    assert b"o=- 7 1 IN IP4" in first
    assert ours.offer([PCMU]) == first
    assert b"o=- 7 2 IN IP4" in ours.offer([PCMU], Direction.SENDONLY)
    assert b"o=- 7 3 IN IP4" in ours.offer([PCMU])


def test_other_media_lines_are_refused_in_place_for_ever() -> None:
    ours = LocalDescription(7, "192.0.2.9", 20000)
    offer = _offer("m=video 5000 RTP/AVP 96", "m=audio 5002 RTP/AVPF 0", "m=audio 5004 RTP/AVP 0")
    answer = sdp.parse(ours.answer(offer, [PCMU], Direction.SENDRECV))
    assert [(m.kind, m.port, m.protocol) for m in answer.media] == [
        ("video", 0, "RTP/AVP"),
        ("audio", 20000, "RTP/AVPF"),
        ("audio", 0, "RTP/AVP"),
    ]
    later = sdp.parse(ours.offer([PCMU], Direction.SENDONLY))
    assert [m.port for m in later.media] == [0, 20000, 0]


def test_answer_takes_the_callees_choice_under_the_callers_numbers() -> None:
    offered = [PCMU, Format(96, "opus", 48000, 2), Format(100, "telephone-event", 8000)]
    chosen = [Format(111, "OPUS", 48000, 2, "stereo=1"), Format(101, "telephone-event", 8000, 1, "0-15"), PCMA]
    assert offer_answer.common_formats(offered, chosen) == (
        Format(96, "opus", 48000, 2, "stereo=1"),
        Format(100, "telephone-event", 8000, 1, "0-15"),
    )


def test_same_codec_twice_keeps_its_numbers() -> None:
    offered = [Format(96, "iLBC", 8000, 1, "mode=20"), Format(97, "iLBC", 8000, 1, "mode=30")]
    assert offer_answer.common_formats(offered, offered[::-1]) == tuple(offered[::-1])


@pytest.mark.parametrize("chosen", [[], [PCMA], [EVENTS]])
def test_nothing_in_common(chosen: list[Format]) -> None:
    with pytest.raises(NotAcceptable):
        offer_answer.common_formats([PCMU, EVENTS], chosen)


@pytest.mark.parametrize("line", ["m=audio 0 RTP/AVP 0", "m=audio 5000 RTP/AVP 9", "m=video 5000 RTP/AVP 0"])
def test_answers_without_our_audio_are_not_acceptable(line: str) -> None:
    with pytest.raises(NotAcceptable):
        offer_answer.answered_stream(_offer(line), [PCMU])


def test_answer_is_reduced_to_what_was_offered() -> None:
    stream = offer_answer.answered_stream(_offer("m=audio 5000 RTP/AVP 9 8 0"), [PCMU, PCMA])
    assert stream.formats == (PCMA, PCMU)


def test_an_audio_line_without_address_is_not_acceptable() -> None:
    body = b"v=0\r\no=- 1 1 IN IP4 h\r\ns=-\r\nm=audio 5000 RTP/AVP 0\r\n"
    with pytest.raises(NotAcceptable):
        offer_answer.audio_of(sdp.parse(body))


def test_red_is_not_offered_on() -> None:
    assert offer_answer.carried([Format(98, "red", 8000, 1, "101/101"), PCMU]) == (PCMU,)


@pytest.mark.parametrize("direction", list(Direction))
def test_reversed_directions_meet(direction: Direction) -> None:
    other = direction.reversed()
    assert (direction.sends, direction.receives) == (other.receives, other.sends)


def test_full_offer_survives_its_own_description() -> None:
    stream = offer_answer.audio_of(sdp.parse(LocalDescription(1, "127.0.0.1", 4000).offer(FULL_OFFER)))
    assert stream.formats == FULL_OFFER
