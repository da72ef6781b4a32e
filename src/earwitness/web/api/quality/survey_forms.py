"""Survey forms: drafts, and versions published of them. Published versions can be disabled."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query

from earwitness.domain.ids import new_id
from earwitness.domain.quality import form as rules
from earwitness.store import evaluation_forms as form_store
from earwitness.store import named as named_store
from earwitness.store.tables import SurveyForm
from earwitness.web.api import divisions, scoped
from earwitness.web.api.quality import survey_documents as documents
from earwitness.web.api.quality.form_documents import PublishInput
from earwitness.web.api.quality.forms import Expand, Order, SortBy, some_ids
from earwitness.web.api.quality.survey_documents import PATH, SurveyFormDigest, SurveyFormDocument, SurveyFormInput
from earwitness.web.kernel import changes
from earwitness.web.kernel.callers import Signed
from earwitness.web.kernel.errors import bad_request, conflict, not_found
from earwitness.web.kernel.operations import Family, all_of, any_of
from earwitness.web.kernel.paging import CommaList, Listing, Paging
from earwitness.web.kernel.services import Parts

family = Family("Surveys")
PUBLISHED = "/api/v2/quality/publishedforms/surveys"
WHAT = "survey form"
VIEW, ADD, EDIT, DELETE, DISABLE = (
    f"quality:surveyForm:{action}" for action in ("view", "add", "edit", "delete", "disable")
)


@family.operation("GET", PATH, "get_quality_forms_surveys", all_of(VIEW), returns=Listing[SurveyFormDocument])
def list_forms(
    caller: Signed,
    parts: Parts,
    page: Paging,
    name: str | None = None,
    expand: Expand = None,
    sort_by: SortBy = "name",
    sort_order: Order = "asc",
) -> Listing[SurveyFormDocument]:
    """Survey forms as they are worked on."""
    with parts.database.reading() as session:
        found = form_store.listing(
            session,
            SurveyForm,
            within=scoped.reach(caller, VIEW),
            name=name,
            drafts=True,
            by="modified_at" if sort_by == "modifiedDate" else "name",
            down=sort_order.startswith("desc"),
            number=page.number,
            size=page.size,
        )
        return page.envelope(documents.documents(session, found.items, history=expand is not None), found.total)


@family.operation("POST", PATH, "post_quality_forms_surveys", all_of(ADD), returns=SurveyFormDocument)
def create_form(caller: Signed, parts: Parts, body: SurveyFormInput) -> SurveyFormDocument:
    """Makes a survey form."""
    now = parts.clock.now_us()
    with changes.changing(parts, caller) as session:
        division_id = divisions.chosen(session, body.division)
        divisions.check(caller, division_id, ADD)
        form_id = new_id()
        groups = rules.with_ids(documents.groups_of(body), [], new_id, keep=False)
        documents.check(groups)
        row = SurveyForm(
            id=form_id,
            context_id=form_id,
            name=changes.required_text(body.name, "name"),
            division_id=division_id,
            question_groups=groups,
            extra=_extra(body, {}),
            created_at=now,
            modified_at=now,
            created_by=caller.subject.id,
            modified_by=caller.subject.id,
        )
        session.add(row)
        session.flush()
        return documents.document(session, row)


@family.operation(
    "GET", PATH + "/bulk", "get_quality_forms_surveys_bulk", any_of(VIEW), returns=Listing[SurveyFormDocument]
)
def some_forms(
    caller: Signed, parts: Parts, page: Paging, ids: Annotated[CommaList, Query(alias="id")]
) -> Listing[SurveyFormDocument]:
    """Survey forms by id; ids that there are not are left out."""
    wanted = some_ids(ids, "id")
    with parts.database.reading() as session:
        found = form_store.listing(session, SurveyForm, within=scoped.reach(caller, VIEW), ids=wanted, size=len(wanted))
        return page.envelope(documents.documents(session, found.items), found.total)


@family.operation(
    "GET",
    PATH + "/bulk/contexts",
    "get_quality_forms_surveys_bulk_contexts",
    any_of(VIEW),
    returns=list[SurveyFormDocument],
)
def forms_of_contexts(
    caller: Signed,
    parts: Parts,
    context_ids: Annotated[CommaList, Query(alias="contextId")],
    published: bool | None = None,
) -> list[SurveyFormDocument]:
    """Of each context the version that was published last, or its draft where none was; ``published``: one kind."""
    wanted = some_ids(context_ids, "contextId")
    with parts.database.reading() as session:
        newest: dict[str, SurveyForm] = {}
        within = scoped.reach(caller, VIEW)
        for row in form_store.versions(session, SurveyForm, wanted, within=within, drafts=True, down=False):
            is_published = row.published_at is not None
            wanted_kind = published is None or published == is_published
            if wanted_kind and (is_published or row.context_id not in newest):
                newest[row.context_id] = row
        return documents.documents(session, [newest[key] for key in wanted if key in newest])


@family.operation("GET", PATH + "/{formId}", "get_quality_forms_survey", all_of(VIEW), returns=SurveyFormDocument)
def one_form(caller: Signed, parts: Parts, formId: str) -> SurveyFormDocument:
    """A survey form: a draft, or a published version."""
    with parts.database.reading() as session:
        return documents.document(session, scoped.find(session, caller, SurveyForm, formId, WHAT, VIEW))


@family.operation("PUT", PATH + "/{formId}", "put_quality_forms_survey", all_of(EDIT), returns=SurveyFormDocument)
def change_form(caller: Signed, parts: Parts, formId: str, body: SurveyFormInput) -> SurveyFormDocument:
    """Changes a draft; absent fields stay. Published versions stay as they are."""
    with changes.changing(parts, caller) as session:
        row = scoped.find_for_change(session, caller, SurveyForm, formId, WHAT, VIEW, EDIT)
        given = body.given()
        wanted: dict[str, Any] = {"extra": _extra(body, row.extra)}
        if "question_groups" in given:
            wanted["question_groups"] = rules.with_ids(
                documents.groups_of(body), row.question_groups, new_id, keep=True
            )
            documents.check(wanted["question_groups"])
        if "name" in given:
            wanted["name"] = changes.required_text(body.name, "name")
        if body.division is not None and body.division.id:
            wanted["division_id"] = divisions.chosen(session, body.division)
            divisions.check(caller, wanted["division_id"], EDIT)
        if changes.differing(row, wanted):
            if row.published_at is not None:
                raise conflict("A published form cannot be changed. Change the form that it was published of.")
            changes.apply(row, wanted, None)
            named_store.touch(row, parts.clock.now_us(), caller.subject.id)
            session.flush()
        return documents.document(session, row)


@family.operation(
    "PATCH", PATH + "/{formId}", "patch_quality_forms_survey", all_of(DISABLE), returns=SurveyFormDocument
)
def disable_form(caller: Signed, parts: Parts, formId: str, body: SurveyFormInput) -> SurveyFormDocument:
    """Disables a published version, or enables it again: while disabled nobody answers by it."""
    if body.disabled is None:
        raise bad_request("disabled is required.", "disabled")
    with changes.changing(parts, caller) as session:
        row = scoped.find_for_change(session, caller, SurveyForm, formId, WHAT, VIEW, DISABLE)
        if row.published_at is None:
            raise conflict("Only published versions can be disabled.")
        if changes.apply(row, {"disabled": body.disabled}, None):
            named_store.touch(row, parts.clock.now_us(), caller.subject.id)
            session.flush()
        return documents.document(session, row)


@family.operation("DELETE", PATH + "/{formId}", "delete_quality_forms_survey", all_of(DELETE), status=204)
def delete_form(caller: Signed, parts: Parts, formId: str) -> None:
    """Deletes a draft, or takes a published version out of use. Surveys by it stay."""
    with changes.changing(parts, caller) as session:
        row = scoped.find_for_change(session, caller, SurveyForm, formId, WHAT, VIEW, DELETE, deleted=True)
        named_store.delete(row, parts.clock.now_us(), caller.subject.id)


@family.operation(
    "GET",
    PATH + "/{formId}/versions",
    "get_quality_forms_survey_versions",
    all_of(VIEW),
    returns=Listing[SurveyFormDocument],
)
def versions_of_form(caller: Signed, parts: Parts, page: Paging, formId: str) -> Listing[SurveyFormDocument]:
    """What was published of a survey form, the newest first."""
    with parts.database.reading() as session:
        row = scoped.find(session, caller, SurveyForm, formId, WHAT, VIEW, deleted=True)
        rows = form_store.versions(session, SurveyForm, [row.context_id], within=scoped.reach(caller, VIEW))
        return page.envelope(documents.documents(session, page.cut(rows)), len(rows))


@family.operation(
    "GET", PUBLISHED, "get_quality_publishedforms_surveys", all_of(VIEW), returns=Listing[SurveyFormDocument]
)
def list_published(
    caller: Signed,
    parts: Parts,
    page: Paging,
    name: str | None = None,
    latest: Annotated[bool, Query(alias="onlyLatestEnabledPerContext")] = False,
) -> Listing[SurveyFormDocument]:
    """Published versions, by name; ``onlyLatestEnabledPerContext``: of each form the last, unless it is disabled."""
    with parts.database.reading() as session:
        found = form_store.listing(
            session,
            SurveyForm,
            within=scoped.reach(caller, VIEW),
            name=name,
            drafts=False,
            latest_per_context=latest,
            enabled=True if latest else None,
            number=page.number,
            size=page.size,
        )
        return page.envelope(documents.documents(session, found.items), found.total)


@family.operation("POST", PUBLISHED, "post_quality_publishedforms_surveys", all_of(ADD), returns=SurveyFormDocument)
def publish(caller: Signed, parts: Parts, body: PublishInput) -> SurveyFormDocument:
    """Publishes a survey form as it is now: a new version, with an id of its own, that never changes."""
    if body.published is False:
        raise bad_request("published must be true. To take a version out of use, disable it.", "published")
    form_id = changes.required_text(body.id, "id", 64)
    now = parts.clock.now_us()
    with changes.changing(parts, caller) as session:
        draft = scoped.find_for_change(session, caller, SurveyForm, form_id, WHAT, VIEW, ADD)
        if draft.published_at is not None:
            raise conflict("This is a published version. Publish the form that it was published of.")
        row = SurveyForm(
            id=new_id(),
            context_id=draft.context_id,
            published_at=form_store.next_publication(session, SurveyForm, draft.context_id, now),
            name=draft.name,
            division_id=draft.division_id,
            question_groups=rules.with_ids(draft.question_groups, draft.question_groups, new_id, keep=False),
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
    PUBLISHED + "/divisionviews",
    "get_quality_publishedforms_surveys_divisionviews",
    any_of(VIEW),
    returns=Listing[SurveyFormDigest],
)
def list_digests(
    caller: Signed,
    parts: Parts,
    page: Paging,
    ids: Annotated[CommaList, Query(alias="id")] = None,
    name: str | None = None,
    division_id: Annotated[str | None, Query(alias="divisionId")] = None,
) -> Listing[SurveyFormDigest]:
    """Published versions that are enabled, in few words; ``id``: only these."""
    with parts.database.reading() as session:
        found = form_store.listing(
            session,
            SurveyForm,
            within=scoped.reach(caller, VIEW),
            ids=ids,
            name=name,
            division_id=division_id,
            drafts=False,
            enabled=True,
            number=page.number,
            size=page.size,
        )
        where = divisions.references(session, {row.division_id for row in found.items})
        return page.envelope([documents.digest(row, where[row.division_id]) for row in found.items], found.total)


@family.operation(
    "GET",
    PUBLISHED + "/divisionviews/{surveyFormId}",
    "get_quality_publishedforms_surveys_divisionview",
    any_of(VIEW),
    returns=SurveyFormDigest,
)
def one_digest(caller: Signed, parts: Parts, surveyFormId: str) -> SurveyFormDigest:
    """A published version in few words, unless it is disabled."""
    with parts.database.reading() as session:
        row = scoped.find(session, caller, SurveyForm, surveyFormId, WHAT, VIEW)
        if row.published_at is None or row.disabled:
            raise not_found(f"published {WHAT}", surveyFormId)
        return documents.digest(row, divisions.references(session, {row.division_id})[row.division_id])


@family.operation(
    "GET",
    PUBLISHED + "/{formId}",
    "get_quality_publishedforms_survey",
    all_of(VIEW),
    returns=SurveyFormDocument,
)
def one_published(caller: Signed, parts: Parts, formId: str) -> SurveyFormDocument:
    """A published version; by the id of a draft, the last one that was published of it."""
    with parts.database.reading() as session:
        row: SurveyForm | None = scoped.find(session, caller, SurveyForm, formId, WHAT, VIEW)
        if row is not None and row.published_at is None:
            row = form_store.latest(session, SurveyForm, row.context_id)
        if row is None:
            raise not_found(f"published {WHAT}", formId)
        return documents.document(session, row)


def _extra(body: SurveyFormInput, before: dict[str, Any]) -> dict[str, Any]:
    given = body.given()
    found = dict(before)
    for name in ("language", "header", "footer"):
        if name in given:
            found[name] = given[name]
    return {name: value for name, value in found.items() if value is not None}
