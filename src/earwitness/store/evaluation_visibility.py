"""Which evaluations exist for a subject, and what its permissions give it there (J1, J5, J6).

- A right in any division of the call reaches an evaluation of it. A condition speaks of the agent who is evaluated:
  users are agents, queues those of the agent's part, teams the agent's at the time; ``Evaluated`` is one's own work, or
  what was released about oneself.
- Who evaluates, whose turn it is, and who calibrates sees what is theirs, in whatever division.
- Whoever has a part in a calibration and has not finished it does not see those of the others: it would be no
  comparison.
- The agent sees it once it is released, and nobody sees an evaluation of oneself before, whatever the role.
"""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import ColumnElement, and_, case, exists, false, not_, or_, select, true
from sqlalchemy.orm import Session, aliased

from earwitness.domain.access import Access, Scope
from earwitness.domain.access.condition import All, Any_, Condition, Evaluated
from earwitness.domain.quality import evaluation as life
from earwitness.store.tables import Calibration, ConversationDivision, Evaluation

VIEW = "quality:evaluation:view"
PERMISSIONS = {
    **{action: f"quality:evaluation:{action}" for action in life.ACTIONS},
    life.VIEW_AUDIT: "audits:interactionDetails:view",
}
"""Action of the contract -> permission."""


def visible_to(access: Access, *permissions: str, deleted: bool = False) -> ColumnElement[bool]:
    """Condition on ``Evaluation``: those that exist for who holds one of ``permissions`` (default: to view)."""
    user_id = access.subject.user_id
    found = or_(false(), *(reached(access, permission) for permission in permissions or (VIEW,)))
    if user_id is not None:
        released = Evaluation.released_at.is_not(None)
        of_oneself = Evaluation.agent_user_id == user_id
        found = and_(
            or_(found, _theirs(user_id), and_(of_oneself, released)),
            or_(not_(of_oneself), released),
            not_(_would_sway(user_id)),
        )
    return found if deleted else and_(Evaluation.deleted_at.is_(None), found)


def reached(access: Access, permission: str) -> ColumnElement[bool]:
    """Condition on ``Evaluation``: those that the permission reaches, by division and condition."""
    return or_(false(), *(_scope(scope, access.subject.user_id) for scope in access.scopes_for(permission)))


def held(session: Session, access: Access, row: Evaluation) -> frozenset[str]:
    """Actions that the subject's permissions give it on one evaluation."""
    asked = [
        case((reached(access, permission), 1), else_=0).label(action) for action, permission in PERMISSIONS.items()
    ]
    found = session.execute(select(*asked).where(Evaluation.id == row.id)).one()
    actions = {action for action, holds in found._mapping.items() if holds}
    if takes_part(access, row):  # one's own work and one's own signature, in whatever division the call was
        own = (life.EDIT, life.EDIT_SCORE, life.SIGN_OFF)
        actions |= {action for action in own if access.allows(PERMISSIONS[action])}
    return frozenset(actions)


def takes_part(access: Access, row: Evaluation) -> bool:
    """Whether the subject evaluates, has to do something, or is evaluated."""
    user_id = access.subject.user_id
    return user_id is not None and user_id in (row.agent_user_id, row.evaluator_user_id, row.assignee_user_id)


def division_ids(session: Session, conversation_ids: Collection[str]) -> dict[str, list[str]]:
    """Conversation id -> divisions that it touched, sorted; for evaluations that were found through ``visible_to``."""
    statement = select(ConversationDivision.conversation_id, ConversationDivision.division_id).where(
        ConversationDivision.conversation_id.in_(sorted(set(conversation_ids)))
    )
    found: dict[str, list[str]] = {}
    for conversation_id, division_id in session.execute(statement.order_by(ConversationDivision.division_id)):
        found.setdefault(conversation_id, []).append(division_id)
    return found


def _theirs(user_id: str) -> ColumnElement[bool]:
    return or_(Evaluation.evaluator_user_id == user_id, Evaluation.assignee_user_id == user_id, _calibrates(user_id))


def _would_sway(user_id: str) -> ColumnElement[bool]:
    """Another one's evaluation in a calibration in which one has not finished one's own."""
    mine = aliased(Evaluation)
    unfinished = exists(
        select(1).where(
            mine.calibration_id == Evaluation.calibration_id,
            mine.evaluator_user_id == user_id,
            mine.status.in_((life.PENDING, life.INPROGRESS)),
            mine.deleted_at.is_(None),
        )
    )
    others = and_(Evaluation.calibration_id.is_not(None), Evaluation.evaluator_user_id != user_id)
    return and_(others, unfinished, not_(_calibrates(user_id)))


def _calibrates(user_id: str) -> ColumnElement[bool]:
    return exists(
        select(1).where(Calibration.id == Evaluation.calibration_id, Calibration.calibrator_user_id == user_id)
    )


def _scope(scope: Scope, user_id: str | None) -> ColumnElement[bool]:
    terms: list[ColumnElement[bool]] = []
    if not scope.divisions.every:
        terms.append(
            exists(
                select(1).where(
                    ConversationDivision.conversation_id == Evaluation.conversation_id,
                    ConversationDivision.division_id.in_(sorted(scope.divisions.ids)),
                )
            )
        )
    if scope.condition is not None:
        terms.append(_condition(scope.condition, user_id))
    return and_(true(), *terms)


def _condition(condition: Condition, user_id: str | None) -> ColumnElement[bool]:
    match condition:
        case All(terms):
            return and_(true(), *(_condition(term, user_id) for term in terms))
        case Any_(terms):
            return or_(false(), *(_condition(term, user_id) for term in terms))
        case Evaluated(part):
            if user_id is None:
                return false()
            if part == "evaluator":
                return or_(Evaluation.evaluator_user_id == user_id, Evaluation.assignee_user_id == user_id)
            return and_(Evaluation.agent_user_id == user_id, Evaluation.released_at.is_not(None))
    users = set(condition.users)
    if condition.current_user and user_id is not None:
        users.add(user_id)
    return or_(
        Evaluation.agent_user_id.in_(sorted(users)),
        Evaluation.queue_id.in_(sorted(condition.queues)),
        Evaluation.agent_team_id.in_(sorted(condition.teams)),
    )
