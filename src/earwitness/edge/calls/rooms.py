"""Who is to hear whom, as a conversation stands: its main room, less those who hold, as its activity changes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from earwitness.edge.calls.bridge import Sound
from earwitness.edge.calls.leg import Leg

if TYPE_CHECKING:
    from earwitness.edge.calls.conversation import Conversation


@dataclass(frozen=True, slots=True)
class Rooms:
    """Legs that talk to each other, and sounds for legs who are alone."""

    rooms: list[list[Leg]] = field(default_factory=list)
    sounds: Mapping[Leg, Sound] = field(default_factory=dict)


def talkers(conversation: Conversation) -> list[Leg]:
    """Those of the main room who do not hold."""
    return [leg for leg in conversation.main if leg.participant_id not in conversation.holding]


def rooms_of(conversation: Conversation) -> Rooms:
    """How the legs are to be arranged at this moment."""
    if conversation.activity is not None:
        return conversation.activity.legs()
    there = talkers(conversation)
    alone = len(there) == 1 and len(conversation.main) > 1
    return Rooms([there], {there[0]: conversation.music} if alone else {})
