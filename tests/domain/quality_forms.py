"""Forms and answers to write tests with."""

from __future__ import annotations

from itertools import count
from typing import Any

from earwitness.domain.quality.form import Form, read, with_ids


def option(text: str, value: int, **more: Any) -> dict[str, Any]:
    return {"text": text, "value": value, **more}


def choice(text: str, *values: int, **more: Any) -> dict[str, Any]:
    """A multiple choice question whose answers are worth ``values``."""
    options = [option(f"{text} {n}", value) for n, value in enumerate(values)]
    return {"type": "multipleChoiceQuestion", "text": text, "answerOptions": options, **more}


def yes_no(text: str, **more: Any) -> dict[str, Any]:
    return choice(text, 1, 0, **more)


def free_text(text: str, **more: Any) -> dict[str, Any]:
    return {"type": "freeTextQuestion", "text": text, **more}


def several(text: str, *values: int, **more: Any) -> dict[str, Any]:
    """A multiple select question with a part for each of ``values``, worth that when it is selected."""
    parts = [
        {
            "type": "multipleChoiceQuestion",
            "text": f"{text} part {n}",
            "answerOptions": [
                {"builtInType": "Selected", "value": value},
                {"builtInType": "Unselected", "value": 0},
            ],
        }
        for n, value in enumerate(values)
    ]
    return {"type": "multipleSelectQuestion", "text": text, "multipleSelectOptionQuestions": parts, **more}


def group(name: str, *questions: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"name": name, "questions": list(questions), **more}


def when(*predicates: str, operation: str = "AND") -> dict[str, Any]:
    return {"combiningOperation": operation, "predicates": list(predicates)}


def identified(*groups: dict[str, Any]) -> list[dict[str, Any]]:
    """The groups with ids ``n0``, ``n1``…"""
    numbers = count()
    return with_ids(groups, [], lambda: f"n{next(numbers)}", keep=False)


def form_of(*groups: dict[str, Any], weight_mode: str = "SCALED") -> Form:
    return read(identified(*groups), weight_mode)


def answered(form: Form, *picks: tuple[int, int, Any], na_groups: tuple[int, ...] = ()) -> dict[str, Any]:
    """An ``EvaluationScoringSet``; each pick is (group, question, what).

    ``what``: number of the answer, ``"na"``, a dict to send as it is, or a list of the parts that are selected.
    """
    scores: dict[int, list[dict[str, Any]]] = {}
    for number, place, what in picks:
        question = form.groups[number].questions[place]
        said: dict[str, Any] = {"questionId": question.id}
        if what == "na":
            said["markedNA"] = True
        elif isinstance(what, dict):
            said |= what
        elif isinstance(what, list):
            said["multipleSelectQuestionOptionScores"] = [
                {"questionId": part.id, "answerId": part.options[0 if n in what else 1].id}
                for n, part in enumerate(question.parts)
            ]
        else:
            said["answerId"] = question.options[what].id
        scores.setdefault(number, []).append(said)
    return {
        "questionGroupScores": [
            {
                "questionGroupId": each.id,
                "questionScores": scores.get(number, []),
                **({"markedNA": True} if number in na_groups else {}),
            }
            for number, each in enumerate(form.groups)
        ]
    }
