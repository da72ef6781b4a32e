"""Who hears whom: legs that are connected in twos, and mixes of any number. A leg is in one of them at most."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from earwitness.media.engine.interface import EngineError
from earwitness.media.engine.seats import Leg, Mix, Seat


class Mixes:
    """All mixes of an engine. ``send`` takes a seat and a command."""

    def __init__(self, send: Callable[[Seat, list[Any]], None]) -> None:
        self._send = send
        self._mixes: dict[str, Mix] = {}

    def set(self, mix_id: str, members: list[Leg]) -> None:
        """These are the members from now on. Raises EngineError when they live in different processes."""
        mix = self._mixes.get(mix_id) or Mix(mix_id, [])
        seats = {leg.seat.number: leg.seat for leg in [*mix.members, *members]}
        if len(seats) > 1:
            raise EngineError("these legs live in different media processes: give them one group")
        for leg in members:
            if leg.mix is not mix:
                self.part(leg)
        for leg in mix.members:
            leg.mix = None
        mix.members = members
        for leg in members:
            leg.mix = mix
        for seat in seats.values():
            self._tell(seat, mix)

    def part(self, leg: Leg) -> None:
        """A leg is connected with nobody and in no mix."""
        if leg.peer is not None:
            leg.peer.peer = None
            leg.peer = None
        self.leave(leg)

    def leave(self, leg: Leg) -> None:
        """A leg is in no mix."""
        mix, leg.mix = leg.mix, None
        if mix is not None:
            mix.members.remove(leg)
            self._tell(leg.seat, mix)

    def _tell(self, seat: Seat, mix: Mix) -> None:
        if mix.members:
            self._mixes[mix.mix_id] = seat.mixes[mix.mix_id] = mix
        else:
            self._mixes.pop(mix.mix_id, None)
            seat.mixes.pop(mix.mix_id, None)
        self._send(seat, mix.message())
