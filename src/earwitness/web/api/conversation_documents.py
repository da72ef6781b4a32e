"""A time line as the contract's Conversation and CallConversation documents."""

from __future__ import annotations

import uuid
from typing import Any

from earwitness.domain.conversation.timeline import Timeline
from earwitness.web.api.divisions import DivisionReference
from earwitness.web.api.participant_data import TAG, hidden_value
from earwitness.web.api.participant_documents import (
    CallMediaParticipantDocument,
    ParticipantDocument,
    media_participant_document,
    participant_document,
)
from earwitness.web.kernel.documents import Document, Moment, Reference

ATTENDED = ("attended", "consult")
"""Kinds of transfer in which somebody talked before."""


class DivisionMembership(Document):
    """A division that a conversation touched."""

    division: DivisionReference
    entities: list[Reference]


class TransferInitiator(Document):
    """Who transferred."""

    user_id: str | None = None


class TransferDestination(Document):
    """Where a call was transferred to."""

    user_id: str | None = None
    address: str | None = None


class TransferDocument(Document):
    """A transfer that was, or was tried."""

    id: str
    state: str
    date_issued: Moment
    initiator: TransferInitiator
    destination: TransferDestination
    transfer_type: str


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
    recent_transfers: list[TransferDocument]
    secure_pause: bool
    self_uri: str


class CallConversationDocument(Document):
    """A conversation, seen as a call."""

    id: str
    participants: list[CallMediaParticipantDocument]
    other_media_uris: list[str]
    recent_transfers: list[TransferDocument]
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
        external_tag=external_tag or hidden_value(timeline, TAG),
        start_time=timeline.start,
        end_time=timeline.end,
        address=timeline.ani if timeline.direction == "inbound" else timeline.dnis,
        participants=[participant_document(timeline, item) for item in timeline.participants],
        conversation_ids=[],
        recording_state=timeline.recording_state.upper(),
        state=_state(timeline),
        divisions=[DivisionMembership(division=division, entities=[]) for division in divisions],
        recent_transfers=_transfers(timeline),
        secure_pause=timeline.secure_pause and timeline.end is None,
        self_uri=f"/api/v2/conversations/{timeline.conversation_id}",
    )


def call_document(timeline: Timeline, divisions: list[DivisionReference]) -> CallConversationDocument:
    """The same, as a call."""
    return CallConversationDocument(
        id=timeline.conversation_id,
        participants=[media_participant_document(timeline, item) for item in timeline.participants],
        other_media_uris=[],
        recent_transfers=_transfers(timeline),
        divisions=[DivisionMembership(division=division, entities=[]) for division in divisions],
        recording_state=timeline.recording_state,
        secure_pause=timeline.secure_pause and timeline.end is None,
        self_uri=f"/api/v2/conversations/calls/{timeline.conversation_id}",
    )


def _state(timeline: Timeline) -> str:
    if timeline.end is not None:
        return "disconnected"
    talking = timeline.answered is not None or any(item.purpose in ("ivr", "acd") for item in timeline.participants)
    return "connected" if talking else "alerting"


def _transfers(timeline: Timeline) -> list[TransferDocument]:
    return [_transfer(timeline, number, told) for number, told in enumerate(timeline.transfers)]


def _transfer(timeline: Timeline, number: int, told: dict[str, Any]) -> TransferDocument:
    by = str(told["by"]) if told.get("by") else None
    who = timeline.participant(by) if by is not None else None
    target, kind = str(told["target"]), told.get("target_type")
    return TransferDocument(
        id=str(uuid.uuid5(uuid.NAMESPACE_URL, f"earwitness:transfer:{timeline.conversation_id}:{number}")),
        state="Failed" if told.get("failed") else "Complete",
        date_issued=told["at"],
        initiator=TransferInitiator(user_id=who.user_id if who is not None else by),
        destination=TransferDestination(
            user_id=target if kind == "user" else None, address=None if kind == "user" else target
        ),
        transfer_type="Attended" if told["kind"] in ATTENDED else "Unattended",
    )
