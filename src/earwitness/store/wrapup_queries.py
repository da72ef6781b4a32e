"""Queues and their wrap-up codes, as calls need them."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from earwitness.store.tables import Queue, QueueWrapupCode, WrapupCode


def queue_exists(session: Session, queue_id: str) -> bool:
    """Whether calls can be sent to that queue."""
    row = session.get(Queue, queue_id)
    return row is not None and row.state != "deleted"


def code(session: Session, code_id: str) -> WrapupCode | None:
    """The code of that id, unless it is deleted."""
    row = session.get(WrapupCode, code_id)
    return row if row is not None and row.state != "deleted" else None


def offered_by(session: Session, queue_id: str) -> Sequence[WrapupCode]:
    """What agents of a queue choose from, by name."""
    statement = (
        select(WrapupCode)
        .join(QueueWrapupCode, QueueWrapupCode.code_id == WrapupCode.id)
        .where(QueueWrapupCode.queue_id == queue_id, WrapupCode.state != "deleted")
    )
    return session.scalars(statement.order_by(WrapupCode.name, WrapupCode.id)).all()
