"""Formats on demand, by content."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tape_maker import decode_file, dominant, talk

from earwitness.archive.render import gsm, wav
from earwitness.archive.render.convert import FORMATS, MasterError, convert, open_master, read_samples
from earwitness.archive.render.peaks import Peaks
from earwitness.archive.render.renderer import UnsupportedFormatError, render_tape

MakeSpool = Callable[..., Any]

SECONDS = 6.01
G726_HEAD = wav.header(wav.G726, 8000, 1, 500)


@pytest.fixture(scope="module", params=["audio/opus", "audio/PCMU", "audio/PCMA", "audio/L16"])
def master(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    from tape_maker import Spool

    out = io.BytesIO()
    spool = Spool(tmp_path_factory.mktemp("spool"), audio_format=request.param)
    plan = spool.simple(SECONDS, talk(440, 6.0), talk(1000, 6.0, ssrc=9))
    render_tape(plan, out.write)
    return out.getvalue()


@pytest.mark.parametrize("channel", [None, 0, 1])
@pytest.mark.parametrize("target", list(FORMATS))
def test_g7_every_format_holds_the_right_voices(master: bytes, target: str, channel: int | None) -> None:
    out = io.BytesIO()
    told: list[float] = []
    made = convert(io.BytesIO(master), target, out, channel=channel, progress=told.append)
    assert made == FORMATS[target]
    samples, rate = decode_file(out.getvalue())
    assert len(samples) / rate == pytest.approx(SECONDS, abs=0.03)
    if channel is None:
        assert samples.shape[1] == 2
    for column in range(samples.shape[1]):
        heard = dominant(samples[:, column], rate)[1:59]
        expected = (440, 1000)[column if channel is None else channel]
        assert all(abs(hz - expected) < 15 for hz in heard)
    assert told == sorted(told)


def test_webm_and_opus_keep_the_packets_of_the_master(spool: MakeSpool) -> None:
    master = io.BytesIO()
    render_tape(spool().simple(3.0, talk(440, 3.0), talk(1000, 3.0, ssrc=9)), master.write)
    same, webm = io.BytesIO(), io.BytesIO()
    convert(master, "OGG_OPUS", same)
    convert(master, "WEBM", webm)
    assert same.getvalue() == master.getvalue()
    assert decode_file(webm.getvalue())[0].tolist() == decode_file(master.getvalue())[0].tolist()


def test_an_8_khz_call_is_an_8_khz_wav(spool: MakeSpool) -> None:
    master = io.BytesIO()
    render_tape(spool().simple(3.0, talk(440, 3.0), []), master.write)
    samples, rate = read_samples(master)
    assert (rate, samples.shape) == (8000, (24000, 2))


def test_a_mixed_master_has_one_channel(spool: MakeSpool) -> None:
    master = io.BytesIO()
    render_tape(spool(dual_channel=False).simple(2.0, talk(440, 2.0), []), master.write)
    out = io.BytesIO()
    convert(master, "WAV", out, channel=0)
    assert decode_file(out.getvalue())[0].shape == (16000, 1)
    with pytest.raises(MasterError, match="no channel 1"):
        convert(master, "WAV", io.BytesIO(), channel=1)


@pytest.mark.parametrize("audio_format", ["audio/G726-32", "audio/GSM"])
@pytest.mark.parametrize("target", list(FORMATS))
def test_a9_a_telephone_master_converts(spool: MakeSpool, target: str, audio_format: str) -> None:
    master, out = io.BytesIO(), io.BytesIO()
    plan = spool(audio_format=audio_format, dual_channel=False).simple(SECONDS, talk(440, 6.0), [])
    render_tape(plan, master.write)
    convert(master, target, out)
    samples, rate = decode_file(out.getvalue())
    assert len(samples) / rate == pytest.approx(SECONDS, abs=0.03)
    assert all(abs(hz - 440) < 15 for hz in dominant(samples[:, 0], rate)[1:59])


@pytest.mark.parametrize("target", list(FORMATS))
@pytest.mark.parametrize("channel", [None, 1])
def test_the_same_master_gives_the_same_bytes(spool: MakeSpool, target: str, channel: int | None) -> None:
    master, first, second = io.BytesIO(), io.BytesIO(), io.BytesIO()
    render_tape(spool().simple(2.0, talk(440, 2.0), talk(1000, 2.0, ssrc=9)), master.write)
    for out in (first, second):
        convert(master, target, out, channel=channel)
    assert first.getvalue() == second.getvalue()


def test_unknown_formats_are_refused(spool: MakeSpool) -> None:
    with pytest.raises(UnsupportedFormatError, match="WEBM"):
        convert(io.BytesIO(b"OggS"), "WMA", io.BytesIO())


@pytest.mark.parametrize("audio_format", ["audio/opus", "audio/L16", "audio/G726-32", "audio/GSM"])
def test_an_empty_recording_converts(spool: MakeSpool, audio_format: str) -> None:
    master = io.BytesIO()
    dual = audio_format not in ("audio/G726-32", "audio/GSM")
    render_tape(spool(audio_format=audio_format, dual_channel=dual).simple(0.0, [], []), master.write)
    for target in FORMATS:
        out = io.BytesIO()
        convert(master, target, out)
        assert out.getvalue()


@settings(max_examples=200, deadline=None)
@given(
    st.binary(max_size=300),
    st.sampled_from([b"", b"OggS", b"RIFF....WAVE", b"RIFF....WAVEfmt \x10\0\0\0", G726_HEAD, gsm.header(500)]),
)
def test_garbage_is_no_master(data: bytes, head: bytes) -> None:
    try:
        master = open_master(io.BytesIO(head + data))
        for _ in master.blocks:
            pass
    except ValueError:
        pass


def test_a_damaged_master_is_noticed(spool: MakeSpool) -> None:
    master = io.BytesIO()
    render_tape(spool().simple(8.0, talk(440, 8.0), []), master.write)
    data = bytearray(master.getvalue())
    data[len(data) // 2] ^= 0xFF
    with pytest.raises(ValueError, match="damaged"):
        convert(io.BytesIO(bytes(data)), "WAV", io.BytesIO())


def test_peaks_tell_the_shape(spool: MakeSpool) -> None:
    plan = spool().simple(4.0, talk(440, 2.0, amplitude=16000), [])
    peaks = render_tape(plan, lambda data: None).peaks
    assert peaks.values.shape == (200, 2, 2)
    line = peaks.waveform(4)
    assert line[0] == pytest.approx(0.49, abs=0.03)
    assert line[3] < 0.02
    assert peaks.waveform(4, channel=1) == [0.0] * 4
    assert len(peaks.waveform(10_000)) == 200
    assert peaks.waveform(0) == []
    again = Peaks.from_bytes(peaks.to_bytes())
    assert (again.values == peaks.values).all()


@given(st.binary(max_size=40))
def test_garbage_is_no_peaks(data: bytes) -> None:
    with pytest.raises(ValueError, match="peaks"):
        Peaks.from_bytes(data)
