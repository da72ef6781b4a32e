"""Changing the rate of live audio, a piece at a time.

Between 8000 and 16000, which nearly all calls need, by a half-band filter of our own: as many samples come out as go
in, times the ratio, at once. Other rates (L16) by soxr, which keeps some samples back.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from earwitness.media.rtp.g711 import I16

Converter = Callable[[I16], I16]

TAPS = 47
"""Filter length at 16 kHz; delays by 1.4 ms."""


F32 = npt.NDArray[np.float32]


def _half_band() -> F32:
    """A low pass at a quarter of the rate (windowed sinc): every second tap but the middle one is 0."""
    n = np.arange(TAPS) - TAPS // 2
    taps = np.sinc(n / 2) / 2 * np.kaiser(TAPS, 6.0)
    whole: F32 = (taps / taps.sum()).astype(np.float32)
    return whole


LOW_PASS = _half_band()


def converter(rate: int, wanted: int) -> Converter:
    """A converter of one stream. Raises ImportError when it needs soxr and there is none."""
    if rate == wanted:
        return lambda samples: samples
    if 2 * rate == wanted:
        return _Doubler()
    if rate == 2 * wanted:
        return _Halver()
    return _Other(rate, wanted)


class _Doubler:
    """Twice as many samples."""

    def __init__(self) -> None:
        self._history = np.zeros(TAPS // 2, np.float32)
        self._even, self._odd = LOW_PASS[0::2] * 2, LOW_PASS[1::2] * 2

    def __call__(self, samples: I16) -> I16:
        line = np.concatenate((self._history, samples.astype(np.float32)))
        self._history = line[len(line) - TAPS // 2 :]
        out = np.empty(2 * len(samples), np.float32)
        out[0::2] = np.convolve(line, self._even, "valid")[: len(samples)]
        out[1::2] = np.convolve(line[1:], self._odd, "valid")[: len(samples)]
        return _rounded(out)


class _Halver:
    """Half as many samples; pieces have an even number."""

    def __init__(self) -> None:
        self._history = np.zeros(TAPS - 1, np.float32)

    def __call__(self, samples: I16) -> I16:
        line = np.concatenate((self._history, samples.astype(np.float32)))
        self._history = line[len(line) - TAPS + 1 :]
        return _rounded(np.convolve(line, LOW_PASS, "valid")[: len(samples) // 2 * 2 : 2])


class _Other:
    """By soxr."""

    def __init__(self, rate: int, wanted: int) -> None:
        import soxr  # loaded by the first call that needs it

        self._stream = soxr.ResampleStream(rate, wanted, 1, dtype="int16", quality="MQ")

    def __call__(self, samples: I16) -> I16:
        converted: I16 = self._stream.resample_chunk(samples)
        return converted


def _rounded(samples: F32) -> I16:
    return np.clip(np.rint(samples), -32768, 32767).astype(np.int16)
