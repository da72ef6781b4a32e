"""Somebody is brought into a call that is up: the phones of a user, or a number over a trunk.

He joins as a participant, is rung, and either answers (his leg is up, its media set, and whoever asked for him says
where he belongs) or does not come. What he is offered is what the leg speaks that he is meant for, so that the two can
be connected; somebody who does not know that codec is offered all that we can transcode.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from earwitness.edge.calls.dialler import Dialler, Offer, Presentation
from earwitness.edge.calls.leg import Leg
from earwitness.edge.calls.negotiation import OUR_OFFER, PLAYABLE, read_answer, take_answer
from earwitness.edge.calls.plan import Final, Groups
from earwitness.edge.sip.message import Response
from earwitness.edge.sip.offer_answer import NotAcceptable
from earwitness.edge.sip.sdp import Direction

if TYPE_CHECKING:
    from earwitness.edge.calls.conversation import Conversation


class Arrival:
    """See the module. A ``DialClient``."""

    def __init__(
        self,
        conversation: Conversation,
        groups: Groups,
        presentation: Presentation,
        *,
        meant_for: Leg | None,
        answered: Callable[[Arrival, Leg], None],
        failed: Callable[[Arrival, Final], None],
        ringing: Callable[[Arrival], None] = lambda arrival: None,
        purpose: str = "",
        queue_id: str | None = None,
        segment: str = "interact",
        by: str | None = None,
        ring_s: float | None = None,
    ) -> None:
        """:param answered: his leg is up; ``conversation.main`` and the like are the caller's business.
        :param segment: what he does once he has answered: ``interact`` or ``consult``.
        :param by: the participant who consults him.
        """
        if ring_s is not None:
            groups = Groups(groups.groups, groups.address, ring_s, groups.user)
        self.participant_id = conversation.services.new_id()
        self.groups = groups
        self.rang = False
        self.leg: Leg | None = None
        self._conversation = conversation
        self._meant_for = meant_for
        self._answered, self._failed, self._ringing = answered, failed, ringing
        self._segment, self._by = segment, by
        self._dialler: Dialler | None = None
        self._over = False
        self._presentation = presentation
        self._purpose = purpose or ("user" if groups.phones else "external")
        self._queue_id = queue_id

    def begin(self) -> None:
        """Calls. ``failed`` may be called before this returns."""
        conversation, groups = self._conversation, self.groups
        conversation.arrivals.append(self)
        conversation.cast.join(
            self.participant_id,
            purpose=self._purpose,
            name=groups.name,
            user_id=groups.user.id if groups.user is not None else None,
            address=groups.address,
            ani=self._presentation.ani,
            dnis=groups.address,
            queue_id=self._queue_id,
        )
        conversation.cast.segment(
            self.participant_id, "alerting" if groups.phones else "dialing", queue_id=self._queue_id
        )
        self._dialler = Dialler(conversation, self, self.participant_id, groups, self._presentation)
        self._dialler.next_group()

    def cancel(self, cause: str = "other") -> None:
        """He is not wanted any more."""
        if self._over:
            return
        self._finish()
        if self._dialler is not None:
            self._dialler.cancel(cause)
        self._conversation.cast.leave_one(self.participant_id, cause)

    def reject(self) -> None:
        """His phone is to stop ringing, as if he had refused."""
        if self._dialler is not None and not self._over:
            self._dialler.cancel("endpoint")
            self.dial_over(Final(603, None, "rejected"))

    # DialClient.

    def dial_offer(self, wide: bool) -> Offer | None:
        leg = self._meant_for
        narrow = leg.formats if leg is not None else ()
        if not any(item.name.lower() in PLAYABLE for item in narrow):
            return None if wide else Offer(OUR_OFFER)
        return Offer(OUR_OFFER) if wide else Offer(narrow)

    def dial_progress(self, leg: Leg, response: Response) -> None:
        if response.status in (180, 183):
            self._conversation.rings(leg)
            if not self.rang:
                self.rang = True
                self._ringing(self)

    def dial_accepted(self, leg: Leg, response: Response) -> None:
        dialler = self._dialler
        if dialler is None or self._over:
            if leg.session is not None:
                leg.session.bye()
            return
        try:
            take_answer(leg, read_answer(response.body, leg.offered), Direction.SENDRECV)
        except NotAcceptable as error:
            if leg.session is not None:
                leg.session.bye()
            dialler.failed(leg, 488, str(error))
            return
        leg.learn(leg.formats)
        dialler.answered(leg)
        self.leg = leg
        self._finish()
        self._conversation.came(leg, self._segment, self._queue_id, self._by)
        self._answered(self, leg)
        self._conversation.story.flush()

    def dial_over(self, final: Final) -> None:
        if self._over:
            return
        self._finish()
        self._conversation.cast.leave_one(self.participant_id, "timeout" if final.cause == "noanswer" else "endpoint")
        self._failed(self, final)
        self._conversation.story.flush()

    def _finish(self) -> None:
        self._over = True
        if self in self._conversation.arrivals:
            self._conversation.arrivals.remove(self)
