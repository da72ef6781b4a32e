"""Uploaded files become recordings (I12).

A file has come to the vault as ``upload-<id>``, as it is. It is read, made a master, and sealed under an id of its
own; then it is a recording of its conversation, or, as long as that is not there, an orphan. The file as it came is
destroyed then; its hash stays in the manifest of the recording. Each step may be repeated.
"""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass

import structlog
from sqlalchemy.orm import Session

from earwitness.archive.render.imported import Imported, ImportedError, take_in
from earwitness.archive.vault import DestroyedError, Item, KeyServiceError, Manifest, NotSealedError, Vault, object_key
from earwitness.domain.access import Subject
from earwitness.store import audit, internal, orphans, uploads
from earwitness.store.tables import OrphanRecording, RecordingUpload
from earwitness.worker.bench import Bench
from earwitness.worker.vaults import vault_of

log = structlog.get_logger()

MOST = 5
"""Files in one go."""
MOST_ARRIVALS = 100
DRAFT_S = 6 * 3600.0
"""Longer than any upload takes."""


def vault_id(upload_id: str) -> str:
    """Under which the vault has the file as it came."""
    return f"upload-{upload_id}"


class _RefusedError(Exception):
    """It does not become a recording; the message says why."""


@dataclass(frozen=True, slots=True)
class _Made:
    """A file that is sealed as a recording."""

    imported: Imported
    manifest: Manifest


def work(bench: Bench) -> int:
    """Takes in what has come, and gives orphans to conversations that have come since; gives how many files."""
    with bench.database.reading() as session:
        due = uploads.pending(session, MOST)
    for upload in due:
        try:
            _import(bench, upload)
        except KeyServiceError as error:
            log.warning("an upload waits for the key service", upload_id=upload.id, error=str(error))
        except Exception as error:
            log.exception("an upload cannot be taken in now; tried again", upload_id=upload.id, error=repr(error))
    match(bench)
    clear(bench)
    return len(due)


def tidy(bench: Bench) -> None:
    """Removes what uploads leave: files that a web process died over, addresses that nobody used, old reports."""
    now = bench.now_us()
    for path in bench.arguments.spool.glob(".upload-*"):
        with contextlib.suppress(FileNotFoundError):
            if now / 1e6 - path.stat().st_mtime > DRAFT_S:
                path.unlink()
                log.warning("a file of an upload that was broken off is removed", path=str(path))
    with bench.database.reading() as session:
        announced, reports = uploads.forgettable(session, now)
    if announced or reports:
        with bench.database.transaction() as session:
            uploads.forget(session, announced, reports)


def match(bench: Bench) -> int:
    """Gives uploaded orphans to their conversations; gives how many."""
    with bench.database.reading() as session:
        arrived = [row.id for row in orphans.arrived(session, MOST_ARRIVALS)]
    for orphan_id in arrived:
        with bench.database.transaction() as session:
            row = orphans.get(session, orphan_id, lock=True)
            if row is not None:
                _attach(session, row, bench.now_us(), audit.SYSTEM)
    return len(arrived)


def _attach(session: Session, row: OrphanRecording, now: int, by: Subject) -> bool:
    """Gives an orphan to its conversation, if that is there and takes it; notes what became of the upload."""
    target = orphans.target(session, row.conversation_id) if row.conversation_id is not None else None
    if target is None:
        return False
    if target.consent_refused:
        error = "the caller of that conversation refused to be recorded"
        uploads.settle(session, row.id, uploads.FAILURE, now, error)
        orphans.condemn(session, row, by="system", reason=error)
        return False
    orphan_id = row.id
    orphans.attach(session, row, target.id, now)
    uploads.settle(session, orphan_id, uploads.SUCCESS, now)
    audit.add(
        session,
        at=now,
        subject=by,
        action="recording.created",
        entity_type="recording",
        entity_id=orphan_id,
        conversation_id=target.id,
        detail={"source": "upload"},
    )
    return True


def _import(bench: Bench, upload: RecordingUpload) -> None:
    vault = vault_of(bench.arguments)
    try:
        _check(bench, upload)
        made = _seal(bench, vault, upload)
    except (_RefusedError, ImportedError) as error:
        with bench.database.transaction() as session:
            row = uploads.get(session, upload.id, lock=True)
            if row is not None and row.state == uploads.PENDING:
                row.state, row.error, row.finished_at = uploads.FAILURE, str(error), bench.now_us()
                _tell(session, bench.now_us(), row, "upload.refused", {"error": str(error)})
    else:
        with bench.database.transaction() as session:
            row = uploads.get(session, upload.id, lock=True)
            if row is not None and row.state == uploads.PENDING:
                _store(session, row, made, bench.now_us())


def clear(bench: Bench) -> int:
    """Destroys files as they came, once it is decided what becomes of them; gives how many."""
    with bench.database.reading() as session:
        ids = uploads.uncleared(session, MOST)
    for upload_id in ids:
        vault_of(bench.arguments).destroy(
            vault_id(upload_id), by="system", reason="the upload was taken in, or refused", at_us=bench.now_us()
        )
        with bench.database.transaction() as session:
            row = uploads.get(session, upload_id, lock=True)
            if row is not None:
                row.cleared_at = bench.now_us()
    return len(ids)


def _check(bench: Bench, upload: RecordingUpload) -> None:
    """:raises _RefusedError: it is there already, or may not be."""
    with bench.database.reading() as session:
        same = uploads.same_file(session, upload)
        if same is not None:
            recording = internal.recording(session, same.recording_id) if same.recording_id else None
            orphan = orphans.get(session, same.recording_id) if same.recording_id else None
            there = orphan is not None or (recording is not None and recording.file_state != "DELETED")
            if there or same.state == uploads.PENDING:
                raise _RefusedError(f"the same file was uploaded before, as {same.file_name} ({same.id})")
        target = orphans.target(session, upload.conversation_id) if upload.conversation_id else None
    if target is not None and target.consent_refused:
        raise _RefusedError("the caller of that conversation refused to be recorded")


def _seal(bench: Bench, vault: Vault, upload: RecordingUpload) -> _Made:
    try:
        content = vault.open(vault_id(upload.id)).item("upload").read()
    except (NotSealedError, DestroyedError) as error:
        raise _RefusedError("the file is not there any more") from error
    assert upload.recording_id is not None
    out = io.BytesIO()
    imported = take_in(io.BytesIO(content), out)
    facts = {
        "conversation_id": upload.conversation_id,
        "kind": "trunk",
        "uploaded": {"id": upload.id, "file_name": upload.file_name, "sha256": upload.sha256, "codec": imported.codec},
        "length_ms": imported.length_ms,
    }
    item = Item("master", imported.media_type, out.getvalue())
    return _Made(imported, vault.seal(upload.recording_id, [item], facts, bench.now_us()))


def _store(session: Session, upload: RecordingUpload, made: _Made, now: int) -> None:
    imported, master = made.imported, made.manifest.item("master")
    start = upload.started_at if upload.started_at is not None else upload.received_at or now
    end = start + imported.length_ms * 1000
    assert upload.recording_id is not None
    row = OrphanRecording(
        id=upload.recording_id,
        name=upload.file_name,
        conversation_id=upload.conversation_id,
        source="upload",
        why="the conversation is not there" if upload.conversation_id else "nobody told whose conversation it is",
        kind="trunk",
        media_subtype="Trunk",
        file_state=orphans.AVAILABLE,
        started_at=start,
        ended_at=end,
        duration_ms=imported.length_ms,
        audio_format=imported.audio_format,
        mime_type=imported.media_type,
        channels=imported.channels,
        sample_rate=imported.rate,
        size=master.size,
        sha256=master.sha256,
        annotations=[],
        openings=[{"from_us": start, "to_us": end}],
        quality={"imported": {"codec": imported.codec, "silencePercent": imported.silence_percent}},
        peaks=imported.peaks.to_bytes(),
        objects=[
            {
                "object_key": object_key(upload.recording_id, master.name),
                "role": "master",
                "media_type": master.media_type,
                "size": master.size,
                "sha256": master.sha256,
                "created_at": now,
            }
        ],
        created_at=upload.received_at or now,
        recovered_at=now,
    )
    orphans.add(session, row)
    upload.state, upload.error = uploads.WAITING, None
    session.flush()
    subject = Subject(upload.subject_type, upload.subject_id)
    if not _attach(session, row, now, subject) and upload.state == uploads.WAITING:
        _tell(session, now, upload, "orphan.created", {"source": "upload", "conversationId": upload.conversation_id})


def _tell(session: Session, at: int, upload: RecordingUpload, action: str, detail: dict[str, str | None]) -> None:
    audit.add(
        session,
        at=at,
        subject=Subject(upload.subject_type, upload.subject_id),
        action=action,
        entity_type="recordingUpload" if action.startswith("upload") else "orphanRecording",
        entity_id=upload.id if action.startswith("upload") else upload.recording_id,
        conversation_id=upload.conversation_id,
        remote_address=upload.remote_address,
        detail={"fileName": upload.file_name, **detail},
    )
