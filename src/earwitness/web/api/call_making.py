"""Calls that the API begins: the user's own phone rings first, then the other party is dialled."""

from __future__ import annotations

import structlog

from earwitness.store import users
from earwitness.web.api import call_targets, participant_data
from earwitness.web.api.call_transfers import DestinationBody
from earwitness.web.kernel.callers import Caller, Signed
from earwitness.web.kernel.documents import Document, RequestBody
from earwitness.web.kernel.errors import ApiError, bad_request, missing_permissions, not_found
from earwitness.web.kernel.operations import Family, any_of
from earwitness.web.kernel.services import Parts, Services

log = structlog.get_logger()

family = Family("Calls")

ADD = "conversation:call:add"
CONFERENCE = "conversation:conference:add"
ON_BEHALF = "conversation:agentlessCall:add"


class CallBody(RequestBody):
    """Whom to call: a number, a user, a queue, or one participant. The rest is how."""

    phone_number: str | None = None
    call_user_id: str | None = None
    call_queue_id: str | None = None
    call_from_queue_id: str | None = None
    attributes: dict[str, str | None] | None = None
    conversation_ids: list[str] | None = None
    participants: list[DestinationBody] | None = None


class CallReply(Document):
    """The call that was begun."""

    id: str
    self_uri: str


@family.operation(
    "POST", "/api/v2/conversations/calls", "post_conversations_calls", any_of(CONFERENCE), status=202, returns=CallReply
)
def make_call(caller: Signed, parts: Parts, body: CallBody) -> CallReply:
    """Calls on the caller's phone: it rings, and once it is answered the other party is dialled."""
    if caller.user_id is None:
        raise bad_request("A program has no phone: call on behalf of a user.")
    return _call(parts, caller, body, caller.user_id)


@family.operation(
    "POST",
    "/api/v2/conversations/calls/user/{userId}",
    "post_conversations_calls_user_user_id",
    any_of(ON_BEHALF, ADD),
    status=202,
    returns=CallReply,
)
def make_call_on_behalf(caller: Signed, parts: Parts, userId: str, body: CallBody) -> CallReply:
    """The same on the phone of another user; the right must reach that user's division."""
    with parts.database.reading() as session:
        user = users.get(session, userId)
    if user is None or user.state != "active":
        raise not_found("user", userId)
    reached = [name for name in (ON_BEHALF, ADD) if user.division_id in caller.access.divisions_for(name)]
    if userId != caller.user_id and not reached:
        raise missing_permissions((ON_BEHALF, ADD), every=False)
    return _call(parts, caller, body, userId)


def _call(parts: Services, caller: Caller, body: CallBody, user_id: str) -> CallReply:
    if body.conversation_ids:
        raise bad_request("Calls that are up cannot be merged into a new one.", "conversationIds", "invalid.value")
    named = body.participants or []
    if len(named) > 1:
        raise bad_request("One participant can be called; add the others once it is up.", "participants")
    whom = named[0] if named else DestinationBody()
    attributes = participant_data.settable(body.attributes or {})
    with parts.database.reading() as session:
        to = call_targets.one(
            session,
            user_id=body.call_user_id or whom.user_id,
            address=body.phone_number or whom.address,
            queue_id=body.call_queue_id or whom.queue_id,
        )
        queue = call_targets.one(session, queue_id=body.call_from_queue_id) if body.call_from_queue_id else {}
    made = parts.edge.call(user_id, to, queue.get("queue"))
    log.info("web.call_made", conversation_id=made, user_id=user_id, by=caller.subject.id)
    if attributes:
        _attach(parts, made, user_id, attributes)
    return CallReply(id=made, self_uri=f"/api/v2/conversations/calls/{made}")


def _attach(parts: Services, conversation_id: str, user_id: str, attributes: dict[str, str | None]) -> None:
    """Attributes of a new call. It may be over already: the phone is busy, and there is nothing to attach them to."""
    try:
        document = parts.edge.conversation(conversation_id) or {}
        people = document.get("timeline", {}).get("participants", [])
        own = next((item["participant_id"] for item in people if item.get("user_id") == user_id), None)
        if own is not None:
            parts.edge.command(conversation_id, "attributes", participant=own, attributes=attributes)
    except ApiError as error:
        log.warning("web.attributes_not_attached", conversation_id=conversation_id, error=error.message)
