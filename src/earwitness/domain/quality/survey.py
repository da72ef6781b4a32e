"""Surveys: what customers are asked, and what their answers are worth.

A survey form is an evaluation form without weights by hand, fatal and critical questions; beside it has NPS questions
("how likely are you to recommend us?", 0 to 10). The NPS of a survey is the mean over these of 100 for 9 and 10, -100
for 0 to 6, and 0 between.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from earwitness.domain.quality import answers as reading
from earwitness.domain.quality import form as forms
from earwitness.domain.quality import scoring
from earwitness.domain.quality.conditions import FormError
from earwitness.domain.quality.form import FREE_TEXT, Documents, Form

NPS = "npsQuestion"
KINDS = (*forms.KINDS, NPS)
MOST_NPS = 10
PENDING, INPROGRESS, FINISHED = STATUSES = ("Pending", "InProgress", "Finished")


@dataclass(frozen=True, slots=True)
class Scored:
    """Answers of a customer."""

    document: dict[str, Any]
    """``SurveyScoringSet``."""
    missing: list[FormError]
    """Required answers that are not there."""


def read(groups: Documents) -> Form:
    """Reads the questions of a survey form; NPS questions count as text, for they have no points.

    :raises FormError: what is wrong, and the field.
    """
    for number, group in enumerate(groups):
        for place, question in enumerate(group.get("questions") or []):
            most = question.get("maxResponseCharacters")
            if most is not None and not 1 <= most <= reading.LONGEST_COMMENT:
                at = f"questionGroups.{number}.questions.{place}.maxResponseCharacters"
                raise FormError(at, f"must be from 1 to {reading.LONGEST_COMMENT}")
    return forms.read([{**group, "questions": list(map(_plain, group.get("questions") or []))} for group in groups])


def _plain(question: Mapping[str, Any]) -> Mapping[str, Any]:
    return {**question, "type": FREE_TEXT} if question.get("type") == NPS else question


def score(groups: Documents, document: Mapping[str, Any]) -> Scored:
    """Scores a ``SurveyScoringSet``.

    :raises FormError: answers to other questions than those of the form, or that a question cannot have.
    """
    form = read(groups)
    asked = {question["id"]: question for group in groups for question in group["questions"]}
    plain, nps = _normalised(document, asked)
    answered = reading.read(form, plain)
    shown = answered.shown(form)
    scored = scoring.score(form, answered)
    points: list[int] = []
    missing = reading.missing(form, answered)
    for number, group in enumerate(form.groups):
        for place, question in enumerate(group.questions):
            if asked[question.id].get("type") != NPS or (number, place) not in shown:
                nps.pop(question.id, None)
            elif question.id in nps:
                points.append(100 if nps[question.id] >= 9 else -100 if nps[question.id] <= 6 else 0)
            elif not answered.is_na(group, question):
                at = f"{reading.ROOT}.{number}.questionScores.{place}.npsScore"
                missing.append(FormError(at, f"the question {question.text!r} has no answer"))
    made: dict[str, Any] = {
        "questionGroupScores": [_group(each, asked, nps) for each in scored.document["questionGroupScores"]]
    }
    if scored.total is not None:
        made["totalScore"] = scored.total
    if points:
        made["npsScore"] = round(sum(points) / len(points))
    return Scored(made, missing)


def _normalised(document: Mapping[str, Any], asked: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, int]]:
    """The answers as an evaluation has them, and NPS answers by question."""
    nps: dict[str, int] = {}
    groups = []
    for number, group in enumerate(document.get("questionGroupScores") or []):
        questions = []
        for place, item in enumerate(group.get("questionScores") or []):
            at = f"{reading.ROOT}.{number}.questionScores.{place}"
            key = item.get("questionId")
            question = asked.get(key) or {}
            if question and item.get("npsScore") is not None:
                if question.get("type") != NPS or not 0 <= item["npsScore"] <= MOST_NPS:
                    raise FormError(f"{at}.npsScore", f"must be from 0 to {MOST_NPS}, of an NPS question")
                nps[str(key)] = item["npsScore"]
            name = "npsTextAnswer" if question.get("type") == NPS else "freeTextAnswer"
            text = item.get(name)
            if text is not None and len(text) > (question.get("maxResponseCharacters") or reading.LONGEST_COMMENT):
                raise FormError(f"{at}.{name}", "is too long")
            kept = ("questionId", "answerId", "markedNA", "systemMarkedNA")
            questions.append({**{n: item[n] for n in kept if item.get(n) is not None}, "comments": text})
        groups.append({**group, "questionScores": questions})
    return {"questionGroupScores": groups}, nps


def _group(score_: Mapping[str, Any], asked: Mapping[str, Any], nps: Mapping[str, int]) -> dict[str, Any]:
    kept = ("questionGroupId", "totalScore", "maxTotalScore", "markedNA", "systemMarkedNA")
    questions = []
    for item in score_["questionScores"]:
        key = item["questionId"]
        made = {
            name: item[name]
            for name in ("questionId", "answerId", "score", "markedNA", "systemMarkedNA")
            if name in item
        }
        if "comments" in item:
            made["npsTextAnswer" if asked[key].get("type") == NPS else "freeTextAnswer"] = item["comments"]
        if key in nps:
            made["npsScore"] = nps[key]
        questions.append(made)
    return {**{name: score_[name] for name in kept}, "questionScores": questions}
