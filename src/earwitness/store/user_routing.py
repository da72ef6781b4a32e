"""Presence and routing status of users, as last set."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from earwitness.store.tables import User, UserRouting

ON_QUEUE = "On Queue"
OFFLINE = "Offline"


def get(session: Session, user_id: str) -> UserRouting | None:
    """What is known of a user; None: nothing was ever set."""
    return session.get(UserRouting, user_id)


def put(session: Session, user_id: str, at: int, *, presence: str | None, message: str | None, status: str) -> None:
    """Notes a presence (None: it stays) and the routing status that goes with it. ``at``: now, UTC microseconds."""
    row = session.get(UserRouting, user_id)
    if row is None:
        row = UserRouting(
            user_id=user_id, presence=OFFLINE, presence_at=at, routing_status=status, routing_status_at=at
        )
        session.add(row)
    if presence is not None and presence != row.presence:
        row.presence, row.presence_at = presence, at
    if status != row.routing_status:
        row.routing_status, row.routing_status_at = status, at
    row.message, row.on_queue = message, row.presence == ON_QUEUE
    session.flush()


def known(session: Session) -> Sequence[UserRouting]:
    """What is known of every active user."""
    statement = select(UserRouting).join(User, User.id == UserRouting.user_id).where(User.state == "active")
    return session.scalars(statement.order_by(UserRouting.user_id)).all()
