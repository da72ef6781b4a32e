"""Who is on a call and what each is doing: tells the events of participants, segments and legs.

A participant has one segment at a time: dialing or alerting, then interact, and hold while he holds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from earwitness.domain.configuration import User
from earwitness.edge.calls.leg import Leg
from earwitness.edge.calls.story import Story


class Cast:
    """The participants of one conversation."""

    def __init__(self, story: Story, new_id: Callable[[], str]) -> None:
        self._story = story
        self._new_id = new_id
        self._segments: dict[str, tuple[str, str]] = {}
        self._participants: list[str] = []

    def join(self, participant_id: str, **facts: Any) -> None:
        """Somebody joins; ``facts`` are fields of the event."""
        self._participants.append(participant_id)
        self._story.tell("participant.joined", participant_id=participant_id, **facts)

    def segment(self, participant_id: str, kind: str, by: str | None = None) -> None:
        """The participant's segment ends, another begins."""
        before = self._segments.get(participant_id)
        if before is not None:
            self._story.tell("segment.ended", segment_id=before[0])
        segment_id = self._new_id()
        self._segments[participant_id] = (segment_id, kind)
        self._story.tell("segment.started", segment_id=segment_id, participant_id=participant_id, kind=kind, by=by)

    def offered(self, leg: Leg, direction: str, address: str, user: User | None) -> None:
        """A leg begins; ``direction`` as seen from us."""
        trunk, station = leg.trunk, leg.station
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
        )

    def media(self, leg: Leg) -> None:
        """What is negotiated on a leg, if that is news."""
        facts = leg.media_facts()
        if facts != leg.told:
            leg.told = facts
            self._story.tell("leg.media", **facts)

    def hold(self, leg: Leg) -> None:
        """Whether the leg's party holds, if that is news."""
        held = self._segments.get(leg.participant_id, ("", ""))[1] == "hold"
        if leg.holding and not held:
            self.segment(leg.participant_id, "hold", by=leg.participant_id)
        elif held and not leg.holding:
            self.segment(leg.participant_id, "interact")

    def leave(self, cause: str, by: str | None, own_cause: str) -> None:
        """Everybody leaves with ``cause``, but ``by`` with his own."""
        for participant_id in self._participants:
            left = own_cause if participant_id == by else cause
            self._story.tell("participant.left", participant_id=participant_id, cause=left)
