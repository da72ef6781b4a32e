"""Answers to a form: read, begun with defaults, and held against what the form demands.

Answers come as the contract's ``EvaluationScoringSet``. Points and totals in it are never believed: they are worked out
anew by ``domain.quality.scoring``. What is hidden by a visibility condition has no answer (N/A by the system).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from earwitness.domain.quality import conditions
from earwitness.domain.quality.conditions import FormError, Node
from earwitness.domain.quality.form import MULTIPLE_SELECT, READ_ONLY, SELECTED, UNSELECTED, Form, Group, Question

LONGEST_COMMENT = 8000
ROOT = "answers.questionGroupScores"


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one question."""

    option_id: str | None = None
    na: bool = False
    """The evaluator says that it does not apply."""
    comments: str | None = None
    """Of a free text question: the answer."""
    parts: Mapping[str, str] = field(default_factory=dict)
    """Of a multiple select question: part id -> option id. Parts that are not there are unselected."""

    @property
    def is_given(self) -> bool:
        """Whether something was chosen."""
        return self.option_id is not None or bool(self.parts)


NOTHING = Answer()


@dataclass(frozen=True, slots=True)
class Answers:
    """What an evaluator has answered so far."""

    questions: Mapping[str, Answer] = field(default_factory=dict)
    """By question id."""
    na_groups: frozenset[str] = frozenset()
    """Groups that do not apply, says the evaluator."""

    def of(self, question: Question) -> Answer:
        """The answer to a question."""
        return self.questions.get(question.id, NOTHING)

    def is_na(self, group: Group, question: Question) -> bool:
        """Whether the evaluator says that a question does not apply."""
        return group.id in self.na_groups or self.of(question).na

    def shown(self, form: Form) -> set[Node]:
        """Groups and questions that are shown, given these answers."""

        def chosen(group: int, place: int) -> int | None:
            question = form.groups[group].questions[place]
            if self.is_na(form.groups[group], question):
                return None
            answer = self.of(question).option_id
            return next((n for n, option in enumerate(question.options) if option.id == answer), None)

        return conditions.shown(form.groups, form.order, chosen)


def read(form: Form, document: Mapping[str, Any]) -> Answers:
    """Reads an ``EvaluationScoringSet``; what it does not speak of is not answered.

    :raises FormError: ids that the form does not have (it may be of another version), something said twice or both
        answered and not applicable, N/A where the form does not allow it.
    """
    groups = {group.id: group for group in form.groups}
    questions: dict[str, Answer] = {}
    na_groups: set[str] = set()
    seen: set[str] = set()
    for number, score in enumerate(_items(document, "questionGroupScores", "answers")):
        at = f"{ROOT}.{number}"
        group = groups.get(score.get("questionGroupId") or "")
        if group is None:
            raise FormError(f"{at}.questionGroupId", "is no question group of this version of the form")
        if group.id in seen:
            raise FormError(f"{at}.questionGroupId", "is there twice")
        seen.add(group.id)
        if _marked(score):
            if not group.na_enabled:
                raise FormError(f"{at}.markedNA", "the question group cannot be N/A")
            na_groups.add(group.id)
        known = {question.id: question for question in group.questions}
        for place, given in enumerate(_items(score, "questionScores", at)):
            where = f"{at}.questionScores.{place}"
            question = known.get(given.get("questionId") or "")
            if question is None:
                raise FormError(f"{where}.questionId", "is no question of this group of this version of the form")
            if question.id in questions:
                raise FormError(f"{where}.questionId", "is there twice")
            questions[question.id] = _answer(question, given, where, in_na_group=group.id in na_groups)
    return Answers(questions, frozenset(na_groups))


def _answer(question: Question, given: Mapping[str, Any], at: str, *, in_na_group: bool) -> Answer:
    option_id = given.get("answerId")
    comments = comment(given.get("comments"), f"{at}.comments")
    parts = _parts(question, given, at)
    if option_id is not None and question.option(option_id) is None:
        raise FormError(f"{at}.answerId", "is no answer of the question")
    na = _marked(given) and not in_na_group
    if na and not question.na_enabled:
        raise FormError(f"{at}.markedNA", "the question cannot be N/A")
    if na and (option_id is not None or parts):
        raise FormError(f"{at}.markedNA", "a question is answered or N/A, not both")
    return Answer(option_id, na, comments, parts)


def _parts(question: Question, given: Mapping[str, Any], at: str) -> dict[str, str]:
    found: dict[str, str] = {}
    known = {part.id: part for part in question.parts}
    for number, item in enumerate(_items(given, "multipleSelectQuestionOptionScores", at)):
        where = f"{at}.multipleSelectQuestionOptionScores.{number}"
        part = known.get(item.get("questionId") or "")
        if part is None or part.id in found:
            raise FormError(f"{where}.questionId", "is no option of the question, or is there twice")
        option_id = item.get("answerId")
        if option_id is None:
            continue
        if part.option(option_id) is None:
            raise FormError(f"{where}.answerId", "is no answer of the option")
        found[part.id] = option_id
    return found


def _marked(score: Mapping[str, Any]) -> bool:
    """Marked N/A by a person: what the system has marked it works out itself."""
    return bool(score.get("markedNA")) and not score.get("systemMarkedNA")


def comment(value: object, at: str) -> str | None:
    """A comment; blank is none.

    :raises FormError: too long.
    """
    text = value.strip() if isinstance(value, str) else ""
    if len(text) > LONGEST_COMMENT:
        raise FormError(at, f"may have {LONGEST_COMMENT} characters")
    return text or None


def _items(document: Mapping[str, Any], key: str, at: str) -> list[Mapping[str, Any]]:
    value = document.get(key) or []
    if not isinstance(value, list) or not all(isinstance(item, Mapping) for item in value):
        raise FormError(f"{at}.{key}", "must be a list of objects")
    return value


def defaults(form: Form) -> Answers:
    """What a new evaluation begins with, as the form says."""
    return Answers({question.id: _default(group, question) for group in form.groups for question in group.questions})


def _default(group: Group, question: Question) -> Answer:
    if question.kind == MULTIPLE_SELECT and group.default in ("highest", "lowest"):
        best = max if group.default == "highest" else min
        picked = {part.id: best(part.options, key=lambda option: option.points).id for part in question.parts}
        return Answer(parts=picked)
    if not question.options:
        return Answer(na=True) if group.default == "na" and question.na_enabled else NOTHING
    if group.default == "highest":
        return Answer(max(question.options, key=lambda option: option.points).id)
    if group.default == "lowest":
        return Answer(min(question.options, key=lambda option: option.points).id)
    if group.default == "na":
        return Answer(na=question.na_enabled)
    if question.default_option_id is not None:
        return Answer(question.default_option_id)
    return Answer(na=question.default_na and question.na_enabled)


def unanswered_part(part: Question) -> str | None:
    """What a part of a multiple select question counts as when nothing is said of it: unselected."""
    return next((option.id for option in part.options if option.built_in == UNSELECTED), None) or next(
        (option.id for option in part.options if option.built_in != SELECTED and option.points == 0), None
    )


def missing(form: Form, answers: Answers) -> list[FormError]:
    """What is still to be answered before the evaluation can be finished, in the order of the form."""
    shown = answers.shown(form)
    found: list[FormError] = []
    for number, group in enumerate(form.groups):
        for place, question in enumerate(group.questions):
            if (number, place) not in shown or question.kind == READ_ONLY or answers.is_na(group, question):
                continue
            at, answer = f"{ROOT}.{number}.questionScores.{place}", answers.of(question)
            if question.is_scored and not answer.is_given:
                found.append(FormError(f"{at}.answerId", f"the question {question.text!r} has no answer"))
            if question.comments_required and answer.comments is None:
                found.append(FormError(f"{at}.comments", f"the question {question.text!r} needs a comment"))
    return found
