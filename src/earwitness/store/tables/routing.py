"""Queues, who answers them, and what agents say a call was about."""

from __future__ import annotations

from sqlalchemy import ForeignKey, Index, Integer, text
from sqlalchemy.orm import Mapped, mapped_column

from earwitness.store.tables.base import ID, Base, Document, Identified, Named, Versioned


def unique_while_there(table: str, *columns: str) -> Index:
    """An index that lets no two objects that are not deleted have the same values."""
    there = text("state <> 'deleted'")
    return Index(f"uq_{table}_{'_'.join(columns)}", *columns, unique=True, sqlite_where=there, postgresql_where=there)


class Queue(Base, Named):
    """Where calls wait for an agent. Fields of the contract without a meaning of ours are in ``extra``."""

    __tablename__ = "queues"
    __table_args__ = (unique_while_there("queues", "name"),)

    suppress_in_queue_call_recording: Mapped[bool] = mapped_column(default=True)
    """The wait is not captured (B3, B4)."""
    media_settings: Mapped[Document] = mapped_column(default=dict)
    """``QueueMediaSettings``; of it ``call.alertingTimeoutSeconds`` counts."""
    wrapup_prompt: Mapped[str] = mapped_column(default="OPTIONAL")
    """``MANDATORY``, ``OPTIONAL``, ``MANDATORY_TIMEOUT``, ``MANDATORY_FORCED_TIMEOUT`` or ``AGENT_REQUESTED``."""
    wrapup_timeout_ms: Mapped[int | None] = mapped_column(Integer, default=None)
    queue_flow_id: Mapped[str | None] = mapped_column(ID, default=None)
    """In-queue flow that callers hear while they wait."""
    on_hold_prompt_id: Mapped[str | None] = mapped_column(ID, default=None)
    """Prompt that is the music on hold; None: the built-in one."""


class QueueMember(Base):
    """A user who may take calls of a queue."""

    __tablename__ = "queue_members"

    queue_id: Mapped[str] = mapped_column(ID, ForeignKey("queues.id", ondelete="CASCADE"), primary_key=True)
    user_id: Mapped[str] = mapped_column(ID, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, index=True)
    joined: Mapped[bool] = mapped_column(default=True)
    """False: a member who takes no calls of this queue at present."""
    ring_number: Mapped[int] = mapped_column(Integer, default=1)
    added_at: Mapped[int] = mapped_column()


class WrapupCode(Base, Named):
    """What an agent may say a call was about. In division ``*``: for all of them."""

    __tablename__ = "wrapup_codes"
    __table_args__ = (unique_while_there("wrapup_codes", "name"),)


class QueueWrapupCode(Base):
    """A wrap-up code that a queue offers."""

    __tablename__ = "queue_wrapup_codes"

    queue_id: Mapped[str] = mapped_column(ID, ForeignKey("queues.id", ondelete="CASCADE"), primary_key=True)
    code_id: Mapped[str] = mapped_column(
        ID, ForeignKey("wrapup_codes.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    added_at: Mapped[int] = mapped_column()


class Language(Base, Identified, Versioned):
    """A language that calls and prompts may be in."""

    __tablename__ = "languages"
    __table_args__ = (unique_while_there("languages", "name"),)

    name: Mapped[str] = mapped_column(index=True)
    state: Mapped[str] = mapped_column(default="active")


class Skill(Base, Named):
    """An ability that agents may have. Kept and shown; routing does not look at skills."""

    __tablename__ = "skills"
    __table_args__ = (unique_while_there("skills", "name"),)


class UserRouting(Base):
    """Presence of a user, and whether it takes calls of its queues: as last set, for the edge after a restart."""

    __tablename__ = "user_routing"

    user_id: Mapped[str] = mapped_column(ID, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    presence: Mapped[str] = mapped_column(default="Offline")
    """System presence of the contract: ``Available``, ``On Queue``, ``Break``…"""
    message: Mapped[str | None] = mapped_column(default=None)
    presence_at: Mapped[int] = mapped_column()
    """Since when."""
    on_queue: Mapped[bool] = mapped_column(default=False, index=True)
    routing_status: Mapped[str] = mapped_column(default="OFF_QUEUE")
    """``OFF_QUEUE``, ``IDLE``, ``INTERACTING``, ``NOT_RESPONDING`` or ``COMMUNICATING``, as last known."""
    routing_status_at: Mapped[int] = mapped_column()
