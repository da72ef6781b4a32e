"""INVITE with Replaces (RFC 3891): a phone takes a call over that another phone of the same user has."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from earwitness.domain.configuration import Station
from earwitness.edge.calls.leg import Leg
from earwitness.edge.calls.negotiation import BadOffer, answer_alone
from earwitness.edge.sip.offer_answer import NotAcceptable
from earwitness.edge.sip.session_uas import UasSession

if TYPE_CHECKING:
    from earwitness.edge.calls.services import Services

log = structlog.get_logger()


def take_over(session: UasSession, station: Station | None, replaced: Leg | None, services: Services) -> None:
    """The new session's phone gets the place of the replaced leg, which is hung up.

    Only phones of the same user may do so: whoever learns a call's identifiers must not be able to listen in.
    """
    conversation = services.conversation_of(replaced.id) if replaced is not None else None
    if replaced is None or conversation is None or replaced not in conversation.main:
        session.reject(481)
        return
    owner = replaced.station.user_id if replaced.station is not None else None
    if station is None or station.user_id is None or station.user_id != owner:
        session.reject(403)
        return
    person = conversation.cast.people[replaced.participant_id]
    leg = conversation.add_leg(services.new_id(), session.flow.remote[0], station=station)
    if leg is None:
        session.reject(503, None, [("Retry-After", "5")])
        return
    try:
        others = [other for other in conversation.main if other is not replaced]
        request = session.request
        body = answer_alone(leg, request.body if request is not None else b"", others[0] if others else None)
    except (NotAcceptable, BadOffer) as error:
        session.reject(400 if isinstance(error, BadOffer) else 488)
        conversation.discard(leg)
        return
    leg.attach(session)
    conversation.cast.join(leg.participant_id, **person.facts)
    conversation.cast.offered(leg, "inbound", station.username, conversation.directory.user(station.user_id))
    if leg.stream is None:
        conversation.negotiation.expect_late_answer(leg)
    conversation.came(leg, "interact", person.queue_id)
    conversation.main.append(leg)
    conversation.story.flush()
    if not session.accept(body):
        conversation.gone(leg, "endpoint")
        return
    conversation.release(replaced, "transfer", hang_up=True)
    conversation.arrange()
    conversation.story.flush()
