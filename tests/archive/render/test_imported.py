"""Files made elsewhere become masters, or are refused with a reason (I12)."""

from __future__ import annotations

import contextlib
import io
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earwitness.archive.render import wav
from earwitness.archive.render.convert import convert, read_samples
from earwitness.archive.render.imported import ImportedError, take_in


def tone(rate: int, seconds: float, hertz: float) -> np.ndarray:
    return (9000 * np.sin(2 * np.pi * hertz * np.arange(int(rate * seconds)) / rate)).astype(np.int16)


def wav_file(samples: np.ndarray, rate: int, tag: int = wav.PCM) -> bytes:
    return wav.header(tag, rate, samples.shape[1], len(samples)) + wav.encode(samples, tag)


def loudest(samples: np.ndarray, rate: int) -> float:
    return float(np.argmax(np.abs(np.fft.rfft(samples))) * rate / len(samples))


@pytest.mark.parametrize("tag", [wav.PCM, wav.A_LAW, wav.MU_LAW])
@pytest.mark.parametrize("channels", [1, 2])
def test_i12_a_wav_stays_what_it_is(tag: int, channels: int) -> None:
    samples = np.stack([tone(8000, 1.03, 440), tone(8000, 1.03, 1000)], axis=1)[:, :channels]
    out = io.BytesIO()
    made = take_in(io.BytesIO(wav_file(samples, 8000, tag)), out)
    assert (made.media_type, made.rate, made.channels, made.length_ms) == ("audio/wav", 8000, channels, 1030)
    again, rate = read_samples(out)
    assert rate == 8000
    if tag == wav.PCM:
        assert np.array_equal(again, samples)
    assert loudest(again[:, 0], 8000) == pytest.approx(440, abs=2)
    for target in ("WEBM", "MP3", "OGG_OPUS", "WAV_ULAW", "FLAC"):
        convert(out, target, io.BytesIO())


@pytest.mark.parametrize(("extension", "options"), [
    ("mp3", []), ("ogg", ["-c:a", "libvorbis"]), ("ogg", ["-c:a", "libopus"]), ("wav", ["-ar", "44100"]),
])  # fmt: skip
def test_i12_what_ffmpeg_wrote(tmp_path: Path, extension: str, options: list[str]) -> None:
    source, target = tmp_path / "a.wav", tmp_path / f"b.{extension}"
    source.write_bytes(wav_file(np.stack([tone(16000, 2, 440), tone(16000, 2, 1000)], axis=1), 16000))
    command = ["ffmpeg", "-v", "error", "-i", str(source), *options, str(target)]
    subprocess.run(command, check=True, timeout=60)
    out = io.BytesIO()
    made = take_in(io.BytesIO(target.read_bytes()), out)
    assert made.channels == 2
    assert abs(made.length_ms - 2000) < 120
    samples, rate = read_samples(out)
    assert loudest(samples[rate // 4 : -rate // 4, 0], rate) == pytest.approx(440, abs=3)
    assert loudest(samples[rate // 4 : -rate // 4, 1], rate) == pytest.approx(1000, abs=3)
    assert made.silence_percent < 10
    assert len(made.peaks.waveform(10, 1)) == 10


def test_i12_what_is_no_recording_is_refused_with_the_reason() -> None:
    samples = tone(8000, 1, 440).reshape(-1, 1)
    whole = wav_file(samples, 8000)
    three = wav.header(wav.PCM, 8000, 3, 100) + bytes(600)
    for content, reason in (
        (b"", "no WAV, MP3 or Ogg"),
        (b"%PDF-1.4 not audio at all", "no WAV, MP3 or Ogg"),
        (whole[:-100], "cut short: 100 bytes"),
        (whole[:40], "no samples"),
        (wav_file(samples[:0], 8000), "no audio"),
        (three, "3 channels"),
        (b"OggS" + bytes(100), "cannot be read"),
        (b"ID3\x04" + bytes(200), "cannot be read|no audio"),
    ):
        with pytest.raises(ImportedError, match=reason):
            take_in(io.BytesIO(content), io.BytesIO())


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([b"RIFF\xff\xff\xff\xffWAVE", b"OggS", b"ID3", b"\xff\xfb", b""]), st.binary(max_size=400))
def test_i12_any_bytes_are_taken_or_refused(head: bytes, rest: bytes) -> None:
    with contextlib.suppress(ImportedError):
        assert take_in(io.BytesIO(head + rest), io.BytesIO()).length_ms >= 0


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_i12_a_damaged_wav_is_taken_or_refused(data: st.DataObject) -> None:
    content = bytearray(wav_file(tone(8000, 0.1, 440).reshape(-1, 1), 8000))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, 60))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ImportedError):
        assert take_in(io.BytesIO(bytes(content)), io.BytesIO()).channels in (1, 2)
