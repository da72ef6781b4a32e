"""Settings, the audit log, and the counter that tells the edge to look again."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, Index, Integer
from sqlalchemy.orm import Mapped, mapped_column

from earwitness.store.tables.base import BIG_KEY, ID, Base, Document, Identified


class Setting(Base):
    """One document of settings, e.g. ``recording``."""

    __tablename__ = "settings"

    key: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[Any] = mapped_column(JSON())
    modified_at: Mapped[int] = mapped_column()


class ConfigurationVersion(Base):
    """A single row. Raised in the same transaction by every write that the edge must see."""

    __tablename__ = "configuration_version"

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    version: Mapped[int] = mapped_column()


class AuditEntry(Base):
    """Who did what to which object, and whether it was allowed. Rows are only ever added."""

    __tablename__ = "audit_log"
    __table_args__ = (Index("ix_audit_log_entity", "entity_type", "entity_id"),)

    id: Mapped[int] = mapped_column(BIG_KEY, primary_key=True, autoincrement=True)
    at: Mapped[int] = mapped_column(index=True)
    subject_type: Mapped[str] = mapped_column()
    """``user``, ``client``, ``system`` or ``anonymous``."""
    subject_id: Mapped[str | None] = mapped_column(ID, index=True, default=None)
    action: Mapped[str] = mapped_column()
    entity_type: Mapped[str] = mapped_column()
    entity_id: Mapped[str | None] = mapped_column(default=None)
    conversation_id: Mapped[str | None] = mapped_column(ID, index=True, default=None)
    remote_address: Mapped[str | None] = mapped_column(default=None)
    result: Mapped[str] = mapped_column()
    """``allowed``, ``denied`` or ``failed``."""
    detail: Mapped[Document] = mapped_column(default=dict)


class AuditQuery(Base, Identified):
    """A question to the audit log whose answer somebody fetches page by page."""

    __tablename__ = "audit_queries"

    kind: Mapped[str] = mapped_column()
    """``audits``, or ``quality`` for those of conversations."""
    subject_type: Mapped[str] = mapped_column()
    subject_id: Mapped[str] = mapped_column(ID)
    asked_at: Mapped[int] = mapped_column(index=True)
    query: Mapped[Document] = mapped_column()
    """As it was asked, checked."""
    last_entry: Mapped[int] = mapped_column()
    """Number of the newest entry at that time: later ones are not part of the answer."""
