"""What can happen in a conversation: the vocabulary of ``events.jsonl``.

The edge appends one JSON object a line to ``spool/<conversation id>/events.jsonl``::

    {"seq": 3, "at": 1795353600000000, "type": "leg.answered", "data": {"leg_id": "…"}}

``seq`` counts from 0 without holes, ``at`` is UTC in microseconds on a clock that never steps within a conversation.
``EVENT_FIELDS`` is the vocabulary: each type with its fields, required ones first. Everything that is known about a
conversation afterwards (time line, "why", API documents) is a fold over these events and nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

EventData = Mapping[str, Any]
_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


class EventError(ValueError):
    """An event that the vocabulary does not know, or one without its required fields."""


@dataclass(frozen=True, slots=True)
class Event:
    """One fact of a conversation."""

    seq: int
    """Position in the conversation, from 0."""
    at: int
    """When, UTC microseconds."""
    type: str
    """One of ``EVENT_FIELDS``."""
    data: EventData
    """Fields of the type; plain JSON values."""

    def to_json(self) -> str:
        """One line of ``events.jsonl``, without the line feed."""
        record = {"seq": self.seq, "at": self.at, "type": self.type, "data": dict(self.data)}
        return _encode(record)


@dataclass(frozen=True, slots=True)
class Fields:
    """The fields of one event type."""

    required: tuple[str, ...]
    optional: tuple[str, ...] = ()


EVENT_FIELDS: dict[str, Fields] = {
    # The conversation as a whole. cause: hangup, rejected, cancelled, noanswer, timeout, shutdown, crash, error.
    "conversation.started": Fields(
        ("conversation_id", "organization_id", "direction", "ani", "dnis"), ("config_version", "edge_id")
    ),
    "conversation.ended": Fields(("cause",), ("by",)),
    # Legs. kind: trunk or station; direction as seen from us: inbound = they called us. consent: of a caller who comes
    # from another conversation, what was said there: granted or unset.
    "leg.offered": Fields(
        ("leg_id", "participant_id", "kind", "direction", "external", "address"),
        ("trunk_id", "trunk_base_id", "station_id", "user_id", "sip_call_id", "consent"),
    ),
    "leg.ringing": Fields(("leg_id",)),
    "leg.answered": Fields(("leg_id",)),
    "leg.media": Fields(("leg_id", "payload_types"), ("telephone_event", "remote", "sending", "receiving")),
    "leg.ended": Fields(("leg_id", "cause"), ("sip_status", "reason")),
    # Participants. purpose: external, user, agent, ivr, acd.
    "participant.joined": Fields(
        ("participant_id", "purpose"), ("name", "user_id", "address", "ani", "dnis", "queue_id", "flow_id")
    ),
    "participant.left": Fields(("participant_id", "cause")),
    # Values that flows, scripts and people have attached; a null value removes one.
    "participant.data": Fields(("participant_id", "attributes"), ("by",)),
    "participant.muted": Fields(("participant_id", "muted"), ("by",)),
    # Segments. kind: dialing, alerting, interact, hold, ivr, queue, consult, wrapup.
    "segment.started": Fields(
        ("segment_id", "participant_id", "kind"),
        ("flow_id", "flow_version", "queue_id", "by", "suppress_recording"),
    ),
    "segment.ended": Fields(("segment_id",), ("cause",)),
    # The language that a flow speaks with the caller: told when it begins to, and when it changes.
    "conversation.language": Fields(("language",), ("flow_id",)),
    # A flow took its error path.
    "flow.failed": Fields(("flow_id", "error"), ("where",)),
    # An agent's phone rang for a queue and nobody took it. cause: timeout, rejected, unreachable.
    "agent.not_responding": Fields(("participant_id", "user_id", "queue_id", "cause")),
    # After-call work: told when the agent's leg of a queue call has ended; prompt as in the contract, timeout in s.
    "acw.started": Fields(("participant_id", "user_id", "queue_id", "prompt", "timeout_s"), ("leg_id",)),
    "wrapup.given": Fields(("participant_id", "code"), ("name", "notes", "by", "tags")),
    # What people decided.
    "consent.granted": Fields(("leg_id",), ("flow_id", "flow_version", "question", "language", "answer")),
    "consent.refused": Fields(("leg_id",), ("flow_id", "flow_version", "question", "language", "answer")),
    "user_recording.on": Fields(("participant_id", "user_id", "leg_id")),
    "user_recording.off": Fields(("participant_id", "user_id", "leg_id")),
    "secure_pause.on": Fields(("by",)),
    "secure_pause.off": Fields(("by",)),
    "user_recording.refused": Fields(("participant_id", "user_id", "reasons")),
    # kind: blind, attended, consult, replace, flow; target: an address, or an id of target_type.
    "transferred": Fields(("kind", "target", "external"), ("by", "target_type", "participant_id")),
    "transfer.failed": Fields(("kind", "target", "error"), ("by", "target_type", "sip_status")),
    "conference.started": Fields(("participants",), ("by",)),
    "dtmf": Fields(("leg_id",), ("digit",)),
    # Media facts. channel 0 = said by the leg's party, 1 = sent to it.
    "source.changed": Fields(("leg_id", "channel", "cause"), ("ssrc", "payload_type", "address")),
    "gap": Fields(("leg_id", "channel", "from_us", "to_us", "cause")),
    # Tapes. reasons: [{"row": …, "why": …}] of domain.recording.
    # level_control: the trunk asks for even levels of this recording.
    "tape.opened": Fields(
        ("tape_id", "opening", "leg_id", "kind", "dual_channel", "audio_format"), ("reasons", "level_control")
    ),
    "tape.closed": Fields(("tape_id", "opening", "reasons")),
    "tape.withheld": Fields(("tape_id", "leg_id", "kind", "reasons")),
    "tape.failed": Fields(("tape_id", "error"), ("opening",)),
    # It is written again, and what had waited with it.
    "tape.recovered": Fields(("tape_id",), ("opening",)),
    # What it captured so far is destroyed, whether its files are gone already or not.
    "tape.destroyed": Fields(("tape_id", "leg_id", "kind", "reasons")),
}


def check(event_type: str, data: EventData) -> None:
    """Holds an event against the vocabulary.

    :raises EventError: unknown type, missing field or unknown field.
    """
    fields = EVENT_FIELDS.get(event_type)
    if fields is None:
        raise EventError(f"unknown event type {event_type!r}")
    missing = [name for name in fields.required if name not in data]
    unknown = [name for name in data if name not in fields.required and name not in fields.optional]
    if missing or unknown:
        raise EventError(f"event {event_type}: missing fields {missing}, unknown fields {unknown}")


def parse(line: str | bytes) -> Event:
    """Reads one line of ``events.jsonl``.

    :raises EventError: not JSON, not an object, or not in the vocabulary.
    """
    try:
        record = json.loads(line)
        event = Event(int(record["seq"]), int(record["at"]), str(record["type"]), record["data"])
    except (ValueError, TypeError, KeyError) as error:
        raise EventError(f"not an event: {error}") from error
    if not isinstance(event.data, dict):
        raise EventError("not an event: data is no object")
    check(event.type, event.data)
    return event


def parse_lines(lines: Iterable[str | bytes]) -> Iterator[Event]:
    """Reads a whole log. A last line that a crash cut short is dropped; a broken line elsewhere raises EventError."""
    pending: EventError | None = None
    for line in lines:
        if not line.strip():
            continue
        if pending is not None:
            raise pending
        try:
            event = parse(line)
        except EventError as error:
            pending = error
            continue
        yield event
