"""The audio of orphans, by signed address: like that of recordings, with the right to see orphans."""

from __future__ import annotations

import functools
import hashlib
import io

import anyio.to_thread
from fastapi import Request, Response

from earwitness.archive.vault.errors import DestroyedError, NotSealedError
from earwitness.archive.vault.manifest import object_key
from earwitness.archive.vault.vault import Item
from earwitness.store import access as access_store
from earwitness.store import oauth, orphans, users
from earwitness.web.api import derived, media
from earwitness.web.api import recording_documents as documents
from earwitness.web.api.interchange import orphan_documents
from earwitness.web.api.interchange.orphans import KIND, MEDIA, VIEW
from earwitness.web.api.recording_audit import note_subject
from earwitness.web.kernel.conversions import busy
from earwitness.web.kernel.errors import not_found
from earwitness.web.kernel.operations import PUBLIC, Family
from earwitness.web.kernel.services import Parts, Services, remote_address

family = Family("Media")


@family.operation(
    "GET", MEDIA + "/{orphanId}/{file}", "get_earwitness_orphan_media", PUBLIC, also={206: "A part of it."}
)
async def orphan_audio(request: Request, parts: Parts, orphanId: str, file: str) -> Response:
    """The audio of an orphan. The address is signed: it needs no token, works for a while, and for one subject."""
    look = functools.partial(_look, request, parts, orphanId, file)
    found = await anyio.to_thread.run_sync(look)
    if isinstance(found, derived.Unmade):
        with media.refusals(orphanId):
            await parts.conversions.done(found.derived_id, functools.partial(_make, parts, found))
        found = await anyio.to_thread.run_sync(look)
    if isinstance(found, derived.Unmade):
        raise busy()
    return found


def _look(request: Request, parts: Services, orphan_id: str, file: str) -> Response | derived.Unmade:
    subject, address = media.signed_subject(request, parts, "listen", orphan_id), remote_address(request)
    key, _, extension = file.partition(".")
    format_id = media.FORMAT_OF.get(extension)
    with parts.database.reading() as session:
        owner = users.get(session, subject.id) if subject.type == "user" else oauth.client(session, subject.id)
        present = owner is not None and owner.state == "active"
        may = present and access_store.access_of(session, subject).allows(VIEW)
        row = orphans.get(session, orphan_id) if may else None
        conversation_id = row.conversation_id if row is not None else None
        known = row is not None and orphan_documents.playable(row)
        keys = documents.channel_keys(orphan_documents.as_recording(row)) if row is not None else ()
        channels = row.channels if row is not None else 0
    if not known or format_id is None or key not in keys:
        note_subject(parts, subject, address, "listen", KIND, orphan_id, conversation_id, allowed=False)
        raise not_found("orphan recording", orphan_id)
    with media.refusals(orphan_id):
        item = derived.find(parts, orphan_id, key, format_id, channels)
        if isinstance(item, derived.Unmade):
            return item

        def tell(asked: str | None) -> None:
            detail = {"file": file, "range": asked}
            note_subject(parts, subject, address, "listen", KIND, orphan_id, conversation_id, detail=detail)

        return media.reply_with(request, parts, item, extension, body=True, tell=tell)


def _make(parts: Services, what: derived.Unmade) -> None:
    """Makes and seals a format; the orphan knows of it before the vault has it.

    :raises DestroyedError: it was deleted, or attached, meanwhile.
    """
    from earwitness.archive.render import convert  # codec libraries take long to load, and web is to answer soon

    try:
        parts.vault.manifest(what.derived_id)
        return
    except NotSealedError:
        pass
    out = io.BytesIO()
    made = convert.convert(io.BytesIO(what.master.read()), what.format_id, out, channel=what.channel)
    content, now = out.getvalue(), parts.clock.now_us()
    item = {
        "object_key": object_key(what.derived_id, derived.MASTER),
        "role": "derived",
        "media_type": made.media_type,
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "created_at": now,
    }
    with parts.database.transaction() as session:
        if not orphans.put_object(session, what.recording_id, item):
            raise DestroyedError(f"{what.recording_id} is no orphan any more")
    facts = {"derived_from": what.recording_id, "format": what.format_id, "channel": what.channel}
    parts.vault.seal(what.derived_id, [Item(derived.MASTER, made.media_type, content)], facts, now)
    if parts.vault.tombstone(what.recording_id) is not None:  # destroyed while we were at it
        parts.vault.destroy(what.derived_id, by="system", reason="the recording was destroyed", at_us=now)
        raise DestroyedError(f"recording {what.recording_id} was destroyed")
