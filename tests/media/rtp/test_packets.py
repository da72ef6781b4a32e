"""Packet headers: the vectorised check, the exact one and an independent reading of RFC 3550 agree."""

from __future__ import annotations

import socket
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earwitness.media.rtp import packets

some_packets = st.one_of(
    st.binary(max_size=80),
    st.builds(
        lambda first, second, rest: bytes((first, second)) + rest,
        st.integers(0x80, 0xBF),
        st.integers(0, 255),
        st.binary(max_size=80),
    ),
)


def reference(packet: bytes) -> bool:
    """RFC 3550 §5.1 and §5.3.1, read slowly."""
    if len(packet) < 12 or packet[0] & 0xC0 != 0x80:
        return False
    rest = packet[12:]
    csrc = 4 * (packet[0] & 15)
    if len(rest) < csrc:
        return False
    rest = rest[csrc:]
    if packet[0] & 0x10:
        if len(rest) < 4:
            return False
        words = struct.unpack("!H", rest[2:4])[0]
        rest = rest[4:]
        if len(rest) < 4 * words:
            return False
        rest = rest[4 * words :]
    if packet[0] & 0x20:
        return bool(rest) and 1 <= rest[-1] <= len(rest)
    return True


@given(some_packets)
def test_well_formed_agrees_with_the_rfc(packet: bytes) -> None:
    assert packets.well_formed(packet) == reference(packet)
    if packets.well_formed(packet):
        assert 12 <= packets.payload_offset(packet) <= len(packet)


@given(st.lists(some_packets, min_size=1, max_size=20))
def test_what_the_batch_check_passes_is_well_formed(batch: list[bytes]) -> None:
    first8 = np.array([int.from_bytes(packet[:8].ljust(8, b"\0"), "little") for packet in batch], np.uint64)
    lengths = np.array([len(packet) for packet in batch], np.int64)
    plain, look = packets.plausible_rtp(first8, lengths)
    for packet, certain, perhaps in zip(batch, plain.tolist(), look.tolist(), strict=True):
        assert not (certain and perhaps)
        if certain:
            assert packets.well_formed(packet)
        if packets.well_formed(packet):
            assert certain or perhaps


@given(st.lists(some_packets, min_size=1, max_size=20))
def test_the_exact_check_of_a_batch_agrees_with_that_of_one(batch: list[bytes]) -> None:
    memory = np.frombuffer(b"".join(packet.ljust(100, b"\xff") for packet in batch) + bytes(2048), np.uint8)
    starts = np.arange(len(batch), dtype=np.int64) * 100
    lengths = np.array([len(packet) for packet in batch], np.int64)
    expected = [packets.well_formed(packet) for packet in batch]
    assert packets.well_formed_batch(memory, starts, lengths).tolist() == expected


@given(st.binary(max_size=64))
def test_rtcp_check_never_fails(packet: bytes) -> None:
    if packets.well_formed_rtcp(packet):
        assert 192 <= packet[1] <= 223


@given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)), st.integers(0, 65535))
def test_addresses_survive_the_way_through_a_sockaddr(address: object, port: int) -> None:
    assert packets.parse_sockaddr(packets.sockaddr(str(address), port)) == (
        socket.inet_ntop(*_packed(str(address))),
        port,
    )


def _packed(host: str) -> tuple[int, bytes]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return family, socket.inet_pton(family, host)


def test_bad_addresses_are_refused() -> None:
    with pytest.raises(ValueError, match="99999"):
        packets.sockaddr("127.0.0.1", 99999)
    with pytest.raises(OSError, match="illegal"):
        packets.sockaddr("carrier.example", 5060)
    with pytest.raises(ValueError, match="family"):
        packets.parse_sockaddr(bytes(32))


def test_keys_tell_sources_apart() -> None:
    hosts = [
        ("10.0.0.1", 4000),
        ("10.0.0.1", 4001),
        ("10.0.0.2", 4000),
        ("::1", 4000),
        ("::2", 4000),
        ("fe80::1", 4000),
    ]
    names = np.array([np.frombuffer(packets.sockaddr(*host).ljust(32, b"\0"), np.uint64) for host in hosts])
    assert len(set(packets.source_keys(names).tolist())) == len(hosts)
    assert 0 not in packets.source_keys(names)
