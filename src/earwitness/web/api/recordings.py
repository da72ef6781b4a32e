"""Recordings of a conversation: with media, without, and their dates."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Annotated

import anyio.to_thread
from fastapi import Query, Request
from fastapi.responses import JSONResponse
from sqlalchemy.orm import Session

from earwitness.store import conversations as conversation_store
from earwitness.store import hearing, recordings_queries, users
from earwitness.store import recordings as recording_store
from earwitness.store import settings as setting_store
from earwitness.store.tables import Recording
from earwitness.store.visibility import VIEW_RECORDINGS
from earwitness.web.api import live, media, recording_settings
from earwitness.web.api import recording_documents as documents
from earwitness.web.api.recording_audit import note
from earwitness.web.api.recording_documents import DEFAULT_FORMAT, RecordingDocument, RecordingMetadata
from earwitness.web.api.retention import dates
from earwitness.web.kernel.callers import Caller, Signed
from earwitness.web.kernel.documents import DateInput, Reference, RequestBody
from earwitness.web.kernel.errors import ApiError, bad_request, not_found
from earwitness.web.kernel.operations import Family, any_of
from earwitness.web.kernel.paging import CommaList
from earwitness.web.kernel.services import Parts, Services, base_url

family = Family("Recordings")

PATH = "/api/v2/conversations/{conversationId}"
VIEW_ANNOTATIONS = "recording:annotation:view"
KINDS = ("recording", "recordingSegment", "snippetRecording", "screenRecording")
VIEW = any_of(*(f"recording:{kind}:view" for kind in KINDS))
EDIT = any_of(
    *(f"recording:{kind}:{act}" for kind in (KINDS[0], *KINDS[2:]) for act in ("view", "editRetention", "restore"))
)
LONGEST_WAIT_MS = 30_000
NOT_YET = {202: "The conversation is in progress, or its recordings are being made. See Retry-After."}


class RecordingChange(RequestBody):
    """Dates of a recording: null removes one, an absent one stays. Everything else is ignored (G3)."""

    archive_date: DateInput | None = None
    delete_date: DateInput | None = None
    export_date: DateInput | None = None


HANGING_UP_S = 1.0
"""A call that is still up may be one whose hang-up is under way: so long is waited for its end."""
LOOK_AGAIN_S = 2.0
"""How often a waiting request asks the edge and the spool again."""


@dataclass(frozen=True, slots=True)
class Look:
    """What one look found: recordings of a finished conversation, or the state of one that is not."""

    rows: list[RecordingDocument] | None
    pending: live.Pending | None


@family.operation(
    "GET",
    PATH + "/recordings",
    "get_conversation_recordings",
    VIEW,
    returns=list[RecordingDocument],
    also=NOT_YET,
    audited="recording",
)
async def list_recordings(
    request: Request,
    caller: Signed,
    parts: Parts,
    conversationId: str,
    max_wait_ms: Annotated[int, Query(alias="maxWaitMs", ge=0)] = 5000,
    format_id: Annotated[str, Query(alias="formatId")] = DEFAULT_FORMAT,
    media_formats: Annotated[CommaList, Query(alias="mediaFormats")] = None,
) -> object:
    """Recordings of a conversation that exist for the caller.

    Waits up to ``maxWaitMs`` for a call that has just ended; what is not ready by then is 202 with an empty list. The
    default format is WEBM; ``mediaFormats`` overrides ``formatId``, the first of them that we know is given; NONE
    gives no media. Channel keys: ``0`` always; of dual-channel recordings ``0`` (external party), ``1`` (internal
    side) and ``S`` (both).
    """
    chosen = _format(format_id, media_formats)
    now = parts.clock.monotonic
    deadline = now() + min(max_wait_ms, LONGEST_WAIT_MS) / 1000
    grace = min(deadline, now() + HANGING_UP_S)
    while True:
        look = await anyio.to_thread.run_sync(_look, request, caller, parts, conversationId, chosen)
        if look.rows is not None:
            return look.rows
        ended = look.pending is not None and look.pending.ended
        until = deadline if ended else grace
        again = now() + LOOK_AGAIN_S
        while not (stored := await anyio.to_thread.run_sync(_stored, parts, conversationId)):
            if now() >= min(until, again):
                break
            await asyncio.sleep(parts.arguments.wait_poll_s)
        if not stored and now() >= until:
            return JSONResponse([], 202, headers={"Retry-After": "1"})


def _stored(parts: Services, conversation_id: str) -> bool:
    with parts.database.reading() as session:
        return conversation_store.stored(session, conversation_id)


def _look(request: Request, caller: Caller, parts: Services, conversation_id: str, chosen: str) -> Look:
    for _attempt in range(2):  # a conversation may get into the database between the two questions
        with parts.database.reading() as session:
            visible = _visible(session, caller, conversation_id)  # asked first: it gets there with its recordings
            rows = recording_store.of_conversation(session, caller.access, conversation_id)
            if rows or visible:
                found = [_document(request, caller, parts, session, row, chosen) for row in rows]
                break
            pending = _pending(session, parts, caller, conversation_id)
            if pending is not None:
                return Look(None, pending)
    else:
        note(parts, caller, "listRecordings", "conversation", conversation_id, conversation_id, allowed=False)
        raise not_found("conversation", conversation_id)
    ids = {"recordings": [row.id for row in found]}
    note(parts, caller, "listRecordings", "conversation", conversation_id, conversation_id, detail=ids)
    return Look(found, None)


def _visible(session: Session, caller: Caller, conversation_id: str) -> bool:
    """Whether it exists for the caller, be it without any recording that does."""
    asked = VIEW.permissions
    return any(conversation_store.get(session, caller.access, conversation_id, name) is not None for name in asked)


def _pending(session: Session, parts: Services, caller: Caller, conversation_id: str) -> live.Pending | None:
    found = live.find(parts, session, conversation_id)
    seen = found is not None and any(live.visible(found, caller.access, name) for name in VIEW.permissions)
    return found if seen else None


@family.operation(
    "GET",
    PATH + "/recordings/{recordingId}",
    "get_conversation_recording",
    VIEW,
    returns=RecordingDocument,
    also=NOT_YET,
    audited="recording",
)
def one_recording(
    request: Request,
    caller: Signed,
    parts: Parts,
    conversationId: str,
    recordingId: str,
    format_id: Annotated[str, Query(alias="formatId")] = DEFAULT_FORMAT,
    media_formats: Annotated[CommaList, Query(alias="mediaFormats")] = None,
    download: bool = False,
    file_name: Annotated[str | None, Query(alias="fileName", max_length=200)] = None,
) -> object:
    """A recording. ``download`` makes its addresses offer a file to save, named ``fileName``."""
    chosen = _format(format_id, media_formats)
    with parts.database.reading() as session:
        row = recording_store.get(session, caller.access, recordingId)
        if row is not None and row.conversation_id == conversationId and row.file_state != "DELETED":
            name = (file_name or row.id) if download else None
            found = _document(request, caller, parts, session, row, chosen, name)
        else:
            pending = live.find(parts, session, conversationId)
            if (
                pending is not None
                and live.visible(pending, caller.access, VIEW_RECORDINGS)
                and any(tape.tape_id == recordingId for tape in pending.timeline.tapes)
            ):
                return JSONResponse({}, 202, headers={"Retry-After": "1"})
            found = None
    note(parts, caller, "viewRecording", "recording", recordingId, conversationId, allowed=found is not None)
    if found is None:
        raise not_found("recording", recordingId)
    return found


@family.operation(
    "PUT",
    PATH + "/recordings/{recordingId}",
    "put_conversation_recording",
    any_of(
        *(f"recording:{kind}:{act}" for kind in KINDS[:1] + KINDS[2:] for act in ("view", "editRetention", "restore"))
    ),
    returns=RecordingDocument,
    audited="recording",
)
def change_recording(
    request: Request,
    caller: Signed,
    parts: Parts,
    conversationId: str,
    recordingId: str,
    body: RecordingChange,
    clear_export: Annotated[bool, Query(alias="clearExport")] = False,
) -> RecordingDocument:
    """Changes dates of a recording (G3): seeing it is needed, and the right to edit its retention.

    A date that has passed, and one that contradicts another, is refused. A new archive date of an archived recording
    restores it until then, for who may restore (G4). ``clearExport`` drops a pending export (G5).
    """
    wanted: dict[str, int | None] = body.given()
    if clear_export:
        wanted["export_date"] = None
    try:
        with parts.database.transaction() as session:
            row = dates.change(parts, caller, session, conversationId, recordingId, wanted)
            return _document(request, caller, parts, session, row, DEFAULT_FORMAT)
    except ApiError:
        note(parts, caller, "editRetention", "recording", recordingId, conversationId, allowed=False)
        raise


@family.operation(
    "GET",
    PATH + "/recordingmetadata",
    "get_conversation_recordingmetadata",
    VIEW,
    returns=list[RecordingMetadata],
    also=NOT_YET,
    audited="recording",
)
def list_metadata(caller: Signed, parts: Parts, conversationId: str) -> object:
    """Recordings of a conversation without media; deleted ones are there as tombstones (G14)."""
    with parts.database.reading() as session:
        visible = _visible(session, caller, conversationId)
        rows = recording_store.of_conversation(session, caller.access, conversationId, deleted=True)
        found = [_metadata(session, caller, row) for row in rows]
        visible = visible or bool(rows)
        if not visible:
            pending = _pending(session, parts, caller, conversationId)
            if pending is not None:
                return JSONResponse([], 202, headers={"Retry-After": "1"})
    note(parts, caller, "listRecordings", "conversation", conversationId, conversationId, allowed=visible)
    if not visible:
        raise not_found("conversation", conversationId)
    return found


@family.operation(
    "GET",
    PATH + "/recordingmetadata/{recordingId}",
    "get_conversation_recordingmetadata_recording_id",
    VIEW,
    returns=RecordingMetadata,
    audited="recording",
)
def one_metadata(caller: Signed, parts: Parts, conversationId: str, recordingId: str) -> RecordingMetadata:
    """A recording without media."""
    with parts.database.reading() as session:
        row = recording_store.get(session, caller.access, recordingId)
        fits = row is not None and row.conversation_id == conversationId
        found = _metadata(session, caller, row) if row is not None and fits else None
    note(parts, caller, "viewRecording", "recording", recordingId, conversationId, allowed=found is not None)
    if found is None:
        raise not_found("recording", recordingId)
    return found


def _document(
    request: Request,
    caller: Caller,
    parts: Services,
    session: Session,
    row: Recording,
    chosen: str,
    download: str | None = None,
) -> RecordingDocument:
    links = None
    if chosen != "NONE":
        stored = setting_store.get(session, setting_store.RECORDING)
        ttl_minutes = recording_settings.read(stored).recording_playback_url_ttl
        expires_s = parts.clock.now_us() // 1_000_000 + ttl_minutes * 60
        subject = f"{caller.subject.type}:{caller.subject.id}"
        base = base_url(request, parts)
        links = {
            key: base + parts.signer.signed(media.path_of(row.id, key, chosen), subject, expires_s, download=download)
            for key in documents.channel_keys(row)
        }
    bookmarks, cut = _bookmarks(session, caller, row), hearing.heard(session, caller.access, row)
    return documents.recording_document(row, _people(session, row), links, bookmarks=bookmarks, cut=cut)


def _metadata(session: Session, caller: Caller, row: Recording) -> RecordingMetadata:
    cut = hearing.heard(session, caller.access, row)
    return documents.metadata_document(row, bookmarks=_bookmarks(session, caller, row), cut=cut)


def _bookmarks(session: Session, caller: Caller, row: Recording) -> bool:
    """Whether the caller may see what people noted (G16)."""
    return recording_store.get(session, caller.access, row.id, VIEW_ANNOTATIONS) is not None


def _people(session: Session, row: Recording) -> list[Reference]:
    ids = [row.owner_user_id] if row.owner_user_id else recordings_queries.people(session, row)
    return [
        Reference(id=user.id, name=user.name, self_uri=f"/api/v2/users/{user.id}")
        for user in users.by_ids(session, ids)
    ]


def _format(format_id: str, media_formats: list[str] | None) -> str:
    asked = media_formats or [format_id]
    for name in asked:
        if name.upper() in documents.FORMATS:
            return name.upper()
    field = "mediaFormats" if media_formats else "formatId"
    raise bad_request(f"{field} must be one of {', '.join(documents.FORMATS)}.", field, "invalid.value")
