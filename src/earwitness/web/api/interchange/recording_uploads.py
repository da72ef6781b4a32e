"""Recordings from elsewhere (I12): an address to put a file to, and the file.

A file is a WAV, MP3 or Ogg. Whose conversation it is tells the request (``conversationId``, ours), a header of the PUT,
or an id in the file's name; where nobody tells, or the conversation is not there, the recording is an orphan for the
time being. The file is sealed in the vault as it comes; the worker makes a recording of it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import secrets
from pathlib import Path
from typing import Annotated

import anyio
import anyio.to_thread
import structlog
from fastapi import Request, Response
from obstore.exceptions import BaseError
from sqlalchemy.orm import Session

from earwitness.archive.vault.errors import VaultError
from earwitness.archive.vault.vault import Item
from earwitness.domain.access import Subject
from earwitness.domain.ids import new_id
from earwitness.store import audit, uploads
from earwitness.store.tables import RecordingUpload
from earwitness.web.kernel import uploads as signed_uploads
from earwitness.web.kernel.callers import Signed
from earwitness.web.kernel.documents import DateInput, Document, OneOf, RequestBody, parse_date
from earwitness.web.kernel.errors import ApiError, bad_request, conflict, not_found, unavailable
from earwitness.web.kernel.operations import PUBLIC, Family, all_of
from earwitness.web.kernel.services import Parts, Services, base_url, remote_address

log = structlog.get_logger()

family = Family("Uploads")

UPLOAD = "recording:recording:upload"
PUT_PATH = signed_uploads.BASE + "/recordings"
LIFE_S = 600
LONGEST_LIFE_S = 604_800
LEAST_BYTES = 12
_FORBIDDEN = re.compile(r"[\s\\{^}%`\]\">\[~<#|\x00-\x1f]")
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
_MIME = re.compile(r"[!#$&^_.+\-0-9A-Za-z]{1,100}/[!#$&^_.+\-0-9A-Za-z]{1,100}(\s*;.{0,200})?")
CONVERSATION, START = "x-earwitness-conversation-id", "x-earwitness-start-time"


class UploadUrlRequest(RequestBody):
    """A file that is going to be uploaded."""

    file_name: str | None = None
    content_md5: str | None = None
    signed_url_timeout_seconds: int | None = None
    content_type: str | None = None
    server_side_encryption: Annotated[str, OneOf("AES256")] | None = None
    conversation_id: str | None = None
    """Ours."""
    start_time: DateInput | None = None
    """Ours: when the recording began."""


class UploadUrlResponse(Document):
    """Where to put the file, with which headers."""

    url: str
    upload_key: str
    headers: dict[str, str]


@family.operation(
    "POST",
    "/api/v2/uploads/recordings",
    "post_uploads_recordings",
    all_of(UPLOAD),
    returns=UploadUrlResponse,
    audited="recordingUpload",
    each_time=True,
)
def announce(caller: Signed, request: Request, parts: Parts, body: UploadUrlRequest) -> UploadUrlResponse:
    """An address to PUT a WAV, MP3 or Ogg file to; it works for ``signedUrlTimeoutSeconds`` and needs no token."""
    life_s = LIFE_S if body.signed_url_timeout_seconds is None else body.signed_url_timeout_seconds
    if not 1 <= life_s <= LONGEST_LIFE_S:
        field = "signedUrlTimeoutSeconds"
        raise bad_request(f"{field} must be 1 to {LONGEST_LIFE_S}.", field, "invalid.value")
    if body.content_type is not None and not _MIME.fullmatch(body.content_type):
        raise bad_request("contentType is no media type.", "contentType", "invalid.value")
    now, upload_id = parts.clock.now_us(), new_id()
    name = _file_name(body.file_name) if body.file_name is not None else upload_id
    expires_s = now // 1_000_000 + life_s
    row = RecordingUpload(
        id=upload_id,
        file_name=name,
        content_type=body.content_type,
        content_md5=_md5(body.content_md5),
        subject_type=caller.subject.type,
        subject_id=caller.subject.id,
        remote_address=caller.remote_address,
        created_at=now,
        expires_at=expires_s * 1_000_000,
        state=uploads.ANNOUNCED,
        conversation_id=_conversation_id(body.conversation_id, "conversationId") or _id_in(name),
        started_at=body.start_time,
        recording_id=new_id(),
    )
    with parts.database.transaction() as session:
        session.add(row)
        _tell(parts, session, row, "upload.announced")
    path = f"{PUT_PATH}/{upload_id}"
    url = base_url(request, parts) + parts.signer.signed(path, f"{caller.subject.type}:{caller.subject.id}", expires_s)
    headers = {"Content-Type": body.content_type} if body.content_type is not None else {}
    if body.content_md5 is not None:
        headers["Content-MD5"] = body.content_md5
    return UploadUrlResponse(url=url, upload_key=f"{upload_id}/{name}", headers=headers)


@family.operation("PUT", PUT_PATH + "/{uploadId}", "put_earwitness_recording_upload", PUBLIC)
async def receive(request: Request, parts: Parts, uploadId: str) -> Response:
    """Takes a file. The address is signed: it needs no token. Putting the same file again is fine."""
    subject = await anyio.to_thread.run_sync(signed_uploads.subject_of, request, parts)
    access = await anyio.to_thread.run_sync(signed_uploads.access_of, parts, subject)
    if not access.allows(UPLOAD):
        raise ApiError(403, "This address is not valid, or no longer.", "not.authorized")
    folder = parts.arguments.spool_dir or parts.arguments.prompts_dir
    await anyio.to_thread.run_sync(_make_folder, folder)
    draft = folder / f".upload-{secrets.token_hex(8)}"
    most = parts.arguments.limits.upload_bytes
    sha256, md5, size = hashlib.sha256(), hashlib.md5(usedforsecurity=False), 0
    try:
        async with await anyio.open_file(draft, "xb") as file:
            async for piece in request.stream():
                size += len(piece)
                if size > most:
                    raise ApiError(413, f"A recording may have {most} bytes.")
                sha256.update(piece)
                md5.update(piece)
                await file.write(piece)
        await anyio.to_thread.run_sync(
            _take, request, parts, subject, uploadId, draft, sha256.hexdigest(), md5.hexdigest()
        )
    finally:
        await anyio.to_thread.run_sync(_remove, draft)
    return Response(status_code=200, headers={"ETag": f'"{md5.hexdigest()}"'})


def _take(
    request: Request, parts: Services, subject: Subject, upload_id: str, draft: Path, sha256: str, md5: str
) -> None:
    size, now = draft.stat().st_size, parts.clock.now_us()
    conversation_id = _conversation_id(request.headers.get(CONVERSATION), CONVERSATION)
    started_at = _start(request.headers.get(START))
    with parts.database.reading() as session:
        row = uploads.get(session, upload_id)
    if row is None or (row.subject_type, row.subject_id) != (subject.type, subject.id):
        raise not_found("upload", upload_id)
    if row.state != uploads.ANNOUNCED:
        if row.sha256 == sha256:
            return
        raise conflict("Another file was put to this address before.", "upload.done")
    told = _md5(request.headers.get("content-md5")) or row.content_md5
    if told is not None and told != md5:
        raise bad_request("The file is not the one that was announced: its MD5 differs.", "contentMd5", "invalid.value")
    if size < LEAST_BYTES:
        raise bad_request("The file is empty.", code="invalid.value")
    kind = row.content_type or "application/octet-stream"
    try:
        facts = {"upload": upload_id, "file_name": row.file_name}
        sealed = parts.vault.seal(f"upload-{upload_id}", [Item("upload", kind, draft)], facts, now).item("upload")
    except (VaultError, BaseError, OSError) as error:
        log.error("web.upload_not_sealed", upload_id=upload_id, error=str(error))
        raise unavailable("The file cannot be kept now. Put it again.") from error
    if sealed.sha256 != sha256:
        raise conflict("Another file was put to this address before.", "upload.done")
    with parts.database.transaction() as session:
        row = uploads.get(session, upload_id, lock=True)
        if row is None or row.state != uploads.ANNOUNCED:
            return
        row.state, row.received_at, row.size, row.sha256 = uploads.PENDING, now, size, sha256
        row.conversation_id = conversation_id or row.conversation_id
        row.started_at = started_at if started_at is not None else row.started_at
        row.remote_address = remote_address(request)
        _tell(parts, session, row, "upload.received")


def _tell(parts: Services, session: Session, row: RecordingUpload, action: str) -> None:
    audit.add(
        session,
        at=parts.clock.now_us(),
        subject=Subject(row.subject_type, row.subject_id),
        action=action,
        entity_type="recordingUpload",
        entity_id=row.id,
        conversation_id=row.conversation_id,
        remote_address=row.remote_address,
        detail={"fileName": row.file_name, "size": row.size, "sha256": row.sha256},
    )


def _file_name(text: str) -> str:
    """:raises ApiError: 400, as the contract forbids it."""
    wrong = not text or len(text) > 255 or text.startswith(".") or text.endswith("/") or _FORBIDDEN.search(text)
    if wrong:
        raise bad_request(
            "fileName must not start with a dot nor end with a slash, and holds neither white space nor "
            'any of \\ { ^ } % ` ] " > [ ~ < # |',
            "fileName",
            "invalid.value",
        )
    return text


def _id_in(name: str) -> str | None:
    """A conversation's id in the name of a file."""
    found = _UUID.search(name)
    return found[0].lower() if found is not None and found[0] != name else None


def _conversation_id(text: str | None, field: str) -> str | None:
    if not text:
        return None
    if not _UUID.fullmatch(text):
        raise bad_request(f"{field} is no id of a conversation.", field, "invalid.value")
    return text.lower()


def _start(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        return parse_date(text)
    except (ValueError, OverflowError) as error:
        raise bad_request(f"{START} is no date: {error}", START, "invalid.date") from error


def _md5(text: str | None) -> str | None:
    """An MD5 as hex: it comes in base64 (RFC 1864), or in hex.

    :raises ApiError: 400, neither.
    """
    if not text:
        return None
    if re.fullmatch(r"[0-9a-fA-F]{32}", text):
        return text.lower()
    try:
        raw = base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        raw = b""
    if len(raw) != 16:
        raise bad_request("contentMd5 is no MD5 (base64 or hex).", "contentMd5", "invalid.value")
    return raw.hex()


def _make_folder(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
