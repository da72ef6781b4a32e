"""Generated sounds: what they are, by their tones."""

from __future__ import annotations

import io
import os
import wave

import numpy as np
import tones

from earwitness.media.engine import sounds
from earwitness.media.engine.sources import Sources


def samples(data: bytes) -> tuple[tones.I16, int]:
    with wave.open(io.BytesIO(data)) as reader:
        assert (reader.getnchannels(), reader.getsampwidth()) == (1, 2)
        return np.frombuffer(reader.readframes(reader.getnframes()), "<i2").astype(np.int16), reader.getframerate()


def test_ringback_and_busy_are_european() -> None:
    for data, on, off in ((sounds.ringback(), 1.0, 4.0), (sounds.busy(), 0.5, 0.5)):
        heard, rate = samples(data)
        border = round(on * rate)
        assert len(heard) == border + round(off * rate)
        assert tones.level(heard[:border], 425, rate) > 3000
        assert not heard[border:].any()


def test_silence_is_as_long_as_asked() -> None:
    heard, rate = samples(sounds.silence(2.5))
    assert len(heard) == 2.5 * rate
    assert not heard.any()


def test_hold_music_can_be_looped_and_never_clips() -> None:
    heard, rate = samples(sounds.hold_music())
    assert 30 <= len(heard) / rate <= 60
    assert len(heard) % (rate // 50) == 0
    assert 5000 < np.abs(heard).max() < 20000
    assert abs(int(heard[0]) - int(heard[-1])) < 500
    seconds = heard[: len(heard) // rate * rate].reshape(-1, rate).astype(float)
    assert (np.sqrt((seconds**2).mean(axis=1)) > 100).all()  # no hole
    assert sounds.hold_music() is sounds.hold_music()


def test_bytes_that_are_played_twice_are_one_file_until_the_last_play_ends() -> None:
    files = Sources()
    before = len(os.listdir("/proc/self/fd"))
    one, other = files.open(b"music"), files.open(b"mu" + b"sic")
    assert one == other
    assert os.pread(one, 10, 0) == b"music"
    files.close(one)
    assert os.pread(other, 10, 0) == b"music"
    files.close(other)
    assert len(os.listdir("/proc/self/fd")) == before
