"""Deleting one recording, with a reason (W5), and the receipt of what was destroyed."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Body, Query
from sqlalchemy.orm import Session

from earwitness.archive.vault import receipt as receipts
from earwitness.store import protection, retention, retention_tasks
from earwitness.store import recordings as recording_store
from earwitness.store.tables import Recording, RetentionTask
from earwitness.store.visibility import ADHOC
from earwitness.web.api.recording_audit import note
from earwitness.web.kernel import changes
from earwitness.web.kernel.callers import Caller, Signed
from earwitness.web.kernel.documents import Document, Moment, RequestBody
from earwitness.web.kernel.errors import ApiError, conflict, missing_permissions, not_found
from earwitness.web.kernel.operations import Family, any_of
from earwitness.web.kernel.services import Parts, Services

family = Family("Retention")

PATH = "/api/v2/earwitness/recordings/{recordingId}"
DELETE = "recording:recording:delete"
VIEW = tuple(f"recording:{kind}:view" for kind in ("recording", "recordingSegment"))
LONGEST_REASON = 1000
DESTROYING, DESTROYED = "DESTROYING", "DESTROYED"


class DeletionInput(RequestBody):
    """Why."""

    reason: str | None = None


class LogProof(Document):
    """Where the log of the vault tells of the destruction, and the proof of it (RFC 9162 §2.1.3)."""

    index: int
    size: int
    path: list[str]
    entry: dict[str, Any]
    head: dict[str, Any]


class Destruction(Document):
    """How far the destruction of a recording is; once it is done, its receipt."""

    recording_id: str
    conversation_id: str
    state: str
    by: str | None = None
    reason: str | None = None
    asked_at: Moment | None = None
    tries: int | None = None
    problem: str | None = None
    destroyed_at: Moment | None = None
    receipt: dict[str, Any] | None = None
    public_keys: dict[str, str] | None = None
    log: LogProof | None = None
    self_uri: str


@family.operation(
    "DELETE", PATH, "delete_earwitness_recording", any_of(DELETE), returns=Destruction, audited="recording"
)
def delete_recording(
    caller: Signed,
    parts: Parts,
    recordingId: str,
    reason: Annotated[str | None, Query(max_length=LONGEST_REASON)] = None,
    body: Annotated[DeletionInput | None, Body()] = None,
) -> Destruction:
    """Deletes a recording: from now on nobody reaches it, and within seconds its key, then its files are destroyed.

    A reason is needed, in the query or the body; it is in the audit log and in the receipt. 409: the conversation is
    protected. What users keep in their inboxes is deleted there, by its owner.
    """
    why = changes.required_text(
        reason if body is None or body.reason is None else body.reason, "reason", LONGEST_REASON
    )
    try:
        with parts.database.transaction() as session:
            row = recording_store.get(session, caller.access, recordingId)
            if row is None or row.role == ADHOC:
                raise not_found("recording", recordingId)
            if recording_store.get(session, caller.access, recordingId, DELETE) is None:
                raise missing_permissions((DELETE,), every=True)
            if row.file_state != retention.DELETED:
                _delete(parts, caller, session, row, why)
            return _document(parts, row, retention_tasks.get(session, row.id))
    except ApiError:
        note(parts, caller, "deleteRecording", "recording", recordingId, None, allowed=False)
        raise


def _delete(parts: Services, caller: Caller, session: Session, row: Recording, why: str) -> None:
    by, now = f"{caller.subject.type}:{caller.subject.id}", parts.clock.now_us()
    session.refresh(row, with_for_update=True)
    if protection.protected_among(session, [row.conversation_id]):
        raise conflict("The conversation is protected from deletion.", "deletion.protected")
    retention.ask_to_delete(session, [row.id], by, why, now)
    detail = {"reason": why}
    note(parts, caller, "deleteRecording", "recording", row.id, row.conversation_id, session=session, detail=detail)


@family.operation(
    "GET",
    PATH + "/receipt",
    "get_earwitness_recording_receipt",
    any_of(*VIEW, DELETE),
    returns=Destruction,
    audited="recording",
)
def recording_receipt(caller: Signed, parts: Parts, recordingId: str, proof: bool = False) -> Destruction:
    """What became of a deleted recording: DESTROYING, or DESTROYED with the signed receipt.

    The receipt can be checked without us, see docs/retention.md. ``proof`` adds where the vault's log tells of it.
    404: there is no such recording, or it was not deleted.
    """
    with parts.database.reading() as session:
        found = (recording_store.get(session, caller.access, recordingId, name) for name in (VIEW[0], DELETE))
        row = next((item for item in found if item is not None), None)
        task = retention_tasks.get(session, recordingId) if row is not None else None
    if row is None:
        raise not_found("recording", recordingId)
    if row.file_state != retention.DELETED:
        raise ApiError(404, "The recording was not deleted; there is no receipt.", "not.deleted")
    return _document(parts, row, task, proof=proof)


def _document(parts: Services, row: Recording, task: RetentionTask | None, *, proof: bool = False) -> Destruction:
    destroyed = row.receipt is not None
    signed = (row.receipt or {}).get("receipt", {})
    return Destruction(
        recording_id=row.id,
        conversation_id=row.conversation_id,
        state=DESTROYED if destroyed else DESTROYING,
        by=signed.get("by") or (task.by if task else None),
        reason=signed.get("reason") or (task.reason if task else None),
        asked_at=task.asked_at if task else None,
        tries=task.tries if task and task.tries else None,
        problem=task.problem if task else None,
        destroyed_at=row.deleted_at,
        receipt=row.receipt,
        public_keys=parts.vault.keyring.public_keys() if destroyed else None,
        log=_proof(parts, row) if destroyed and proof else None,
        self_uri=f"/api/v2/earwitness/recordings/{row.id}/receipt",
    )


def _proof(parts: Services, row: Recording) -> LogProof | None:
    """None: the log does not tell of it."""
    entry = receipts.parse(row.receipt or {}).log_entry()
    log = parts.vault.log
    index = log.find(entry)
    if index is None:
        return None
    head = log.head(parts.clock.now_us())
    path = log.tree().inclusion_proof(index, head.size)
    return LogProof(
        index=index, size=head.size, path=[item.hex() for item in path], entry=entry, head=head.to_document()
    )
