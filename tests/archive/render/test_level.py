"""Automatic level control: even levels, no pumping, no clipping, the same however it is cut."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tape_maker import decode_file, talk

from earwitness.archive.render.level import CEILING_DBFS, MOST_DB, SPAN_MS, TARGET_DBFS, LevelControl
from earwitness.archive.render.renderer import render_tape

I16 = NDArray[np.int16]
RATE = 8000
MakeSpool = Callable[..., Any]


def speech(level_dbfs: float, seconds: float) -> I16:
    """A tone of that root mean square."""
    at = np.arange(round(seconds * RATE)) / RATE
    return (32768 * np.sqrt(2) * 10 ** (level_dbfs / 20) * np.sin(2 * np.pi * 440 * at)).astype(np.int16)[:, None]


def level(samples: I16) -> float:
    return float(10 * np.log10(np.mean(samples.astype(np.float64) ** 2) / 32768**2))


def levelled(samples: I16, *cuts: int) -> I16:
    control = LevelControl(RATE, samples.shape[1])
    pieces = np.split(samples, sorted(min(cut, len(samples)) for cut in cuts))
    return np.concatenate([*(control.samples(piece) for piece in pieces), control.finish()])


@pytest.mark.parametrize("dbfs", [-35.0, -28.0, -20.0, -12.0, -9.0])
def test_any_speech_comes_to_the_target(dbfs: float) -> None:
    out = levelled(speech(dbfs, 12.0))
    assert level(out[-2 * RATE :]) == pytest.approx(TARGET_DBFS, abs=0.5)


def test_what_is_too_quiet_is_raised_by_a_limit() -> None:
    assert level(levelled(speech(-42.0, 15.0))[-2 * RATE :]) == pytest.approx(-42 + MOST_DB, abs=0.5)


def test_silence_and_noise_are_not_pumped_up() -> None:
    noise = np.random.default_rng(1).normal(0, 30, (10 * RATE, 1)).astype(np.int16)  # about -61 dBFS
    out = levelled(np.concatenate([speech(-20.0, 5.0), noise, speech(-20.0, 2.0)]))
    assert level(out[6 * RATE : 15 * RATE]) == pytest.approx(level(noise), abs=0.5)
    alone = levelled(noise)
    assert np.array_equal(alone, noise)
    assert not levelled(np.zeros((RATE, 2), np.int16)).any()


def test_a_shout_after_a_whisper_is_limited_from_its_first_sample() -> None:
    out = levelled(np.concatenate([speech(-36.0, 8.0), speech(-4.0, 2.0)]))
    ceiling = 32768 * 10 ** (CEILING_DBFS / 20)
    assert np.abs(out.astype(np.int32)).max() <= ceiling + 1
    assert level(out[-RATE // 2 :]) == pytest.approx(TARGET_DBFS, abs=6)


def test_the_gain_makes_no_steps() -> None:
    quiet = np.full((8 * RATE, 1), 1000, np.int16)
    out = levelled(quiet).astype(np.int32)[:, 0]
    assert np.abs(np.diff(out)).max() <= 3


def test_channels_do_not_hear_each_other() -> None:
    pair = np.concatenate([speech(-30.0, 6.0), speech(-12.0, 6.0)], axis=1)
    out = levelled(pair)
    for channel in (0, 1):
        assert np.array_equal(out[:, channel : channel + 1], levelled(pair[:, channel : channel + 1]))


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 4000), st.lists(st.integers(0, 4000), max_size=6), st.integers(0, 2**32 - 1), st.sampled_from([1, 2])
)
def test_length_stays_and_cuts_do_not_matter(length: int, cuts: list[int], seed: int, channels: int) -> None:
    random = np.random.default_rng(seed)
    samples = random.integers(-32768, 32768, (length, channels)).astype(np.int16)
    whole = levelled(samples)
    assert whole.shape == samples.shape
    assert np.array_equal(levelled(samples, *cuts), whole)
    assert len(samples) == 0 or np.abs(whole.astype(np.int32)).max() <= 32768 * 10 ** (CEILING_DBFS / 20) + 1


@pytest.mark.parametrize("dual", [True, False])
def test_a_trunk_that_asks_for_it_gets_even_levels(spool: MakeSpool, dual: bool) -> None:
    out, plain = io.BytesIO(), io.BytesIO()
    packets = talk(440, 12.0, amplitude=800), talk(1000, 12.0, amplitude=12000, ssrc=9)
    plan = spool(level_control=True, audio_format="audio/L16", dual_channel=dual).simple(12.0, *packets)
    rendering = render_tape(plan, out.write)
    assert rendering.length_ms == 12000
    samples, rate = decode_file(out.getvalue())
    assert len(samples) == 12 * rate
    if dual:
        levels = [level(samples[10 * rate :, channel : channel + 1]) for channel in (0, 1)]
        assert levels == pytest.approx([TARGET_DBFS, TARGET_DBFS], abs=1)
    quiet = rendering.sheet.channels[0].level_dbfs
    assert quiet is not None
    assert quiet < -30, "the sheet tells what came over the line"
    assert len(rendering.peaks.values) == 12000 // SPAN_MS
    assert rendering.peaks.values[-10:, 0, 1].max() > 12, "the waveform shows what the file holds"
    other = spool(level_control=False, audio_format="audio/L16", dual_channel=dual).simple(12.0, *packets)
    render_tape(other, plain.write)
    assert len(plain.getvalue()) == len(out.getvalue())
