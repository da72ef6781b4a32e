"""A leg goes over from one conversation to another, when a phone joins two calls of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from earwitness.edge.calls.cast import Person
from earwitness.edge.calls.leg import Leg

if TYPE_CHECKING:
    from earwitness.edge.calls.conversation import Conversation


def hand_out(call: Conversation, leg: Leg) -> Person:
    """A leg goes over to another conversation. Gives who is on it."""
    person = call.cast.people[leg.participant_id]
    call.negotiation.forget(leg)
    call.main.remove(leg)
    call.holding.discard(leg.participant_id)
    call.legs.pop(leg.id, None)
    call.story.tell("leg.ended", leg_id=leg.id, cause="transfer")
    call.wishes.after_call_work(leg.participant_id, leg.id)
    call.cast.leave_one(leg.participant_id, "transfer")
    call.story.flush()
    call.bridge.forget(leg.id)
    call.services.engine.disconnect(leg.id)
    call.services.forget_leg(leg.id)
    return person


def take_in(call: Conversation, leg: Leg, person: Person) -> None:
    """A leg comes from another conversation."""
    leg.participant_id = call.services.new_id()
    leg.owner, leg.told = call.reactions, None
    call.legs[leg.id] = leg
    call.services.register_leg(leg.id, call)
    call.services.engine.move_leg(leg.id, call.id)
    call.cast.join(leg.participant_id, **person.facts)
    user = call.directory.user(person.user_id)
    direction = "inbound" if leg.session is not None and leg.session.role == "uas" else "outbound"
    call.cast.offered(leg, direction, str(person.facts.get("address") or ""), user)
    call.answered(leg, "interact")
    call.cast.hold(leg.participant_id, leg.holding)
    call.main.append(leg)
