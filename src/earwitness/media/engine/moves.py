"""Legs that move from one media process to another, with their sockets.

The former process finishes what it has of the leg and lets go of the sockets; only then the present one begins to read
them, with what the former knew of the leg. In between packets wait in the kernel. Until it has let go, the former seat
keeps a *ghost* of the leg, so that a replacement of its process does the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from earwitness.media.engine.seats import Leg, Seat


class Moves:
    """All moves of an engine. ``send`` takes a seat, a command and its descriptors."""

    def __init__(self, seats: list[Seat], now_us: Callable[[], int], send: Callable[..., None]) -> None:
        self._seats = seats
        self._now_us = now_us
        self._send = send

    def begin(self, leg: Leg, seat: Seat, generation: int) -> None:
        """To another process, which waits until the present one has let go of the sockets."""
        former, at = leg.seat, self._now_us()
        ghost = Leg(leg.leg_id, leg.group, former, leg.slot, leg.generation, leg.pair, leg.remote)
        ghost.heir, ghost.released_at, ghost.waiting = leg, at, leg.waiting
        former.legs[ghost.slot] = ghost
        for slot, (owner, tape) in former.tapes.items():
            if owner is leg:
                former.tapes[slot] = (ghost, tape)
        self._send(former, ["release", ghost.slot, at])
        leg.seat, leg.slot, leg.generation, leg.waiting = seat, seat.free_legs.pop(), generation, True
        seat.legs[leg.slot] = leg
        self._send(seat, *leg.message())
        for message in leg.settings():
            self._send(seat, message)
        if leg.play is not None:
            self._send(seat, *leg.play.message(leg.slot))

    def released(self, seat: Seat, slot: int, state: list[Any] | None) -> None:
        """A seat's process has let go of a leg, and tells what it knew of it."""
        ghost = seat.legs.pop(slot, None)
        if ghost is None or ghost.heir is None:
            return
        seat.free_legs.append(slot)
        leg = ghost.heir
        leg.state = state or leg.state
        if any(each.heir is leg for other in self._seats for each in other.legs.values()):
            return
        leg.waiting = False
        if leg.seat.legs.get(leg.slot) is leg:
            self._send(leg.seat, ["attach", leg.slot, leg.state])
