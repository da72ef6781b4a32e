"""Orphans: looking through them, listening, giving them to a conversation, deleting them (H1–H6)."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query, Request
from sqlalchemy.orm import Session

from earwitness.store import integrations, orphans, uploads
from earwitness.store import settings as setting_store
from earwitness.store.tables import OrphanRecording
from earwitness.web.api import media, recording_settings
from earwitness.web.api import recording_documents as documents
from earwitness.web.api.interchange import orphan_documents
from earwitness.web.api.interchange.orphan_documents import ORPHANS, OrphanDocument, OrphanedRecording
from earwitness.web.api.recording_audit import note
from earwitness.web.api.recording_documents import DEFAULT_FORMAT, RecordingDocument
from earwitness.web.kernel.callers import Signed
from earwitness.web.kernel.documents import DateInput, OneOf, RequestBody
from earwitness.web.kernel.errors import ApiError, bad_request, conflict, not_found
from earwitness.web.kernel.operations import Family, any_of
from earwitness.web.kernel.paging import CommaList, Listing, Paging
from earwitness.web.kernel.services import Parts, base_url

family = Family("Orphan recordings")

ONE = ORPHANS + "/{orphanId}"
VIEW = "recording:orphan:view"
EDIT = "recording:orphan:edit"
DELETE = "recording:orphan:delete"
DAY_US = 86_400_000_000
KIND = "orphanRecording"
MEDIA = "/api/v2/earwitness/orphanmedia"


class OrphanUpdateRequest(RequestBody):
    """Where an orphan belongs, and the dates of the recording that it becomes (H4)."""

    archive_date: DateInput | None = None
    delete_date: DateInput | None = None
    export_date: DateInput | None = None
    integration_id: str | None = None
    conversation_id: str | None = None


@family.operation("GET", ORPHANS, "get_orphanrecordings", any_of(VIEW), returns=Listing[OrphanDocument], audited=KIND)
def list_orphans(
    caller: Signed,
    parts: Parts,
    page: Paging,
    sort_by: Annotated[str | None, Query(alias="sortBy")] = None,
    has_conversation: Annotated[bool, Query(alias="hasConversation")] = False,
    media: Annotated[Annotated[str, OneOf("Call", "Screen")] | None, Query()] = None,
) -> Listing[OrphanDocument]:
    """Orphans, the newest first. Without ``hasConversation=true`` there are never more than 500 (H5)."""
    descending = sort_by is None or sort_by.strip().casefold() not in ("createdtime", "createdtime:asc", "asc")
    with parts.database.reading() as session:
        found = orphans.listing(
            session,
            known=has_conversation,
            media=media,
            descending=descending,
            number=page.number,
            size=page.size,
        )
        statuses = orphans.statuses(session, found.items)
        shown = [orphan_documents.orphan_document(row, statuses[row.id]) for row in found.items]
    return page.envelope(shown, found.total)


@family.operation("GET", ONE, "get_orphanrecording", any_of(VIEW), returns=OrphanDocument, audited=KIND)
def one_orphan(caller: Signed, parts: Parts, orphanId: str) -> OrphanDocument:
    """An orphan. One that was attached or deleted is not there any more."""
    with parts.database.reading() as session:
        row = _find(session, orphanId)
        found = orphan_documents.orphan_document(row, orphans.statuses(session, [row])[row.id])
    note(parts, caller, "viewOrphan", KIND, row.id, row.conversation_id)
    return found


@family.operation(
    "GET", ONE + "/media", "get_orphanrecording_media", any_of(VIEW), returns=OrphanedRecording, audited=KIND
)
def orphan_media(
    request: Request,
    caller: Signed,
    parts: Parts,
    orphanId: str,
    format_id: Annotated[str, Query(alias="formatId")] = DEFAULT_FORMAT,
    media_formats: Annotated[CommaList, Query(alias="mediaFormats")] = None,
    download: bool = False,
    file_name: Annotated[str | None, Query(alias="fileName", max_length=200)] = None,
) -> OrphanedRecording:
    """The recording of an orphan with addresses to listen to it.

    Nobody listens to the recording that a user has made for the own inbox; and a tape that could not be decoded has no
    audio. Neither has addresses.
    """
    chosen = _format(format_id, media_formats)
    with parts.database.reading() as session:
        row = _find(session, orphanId)
        links = None
        if chosen != "NONE" and orphan_documents.playable(row):
            stored = setting_store.get(session, setting_store.RECORDING)
            minutes = recording_settings.read(stored).recording_playback_url_ttl
            expires_s = parts.clock.now_us() // 1_000_000 + minutes * 60
            subject, base = f"{caller.subject.type}:{caller.subject.id}", base_url(request, parts)
            name = (file_name or row.name or row.id) if download else None
            links = {
                key: base + parts.signer.signed(path_of(row.id, key, chosen), subject, expires_s, download=name)
                for key in documents.channel_keys(orphan_documents.as_recording(row))
            }
        found = orphan_documents.recording_document(row, links)
    note(parts, caller, "viewOrphan", KIND, row.id, row.conversation_id, detail={"media": links is not None})
    return found


@family.operation("PUT", ONE, "put_orphanrecording", any_of(EDIT), returns=RecordingDocument, audited=KIND)
def attach_orphan(
    caller: Signed, parts: Parts, orphanId: str, body: OrphanUpdateRequest | None = None
) -> RecordingDocument:
    """Gives an orphan to a conversation: it becomes a recording of the same id, and is no orphan any more (H3).

    ``conversationId`` may be left out where the orphan's conversation is known. Archive and export dates lie more than
    a day ahead, the delete date after both; ``exportDate`` needs ``integrationId`` (H4).
    """
    wanted = body or OrphanUpdateRequest()
    now = parts.clock.now_us()
    try:
        with parts.database.transaction() as session:
            row = _find(session, orphanId, lock=True)
            dates = _dates(session, wanted, now)
            conversation_id = _conversation(session, row, wanted.conversation_id)
            before = {"orphanStatus": orphans.statuses(session, [row])[row.id], "conversationId": row.conversation_id}
            recording = orphans.attach(session, row, conversation_id, now, dates)
            uploads.settle(session, recording.id, uploads.SUCCESS, now)
            detail: dict[str, Any] = {"before": before, "after": {"conversationId": conversation_id, **dates}}
            note(parts, caller, "attach", KIND, recording.id, conversation_id, session=session, detail=detail)
            created = {"source": "orphan"}
            note(
                parts,
                caller,
                "recording.created",
                "recording",
                recording.id,
                conversation_id,
                session=session,
                detail=created,
            )
            return documents.recording_document(recording, [], None)
    except ApiError:
        note(parts, caller, "attach", KIND, orphanId, None, allowed=False)
        raise


@family.operation("DELETE", ONE, "delete_orphanrecording", any_of(DELETE), returns=OrphanDocument, audited=KIND)
def delete_orphan(caller: Signed, parts: Parts, orphanId: str) -> OrphanDocument:
    """Deletes an orphan: at once nobody reaches it, and its audio is destroyed, key first. Repeating it is fine."""
    by = f"{caller.subject.type}:{caller.subject.id}"
    with parts.database.transaction() as session:
        row = orphans.get(session, orphanId, deleted=True, lock=True)
        if row is None:
            raise not_found("orphan recording", orphanId)
        status = orphans.statuses(session, [row])[row.id]
        if row.file_state != orphans.DELETED:
            orphans.condemn(session, row, by=by, reason="deleted as an orphan")
            uploads.settle(session, row.id, uploads.FAILURE, parts.clock.now_us(), "the orphan was deleted")
            note(parts, caller, "delete", KIND, row.id, row.conversation_id, session=session)
        return orphan_documents.orphan_document(row, status)


def path_of(orphan_id: str, key: str, format_id: str) -> str:
    """The address of a channel of an orphan in a format, without its signature."""
    return f"{MEDIA}/{orphan_id}/{key}.{media.EXTENSIONS[format_id]}"


def _find(session: Session, orphan_id: str, *, lock: bool = False) -> OrphanRecording:
    row = orphans.get(session, orphan_id, lock=lock)
    if row is None:
        raise not_found("orphan recording", orphan_id)
    return row


def _conversation(session: Session, row: OrphanRecording, given: str | None) -> str:
    """The conversation to attach to.

    :raises ApiError: 400, none is told, or it is not there; 409, it takes none.
    """
    conversation_id = given or row.conversation_id
    if conversation_id is None:
        raise bad_request("conversationId is needed: nothing tells whose conversation this is.", "conversationId")
    target = orphans.target(session, conversation_id)
    if target is None:
        raise bad_request(f"There is no finished conversation {conversation_id}.", "conversationId", "invalid.value")
    if target.consent_refused:
        raise conflict("The caller of that conversation refused to be recorded.", "consent.refused")
    if row.kind == "user" and row.owner_user_id is None:
        raise conflict("It is a user's own recording, and nothing tells whose.", "owner.unknown")
    return conversation_id


def _dates(session: Session, wanted: OrphanUpdateRequest, now: int) -> dict[str, Any]:
    """The dates to set (H4).

    :raises ApiError: 400 naming the field.
    """
    soonest = now + DAY_US
    for field, value in (("archiveDate", wanted.archive_date), ("exportDate", wanted.export_date)):
        if value is not None and value <= soonest:
            raise bad_request(f"{field} must be more than a day ahead.", field, "invalid.date")
    if wanted.delete_date is not None:
        least = max([soonest, *(date for date in (wanted.archive_date, wanted.export_date) if date is not None)])
        if wanted.delete_date <= least:
            raise bad_request(
                "deleteDate must be more than a day ahead, and later than archiveDate and exportDate.",
                "deleteDate",
                "invalid.date",
            )
    if wanted.export_date is not None and not wanted.integration_id:
        raise bad_request("exportDate needs integrationId.", "integrationId")
    if wanted.integration_id and integrations.get(session, wanted.integration_id) is None:
        raise bad_request(f"There is no integration {wanted.integration_id}.", "integrationId", "invalid.value")
    dates: dict[str, Any] = {
        "archive_date": wanted.archive_date,
        "delete_date": wanted.delete_date,
        "export_date": wanted.export_date,
        "export_integration_id": wanted.integration_id if wanted.export_date is not None else None,
    }
    return {name: value for name, value in dates.items() if value is not None}


def _format(format_id: str, media_formats: list[str] | None) -> str:
    for name in media_formats or [format_id]:
        if name.upper() in documents.FORMATS:
            return name.upper()
    field = "mediaFormats" if media_formats else "formatId"
    raise bad_request(f"{field} must be one of {', '.join(documents.FORMATS)}.", field, "invalid.value")
