"""Where a destination can be reached at this moment: contacts of registered phones, servers of trunks."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import structlog

from earwitness.domain.configuration import Trunk
from earwitness.edge.calls import routing
from earwitness.edge.calls.directory import Directory
from earwitness.edge.calls.plan import Attempt, Final, Groups, ToPhone, ToTrunk
from earwitness.edge.sip.registrar import Registrar
from earwitness.edge.sip.sdp import is_address
from earwitness.edge.sip.trunks import places

log = structlog.get_logger()


class Reach:
    """Asked once for each call that is to be made."""

    def __init__(
        self,
        registrar: Registrar,
        unix_time: Callable[[], float],
        cannot_record: Callable[[Trunk], bool],
        resolved: Callable[[], Mapping[str, tuple[str, ...]]],
    ) -> None:
        """:param cannot_record: whether a trunk's calls must be recorded, and cannot be at the moment.
        :param resolved: where trunk servers are that are named by host name; see ``sip.trunks.places``.
        """
        self._registrar = registrar
        self._unix_time = unix_time
        self._cannot_record = cannot_record
        self._resolved = resolved

    def groups(self, directory: Directory, destination: routing.Ring | routing.Dial) -> Groups | Final:
        """Whom to call, or why nobody can be called."""
        if isinstance(destination, routing.Ring):
            return self._phones(directory, destination)
        usable = [trunk for trunk in destination.trunks if not self._cannot_record(trunk)]
        if len(usable) < len(destination.trunks):
            log.error("trunks left out: calls over them cannot be recorded", left=len(usable))
        attempts = [attempt for trunk in usable for attempt in self._servers(trunk, destination.number)]
        if not attempts:
            return Final(503, None, "rejected")
        ring_s = max(trunk.max_dial_s for trunk in destination.trunks)
        return Groups([[attempt] for attempt in attempts], destination.number, ring_s)

    def _phones(self, directory: Directory, destination: routing.Ring) -> Groups | Final:
        now = self._unix_time()
        stations = destination.stations
        phones = [ToPhone(s, binding) for s in stations for binding in self._registrar.bindings(s.id, now)]
        if not phones:
            return Final(480, "Not Registered", "rejected")
        address = stations[0].extension or stations[0].username
        return Groups([phones], address, directory.snapshot.ring_timeout_s, destination.user)

    def _servers(self, trunk: Trunk, number: str) -> list[Attempt]:
        found: list[Attempt] = []
        if trunk.transport not in ("udp", "tcp"):
            log.error("this trunk's transport is not supported", trunk=trunk.name, transport=trunk.transport)
            return found
        for server in trunk.servers:
            for address, port in places(server, self._resolved()):
                if is_address(address):
                    found.append(ToTrunk(trunk, number, address, port))
        return found
