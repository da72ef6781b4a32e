"""The queues of a user, who may join and leave them."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from pydantic import Field
from sqlalchemy.orm import Session

from earwitness.store import queues as queue_store
from earwitness.store import users
from earwitness.store.tables import Queue
from earwitness.web.api import queue_documents, scoped
from earwitness.web.api.queue_documents import UserQueueDocument
from earwitness.web.api.queue_members import MANAGE, MOST, set_joined
from earwitness.web.api.queues import VIEW
from earwitness.web.kernel import changes
from earwitness.web.kernel.callers import Caller, Signed
from earwitness.web.kernel.documents import RequestBody
from earwitness.web.kernel.errors import missing_permissions, not_found
from earwitness.web.kernel.operations import Family, any_of
from earwitness.web.kernel.paging import CommaList, Listing, Paging
from earwitness.web.kernel.services import Parts, Services

family = Family("Queues")
PATH = "/api/v2/users/{userId}/queues"
JOIN = "routing:queue:join"


class UserQueueInput(RequestBody):
    """A queue to join or to leave for now."""

    id: str | None = None
    joined: bool | None = None


@family.operation("GET", PATH, "get_user_queues", any_of(VIEW), returns=Listing[UserQueueDocument])
def queues_of_user(
    caller: Signed,
    parts: Parts,
    page: Paging,
    userId: str,
    joined: bool | None = None,
    division_ids: Annotated[CommaList, Query(alias="divisionId")] = None,
) -> Listing[UserQueueDocument]:
    """The queues that a user is a member of, as far as the caller may see them."""
    with parts.database.reading() as session:
        if users.get(session, userId) is None:
            raise not_found("user", userId)
        found = queue_store.of_user(
            session,
            userId,
            within=scoped.reach(caller, VIEW),
            division_ids=division_ids,
            joined=joined,
            number=page.number,
            size=page.size,
        )
        return page.envelope(queue_documents.user_documents(session, found.items, userId), found.total)


@family.operation("PATCH", PATH, "patch_user_queues", any_of(JOIN, MANAGE), returns=Listing[UserQueueDocument])
def join_queues(
    caller: Signed,
    parts: Parts,
    page: Paging,
    userId: str,
    body: Annotated[list[UserQueueInput], Field(max_length=MOST)],
) -> Listing[UserQueueDocument]:
    """Has a user join queues or leave them for now: oneself, or others who may manage the members of these queues."""
    with changes.changing(parts, caller) as session:
        rows = [_join(parts, session, caller, userId, item.id or "", item.joined) for item in body]
        shown = queue_documents.user_documents(session, page.cut(rows), userId)
        return page.envelope(shown, len(rows))


@family.operation("PATCH", PATH + "/{queueId}", "patch_user_queue", any_of(JOIN, MANAGE), returns=UserQueueDocument)
def join_queue(caller: Signed, parts: Parts, userId: str, queueId: str, body: UserQueueInput) -> UserQueueDocument:
    """Has a user join a queue or leave it for now."""
    with changes.changing(parts, caller) as session:
        row = _join(parts, session, caller, userId, queueId, body.joined)
        return queue_documents.user_documents(session, [row], userId)[0]


def _join(parts: Services, session: Session, caller: Caller, user_id: str, queue_id: str, joined: bool | None) -> Queue:
    """:raises ApiError: 404, the user is no member; 403, not one's own and not to be managed there."""
    row = session.get(Queue, queue_id)
    member = queue_store.member(session, queue_id, user_id)
    if row is None or row.state == "deleted" or member is None:
        raise not_found("queue of the user", queue_id)
    own = caller.user_id == user_id and caller.access.allows(JOIN)
    if not own and row.division_id not in scoped.reach(caller, MANAGE):
        raise missing_permissions([MANAGE], every=True)
    if joined is not None:
        set_joined(parts, session, caller, row, member, joined)
    return row
