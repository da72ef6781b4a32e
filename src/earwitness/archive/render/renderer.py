"""From a tape to a file: two channels on one time line, encoded, measured.

``Renderer`` is the streaming core: it can follow a call (``open``, ``feed``, ``advance``, ``close``, ``finish``) and
never holds more than about half a minute of samples. ``render_tape`` is the batch: it feeds a whole tape. Both give the
same bytes for the same packets.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from earwitness.archive.render import codecs, g726, gsm, wav
from earwitness.archive.render.channel import Channel, Tally
from earwitness.archive.render.level import LevelControl
from earwitness.archive.render.ogg import OggOpus
from earwitness.archive.render.opus import RATES
from earwitness.archive.render.packets import Packets, read_tape
from earwitness.archive.render.peaks import Meter, Peaks
from earwitness.archive.render.plan import Codec, TapePlan
from earwitness.archive.render.sheet import ChannelSheet, QualitySheet
from earwitness.domain.recording.settings import SUPPORTED_AUDIO_FORMATS

I16 = NDArray[np.int16]

COMPLEXITY = 1
"""Of libopus. Measured on two voices at 8 kHz, coupled stereo of 24 kbit/s, packets of 60 ms (CPU s per hour of call;
log spectral distance of the speech, dB, lower is better): 0: 6.2, 1.8; **1: 6.4, 1.7**; 2: 12.1, 1.8; 3: 13.8, 1.6;
5: 15.3, 1.4; 10: 19, 1.3. ``application=audio`` (CELT) at complexity 5: 10.4, 3.7. So 1 costs what 0 does and sounds
almost like 3."""

TELEPHONE_FORMATS = frozenset({"audio/G726-32", "audio/GSM"})
TELEPHONE_RATE = 8000
"""What these formats have, whatever was heard."""

KEEP_BYTES = 128 << 20
"""Tapes up to this are kept in memory between finding their codecs and rendering them; larger ones are read twice."""


def bitrate(rate: int, channels: int) -> int:
    """Bit/s of the Opus master while all its channels are loud.

    Two channels are two streams (``uncoupled``), so this changes nothing about how far they are apart. 20 kbit/s each
    sound, at 8 kHz, as coupled stereo at 24 kbit/s did, and make files of the same size (22.5 kbit/s for two voices in
    turn above a noise floor), because a channel in which nobody speaks takes less. At 12 kbit/s each, the signal to
    noise ratio of speech is 2 dB less.
    """
    if channels == 1:
        return 16000 if rate <= 8000 else 24000
    return 40000 if rate <= 8000 else 48000


class UnsupportedFormatError(ValueError):
    """An audio format that cannot be written; the message lists those that can."""


class Sink(Protocol):
    """Where samples go."""

    media_type: str
    extension: str

    def samples(self, block: I16) -> None:
        """Takes samples (n, channels)."""
        ...

    def finish(self) -> None:
        """Writes the end."""
        ...


@dataclass(frozen=True, slots=True)
class Rendering:
    """What came of a tape."""

    media_type: str
    """``audio/ogg`` or ``audio/wav``."""
    extension: str
    """``opus`` or ``wav``."""
    rate: int
    """Samples per second."""
    channels: int
    """2: 0 = the leg's party, 1 = what was sent to it. 1: both mixed."""
    length_ms: int
    peaks: Peaks
    sheet: QualitySheet


def check_audio_format(audio_format: str) -> None:
    """Refuses a trunk's audio format that cannot be written.

    :raises UnsupportedFormatError: see ``domain.recording.settings.SUPPORTED_AUDIO_FORMATS``.
    """
    if audio_format not in SUPPORTED_AUDIO_FORMATS:
        raise UnsupportedFormatError(
            f"{audio_format!r} cannot be written; take one of {', '.join(SUPPORTED_AUDIO_FORMATS)}"
        )


class Renderer:
    """Follows a tape. Call ``open``, then ``feed`` and ``advance`` as often as you like, ``close``; at last
    ``finish``."""

    def __init__(self, plan: TapePlan, rate: int, sink: Callable[[int, int], Sink], *, eager: bool = False) -> None:
        """
        :param plan: codecs and identity of the tape; openings are told through ``open`` and ``close``.
        :param rate: samples per second of the file; see ``choose_rate``.
        :param sink: (rate, channels) -> where samples go.
        :param eager: writes as soon as can be; worth nothing once it is ``overtaken``.
        """
        self.plan, self.rate = plan, rate
        self.overtaken = False
        """Packets came that belong into what is written already."""
        self._eager = eager
        self.channels = 2 if plan.dual_channel else 1
        self.sink = sink(rate, self.channels)
        self._tallies = [Tally(ChannelSheet()), Tally(ChannelSheet())]
        self._meter = Meter(rate, 2)
        self._level = LevelControl(rate, 2) if plan.level_control else None
        self._shown = Meter(rate, 2) if plan.level_control else self._meter
        """Measures what the file holds, the other what came over the line."""
        self._lines: list[Channel] = []
        self._queues: list[list[I16]] = [[], []]
        self._opened_us = 0
        self._recorded_us = 0
        self._written = 0

    def open(self, from_us: int) -> None:
        """The tape opened."""
        self._opened_us = from_us
        self._lines = [
            Channel(
                self.rate,
                from_us,
                self.plan.epoch,
                tally,
                recorded_ms=self._recorded_us // 1000,
                events=tuple((gap.from_us, gap.to_us, gap.cause) for gap in self.plan.gaps if gap.channel == channel),
                eager=self._eager,
            )
            for channel, tally in enumerate(self._tallies)
        ]

    def feed(self, channel: int, packets: Packets) -> None:
        """Takes packets of channel 0 or 1, in order of arrival."""
        self._lines[channel].feed(packets)

    def advance(self, now_us: int) -> None:
        """Everything that arrived before ``now_us`` has been fed: writes what has become final."""
        self._take([line.advance(now_us) for line in self._lines])

    @property
    def next_us(self) -> int | None:
        """When ``advance`` has something to write again, UTC µs; None while the tape is closed."""
        return min((line.next_us for line in self._lines), default=None)

    def close(self, to_us: int) -> None:
        """The tape closed: writes the rest of the opening."""
        self._take([line.finish(to_us) for line in self._lines])
        self._recorded_us += max(0, to_us - self._opened_us)
        self._lines = []

    def finish(self) -> Rendering:
        """Writes the end of the file."""
        if self._level is not None:
            self._put(self._level.finish())
            self._meter.finish()
        self.sink.finish()
        length_ms = round(self._written * 1000 / self.rate)
        peaks = self._shown.finish()
        for channel, tally in enumerate(self._tallies):
            self._complete(channel, tally, self._tallies[1 - channel])
        sheet = QualitySheet(length_ms, self.rate, [tally.sheet for tally in self._tallies])
        return Rendering(self.sink.media_type, self.sink.extension, self.rate, self.channels, length_ms, peaks, sheet)

    def _take(self, lines: list[list[I16]]) -> None:
        self.overtaken = self.overtaken or any(line.overtaken for line in self._lines)
        for first, second in zip(*lines, strict=True):
            pair = np.empty((len(first), 2), dtype=np.int16, order="F")  # channels are taken apart again
            pair[:, 0], pair[:, 1] = first, second
            self._written += len(pair)
            self._meter.samples(pair)
            if self._level is None:
                self.sink.samples(pair if self.channels == 2 else mix(pair))
            else:
                self._put(self._level.samples(pair))

    def _put(self, levelled: I16) -> None:
        if len(levelled):
            self._shown.samples(levelled)
            self.sink.samples(levelled if self.channels == 2 else mix(levelled))

    def _complete(self, channel: int, tally: Tally, other: Tally) -> None:
        sheet, meter = tally.sheet, self._meter
        sheet.loss_percent = round(100 * sheet.lost / tally.expected, 2) if tally.expected else 0.0
        sheet.one_way = not tally.audio_packets and bool(other.audio_packets)
        sheet.silence_percent = round(100 * int(meter.silent[channel]) / meter.spans, 1) if meter.spans else 100.0
        sheet.clipped_samples = int(meter.clipped[channel])
        sheet.level_dbfs, sheet.peak_dbfs = meter.level_dbfs(channel), meter.peak_dbfs(channel)
        sheet.jitter_mean_ms = round(tally.step_sum / tally.steps / 1000, 2) if tally.steps else 0.0
        sheet.drift_ppm = round(tally.drift[1], 1) if tally.drift else None


def mix(pair: I16) -> I16:
    """Two channels (n, 2) as one (n, 1): their sum, limited."""
    total = pair[:, 0].astype(np.int32) + pair[:, 1]
    return np.asarray(np.clip(total, -32768, 32767)[:, None], dtype=np.int16)


def choose_rate(heard: set[Codec]) -> int:
    """The call's own rate: the least that libopus takes and that loses nothing of any codec heard; 8000 for none."""
    highest = max((codecs.audio_rate(codec) for codec in heard), default=0)
    return next((rate for rate in RATES if rate >= highest), RATES[-1])


def codecs_heard(plan: TapePlan, packets: Packets) -> set[Codec]:
    """The codecs of a batch of packets."""
    packets, _ = packets.divided()
    if not len(packets):
        return set()
    known = plan.epoch(int(packets.arrival_us[-1]))
    second = packets.buffer[packets.offset[packets.length > 1] + 1]
    types = np.flatnonzero(np.bincount(second & 0x7F, minlength=1))
    return {codec for codec in (known.find(int(payload_type)) for payload_type in types) if codec is not None}


def master_sink(plan: TapePlan, write: Callable[[bytes], object]) -> Callable[[int, int], Sink]:
    """The sink for a tape's own audio format.

    :raises UnsupportedFormatError: the format cannot be written.
    """
    check_audio_format(plan.audio_format)
    tags = {"audio/PCMU": wav.MU_LAW, "audio/PCMA": wav.A_LAW, "audio/L16": wav.PCM}

    def make(rate: int, channels: int) -> Sink:
        if plan.audio_format == "audio/opus":
            serial = zlib.crc32(plan.tape_id.encode())
            return OggOpus(write, rate, channels, serial=serial, bitrate=bitrate(rate, channels), complexity=COMPLEXITY)
        length = sum(round(opening.length_us * rate / 1e6) for opening in plan.openings)
        if plan.audio_format in TELEPHONE_FORMATS:
            if (rate, channels) != (TELEPHONE_RATE, 1):
                raise UnsupportedFormatError(
                    f"{plan.audio_format} has one channel at {TELEPHONE_RATE} samples a second"
                )
            make_wav = gsm.GsmWav if plan.audio_format == "audio/GSM" else g726.G726Wav
            return make_wav(write, length=length)
        return wav.Wav(write, rate, channels, length=length, tag=tags[plan.audio_format])

    return make


def render_tape(
    plan: TapePlan,
    write: Callable[[bytes], object],
    sink: Callable[[int, int], Sink] | None = None,
    progress: Callable[[float], None] | None = None,
) -> Rendering:
    """Renders a closed tape; the file goes to ``write`` piece by piece, front to back.

    :param sink: another file format than the trunk's, made from the packets.
    :param progress: told the share that is done, 0..1.
    :raises UnsupportedFormatError: the trunk's audio format cannot be written.
    """
    files = [plan.file(opening.index, channel) for opening in plan.openings for channel in (0, 1)]
    small = sum(file.stat().st_size for file in files if file.exists()) <= KEEP_BYTES
    read = cache(read_tape) if small else read_tape
    heard: set[Codec] = set()
    for file in files:
        heard |= codecs_heard(plan, read(file))
    telephone = sink is None and plan.audio_format in TELEPHONE_FORMATS
    rate = TELEPHONE_RATE if telephone else choose_rate(heard)
    renderer = Renderer(plan, rate, sink or master_sink(plan, write))
    for number, opening in enumerate(plan.openings):
        renderer.open(opening.from_us)
        for channel in (0, 1):
            renderer.feed(channel, read(plan.file(opening.index, channel)))
        renderer.close(opening.from_us + opening.length_us)
        if progress is not None:
            progress((number + 1) / len(plan.openings))
    return renderer.finish()
