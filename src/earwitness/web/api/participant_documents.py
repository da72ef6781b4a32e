"""Who is on a conversation, and how: the contract's Participant, Call and CallMediaParticipant documents."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from earwitness.domain.conversation.timeline import Leg, Participant, Segment, Timeline
from earwitness.web.api.participant_data import shown_attributes
from earwitness.web.api.recorder_states import RecordersState, adhoc, recorders
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
PROMPTS = {
    "MANDATORY": "mandatory",
    "OPTIONAL": "optional",
    "AGENT_REQUESTED": "agentRequested",
    "MANDATORY_TIMEOUT": "timeout",
    "MANDATORY_FORCED_TIMEOUT": "forcedTimeout",
}
"""A queue's ``wrapupPrompt`` -> a participant's."""


class Address(Document):
    """One end of a call."""

    name: str | None = None
    address_normalized: str
    address_raw: str
    address_displayable: str


class SegmentDocument(Document):
    """A stretch of a call."""

    start_time: Moment
    end_time: Moment | None = None
    type: str
    how_ended: str | None = None
    disconnect_type: str | None = None


class WrapupDocument(Document):
    """What an agent said a call was about."""

    code: str | None = None
    name: str | None = None
    notes: str | None = None
    tags: list[str]
    duration_seconds: int
    end_time: Moment


class AfterCallWorkDocument(Document):
    """An agent's work after a call."""

    start_time: Moment
    end_time: Moment | None = None
    state: str


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
    recording_id: str | None = None
    segments: list[SegmentDocument]
    disconnect_type: str | None = None
    start_hold_time: Moment | None = None
    start_alerting_time: Moment | None = None
    connected_time: Moment | None = None
    disconnected_time: Moment | None = None
    provider: str
    self_: Address = Field(alias="self")
    other: Address | None = None
    wrapup: WrapupDocument | None = None
    after_call_work: AfterCallWorkDocument | None = None
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
    consult_participant_id: str | None = None
    address: str | None = None
    ani: str | None = None
    dnis: str | None = None
    wrapup_required: bool
    wrapup_prompt: str | None = None
    wrapup_timeout_ms: int | None = None
    wrapup: WrapupDocument | None = None
    start_acw_time: Moment | None = None
    end_acw_time: Moment | None = None
    attributes: dict[str, str]
    calls: list[CallDocument]


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
    wrapup_prompt: str | None = None
    wrapup_timeout_ms: int | None = None
    wrapup: WrapupDocument | None = None
    start_acw_time: Moment | None = None
    end_acw_time: Moment | None = None
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
    consult_participant_id: str | None = None
    secure_pause: bool


def participant_document(timeline: Timeline, item: Participant) -> ParticipantDocument:
    """A participant with its calls. Flows and queues have no leg; they have one call all the same."""
    return ParticipantDocument(
        id=item.participant_id,
        start_time=item.start,
        end_time=item.end,
        connected_time=item.connected,
        name=item.name,
        user_uri=f"/api/v2/users/{item.user_id}" if item.user_id else None,
        user_id=item.user_id,
        queue_id=queue_of(item),
        purpose=item.purpose,
        participant_type="External" if item.purpose == "external" else "Internal",
        address=item.address,
        ani=item.ani or timeline.ani or None,
        dnis=item.dnis or timeline.dnis or None,
        consult_participant_id=consult_partner(timeline, item),
        attributes=shown_attributes(timeline, item),
        calls=[_call(timeline, item, leg) for leg in item.legs] or [_call(timeline, item, None)],
        **_wrapup_fields(item),
    )


def media_participant_document(timeline: Timeline, item: Participant) -> CallMediaParticipantDocument:
    """A participant, as its last call: of phones that rang at once, the one that was answered."""
    legs = [leg for leg in item.legs if leg.answered is not None] or item.legs
    leg = legs[-1] if legs else None
    over = _over(item, leg)
    queue = queue_of(item)
    cause = leg.cause if leg is not None else item.cause
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
        state=_state(item, leg),
        direction=direction_of(timeline, item, leg),
        disconnect_type=_media_disconnect_type(cause) if over else None,
        held=item.held and not over,
        user=user_of(item),
        queue=Reference(id=queue, self_uri=f"/api/v2/routing/queues/{queue}") if queue else None,
        attributes=shown_attributes(timeline, item),
        provider="Edge",
        muted=item.muted and not over,
        confined=False,
        recording=adhoc(timeline, leg) != "NONE",
        recording_state="none" if over else timeline.recording_state,
        recorders_state=recorders(timeline, leg, over=over),
        ani=item.ani or timeline.ani or None,
        dnis=item.dnis or timeline.dnis or None,
        consult_participant_id=consult_partner(timeline, item),
        secure_pause=timeline.secure_pause and not over,
        **_wrapup_fields(item),
    )


def _call(timeline: Timeline, item: Participant, leg: Leg | None) -> CallDocument:
    others = [other for other in timeline.participants if other is not item and other.address]
    over = _over(item, leg)
    cause = leg.cause if leg is not None else item.cause
    ended = leg.ended if leg is not None else item.end
    own = item.address or (leg.address if leg is not None else "")
    tape = next((t for t in timeline.tapes if leg is not None and t.leg_id == leg.leg_id and t.kind != "user"), None)
    return CallDocument(
        state=_state(item, leg),
        initial_state="dialing" if leg is not None and leg.direction == "outbound" else "alerting",
        id=leg.leg_id if leg is not None else item.participant_id,
        direction=direction_of(timeline, item, leg),
        recording=adhoc(timeline, leg) != "NONE",
        recording_state="none" if over else timeline.recording_state,
        recorders_state=recorders(timeline, leg, over=over),
        muted=item.muted and not over,
        confined=False,
        held=item.held and not over,
        secure_pause=timeline.secure_pause and not over,
        recording_id=tape.tape_id if tape is not None and tape.openings and tape.destroyed is None else None,
        segments=[_segment(segment) for segment in item.segments],
        disconnect_type=_disconnect_type(cause) if over else None,
        start_hold_time=None if over else _hold_start(item),
        start_alerting_time=leg.ringing if leg is not None else None,
        connected_time=leg.answered if leg is not None else item.start,
        disconnected_time=ended,
        provider="Edge",
        self=_address(own, item.name),
        other=_address(others[0].address or "", others[0].name) if others else None,
        wrapup=wrapup_document(item),
        after_call_work=_after_call_work(item),
        after_call_work_required=item.acw is not None,
    )


def wrapup_document(item: Participant) -> WrapupDocument | None:
    """What the agent said the call was about, if it did."""
    said = item.wrapup
    if said is None or said.get("skipped"):
        return None
    since = item.acw["at"] if item.acw is not None else said["at"]
    return WrapupDocument(
        code=said.get("code"),
        name=said.get("name"),
        notes=said.get("notes"),
        tags=list(said.get("tags") or []),
        duration_seconds=max(0, said["at"] - since) // 1_000_000,
        end_time=said["at"],
    )


def _wrapup_fields(item: Participant) -> dict[str, Any]:
    acw, said = item.acw, item.wrapup
    prompt = str(acw.get("prompt")) if acw is not None else ""
    return {
        "wrapup_required": acw is not None and prompt.startswith("MANDATORY"),
        "wrapup_prompt": PROMPTS.get(prompt),
        "wrapup_timeout_ms": int(float(acw["timeout_s"]) * 1000) if acw is not None and "timeout_s" in acw else None,
        "wrapup": wrapup_document(item),
        "start_acw_time": acw["at"] if acw is not None else None,
        "end_acw_time": max(said["at"], acw["at"]) if acw is not None and said is not None else None,
    }


def _after_call_work(item: Participant) -> AfterCallWorkDocument | None:
    if item.acw is None:
        return None
    said = item.wrapup
    state = "pending" if said is None else ("skipped" if said.get("skipped") else "complete")
    end = max(said["at"], item.acw["at"]) if said is not None else None
    return AfterCallWorkDocument(start_time=item.acw["at"], end_time=end, state=state)


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


def queue_of(item: Participant) -> str | None:
    """The queue that a participant is, or was reached through."""
    return item.queue_id or next((segment.queue_id for segment in reversed(item.segments) if segment.queue_id), None)


def consult_partner(timeline: Timeline, item: Participant) -> str | None:
    """With whom a participant consults: the one it asked, or the one that asked it."""
    for asked, asker in consults(timeline):
        if item in (asked, asker):
            return (asker if item is asked else asked).participant_id
    return None


def consults(timeline: Timeline) -> list[tuple[Participant, Participant]]:
    """Who is being consulted at this moment, and by whom. Who asks is named by the event, or is the user who holds."""
    found = []
    for asked in timeline.participants:
        segment = next((s for s in asked.segments if s.kind == "consult" and s.end is None), None)
        if segment is None or asked.end is not None:
            continue
        others = [p for p in timeline.participants if p is not asked and p.end is None and p.user_id is not None]
        named = [p for p in others if segment.by is not None and segment.by in (p.participant_id, p.user_id)]
        holding = [p for p in others if p.held]
        if named or len(holding) == 1:
            found.append((asked, (named or holding)[0]))
    return found


def _over(item: Participant, leg: Leg | None) -> bool:
    return (leg.ended if leg is not None else item.end) is not None


def _state(item: Participant, leg: Leg | None) -> str:
    if leg is not None:
        return leg.state
    return "connected" if item.end is None else "disconnected"


def _segment(segment: Segment) -> SegmentDocument:
    over = segment.end is not None and segment.cause is not None
    return SegmentDocument(
        start_time=segment.start,
        end_time=segment.end,
        type=segment.kind,
        how_ended=("Transfer" if segment.cause == "transfer" else "Disconnect") if over else None,
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
