"""Where a call goes: dialled number and caller in, destination out. Pure.

======================  ==========================================================================================
from a trunk            1. the call route of the dialled number: its user's stations, or its number over a trunk
                        2. the user whose own number it is
                        otherwise 404
from a station          1. a station with that extension or user name
                        2. the user whose own number it is, then the call route: what we can reach stays internal
                        3. the trunks that dial this number, in their order
                        otherwise 404
======================  ==========================================================================================

A user rings on all stations at once. A call route may also lead into a flow or a queue.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from earwitness.domain.configuration import Flow, Queue, Station, Trunk, User
from earwitness.edge.calls.directory import Directory
from earwitness.edge.sip.trunks import normalise_number


@dataclass(frozen=True, slots=True)
class Ring:
    """Ring these stations at once."""

    stations: tuple[Station, ...]
    user: User | None


@dataclass(frozen=True, slots=True)
class Dial:
    """Dial a number over the first of these trunks that takes it."""

    number: str
    trunks: tuple[Trunk, ...]


@dataclass(frozen=True, slots=True)
class Refuse:
    """Answer the caller with this status."""

    status: int
    why: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Wait in this queue."""

    queue: Queue


@dataclass(frozen=True, slots=True)
class Run:
    """Go through this flow."""

    flow: Flow


Destination = Ring | Dial | Wait | Run | Refuse


def from_trunk(directory: Directory, dialled: str) -> Destination:
    """Where a call goes that a trunk brought."""
    route = directory.route(dialled)
    if route is None:
        owner = directory.user_numbered(dialled)
        return Refuse(404, "no call route for this number") if owner is None else _ring_user(directory, owner.id)
    return _follow(directory, route.target_type, route.target)


def from_station(directory: Directory, dialled: str) -> Destination:
    """Where a call goes that a phone of ours dialled."""
    station = directory.station_dialled(dialled)
    if station is not None:
        if station.user_id is not None and directory.user(station.user_id) is not None:
            return _ring_user(directory, station.user_id)
        return Ring((station,), None)
    owner = directory.user_numbered(dialled)
    if owner is not None:
        return _ring_user(directory, owner.id)
    route = directory.route(dialled)
    if route is not None:
        return _follow(directory, route.target_type, route.target)
    return _dial(directory, dialled)


def _follow(directory: Directory, kind: str, target: str) -> Destination:
    if kind == "user":
        return _ring_user(directory, target)
    if kind == "number":
        return _dial(directory, target)
    if kind == "queue":
        queue = directory.queue(target)
        return Wait(queue) if queue is not None else Refuse(404, "the queue does not exist any more")
    flow = directory.flow(target)
    return Run(flow) if flow is not None else Refuse(404, "the flow does not exist any more, or is not published")


def of_kind(directory: Directory, kind: str, target: str) -> Destination:
    """Where ``user``, ``queue`` and ``flow`` (by id) and ``address`` (as a phone of ours would dial it) lead."""
    return from_station(directory, target) if kind == "address" else _follow(directory, kind, target)


def _ring_user(directory: Directory, user_id: str) -> Destination:
    user = directory.user(user_id)
    stations = directory.stations_of(user_id)
    if user is None:
        return Refuse(404, "the user of this number does not exist any more")
    if not stations:
        return Refuse(480, "the user has no station")
    return Ring(tuple(stations), user)


def _dial(directory: Directory, dialled: str) -> Destination:
    number = normalise_number(dialled)
    if not re.fullmatch(r"\+?[0-9*#]{1,40}", number):
        return Refuse(404, "nobody of that name")
    trunks = directory.trunks.for_number(number)
    return Dial(number, trunks) if trunks else Refuse(404, "no trunk dials this number")
