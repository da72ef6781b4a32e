"""The scoped query: which conversations and recordings exist for a subject.

Everything that selects conversations or recordings for somebody starts from ``visible_to`` or
``conversations_visible_to``; ``tests/store/test_scoped_query.py`` searches the source for anything else. What workflows
need, without a subject, is in ``store.internal``.

- A conversation belongs to each division that it touched; a right in any of them reaches it (J11).
- A condition narrows a right to calls with certain users, queues or teams (J13); "current user" are one's own (J14).
- Whoever an evaluation of the call is assigned to hears it, and so does the agent whose evaluation is released (J1).
- The right to see segments reaches the parts in the granted divisions (J12): a recording exists for who hears some of
  it; how much, ``store.hearing`` tells.
- A user recording (``ADHOC``) is visible to its owner alone, whatever anybody's role (E2).

``domain.access.call`` says the same of calls in progress.
"""

from __future__ import annotations

from sqlalchemy import ColumnElement, SQLColumnExpression, and_, exists, false, not_, or_, select, true

from earwitness.domain.access import Access, Scope
from earwitness.domain.access import call as rules
from earwitness.domain.access.condition import All, Any_, Condition, Evaluated, Involves
from earwitness.store.tables import (
    Conversation,
    ConversationDivision,
    ConversationPart,
    ConversationQueue,
    ConversationTeam,
    Evaluation,
    Participant,
    Recording,
)

VIEW_RECORDINGS = "recording:recording:view"
VIEW_SEGMENTS = "recording:recordingSegment:view"
VIEW_CONVERSATIONS = "conversation:communication:view"
VIEW_AUDITS = "audits:interactionDetails:view"
ConversationId = SQLColumnExpression[str] | SQLColumnExpression[str | None]
"""The column, of whatever table, that says which conversation."""
ADHOC = "ADHOC"
AGENTS = ("user", "agent")
"""Purposes of participants who are the organisation's people."""
RELEASED = ("FINISHED", "INREVIEW")
"""States of an evaluation that its agent may see, once it is released."""
RETRACTED = "RETRACTED"


def visible_to(access: Access, permission: str = VIEW_RECORDINGS) -> ColumnElement[bool]:
    """Condition on ``Recording``: those that exist for the subject (deleted ones, as tombstones, included)."""
    shared = whole_to(access, permission)
    if permission == VIEW_RECORDINGS:
        shared = or_(shared, _reached_in_parts(access))
    return or_(and_(Recording.role == ADHOC, _own(access)), and_(Recording.role != ADHOC, shared))


def whole_to(access: Access, permission: str = VIEW_RECORDINGS) -> ColumnElement[bool]:
    """Condition on a ``Recording`` that is nobody's own: the right is one to all of it."""
    shared = _reached(access, permission, Recording.conversation_id)
    if permission == VIEW_RECORDINGS:
        shared = or_(shared, _by_evaluation(access, Recording.conversation_id))
    return shared


def conversations_visible_to(access: Access, permission: str = VIEW_CONVERSATIONS) -> ColumnElement[bool]:
    """Condition on ``Conversation``: those that exist for the subject: by right, or because it took part."""
    found = _reached(access, permission, Conversation.id)
    user_id = access.subject.user_id
    if user_id is not None:
        found = or_(found, _took_part(Conversation.id, {user_id}))
    if permission in (VIEW_CONVERSATIONS, VIEW_RECORDINGS):
        found = or_(found, _by_evaluation(access, Conversation.id))
    return found


def conversation_reached(access: Access, permission: str, conversation_id: ConversationId) -> ColumnElement[bool]:
    """Condition on whatever has the id of a conversation: a grant of the permission reaches it."""
    return _reached(access, permission, conversation_id)


def nobody_elses(access: Access, recording_id: SQLColumnExpression[str | None]) -> ColumnElement[bool]:
    """Condition on whatever has the id of a recording: it is no user recording of somebody else (E2)."""
    return not_(exists(select(1).where(Recording.id == recording_id, Recording.role == ADHOC, not_(_own(access)))))


def scope_reaches(scope: Scope, access: Access, conversation_id: ConversationId) -> ColumnElement[bool]:
    """Whether one scope of the subject reaches a conversation."""
    return _scope(scope, access.subject.user_id, conversation_id)


def _own(access: Access) -> ColumnElement[bool]:
    user_id = access.subject.user_id
    return false() if user_id is None or not access.personal else Recording.owner_user_id == user_id


def _reached(access: Access, permission: str, conversation_id: ConversationId) -> ColumnElement[bool]:
    scopes = access.scopes_for(permission)
    return or_(false(), *(_scope(scope, access.subject.user_id, conversation_id) for scope in scopes))


def _reached_in_parts(access: Access) -> ColumnElement[bool]:
    """Recordings of which a scope of the right to segments reaches some.

    Those are the ones with a part in its divisions while something was recorded, and the ones of calls of which no
    division is outside.
    """
    terms = []
    for scope in merged(access.scopes_for(VIEW_SEGMENTS)):
        term = _scope(scope, access.subject.user_id, Recording.conversation_id)
        if not scope.divisions.every:
            inside = exists(
                select(1).where(
                    ConversationPart.conversation_id == Recording.conversation_id,
                    ConversationPart.division_id.in_(sorted(scope.divisions.ids)),
                    ConversationPart.started_at < Recording.ended_at,
                    ConversationPart.ended_at > Recording.started_at,
                )
            )
            outside = exists(
                select(1).where(
                    ConversationDivision.conversation_id == Recording.conversation_id,
                    ConversationDivision.division_id.not_in(sorted(scope.divisions.ids)),
                )
            )
            term = and_(term, or_(inside, not_(outside)))
        terms.append(term)
    return or_(false(), *terms)


def merged(scopes: tuple[Scope, ...]) -> list[Scope]:
    """The scopes with those of one condition made one: their divisions count together."""
    found: dict[Condition | None, Scope] = {}
    for scope in scopes:
        known = found.get(scope.condition)
        divisions = scope.divisions if known is None else known.divisions | scope.divisions
        found[scope.condition] = Scope(divisions, scope.condition)
    return list(found.values())


def _by_evaluation(access: Access, conversation_id: ConversationId) -> ColumnElement[bool]:
    """The subject has to do with an evaluation of the call, and its role lets it (J1)."""
    terms: list[ColumnElement[bool]] = []
    user_id = access.subject.user_id
    if rules.evaluates(access):
        terms.append(_evaluated("evaluator", user_id, conversation_id))
    if rules.reviews(access):
        terms.append(_evaluated("agent", user_id, conversation_id))
    return or_(false(), *terms)


def _evaluated(part: str, user_id: str | None, conversation_id: ConversationId) -> ColumnElement[bool]:
    if user_id is None:
        return false()
    if part == "evaluator":
        theirs = and_(
            or_(Evaluation.evaluator_user_id == user_id, Evaluation.assignee_user_id == user_id),
            Evaluation.status != RETRACTED,
        )
    else:
        theirs = and_(
            Evaluation.agent_user_id == user_id,
            Evaluation.released_at.is_not(None),
            not_(Evaluation.never_release),
            Evaluation.status.in_(RELEASED),
        )
    return exists(
        select(1).where(Evaluation.conversation_id == conversation_id, Evaluation.deleted_at.is_(None), theirs)
    )


def _scope(scope: Scope, user_id: str | None, conversation_id: ConversationId) -> ColumnElement[bool]:
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


def _condition(condition: Condition, user_id: str | None, conversation_id: ConversationId) -> ColumnElement[bool]:
    match condition:
        case All(terms):
            return and_(true(), *(_condition(term, user_id, conversation_id) for term in terms))
        case Any_(terms):
            return or_(false(), *(_condition(term, user_id, conversation_id) for term in terms))
        case Evaluated(part):
            return _evaluated(part, user_id, conversation_id)
        case Involves():
            return _involves(condition, user_id, conversation_id)


def _involves(wanted: Involves, user_id: str | None, conversation_id: ConversationId) -> ColumnElement[bool]:
    """Somebody of these took part: by the time of the call, as far as teams are concerned (J13)."""
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
    if wanted.teams:
        terms.append(
            exists(
                select(1).where(
                    ConversationTeam.conversation_id == conversation_id,
                    ConversationTeam.team_id.in_(sorted(wanted.teams)),
                )
            )
        )
    return or_(false(), *terms)


def _took_part(conversation_id: ConversationId, users: set[str]) -> ColumnElement[bool]:
    return exists(
        select(1).where(
            Participant.conversation_id == conversation_id,
            Participant.user_id.in_(sorted(users)),
            Participant.purpose.in_(AGENTS),
        )
    )
