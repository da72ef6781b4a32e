"""Which division which part of a call is in, and what of a recording somebody with a right to some divisions hears.

A moment is in the division of every user who is up at that moment (talking, holding, consulting, or calling out) and of
the queue that brought the call to that user, of the queue in which the call waits then, and of the flow that has it
then (J11). Somebody who may only hear segments (``recording:recordingSegment:view``, J12) hears the moments in their
divisions. Moments in no division at all, such as the talk of two external parties, are heard by those alone who may
hear the whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from earwitness.domain.conversation.timeline import Participant, Segment, Timeline

PEOPLE = ("user", "agent")
"""Purposes of participants who are the organisation's people."""
OF_USERS = ("interact", "hold", "consult", "dialing")
"""Kinds of segments in which a user is part of the call. Whose phone only rings is not, nor who works after it."""


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of a call that is in a division. UTC microseconds, the end is outside."""

    division_id: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Cut:
    """What of a recording is heard, in ms of its file: stretches in order that do not touch, the ends are outside."""

    stretches: tuple[tuple[int, int], ...]
    start_us: int
    """When the first of it was said."""
    end_us: int
    """When the last of it was."""

    @property
    def length_ms(self) -> int:
        """Of all of it."""
        return sum(end - start for start, end in self.stretches)

    def inside(self, place_ms: int, *, edges: bool = False) -> int | None:
        """Where a place of the file is in what is heard; None: it is not heard.

        :param edges: the end of a stretch counts as well.
        """
        before = 0
        for start, end in self.stretches:
            if start <= place_ms < end or (edges and place_ms == end):
                return before + place_ms - start
            before += end - start
        return None

    def span(self, place_ms: int, length_ms: int) -> tuple[int, int] | None:
        """What is heard of a span of the file, as place and length in what is heard; None: its beginning is not."""
        begin = self.inside(place_ms)
        if begin is None:
            return None
        until = place_ms + length_ms
        return begin, sum(max(0, min(end, until) - max(start, place_ms)) for start, end in self.stretches)

    def outside(self, place_ms: int) -> int:
        """Where a place of what is heard is in the file; places past the end are at the end."""
        before = 0
        for start, end in self.stretches:
            if place_ms < before + end - start:
                return start + place_ms - before
            before += end - start
        return self.stretches[-1][1] if self.stretches else 0


def parts_of(
    timeline: Timeline,
    end: int,
    *,
    of_users: Mapping[str, str],
    of_queues: Mapping[str, str],
    of_flows: Mapping[str, str],
) -> list[Part]:
    """The parts of a call by division, joined where they touch, in order.

    :param end: of the call, for what nobody saw end; UTC microseconds.
    :param of_users: id -> division at the time of the call; those of queues and flows alike.
    """
    found: dict[str, list[tuple[int, int]]] = {}
    for person in timeline.participants:
        for segment in person.segments:
            for division_id in _divisions(person, segment, of_users, of_queues, of_flows):
                until = segment.end if segment.end is not None else person.end if person.end is not None else end
                if until > segment.start:
                    found.setdefault(division_id, []).append((segment.start, until))
    return [
        Part(division_id, start, stop) for division_id in sorted(found) for start, stop in joined(found[division_id])
    ]


def _divisions(
    person: Participant,
    segment: Segment,
    of_users: Mapping[str, str],
    of_queues: Mapping[str, str],
    of_flows: Mapping[str, str],
) -> set[str]:
    found: set[str | None] = set()
    if person.purpose in PEOPLE:
        if segment.kind in OF_USERS:
            queue_id = segment.queue_id or person.queue_id
            found |= {of_users.get(person.user_id or ""), of_queues.get(queue_id or "")}
    elif segment.kind == "queue":
        found.add(of_queues.get(segment.queue_id or person.queue_id or ""))
    elif segment.kind == "ivr":
        found.add(of_flows.get(segment.flow_id or person.flow_id or ""))
    return {division_id for division_id in found if division_id is not None}


def joined(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Spans in order, those that touch or overlap made one."""
    found: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if end <= start:
            continue
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found


def cut_of(
    spans: Iterable[tuple[int, int]], openings: Sequence[Mapping[str, int]], started_at: int, duration_ms: int
) -> Cut:
    """What is heard of a recording.

    :param spans: the times that may be heard, UTC microseconds.
    :param openings: when the tape was open, ``{"from_us", "to_us"}``; the file is these, one after the other. Without
        any it is one that begins at ``started_at``.
    :param duration_ms: of the file; no stretch goes beyond it.
    """
    heard = joined(spans)
    tape = [(int(item["from_us"]), int(item["to_us"])) for item in openings]
    tape = tape or [(started_at, started_at + duration_ms * 1000)]
    before, pieces, times = 0, [], []
    for opened, closed in tape:
        for start, end in heard:
            first, last = max(start, opened), min(end, closed)
            if last > first:
                pieces.append((before + first - opened, before + last - opened))
                times += [first, last]
        before += max(0, closed - opened)
    stretches = []
    for start, end in joined(pieces):
        first_ms, last_ms = -(-start // 1000), min(end // 1000, duration_ms)  # never a moment more
        if last_ms > first_ms:
            stretches.append((first_ms, last_ms))
    return Cut(tuple(stretches), min(times, default=started_at), max(times, default=started_at))


def annotations_within(annotations: Iterable[Mapping[str, Any]], cut: Cut) -> list[dict[str, Any]]:
    """Pauses and bookmarks of what is heard, with the places that they have in it (B12); the others are left out.

    A pause has no length in the file. It is heard where the audio before or after it is.
    """
    found: list[dict[str, Any]] = []
    paused = 0
    for stored in sorted(annotations, key=lambda item: int(item.get("absoluteLocation") or 0)):
        place, length = int(stored.get("absoluteLocation") or 0), int(stored.get("absoluteDurationMs") or 0)
        moved = dict(stored)
        if stored.get("type", "pause") == "pause":
            at = cut.inside(place, edges=True)
            if at is None:
                continue
            moved["realtimeLocation"] = at + paused
            if at > 0:  # one before all that is heard moves nothing
                paused += int(stored.get("durationMs") or 0)
        else:
            span = cut.span(place, length)
            if span is None:
                continue
            at = span[0]
            moved |= dict.fromkeys(("durationMs", "absoluteDurationMs", "recordingDurationMs"), span[1])
            moved["realtimeLocation"] = at + paused
        moved |= dict.fromkeys(("location", "absoluteLocation", "recordingLocation"), at)
        found.append(moved)
    return found
