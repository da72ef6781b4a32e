"""A participant hands the call to somebody else and leaves, once that one has it.

To a queue or a flow he leaves at once. To a user or a number the others hear ringing until somebody answers; then he
leaves. If nobody does, he is back with the others as before, unless he has hung up meanwhile: then the call is over.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from earwitness.edge.calls import routing
from earwitness.edge.calls.activity import Activity
from earwitness.edge.calls.arrival import Arrival
from earwitness.edge.calls.dialler import Presentation
from earwitness.edge.calls.leg import Leg
from earwitness.edge.calls.plan import Final, Groups
from earwitness.edge.calls.rooms import Rooms, talkers
from earwitness.media.engine import sounds

if TYPE_CHECKING:
    from earwitness.edge.calls.conversation import Conversation


@dataclass(frozen=True, slots=True)
class Goal:
    """Where somebody wants a call to go."""

    kind: str
    """``user``, ``queue``, ``flow`` (by id), or ``address`` (a number or extension)."""
    target: str


@dataclass(frozen=True, slots=True)
class Report:
    """How a transfer went, as a SIP status: 180 it rings, 200 done, above it failed."""

    status: int
    reason: str | None = None


def seen_from(conversation: Conversation, leg: Leg) -> Presentation:
    """How calls that this leg's participant causes are shown: with his number to a trunk, in the caller's name to our
    own phones.
    """
    person = conversation.cast.people.get(leg.participant_id)
    user = conversation.services.directory().user(person.user_id) if person is not None else None
    shown = conversation.presentation
    return Presentation(shown.ani, shown.name, shown.private, user or shown.user, shown.max_forwards)


class Transfer(Activity):
    """See the module. An activity while somebody rings."""

    name = "a transfer"

    def __init__(
        self,
        conversation: Conversation,
        leaver: Leg,
        goal: Goal,
        *,
        by: str,
        kind: str = "blind",
        report: Callable[[Report], None] = lambda report: None,
        hang_up: bool = True,
    ) -> None:
        """:param by: who asked for it, a participant or user.
        :param hang_up: False: whoever gets the report of success hangs up on the leaver.
        """
        self._conversation = conversation
        self._leaver: Leg | None = leaver
        self._goal = goal
        self._by = by
        self._kind = kind
        self._report = report
        self._hang_up = hang_up
        self._arrival: Arrival | None = None
        self._over = False

    def begin(self) -> None:
        """Starts it; it may be over before this returns."""
        conversation = self._conversation
        destination = routing.of_kind(conversation.services.directory(), self._goal.kind, self._goal.target)
        match destination:
            case routing.Refuse(status=status, why=why):
                self._failed(Final(status, why, "rejected"))
            case routing.Wait() | routing.Run():
                self._hand_over(destination)
            case routing.Ring() | routing.Dial():
                groups = conversation.services.reach.groups(conversation.services.directory(), destination)
                if isinstance(groups, Final):
                    self._failed(groups)
                else:
                    self._call(groups)
        conversation.story.flush()

    # Activity.

    def legs(self) -> Rooms:
        conversation = self._conversation
        there = [leg for leg in talkers(conversation) if leg is not self._leaver]
        return Rooms([there], {there[0]: sounds.ringback()} if len(there) == 1 else {})

    def left(self, leg: Leg) -> None:
        if leg is self._leaver:
            self._leaver = None

    def goes_on_without(self, leg: Leg) -> bool:
        return any(other is not leg and other is not self._leaver for other in self._conversation.main)

    def stop(self) -> None:
        if not self._over:
            self._over = True
            if self._arrival is not None:
                self._arrival.cancel()
            self._report(Report(487))

    def _call(self, groups: Groups) -> None:
        conversation, leaver = self._conversation, self._leaver
        if leaver is None:
            return
        rest = [leg for leg in conversation.main if leg is not leaver]
        conversation.do(self)
        self._arrival = Arrival(
            conversation,
            groups,
            seen_from(conversation, leaver),
            meant_for=rest[0] if len(rest) == 1 else None,
            answered=self._came,
            failed=lambda arrival, final: self._failed(final),
            ringing=lambda arrival: self._report(Report(180)),
        )
        conversation.arrange()
        self._arrival.begin()

    def _hand_over(self, destination: routing.Wait | routing.Run) -> None:
        conversation, leaver = self._conversation, self._leaver
        rest = [leg for leg in conversation.main if leg is not leaver]
        if leaver is None or not rest:
            return
        subject = next((leg for leg in rest if leg.trunk is not None), rest[0])
        self._tell(external=False, participant_id=None)
        self._over = True
        conversation.presentation = seen_from(conversation, leaver)
        enter = (
            conversation.waits(destination.queue, subject)
            if isinstance(destination, routing.Wait)
            else conversation.runs(destination.flow, subject)
        )
        enter.join()
        conversation.do(enter)
        self._leave(leaver)
        enter.begin()

    def _came(self, arrival: Arrival, leg: Leg) -> None:
        conversation, leaver = self._conversation, self._leaver
        self._over = True
        conversation.over(self)
        conversation.main.append(leg)
        self._tell(external=leg.trunk is not None, participant_id=leg.participant_id)
        if leaver is not None:
            self._leave(leaver)
        else:
            self._report(Report(200))
        conversation.arrange()

    def _leave(self, leaver: Leg) -> None:
        """He has heard that it worked, and goes; he may do so himself first."""
        self._leaver = None
        self._report(Report(200))
        self._conversation.release(leaver, "transfer", hang_up=self._hang_up)

    def _failed(self, final: Final) -> None:
        conversation = self._conversation
        self._over = True
        self._arrival = None
        conversation.over(self)
        conversation.story.tell(
            "transfer.failed",
            kind=self._kind,
            target=self._goal.target,
            target_type=self._goal.kind,
            error=final.reason or final.cause,
            by=self._by,
            sip_status=final.status,
        )
        self._report(Report(final.status, final.reason))
        if len(conversation.main) < 2:
            conversation.end("error", cause_of_legs="transfer")
        else:
            conversation.arrange()

    def _tell(self, *, external: bool, participant_id: str | None) -> None:
        self._conversation.story.tell(
            "transferred",
            kind=self._kind,
            target=self._goal.target,
            target_type=self._goal.kind,
            external=external,
            by=self._by,
            participant_id=participant_id,
        )
