"""Conditions on a grant: which calls a permission reaches (J13, J14).

The contract's form is ``DomainResourceConditionNode``: a tree of AND and OR whose leaves compare a variable of the
conversation with operands of type USER, QUEUE, TEAM or VARIABLE (the current user). What the tree says is decided by
the type of its operands: USER means "that user took part", QUEUE "it waited in that queue", TEAM "a member of that
team at the time took part". Two variables are ours: ``AssignedEvaluation``, calls of which the current user has an
evaluation to do, and ``ReleasedEvaluation``, calls of which the current user may see an evaluation of themselves (J1).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

CURRENT_USER = frozenset({"currentuser", "user.current", "user.id", "$user.id", "current_user"})
"""Values of a VARIABLE operand, in lower case, that mean whoever asks."""
EVALUATIONS = {"assignedevaluation": "evaluator", "releasedevaluation": "agent"}
"""Values of a VARIABLE operand, in lower case, that mean an evaluation of the call, and one's part in it."""
MAX_DEPTH = 16


class ConditionError(ValueError):
    """A condition that we cannot carry out. Nobody gets access by a condition that is not understood."""


@dataclass(frozen=True, slots=True)
class Involves:
    """True of a conversation in which one of these took part."""

    users: frozenset[str] = frozenset()
    queues: frozenset[str] = frozenset()
    teams: frozenset[str] = frozenset()
    current_user: bool = False
    """Whoever asks counts among ``users``."""


@dataclass(frozen=True, slots=True)
class Evaluated:
    """True of a conversation of which there is an evaluation that whoever asks has to do with (J1)."""

    part: str
    """``evaluator``: it is theirs to do. ``agent``: it is about them, and released."""


@dataclass(frozen=True, slots=True)
class All:
    """True where every term is; without terms always."""

    terms: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Any_:  # noqa: N801 (Any is typing's)
    """True where one term is; without terms never."""

    terms: tuple[Condition, ...]


Condition = Involves | Evaluated | All | Any_

OWN_CALLS = Involves(current_user=True)


def own_calls_document() -> dict[str, Any]:
    """The contract's form of "User = current user" (J14)."""
    return _variable_document("Conversation.agents", "CurrentUser")


def evaluations_document(part: str) -> dict[str, Any]:
    """The document of ``Evaluated(part)``."""
    value = {"evaluator": "AssignedEvaluation", "agent": "ReleasedEvaluation"}[part]
    return _variable_document("Conversation.evaluations", value)


def _variable_document(name: str, value: str) -> dict[str, Any]:
    return {"variableName": name, "operator": "EQ", "operands": [{"type": "VARIABLE", "value": value}]}


def from_document(document: Mapping[str, Any]) -> Condition:
    """Reads a ``DomainResourceConditionNode``.

    :raises ConditionError: no such node, an operator, operand or depth beyond what we carry out.
    """
    return _node(document, MAX_DEPTH)


def _node(document: Any, depth: int) -> Condition:
    if not isinstance(document, Mapping):
        raise ConditionError("a condition is an object")
    if depth == 0:
        raise ConditionError("conditions are nested too deeply")
    terms = document.get("terms")
    if terms:
        if not isinstance(terms, list):
            raise ConditionError("terms is a list")
        parts = tuple(_node(term, depth - 1) for term in terms)
        conjunction = str(document.get("conjunction") or "AND").upper()
        if conjunction not in ("AND", "OR"):
            raise ConditionError(f"conjunction {conjunction!r} is neither AND nor OR")
        return All(parts) if conjunction == "AND" else Any_(parts)
    return _leaf(document)


def _leaf(document: Mapping[str, Any]) -> Condition:
    operator = str(document.get("operator") or "EQ").upper()
    if operator not in ("EQ", "IN"):
        raise ConditionError(f"operator {operator!r} is not supported; use EQ or IN")
    operands = document.get("operands")
    if not isinstance(operands, list) or not operands:
        raise ConditionError("a condition needs operands or terms")
    found: dict[str, set[str]] = {"user": set(), "queue": set(), "team": set()}
    current_user = False
    evaluated: list[Condition] = []
    for operand in operands:
        if not isinstance(operand, Mapping):
            raise ConditionError("an operand is an object")
        kind = str(operand.get("type") or "").upper()
        if kind == "VARIABLE":
            value = str(operand.get("value") or "").lower()
            if value in EVALUATIONS:
                evaluated.append(Evaluated(EVALUATIONS[value]))
            elif value in CURRENT_USER:
                current_user = True
            else:
                known = "CurrentUser, AssignedEvaluation or ReleasedEvaluation"
                raise ConditionError(f"variable {operand.get('value')!r} is not supported; use {known}")
        elif kind in ("USER", "QUEUE", "TEAM"):
            found[kind.lower()].add(_reference(operand, kind.lower()))
        else:
            raise ConditionError(f"operand type {kind!r} is not supported; use USER, QUEUE, TEAM or VARIABLE")
    involved = Involves(frozenset(found["user"]), frozenset(found["queue"]), frozenset(found["team"]), current_user)
    terms = (*evaluated, *(() if involved == Involves() else (involved,)))
    return terms[0] if len(terms) == 1 else Any_(terms)


def _reference(operand: Mapping[str, Any], kind: str) -> str:
    reference = operand.get(kind)
    value = reference.get("id") if isinstance(reference, Mapping) else operand.get("value")
    if not isinstance(value, str) or not value:
        raise ConditionError(f"operand of type {kind.upper()} without an id")
    return value
