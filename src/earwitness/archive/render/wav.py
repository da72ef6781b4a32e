"""WAV files: PCM16, mu-law, A-law (and heads of G.726), written in one pass because the length is known beforehand.

Also reads those that need a decoder."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import BinaryIO

import av
import numpy as np
from numpy.typing import NDArray

from earwitness.archive.render.codecs import ALAW, ULAW

I16 = NDArray[np.int16]
U8 = NDArray[np.uint8]

PCM, A_LAW, MU_LAW, GSM, G726 = 1, 6, 7, 0x31, 0x45
"""Format tags (RFC 2361)."""
DECODED = frozenset({GSM, G726})
"""Those that need a decoder; they have one channel."""
BITS = {PCM: 16, A_LAW: 8, MU_LAW: 8, G726: 4}
"""Of a sample."""


def _inverse(table: I16) -> U8:
    """65,536 -> 256: the code whose value is nearest, by index sample & 0xFFFF."""
    order = np.argsort(table, kind="stable")
    values = table[order].astype(np.int32)
    samples = np.arange(-32768, 32768, dtype=np.int32)
    middle = (values[1:] + values[:-1]) / 2
    nearest = order[np.searchsorted(middle, samples)].astype(np.uint8)
    return np.roll(nearest, 32768)


_CODES: dict[int, U8] = {}


def encode(samples: I16, tag: int) -> bytes:
    """Samples (n, channels) as the body of a WAV file."""
    if tag == PCM:
        return samples.astype("<i2").tobytes()
    if tag not in _CODES:
        _CODES[tag] = _inverse(ULAW if tag == MU_LAW else ALAW)
    return _CODES[tag][samples.view(np.uint16)].tobytes()


def header(tag: int, rate: int, channels: int, samples: int) -> bytes:
    """Everything before the samples. Beyond 4 GiB the sizes say 0xFFFFFFFF, which players read as "to the end"."""
    bits = channels * BITS[tag]
    size = -(-samples * bits // 8)
    layout = struct.pack("<HHIIHH", tag, channels, rate, rate * bits // 8, max(1, bits // 8), BITS[tag])
    chunks = b"fmt " + (struct.pack("<I", 16) + layout if tag == PCM else struct.pack("<I", 18) + layout + b"\0\0")
    if tag != PCM:
        chunks += b"fact" + struct.pack("<II", 4, min(samples, 0xFFFFFFFF))
    data = b"data" + struct.pack("<I", min(size, 0xFFFFFFFF))
    return b"RIFF" + struct.pack("<I", min(4 + len(chunks) + 8 + size + size % 2, 0xFFFFFFFF)) + b"WAVE" + chunks + data


class Wav:
    """Takes samples, hands a WAV file to ``write``."""

    media_type = "audio/wav"
    extension = "wav"

    def __init__(
        self, write: Callable[[bytes], object], rate: int, channels: int, *, length: int, tag: int = PCM
    ) -> None:
        """
        :param length: samples per channel that are going to come.
        :param tag: ``PCM``, ``A_LAW`` or ``MU_LAW``.
        """
        self._write, self.tag, self._size = write, tag, length * channels * (2 if tag == PCM else 1)
        write(header(tag, rate, channels, length))

    def samples(self, block: I16) -> None:
        """Takes samples (n, channels)."""
        self._write(encode(np.ascontiguousarray(block), self.tag))

    def finish(self) -> None:
        """Writes the padding byte of an odd body."""
        if self._size % 2:
            self._write(b"\0")


def decoded_blocks(source: BinaryIO, length: int) -> Iterator[I16]:
    """The samples (n, 1) of a WAV file whose format is one of ``DECODED``, ``length`` in all.

    :raises av.error.FFmpegError: it is damaged.
    """
    source.seek(0)
    left = length
    with av.open(source, "r", format="wav") as container:
        for frame in container.decode(container.streams.audio[0]):
            if left <= 0:
                return
            block = frame.to_ndarray().reshape(-1, 1)[:left]
            left -= len(block)
            yield np.asarray(block, dtype=np.int16)
