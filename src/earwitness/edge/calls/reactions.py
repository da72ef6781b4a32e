"""What a conversation does when something happens to it: what a peer sends, what the media engine tells.

Nothing is decided here that is not a matter of a single event: what follows for the call as a whole is the
conversation's business.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import structlog

from earwitness.edge.calls.activity import State
from earwitness.edge.calls.leg import Leg
from earwitness.edge.calls.plan import Final
from earwitness.edge.sip.events import Failure
from earwitness.edge.sip.message import Request, Response
from earwitness.edge.sip.transaction_server import ServerTransaction

if TYPE_CHECKING:
    from earwitness.edge.calls.conversation import Conversation

log = structlog.get_logger()

FAILURE_CAUSES = {
    Failure.TIMEOUT: "timeout",
    Failure.TRANSPORT: "transport.failure",
    Failure.NO_ACK: "timeout",
    Failure.GONE: "error",
    Failure.EXPIRED: "timeout",
    Failure.CANCELLED: "other",
}
"""The contract's disconnectType for each."""


class Reactions:
    """See the module. The owner of a conversation's legs."""

    def __init__(self, conversation: Conversation) -> None:
        self._call = conversation

    # From the legs.

    def leg_progress(self, leg: Leg, response: Response) -> None:
        dialler = self._call.dials.get(leg.id)
        if self._call.state is not State.ENDED and dialler is not None and response.status in (180, 182, 183):
            dialler.client.dial_progress(leg, response)
            self._call.story.flush()

    def leg_accepted(self, leg: Leg, response: Response) -> None:
        dialler = self._call.dials.get(leg.id)
        if self._call.state is State.ENDED or dialler is None:
            leg.owner = None
            if leg.session is not None:
                leg.session.bye()
            return
        dialler.client.dial_accepted(leg, response)
        self._call.story.flush()

    def leg_rejected(self, leg: Leg, status: int, reason: str) -> None:
        dialler = self._call.dials.get(leg.id)
        if dialler is not None and self._call.state is not State.ENDED:
            dialler.failed(leg, status, reason)
            self._call.story.flush()

    def leg_cancelled(self, leg: Leg) -> None:
        self._call.end("cancelled", by=leg, own_cause="endpoint")
        self._call.story.flush()

    def leg_acknowledged(self, leg: Leg, request: Request) -> None:
        if self._call.state is State.UP and not self._call.negotiation.acknowledged(leg, request):
            if len(self._call.up_legs()) > 2:
                if leg.session is not None:
                    leg.session.hang_up()
                self._call.gone(leg, "error", cause="error")
            else:
                self._call.end("error", cause_of_legs="error")
        self._call.story.flush()

    def leg_offers(self, leg: Leg, request: Request) -> None:
        if self._call.state is State.UP and leg.answered:
            self._call.negotiation.offer(leg, request)
            self._call.story.flush()
        elif leg.session is not None:
            leg.session.reject_reinvite(491)

    def leg_withdraws(self, leg: Leg) -> None:
        self._call.negotiation.withdraw(leg)

    def leg_offer_answered(self, leg: Leg, response: Response) -> None:
        if self._call.state is State.UP:
            self._call.negotiation.answer(leg, response)
            self._call.story.flush()

    def leg_requests(self, leg: Leg, transaction: ServerTransaction, request: Request) -> None:
        self._call.services.in_dialog(self._call, leg, transaction, request)

    def leg_hung_up(self, leg: Leg) -> None:
        self._call.gone(leg, "endpoint")

    def leg_failed(self, leg: Leg, cause: Failure) -> None:
        if cause is Failure.TRANSPORT and leg.session is not None and leg.session.flow.connection:
            self._call.services.connection_lost(leg.session.flow.connection)
        if leg.id in self._call.dials and not leg.answered:
            self.leg_rejected(leg, 503 if cause is Failure.TRANSPORT else 408, "")
            return
        kind = FAILURE_CAUSES[cause]
        self._call.gone(leg, kind, cause="timeout" if kind == "timeout" else "error")

    def leg_broke(self, leg: Leg) -> None:
        self.broke()

    def broke(self) -> None:
        """A mistake of ours came up: the call cannot go on, the peers hear so, and nothing stays behind."""
        if self._call.setup is not None:
            self._call.setup.reject(Final(500, None, "error"))
        self._call.end("error", cause_of_legs="error")

    # From the media engine.

    def silence(self, leg: Leg) -> None:
        """Nothing has come from this leg for a while."""
        if self._call.vigil is not None and leg.answered:
            self._call.vigil.silence(leg)
        else:
            leg.silent = True

    def activity_of(self, leg: Leg) -> None:
        """Packets again."""
        if self._call.vigil is not None:
            self._call.vigil.activity(leg)
        else:
            leg.silent = False

    def digit(self, leg: Leg, digit: str, at: int | None = None) -> None:
        """A digit was pressed. Which one is told only if it may be heard on a recording as well."""
        self.media_fact("dtmf", at, leg_id=leg.id, digit=digit if self._call.recorder.heard_at(at) else None)
        if self._call.activity is not None and self._call.state is State.UP:
            self._call.activity.digit(leg, digit)
            self._call.story.flush()

    def play_ended(self, leg: Leg, play_id: str, error: str | None) -> None:
        """A play is over."""
        if self._call.activity is not None and self._call.state is State.UP:
            self._call.activity.play_ended(leg, play_id, error)
            self._call.story.flush()

    def media_fact(self, event_type: str, at: int | None, **data: Any) -> None:
        """Something that happened in the media and that nobody acts on."""
        if self._call.state is not State.ENDED or self._call.ending.settling:
            self._call.story.tell(event_type, at=at, **data)
            self._call.story.flush()

    def media_failed(self, leg: Leg, error: str) -> None:
        """The media engine cannot carry this leg: better no call than one without sound that nobody records."""
        if self._call.state is State.ENDED or leg.ended:
            return
        log.error("a leg has no media", conversation=self._call.id, leg=leg.id, error=error)
        if leg.id in self._call.dials and not leg.answered:
            if leg.session is not None:
                leg.session.hang_up()
            self.leg_rejected(leg, 503, "")
            return
        if self._call.state is State.SETUP and self._call.setup is not None:
            self._call.setup.reject(Final(503, None, "error"))
        if self._call.state is State.UP and len(self._call.up_legs()) > 2:
            if leg.session is not None:
                leg.session.hang_up()
            self._call.gone(leg, "error")
            return
        self._call.end("error", cause_of_legs="error")
        self._call.story.flush()

    def code(self, leg: Leg) -> None:
        """The record code was dialled on a phone."""
        call = self._call
        if call.state is State.UP and leg.answered and not leg.ended:
            call.wishes.record(leg, not call.recorder.records(leg.id))
