"""Prompts as samples: WAV files of any kind in, mono 16-bit 8 kHz out, and which language's file it is."""

from __future__ import annotations

import io
import wave
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

RATE = 8000
MAX_SECONDS = 1800
"""Of what is joined; the rest is cut off."""
MAX_FILE = 256 * 1024 * 1024
BEEP_HZ, BEEP_S, BEEP_LEVEL = 1000.0, 0.2, 0.25

Samples = NDArray[np.int16]


class PromptError(Exception):
    """Something cannot be played; the message says what and why."""


def language_file(files: Mapping[str, str], language: str, default: str) -> str | None:
    """The file for a language: its own, another of the same tongue, the default language's, any; None without any."""
    have = {name.lower(): path for name, path in sorted(files.items())}
    for wanted in (language.lower(), default.lower()):
        for name in (wanted, primary(wanted), *(name for name in have if primary(name) == primary(wanted))):
            if name in have:
                return have[name]
    return next(iter(have.values()), None)


def to_wav(samples: Samples) -> bytes:
    """A WAV file of mono samples ``(n,)`` at 8 kHz."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(RATE)
        writer.writeframes(samples.astype("<i2").tobytes())
    return buffer.getvalue()


def primary(language: str) -> str:
    """``en`` of ``en-us``."""
    return language.lower().replace("_", "-").split("-")[0]


def playable(path: Path) -> float | None:
    """Seconds of a file that the engine can play as it is, otherwise None."""
    try:
        with wave.open(str(path), "rb") as reader:
            if reader.getnchannels() != 1 or reader.getsampwidth() != 2 or reader.getframerate() not in (8000, 16000):
                return None
            whole = path.stat().st_size >= reader.getnframes() * 2
            seconds = reader.getnframes() / reader.getframerate()
            return seconds if whole and 0 < seconds <= MAX_SECONDS else None
    except (wave.Error, EOFError, OSError):
        return None


def read_wav(source: Path | io.BytesIO) -> Samples:
    """Mono samples at 8 kHz of a 16-bit PCM WAV file of any rate and number of channels.

    :raises PromptError: it is none.
    """
    name = source.name if isinstance(source, Path) else "speech"
    try:
        if isinstance(source, Path) and source.stat().st_size > MAX_FILE:
            raise PromptError(f"{name} is larger than {MAX_FILE >> 20} MiB")
        with wave.open(str(source) if isinstance(source, Path) else source, "rb") as reader:
            channels, rate = reader.getnchannels(), reader.getframerate()
            if reader.getsampwidth() != 2 or not 4000 <= rate <= 192_000 or not 1 <= channels <= 8:
                raise PromptError(f"{name} is not a 16-bit WAV file")
            data = reader.readframes(min(reader.getnframes(), MAX_SECONDS * rate))
    except (wave.Error, EOFError, OSError) as error:
        raise PromptError(f"{name} cannot be played: {error or 'no WAV file'}") from error
    samples: Samples = np.frombuffer(data[: len(data) // (2 * channels) * 2 * channels], "<i2").astype(np.int16)
    if channels > 1:
        samples = samples.reshape(-1, channels).mean(axis=1).astype(np.int16)
    if rate != RATE and len(samples):
        import soxr  # loaded by the first prompt that needs it

        samples = soxr.resample(samples, rate, RATE)
    return samples


def beep() -> Samples:
    """A short tone."""
    time = np.arange(round(BEEP_S * RATE)) / RATE
    edge = np.minimum(1.0, np.minimum(time, BEEP_S - time) / 0.005)
    tone: Samples = (np.sin(2 * np.pi * BEEP_HZ * time) * edge * BEEP_LEVEL * 32767).astype(np.int16)
    return tone
