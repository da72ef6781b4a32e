"""The bytes of recordings, by signed address (G9): ranges, several formats, one channel or both.

An address names recording, channel and format, and for whom it was made. Serving it asks again whether that subject
still exists and still may see the recording, writes the audit row, and only then sends the first byte.
"""

from __future__ import annotations

import functools
import threading
import urllib.parse
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import anyio.to_thread
import structlog
from fastapi import Request, Response
from fastapi.responses import StreamingResponse
from sqlalchemy.orm import Session

from earwitness.archive.vault.errors import DestroyedError, KeyServiceError, NotSealedError, VaultError
from earwitness.archive.vault.reader import SealedItem
from earwitness.domain.access import Subject
from earwitness.domain.access.parts import Cut
from earwitness.store import access as access_store
from earwitness.store import hearing, oauth, users
from earwitness.store import recordings as recording_store
from earwitness.store.tables import Recording
from earwitness.web.api import derived
from earwitness.web.api import recording_documents as documents
from earwitness.web.api.recording_audit import note_stranger, note_subject
from earwitness.web.kernel.byte_ranges import ByteRange, UnsatisfiableError, parse
from earwitness.web.kernel.conversions import busy
from earwitness.web.kernel.errors import ApiError, not_found, unavailable
from earwitness.web.kernel.operations import PUBLIC, Family
from earwitness.web.kernel.services import Parts, Services, remote_address

log = structlog.get_logger()

family = Family("Media")

PATH = "/api/v2/earwitness/media"
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


@dataclass(frozen=True, slots=True)
class Found:
    """A recording that can be played, and how much of it."""

    row: Recording
    cut: Cut | None
    """None: all of it (J12)."""


def find(parts: Services, session: Session, subject: Subject, recording_id: str) -> Found | None:
    """The recording, if the subject is still with us and may still hear some of it.

    Asked for every request, so that an address dies with the right that it was made by.
    """
    owner = users.get(session, subject.id) if subject.type == "user" else oauth.client(session, subject.id)
    if owner is None or owner.state != "active":
        return None
    access = access_store.access_of(session, subject)
    row = recording_store.get(session, access, recording_id)
    if row is None or row.file_state not in documents.PLAYABLE:
        return None
    cut = hearing.heard(session, access, row)
    return Found(row, cut) if cut is None or cut.stretches else None


@family.operation("GET", PATH + "/{recordingId}/{file}", "get_earwitness_media", PUBLIC, also={206: "A part of it."})
async def media(request: Request, parts: Parts, recordingId: str, file: str) -> Response:
    """The audio of a recording. The address is signed: it needs no token, works for a while, and for one subject."""
    return await _serve(request, parts, recordingId, file, body=True)


@family.operation("HEAD", PATH + "/{recordingId}/{file}", "head_earwitness_media", PUBLIC)
async def media_head(request: Request, parts: Parts, recordingId: str, file: str) -> Response:
    """Size and type of the audio."""
    return await _serve(request, parts, recordingId, file, body=False)


async def _serve(request: Request, parts: Services, recording_id: str, file: str, *, body: bool) -> Response:
    """Whoever waits for a file that is being made waits outside the threads that answer requests."""
    look = functools.partial(_look, request, parts, recording_id, file, body=body)
    found = await anyio.to_thread.run_sync(look)
    if isinstance(found, derived.Unmade):
        with refusals(recording_id):
            await parts.conversions.done(found.derived_id, functools.partial(derived.make, parts, found))
        found = await anyio.to_thread.run_sync(look)
    if isinstance(found, derived.Unmade):
        raise busy()
    return found


@contextmanager
def refusals(recording_id: str) -> Iterator[None]:
    """What the vault says, as a reply."""
    try:
        yield
    except (DestroyedError, NotSealedError) as error:
        raise not_found("recording", recording_id) from error
    except KeyServiceError as error:
        log.error("web.key_service_away", recording_id=recording_id, error=str(error))
        raise unavailable(f"The recording cannot be opened now: {error}") from error
    except VaultError as error:
        log.error("web.recording_unreadable", recording_id=recording_id, error=str(error))
        raise ApiError(500, "The recording cannot be read; it may have been damaged.") from error


def _look(request: Request, parts: Services, recording_id: str, file: str, *, body: bool) -> Response | derived.Unmade:
    subject, address = signed_subject(request, parts, "listen", recording_id), remote_address(request)
    key, _, extension = file.partition(".")
    format_id = FORMAT_OF.get(extension)
    with parts.database.reading() as session:
        found = find(parts, session, subject, recording_id)
        conversation_id = found.row.conversation_id if found is not None else None
    if found is None or format_id is None or key not in documents.channel_keys(found.row):
        note_subject(parts, subject, address, "listen", "recording", recording_id, conversation_id, allowed=False)
        raise not_found("recording", recording_id)
    with refusals(recording_id):
        item = derived.find(parts, recording_id, key, format_id, found.row.channels, found.cut)
        if isinstance(item, derived.Unmade):
            return item

        def tell(asked: str | None) -> None:
            detail: dict[str, Any] = {"file": file, "range": asked}
            if found.cut is not None:
                detail["stretchesMs"] = [list(stretch) for stretch in found.cut.stretches]
            note_subject(parts, subject, address, "listen", "recording", recording_id, conversation_id, detail=detail)

        return reply_with(request, parts, item, extension, body=body, tell=tell)


def reply_with(
    request: Request,
    parts: Services,
    item: SealedItem | derived.Repacked,
    extension: str,
    *,
    body: bool,
    tell: Callable[[str | None], None],
) -> Response:
    """A file, or the range of it that is asked for.

    :param tell: writes the audit row before the first byte goes, given the ``Range`` header; called once a listener.
    :raises VaultError: it cannot be read. :raises ApiError: 416.
    """
    asked = request.headers.get("range") if _still(request, item) else None
    try:
        part = parse(asked, item.size)
    except UnsatisfiableError as error:
        raise ApiError(
            416, f"The file has {item.size} bytes.", headers={"Content-Range": f"bytes */{item.size}"}
        ) from error
    span = part or ByteRange(0, item.size)
    pieces = item.stream(span.start, span.end) if body else iter(())
    first = next(pieces, b"")
    address, now = remote_address(request), parts.clock.monotonic()
    signature = request.query_params.get("signature", "") + item.etag  # another file is another thing heard
    if body and _heard.is_new(address, signature, now):
        tell(asked)
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


def _still(request: Request, item: SealedItem | derived.Repacked) -> bool:
    """``If-Range``: a part only of what the client has begun with."""
    condition = request.headers.get("if-range")
    return condition is None or condition.strip() == f'"{item.etag}"'


def _disposition(name: str | None, extension: str) -> str:
    if name is None:
        return "inline"
    stem = "".join(char for char in name if char.isprintable() and char not in '/\\"')[:150] or "recording"
    full = stem if stem.lower().endswith(f".{extension}") else f"{stem}.{extension}"
    return f"attachment; filename*=UTF-8''{urllib.parse.quote(full)}"
