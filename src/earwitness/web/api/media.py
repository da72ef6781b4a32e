"""The bytes of recordings, by signed address (G9): ranges, several formats, one channel or both.

An address names recording, channel and format, and for whom it was made. Serving it asks again whether that subject
still exists and still may see the recording, writes the audit row, and only then sends the first byte. Formats other
than the master are made when somebody first asks, sealed in the vault beside it, and read from there afterwards.
"""

from __future__ import annotations

import io
import threading
import urllib.parse
from collections import OrderedDict
from collections.abc import Iterator

import structlog
from fastapi import Request, Response
from fastapi.responses import StreamingResponse
from sqlalchemy.orm import Session

from earwitness.archive.vault.errors import DestroyedError, NotSealedError, VaultError
from earwitness.archive.vault.manifest import object_key
from earwitness.archive.vault.reader import SealedItem
from earwitness.archive.vault.vault import Item
from earwitness.domain.access import Subject
from earwitness.store import access as access_store
from earwitness.store import oauth, users
from earwitness.store import recordings as recording_store
from earwitness.store.tables import Recording, RecordingObject
from earwitness.web.api import recording_documents as documents
from earwitness.web.api.recording_audit import note_stranger, note_subject
from earwitness.web.kernel.byte_ranges import ByteRange, UnsatisfiableError, parse
from earwitness.web.kernel.errors import ApiError, not_found
from earwitness.web.kernel.operations import PUBLIC, Family
from earwitness.web.kernel.services import Parts, Services, remote_address

log = structlog.get_logger()

family = Family("Media")

PATH = "/api/v2/earwitness/media"
MASTER = "master"
EXTENSIONS = {
    "WEBM": "webm",
    "WAV": "wav",
    "WAV_ULAW": "ulaw.wav",
    "OGG_VORBIS": "vorbis.ogg",
    "OGG_OPUS": "opus",
    "MP3": "mp3",
    "FLAC": "flac",
}
"""``formatId`` -> end of the address."""
FORMAT_OF = {extension: name for name, extension in EXTENSIONS.items()}
AUDIT_AGAIN_S = 300.0
"""A player that fetches ranges of one address is one listener: one audit row in this time, seconds."""

_conversions = threading.BoundedSemaphore(2)
"""Conversions hold a whole file in memory; plain audio never touches a disk."""


class _Heard:
    """Who fetched which address lately, so that a player's many ranges are one row."""

    def __init__(self) -> None:
        self._last: OrderedDict[tuple[str, str], float] = OrderedDict()
        self._lock = threading.Lock()

    def is_new(self, address: str, signature: str, now: float) -> bool:
        """Whether this is worth a row. Once the row is safe, ``add`` it."""
        with self._lock:
            last = self._last.get((address, signature))
        return last is None or now - last >= AUDIT_AGAIN_S

    def add(self, address: str, signature: str, now: float) -> None:
        """Notes that there is a row."""
        with self._lock:
            self._last.pop((address, signature), None)
            self._last[address, signature] = now
            while len(self._last) > 10_000:
                self._last.popitem(last=False)


_heard = _Heard()


class _Locks:
    """One lock a derived file, so that two listeners do not make it twice."""

    def __init__(self) -> None:
        self._locks: dict[str, threading.Lock] = {}
        self._guard = threading.Lock()

    def of(self, name: str) -> threading.Lock:
        """The lock of that name."""
        with self._guard:
            if len(self._locks) > 1000:
                self._locks = {key: lock for key, lock in self._locks.items() if lock.locked()}
            return self._locks.setdefault(name, threading.Lock())


_making = _Locks()


def path_of(recording_id: str, key: str, format_id: str) -> str:
    """The address of a channel of a recording in a format, without its signature."""
    return f"{PATH}/{recording_id}/{key}.{EXTENSIONS[format_id]}"


def signed_subject(request: Request, parts: Services, action: str, recording_id: str) -> Subject:
    """For whom a signed address was made; a refusal is noted as one of ``action``.

    :raises ApiError: 403, forged, altered or expired.
    """
    text = parts.signer.subject(request.url.path, request.query_params, parts.clock.now_us() / 1e6)
    kind, _, subject_id = (text or "").partition(":")
    if kind not in ("user", "client") or not subject_id:
        note_stranger(parts, remote_address(request), action, "recording", entity_id=recording_id[:64])
        raise ApiError(403, "This address is not valid, or no longer.", "not.authorized")
    return Subject(kind, subject_id)


def find(parts: Services, session: Session, subject: Subject, recording_id: str) -> Recording | None:
    """The recording, if the subject is still with us and may still see it."""
    owner = users.get(session, subject.id) if subject.type == "user" else oauth.client(session, subject.id)
    if owner is None or owner.state != "active":
        return None
    row = recording_store.get(session, access_store.access_of(session, subject), recording_id)
    return row if row is not None and row.file_state in documents.PLAYABLE else None


@family.operation("GET", PATH + "/{recordingId}/{file}", "get_earwitness_media", PUBLIC, also={206: "A part of it."})
def media(request: Request, parts: Parts, recordingId: str, file: str) -> Response:
    """The audio of a recording. The address is signed: it needs no token, works for a while, and for one subject."""
    return _serve(request, parts, recordingId, file, body=True)


@family.operation("HEAD", PATH + "/{recordingId}/{file}", "head_earwitness_media", PUBLIC)
def media_head(request: Request, parts: Parts, recordingId: str, file: str) -> Response:
    """Size and type of the audio."""
    return _serve(request, parts, recordingId, file, body=False)


def _serve(request: Request, parts: Services, recording_id: str, file: str, *, body: bool) -> Response:
    subject, address = signed_subject(request, parts, "listen", recording_id), remote_address(request)
    key, _, extension = file.partition(".")
    format_id = FORMAT_OF.get(extension)
    with parts.database.reading() as session:
        row = find(parts, session, subject, recording_id)
        known = row is not None and format_id is not None and key in documents.channel_keys(row)
        conversation_id = row.conversation_id if row is not None else None
        channels = row.channels if row is not None else 0
    if not known or format_id is None:
        note_subject(parts, subject, address, "listen", "recording", recording_id, conversation_id, allowed=False)
        raise not_found("recording", recording_id)
    try:
        item = _item(parts, recording_id, key, format_id, channels)
        asked = request.headers.get("range") if _still(request, item) else None
        part = parse(asked, item.size)
        span = part or ByteRange(0, item.size)
        pieces = item.stream(span.start, span.end) if body else iter(())
        first = next(pieces, b"")
    except UnsatisfiableError as error:
        raise ApiError(
            416, f"The file has {item.size} bytes.", headers={"Content-Range": f"bytes */{item.size}"}
        ) from error
    except (DestroyedError, NotSealedError) as error:
        raise not_found("recording", recording_id) from error
    except VaultError as error:
        log.error("web.recording_unreadable", recording_id=recording_id, error=str(error))
        raise ApiError(500, "The recording cannot be read; it may have been damaged.") from error
    signature, now = request.query_params.get("signature", ""), parts.clock.monotonic()
    if body and _heard.is_new(address, signature, now):
        detail = {"file": file, "range": asked}
        note_subject(parts, subject, address, "listen", "recording", recording_id, conversation_id, detail=detail)
        _heard.add(address, signature, now)
    headers = {
        "Accept-Ranges": "bytes",
        "Content-Length": str(span.end - span.start),
        "ETag": f'"{item.etag}"',
        "Cache-Control": "private, no-store",
        "Cross-Origin-Resource-Policy": "cross-origin",
        "Content-Disposition": _disposition(request.query_params.get("download"), extension),
    }
    if part is not None:
        headers["Content-Range"] = part.content_range(item.size)
    status = 200 if part is None else 206
    if not body:
        return Response(status_code=status, headers=headers, media_type=item.media_type)
    return StreamingResponse(_all(first, pieces), status, headers=headers, media_type=item.media_type)


def _all(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _still(request: Request, item: SealedItem) -> bool:
    """``If-Range``: a part only of what the client has begun with."""
    condition = request.headers.get("if-range")
    return condition is None or condition.strip() == f'"{item.etag}"'


def _disposition(name: str | None, extension: str) -> str:
    if name is None:
        return "inline"
    stem = "".join(char for char in name if char.isprintable() and char not in '/\\"')[:150] or "recording"
    full = stem if stem.lower().endswith(f".{extension}") else f"{stem}.{extension}"
    return f"attachment; filename*=UTF-8''{urllib.parse.quote(full)}"


def _item(parts: Services, recording_id: str, key: str, format_id: str, channels: int) -> SealedItem:
    """The file to read from; made and sealed first if nobody has asked for it yet."""
    master = parts.vault.open(recording_id).item(MASTER)
    whole = key == documents.STEREO or channels == 1
    if whole and format_id == "OGG_OPUS" and master.media_type.startswith("audio/ogg"):
        return master
    derived_id = f"{recording_id}-{key.lower()}-{format_id.lower()}"
    try:
        return parts.vault.open(derived_id).item(MASTER)
    except NotSealedError:
        pass
    with _making.of(derived_id):
        try:
            return parts.vault.open(derived_id).item(MASTER)
        except NotSealedError:
            _derive(parts, recording_id, derived_id, format_id, None if whole else int(key), master)
    return parts.vault.open(derived_id).item(MASTER)


def _derive(
    parts: Services, recording_id: str, derived_id: str, format_id: str, channel: int | None, master: SealedItem
) -> None:
    from earwitness.archive.render import convert  # codec libraries take long to load, and web is to answer soon

    with _conversions:
        out = io.BytesIO()
        made = convert.convert(master.file(), format_id, out, channel=channel)
        content = out.getvalue()
    now = parts.clock.now_us()
    facts = {"derived_from": recording_id, "format": format_id, "channel": channel}
    manifest = parts.vault.seal(derived_id, [Item(MASTER, made.media_type, content)], facts, now)
    sealed = manifest.item(MASTER)
    with parts.database.transaction() as session:
        recording_store.add_object(
            session,
            RecordingObject(
                recording_id=recording_id,
                object_key=object_key(derived_id, MASTER),
                role="derived",
                media_type=sealed.media_type,
                size=sealed.size,
                sha256=sealed.sha256,
                created_at=now,
            ),
        )
    if parts.vault.tombstone(recording_id) is not None:  # destroyed while we were at it
        parts.vault.destroy(derived_id, by="system", reason="the recording was destroyed", at_us=now)
        raise DestroyedError(f"recording {recording_id} was destroyed")
