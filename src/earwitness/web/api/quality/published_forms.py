"""Published versions of evaluation forms: what calls may be evaluated by (J8)."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from earwitness.domain.ids import new_id
from earwitness.domain.quality import form as rules
from earwitness.store import evaluation_forms as form_store
from earwitness.store.tables import EvaluationForm
from earwitness.web.api import divisions, scoped
from earwitness.web.api.quality import form_documents as documents
from earwitness.web.api.quality.form_documents import FormDigest, FormDocument, PublishInput
from earwitness.web.api.quality.forms import ADD, VIEW
from earwitness.web.kernel import changes
from earwitness.web.kernel.callers import Caller, Signed
from earwitness.web.kernel.errors import bad_request, conflict, not_found
from earwitness.web.kernel.operations import Family, any_of
from earwitness.web.kernel.paging import CommaList, Listing, Paging
from earwitness.web.kernel.services import Parts, Services

family = Family("Evaluation forms")
older = Family("Evaluation forms")
"""The same under the vendor's older paths; to be tried after everything else below ``/quality/publishedforms``."""
PATH = "/api/v2/quality/publishedforms/evaluations"
OLDER = "/api/v2/quality/publishedforms"


@family.operation("GET", PATH, "get_quality_publishedforms_evaluations", any_of(VIEW), returns=Listing[FormDocument])
@older.operation("GET", OLDER, "get_quality_publishedforms", any_of(VIEW), returns=Listing[FormDocument])
def list_published(
    caller: Signed,
    parts: Parts,
    page: Paging,
    name: str | None = None,
    latest: Annotated[bool, Query(alias="onlyLatestPerContext")] = False,
) -> Listing[FormDocument]:
    """Published versions, by name."""
    with parts.database.reading() as session:
        found = form_store.listing(
            session,
            EvaluationForm,
            within=scoped.reach(caller, VIEW),
            name=name,
            drafts=False,
            latest_per_context=latest,
            number=page.number,
            size=page.size,
        )
        return page.envelope(documents.documents(session, found.items), found.total)


@family.operation("POST", PATH, "post_quality_publishedforms_evaluations", any_of(ADD), returns=FormDocument)
@older.operation("POST", OLDER, "post_quality_publishedforms", any_of(ADD), returns=FormDocument)
def publish(caller: Signed, parts: Parts, body: PublishInput) -> FormDocument:
    """Publishes a form as it is now: a new version, with an id of its own, that never changes (J8)."""
    if body.published is False:
        raise bad_request("published must be true. To take a version out of use, delete it.", "published")
    form_id = changes.required_text(body.id, "id", 64)
    now = parts.clock.now_us()
    with changes.changing(parts, caller) as session:
        draft = scoped.find_for_change(session, caller, EvaluationForm, form_id, "evaluation form", VIEW, ADD)
        if draft.published_at is not None:
            raise conflict("This is a published version. Publish the form that it was published of.")
        documents.checked(draft.question_groups, draft.weight_mode)
        row = EvaluationForm(
            id=new_id(),
            context_id=draft.context_id,
            published_at=form_store.next_publication(session, EvaluationForm, draft.context_id, now),
            name=draft.name,
            description=draft.description,
            division_id=draft.division_id,
            question_groups=rules.with_ids(draft.question_groups, draft.question_groups, new_id, keep=False),
            weight_mode=draft.weight_mode,
            evaluation_settings=draft.evaluation_settings,
            extra=draft.extra,
            created_at=now,
            modified_at=now,
            created_by=caller.subject.id,
            modified_by=caller.subject.id,
        )
        session.add(row)
        session.flush()
        return documents.document(session, row)


@family.operation(
    "GET",
    PATH + "/divisionviews",
    "get_quality_publishedforms_evaluations_divisionviews",
    any_of(VIEW),
    returns=Listing[FormDigest],
)
def list_digests(
    caller: Signed,
    parts: Parts,
    page: Paging,
    ids: Annotated[CommaList, Query(alias="id")] = None,
    name: str | None = None,
    division_id: Annotated[str | None, Query(alias="divisionId")] = None,
) -> Listing[FormDigest]:
    """Published versions in few words; ``id``: only these."""
    with parts.database.reading() as session:
        found = form_store.listing(
            session,
            EvaluationForm,
            within=scoped.reach(caller, VIEW),
            ids=ids,
            name=name,
            division_id=division_id,
            drafts=False,
            number=page.number,
            size=page.size,
        )
        where = divisions.references(session, {row.division_id for row in found.items})
        return page.envelope([documents.digest(row, where[row.division_id]) for row in found.items], found.total)


@family.operation(
    "GET",
    PATH + "/divisionviews/{evaluationFormId}",
    "get_quality_publishedforms_evaluations_divisionview",
    any_of(VIEW),
    returns=FormDigest,
)
def one_digest(caller: Signed, parts: Parts, evaluationFormId: str) -> FormDigest:
    """A published version in few words."""
    found = _published(caller, parts, evaluationFormId)
    return FormDigest(**{name: getattr(found, name) for name in FormDigest.model_fields})


@family.operation(
    "GET", PATH + "/{formId}", "get_quality_publishedforms_evaluation", any_of(VIEW), returns=FormDocument
)
@older.operation("GET", OLDER + "/{formId}", "get_quality_publishedform", any_of(VIEW), returns=FormDocument)
def one_published(caller: Signed, parts: Parts, formId: str) -> FormDocument:
    """A published version."""
    return _published(caller, parts, formId)


def _published(caller: Caller, parts: Services, form_id: str) -> FormDocument:
    with parts.database.reading() as session:
        row = scoped.find(session, caller, EvaluationForm, form_id, "published evaluation form", VIEW)
        if row.published_at is None:
            raise not_found("published evaluation form", form_id)
        return documents.document(session, row)
