"""Formats on demand (contract G7): made from the master, whole or one channel of it.

An Opus master is decoded at the call's own rate, not at 48 kHz, so a WAV of an 8 kHz call is an 8 kHz WAV. WebM holds
the Opus packets of the master as they are; so do both Opus formats of one channel alone, unless the master is one of
those whose channels were coupled.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

import av
import numpy as np
from numpy.typing import NDArray

from earwitness.archive.render import codecs, gsm, ogg, wav
from earwitness.archive.render.cutting import Stretches, in_samples, pieces
from earwitness.archive.render.renderer import COMPLEXITY, Sink, UnsupportedFormatError, bitrate, mix

I16 = NDArray[np.int16]

BLOCK_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Format:
    """A format that can be asked for."""

    media_type: str
    extension: str


FORMATS: dict[str, Format] = {
    "WAV": Format("audio/wav", "wav"),
    "WAV_ULAW": Format("audio/wav", "wav"),
    "MP3": Format("audio/mpeg", "mp3"),
    "OGG_OPUS": Format("audio/ogg", "opus"),
    "OGG_VORBIS": Format("audio/ogg", "ogg"),
    "WEBM": Format("audio/webm", "webm"),
    "FLAC": Format("audio/flac", "flac"),
}
"""Values of ``formatId`` that carry media, and FLAC for exports."""


class MasterError(ValueError):
    """The source is not a master that this house writes."""


@dataclass(frozen=True, slots=True)
class Master:
    """A master that is open for reading."""

    rate: int
    channels: int
    length: int
    """Samples per channel."""
    opus: ogg.OggReader | None
    """Its packets, of an Opus master. Either these or ``blocks`` can be read, once."""
    blocks: Iterator[I16]
    """Its samples, (n, channels) each."""


def open_master(source: BinaryIO) -> Master:
    """Reads the head of a master (Ogg Opus or WAV); samples follow on demand.

    :param source: seekable.
    :raises MasterError: something else.
    """
    source.seek(0)
    start = source.read(4)
    source.seek(0)
    if start == b"OggS":
        try:
            stream = ogg.OggReader(source)
        except ogg.OggError as error:
            raise MasterError(str(error)) from error
        return Master(stream.rate, stream.channels, stream.length, stream, stream.blocks())
    if start == b"RIFF":
        return _open_wav(source)
    raise MasterError("neither Ogg Opus nor WAV")


def convert(
    source: BinaryIO,
    target: str,
    out: BinaryIO,
    *,
    channel: int | None = None,
    stretches: Stretches | None = None,
    progress: Callable[[float], None] | None = None,
) -> Format:
    """Writes a master in another format.

    :param source: the master, seekable.
    :param target: a key of ``FORMATS``.
    :param out: seekable; keep it in memory or in the spool.
    :param channel: 0 or 1 for that channel alone, None for all of them. Channel 0 of a mixed master is the mix.
    :param stretches: only these, one after the other; they are encoded anew, in ms of the file.
    :param progress: told the share that is done, 0..1.
    :raises UnsupportedFormatError: an unknown format.
    :raises MasterError: the source is damaged, or has no such channel.
    """
    if target not in FORMATS:
        raise UnsupportedFormatError(f"{target!r} is none of {', '.join(FORMATS)}")
    master = open_master(source)
    if channel is not None and not 0 <= channel < master.channels:
        raise MasterError(f"there is no channel {channel} in a recording of {master.channels}")
    whole = channel is None or master.channels == 1
    if stretches is None and whole and master.opus and target in ("OGG_OPUS", "WEBM"):
        source.seek(0)
        if target == "OGG_OPUS":
            while piece := source.read(1 << 20):
                out.write(piece)
        else:
            _remux(source, out)
        return FORMATS[target]
    takes_out = stretches is None and channel is not None and master.opus is not None and master.opus.uncoupled
    if target == "OGG_OPUS" and takes_out and channel is not None and master.opus is not None:
        try:
            ogg.extract(master.opus, channel, out.write, serial=master.length & 0xFFFFFFFF)
        except ogg.OggError as error:
            raise MasterError(str(error)) from error
        return FORMATS[target]
    if target == "WEBM":
        between = io.BytesIO()
        convert(source, "OGG_OPUS", between, channel=channel, stretches=stretches, progress=progress)
        between.seek(0)
        _remux(between, out)
        return FORMATS[target]
    first = None if whole else channel
    wanted = [(0, master.length)] if stretches is None else in_samples(stretches, master.rate, master.length)
    length = sum(end - start for start, end in wanted)
    sink = _sink(target, out, master.rate, master.channels if first is None else 1, length)
    done = 0
    for block in master.blocks if stretches is None else pieces(master.blocks, wanted):
        sink.samples(block if first is None else block[:, first : first + 1])
        done += len(block)
        if progress is not None and length:
            progress(done / length)
    sink.finish()
    return FORMATS[target]


def keeps_packets(source: BinaryIO, target: str, channel: int | None) -> bool:
    """Whether ``convert`` would only put the master's own packets into another container: a thousandth of the work.

    :raises MasterError: the source is no master.
    """
    master = open_master(source)
    if target not in ("OGG_OPUS", "WEBM") or master.opus is None:
        return False
    return channel is None or master.channels == 1 or master.opus.uncoupled


def read_samples(source: BinaryIO) -> tuple[I16, int]:
    """A whole master as samples (n, channels) and their rate. An hour of two channels at 8 kHz takes 115 MB."""
    master = open_master(source)
    blocks = list(master.blocks)
    return (np.concatenate(blocks) if blocks else np.zeros((0, master.channels), dtype=np.int16)), master.rate


def mix_samples(samples: I16) -> I16:
    """(n, 1) of any number of channels."""
    return mix(samples) if samples.shape[1] == 2 else samples


def _sink(target: str, out: BinaryIO, rate: int, channels: int, length: int) -> Sink:
    if target == "WAV":
        return wav.Wav(out.write, rate, channels, length=length)
    if target == "WAV_ULAW":
        return wav.Wav(out.write, rate, channels, length=length, tag=wav.MU_LAW)
    if target == "OGG_OPUS":
        return ogg.OggOpus(
            out.write,
            rate,
            channels,
            serial=length & 0xFFFFFFFF,
            bitrate=bitrate(rate, channels),
            complexity=COMPLEXITY,
        )
    return _PyavSink(target, out, rate, channels)


_PYAV = {"MP3": ("mp3", "libmp3lame"), "FLAC": ("flac", "flac"), "OGG_VORBIS": ("ogg", "vorbis")}
"""Container and codec."""
_EXACT = {"fflags": "+bitexact"}
"""The same master always gives the same bytes; else every file would have ids of its own."""


class _PyavSink:
    """Formats that PyAV writes."""

    def __init__(self, target: str, out: BinaryIO, rate: int, channels: int) -> None:
        container_format, codec = _PYAV[target]
        self.media_type, self.extension = FORMATS[target].media_type, FORMATS[target].extension
        self.rate, self._channels = rate, channels
        self._doubled = target == "OGG_VORBIS" and channels == 1
        """The Vorbis encoder knows two channels only."""
        self._layout = "stereo" if channels == 2 or self._doubled else "mono"
        self._container = av.open(out, "w", format=container_format, options=_EXACT)
        options = {"strict": "experimental"} if target == "OGG_VORBIS" else {}
        stream = self._container.add_stream(codec, rate=rate, options=options)
        assert isinstance(stream, av.AudioStream)
        stream.layout = self._layout
        if target == "MP3":
            stream.bit_rate = channels * (24000 if rate <= 8000 else 32000 if rate <= 24000 else 64000)
        self._stream, self._at = stream, 0
        self._format = {"MP3": "s16p", "FLAC": "s16", "OGG_VORBIS": "fltp"}[target]
        stream.format = self._format

    def samples(self, block: I16) -> None:
        """Takes samples (n, channels)."""
        if self._doubled:
            block = np.repeat(block, 2, axis=1)
        if self._format == "s16":
            data = np.ascontiguousarray(block).reshape(1, -1)
        elif self._format == "s16p":
            data = np.ascontiguousarray(block.T)
        else:
            data = np.ascontiguousarray(block.T.astype(np.float32) / 32768.0)
        frame = av.AudioFrame.from_ndarray(data, format=self._format, layout=self._layout)
        frame.sample_rate, frame.pts = self.rate, self._at
        self._at += len(block)
        self._container.mux(self._stream.encode(frame))

    def finish(self) -> None:
        """Writes the end. A recording without any sample becomes 20 ms of silence, which every player takes."""
        if not self._at:
            self.samples(np.zeros((self.rate // 50, self._channels), dtype=np.int16))
        self._container.mux(self._stream.encode(None))
        self._container.close()


def _remux(source: BinaryIO, out: BinaryIO) -> None:
    """Ogg to WebM, packet by packet."""
    with av.open(source, "r", format="ogg") as read, av.open(out, "w", format="webm", options=_EXACT) as write:
        stream = write.add_stream_from_template(read.streams.audio[0])
        for packet in read.demux(read.streams.audio[0]):
            if packet.dts is None:
                continue
            packet.stream = stream
            write.mux(packet)


def _decoded_blocks(source: BinaryIO, length: int) -> Iterator[I16]:
    try:
        yield from wav.decoded_blocks(source, length)
    except av.error.FFmpegError as error:
        raise MasterError(f"a WAV that is damaged: {error}") from error


def _open_wav(source: BinaryIO) -> Master:
    """A WAV of ours: one ``fmt`` and one ``data`` chunk."""
    source.seek(12)
    tag = channels = rate = 0
    told: int | None = None
    """Samples by the ``fact`` chunk."""
    while len(head := source.read(8)) == 8:
        name, size = head[:4], struct.unpack("<I", head[4:])[0]
        if name == b"fmt ":
            layout = source.read(8)
            if len(layout) < 8 or size < 8:
                raise MasterError("a WAV that is cut short")
            tag, channels, rate = struct.unpack("<HHI", layout)
            source.seek(size - 8 + size % 2, io.SEEK_CUR)
        elif name == b"fact" and size == 4:
            told = int.from_bytes(source.read(4), "little")
        elif name == b"data":
            break
        else:
            source.seek(size + size % 2, io.SEEK_CUR)
    else:
        raise MasterError("a WAV without samples")
    known = tag in wav.BITS or tag in wav.DECODED
    if not known or not 1 <= channels <= (1 if tag in wav.DECODED else 2) or not rate:
        raise MasterError("a WAV that is not one of ours")
    begin = source.tell()
    available = source.seek(0, io.SEEK_END) - begin
    source.seek(begin)
    size = available if size == 0xFFFFFFFF else min(size, available)
    if tag in wav.DECODED:
        most = size // gsm.BLOCK_BYTES * gsm.BLOCK_SAMPLES if tag == wav.GSM else 2 * size
        length = most if told is None else min(most, told)
        return Master(rate, channels, length, None, _decoded_blocks(source, length))
    width = channels * (2 if tag == wav.PCM else 1)
    length = size // width

    def blocks() -> Iterator[I16]:
        left = length
        source.seek(begin)
        while left > 0 and (data := source.read(min(left, rate * BLOCK_SECONDS) * width)):
            data = data[: len(data) // width * width]
            if tag == wav.PCM:
                samples = np.frombuffer(data, dtype="<i2").astype(np.int16)
            else:
                samples = (codecs.ALAW if tag == wav.A_LAW else codecs.ULAW)[np.frombuffer(data, dtype=np.uint8)]
            left -= len(samples) // channels
            yield samples.reshape(-1, channels)

    return Master(rate, channels, length, None, blocks())
