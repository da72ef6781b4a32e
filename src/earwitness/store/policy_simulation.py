"""What a policy would have done with past conversations: for a subject, and changing nothing.

Conversations are those that exist for the subject; so are the recordings that are counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session, load_only

from earwitness.domain.access import Access
from earwitness.domain.policy import Facts
from earwitness.store import policy_facts
from earwitness.store.tables import Conversation, Recording
from earwitness.store.visibility import ADHOC, conversations_visible_to, visible_to

AT_ONCE = 200
DELETED = "DELETED"


@dataclass(frozen=True, slots=True)
class Past:
    """A conversation to try policies on."""

    facts: Facts
    recordings: int
    """That are there, and that the subject may hear; inbox items are not among them."""
    created_at: int | None
    """When the first of them was made."""


def past(session: Session, access: Access, *, since: int, until: int, most: int) -> Iterator[Past]:
    """Conversations that began from ``since`` to before ``until``, newest first, ``most`` of them and no more."""
    left = most
    before: tuple[int, str] | None = None
    while left > 0:
        statement = select(Conversation).where(
            conversations_visible_to(access), Conversation.started_at >= since, Conversation.started_at < until
        )
        if before is not None:
            at, key = before
            statement = statement.where(
                (Conversation.started_at < at) | ((Conversation.started_at == at) & (Conversation.id > key))
            )
        ordered = statement.order_by(Conversation.started_at.desc(), Conversation.id).limit(min(AT_ONCE, left))
        rows = session.scalars(
            ordered.options(load_only(Conversation.id, Conversation.started_at, Conversation.timeline))
        ).all()
        if not rows:
            return
        facts = policy_facts.facts(session, rows)
        there = _recordings(session, access, [row.id for row in rows])
        for row in rows:
            yield Past(facts[row.id], *there.get(row.id, (0, None)))
        left -= len(rows)
        before = rows[-1].started_at, rows[-1].id
        session.expunge_all()


def _recordings(session: Session, access: Access, ids: list[str]) -> dict[str, tuple[int, int | None]]:
    """Conversation -> how many recordings of it there are, and when the first was made."""
    statement = (
        select(Recording.conversation_id, func.count(), func.min(Recording.created_at))
        .where(
            Recording.conversation_id.in_(ids),
            Recording.role != ADHOC,
            Recording.file_state != DELETED,
            visible_to(access),
        )
        .group_by(Recording.conversation_id)
    )
    return {row[0]: (int(row[1]), int(row[2])) for row in session.execute(statement)}
