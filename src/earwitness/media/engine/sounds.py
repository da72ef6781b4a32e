"""Sounds that every installation needs, made here: ringback, busy, silence and music on hold, as bytes of WAV files."""

from __future__ import annotations

import io
import wave
from functools import cache

import numpy as np
import numpy.typing as npt

RATE = 16000
F64 = npt.NDArray[np.float64]


def wav(samples: npt.NDArray[np.int16], rate: int = RATE) -> bytes:
    """A mono WAV file of 16 bit samples, shape (samples,)."""
    target = io.BytesIO()
    with wave.open(target, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(rate)
        writer.writeframes(samples.astype("<i2").tobytes())
    return target.getvalue()


@cache
def ringback() -> bytes:
    """The tone of a phone that rings elsewhere: 425 Hz, 1 s on and 4 s off (ITU-T E.180, Europe). To be looped."""
    return wav(np.concatenate((_tone(425, 1.0, 8000), np.zeros(4 * 8000))).astype(np.int16), 8000)


@cache
def busy() -> bytes:
    """The tone of a busy line: 425 Hz, 0.5 s on and 0.5 s off. To be looped."""
    return wav(np.concatenate((_tone(425, 0.5, 8000), np.zeros(4000))).astype(np.int16), 8000)


@cache
def silence(seconds: float) -> bytes:
    """Nothing."""
    return wav(np.zeros(round(seconds * 8000), np.int16), 8000)


def _tone(hertz: float, seconds: float, rate: int, level: float = 3300) -> F64:
    """A sine of about -20 dBm0 with soft ends."""
    time = np.arange(round(seconds * rate)) / rate
    ends = np.minimum(1, np.minimum(time, seconds - time) / 0.005)
    return level * ends * np.sin(2 * np.pi * hertz * time)


BEAT_S = 0.48
CHORDS = ((48, 55, 64, 71), (45, 52, 60, 67), (41, 48, 57, 64), (43, 50, 59, 65)) * 2
"""C, A minor, F, G with sevenths (MIDI notes), a bar of eight half beats each."""
MELODIES = (
    (76, 0, 74, 72, 0, 67, 69, 71),
    (72, 0, 69, 0, 67, 64, 0, 67),
    (69, 0, 72, 0, 76, 74, 72, 0),
    (74, 0, 71, 0, 67, 0, 0, 0),
    (79, 0, 76, 74, 0, 72, 74, 76),
    (72, 0, 76, 0, 74, 72, 0, 69),
    (69, 71, 72, 0, 77, 76, 74, 0),
    (71, 0, 74, 0, 72, 0, 0, 0),
)
"""A bar each; 0 is a rest."""


@cache
def hold_music() -> bytes:
    """A quiet piece for plucked strings of our own, about 31 s, whose end leads to its beginning. To be looped."""
    piece = np.zeros(round(len(MELODIES) * 8 * BEAT_S * 50) * RATE // 50)
    for number, (chord, melody) in enumerate(zip(CHORDS, MELODIES, strict=True)):
        for step in range(8):
            start = round((number * 8 + step) * BEAT_S * RATE)
            _add(piece, start, _pluck(chord[(0, 2, 1, 3, 2, 1, 3, 2)[step]], 1.6, 0.45))
            if step in (0, 4):
                _add(piece, start, _pluck(chord[0] - 12 if step == 0 else chord[1] - 12, 2.4, 0.5))
            if melody[step]:
                _add(piece, start, _pluck(melody[step], 2.0, 0.8))
    piece *= 7000 / np.abs(piece).max()
    return wav(piece.astype(np.int16))


@cache
def _pluck(note: int, seconds: float, level: float) -> F64:
    """A plucked string: overtones that fade the sooner the higher they are."""
    hertz = 440 * 2 ** ((note - 69) / 12)
    time = np.arange(round(seconds * RATE)) / RATE
    string: F64 = np.zeros(len(time))
    for overtone in range(1, 7):
        if overtone * hertz < 3400:  # a telephone has no more
            fading = np.exp(-time * (1.4 + 0.9 * overtone))
            string += fading / overtone**1.5 * np.sin(2 * np.pi * overtone * hertz * time)
    ends = np.minimum(1, np.minimum(time / 0.004, (seconds - time) / 0.1))
    return level * ends * string


def _add(piece: F64, start: int, sound: F64) -> None:
    """Adds a sound; what reaches beyond the end is heard at the beginning."""
    fits = min(len(sound), len(piece) - start)
    piece[start : start + fits] += sound[:fits]
    piece[: len(sound) - fits] += sound[fits:]
