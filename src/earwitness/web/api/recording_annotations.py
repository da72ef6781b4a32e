"""Annotations of a recording: pauses, which nobody changes, and bookmarks, which people make (B10-B12, G16)."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from earwitness.domain.access.parts import Cut, annotations_within
from earwitness.domain.ids import new_id
from earwitness.store import hearing
from earwitness.store import recordings as recording_store
from earwitness.store.tables import Recording
from earwitness.web.api import recording_documents as documents
from earwitness.web.api.recording_audit import note
from earwitness.web.api.recording_documents import AnnotationDocument
from earwitness.web.api.recordings import VIEW_ANNOTATIONS
from earwitness.web.kernel.callers import Caller, Signed
from earwitness.web.kernel.documents import RequestBody
from earwitness.web.kernel.errors import bad_request, missing_permissions, not_found
from earwitness.web.kernel.operations import Family, any_of
from earwitness.web.kernel.services import Parts, Services

family = Family("Annotations")

PATH = "/api/v2/conversations/{conversationId}/recordings/{recordingId}/annotations"
ONE = PATH + "/{annotationId}"
KINDS = ("recording", "recordingSegment", "snippetRecording", "screenRecording")
VIEWS = tuple(f"recording:{kind}:view" for kind in KINDS)
ADD, EDIT, DELETE = (f"recording:annotation:{act}" for act in ("add", "edit", "delete"))
MOST = 500
LONGEST = {"name": 256, "description": 4000, "type": 32}


class AnnotationBody(RequestBody):
    """A bookmark. Places are milliseconds of the file; offsets of the call are worked out (B12)."""

    id: str | None = None
    name: str | None = None
    type: str | None = None
    location: int | None = None
    duration_ms: int | None = None
    absolute_location: int | None = None
    recording_location: int | None = None
    description: str | None = None


@family.operation(
    "GET",
    PATH,
    "get_conversation_recording_annotations",
    any_of(VIEW_ANNOTATIONS, *VIEWS),
    returns=list[AnnotationDocument],
    audited="recording",
)
def list_annotations(caller: Signed, parts: Parts, conversationId: str, recordingId: str) -> list[AnnotationDocument]:
    """Pauses of a recording, and the bookmarks if the caller may see them."""
    with parts.database.reading() as session:
        row = _row(session, caller, conversationId, recordingId)
        return _shown(session, caller, row)


@family.operation(
    "GET",
    ONE,
    "get_conversation_recording_annotation",
    any_of(VIEW_ANNOTATIONS, *VIEWS),
    returns=AnnotationDocument,
    audited="recording",
)
def one_annotation(
    caller: Signed, parts: Parts, conversationId: str, recordingId: str, annotationId: str
) -> AnnotationDocument:
    """One annotation. Pauses share an id: the first is given."""
    with parts.database.reading() as session:
        row = _row(session, caller, conversationId, recordingId)
        return _of_id(_shown(session, caller, row), annotationId)


@family.operation(
    "POST",
    PATH,
    "post_conversation_recording_annotations",
    any_of(ADD, EDIT, *VIEWS),
    returns=AnnotationDocument,
    audited="recording",
)
def add_annotation(
    caller: Signed, parts: Parts, conversationId: str, recordingId: str, body: AnnotationBody
) -> AnnotationDocument:
    """Makes a bookmark; with the id of one that exists, changes it."""
    with parts.database.transaction() as session:
        row = _row(session, caller, conversationId, recordingId, lock=True)
        known = body.id is not None and any(item.get("id") == body.id for item in row.annotations)
        if known:
            _bookmark(row, str(body.id), hearing.heard(session, caller.access, row))
        _require(session, caller, row, EDIT if known else ADD)
        annotation_id = body.id if known and body.id is not None else new_id()
        return _put(session, parts, caller, row, annotation_id, body)


@family.operation(
    "PUT",
    ONE,
    "put_conversation_recording_annotation",
    any_of(EDIT, ADD, *VIEWS),
    returns=AnnotationDocument,
    audited="recording",
)
def change_annotation(
    caller: Signed, parts: Parts, conversationId: str, recordingId: str, annotationId: str, body: AnnotationBody
) -> AnnotationDocument:
    """Changes a bookmark. Absent fields stay."""
    with parts.database.transaction() as session:
        row = _row(session, caller, conversationId, recordingId, lock=True)
        _bookmark(row, annotationId, hearing.heard(session, caller.access, row))
        _require(session, caller, row, EDIT)
        return _put(session, parts, caller, row, annotationId, body)


@family.operation(
    "DELETE",
    ONE,
    "delete_conversation_recording_annotation",
    any_of(DELETE, *VIEWS),
    status=204,
    audited="recording",
)
def remove_annotation(caller: Signed, parts: Parts, conversationId: str, recordingId: str, annotationId: str) -> None:
    """Removes a bookmark."""
    with parts.database.transaction() as session:
        row = _row(session, caller, conversationId, recordingId, lock=True)
        _require(session, caller, row, DELETE)
        _bookmark(row, annotationId, hearing.heard(session, caller.access, row))
        left = [item for item in row.annotations if documents.is_pause(item) or item.get("id") != annotationId]
        _keep(session, parts, caller, row, left, "deleteAnnotation", annotationId)


def _row(session: Session, caller: Caller, conversation_id: str, recording_id: str, *, lock: bool = False) -> Recording:
    row = recording_store.get(session, caller.access, recording_id)
    if row is None or row.conversation_id != conversation_id or row.file_state == "DELETED":
        raise not_found("recording", recording_id)
    if lock:
        session.refresh(row, with_for_update=True)
    return row


def _may(session: Session, caller: Caller, row: Recording, permission: str) -> bool:
    return recording_store.get(session, caller.access, row.id, permission) is not None


def _require(session: Session, caller: Caller, row: Recording, permission: str) -> None:
    if not _may(session, caller, row, permission):
        raise missing_permissions((permission,), every=True)


def _of_id(found: list[AnnotationDocument], annotation_id: str) -> AnnotationDocument:
    for item in found:
        if item.id == annotation_id:
            return item
    raise not_found("annotation", annotation_id)


def _shown(session: Session, caller: Caller, row: Recording) -> list[AnnotationDocument]:
    bookmarks, cut = _may(session, caller, row, VIEW_ANNOTATIONS), hearing.heard(session, caller.access, row)
    return documents.annotation_documents(row, bookmarks=bookmarks, cut=cut)


def _bookmark(row: Recording, annotation_id: str, cut: Cut | None) -> dict[str, Any]:
    """A bookmark of what the caller hears.

    :raises ApiError: 404.
    """
    for item in row.annotations if cut is None else annotations_within(row.annotations, cut):
        if not documents.is_pause(item) and item.get("id") == annotation_id:
            return item
    raise not_found("annotation", annotation_id)


def _put(
    session: Session, parts: Services, caller: Caller, row: Recording, annotation_id: str, body: AnnotationBody
) -> AnnotationDocument:
    others = [item for item in row.annotations if documents.is_pause(item) or item.get("id") != annotation_id]
    before = next((item for item in row.annotations if item.get("id") == annotation_id), None)
    if before is None and sum(not documents.is_pause(item) for item in others) >= MOST:
        raise bad_request(f"A recording may have {MOST} bookmarks.")
    cut = hearing.heard(session, caller.access, row)
    made = {**(before or {"userId": caller.user_id}), "id": annotation_id, **_fields(row, body, before or {}, cut)}
    if made != before:
        action = "addAnnotation" if before is None else "editAnnotation"
        _keep(session, parts, caller, row, [*others, made], action, annotation_id)
    return _of_id(documents.annotation_documents(row, cut=cut), annotation_id)


def _fields(row: Recording, body: AnnotationBody, before: dict[str, Any], cut: Cut | None) -> dict[str, Any]:
    """The stored form: where it is in the file, and where in the call with its pauses still in (B12).

    :param cut: what the caller hears, and counts places in; None: the file (J12).
    """
    given = body.given()
    kind = str(body.type or before.get("type") or "bookmark")
    texts = {"name": body.name, "description": body.description, "type": kind}
    for name, value in texts.items():
        if value is not None and len(value) > LONGEST[name]:
            raise bad_request(f"{name} may have {LONGEST[name]} characters.", name, "invalid.value")
    if kind.casefold() == "pause":
        raise bad_request("Pauses are facts: nobody makes or changes them.", "type", "invalid.value")
    places = (body.recording_location, body.location, body.absolute_location)
    place = next((value for value in places if value is not None), None)
    length = body.duration_ms if body.duration_ms is not None else int(before.get("durationMs") or 0)
    if cut is not None and place is not None:
        longest = cut.length_ms
        if not 0 <= place < longest or not 0 <= length <= longest - place:
            raise bad_request(f"location and durationMs lie within 0 and {longest}.", "location", "invalid.value")
        place, length = cut.outside(place), cut.outside(place + length) - cut.outside(place)
    place = before.get("location") if place is None else place
    if place is None or not 0 <= place <= row.duration_ms or not 0 <= length <= row.duration_ms - place:
        raise bad_request(f"location and durationMs lie within 0 and {row.duration_ms}.", "location", "invalid.value")
    earlier = (item for item in row.annotations if documents.is_pause(item))
    paused = sum(
        int(item.get("durationMs") or 0)
        for item in earlier
        if int(item.get("absoluteLocation") or 0) <= place and int(item.get("realtimeLocation") or 0) > 0
    )
    return {
        "type": kind,
        "location": place,
        "durationMs": length,
        "absoluteLocation": place,
        "absoluteDurationMs": length,
        "recordingLocation": place,
        "recordingDurationMs": length,
        "realtimeLocation": place + paused,
        **{name: texts[name] for name in ("name", "description") if name in given},
    }


def _keep(
    session: Session,
    parts: Services,
    caller: Caller,
    row: Recording,
    annotations: list[dict[str, Any]],
    action: str,
    annotation_id: str,
) -> None:
    row.annotations = annotations
    row.version += 1
    row.modified_at = parts.clock.now_us()
    detail = {"annotation": annotation_id}
    note(parts, caller, action, "recording", row.id, row.conversation_id, session=session, detail=detail)
    session.flush()
