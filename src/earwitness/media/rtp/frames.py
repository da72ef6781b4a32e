"""WAV files as RTP payloads of 20 ms: encoded once for all legs that are played the same in the same codec."""

from __future__ import annotations

import os
import threading
import wave
from collections import deque
from dataclasses import dataclass, field
from typing import BinaryIO
from weakref import WeakValueDictionary

import numpy as np

from earwitness.media.rtp import codecs
from earwitness.media.rtp.arena import Int64
from earwitness.media.rtp.codecs import CodecError, Format
from earwitness.media.rtp.g711 import I16, U8, a_law, mu_law
from earwitness.media.rtp.rates import converter

MAX_SECONDS = 3600
KEPT = 16
"""Files that stay encoded although nobody is played them."""


class PlayError(Exception):
    """Nothing that can be played."""


def read_wav(source: BinaryIO) -> tuple[I16, int]:
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


def encode(samples: I16, rate: int, codec: Format) -> tuple[list[bytes], int]:
    """20 ms frames in a codec, and the RTP clock's ticks a frame. Raises PlayError for codecs that nothing can be
    played in.

    :param rate: 8000 or 16000
    """
    if codec[0] in ("pcmu", "pcma"):
        narrow = _whole_frames(converter(rate, 8000)(samples), 160)
        coded = (mu_law if codec[0] == "pcmu" else a_law)(narrow)
        return [frame.tobytes() for frame in coded.reshape(-1, 160)], 160
    try:
        encoder = codecs.encoder(codec, rate)
    except CodecError as error:
        raise PlayError(f"nothing can be played: {error}") from error
    pieces = _whole_frames(samples, rate // 50).reshape(-1, rate // 50)
    return [encoder.encode(piece) for piece in pieces], codecs.ticks(codec)


def _whole_frames(samples: I16, size: int) -> I16:
    return np.pad(samples, (0, -len(samples) % size))


@dataclass(slots=True, eq=False, weakref_slot=True)
class Frames:
    """Payloads of something that is played, in one codec."""

    codec: Format
    payloads: U8 = field(default_factory=lambda: np.zeros((0, 0), np.uint8))
    """Shape (frames, bytes of the longest)."""
    lengths: Int64 = field(default_factory=lambda: np.zeros(0, np.int64))
    ticks: int = 160
    ready: bool = False
    error: str | None = None

    def fill(self, samples: I16, rate: int) -> None:
        """Encodes; sets ``error`` when that fails."""
        try:
            frames, self.ticks = encode(samples, rate, self.codec)
            self.lengths = np.array([len(frame) for frame in frames], np.int64)
            self.payloads = np.zeros((len(frames), max(map(len, frames), default=0)), np.uint8)
            for row, frame in zip(self.payloads, frames, strict=True):
                row[: len(frame)] = np.frombuffer(frame, np.uint8)
        except Exception as error:  # whatever a codec library raises must not leave the leg without its caller's voice
            self.error = str(error) or type(error).__name__
        self.ready = True


class Library:
    """What is being played, by file and codec."""

    def __init__(self) -> None:
        self._latest: deque[Frames] = deque(maxlen=KEPT)
        self._known: WeakValueDictionary[tuple[object, ...], Frames] = WeakValueDictionary()

    def get(self, source: BinaryIO, codec: Format) -> Frames:
        """The frames of a WAV file, encoded by a thread if nobody is played them yet. Raises PlayError."""
        try:
            status = os.fstat(source.fileno())
        except OSError as error:
            raise PlayError(str(error)) from error
        key = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, codec)
        known = self._known.get(key)
        if known is None or known.error is not None:
            samples, rate = read_wav(source)
            known = self._known[key] = Frames(codec)
            self._latest.append(known)
            threading.Thread(target=known.fill, args=(samples, rate), daemon=True).start()
        return known
