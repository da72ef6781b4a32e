"""G.726 at 32 kbit/s (ITU-T G.726): ``audio/G726-32``, one channel at 8000 samples a second, in a WAV file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from earwitness.archive.render import wav

I16 = NDArray[np.int16]

RATE = 8000
BITRATE = 32000


class G726Wav:
    """Takes samples, hands a WAV file to ``write``."""

    media_type = "audio/wav"
    extension = "wav"

    def __init__(self, write: Callable[[bytes], object], *, length: int) -> None:
        """:param length: samples that are going to come."""
        self._write, self._length, self._at, self._size = write, length, 0, 0
        context = av.CodecContext.create("adpcm_g726", "w")
        assert isinstance(context, av.AudioCodecContext)
        context.sample_rate, context.layout, context.format, context.bit_rate = RATE, "mono", "s16", BITRATE
        self._context = context
        write(wav.header(wav.G726, RATE, 1, length))

    def samples(self, block: I16) -> None:
        """Takes samples (n, 1)."""
        if not len(block):
            return
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(block).reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate, frame.pts = RATE, self._at
        self._at += len(block)
        self._put(self._context.encode(frame))

    def finish(self) -> None:
        """Writes what the encoder still holds, and the padding byte of an odd body."""
        if self._at:
            self._put(self._context.encode(None))
        if self._size % 2:
            self._write(b"\0")

    def _put(self, packets: list[av.Packet[Any]]) -> None:
        for packet in packets:
            data = bytes(packet)
            self._size += len(data)
            self._write(data)
