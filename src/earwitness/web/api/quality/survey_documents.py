"""Survey forms as documents and as bodies."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import Field
from sqlalchemy.orm import Session

from earwitness.domain.quality import form as forms
from earwitness.domain.quality import survey as rules
from earwitness.domain.quality.conditions import FormError
from earwitness.store import evaluation_forms as form_store
from earwitness.store.tables import SurveyForm
from earwitness.web.api import divisions
from earwitness.web.api.divisions import DivisionInput, DivisionReference
from earwitness.web.api.quality.form_documents import ConditionInput, OptionInput, form_error
from earwitness.web.kernel.documents import Document, Moment, OneOf, RequestBody

PATH = "/api/v2/quality/forms/surveys"
Free = dict[str, Any]
LANGUAGES = (
    *("da", "de", "en-US", "es", "fi", "fr", "it", "ja", "ko", "nl", "no", "pl", "pt-BR", "sv", "th", "tr"),
    *("zh-CH", "zh-CN", "zh-TW"),
)


class QuestionInput(RequestBody):
    """A question to customers."""

    id: str | None = None
    context_id: str | None = None
    text: str | None = None
    help_text: str | None = Field(default=None, max_length=forms.LONGEST_TEXT)
    type: Annotated[str, OneOf(*rules.KINDS)] | None = None
    na_enabled: bool | None = None
    visibility_condition: ConditionInput | None = None
    answer_options: list[OptionInput] | None = None
    max_response_characters: int | None = None
    explanation_prompt: str | None = Field(default=None, max_length=forms.LONGEST_TEXT)


class GroupInput(RequestBody):
    """A question group."""

    id: str | None = None
    context_id: str | None = None
    name: str | None = None
    type: str | None = Field(default=None, max_length=100)
    na_enabled: bool | None = None
    questions: list[QuestionInput] | None = None
    visibility_condition: ConditionInput | None = None


class SurveyFormInput(RequestBody):
    """A survey form to make or change."""

    id: str | None = None
    name: str | None = None
    division: DivisionInput | None = None
    disabled: bool | None = None
    language: Annotated[str, OneOf(*LANGUAGES)] | None = None
    header: str | None = Field(default=None, max_length=forms.LONGEST_TEXT)
    footer: str | None = Field(default=None, max_length=forms.LONGEST_TEXT)
    question_groups: list[GroupInput] | None = None


class SurveyFormDigest(Document):
    """A survey form in few words."""

    id: str
    name: str
    division: DivisionReference | None = None
    language: str | None = None
    context_id: str
    modified_date: Moment
    self_uri: str


class SurveyFormMention(SurveyFormDigest):
    """A survey form, where it is mentioned."""

    published: bool
    disabled: bool
    header: str | None = None
    footer: str | None = None
    question_groups: list[Free] | None = None


class SurveyFormVersions(Document):
    """What was published of a form."""

    entities: list[SurveyFormMention]
    page_size: int
    page_number: int
    total: int
    page_count: int


class SurveyFormDocument(SurveyFormMention):
    """A survey form."""

    published_versions: SurveyFormVersions | None = None


def digest(row: SurveyForm, division: DivisionReference | None = None) -> SurveyFormDigest:
    """A survey form in few words."""
    return SurveyFormDigest(
        id=row.id,
        name=row.name,
        division=division,
        language=row.extra.get("language"),
        context_id=row.context_id,
        modified_date=row.modified_at,
        self_uri=f"{PATH}/{row.id}",
    )


def mention(row: SurveyForm, *, questions: bool = True) -> SurveyFormMention:
    """A survey form, where it is mentioned."""
    return SurveyFormMention(
        **dict(digest(row)),
        published=row.published_at is not None,
        disabled=row.disabled,
        header=row.extra.get("header"),
        footer=row.extra.get("footer"),
        question_groups=row.question_groups if questions else None,
    )


def documents(session: Session, rows: Iterable[SurveyForm], *, history: bool = False) -> list[SurveyFormDocument]:
    """Documents of survey forms; ``history``: with what was published of each."""
    found = list(rows)
    where = divisions.references(session, {row.division_id for row in found})
    published: dict[str, list[SurveyFormMention]] = {}
    contexts = {row.context_id for row in found}
    for version in form_store.versions(session, SurveyForm, contexts) if history else ():
        published.setdefault(version.context_id, []).append(mention(version, questions=False))
    made = []
    for row in found:
        one = SurveyFormDocument(**{**dict(mention(row)), "division": where.get(row.division_id)})
        if history:
            versions = published.get(row.context_id, [])
            one.published_versions = SurveyFormVersions(
                entities=versions, page_size=max(len(versions), 1), page_number=1, total=len(versions), page_count=1
            )
        made.append(one)
    return made


def document(session: Session, row: SurveyForm) -> SurveyFormDocument:
    """The document of one survey form."""
    return documents(session, [row])[0]


def groups_of(body: SurveyFormInput) -> list[Free]:
    """The question groups of a body as documents of the contract, without what is null."""
    return [group.model_dump(by_alias=True, exclude_none=True) for group in body.question_groups or []]


def check(groups: list[Free]) -> None:
    """:raises ApiError: 400 naming the field."""
    try:
        rules.read(groups)
    except FormError as error:
        raise form_error(error) from error
