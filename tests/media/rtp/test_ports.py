"""Port pairs."""

from __future__ import annotations

import socket

import pytest

from earwitness.media.rtp.ports import PortRange, PortsExhausted

HOST = "127.0.0.1"


def test_pairs_are_even_and_odd_and_return_after_their_quarantine() -> None:
    ports = PortRange(44001, 44005, quarantine_s=5)
    one, other = ports.open(HOST, 0), ports.open(HOST, 0)
    assert [one.port, other.port] == [44002, 44004]
    assert one.rtcp.getsockname()[1] == 44003
    with pytest.raises(PortsExhausted):
        ports.open(HOST, 0)
    ports.release(one, 10)
    with pytest.raises(PortsExhausted):
        ports.open(HOST, 14.9)
    again = ports.open(HOST, 15)
    assert again.port == 44002
    again.close()
    other.close()


def test_a_pair_of_which_somebody_has_a_port_is_passed_over() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as somebody:
        somebody.bind((HOST, 44011))
        ports = PortRange(44010, 44013)
        pair = ports.open(HOST, 0)
        assert pair.port == 44012
        with pytest.raises(PortsExhausted):
            ports.open(HOST, 0)
        pair.close()
    assert ports.free == 1
    again = ports.open(HOST, 0)
    assert again.port == 44010
    again.close()


def test_a_foreign_address_is_an_error_and_takes_no_port() -> None:
    ports = PortRange(44020, 44021)
    with pytest.raises(OSError, match="assign"):
        ports.open("192.0.2.1", 0)
    assert ports.free == 1


def test_ipv6() -> None:
    pair = PortRange(44030, 44031).open("::1", 0)
    assert pair.rtp.family == socket.AF_INET6
    pair.close()


@pytest.mark.parametrize("span", [(0, 10), (10, 10), (10, 70000)])
def test_a_range_must_be_one(span: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="not a port range"):
        PortRange(*span)
