"""Reading packet headers, a batch at a time (RFC 3550 §5.1, RFC 5761, RFC 4733)."""

from __future__ import annotations

import socket
import struct

import numpy as np
import numpy.typing as npt

from earwitness.media.rtp.arena import Bool, Int64, UInt8, UInt64

MIN_RTP = 12
COMFORT_NOISE = 13
DIGITS = "0123456789*#ABCD!"


def plausible_rtp(first8: UInt64, lengths: Int64) -> tuple[Bool, Bool]:
    """Which packets can be RTP by their first two bytes and length.

    :param first8: first eight bytes of each packet as a little-endian number, shape (n,)
    :param lengths: bytes of each packet, shape (n,)
    :returns: (certainly well-formed: version 2, no extension, padding or CSRC; to be looked at by ``well_formed``),
        each shape (n,)
    """
    first = first8 & np.uint64(0xFF)
    long_enough = lengths >= MIN_RTP
    plain = (first == 0x80) & long_enough
    return plain, long_enough & ~plain & (first >> np.uint64(6) == 2)


def well_formed_batch(memory: UInt8, starts: Int64, lengths: Int64) -> Bool:
    """``well_formed`` of many packets.

    :param memory: bytes that hold the packets and at least 2 KiB behind the last one, shape (bytes,)
    :param starts: where each packet starts, shape (n,)
    :param lengths: bytes of each packet, shape (n,)
    """
    first = memory[starts].astype(np.int64)
    header = MIN_RTP + 4 * (first & 0x0F)
    extended = first & 0x10 != 0
    place = starts + np.minimum(header, 72)
    words = memory[place + 2].astype(np.int64) << 8 | memory[place + 3]
    good: Bool = (first >> 6 == 2) & (lengths >= MIN_RTP) & (~extended | (lengths >= header + 4))
    header = np.where(extended, header + 4 + 4 * words, header)
    padding = np.where(first & 0x20 != 0, memory[starts + np.maximum(lengths - 1, 0)], 0)
    good &= (first & 0x20 == 0) | (padding != 0)
    good &= header + padding <= lengths
    return good


def is_rtcp(first8: UInt64) -> Bool:
    """Which packets on an RTP port are RTCP (RFC 5761 §4: second byte 192 to 223)."""
    second = (first8 >> np.uint64(8)) & np.uint64(0xFF)
    return (second >= 192) & (second <= 223)


def well_formed(packet: bytes | memoryview | UInt8) -> bool:
    """Whether version, CSRC list, extension and padding of one RTP packet fit its length (RFC 3550 appendix A.1)."""
    size = len(packet)
    if size < MIN_RTP or packet[0] >> 6 != 2:
        return False
    first = int(packet[0])
    header = MIN_RTP + 4 * (first & 0x0F)
    if first & 0x10:
        if size < header + 4:
            return False
        header += 4 + 4 * (int(packet[header + 2]) << 8 | int(packet[header + 3]))
    if size < header:
        return False
    if first & 0x20:
        padding = int(packet[size - 1])
        return padding != 0 and header + padding <= size
    return True


def payload_offset(packet: bytes | UInt8) -> int:
    """Where the payload of a well-formed packet starts."""
    header = MIN_RTP + 4 * (int(packet[0]) & 0x0F)
    if packet[0] & 0x10:
        header += 4 + 4 * (int(packet[header + 2]) << 8 | int(packet[header + 3]))
    return header


def well_formed_rtcp(packet: bytes | memoryview | UInt8) -> bool:
    """Whether a compound RTCP packet is sane (RFC 3550 appendix A.2, the checks that do not depend on the peer's
    habits).
    """
    size = len(packet)
    return size >= 8 and packet[0] >> 6 == 2 and 192 <= packet[1] <= 223 and size % 4 == 0


def sockaddr(host: str, port: int) -> bytes:
    """struct sockaddr_in or sockaddr_in6 of a numeric address. Raises OSError when ``host`` is none, ValueError for a
    bad port.
    """
    if not 0 <= port <= 65535:
        raise ValueError(f"not a port: {port}")
    if ":" in host:
        host, _, zone = host.partition("%")
        scope = (int(zone) if zone.isdigit() else socket.if_nametoindex(zone)) if zone else 0
        address = socket.inet_pton(socket.AF_INET6, host)
        return struct.pack("=H", socket.AF_INET6) + struct.pack("!HI", port, 0) + address + struct.pack("=I", scope)
    return (
        struct.pack("=H", socket.AF_INET) + struct.pack("!H", port) + socket.inet_pton(socket.AF_INET, host) + bytes(8)
    )


def parse_sockaddr(raw: bytes | UInt8) -> tuple[str, int]:
    """Numeric host and port of a sockaddr that the kernel wrote. Raises ValueError for any other family."""
    data = bytes(raw)
    family = int.from_bytes(data[:2], "little")
    port = int.from_bytes(data[2:4], "big")
    if family == socket.AF_INET:
        return socket.inet_ntop(socket.AF_INET, data[4:8]), port
    if family == socket.AF_INET6:
        return socket.inet_ntop(socket.AF_INET6, data[8:24]), port
    raise ValueError(f"address family {family}")


def source_keys(names: UInt64) -> UInt64:
    """One number per source address, to compare senders with.

    :param names: sockaddrs as the kernel wrote them, shape (n, 4): 32 bytes each
    :returns: shape (n,). For IPv4 family, port and address themselves; for IPv6 mixed with a hash of the address
        (the address itself is compared when a source is latched).
    """
    keys: npt.NDArray[np.uint64] = names[:, 0].copy()
    six = (keys & np.uint64(0xFFFF)) == socket.AF_INET6
    if six.any():
        low, high = names[six, 1], names[six, 2]
        mixed = low * np.uint64(0x9E3779B97F4A7C15) + (high ^ high >> np.uint64(29)) * np.uint64(0xC2B2AE3D27D4EB4F)
        keys[six] ^= mixed ^ mixed >> np.uint64(32)
    return keys
