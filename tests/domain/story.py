"""Tells a conversation as events, for tests: ``Story().inbound().answer()`` and so on, one second between facts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from earwitness.domain.conversation.events import Event, check

START = 1_795_353_600_000_000
SECOND = 1_000_000


@dataclass
class Story:
    events: list[Event] = field(default_factory=list)
    seen: int = 0
    """Events that a test has looked at."""

    def tell(self, event_type: str, **data: Any) -> Event:
        check(event_type, data)
        event = Event(len(self.events), START + len(self.events) * SECOND, event_type, data)
        self.events.append(event)
        return event

    def at_once(self, event_type: str, **data: Any) -> Event:
        """At the time of the event before it."""
        event = self.tell(event_type, **data)
        self.events[-1] = Event(event.seq, self.events[-2].at, event_type, data)
        return self.events[-1]

    def begin(self, direction: str = "inbound") -> Story:
        self.tell(
            "conversation.started",
            conversation_id="c1",
            organization_id="o1",
            direction=direction,
            ani="+4930111",
            dnis="+4930222",
        )
        return self

    def external(
        self, direction: str = "inbound", name: str = "carrier", trunk: str = "t1", consent: str | None = None
    ) -> Story:
        """:param consent: what was said in the conversation that the party comes from."""
        self.tell("participant.joined", participant_id=f"p-{name}", purpose="external", address="+4930111")
        self.tell(
            "leg.offered",
            leg_id=name,
            participant_id=f"p-{name}",
            kind="trunk",
            direction=direction,
            external=True,
            address="+4930111",
            trunk_id=trunk,
            **({"consent": consent} if consent is not None else {}),
        )
        return self

    def phone(self, name: str = "phone", direction: str = "outbound", user: str = "u1") -> Story:
        self.tell("participant.joined", participant_id=f"p-{name}", purpose="user", user_id=user)
        self.tell(
            "leg.offered",
            leg_id=name,
            participant_id=f"p-{name}",
            kind="station",
            direction=direction,
            external=False,
            address=name,
            station_id=f"s-{name}",
            user_id=user,
        )
        return self

    def answer(self, *legs: str) -> Story:
        for leg in legs:
            self.tell("leg.answered", leg_id=leg)
        return self

    def segment(self, kind: str, participant: str, **data: Any) -> Story:
        self.tell("segment.started", segment_id=f"{kind}-{participant}", participant_id=participant, kind=kind, **data)
        return self

    def segment_over(self, kind: str, participant: str) -> Story:
        self.tell("segment.ended", segment_id=f"{kind}-{participant}")
        return self

    def leave(self, name: str, cause: str = "peer") -> Story:
        self.tell("leg.ended", leg_id=name, cause=cause)
        self.tell("participant.left", participant_id=f"p-{name}", cause=cause)
        return self
