"""Evaluation forms: what is asked, what an answer is worth, and when a question is shown.

A form is kept as the contract's ``EvaluationQuestionGroup`` documents; ``read`` turns them into a ``Form`` and refuses
what cannot be carried out. Ids belong to one version of a form; context ids stay the same in all of them (J8).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from earwitness.domain.quality.conditions import Condition, FormError, Node, order_of, read_condition

Documents = Sequence[Mapping[str, Any]]

MULTIPLE_CHOICE = "multipleChoiceQuestion"
MULTIPLE_SELECT = "multipleSelectQuestion"
FREE_TEXT = "freeTextQuestion"
READ_ONLY = "readOnlyTextBlockQuestion"
KINDS = (MULTIPLE_CHOICE, MULTIPLE_SELECT, FREE_TEXT, READ_ONLY)
SCALED, OFF = WEIGHT_MODES = ("SCALED", "OFF")
SELECTED, UNSELECTED = "Selected", "Unselected"
MOST_GROUPS = 100
MOST_QUESTIONS = 500
"""Of a form."""
MOST_OPTIONS = 100
MOST_POINTS = 10_000
LONGEST_TEXT = 8000


@dataclass(frozen=True, slots=True)
class Option:
    """An answer to choose."""

    id: str
    text: str
    points: int
    built_in: str | None = None
    """``Selected`` or ``Unselected``, of a part of a multiple select question."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked."""

    id: str
    kind: str
    text: str
    options: tuple[Option, ...] = ()
    """Of a multiple choice question."""
    parts: tuple[Question, ...] = ()
    """Of a multiple select question: each a choice of its own."""
    na_enabled: bool = False
    comments_required: bool = False
    is_kill: bool = False
    """Any answer but the best makes the whole evaluation worth nothing."""
    is_critical: bool = False
    condition: Condition | None = None
    default_option_id: str | None = None
    default_na: bool = False

    @property
    def most(self) -> int:
        """Points of the best answer."""
        return sum(part.most for part in self.parts) + max((option.points for option in self.options), default=0)

    @property
    def is_scored(self) -> bool:
        """Whether an answer is chosen, and not written."""
        return self.kind in (MULTIPLE_CHOICE, MULTIPLE_SELECT)

    def option(self, option_id: str) -> Option | None:
        """The answer of that id."""
        return next((option for option in self.options if option.id == option_id), None)


@dataclass(frozen=True, slots=True)
class Group:
    """Questions that belong together."""

    id: str
    name: str
    questions: tuple[Question, ...]
    weight: float | None = None
    """Of 100, where somebody has set it; None: by its points."""
    na_enabled: bool = False
    condition: Condition | None = None
    default: str | None = None
    """What its questions begin with: ``highest``, ``lowest``, ``na`` or ``own`` (each question's own default)."""

    @property
    def most(self) -> int:
        """Points of the best answers."""
        return sum(question.most for question in self.questions)


@dataclass(frozen=True, slots=True)
class Form:
    """A form that can be carried out."""

    groups: tuple[Group, ...]
    weight_mode: str
    order: tuple[Node, ...]
    """Groups and questions, each after all that its visibility depends on."""


def read(groups: Documents, weight_mode: str = SCALED) -> Form:
    """Reads a form.

    :param groups: ``EvaluationQuestionGroup`` documents, with ids.
    :raises FormError: what is wrong, and the field.
    """
    if weight_mode not in WEIGHT_MODES:
        raise FormError("weightMode", f"must be one of {', '.join(WEIGHT_MODES)}")
    if not groups:
        raise FormError("questionGroups", "a form needs a question group")
    if len(groups) > MOST_GROUPS:
        raise FormError("questionGroups", f"a form may have {MOST_GROUPS} question groups")
    if sum(len(_list(group, "questions", "")) for group in groups) > MOST_QUESTIONS:
        raise FormError("questionGroups", f"a form may have {MOST_QUESTIONS} questions")
    found = tuple(_group(group, number, groups) for number, group in enumerate(groups))
    _check_ids(found)
    _check_weights(found)
    return Form(found, weight_mode, order_of(found))


def _group(document: Mapping[str, Any], number: int, form: Documents) -> Group:
    at = f"questionGroups.{number}"
    questions = _list(document, "questions", at)
    if not questions:
        raise FormError(f"{at}.questions", "a question group needs a question")
    weight = document.get("weight")
    manual = bool(document.get("manualWeight")) and weight is not None
    if weight is not None and not 0 <= weight <= 100:
        raise FormError(f"{at}.weight", "must be from 0 to 100")
    return Group(
        id=str(document.get("id") or ""),
        name=_text(document.get("name"), f"{at}.name"),
        questions=tuple(_question(item, f"{at}.questions.{n}", number, form) for n, item in enumerate(questions)),
        weight=float(weight) if manual and weight is not None else None,
        na_enabled=bool(document.get("naEnabled")),
        condition=read_condition(document.get("visibilityCondition"), f"{at}.visibilityCondition", None, form),
        default=_group_default(document),
    )


def _group_default(document: Mapping[str, Any]) -> str | None:
    wanted = document.get("defaultAnswersTo") or {}
    if wanted.get("userDefined"):
        return "own"
    if wanted.get("highestScore") or document.get("defaultAnswersToHighest"):
        return "highest"
    if wanted.get("lowestScore"):
        return "lowest"
    return "na" if wanted.get("notApplicable") or document.get("defaultAnswersToNA") else None


def _question(document: Mapping[str, Any], at: str, group: int | None, form: Documents) -> Question:
    kind = document.get("type") or MULTIPLE_CHOICE
    if kind not in KINDS:
        raise FormError(f"{at}.type", f"must be one of {', '.join(KINDS)}")
    options: tuple[Option, ...] = ()
    parts: tuple[Question, ...] = ()
    if kind == MULTIPLE_CHOICE:
        options = _options(document, at)
    if kind == MULTIPLE_SELECT:
        if group is None:
            raise FormError(f"{at}.type", "a part of a multiple select question is a multiple choice question")
        given = _list(document, "multipleSelectOptionQuestions", at)
        if not 1 <= len(given) <= MOST_OPTIONS:
            raise FormError(f"{at}.multipleSelectOptionQuestions", f"needs 1 to {MOST_OPTIONS} options")
        where = f"{at}.multipleSelectOptionQuestions"
        parts = tuple(_question(item, f"{where}.{n}", None, form) for n, item in enumerate(given))
        if any(part.kind != MULTIPLE_CHOICE for part in parts):
            raise FormError(where, "each is a multiple choice question")
    scored = kind in (MULTIPLE_CHOICE, MULTIPLE_SELECT)
    for flag in ("isKill", "isCritical"):
        if document.get(flag) and not scored:
            raise FormError(f"{at}.{flag}", "a question without points is neither fatal nor critical")
    default = document.get("defaultAnswer") or {}
    default_id = default.get("id")
    if default_id is not None and all(option.id != default_id for option in options):
        raise FormError(f"{at}.defaultAnswer.id", "is no answer of the question")
    condition = read_condition(document.get("visibilityCondition"), f"{at}.visibilityCondition", group, form)
    return Question(
        id=str(document.get("id") or ""),
        kind=kind,
        text=_text(document.get("text"), f"{at}.text"),
        options=options,
        parts=parts,
        na_enabled=bool(document.get("naEnabled")) and kind != READ_ONLY,
        comments_required=bool(document.get("commentsRequired")) and kind != READ_ONLY,
        is_kill=bool(document.get("isKill")),
        is_critical=bool(document.get("isCritical")),
        condition=condition,
        default_option_id=default_id,
        default_na=bool(default.get("notApplicable")),
    )


def _options(document: Mapping[str, Any], at: str) -> tuple[Option, ...]:
    given = _list(document, "answerOptions", at)
    if not 1 <= len(given) <= MOST_OPTIONS:
        raise FormError(f"{at}.answerOptions", f"a multiple choice question needs 1 to {MOST_OPTIONS} answers")
    found = []
    for number, item in enumerate(given):
        where = f"{at}.answerOptions.{number}"
        points, built_in = item.get("value"), item.get("builtInType")
        if points is None or not 0 <= points <= MOST_POINTS:
            raise FormError(f"{where}.value", f"must be from 0 to {MOST_POINTS}")
        if built_in not in (None, SELECTED, UNSELECTED):
            raise FormError(f"{where}.builtInType", f"must be {SELECTED} or {UNSELECTED}")
        text = item.get("text") or built_in
        found.append(Option(str(item.get("id") or ""), _text(text, f"{where}.text"), points, built_in))
    return tuple(found)


def _text(value: object, at: str) -> str:
    text = value.strip() if isinstance(value, str) else ""
    if not text:
        raise FormError(at, "is required")
    if len(text) > LONGEST_TEXT:
        raise FormError(at, f"may have {LONGEST_TEXT} characters")
    return text


def _list(document: Mapping[str, Any], key: str, at: str) -> list[Mapping[str, Any]]:
    value = document.get(key) or []
    if not isinstance(value, list) or not all(isinstance(item, Mapping) for item in value):
        raise FormError(f"{at}.{key}".lstrip("."), "must be a list of objects")
    return value


def _check_ids(groups: tuple[Group, ...]) -> None:
    """Ids tell apart what is answered: given twice, an answer would be to both."""
    seen: set[str] = set()
    for group in groups:
        asked = [*group.questions, *(part for question in group.questions for part in question.parts)]
        options = [option.id for question in asked for option in question.options]
        for each in [group.id, *(question.id for question in asked), *options]:
            if not each or each in seen:
                raise FormError("questionGroups", f"the id {each!r} is missing or there twice")
            seen.add(each)


def _check_weights(groups: tuple[Group, ...]) -> None:
    set_by_hand = [group.weight for group in groups if group.weight is not None]
    if len(set_by_hand) == len(groups):
        if not sum(set_by_hand):
            raise FormError("questionGroups.0.weight", "the weights of all question groups are 0")
    elif sum(set_by_hand) > 100:
        raise FormError("questionGroups.0.weight", "weights set by hand leave nothing of 100 for the other groups")


def with_ids(groups: Documents, known: Documents, new_id: Callable[[], str], *, keep: bool) -> list[dict[str, Any]]:
    """The same groups with an id and a context id for everything in them.

    :param known: groups of the same form as it was: what is in there keeps its context id.
    :param keep: what is in ``known`` keeps its id, too; False: all ids are new, as in a version to publish (J8).
    """
    contexts = {item["id"]: str(item.get("contextId") or item["id"]) for item in _each(known) if item.get("id")}
    given: set[str] = set()

    def identify(item: Mapping[str, Any]) -> dict[str, Any]:
        old = item.get("id")
        found = old in contexts and old not in given
        made = dict(item)
        made["id"] = old if found and keep else new_id()
        made["contextId"] = contexts[old] if found and old is not None else made["id"]
        if isinstance(old, str):
            given.add(old)
        return made

    def question(item: Mapping[str, Any]) -> dict[str, Any]:
        made = identify(item)
        ids: dict[Any, str] = {}
        for key, each in (("answerOptions", identify), ("multipleSelectOptionQuestions", question)):
            if made.get(key):
                made[key] = [each(part) for part in made[key]]
                ids |= {old.get("id"): new["id"] for old, new in zip(item[key], made[key], strict=True)}
        default = made.get("defaultAnswer")
        if default and default.get("id") is not None and default["id"] in ids:
            made["defaultAnswer"] = {**default, "id": ids[default["id"]]}
        return made

    return [
        {**identify(group), "questions": [question(item) for item in group.get("questions") or []]} for group in groups
    ]


def _each(groups: Documents) -> list[Mapping[str, Any]]:
    """Everything in a form that has an id."""
    found: list[Mapping[str, Any]] = []
    for group in groups:
        asked = list(group.get("questions") or [])
        asked += [part for question in asked for part in question.get("multipleSelectOptionQuestions") or []]
        found += [group, *asked, *(option for question in asked for option in question.get("answerOptions") or [])]
    return found
