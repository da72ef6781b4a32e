"""Conditions on a grant: which calls a permission reaches (J13, J14).

The contract's form is ``DomainResourceConditionNode``: a tree of AND and OR whose leaves compare a variable of the
conversation with operands of type USER, QUEUE, TEAM or VARIABLE (the current user). What the tree says is decided by
the type of its operands: USER means "that user took part", QUEUE "it waited in that queue", TEAM "a member of that
team at the time took part".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

CURRENT_USER = frozenset({"currentuser", "user.current", "user.id", "$user.id", "current_user"})
"""Values of a VARIABLE operand, in lower case, that mean whoever asks."""
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
class All:
    """True where every term is; without terms always."""

    terms: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Any_:  # noqa: N801 (Any is typing's)
    """True where one term is; without terms never."""

    terms: tuple[Condition, ...]


Condition = Involves | All | Any_

OWN_CALLS = Involves(current_user=True)


def own_calls_document() -> dict[str, Any]:
    """The contract's form of "User = current user" (J14)."""
    return {
        "variableName": "Conversation.agents",
        "operator": "EQ",
        "operands": [{"type": "VARIABLE", "value": "CurrentUser"}],
    }


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


def _leaf(document: Mapping[str, Any]) -> Involves:
    operator = str(document.get("operator") or "EQ").upper()
    if operator not in ("EQ", "IN"):
        raise ConditionError(f"operator {operator!r} is not supported; use EQ or IN")
    operands = document.get("operands")
    if not isinstance(operands, list) or not operands:
        raise ConditionError("a condition needs operands or terms")
    found: dict[str, set[str]] = {"user": set(), "queue": set(), "team": set()}
    current_user = False
    for operand in operands:
        if not isinstance(operand, Mapping):
            raise ConditionError("an operand is an object")
        kind = str(operand.get("type") or "").upper()
        if kind == "VARIABLE":
            if str(operand.get("value") or "").lower() not in CURRENT_USER:
                raise ConditionError(f"variable {operand.get('value')!r} is not supported; use CurrentUser")
            current_user = True
        elif kind in ("USER", "QUEUE", "TEAM"):
            found[kind.lower()].add(_reference(operand, kind.lower()))
        else:
            raise ConditionError(f"operand type {kind!r} is not supported; use USER, QUEUE, TEAM or VARIABLE")
    return Involves(frozenset(found["user"]), frozenset(found["queue"]), frozenset(found["team"]), current_user)


def _reference(operand: Mapping[str, Any], kind: str) -> str:
    reference = operand.get(kind)
    value = reference.get("id") if isinstance(reference, Mapping) else operand.get("value")
    if not isinstance(value, str) or not value:
        raise ConditionError(f"operand of type {kind.upper()} without an id")
    return value
