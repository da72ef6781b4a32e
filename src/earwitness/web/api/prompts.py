"""Prompts: what flows and queues play to callers, known as ``Prompt.<name>``."""

from __future__ import annotations

import re
from typing import Annotated, Any

from fastapi import Query, Request
from sqlalchemy.orm import Session

from earwitness.domain.ids import new_id
from earwitness.store import named as named_store
from earwitness.store import prompts as prompt_store
from earwitness.store.tables import Prompt
from earwitness.web.api import divisions, scoped
from earwitness.web.api.divisions import DivisionInput, DivisionReference
from earwitness.web.api.flow_documents import Operation
from earwitness.web.api.prompt_resources import ResourceDocument, languages_of, resource_document
from earwitness.web.kernel import changes
from earwitness.web.kernel.callers import Caller, Signed
from earwitness.web.kernel.documents import Document, RequestBody
from earwitness.web.kernel.errors import bad_request, conflict
from earwitness.web.kernel.operations import Family, any_of
from earwitness.web.kernel.paging import CommaList, Listing, Paging
from earwitness.web.kernel.services import Parts, Services

family = Family("Prompts")
PATH = "/api/v2/architect/prompts"
VIEW, ADD, EDIT, DELETE = (f"architect:userPrompt:{action}" for action in ("view", "add", "edit", "delete"))
Languages = Annotated[CommaList, Query(alias="language")]
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,199}")


class PromptDocument(Document):
    """A prompt, with its resources where asked for."""

    id: str
    name: str
    division: DivisionReference
    description: str | None = None
    resources: list[ResourceDocument] | None = None
    self_uri: str


class PromptInput(RequestBody):
    """A prompt to make or change."""

    name: str | None = None
    description: str | None = None
    division: DivisionInput | None = None


def _document(
    session: Session,
    row: Prompt,
    *,
    request: Request,
    parts: Services,
    caller: Caller,
    resources: bool = False,
    uris: bool = False,
    languages: list[str] | None = None,
) -> PromptDocument:
    shown = None
    if resources:
        found = prompt_store.resources(session, row.id, languages)
        shown = [resource_document(request, parts, caller, row, item, media=uris) for item in found]
    return PromptDocument(
        id=row.id,
        name=row.name,
        division=divisions.references(session, {row.division_id})[row.division_id],
        description=row.description,
        resources=shown,
        self_uri=f"{PATH}/{row.id}",
    )


@family.operation("GET", PATH, "get_architect_prompts", any_of(VIEW), returns=Listing[PromptDocument])
def list_prompts(
    caller: Signed,
    request: Request,
    parts: Parts,
    page: Paging,
    names: Annotated[CommaList, Query(alias="name")] = None,
    description: str | None = None,
    name_or_description: Annotated[str | None, Query(alias="nameOrDescription")] = None,
    sort_by: Annotated[str, Query(alias="sortBy")] = "name",
    sort_order: Annotated[str, Query(alias="sortOrder")] = "asc",
    include_media_uris: Annotated[bool, Query(alias="includeMediaUris")] = False,
    include_resources: Annotated[bool, Query(alias="includeResources")] = True,
    languages: Languages = None,
    division_ids: Annotated[CommaList, Query(alias="divisionId")] = None,
) -> Listing[PromptDocument]:
    """Prompts with their resources; with ``name``, those of these names and no other filter counts."""
    more: dict[str, Any] = {"names": names}
    if not names:
        more = {"description": description, "name_or_description": name_or_description, "division_ids": division_ids}
    with parts.database.reading() as session:
        found = prompt_store.prompts(
            session,
            within=scoped.reach(caller, VIEW),
            order=sort_by,
            down=sort_order.lower().startswith("desc"),
            number=page.number,
            size=page.size,
            **more,
        )
        shown = [
            _document(
                session,
                row,
                request=request,
                parts=parts,
                caller=caller,
                resources=include_resources,
                uris=include_media_uris,
                languages=languages_of(languages),
            )
            for row in found.items
        ]
        return page.envelope(shown, found.total)


@family.operation("POST", PATH, "post_architect_prompts", any_of(ADD), returns=PromptDocument)
def create_prompt(caller: Signed, request: Request, parts: Parts, body: PromptInput) -> PromptDocument:
    """Makes a prompt without recordings. Its name has letters, digits and underscores."""
    now = parts.clock.now_us()
    with changes.changing(parts, caller) as session:
        name = _name(session, body.name, None)
        division_id = divisions.chosen(session, body.division)
        divisions.check(caller, division_id, ADD)
        row = Prompt(
            id=new_id(),
            name=name,
            description=body.description,
            division_id=division_id,
            created_at=now,
            modified_at=now,
            created_by=caller.subject.id,
            modified_by=caller.subject.id,
        )
        session.add(row)
        session.flush()
        return _document(session, row, request=request, parts=parts, caller=caller, resources=True)


@family.operation("DELETE", PATH, "delete_architect_prompts", any_of(DELETE), returns=Operation)
def delete_prompts(caller: Signed, parts: Parts, ids: Annotated[CommaList, Query(alias="id")] = None) -> Operation:
    """Deletes several prompts, or none where one of them is in use."""
    if not ids:
        raise bad_request("id is required.", "id")
    with changes.changing(parts, caller) as session:
        for prompt_id in ids:
            _delete(parts, session, caller, prompt_id)
    return Operation(id=new_id(), complete=True, action_name="DELETE", action_status="SUCCESS")


@family.operation("GET", PATH + "/{promptId}", "get_architect_prompt", any_of(VIEW), returns=PromptDocument)
def one_prompt(
    caller: Signed,
    request: Request,
    parts: Parts,
    promptId: str,
    include_media_uris: Annotated[bool, Query(alias="includeMediaUris")] = False,
    include_resources: Annotated[bool, Query(alias="includeResources")] = True,
    languages: Languages = None,
) -> PromptDocument:
    """A prompt with its resources."""
    with parts.database.reading() as session:
        return _document(
            session,
            scoped.find(session, caller, Prompt, promptId, "prompt", VIEW),
            request=request,
            parts=parts,
            caller=caller,
            resources=include_resources,
            uris=include_media_uris,
            languages=languages_of(languages),
        )


@family.operation("PUT", PATH + "/{promptId}", "put_architect_prompt", any_of(EDIT), returns=PromptDocument)
def change_prompt(caller: Signed, request: Request, parts: Parts, promptId: str, body: PromptInput) -> PromptDocument:
    """Changes name, description or division of a prompt. Flows know it by its name."""
    with changes.changing(parts, caller) as session:
        row = scoped.find_for_change(session, caller, Prompt, promptId, "prompt", VIEW, EDIT)
        given, wanted = body.given(), dict[str, Any]()
        if "name" in given:
            wanted["name"] = _name(session, body.name, row.id)
        if "description" in given:
            wanted["description"] = body.description
        if body.division is not None and body.division.id:
            wanted["division_id"] = divisions.chosen(session, body.division)
            divisions.check(caller, wanted["division_id"], EDIT)
        if changes.apply(row, wanted, None):
            named_store.touch(row, parts.clock.now_us(), caller.subject.id)
            session.flush()
        return _document(session, row, request=request, parts=parts, caller=caller, resources=True)


@family.operation("DELETE", PATH + "/{promptId}", "delete_architect_prompt", any_of(DELETE), status=204)
def delete_prompt(
    caller: Signed, parts: Parts, promptId: str, all_resources: Annotated[bool, Query(alias="allResources")] = False
) -> None:
    """Deletes a prompt with its resources, unless it is a queue's music on hold."""
    with changes.changing(parts, caller) as session:
        _delete(parts, session, caller, promptId)


def _delete(parts: Services, session: Session, caller: Caller, prompt_id: str) -> None:
    row = scoped.find_for_change(session, caller, Prompt, prompt_id, "prompt", VIEW, DELETE, deleted=True)
    if row.state == "deleted":
        return
    for queue in prompt_store.queues_with(session, row.id):
        raise conflict(f"The queue {queue.name} has the prompt {row.name} as its music on hold.")
    for item in prompt_store.resources(session, row.id):
        session.delete(item)
    named_store.delete(row, parts.clock.now_us(), caller.subject.id)


def _name(session: Session, name: str | None, prompt_id: str | None) -> str:
    text = changes.required_text(name, "name")
    if not _NAME.fullmatch(text):
        raise bad_request("name has letters, digits and underscores, and no digit first.", "name", "invalid.value")
    other = prompt_store.by_name(session, text)
    if other is not None and other.id != prompt_id:
        raise conflict(f"There is a prompt {other.name} already.", "general.conflict")
    return text
