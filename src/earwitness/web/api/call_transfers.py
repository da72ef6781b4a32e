"""Transfers, consults and conferences (A5, A11, D1): replace, consult, transfer, more participants, everybody together.

The contract's consult speaks of the party whom the call is about (``OBJECT``) and of the one who was asked
(``DESTINATION``); who asks is named in the body, or is the participant of the path, or else the caller.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Response
from sqlalchemy.orm import Session

from earwitness.domain.conversation.timeline import Participant
from earwitness.web.api import call_targets
from earwitness.web.api.call_control import CALL, CONVERSATION, ONE
from earwitness.web.api.call_targets import Target
from earwitness.web.api.conversation_documents import ConversationDocument, conversation_document
from earwitness.web.api.participant_documents import consults
from earwitness.web.api.seen import Seen, call_in_progress, command, find, may, require, require_control
from earwitness.web.kernel.callers import Caller, Signed
from earwitness.web.kernel.documents import Document, OneOf, RequestBody
from earwitness.web.kernel.errors import bad_request, conflict, missing_permissions
from earwitness.web.kernel.operations import SIGNED_IN, Family, Needs, any_of
from earwitness.web.kernel.services import Parts, Services

family = Family("Transfers")

BLIND = "conversation:communication:blindTransfer"
CONSULT = "conversation:communication:consultTransfer"
CONFERENCE = "conversation:conference:add"
ON_BEHALF = "conversation:agentlessCall:add"
ASSIGN = "conversation:call:assign"
PULL = "conversation:call:pull"
ASSIGNS = any_of(*(f"conversation:{kind}:{act}" for kind in ("call", "callback", "webchat", "email", "message")
                   for act in ("pull", "assign")))  # fmt: skip
VIEW_CONTACTS = "externalContacts:contact:view"
PhoneType = Annotated[str, OneOf(*call_targets.CONTACT_PHONES)]
SPEAK_TO = ("DESTINATION", "OBJECT", "BOTH", "CONFERENCE")


class TransferBody(RequestBody):
    """Where to. One of user, queue and address."""

    transfer_type: Annotated[str, OneOf("Attended", "Unattended")] | None = None
    user_id: str | None = None
    user_name: str | None = None
    user_display_name: str | None = None
    address: str | None = None
    queue_id: str | None = None
    queue_name: str | None = None
    contact_id: str | None = None
    phone_type: PhoneType | None = None
    voicemail: bool | None = None


class DestinationBody(RequestBody):
    """Whom to ask, or to add."""

    address: str | None = None
    name: str | None = None
    user_id: str | None = None
    queue_id: str | None = None


class ConsultBody(RequestBody):
    """Who asks whom, and who hears whom."""

    speak_to: Annotated[str, OneOf(*SPEAK_TO)] | None = None
    consulting_user_id: str | None = None
    destination: DestinationBody | None = None
    user_id: str | None = None
    user_display_name: str | None = None
    address: str | None = None
    queue_id: str | None = None
    queue_name: str | None = None
    contact_id: str | None = None
    phone_type: PhoneType | None = None


class ConsultReply(Document):
    """Who was asked."""

    destination_participant_id: str | None = None


class ConferenceBody(RequestBody):
    """Calls to bring together."""

    conversation_ids: list[str] | None = None


class AddingBody(RequestBody):
    """Who is to join."""

    participants: list[DestinationBody] | None = None


class CommandBody(RequestBody):
    """A number to call."""

    call_number: str | None = None


class UserBody(RequestBody):
    """A user."""

    id: str | None = None


def _replaces(path: str, name: str, *permissions: str, only: str = "") -> None:
    """Declares an operation that puts somebody else in a participant's place.

    :param only: the one kind of target that it takes; empty: any.
    """

    def run(caller: Signed, parts: Parts, conversationId: str, participantId: str, body: TransferBody) -> None:
        """Transfers the call blindly: the participant leaves, the target takes its place."""
        _replace(parts, caller, conversationId, participantId, body, (BLIND, *permissions), only)

    run.__doc__ = f"{run.__doc__ or ''}\n\nThe target is {only or 'a user, a queue or an address'}."
    family.operation("POST", path, name, any_of(BLIND, *permissions), status=204, each_time=True)(run)


_replaces(CALL + ONE + "/replace", "post_conversations_call_participant_replace")
_replaces(CONVERSATION + ONE + "/replace", "post_conversation_participant_replace")
_replaces(
    CONVERSATION + ONE + "/replace/agent", "post_conversation_participant_replace_agent", BLIND + "Agent", only="user"
)
_replaces(
    CONVERSATION + ONE + "/replace/external",
    "post_conversation_participant_replace_external",
    BLIND + "External",
    only="address",
)
_replaces(
    CONVERSATION + ONE + "/replace/queue", "post_conversation_participant_replace_queue", BLIND + "Queue", only="queue"
)
_replaces(
    CONVERSATION + ONE + "/replace/contact/external",
    "post_conversation_participant_replace_contact_external",
    BLIND + "ExternalContact",
    only="external contact",
)
_replaces(CONVERSATION + ONE + "/transfer", "post_conversation_participant_transfer", only="address")


def _replace(
    parts: Services,
    caller: Caller,
    conversation_id: str,
    participant_id: str,
    body: TransferBody,
    permissions: tuple[str, ...],
    only: str,
) -> None:
    if body.voicemail:
        raise bad_request("There is no voicemail here.", "voicemail", "invalid.value")
    with parts.database.reading() as session:
        seen = find(parts, session, caller.access, conversation_id)
        seen.participant(participant_id)
        to = _target(session, caller, only, body, user_id=body.user_id, user_name=body.user_name, address=body.address,
                     queue_id=body.queue_id)  # fmt: skip
    seen.present(participant_id)
    require(parts, caller, seen, *permissions)
    command(parts, caller, seen, "transfer", participant=participant_id, to=to, by=caller.subject.id)


def _target(
    session: Session, caller: Caller, only: str, body: TransferBody | ConsultBody, **given: str | None
) -> Target:
    if only == "external contact":
        reach = caller.access.divisions_for(VIEW_CONTACTS)
        return call_targets.contact(session, reach, body.contact_id, body.phone_type)
    wanted = {"user": ("user_id", "user_name"), "queue": ("queue_id",), "address": ("address",)}.get(only)
    return call_targets.one(session, **{k: v for k, v in given.items() if wanted is None or k in wanted})


def _consults(path: str, name: str, *permissions: str, only: str = "") -> None:
    """Declares an operation that asks somebody while the other party hears music."""

    def run(caller: Signed, parts: Parts, conversationId: str, participantId: str, body: ConsultBody) -> ConsultReply:
        """Asks somebody before transferring: the others are on hold meanwhile. Gives who is asked."""
        return _consult(parts, caller, conversationId, participantId, body, (CONSULT, *permissions), only)

    run.__doc__ = f"{run.__doc__ or ''}\n\nWho is asked is {only or 'a user, a queue or an address'}."
    family.operation("POST", path, name, any_of(CONSULT, *permissions), returns=ConsultReply, each_time=True)(run)


CONSULTS = CALL + ONE + "/consult"
_consults(CONSULTS, "post_conversations_call_participant_consult")
_consults(CONSULTS + "/agent", "post_conversations_call_participant_consult_agent", CONSULT + "Agent", only="user")
_consults(
    CONSULTS + "/external",
    "post_conversations_call_participant_consult_external",
    CONSULT + "External",
    only="address",
)
_consults(
    CONSULTS + "/contact/external",
    "post_conversations_call_participant_consult_contact_external",
    CONSULT + "ExternalContact",
    only="external contact",
)
_consults(CONSULTS + "/queue", "post_conversations_call_participant_consult_queue", CONSULT + "Queue", only="queue")
_consults(CALL + ONE + "/voice/consult", "post_conversations_call_participant_voice_consult", only="address")


def _consult(
    parts: Services,
    caller: Caller,
    conversation_id: str,
    participant_id: str,
    body: ConsultBody,
    permissions: tuple[str, ...],
    only: str,
) -> ConsultReply:
    whom = body.destination
    with parts.database.reading() as session:
        seen = find(parts, session, caller.access, conversation_id)
        seen.participant(participant_id)
        to = _target(
            session,
            caller,
            only,
            body,
            user_id=body.user_id or (whom.user_id if whom is not None else None),
            address=body.address or (whom.address if whom is not None else None),
            queue_id=body.queue_id or (whom.queue_id if whom is not None else None),
        )
    seen.present(participant_id)
    require(parts, caller, seen, *permissions)
    who = _consulting(seen, caller, participant_id, body.consulting_user_id)
    done = command(parts, caller, seen, "consult", participant=who.participant_id, to=to, by=caller.subject.id)
    if body.speak_to in ("OBJECT", "BOTH"):
        command(parts, caller, seen, "consult_speak", participant=who.participant_id, who=body.speak_to)
    asked = done.get("participant")
    return ConsultReply(destination_participant_id=asked if isinstance(asked, str) else None)


def _consulting(seen: Seen, caller: Caller, participant_id: str, user_id: str | None) -> Participant:
    """Who asks, or has asked."""
    if user_id is not None:
        named = seen.own(user_id)
        if named is None:
            raise conflict(f"User {user_id} is not on the call.", "participant.left")
        return named
    of_path = seen.present(participant_id)
    asker = next((asker for asked, asker in consults(seen.timeline) if asked is of_path), None)
    if asker is not None:
        return asker
    if of_path.user_id is not None:
        return of_path
    own = seen.own(caller.user_id)
    if own is None:
        raise bad_request("consultingUserId is required: the caller is not on the call.", "consultingUserId")
    return own


@family.operation("PATCH", CONSULTS, "patch_conversations_call_participant_consult", SIGNED_IN, returns=ConsultReply)
def change_consult(
    caller: Signed, parts: Parts, conversationId: str, participantId: str, body: ConsultBody
) -> ConsultReply:
    """Changes whom the consulting participant speaks to; CONFERENCE and BOTH bring all together."""
    if body.speak_to is None:
        raise bad_request("speakTo is required.", "speakTo")
    seen, who = _in_consult(parts, caller, conversationId, participantId, body.consulting_user_id)
    if body.speak_to == "CONFERENCE":
        command(parts, caller, seen, "conference", by=caller.subject.id)
    else:
        command(parts, caller, seen, "consult_speak", participant=who.participant_id, who=body.speak_to)
    asked = next((asked.participant_id for asked, asker in consults(seen.timeline) if asker is who), None)
    return ConsultReply(destination_participant_id=asked)


@family.operation("DELETE", CONSULTS, "delete_conversations_call_participant_consult", SIGNED_IN, status=204)
def end_consult(caller: Signed, parts: Parts, conversationId: str, participantId: str) -> None:
    """Lets go of the one who was asked: the call is as it was before."""
    seen, who = _in_consult(parts, caller, conversationId, participantId, None)
    command(parts, caller, seen, "consult_cancel", participant=who.participant_id)


def _in_consult(
    parts: Services, caller: Caller, conversation_id: str, participant_id: str, user_id: str | None
) -> tuple[Seen, Participant]:
    seen = call_in_progress(parts, caller, conversation_id)
    seen.present(participant_id)
    if not may(parts, caller, seen, CONSULT):
        require_control(parts, caller, seen, caller.user_id)
    return seen, _consulting(seen, caller, participant_id, user_id)


@family.operation("PATCH", CALL + "/conference", "patch_conversations_call_conference", any_of(CONFERENCE), status=204)
def make_conference(caller: Signed, parts: Parts, conversationId: str, body: ConferenceBody) -> None:
    """Brings everybody of the call together: holds and consults end, everybody hears everybody."""
    if any(other != conversationId for other in body.conversation_ids or ()):
        raise bad_request(
            "Separate calls cannot be merged: consult or add the others instead.", "conversationIds", "invalid.value"
        )
    seen = call_in_progress(parts, caller, conversationId)
    require(parts, caller, seen, CONFERENCE)
    command(parts, caller, seen, "conference", by=caller.subject.id)


def _adds(path: str, name: str, needs: Needs, *, behalf: bool) -> None:
    """Declares an operation that adds parties to a call."""

    def run(caller: Signed, parts: Parts, conversationId: str, body: AddingBody) -> ConversationDocument:
        """Calls further parties; who answers joins the conference."""
        return _add(parts, caller, conversationId, body, caller.user_id)

    def run_on_behalf(
        caller: Signed, parts: Parts, conversationId: str, userId: str, body: AddingBody
    ) -> ConversationDocument:
        """Calls further parties on behalf of a user who is on the call."""
        return _add(parts, caller, conversationId, body, userId)

    family.operation("POST", path, name, needs, returns=ConversationDocument)(run_on_behalf if behalf else run)


_adds(CALL + "/participants", "post_conversations_call_participants", SIGNED_IN, behalf=False)
_adds(
    CALL + "/participants/user/{userId}",
    "post_conversations_call_participants_user_user_id",
    any_of(ON_BEHALF),
    behalf=True,
)


def _add(
    parts: Services, caller: Caller, conversation_id: str, body: AddingBody, actor: str | None
) -> ConversationDocument:
    if not body.participants:
        raise bad_request("participants is required.", "participants")
    seen = call_in_progress(parts, caller, conversation_id)
    if actor == caller.user_id:
        if not may(parts, caller, seen, CONFERENCE):
            raise missing_permissions((CONFERENCE,), every=True)
    else:
        require(parts, caller, seen, ON_BEHALF)
        if seen.own(actor) is None:
            raise conflict(f"User {actor} is not on the call.", "participant.left")
    with parts.database.reading() as session:
        targets: list[Target] = [
            call_targets.one(session, user_id=item.user_id, address=item.address, queue_id=item.queue_id)
            for item in body.participants
        ]
    for to in targets:
        command(parts, caller, seen, "add", to=to, by=actor or caller.subject.id)
    with parts.database.reading() as session:
        again = find(parts, session, caller.access, conversation_id)
    return conversation_document(again.timeline, again.divisions, again.external_tag)


@family.operation("POST", CALL, "post_conversations_call", SIGNED_IN, returns=ConversationDocument)
def dial(caller: Signed, parts: Parts, conversationId: str, body: CommandBody) -> ConversationDocument:
    """Dials a number as part of a call that the caller is on; who answers joins it."""
    number = (body.call_number or "").strip()
    if not number:
        raise bad_request("callNumber is required.", "callNumber")
    adding = AddingBody()
    adding.participants = [DestinationBody(address=number)]
    return _add(parts, caller, conversationId, adding, caller.user_id)


@family.operation(
    "POST",
    CONVERSATION + "/assign",
    "post_conversation_assign",
    ASSIGNS,
    status=202,
    returns=str,
    each_time=True,
)
def assign(caller: Signed, parts: Parts, conversationId: str, body: UserBody) -> Response:
    """Gives a call that waits in a queue to a user: to oneself by the right to pull, to others by that to assign."""
    with parts.database.reading() as session:
        seen = find(parts, session, caller.access, conversationId)
        to: dict[str, Any] = call_targets.one(session, user_id=body.id)
    if not seen.in_progress:
        raise conflict("The call is over.", "conversation.ended")
    require(parts, caller, seen, *((ASSIGN, PULL) if body.id == caller.user_id else (ASSIGN,)))
    waiting = next((p for p in seen.timeline.participants if p.purpose == "acd" and p.end is None), None)
    if waiting is None:
        raise conflict("The call is not waiting in a queue.", "not.waiting")
    command(parts, caller, seen, "transfer", participant=waiting.participant_id, to=to, by=caller.subject.id)
    return Response(status_code=202)
