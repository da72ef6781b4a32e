"""Two mono Opus streams in one packet, and back: the self-delimited framing of RFC 6716, appendix B.

A packet of several streams is their packets one after the other (RFC 7845 §5.1.1); all but the last tell the length of
their last frame, which a packet by itself leaves to its container.
"""

from __future__ import annotations

_FRAME_MAX = 1275
_LONGEST_48K = 5760
"""120 ms at 48 kHz: the longest packet (RFC 6716 §3.2.5)."""
_FRAME_48K = ([480, 960, 1920, 2880] * 3) + [480, 960] * 2 + [120, 240, 480, 960] * 4
"""RFC 6716 table 2: samples of a frame at 48 kHz, by configuration."""


class FramingError(ValueError):
    """Not a packet that RFC 6716 allows; the message says why."""


def _length_code(size: int) -> bytes:
    """A frame's length as it stands in a packet (RFC 6716 §3.2.1)."""
    return bytes([size]) if size < 252 else bytes([252 + (size & 3), (size - 252 - (size & 3)) >> 2])


_CODES = tuple(_length_code(size) for size in range(_FRAME_MAX + 1))


def delimit(packet: bytes) -> bytes:
    """A packet in self-delimited framing: the length of its last frame (or of each, where all are alike) put in.

    :raises FramingError: the packet is damaged.
    """
    if packet and not packet[0] & 3 and len(packet) <= _FRAME_MAX + 1:  # one frame, the usual one
        return packet[:1] + _CODES[len(packet) - 1] + packet[1:]
    at, size, _ = _layout(packet, delimited=False)
    return packet[:at] + _CODES[size] + packet[at:]


def split(packet: bytes) -> tuple[bytes, bytes]:
    """The packets of the two streams of a packet, both as they would stand alone.

    :raises FramingError: damaged, or the two last differently long (RFC 7845 §3).
    """
    at, size, end = _layout(packet, delimited=True)
    first, second = packet[: at - len(_CODES[size])] + packet[at:end], packet[end:]
    _layout(second, delimited=False)
    if duration_48k(first) != duration_48k(second):
        raise FramingError("two streams of different durations")
    return first, second


def duration_48k(packet: bytes) -> int:
    """Samples at 48 kHz (RFC 6716 §3.1, 3.2).

    :raises FramingError: no frames, too many, or not told.
    """
    if not packet:
        raise FramingError("an empty packet")
    code = packet[0] & 3
    if code == 3 and len(packet) < 2:
        raise FramingError("the number of frames is missing")
    frames = (1, 2, 2, packet[1] & 63 if code == 3 else 0)[code]
    total = frames * _FRAME_48K[packet[0] >> 3]
    if not 0 < total <= _LONGEST_48K:
        raise FramingError(f"a packet of {frames} frames")
    return total


def _layout(packet: bytes, *, delimited: bool) -> tuple[int, int, int]:
    """Where a packet's frames begin, the length of its last one, and where it ends, padding included.

    In a packet that is not delimited, the place where the frames begin is where that length would be put in.
    """
    duration_48k(packet)
    code, at, end = packet[0] & 3, 1, len(packet)
    frames, padding, vbr = (1, 2, 2, packet[1] & 63 if code == 3 else 0)[code], 0, code == 2
    if code == 3:
        at, vbr = 2, bool(packet[1] & 0x80)
        if packet[1] & 0x40:
            padding, at = _padding(packet, at)
    told = 0
    for _ in range(frames - 1 if vbr else 0):
        size, at = _length(packet, at)
        told += size
    if delimited:
        last, at = _length(packet, at)
        end = at + padding + (told + last if vbr else frames * last)
        if end > len(packet):
            raise FramingError("frames longer than their packet")
        return at, last, end
    left = end - at - padding - told
    if left < 0 or (not vbr and left % frames):
        raise FramingError("frames that do not fill their packet")
    last = left if vbr else left // frames
    if last > _FRAME_MAX:
        raise FramingError("a frame too long")
    return at, last, end


def _padding(packet: bytes, at: int) -> tuple[int, int]:
    """Bytes of padding at the end, and the position behind their number (RFC 6716 §3.2.5)."""
    total = 0
    while at < len(packet):
        byte = packet[at]
        at += 1
        total += min(byte, 254)
        if byte < 255:
            return total, at
    raise FramingError("padding without an end")


def _length(packet: bytes, at: int) -> tuple[int, int]:
    """A length (RFC 6716 §3.2.1) and the position behind it."""
    if at >= len(packet):
        raise FramingError("a length is missing")
    first = packet[at]
    if first < 252:
        return first, at + 1
    if at + 1 >= len(packet):
        raise FramingError("a length is cut short")
    return first + 4 * packet[at + 1], at + 2
