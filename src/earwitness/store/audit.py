"""The audit log: written before the fact it speaks of, and never changed."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from earwitness.domain.access import Subject
from earwitness.store.paging import Page, page_of
from earwitness.store.tables import AuditEntry

SYSTEM = Subject("system", "")
"""The product itself: workflows, recovery."""
ANONYMOUS = Subject("anonymous", "")
"""Somebody without a valid token."""


def add(
    session: Session,
    *,
    at: int,
    subject: Subject,
    action: str,
    entity_type: str,
    entity_id: str | None = None,
    conversation_id: str | None = None,
    remote_address: str | None = None,
    result: str = "allowed",
    detail: dict[str, Any] | None = None,
) -> AuditEntry:
    """Writes one entry; it is there when the transaction is. ``result``: ``allowed``, ``denied`` or ``failed``."""
    entry = AuditEntry(
        at=at,
        subject_type=subject.type,
        subject_id=subject.id or None,
        action=action,
        entity_type=entity_type,
        entity_id=entity_id,
        conversation_id=conversation_id,
        remote_address=remote_address,
        result=result,
        detail=detail or {},
    )
    session.add(entry)
    session.flush()
    return entry


def listing(
    session: Session,
    *,
    subject_id: str | None = None,
    entity_type: str | None = None,
    entity_id: str | None = None,
    conversation_id: str | None = None,
    action: str | None = None,
    since: int | None = None,
    until: int | None = None,
    number: int = 1,
    size: int = 25,
) -> Page[AuditEntry]:
    """A page of entries, newest first; ``since`` inclusive, ``until`` exclusive, UTC microseconds."""
    statement = select(AuditEntry)
    wanted = {
        AuditEntry.subject_id: subject_id,
        AuditEntry.entity_type: entity_type,
        AuditEntry.entity_id: entity_id,
        AuditEntry.conversation_id: conversation_id,
        AuditEntry.action: action,
    }
    for column, value in wanted.items():
        if value is not None:
            statement = statement.where(column == value)
    if since is not None:
        statement = statement.where(AuditEntry.at >= since)
    if until is not None:
        statement = statement.where(AuditEntry.at < until)
    return page_of(session, statement.order_by(AuditEntry.at.desc(), AuditEntry.id.desc()), number, size)
