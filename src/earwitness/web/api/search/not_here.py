"""What the contract knows and this recorder has none of: each says so, as the contract says that there is nothing.

There are no screens to record, no transcripts, and no flows that take a caller aside to type in secrets: secure pause
keeps those out of recordings.
"""

from __future__ import annotations

from typing import Any

from earwitness.domain.conversation.timeline import Participant
from earwitness.web.api.call_control import CONVERSATION, ONE, check_communication
from earwitness.web.api.seen import call_in_progress, find, require_control
from earwitness.web.kernel.callers import Caller, Signed
from earwitness.web.kernel.documents import Document, RequestBody
from earwitness.web.kernel.errors import ApiError, bad_request, not_found
from earwitness.web.kernel.operations import SIGNED_IN, Family, all_of, any_of
from earwitness.web.kernel.services import Parts, Services

family = Family("Screens, transcripts and secure flows")
SCREENS = "/api/v2/recordings/screensessions"
TRANSCRIPTS = "/api/v2/speechandtextanalytics/conversations/{conversationId}/communications/{communicationId}"
SECURE = CONVERSATION + ONE + "/secureivrsessions"


class ScreenSessions(Document):
    """Screens that are being recorded."""

    count: int


class ScreenBody(RequestBody):
    """A screen that is recorded."""

    participant_jid: str | None = None
    room_id: str | None = None
    conversation_id: str | None = None
    meta_data: list[dict[str, Any]] | None = None


class SecureSession(Document):
    """A caller in a secure flow."""

    id: str
    state: str


class SecureSessions(Document):
    """Callers in secure flows."""

    entities: list[SecureSession]


class SecureSessionBody(RequestBody):
    """A caller to send into a secure flow."""

    source_participant_id: str | None = None
    flow_id: str | None = None
    user_data: str | None = None
    disconnect: bool | None = None


@family.operation(
    "GET",
    SCREENS + "/details",
    "get_recordings_screensessions_details",
    any_of("recording:screenRecording:view"),
    returns=ScreenSessions,
)
def screens(caller: Signed) -> ScreenSessions:
    """How many screens are being recorded: none, this recorder hears and does not see."""
    return ScreenSessions(count=0)


@family.operation("POST", SCREENS + "/acknowledge", "post_recordings_screensessions_acknowledge", SIGNED_IN, status=204)
def acknowledge_screen(caller: Signed, body: ScreenBody) -> None:
    """Says that a screen is being recorded. None is, so there is no such session: 404."""
    raise _no_screen(body)


@family.operation("POST", SCREENS + "/metadata", "post_recordings_screensessions_metadata", SIGNED_IN, status=204)
def screen_metadata(caller: Signed, body: ScreenBody) -> None:
    """Tells of a screen that is being recorded. None is, so there is no such session: 404."""
    raise _no_screen(body)


def _no_screen(body: ScreenBody) -> ApiError:
    if not body.room_id:
        return bad_request("roomId is required.", "roomId")
    return not_found("screen session", body.room_id)


@family.operation(
    "GET",
    TRANSCRIPTS + "/transcripturl",
    "get_speechandtextanalytics_conversation_communication_transcripturl",
    all_of("recording:recording:view", "speechAndTextAnalytics:data:view"),
)
def transcript(caller: Signed, parts: Parts, conversationId: str, communicationId: str) -> None:
    """The address of a transcript. Nothing is transcribed here: 404."""
    _no_transcript(parts, caller, conversationId, communicationId)


@family.operation(
    "GET",
    TRANSCRIPTS + "/transcripturls",
    "get_speechandtextanalytics_conversation_communication_transcripturls",
    any_of("recording:recording:view", "recording:recordingSegment:view"),
)
def transcripts(caller: Signed, parts: Parts, conversationId: str, communicationId: str) -> None:
    """The addresses of transcripts. Nothing is transcribed here: 404."""
    _no_transcript(parts, caller, conversationId, communicationId)


def _no_transcript(parts: Services, caller: Caller, conversation_id: str, communication_id: str) -> None:
    with parts.database.reading() as session:
        seen = find(parts, session, caller.access, conversation_id)
    people = [item for item in seen.timeline.participants if _has(item, communication_id)]
    if not people:
        raise not_found("communication", communication_id)
    raise not_found("transcript of communication", communication_id)


def _has(item: Participant, communication_id: str) -> bool:
    try:
        check_communication(item, communication_id)
    except ApiError:
        return False
    return True


@family.operation("GET", SECURE, "get_conversation_participant_secureivrsessions", SIGNED_IN, returns=SecureSessions)
def secure_sessions(caller: Signed, parts: Parts, conversationId: str, participantId: str) -> SecureSessions:
    """Callers in secure flows: there are none."""
    with parts.database.reading() as session:
        find(parts, session, caller.access, conversationId).participant(participantId)
    return SecureSessions(entities=[])


@family.operation(
    "GET",
    SECURE + "/{secureSessionId}",
    "get_conversation_participant_secureivrsession",
    SIGNED_IN,
    returns=SecureSession,
)
def secure_session(
    caller: Signed, parts: Parts, conversationId: str, participantId: str, secureSessionId: str
) -> SecureSession:
    """A caller in a secure flow. There is none: 404."""
    with parts.database.reading() as session:
        find(parts, session, caller.access, conversationId).participant(participantId)
    raise not_found("secure session", secureSessionId)


@family.operation("POST", SECURE, "post_conversation_participant_secureivrsessions", SIGNED_IN, returns=SecureSession)
def begin_secure_session(
    caller: Signed, parts: Parts, conversationId: str, participantId: str, body: SecureSessionBody
) -> SecureSession:
    """Sends a caller into a secure flow. No flow here is of type SECURECALL, so whichever is named is none: 400."""
    seen = call_in_progress(parts, caller, conversationId)
    seen.present(participantId)
    require_control(parts, caller, seen, caller.user_id)
    if not body.flow_id:
        raise bad_request("flowId is required.", "flowId")
    raise bad_request(f"{body.flow_id} is no secure call flow. Use secure pause.", "flowId", "invalid.value")
