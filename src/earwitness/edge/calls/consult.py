"""A participant talks to somebody else while the others wait, and then hands over, joins everybody, or goes back.

The one who consults is on hold as far as the others are concerned; who is called has the segment ``consult`` until he
is connected with them. ``speak`` chooses whom the one who consults talks to meanwhile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from earwitness.edge.calls import routing
from earwitness.edge.calls.activity import Activity
from earwitness.edge.calls.arrival import Arrival
from earwitness.edge.calls.bridge import Sound
from earwitness.edge.calls.leg import Leg
from earwitness.edge.calls.plan import Final, Groups
from earwitness.edge.calls.rooms import Rooms, talkers
from earwitness.edge.calls.search import AgentSearch
from earwitness.edge.calls.transfer import Goal, seen_from
from earwitness.media.engine import sounds

if TYPE_CHECKING:
    from earwitness.edge.calls.conversation import Conversation

WHO = ("DESTINATION", "OBJECT", "BOTH")


class Consult(Activity):
    """See the module."""

    name = "a consultation"

    def __init__(self, conversation: Conversation, own: Leg, goal: Goal, *, by: str) -> None:
        """:param own: who consults."""
        self.own = own
        self.target: Leg | None = None
        self._conversation = conversation
        self._goal = goal
        self._by = by
        self._who = "DESTINATION"
        self._arrival: Arrival | None = None
        self._search: AgentSearch | None = None

    @property
    def participant_id(self) -> str:
        """Of whom he calls."""
        if self._arrival is not None:
            return self._arrival.participant_id
        return self._search.participant_id if self._search is not None else ""

    def begin(self) -> Final | None:
        """Starts it. Gives why it cannot be started; nothing has changed then."""
        conversation = self._conversation
        destination = routing.of_kind(conversation.services.directory(), self._goal.kind, self._goal.target)
        if isinstance(destination, routing.Refuse):
            return Final(destination.status, destination.why, "rejected")
        if isinstance(destination, routing.Run):
            return Final(400, "a flow cannot be consulted", "rejected")
        if isinstance(destination, routing.Wait):
            self._search = AgentSearch(
                conversation,
                destination.queue,
                seen_from(conversation, self.own),
                meant_for=self.own,
                answered=self._talks,
                lost=self._search_lost,
                segment="consult",
                by=self.own.participant_id,
            )
            self._start()
            self._search.join()
            self._search.begin()
            return None
        groups = conversation.services.reach.groups(conversation.services.directory(), destination)
        if isinstance(groups, Final):
            return groups
        self._start()
        self._call(groups)
        return None

    def speak(self, who: str) -> None:
        """Whom he talks to: one of ``WHO``."""
        self._who = who
        self._hold(who == "DESTINATION")
        if self.target is not None:
            self._conversation.cast.talks(
                self.target.participant_id, "interact" if who == "BOTH" else "consult", self.own.participant_id
            )
        self._conversation.arrange()
        self._conversation.story.flush()

    def complete(self) -> bool:
        """He leaves, and who was consulted talks to the others. False: nobody has answered yet."""
        conversation, target = self._conversation, self.target
        if target is None:
            return False
        self._joins(target)
        conversation.story.tell(
            "transferred",
            kind="consult",
            target=self._goal.target,
            target_type=self._goal.kind,
            external=target.trunk is not None,
            by=self._by,
            participant_id=target.participant_id,
        )
        if not self.own.ended:
            conversation.release(self.own, "transfer", hang_up=True)
        conversation.arrange()
        conversation.story.flush()
        return True

    def merge(self) -> bool:
        """Everybody talks to everybody. False: nobody has answered yet."""
        if self.target is None:
            return False
        self._joins(self.target)
        self._hold(False)
        self._conversation.arrange()
        return True

    def cancel(self) -> None:
        """Who was consulted goes, and the one who consulted is back."""
        conversation, target = self._conversation, self.target
        conversation.over(self)
        self.target = None
        self._stop_calling()
        if target is not None and not target.ended:
            conversation.release(target, "client", hang_up=True)
        self._hold(False)
        conversation.arrange()
        conversation.story.flush()

    # Activity.

    def legs(self) -> Rooms:
        conversation, target = self._conversation, self.target
        others = [leg for leg in talkers(conversation) if leg is not self.own and leg is not target]
        apart = [leg for leg in (self.own, target) if leg is not None and not leg.ended]
        rooms: list[list[Leg]]
        if self._who == "BOTH":
            rooms = [[*others, *apart]]
        elif self._who == "OBJECT":
            rooms = [[*others, self.own], [target] if target is not None else []]
        else:
            rooms = [others, apart]
        sound: dict[Leg, Sound] = {
            room[0]: sounds.ringback() if room[0] is self.own and target is None else conversation.music
            for room in rooms
            if len(room) == 1
        }
        return Rooms(rooms, sound)

    def left(self, leg: Leg) -> None:
        conversation = self._conversation
        if leg is self.own:
            if not self.complete():
                self._call_is_a_transfer()
        elif leg is self.target:
            self.target = None
            self.cancel()
        elif not any(other is not self.own for other in conversation.main):
            # Those who waited have gone: the two go on as an ordinary call.
            if self.target is not None:
                self._joins(self.target)
                self._hold(False)
            else:
                self.cancel()

    def goes_on_without(self, leg: Leg) -> bool:
        """Who is called may still come, for those who wait."""
        waiting = [other for other in self._conversation.main if other not in (leg, self.own)]
        return leg is self.own and bool(waiting)

    def stop(self) -> None:
        self._stop_calling()

    def _start(self) -> None:
        self._conversation.do(self)
        self._hold(True)
        self._conversation.arrange()

    def _call(self, groups: Groups) -> None:
        conversation = self._conversation
        self._arrival = Arrival(
            conversation,
            groups,
            seen_from(conversation, self.own),
            meant_for=self.own,
            answered=lambda arrival, leg: self._talks(leg),
            failed=lambda arrival, final: self._nobody(final),
            segment="consult",
            by=self.own.participant_id,
        )
        self._arrival.begin()
        conversation.story.flush()

    def _talks(self, leg: Leg) -> None:
        self._search = None
        self.target = leg
        if self.own.ended:
            self.complete()
            return
        self._conversation.arrange()

    def _joins(self, target: Leg) -> None:
        conversation = self._conversation
        conversation.over(self)
        conversation.main.append(target)
        conversation.cast.talks(target.participant_id, "interact")

    def _nobody(self, final: Final) -> None:
        conversation = self._conversation
        conversation.story.tell(
            "transfer.failed",
            kind="consult",
            target=self._goal.target,
            target_type=self._goal.kind,
            error=final.reason or final.cause,
            by=self._by,
            sip_status=final.status,
        )
        self._arrival = None
        if self.own.ended:
            conversation.end("error", cause_of_legs="transfer")
        else:
            self.cancel()

    def _search_lost(self) -> None:
        self._search = None
        self._nobody(Final(404, "the queue does not exist any more", "error"))

    def _call_is_a_transfer(self) -> None:
        """He has hung up before anybody answered: who answers gets the call."""
        self._who = "DESTINATION"

    def _hold(self, holds: bool) -> None:
        if not self.own.ended:
            self._conversation.cast.hold(self.own.participant_id, holds or self.own.holding, self._by)

    def _stop_calling(self) -> None:
        arrival, self._arrival = self._arrival, None
        search, self._search = self._search, None
        if arrival is not None:
            arrival.cancel()
        if search is not None:
            search.stop()
