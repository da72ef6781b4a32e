"""Digits through a real engine: sent, recognised in the audio, kept while they may be a feature code."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
import tones
from media_rig import Peer, Rig, Speaker, continuous, rtp, talking

from earwitness.media.engine.interface import Code, Codec, Digit, EngineError
from earwitness.media.rtp.dial import dual_tones
from earwitness.media.rtp.goertzel import Detector
from earwitness.media.tape.reader import read

EVENTS = {0: Codec("PCMU", 8000), 101: Codec("telephone-event", 8000)}
FORMATS = {0: tones.PCMU, 8: tones.PCMA, 9: tones.G722, 96: tones.OPUS, 97: tones.L16}


def digits_of(rig: Rig) -> list[str]:
    return [event.digit for event in rig.events if isinstance(event, Digit)]


def event_packets(digit: str, number: int, *, pt: int = 101, seq: int = 0) -> list[bytes]:
    code = "0123456789*#ABCD".index(digit)
    steps = [struct.pack("!BBH", code, 10, 160 * n) for n in range(1, 5)] + [struct.pack("!BBH", code, 0x8A, 800)] * 3
    return [rtp(seq + n, pt=pt, payload=each, timestamp=number * 8000) for n, each in enumerate(steps)]


def events_in(packets: list[bytes], pt: int = 101) -> str:
    """The digits of telephone events, one per time stamp."""
    found: dict[bytes, str] = {}
    for packet in packets:
        if packet[1] & 0x7F == pt:
            found[packet[4:8]] = "0123456789*#ABCD"[packet[12]]
    return "".join(found.values())


async def test_digits_are_sent_as_events_that_a_peer_can_read(tmp_path: Path) -> None:
    async with Rig(tmp_path) as rig:
        a = rig.leg("a", payload_types=EVENTS, telephone_event=101)
        b = rig.leg("b", payload_types=EVENTS, telephone_event=101)
        rig.engine.connect("a", "b")
        rig.engine.open_tape("t", 0, "a", tmp_path)
        async with talking(Speaker(b, [bytes(160)])):
            got = await a.receive(5)
            rig.engine.send_digits("a", "1*")
            rig.engine.send_digits("a", "D")
            while events_in(got) != "1*D" or got[-1][1] & 0x7F == 101:
                got += await a.receive(1)
        rig.engine.close_tape("t")
        await rig.engine.idle()
        sequence = [int.from_bytes(packet[2:4], "big") for packet in got]
        assert [(each - sequence[0]) & 0xFFFF for each in sequence] == list(range(len(got)))
        assert len({packet[8:12] for packet in got}) == 1
        for stamp in dict.fromkeys(packet[4:8] for packet in got if packet[1] & 0x7F == 101):
            parts = [packet for packet in got if packet[4:8] == stamp and packet[1] & 0x7F == 101]
            assert [packet[1] >> 7 for packet in parts] == [1] + [0] * 6
            assert [packet[13] >> 7 for packet in parts] == [0] * 4 + [1] * 3
            assert [int.from_bytes(packet[14:16], "big") for packet in parts] == [160, 320, 480, 640, 800, 800, 800]
        tape = read(tmp_path / "t.0.1.rtpdump")
        assert [tape.packet(n) for n in range(len(got))] == got


@pytest.mark.parametrize("pt", sorted(FORMATS))
async def test_without_events_digits_are_sent_and_recognised_as_tones(tmp_path: Path, pt: int) -> None:
    name, rate, channels = codec = FORMATS[pt]
    async with Rig(tmp_path) as rig:
        a = rig.leg("a", payload_types={pt: Codec(name, rate, channels)})
        with pytest.raises(EngineError):
            rig.engine.send_digits("a", "1w")
        rig.engine.send_digits("a", "159#")
        got = await a.receive(40)
        assert continuous(got)
        detector = Detector(8000)
        assert "".join(tone.digit for tone in detector.feed(tones.decoded(codec, got)) + detector.finish()) == "159#"
        rig.engine.detect_tones("a", True)
        says = Speaker(a, tones.payloads(codec, dual_tones("159#")), pt=pt, ticks=rate // 50)
        for _ in range(40):
            says.say()
        while digits_of(rig) != list("159#"):
            await rig.event(Digit, len(rig.events))


async def test_a_digit_that_comes_both_ways_is_told_once(tmp_path: Path) -> None:
    async with Rig(tmp_path) as rig:
        a = rig.leg("a", payload_types=EVENTS, telephone_event=101)
        rig.engine.detect_tones("a", True)
        voice = Speaker(a, tones.payloads(tones.PCMU, dual_tones("7")))
        for packet in event_packets("7", 1, seq=100):
            voice.say()
            a.send(packet)
        for _ in range(10):
            voice.say()
        await rig.event(Digit)
        later = Speaker(a, tones.payloads(tones.PCMU, dual_tones("8")), ssrc=9)
        for _ in range(10):
            later.say()
        seen = len(rig.events)
        while "8" not in digits_of(rig):
            await rig.event(Digit, seen)
        assert digits_of(rig) == ["7", "8"]


async def coded(rig: Rig, folder: Path) -> tuple[Peer, Peer]:
    a = rig.leg("a", payload_types=EVENTS, telephone_event=101)
    b = rig.leg("b", payload_types={0: EVENTS[0], 96: EVENTS[101]}, telephone_event=96)
    rig.engine.connect("a", "b")
    rig.engine.set_codes("a", ["*1"])
    rig.engine.open_tape("t", 0, "a", folder)
    rig.engine.open_tape("u", 0, "b", folder)
    return a, b


async def test_a_code_is_told_and_nobody_hears_or_tapes_it(tmp_path: Path) -> None:
    async with Rig(tmp_path) as rig:
        a, b = await coded(rig, tmp_path)
        sent = [a.send(rtp(1))]
        for packet in event_packets("*", 1, seq=2) + event_packets("1", 2, seq=9):
            a.send(packet)
        sent.append(a.send(rtp(16)))
        code = await rig.event(Code)
        assert (code.leg_id, code.code) == ("a", "*1")
        got = await b.receive(2)
        assert continuous(got)
        assert [packet[12:] for packet in got] == [packet[12:] for packet in sent]
        rig.engine.close_tape("t")
        rig.engine.close_tape("u")
        await rig.engine.idle()
        assert digits_of(rig) == []
        for name, expected in (("t.0.0", sent), ("u.0.1", got)):
            tape = read(tmp_path / f"{name}.rtpdump")
            assert [tape.packet(n) for n in range(len(tape))] == expected


async def test_what_is_no_code_is_passed_on_late(tmp_path: Path) -> None:
    async with Rig(tmp_path) as rig:
        a, b = await coded(rig, tmp_path)
        a.send(rtp(1))
        for packet in event_packets("*", 1, seq=2):
            a.send(packet)
        a.send(rtp(9))
        early = await b.receive(2)
        assert events_in(early, 96) == ""
        for packet in event_packets("5", 2, seq=10):
            a.send(packet)
        a.send(rtp(17))
        got = early + await b.receive(15)
        assert events_in(got, 96) == "*5"
        sequence = [int.from_bytes(packet[2:4], "big") for packet in got]
        assert [each - sequence[0] for each in sequence] == list(range(17))
        for packet in event_packets("*", 3, seq=18):
            a.send(packet)
        late = await b.receive(7)  # nothing follows: after two seconds it is passed on
        assert events_in(late, 96) == "*"
        while digits_of(rig) != ["*", "5", "*"]:
            await rig.event(Digit, len(rig.events))
        rig.engine.close_tape("t")
        await rig.engine.idle()
        tape = read(tmp_path / "t.0.0.rtpdump")
        assert events_in([tape.packet(n) for n in range(len(tape))]) == "*5*"
        assert not [event for event in rig.events if isinstance(event, Code)]


async def test_a_digit_that_was_pressed_before_a_tape_began_is_not_on_it(tmp_path: Path) -> None:
    async with Rig(tmp_path) as rig:
        a, b = await coded(rig, tmp_path)
        rig.engine.close_tape("t")
        rig.engine.close_tape("u")
        a.send(rtp(1))
        for packet in event_packets("*", 1, seq=2):
            a.send(packet)
        await b.receive(1)
        rig.engine.open_tape("t", 1, "a", tmp_path)
        rig.engine.open_tape("u", 1, "b", tmp_path)
        for packet in event_packets("5", 2, seq=10):
            a.send(packet)
        assert events_in(await b.receive(14), 96) == "*5"
        rig.engine.close_tape("t")
        rig.engine.close_tape("u")
        await rig.engine.idle()
        for name, pt in (("t.1.0", 101), ("u.1.1", 96)):
            tape = read(tmp_path / f"{name}.rtpdump")
            assert events_in([tape.packet(n) for n in range(len(tape))], pt) == "5"


async def test_codes_tones_and_muting_go_on_after_a_takeover(tmp_path: Path) -> None:
    async with Rig(tmp_path) as rig:
        a, b = await coded(rig, tmp_path)
        rig.engine.mute("b", True)
        rig.engine.detect_tones("b", True)
        first = a.send(rtp(1))
        assert await b.receive(1) == [first]
        rig.kill(rig.processes.pop())
        for packet in event_packets("*", 1, seq=2) + event_packets("1", 2, seq=9):
            a.send(packet)
        b.send(rtp(1, ssrc=2))
        rig.start_process()
        assert (await rig.event(Code)).code == "*1"
        again = a.send(rtp(16))
        assert [packet[12:] for packet in await b.receive(1)] == [again[12:]]
        assert a.waiting() == []


async def test_digits_go_on_after_a_takeover(tmp_path: Path) -> None:
    async with Rig(tmp_path) as rig:
        a = rig.leg("a", payload_types=EVENTS, telephone_event=101)
        rig.engine.send_digits("a", "123456789")
        got = await a.receive(18)
        rig.kill(rig.processes.pop())
        rig.start_process()
        while not events_in(got).endswith("9"):
            got += await a.receive(1)
        assert events_in(got) == "123456789"
        assert len({packet[8:12] for packet in got}) == 1
