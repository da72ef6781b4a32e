"""Media retention policies, and what they have decided about each conversation."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ForeignKey, Index, Integer
from sqlalchemy.orm import Mapped, mapped_column

from earwitness.store.tables.base import ID, Base, Document, Identified, Versioned


class RetentionPolicy(Base, Identified, Versioned):
    """What to do with recordings of which conversations."""

    __tablename__ = "retention_policies"
    __table_args__ = (Index("ix_retention_policies_stamp", "version", "modified_at"),)

    name: Mapped[str] = mapped_column(index=True)
    description: Mapped[str | None] = mapped_column(default=None)
    order: Mapped[int] = mapped_column(Integer, name="position", default=0)
    """Actions of several policies are carried out in this order (F14)."""
    enabled: Mapped[bool] = mapped_column(default=False)
    enabled_at: Mapped[int] = mapped_column()
    """Since when it has been enabled and has said what it says; earlier conversations are none of its business (F2)."""
    cross_platform: Mapped[bool] = mapped_column(default=False)
    """It is for conversations that another platform carries and we record, and for no other."""
    state: Mapped[str] = mapped_column(default="active", index=True)
    """``active`` or ``deleted``."""
    document: Mapped[Document] = mapped_column(default=dict)
    """``mediaPolicies``, ``conditions`` and ``actions`` as they were given (F5)."""


class PolicyDecision(Base):
    """What policies decided about a conversation, once and for all, when it was complete (F3)."""

    __tablename__ = "policy_decisions"

    conversation_id: Mapped[str] = mapped_column(
        ID, ForeignKey("conversations.id", ondelete="CASCADE"), primary_key=True
    )
    at: Mapped[int] = mapped_column()
    outcome: Mapped[str] = mapped_column()
    """``KEEP``, ``DELETE_AFTER``, ``DELETE`` or ``NOT_APPLIED``."""
    policy_id: Mapped[str | None] = mapped_column(ID, default=None, index=True)
    """The one whose word counted; None: none."""
    matched: Mapped[list[dict[str, Any]]] = mapped_column(default=list)
    """Policies that matched, in order: ``{"id", "name", "says", "won", "why"}``."""
    missed: Mapped[list[dict[str, Any]]] = mapped_column(default=list)
    """Policies that would have matched, had they been enabled in time: ``{"id", "name", "why"}``."""
    verdict: Mapped[Document] = mapped_column(default=dict)
    """``{"action", "policyId", "policyName", "days", "archiveDays", "why"}``."""
    actions: Mapped[list[dict[str, Any]]] = mapped_column(default=list)
    """What was done beside: ``{"policyId", "policyName", "action", "done", "why", …}``, in order."""
