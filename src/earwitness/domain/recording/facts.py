"""The facts of a conversation that recording rules look at: a fold over its events."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from earwitness.domain.conversation.events import Event
from earwitness.domain.recording.settings import TrunkRecording

PEOPLE = frozenset({"user", "agent"})
"""Purposes of internal people; they are an internal party from the moment they are called. IVR and queue are one too
(design §6), while the call is in them.
"""
MACHINE_SEGMENTS = frozenset({"ivr", "queue"})
WHERE = MACHINE_SEGMENTS | {"interact"}
"""Kinds of segments that say where the call is."""
CONFERENCE = 3
"""So many parties that talk at once are a conference (D3)."""


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
    station_id: str | None = None
    answered: bool = False
    consent: str | None = None
    """What was said in the conversation that a caller comes from: ``granted`` or ``unset``. None: called this one."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment that has started and not ended."""

    participant_id: str
    kind: str
    suppress: bool


@dataclass(slots=True)
class Facts:
    """What is true of a conversation at this moment."""

    stop_when_only_external: bool = True
    """``stopRecordingWhenOnlyExternalParticipants`` of the organisation (D3), as it was when the call began."""
    stations: Mapping[str, TrunkRecording] = field(default_factory=dict)
    """Recording settings of stations by id, as they were when the call began (A7); others do not record."""
    consent: str = "unset"
    """``unset``, ``granted`` or ``refused``. A refusal stands: a later yes does not lift it within the call."""
    unasked: bool = False
    """An outside caller is up who has not agreed, and whose trunk requires it; nobody else's answer is his (C5)."""
    secure_pause: bool = False
    conference: bool = False
    """It is a conference, or was one when the last internal party left it."""
    announced: bool = False
    """It was made a conference by somebody, not by so many legs alone."""
    transferred: bool = False
    """A transfer was told; the next internal party to leave does so by it."""
    caller: Leg | None = None
    """The leg by which an external party called us, who is the one to be asked for consent."""
    legs: dict[str, Leg] = field(default_factory=dict)
    """Legs that have not ended."""
    answered: dict[str, Leg] = field(default_factory=dict)
    """Those of them that are up."""
    purposes: dict[str, str] = field(default_factory=dict)
    """Purpose of each participant who is on the call."""
    segments: dict[str, Segment] = field(default_factory=dict)
    recording_legs: set[str] = field(default_factory=set)
    """Legs whose users asked for a user recording."""
    holding: frozenset[str] = frozenset()
    """Participants who hold."""
    consulting: set[str] = field(default_factory=set)
    """Participants who were called for a consult and have not been connected with the others since."""
    suppressing: dict[str, str] = field(default_factory=dict)
    """Participant -> ``ivr`` or ``queue``: the call is inside it, and it suppresses recording. It does so until the
    call is elsewhere: the moment between a flow's end and the queue that follows belongs to the flow.
    """
    inside: frozenset[str] = frozenset()
    """IVR and queue participants that the call is in."""
    gone: set[str] = field(default_factory=set)
    """People whose leg a transfer has ended, before they are told to leave."""

    def observe(self, event: Event) -> bool:
        """Takes the next event; whether it can matter to a tape."""
        take = _TAKES.get(event.type)
        return take is not None and take(self, event.data)

    def held(self, leg: Leg) -> bool:
        """Whether this leg's party is on hold: it holds us, or every internal party that talks to it holds.

        Who was called for a consult talks to the one who consults, so neither do his holds count nor is he held.
        """
        if leg.participant_id in self.holding:
            return True
        if not self.holding or leg.participant_id in self.consulting:
            return False
        others = [other.participant_id for other in self._people() if other is not leg]
        return bool(others) and all(other in self.holding for other in others)

    def station_records(self, leg: Leg) -> bool:
        """Whether this leg is at a station that records (A7)."""
        settings = self.stations.get(leg.station_id or "")
        return settings is not None and settings.enabled

    def consults(self, leg: Leg) -> bool:
        """Whether this leg's party was called for a consult, or has the others on hold and calls somebody for one."""
        who = leg.participant_id
        return who in self.consulting or (who in self.holding and bool(self.consulting or self.inside))

    def company(self, leg: Leg) -> list[Leg]:
        """The legs that this leg's party is in one talk with, whether or not somebody holds."""
        consulting = self.consulting
        others = [other for other in self.answered.values() if other is not leg]
        if not consulting and not self.inside:
            return others
        if not self.consults(leg):
            return [other for other in others if other.participant_id not in consulting]
        return [
            other
            for other in others
            if other.participant_id in consulting or (not other.external and other.participant_id in self.holding)
        ]

    def held_by_company(self, leg: Leg) -> bool:
        """Whether this internal party holds, or everybody that it talks to does."""
        if leg.participant_id in self.holding:
            return True
        if not self.holding or leg.participant_id in self.consulting:
            return False
        company = self.company(leg)
        return bool(company) and all(other.participant_id in self.holding for other in company)

    def suppressed(self, kind: str) -> bool:
        """Whether the call is inside a flow (``ivr``) or queue of that kind that suppresses recording.

        While a person of ours is up it is not: then it is that person who waits there, for a consult.
        """
        return kind in self.suppressing.values() and not any(True for _ in self._people())

    def internal_party(self) -> bool:
        """Whether an internal party is on the call."""
        if self.inside or self.suppressing:
            return True
        return any(purpose in PEOPLE and who not in self.gone for who, purpose in self.purposes.items())

    def other_external_party(self, leg: Leg) -> bool:
        """Whether an external party beside this leg's is on the call, or being called."""
        return any(
            purpose == "external" and participant != leg.participant_id
            for participant, purpose in self.purposes.items()
        )

    def agreed(self, leg: Leg) -> bool:
        """Whether the party of this leg agrees to be recorded, as far as it was asked."""
        return self.consent != "refused" and (leg.consent or self.consent) == "granted"

    def user_asked(self, leg: Leg) -> bool:
        """Whether this leg's user wants a user recording."""
        return not leg.external and leg.leg_id in self.recording_legs

    def talking(self) -> int:
        """How many legs are in the same talk: up, not on hold, not in a consult."""
        return sum(
            leg.participant_id not in self.holding and leg.participant_id not in self.consulting
            for leg in self.answered.values()
        )

    def _people(self) -> Iterable[Leg]:
        """Legs of internal people that are up and in the talk, or hold it."""
        return (leg for leg in self.answered.values() if not leg.external and leg.participant_id not in self.consulting)

    def _leg_offered(self, data: Mapping[str, Any]) -> bool:
        leg = Leg(
            data["leg_id"],
            data["participant_id"],
            data["kind"],
            data["direction"],
            data["external"],
            data.get("trunk_id"),
            data.get("user_id"),
            data.get("station_id"),
            consent=data.get("consent"),
        )
        self.legs[leg.leg_id] = leg
        self.gone.discard(leg.participant_id)
        if self.caller is None and leg.external and leg.direction == "inbound":
            self.caller = leg
            return bool(self.answered)  # those who talk already may need a consent now
        return False

    def _leg_answered(self, data: Mapping[str, Any]) -> bool:
        leg = self.legs.get(data["leg_id"])
        if leg is None or leg.answered:
            return False
        leg.answered = True
        self.answered[leg.leg_id] = leg
        return True

    def _leg_ended(self, data: Mapping[str, Any]) -> bool:
        leg = self.legs.pop(data["leg_id"], None)
        if leg is None:
            return False
        self.recording_legs.discard(leg.leg_id)
        if not leg.answered:
            return False
        if not leg.external:
            by_transfer = self.transferred or data["cause"] == "transfer"
            self.conference = self.conference or (not by_transfer and self.talking() >= CONFERENCE)
            self.transferred = False
            if data["cause"] == "transfer":
                self.gone.add(leg.participant_id)
        del self.answered[leg.leg_id]
        if self.conference and len(self.answered) < CONFERENCE and any(True for _ in self._people()):
            self.conference = self.announced = False
        return True

    def _joined(self, data: Mapping[str, Any]) -> bool:
        self.purposes[data["participant_id"]] = data["purpose"]
        return bool(self.answered)

    def _left(self, data: Mapping[str, Any]) -> bool:
        participant = data["participant_id"]
        self.purposes.pop(participant, None)
        self.recording_legs -= {leg.leg_id for leg in self.legs.values() if leg.participant_id == participant}
        for segment_id in [name for name, item in self.segments.items() if item.participant_id == participant]:
            del self.segments[segment_id]
        self.suppressing.pop(participant, None)
        self.consulting.discard(participant)
        self.gone.discard(participant)
        self._look_where()
        self._look_who_holds()
        return bool(self.answered)

    def _segment_started(self, data: Mapping[str, Any]) -> bool:
        participant, kind = data["participant_id"], data["kind"]
        segment = Segment(participant, kind, bool(data.get("suppress_recording", False)))
        self.segments[data["segment_id"]] = segment
        if kind in WHERE:
            self._look_where()
            self.suppressing = {
                item.participant_id: item.kind
                for item in self.segments.values()
                if item.suppress and item.kind in MACHINE_SEGMENTS
            }
        if kind == "consult":
            self.consulting.add(participant)
        elif kind == "interact":
            self.consulting.discard(participant)
        elif kind == "hold":
            self._look_who_holds()
        return bool(self.answered)

    def _segment_ended(self, data: Mapping[str, Any]) -> bool:
        segment = self.segments.pop(data["segment_id"], None)
        if segment is None:
            return False
        if segment.kind == "hold":
            self._look_who_holds()
        elif segment.kind in MACHINE_SEGMENTS:
            self._look_where()
        return bool(self.answered)

    def _look_who_holds(self) -> None:
        self.holding = frozenset(item.participant_id for item in self.segments.values() if item.kind == "hold")

    def _look_where(self) -> None:
        self.inside = frozenset(item.participant_id for item in self.segments.values() if item.kind in MACHINE_SEGMENTS)

    def _granted(self, data: Mapping[str, Any]) -> bool:
        leg = self.legs.get(data["leg_id"])
        if leg is not None and leg.consent == "unset":
            leg.consent = "granted"
            return True
        if self.consent != "unset":
            return False
        self.consent = "granted"
        return True

    def _refused(self, data: Mapping[str, Any]) -> bool:
        before, self.consent = self.consent, "refused"
        return before != "refused"

    def _pause(self, data: Mapping[str, Any]) -> bool:
        self.secure_pause = True
        return True

    def _resume(self, data: Mapping[str, Any]) -> bool:
        self.secure_pause = False
        return True

    def _asked(self, data: Mapping[str, Any]) -> bool:
        if data["leg_id"] not in self.legs:
            return False
        self.recording_legs.add(data["leg_id"])
        return True

    def _asked_no_more(self, data: Mapping[str, Any]) -> bool:
        self.recording_legs.discard(data["leg_id"])
        return True

    def _conference(self, data: Mapping[str, Any]) -> bool:
        self.conference = self.announced = True
        return True

    def _transferred(self, data: Mapping[str, Any]) -> bool:
        self.transferred = True
        self.conference = self.conference and self.announced
        return True


_TAKES: dict[str, Callable[[Facts, Mapping[str, Any]], bool]] = {
    "leg.offered": Facts._leg_offered,
    "leg.answered": Facts._leg_answered,
    "leg.ended": Facts._leg_ended,
    "participant.joined": Facts._joined,
    "participant.left": Facts._left,
    "segment.started": Facts._segment_started,
    "segment.ended": Facts._segment_ended,
    "consent.granted": Facts._granted,
    "consent.refused": Facts._refused,
    "secure_pause.on": Facts._pause,
    "secure_pause.off": Facts._resume,
    "user_recording.on": Facts._asked,
    "user_recording.off": Facts._asked_no_more,
    "conference.started": Facts._conference,
    "transferred": Facts._transferred,
}
"""What takes which event. No other matters to a tape: who is muted, what was dialled, what a flow noted."""
