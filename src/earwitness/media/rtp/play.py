"""Playing WAV files to legs: prompts, music, beeps, in the codec that the leg negotiated.

A file is encoded in full by a thread when its play begins; the tick then sends the frames that are due. Sequence
numbers, time stamps and SSRC follow from the play's id and start, so that a replacement of this process goes on with
the same stream where it should be by then.
"""

from __future__ import annotations

import threading
import wave
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from earwitness.media.rtp.arena import MAX_PACKET, PAYLOAD
from earwitness.media.rtp.legs import Leg, Legs
from earwitness.media.rtp.relay import Relay
from earwitness.media.tape.writer import Tapes

FRAME_US = 20_000
MAX_SECONDS = 3600
CATCH_UP = 10
"""Frames sent at once when the process was late; more are skipped."""
PREFERRED = ("pcmu", "pcma", "g722", "opus")


class PlayError(Exception):
    """Nothing that can be played."""


def read_wav(source: BinaryIO) -> tuple[npt.NDArray[np.int16], int]:
    """Mono samples, shape (samples,), and their rate (8000 or 16000). Raises PlayError for anything else."""
    try:
        with wave.open(source, "rb") as reader:
            if reader.getnchannels() != 1 or reader.getsampwidth() != 2 or reader.getframerate() not in (8000, 16000):
                raise PlayError("a prompt must be a mono 16-bit WAV file of 8 or 16 kHz")
            if reader.getnframes() > MAX_SECONDS * reader.getframerate():
                raise PlayError("a prompt must not be longer than an hour")
            frames = reader.readframes(reader.getnframes())
            return np.frombuffer(frames[: len(frames) & ~1], "<i2").astype(np.int16), reader.getframerate()
    except (wave.Error, EOFError, OSError) as error:
        raise PlayError(f"no WAV file: {error or 'empty'}") from error


def mu_law(samples: npt.NDArray[np.int16]) -> npt.NDArray[np.uint8]:
    """G.711 mu-law of samples, same shape."""
    value = samples.astype(np.int32) >> 2
    sign = np.where(value < 0, 0x80, 0)
    magnitude = np.minimum(np.abs(value) + 33, 8191)
    segment = np.floor(np.log2(magnitude)).astype(np.int32) - 5
    coded = segment << 4 | magnitude >> segment + 1 & 0x0F
    law: npt.NDArray[np.uint8] = (~(sign | coded) & 0xFF).astype(np.uint8)
    return law


def a_law(samples: npt.NDArray[np.int16]) -> npt.NDArray[np.uint8]:
    """G.711 A-law of samples, same shape."""
    value = samples.astype(np.int32) >> 3
    sign = np.where(value >= 0, 0x80, 0)
    magnitude = np.minimum(np.where(value < 0, -value - 1, value), 4095)
    segment = np.maximum(np.floor(np.log2(np.maximum(magnitude, 1))).astype(np.int32) - 4, 0)
    coded = segment << 4 | magnitude >> np.maximum(segment, 1) & 0x0F
    law: npt.NDArray[np.uint8] = ((sign | coded) ^ 0x55).astype(np.uint8)
    return law


def encode(samples: npt.NDArray[np.int16], rate: int, codec: tuple[str, int, int]) -> tuple[list[bytes], int]:
    """20 ms frames in a codec, and the RTP clock's ticks a frame. Raises PlayError for codecs that nothing can be
    played in.
    """
    name = codec[0]
    if name in ("pcmu", "pcma"):
        narrow = samples if rate == 8000 else _resample(samples, rate, 8000)
        coded = (mu_law if name == "pcmu" else a_law)(_whole_frames(narrow, 160))
        return [frame.tobytes() for frame in coded.reshape(-1, 160)], 160
    if name == "g722":
        wide = _whole_frames(samples if rate == 16000 else _resample(samples, rate, 16000), 320)
        return _av_frames(wide, "g722", 16000, 320), 160
    if name == "opus":
        wide = _whole_frames(_resample(samples, rate, 48000), 960)
        return _av_frames(wide, "libopus", 48000, 960), 960
    raise PlayError(f"nothing can be played in {name}")


def _resample(samples: npt.NDArray[np.int16], rate: int, target: int) -> npt.NDArray[np.int16]:
    import soxr  # loaded by the first play that needs it: a media process must be up again in no time

    converted: npt.NDArray[np.int16] = soxr.resample(samples, rate, target)
    return converted


def _whole_frames(samples: npt.NDArray[np.int16], size: int) -> npt.NDArray[np.int16]:
    return np.pad(samples, (0, -len(samples) % size))


def _av_frames(samples: npt.NDArray[np.int16], codec: str, rate: int, size: int) -> list[bytes]:
    import av  # see _resample

    encoder = av.CodecContext.create(codec, "w")
    assert isinstance(encoder, av.AudioCodecContext)
    encoder.sample_rate, encoder.layout, encoder.format = rate, "mono", "s16"
    if codec == "libopus":
        encoder.options = {"application": "voip", "frame_duration": "20"}
    encoder.open()
    packets: list[bytes] = []
    for number, start in enumerate(range(0, len(samples), size)):
        frame = av.AudioFrame.from_ndarray(samples[None, start : start + size], "s16", "mono")
        frame.sample_rate, frame.pts = rate, number * size
        packets += [bytes(packet) for packet in encoder.encode(frame)]
    packets += [bytes(packet) for packet in encoder.encode(None)]
    return [packet for packet in packets if packet]


@dataclass(slots=True)
class Play:
    """One play in progress."""

    leg: Leg
    play_id: str
    loop: bool
    started_us: int
    payload_type: int
    frames: list[bytes] = field(default_factory=list)
    ticks: int = 160
    sent: int = 0
    """Frames that are sent or skipped."""
    ready: bool = False
    error: str | None = None
    stopped: bool = False


class Player:
    """The plays of a media process."""

    def __init__(self, relay: Relay, legs: Legs, tapes: Tapes, report: Callable[..., None]) -> None:
        self._relay = relay
        self._legs = legs
        self._tapes = tapes
        self._report = report
        self._plays: dict[int, Play] = {}

    @property
    def active(self) -> bool:
        """Whether anything is being played."""
        return bool(self._plays)

    def play(self, leg: Leg, play_id: str, source: BinaryIO, *, loop: bool, at: int) -> None:
        """Begins a play; ``at`` (us) is when it was asked for."""
        self.forget(leg, at)
        chosen = next((pt for name in PREFERRED for pt, codec in leg.codecs.items() if codec[0] == name), None)
        if chosen is None:
            self._report("play_ended", leg.leg_id, play_id, at, "no codec negotiated that can be played in")
            return
        try:
            samples, rate = read_wav(source)
        except PlayError as error:
            self._report("play_ended", leg.leg_id, play_id, at, str(error))
            return
        play = Play(leg, play_id, loop, at, chosen)
        self._plays[leg.slot] = play
        leg.playing = True
        self._relay.route(leg)
        threading.Thread(target=self._encode, args=(play, samples, rate, leg.codecs[chosen]), daemon=True).start()

    def stop(self, leg: Leg, play_id: str, now: int) -> None:
        """Stops a play."""
        play = self._plays.get(leg.slot)
        if play is not None and play.play_id == play_id:
            self._end(play, now)

    def forget(self, leg: Leg, now: int) -> None:
        """Stops whatever is played to a leg."""
        play = self._plays.get(leg.slot)
        if play is not None:
            self._end(play, now)

    def tick(self, now: int) -> None:
        """Sends the frames that are due."""
        for play in list(self._plays.values()):
            if play.error is not None:
                self._end(play, now)
            elif play.ready:
                self._send_due(play, now)

    @staticmethod
    def _encode(play: Play, samples: npt.NDArray[np.int16], rate: int, codec: tuple[str, int, int]) -> None:
        try:
            play.frames, play.ticks = encode(samples, rate, codec)
        except Exception as error:  # whatever a codec library raises must not leave the leg without its caller's voice
            play.error = str(error)
        play.ready = True

    def _send_due(self, play: Play, now: int) -> None:
        due = (now - play.started_us) // FRAME_US + 1
        if not play.loop:
            due = min(due, len(play.frames))
        first = max(play.sent, due - CATCH_UP)
        if first < due and play.frames and play.leg.sending and self._legs.name_lengths[2 * play.leg.slot]:
            self._send(play, range(first, due), now)
        play.sent = due
        if not play.frames or (not play.loop and play.sent >= len(play.frames)):
            self._end(play, now)

    def _send(self, play: Play, numbers: range, now: int) -> None:
        relay = self._relay
        rows = relay.build_rows(len(numbers))
        seed = zlib.crc32(play.play_id.encode())
        lengths = np.empty(len(numbers), np.int64)
        for place, number in enumerate(numbers):
            marker = 0x80 if number == 0 else 0
            packet = (
                bytes((0x80, marker | play.payload_type))
                + ((seed + number) & 0xFFFF).to_bytes(2, "big")
                + ((seed * 31 + number * play.ticks) & 0xFFFFFFFF).to_bytes(4, "big")
                + seed.to_bytes(4, "big")
                + play.frames[number % len(play.frames)]
            )[:MAX_PACKET]
            relay.rows[rows[place], PAYLOAD : PAYLOAD + len(packet)] = np.frombuffer(packet, np.uint8)
            lengths[place] = len(packet)
        slot = play.leg.slot
        relay.send(rows, lengths, np.full(len(rows), 2 * slot))
        relay.tape(np.full(len(rows), slot), 1, rows, lengths, np.full(len(rows), now))

    def _end(self, play: Play, now: int) -> None:
        del self._plays[play.leg.slot]
        play.leg.playing = False
        self._relay.route(play.leg)
        self._report("play_ended", play.leg.leg_id, play.play_id, now, play.error)
