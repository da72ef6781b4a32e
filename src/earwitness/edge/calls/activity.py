"""What goes on with a call besides talking: one thing at a time has it."""

from __future__ import annotations

import enum

from earwitness.edge.calls.leg import Leg
from earwitness.edge.calls.rooms import Rooms


class State(enum.Enum):
    SETUP = "setup"
    UP = "up"
    ENDED = "ended"


class Activity:
    """A flow, a wait, a transfer, a consultation. ``legs`` is every activity's own; the rest may be left as it is."""

    name = "something else"
    """For people: "a transfer is under way"."""

    def legs(self) -> Rooms:
        """How the legs are to be arranged while it goes on."""
        raise NotImplementedError

    def digit(self, leg: Leg, digit: str) -> None:
        """A digit was pressed."""

    def play_ended(self, leg: Leg, play_id: str, error: str | None) -> None:
        """A play on a leg came to an end."""

    def left(self, leg: Leg) -> None:
        """A leg has gone, and the call goes on."""

    def goes_on_without(self, leg: Leg) -> bool:
        """Whether those who are left, fewer than two, are still waiting for somebody."""
        return False

    def stop(self) -> None:
        """It is over, one way or the other."""
