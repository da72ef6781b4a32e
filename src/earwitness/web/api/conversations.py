"""Conversations: those in progress, those of the past, and hanging up."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Response
from sqlalchemy.orm import Session

from earwitness.domain.access import Access
from earwitness.store import audit, later_facts, search
from earwitness.store.visibility import VIEW_CONVERSATIONS
from earwitness.web.api import call_control, live
from earwitness.web.api import conversation_documents as documents
from earwitness.web.api.call_history_documents import CallHistoryConversation, history_document
from earwitness.web.api.conversation_documents import (
    CallConversationDocument,
    ConversationDocument,
)
from earwitness.web.api.seen import DISCONNECT, Seen, call_in_progress, find, may, references
from earwitness.web.kernel.callers import Caller, Signed
from earwitness.web.kernel.documents import OneOf, RequestBody, parse_date
from earwitness.web.kernel.errors import bad_request, conflict, missing_permissions
from earwitness.web.kernel.operations import SIGNED_IN, Family, any_of
from earwitness.web.kernel.paging import CommaList, Listing, Paging
from earwitness.web.kernel.services import Parts, Services

family = Family("Conversations")
DEEPEST = 10_000
"""Calls of the past that can be paged through at once."""


class ConversationChange(RequestBody):
    """What a conversation is to become. The rest of a Conversation is ignored (S15)."""

    state: Annotated[str, OneOf(*call_control.STATES)] | None = None
    recording_state: Annotated[str, OneOf("ACTIVE", "PAUSED", "NONE")] | None = None


def _seen_live(parts: Services, session: Session, access: Access) -> list[Seen]:
    return [
        Seen(item.timeline, references(session, set(item.divisions)), None, item)
        for item in live.in_progress(parts, session)
        if live.visible(item, access, VIEW_CONVERSATIONS) or live.took_part(item, access)
    ]


@family.operation("GET", "/api/v2/conversations", "get_conversations", SIGNED_IN, returns=Listing[ConversationDocument])
def list_conversations(
    caller: Signed,
    parts: Parts,
    page: Paging,
    communication_type: Annotated[str | None, Query(alias="communicationType")] = None,
) -> Listing[ConversationDocument]:
    """Conversations in progress: the caller's own, and those that the caller may see."""
    with parts.database.reading() as session:
        found = _seen_live(parts, session, caller.access) if communication_type in (None, "Call", "call") else []
        part = [documents.conversation_document(item.timeline, item.divisions) for item in page.cut(found)]
        return page.envelope(part, len(found))


@family.operation(
    "GET",
    "/api/v2/conversations/calls",
    "get_conversations_calls",
    SIGNED_IN,
    returns=Listing[CallConversationDocument],
)
def list_calls(caller: Signed, parts: Parts, page: Paging) -> Listing[CallConversationDocument]:
    """Calls in progress: the caller's own, and those that the caller may see."""
    with parts.database.reading() as session:
        found = _seen_live(parts, session, caller.access)
        part = [documents.call_document(item.timeline, item.divisions) for item in page.cut(found)]
        return page.envelope(part, len(found))


@family.operation(
    "GET",
    "/api/v2/conversations/calls/history",
    "get_conversations_calls_history",
    SIGNED_IN,
    returns=Listing[CallHistoryConversation],
)
def call_history(
    caller: Signed,
    parts: Parts,
    page: Paging,
    interval: Annotated[str | None, Query(description="start/end, ISO 8601")] = None,
    expand: CommaList = None,
) -> Listing[CallHistoryConversation]:
    """Calls of the past that the caller took part in or may see, newest first.

    ``total`` is exact up to 10,000 and says 10,000 beyond: what is older is asked for by ``interval``.
    """
    since, until = _interval(interval)
    with parts.database.reading() as session:
        if page.offset + page.size > DEEPEST:
            raise bad_request(f"The newest {DEEPEST} can be paged through; older ones by interval.", "pageNumber")
        found = search.numbered(session, caller.access, (), page.number, page.size, since=since, until=until)
        total = page.offset + len(found.rows)
        if found.next is not None or not found.rows:
            total = search.count(session, caller.access, since=since, until=until, most=DEEPEST).total
        part = [history_document(timeline) for timeline in later_facts.timelines_of(session, found.rows)]
        return page.envelope(part, total)


@family.operation(
    "GET",
    "/api/v2/conversations/calls/{conversationId}",
    "get_conversations_call",
    SIGNED_IN,
    returns=CallConversationDocument,
)
def one_call(caller: Signed, parts: Parts, conversationId: str) -> CallConversationDocument:
    """A call, in progress or over."""
    with parts.database.reading() as session:
        seen = find(parts, session, caller.access, conversationId)
    return documents.call_document(seen.timeline, seen.divisions)


@family.operation(
    "PATCH",
    "/api/v2/conversations/calls/{conversationId}",
    "patch_conversations_call",
    any_of(DISCONNECT, call_control.PAUSE),
    returns=ConversationDocument,
)
def change_call(caller: Signed, parts: Parts, conversationId: str, body: ConversationChange) -> ConversationDocument:
    """Hangs up (``state`` disconnected), or pauses the recording and lets it go on (``recordingState``, B8)."""
    if body.state == "disconnected":
        seen = _hang_up(parts, caller, conversationId)
    elif body.recording_state is not None:
        call = call_in_progress(parts, caller, conversationId)
        call_control.own_secure_pause(parts, caller, call, body.recording_state)
        with parts.database.reading() as session:
            seen = find(parts, session, caller.access, conversationId)
    else:
        raise bad_request("state can become disconnected, recordingState PAUSED or ACTIVE.", "state", "invalid.value")
    return documents.conversation_document(seen.timeline, seen.divisions, seen.external_tag)


@family.operation(
    "GET",
    "/api/v2/conversations/{conversationId}",
    "get_conversation",
    any_of(VIEW_CONVERSATIONS),
    returns=ConversationDocument,
)
def one_conversation(caller: Signed, parts: Parts, conversationId: str) -> ConversationDocument:
    """A conversation, in progress or over."""
    with parts.database.reading() as session:
        seen = find(parts, session, caller.access, conversationId)
    return documents.conversation_document(seen.timeline, seen.divisions, seen.external_tag)


@family.operation(
    "POST",
    "/api/v2/conversations/{conversationId}/disconnect",
    "post_conversation_disconnect",
    any_of(DISCONNECT),
    status=202,
    returns=str,
)
def disconnect(caller: Signed, parts: Parts, conversationId: str) -> Response:
    """Hangs up on everybody. Of a conversation that is over already it asks nothing."""
    _hang_up(parts, caller, conversationId)
    return Response(status_code=202)


@family.operation(
    "DELETE",
    "/api/v2/conversations/{conversationId}",
    "delete_conversation",
    any_of(DISCONNECT),
    status=204,
)
def end_conversation(caller: Signed, parts: Parts, conversationId: str) -> None:
    """Hangs up on everybody. What was recorded stays."""
    _hang_up(parts, caller, conversationId)


def _hang_up(parts: Services, caller: Caller, conversation_id: str) -> Seen:
    with parts.database.reading() as session:
        seen = find(parts, session, caller.access, conversation_id)
    if not may(parts, caller, seen, DISCONNECT):
        raise missing_permissions((DISCONNECT,), every=True)
    if not seen.in_progress:
        return seen
    with parts.database.transaction() as session:
        audit.add(
            session,
            at=parts.clock.now_us(),
            subject=caller.subject,
            action="disconnect",
            entity_type="conversation",
            entity_id=conversation_id[:64],
            conversation_id=conversation_id[:64],
            remote_address=caller.remote_address,
        )
    if not parts.edge.disconnect(conversation_id, by=caller.subject.id):
        with parts.database.reading() as session:
            again = find(parts, session, caller.access, conversation_id)
        if again.in_progress:
            raise conflict("The conversation is up, but not on the edge that answers here.")
        return again
    return seen


def _interval(text: str | None) -> tuple[int | None, int | None]:
    if not text:
        return None, None
    start, slash, end = text.partition("/")
    try:
        since, until = parse_date(start), parse_date(end)
    except (ValueError, OverflowError) as error:
        raise bad_request(f"interval: {error}", "interval", "invalid.date") from error
    if not slash or until < since:
        raise bad_request("interval is start/end.", "interval", "invalid.date")
    return since, until
