"""What each recorder of a call does: the contract's ``recordersState``."""

from __future__ import annotations

from earwitness.domain.conversation.timeline import Leg, Tape, Timeline
from earwitness.web.kernel.documents import Document


class RecordersState(Document):
    """What each recorder of a call does."""

    adhoc_state: str
    customer_experience_state: str
    agent_experience_state: str
    snippet_state: str


def adhoc(timeline: Timeline, leg: Leg | None) -> str:
    """The user recording of a leg: ``ACTIVE``, ``PAUSED`` by a secure pause (B14), or ``NONE``."""
    return _recorder(timeline, leg, "user")


def _recorder(timeline: Timeline, leg: Leg | None, kind: str) -> str:
    """The recordings of a leg of that kind of tape: ``ACTIVE``, ``PAUSED`` or ``NONE``."""
    if leg is None or leg.ended is not None:
        return "NONE"
    states = {_now(tape) for tape in timeline.tapes if tape.kind == kind and tape.leg_id == leg.leg_id}
    return next((state for state in ("ACTIVE", "PAUSED") if state in states), "NONE")


def _now(tape: Tape) -> str:
    return "ACTIVE" if tape.capturing else ("PAUSED" if tape.paused else "NONE")


def recorders(timeline: Timeline, leg: Leg | None, *, over: bool) -> RecordersState:
    """Customer experience: the recordings at the trunks; agent experience: the one at this leg's station (A7)."""
    idle = leg is None or over
    trunks = [line for person in timeline.participants for line in person.legs if line.kind == "trunk"]
    customer = {_recorder(timeline, line, kind) for line in trunks for kind in ("trunk", "consult")}
    return RecordersState(
        adhoc_state="NONE" if idle else adhoc(timeline, leg),
        customer_experience_state=next(
            (state for state in ("ACTIVE", "PAUSED") if state in customer and not idle), "NONE"
        ),
        agent_experience_state="NONE" if idle else _recorder(timeline, leg, "station"),
        snippet_state="NONE",
    )
