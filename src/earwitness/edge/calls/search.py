"""A call in a queue looks for an agent: the desk offers one after the other, and each offer is an arrival."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog

from earwitness.domain.configuration import Queue
from earwitness.edge.calls import routing
from earwitness.edge.calls.activity import State
from earwitness.edge.calls.arrival import Arrival
from earwitness.edge.calls.dialler import Presentation
from earwitness.edge.calls.leg import Leg
from earwitness.edge.calls.plan import Final, Groups

if TYPE_CHECKING:
    from earwitness.edge.calls.conversation import Conversation

log = structlog.get_logger()

UNREACHABLE = frozenset({480, 503})


class AgentSearch:
    """See the module. A ``hall.Waiting``; one acd participant while it lasts."""

    def __init__(
        self,
        conversation: Conversation,
        queue: Queue,
        presentation: Presentation,
        *,
        meant_for: Leg | None,
        answered: Callable[[Leg], None],
        lost: Callable[[], None],
        segment: str = "interact",
        by: str | None = None,
    ) -> None:
        """:param answered: an agent's leg is up.
        :param lost: the queue does not exist any more; nobody will come.
        """
        self.id = conversation.services.new_id()
        self.queue = queue
        self.participant_id = conversation.services.new_id()
        self._conversation = conversation
        self._presentation = presentation
        self._meant_for = meant_for
        self._answered, self._lost = answered, lost
        self._segment, self._by = segment, by
        self._arrival: Arrival | None = None
        self._user_id = ""
        self._over = False
        self._priority = 0
        self._assigned = False
        """It rings at somebody outside of the queue's order."""

    @property
    def position(self) -> int | None:
        """How many calls are served before this one, itself included; None: it does not wait."""
        return self._conversation.services.hall.desk.position(self.id)

    def join(self) -> None:
        """The queue joins the conversation. Before ``begin``, and before anybody leaves for its sake."""
        queue = self.queue
        self._conversation.cast.join(self.participant_id, purpose="acd", name=queue.name, queue_id=queue.id)
        self._conversation.cast.segment(
            self.participant_id, "queue", queue_id=queue.id, suppress_recording=queue.suppress_recording
        )

    def begin(self, priority: int = 0) -> None:
        """The call begins to wait; an agent may be rung before this returns."""
        self._priority = priority
        self._conversation.services.hall.enter(self, self.queue.id, priority)

    def assign(self, user_id: str) -> bool:
        """Rings this user, whoever's turn it is; if he does not answer, the call waits again. False: he cannot be."""
        groups = self._groups(user_id)
        if self._over or groups is None:
            return False
        if self._arrival is not None:
            self._arrival.cancel()
        self._conversation.services.hall.leave(self)
        self._assigned = True
        self._ring(user_id, groups, self.queue.alerting_s)
        return True

    def stop(self, cause: str | None = None) -> None:
        """It waits no more. ``cause`` None: the caller has given up if the call is over, else is elsewhere."""
        if self._over:
            return
        self._over = True
        self._conversation.services.hall.leave(self)
        if self._arrival is not None:
            self._arrival.cancel()
            self._arrival = None
        given_up = self._conversation.state is State.ENDED
        self._conversation.cast.leave_one(self.participant_id, cause or ("peer" if given_up else "transfer"))

    # Waiting.

    def offer(self, user_id: str, ring_s: float) -> None:
        if self._over:
            return
        groups = self._groups(user_id)
        if groups is None:
            self._conversation.services.hall.declined(self, user_id, "unreachable")
        else:
            self._ring(user_id, groups, ring_s)

    def _groups(self, user_id: str) -> Groups | None:
        services = self._conversation.services
        destination = routing.of_kind(services.directory(), "user", user_id)
        if not isinstance(destination, routing.Ring):
            return None
        groups = services.reach.groups(services.directory(), destination)
        return None if isinstance(groups, Final) else groups

    def _ring(self, user_id: str, groups: Groups, ring_s: float) -> None:
        conversation = self._conversation
        self._user_id = user_id
        self._arrival = Arrival(
            conversation,
            groups,
            self._presentation,
            meant_for=self._meant_for,
            answered=self._came,
            failed=self._did_not_come,
            purpose="agent",
            queue_id=self.queue.id,
            segment=self._segment,
            by=self._by,
            ring_s=ring_s,
        )
        self._arrival.begin()
        conversation.story.flush()

    def withdraw(self, user_id: str) -> None:
        if self._arrival is not None and self._user_id == user_id:
            self._arrival.cancel()
            self._arrival = None
            self._conversation.story.flush()

    def lost(self) -> None:
        if not self._over:
            self.stop("error")
            self._lost()
            self._conversation.story.flush()

    def _came(self, arrival: Arrival, leg: Leg) -> None:
        self._over = True
        self._arrival = None
        self._conversation.services.hall.answered(self, self._user_id, leg.id, offered=not self._assigned)
        self._answered(leg)
        self._conversation.cast.leave_one(self.participant_id, "transfer")

    def _did_not_come(self, arrival: Arrival, final: Final) -> None:
        self._arrival = None
        if self._over:
            return
        cause = "timeout" if final.cause == "noanswer" else "unreachable" if final.status in UNREACHABLE else "rejected"
        self._conversation.story.tell(
            "agent.not_responding",
            participant_id=arrival.participant_id,
            user_id=self._user_id,
            queue_id=self.queue.id,
            cause=cause,
        )
        hall = self._conversation.services.hall
        if self._assigned:
            self._assigned = False
            hall.enter(self, self.queue.id, self._priority)
        else:
            hall.declined(self, self._user_id, cause)
