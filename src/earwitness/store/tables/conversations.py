"""What happened: conversations, who took part, what was recorded.

These rows are facts about the past. They point at users, queues and divisions without foreign keys, because a fact
stays true when a user is gone, and because finishing a call must never fail on the configuration.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ForeignKey, Index, Integer
from sqlalchemy.orm import Mapped, mapped_column

from earwitness.store.tables.base import ID, Base, Document, Identified


class Conversation(Base, Identified):
    """One ended conversation."""

    __tablename__ = "conversations"
    __table_args__ = (Index("ix_conversations_completed_at", "completed_at", "ended_at"),)

    organization_id: Mapped[str] = mapped_column(ID)
    started_at: Mapped[int] = mapped_column(index=True)
    ended_at: Mapped[int] = mapped_column(index=True)
    direction: Mapped[str] = mapped_column()
    """``inbound``, ``outbound`` or ``internal``."""
    ani: Mapped[str] = mapped_column(default="")
    dnis: Mapped[str] = mapped_column(default="")
    external_tag: Mapped[str | None] = mapped_column(default=None)
    cause: Mapped[str] = mapped_column(default="")
    """Of the end: ``hangup``, ``crash``…"""
    edge_id: Mapped[str | None] = mapped_column(default=None)
    config_version: Mapped[int | None] = mapped_column(default=None)
    timeline: Mapped[Document] = mapped_column(default=dict)
    """The folded document of ``domain.conversation.timeline``."""
    events: Mapped[list[dict[str, Any]]] = mapped_column(default=list, deferred=True)
    """Every event, as the edge wrote it. Loaded only where asked for."""
    recording_state: Mapped[str] = mapped_column(default="NONE")
    """``RECORDED``, ``NONE`` or ``FAILED``."""
    why: Mapped[list[dict[str, Any]]] = mapped_column(default=list)
    """Each decision about each tape, in order: ``{"at", "tape_id", "what", "reasons"}``."""
    finalised_at: Mapped[int] = mapped_column()
    completed_at: Mapped[int | None] = mapped_column(default=None)
    """When it was found complete, after-call work included, and policies were applied (F3); None: not yet."""


class ConversationDivision(Base):
    """A division that a conversation touched: of its users, queues and flows; else the home division (J11)."""

    __tablename__ = "conversation_divisions"

    conversation_id: Mapped[str] = mapped_column(
        ID, ForeignKey("conversations.id", ondelete="CASCADE"), primary_key=True
    )
    division_id: Mapped[str] = mapped_column(ID, primary_key=True, index=True)


class ConversationQueue(Base):
    """A queue that a conversation was in."""

    __tablename__ = "conversation_queues"

    conversation_id: Mapped[str] = mapped_column(
        ID, ForeignKey("conversations.id", ondelete="CASCADE"), primary_key=True
    )
    queue_id: Mapped[str] = mapped_column(ID, primary_key=True, index=True)


class Participant(Base):
    """Who took part."""

    __tablename__ = "participants"
    __table_args__ = (Index("ix_participants_user_id_conversation_id", "user_id", "conversation_id"),)

    conversation_id: Mapped[str] = mapped_column(
        ID, ForeignKey("conversations.id", ondelete="CASCADE"), primary_key=True
    )
    id: Mapped[str] = mapped_column(ID, primary_key=True)
    purpose: Mapped[str] = mapped_column()
    """``external``, ``user``, ``agent``, ``ivr`` or ``acd``."""
    name: Mapped[str | None] = mapped_column(default=None)
    user_id: Mapped[str | None] = mapped_column(ID, default=None)
    queue_id: Mapped[str | None] = mapped_column(ID, default=None, index=True)
    flow_id: Mapped[str | None] = mapped_column(ID, default=None)
    division_id: Mapped[str | None] = mapped_column(ID, default=None)
    """Of the user or queue at the time of the call."""
    address: Mapped[str | None] = mapped_column(default=None)
    joined_at: Mapped[int] = mapped_column()
    left_at: Mapped[int | None] = mapped_column(default=None)
    connected_at: Mapped[int | None] = mapped_column(default=None)
    """When the participant was first in conversation; None: never."""
    attributes: Mapped[Document | None] = mapped_column(default=None)
    """Participant data, as of the end of the call or later; None: that of the time line."""


class Recording(Base, Identified):
    """One tape that was captured. Its id is the tape's. Select only through ``store.recordings`` (scoped)."""

    __tablename__ = "recordings"
    __table_args__ = (Index("ix_recordings_owner_user_id", "owner_user_id"),)

    conversation_id: Mapped[str] = mapped_column(ID, ForeignKey("conversations.id"), index=True)
    kind: Mapped[str] = mapped_column()
    """``trunk``, ``user`` or ``consult``."""
    media_subtype: Mapped[str] = mapped_column()
    """``Trunk``, ``Station`` or ``Consult`` (A7, A11)."""
    role: Mapped[str] = mapped_column(index=True)
    """``CUSTOMER_EXPERIENCE``, or ``ADHOC`` for a user recording (E14)."""
    owner_user_id: Mapped[str | None] = mapped_column(ID, default=None)
    """Of an ADHOC recording: the only one who may see it (E2)."""
    leg_id: Mapped[str | None] = mapped_column(ID, default=None)
    file_state: Mapped[str] = mapped_column(index=True)
    """``UPLOADING``, ``AVAILABLE``, ``ARCHIVED``, ``RESTORING``, ``RESTORED``, ``DELETED`` or ``ERROR`` (G1)."""
    started_at: Mapped[int] = mapped_column(index=True)
    ended_at: Mapped[int] = mapped_column()
    duration_ms: Mapped[int] = mapped_column()
    """Of the audio, pauses cut out."""
    audio_format: Mapped[str] = mapped_column()
    """As the trunk names it, ``audio/opus``…"""
    mime_type: Mapped[str] = mapped_column()
    """Of the master."""
    channels: Mapped[int] = mapped_column(Integer)
    sample_rate: Mapped[int] = mapped_column(Integer)
    size: Mapped[int] = mapped_column()
    """Of the master, bytes of plain audio file."""
    sha256: Mapped[str] = mapped_column(default="")
    """Of the master, hexadecimal."""
    annotations: Mapped[list[dict[str, Any]]] = mapped_column(default=list)
    openings: Mapped[list[dict[str, Any]]] = mapped_column(default=list)
    """Spans on tape: ``{"from_us", "to_us"}``."""
    quality: Mapped[Document] = mapped_column(default=dict)
    peaks: Mapped[bytes | None] = mapped_column(default=None, deferred=True)
    """Wave form of ``archive.render``; None once destroyed. Loaded only where asked for."""
    created_at: Mapped[int] = mapped_column(index=True)
    modified_at: Mapped[int] = mapped_column()
    version: Mapped[int] = mapped_column(Integer, default=1)
    archive_date: Mapped[int | None] = mapped_column(default=None)
    archive_medium: Mapped[str | None] = mapped_column(default=None)
    delete_date: Mapped[int | None] = mapped_column(default=None, index=True)
    export_date: Mapped[int | None] = mapped_column(default=None)
    export_integration_id: Mapped[str | None] = mapped_column(ID, default=None)
    """Where to."""
    retention_policy_id: Mapped[str | None] = mapped_column(ID, default=None, index=True)
    """The policy that set the dates; None: none did."""
    retention_why: Mapped[Document | None] = mapped_column(default=None)
    """Why the dates are what they are: the verdict of ``policy_decisions``."""
    exported_date: Mapped[int | None] = mapped_column(default=None)
    restore_expires_at: Mapped[int | None] = mapped_column(default=None)
    name: Mapped[str | None] = mapped_column(default=None)
    """What the owner of a user recording calls it."""
    read: Mapped[bool] = mapped_column(default=False)
    """The owner of a user recording has opened it."""
    deleted_at: Mapped[int | None] = mapped_column(default=None)
    receipt: Mapped[Document | None] = mapped_column(default=None)
    """Proof of the destruction; the row stays as a tombstone."""


class RecordingObject(Base):
    """An object in the vault that belongs to a recording."""

    __tablename__ = "recording_objects"

    recording_id: Mapped[str] = mapped_column(ID, ForeignKey("recordings.id", ondelete="CASCADE"), primary_key=True)
    object_key: Mapped[str] = mapped_column(primary_key=True)
    """``<id in the vault>/<name of the item>``."""
    role: Mapped[str] = mapped_column()
    """``master``, ``capture``, ``peaks`` or ``derived``."""
    media_type: Mapped[str] = mapped_column()
    size: Mapped[int] = mapped_column()
    """Bytes, plain."""
    sha256: Mapped[str] = mapped_column()
    """Of the plain bytes, hexadecimal."""
    created_at: Mapped[int] = mapped_column()
