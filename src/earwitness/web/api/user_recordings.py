"""The inbox: recordings that users made for themselves. No permission is needed, being the owner is (E2, E9).

What is another's does not exist (404), whoever asks. Every operation starts from the scoped query of the inbox.
"""

from __future__ import annotations

import asyncio
import functools
from typing import Annotated

import anyio.to_thread
from fastapi import Query, Request
from sqlalchemy.orm import Session

from earwitness.archive.vault.errors import VaultError
from earwitness.store import conversations as conversation_store
from earwitness.store import recordings as recording_store
from earwitness.store import retention, users
from earwitness.store import settings as setting_store
from earwitness.store import user_recordings as inbox_store
from earwitness.store.tables import Recording
from earwitness.web.api import derived, media, recording_settings
from earwitness.web.api import recording_documents as documents
from earwitness.web.api.conversation_documents import ConversationDocument, conversation_document
from earwitness.web.api.recording_audit import note
from earwitness.web.api.seen import find
from earwitness.web.kernel.callers import Caller, Signed
from earwitness.web.kernel.documents import Document, Moment, Reference, RequestBody, date_text
from earwitness.web.kernel.errors import ApiError, bad_request, not_found
from earwitness.web.kernel.operations import SIGNED_IN, Family
from earwitness.web.kernel.paging import CommaList, Listing, Paging
from earwitness.web.kernel.services import Parts, Services, base_url

family = Family("User recordings")

PATH = "/api/v2/userrecordings"
ONE = PATH + "/{recordingId}"
LONGEST_NAME = 256
PATIENCE_S = 3.0
"""How long a request for another format waits for it, seconds; then it is told that it is being made."""


class UserRecordingDocument(Document):
    """A recording in its owner's inbox."""

    id: str
    name: str
    date_created: Moment
    date_modified: Moment
    created_by: Reference
    conversation: ConversationDocument | Reference
    content_length: int
    duration_milliseconds: int
    read: bool
    self_uri: str


class Summary(Document):
    """How much is in the inbox."""

    read_count: int
    unread_count: int
    total_count: int


class Download(Document):
    """Where to fetch a recording, once it is there."""

    id: str
    state: str
    content_location_uri: str | None = None
    result_uri: str | None = None
    self_uri: str


class UserRecordingChange(RequestBody):
    """What its owner may change. Everything else is ignored (S15)."""

    name: str | None = None
    read: bool | None = None


@family.operation("GET", PATH, "get_userrecordings", SIGNED_IN, returns=Listing[UserRecordingDocument])
def list_user_recordings(
    caller: Signed, parts: Parts, page: Paging, expand: CommaList = None
) -> Listing[UserRecordingDocument]:
    """The caller's own recordings, newest first. ``expand=conversation`` adds the conversations."""
    with parts.database.reading() as session:
        found = inbox_store.inbox(session, caller.access, number=page.number, size=page.size)
        rows = [_document(parts, caller, session, row, expand) for row in found.items]
        return page.envelope(rows, found.total)


@family.operation("GET", PATH + "/summary", "get_userrecordings_summary", SIGNED_IN, returns=Summary)
def summary(caller: Signed, parts: Parts) -> Summary:
    """How many recordings are in the caller's inbox, opened and not (E10)."""
    with parts.database.reading() as session:
        found = inbox_store.summary(session, caller.access)
    return Summary(read_count=found.read, unread_count=found.unread, total_count=found.total)


@family.operation("GET", ONE, "get_userrecording", SIGNED_IN, returns=UserRecordingDocument)
def one_user_recording(
    caller: Signed, parts: Parts, recordingId: str, expand: CommaList = None
) -> UserRecordingDocument:
    """One of the caller's own recordings."""
    with parts.database.reading() as session:
        return _document(parts, caller, session, _get(session, caller, recordingId), expand)


@family.operation("PUT", ONE, "put_userrecording", SIGNED_IN, returns=UserRecordingDocument)
def change_user_recording(
    caller: Signed, parts: Parts, recordingId: str, body: UserRecordingChange, expand: CommaList = None
) -> UserRecordingDocument:
    """Changes the name or the read flag."""
    given, now = body.given(), parts.clock.now_us()
    name = (body.name or "").strip() or None
    if name is not None and len(name) > LONGEST_NAME:
        raise bad_request(f"name may have {LONGEST_NAME} characters.", "name", "invalid.value")
    with parts.database.transaction() as session:
        row = _get(session, caller, recordingId)
        changed = {}
        if "name" in given and name != name_of(row) and inbox_store.rename(session, row, name, now):
            changed["name"] = name
        if body.read is not None and inbox_store.set_read(session, row, body.read, now):
            changed["read"] = str(body.read).lower()
        if changed:
            action = "editUserRecording"
            note(parts, caller, action, "recording", row.id, row.conversation_id, session=session, detail=changed)
        return _document(parts, caller, session, row, expand)


@family.operation("DELETE", ONE, "delete_userrecording", SIGNED_IN, status=204)
def delete_user_recording(caller: Signed, parts: Parts, recordingId: str) -> None:
    """Deletes a recording: nobody reaches it from now on, and within seconds its key, then its objects are destroyed.

    No date, policy or protection touches an inbox (E8): its owner deletes when it pleases. A tombstone with the receipt
    stays.
    """
    with parts.database.transaction() as session:
        tombstone = recording_store.get(session, caller.access, recordingId)
        if tombstone is not None and tombstone.role == "ADHOC" and tombstone.file_state == "DELETED":
            return
        row = _get(session, caller, recordingId)
        note(parts, caller, "deleteUserRecording", "recording", row.id, row.conversation_id, session=session)
        by, now = f"{caller.subject.type}:{caller.subject.id}", parts.clock.now_us()
        retention.ask_to_delete(session, [row.id], by, "deleted by its owner", now, inbox=True)


@family.operation("GET", ONE + "/transcoding", "get_userrecording_transcoding", SIGNED_IN, returns=Download)
async def transcoding(
    request: Request,
    caller: Signed,
    parts: Parts,
    recordingId: str,
    format_id: Annotated[
        str, Query(alias="formatId", json_schema_extra={"enum": list(documents.FORMATS)})
    ] = documents.DEFAULT_FORMAT,
) -> Download:
    """Where to fetch a recording in a format. ``state`` is Running while it is being made: ask again (E11)."""
    chosen = format_id.upper()
    if chosen not in documents.FORMATS or chosen == "NONE":
        raise bad_request("formatId must be an audio format.", "formatId", "invalid.value")
    row = await anyio.to_thread.run_sync(_row, parts, caller, recordingId)
    key = documents.STEREO if row.channels == 2 else "0"
    look = functools.partial(derived.find, parts, row.id, key, chosen, row.channels)
    try:
        found = await anyio.to_thread.run_sync(look)
        if isinstance(found, derived.Unmade):
            work = asyncio.ensure_future(
                parts.conversions.done(found.derived_id, functools.partial(derived.make, parts, found))
            )
            work.add_done_callback(lambda done: done.cancelled() or done.exception())
            finished, _ = await asyncio.wait([work], timeout=PATIENCE_S)
            if finished:
                work.result()
                found = await anyio.to_thread.run_sync(look)
    except VaultError as error:
        raise ApiError(500, "The recording cannot be read; it may have been damaged.") from error
    uri = None
    if not isinstance(found, derived.Unmade):
        uri = await anyio.to_thread.run_sync(_link, request, parts, caller, row, key, chosen)
    state = "Completed" if uri is not None else "Running"
    return Download(
        id=row.id, state=state, content_location_uri=uri, result_uri=uri, self_uri=f"{PATH}/{row.id}/transcoding"
    )


def _row(parts: Services, caller: Caller, recording_id: str) -> Recording:
    with parts.database.reading() as session:
        row = _get(session, caller, recording_id)
    if row.file_state not in documents.PLAYABLE:
        raise not_found("recording", recording_id)
    note(parts, caller, "viewUserRecording", "recording", row.id, row.conversation_id)
    return row


def _link(request: Request, parts: Services, caller: Caller, row: Recording, key: str, chosen: str) -> str:
    with parts.database.reading() as session:
        stored = setting_store.get(session, setting_store.RECORDING)
    expires_s = parts.clock.now_us() // 1_000_000 + recording_settings.read(stored).recording_playback_url_ttl * 60
    subject = f"{caller.subject.type}:{caller.subject.id}"
    path = media.path_of(row.id, key, chosen)
    return base_url(request, parts) + parts.signer.signed(path, subject, expires_s, download=name_of(row))


def _get(session: Session, caller: Caller, recording_id: str) -> Recording:
    row = inbox_store.get(session, caller.access, recording_id)
    if row is None:
        raise not_found("recording", recording_id)
    return row


def name_of(row: Recording) -> str:
    """What its owner calls it, else when it was made."""
    return row.name or f"Recording of {date_text(row.started_at)[:16].replace('T', ' ')}"


def _document(
    parts: Services, caller: Caller, session: Session, row: Recording, expand: list[str] | None
) -> UserRecordingDocument:
    owner = users.get(session, row.owner_user_id or "", deleted=True)
    conversation: ConversationDocument | Reference = Reference(
        id=row.conversation_id, self_uri=f"/api/v2/conversations/{row.conversation_id}"
    )
    if "conversation" in (expand or ()) and conversation_store.get(session, caller.access, row.conversation_id):
        seen = find(parts, session, caller.access, row.conversation_id)
        conversation = conversation_document(seen.timeline, seen.divisions, seen.external_tag)
    return UserRecordingDocument(
        id=row.id,
        name=name_of(row),
        date_created=row.created_at,
        date_modified=row.modified_at,
        created_by=Reference(
            id=row.owner_user_id or "",
            name=owner.name if owner is not None else None,
            self_uri=f"/api/v2/users/{row.owner_user_id}",
        ),
        conversation=conversation,
        content_length=row.size,
        duration_milliseconds=row.duration_ms,
        read=row.read,
        self_uri=f"{PATH}/{row.id}",
    )
