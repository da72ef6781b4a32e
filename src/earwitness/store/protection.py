"""Deletion protection: conversations whose recordings nobody and nothing deletes (I1–I6).

Protection and the decision to delete lock the same rows of ``recordings``, then look at each other. So of a protection
and a deletion that come at the same time one is first, and the other sees it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import ColumnElement, SQLColumnExpression, delete, exists, func, select
from sqlalchemy.orm import Session

from earwitness.store.tables import DeletionProtection, Recording
from earwitness.store.tables.retention import NOT_DELETED
from earwitness.store.visibility import ADHOC

MOST = 1000
"""Protected conversations of an organisation (I1)."""
MOST_AT_ONCE = 100
"""Conversations in one request (I1)."""


def is_protected(conversation_id: SQLColumnExpression[str]) -> ColumnElement[bool]:
    """Condition: the conversation of that id is protected."""
    return exists(select(1).where(DeletionProtection.conversation_id == conversation_id))


def protected_among(session: Session, conversation_ids: Iterable[str]) -> set[str]:
    """Those of the conversations that are protected."""
    ids = sorted(set(conversation_ids))
    found = select(DeletionProtection.conversation_id).where(DeletionProtection.conversation_id.in_(ids))
    return set(session.scalars(found)) if ids else set()


def count(session: Session) -> int:
    """How many conversations are protected."""
    return int(session.scalar(select(func.count()).select_from(DeletionProtection)) or 0)


def protect(session: Session, conversation_id: str, *, at: int, by: str) -> bool:
    """Protects a conversation; False where nothing of it is left to protect. Protecting twice is protecting once."""
    if session.get(DeletionProtection, conversation_id) is not None:
        return True
    if not _lock(session, conversation_id):
        return False
    session.add(DeletionProtection(conversation_id=conversation_id, at=at, by=by))
    session.flush()
    return True


def revoke(session: Session, conversation_id: str) -> bool:
    """Ends a protection: dates apply again (I3). Gives whether there was one."""
    gone = delete(DeletionProtection).where(DeletionProtection.conversation_id == conversation_id)
    return session.connection().execute(gone).rowcount > 0


def _lock(session: Session, conversation_id: str) -> Sequence[str]:
    """Recordings of a conversation that are not deleted, kept from being deleted until the transaction ends."""
    statement = select(Recording.id).where(
        Recording.conversation_id == conversation_id, Recording.role != ADHOC, NOT_DELETED
    )
    return session.scalars(statement.order_by(Recording.id).with_for_update()).all()
