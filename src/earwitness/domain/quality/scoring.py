"""What an evaluation is worth (J9).

- A question is worth the points of its answer; a multiple select question those of its parts together. A question that
  is shown and has no answer yet is worth nothing. One that is N/A, by the evaluator or because it is hidden, does not
  count at all.
- A group is worth its points as a share of the points it could have. Groups are weighed: by hand, of 100; the others
  share what is left by their points. A group of which nothing counts leaves its weight to the others. With weight mode
  ``OFF`` every point is worth the same.
- The total is a percentage; the critical total is that of the critical questions alone, weighed the same way.
- A fatal question that is answered, and not with the best answer, makes every total 0.

Sums are exact; they become floats at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from earwitness.domain.quality.answers import Answer, Answers, unanswered_part
from earwitness.domain.quality.conditions import Node
from earwitness.domain.quality.form import MULTIPLE_SELECT, OFF, Form, Question

Which = Callable[[Question], bool]


@dataclass(frozen=True, slots=True)
class Points:
    """Points that were given, of those that could have been."""

    given: int = 0
    most: int = 0

    @property
    def share(self) -> Fraction:
        """From 0 to 1."""
        return Fraction(self.given, self.most) if self.most else Fraction(0)


@dataclass(frozen=True, slots=True)
class Score:
    """What an evaluation is worth."""

    document: dict[str, Any]
    """``EvaluationScoringSet``, without the comments on the whole."""
    total: float | None
    """0 to 100; None: nothing in it has points."""
    critical: float | None
    failed_kill: bool


def weights(form: Form) -> dict[str, Fraction]:
    """Group id -> weight. Groups without a weight by hand share by their points what is left of 100; where all are set
    by hand they need not add up to 100.
    """
    by_hand = {group.id: Fraction(group.weight) for group in form.groups if group.weight is not None}
    rest = {group.id: group.most for group in form.groups if group.weight is None}
    left, points = 100 - sum(by_hand.values()), sum(rest.values())
    shares = {key: left * Fraction(most, points) if points else Fraction(0) for key, most in rest.items()}
    return {**by_hand, **shares}


def score(form: Form, answers: Answers) -> Score:
    """Scores the answers; those to hidden questions are dropped."""
    shown = answers.shown(form)
    heavy = weights(form)
    kinds: dict[str, Which] = {
        "": lambda question: True,
        "Critical": lambda question: question.is_critical,
        "NonCritical": lambda question: not question.is_critical,
    }
    counted = _counted(form, answers, shown)
    failed = any(_failed(question, answers.of(question)) for questions in counted for question in questions)
    groups = [_group(form, answers, shown, number) for number in range(len(form.groups))]
    totals: dict[str, Fraction | None] = {}
    raw: dict[str, int] = {}
    for kind, which in kinds.items():
        points = [_points(answers, questions, which) for questions in counted]
        pairs = zip(form.groups, points, strict=True)
        each = [Fraction(p.most) if form.weight_mode == OFF else heavy[group.id] for group, p in pairs]
        whole = sum((weight for weight, p in zip(each, points, strict=True) if p.most), Fraction(0))
        raw[kind] = sum(p.most for p in points)
        totals[kind] = None
        if whole:
            sums = (weight * p.share for weight, p in zip(each, points, strict=True))
            totals[kind] = Fraction(0) if failed else 100 * sum(sums, Fraction(0)) / whole
        for document, weight, p in zip(groups, each, points, strict=True):
            part = 100 * weight / whole if whole and p.most else Fraction(0)
            document |= {
                f"total{kind}Score": float(part * p.share),
                f"maxTotal{kind}Score": float(part),
                f"total{kind}ScoreUnweighted": float(p.given),
                f"maxTotal{kind}ScoreUnweighted": float(p.most),
            }
    document = {
        "totalScore": _float(totals[""]),
        "totalCriticalScore": _float(totals["Critical"]),
        "totalNonCriticalScore": _float(totals["NonCritical"]),
        "maxTotalRawScore": float(raw[""]),
        "maxTotalRawCriticalScore": float(raw["Critical"]),
        "anyFailedKillQuestions": failed,
        "questionGroupScores": groups,
    }
    known = {key: value for key, value in document.items() if value is not None}
    return Score(known, _float(totals[""]), _float(totals["Critical"]), failed)


def _float(value: Fraction | None) -> float | None:
    return None if value is None else float(value)


def _counted(form: Form, answers: Answers, shown: set[Node]) -> list[list[Question]]:
    """Of each group the questions that have a part in the score: with points, shown, and not N/A."""
    return [
        [
            question
            for place, question in enumerate(group.questions)
            if question.is_scored and (number, place) in shown and not answers.is_na(group, question)
        ]
        for number, group in enumerate(form.groups)
    ]


def _points(answers: Answers, counted: Sequence[Question], which: Which) -> Points:
    mine = [question for question in counted if which(question)]
    return Points(sum(_worth(q, answers.of(q)) for q in mine), sum(q.most for q in mine))


def _worth(question: Question, answer: Answer) -> int:
    if question.kind == MULTIPLE_SELECT:
        return sum(_part_points(part, answer) for part in question.parts) if answer.is_given else 0
    option = question.option(answer.option_id) if answer.option_id is not None else None
    return option.points if option is not None else 0


def _part_points(part: Question, answer: Answer) -> int:
    chosen = answer.parts.get(part.id) or unanswered_part(part)
    option = part.option(chosen) if chosen is not None else None
    return option.points if option is not None else 0


def _failed(question: Question, answer: Answer) -> bool:
    return question.is_kill and answer.is_given and _worth(question, answer) < question.most


def _group(form: Form, answers: Answers, shown: set[Node], number: int) -> dict[str, Any]:
    group = form.groups[number]
    hidden = (number, None) not in shown
    na = hidden or group.id in answers.na_groups
    return {
        "questionGroupId": group.id,
        "markedNA": na,
        "systemMarkedNA": hidden,
        "questionScores": [
            _question(question, answers.of(question), (number, place) not in shown, answers.is_na(group, question))
            for place, question in enumerate(group.questions)
        ],
    }


def _question(question: Question, answer: Answer, hidden: bool, na: bool) -> dict[str, Any]:
    made: dict[str, Any] = {
        "questionId": question.id,
        "markedNA": hidden or na,
        "systemMarkedNA": hidden,
        "failedKillQuestion": False,
    }
    if answer.comments is not None and not hidden:
        made["comments"] = answer.comments
    if hidden or na or not question.is_scored:
        return made
    if answer.option_id is not None:
        made["answerId"] = answer.option_id
    if answer.is_given:
        made["score"] = _worth(question, answer)
        made["failedKillQuestion"] = _failed(question, answer)
    if question.parts and answer.is_given:
        made["multipleSelectQuestionOptionScores"] = [_part(part, answer) for part in question.parts]
    return made


def _part(part: Question, answer: Answer) -> Mapping[str, Any]:
    chosen = answer.parts.get(part.id) or unanswered_part(part)
    made = {"questionId": part.id, "markedNA": False, "systemMarkedNA": False, "failedKillQuestion": False}
    return made if chosen is None else {**made, "answerId": chosen, "score": _part_points(part, answer)}
