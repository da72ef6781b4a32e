"""Where a trunk's server is, when it is named by host name (RFC 3263 §4.2, RFC 2782). Pure: the look-ups are given.

A name with a port is looked up as it is. One without is first asked for its SRV records, of the trunk's transport;
where it has none, it is itself the host, at the usual port.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from earwitness.edge.sip.trunks import split_address
from earwitness.edge.sip.uri import format_host

MAX_ADDRESSES = 16
"""Of one name: what a resolver may make us dial for one call."""


@dataclass(frozen=True, slots=True)
class Srv:
    """One SRV record."""

    priority: int
    weight: int
    port: int
    host: str
    """Without a final dot; empty: the service is decidedly not available."""


def in_order(records: Sequence[Srv], chance: Callable[[int], int]) -> list[Srv]:
    """Records in the order to try them: by priority, and among equals by chance, the heavier the likelier (RFC 2782).

    :param chance: ``n -> 0..n``, evenly.
    """
    left = sorted(records, key=lambda item: (item.priority, item.weight > 0))
    found: list[Srv] = []
    while left:
        equals = [item for item in left if item.priority == left[0].priority]
        mark = chance(sum(item.weight for item in equals))
        for item in equals:
            mark -= item.weight
            if mark <= 0:
                break
        found.append(item)
        left.remove(item)
    return found


def locate(
    server: str,
    transport: str,
    *,
    srv: Callable[[str], Sequence[Srv]],
    addresses: Callable[[str], Sequence[str]],
    chance: Callable[[int], int],
) -> tuple[str, ...]:
    """``address:port`` of each place to try, in order; empty when the name leads nowhere.

    :param server: as configured, ``host`` or ``host:port``.
    :param srv: the SRV records of a name; none when it has none. :param addresses: the IP addresses of a host name.
    """
    host, port = split_address(server, None)
    places = [(host, port or 5060)]
    if port is None:
        records = [record for record in srv(f"_sip._{transport}.{host}") if 0 < record.port <= 65535]
        if records:
            places = [
                (record.host, record.port) for record in in_order(records, chance) if record.host not in ("", ".")
            ]
    found = dict.fromkeys(
        f"{format_host(address)}:{number}" for name, number in places[:MAX_ADDRESSES] for address in addresses(name)
    )
    return tuple(found)[:MAX_ADDRESSES]
