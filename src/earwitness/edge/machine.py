"""What the edge asks of the machine that it runs on: routes, names, memory, files."""

from __future__ import annotations

import contextlib
import ctypes
import resource
import socket

import dns.exception
import dns.resolver

from earwitness.edge.sip.locating import Srv
from earwitness.edge.sip.sdp import is_unspecified


class Routes:
    """Which of our addresses faces a peer; asked of the kernel's routing table once per peer."""

    def __init__(self, host: str) -> None:
        """:param host: the address that we listen on; unless it is unspecified, that is the answer."""
        self._only = "" if is_unspecified(host) or not host else host
        self._known: dict[str, str] = {}

    def towards(self, peer: str) -> str:
        """Our address towards a peer (a literal IP)."""
        if self._only:
            return self._only
        local = self._known.get(peer)
        if local is None:
            try:
                with socket.socket(socket.AF_INET6 if ":" in peer else socket.AF_INET, socket.SOCK_DGRAM) as probe:
                    probe.connect((peer, 9))
                    local = str(probe.getsockname()[0])
            except OSError:
                local = "127.0.0.1"
            if len(self._known) >= 4096:
                self._known.clear()
            self._known[peer] = local
        return local


def look_up(name: str) -> tuple[str, ...]:
    """The IP addresses of a host name; none when it does not resolve."""
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_DGRAM)
    except OSError:
        return ()
    return tuple(sorted({str(item[4][0]) for item in found}))


def look_up_srv(name: str) -> list[Srv]:
    """The SRV records of a name; none when it has none, or nobody can say."""
    try:
        found = dns.resolver.resolve(name, "SRV", lifetime=5)
    except (dns.exception.DNSException, OSError):
        return []
    return [Srv(item.priority, item.weight, item.port, item.target.to_text(omit_final_dot=True)) for item in found]


def trim() -> None:
    """Gives free heap pages back to the system, where the C library can."""
    give_back = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if give_back is not None:
        give_back(0)


def raise_file_limit() -> None:
    """Two sockets for each leg: take as many files as we may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
