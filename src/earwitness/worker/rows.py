"""From events and rendered tapes to the rows of the database. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from earwitness.domain.conversation.events import Event
from earwitness.domain.conversation.timeline import Participant as Person
from earwitness.domain.conversation.timeline import Timeline
from earwitness.domain.recording.why import spans
from earwitness.store.internal import FinishedConversation
from earwitness.store.tables import Conversation, Participant, Recording, RecordingObject
from earwitness.worker.rendered import RenderedTape

MEDIA_SUBTYPES = {"trunk": "Trunk", "station": "Station", "user": "Station", "consult": "Consult"}
"""Kind of tape -> ``mediaSubtype`` (A7, A11)."""


@dataclass(frozen=True, slots=True)
class Divisions:
    """Id -> division, of what a conversation touched and is still known (J11)."""

    of_users: Mapping[str, str]
    of_queues: Mapping[str, str]
    of_flows: Mapping[str, str]


def users_of(timeline: Timeline) -> list[str]:
    """Users that took part, in the order of their coming."""
    return list(dict.fromkeys(person.user_id for person in timeline.participants if person.user_id is not None))


def queues_of(timeline: Timeline) -> list[str]:
    """Queues that the conversation was in, in their order."""
    return _touched(timeline, "queue_id")


def flows_of(timeline: Timeline) -> list[str]:
    """Flows that the conversation was in, in their order."""
    return _touched(timeline, "flow_id")


def _touched(timeline: Timeline, name: str) -> list[str]:
    parts = [part for person in timeline.participants for part in (person, *person.segments)]
    return list(dict.fromkeys(value for part in parts if (value := getattr(part, name)) is not None))


def rows_of(
    events: Sequence[Event],
    timeline: Timeline,
    tapes: Sequence[RenderedTape],
    *,
    divisions: Divisions,
    home_division_id: str | None,
    now: int,
) -> FinishedConversation:
    """Every row of a conversation that has ended.

    :param divisions: of everybody and everything it touched that is still known.
    :param home_division_id: division of a conversation that touches no other (J11).
    :param now: UTC microseconds.
    """
    recordings = [_recording(tape, timeline, now) for tape in tapes]
    end = timeline.end if timeline.end is not None else (events[-1].at if events else timeline.start)
    started = next((event.data for event in events if event.type == "conversation.started"), {})
    conversation = Conversation(
        id=timeline.conversation_id,
        organization_id=timeline.organization_id,
        started_at=timeline.start,
        ended_at=end,
        direction=timeline.direction,
        ani=storable(timeline.ani),
        dnis=storable(timeline.dnis),
        cause=storable(timeline.cause or ""),
        edge_id=started.get("edge_id"),
        config_version=started.get("config_version"),
        timeline=timeline.to_document(),
        events=[_event(event) for event in events],
        recording_state=_recording_state(timeline, recordings),
        why=[span.to_document() for span in spans(timeline, end)],
        finalised_at=now,
    )
    participants = [_participant(timeline, person, divisions.of_users) for person in timeline.participants]
    queue_ids, flow_ids = queues_of(timeline), flows_of(timeline)
    of_parties = {row.division_id for row in participants if row.division_id is not None}
    of_queues = {divisions.of_queues[queue_id] for queue_id in queue_ids if queue_id in divisions.of_queues}
    of_flows = {divisions.of_flows[flow_id] for flow_id in flow_ids if flow_id in divisions.of_flows}
    touched = sorted(of_parties | of_queues | of_flows)
    if not touched and home_division_id is not None:
        touched = [home_division_id]
    objects = [
        RecordingObject(
            recording_id=tape.tape_id,
            object_key=item.key,
            role=item.role,
            media_type=item.media_type,
            size=item.size,
            sha256=item.sha256,
            created_at=now,
        )
        for tape in tapes
        for item in tape.objects
    ]
    return FinishedConversation(conversation, participants, recordings, objects, touched, queue_ids)


def storable(text: str) -> str:
    """Text as databases can hold it: what strangers put into a SIP header may have NUL or half a character in it.

    A recording must not fail to be stored because of a display name. Events keep what was said, in JSON.
    """
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode("utf-8")


def _event(event: Event) -> dict[str, Any]:
    return {"seq": event.seq, "at": event.at, "type": event.type, "data": dict(event.data)}


def _recording_state(timeline: Timeline, recordings: Sequence[Recording]) -> str:
    if any(recording.role != "ADHOC" for recording in recordings):
        return "RECORDED"
    return "FAILED" if any(tape.failures for tape in timeline.tapes) else "NONE"


def _participant(timeline: Timeline, person: Person, divisions_of_users: Mapping[str, str]) -> Participant:
    queue_id = person.queue_id or next((segment.queue_id for segment in person.segments if segment.queue_id), None)
    flow_id = person.flow_id or next((segment.flow_id for segment in person.segments if segment.flow_id), None)
    return Participant(
        conversation_id=timeline.conversation_id,
        id=person.participant_id,
        purpose=person.purpose,
        name=storable(person.name) if person.name is not None else None,
        user_id=person.user_id,
        queue_id=queue_id,
        flow_id=flow_id,
        division_id=divisions_of_users.get(person.user_id) if person.user_id else None,
        address=storable(person.address) if person.address is not None else None,
        joined_at=person.start,
        left_at=person.end,
        connected_at=person.connected,
    )


def _recording(tape: RenderedTape, timeline: Timeline, now: int) -> Recording:
    owner = timeline.participant_of(tape.leg_id) if tape.kind == "user" else None
    master = tape.master
    return Recording(
        id=tape.tape_id,
        conversation_id=timeline.conversation_id,
        kind=tape.kind,
        media_subtype=MEDIA_SUBTYPES.get(tape.kind, "Trunk"),
        role="ADHOC" if tape.kind == "user" else "CUSTOMER_EXPERIENCE",
        owner_user_id=owner.user_id if owner is not None else None,
        leg_id=tape.leg_id,
        file_state="AVAILABLE",
        started_at=tape.start_us,
        ended_at=tape.end_us,
        duration_ms=tape.duration_ms,
        audio_format=tape.audio_format,
        mime_type=tape.mime_type,
        channels=tape.channels,
        sample_rate=tape.sample_rate,
        size=master.size,
        sha256=master.sha256,
        annotations=tape.annotations,
        openings=tape.openings,
        quality=tape.quality,
        peaks=tape.peaks,
        created_at=now,
        modified_at=now,
    )
