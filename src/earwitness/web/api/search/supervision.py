"""Supervisors in calls of others: barging in, and listening in. Their own phone rings; who answers is in the call."""

from __future__ import annotations

from earwitness.web.api.call_control import CALL, CONVERSATION, ONE
from earwitness.web.api.seen import call_in_progress, command, require
from earwitness.web.kernel.callers import Caller, Signed
from earwitness.web.kernel.errors import bad_request, conflict
from earwitness.web.kernel.operations import Family, any_of
from earwitness.web.kernel.services import Parts, Services

family = Family("Supervision")
BARGE, COACH, MONITOR = (f"conversation:call:{what}" for what in ("barge", "coach", "monitor"))


@family.operation("POST", CONVERSATION + "/barge", "post_conversation_barge", any_of(BARGE), status=202, each_time=True)
def barge(caller: Signed, parts: Parts, conversationId: str) -> None:
    """Joins a call: the caller's phone rings, and whoever answers talks with everybody."""
    _join(parts, caller, conversationId, None, BARGE, muted=False)


@family.operation(
    "POST",
    CALL + ONE + "/barge",
    "post_conversations_call_participant_barge",
    any_of(BARGE),
    status=202,
    each_time=True,
)
def barge_participant(caller: Signed, parts: Parts, conversationId: str, participantId: str) -> None:
    """Joins the call of an agent: the caller's phone rings, and whoever answers talks with everybody."""
    _join(parts, caller, conversationId, participantId, BARGE, muted=False)


@family.operation(
    "POST",
    CALL + ONE + "/monitor",
    "post_conversations_call_participant_monitor",
    any_of(MONITOR),
    status=202,
    each_time=True,
)
def monitor(caller: Signed, parts: Parts, conversationId: str, participantId: str) -> None:
    """Listens in on the call of an agent: the caller's phone rings, and nobody hears who answers.

    Who listens is a participant of the call, muted; ``muted`` false lets the others hear.
    """
    _join(parts, caller, conversationId, participantId, MONITOR, muted=True)


@family.operation(
    "POST",
    CALL + ONE + "/coach",
    "post_conversations_call_participant_coach",
    any_of(COACH),
    status=202,
    each_time=True,
)
def coach(caller: Signed, parts: Parts, conversationId: str, participantId: str) -> None:
    """Refused: whoever talks in a call is heard by everybody on it, so nobody can whisper to an agent."""
    seen = call_in_progress(parts, caller, conversationId)
    require(parts, caller, seen, COACH)
    seen.present(participantId)
    raise conflict("Whoever talks in a call is heard by everybody on it: monitor, or barge in.", "coach.not.supported")


def _join(
    parts: Services, caller: Caller, conversation_id: str, participant_id: str | None, permission: str, *, muted: bool
) -> None:
    if caller.user_id is None:
        raise bad_request("A program has no phone to join with.")
    seen = call_in_progress(parts, caller, conversation_id)
    require(parts, caller, seen, permission)
    if participant_id is not None:
        watched = seen.present(participant_id)
        if watched.user_id is None:
            raise bad_request("The participant is no agent.", "participantId", "invalid.value")
    if seen.own(caller.user_id) is not None:
        raise conflict("The caller is on the call already.", "already.on.call")
    command(parts, caller, seen, "add", to={"user": caller.user_id}, by=caller.user_id, muted=True if muted else None)
