"""A user calls from a screen: his own phone rings first; when he answers, whom he wants is called."""

from __future__ import annotations

from typing import TYPE_CHECKING

from earwitness.edge.calls import routing
from earwitness.edge.calls.activity import Activity
from earwitness.edge.calls.arrival import Arrival
from earwitness.edge.calls.dialler import Presentation
from earwitness.edge.calls.leg import Leg
from earwitness.edge.calls.plan import Final, Groups
from earwitness.edge.calls.rooms import Rooms, talkers
from earwitness.edge.calls.transfer import Goal
from earwitness.media.engine import sounds

if TYPE_CHECKING:
    from earwitness.edge.calls.conversation import Conversation


class Origination(Activity):
    """See the module. An activity until somebody answers the user."""

    name = "a call that is being set up"

    def __init__(self, conversation: Conversation, user_id: str, goal: Goal, *, queue_id: str | None) -> None:
        """:param queue_id: on whose behalf he calls; he is its agent then."""
        self._conversation = conversation
        self._user_id = user_id
        self._goal = goal
        self._queue_id = queue_id
        self._destination: routing.Destination = routing.Refuse(404, "")
        self._arrival: Arrival | None = None

    def begin(self) -> str | None:
        """Rings the user. Gives why nobody can be called."""
        conversation, directory = self._conversation, self._conversation.directory
        user = directory.user(self._user_id)
        own = routing.of_kind(directory, "user", self._user_id)
        destination = self._destination = routing.of_kind(directory, self._goal.kind, self._goal.target)
        if user is None or not isinstance(own, routing.Ring):
            return own.why if isinstance(own, routing.Refuse) else "no such user"
        if isinstance(destination, routing.Refuse):
            return destination.why
        phones = conversation.services.reach.groups(directory, own)
        if isinstance(phones, Final):
            return "no phone of the user is registered"
        ani = phones.address
        dnis = destination.number if isinstance(destination, routing.Dial) else self._goal.target
        conversation.do(self)
        direction = "outbound" if isinstance(destination, routing.Dial) else "internal"
        conversation.presentation, conversation.dnis = Presentation(ani, user.name, user=user), dnis
        conversation.started(direction)
        Arrival(
            conversation,
            phones,
            Presentation(dnis),
            meant_for=None,
            answered=lambda arrival, leg: self._goes_on(leg),
            failed=lambda arrival, final: conversation.end(final.cause),
            purpose="agent" if self._queue_id is not None else "user",
            queue_id=self._queue_id,
        ).begin()
        conversation.story.flush()
        return None

    # Activity.

    def legs(self) -> Rooms:
        there = talkers(self._conversation)
        return Rooms([there], {there[0]: sounds.ringback()} if len(there) == 1 else {})

    def stop(self) -> None:
        arrival, self._arrival = self._arrival, None
        if arrival is not None:
            arrival.cancel()

    def _goes_on(self, leg: Leg) -> None:
        """The user has answered."""
        conversation, destination = self._conversation, self._destination
        conversation.go_up(late=None)
        conversation.main.append(leg)
        if isinstance(destination, routing.Wait):
            conversation.wait(destination.queue, leg)
            return
        if isinstance(destination, routing.Run):
            conversation.run(destination.flow, leg)
            return
        if isinstance(destination, routing.Refuse):
            return
        groups: Groups | Final = conversation.services.reach.groups(conversation.directory, destination)
        if isinstance(groups, Final):
            conversation.end(groups.cause, cause_of_legs="system")
            return
        conversation.arrange()
        self._arrival = Arrival(
            conversation, groups, conversation.presentation, meant_for=leg, answered=self._came, failed=self._nobody
        )
        self._arrival.begin()

    def _came(self, arrival: Arrival, leg: Leg) -> None:
        conversation = self._conversation
        self._arrival = None
        conversation.over(self)
        conversation.main.append(leg)
        conversation.arrange()

    def _nobody(self, arrival: Arrival, final: Final) -> None:
        self._arrival = None
        self._conversation.end(final.cause, cause_of_legs="peer")
