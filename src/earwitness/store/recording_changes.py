"""Which recordings have changed lately, told by the audit log: it is only ever added to, by every process."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from earwitness.store.tables import AuditEntry

ENTITY = "recording"
LOOKS = ("viewRecording", "viewUserRecording", "listRecordings", "listen", "get_conversation_recording")
"""Entries that change nothing."""


@dataclass(frozen=True, slots=True)
class Change:
    """An entry."""

    id: int
    at: int
    recording_id: str
    action: str


def latest(session: Session) -> int:
    """The number of the last entry; 0: there is none."""
    return int(session.scalar(select(func.max(AuditEntry.id))) or 0)


def since(session: Session, after: int, most: int = 2000) -> tuple[list[Change], list[tuple[int, int]]]:
    """Changes of recordings after an entry, in order; and (number, time) of every entry that was looked at.

    Transactions end in another order than their numbers were given, so whoever reads on looks at the last seconds
    again.
    """
    rows = session.execute(
        select(
            AuditEntry.id,
            AuditEntry.at,
            AuditEntry.entity_id,
            AuditEntry.action,
            AuditEntry.entity_type,
            AuditEntry.result,
        )
        .where(AuditEntry.id > after)
        .order_by(AuditEntry.id)
        .limit(most)
    ).all()
    changes = [
        Change(row.id, row.at, row.entity_id, row.action)
        for row in rows
        if row.entity_type == ENTITY and row.entity_id and row.result == "allowed" and row.action not in LOOKS
    ]
    return changes, [(row.id, row.at) for row in rows]
