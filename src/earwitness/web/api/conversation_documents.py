"""A time line as the contract's Conversation, CallConversation and call history documents."""

from __future__ import annotations

from pydantic import Field

from earwitness.domain.conversation.timeline import Leg, Participant, Segment, Timeline
from earwitness.web.api.divisions import DivisionReference
from earwitness.web.kernel.documents import Document, Moment, Reference

DISCONNECT_TYPES = {
    "endpoint", "endpoint.donotdisturb", "client", "system", "timeout", "transfer", "transfer.conference",
    "transfer.consult", "transfer.donotdisturb", "transfer.forward", "transfer.noanswer", "transfer.notavailable",
    "transport.failure", "error", "peer", "other", "spam", "uncallable",
}  # fmt: skip
CAUSES = {
    "hangup": "endpoint",
    "rejected": "client",
    "cancelled": "peer",
    "noanswer": "transfer.noanswer",
    "shutdown": "system",
    "crash": "error",
}
"""Causes of our own -> ``disconnectType``."""


class Address(Document):
    """One end of a call."""

    name: str | None = None
    address_normalized: str
    address_raw: str
    address_displayable: str


class RecordersState(Document):
    """What each recorder of a call does."""

    adhoc_state: str
    customer_experience_state: str
    agent_experience_state: str
    snippet_state: str


class SegmentDocument(Document):
    """A stretch of a call."""

    start_time: Moment
    end_time: Moment | None = None
    type: str
    how_ended: str | None = None
    disconnect_type: str | None = None


class CallDocument(Document):
    """A participant's call."""

    state: str
    initial_state: str
    id: str
    direction: str
    recording: bool
    recording_state: str
    recorders_state: RecordersState
    muted: bool
    confined: bool
    held: bool
    secure_pause: bool
    segments: list[SegmentDocument]
    disconnect_type: str | None = None
    start_hold_time: Moment | None = None
    start_alerting_time: Moment | None = None
    connected_time: Moment | None = None
    disconnected_time: Moment | None = None
    provider: str
    self_: Address = Field(alias="self")
    other: Address | None = None
    after_call_work_required: bool


class ParticipantDocument(Document):
    """Somebody on a conversation."""

    id: str
    start_time: Moment
    end_time: Moment | None = None
    connected_time: Moment | None = None
    name: str | None = None
    user_uri: str | None = None
    user_id: str | None = None
    queue_id: str | None = None
    purpose: str
    participant_type: str
    address: str | None = None
    ani: str | None = None
    dnis: str | None = None
    wrapup_required: bool
    attributes: dict[str, str]
    calls: list[CallDocument]


class DivisionMembership(Document):
    """A division that a conversation touched."""

    division: DivisionReference
    entities: list[Reference]


class ConversationDocument(Document):
    """A conversation."""

    id: str
    external_tag: str | None = None
    start_time: Moment
    end_time: Moment | None = None
    address: str
    participants: list[ParticipantDocument]
    conversation_ids: list[str]
    recording_state: str
    state: str
    divisions: list[DivisionMembership]
    recent_transfers: list[dict[str, str]]
    secure_pause: bool
    self_uri: str


class CallMediaParticipantDocument(Document):
    """Somebody on a call."""

    id: str
    name: str | None = None
    address: str | None = None
    start_time: Moment
    start_alerting_time: Moment | None = None
    connected_time: Moment | None = None
    end_time: Moment | None = None
    start_hold_time: Moment | None = None
    purpose: str
    state: str
    direction: str
    disconnect_type: str | None = None
    held: bool
    wrapup_required: bool
    user: Reference | None = None
    queue: Reference | None = None
    attributes: dict[str, str]
    provider: str
    muted: bool
    confined: bool
    recording: bool
    recording_state: str
    recorders_state: RecordersState
    ani: str | None = None
    dnis: str | None = None
    secure_pause: bool


class CallConversationDocument(Document):
    """A conversation, seen as a call."""

    id: str
    participants: list[CallMediaParticipantDocument]
    other_media_uris: list[str]
    recent_transfers: list[dict[str, str]]
    divisions: list[DivisionMembership]
    recording_state: str
    secure_pause: bool
    self_uri: str


def conversation_document(
    timeline: Timeline, divisions: list[DivisionReference], external_tag: str | None = None
) -> ConversationDocument:
    """The document of a conversation, be it in progress or over."""
    return ConversationDocument(
        id=timeline.conversation_id,
        external_tag=external_tag,
        start_time=timeline.start,
        end_time=timeline.end,
        address=timeline.ani if timeline.direction == "inbound" else timeline.dnis,
        participants=[_participant(timeline, item) for item in timeline.participants],
        conversation_ids=[],
        recording_state=timeline.recording_state.upper(),
        state=_state(timeline),
        divisions=[DivisionMembership(division=division, entities=[]) for division in divisions],
        recent_transfers=[],
        secure_pause=timeline.secure_pause and timeline.end is None,
        self_uri=f"/api/v2/conversations/{timeline.conversation_id}",
    )


def call_document(timeline: Timeline, divisions: list[DivisionReference]) -> CallConversationDocument:
    """The same, as a call."""
    return CallConversationDocument(
        id=timeline.conversation_id,
        participants=[_media_participant(timeline, item) for item in timeline.participants],
        other_media_uris=[],
        recent_transfers=[],
        divisions=[DivisionMembership(division=division, entities=[]) for division in divisions],
        recording_state=timeline.recording_state,
        secure_pause=timeline.secure_pause and timeline.end is None,
        self_uri=f"/api/v2/conversations/calls/{timeline.conversation_id}",
    )


def _state(timeline: Timeline) -> str:
    if timeline.end is not None:
        return "disconnected"
    return "connected" if timeline.answered is not None else "alerting"


def _participant(timeline: Timeline, item: Participant) -> ParticipantDocument:
    return ParticipantDocument(
        id=item.participant_id,
        start_time=item.start,
        end_time=item.end,
        connected_time=item.connected,
        name=item.name,
        user_uri=f"/api/v2/users/{item.user_id}" if item.user_id else None,
        user_id=item.user_id,
        queue_id=_queue(item),
        purpose=item.purpose,
        participant_type="External" if item.purpose == "external" else "Internal",
        address=item.address,
        ani=item.ani or timeline.ani or None,
        dnis=item.dnis or timeline.dnis or None,
        wrapup_required=False,
        attributes=_attributes(timeline, item),
        calls=[_call(timeline, item, leg) for leg in item.legs],
    )


def _call(timeline: Timeline, item: Participant, leg: Leg) -> CallDocument:
    others = [other for other in timeline.participants if other is not item and other.address]
    return CallDocument(
        state=leg.state,
        initial_state="dialing" if leg.direction == "outbound" else "alerting",
        id=leg.leg_id,
        direction=direction_of(timeline, item, leg),
        recording=_adhoc(timeline, leg),
        recording_state=timeline.recording_state,
        recorders_state=_recorders(timeline, leg),
        muted=False,
        confined=False,
        held=item.held and leg.ended is None,
        secure_pause=timeline.secure_pause and leg.ended is None,
        segments=[_segment(segment) for segment in item.segments],
        disconnect_type=_disconnect_type(leg.cause) if leg.ended is not None else None,
        start_hold_time=_hold_start(item) if leg.ended is None else None,
        start_alerting_time=leg.ringing,
        connected_time=leg.answered,
        disconnected_time=leg.ended,
        provider="Edge",
        self=_address(item.address or leg.address, item.name),
        other=_address(others[0].address or "", others[0].name) if others else None,
        after_call_work_required=False,
    )


def _media_participant(timeline: Timeline, item: Participant) -> CallMediaParticipantDocument:
    leg = item.legs[-1] if item.legs else None
    over = leg is not None and leg.ended is not None
    idle = RecordersState(
        adhoc_state="NONE", customer_experience_state="NONE", agent_experience_state="NONE", snippet_state="NONE"
    )
    state = leg.state if leg is not None else ("connected" if item.end is None else "disconnected")
    return CallMediaParticipantDocument(
        id=item.participant_id,
        name=item.name,
        address=item.address,
        start_time=item.start,
        start_alerting_time=leg.ringing if leg is not None else None,
        connected_time=item.connected,
        end_time=item.end,
        start_hold_time=None if over else _hold_start(item),
        purpose=item.purpose,
        state=state,
        direction=direction_of(timeline, item, leg),
        disconnect_type=_media_disconnect_type(leg.cause) if leg is not None and over else None,
        held=item.held and not over,
        wrapup_required=False,
        user=user_of(item),
        queue=Reference(id=queue, self_uri=f"/api/v2/routing/queues/{queue}") if (queue := _queue(item)) else None,
        attributes=_attributes(timeline, item),
        provider="Edge",
        muted=False,
        confined=False,
        recording=leg is not None and _adhoc(timeline, leg),
        recording_state=timeline.recording_state,
        recorders_state=_recorders(timeline, leg) if leg is not None else idle,
        ani=item.ani or timeline.ani or None,
        dnis=item.dnis or timeline.dnis or None,
        secure_pause=timeline.secure_pause and not over,
    )


def direction_of(timeline: Timeline, item: Participant, leg: Leg | None) -> str:
    """As the contract sees it: an agent who is called has an inbound call, one who dials an outbound one."""
    if leg is None or leg.kind == "trunk":
        if leg is not None:
            return leg.direction
        return "inbound" if timeline.direction == "inbound" else "outbound"
    return "outbound" if leg.direction == "inbound" else "inbound"


def user_of(item: Participant) -> Reference | None:
    """The user that a participant is."""
    if item.user_id is None:
        return None
    return Reference(id=item.user_id, name=item.name, self_uri=f"/api/v2/users/{item.user_id}")


def _queue(item: Participant) -> str | None:
    return next((segment.queue_id for segment in reversed(item.segments) if segment.queue_id), None)


def _attributes(timeline: Timeline, item: Participant) -> dict[str, str]:
    """C11: the caller's answer is data."""
    asked = timeline.consent != "unset" and item.purpose == "external"
    return {"earwitness.consent": timeline.consent} if asked else {}


def _adhoc(timeline: Timeline, leg: Leg) -> bool:
    return any(tape.kind == "user" and tape.leg_id == leg.leg_id and tape.capturing for tape in timeline.tapes)


def _recorders(timeline: Timeline, leg: Leg) -> RecordersState:
    return RecordersState(
        adhoc_state="ACTIVE" if _adhoc(timeline, leg) else "NONE",
        customer_experience_state=timeline.recording_state.upper(),
        agent_experience_state="NONE",
        snippet_state="NONE",
    )


def _segment(segment: Segment) -> SegmentDocument:
    over = segment.end is not None and segment.cause is not None
    return SegmentDocument(
        start_time=segment.start,
        end_time=segment.end,
        type=segment.kind,
        how_ended="Disconnect" if over else None,
        disconnect_type=_disconnect_type(segment.cause) if over else None,
    )


def _hold_start(item: Participant) -> int | None:
    return next((segment.start for segment in item.segments if segment.kind == "hold" and segment.end is None), None)


def _disconnect_type(cause: str | None) -> str:
    return cause if cause in DISCONNECT_TYPES else CAUSES.get(cause or "", "other")


def _media_disconnect_type(cause: str | None) -> str:
    """The participant's list of types knows neither ``timeout`` nor ``uncallable``."""
    known = _disconnect_type(cause)
    return {"timeout": "inactivity", "uncallable": "other"}.get(known, known)


def _address(text: str, name: str | None) -> Address:
    displayable = text.removeprefix("tel:").removeprefix("sip:")
    return Address(name=name, address_normalized=text, address_raw=text, address_displayable=displayable)
