"""Scores answers to a form, without keeping anything (J9)."""

from __future__ import annotations

from typing import Any

from earwitness.domain.ids import new_id
from earwitness.domain.quality import answers as reading
from earwitness.domain.quality import form as forms
from earwitness.domain.quality import scoring
from earwitness.domain.quality.conditions import FormError
from earwitness.store.tables import EvaluationForm
from earwitness.web.api import scoped
from earwitness.web.api.quality import form_documents
from earwitness.web.api.quality.evaluation_documents import COMMENTS, AnswersInput
from earwitness.web.api.quality.form_documents import FormInput
from earwitness.web.api.quality.forms import VIEW
from earwitness.web.kernel.callers import Caller, Signed
from earwitness.web.kernel.documents import Document, RequestBody
from earwitness.web.kernel.errors import bad_request
from earwitness.web.kernel.operations import SIGNED_IN, Family
from earwitness.web.kernel.services import Parts, Services

family = Family("Evaluations")
Free = dict[str, Any]


class ScoringInput(RequestBody):
    """A form and answers to it."""

    evaluation_form: FormInput | None = None
    answers: AnswersInput | None = None


class ScoredDocument(Document):
    """Answers with what they are worth."""

    total_score: float | None = None
    total_critical_score: float | None = None
    total_non_critical_score: float | None = None
    max_total_raw_score: float
    max_total_raw_critical_score: float
    any_failed_kill_questions: bool
    question_group_scores: list[Free]
    comments: str | None = None
    private_comments: str | None = None
    agent_comments: str | None = None


@family.operation(
    "POST",
    "/api/v2/quality/evaluations/scoring",
    "post_quality_evaluations_scoring",
    SIGNED_IN,
    returns=ScoredDocument,
    reads=True,
)
def score_answers(caller: Signed, parts: Parts, body: ScoringInput) -> ScoredDocument:
    """What answers to a form would be worth. The form is given with its questions, or by the id of one that is kept.

    Questions without an answer count as wrong ones. Groups, questions and answers of the form need ids.
    """
    if body.evaluation_form is None:
        raise bad_request("evaluationForm is required.", "evaluationForm")
    if body.answers is None:
        raise bad_request("answers is required.", "answers")
    form = _form(parts, caller, body.evaluation_form)
    try:
        read = reading.read(form, body.answers.document())
    except FormError as error:
        raise form_documents.form_error(error) from error
    document = {**{name: body.answers.document().get(name) for name in COMMENTS}, **scoring.score(form, read).document}
    return ScoredDocument.model_validate(document)


def _form(parts: Services, caller: Caller, given: FormInput) -> forms.Form:
    if given.question_groups is not None:
        groups = form_documents.groups_of(given)
        return form_documents.checked(_with_missing_ids(groups), given.weight_mode or forms.SCALED)
    if not given.id:
        raise bad_request("evaluationForm needs questionGroups or an id.", "evaluationForm.questionGroups")
    with parts.database.reading() as session:
        row = scoped.find(session, caller, EvaluationForm, given.id, "evaluation form", VIEW)
        return forms.read(row.question_groups, row.weight_mode)


def _with_missing_ids(item: Any) -> Any:
    """The same with an id where there is none: what has none cannot be answered, and that is all."""
    if isinstance(item, list):
        return [_with_missing_ids(one) for one in item]
    if not isinstance(item, dict):
        return item
    asked = ("questions", "answerOptions", "multipleSelectOptionQuestions")
    made = {key: _with_missing_ids(value) if key in asked else value for key, value in item.items()}
    return made if made.get("id") else {**made, "id": new_id()}
