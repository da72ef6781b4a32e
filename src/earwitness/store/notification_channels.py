"""Channels of live events: who has opened which, and what is told on them."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from earwitness.domain.access import Subject
from earwitness.domain.ids import new_id
from earwitness.store.tables import NotificationChannel

MOST = 20
"""Channels of a user and program; one more, and the oldest goes (S39)."""


def create(
    session: Session,
    subject: Subject,
    *,
    client_id: str | None,
    at: int,
    expires_at: int,
    token_sha256: str | None = None,
    most: int = MOST,
) -> NotificationChannel:
    """Opens a channel; of those that the subject has by the same program, the oldest go beyond ``most``."""
    held = of_subject(session, subject, client_id=client_id)
    for old in held[: max(0, len(held) - most + 1)]:
        session.delete(old)
    row = NotificationChannel(
        id=new_id(),
        subject_type=subject.type,
        subject_id=subject.id,
        user_id=subject.user_id,
        client_id=client_id,
        token_sha256=token_sha256,
        created_at=at,
        expires_at=expires_at,
    )
    session.add(row)
    session.flush()
    return row


def of_subject(
    session: Session, subject: Subject, *, client_id: str | None = None, now: int | None = None
) -> Sequence[NotificationChannel]:
    """Channels that the subject has opened by a program (None: by none), the oldest first.

    :param now: leave out those that have expired.
    """
    statement = select(NotificationChannel).where(
        NotificationChannel.subject_type == subject.type,
        NotificationChannel.subject_id == subject.id,
        NotificationChannel.client_id.is_(None) if client_id is None else NotificationChannel.client_id == client_id,
    )
    if now is not None:
        statement = statement.where(NotificationChannel.expires_at > now)
    return session.scalars(statement.order_by(NotificationChannel.created_at, NotificationChannel.id)).all()


list = of_subject


def get(session: Session, channel_id: str, now: int) -> NotificationChannel | None:
    """The channel of that id, unless it has expired. Whether it is the caller's is for the caller to ask."""
    row = session.get(NotificationChannel, channel_id)
    return row if row is not None and row.expires_at > now else None


def set_topics(session: Session, row: NotificationChannel, topics: Sequence[str], expires_at: int) -> None:
    """What is told on the channel from now on, each once and in this order; and until when it lives."""
    row.topics = [*dict.fromkeys(topics)]
    row.expires_at = expires_at
    session.flush()


def expire(session: Session, now: int) -> int:
    """Removes the channels that have expired; gives how many there were."""
    statement = delete(NotificationChannel).where(NotificationChannel.expires_at <= now)
    return len(session.scalars(statement.returning(NotificationChannel.id)).all())
