"""Conversations in progress, as far as this process follows them: a fold over the edge's live events. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from earwitness.domain.conversation.events import EventError, parse
from earwitness.domain.conversation.timeline import Timeline, fold


@dataclass(slots=True)
class Followed:
    """A conversation and how much of it is known."""

    timeline: Timeline
    next_seq: int


@dataclass(slots=True)
class Conversations:
    """All of them, by id."""

    known: dict[str, Followed] = field(default_factory=dict)

    def observe(self, text: str | bytes) -> tuple[str, bool] | None:
        """Takes a message of ``WS /events``: ``{"conversation_id", "event"}``.

        Gives the conversation's id and whether it is known in full; if not, ask the edge for all of it. None: nothing
        new, or no such message.
        """
        try:
            message = json.loads(text)
            conversation_id, event = str(message["conversation_id"]), parse(json.dumps(message["event"]))
        except (ValueError, TypeError, KeyError, EventError):
            return None
        followed = self.known.get(conversation_id)
        if followed is None:
            if event.seq != 0:
                return conversation_id, False
            followed = self.known[conversation_id] = Followed(Timeline(), 0)
        if event.seq < followed.next_seq:
            return None
        if event.seq > followed.next_seq:
            del self.known[conversation_id]
            return conversation_id, False
        followed.timeline.observe(event)
        followed.next_seq += 1
        return conversation_id, True

    def learn(self, document: dict[str, Any]) -> str | None:
        """Takes a conversation as the edge gives it; its id, if that tells anything new."""
        try:
            events = [parse(json.dumps(item)) for item in document["events"]]
        except (EventError, KeyError, TypeError, ValueError):
            return None
        if not events:
            return None
        timeline = fold(events)
        known = self.known.get(timeline.conversation_id)
        if known is not None and known.next_seq > events[-1].seq:
            return None
        self.known[timeline.conversation_id] = Followed(timeline, events[-1].seq + 1)
        return timeline.conversation_id

    def timeline(self, conversation_id: str) -> Timeline | None:
        """What is known of it."""
        followed = self.known.get(conversation_id)
        return followed.timeline if followed is not None else None

    def forget_ended(self, conversation_id: str) -> None:
        """Lets go of a conversation that is over."""
        followed = self.known.get(conversation_id)
        if followed is not None and followed.timeline.end is not None:
            del self.known[conversation_id]

    def missing_from(self, documents: list[dict[str, Any]]) -> list[str]:
        """Those known that the edge does not have any more; they are forgotten."""
        up = {str(item.get("id")) for item in documents}
        lost = [conversation_id for conversation_id in self.known if conversation_id not in up]
        for conversation_id in lost:
            del self.known[conversation_id]
        return lost
