"""A time line as the contract's call history."""

from __future__ import annotations

from earwitness.domain.conversation.timeline import Timeline
from earwitness.web.api.participant_documents import direction_of, user_of
from earwitness.web.kernel.documents import Document, Moment, Reference


class CallHistoryParticipant(Document):
    """Somebody in the history."""

    id: str
    name: str | None = None
    address: str | None = None
    start_time: Moment
    end_time: Moment | None = None
    purpose: str
    direction: str
    ani: str | None = None
    dnis: str | None = None
    user: Reference | None = None
    did_interact: bool
    sip_response_codes: list[int]


class CallHistoryConversation(Document):
    """A call of the past."""

    id: str
    participants: list[CallHistoryParticipant]
    direction: str
    went_to_voicemail: bool
    missed_call: bool
    start_time: Moment
    was_conference: bool
    was_callback: bool
    had_screen_share: bool
    had_cobrowse: bool
    was_outbound_campaign: bool
    self_uri: str


def history_document(timeline: Timeline) -> CallHistoryConversation:
    """A conversation of the past, as call history shows it."""
    people = [item for item in timeline.participants if item.user_id is not None]
    return CallHistoryConversation(
        id=timeline.conversation_id,
        participants=[
            CallHistoryParticipant(
                id=item.participant_id,
                name=item.name,
                address=item.address,
                start_time=item.start,
                end_time=item.end,
                purpose=item.purpose,
                direction=direction_of(timeline, item, item.legs[-1] if item.legs else None),
                ani=item.ani,
                dnis=item.dnis,
                user=user_of(item),
                did_interact=item.connected is not None,
                sip_response_codes=[leg.sip_status for leg in item.legs if leg.sip_status is not None],
            )
            for item in timeline.participants
        ],
        direction="inbound" if timeline.direction == "inbound" else "outbound",
        went_to_voicemail=False,
        missed_call=timeline.direction == "inbound" and not any(item.connected for item in people),
        start_time=timeline.start,
        was_conference=timeline.conference is not None,
        was_callback=False,
        had_screen_share=False,
        had_cobrowse=False,
        was_outbound_campaign=False,
        self_uri=f"/api/v2/conversations/calls/{timeline.conversation_id}",
    )
