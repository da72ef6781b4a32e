"""The members of a queue, and the queues of a user."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from pydantic import Field
from sqlalchemy.orm import Session

from earwitness.store import audit, user_routing, users
from earwitness.store import queues as queue_store
from earwitness.store.tables import Queue, QueueMember, User
from earwitness.web.api import agent_states, scoped
from earwitness.web.api.agent_states import RoutingStatus
from earwitness.web.api.queue_documents import PATH
from earwitness.web.api.queues import EDIT, VIEW, Order, find_queue
from earwitness.web.kernel import changes
from earwitness.web.kernel.callers import Caller, Signed
from earwitness.web.kernel.documents import Document, RequestBody
from earwitness.web.kernel.errors import bad_request, not_found
from earwitness.web.kernel.operations import Family, any_of
from earwitness.web.kernel.paging import CommaList, Listing, Paging
from earwitness.web.kernel.services import Parts, Services

family = Family("Queues")
MEMBERS = PATH + "/{queueId}/members"
MANAGE = "routing:queueMember:manage"
READ = (VIEW, EDIT, "routing:queue:readonly", MANAGE)
MOST = 100
"""Members in one request."""


class MemberUser(Document):
    """A user, where a queue mentions one."""

    id: str
    name: str
    email: str
    state: str
    routing_status: RoutingStatus | None = None
    self_uri: str


class MemberDocument(Document):
    """A member of a queue."""

    id: str
    name: str
    user: MemberUser
    ring_number: int
    joined: bool
    member_by: str
    routing_status: RoutingStatus | None = None
    self_uri: str


class WritableEntity(RequestBody):
    """A user to add or remove."""

    id: str


class MemberInput(RequestBody):
    """A membership to change; absent fields stay."""

    id: str | None = None
    joined: bool | None = None
    ring_number: int | None = Field(default=None, ge=1, le=6)


def _documents(
    parts: Services, session: Session, rows: list[tuple[QueueMember, User]], *, status: bool = True
) -> list[MemberDocument]:
    agents = agent_states.live(parts) if status else {}
    made = []
    for member, user in rows:
        doing = agent_states.status_of(session, user.id, agents) if status else None
        uri = f"/api/v2/users/{user.id}"
        made.append(
            MemberDocument(
                id=user.id,
                name=user.name,
                user=MemberUser(
                    id=user.id, name=user.name, email=user.email, state=user.state, routing_status=doing, self_uri=uri
                ),
                ring_number=member.ring_number,
                joined=member.joined,
                member_by="user",
                routing_status=doing,
                self_uri=f"{PATH}/{member.queue_id}/members/{user.id}",
            )
        )
    return made


@family.operation("GET", MEMBERS, "get_routing_queue_members", any_of(*READ), returns=Listing[MemberDocument])
def list_members(
    caller: Signed,
    parts: Parts,
    page: Paging,
    queueId: str,
    expand: CommaList = None,
    name: str | None = None,
    joined: bool | None = None,
    member_by: Annotated[str | None, Query(alias="memberBy", pattern="^(user|group)$")] = None,
    statuses: Annotated[CommaList, Query(alias="routingStatus")] = None,
    presences: Annotated[CommaList, Query(alias="presence")] = None,
    skills: CommaList = None,
    languages: CommaList = None,
    profile_skills: Annotated[CommaList, Query(alias="profileSkills")] = None,
    sort_order: Order = "asc",
) -> Listing[MemberDocument]:
    """The members of a queue, by name; ``expand=routingStatus`` tells what they do.

    Members are users, not groups, and have no skills: filters for such find nobody.
    """
    with parts.database.reading() as session:
        queue = scoped.find(session, caller, Queue, queueId, "queue", *READ)
        rows = list(queue_store.members(session, queue.id, name=name, joined=joined, down=sort_order == "desc"))
        if member_by == "group" or skills or languages or profile_skills:
            rows = []
        if presences is not None:
            wanted = {text.casefold() for text in presences}
            rows = [row for row in rows if _presence(session, row[1].id).casefold() in wanted]
        if statuses is not None:
            agents, wanted = agent_states.live(parts), {text.upper() for text in statuses}
            rows = [row for row in rows if agent_states.status_of(session, row[1].id, agents).status in wanted]
        shown = _documents(parts, session, list(page.cut(rows)), status="routingStatus" in (expand or ()))
        return page.envelope(shown, len(rows))


def _presence(session: Session, user_id: str) -> str:
    row = user_routing.get(session, user_id)
    return row.presence if row is not None else user_routing.OFFLINE


@family.operation("POST", MEMBERS, "post_routing_queue_members", any_of(EDIT, MANAGE), status=204)
def add_members(
    caller: Signed,
    parts: Parts,
    queueId: str,
    body: Annotated[list[WritableEntity], Field(max_length=MOST)],
    delete: bool = False,
) -> None:
    """Adds up to 100 users, who then have joined; with ``delete`` removes them."""
    ids = list(dict.fromkeys(item.id for item in body))
    with changes.changing(parts, caller) as session:
        queue = find_queue(session, caller, queueId, EDIT, MANAGE)
        before = {member.user_id for member, _user in queue_store.members(session, queue.id)}
        if delete:
            queue_store.remove_members(session, queue.id, ids)
            _note(parts, session, caller, queue, removed=sorted(before & set(ids)))
            return
        for user_id in ids:
            user = users.get(session, user_id)
            if user is None:
                raise bad_request(f"There is no user {user_id}.", "id", "invalid.value")
            queue_store.add_member(session, queue.id, user_id, parts.clock.now_us())
        _note(parts, session, caller, queue, added=sorted(set(ids) - before))


@family.operation(
    "PATCH", MEMBERS, "patch_routing_queue_members", any_of(EDIT, MANAGE), returns=Listing[MemberDocument]
)
def change_members(
    caller: Signed,
    parts: Parts,
    page: Paging,
    queueId: str,
    body: Annotated[list[MemberInput], Field(max_length=MOST)],
) -> Listing[MemberDocument]:
    """Has up to 100 members join a queue or leave it for now."""
    with changes.changing(parts, caller) as session:
        queue = find_queue(session, caller, queueId, EDIT, MANAGE)
        ids = [_change(parts, session, caller, queue, item.id or "", item) for item in body]
        rows = [row for row in queue_store.members(session, queue.id) if row[1].id in ids]
        return page.envelope(_documents(parts, session, list(page.cut(rows)), status=False), len(rows))


@family.operation("PATCH", MEMBERS + "/{memberId}", "patch_routing_queue_member", any_of(EDIT, MANAGE), status=204)
def change_member(caller: Signed, parts: Parts, queueId: str, memberId: str, body: MemberInput) -> None:
    """Has a member join a queue or leave it for now."""
    with changes.changing(parts, caller) as session:
        _change(parts, session, caller, find_queue(session, caller, queueId, EDIT, MANAGE), memberId, body)


@family.operation("DELETE", MEMBERS + "/{memberId}", "delete_routing_queue_member", any_of(EDIT, MANAGE), status=204)
def remove_member(caller: Signed, parts: Parts, queueId: str, memberId: str) -> None:
    """Ends a membership."""
    with changes.changing(parts, caller) as session:
        queue = find_queue(session, caller, queueId, EDIT, MANAGE)
        if queue_store.member(session, queue.id, memberId) is None:
            if users.get(session, memberId, deleted=True) is None:
                raise not_found("queue member", memberId)
            return
        queue_store.remove_members(session, queue.id, [memberId])
        _note(parts, session, caller, queue, removed=[memberId])


def _change(parts: Services, session: Session, caller: Caller, queue: Queue, user_id: str, body: MemberInput) -> str:
    row = queue_store.member(session, queue.id, user_id)
    if row is None:
        raise not_found("queue member", user_id)
    if body.ring_number is not None:
        row.ring_number = body.ring_number
    if body.joined is not None:
        set_joined(parts, session, caller, queue, row, body.joined)
    return user_id


def set_joined(parts: Services, session: Session, caller: Caller, queue: Queue, row: QueueMember, joined: bool) -> None:
    """Has a member join or leave for now, with a row in the audit log."""
    if row.joined != joined:
        row.joined = joined
        _note(parts, session, caller, queue, **{"joined" if joined else "left": [row.user_id]})


def _note(parts: Services, session: Session, caller: Caller, queue: Queue, **changed: list[str]) -> None:
    """Tells of members in the audit log, who belong to no row that is watched."""
    found = {word: user_ids for word, user_ids in changed.items() if user_ids}
    if found:
        audit.add(
            session,
            at=parts.clock.now_us(),
            subject=caller.subject,
            action="change",
            entity_type="queueMembers",
            entity_id=queue.id,
            remote_address=caller.remote_address,
            detail=found,
        )
