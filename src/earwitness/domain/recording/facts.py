"""The facts of a conversation that recording rules look at: a fold over its events."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from earwitness.domain.conversation.events import Event

INTERNAL_PURPOSES = frozenset({"user", "agent", "ivr", "acd"})
"""Participants that count as an internal party; IVR and queue do (design §6)."""


@dataclass(slots=True)
class Leg:
    """One call leg."""

    leg_id: str
    participant_id: str
    kind: str
    direction: str
    external: bool
    trunk_id: str | None
    user_id: str | None
    answered: bool = False


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment that has started and not ended."""

    participant_id: str
    kind: str
    suppress: bool


@dataclass(slots=True)
class Facts:
    """What is true of a conversation at this moment."""

    consent: str = "unset"
    """``unset``, ``granted`` or ``refused``. A refusal stands: a later yes does not lift it within the call."""
    secure_pauses: set[str] = field(default_factory=set)
    legs: dict[str, Leg] = field(default_factory=dict)
    """Legs that have not ended."""
    purposes: dict[str, str] = field(default_factory=dict)
    """Purpose of each participant who is on the call."""
    segments: dict[str, Segment] = field(default_factory=dict)
    user_recordings: set[str] = field(default_factory=set)
    """Participants who asked for a user recording."""

    def observe(self, event: Event) -> None:
        """Takes the next event."""
        data = event.data
        match event.type:
            case "leg.offered":
                self.legs[data["leg_id"]] = Leg(
                    data["leg_id"],
                    data["participant_id"],
                    data["kind"],
                    data["direction"],
                    data["external"],
                    data.get("trunk_id"),
                    data.get("user_id"),
                )
            case "leg.answered":
                if (leg := self.legs.get(data["leg_id"])) is not None:
                    leg.answered = True
            case "leg.ended":
                if (gone := self.legs.pop(data["leg_id"], None)) is not None:
                    self.user_recordings.discard(gone.participant_id)
            case "participant.joined":
                self.purposes[data["participant_id"]] = data["purpose"]
            case "participant.left":
                self.purposes.pop(data["participant_id"], None)
                self.user_recordings.discard(data["participant_id"])
            case "segment.started":
                suppress = bool(data.get("suppress_recording", False))
                self.segments[data["segment_id"]] = Segment(data["participant_id"], data["kind"], suppress)
            case "segment.ended":
                self.segments.pop(data["segment_id"], None)
            case "consent.granted":
                if self.consent != "refused":
                    self.consent = "granted"
            case "consent.refused":
                self.consent = "refused"
            case "secure_pause.on":
                self.secure_pauses.add(data["by"])
            case "secure_pause.off":
                self.secure_pauses.clear()
            case "user_recording.on":
                self.user_recordings.add(data["participant_id"])
            case "user_recording.off":
                self.user_recordings.discard(data["participant_id"])

    def answered_legs(self) -> Iterator[Leg]:
        """Legs that are up, in the order of their offers."""
        return (leg for leg in self.legs.values() if leg.answered)

    def suppressed(self, kind: str) -> bool:
        """Whether a segment of this kind is on that suppresses recording."""
        return any(segment.suppress for segment in self.segments.values() if segment.kind == kind)

    def held(self, leg: Leg) -> bool:
        """Whether this leg's party is on hold: it holds us, or every internal party with a leg up holds."""
        holding = {segment.participant_id for segment in self.segments.values() if segment.kind == "hold"}
        if leg.participant_id in holding:
            return True
        others = {other.participant_id for other in self.answered_legs() if not other.external}
        return bool(others) and others <= holding

    def consulting(self, leg: Leg) -> bool:
        """Whether this leg is a consult leg."""
        return any(s.kind == "consult" and s.participant_id == leg.participant_id for s in self.segments.values())

    def internal_party(self) -> bool:
        """Whether an internal party is on the call."""
        return any(purpose in INTERNAL_PURPOSES for purpose in self.purposes.values())

    def user_asked(self, leg: Leg) -> bool:
        """Whether this leg's user wants a user recording."""
        return not leg.external and leg.participant_id in self.user_recordings
