"""What can be done with somebody on a call: hang up, hold, mute, record, wrap up; and pausing the recording.

Who may: whoever is on the call may do it to themselves with the permission held anywhere, everybody else where the
permission reaches the call. Hold and mute need no permission of those who are on the call.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Response

from earwitness.domain.conversation.timeline import Participant
from earwitness.web.api import wrapups
from earwitness.web.api.participant_documents import consults
from earwitness.web.api.seen import DISCONNECT, Seen, call_in_progress, command, find, may, require, require_control
from earwitness.web.api.wrapups import WrapupBody
from earwitness.web.kernel.callers import Caller, Signed
from earwitness.web.kernel.documents import Document, OneOf, RequestBody
from earwitness.web.kernel.errors import bad_request, missing_permissions, not_found
from earwitness.web.kernel.operations import SIGNED_IN, Family, any_of
from earwitness.web.kernel.services import Parts, Services

family = Family("Call control")

CONVERSATION = "/api/v2/conversations/{conversationId}"
CALL = "/api/v2/conversations/calls/{conversationId}"
ONE = "/participants/{participantId}"
RECORD = "conversation:call:record"
SNIPPET = "conversation:recording:snippetRecord"
PAUSE = "conversation:recording:pause"
PAUSE_OTHERS = "conversation:recording:pauseOthers"
ON_BEHALF = "conversation:agentlessCall:add"
STATES = ("alerting", "dialing", "contacting", "offering", "connected", "disconnected", "terminated", "converting",
          "uploading", "transmitting", "parked", "none")  # fmt: skip
RECORDING_STATES = ("ACTIVE", "PAUSED", "NONE")
DIGITS = frozenset("0123456789*#ABCD")
MOST_DIGITS = 64


class ParticipantChange(RequestBody):
    """What somebody on a call is to become. Absent: stays as it is."""

    wrapup: WrapupBody | None = None
    state: Annotated[str, OneOf(*STATES)] | None = None
    recording: bool | None = None
    muted: bool | None = None
    confined: bool | None = None
    held: bool | None = None
    wrapup_skipped: bool | None = None


class RecordingStateChange(RequestBody):
    """Pause, or go on."""

    recording_state: Annotated[str, OneOf(*RECORDING_STATES)] | None = None


class SnippetRequest(RequestBody):
    """A user recording, under its other name."""

    type: Annotated[str, OneOf("snippet", "adhoc")] | None = None
    record: bool | None = None


class DigitsBody(RequestBody):
    """Keys to press."""

    digits: str | None = None


class Nothing(Document):
    """An empty reply."""


CHANGE = any_of(wrapups.WRAPUP, RECORD, DISCONNECT)


@family.operation("PATCH", CALL + ONE, "patch_conversations_call_participant", CHANGE, status=204)
def change_call_participant(
    caller: Signed, parts: Parts, conversationId: str, participantId: str, body: ParticipantChange
) -> None:
    """Hangs up, holds, mutes, records (E4), or wraps up for one participant."""
    change(parts, caller, conversationId, participantId, body, caller.user_id)


@family.operation("PATCH", CONVERSATION + ONE, "patch_conversation_participant", CHANGE, status=204)
def change_participant(
    caller: Signed, parts: Parts, conversationId: str, participantId: str, body: ParticipantChange
) -> None:
    """Hangs up, holds, mutes, records (E4), or wraps up for one participant."""
    change(parts, caller, conversationId, participantId, body, caller.user_id)


@family.operation(
    "PATCH",
    CALL + ONE + "/communications/{communicationId}",
    "patch_conversations_call_participant_communication",
    SIGNED_IN,
    returns=Nothing,
)
def change_communication(
    caller: Signed,
    parts: Parts,
    conversationId: str,
    participantId: str,
    communicationId: str,
    body: ParticipantChange,
) -> Nothing:
    """The same for one communication of a participant: its leg."""
    with parts.database.reading() as session:
        seen = find(parts, session, caller.access, conversationId)
    check_communication(seen.participant(participantId), communicationId)
    change(parts, caller, conversationId, participantId, body, caller.user_id)
    return Nothing()


@family.operation(
    "PATCH",
    CALL + ONE + "/user/{userId}",
    "patch_conversations_call_participant_user_user_id",
    any_of(wrapups.WRAPUP, RECORD, DISCONNECT, ON_BEHALF),
    status=204,
)
def change_on_behalf(
    caller: Signed, parts: Parts, conversationId: str, participantId: str, userId: str, body: ParticipantChange
) -> None:
    """The same, on behalf of a user who is on the call."""
    with parts.database.reading() as session:
        seen = find(parts, session, caller.access, conversationId)
    if userId != caller.user_id:
        if not any(person.user_id == userId for person in seen.timeline.participants):
            raise not_found("user", userId)
        require(parts, caller, seen, ON_BEHALF, DISCONNECT)
    change(parts, caller, conversationId, participantId, body, userId)


def check_communication(participant: Participant, communication_id: str) -> None:
    """:raises ApiError: 404, that is none of the participant's."""
    legs = {leg.leg_id for leg in participant.legs} or {participant.participant_id}
    if communication_id not in legs:
        raise not_found("communication", communication_id)


def change(
    parts: Services,
    caller: Caller,
    conversation_id: str,
    participant_id: str,
    body: ParticipantChange,
    actor: str | None,
) -> None:
    """Does what a body asks for, hanging up last.

    :param actor: the user who acts, the caller or somebody on whose behalf it comes.
    :raises ApiError: 400, 403, 404, 409 as the case may be.
    """
    with parts.database.reading() as session:
        seen = find(parts, session, caller.access, conversation_id)
    person = seen.participant(participant_id)
    given = {name for name, value in body.given().items() if value is not None}
    if not given:
        raise bad_request("Nothing to change: wrapup, state, recording, muted, held or wrapupSkipped is needed.")
    if body.confined:
        raise bad_request("Nobody can be confined here.", "confined", "invalid.value")
    if body.state is not None and body.state not in ("disconnected", "terminated"):
        raise bad_request("state can become disconnected; a call is answered at the phone.", "state", "invalid.value")
    if given & {"held", "muted", "recording", "state"} and seen.in_progress:
        seen.present(participant_id)
    if body.recording is not None:
        record(parts, caller, seen, person, on=body.recording, actor=actor, permission=RECORD)
    for name, do in (("held", "hold"), ("muted", "mute")):
        if name in given:
            seen.present(participant_id)
            require_control(parts, caller, seen, actor)
            command(parts, caller, seen, do, participant=participant_id, **{name: bool(getattr(body, name))})
    if body.wrapup is not None:
        wrapups.give(parts, caller, seen, person, body.wrapup, actor)
    elif body.wrapup_skipped:
        wrapups.skip(parts, caller, seen, person, actor)
    if body.state is not None:
        _hang_up(parts, caller, seen, person, actor)


def record(
    parts: Services,
    caller: Caller,
    seen: Seen,
    person: Participant,
    *,
    on: bool,
    actor: str | None,
    permission: str,
) -> None:
    """Starts or ends the user recording of a participant; it goes to that user's inbox (E1, E2, E6).

    :raises ApiError: 409 ``consent.refused``, the caller refused consent (C10).
    """
    if person.user_id is None:
        raise bad_request("Only users have an inbox: record the participant of a user.", "recording", "invalid.value")
    seen.present(person.participant_id)
    _own_or_reached(parts, caller, seen, person, actor, permission)
    command(parts, caller, seen, "record", participant=person.participant_id, on=on, user=person.user_id)


def _own_or_reached(
    parts: Services, caller: Caller, seen: Seen, person: Participant, actor: str | None, permission: str
) -> None:
    """Who is on the call records themselves alone; from outside the permission must reach the call."""
    own = actor is not None and person.user_id == actor
    outside = seen.own(caller.user_id) is None and may(parts, caller, seen, permission)
    if not (outside or (own and caller.access.allows(permission))):
        raise missing_permissions((permission,), every=True)


def _hang_up(parts: Services, caller: Caller, seen: Seen, person: Participant, actor: str | None) -> None:
    """An agent who hangs up in a consult completes the transfer; of one who is gone nothing is asked."""
    own = actor is not None and person.user_id == actor
    if not (own or may(parts, caller, seen, DISCONNECT)) or not caller.access.allows(DISCONNECT):
        raise missing_permissions((DISCONNECT,), every=True)
    if person.end is not None or not seen.in_progress:
        return
    do = "consult_complete" if _consults(seen, person) else "disconnect"
    command(parts, caller, seen, do, participant=person.participant_id)


def _consults(seen: Seen, person: Participant) -> bool:
    """Whether somebody who was asked by this participant has answered."""
    return any(asker is person and asked.connected is not None for asked, asker in consults(seen.timeline))


def secure_pause(parts: Services, caller: Caller, seen: Seen, state: str | None) -> None:
    """Pauses every recorder of the call, or lets them go on (B7, B14).

    :raises ApiError: 400, no such state (S17).
    """
    if state not in ("ACTIVE", "PAUSED"):
        raise bad_request("recordingState must be ACTIVE or PAUSED.", "recordingState", "invalid.value")
    command(parts, caller, seen, "secure_pause", on=state == "PAUSED", by=caller.subject.id)


def own_secure_pause(parts: Services, caller: Caller, seen: Seen, state: str) -> None:
    """The same by somebody on the call (B8).

    :raises ApiError: 403, not on the call, or without the permission.
    """
    if seen.own(caller.user_id) is None or not caller.access.allows(PAUSE):
        raise missing_permissions((PAUSE_OTHERS,) if caller.access.allows(PAUSE) else (PAUSE,), every=True)
    secure_pause(parts, caller, seen, state)


@family.operation(
    "PUT",
    CALL + "/recordingstate",
    "put_conversations_call_recordingstate",
    any_of(PAUSE_OTHERS),
    status=202,
    returns=str,
)
def set_call_recording_state(caller: Signed, parts: Parts, conversationId: str, body: RecordingStateChange) -> Response:
    """Secure pause of a call, also by somebody who is not on it (B8): PAUSED begins it, ACTIVE ends it."""
    _pause_others(parts, caller, conversationId, body)
    return Response(status_code=202)


@family.operation(
    "PATCH", CONVERSATION + "/recordingstate", "patch_conversation_recordingstate", any_of(PAUSE_OTHERS), status=204
)
def set_recording_state(caller: Signed, parts: Parts, conversationId: str, body: RecordingStateChange) -> None:
    """Secure pause of a conversation, also by somebody who is not on it (B8)."""
    _pause_others(parts, caller, conversationId, body)


def _pause_others(parts: Services, caller: Caller, conversation_id: str, body: RecordingStateChange) -> None:
    if body.recording_state not in ("ACTIVE", "PAUSED"):
        raise bad_request("recordingState must be ACTIVE or PAUSED.", "recordingState", "invalid.value")
    seen = call_in_progress(parts, caller, conversation_id)
    require(parts, caller, seen, PAUSE_OTHERS)
    secure_pause(parts, caller, seen, body.recording_state)


@family.operation(
    "POST",
    CALL + ONE + "/snippet/record",
    "post_conversations_call_participant_snippet_record",
    any_of(SNIPPET),
    status=202,
    returns=str,
    each_time=True,
)
def record_snippet(
    caller: Signed, parts: Parts, conversationId: str, participantId: str, body: SnippetRequest
) -> Response:
    """Starts or ends a user recording (E5); a snippet is one too, and goes to the user's inbox like the other (E13)."""
    if body.type is None or body.record is None:
        raise bad_request("type and record are required.")
    seen = call_in_progress(parts, caller, conversationId)
    person = seen.present(participantId)
    record(parts, caller, seen, person, on=body.record, actor=caller.user_id, permission=SNIPPET)
    return Response(status_code=202)


@family.operation(
    "POST",
    CONVERSATION + ONE + "/digits",
    "post_conversation_participant_digits",
    SIGNED_IN,
    status=204,
    each_time=True,
)
def send_digits(caller: Signed, parts: Parts, conversationId: str, participantId: str, body: DigitsBody) -> None:
    """Presses keys towards an external participant, or on behalf of a user to the others.

    What was pressed is nowhere written down.
    """
    digits = (body.digits or "").upper()
    if not digits or len(digits) > MOST_DIGITS or not set(digits) <= DIGITS:
        raise bad_request(f"digits are 1 to {MOST_DIGITS} of 0-9, A-D, * and #.", "digits")
    seen = call_in_progress(parts, caller, conversationId)
    person = seen.present(participantId)
    require_control(parts, caller, seen, caller.user_id)
    presser = person if person.user_id is not None else (seen.own(caller.user_id) or _colleague(seen) or person)
    command(parts, caller, seen, "digits", participant=presser.participant_id, digits=digits)


def _colleague(seen: Seen) -> Participant | None:
    """Somebody of ours who is on the call."""
    people = (item for item in seen.timeline.participants if item.user_id is not None and item.end is None)
    return next((item for item in people if item.connected is not None), None)
