"""Where the phones are: the bindings of each station (RFC 3261 §10.3). Pure.

Times are seconds of a clock that never steps, or all phones would be gone for an hour when somebody sets the clock of
the machine; only what is kept on disk is in Unix seconds (``shift``).

A binding keeps the flow that its REGISTER came over, and calls go back over that flow: it is what works through NAT,
for TCP, and for contacts that no resolver knows. One kind of phone sends from another socket than it listens on: it
asks for no ``rport`` (RFC 3581), and its Contact names the very host that the REGISTER came from with another port. No
NAT is in between, so its calls go to the Contact's port (RFC 3261 §10.3).

Bindings go to and from plain JSON, so a restarted edge still reaches the phones.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from earwitness.edge.sip.headers import SipParseError
from earwitness.edge.sip.uri import parse_uri


@dataclass(frozen=True, slots=True)
class Source:
    """The flow that a REGISTER came over."""

    transport: str
    host: str
    port: int
    connection: int | None = None
    """Which connection (TCP), in the life of this process."""


@dataclass(frozen=True, slots=True)
class Contact:
    """One contact of a REGISTER."""

    uri: str
    expires: int | None = None
    """Its own ``expires`` parameter, seconds."""
    q: float = 1.0
    instance: str = ""
    """``+sip.instance``, or empty."""


@dataclass(frozen=True, slots=True)
class Binding:
    """A station reachable at a contact."""

    station_id: str
    uri: str
    source: Source
    expires_at: float
    call_id: str
    cseq: int
    q: float = 1.0
    instance: str = ""
    user_agent: str = ""
    registered_at: float = 0.0
    port: int = 0
    """Where the phone listens, if that is not the port it sends from; else 0."""

    @property
    def reach(self) -> Source:
        """Where calls to it go."""
        return dataclasses.replace(self.source, port=self.port) if self.port else self.source


@dataclass(frozen=True, slots=True)
class Outcome:
    """What to answer to a REGISTER."""

    status: int
    bindings: tuple[Binding, ...] = ()
    """All bindings of the station, to be listed in the 200."""
    min_expires: int | None = None
    """For ``Min-Expires`` of a 423."""
    changed: bool = False
    """The table differs from before in more than expiry times."""


class Registrar:
    """The binding table."""

    def __init__(
        self,
        *,
        min_expires: int = 30,
        max_expires: int = 3600,
        default_expires: int = 3600,
        max_contacts: int = 10,
    ) -> None:
        """Expiry times in seconds. ``max_contacts`` is per station."""
        self._min = min_expires
        self._max = max_expires
        self._default = default_expires
        self._max_contacts = max_contacts
        self._table: dict[str, dict[str, Binding]] = {}
        self._by_address: dict[tuple[str, int], dict[tuple[str, str], None]] = {}
        self._hosts: Counter[str] = Counter()

    def register(
        self,
        station_id: str,
        contacts: Sequence[Contact],
        *,
        star: bool,
        expires: int | None,
        call_id: str,
        cseq: int,
        source: Source,
        now: float,
        user_agent: str = "",
        rport: bool = True,
    ) -> Outcome:
        """Carries out an authenticated REGISTER, entirely or not at all.

        :param star: the request had ``Contact: *``; good only alone and with ``expires`` 0.
        :param expires: value of the ``Expires`` header.
        :param rport: the topmost Via asked for ``rport``: the phone listens where it sends from.
        """
        table = {uri: item for uri, item in self._table.get(station_id, {}).items() if item.expires_at > now}
        if star:
            if contacts or expires != 0:
                return Outcome(400)
            if any(_out_of_order(item, call_id, cseq) for item in table.values()):
                return Outcome(500)
            self._replace(station_id, {})
            return Outcome(200, (), changed=bool(table))
        before = set(table)
        for contact in contacts:
            wanted = contact.expires if contact.expires is not None else expires
            seconds = self._default if wanted is None else wanted
            if 0 < seconds < self._min:
                return Outcome(423, min_expires=self._min)
            old = table.get(contact.uri)
            if old is not None and _out_of_order(old, call_id, cseq):
                return Outcome(500)
            if contact.instance:
                for uri in [u for u, item in table.items() if item.instance == contact.instance and u != contact.uri]:
                    del table[uri]
            if seconds == 0:
                table.pop(contact.uri, None)
                continue
            if contact.uri not in table and len(table) >= self._max_contacts:
                oldest = min(table.values(), key=lambda item: item.registered_at)
                del table[oldest.uri]
            table[contact.uri] = Binding(
                station_id,
                contact.uri,
                source,
                now + min(seconds, self._max),
                call_id,
                cseq,
                contact.q,
                contact.instance,
                user_agent[:200],
                now,
                0 if rport else _listens_on(contact.uri, source),
            )
        if contacts:
            self._replace(station_id, table)
        return Outcome(200, self.bindings(station_id, now), changed=set(table) != before)

    def bindings(self, station_id: str, now: float) -> tuple[Binding, ...]:
        """Where the station can be reached, best first."""
        found = [item for item in self._table.get(station_id, {}).values() if item.expires_at > now]
        return tuple(sorted(found, key=lambda item: (-item.q, -item.registered_at)))

    def all_bindings(self, now: float) -> list[Binding]:
        """Every binding that has not expired."""
        return [item for station in list(self._table) for item in self.bindings(station, now)]

    def station_at(self, host: str, port: int, now: float) -> str | None:
        """The station whose REGISTER came from this address, or None."""
        for station_id, uri in self._by_address.get((host, port), {}):
            binding = self._table.get(station_id, {}).get(uri)
            if binding is not None and binding.expires_at > now:
                return station_id
        return None

    def knows(self, host: str) -> bool:
        """Some phone has registered from there."""
        return self._hosts[host] > 0

    def expire(self, now: float) -> list[Binding]:
        """Drops what has expired and returns it."""
        return self._drop(lambda item: item.expires_at <= now)

    def connection_lost(self, connection: int) -> list[Binding]:
        """Drops the bindings that were reachable over this connection only, and returns them."""
        return self._drop(lambda item: item.source.connection == connection)

    def remove_station(self, station_id: str) -> list[Binding]:
        """Drops the bindings of a station that was disabled or deleted, and returns them."""
        return self._drop(lambda item: item.station_id == station_id)

    def to_document(self, now: float, shift: float = 0.0) -> dict[str, Any]:
        """Plain JSON values. Connections do not outlive the process and are left out with their bindings.

        :param shift: what to add to our times to get Unix seconds.
        """
        kept = [_shifted(item, shift) for item in self.all_bindings(now) if item.source.connection is None]
        return {"bindings": [dataclasses.asdict(item) for item in kept]}

    def load_document(self, document: Mapping[str, Any], now: float, shift: float = 0.0) -> int:
        """Takes in what ``to_document`` gave, leaving out what cannot be read or has expired; returns how many."""
        count = 0
        entries = document.get("bindings")
        for entry in entries if isinstance(entries, list) else []:
            try:
                binding = _shifted(Binding(**{**entry, "source": Source(**entry["source"])}), -shift)
                alive = now < binding.expires_at <= now + self._max
            except (TypeError, KeyError):
                continue
            if alive:
                table = {**self._table.get(binding.station_id, {}), binding.uri: binding}
                self._replace(binding.station_id, table)
                count += 1
        return count

    def _drop(self, condition: Any) -> list[Binding]:
        gone: list[Binding] = []
        for station_id, table in list(self._table.items()):
            out = [item for item in table.values() if condition(item)]
            if out:
                gone += out
                self._replace(station_id, {uri: item for uri, item in table.items() if item not in out})
        return gone

    def _replace(self, station_id: str, table: dict[str, Binding]) -> None:
        for binding in self._table.pop(station_id, {}).values():
            address = (binding.source.host, binding.source.port)
            self._hosts[address[0]] -= 1
            if self._hosts[address[0]] <= 0:
                del self._hosts[address[0]]
            entries = self._by_address.get(address, {})
            entries.pop((station_id, binding.uri), None)
            if not entries:
                self._by_address.pop(address, None)
        if table:
            self._table[station_id] = table
        for binding in table.values():
            address = (binding.source.host, binding.source.port)
            self._hosts[address[0]] += 1
            self._by_address.setdefault(address, {})[(station_id, binding.uri)] = None


def _shifted(binding: Binding, seconds: float) -> Binding:
    return dataclasses.replace(
        binding, expires_at=binding.expires_at + seconds, registered_at=binding.registered_at + seconds
    )


def _listens_on(uri: str, source: Source) -> int:
    """The port of a contact on the host that it came from, where it is another one than it came from; else 0."""
    try:
        contact = parse_uri(uri)
    except SipParseError:
        return 0
    port = contact.port or 5060
    same = source.transport == "udp" and contact.transport in ("", "udp") and contact.host == source.host
    return port if same and port != source.port else 0


def _out_of_order(binding: Binding, call_id: str, cseq: int) -> bool:
    return binding.call_id == call_id and cseq <= binding.cseq
