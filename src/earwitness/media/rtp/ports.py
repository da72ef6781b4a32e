"""Pairs of UDP ports for legs: RTP on an even port, RTCP on the next (RFC 3550 §11).

A port is never probed and released: the socket that claims it is the one that is used. After use a pair rests for a
while, so that late packets of one call cannot be taken for those of the next.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections import deque
from dataclasses import dataclass

SO_TIMESTAMPNS = 35
SO_RXQ_OVFL = 40


class PortsExhausted(Exception):  # noqa: N818
    """No pair of the range can be bound."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two bound sockets."""

    host: str
    port: int
    """The even one."""
    rtp: socket.socket
    rtcp: socket.socket

    def close(self) -> None:
        """Closes both sockets of this process."""
        self.rtp.close()
        self.rtcp.close()


def keep_stamping() -> socket.socket:
    """A socket that makes the kernel stamp packets on arrival for as long as it is open.

    The kernel begins to do so a moment after the first socket has asked for it, and stamps what came before when it is
    read, which would put the first packets of the first call on the wrong side of a tape's limits.
    """
    stamper = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
    stamper.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    return stamper


class PortRange:
    """Even ports from ``first`` to ``last``, least recently used first. ``now`` arguments are seconds on any steady
    clock.
    """

    def __init__(self, first: int, last: int, *, quarantine_s: float = 5.0, receive_buffer: int = 1 << 20) -> None:
        if not 1 <= first < last <= 65535:
            raise ValueError(f"not a port range: {first}-{last}")
        self._free: deque[int] = deque(port for port in range(first + first % 2, last, 2))
        self._resting: deque[tuple[float, int]] = deque()
        self._quarantine_s = quarantine_s
        self._receive_buffer = receive_buffer

    @property
    def free(self) -> int:
        """Pairs that can be tried."""
        return len(self._free)

    def open(self, host: str, now: float) -> Pair:
        """Binds the next free pair on ``host``.

        :raises PortsExhausted: none left (ports in use by others are tried once each and stay in the range).
        :raises OSError: ``host`` is not an address of this machine.
        """
        while self._resting and self._resting[0][0] <= now:
            self._free.append(self._resting.popleft()[1])
        for _ in range(len(self._free)):
            port = self._free.popleft()
            try:
                rtp = self._bind(host, port)
            except OSError as error:
                if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                    self._free.appendleft(port)
                    raise
                self._free.append(port)
                continue
            try:
                rtcp = self._bind(host, port + 1)
            except OSError as error:
                rtp.close()
                self._free.append(port)
                if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                    raise
                continue
            return Pair(host, port, rtp, rtcp)
        raise PortsExhausted("every RTP port of the range is in use")

    def release(self, pair: Pair, now: float) -> None:
        """Closes a pair; its port rests before it is used again."""
        pair.close()
        self._resting.append((now + self._quarantine_s, pair.port))

    def _bind(self, host: str, port: int) -> socket.socket:
        family = socket.AF_INET6 if ipaddress.ip_address(host).version == 6 else socket.AF_INET
        bound = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._receive_buffer)
            bound.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            bound.setsockopt(socket.SOL_SOCKET, SO_RXQ_OVFL, 1)
            bound.bind((host, port))
        except OSError:
            bound.close()
            raise
        return bound
