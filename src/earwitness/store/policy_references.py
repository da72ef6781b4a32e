"""What policies mention that is not there any more (F17)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import InstrumentedAttribute, Session

from earwitness.domain.policy import (
    Action,
    AssignCalibration,
    AssignEvaluation,
    AssignMetered,
    Export,
    Form,
    Policy,
    PolicyError,
    Unsupported,
)
from earwitness.store import policies
from earwitness.store.after_call_work import TIMEOUT_CODE
from earwitness.store.tables import (
    EvaluationForm,
    Integration,
    Language,
    Queue,
    RetentionPolicy,
    User,
    WorkTeam,
    WrapupCode,
)

IN_ONE_QUERY = 500
BROKEN = "reference.broken"
UNSUPPORTED = "action.unsupported"
UNREADABLE = "policy.unreadable"


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that keeps a policy from doing all that it says."""

    code: str
    message: str
    params: Mapping[str, str]


Mention = tuple[str, str]
"""(kind of object, id)"""
TABLES: dict[str, tuple[InstrumentedAttribute[str], tuple[Any, ...]]] = {
    "user": (User.id, (User.state != "deleted",)),
    "queue": (Queue.id, (Queue.state != "deleted",)),
    "team": (WorkTeam.id, (WorkTeam.state != "deleted",)),
    "wrap-up code": (WrapupCode.id, (WrapupCode.state != "deleted",)),
    "language": (Language.id, (Language.state != "deleted",)),
    "published evaluation form": (
        EvaluationForm.id,
        (EvaluationForm.state != "deleted", EvaluationForm.published_at.is_not(None)),
    ),
    "published version of evaluation form": (
        EvaluationForm.context_id,
        (EvaluationForm.state != "deleted", EvaluationForm.published_at.is_not(None)),
    ),
    "integration": (Integration.id, (Integration.intended_state != "DELETED",)),
}


def mentions(policy: Policy) -> list[Mention]:
    """Everything that a policy mentions, each once."""
    asked = policy.conditions
    found: list[Mention] = [
        *(("user", key) for key in sorted(asked.users)),
        *(("queue", key) for key in sorted(asked.queues)),
        *(("team", key) for key in sorted(asked.teams)),
        *(("wrap-up code", key) for key in sorted(asked.wrapup_codes)),
        *(("language", key) for key in sorted(asked.languages)),
    ]
    for action in policy.actions.others:
        found += mentioned_by(action)
    return list(dict.fromkeys(found))


def mentioned_by(action: Action) -> list[Mention]:
    """Everything that an action mentions."""
    match action:
        case AssignEvaluation(form, evaluator_id):
            return [*_form(form), ("user", evaluator_id)]
        case AssignMetered():
            return [*_form(action.form), *(("user", key) for key in action.evaluator_ids)]
        case AssignCalibration():
            people = (action.calibrator_id, *action.evaluator_ids, action.expert_id)
            return [*_form(action.form), *(("user", key) for key in people if key is not None)]
        case Export(integration_id):
            return [("integration", integration_id)]
        case _:
            return []


def _form(form: Form) -> list[Mention]:
    if form.latest and form.context_id is not None:
        return [("published version of evaluation form", form.context_id)]
    return [] if form.id is None else [("published evaluation form", form.id)]


def missing(session: Session, wanted: Iterable[Mention]) -> set[Mention]:
    """Those that there are not."""
    by_kind: dict[str, set[str]] = {}
    for kind, key in wanted:
        by_kind.setdefault(kind, set()).add(key)
    by_kind.get("wrap-up code", set()).discard(TIMEOUT_CODE)
    gone: set[Mention] = set()
    for kind, keys in by_kind.items():
        column, terms = TABLES[kind]
        ids = sorted(keys)
        for first in range(0, len(ids), IN_ONE_QUERY):
            there = session.scalars(select(column).where(column.in_(ids[first : first + IN_ONE_QUERY]), *terms))
            keys.difference_update(there)
        gone.update((kind, key) for key in keys)
    return gone


def problems(session: Session, rows: Sequence[RetentionPolicy]) -> dict[str, list[Problem]]:
    """Policy id -> what is wrong with it; those that are fine have an empty list."""
    found: dict[str, list[Problem]] = {row.id: [] for row in rows}
    read: dict[str, Policy] = {}
    for row in rows:
        try:
            read[row.id] = policies.read(row)
        except PolicyError as error:
            found[row.id].append(Problem(UNREADABLE, str(error), {"field": error.field}))
    spoken = {policy_id: mentions(policy) for policy_id, policy in read.items()}
    gone = missing(session, (mention for several in spoken.values() for mention in several))
    for policy_id, policy in read.items():
        for kind, key in spoken[policy_id]:
            if (kind, key) in gone:
                found[policy_id].append(Problem(BROKEN, f"There is no {kind} {key}.", {"type": kind, "id": key}))
        for action in policy.actions.others:
            if isinstance(action, Unsupported):
                message = f"{action.name} is kept but not carried out: {action.why}."
                found[policy_id].append(Problem(UNSUPPORTED, message, {"action": action.name}))
    return found
