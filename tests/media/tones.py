"""Tones: what peers say in tests, and what was heard of it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from earwitness.media.rtp import codecs
from earwitness.media.rtp.codecs import Format

I16 = npt.NDArray[np.int16]
PCMU: Format = ("pcmu", 8000, 1)
PCMA: Format = ("pcma", 8000, 1)
G722: Format = ("g722", 8000, 1)
OPUS: Format = ("opus", 48000, 2)
L16: Format = ("l16", 16000, 1)


def tone(hertz: float, seconds: float, rate: int = 8000, level: float = 8000) -> I16:
    """A sine."""
    return (level * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.int16)


def payloads(codec: Format, samples: I16, rate: int = 8000) -> list[bytes]:
    """20 ms frames of samples."""
    encoder = codecs.encoder(codec, rate)
    return [encoder.encode(samples[at : at + rate // 50]) for at in range(0, len(samples), rate // 50)]


def decoded(codec: Format, packets: list[bytes], rate: int = 8000) -> I16:
    """Samples of RTP packets without extensions."""
    decoder = codecs.decoder(codec, rate)
    return np.concatenate([decoder.decode(packet[12:]) for packet in packets])


def level(samples: I16, hertz: float, rate: int = 8000) -> float:
    """Peak of a frequency in samples."""
    turns = np.exp(-2j * np.pi * hertz * np.arange(len(samples)) / rate) * np.hanning(len(samples))
    return float(2 * abs((samples * turns).sum()) / np.hanning(len(samples)).sum())


def loud(samples: I16, *hertz: float, rate: int = 8000, least: float = 2000) -> set[float]:
    """Which of these frequencies are heard."""
    return {each for each in hertz if level(samples, each, rate) > least}
