"""GSM 06.10 full rate (ETSI EN 300 961): ``audio/GSM``, one channel at 8000 samples a second, in a WAV file.

WAV holds it in blocks of 65 bytes, two frames each (format 0x31). libsndfile is the encoder. It wants a file that it
can seek in, to write the lengths at the end; they are known here, so its head is dropped and ours stands instead.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from earwitness.archive.render import wav

I16 = NDArray[np.int16]

RATE = 8000
BLOCK_BYTES = 65
BLOCK_SAMPLES = 320


def header(length: int) -> bytes:
    """Everything before the blocks of that many samples."""
    size = -(-length // BLOCK_SAMPLES) * BLOCK_BYTES
    speed = RATE * BLOCK_BYTES // BLOCK_SAMPLES
    layout = struct.pack("<HHIIHHHH", wav.GSM, 1, RATE, speed, BLOCK_BYTES, 0, 2, BLOCK_SAMPLES)
    chunks = b"fmt " + struct.pack("<I", len(layout)) + layout
    chunks += b"fact" + struct.pack("<II", 4, min(length, 0xFFFFFFFF))
    whole = min(4 + len(chunks) + 8 + size + size % 2, 0xFFFFFFFF)
    return b"RIFF" + struct.pack("<I", whole) + b"WAVE" + chunks + b"data" + struct.pack("<I", min(size, 0xFFFFFFFF))


class _Body(io.RawIOBase):
    """A file for libsndfile: what it writes behind its head goes on, front to back."""

    def __init__(self, write: Callable[[bytes], object], head: int) -> None:
        self._write, self._head = write, head
        self._at = self.end = 0

    def seekable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def readable(self) -> bool:
        return False

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.end}[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def write(self, data: object) -> int:
        piece = bytes(memoryview(data))  # type: ignore[arg-type]
        fresh = piece[max(0, max(self.end, self._head) - self._at) :]
        self._at += len(piece)
        self.end = max(self.end, self._at)
        if fresh and self._at > self._head:
            self._write(fresh)
        return len(piece)


class GsmWav:
    """Takes samples, hands a WAV file to ``write``."""

    media_type = "audio/wav"
    extension = "wav"

    def __init__(self, write: Callable[[bytes], object], *, length: int) -> None:
        """:param length: samples that are going to come."""
        import soundfile  # a library of its own that only such trunks need

        head, size = header(length), -(-length // BLOCK_SAMPLES) * BLOCK_BYTES
        write(head)
        self._body, self._expected = _Body(write, len(head)), len(head) + size + size % 2
        self._file = soundfile.SoundFile(self._body, "w", samplerate=RATE, channels=1, format="WAV", subtype="GSM610")

    def samples(self, block: I16) -> None:
        """Takes samples (n, 1)."""
        self._file.write(np.ascontiguousarray(block))

    def finish(self) -> None:
        """Writes what the encoder still holds, and the padding byte of an odd body.

        :raises ValueError: the file is not as long as its head says.
        """
        self._file.close()
        if self._body.end != self._expected:
            raise ValueError(f"a GSM file of {self._body.end} bytes instead of {self._expected}")
