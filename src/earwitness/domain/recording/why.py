"""Why was a stretch of a call recorded, or not? Answered from the time line alone (idea 5 of the design)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from earwitness.domain.conversation.timeline import Leg, Participant, Tape, Timeline, Word

Told = dict[str, str]
"""A reason as it stands in events: ``row``, ``why`` and perhaps ``setting``."""

NO_ANSWER: Told = {"row": "leg", "why": "the call was not answered, so there was nothing to record"}
INTERNAL: Told = {
    "row": "external",
    "why": "a call between internal users is not recorded unless one of them records it, or both stations do",
}
DESTROYED: Told = {
    "row": "consent",
    "why": "not recorded: consent refused; what had been captured before the answer was destroyed",
}
FLOW: Told = {
    "row": "flow",
    "why": "inside a flow that does not suppress recording",
    "setting": "suppressRecording=false",
}
QUEUE: Told = {
    "row": "queue",
    "why": "waiting in a queue whose wait is recorded",
    "setting": "suppressInQueueCallRecording=false",
}
HOLD: Told = {
    "row": "hold",
    "why": "on hold, and this trunk records holds",
    "setting": "trunk_disallow_recording_during_hold=false",
}
ONWARD: Told = {
    "row": "external_transfer",
    "why": "only external parties are left, and this trunk continues on external transfer",
    "setting": "trunk_recording_externalTransfersEnabled=true",
}
CONFERENCE: Told = {
    "row": "external_transfer",
    "why": "only external parties are left of the conference, and the organization goes on recording",
    "setting": "stopRecordingWhenOnlyExternalParticipants=false",
}
BOTH: Told = {
    "row": "party",
    "why": "a call between users, and every station on it records",
    "setting": "trunk_recording_enabled=true",
}
STATION_HOLD: Told = {**HOLD, "why": "on hold, and this station records holds"}
MOMENT_US = 50_000
"""Events of one step of a call lie closer together; what lies between two of them is no stretch of its own."""
LASTING_ROWS = frozenset({"trunk", "station", "consent", "consult"})
"""Rows whose yes holds for as long as the tape stays open."""


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of one tape."""

    tape_id: str | None
    kind: str
    start: int
    """UTC microseconds."""
    end: int
    captured: bool
    reasons: tuple[Told, ...]

    def to_document(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "tapeId": self.tape_id,
            "kind": self.kind,
            "start": self.start,
            "end": self.end,
            "captured": self.captured,
            "reasons": list(self.reasons),
        }


def spans(timeline: Timeline, now: int) -> list[Span]:
    """Every stretch of every tape of the conversation, in order, up to its end or ``now`` (UTC microseconds).

    A conversation that never had a tape gives one span that says why. Nothing was captured of a tape that was
    destroyed (C1).
    """
    end = timeline.end if timeline.end is not None else now
    if not timeline.tapes:
        reason = INTERNAL if timeline.answered is not None and not timeline.external else NO_ANSWER
        return [Span(None, "trunk", timeline.start, end, captured=False, reasons=(reason,))]
    return [span for tape in timeline.tapes for span in _tape_spans(tape, timeline, end)]


def _tape_spans(tape: Tape, timeline: Timeline, end: int) -> Iterator[Span]:
    leg = timeline.leg(tape.leg_id)
    last = leg.ended if leg is not None and leg.ended is not None else end
    ends = [word.at for word in tape.words[1:]] + [max(last, tape.words[-1].at)] if tape.words else []
    for word, until in zip(tape.words, ends, strict=True):
        if (until == word.at or _only_over(word)) and len(tape.words) > 1:
            continue
        if word.captured and tape.destroyed is not None:
            yield Span(tape.tape_id, tape.kind, word.at, until, captured=False, reasons=(DESTROYED,))
        elif word.captured and tape.kind != "user" and leg is not None:
            yield from _captured_spans(tape, word, until, timeline, leg)
        else:
            yield Span(tape.tape_id, tape.kind, word.at, until, word.captured, tuple(word.reasons))


def _only_over(word: Word) -> bool:
    """Whether the word says no more than that the leg ended."""
    return not word.captured and all(reason.get("row") == "leg" for reason in word.reasons)


def _captured_spans(tape: Tape, word: Word, until: int, timeline: Timeline, leg: Leg) -> Iterator[Span]:
    """What was captured in one go, cut where another setting permitted it."""
    lasting = tuple(reason for reason in word.reasons if reason.get("row") in LASTING_ROWS)
    permissions = _permissions if leg.kind == "trunk" else _station_permissions
    edges = {word.at, until} | {at for at in _changes(timeline) if word.at < at < until}
    stretches: list[tuple[int, int, tuple[Told, ...]]] = []
    for start, stop in pairwise(sorted(edges)) if until > word.at else [(word.at, until)]:
        reasons = (*lasting, *permissions(timeline, leg, start))
        if stretches and (stretches[-1][2] == reasons or stop - start < MOMENT_US):
            stretches[-1] = (stretches[-1][0], stop, stretches[-1][2])
        elif stretches and stretches[-1][1] - stretches[-1][0] < MOMENT_US:
            stretches[-1] = (stretches[-1][0], stop, reasons)
        else:
            stretches.append((start, stop, reasons))
    for start, stop, reasons in stretches:
        yield Span(tape.tape_id, tape.kind, start, stop, captured=True, reasons=reasons)


def _changes(timeline: Timeline) -> Iterator[int]:
    for person in timeline.participants:
        yield from (at for segment in person.segments for at in (segment.start, segment.end) if at is not None)
        yield from (at for leg in person.legs for at in (leg.answered, leg.ended) if at is not None)
        yield from (at for at in (person.start, person.end) if at is not None)


def _permissions(timeline: Timeline, leg: Leg, at: int) -> Iterator[Told]:
    """Why a tape that captures may do so at that moment, beside that its trunk records; see ``rules.TRUNK_ROWS``."""
    on = [person for person in timeline.participants if person.start <= at and (person.end is None or at < person.end)]
    doing = {kind for person in on for kind in _doing(person, at)}
    people = [person for person in on if person.purpose in ("user", "agent")]
    talking = [person for person in people if _is_up(person, at) and "consult" not in _doing(person, at)]
    owner = next((person for person in on if leg in person.legs), None)
    if not talking:
        if "ivr" in doing:
            yield FLOW
        if "queue" in doing:
            yield QUEUE
    held_by_all = bool(talking) and all("hold" in _doing(person, at) for person in talking)
    if owner is not None and ("hold" in _doing(owner, at) or (held_by_all and "consult" not in _doing(owner, at))):
        yield HOLD
    if not people and not doing & {"ivr", "queue"}:
        yield CONFERENCE if timeline.conference is not None and timeline.conference <= at else ONWARD


def _station_permissions(timeline: Timeline, leg: Leg, at: int) -> Iterator[Told]:
    """Why a tape of a station that captures may do so at that moment; see ``station.STATION_ROWS``."""
    up = [person for person in timeline.participants if _is_up(person, at)]
    doing = {person.participant_id: _doing(person, at) for person in up}
    owner = next((person for person in up if leg in person.legs), None)
    if owner is None:
        return
    consults = any("consult" in kinds for kinds in doing.values())
    if "consult" in doing[owner.participant_id] or ("hold" in doing[owner.participant_id] and consults):
        company = [p for p in up if p is not owner and doing[p.participant_id] & {"consult", "hold"}]
        company = [p for p in company if not any(x.external for x in p.legs) or "consult" in doing[p.participant_id]]
    else:
        company = [person for person in up if person is not owner and "consult" not in doing[person.participant_id]]
    if company and not any(other.external for person in company for other in person.legs):
        yield BOTH
    held = "consult" not in doing[owner.participant_id] and bool(company)
    if "hold" in doing[owner.participant_id] or (held and all("hold" in doing[p.participant_id] for p in company)):
        yield STATION_HOLD


def _doing(person: Participant, at: int) -> set[str]:
    return {item.kind for item in person.segments if item.start <= at and (item.end is None or at < item.end)}


def _is_up(person: Participant, at: int) -> bool:
    return any(
        leg.answered is not None and leg.answered <= at and (leg.ended is None or at < leg.ended) for leg in person.legs
    )
