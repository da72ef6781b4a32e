"""Wrap-up codes: what an agent says a call was about, during the call and after it (F3, W3)."""

from __future__ import annotations

from typing import Annotated

import structlog
from fastapi import Query
from sqlalchemy.orm import Session

from earwitness.domain.conversation.timeline import Participant
from earwitness.store import after_call_work, audit, wrapup_queries
from earwitness.store.tables import AfterCallWork
from earwitness.web.api.participant_documents import queue_of, wrapup_document
from earwitness.web.api.seen import Seen, attempt, find, may
from earwitness.web.kernel.callers import Caller, Signed
from earwitness.web.kernel.documents import DateInput, Document, Moment, RequestBody
from earwitness.web.kernel.errors import ApiError, bad_request, conflict, missing_permissions, not_found
from earwitness.web.kernel.operations import SIGNED_IN, Family, any_of
from earwitness.web.kernel.services import Parts, Services

log = structlog.get_logger()

family = Family("Wrap-ups")

PARTICIPANT = "/api/v2/conversations/calls/{conversationId}/participants/{participantId}"
WRAPUP = "conversation:participant:wrapup"
LONGEST_NOTES = 10_000
MOST_TAGS = 50
ACW_S = 300.0
"""Time of work that nobody has begun by an event of its own, seconds."""


class WrapupBody(RequestBody):
    """What the agent says the call was about."""

    code: str | None = None
    name: str | None = None
    notes: str | None = None
    tags: list[str] | None = None
    duration_seconds: int | None = None
    end_time: DateInput | None = None
    provisional: bool | None = None


class AssignedWrapupCode(Document):
    """What the agent has said."""

    code: str | None = None
    notes: str | None = None
    tags: list[str]
    duration_seconds: int
    end_time: Moment


class OfferedCode(Document):
    """A code to choose from."""

    id: str
    name: str
    description: str | None = None
    self_uri: str


@family.operation(
    "GET",
    PARTICIPANT + "/wrapup",
    "get_conversations_call_participant_wrapup",
    SIGNED_IN,
    returns=AssignedWrapupCode,
)
def wrapup(
    caller: Signed,
    parts: Parts,
    conversationId: str,
    participantId: str,
    provisional: Annotated[bool, Query()] = False,
) -> AssignedWrapupCode:
    """The wrap-up of a participant; 404 while there is none."""
    return _assigned(parts, caller, conversationId, participantId, None)


@family.operation(
    "GET",
    PARTICIPANT + "/communications/{communicationId}/wrapup",
    "get_conversations_call_participant_communication_wrapup",
    SIGNED_IN,
    returns=AssignedWrapupCode,
)
def communication_wrapup(
    caller: Signed,
    parts: Parts,
    conversationId: str,
    participantId: str,
    communicationId: str,
    provisional: Annotated[bool, Query()] = False,
) -> AssignedWrapupCode:
    """The wrap-up of a participant, by its communication; 404 while there is none."""
    return _assigned(parts, caller, conversationId, participantId, communicationId)


@family.operation(
    "POST",
    PARTICIPANT + "/communications/{communicationId}/wrapup",
    "post_conversations_call_participant_communication_wrapup",
    any_of(WRAPUP),
    status=204,
)
def give_wrapup(
    caller: Signed, parts: Parts, conversationId: str, participantId: str, communicationId: str, body: WrapupBody
) -> None:
    """Says what the call was about. After the call it ends the agent's after-call work."""
    with parts.database.reading() as session:
        seen = find(parts, session, caller.access, conversationId)
    person = seen.participant(participantId)
    _check_communication(person, communicationId)
    give(parts, caller, seen, person, body, caller.user_id)


@family.operation(
    "GET",
    PARTICIPANT + "/wrapupcodes",
    "get_conversations_call_participant_wrapupcodes",
    SIGNED_IN,
    returns=list[OfferedCode],
)
def offered_codes(caller: Signed, parts: Parts, conversationId: str, participantId: str) -> list[OfferedCode]:
    """The codes that a participant chooses from: those of its queue."""
    with parts.database.reading() as session:
        person = find(parts, session, caller.access, conversationId).participant(participantId)
        queue_id = queue_of(person)
        rows = wrapup_queries.offered_by(session, queue_id) if queue_id is not None else ()
        return [
            OfferedCode(
                id=row.id, name=row.name, description=row.description, self_uri=f"/api/v2/routing/wrapupcodes/{row.id}"
            )
            for row in rows
        ]


def give(parts: Services, caller: Caller, seen: Seen, person: Participant, body: WrapupBody, actor: str | None) -> None:
    """Notes a wrap-up: in the call while it is up, else in the database, where it ends the after-call work.

    :raises ApiError: 400, no such code, or none of the queue's; 403; 409, not a participant with after-call work.
    """
    _check_right(parts, caller, seen, person, actor)
    if body.provisional:
        raise bad_request("Provisional wrap-ups are not kept: say it when it is final.", "provisional", "invalid.value")
    if person.user_id is None:
        raise conflict("Only users wrap up.", "wrapup.not.possible")
    notes, tags = body.notes, body.tags or []
    if notes is not None and len(notes) > LONGEST_NOTES:
        raise bad_request(f"notes may have {LONGEST_NOTES} characters.", "notes", "invalid.value")
    if len(tags) > MOST_TAGS or any(len(tag) > 256 for tag in tags):
        raise bad_request(f"tags may be {MOST_TAGS} of up to 256 characters.", "tags", "invalid.value")
    with parts.database.reading() as session:
        name = _code_name(session, person, body.code)
    by = actor or caller.subject.id
    if seen.in_progress:
        more = {"notes": notes, "tags": tags or None, "name": name, "by": by}
        if (
            attempt(parts, caller, seen, "wrapup", participant=person.participant_id, code=body.code, **more)
            is not None
        ):
            return
        with parts.database.reading() as session:  # it has ended meanwhile
            seen = find(parts, session, caller.access, seen.id)
            person = seen.participant(person.participant_id)
    with parts.database.transaction() as session:
        row = _work(session, parts, seen, person)
        at = parts.clock.now_us()
        after_call_work.give(session, row, at=at, code_id=body.code, code_name=name, notes=notes, tags=tags, by=by)
        _note(session, parts, caller, seen, "wrapup", {"participant": person.participant_id, "code": body.code})
    _free(parts, person)


def skip(parts: Services, caller: Caller, seen: Seen, person: Participant, actor: str | None) -> None:
    """Ends after-call work without a code, where the queue does not insist on one.

    :raises ApiError: 409, it does, or there is no such work.
    """
    _check_right(parts, caller, seen, person, actor)
    if person.acw is None:
        raise conflict("There is no after-call work to skip.", "wrapup.not.possible")
    if str(person.acw.get("prompt", "")).startswith("MANDATORY"):
        raise conflict("The queue asks for a wrap-up code.", "wrapup.mandatory")
    by = actor or caller.subject.id
    with parts.database.transaction() as session:
        row = _work(session, parts, seen, person)
        if row.given_at is None:
            after_call_work.give(session, row, at=parts.clock.now_us(), code_id=None, code_name=None, by=by)
            _note(session, parts, caller, seen, "wrapupSkipped", {"participant": person.participant_id})
    _free(parts, person)


def _check_right(parts: Services, caller: Caller, seen: Seen, person: Participant, actor: str | None) -> None:
    own = actor is not None and person.user_id == actor
    if not caller.access.allows(WRAPUP) or not (own or may(parts, caller, seen, WRAPUP)):
        raise missing_permissions((WRAPUP,), every=True)


def _code_name(session: Session, person: Participant, code_id: str | None) -> str:
    if not code_id:
        raise bad_request("code is required.", "code")
    row = wrapup_queries.code(session, code_id)
    queue_id = queue_of(person)
    offered = {item.id for item in wrapup_queries.offered_by(session, queue_id)} if queue_id is not None else set()
    if row is None or (offered and row.id not in offered):
        raise bad_request(f"No wrap-up code {code_id} to choose here.", "code", "invalid.value")
    return row.name


def _work(session: Session, parts: Services, seen: Seen, person: Participant) -> AfterCallWork:
    """The after-call work of a participant, in the database; it may not be there yet while the call is finalised."""
    queue_id, now = queue_of(person), parts.clock.now_us()
    row = after_call_work.of_participant(session, seen.id, person.participant_id)
    if row is not None:
        return row
    if queue_id is None or person.user_id is None:
        raise conflict("The participant had no call of a queue, so there is nothing to wrap up.", "wrapup.not.possible")
    acw = person.acw or {}
    started = int(acw.get("at") or person.end or now)
    return after_call_work.add(
        session,
        conversation_id=seen.id,
        participant_id=person.participant_id,
        user_id=person.user_id,
        queue_id=str(acw.get("queue_id") or queue_id),
        prompt=str(acw.get("prompt") or "OPTIONAL"),
        started_at=started,
        deadline_at=started + int(float(acw.get("timeout_s") or ACW_S) * 1e6),
    )


def _note(
    session: Session, parts: Services, caller: Caller, seen: Seen, action: str, detail: dict[str, str | None]
) -> None:
    audit.add(
        session,
        at=parts.clock.now_us(),
        subject=caller.subject,
        action=action,
        entity_type="conversation",
        entity_id=seen.id[:64],
        conversation_id=seen.id[:64],
        remote_address=caller.remote_address,
        detail=detail,
    )


def _free(parts: Services, person: Participant) -> None:
    """Tells the edge that the agent is done. Without an edge the agent has no calls to wait for."""
    if person.user_id is None:
        return
    try:
        parts.edge.end_acw(person.user_id, person.participant_id)
    except ApiError as error:
        log.warning("web.agent_not_freed", user_id=person.user_id, error=error.message)


def _assigned(
    parts: Services, caller: Caller, conversation_id: str, participant_id: str, communication_id: str | None
) -> AssignedWrapupCode:
    with parts.database.reading() as session:
        person = find(parts, session, caller.access, conversation_id).participant(participant_id)
    if communication_id is not None:
        _check_communication(person, communication_id)
    said = wrapup_document(person)
    if said is None:
        raise not_found("wrap-up of participant", participant_id)
    return AssignedWrapupCode(
        code=said.code, notes=said.notes, tags=said.tags, duration_seconds=said.duration_seconds, end_time=said.end_time
    )


def _check_communication(person: Participant, communication_id: str) -> None:
    legs = {leg.leg_id for leg in person.legs} or {person.participant_id}
    if communication_id not in legs:
        raise not_found("communication", communication_id)
