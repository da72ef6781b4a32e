"""A configuration snapshot, indexed for the questions that calls ask. Pure; one is built per snapshot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from earwitness.domain.configuration import CallRoute, Flow, Queue, Snapshot, Station, Trunk, User
from earwitness.edge.sip.trunks import TrunkTable, normalise_number


class Directory:
    """Who is who in one snapshot. Disabled stations are nobody."""

    def __init__(self, snapshot: Snapshot, resolved: Mapping[str, Sequence[str]] | None = None) -> None:
        """:param resolved: addresses of the trunks' server host names."""
        self.snapshot = snapshot
        self.trunks = TrunkTable(snapshot.trunks, resolved)
        self._stations = {item.id: item for item in snapshot.stations if item.enabled}
        self._by_username = {item.username: item for item in self._stations.values()}
        self._by_extension = {item.extension: item for item in self._stations.values() if item.extension}
        self._by_user: dict[str, list[Station]] = {}
        for station in self._stations.values():
            if station.user_id is not None:
                self._by_user.setdefault(station.user_id, []).append(station)
        self._users = {item.id: item for item in snapshot.users}
        self._user_numbers = {_key(item.address): item for item in snapshot.users if item.address}
        self._routes = {_key(number): route for route in snapshot.call_routes for number in route.dnis}
        self._trunks = {item.id: item for item in snapshot.trunks}
        self._queues = {item.id: item for item in snapshot.queues}
        self._flows = {item.id: item for item in snapshot.flows}

    def trunk(self, trunk_id: str) -> Trunk | None:
        """The trunk of that id, enabled or not."""
        return self._trunks.get(trunk_id)

    def station(self, station_id: str) -> Station | None:
        """The station of that id."""
        return self._stations.get(station_id)

    def station_named(self, username: str) -> Station | None:
        """The station that authenticates under this name."""
        return self._by_username.get(username)

    def station_dialled(self, text: str) -> Station | None:
        """The station with this extension or, failing that, user name."""
        return self._by_extension.get(text) or self._by_username.get(text)

    def stations_of(self, user_id: str) -> list[Station]:
        """The stations of a user."""
        return self._by_user.get(user_id, [])

    def user(self, user_id: str | None) -> User | None:
        """The user of that id."""
        return self._users.get(user_id) if user_id is not None else None

    def queue(self, queue_id: str) -> Queue | None:
        """The queue of that id."""
        return self._queues.get(queue_id)

    def queue_named(self, name: str) -> Queue | None:
        """The queue of that name or id, as flows write it."""
        wanted = name.casefold()
        return self._queues.get(name) or next((q for q in self._queues.values() if q.name.casefold() == wanted), None)

    def flow(self, flow_id: str) -> Flow | None:
        """The flow of that id."""
        return self._flows.get(flow_id)

    def flow_named(self, name: str) -> Flow | None:
        """The flow of that name or id, as flows write it."""
        wanted = name.casefold()
        return self._flows.get(name) or next((f for f in self._flows.values() if f.name.casefold() == wanted), None)

    def user_named(self, name: str) -> User | None:
        """The user of that name or id, as flows write it."""
        wanted = name.casefold()
        return self._users.get(name) or next((u for u in self._users.values() if u.name.casefold() == wanted), None)

    def user_numbered(self, number: str) -> User | None:
        """The user whose own number this is."""
        return self._user_numbers.get(_key(number))

    def route(self, number: str) -> CallRoute | None:
        """The call route of a dialled number."""
        return self._routes.get(_key(number))


def _key(number: str) -> str:
    return normalise_number(number).removeprefix("+")
