"""Batch downloads (I10): each item is looked up with the rights of the one who asked, and made ready.

An item without a recording stands for every recording of its conversation that exists for the asker. A conversation
that is not stored yet is waited for. Whatever is wrong with an item is told at that item; the others go on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from sqlalchemy.orm import Session

from earwitness.archive.render.convert import FORMATS
from earwitness.archive.vault import DestroyedError, KeyServiceError, VaultError
from earwitness.domain.access import Access, Subject
from earwitness.store import access as access_store
from earwitness.store import batch_downloads, conversations, hearing, oauth, recordings, users
from earwitness.store.tables import BatchDownload, BatchDownloadItem, Recording
from earwitness.worker.bench import Bench
from earwitness.worker.deriving import derive
from earwitness.worker.vaults import vault_of

log = structlog.get_logger()

MOST_JOBS = 5
MOST_ITEMS = 25
"""Of a job, in one go."""
PATIENCE_US = 600_000_000
"""How long a conversation that nobody has heard of is waited for."""
PLAYABLE = ("AVAILABLE", "RESTORED")


@dataclass(frozen=True, slots=True)
class _Ready:
    """An item whose recording may be heard and can be played."""

    number: int
    recording_id: str
    channels: int
    format_id: str
    whole: bool
    """The asker hears all of it: what is made ahead is what will be fetched."""


def work(bench: Bench) -> int:
    """Does a part of what there is to do; gives how many items."""
    with bench.database.reading() as session:
        jobs = [job.id for job in batch_downloads.unfinished(session, MOST_JOBS)]
        old = batch_downloads.old(session, bench.now_us())
    if old:
        with bench.database.transaction() as session:
            batch_downloads.forget(session, old)
    return sum(_work(bench, job_id) for job_id in jobs)


def _work(bench: Bench, job_id: str) -> int:
    with bench.database.transaction() as session:
        job = batch_downloads.locked(session, job_id)
        if job is None or job.finished_at is not None:
            return 0
        ready = _resolve(session, job, bench.now_us())
    for item in ready:
        _make(bench, job_id, item)
    with bench.database.transaction() as session:
        job = batch_downloads.locked(session, job_id)
        if job is not None and all(item.done_at is not None for item in batch_downloads.items(session, job_id)):
            job.finished_at = job.finished_at or bench.now_us()
    return len(ready)


def _resolve(session: Session, job: BatchDownload, now: int) -> list[_Ready]:
    """Looks items up, and tells of those that cannot be had."""
    subject = Subject(job.subject_type, job.subject_id)
    owner = users.get(session, subject.id) if subject.type == "user" else oauth.client(session, subject.id)
    access = access_store.access_of(session, subject) if owner is not None and owner.state == "active" else None
    ready: list[_Ready] = []
    items = [item for item in batch_downloads.items(session, job.id) if item.done_at is None]
    for item in items[:MOST_ITEMS]:
        if access is None:
            _refuse(item, "You are not with this organisation any more.", now)
            continue
        for found in _found(session, job, item, access, now):
            cut = hearing.heard(session, access, found[1])
            chosen = job.format_id or ("WAV" if found[1].mime_type != "audio/ogg" else "OGG_OPUS")
            found[0].format_id = chosen
            ready.append(_Ready(found[0].number, found[1].id, found[1].channels, chosen, cut is None))
    session.flush()
    return ready


def _found(
    session: Session, job: BatchDownload, item: BatchDownloadItem, access: Access, now: int
) -> list[tuple[BatchDownloadItem, Recording]]:
    """The recordings of an item that can be played, each with an item of its own."""
    if item.recording_id is not None:
        row = recordings.get(session, access, item.recording_id)
        rows: Sequence[Recording] = [row] if row is not None and row.conversation_id == item.conversation_id else []
        missing = "There is no such recording in this conversation, or not for you."
    else:
        rows = recordings.of_conversation(session, access, item.conversation_id)
        missing = "There is no such conversation, or no recording of it for you."
    if not rows:
        waits = not conversations.stored(session, item.conversation_id) and now - job.created_at < PATIENCE_US
        if not waits:
            _refuse(item, missing, now)
        return []
    found = []
    for at, row in enumerate(rows):
        own = item if at == 0 else _another(session, job, item)
        own.recording_id = row.id
        problem = _problem(row)
        if problem is not None:
            _refuse(own, problem, now)
        else:
            found.append((own, row))
    return found


def _another(session: Session, job: BatchDownload, item: BatchDownloadItem) -> BatchDownloadItem:
    row = BatchDownloadItem(
        job_id=job.id,
        number=batch_downloads.next_number(session, job.id),
        conversation_id=item.conversation_id,
    )
    session.add(row)
    session.flush()
    return row


def _problem(row: Recording) -> str | None:
    if row.file_state == "DELETED":
        return "The recording was deleted."
    if row.file_state in ("ARCHIVED", "RESTORING"):
        return "The recording is archived: restore it first."
    if row.file_state not in PLAYABLE:
        return f"The recording cannot be played: it is {row.file_state}."
    return None


def _refuse(item: BatchDownloadItem, error: str, now: int) -> None:
    item.error, item.done_at = error, now


def _make(bench: Bench, job_id: str, ready: _Ready) -> None:
    error, media_type = None, FORMATS[ready.format_id].media_type
    try:
        if ready.whole:
            derive(bench, vault_of(bench.arguments), ready.recording_id, ready.channels, ready.format_id)
    except DestroyedError:
        error = "The recording was deleted."
    except KeyServiceError as problem:
        error = f"The recording cannot be read now: {problem}"
    except (VaultError, ValueError) as problem:
        log.error("a recording of a batch cannot be read", recording_id=ready.recording_id, error=repr(problem))
        error = "The recording cannot be read; it may have been damaged."
    with bench.database.transaction() as session:
        for item in batch_downloads.items(session, job_id):
            if item.number == ready.number and item.done_at is None:
                item.content_type = media_type if error is None else None
                item.error, item.done_at = error, bench.now_us()
        session.flush()
