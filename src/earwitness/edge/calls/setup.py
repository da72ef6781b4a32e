"""The caller who waits for an answer: what he offered, and what he hears until somebody takes the call.

``dial`` calls somebody. Ringing and, when only one is called, early media are passed to the caller; early media is
relayed and not recorded. The first 2xx wins; the caller's 200 then says what the callee agreed to. ``answer`` takes the
call ourselves, for a flow or a queue.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from earwitness.edge.calls.dialler import Dialler, Offer, Presentation
from earwitness.edge.calls.leg import Leg
from earwitness.edge.calls.negotiation import (
    OUR_OFFER,
    answer_for,
    read_answer,
    read_offer,
    solo_formats,
    take_answer,
    take_offer,
)
from earwitness.edge.calls.plan import Final, Groups
from earwitness.edge.sip.message import Response
from earwitness.edge.sip.offer_answer import FULL_OFFER, NotAcceptable, carried
from earwitness.edge.sip.sdp import AudioStream, Direction, SessionDescription
from earwitness.edge.sip.session_uas import UasSession

if TYPE_CHECKING:
    from earwitness.edge.calls.conversation import Conversation


class Setup:
    """See the module. A ``DialClient``."""

    def __init__(self, conversation: Conversation, caller: Leg, session: UasSession) -> None:
        self.caller = caller
        self.dialler: Dialler | None = None
        self._conversation = conversation
        self._session = session
        self._offer: tuple[SessionDescription, AudioStream] | None = None
        self._early: tuple[Leg, AudioStream] | None = None
        """Who answered early, and how: a 2xx without a body means the same."""

    def take_offer(self) -> None:
        """Reads the INVITE's offer, if it has one.

        :raises NotAcceptable: no audio for us. :raises BadOffer: not SDP.
        """
        request = self._session.request
        if request is not None and request.body:
            self._offer = read_offer(request.body)
            take_offer(self.caller, self._offer[1])
            self.caller.learn(self._offer[1].formats)

    def dial(self, groups: Groups, participant_id: str, presentation: Presentation) -> None:
        """Calls these, one group after the other."""
        self.dialler = Dialler(self._conversation, self, participant_id, groups, presentation)
        self.dialler.next_group()

    def reject(self, final: Final) -> None:
        """The caller hears no."""
        self._session.reject(final.status, final.reason)

    def description(self) -> bytes:
        """Our own answer to the caller, or our offer if he has made none; for a call that we take ourselves.

        :raises NotAcceptable: no codec that we can speak.
        """
        caller = self.caller
        if self._offer is None:
            caller.formats, caller.direction = OUR_OFFER, Direction.SENDRECV
            caller.learn(OUR_OFFER)
            return caller.local.offer(OUR_OFFER, caller.direction)
        description, stream = self._offer
        caller.formats = solo_formats(stream)
        caller.learn(caller.formats)
        theirs = stream.effective_direction
        caller.direction = Direction.of(sends=theirs.receives, receives=theirs.sends)
        return caller.local.answer(description, caller.formats, caller.direction, ptime=stream.ptime)

    @property
    def late(self) -> bool:
        """The caller has made no offer: he answers ours in his ACK."""
        return self._offer is None

    def accept(self, body: bytes) -> bool:
        """200 to the caller. False: he has given up at this very moment."""
        return self._session.accept(body)

    def stop(self) -> None:
        """It is over, one way or the other."""
        if self.dialler is not None:
            self.dialler.stop()

    # DialClient.

    def dial_offer(self, wide: bool) -> Offer | None:
        """The caller's own offer."""
        if wide:
            return None
        if self._offer is None:
            return Offer(FULL_OFFER)
        stream = self._offer[1]
        return Offer(carried(stream.formats), stream.effective_direction, stream.ptime, stream.maxptime)

    def dial_progress(self, leg: Leg, response: Response) -> None:
        dialler = self.dialler
        if dialler is None:
            return
        if response.body and dialler.only is leg and self._offer is not None and self._early_media(leg, response):
            return
        if response.status == 180:
            self._conversation.rings(leg)
        # A 183 without early media is all that some carriers send while the phone rings.
        if response.status in (180, 183) and not self.caller.ringing:
            self.caller.ringing = True
            self._session.progress(180)

    def dial_accepted(self, leg: Leg, response: Response) -> None:
        dialler, offer = self.dialler, self.dial_offer(False)
        if dialler is None or offer is None:
            return
        try:
            early = self._early[1] if self._early is not None and self._early[0] is leg else None
            stream = read_answer(response.body, offer.formats) if response.body or early is None else early
            take_answer(leg, stream, offer.direction)
            leg.learn(leg.formats)
            body = self._answer_body(leg)
        except NotAcceptable as error:
            if leg.session is not None:
                leg.session.bye()
            dialler.failed(leg, 488, str(error))
            return
        dialler.answered(leg)
        self._conversation.bridged(self.caller, leg, late=self.late)
        if not self.accept(body):
            self._conversation.end("cancelled", by=self.caller, own_cause="endpoint")

    def dial_over(self, final: Final) -> None:
        self._conversation.refuse(final)

    def _answer_body(self, callee: Leg) -> bytes:
        caller = self.caller
        if self._offer is not None:
            return answer_for(caller, self._offer[0], self._offer[1], callee)
        caller.formats = callee.formats
        caller.learn(callee.formats)
        caller.direction = Direction.SENDONLY if callee.holding else Direction.SENDRECV
        return caller.local.offer(caller.formats, caller.direction)

    def _early_media(self, leg: Leg, response: Response) -> bool:
        caller, offer, asked = self.caller, self._offer, self.dial_offer(False)
        if offer is None or asked is None:
            return False
        try:
            stream = read_answer(response.body, asked.formats)
            take_answer(leg, stream, asked.direction)
            leg.learn(leg.formats)
            body = answer_for(caller, offer[0], offer[1], leg)
        except NotAcceptable:
            return False
        self._early = (leg, stream)
        self._conversation.early(caller, leg)
        self._conversation.rings(leg)
        caller.ringing = True
        self._session.progress(response.status, body)
        return True
