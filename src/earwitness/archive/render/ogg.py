"""Ogg Opus, written page by page (RFC 3533, RFC 7845)."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from earwitness.archive.render import opus

I16 = NDArray[np.int16]

FRAME_MS = 60
"""Measured: the cheapest frame for speech at complexity 5, and the smallest file; seeking needs no finer step."""
PAGE_FRAMES = 16
_MAX_PAGE = 27 + 255 + 255 * 255
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def checksum(page: bytes) -> int:
    """The CRC of RFC 3533 §6 (polynomial 04c11db7, most significant bit first, no inversion), by way of zlib's."""
    mirrored = zlib.crc32(page.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int.from_bytes(mirrored.to_bytes(4, "little").translate(_REVERSED), "big")


class OggOpus:
    """Takes samples, hands pages to ``write``; what goes out is the same for the same samples and serial number."""

    media_type = "audio/ogg"
    extension = "opus"

    def __init__(
        self,
        write: Callable[[bytes], object],
        rate: int,
        channels: int,
        *,
        serial: int,
        bitrate: int = 24000,
        complexity: int = 5,
    ) -> None:
        """
        :param rate: 8000, 12000, 16000, 24000 or 48000 Hz.
        :param serial: stream number, 32 bit.
        :param bitrate: bit/s of all channels together.
        """
        self._write, self.rate, self.channels, self.serial = write, rate, channels, serial
        self._encoder = opus.Encoder(rate, channels, bitrate=bitrate, complexity=complexity, frame_ms=FRAME_MS)
        self._rest = np.zeros((0, channels), dtype=np.int16)
        self._packets: list[bytes] = []
        self._sequence = 0
        self._samples = 0
        self._granule = 0
        self._per_packet = FRAME_MS * 48
        self._pre_skip = self._encoder.lookahead * 48000 // rate
        head = struct.pack("<8sBBHIhB", b"OpusHead", 1, channels, self._pre_skip, rate, 0, 0)
        vendor = b"Earwitness"
        self._page([head], 0, flags=2)
        self._page([b"OpusTags" + struct.pack("<I", len(vendor)) + vendor + struct.pack("<I", 0)], 0)

    def samples(self, block: I16) -> None:
        """Takes samples (n, channels)."""
        self._samples += len(block)
        whole = np.concatenate([self._rest, block]) if len(self._rest) else block
        usable = len(whole) // self._encoder.frame * self._encoder.frame
        self._rest = whole[usable:].copy()
        self._packets += self._encoder.encode(whole[:usable])
        while len(self._packets) > PAGE_FRAMES:
            page, self._packets = self._packets[:PAGE_FRAMES], self._packets[PAGE_FRAMES:]
            self._granule += PAGE_FRAMES * self._per_packet
            self._page(page, self._granule)

    def finish(self) -> None:
        """Writes the end. The length by granule positions is exactly that of the samples (RFC 7845 §4.4)."""
        frame, delay = self._encoder.frame, self._encoder.lookahead
        total = self._samples * 48000 // self.rate
        padding = -(len(self._rest) + delay) % frame + delay
        padded = np.concatenate([self._rest, np.zeros((padding, self.channels), dtype=np.int16)])
        self._packets += self._encoder.encode(padded)
        while len(self._packets) > PAGE_FRAMES:
            page, self._packets = self._packets[:PAGE_FRAMES], self._packets[PAGE_FRAMES:]
            self._granule += PAGE_FRAMES * self._per_packet
            self._page(page, self._granule)
        self._page(self._packets, total + self._pre_skip, flags=4)
        self._packets = []

    def _page(self, packets: list[bytes], granule: int, *, flags: int = 0) -> None:
        lacing = b"".join(b"\xff" * (len(packet) // 255) + bytes([len(packet) % 255]) for packet in packets)
        head = struct.pack("<4sBBqIIIB", b"OggS", 0, flags, granule, self.serial, self._sequence, 0, len(lacing))
        page = head + lacing + b"".join(packets)
        self._sequence += 1
        self._write(page[:22] + struct.pack("<I", checksum(page)) + page[26:])


class OggError(ValueError):
    """Not an Ogg Opus file of one stream."""


class OggReader:
    """Reads what ``OggOpus`` wrote; pages are checked against their CRC."""

    def __init__(self, source: BinaryIO) -> None:
        """
        :param source: seekable.
        :raises OggError: something else, or damaged.
        """
        self._source = source
        end = source.seek(0, io.SEEK_END)
        source.seek(max(0, end - 2 * _MAX_PAGE))
        tail = source.read()
        last = tail.rfind(b"OggS")
        source.seek(0)
        first = self._page()
        if last < 0 or len(tail) - last < 14 or first is None or not first or first[0][:8] != b"OpusHead":
            raise OggError("not an Ogg Opus file")
        if len(first[0]) < 19:
            raise OggError("the head is cut short")
        _, _, self.channels, pre_skip, self.rate, _, family = struct.unpack("<8sBBHIhB", first[0][:19])
        if self.rate not in opus.RATES or family or not 1 <= self.channels <= 2:
            raise OggError("not a master of ours")
        granule = struct.unpack("<q", tail[last + 6 : last + 14])[0]
        self.pre_skip = pre_skip * self.rate // 48000
        """Samples at ``rate`` to leave out at the start."""
        self.length = max(0, (granule - pre_skip) * self.rate // 48000)
        """Samples per channel at ``rate``."""
        self._page()

    def pages(self) -> Iterator[list[bytes]]:
        """The packets, a page at a time."""
        while (packets := self._page()) is not None:
            yield packets

    def _page(self) -> list[bytes] | None:
        head = self._source.read(27)
        if not head:
            return None
        if len(head) < 27 or head[:4] != b"OggS":
            raise OggError("a page is damaged")
        lacing = self._source.read(head[26])
        body = self._source.read(sum(lacing))
        if checksum(head[:22] + b"\0\0\0\0" + head[26:] + lacing + body) != struct.unpack("<I", head[22:26])[0]:
            raise OggError("a page is damaged")
        packets, at, size = [], 0, 0
        for part in lacing:
            size += part
            if part < 255:
                packets.append(body[at : at + size])
                at, size = at + size, 0
        return packets
