"""Queues: to make, change, list and delete."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query
from sqlalchemy.orm import Session

from earwitness.domain.ids import new_id
from earwitness.store import named as named_store
from earwitness.store import queues as queue_store
from earwitness.store.tables import Queue
from earwitness.web.api import divisions, queue_documents, scoped
from earwitness.web.api.queue_documents import PATH, QueueDigest, QueueDocument, QueueInput, UserQueueDocument
from earwitness.web.kernel import changes
from earwitness.web.kernel.callers import Caller, Signed
from earwitness.web.kernel.documents import OneOf
from earwitness.web.kernel.errors import bad_request, conflict
from earwitness.web.kernel.operations import SIGNED_IN, Family, all_of, any_of
from earwitness.web.kernel.paging import CommaList, Listing, Paging
from earwitness.web.kernel.services import Parts

family = Family("Queues")
VIEW, ADD, EDIT, DELETE, SEARCH = (f"routing:queue:{action}" for action in ("view", "add", "edit", "delete", "search"))
Order = Annotated[str, OneOf("asc", "desc"), Query(alias="sortOrder")]
_COPIED = (
    *("suppress_in_queue_call_recording", "media_settings", "wrapup_prompt", "wrapup_timeout_ms"),
    *("queue_flow_id", "on_hold_prompt_id", "extra"),
)


@family.operation("GET", PATH, "get_routing_queues", any_of(VIEW), returns=Listing[QueueDocument])
def list_queues(
    caller: Signed,
    parts: Parts,
    page: Paging,
    name: str | None = None,
    ids: Annotated[CommaList, Query(alias="id")] = None,
    division_ids: Annotated[CommaList, Query(alias="divisionId")] = None,
    peer_ids: Annotated[CommaList, Query(alias="peerId")] = None,
    has_peer: Annotated[bool | None, Query(alias="hasPeer")] = None,
    library_id: Annotated[str | None, Query(alias="cannedResponseLibraryId")] = None,
    sort_order: Order = "asc",
) -> Listing[QueueDocument]:
    """Queues, by name. No queue has a peer or a library of responses."""
    if peer_ids is not None or has_peer or library_id is not None:
        return page.envelope([], 0)
    with parts.database.reading() as session:
        found = queue_store.queues(
            session,
            within=scoped.reach(caller, VIEW),
            ids=ids,
            division_ids=division_ids,
            name=name,
            down=sort_order == "desc",
            number=page.number,
            size=page.size,
        )
        return page.envelope(queue_documents.documents(session, found.items), found.total)


@family.operation("POST", PATH, "post_routing_queues", any_of(ADD), returns=QueueDocument)
def create_queue(caller: Signed, parts: Parts, body: QueueInput) -> QueueDocument:
    """Makes a queue. Unless told otherwise the wait in it is not recorded (B4).

    ``sourceQueueId`` names a queue whose settings are taken where the body has none.
    """
    now = parts.clock.now_us()
    with changes.changing(parts, caller) as session:
        name = _free_name(session, changes.required_text(body.name, "name"), None)
        division_id = divisions.chosen(session, body.division)
        divisions.check(caller, division_id, ADD)
        copied: dict[str, Any] = {"extra": {}}
        if body.source_queue_id:
            source = scoped.find(session, caller, Queue, body.source_queue_id, "queue", VIEW)
            copied = {column: getattr(source, column) for column in _COPIED}
        row = Queue(
            id=new_id(),
            name=name,
            description=body.description,
            division_id=division_id,
            created_at=now,
            modified_at=now,
            created_by=caller.subject.id,
            modified_by=caller.subject.id,
            **{**copied, **queue_documents.columns(session, body, copied["extra"])},
        )
        session.add(row)
        session.flush()
        return queue_documents.document(session, row)


@family.operation(
    "GET", PATH + "/divisionviews", "get_routing_queues_divisionviews", all_of(SEARCH), returns=Listing[QueueDigest]
)
def list_digests(
    caller: Signed,
    parts: Parts,
    page: Paging,
    name: str | None = None,
    ids: Annotated[CommaList, Query(alias="id")] = None,
    division_ids: Annotated[CommaList, Query(alias="divisionId")] = None,
    sort_by: Annotated[str, OneOf("name", "id", "divisionId"), Query(alias="sortBy")] = "name",
    sort_order: Order = "asc",
) -> Listing[QueueDigest]:
    """Queues in few words."""
    with parts.database.reading() as session:
        found = queue_store.queues(
            session,
            within=scoped.reach(caller, SEARCH),
            ids=ids,
            division_ids=division_ids,
            name=name,
            order={"divisionId": "division_id"}.get(sort_by, sort_by),
            down=sort_order == "desc",
            number=page.number,
            size=page.size,
        )
        return page.envelope(queue_documents.digests(session, found.items), found.total)


@family.operation(
    "GET",
    PATH + "/divisionviews/all",
    "get_routing_queues_divisionviews_all",
    all_of(SEARCH),
    returns=Listing[QueueDigest],
)
def list_all_digests(caller: Signed, parts: Parts, page: Paging, sort_order: Order = "asc") -> Listing[QueueDigest]:
    """All queues of the divisions that the caller may search, in few words."""
    with parts.database.reading() as session:
        found = queue_store.queues(
            session,
            within=scoped.reach(caller, SEARCH),
            down=sort_order == "desc",
            number=page.number,
            size=page.size,
        )
        return page.envelope(queue_documents.digests(session, found.items), found.total)


@family.operation("GET", PATH + "/me", "get_routing_queues_me", SIGNED_IN, returns=Listing[UserQueueDocument])
def own_queues(
    caller: Signed, parts: Parts, page: Paging, joined: bool | None = None, sort_order: Order = "asc"
) -> Listing[UserQueueDocument]:
    """The caller's queues, by name."""
    if caller.user_id is None:
        raise bad_request("This request requires a user context. Client credentials cannot be used for requests to me.")
    with parts.database.reading() as session:
        found = queue_store.of_user(
            session, caller.user_id, joined=joined, down=sort_order == "desc", number=page.number, size=page.size
        )
        rows = queue_documents.user_documents(session, found.items, caller.user_id)
        return page.envelope(rows, found.total)


@family.operation("GET", PATH + "/{queueId}", "get_routing_queue", all_of(VIEW), returns=QueueDocument)
def one_queue(caller: Signed, parts: Parts, queueId: str) -> QueueDocument:
    """A queue."""
    with parts.database.reading() as session:
        return queue_documents.document(session, scoped.find(session, caller, Queue, queueId, "queue", VIEW))


@family.operation("PUT", PATH + "/{queueId}", "put_routing_queue", any_of(EDIT), returns=QueueDocument)
def change_queue(caller: Signed, parts: Parts, queueId: str, body: QueueInput) -> QueueDocument:
    """Changes a queue; absent fields stay."""
    with changes.changing(parts, caller) as session:
        row = scoped.find_for_change(session, caller, Queue, queueId, "queue", VIEW, EDIT)
        wanted = queue_documents.columns(session, body, row.extra)
        given = body.given()
        if "name" in given:
            wanted["name"] = _free_name(session, changes.required_text(body.name, "name"), row.id)
        if "description" in given:
            wanted["description"] = body.description
        if body.division is not None and body.division.id:
            wanted["division_id"] = divisions.chosen(session, body.division)
            divisions.check(caller, wanted["division_id"], EDIT)
        if changes.apply(row, wanted, None):
            named_store.touch(row, parts.clock.now_us(), caller.subject.id)
            session.flush()
        return queue_documents.document(session, row)


@family.operation("DELETE", PATH + "/{queueId}", "delete_routing_queue", all_of(DELETE), status=204)
def delete_queue(
    caller: Signed, parts: Parts, queueId: str, force: Annotated[bool, Query(alias="forceDelete")] = False
) -> None:
    """Deletes a queue. One that a call route leads to is deleted only with ``forceDelete``."""
    with changes.changing(parts, caller) as session:
        row = scoped.find_for_change(session, caller, Queue, queueId, "queue", VIEW, DELETE, deleted=True)
        if row.state == "deleted":
            return
        routes = queue_store.routes_to(session, "queue", row.id)
        if routes and not force:
            raise conflict(f"The call route {routes[0].name} leads to the queue {row.name}.")
        named_store.delete(row, parts.clock.now_us(), caller.subject.id)


def find_queue(session: Session, caller: Caller, queue_id: str, *permissions: str) -> Queue:
    """The queue to work with, for who may see it and holds one of ``permissions`` there."""
    return scoped.find_for_change(session, caller, Queue, queue_id, "queue", VIEW, *permissions)


def _free_name(session: Session, name: str, queue_id: str | None) -> str:
    other = queue_store.by_name(session, name)
    if other is not None and other.id != queue_id:
        raise conflict(f"There is a queue {name} already.", "general.conflict")
    return name
