"""Tones: what peers play, and how the content of a recording is checked.

Audio is ``float32 (samples, channels)`` in -1..1. A span is 100 ms.
"""

from __future__ import annotations

import functools
import io
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

SPAN_MS = 100
QUIET_DB = -40.0
"""Spans below this level count as silent; Opus lets one channel of two leak into the other at about -49 dBFS."""
HZ_TOLERANCE = 12.0
Samples = npt.NDArray[np.float32]


# -- making ---------------------------------------------------------------------------------------------------------


def tone(hz: float, seconds: float, rate: int = 8000, level: float = 0.25) -> npt.NDArray[np.int16]:
    """A sine as 16-bit samples ``(samples,)``."""
    return (np.sin(2 * np.pi * hz * np.arange(round(rate * seconds)) / rate) * level * 32767).astype(np.int16)


@functools.cache
def _ulaw_table() -> npt.NDArray[np.uint8]:
    value = np.arange(-32768, 32768, dtype=np.int32)
    magnitude = np.minimum(np.abs(value), 32635) + 132
    exponent = np.floor(np.log2(magnitude)).astype(np.int32) - 7
    return (~(((value < 0) << 7) | (exponent << 4) | ((magnitude >> (exponent + 3)) & 15)) & 0xFF).astype(np.uint8)


@functools.cache
def _alaw_table() -> npt.NDArray[np.uint8]:
    value = np.arange(-32768, 32768, dtype=np.int32) >> 3
    magnitude = np.where(value < 0, -value - 1, value)
    segment = np.searchsorted(np.array([0x1F, 0x3F, 0x7F, 0xFF, 0x1FF, 0x3FF, 0x7FF]), magnitude)
    code = (segment << 4) | ((magnitude >> np.maximum(segment, 1)) & 15)
    return (code ^ np.where(value < 0, 0x55, 0xD5)).astype(np.uint8)


def ulaw(samples: npt.NDArray[np.int16]) -> bytes:
    """G.711 mu-law."""
    return _ulaw_table()[samples.astype(np.int32) + 32768].tobytes()


def alaw(samples: npt.NDArray[np.int16]) -> bytes:
    """G.711 A-law."""
    return _alaw_table()[samples.astype(np.int32) + 32768].tobytes()


@functools.cache
def raw_file(folder: Path, hz: float, seconds: float = 60.0) -> Path:
    """A file of raw mu-law, as sipp's ``rtp_stream`` plays it."""
    path = folder / f"tone-{hz:g}-{seconds:g}.ulaw"
    path.write_bytes(ulaw(tone(hz, seconds)))
    return path


# -- hearing --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Audio:
    """What a file holds."""

    samples: Samples
    rate: int

    @property
    def channels(self) -> int:
        return self.samples.shape[1]

    @property
    def seconds(self) -> float:
        return self.samples.shape[0] / self.rate


@dataclass(frozen=True)
class Span:
    """100 ms of one channel."""

    at_ms: int
    hz: float
    """Dominant frequency; 0 when quiet."""
    level: float
    """dBFS of the span."""

    @property
    def quiet(self) -> bool:
        return self.level < QUIET_DB


def decode(media: bytes | Path) -> Audio:
    """Decodes a file of whatever container and codec."""
    source = io.BytesIO(media) if isinstance(media, bytes) else str(media)
    with av.open(source) as container:
        stream = container.streams.audio[0]
        rate, channels = stream.codec_context.sample_rate, stream.codec_context.channels
        resampler = av.AudioResampler(format="fltp", layout="stereo" if channels == 2 else "mono", rate=rate)
        blocks = [out.to_ndarray() for frame in container.decode(stream) for out in resampler.resample(frame)]
        blocks += [out.to_ndarray() for out in resampler.resample(None)]
    samples = np.concatenate(blocks, axis=1).T if blocks else np.zeros((0, channels), np.float32)
    return Audio(samples.astype(np.float32), rate)


def spans(audio: Audio, channel: int) -> list[Span]:
    """Every whole span of a channel: its frequency (parabola through the FFT's peak) and level."""
    length = audio.rate * SPAN_MS // 1000
    window = np.hanning(length)
    found = []
    for number in range(audio.samples.shape[0] // length):
        block = audio.samples[number * length : (number + 1) * length, channel].astype(np.float64)
        level = 20 * np.log10(max(float(np.sqrt(np.mean(block**2))), 1e-6))
        hz = 0.0
        if level >= QUIET_DB:
            spectrum = np.abs(np.fft.rfft(block * window, 4 * length))
            spectrum[: 4 * 6] = 0  # below 60 Hz
            peak = int(np.argmax(spectrum[:-1]))
            hz = peak * audio.rate / (4 * length)
        found.append(Span(number * SPAN_MS, hz, level))
    return found


def _within(found: list[Span], from_ms: int, to_ms: int | None) -> list[Span]:
    end = (found[-1].at_ms + SPAN_MS if found else 0) if to_ms is None else to_ms
    end = end + (found[-1].at_ms + SPAN_MS) if end < 0 else end
    return [span for span in found if span.at_ms >= from_ms and span.at_ms + SPAN_MS <= end]


def assert_tone(audio: Audio, channel: int, hz: float, *, from_ms: int = 0, to_ms: int | None = None) -> None:
    """Every span of the channel between the two times sounds ``hz``; a negative ``to_ms`` counts from the end."""
    looked = _within(spans(audio, channel), from_ms, to_ms)
    assert looked, f"no span between {from_ms} and {to_ms} ms in {audio.seconds:.2f} s"
    wrong = [span for span in looked if abs(span.hz - hz) > HZ_TOLERANCE]
    assert not wrong, f"channel {channel} should sound {hz:g} Hz, but {wrong[:12]} ({len(wrong)} of {len(looked)})"


def assert_silent(audio: Audio, channel: int, *, from_ms: int = 0, to_ms: int | None = None) -> None:
    """Every span of the channel between the two times is quiet."""
    loud = [span for span in _within(spans(audio, channel), from_ms, to_ms) if not span.quiet]
    assert not loud, f"channel {channel} should be silent, but {loud[:12]}"


def assert_never(audio: Audio, hz: float) -> None:
    """No span of any channel sounds ``hz``."""
    for channel in range(audio.channels):
        heard = [s for s in spans(audio, channel) if not s.quiet and abs(s.hz - hz) <= HZ_TOLERANCE]
        assert not heard, f"{hz:g} Hz is heard on channel {channel}: {heard[:12]}"
