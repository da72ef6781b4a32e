"""Who is on a call and what each is doing: tells the events of participants, segments and legs.

A participant has one segment at a time: dialing or alerting, then interact (consult on a consultation), and hold while
he holds. Flows and queues are participants without a leg.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from earwitness.domain.configuration import User
from earwitness.edge.calls.leg import Leg
from earwitness.edge.calls.story import Story


@dataclass(slots=True)
class Person:
    """A participant who is on the call."""

    participant_id: str
    purpose: str
    user_id: str | None = None
    queue_id: str | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    """Fields of his joining."""
    segment_id: str = ""
    kind: str = ""
    """Of the segment."""
    resumes: str = "interact"
    """What he does when a hold ends."""
    talked: bool = False
    """He has had somebody on the line."""
    wrapped_up: bool = False
    """He has said what the call was about, or is being asked."""


class Cast:
    """The participants of one conversation."""

    def __init__(self, story: Story, new_id: Callable[[], str]) -> None:
        self._story = story
        self._new_id = new_id
        self.people: dict[str, Person] = {}
        """By participant id, in the order of their coming."""

    def join(self, participant_id: str, **facts: Any) -> Person:
        """Somebody joins; ``facts`` are fields of the event."""
        person = Person(participant_id, facts["purpose"], facts.get("user_id"), facts.get("queue_id"), facts)
        self.people[participant_id] = person
        self._story.tell("participant.joined", participant_id=participant_id, **facts)
        return person

    def segment(self, participant_id: str, kind: str, by: str | None = None, **facts: Any) -> None:
        """The participant's segment ends, another begins."""
        person = self.people.get(participant_id)
        if person is None:
            return
        if person.segment_id:
            self._story.tell("segment.ended", segment_id=person.segment_id)
        person.segment_id, person.kind = self._new_id(), kind
        self._story.tell(
            "segment.started",
            segment_id=person.segment_id,
            participant_id=participant_id,
            kind=kind,
            by=by,
            **{"queue_id": person.queue_id, **facts},
        )

    def offered(self, leg: Leg, direction: str, address: str, user: User | None, *, consent: str | None = None) -> None:
        """A leg begins; ``direction`` as seen from us.

        :param consent: of a caller who comes from another conversation, what was said there.
        """
        trunk, station = leg.trunk, leg.station
        brought: dict[str, Any] = {"consent": consent} if consent is not None else {}
        self._story.tell(
            "leg.offered",
            leg_id=leg.id,
            participant_id=leg.participant_id,
            kind="trunk" if trunk is not None else "station",
            direction=direction,
            external=trunk is not None,
            address=address,
            trunk_id=trunk.id if trunk is not None else None,
            trunk_base_id=trunk.trunk_base_id if trunk is not None else None,
            station_id=station.id if station is not None else None,
            user_id=user.id if user is not None else None,
            sip_call_id=leg.session.call_id[:256] if leg.session is not None else None,
            **brought,
        )

    def media(self, leg: Leg) -> None:
        """What is negotiated on a leg, if that is news."""
        facts = leg.media_facts()
        if facts != leg.told:
            leg.told = facts
            self._story.tell("leg.media", **facts)

    def talks(self, participant_id: str, kind: str = "interact", by: str | None = None) -> None:
        """He talks from now on, or as soon as his hold ends."""
        person = self.people.get(participant_id)
        if person is None:
            return
        person.resumes = kind
        person.talked = True
        if person.kind not in ("hold", kind):
            self.segment(participant_id, kind, by)

    def hold(self, participant_id: str, holds: bool, by: str | None = None) -> None:
        """Whether he holds, if that is news."""
        person = self.people.get(participant_id)
        if person is None:
            return
        if holds and person.kind != "hold":
            self.segment(participant_id, "hold", by=by or participant_id)
        elif not holds and person.kind == "hold":
            self.segment(participant_id, person.resumes)

    def leave_one(self, participant_id: str, cause: str) -> None:
        """He leaves; the others stay."""
        person = self.people.pop(participant_id, None)
        if person is None:
            return
        if person.segment_id:
            self._story.tell("segment.ended", segment_id=person.segment_id, cause=cause)
        self._story.tell("participant.left", participant_id=participant_id, cause=cause)

    def leave(self, cause: str, by: str | None, own_cause: str) -> None:
        """Everybody leaves with ``cause``, but ``by`` with his own."""
        for participant_id in self.people:
            left = own_cause if participant_id == by else cause
            self._story.tell("participant.left", participant_id=participant_id, cause=left)
        self.people.clear()
