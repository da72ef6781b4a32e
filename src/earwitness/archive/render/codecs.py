"""Decoders: what a payload says, as 16 bit samples at the codec's own rate.

G.711 and L16 are arithmetic on whole batches; G.722, GSM and G.729 go through PyAV; Opus through libopus. Every
decoder answers ``decode(payloads)`` for payloads that follow each other and keeps its state between calls.
"""

from __future__ import annotations

from typing import Protocol

import av
import numpy as np
import soxr
import structlog
from numpy.typing import NDArray

from earwitness.archive.render import opus
from earwitness.archive.render.plan import Codec

I16 = NDArray[np.int16]
I64 = NDArray[np.int64]
U8 = NDArray[np.uint8]

log = structlog.get_logger()


def _ulaw_table() -> I16:
    """ITU-T G.711 mu-law, 256 -> 16 bit."""
    code = ~np.arange(256, dtype=np.int32) & 0xFF
    magnitude = ((((code & 0x0F) << 3) + 0x84) << ((code & 0x70) >> 4)) - 0x84
    return np.where(code & 0x80, -magnitude, magnitude).astype(np.int16)


def _alaw_table() -> I16:
    """ITU-T G.711 A-law, 256 -> 16 bit."""
    code = np.arange(256, dtype=np.int32) ^ 0x55
    exponent, mantissa = (code & 0x70) >> 4, (code & 0x0F) << 4
    magnitude = np.where(exponent == 0, mantissa + 8, (mantissa + 0x108) << np.maximum(exponent - 1, 0))
    return np.where(code & 0x80, magnitude, -magnitude).astype(np.int16)


ULAW = _ulaw_table()
ALAW = _alaw_table()

OPUS_RATE = 16000
"""At the bit rates of masters (24 kbit/s a channel) they hold wideband at most, so Opus legs are decoded to that."""

_BLOCKS = {"GSM": (33, 160), "G729": (10, 80)}
_PYAV = {"GSM": "gsm", "G729": "g729", "G722": "g722"}

SILENT = frozenset({"CN", "TELEPHONE-EVENT"})
"""Payloads that carry no audio of their own (RFC 3389, RFC 4733): silence on the time line."""


class Decoder(Protocol):
    """Turns payloads of one stream into samples."""

    def decode(self, payloads: list[bytes]) -> I16:
        """Samples (n,) of payloads that follow each other without a hole. Damaged ones are silence of their length."""
        ...


def audio_rate(codec: Codec) -> int:
    """Samples per second that come out of the decoder; 0 for what is not audio or cannot be decoded."""
    if codec.name in ("PCMU", "PCMA", "GSM", "G729"):
        return 8000
    if codec.name == "G722":
        return 16000
    if codec.name == "OPUS":
        return OPUS_RATE
    return codec.clock if codec.name == "L16" and 8000 <= codec.clock <= 48000 else 0


def samples_of(codec: Codec, payload_length: I64, buffer: U8, payload_offset: I64) -> I64:
    """Samples that each payload holds, at ``audio_rate``."""
    if codec.name in ("PCMU", "PCMA"):
        return payload_length
    if codec.name == "G722":
        return payload_length * 2
    if codec.name == "L16":
        return payload_length // (2 * codec.channels)
    if codec.name in _BLOCKS:
        size, samples = _BLOCKS[codec.name]
        return payload_length // size * samples
    if codec.name == "OPUS":
        return opus.packet_samples(payload_length, buffer, payload_offset, OPUS_RATE)
    return np.zeros_like(payload_length)


def batch_table(codec: Codec) -> I16 | None:
    """The table of a codec that is one byte a sample without state."""
    return {"PCMU": ULAW, "PCMA": ALAW}.get(codec.name)


def decoder(codec: Codec) -> Decoder:
    """A decoder for a codec whose ``audio_rate`` is not 0."""
    if codec.name == "L16":
        return _Linear(codec.channels)
    if codec.name == "OPUS":
        return _Opus()
    return _Frames(_PYAV[codec.name], *_BLOCKS.get(codec.name, (0, 0)))


class _Linear:
    """L16 (RFC 3551 §4.5.11): big-endian, channels interleaved; stereo is averaged."""

    def __init__(self, channels: int) -> None:
        self.channels = max(1, channels)

    def decode(self, payloads: list[bytes]) -> I16:
        width = 2 * self.channels
        data = b"".join(payload[: len(payload) // width * width] for payload in payloads)
        samples = np.frombuffer(data, dtype=">i2").reshape(-1, self.channels)
        return samples.mean(axis=1).astype(np.int16) if self.channels > 1 else samples[:, 0].astype(np.int16)


class _Opus:
    """Opus (RFC 7587), decoded to ``OPUS_RATE`` mono."""

    def __init__(self) -> None:
        self.decoder = opus.decoder(OPUS_RATE, 1)

    def decode(self, payloads: list[bytes]) -> I16:
        return self.decoder.decode(payloads)[:, 0]


class _Frames:
    """Codecs of PyAV. ``size`` bytes make ``samples`` samples; size 0: two samples a byte (G.722)."""

    def __init__(self, name: str, size: int, samples: int) -> None:
        self.name, self.size, self.samples = name, size, samples
        self.context = self._fresh()

    def _fresh(self) -> av.AudioCodecContext:
        context = av.CodecContext.create(self.name, "r")
        assert isinstance(context, av.AudioCodecContext)
        context.sample_rate = 16000 if self.name == "g722" else 8000
        context.layout = "mono"
        return context

    def decode(self, payloads: list[bytes]) -> I16:
        size = self.size
        data = b"".join(payload[: len(payload) // size * size] for payload in payloads) if size else b"".join(payloads)
        expected = len(data) // size * self.samples if size else 2 * len(data)
        if not data:
            return np.zeros(0, dtype=np.int16)
        parts: list[I16] = []
        try:
            pieces = [data[at : at + size] for at in range(0, len(data), size)] if size else [data]
            for piece in pieces:
                parts += [_mono(frame) for frame in self.context.decode(av.Packet(piece))]
        except av.error.FFmpegError as error:
            log.info("payload not decodable", codec=self.name, error=str(error))
            self.context = self._fresh()
        out = np.concatenate(parts) if parts else np.zeros(0, dtype=np.int16)
        if len(out) < expected:
            out = np.concatenate([out, np.zeros(expected - len(out), dtype=np.int16)])
        return out[:expected]


def _mono(frame: av.AudioFrame) -> I16:
    """A decoded frame as (n,) 16 bit samples of its first channel."""
    data = frame.to_ndarray()
    if not frame.format.is_planar:
        data = data.reshape(-1, frame.layout.nb_channels).T
    first = data[0]
    if first.dtype == np.int16:
        return np.asarray(first, dtype=np.int16)
    return np.asarray(np.clip(np.round(first * 32768.0), -32768, 32767), dtype=np.int16)


def resample(samples: I16, rate: int, wanted: int) -> I16:
    """Samples at another rate; by way of floats, because soxr dithers 16 bit output with the time of day as its seed.

    Mirrored ends keep the filter from fading a run in and out.
    """
    edge = min(rate // 100, len(samples) - 1)
    padded = np.pad(samples.astype(np.float32), edge, mode="reflect", reflect_type="odd") if edge > 0 else samples
    exact = soxr.resample(padded.astype(np.float32), rate, wanted, "MQ")
    skip = round(edge * wanted / rate)
    exact = exact[skip : skip + -(-len(samples) * wanted // rate)]
    return np.asarray(np.clip(np.round(exact), -32768, 32767), dtype=np.int16)
