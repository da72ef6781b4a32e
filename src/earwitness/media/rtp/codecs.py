"""Live audio of one stream: payloads to samples and 20 ms of samples to a payload, for PCMU, PCMA, L16, G722 and opus.

Decoders and encoders work at the rate that they are asked for, 8000 or 16000, whatever the codec's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from earwitness.media.rtp import opus
from earwitness.media.rtp.g711 import A_LAW, I16, MU_LAW, U8, a_law, mu_law
from earwitness.media.rtp.rates import Converter, converter

Format = tuple[str, int, int]
"""Codec name in small letters, RTP clock rate, channels."""
AUDIO = ("pcmu", "pcma", "g722", "opus", "l16")
L16_RATES = (8000, 11025, 16000, 22050, 24000, 32000, 44100, 48000)


class CodecError(Exception):
    """A format that cannot be transcoded, or a library that is missing; the message says which."""


class Decoder(Protocol):
    """Payloads of one stream, in order, to samples."""

    def decode(self, payload: bytes) -> I16:
        """Samples, shape (n,)."""

    def conceal(self, count: int) -> I16:
        """About ``count`` samples in the place of a lost payload."""


class Encoder(Protocol):
    """Samples to payloads of one stream."""

    def encode(self, samples: I16) -> bytes:
        """The payload of 20 ms of samples."""


def transcodable(codec: Format) -> bool:
    """Whether there are a decoder and an encoder."""
    return codec[0] in AUDIO and (
        codec[0] != "l16" or (codec[1] in L16_RATES and 1 <= codec[2] <= 2 and codec[1] * codec[2] <= 48000)
    )


def wideband(codec: Format) -> bool:
    """Whether more than 4 kHz of audio is in it."""
    return codec[0] in ("g722", "opus") or (codec[0] == "l16" and codec[1] > 8000)


def ticks(codec: Format) -> int:
    """What 20 ms are in its RTP clock."""
    return codec[1] // 50


def duration(codec: Format, payload: bytes, samples: int, rate: int) -> int:
    """How long a payload is in its RTP clock.

    :param samples: how many came out of the decoder, at ``rate``
    """
    if codec[0] in ("pcmu", "pcma", "g722"):
        return len(payload)
    if codec[0] == "l16":
        return len(payload) // (2 * codec[2])
    return samples * codec[1] // rate


def choice(usable: Mapping[int, Format], spoken: Format | None) -> tuple[int, Format] | None:
    """Payload type and format that a leg is sent audio of ours in: the one that it sends itself, else the first of its
    list that can be encoded.

    :param usable: payload types that it can be sent, in order
    """
    audio = [(pt, codec) for pt, codec in usable.items() if transcodable(codec)]
    return next((each for each in audio if each[1] == spoken), audio[0] if audio else None)


def decoder(codec: Format, rate: int) -> Decoder:
    """A fresh decoder to samples of ``rate``. Raises CodecError."""
    name = codec[0]
    if not transcodable(codec):
        raise CodecError(f"{name}/{codec[1]} cannot be transcoded")
    try:
        if name in ("pcmu", "pcma"):
            return _TableDecoder(MU_LAW if name == "pcmu" else A_LAW, converter(8000, rate))
        if name == "g722":
            return _WideDecoder(converter(16000, rate))
        if name == "opus":
            return opus.Decoder(rate)
        return _LinearDecoder(codec[2], converter(codec[1], rate))
    except (opus.OpusError, ImportError) as error:
        raise CodecError(str(error)) from error


def encoder(codec: Format, rate: int) -> Encoder:
    """A fresh encoder of samples of ``rate``. Raises CodecError."""
    name = codec[0]
    if not transcodable(codec):
        raise CodecError(f"{name}/{codec[1]} cannot be transcoded")
    try:
        if name in ("pcmu", "pcma"):
            return _TableEncoder(mu_law if name == "pcmu" else a_law, converter(rate, 8000))
        if name == "g722":
            return _WideEncoder(converter(rate, 16000))
        if name == "opus":
            return opus.Encoder(rate)
        return _LinearEncoder(codec, converter(rate, codec[1]))
    except (opus.OpusError, ImportError) as error:
        raise CodecError(str(error)) from error


class _Repeating:
    """Conceals a loss with what was heard last, ever more quietly."""

    def __init__(self) -> None:
        self._last: I16 = np.zeros(0, np.int16)

    def heard(self, samples: I16) -> I16:
        """Keeps the latest samples."""
        self._last = samples
        return samples

    def conceal(self, count: int) -> I16:
        """See ``Decoder``."""
        if not len(self._last):
            return np.zeros(count, np.int16)
        self._last = self._last // 2
        return np.resize(self._last, count)


class _TableDecoder(_Repeating):
    def __init__(self, table: I16, convert: Converter) -> None:
        super().__init__()
        self._table = table
        self._convert = convert

    def decode(self, payload: bytes) -> I16:
        return self.heard(self._convert(self._table[np.frombuffer(payload, np.uint8)]))


class _TableEncoder:
    def __init__(self, law: Any, convert: Converter) -> None:
        self._law = law
        self._convert = convert

    def encode(self, samples: I16) -> bytes:
        coded: U8 = self._law(self._convert(samples))
        return coded.tobytes()


class _LinearDecoder(_Repeating):
    """L16 (RFC 3551 §4.5.11): big-endian, channels interleaved; stereo is averaged."""

    def __init__(self, channels: int, convert: Converter) -> None:
        super().__init__()
        self._channels = channels
        self._convert = convert

    def decode(self, payload: bytes) -> I16:
        width = 2 * self._channels
        samples = np.frombuffer(payload[: len(payload) // width * width], ">i2").reshape(-1, self._channels)
        mono = samples.mean(axis=1) if self._channels > 1 else samples[:, 0]
        return self.heard(self._convert(mono.astype(np.int16)))


class _LinearEncoder:
    def __init__(self, codec: Format, convert: Converter) -> None:
        self._frame = codec[1] // 50
        self._channels = codec[2]
        self._convert = convert
        self._kept: I16 = np.zeros(0, np.int16)

    def encode(self, samples: I16) -> bytes:
        # A converter may keep some samples back at first: what is missing is silence, once.
        kept = np.concatenate((self._kept, self._convert(samples)))
        if len(kept) < self._frame:
            kept = np.concatenate((np.zeros(self._frame - len(kept), np.int16), kept))
        frame, self._kept = kept[: self._frame], kept[self._frame :]
        return np.repeat(frame, self._channels).astype(">i2").tobytes()


class _WideDecoder(_Repeating):
    """G.722, by PyAV: two samples of 16 kHz a byte."""

    def __init__(self, convert: Converter) -> None:
        super().__init__()
        import av  # dear to load, and most calls do without

        self._packet = av.Packet
        context = av.CodecContext.create("g722", "r")
        assert isinstance(context, av.AudioCodecContext)
        context.sample_rate, context.layout = 16000, "mono"
        self._context = context
        self._convert = convert

    def decode(self, payload: bytes) -> I16:
        if not payload:
            return np.zeros(0, np.int16)
        parts = [frame.to_ndarray()[0] for frame in self._context.decode(self._packet(payload))]
        samples = np.concatenate(parts) if parts else np.zeros(0, np.int16)
        return self.heard(self._convert(samples.astype(np.int16)))


class _WideEncoder:
    def __init__(self, convert: Converter) -> None:
        import av  # see _WideDecoder

        self._av_frame = av.AudioFrame
        context = av.CodecContext.create("g722", "w")
        assert isinstance(context, av.AudioCodecContext)
        context.sample_rate, context.layout, context.format = 16000, "mono", "s16"
        context.open()
        self._context = context
        self._convert = convert
        self._pts = 0

    def encode(self, samples: I16) -> bytes:
        wide = self._convert(samples)
        frame = self._av_frame.from_ndarray(np.ascontiguousarray(wide[None]), "s16", "mono")
        frame.sample_rate, frame.pts = 16000, self._pts
        self._pts += len(wide)
        return b"".join(bytes(packet) for packet in self._context.encode(frame))
