"""The rtpdump format of rtptools, as rtpplay, rtpdump and Wireshark read it.

A file is the line ``#!rtpplay1.0 <address>/<port>\\n``, a 16-byte RD_hdr_t (start of recording: seconds and
microseconds since 1970, source address, port, 2 bytes padding; big-endian) and records: an 8-byte RD_packet_t (length
of the record with this header, length of the RTP packet or 0 for RTCP, milliseconds since the start) with the packet's
bytes behind it.
"""

from __future__ import annotations

import ipaddress
import re
import struct
from dataclasses import dataclass

RECORD_HEADER = 8
FILE_HEADER = struct.Struct("!IIIHH")
PACKET_HEADER = struct.Struct("!HHI")
MAX_PACKET = 0xFFFF - RECORD_HEADER
_FIRST_LINE = re.compile(rb"#!rtpplay1\.0 ([0-9A-Za-z.:%\[\]-]{1,255})/([0-9]{1,5})\n")


class TapeError(ValueError):
    """Not an rtpdump file."""


@dataclass(frozen=True, slots=True)
class TapeHeader:
    """What the head of a file says."""

    start_us: int
    """UTC microseconds that record offsets count from."""
    host: str
    port: int
    size: int
    """Bytes before the first record."""


def encode_header(start_us: int, host: str, port: int) -> bytes:
    """The head of a file. ``host`` is numeric; IPv6 appears in the first line only (the binary field has 4 bytes)."""
    address = ipaddress.ip_address(host.partition("%")[0])
    packed = int(address) if address.version == 4 else 0
    line = f"#!rtpplay1.0 {address}/{port}\n".encode()
    return line + FILE_HEADER.pack(start_us // 1_000_000, start_us % 1_000_000, packed, port, 0)


def parse_header(head: bytes) -> TapeHeader:
    """Reads the head of a file from its first bytes (300 are enough).

    :raises TapeError: another format, or cut short.
    """
    match = _FIRST_LINE.match(head)
    if match is None:
        raise TapeError("not an rtpdump file")
    end = match.end() + FILE_HEADER.size
    if len(head) < end:
        raise TapeError("rtpdump header cut short")
    seconds, microseconds, _, _, _ = FILE_HEADER.unpack_from(head, match.end())
    if microseconds >= 1_000_000:
        raise TapeError("rtpdump header: bad start time")
    return TapeHeader(seconds * 1_000_000 + microseconds, match[1].decode(), int(match[2]), end)


def encode_record(packet: bytes, offset_ms: int, *, rtcp: bool = False) -> bytes:
    """One record."""
    if len(packet) > MAX_PACKET:
        raise TapeError("packet too long for a record")
    return PACKET_HEADER.pack(len(packet) + RECORD_HEADER, 0 if rtcp else len(packet), offset_ms) + packet
