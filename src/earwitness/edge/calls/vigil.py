"""Watches over a call that is up: is anybody still there?

A leg that the media engine reports silent is asked by OPTIONS every ``dead_peer_s``; its session ends by itself when
there is no answer. Every leg is asked every ``everybody_s`` whatever its media: in a hold nobody need send any. When no
side has sent anything for ``both_silent_s`` and nobody holds, the call is over; not so while somebody waits for us, in
a flow or a queue.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from earwitness.edge.calls.leg import Leg
from earwitness.edge.calls.services import Services, Timer


class Vigil:
    """Over the legs of one call, from its answer to its end."""

    def __init__(
        self,
        services: Services,
        legs: Callable[[], Sequence[Leg]],
        talking: Callable[[], bool],
        give_up: Callable[[], None],
    ) -> None:
        """:param legs: those that are up at the moment.
        :param talking: whether people talk to each other, so that somebody must be heard.
        :param give_up: called once, when all sides have been silent for too long.
        """
        self._services = services
        self._legs = legs
        self._talking = talking
        self._give_up = give_up
        self._ping: Timer | None = None
        self._round: Timer = services.call_later(services.everybody_s, self._ask_everybody)
        self._silence: Timer | None = None

    def silence(self, leg: Leg) -> None:
        """Nothing has come from this leg for a while."""
        leg.silent = True
        if self._ping is None:
            self._ping = self._services.call_later(self._services.dead_peer_s, self._ask)
        if self._silence is None and self._all_silent():
            self._silence = self._services.call_later(self._services.both_silent_s, self._silent_for_long)

    def activity(self, leg: Leg) -> None:
        """Packets again."""
        leg.silent = False
        if self._silence is not None:
            self._silence.cancel()
            self._silence = None
        if self._ping is not None and not any(item.silent for item in self._legs()):
            self._ping.cancel()
            self._ping = None

    def changed(self) -> None:
        """Somebody holds, or holds no more; somebody came or went."""
        if not self._all_silent():
            if self._silence is not None:
                self._silence.cancel()
                self._silence = None
        elif self._silence is None:
            self._silence = self._services.call_later(self._services.both_silent_s, self._silent_for_long)

    def stop(self) -> None:
        """The call is over."""
        self._round.cancel()
        for timer in (self._ping, self._silence):
            if timer is not None:
                timer.cancel()
        self._ping = self._silence = None

    def _all_silent(self) -> bool:
        return self._talking() and all(leg.silent and not leg.holding for leg in self._legs())

    def _ask(self) -> None:
        self._ping = None
        silent = [leg for leg in self._legs() if leg.silent and not leg.ended and leg.session is not None]
        if silent:
            self._ping = self._services.call_later(self._services.dead_peer_s, self._ask)
        self._ask_these(silent)

    def _ask_everybody(self) -> None:
        self._round = self._services.call_later(self._services.everybody_s, self._ask_everybody)
        self._ask_these([leg for leg in self._legs() if not leg.ended])

    def _ask_these(self, legs: Sequence[Leg]) -> None:
        for leg in legs:
            if leg.session is not None:
                leg.session.request_in_dialog("OPTIONS")

    def _silent_for_long(self) -> None:
        self._silence = None
        if self._all_silent():
            self._give_up()
