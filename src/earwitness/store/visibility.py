"""The scoped query: which conversations and recordings exist for a subject.

Everything that selects conversations or recordings for somebody starts from ``visible_to`` or
``conversations_visible_to``; ``tests/store/test_scoped_query.py`` searches the source for anything else. What workflows
need, without a subject, is in ``store.internal``.

- A conversation belongs to each division that it touched; a right in any of them reaches it (J11).
- A condition narrows a right to calls with certain users, queues or teams (J13); "current user" are one's own (J14).
- The right to see segments reaches parts in the granted divisions (J12). Recordings have no parts yet, so it reaches
  those of calls that touched no other division.
- A user recording (``ADHOC``) is visible to its owner alone, whatever anybody's role (E2).
"""

from __future__ import annotations

from sqlalchemy import ColumnElement, SQLColumnExpression, and_, exists, false, not_, or_, select, true

from earwitness.domain.access import Access, Scope
from earwitness.domain.access.condition import All, Any_, Condition, Involves
from earwitness.store.tables import Conversation, ConversationDivision, ConversationQueue, Participant, Recording

VIEW_RECORDINGS = "recording:recording:view"
VIEW_SEGMENTS = "recording:recordingSegment:view"
VIEW_CONVERSATIONS = "conversation:communication:view"
ADHOC = "ADHOC"
AGENTS = ("user", "agent")
"""Purposes of participants who are the organisation's people."""


def visible_to(access: Access, permission: str = VIEW_RECORDINGS) -> ColumnElement[bool]:
    """Condition on ``Recording``: those that exist for the subject (deleted ones, as tombstones, included)."""
    own = false() if access.subject.user_id is None else Recording.owner_user_id == access.subject.user_id
    shared = _reached(access, permission, Recording.conversation_id)
    if permission == VIEW_RECORDINGS:
        shared = or_(shared, _reached_whole(access, VIEW_SEGMENTS, Recording.conversation_id))
    return or_(and_(Recording.role == ADHOC, own), and_(Recording.role != ADHOC, shared))


def conversations_visible_to(access: Access, permission: str = VIEW_CONVERSATIONS) -> ColumnElement[bool]:
    """Condition on ``Conversation``: those that exist for the subject: by right, or because it took part."""
    reached = _reached(access, permission, Conversation.id)
    user_id = access.subject.user_id
    return reached if user_id is None else or_(reached, _took_part(Conversation.id, {user_id}))


def _reached(access: Access, permission: str, conversation_id: SQLColumnExpression[str]) -> ColumnElement[bool]:
    scopes = access.scopes_for(permission)
    return or_(false(), *(_scope(scope, access.subject.user_id, conversation_id) for scope in scopes))


def _reached_whole(access: Access, permission: str, conversation_id: SQLColumnExpression[str]) -> ColumnElement[bool]:
    """Calls of which no division is outside."""
    terms = []
    unconditioned = access.divisions_for(permission)
    scopes = [scope for scope in access.scopes_for(permission) if scope.condition is not None]
    for scope in [*scopes, *([Scope(unconditioned)] if unconditioned else [])]:
        term = _scope(scope, access.subject.user_id, conversation_id)
        if not scope.divisions.every:
            outside = exists(
                select(1).where(
                    ConversationDivision.conversation_id == conversation_id,
                    ConversationDivision.division_id.not_in(sorted(scope.divisions.ids)),
                )
            )
            term = and_(term, not_(outside))
        terms.append(term)
    return or_(false(), *terms)


def _scope(scope: Scope, user_id: str | None, conversation_id: SQLColumnExpression[str]) -> ColumnElement[bool]:
    terms: list[ColumnElement[bool]] = []
    if not scope.divisions.every:
        terms.append(
            exists(
                select(1).where(
                    ConversationDivision.conversation_id == conversation_id,
                    ConversationDivision.division_id.in_(sorted(scope.divisions.ids)),
                )
            )
        )
    if scope.condition is not None:
        terms.append(_condition(scope.condition, user_id, conversation_id))
    return and_(true(), *terms)


def _condition(
    condition: Condition, user_id: str | None, conversation_id: SQLColumnExpression[str]
) -> ColumnElement[bool]:
    match condition:
        case All(terms):
            return and_(true(), *(_condition(term, user_id, conversation_id) for term in terms))
        case Any_(terms):
            return or_(false(), *(_condition(term, user_id, conversation_id) for term in terms))
        case Involves():
            return _involves(condition, user_id, conversation_id)


def _involves(wanted: Involves, user_id: str | None, conversation_id: SQLColumnExpression[str]) -> ColumnElement[bool]:
    """Teams are not kept with calls yet, so a condition on a team reaches nothing."""
    users = set(wanted.users)
    if wanted.current_user and user_id is not None:
        users.add(user_id)
    terms: list[ColumnElement[bool]] = []
    if users:
        terms.append(_took_part(conversation_id, users))
    if wanted.queues:
        terms.append(
            exists(
                select(1).where(
                    ConversationQueue.conversation_id == conversation_id,
                    ConversationQueue.queue_id.in_(sorted(wanted.queues)),
                )
            )
        )
    return or_(false(), *terms)


def _took_part(conversation_id: SQLColumnExpression[str], users: set[str]) -> ColumnElement[bool]:
    return exists(
        select(1).where(
            Participant.conversation_id == conversation_id,
            Participant.user_id.in_(sorted(users)),
            Participant.purpose.in_(AGENTS),
        )
    )
