"""The trunk servers that are named by host name, and where they are."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping

import structlog

from earwitness.domain.configuration import Trunk
from earwitness.edge.machine import look_up, look_up_srv
from earwitness.edge.sip.locating import locate
from earwitness.edge.sip.sdp import is_address
from earwitness.edge.sip.trunks import split_address

log = structlog.get_logger()

Places = dict[str, tuple[str, ...]]
"""Server as configured -> addresses with ports, best first."""


class TrunkNames:
    """Asks DNS. A name that does not resolve is told once, and keeps the places it had."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._asked: set[tuple[str, str]] = set()

    def look_up(self, trunks: Iterable[Trunk], known: Mapping[str, tuple[str, ...]]) -> Places:
        """Where the servers of these trunks are, and what was ``known``. Blocks."""
        names = {
            (server, trunk.transport)
            for trunk in trunks
            if trunk.enabled
            for server in trunk.servers
            if not is_address(split_address(server, None)[0])
        }
        found = dict(known)
        for server, transport in names:
            places = locate(server, transport, srv=look_up_srv, addresses=look_up, chance=self._chance)
            if places:
                found[server] = places
            elif (server, transport) not in self._asked:
                log.warning("a trunk server's name does not resolve", name=server)
        self._asked = names
        return found

    def _chance(self, most: int) -> int:
        return self._rng.randint(0, most)
