"""What people say in the demo: a dialogue becomes one WAV per speaker, each silent while the other speaks."""

from __future__ import annotations

import io
import wave
from collections.abc import Sequence

import numpy as np

from earwitness.media.speech import speak

RATE = 8000
PAUSE_S = 0.35


def voices(lines: Sequence[tuple[int, str]], names: tuple[str, str] = ("en-us", "en+f3")) -> tuple[bytes, bytes, float]:
    """WAV files of both speakers and the length in seconds.

    :param lines: (0 or 1: who speaks, text), in order.
    :param names: espeak-ng voices of the two.
    """
    pause = np.zeros(int(PAUSE_S * RATE), np.int16)
    tracks: tuple[list[np.ndarray], list[np.ndarray]] = ([pause], [pause])
    for who, text in lines:
        spoken = speak(text, voice=names[who], rate=RATE)
        tracks[who].extend((spoken, pause))
        tracks[1 - who].append(np.zeros(len(spoken) + len(pause), np.int16))
    joined = [np.concatenate(track) for track in tracks]
    return _wav(joined[0]), _wav(joined[1]), len(joined[0]) / RATE


def _wav(samples: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.astype("<i2").tobytes())
    return buffer.getvalue()
