"""Recordings that were made elsewhere: a stranger's WAV, MP3 or Ogg file, read and made a master of ours.

WAV stays what it is, sample for sample, unless its rate is one that our formats do not have. MP3 and Ogg become an Opus
master. More than two channels, no audio, a file that ends before it says, a file that lasts for days: refused, with the
reason for people.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import av
import numpy as np
from numpy.typing import NDArray

from earwitness.archive.render import wav
from earwitness.archive.render.ogg import OggOpus
from earwitness.archive.render.opus import RATES
from earwitness.archive.render.peaks import Meter, Peaks
from earwitness.archive.render.renderer import COMPLEXITY, bitrate

I16 = NDArray[np.int16]

LONGEST_S = 24 * 3600
ENDLESS = (0, 0xFFFFFFFF)
"""Sizes by which a WAV file says that it does not know."""
_TAGS = {"pcm_mulaw": (wav.MU_LAW, "audio/PCMU"), "pcm_alaw": (wav.A_LAW, "audio/PCMA")}


class ImportedError(ValueError):
    """The file cannot be taken in; the message says why."""


@dataclass(frozen=True, slots=True)
class Imported:
    """A master made of a file."""

    media_type: str
    audio_format: str
    """As a trunk would name it."""
    rate: int
    channels: int
    length_ms: int
    peaks: Peaks
    silence_percent: float
    codec: str
    """Of the file."""


def kind_of(head: bytes) -> str:
    """Which of the containers that we take the first bytes belong to.

    :raises ImportedError: none of them.
    """
    if head.startswith(b"RIFF") and head[8:12] == b"WAVE":
        return "wav"
    if head.startswith(b"OggS"):
        return "ogg"
    if head.startswith(b"ID3") or (len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0):
        return "mp3"
    raise ImportedError("the file is no WAV, MP3 or Ogg file")


def take_in(source: BinaryIO, out: BinaryIO) -> Imported:
    """Reads a file and writes a master.

    :param source: seekable.
    :param out: seekable and empty; keep it in memory or in the spool.
    :raises ImportedError: it cannot be read as a recording.
    """
    source.seek(0)
    kind = kind_of(source.read(16))
    if kind == "wav":
        _check_wav(source)
    source.seek(0)
    try:
        with av.open(source, "r", format=kind, metadata_errors="ignore") as container:
            stream = next(iter(container.streams.audio), None)
            if stream is None:
                raise ImportedError("there is no audio in the file")
            return _take_in(container, stream, kind, out)
    except (av.FFmpegError, ValueError, OverflowError, EOFError) as error:
        if isinstance(error, ImportedError):
            raise
        raise ImportedError(f"the file cannot be read as audio: {error}") from error


def _take_in(container: av.container.InputContainer, stream: av.AudioStream, kind: str, out: BinaryIO) -> Imported:
    if getattr(stream, "codec_context", None) is None:
        raise ImportedError("the file's codec is none that we can decode")
    channels = int(stream.codec_context.channels or 0)
    if channels not in (1, 2):
        raise ImportedError(f"the file has {channels} channels; one or two are taken")
    told = int(stream.codec_context.sample_rate or 0)
    if told < 1000:
        raise ImportedError("the file tells no sample rate")
    rate = next((rate for rate in RATES if rate >= told), RATES[-1])
    codec = str(stream.codec_context.name)
    tag, audio_format = _TAGS.get(codec, (wav.PCM, "audio/L16"))
    sink: wav.Wav | OggOpus
    if kind == "wav":
        sink = wav.Wav(out.write, rate, channels, length=0, tag=tag)
    else:
        serial = zlib.crc32(codec.encode())
        sink, audio_format = (
            OggOpus(out.write, rate, channels, serial=serial, bitrate=bitrate(rate, channels), complexity=COMPLEXITY),
            "audio/opus",
        )
    meter, length = Meter(rate, channels), 0
    for block in _blocks(container, stream, rate, channels):
        length += len(block)
        if length > LONGEST_S * rate:
            raise ImportedError(f"the file lasts longer than {LONGEST_S // 3600} hours")
        meter.samples(block)
        sink.samples(block)
    if not length:
        raise ImportedError("there is no audio in the file")
    if isinstance(sink, wav.Wav):
        _end_wav(out, sink.tag, rate, channels, length)
    else:
        sink.finish()
    peaks = meter.finish()
    silence = round(100 * float(meter.silent.min()) / meter.spans, 1) if meter.spans else 100.0
    length_ms = round(length * 1000 / rate)
    return Imported(sink.media_type, audio_format, rate, channels, length_ms, peaks, silence, codec)


def _blocks(container: av.container.InputContainer, stream: av.AudioStream, rate: int, channels: int) -> Iterator[I16]:
    """Samples (n, channels)."""
    layout = "stereo" if channels == 2 else "mono"
    resampler = av.AudioResampler(format="s16", layout=layout, rate=rate)
    for frame in container.decode(stream):
        for part in resampler.resample(frame):
            yield np.asarray(part.to_ndarray().reshape(-1, channels), dtype=np.int16)
    for part in resampler.resample(None):
        yield np.asarray(part.to_ndarray().reshape(-1, channels), dtype=np.int16)


def _end_wav(out: BinaryIO, tag: int, rate: int, channels: int, length: int) -> None:
    """Writes the head again, now that the length is known, and the padding byte of an odd body."""
    if tag != wav.PCM and length * channels % 2:
        out.write(b"\0")
    out.seek(0)
    out.write(wav.header(tag, rate, channels, length))


def _check_wav(source: BinaryIO) -> None:
    """:raises ImportedError: the file ends before its chunks do."""
    source.seek(0, 2)
    end = source.tell()
    at = 12
    while at + 8 <= end:
        source.seek(at)
        name, size = struct.unpack("<4sI", source.read(8))
        if name == b"data":
            if size not in ENDLESS and at + 8 + size > end:
                missing = at + 8 + size - end
                raise ImportedError(f"the WAV file is cut short: {missing} bytes of its samples are missing")
            return
        at += 8 + size + size % 2
    raise ImportedError("the WAV file has no samples")
