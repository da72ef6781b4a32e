"""Wrap-up codes: what agents may say a call was about, and which queues offer which."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query
from pydantic import Field
from sqlalchemy.orm import Session

from earwitness.domain.ids import new_id
from earwitness.store import named as named_store
from earwitness.store import queues as queue_store
from earwitness.store.queues import EVERY_DIVISION
from earwitness.store.tables import Queue, WrapupCode
from earwitness.web.api import divisions, scoped
from earwitness.web.api.divisions import DivisionInput, DivisionReference
from earwitness.web.api.queue_documents import PATH as QUEUES
from earwitness.web.api.queues import EDIT as EDIT_QUEUE
from earwitness.web.api.queues import VIEW as VIEW_QUEUE
from earwitness.web.api.queues import find_queue
from earwitness.web.kernel import changes
from earwitness.web.kernel.callers import Caller, Signed
from earwitness.web.kernel.documents import Document, Moment, OneOf, RequestBody
from earwitness.web.kernel.errors import bad_request, conflict, missing_permissions, not_found
from earwitness.web.kernel.operations import Family, all_of
from earwitness.web.kernel.paging import CommaList, Listing, Paging
from earwitness.web.kernel.services import Parts

family = Family("Wrap-up codes")
PATH = "/api/v2/routing/wrapupcodes"
OFFERED = QUEUES + "/{queueId}/wrapupcodes"
VIEW, ADD, EDIT, DELETE, SEARCH = (
    f"routing:wrapupCode:{action}" for action in ("view", "add", "edit", "delete", "search")
)
MOST = 100
Ids = Annotated[CommaList, Query(alias="id")]
DivisionIds = Annotated[CommaList, Query(alias="divisionId")]


class WrapupCodeDocument(Document):
    """A wrap-up code; its division ``*`` is every division."""

    id: str
    name: str
    division: DivisionReference
    description: str | None = None
    date_created: Moment
    date_modified: Moment
    created_by: str | None = None
    modified_by: str | None = None
    self_uri: str


class WrapupCodeInput(RequestBody):
    """A wrap-up code to make or change."""

    name: str | None = None
    description: str | None = None
    division: DivisionInput | None = None


class CodeReference(RequestBody):
    """A wrap-up code, by its id."""

    id: str


def documents(session: Session, rows: list[WrapupCode]) -> list[WrapupCodeDocument]:
    """Documents of wrap-up codes."""
    mentions = divisions.references(session, {row.division_id for row in rows})
    return [
        WrapupCodeDocument(
            id=row.id,
            name=row.name,
            division=mentions[row.division_id],
            description=row.description,
            date_created=row.created_at,
            date_modified=row.modified_at,
            created_by=row.created_by,
            modified_by=row.modified_by,
            self_uri=f"{PATH}/{row.id}",
        )
        for row in rows
    ]


def _list(caller: Caller, parts: Parts, page: Paging, permission: str, **asked: Any) -> Listing[WrapupCodeDocument]:
    with parts.database.reading() as session:
        within = scoped.reach(caller, permission)
        found = queue_store.codes(session, within=within, number=page.number, size=page.size, **asked)
        return page.envelope(documents(session, list(found.items)), found.total)


@family.operation("GET", PATH, "get_routing_wrapupcodes", all_of(VIEW), returns=Listing[WrapupCodeDocument])
def list_codes(
    caller: Signed,
    parts: Parts,
    page: Paging,
    name: str | None = None,
    ids: Ids = None,
    division_ids: DivisionIds = None,
    sort_by: Annotated[str, OneOf("name", "id"), Query(alias="sortBy")] = "name",
    sort_order: Annotated[str, OneOf("ascending", "descending"), Query(alias="sortOrder")] = "ascending",
) -> Listing[WrapupCodeDocument]:
    """Wrap-up codes."""
    down = sort_order == "descending"
    return _list(caller, parts, page, VIEW, name=name, ids=ids, division_ids=division_ids, order=sort_by, down=down)


@family.operation("POST", PATH, "post_routing_wrapupcodes", all_of(ADD), returns=WrapupCodeDocument)
def create_code(caller: Signed, parts: Parts, body: WrapupCodeInput) -> WrapupCodeDocument:
    """Makes a wrap-up code; in division ``*`` it is there for all."""
    now = parts.clock.now_us()
    with changes.changing(parts, caller) as session:
        row = WrapupCode(
            id=new_id(),
            name=_free_name(session, changes.required_text(body.name, "name"), None),
            description=body.description,
            division_id=_division(session, caller, body.division, ADD),
            created_at=now,
            modified_at=now,
            created_by=caller.subject.id,
            modified_by=caller.subject.id,
        )
        session.add(row)
        session.flush()
        return documents(session, [row])[0]


@family.operation(
    "GET",
    PATH + "/divisionviews",
    "get_routing_wrapupcodes_divisionviews",
    all_of(SEARCH),
    returns=Listing[WrapupCodeDocument],
)
def search_codes(
    caller: Signed,
    parts: Parts,
    page: Paging,
    name: str | None = None,
    ids: Ids = None,
    division_ids: DivisionIds = None,
    include_state: Annotated[
        str, OneOf("Active", "Deleted", "ActiveAndDeleted"), Query(alias="includeState")
    ] = "Active",
) -> Listing[WrapupCodeDocument]:
    """Wrap-up codes of the divisions that the caller may search, by name, deleted ones where asked for."""
    states = {"Active": ("active",), "Deleted": ("deleted",)}.get(include_state, ("active", "deleted"))
    return _list(caller, parts, page, SEARCH, name=name, ids=ids, division_ids=division_ids, states=states)


@family.operation(
    "GET",
    PATH + "/divisionviews/{codeId}",
    "get_routing_wrapupcodes_divisionview",
    all_of(SEARCH),
    returns=WrapupCodeDocument,
)
def one_searched_code(caller: Signed, parts: Parts, codeId: str) -> WrapupCodeDocument:
    """A wrap-up code of the divisions that the caller may search."""
    with parts.database.reading() as session:
        return documents(session, [scoped.find(session, caller, WrapupCode, codeId, "wrap-up code", SEARCH)])[0]


@family.operation("GET", PATH + "/{codeId}", "get_routing_wrapupcode", all_of(VIEW), returns=WrapupCodeDocument)
def one_code(caller: Signed, parts: Parts, codeId: str) -> WrapupCodeDocument:
    """A wrap-up code."""
    with parts.database.reading() as session:
        return documents(session, [scoped.find(session, caller, WrapupCode, codeId, "wrap-up code", VIEW)])[0]


@family.operation("PUT", PATH + "/{codeId}", "put_routing_wrapupcode", all_of(EDIT), returns=WrapupCodeDocument)
def change_code(caller: Signed, parts: Parts, codeId: str, body: WrapupCodeInput) -> WrapupCodeDocument:
    """Changes a wrap-up code; calls that have it keep the name that it had."""
    with changes.changing(parts, caller) as session:
        row = scoped.find_for_change(session, caller, WrapupCode, codeId, "wrap-up code", VIEW, EDIT)
        given, wanted = body.given(), dict[str, Any]()
        if "name" in given:
            wanted["name"] = _free_name(session, changes.required_text(body.name, "name"), row.id)
        if "description" in given:
            wanted["description"] = body.description
        if body.division is not None and body.division.id:
            wanted["division_id"] = _division(session, caller, body.division, EDIT)
        if changes.apply(row, wanted, None):
            named_store.touch(row, parts.clock.now_us(), caller.subject.id)
            session.flush()
        return documents(session, [row])[0]


@family.operation("DELETE", PATH + "/{codeId}", "delete_routing_wrapupcode", all_of(DELETE), status=204)
def delete_code(caller: Signed, parts: Parts, codeId: str) -> None:
    """Deletes a wrap-up code; no queue offers it any more."""
    with changes.changing(parts, caller) as session:
        row = scoped.find_for_change(session, caller, WrapupCode, codeId, "wrap-up code", VIEW, DELETE, deleted=True)
        named_store.delete(row, parts.clock.now_us(), caller.subject.id)


@family.operation(
    "GET", OFFERED, "get_routing_queue_wrapupcodes", all_of(VIEW_QUEUE), returns=Listing[WrapupCodeDocument]
)
def codes_of_queue(
    caller: Signed, parts: Parts, page: Paging, queueId: str, name: str | None = None
) -> Listing[WrapupCodeDocument]:
    """The wrap-up codes that a queue offers."""
    with parts.database.reading() as session:
        queue = scoped.find(session, caller, Queue, queueId, "queue", VIEW_QUEUE)
        found = queue_store.codes_of(session, queue.id, name=name, number=page.number, size=page.size)
        return page.envelope(documents(session, list(found.items)), found.total)


@family.operation(
    "POST", OFFERED, "post_routing_queue_wrapupcodes", all_of(EDIT_QUEUE), returns=list[WrapupCodeDocument]
)
def offer_codes(
    caller: Signed, parts: Parts, queueId: str, body: Annotated[list[CodeReference], Field(max_length=MOST)]
) -> list[WrapupCodeDocument]:
    """Has a queue offer up to 100 wrap-up codes more."""
    now = parts.clock.now_us()
    with changes.changing(parts, caller) as session:
        queue, rows = find_queue(session, caller, queueId, EDIT_QUEUE), []
        for item in body:
            row = named_store.get(session, WrapupCode, item.id)
            if row is None:
                raise bad_request(f"There is no wrap-up code {item.id}.", "id", "invalid.value")
            queue_store.offer(session, queue.id, row.id, now)
            rows.append(row)
        return documents(session, rows)


@family.operation("DELETE", OFFERED + "/{codeId}", "delete_routing_queue_wrapupcode", all_of(EDIT_QUEUE), status=204)
def withdraw_code(caller: Signed, parts: Parts, queueId: str, codeId: str) -> None:
    """Has a queue offer a wrap-up code no more."""
    with changes.changing(parts, caller) as session:
        queue = find_queue(session, caller, queueId, EDIT_QUEUE)
        if named_store.get(session, WrapupCode, codeId, deleted=True) is None:
            raise not_found("wrap-up code", codeId)
        queue_store.withdraw(session, queue.id, codeId)


def _division(session: Session, caller: Caller, asked: DivisionInput | None, permission: str) -> str:
    if asked is not None and asked.id == EVERY_DIVISION:
        if not scoped.reach(caller, permission).every:
            raise missing_permissions([permission], every=True)
        return EVERY_DIVISION
    division_id = divisions.chosen(session, asked)
    divisions.check(caller, division_id, permission)
    return division_id


def _free_name(session: Session, name: str, code_id: str | None) -> str:
    other = queue_store.code_by_name(session, name)
    if other is not None and other.id != code_id:
        raise conflict(f"There is a wrap-up code {name} already.", "general.conflict")
    return name
