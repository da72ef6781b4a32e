"""A time line as the contract's AnalyticsConversation: participants, their sessions, the segments and times of each."""

from __future__ import annotations

from typing import Any

from earwitness.domain.conversation.timeline import Leg, Participant, Timeline
from earwitness.web.api.participant_data import shown_attributes
from earwitness.web.api.participant_documents import CAUSES, direction_of, queue_of
from earwitness.web.kernel.documents import Document, Moment

SEGMENT_TYPES = {
    "dialing": "dialing", "alerting": "alert", "interact": "interact", "hold": "hold", "ivr": "ivr",
    "queue": "interact", "consult": "interact", "wrapup": "wrapup",
}  # fmt: skip
METRICS = {"dialing": "tDialing", "alerting": "tAlert", "hold": "tHeld", "ivr": "tIvr", "queue": "tAcd",
           "wrapup": "tAcw", "interact": "tTalk", "consult": "tTalk"}  # fmt: skip
"""Kind of segment -> the metric that adds its time up."""
ENDS = {
    "endpoint": "endpoint", "client": "client", "system": "system", "timeout": "timeout", "transfer": "transfer",
    "transfer.conference": "conferenceTransfer", "transfer.consult": "consultTransfer",
    "transfer.forward": "forwardTransfer", "transfer.noanswer": "noAnswerTransfer",
    "transfer.notavailable": "notAvailableTransfer", "transfer.donotdisturb": "dndTransfer",
    "endpoint.donotdisturb": "dndEndpoint", "transport.failure": "transportFailure", "error": "error", "peer": "peer",
    "spam": "spam", "uncallable": "uncallable",
}  # fmt: skip
"""``disconnectType`` of a call -> that of analytics."""


class SegmentDetail(Document):
    """A stretch of a session."""

    segment_start: Moment
    segment_end: Moment | None = None
    segment_type: str
    queue_id: str | None = None
    disconnect_type: str | None = None
    sip_response_codes: list[int] | None = None
    wrap_up_code: str | None = None
    wrap_up_note: str | None = None
    wrap_up_tags: list[str] | None = None
    conference: bool


class MetricDetail(Document):
    """A measure of a session; times in milliseconds."""

    name: str
    value: int
    emit_date: Moment


class FlowDetail(Document):
    """The flow that a participant is."""

    flow_id: str
    flow_version: str | None = None


class SessionDetail(Document):
    """A participant's call."""

    session_id: str
    media_type: str
    direction: str
    provider: str
    ani: str | None = None
    dnis: str | None = None
    address_self: str | None = None
    remote: str | None = None
    protocol_call_id: str | None = None
    edge_id: str | None = None
    recording: bool
    acw_skipped: bool | None = None
    flow: FlowDetail | None = None
    segments: list[SegmentDetail]
    metrics: list[MetricDetail]


class ParticipantDetail(Document):
    """Somebody on a conversation."""

    participant_id: str
    participant_name: str | None = None
    purpose: str
    user_id: str | None = None
    team_id: str | None = None
    attributes: dict[str, str] | None = None
    sessions: list[SessionDetail]


class ConversationDetail(Document):
    """A conversation as analytics sees it."""

    conversation_id: str
    conversation_start: Moment
    conversation_end: Moment | None = None
    conversation_initiator: str
    customer_participation: bool
    originating_direction: str
    division_ids: list[str]
    external_tag: str | None = None
    participants: list[ParticipantDetail]


def detail(
    timeline: Timeline,
    division_ids: list[str],
    *,
    external_tag: str | None = None,
    edge_id: str | None = None,
    teams: dict[str, str] | None = None,
    attributes: bool = False,
) -> ConversationDetail:
    """The document of a conversation that has ended.

    :param teams: team at the time of the call, by user.
    :param attributes: with what was attached to participants; the asynchronous query alone has it.
    """
    return ConversationDetail(
        conversation_id=timeline.conversation_id,
        conversation_start=timeline.start,
        conversation_end=timeline.end,
        conversation_initiator="inbound" if timeline.direction == "inbound" else "outbound",
        customer_participation=timeline.external,
        originating_direction="inbound" if timeline.direction == "inbound" else "outbound",
        division_ids=division_ids,
        external_tag=external_tag,
        participants=[
            ParticipantDetail(
                participant_id=item.participant_id,
                participant_name=item.name,
                purpose=item.purpose,
                user_id=item.user_id,
                team_id=(teams or {}).get(item.user_id or ""),
                attributes=shown_attributes(timeline, item) if attributes else None,
                sessions=_sessions(timeline, item, edge_id),
            )
            for item in timeline.participants
        ],
    )


def _sessions(timeline: Timeline, item: Participant, edge_id: str | None) -> list[SessionDetail]:
    """One a leg; the segments belong to the leg that was answered, or else to the last."""
    if not item.legs:
        return [_session(timeline, item, None, edge_id, main=True)]
    main = next((leg for leg in item.legs if leg.answered is not None), item.legs[-1])
    return [_session(timeline, item, leg, edge_id, main=leg is main) for leg in item.legs]


def _session(
    timeline: Timeline, item: Participant, leg: Leg | None, edge_id: str | None, *, main: bool
) -> SessionDetail:
    segments = _segments(timeline, item, leg) if main else []
    taped = {tape.leg_id for tape in timeline.tapes if tape.kind != "user" and tape.openings and tape.destroyed is None}
    flow = next((s for s in item.segments if s.flow_id), None)
    said = item.wrapup if main else None
    return SessionDetail(
        session_id=leg.leg_id if leg is not None else item.participant_id,
        media_type="voice",
        direction=direction_of(timeline, item, leg),
        provider="Edge",
        ani=item.ani or timeline.ani or None,
        dnis=item.dnis or timeline.dnis or None,
        address_self=leg.address if leg is not None else None,
        remote=item.address,
        protocol_call_id=leg.sip_call_id if leg is not None else None,
        edge_id=edge_id,
        recording=leg is not None and leg.leg_id in taped,
        acw_skipped=bool(said.get("skipped")) if said is not None else None,
        flow=FlowDetail(flow_id=flow.flow_id, flow_version=flow.flow_version)
        if flow is not None and flow.flow_id is not None
        else None,
        segments=segments,
        metrics=_metrics(timeline, item) if main else [],
    )


def _segments(timeline: Timeline, item: Participant, leg: Leg | None) -> list[SegmentDetail]:
    found = []
    last = item.segments[-1] if item.segments else None
    for segment in item.segments:
        cause = segment.cause or (leg.cause if leg is not None and segment is last else None)
        status = leg.sip_status if leg is not None and segment is last else None
        found.append(
            SegmentDetail(
                segment_start=segment.start,
                segment_end=segment.end,
                segment_type=SEGMENT_TYPES.get(segment.kind, "unknown"),
                queue_id=segment.queue_id or queue_of(item),
                disconnect_type=_end(cause) if segment.end is not None and cause is not None else None,
                sip_response_codes=[status] if status is not None else None,
                conference=timeline.conference is not None and segment.start >= timeline.conference,
            )
        )
    said = item.wrapup
    if item.acw is not None or said is not None:
        start = item.acw["at"] if item.acw is not None else (said or {})["at"]
        skipped = said is None or said.get("skipped")
        found.append(
            SegmentDetail(
                segment_start=start,
                segment_end=max(said["at"], start) if said is not None else None,
                segment_type="wrapup",
                queue_id=queue_of(item),
                wrap_up_code=None if skipped or said is None else said.get("code"),
                wrap_up_note=None if skipped or said is None else said.get("notes"),
                wrap_up_tags=None if skipped or said is None else list(said.get("tags") or []),
                conference=False,
            )
        )
    return found


def _end(cause: str) -> str:
    return ENDS.get(CAUSES.get(cause, cause), "other")


def _metrics(timeline: Timeline, item: Participant) -> list[MetricDetail]:
    """How long each kind of segment was, all of them together."""
    times: dict[str, tuple[int, int]] = {}
    spans: list[tuple[str, int, int | None]] = [(s.kind, s.start, s.end) for s in item.segments]
    said: dict[str, Any] | None = item.wrapup
    if item.acw is not None and said is not None:
        spans.append(("wrapup", item.acw["at"], max(said["at"], item.acw["at"])))
    for kind, start, end in spans:
        name = METRICS.get(kind)
        if name is None or end is None or (name == "tTalk" and item.user_id is None):
            continue
        total, last = times.get(name, (0, 0))
        times[name] = (total + end - start, max(last, end))
    return [MetricDetail(name=name, value=total // 1000, emit_date=at) for name, (total, at) in sorted(times.items())]
