"""The beep: its exact shape, and that the party hears it over whatever it is sent, and only the party."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tones
from media_rig import Peer, Rig, Speaker, continuous, talking

from earwitness.media.engine.interface import Beep, Codec
from earwitness.media.engine.sounds import wav
from earwitness.media.rtp.beep import Beeping
from earwitness.media.rtp.codecs import Format
from earwitness.media.rtp.legs import Leg
from earwitness.media.tape.reader import read

BEEP = Beep(amplitude_db=-20, duration_ms=200, frequency_hz=1400, interval_ms=500)
FORMATS = {0: tones.PCMU, 8: tones.PCMA, 9: tones.G722, 96: tones.OPUS}
SPANS = 10
"""Frames a beep."""


def beeping() -> Beeping:
    return Beeping(Leg(0, "l", "127.0.0.1", 4000, (0, 0)), BEEP, 1_000_000, 1)


def test_a10_a_beep_has_its_frequency_level_length_and_interval() -> None:
    state, heard = beeping(), []
    for frame in range(100):
        state.begin(1_000_000 + frame * 20_000)
        heard.append(state.tone(160, 8000))
    samples = np.concatenate(heard)
    for start in range(0, 16000, 4000):
        beep, pause = samples[start : start + 1600], samples[start + 1600 : start + 4000]
        peak = 32767 * 10 ** ((-20 - 3.17) / 20)
        assert abs(tones.level(beep, 1400) - peak) < peak * 0.01
        assert not pause.any()
    assert len(samples) == 16000


def test_a10_a_beep_whose_time_has_passed_is_left_out() -> None:
    state = beeping()
    state.begin(1_000_000 - 1)
    assert state.number == -1
    long = Beep(-20, 100, 1400, 15_000)
    state.beep = long
    state.begin(1_000_000 + 14_000_000)
    assert not state.sounds
    state.begin(1_000_000 + 15_000_000)
    assert state.sounds


def spans(samples: tones.I16, rate: int = 8000) -> list[bool]:
    """Whether the beep is heard, per 100 ms."""
    size = rate // 10
    return [tones.level(samples[at : at + size], 1400, rate) > 500 for at in range(0, len(samples) - size + 1, size)]


def regular(heard: list[bool]) -> bool:
    """Whether these are beeps of 200 ms, each 500 ms, wherever the packets began."""
    text = "".join("x" if each else "." for each in heard)
    return "xx" in text and "xxxx" not in text and ".." in text


async def until_regular(peer: Peer, codec: Format) -> list[bytes]:
    """What a peer is sent until the last 1.5 s of it have regular beeps (what waited while a process was busy comes at
    once, and has at most one).
    """
    packets = await peer.receive(75)
    while not regular(spans(tones.decoded(codec, packets[-75:]))):
        packets += await peer.receive(5)
    return packets


@pytest.mark.parametrize("pt", sorted(FORMATS))
async def test_a10_a_beep_is_heard_over_what_is_relayed_by_that_party_only(tmp_path: Path, pt: int) -> None:
    name, rate, channels = codec = FORMATS[pt]
    async with Rig(tmp_path) as rig:
        types = {pt: Codec(name, rate, channels)}
        a, b = rig.leg("a", payload_types=types), rig.leg("b", payload_types=types)
        rig.engine.connect("a", "b")
        rig.engine.open_tape("t", 0, "a", tmp_path)
        voice = tones.payloads(codec, tones.tone(440, 1))
        speakers = [Speaker(each, voice, pt=pt, ticks=rate // 50, ssrc=n) for n, each in enumerate((a, b))]
        rig.engine.beep("a", BEEP)
        async with talking(*speakers):
            got = await until_regular(a, codec)
            rig.engine.beep("a", None)
        rig.engine.close_tape("t")
        await rig.engine.idle()
        samples = tones.decoded(codec, got)
        assert tones.loud(samples, 440) == {440}
        assert not any(spans(tones.decoded(codec, await b.receive(70))))
        tape = read(tmp_path / "t.0.1.rtpdump")
        assert [tape.packet(n) for n in range(len(got))] == got


async def test_a10_a_beep_is_heard_over_music_in_a_mix_and_over_nothing(tmp_path: Path) -> None:
    async with Rig(tmp_path) as rig:
        a, b = rig.leg("a"), rig.leg("b")
        rig.engine.beep("a", BEEP)
        alone = await a.receive(25)
        assert all(spans(tones.decoded(tones.PCMU, alone)))
        stamps = [int.from_bytes(packet[4:8], "big") for packet in alone]
        assert 3200 < stamps[SPANS] - stamps[0] < 4800
        rig.engine.play("a", "p", wav(tones.tone(440, 0.5), 8000), loop=True)
        music = await until_regular(a, tones.PCMU)
        assert tones.loud(tones.decoded(tones.PCMU, music[-50:]), 440) == {440}
        rig.engine.mix("m", ["a", "b"])
        rig.engine.stop_play("a", "p")
        async with talking(Speaker(b, tones.payloads(tones.PCMU, tones.tone(600, 1)))):
            mixed = await until_regular(a, tones.PCMU)
            while tones.loud(tones.decoded(tones.PCMU, mixed[-50:]), 440, 600) != {600}:
                mixed += await a.receive(5)
        assert continuous([*alone, *music, *mixed])


async def test_a10_a_beep_goes_on_after_a_takeover(tmp_path: Path) -> None:
    async with Rig(tmp_path) as rig:
        a, b = await rig.call("a", "b")
        rig.engine.beep("a", BEEP)
        async with talking(Speaker(b, tones.payloads(tones.PCMU, tones.tone(440, 1)))):
            await a.receive(20)
            rig.kill(rig.processes.pop())
            rig.start_process()
            await until_regular(a, tones.PCMU)
