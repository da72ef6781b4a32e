"""What of a call decides who reaches it, and whether somebody does.

The same as ``store.visibility``, without a database: for calls in progress, which no table knows yet, and to tell of a
recording who may hear it and why.
"""

from __future__ import annotations

from dataclasses import dataclass

from earwitness.domain.access.condition import All, Any_, Condition, Evaluated
from earwitness.domain.access.subject import Access, Scope

EVALUATES = ("quality:evaluation:editScore", "quality:evaluation:edit", "quality:evaluation:view")
"""One of these makes an evaluation that was assigned to somebody a right to hear the call (J1)."""
REVIEWS = ("quality:evaluation:editAgentSignoff", "quality:evaluation:view")
"""One of these makes a released evaluation of somebody a right to hear the call (J1)."""


@dataclass(frozen=True, slots=True)
class Call:
    """A call, as far as access asks."""

    divisions: frozenset[str] = frozenset()
    """All that it touched (J11)."""
    users: frozenset[str] = frozenset()
    """The organisation's people on it."""
    queues: frozenset[str] = frozenset()
    teams: frozenset[str] = frozenset()
    """Of its users, at the time (J13)."""
    evaluators: frozenset[str] = frozenset()
    """To whom an evaluation of it is assigned that is neither retracted nor deleted."""
    reviewed: frozenset[str] = frozenset()
    """Agents of whom an evaluation of it is released."""


def holds(condition: Condition, call: Call, user_id: str | None) -> bool:
    """Whether a condition is true of a call.

    :param user_id: the current user; None: a program.
    """
    if isinstance(condition, All):
        return all(holds(term, call, user_id) for term in condition.terms)
    if isinstance(condition, Any_):
        return any(holds(term, call, user_id) for term in condition.terms)
    if isinstance(condition, Evaluated):
        return user_id in (call.evaluators if condition.part == "evaluator" else call.reviewed)
    wanted = condition.users | ({user_id} if condition.current_user and user_id is not None else frozenset())
    return bool(wanted & call.users or condition.queues & call.queues or condition.teams & call.teams)


def reached(scope: Scope, call: Call, user_id: str | None) -> bool:
    """Whether a scope reaches a call: in one of its divisions, and its condition holds."""
    within = scope.divisions.every or bool(scope.divisions.ids & call.divisions)
    return within and (scope.condition is None or holds(scope.condition, call, user_id))


def reaches(access: Access, permission: str, call: Call) -> bool:
    """Whether a permission reaches a call by some grant."""
    return any(reached(scope, call, access.subject.user_id) for scope in access.scopes_for(permission))


def evaluates(access: Access) -> bool:
    """Whether evaluations assigned to the subject let it hear the calls."""
    return access.subject.user_id is not None and access.allows_any(EVALUATES)


def reviews(access: Access) -> bool:
    """Whether released evaluations of the subject let it hear the calls."""
    return access.subject.user_id is not None and access.allows_any(REVIEWS)
