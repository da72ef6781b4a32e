"""DTMF detection against the limits of ITU-T Q.24, and against speech and music."""

from __future__ import annotations

import io
import wave

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earwitness.media.engine.sounds import hold_music, ringback
from earwitness.media.rtp.dial import dual_tones
from earwitness.media.rtp.g711 import I16
from earwitness.media.rtp.goertzel import HIGH, KEYS, LOW, Detector
from earwitness.media.speech import speak

ALL = "0123456789*#ABCD"


def press(digit: str, ms: int, *, rate: int = 8000, off: float = 0, levels: tuple[float, float] = (4000, 4000)) -> I16:
    row = next(index for index, keys in enumerate(KEYS) if digit in keys)
    time = np.arange(rate * ms // 1000) / rate
    hertz = LOW[row], HIGH[KEYS[row].index(digit)]
    tones = [level * np.sin(2 * np.pi * each * (1 + off) * time) for level, each in zip(levels, hertz, strict=True)]
    return np.concatenate((np.zeros(rate // 20), tones[0] + tones[1], np.zeros(rate // 20))).astype(np.int16)


def found(samples: I16, rate: int = 8000, piece: int = 160) -> str:
    detector = Detector(rate)
    tones = [tone for at in range(0, len(samples), piece) for tone in detector.feed(samples[at : at + piece])]
    return "".join(tone.digit for tone in tones + detector.finish())


@pytest.mark.parametrize("rate", [8000, 16000])
def test_digits_of_40_ms_are_found_and_shorter_than_20_are_not(rate: int) -> None:
    assert "".join(found(press(digit, 40, rate=rate), rate) for digit in ALL) == ALL
    assert "".join(found(press(digit, 20, rate=rate), rate) for digit in ALL) == ""


def test_frequencies_may_be_off_by_one_and_a_half_percent_and_not_by_three_and_a_half() -> None:
    for off in (0.015, -0.015):
        assert "".join(found(press(digit, 60, off=off)) for digit in ALL) == ALL
    for off in (0.035, -0.035):
        assert "".join(found(press(digit, 60, off=off)) for digit in ALL) == ""


def test_twist_and_level_have_their_limits() -> None:
    for difference, heard in ((-12, ""), (-8, "5"), (4, "5"), (9, "")):
        assert found(press("5", 60, levels=(4000, 4000 * 10 ** (difference / 20)))) == heard
    assert found(press("5", 60, levels=(100, 100))) == ""
    assert found(press("5", 60, levels=(350, 350))) == "5"


def test_repeated_digits_count_each_time_and_last_as_long_as_they_do() -> None:
    assert found(np.concatenate([press("1", 50)] * 3)) == "111"
    detector = Detector(8000)
    tones = [*detector.feed(press("9", 100)), *detector.finish()]
    assert abs((tones[0].end - tones[0].start) / 8 - 100) <= 30
    assert found(dual_tones(ALL)) == ALL


@settings(max_examples=25, deadline=None)
@given(st.text(ALL, max_size=8), st.integers(1, 700), st.integers(0, 2**32 - 1))
def test_pieces_and_noise_do_not_matter(digits: str, piece: int, seed: int) -> None:
    noise = np.random.default_rng(seed).normal(0, 250, 1000 * len(digits) * 2 + 2000)
    line = np.concatenate([press(digit, 60) for digit in digits]) if digits else np.zeros(400, np.int16)
    assert found((line + noise[: len(line)]).astype(np.int16), piece=piece) == digits


def test_speech_and_music_are_no_digits() -> None:
    text = "She sells seashells by the seashore, and the sun shone on nineteen yellow boats. We owe you a yo-yo. "
    for voice in ("en", "en+f3", "de", "fr", "en+m7", "it+f2"):
        assert found(speak(text * 3, voice=voice)) == ""
    for sound in (hold_music(), ringback()):
        with wave.open(io.BytesIO(sound)) as reader:
            rate = reader.getframerate()
            assert found(np.frombuffer(reader.readframes(reader.getnframes()), "<i2"), rate) == ""
    noise = np.random.default_rng(5)
    assert found(noise.normal(0, 4000, 8000 * 60).astype(np.int16)) == ""
