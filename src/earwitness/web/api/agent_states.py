"""Whether users take calls of their queues: the routing status of a user, and where it is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from sqlalchemy.orm import Session

from earwitness.store import user_routing, users
from earwitness.web.api import scoped
from earwitness.web.kernel.callers import Caller, Signed
from earwitness.web.kernel.documents import Document, Moment, OneOf, RequestBody
from earwitness.web.kernel.errors import ApiError, conflict, missing_permissions, not_found
from earwitness.web.kernel.operations import SIGNED_IN, Family
from earwitness.web.kernel.services import Parts, Services

family = Family("Agents")

OFF_QUEUE, IDLE = "OFF_QUEUE", "IDLE"
STATUSES = (OFF_QUEUE, IDLE, "INTERACTING", "NOT_RESPONDING", "COMMUNICATING")
MAY_SET = ("directory:user:edit", "routing:queueMember:manage")
"""One of them lets somebody set the state of another user, in that user's division."""


class RoutingStatus(Document):
    """What an agent does at this moment."""

    user_id: str
    status: str
    start_time: Moment | None = None


class RoutingStatusInput(RequestBody):
    """What an agent shall do."""

    status: Annotated[str, OneOf(IDLE, OFF_QUEUE)]


@dataclass(frozen=True, slots=True)
class AgentState:
    """A routing status, and since when, UTC microseconds."""

    status: str
    since: int | None


def live(parts: Services) -> dict[str, AgentState]:
    """What agents do, by user id, as the edge tells; empty when it does not answer."""
    try:
        agents = parts.edge.agents()
    except ApiError:
        return {}
    found = {}
    for agent in agents:
        status, since = str(agent.get("status")), agent.get("since")
        if status in STATUSES:
            found[str(agent.get("user_id"))] = AgentState(status, since if isinstance(since, int) else None)
    return found


def status_of(session: Session, user_id: str, agents: dict[str, AgentState]) -> RoutingStatus:
    """What a user does: as the edge tells, else as last set; nothing known is off queue."""
    if user_id in agents:
        state = agents[user_id]
        return RoutingStatus(user_id=user_id, status=state.status, start_time=state.since)
    row = user_routing.get(session, user_id)
    if row is None:
        return RoutingStatus(user_id=user_id, status=OFF_QUEUE)
    return RoutingStatus(user_id=user_id, status=row.routing_status, start_time=row.routing_status_at)


def check_may_set(session: Session, caller: Caller, user_id: str) -> None:
    """Users set their own state; that of others who may edit them, or the members of queues, in their division.

    :raises ApiError: 404, no such user; 403.
    """
    user = users.get(session, user_id)
    if user is None or user.state != "active":
        raise not_found("user", user_id)
    if caller.user_id != user_id and user.division_id not in scoped.reach(caller, *MAY_SET):
        raise missing_permissions(MAY_SET, every=False)


def set_presence(
    parts: Services, user_id: str, *, presence: str | None, message: str | None, status: str | None = None
) -> None:
    """Tells the edge, then notes it; whoever is on queue takes calls.

    :param presence: a system presence; None: it stays.
    :param status: ``IDLE`` for an agent who has not answered and is ready again.
    :raises ApiError: 503, the edge does not answer, and nothing has changed; 409, it refuses.
    """
    with parts.database.reading() as session:
        row = user_routing.get(session, user_id)
        before = row.presence if row is not None else user_routing.OFFLINE
        now_presence = before if presence is None else presence
        on_queue = now_presence == user_routing.ON_QUEUE
        if on_queue != (before == user_routing.ON_QUEUE):
            parts.edge.set_agent(user_id, on_queue=on_queue)
        elif status is not None:
            parts.edge.set_agent(user_id, status=status)
        known = status_of(session, user_id, live(parts)).status
    if not on_queue:
        known = OFF_QUEUE
    elif known == OFF_QUEUE:
        known = IDLE
    with parts.database.transaction() as session:
        user_routing.put(session, user_id, parts.clock.now_us(), presence=now_presence, message=message, status=known)


@family.operation(
    "GET", "/api/v2/users/{userId}/routingstatus", "get_user_routingstatus", SIGNED_IN, returns=RoutingStatus
)
def routing_status(caller: Signed, parts: Parts, userId: str) -> RoutingStatus:
    """What a user does at this moment. A user who does not exist is off queue."""
    with parts.database.reading() as session:
        return status_of(session, userId, live(parts))


@family.operation(
    "PUT", "/api/v2/users/{userId}/routingstatus", "put_user_routingstatus", SIGNED_IN, returns=RoutingStatus
)
def set_routing_status(caller: Signed, parts: Parts, userId: str, body: RoutingStatusInput) -> RoutingStatus:
    """Makes an agent who has not answered ready again (IDLE), or takes one off queue (OFF_QUEUE).

    On queue goes who sets presence "On Queue". Of others only who may edit them, or the members of their queues.
    """
    with parts.database.reading() as session:
        check_may_set(session, caller, userId)
        row = user_routing.get(session, userId)
        on_queue, message = row is not None and row.on_queue, row.message if row is not None else None
    if body.status == IDLE:
        if not on_queue:
            raise conflict('The user is off queue; set the presence "On Queue".')
        set_presence(parts, userId, presence=None, message=message, status=IDLE)
    elif on_queue:
        set_presence(parts, userId, presence="Available", message=message)
    with parts.database.reading() as session:
        return status_of(session, userId, live(parts))
