"""Evaluation forms as documents and as bodies."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import Field
from sqlalchemy.orm import Session

from earwitness.domain.quality import evaluation as life
from earwitness.domain.quality import form as forms
from earwitness.domain.quality.conditions import FormError
from earwitness.store import evaluation_forms as form_store
from earwitness.store import users
from earwitness.store.tables import EvaluationForm
from earwitness.web.api import divisions
from earwitness.web.api.divisions import DivisionInput, DivisionReference
from earwitness.web.kernel.documents import Document, Moment, OneOf, Reference, ReferenceInput, RequestBody
from earwitness.web.kernel.errors import ApiError, bad_request

PATH = "/api/v2/quality/forms/evaluations"
Free = dict[str, Any]
QUESTION_KINDS = (*forms.KINDS, "npsQuestion")
DIALECTS = (
    *("ar", "cs", "da", "de", "en-US", "es", "fi", "fr", "fr-CA", "he", "hi", "it", "ja", "ko", "nl", "no", "pl"),
    *("pt-BR", "pt-PT", "ru", "sv", "th", "tr", "uk", "zh-CN", "zh-TW"),
)


class ConditionInput(RequestBody):
    """When something is shown."""

    combining_operation: Annotated[str, OneOf("AND", "OR")] | None = None
    predicates: list[Any] | None = Field(default=None, max_length=100)


class OptionInput(RequestBody):
    """An answer to choose."""

    id: str | None = None
    context_id: str | None = None
    built_in_type: Annotated[str, OneOf("Selected", "Unselected")] | None = None
    text: str | None = None
    value: int | None = None


class DefaultInput(RequestBody):
    """The answer that a question begins with."""

    id: str | None = None
    not_applicable: bool | None = None


class QuestionInput(RequestBody):
    """A question."""

    id: str | None = None
    context_id: str | None = None
    text: str | None = None
    help_text: str | None = Field(default=None, max_length=forms.LONGEST_TEXT)
    type: Annotated[str, OneOf(*QUESTION_KINDS)] | None = None
    na_enabled: bool | None = None
    comments_required: bool | None = None
    visibility_condition: ConditionInput | None = None
    answer_options: list[OptionInput] | None = None
    multiple_select_option_questions: list[QuestionInput] | None = None
    default_answer: DefaultInput | None = None
    automated_scoring_focus: Annotated[str, OneOf("FullInteraction", "EvaluatedAgent")] | None = None
    is_kill: bool | None = None
    is_critical: bool | None = None


class DefaultsInput(RequestBody):
    """What the questions of a group begin with."""

    highest_score: bool | None = None
    not_applicable: bool | None = None
    lowest_score: bool | None = None
    user_defined: bool | None = None


class GroupInput(RequestBody):
    """A question group."""

    id: str | None = None
    context_id: str | None = None
    name: str | None = None
    type: str | None = Field(default=None, max_length=100)
    default_answers_to_highest: bool | None = None
    default_answers_to_na: bool | None = Field(default=None, alias="defaultAnswersToNA")
    na_enabled: bool | None = None
    weight: float | None = None
    manual_weight: bool | None = None
    questions: list[QuestionInput] | None = None
    visibility_condition: ConditionInput | None = None
    default_answers_to: DefaultsInput | None = None


class DisputeAssigneeInput(RequestBody):
    """Who looks into one of the disputes."""

    user: ReferenceInput | None = None
    type: Annotated[str, OneOf("Original", "Individual", "None")] | None = None


class SettingsInput(RequestBody):
    """What may be done with evaluations by a form."""

    revisions_enabled: bool | None = None
    disputes_enabled: bool | None = None
    disputes_allowed_per_evaluation: int | None = None
    disputes_assignees: list[DisputeAssigneeInput] | None = None


class FormInput(RequestBody):
    """A form to make or change."""

    id: str | None = None
    name: str | None = None
    division: DivisionInput | None = None
    question_groups: list[GroupInput] | None = None
    weight_mode: Annotated[str, OneOf(*forms.WEIGHT_MODES)] | None = None
    evaluation_settings: SettingsInput | None = None
    dialect: Annotated[str, OneOf(*DIALECTS)] | None = None


class PublishInput(RequestBody):
    """Which form to publish."""

    id: str | None = None
    published: bool | None = None


class FormDigest(Document):
    """A form in few words."""

    id: str
    name: str
    division: DivisionReference | None = None
    context_id: str
    modified_date: Moment
    dialect: str | None = None
    self_uri: str


class FormMention(FormDigest):
    """A form, where it is mentioned; with its questions where they are asked for."""

    published: bool
    question_groups: list[Free] | None = None
    weight_mode: str | None = None
    evaluation_settings: Free | None = None


class FormVersions(Document):
    """What was published of a form."""

    entities: list[FormMention]
    page_size: int
    page_number: int
    total: int
    page_count: int


class FormDocument(FormMention):
    """A form."""

    published_versions: FormVersions | None = None
    latest_version_form_name: str | None = None


def self_uri(row: EvaluationForm) -> str:
    """Where the form is."""
    return f"{PATH}/{row.id}"


def digest(row: EvaluationForm, division: DivisionReference | None = None) -> FormDigest:
    """A form in few words."""
    return FormDigest(
        id=row.id,
        name=row.name,
        division=division,
        context_id=row.context_id,
        modified_date=row.modified_at,
        dialect=row.extra.get("dialect"),
        self_uri=self_uri(row),
    )


def mention(row: EvaluationForm, *, questions: bool = False) -> FormMention:
    """A form, where it is mentioned."""
    more: dict[str, Any] = _contents(row) if questions else {}
    return FormMention(**dict(digest(row)), published=row.published_at is not None, **more)


def documents(
    session: Session, rows: Iterable[EvaluationForm], *, history: bool = False, names: bool = True
) -> list[FormDocument]:
    """Documents of forms.

    :param history: with what was published of each.
    :param names: with the name that each was last published by.
    """
    found = list(rows)
    contexts = {row.context_id for row in found}
    where = divisions.references(session, {row.division_id for row in found})
    latest = form_store.latest_names(session, EvaluationForm, contexts) if names else {}
    published: dict[str, list[FormMention]] = {}
    for version in form_store.versions(session, EvaluationForm, contexts) if history else ():
        published.setdefault(version.context_id, []).append(mention(version))
    return [
        FormDocument(
            **dict(digest(row, where.get(row.division_id))),
            published=row.published_at is not None,
            **_contents(row),
            latest_version_form_name=latest.get(row.context_id),
            published_versions=_versions(published.get(row.context_id, [])) if history else None,
        )
        for row in found
    ]


def document(session: Session, row: EvaluationForm) -> FormDocument:
    """The document of one form."""
    return documents(session, [row])[0]


def _contents(row: EvaluationForm) -> dict[str, Any]:
    return {
        "question_groups": row.question_groups,
        "weight_mode": row.weight_mode,
        "evaluation_settings": row.evaluation_settings,
    }


def _versions(mentions: list[FormMention]) -> FormVersions:
    count = len(mentions)
    return FormVersions(entities=mentions, page_size=max(count, 1), page_number=1, total=count, page_count=1)


def groups_of(body: FormInput) -> list[Free]:
    """The question groups of a body as documents of the contract, without what is null."""
    return [group.model_dump(by_alias=True, exclude_none=True) for group in body.question_groups or []]


def checked(groups: list[Free], weight_mode: str) -> forms.Form:
    """The form that the groups are.

    :raises ApiError: 400 naming the field.
    """
    try:
        return forms.read(groups, weight_mode)
    except FormError as error:
        raise form_error(error) from error


def form_error(*errors: FormError) -> ApiError:
    """400 with every field that is wrong; the message speaks of the first."""
    first = errors[0]
    details = [{"errorCode": "invalid.value", "fieldName": error.field} for error in errors[:20]]
    return ApiError(400, f"{first.field} {first.message}.", "invalid.value", details)


def settings_of(session: Session, body: SettingsInput | None) -> Free:
    """The settings of a body.

    :raises ApiError: 400, they cannot be carried out.
    """
    if body is None:
        return {}
    wanted: Free = body.model_dump(by_alias=True, exclude_none=True)
    try:
        read = life.read_settings(wanted)
    except life.LifeError as error:
        raise bad_request(f"{error.field} {error.message}.", error.field, "invalid.value") from error
    for number, (_, user_id) in enumerate(read.assignees):
        if user_id is not None and users.get(session, user_id) is None:
            field = f"evaluationSettings.disputesAssignees.{number}.user.id"
            raise bad_request(f"There is no user {user_id}.", field, "invalid.value")
    return wanted


def reference(row: EvaluationForm | None, form_id: str) -> Reference:
    """A form by its id."""
    return Reference(id=form_id, name=row.name if row is not None else None, self_uri=f"{PATH}/{form_id}")
