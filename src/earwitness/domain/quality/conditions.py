"""Visibility conditions: a question or a group is shown depending on answers to other questions.

A predicate names an answer by its place in the form: ``/form/questionGroup/0/question/1/answer/0``, or
``../question/1/answer/0`` in the same group; numbers count from 0. It holds while that question is shown and that
answer is chosen. A question in a group that is not shown is not shown either. What depends on itself, over whatever
many steps, is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from earwitness.domain.quality.form import Group

Node = tuple[int, int | None]
"""A group ``(group, None)`` or a question ``(group, question)``, by their numbers."""

MOST_PREDICATES = 100
_PREDICATE = re.compile(
    r"(?:/form/questionGroup/(?P<group>\d{1,4})|\.\.)/question/(?P<question>\d{1,4})/answer/(?P<answer>\d{1,4})"
)


class FormError(ValueError):
    """A form, or answers to one, that cannot be carried out."""

    def __init__(self, field: str, message: str) -> None:
        self.field, self.message = field, message
        super().__init__(f"{field}: {message}")


@dataclass(frozen=True, slots=True)
class Predicate:
    """An answer that must be chosen."""

    group: int
    question: int
    answer: int


@dataclass(frozen=True, slots=True)
class Condition:
    """When something is shown."""

    every: bool
    """All predicates must hold; False: one of them."""
    predicates: tuple[Predicate, ...]


def read_condition(
    document: Mapping[str, Any] | None, at: str, group: int | None, form: Sequence[Mapping[str, Any]]
) -> Condition | None:
    """Reads a ``VisibilityCondition``; None: always shown.

    :param at: the field, for errors.
    :param group: in which group it stands; None where ``..`` has no meaning.
    :param form: all groups, to find the answers that it names.
    :raises FormError: not a condition, or one that names an answer that is not there.
    """
    if not document or not document.get("predicates"):
        return None
    operation = document.get("combiningOperation") or "AND"
    if operation not in ("AND", "OR"):
        raise FormError(f"{at}.combiningOperation", "must be AND or OR")
    predicates = document["predicates"]
    if not isinstance(predicates, list) or len(predicates) > MOST_PREDICATES:
        raise FormError(f"{at}.predicates", f"must be a list of at most {MOST_PREDICATES}")
    found = tuple(_predicate(text, f"{at}.predicates.{n}", group, form) for n, text in enumerate(predicates))
    return Condition(operation == "AND", found)


def _predicate(text: object, at: str, group: int | None, form: Sequence[Mapping[str, Any]]) -> Predicate:
    match = _PREDICATE.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise FormError(at, "is not of the form /form/questionGroup/0/question/0/answer/0 or ../question/0/answer/0")
    where = int(match["group"]) if match["group"] is not None else group
    if where is None:
        raise FormError(at, "a group has no group around it: begin with /form/questionGroup/")
    question, answer = int(match["question"]), int(match["answer"])
    try:
        options = form[where]["questions"][question].get("answerOptions") or []
        options[answer]
    except (IndexError, KeyError, TypeError, AttributeError):
        raise FormError(at, "names an answer that is not in the form") from None
    return Predicate(where, question, answer)


def order_of(groups: Sequence[Group]) -> tuple[Node, ...]:
    """Groups and questions, each after everything that its visibility depends on.

    :raises FormError: something depends on itself.
    """
    needs: dict[Node, list[Node]] = {}
    for number, group in enumerate(groups):
        needs[number, None] = _targets(group.condition)
        for place, question in enumerate(group.questions):
            needs[number, place] = [(number, None), *_targets(question.condition)]
    done: dict[Node, bool] = {}  # False: under way
    order: list[Node] = []
    for start in needs:
        stack: list[tuple[Node, int]] = [] if start in done else [(start, 0)]
        while stack:
            node, step = stack.pop()
            done.setdefault(node, False)
            if step == len(needs[node]):
                done[node] = True
                order.append(node)
                continue
            stack.append((node, step + 1))
            target = needs[node][step]
            if done.get(target) is False:
                raise FormError(_field(target), "is shown or not depending on itself")
            if target not in done:
                stack.append((target, 0))
    return tuple(order)


def _targets(condition: Condition | None) -> list[Node]:
    return [(item.group, item.question) for item in condition.predicates] if condition is not None else []


def _field(node: Node) -> str:
    group, question = node
    place = "" if question is None else f".questions.{question}"
    return f"questionGroups.{group}{place}.visibilityCondition"


def shown(groups: Sequence[Group], order: Sequence[Node], chosen: Callable[[int, int], int | None]) -> set[Node]:
    """Groups and questions that are shown.

    :param chosen: number of the answer that was chosen to question (group, question); None: none.
    """
    visible: set[Node] = set()
    for node in order:
        number, place = node
        group = groups[number]
        if place is not None and (number, None) not in visible:
            continue
        condition = group.condition if place is None else group.questions[place].condition
        if condition is None or _holds(condition, visible, chosen):
            visible.add(node)
    return visible


def _holds(condition: Condition, visible: set[Node], chosen: Callable[[int, int], int | None]) -> bool:
    results = (
        (item.group, item.question) in visible and chosen(item.group, item.question) == item.answer
        for item in condition.predicates
    )
    return all(results) if condition.every else any(results)
