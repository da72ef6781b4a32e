"""Ogg Opus, written page by page (RFC 3533, RFC 7845)."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from earwitness.archive.render import framing, opus
from earwitness.archive.render.uncoupled import UncoupledEncoder

I16 = NDArray[np.int16]

FRAME_MS = 60
"""Measured: the cheapest frame for speech at complexity 5, and the smallest file; seeking needs no finer step."""
PAGE_FRAMES = 16
FIRST, LAST = 2, 4
"""Flags of pages."""
_MAX_PAGE = 27 + 255 + 255 * 255
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def checksum(page: bytes) -> int:
    """The CRC of RFC 3533 §6 (polynomial 04c11db7, most significant bit first, no inversion), by way of zlib's."""
    mirrored = zlib.crc32(page.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int.from_bytes(mirrored.to_bytes(4, "little").translate(_REVERSED), "big")


class Page(NamedTuple):
    """Whole packets, and where they end."""

    packets: list[bytes]
    granule: int
    """Samples at 48 kHz up to the end of the page, pre-skip included."""
    flags: int = 0
    """2: the first, 4: the last."""


class OggPages:
    """Writes pages of one Ogg Opus stream, its two heads first."""

    def __init__(self, write: Callable[[bytes], object], rate: int, channels: int, *, serial: int, skip: int) -> None:
        """
        :param rate: that of the samples, Hz: a remark, for packets count in 48 kHz.
        :param channels: 1, or 2 for packets of two mono streams (RFC 7845 §5.1.1: family 1, nothing coupled).
        :param serial: stream number, 32 bit.
        :param skip: samples at 48 kHz to leave out at the start (pre-skip).
        """
        self._write, self._serial, self._sequence = write, serial, 0
        head = struct.pack("<8sBBHIh", b"OpusHead", 1, channels, skip, rate, 0)
        head += b"\0" if channels == 1 else bytes([1, channels, 0, *range(channels)])
        vendor = b"Earwitness"
        tags = b"OpusTags" + struct.pack("<I", len(vendor)) + vendor + struct.pack("<I", 0)
        self.put(Page([head], 0, FIRST))
        self.put(Page([tags], 0))

    def put(self, page: Page) -> None:
        """Writes a page. All its packets together may have 255 pieces of 255 bytes at most."""
        lacing = b"".join(b"\xff" * (len(packet) // 255) + bytes([len(packet) % 255]) for packet in page.packets)
        fields = (b"OggS", 0, page.flags, page.granule, self._serial, self._sequence, 0, len(lacing))
        data = struct.pack("<4sBBqIIIB", *fields) + lacing + b"".join(page.packets)
        self._sequence += 1
        self._write(data[:22] + struct.pack("<I", checksum(data)) + data[26:])


class OggOpus:
    """Takes samples, hands pages to ``write``; what goes out is the same for the same samples and serial number.

    Two channels are two streams that know nothing of each other.
    """

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
        self.rate, self.channels = rate, channels
        self._encoder = UncoupledEncoder(rate, channels, bitrate=bitrate, complexity=complexity, frame_ms=FRAME_MS)
        self._rest = np.zeros((0, channels), dtype=np.int16)
        self._packets: list[bytes] = []
        self._samples = 0
        self._granule = 0
        self._pre_skip = self._encoder.lookahead * 48000 // rate
        self._pages = OggPages(write, rate, channels, serial=serial, skip=self._pre_skip)

    def samples(self, block: I16) -> None:
        """Takes samples (n, channels)."""
        self._samples += len(block)
        whole = np.concatenate([self._rest, block]) if len(self._rest) else block
        usable = len(whole) // self._encoder.frame * self._encoder.frame
        self._rest = whole[usable:].copy("K")
        self._put(self._encoder.encode(whole[:usable]))

    def finish(self) -> None:
        """Writes the end. The length by granule positions is exactly that of the samples (RFC 7845 §4.4)."""
        frame, delay = self._encoder.frame, self._encoder.lookahead
        total = self._samples * 48000 // self.rate
        padding = -(len(self._rest) + delay) % frame + delay
        self._put(self._encoder.encode(np.pad(self._rest, ((0, padding), (0, 0)))))
        self._pages.put(Page(self._packets, total + self._pre_skip, LAST))
        self._packets = []

    def _put(self, packets: list[bytes]) -> None:
        self._packets += packets
        while len(self._packets) > PAGE_FRAMES:
            page, self._packets = self._packets[:PAGE_FRAMES], self._packets[PAGE_FRAMES:]
            self._granule += PAGE_FRAMES * FRAME_MS * 48
            self._pages.put(Page(page, self._granule))


class OggError(ValueError):
    """Not an Ogg Opus file of one stream."""


class OggReader:
    """Reads what ``OggOpus`` writes, and the coupled stereo that it once wrote; pages are checked against their CRC."""

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
        if last < 0 or len(tail) - last < 14 or first is None or not first.packets:
            raise OggError("not an Ogg Opus file")
        head = first.packets[0]
        if head[:8] != b"OpusHead":
            raise OggError("not an Ogg Opus file")
        if len(head) < 19:
            raise OggError("the head is cut short")
        _, _, self.channels, self.skip_48k, self.rate, _, family = struct.unpack("<8sBBHIhB", head[:19])
        self.uncoupled = family == 1 and head[19:] == bytes([2, 0, 0, 1])
        """Packets hold two mono streams."""
        if self.rate not in opus.RATES or not (self.channels == 2 if self.uncoupled else not family):
            raise OggError("not a master of ours")
        if not 1 <= self.channels <= 2:
            raise OggError("not a master of ours")
        granule = struct.unpack("<q", tail[last + 6 : last + 14])[0]
        self.pre_skip = self.skip_48k * self.rate // 48000
        """Samples at ``rate`` to leave out at the start."""
        self.length = max(0, (granule - self.skip_48k) * self.rate // 48000)
        """Samples per channel at ``rate``."""
        self._page()

    def pages(self) -> Iterator[Page]:
        """The pages behind the heads."""
        while (page := self._page()) is not None:
            yield page

    def blocks(self) -> Iterator[I16]:
        """All samples, (n, channels) a page; a damaged packet is silence."""
        decoder = opus.decoder(self.rate, self.channels, uncoupled=self.uncoupled)
        skip, left = self.pre_skip, self.length
        for page in self.pages():
            block = decoder.decode(page.packets)
            dropped = min(skip, len(block))
            skip -= dropped
            block = block[dropped : dropped + left]
            left -= len(block)
            if len(block):
                yield block

    def _page(self) -> Page | None:
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
        return Page(packets, struct.unpack("<q", head[6:14])[0], head[5])


def extract(source: OggReader, channel: int, write: Callable[[bytes], object], *, serial: int) -> None:
    """One channel of an uncoupled master: its packets as they are, on pages of the same places and lengths.

    :raises OggError: a packet is damaged.
    """
    pages = OggPages(write, source.rate, 1, serial=serial, skip=source.skip_48k)
    for page in source.pages():
        try:
            packets = [framing.split(packet)[channel] for packet in page.packets]
        except framing.FramingError as error:
            raise OggError(f"a packet is damaged: {error}") from error
        pages.put(Page(packets, page.granule, page.flags))
