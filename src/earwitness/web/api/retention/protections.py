"""Deletion protection: a legal hold on the recordings of conversations (I1–I6)."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from sqlalchemy.orm import Session

from earwitness.store import conversations as conversation_store
from earwitness.store import protection
from earwitness.store import recordings as recording_store
from earwitness.store.visibility import ADHOC
from earwitness.web.api.recording_audit import note
from earwitness.web.kernel.callers import Caller, Signed
from earwitness.web.kernel.documents import Document, Reference, RequestBody
from earwitness.web.kernel.errors import bad_request, missing_permissions
from earwitness.web.kernel.operations import SIGNED_IN, Family, any_of
from earwitness.web.kernel.services import Parts, Services

family = Family("Deletion protection")

PATH = "/api/v2/recordings/deletionprotection"
APPLY = "recording:deletionProtection:apply"
REVOKE = "recording:deletionProtection:revoke"


class ProtectionQuery(RequestBody):
    """Which conversations."""

    conversation_ids: list[str] | None = None


class FailedUpdate(Document):
    """A conversation whose protection was not changed, and why."""

    conversation: Reference
    error_code: str
    error_message: str


class ProtectionResult(Document):
    """What was not changed; everything else was."""

    failed_updates: list[FailedUpdate]


class Protected(Document):
    """A protected conversation."""

    id: str
    self_uri: str


@family.operation(
    "PUT",
    PATH,
    "put_recordings_deletionprotection",
    any_of(APPLY, REVOKE),
    returns=ProtectionResult,
    audited="conversation",
)
def change_protection(
    caller: Signed, parts: Parts, body: ProtectionQuery, protect: Annotated[bool, Query()] = True
) -> ProtectionResult:
    """Protects conversations from deletion, or ends that. At most 100 at once, and 1,000 protected ones in all.

    Nothing deletes their recordings meanwhile: no date, policy, maximum, job or person. Once it is revoked, the dates
    apply again. A conversation without a recording cannot be protected; it is in ``failedUpdates``.
    """
    needed = APPLY if protect else REVOKE
    if not caller.access.allows(needed):
        raise missing_permissions((needed,), every=True)
    failures = []
    with parts.database.transaction() as session:
        for conversation_id in _ids(body):
            failure = _change(parts, caller, session, conversation_id, protect, needed)
            if failure is not None:
                failures.append(failure)
    return ProtectionResult(failed_updates=failures)


@family.operation("POST", PATH, "post_recordings_deletionprotection", SIGNED_IN, returns=list[Protected], reads=True)
def protected_conversations(caller: Signed, parts: Parts, body: ProtectionQuery) -> list[Protected]:
    """Those of the given conversations that are protected, as far as they exist for the caller."""
    with parts.database.reading() as session:
        held = protection.protected_among(session, _ids(body))
        return [
            Protected(id=conversation_id, self_uri=_uri(conversation_id))
            for conversation_id in _ids(body)
            if conversation_id in held and _sees(session, caller, conversation_id)
        ]


def _ids(body: ProtectionQuery) -> list[str]:
    ids = list(dict.fromkeys(body.conversation_ids or ()))
    if not ids:
        raise bad_request("conversationIds is required.", "conversationIds")
    if len(ids) > protection.MOST_AT_ONCE:
        raise bad_request(
            f"conversationIds may name {protection.MOST_AT_ONCE} conversations.", "conversationIds", "invalid.value"
        )
    return ids


def _change(
    parts: Services, caller: Caller, session: Session, conversation_id: str, protect: bool, needed: str
) -> FailedUpdate | None:
    rows = recording_store.of_conversation(session, caller.access, conversation_id, deleted=True, permission=needed)
    if not any(row.role != ADHOC for row in rows):
        return _failed(conversation_id, "not.found", "There is no such conversation, or it has no recording.")
    was = conversation_id in protection.protected_among(session, [conversation_id])
    if protect and not was and protection.count(session) >= protection.MOST:
        return _failed(conversation_id, "limit.reached", f"{protection.MOST} conversations are protected already.")
    now, by = parts.clock.now_us(), f"{caller.subject.type}:{caller.subject.id}"
    if protect:
        if not protection.protect(session, conversation_id, at=now, by=by):
            return _failed(conversation_id, "no.recording", "Its recordings are deleted.")
    else:
        protection.revoke(session, conversation_id)
    if was != protect:
        action = "protect" if protect else "unprotect"
        note(parts, caller, action, "conversation", conversation_id, conversation_id, session=session)
    return None


def _sees(session: Session, caller: Caller, conversation_id: str) -> bool:
    if conversation_store.get(session, caller.access, conversation_id) is not None:
        return True
    rights = ("recording:recording:view", APPLY, REVOKE)
    return any(
        recording_store.of_conversation(session, caller.access, conversation_id, permission=name) for name in rights
    )


def _failed(conversation_id: str, code: str, message: str) -> FailedUpdate:
    reference = Reference(id=conversation_id, self_uri=_uri(conversation_id))
    return FailedUpdate(conversation=reference, error_code=code, error_message=message)


def _uri(conversation_id: str) -> str:
    return f"/api/v2/conversations/{conversation_id}"
