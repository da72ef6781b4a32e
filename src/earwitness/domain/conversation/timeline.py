"""The time line of a conversation: a fold over its events.

``fold`` serves the live view, the stored conversation, the API and the tests alike. All times are UTC microseconds,
None while the thing has not happened.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from earwitness.domain.conversation.events import Event

PAUSING_ROWS = {"flow", "queue", "hold", "pause"}
"""Rows of the recording rules whose no ends by itself; any other means that nothing is recorded (B6, B7)."""
DISK = "disk"
"""The row of a tape that cannot be written."""


@dataclass(slots=True)
class Segment:
    """A stretch of a participant's time."""

    segment_id: str
    kind: str
    start: int
    end: int | None = None
    cause: str | None = None
    by: str | None = None
    flow_id: str | None = None
    queue_id: str | None = None
    flow_version: str | None = None
    suppress_recording: bool = False


@dataclass(slots=True)
class Leg:
    """A participant's call leg."""

    leg_id: str
    kind: str
    direction: str
    """``inbound``: they called us; ``outbound``: we called them."""
    external: bool
    address: str
    offered: int
    trunk_id: str | None = None
    trunk_base_id: str | None = None
    station_id: str | None = None
    sip_call_id: str | None = None
    user_id: str | None = None
    ringing: int | None = None
    answered: int | None = None
    ended: int | None = None
    cause: str | None = None
    sip_status: int | None = None

    @property
    def state(self) -> str:
        """The contract's call state."""
        if self.ended is not None:
            return "disconnected"
        if self.answered is not None:
            return "connected"
        return "alerting" if self.ringing is not None or self.direction == "inbound" else "dialing"


@dataclass(slots=True)
class Participant:
    """Somebody, or something, on the call."""

    participant_id: str
    purpose: str
    start: int
    name: str | None = None
    user_id: str | None = None
    address: str | None = None
    ani: str | None = None
    dnis: str | None = None
    connected: int | None = None
    end: int | None = None
    cause: str | None = None
    queue_id: str | None = None
    flow_id: str | None = None
    muted: bool = False
    recording: bool = False
    """Whether a user recording of this participant is on."""
    attributes: dict[str, str] = field(default_factory=dict)
    acw: dict[str, Any] | None = None
    """After-call work that was asked for: ``{"at", "user_id", "queue_id", "prompt", "timeout_s"}``."""
    wrapup: dict[str, Any] | None = None
    """What the agent said the call was about: ``{"at", "code", "name"?, "notes"?, "tags"?, "by"?}``."""
    recording_refused: list[dict[str, str]] = field(default_factory=list)
    """Why a user recording of this participant was refused at last (C10)."""
    legs: list[Leg] = field(default_factory=list)
    segments: list[Segment] = field(default_factory=list)

    @property
    def held(self) -> bool:
        """Whether this participant holds at this moment."""
        return any(segment.kind == "hold" and segment.end is None for segment in self.segments)


@dataclass(slots=True)
class Opening:
    """One stretch that a tape captured."""

    opening: int
    start: int
    end: int | None = None


@dataclass(slots=True)
class Word:
    """What was decided of a tape at one moment, and why."""

    at: int
    captured: bool
    reasons: list[dict[str, str]]


@dataclass(slots=True)
class Tape:
    """What was captured of a leg, what was not, and the reasons."""

    tape_id: str
    leg_id: str
    kind: str
    dual_channel: bool = False
    audio_format: str = "audio/opus"
    openings: list[Opening] = field(default_factory=list)
    words: list[Word] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    destroyed: int | None = None
    """When what it had captured was destroyed (C1)."""

    @property
    def capturing(self) -> bool:
        """Whether it is open now."""
        return bool(self.openings) and self.openings[-1].end is None

    @property
    def paused(self) -> bool:
        """Whether it is closed for now, by nothing but rows that come and go."""
        rows = {reason.get("row") for reason in self.words[-1].reasons} if self.words else set()
        return not self.capturing and self.destroyed is None and bool(rows) and rows <= PAUSING_ROWS


@dataclass(slots=True)
class Timeline:
    """A conversation as people see it."""

    conversation_id: str = ""
    organization_id: str = ""
    direction: str = ""
    """``inbound``, ``outbound`` or ``internal``."""
    ani: str = ""
    dnis: str = ""
    start: int = 0
    end: int | None = None
    cause: str | None = None
    consent: str = "unset"
    consent_given: dict[str, Any] | None = None
    """The answer that stands: ``at``, ``leg_id``, perhaps ``flow_id``, ``flow_version``, ``question``, ``language``,
    ``answer``.
    """
    languages: list[str] = field(default_factory=list)
    """Those that flows spoke with the caller, in their order."""
    secure_pause: bool = False
    transfers: list[dict[str, Any]] = field(default_factory=list)
    """Each ``transferred`` and ``transfer.failed``: its fields, ``at`` and ``failed``."""
    conference: int | None = None
    """When it became a conference."""
    incidents: list[dict[str, Any]] = field(default_factory=list)
    """What went wrong without ending the call: each ``flow.failed`` and ``agent.not_responding``: its fields, ``at``
    and ``type``.
    """
    participants: list[Participant] = field(default_factory=list)
    tapes: list[Tape] = field(default_factory=list)

    @property
    def answered(self) -> int | None:
        """When two parties first talked: the last first-answer of its participants, or None."""
        times = [p.connected for p in self.participants if p.connected is not None]
        return max(times) if len(times) > 1 else None

    @property
    def external(self) -> bool:
        """Whether an external party was on it."""
        return any(leg.external for participant in self.participants for leg in participant.legs)

    def participant(self, participant_id: str) -> Participant | None:
        """The participant of that id."""
        return next((p for p in self.participants if p.participant_id == participant_id), None)

    def leg(self, leg_id: str) -> Leg | None:
        """The leg of that id."""
        return next((leg for p in self.participants for leg in p.legs if leg.leg_id == leg_id), None)

    def participant_of(self, leg_id: str) -> Participant | None:
        """Who is on that leg."""
        return next((p for p in self.participants if any(leg.leg_id == leg_id for leg in p.legs)), None)

    def hold_us(self, participant_id: str, now: int) -> int:
        """Time that a participant held, microseconds up to ``now``."""
        participant = self.participant(participant_id)
        segments = participant.segments if participant is not None else []
        return sum((s.end if s.end is not None else now) - s.start for s in segments if s.kind == "hold")

    @property
    def recording_state(self) -> str:
        """``active`` while a trunk tape captures, ``paused`` while one is closed for now, else ``none`` (B6, B7)."""
        if self.end is not None:
            return "none"
        live = [
            t for t in self.tapes if t.kind != "user" and (leg := self.leg(t.leg_id)) is not None and leg.ended is None
        ]
        if any(tape.capturing for tape in live):
            return "active"
        return "paused" if any(tape.paused for tape in live) else "none"

    def observe(self, event: Event) -> None:
        """Takes the next event."""
        data = event.data
        match event.type:
            case "conversation.started":
                self.conversation_id = data["conversation_id"]
                self.organization_id = data["organization_id"]
                self.direction = data["direction"]
                self.ani, self.dnis = data["ani"], data["dnis"]
                self.start = event.at
            case "conversation.ended":
                self.end, self.cause = event.at, data["cause"]
                self._close_all(event.at, data["cause"])
            case "participant.joined":
                names = ("name", "user_id", "address", "ani", "dnis", "queue_id", "flow_id")
                values: dict[str, Any] = {name: data.get(name) for name in names}
                self.participants.append(Participant(data["participant_id"], data["purpose"], event.at, **values))
            case "participant.left":
                self._left(data["participant_id"], event.at, data["cause"])
            case "leg.offered" | "leg.ringing" | "leg.answered" | "leg.ended":
                self._leg_event(event)
            case "segment.started":
                if (participant := self.participant(data["participant_id"])) is not None:
                    extra: dict[str, Any] = {
                        name: data.get(name) for name in ("by", "flow_id", "queue_id", "flow_version")
                    }
                    segment = Segment(data["segment_id"], data["kind"], event.at, **extra)
                    segment.suppress_recording = bool(data.get("suppress_recording", False))
                    participant.segments.append(segment)
            case "segment.ended":
                for segment in (s for p in self.participants for s in p.segments):
                    if segment.segment_id == data["segment_id"] and segment.end is None:
                        segment.end, segment.cause = event.at, data.get("cause")
            case "consent.granted" | "consent.refused":
                self._consent_event(event)
            case "participant.data" | "participant.muted" | "acw.started" | "wrapup.given" | "user_recording.refused":
                if (person := self.participant(data["participant_id"])) is not None:
                    _about_participant(person, event)
            case "conversation.language":
                if data["language"] not in self.languages:
                    self.languages.append(data["language"])
            case "transferred" | "transfer.failed":
                self.transfers.append({**data, "at": event.at, "failed": event.type == "transfer.failed"})
            case "conference.started":
                self.conference = self.conference or event.at
            case "flow.failed" | "agent.not_responding":
                self.incidents.append({**data, "at": event.at, "type": event.type})
            case "user_recording.on" | "user_recording.off":
                if (person := self.participant(data["participant_id"])) is not None:
                    person.recording = event.type.endswith("on")
            case "secure_pause.on" | "secure_pause.off":
                self.secure_pause = event.type.endswith("on")
            case "tape.opened" | "tape.closed" | "tape.withheld" | "tape.failed" | "tape.recovered" | "tape.destroyed":
                self._tape_event(event)

    def _consent_event(self, event: Event) -> None:
        """A refusal stands: no later yes lifts it."""
        state = event.type.removeprefix("consent.")
        if self.consent != "refused":
            if state != self.consent:
                self.consent_given = {**event.data, "at": event.at}
            self.consent = state

    def _leg_event(self, event: Event) -> None:
        data = event.data
        if event.type == "leg.offered":
            owner = self.participant(data["participant_id"])
            if owner is not None:
                names = ("trunk_id", "trunk_base_id", "station_id", "sip_call_id", "user_id")
                extra = {name: data.get(name) for name in names}
                owner.legs.append(
                    Leg(
                        data["leg_id"],
                        data["kind"],
                        data["direction"],
                        data["external"],
                        data["address"],
                        event.at,
                        **extra,
                    )
                )
            return
        leg = self.leg(data["leg_id"])
        participant = self.participant_of(data["leg_id"])
        if leg is None or participant is None:
            return
        if event.type == "leg.ringing":
            leg.ringing = leg.ringing or event.at
        elif event.type == "leg.answered":
            leg.answered = leg.answered or event.at
            participant.connected = participant.connected or event.at
        else:
            leg.ended, leg.cause, leg.sip_status = event.at, data["cause"], data.get("sip_status")
            participant.recording = participant.recording and any(other.ended is None for other in participant.legs)

    def _tape_event(self, event: Event) -> None:
        data = event.data
        tape = next((t for t in self.tapes if t.tape_id == data["tape_id"]), None)
        if tape is None:
            tape = Tape(data["tape_id"], data.get("leg_id", ""), data.get("kind", "trunk"))
            self.tapes.append(tape)
        reasons = list(data.get("reasons", []))
        if event.type == "tape.opened":
            tape.dual_channel, tape.audio_format = data["dual_channel"], data["audio_format"]
            tape.openings.append(Opening(data["opening"], event.at))
            tape.words.append(Word(event.at, True, reasons))
        elif event.type == "tape.failed":
            tape.failures.append(data["error"])
            tape.words.append(Word(event.at, False, [{"row": DISK, "why": data["error"]}]))
        elif event.type == "tape.recovered":
            failed = [word for word in tape.words if not word.captured and DISK in (r.get("row") for r in word.reasons)]
            if failed:  # what was said since then had waited, and is on the tape
                tape.words.remove(failed[-1])
        elif event.type == "tape.destroyed":
            tape.destroyed = tape.destroyed or event.at
            if tape.capturing:
                tape.openings[-1].end = event.at
            tape.words.append(Word(event.at, False, reasons))
        else:
            if event.type == "tape.closed" and tape.capturing:
                tape.openings[-1].end = event.at
            tape.words.append(Word(event.at, False, reasons))

    def _left(self, participant_id: str, at: int, cause: str) -> None:
        participant = self.participant(participant_id)
        if participant is None or participant.end is not None:
            return
        participant.end, participant.cause, participant.recording = at, cause, False
        for segment in participant.segments:
            if segment.end is None and segment.kind != "wrapup":
                segment.end, segment.cause = at, segment.cause or cause

    def _close_all(self, at: int, cause: str) -> None:
        for participant in self.participants:
            for leg in participant.legs:
                if leg.ended is None:
                    leg.ended, leg.cause = at, cause
            self._left(participant.participant_id, at, cause)
        for tape in self.tapes:
            if tape.capturing:
                tape.openings[-1].end = at

    def to_document(self) -> dict[str, Any]:
        """Plain JSON values: the fields above."""
        return dataclasses.asdict(self)

    @staticmethod
    def from_document(document: dict[str, Any]) -> Timeline:
        """The reverse of ``to_document``."""
        values = dict(document)
        values["participants"] = [
            Participant(
                **{
                    **item,
                    "legs": [Leg(**leg) for leg in item["legs"]],
                    "segments": [Segment(**segment) for segment in item["segments"]],
                }
            )
            for item in values["participants"]
        ]
        values["tapes"] = [
            Tape(
                **{
                    **item,
                    "openings": [Opening(**opening) for opening in item["openings"]],
                    "words": [Word(**word) for word in item["words"]],
                }
            )
            for item in values["tapes"]
        ]
        return Timeline(**values)


def _about_participant(person: Participant, event: Event) -> None:
    data = {name: value for name, value in event.data.items() if name != "participant_id"}
    match event.type:
        case "participant.data":
            merged = {**person.attributes, **data["attributes"]}
            person.attributes = {str(name): str(value) for name, value in merged.items() if value is not None}
        case "participant.muted":
            person.muted = bool(data["muted"])
        case "acw.started":
            person.acw = {**data, "at": event.at}
        case "wrapup.given":
            person.wrapup = {**data, "at": event.at}
        case "user_recording.refused":
            person.recording_refused = list(data["reasons"])


def fold(events: Iterable[Event]) -> Timeline:
    """The time line after all of ``events``."""
    timeline = Timeline()
    for event in events:
        timeline.observe(event)
    return timeline
