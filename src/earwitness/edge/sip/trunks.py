"""Which trunk a request belongs to, and which trunks can dial a number. Pure.

A peer is known by where it sends from: the longest matching prefix wins, and an entry with a port
(``192.0.2.1:5080``, as every configured server is) beats one without. A peer at no known address may name a trunk by
its digest user.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from earwitness.domain.configuration import Trunk

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_VISUAL = str.maketrans("", "", " -.()/\t")
MAX_NUMBER = 128


@dataclass(frozen=True, slots=True)
class _Entry:
    network: _Network
    port: int | None
    trunk: Trunk

    @property
    def weight(self) -> tuple[int, int]:
        bits = self.network.prefixlen + (96 if self.network.version == 4 else 0)
        return (bits, 1 if self.port is not None else 0)


class TrunkTable:
    """The trunks of one configuration snapshot."""

    def __init__(self, trunks: Sequence[Trunk], resolved: Mapping[str, Sequence[str]] | None = None) -> None:
        """:param resolved: of servers named by host name, as looked up beforehand; see ``places``.

        Entries that cannot be read are skipped and listed in ``problems``. Disabled trunks take and make no calls.
        """
        self.problems: list[str] = []
        self.trunks = tuple(sorted((t for t in trunks if t.enabled), key=lambda t: (t.order, t.name, t.id)))
        self._resolved = dict(resolved or {})
        self._entries: list[_Entry] = []
        self._denied: dict[str, list[_Network]] = {}
        self._patterns: dict[str, list[re.Pattern[str]]] = {}
        for trunk in self.trunks:
            self._add(trunk)
        self._entries.sort(key=lambda item: item.weight, reverse=True)

    def identify(self, host: str, port: int) -> Trunk | None:
        """The trunk whose peer is at this address, or None: a stranger."""
        address = _address(host)
        if address is None:
            return None
        for entry in self._entries:
            if entry.port is not None and entry.port != port:
                continue
            if address in entry.network and not any(address in item for item in self._denied[entry.trunk.id]):
                return entry.trunk
        return None

    def knows(self, host: str) -> bool:
        """Some trunk's peer is at this address, whatever its port."""
        address = _address(host)
        return address is not None and any(address in entry.network for entry in self._entries)

    def by_digest_user(self, username: str) -> Trunk | None:
        """The trunk whose peer authenticates under this name, or None."""
        return next((t for t in self.trunks if t.credentials is not None and t.credentials.username == username), None)

    def for_number(self, number: str) -> tuple[Trunk, ...]:
        """The trunks that dial this number, in the order to try them."""
        return tuple(t for t in self.trunks if t.servers and self._dials(t, number))

    def _dials(self, trunk: Trunk, number: str) -> bool:
        return not trunk.patterns or any(p.fullmatch(number) for p in self._patterns[trunk.id])

    def _add(self, trunk: Trunk) -> None:
        self._denied[trunk.id] = [n for n in (self._network(trunk, item) for item in trunk.deny) if n is not None]
        for server in trunk.servers:
            for address, port in places(server, self._resolved, 5061 if trunk.transport == "tls" else 5060):
                network = self._network(trunk, address, quiet=True)
                if network is not None:
                    self._entries.append(_Entry(network, port, trunk))
                    self._entries.append(_Entry(network, None, trunk))
        for item in trunk.allow:
            host, entry_port = split_address(item, None) if "/" not in item else (item, None)
            network = self._network(trunk, host)
            if network is not None:
                self._entries.append(_Entry(network, entry_port, trunk))
        patterns: list[re.Pattern[str]] = []
        for text in trunk.patterns:
            try:
                patterns.append(re.compile(text))
            except re.error as error:
                self.problems.append(f"trunk {trunk.name}: number pattern {text!r}: {error}")
        self._patterns[trunk.id] = patterns

    def _network(self, trunk: Trunk, text: str, *, quiet: bool = False) -> _Network | None:
        try:
            return ipaddress.ip_network(text.strip(), strict=False)
        except ValueError as error:
            if not quiet:
                self.problems.append(f"trunk {trunk.name}: {error}")
            return None


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def places(server: str, resolved: Mapping[str, Sequence[str]], default_port: int = 5060) -> list[tuple[str, int]]:
    """Address and port of each place where a configured server (``host`` or ``host:port``) is.

    :param resolved: what its name was found to mean, under the server's text or its host name alone: addresses, with a
        port (``locating.locate``) or without. A literal address means itself, and so does a name that is not in it.
    """
    host, port = split_address(server, default_port)
    found = resolved.get(server, resolved.get(host, (host,)))
    split = [split_address(text, port) for text in found]
    return [(address, number or default_port) for address, number in split]


def split_address(text: str, default_port: int | None) -> tuple[str, int | None]:
    """Takes ``host``, ``host:port``, ``[v6]:port`` or a bare IPv6 address apart; a port that is none is the default."""
    text = text.strip()
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        port = rest.removeprefix(":")
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    else:
        host, port = text, ""
    valid = port.isascii() and port.isdigit() and len(port) <= 5 and 0 < int(port) <= 65535
    return host, int(port) if valid else default_port


def normalise_number(user: str) -> str:
    """The dialled number of a URI's user part: no parameters, no visual separators, no ``tel:``.

    A user part that is no number (``alice``, ``*97``) comes back as it is, without parameters.
    """
    text = user[:MAX_NUMBER].partition(";")[0].strip()
    bare = text.translate(_VISUAL)
    return bare if re.fullmatch(r"\+?[0-9*#]+", bare) else text


def same_number(one: str, other: str) -> bool:
    """Equal, a leading ``+`` apart: carriers send a number with and without it."""
    return normalise_number(one).removeprefix("+") == normalise_number(other).removeprefix("+") != ""
