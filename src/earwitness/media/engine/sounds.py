"""Sounds of our own, as the bytes of 8 kHz mono WAV files: tones, silence, and music for those who wait."""

from __future__ import annotations

import functools
import io
import wave

import numpy as np
from numpy.typing import NDArray

RATE = 8000
_MELODY = (0, 4, 7, 12, 7, 4, 5, 9, 12, 9, 5, 9, 2, 5, 9, 14, 9, 5, 7, 11, 14, 11, 7, 11)
"""Semitones above ``_ROOT_HZ``, a chord of four bars broken up."""
_ROOT_HZ = 261.63
_NOTE_S = 0.4


def _wav(samples: NDArray[np.float64]) -> bytes:
    """:param samples: mono ``(n,)``, full scale 1."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(RATE)
        writer.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return file.getvalue()


def _tone(hz: float, seconds: float, level: float) -> NDArray[np.float64]:
    tone: NDArray[np.float64] = level * np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE)) / RATE)
    return tone


@functools.cache
def ringback() -> bytes:
    """Ringing as a caller hears it: 425 Hz, 1 s on, 4 s off."""
    return _wav(np.concatenate([_tone(425, 1, 0.15), np.zeros(4 * RATE)]))


@functools.cache
def busy() -> bytes:
    """Busy: 425 Hz, 0.5 s on, 0.5 s off."""
    return _wav(np.concatenate([_tone(425, 0.5, 0.15), np.zeros(RATE // 2)]))


@functools.cache
def silence(seconds: float) -> bytes:
    """Nothing."""
    return _wav(np.zeros(round(seconds * RATE)))


@functools.cache
def hold_music() -> bytes:
    """A soft broken chord that goes round; made here, so nobody's rights are touched."""
    length = round(_NOTE_S * RATE)
    tail = 3 * length
    music = np.zeros(length * len(_MELODY) * 4 + tail)
    for number, semitones in enumerate(_MELODY * 4):
        hz = _ROOT_HZ * 2 ** (semitones / 12)
        time = np.arange(tail) / RATE
        note = np.sin(2 * np.pi * hz * time) + 0.3 * np.sin(4 * np.pi * hz * time)
        start = number * length
        music[start : start + tail] += 0.12 * note * np.exp(-3 * time) * np.minimum(1, time * 100)
    return _wav(music[: length * len(_MELODY) * 4])
