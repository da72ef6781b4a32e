"""A leg goes over from one conversation to another, when a phone joins two calls of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from earwitness.edge.calls.cast import Person
from earwitness.edge.calls.leg import Leg

if TYPE_CHECKING:
    from earwitness.edge.calls.conversation import Conversation


@dataclass(frozen=True, slots=True)
class Mover:
    """Somebody between two conversations."""

    leg: Leg
    person: Person
    consent: str
    """``unset``, ``granted`` or ``refused``."""


def hand_out(call: Conversation, leg: Leg) -> Mover:
    """A leg goes over to another conversation. Gives who is on it, and what he has said about being recorded."""
    mover = Mover(leg, call.cast.people[leg.participant_id], call.recorder.consent_of(leg.id))
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
    return mover


def take_in(call: Conversation, mover: Mover) -> None:
    """A leg comes from another conversation. What its party, if it called us, said there counts here for it alone."""
    leg, person = mover.leg, mover.person
    leg.participant_id = call.services.new_id()
    leg.owner, leg.told = call.reactions, None
    call.legs[leg.id] = leg
    call.services.register_leg(leg.id, call)
    call.services.engine.move_leg(leg.id, call.id)
    call.cast.join(leg.participant_id, **person.facts)
    user = call.directory.user(person.user_id)
    direction = "inbound" if leg.session is not None and leg.session.role == "uas" else "outbound"
    asked = leg.trunk is not None and direction == "inbound"
    consent = mover.consent if asked else None
    call.cast.offered(leg, direction, str(person.facts.get("address") or ""), user, consent=consent)
    call.answered(leg, "interact")
    call.cast.hold(leg.participant_id, leg.holding)
    call.main.append(leg)
