import wave
from pathlib import Path

import numpy as np
import pytest

from earwitness.media.speech import SpeechError, speak, write_wav


@pytest.mark.parametrize("rate", [8000, 16000])
def test_longer_text_is_longer_speech_at_the_asked_rate(rate: int) -> None:
    short, long = speak("Yes.", rate=rate), speak("Yes, this call is recorded for training.", rate=rate)
    assert rate * 0.2 < len(short) < len(long) < rate * 10
    assert np.abs(long).max() > 3000


def test_an_unknown_voice_is_named() -> None:
    with pytest.raises(SpeechError, match="nobody"):
        speak("Hello", voice="nobody")


def test_wav_holds_the_samples(tmp_path: Path) -> None:
    samples = speak("Hello")
    write_wav(tmp_path / "hello.wav", samples, 8000)
    with wave.open(str(tmp_path / "hello.wav")) as file:
        assert (file.getnchannels(), file.getframerate(), file.getnframes()) == (1, 8000, len(samples))
