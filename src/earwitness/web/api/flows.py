"""Flows: to make, name, list and delete."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query
from sqlalchemy.orm import Session

from earwitness.domain.ids import new_id
from earwitness.store import flows as flow_store
from earwitness.store import named as named_store
from earwitness.store import queues as queue_store
from earwitness.store.flows import Asked
from earwitness.store.tables import Flow
from earwitness.web.api import divisions, flow_documents, scoped
from earwitness.web.api.divisions import DivisionInput
from earwitness.web.api.flow_documents import PATH, FlowDigest, FlowDocument
from earwitness.web.kernel import changes
from earwitness.web.kernel.callers import Caller, Signed
from earwitness.web.kernel.documents import OneOf, RequestBody, parse_date
from earwitness.web.kernel.errors import bad_request, conflict
from earwitness.web.kernel.operations import Family, all_of, any_of
from earwitness.web.kernel.paging import CommaList, Listing, Paging
from earwitness.web.kernel.services import Parts

family = Family("Flows")
VIEW, ADD, EDIT, DELETE, PUBLISH, UNLOCK, SEARCH = (
    f"architect:flow:{action}" for action in ("view", "add", "edit", "delete", "publish", "unlock", "search")
)
Ids = Annotated[CommaList, Query(alias="id")]
Types = Annotated[CommaList, Query(alias="type")]
DivisionIds = Annotated[CommaList, Query(alias="divisionId")]
SortBy = Annotated[str, Query(alias="sortBy")]
SortOrder = Annotated[str, Query(alias="sortOrder")]
Version = Annotated[str | None, Query(alias="publishVersionId")]
After = Annotated[str | None, Query(alias="publishedAfter")]
Before = Annotated[str | None, Query(alias="publishedBefore")]


class FlowInput(RequestBody):
    """A flow to make or to rename."""

    name: str | None = None
    description: str | None = None
    type: str | None = None
    division: DivisionInput | None = None


@family.operation("GET", PATH, "get_flows", any_of(VIEW), returns=Listing[FlowDocument])
def list_flows(
    caller: Signed,
    parts: Parts,
    page: Paging,
    types: Types = None,
    ids: Ids = None,
    name: str | None = None,
    description: str | None = None,
    name_or_description: Annotated[str | None, Query(alias="nameOrDescription")] = None,
    publish_version: Version = None,
    editable_by: Annotated[str | None, Query(alias="editableBy")] = None,
    locked_by: Annotated[str | None, Query(alias="lockedBy")] = None,
    locked_by_client: Annotated[str | None, Query(alias="lockedByClientId")] = None,
    secure: Annotated[str, OneOf("any", "checkedin", "published"), Query()] = "any",
    deleted: bool = False,
    virtual_agent: Annotated[bool | None, Query(alias="virtualAgentEnabled")] = None,
    published_after: After = None,
    published_before: Before = None,
    division_ids: DivisionIds = None,
    sort_by: SortBy = "name",
    sort_order: SortOrder = "asc",
) -> Listing[FlowDocument]:
    """Flows. None is secure, and none has a virtual agent."""
    if secure != "any" or virtual_agent:
        return page.envelope([], 0)
    asked = Asked(
        within=scoped.reach(caller, VIEW),
        types=_types(types),
        ids=ids,
        division_ids=division_ids,
        name=name,
        description=description,
        name_or_description=name_or_description,
        published_number=_number(publish_version),
        published_after=_date(published_after, "publishedAfter"),
        published_before=_date(published_before, "publishedBefore"),
        locked_by=locked_by,
        locked_by_client=locked_by_client,
        editable_by=caller.subject.id if editable_by == "me" else editable_by,
        deleted=deleted,
    )
    with parts.database.reading() as session:
        down = sort_order.lower().startswith("desc")
        found = flow_store.flows(session, asked, order=sort_by, down=down, number=page.number, size=page.size)
        return page.envelope(flow_documents.documents(session, found.items), found.total)


@family.operation("POST", PATH, "post_flows", any_of(ADD), returns=FlowDocument)
def create_flow(caller: Signed, parts: Parts, body: FlowInput, language: str | None = None) -> FlowDocument:
    """Makes a flow without a text. Types: INBOUNDCALL, INQUEUECALL, OUTBOUNDCALL.

    Its text comes by ``POST /flows/{flowId}/versions``, or all at once by ``POST /flows/jobs``.
    """
    flow_type = (body.type or "").lower()
    if flow_type not in flow_store.TYPES:
        raise bad_request(f"type is one of: {', '.join(flow_store.TYPES)}.".upper(), "type", "invalid.value")
    with changes.changing(parts, caller) as session:
        division_id = divisions.chosen(session, body.division)
        divisions.check(caller, division_id, ADD)
        name = _free_name(session, flow_type, changes.required_text(body.name, "name"), None)
        row = new_flow(caller, flow_type, name, division_id, body.description, parts.clock.now_us())
        session.add(row)
        session.flush()
        return flow_documents.document(session, row)


def new_flow(caller: Caller, flow_type: str, name: str, division_id: str, description: str | None, now: int) -> Flow:
    """The row of a flow."""
    by = caller.subject.id
    return Flow(
        id=new_id(),
        type=flow_type,
        name=name,
        division_id=division_id,
        description=description,
        created_at=now,
        modified_at=now,
        created_by=by,
        modified_by=by,
    )


@family.operation(
    "GET", PATH + "/divisionviews", "get_flows_divisionviews", all_of(SEARCH), returns=Listing[FlowDigest]
)
def list_digests(
    caller: Signed,
    parts: Parts,
    page: Paging,
    types: Types = None,
    ids: Ids = None,
    name: str | None = None,
    publish_version: Version = None,
    published_after: After = None,
    published_before: Before = None,
    division_ids: DivisionIds = None,
    sort_by: SortBy = "name",
    sort_order: SortOrder = "asc",
) -> Listing[FlowDigest]:
    """Flows of the divisions that the caller may search, in few words."""
    asked = Asked(
        within=scoped.reach(caller, SEARCH),
        types=_types(types),
        ids=ids,
        division_ids=division_ids,
        name=name,
        published_number=_number(publish_version),
        published_after=_date(published_after, "publishedAfter"),
        published_before=_date(published_before, "publishedBefore"),
    )
    with parts.database.reading() as session:
        down = sort_order.lower().startswith("desc")
        found = flow_store.flows(session, asked, order=sort_by, down=down, number=page.number, size=page.size)
        return page.envelope(flow_documents.digests(session, found.items), found.total)


@family.operation("GET", PATH + "/{flowId}", "get_flow", any_of(VIEW), returns=FlowDocument)
def one_flow(caller: Signed, parts: Parts, flowId: str, deleted: bool = False) -> FlowDocument:
    """A flow; a deleted one only if asked for."""
    with parts.database.reading() as session:
        row = scoped.find(session, caller, Flow, flowId, "flow", VIEW, deleted=deleted)
        return flow_documents.document(session, row)


@family.operation("PUT", PATH + "/{flowId}", "put_flow", any_of(EDIT), returns=FlowDocument)
def change_flow(caller: Signed, parts: Parts, flowId: str, body: FlowInput) -> FlowDocument:
    """Changes name, description or division of a flow; the text that calls run by stays as it was published."""
    with changes.changing(parts, caller) as session:
        row = scoped.find_for_change(session, caller, Flow, flowId, "flow", VIEW, EDIT)
        given, wanted = body.given(), dict[str, Any]()
        if "name" in given:
            wanted["name"] = _free_name(session, row.type, changes.required_text(body.name, "name"), row.id)
        if "description" in given:
            wanted["description"] = body.description
        if body.division is not None and body.division.id:
            wanted["division_id"] = divisions.chosen(session, body.division)
            divisions.check(caller, wanted["division_id"], EDIT)
        if changes.apply(row, wanted, None):
            named_store.touch(row, parts.clock.now_us(), caller.subject.id)
            session.flush()
        return flow_documents.document(session, row)


@family.operation("DELETE", PATH + "/{flowId}", "delete_flow", any_of(DELETE), status=204)
def delete_flow(caller: Signed, parts: Parts, flowId: str) -> None:
    """Deletes a flow that no call route leads to and no queue uses."""
    with changes.changing(parts, caller) as session:
        row = scoped.find_for_change(session, caller, Flow, flowId, "flow", VIEW, DELETE, deleted=True)
        if row.state == "deleted":
            return
        for route in queue_store.routes_to(session, "flow", row.id):
            raise conflict(f"The call route {route.name} leads to the flow {row.name}.")
        for queue in flow_store.queues_with(session, row.id):
            raise conflict(f"The queue {queue.name} uses the flow {row.name}.")
        named_store.delete(row, parts.clock.now_us(), caller.subject.id)


def _free_name(session: Session, flow_type: str, name: str, flow_id: str | None) -> str:
    other = flow_store.by_name(session, flow_type, name)
    if other is not None and other.id != flow_id:
        raise conflict(f"There is a flow {name} already.", "general.conflict")
    return name


def _types(asked: list[str] | None) -> list[str] | None:
    return None if asked is None else [text.lower() for text in asked]


def _number(version_id: str | None) -> int | None:
    """-1 matches no flow."""
    if version_id is None:
        return None
    head, _, tail = version_id.partition(".")
    return int(head) if head.isascii() and head.isdecimal() and len(head) < 9 and tail in ("", "0") else -1


def _date(text: str | None, name: str) -> int | None:
    if text is None:
        return None
    try:
        return parse_date(text)
    except (ValueError, OverflowError) as error:
        raise bad_request(f"{name}: {error}", name, "invalid.date") from error
