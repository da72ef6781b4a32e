"""Recordings as the contract's documents."""

from __future__ import annotations

import uuid
from typing import Any

from sqlalchemy import inspect

from earwitness.domain.access.parts import Cut, annotations_within
from earwitness.store.tables import Recording
from earwitness.web.kernel.documents import Document, Moment, Reference

RESTORATIONS = 10_000
"""Constant by contract (G13)."""
PLAYABLE = {"AVAILABLE", "RESTORED"}
WAVEFORM_POINTS = 400
FORMATS = ("WAV", "WEBM", "WAV_ULAW", "OGG_VORBIS", "OGG_OPUS", "MP3", "NONE")
"""``formatId`` (G7)."""
DEFAULT_FORMAT = "WEBM"
STEREO = "S"
"""Channel key of the two-channel file of a dual-channel recording."""


class MediaResult(Document):
    """Where a channel can be fetched, without a bearer token, for a while."""

    media_uri: str
    waveform_data: list[float]


class AnnotationDocument(Document):
    """A stretch that was not recorded, and why; or what somebody noted at a place. Milliseconds."""

    id: str
    name: str | None = None
    type: str
    location: int
    duration_ms: int
    absolute_location: int
    absolute_duration_ms: int
    recording_location: int
    recording_duration_ms: int
    realtime_location: int
    reason: str | None = None
    description: str | None = None
    user: Reference | None = None
    self_uri: str


class RecordingMetadata(Document):
    """A recording without its media."""

    id: str
    conversation_id: str
    start_time: Moment | None = None
    end_time: Moment | None = None
    media: str
    media_subtype: str
    annotations: list[AnnotationDocument] | None = None
    file_state: str
    restore_expiration_time: Moment | None = None
    archive_date: Moment | None = None
    archive_medium: str | None = None
    delete_date: Moment | None = None
    export_date: Moment | None = None
    exported_date: Moment | None = None
    max_allowed_restorations_for_org: int
    remaining_restorations_allowed_for_org: int
    session_id: str | None = None
    self_uri: str


class RecordingDocument(Document):
    """A recording."""

    id: str
    conversation_id: str
    start_time: Moment | None = None
    end_time: Moment | None = None
    media: str
    media_subtype: str
    annotations: list[AnnotationDocument]
    file_state: str
    restore_expiration_time: Moment | None = None
    media_uris: dict[str, MediaResult] | None = None
    estimated_transcode_time_ms: int
    actual_transcode_time_ms: int
    archive_date: Moment | None = None
    archive_medium: str | None = None
    delete_date: Moment | None = None
    export_date: Moment | None = None
    exported_date: Moment | None = None
    output_duration_ms: int
    output_size_in_bytes: int
    max_allowed_restorations_for_org: int
    remaining_restorations_allowed_for_org: int
    session_id: str | None = None
    users: list[Reference]
    recording_file_role: str
    original_recording_start_time: Moment
    creation_time: Moment
    associated_conversation_ids: list[str]
    self_uri: str


def uri(row: Recording) -> str:
    """The address of a recording's document."""
    return f"/api/v2/conversations/{row.conversation_id}/recordings/{row.id}"


def channel_keys(row: Recording) -> tuple[str, ...]:
    """Keys of ``mediaUris``: ``0`` always; of dual-channel ones ``0`` and ``1`` alone and ``S`` together (G8)."""
    return ("0", "1", STEREO) if row.channels == 2 else ("0",)


def waveform(row: Recording, key: str) -> list[float]:
    """Amplitudes 0..1 of a channel."""
    if not row.peaks:
        return []
    from earwitness.archive.render.peaks import Peaks  # numpy takes long to load, and web is to answer soon

    return Peaks.from_bytes(row.peaks).waveform(WAVEFORM_POINTS, int(key) if key != STEREO else None)


def recording_document(
    row: Recording,
    users: list[Reference],
    media_uris: dict[str, str] | None,
    *,
    bookmarks: bool = False,
    cut: Cut | None = None,
) -> RecordingDocument:
    """The document of a recording; ``media_uris`` maps channel keys to addresses, None: without media (G7, G10).

    :param bookmarks: whether the caller may see what people noted; pauses are always there (G16).
    :param cut: what of it the caller hears; None: all (J12, G11).
    """
    original_start, row = row.started_at, shown(row, cut)
    playable = row.file_state in PLAYABLE and (cut is None or bool(cut.stretches))
    return RecordingDocument(
        id=row.id,
        conversation_id=row.conversation_id,
        start_time=row.started_at if playable else None,
        end_time=row.ended_at if playable else None,
        media="audio",
        media_subtype=row.media_subtype,
        annotations=annotation_documents(row, bookmarks=bookmarks),
        file_state=row.file_state,
        restore_expiration_time=row.restore_expires_at,
        media_uris=None
        if media_uris is None or not playable
        else {key: MediaResult(media_uri=link, waveform_data=waveform(row, key)) for key, link in media_uris.items()},
        estimated_transcode_time_ms=0,
        actual_transcode_time_ms=0,
        archive_date=row.archive_date,
        archive_medium=row.archive_medium,
        delete_date=row.delete_date,
        export_date=row.export_date,
        exported_date=row.exported_date,
        output_duration_ms=row.duration_ms,
        output_size_in_bytes=row.size,
        max_allowed_restorations_for_org=RESTORATIONS,
        remaining_restorations_allowed_for_org=RESTORATIONS,
        session_id=row.leg_id,
        users=users,
        recording_file_role=row.role,
        original_recording_start_time=original_start,
        creation_time=row.created_at,
        associated_conversation_ids=[],
        self_uri=uri(row),
    )


def metadata_document(row: Recording, *, bookmarks: bool = False, cut: Cut | None = None) -> RecordingMetadata:
    """A recording without media; annotations while it is available, times of screens only (G12).

    :param cut: what of it the caller hears; None: all (J12).
    """
    row = shown(row, cut)
    return RecordingMetadata(
        id=row.id,
        conversation_id=row.conversation_id,
        media="audio",
        media_subtype=row.media_subtype,
        annotations=annotation_documents(row, bookmarks=bookmarks) if row.file_state == "AVAILABLE" else None,
        file_state=row.file_state,
        restore_expiration_time=row.restore_expires_at,
        archive_date=row.archive_date,
        archive_medium=row.archive_medium,
        delete_date=row.delete_date,
        export_date=row.export_date,
        exported_date=row.exported_date,
        max_allowed_restorations_for_org=RESTORATIONS,
        remaining_restorations_allowed_for_org=RESTORATIONS,
        session_id=row.leg_id,
        self_uri=f"/api/v2/conversations/{row.conversation_id}/recordingmetadata/{row.id}",
    )


def shown(row: Recording, cut: Cut | None) -> Recording:
    """The recording as somebody sees it who hears only some of it: a copy that no session knows."""
    if cut is None:
        return row
    from earwitness.archive.render.cutting import peaks_within
    from earwitness.archive.render.peaks import Peaks

    columns = {attribute.key for attribute in inspect(row).mapper.column_attrs} - inspect(row).unloaded
    copy = Recording(**{name: getattr(row, name) for name in columns})
    copy.size = row.size * cut.length_ms // max(row.duration_ms, 1)
    copy.started_at, copy.ended_at, copy.duration_ms = cut.start_us, cut.end_us, cut.length_ms
    copy.annotations = annotations_within(row.annotations, cut)
    if "peaks" in columns and row.peaks:
        copy.peaks = peaks_within(Peaks.from_bytes(row.peaks), cut.stretches).to_bytes()
    return copy


def annotation_documents(row: Recording, *, bookmarks: bool = True, cut: Cut | None = None) -> list[AnnotationDocument]:
    """Pauses and bookmarks by place. All pauses share an id, holds get a fresh one on each request (B11).

    :param cut: what of the recording the caller hears; None: all (J12).
    """
    row = shown(row, cut)
    shared = str(uuid.uuid5(uuid.NAMESPACE_URL, f"earwitness:pauses:{row.id}"))
    found = []
    for stored in row.annotations:
        if is_pause(stored):
            found.append(_annotation(row, stored, str(uuid.uuid4()) if stored.get("reason") == "Hold" else shared))
        elif bookmarks:
            found.append(_annotation(row, stored, str(stored["id"])))
    return sorted(found, key=lambda item: (item.absolute_location, item.realtime_location))


def is_pause(stored: dict[str, Any]) -> bool:
    """Whether a stored annotation is a pause, as against what somebody noted."""
    return bool(stored.get("type", "pause") == "pause")


def _annotation(row: Recording, stored: dict[str, Any], annotation_id: str) -> AnnotationDocument:
    user_id = stored.get("userId")
    return AnnotationDocument(
        id=annotation_id,
        name=stored.get("name"),
        type=str(stored.get("type", "pause")),
        location=_ms(stored, "location"),
        duration_ms=_ms(stored, "durationMs"),
        absolute_location=_ms(stored, "absoluteLocation"),
        absolute_duration_ms=_ms(stored, "absoluteDurationMs"),
        recording_location=_ms(stored, "recordingLocation"),
        recording_duration_ms=_ms(stored, "recordingDurationMs"),
        realtime_location=_ms(stored, "realtimeLocation"),
        reason=stored.get("reason"),
        description=stored.get("description"),
        user=Reference(id=user_id, self_uri=f"/api/v2/users/{user_id}") if user_id else None,
        self_uri=f"{uri(row)}/annotations/{annotation_id}",
    )


def _ms(stored: dict[str, Any], key: str) -> int:
    return int(stored.get(key) or 0)
