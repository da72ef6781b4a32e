"""Lets agents see the evaluations whose release date has come (J6)."""

from __future__ import annotations

from earwitness.store import audit, evaluations
from earwitness.store.database import Database

AT_ONCE = 500


def release_due(database: Database, now_us: int) -> int:
    """Releases all that are due, a bounded number a transaction; gives how many."""
    count = 0
    while True:
        with database.transaction() as session:
            rows = evaluations.release_due(session, now_us, AT_ONCE)
            for row in rows:
                audit.add(
                    session,
                    at=now_us,
                    subject=audit.SYSTEM,
                    action="release",
                    entity_type="evaluation",
                    entity_id=row.id,
                    conversation_id=row.conversation_id,
                )
        count += len(rows)
        if len(rows) < AT_ONCE:
            return count
