"""Evaluation forms: to make, change, list and delete. Each operation is there under the vendor's older path, too."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query
from sqlalchemy.orm import Session

from earwitness.domain.ids import new_id
from earwitness.domain.quality import form as rules
from earwitness.store import evaluation_forms as form_store
from earwitness.store import named as named_store
from earwitness.store.tables import EvaluationForm
from earwitness.web.api import divisions, scoped
from earwitness.web.api.quality import form_documents as documents
from earwitness.web.api.quality.form_documents import PATH, FormDocument, FormInput
from earwitness.web.kernel import changes
from earwitness.web.kernel.callers import Signed
from earwitness.web.kernel.documents import OneOf
from earwitness.web.kernel.errors import bad_request, conflict
from earwitness.web.kernel.operations import Family, any_of
from earwitness.web.kernel.paging import CommaList, Listing, Paging
from earwitness.web.kernel.services import Parts

family = Family("Evaluation forms")
older = Family("Evaluation forms")
"""The same under the vendor's older paths; to be tried after everything else below ``/quality/forms``."""
VIEW, ADD, EDIT, DELETE = (f"quality:evaluationForm:{action}" for action in ("view", "add", "edit", "delete"))
OLDER = "/api/v2/quality/forms"
Order = Annotated[str, OneOf("asc", "desc", "ascending", "descending"), Query(alias="sortOrder")]
SortBy = Annotated[str, OneOf("name", "modifiedDate"), Query(alias="sortBy")]
Expand = Annotated[str | None, OneOf("publishHistory"), Query()]


@family.operation("GET", PATH, "get_quality_forms_evaluations", any_of(VIEW), returns=Listing[FormDocument])
@older.operation("GET", OLDER, "get_quality_forms", any_of(VIEW), returns=Listing[FormDocument])
def list_forms(
    caller: Signed,
    parts: Parts,
    page: Paging,
    name: str | None = None,
    expand: Expand = None,
    sort_by: SortBy = "name",
    sort_order: Order = "asc",
) -> Listing[FormDocument]:
    """Forms as they are worked on, published or not; ``expand=publishHistory`` adds what was published of each."""
    with parts.database.reading() as session:
        found = form_store.listing(
            session,
            EvaluationForm,
            within=scoped.reach(caller, VIEW),
            name=name,
            drafts=True,
            by="modified_at" if sort_by == "modifiedDate" else "name",
            down=sort_order.startswith("desc"),
            number=page.number,
            size=page.size,
        )
        rows = documents.documents(session, found.items, history=expand is not None)
        return page.envelope(rows, found.total)


@family.operation("POST", PATH, "post_quality_forms_evaluations", any_of(ADD), returns=FormDocument)
@older.operation("POST", OLDER, "post_quality_forms", any_of(ADD), returns=FormDocument)
def create_form(caller: Signed, parts: Parts, body: FormInput) -> FormDocument:
    """Makes a form. Ids in the body are not taken over; predicates name answers by their place."""
    now = parts.clock.now_us()
    with changes.changing(parts, caller) as session:
        division_id = divisions.chosen(session, body.division)
        divisions.check(caller, division_id, ADD)
        form_id = new_id()
        row = EvaluationForm(
            id=form_id,
            context_id=form_id,
            name=changes.required_text(body.name, "name"),
            division_id=division_id,
            created_at=now,
            modified_at=now,
            created_by=caller.subject.id,
            modified_by=caller.subject.id,
            question_groups=_groups(body, []),
            **_settings(session, body, None),
        )
        session.add(row)
        session.flush()
        return documents.document(session, row)


@family.operation(
    "GET", PATH + "/bulk", "get_quality_forms_evaluations_bulk", any_of(VIEW), returns=Listing[FormDocument]
)
def some_forms(
    caller: Signed,
    parts: Parts,
    page: Paging,
    ids: Annotated[CommaList, Query(alias="id")],
    latest: Annotated[bool, Query(alias="includeLatestVersionFormName")] = False,
) -> Listing[FormDocument]:
    """Forms by id, drafts and published versions; ids that there are not are left out."""
    wanted = some_ids(ids, "id")
    with parts.database.reading() as session:
        found = form_store.listing(
            session, EvaluationForm, within=scoped.reach(caller, VIEW), ids=wanted, size=len(wanted)
        )
        rows = documents.documents(session, found.items, names=latest)
        return page.envelope(rows, found.total)


@family.operation(
    "GET",
    PATH + "/bulk/contexts",
    "get_quality_forms_evaluations_bulk_contexts",
    any_of(VIEW),
    returns=list[FormDocument],
)
def forms_of_contexts(
    caller: Signed, parts: Parts, context_ids: Annotated[CommaList, Query(alias="contextId")]
) -> list[FormDocument]:
    """Of each context the version that was published last, or its draft where none was."""
    wanted = some_ids(context_ids, "contextId")
    with parts.database.reading() as session:
        newest: dict[str, EvaluationForm] = {}
        for row in form_store.versions(
            session, EvaluationForm, wanted, within=scoped.reach(caller, VIEW), drafts=True, down=False
        ):
            if row.published_at is not None or row.context_id not in newest:
                newest[row.context_id] = row
        return documents.documents(session, [newest[key] for key in wanted if key in newest])


@family.operation("GET", PATH + "/{formId}", "get_quality_forms_evaluation", any_of(VIEW), returns=FormDocument)
@older.operation("GET", OLDER + "/{formId}", "get_quality_form", any_of(VIEW), returns=FormDocument)
def one_form(caller: Signed, parts: Parts, formId: str) -> FormDocument:
    """A form: a draft, or a published version."""
    with parts.database.reading() as session:
        row = scoped.find(session, caller, EvaluationForm, formId, "evaluation form", VIEW)
        return documents.document(session, row)


@family.operation("PUT", PATH + "/{formId}", "put_quality_forms_evaluation", any_of(EDIT), returns=FormDocument)
@older.operation("PUT", OLDER + "/{formId}", "put_quality_form", any_of(EDIT), returns=FormDocument)
def change_form(caller: Signed, parts: Parts, formId: str, body: FormInput) -> FormDocument:
    """Changes a draft; absent fields stay. Questions that stay are known by their ids. Published versions stay as they
    are (J8).
    """
    with changes.changing(parts, caller) as session:
        row = scoped.find_for_change(session, caller, EvaluationForm, formId, "evaluation form", VIEW, EDIT)
        given = body.given()
        wanted = _settings(session, body, row)
        if "question_groups" in given:
            wanted["question_groups"] = _groups(body, row.question_groups)
        if "name" in given:
            wanted["name"] = changes.required_text(body.name, "name")
        if body.division is not None and body.division.id:
            wanted["division_id"] = divisions.chosen(session, body.division)
            divisions.check(caller, wanted["division_id"], EDIT)
        if not changes.differing(row, wanted):
            return documents.document(session, row)
        if row.published_at is not None:
            raise conflict("A published form cannot be changed. Change the form that it was published of.")
        changes.apply(row, wanted, None)
        named_store.touch(row, parts.clock.now_us(), caller.subject.id)
        session.flush()
        return documents.document(session, row)


@family.operation("DELETE", PATH + "/{formId}", "delete_quality_forms_evaluation", any_of(DELETE), status=204)
@older.operation("DELETE", OLDER + "/{formId}", "delete_quality_form", any_of(DELETE), status=204)
def delete_form(caller: Signed, parts: Parts, formId: str) -> None:
    """Deletes a draft, or takes a published version out of use. Evaluations by it stay, and can be finished."""
    with changes.changing(parts, caller) as session:
        row = scoped.find_for_change(
            session, caller, EvaluationForm, formId, "evaluation form", VIEW, DELETE, deleted=True
        )
        named_store.delete(row, parts.clock.now_us(), caller.subject.id)


@family.operation(
    "GET",
    PATH + "/{formId}/versions",
    "get_quality_forms_evaluation_versions",
    any_of(VIEW),
    returns=Listing[FormDocument],
)
@older.operation(
    "GET", OLDER + "/{formId}/versions", "get_quality_form_versions", any_of(VIEW), returns=Listing[FormDocument]
)
def versions_of_form(
    caller: Signed, parts: Parts, page: Paging, formId: str, sort_order: Order = "desc"
) -> Listing[FormDocument]:
    """What was published of a form, the newest first."""
    with parts.database.reading() as session:
        row = scoped.find(session, caller, EvaluationForm, formId, "evaluation form", VIEW, deleted=True)
        rows = form_store.versions(
            session,
            EvaluationForm,
            [row.context_id],
            within=scoped.reach(caller, VIEW),
            down=sort_order.startswith("desc"),
        )
        return page.envelope(documents.documents(session, page.cut(rows)), len(rows))


def _groups(body: FormInput, known: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The questions of a body as they are kept."""
    groups = rules.with_ids(documents.groups_of(body), known, new_id, keep=True)
    documents.checked(groups, body.weight_mode or rules.SCALED)
    return groups


def _settings(session: Session, body: FormInput, row: EvaluationForm | None) -> dict[str, Any]:
    found: dict[str, Any] = {}
    given = body.given()
    if body.weight_mode is not None:
        found["weight_mode"] = body.weight_mode
    if "evaluation_settings" in given or row is None:
        found["evaluation_settings"] = documents.settings_of(session, body.evaluation_settings)
    if "dialect" in given:
        before = {} if row is None else row.extra
        kept = {**before, "dialect": body.dialect}
        found["extra"] = {key: value for key, value in kept.items() if value is not None}
    return found


def some_ids(ids: list[str] | None, name: str) -> list[str]:
    """:raises ApiError: 400, none or more than 500."""
    wanted = list(dict.fromkeys(ids or []))
    if not 1 <= len(wanted) <= 500:
        raise bad_request(f"{name} takes 1 to 500 ids.", name)
    return wanted
