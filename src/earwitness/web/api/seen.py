"""A conversation that exists for the caller, in progress or over, and what the caller may do with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from earwitness.domain.access import Access
from earwitness.domain.conversation.timeline import Participant, Timeline
from earwitness.store import audit, later_facts
from earwitness.store import conversations as conversation_store
from earwitness.store.visibility import VIEW_CONVERSATIONS
from earwitness.web.api import divisions, live
from earwitness.web.api.divisions import DivisionReference
from earwitness.web.kernel.callers import Caller
from earwitness.web.kernel.errors import ApiError, conflict, missing_permissions, not_found
from earwitness.web.kernel.services import Services

DISCONNECT = "conversation:communication:disconnect"


@dataclass(frozen=True, slots=True)
class Seen:
    """A conversation that exists for the caller."""

    timeline: Timeline
    divisions: list[DivisionReference]
    external_tag: str | None
    pending: live.Pending | None
    """Set while the database does not have it."""

    @property
    def id(self) -> str:
        """Of the conversation."""
        return self.timeline.conversation_id

    @property
    def in_progress(self) -> bool:
        """Somebody is still on it."""
        return self.pending is not None and not self.pending.ended

    def participant(self, participant_id: str) -> Participant:
        """A participant, on it still or not.

        :raises ApiError: 404.
        """
        found = self.timeline.participant(participant_id)
        if found is None:
            raise not_found("participant", participant_id)
        return found

    def present(self, participant_id: str) -> Participant:
        """A participant who is still on it.

        :raises ApiError: 404, there is none; 409, it has left.
        """
        found = self.participant(participant_id)
        if found.end is not None or not self.in_progress:
            raise conflict("The participant is not on the call any more.", "participant.left")
        return found

    def own(self, user_id: str | None) -> Participant | None:
        """The participant that a user is at this moment."""
        if user_id is None or not self.in_progress:
            return None
        return next((p for p in self.timeline.participants if p.user_id == user_id and p.end is None), None)


def find(parts: Services, session: Session, access: Access, conversation_id: str) -> Seen:
    """A conversation that the subject may see: by right, or because it took part.

    :raises ApiError: 404; 503 where only the edge could tell and does not answer.
    """
    for _attempt in range(2):  # it may get into the database between the two questions
        row = conversation_store.get(session, access, conversation_id)
        if row is not None:
            touched = set(conversation_store.division_ids(session, row))
            timeline = later_facts.timeline_of(session, row)
            return Seen(timeline, references(session, touched), row.external_tag, None)
        pending = live.find(parts, session, conversation_id)
        if pending is not None:
            if not (live.visible(pending, access, VIEW_CONVERSATIONS) or live.took_part(pending, access)):
                break
            if pending.ended:
                later_facts.add_work(session, pending.timeline)
            return Seen(pending.timeline, references(session, set(pending.divisions)), None, pending)
        session.rollback()  # the next look is to see what was stored meanwhile
    raise not_found("conversation", conversation_id)


def call_in_progress(parts: Services, caller: Caller, conversation_id: str) -> Seen:
    """A call that is up.

    :raises ApiError: 404; 409, it is over.
    """
    with parts.database.reading() as session:
        seen = find(parts, session, caller.access, conversation_id)
    if not seen.in_progress:
        raise over()
    return seen


def references(session: Session, division_ids: set[str]) -> list[DivisionReference]:
    """Mentions of divisions, in order."""
    found = divisions.references(session, division_ids)
    return [found[key] for key in sorted(found)]


def may(parts: Services, caller: Caller, seen: Seen, permission: str) -> bool:
    """Whether the caller may do with the conversation what the permission speaks of.

    Whoever is on the call may with the permission held anywhere, everybody else where the permission reaches the call.
    """
    if not caller.access.allows(permission):
        return False
    if seen.pending is not None:
        if seen.own(caller.user_id) is not None or live.visible(seen.pending, caller.access, permission):
            return True
        return seen.pending.ended and live.took_part(seen.pending, caller.access)
    with parts.database.reading() as session:
        return conversation_store.get(session, caller.access, seen.id, permission) is not None


def require(parts: Services, caller: Caller, seen: Seen, *permissions: str) -> None:
    """:raises ApiError: 403, the caller may do none of these with the conversation."""
    if not any(may(parts, caller, seen, permission) for permission in permissions):
        raise missing_permissions(permissions, every=len(permissions) == 1)


def require_control(parts: Services, caller: Caller, seen: Seen, actor: str | None) -> None:
    """Lets pass who is on the call at this moment, and who may hang up calls of others.

    :raises ApiError: 403.
    """
    if seen.own(actor) is None and not may(parts, caller, seen, DISCONNECT):
        raise missing_permissions((DISCONNECT,), every=True)


def command(parts: Services, caller: Caller, seen: Seen, do: str, **values: Any) -> dict[str, Any]:
    """Has the edge do something in a call, and notes in the audit log who wanted it.

    :param values: arguments of the control API; ``digits`` and attributes are not written to the log.
    :raises ApiError: 409 with the edge's code; 409, the call is over; 503.
    """
    done = attempt(parts, caller, seen, do, **values)
    if done is None:
        raise over()
    return done


def attempt(parts: Services, caller: Caller, seen: Seen, do: str, **values: Any) -> dict[str, Any] | None:
    """The same; None: the call is over by now."""
    detail = {key: value for key, value in values.items() if key not in ("digits", "attributes", "notes", "by")}
    with parts.database.transaction() as session:
        audit.add(
            session,
            at=parts.clock.now_us(),
            subject=caller.subject,
            action=f"call.{do}",
            entity_type="conversation",
            entity_id=seen.id[:64],
            conversation_id=seen.id[:64],
            remote_address=caller.remote_address,
            detail=detail,
        )
    return parts.edge.command(seen.id, do, **values)


def over() -> ApiError:
    """409: nothing can be done with a call that nobody is on."""
    return conflict("The call is over.", "conversation.ended")
