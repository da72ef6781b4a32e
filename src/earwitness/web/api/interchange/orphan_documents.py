"""Orphans as the contract's documents."""

from __future__ import annotations

from typing import Any

from earwitness.store.tables import OrphanRecording, Recording
from earwitness.web.api import recording_documents as documents
from earwitness.web.api.recording_documents import AnnotationDocument, MediaResult
from earwitness.web.kernel.documents import Document, Moment, Reference

ORPHANS = "/api/v2/orphanrecordings"
STATUSES = (
    "NO_CONVERSATION",
    "UNKNOWN_CONVERSATION",
    "CONVERSATION_NOT_COMPLETE",
    "CONVERSATION_NOT_EVALUATED",
    "EVALUATED",
)


class OrphanedRecording(Document):
    """What would be its recording, were it attached."""

    id: str
    conversation_id: str | None = None
    start_time: Moment | None = None
    end_time: Moment | None = None
    media: str
    media_subtype: str
    annotations: list[AnnotationDocument]
    file_state: str
    media_uris: dict[str, MediaResult] | None = None
    estimated_transcode_time_ms: int
    actual_transcode_time_ms: int
    output_duration_ms: int
    output_size_in_bytes: int
    max_allowed_restorations_for_org: int
    remaining_restorations_allowed_for_org: int
    session_id: str | None = None
    users: list[Reference]
    recording_file_role: str
    original_recording_start_time: Moment
    creation_time: Moment
    self_uri: str


class OrphanDocument(Document):
    """An orphan."""

    id: str
    name: str | None = None
    created_time: Moment
    recovered_time: Moment
    provider_type: str
    media_size_bytes: int
    media_type: str
    media_subtype: str
    file_state: str
    recording: OrphanedRecording
    orphan_status: str
    why: str | None = None
    """Ours: what kept it from its conversation."""
    self_uri: str


def playable(row: OrphanRecording) -> bool:
    """Whether there is audio: a tape that could not be decoded is kept as it was captured."""
    return row.channels > 0 and row.file_state == "AVAILABLE" and row.kind != "user"


def as_recording(row: OrphanRecording) -> Recording:
    """The orphan as a row that no session knows, for documents."""
    return Recording(
        id=row.id,
        conversation_id=row.conversation_id or "",
        channels=row.channels,
        annotations=row.annotations,
        peaks=row.peaks,
        duration_ms=row.duration_ms,
        started_at=row.started_at,
        file_state=row.file_state,
    )


def recording_document(row: OrphanRecording, links: dict[str, str] | None = None) -> OrphanedRecording:
    """The recording of an orphan; ``links`` maps channel keys to addresses, None: without media (G10)."""
    shown: Any = as_recording(row)
    audible = playable(row)
    return OrphanedRecording(
        id=row.id,
        conversation_id=row.conversation_id,
        start_time=row.started_at if audible else None,
        end_time=row.ended_at if audible else None,
        media="audio",
        media_subtype=row.media_subtype,
        annotations=documents.annotation_documents(shown, bookmarks=False),
        file_state=row.file_state,
        media_uris=None
        if links is None or not audible
        else {
            key: MediaResult(media_uri=link, waveform_data=documents.waveform(shown, key))
            for key, link in links.items()
        },
        estimated_transcode_time_ms=0,
        actual_transcode_time_ms=0,
        output_duration_ms=row.duration_ms,
        output_size_in_bytes=row.size,
        max_allowed_restorations_for_org=documents.RESTORATIONS,
        remaining_restorations_allowed_for_org=documents.RESTORATIONS,
        session_id=row.leg_id,
        users=[],
        recording_file_role="ADHOC" if row.kind == "user" else "CUSTOMER_EXPERIENCE",
        original_recording_start_time=row.started_at,
        creation_time=row.created_at,
        self_uri=f"{ORPHANS}/{row.id}",
    )


def orphan_document(row: OrphanRecording, status: str) -> OrphanDocument:
    """The document of an orphan."""
    return OrphanDocument(
        id=row.id,
        name=row.name,
        created_time=row.created_at,
        recovered_time=row.recovered_at,
        provider_type="EDGE",
        media_size_bytes=row.size,
        media_type="CALL",
        media_subtype=row.media_subtype,
        file_state=row.file_state,
        recording=recording_document(row),
        orphan_status=status,
        why=row.why or None,
        self_uri=f"{ORPHANS}/{row.id}",
    )
