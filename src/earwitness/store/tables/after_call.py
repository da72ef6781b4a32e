"""What agents have still to say after a call, and who listens to live events."""

from __future__ import annotations

from sqlalchemy import Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from earwitness.store.tables.base import ID, Base, Identified


class AfterCallWork(Base, Identified):
    """An agent's work after a queue call. Open until a wrap-up code is given or its time is over (W3).

    No foreign keys: it may be written before its conversation is, and is a fact like the other rows of a conversation.
    """

    __tablename__ = "after_call_work"
    __table_args__ = (
        UniqueConstraint("conversation_id", "participant_id"),
        Index("ix_after_call_work_open", "given_at", "deadline_at"),
    )

    conversation_id: Mapped[str] = mapped_column(ID)
    participant_id: Mapped[str] = mapped_column(ID)
    user_id: Mapped[str] = mapped_column(ID, index=True)
    queue_id: Mapped[str] = mapped_column(ID)
    prompt: Mapped[str] = mapped_column(default="OPTIONAL")
    """The queue's ``wrapupPrompt`` at the time."""
    started_at: Mapped[int] = mapped_column()
    deadline_at: Mapped[int] = mapped_column()
    code_id: Mapped[str | None] = mapped_column(ID, default=None)
    code_name: Mapped[str | None] = mapped_column(default=None)
    notes: Mapped[str | None] = mapped_column(default=None)
    tags: Mapped[list[str]] = mapped_column(default=list)
    given_at: Mapped[int | None] = mapped_column(default=None)
    """When it was closed; None: it is open."""
    given_by: Mapped[str | None] = mapped_column(ID, default=None)
    timed_out: Mapped[bool] = mapped_column(default=False)
    """Closed because its time was over, with the code ``ININ-WRAP-UP-TIMEOUT``."""


class NotificationChannel(Base, Identified):
    """A channel of live events that somebody has opened."""

    __tablename__ = "notification_channels"
    __table_args__ = (Index("ix_notification_channels_subject", "subject_id", "client_id"),)

    subject_type: Mapped[str] = mapped_column()
    """``user`` or ``client``."""
    subject_id: Mapped[str] = mapped_column(ID)
    """Whose rights decide what is told."""
    user_id: Mapped[str | None] = mapped_column(ID, default=None)
    client_id: Mapped[str | None] = mapped_column(ID, default=None)
    """The program; channels are counted per user and program (S39)."""
    token_sha256: Mapped[str | None] = mapped_column(default=None)
    """Of the token that opened it, hexadecimal."""
    topics: Mapped[list[str]] = mapped_column(default=list)
    created_at: Mapped[int] = mapped_column()
    expires_at: Mapped[int] = mapped_column(index=True)
