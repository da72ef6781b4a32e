"""Formats other than the master: made when somebody first asks, sealed in the vault beside it, and read from there.

What costs less to make than to seal (the master's own packets in another container) is made in memory each time it is
asked for, kept there for the ranges that a player fetches next, and never written.
"""

from __future__ import annotations

import hashlib
import io
import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from earwitness.archive.vault.errors import DestroyedError, NotSealedError
from earwitness.archive.vault.manifest import object_key
from earwitness.archive.vault.reader import SealedItem
from earwitness.archive.vault.vault import Item
from earwitness.domain.access.parts import Cut
from earwitness.store import recordings as recording_store
from earwitness.store.tables import RecordingObject
from earwitness.web.api import recording_documents as documents
from earwitness.web.kernel.services import Services

MASTER = "master"
"""Name of the item to listen to, of a recording and of whatever is derived from it."""


REPACKED_BYTES = 8 * 1024 * 1024
"""Masters up to this size (most of an hour) are repacked in memory."""
KEPT_BYTES = 64 * 1024 * 1024
PIECE = 64 * 1024


@dataclass(frozen=True, slots=True)
class Repacked:
    """A file in memory; serves like a sealed one."""

    media_type: str
    content: bytes
    etag: str

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self.content)

    def stream(self, start: int, end: int) -> Iterator[bytes]:
        """The bytes from ``start`` up to ``end``, in pieces."""
        for position in range(start, end, PIECE):
            yield self.content[position : min(position + PIECE, end)]


class _Kept:
    """The files repacked lately; the audio of a recording that is gone is not asked for any more."""

    def __init__(self) -> None:
        self._files: OrderedDict[tuple[str, str], Repacked] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()

    def get(self, name: str, etag: str) -> Repacked | None:
        """The file of that name, made of the master with that tag."""
        with self._lock:
            found = self._files.get((name, etag))
            if found is not None:
                self._files.move_to_end((name, etag))
            return found

    def put(self, name: str, etag: str, made: Repacked) -> None:
        """Keeps it, and drops the oldest beyond ``KEPT_BYTES``."""
        with self._lock:
            before = self._files.pop((name, etag), None)
            self._files[name, etag] = made
            self._size += made.size - (before.size if before is not None else 0)
            while self._size > KEPT_BYTES and len(self._files) > 1:
                self._size -= self._files.popitem(last=False)[1].size


_kept = _Kept()


@dataclass(frozen=True, slots=True)
class Unmade:
    """A file that nobody has asked for yet."""

    derived_id: str
    """Its name in the vault."""
    recording_id: str
    format_id: str
    channel: int | None
    """None: all of them."""
    master: SealedItem
    stretches: tuple[tuple[int, int], ...] | None = None
    """Only these of it, ms; None: all (J12)."""


def find(
    parts: Services, recording_id: str, key: str, format_id: str, channels: int, cut: Cut | None = None
) -> SealedItem | Repacked | Unmade:
    """The file to read from, or what there is to make.

    :param cut: what of the recording is heard; None: all of it.
    :raises VaultError: as the vault; also where nothing is heard.
    """
    master = parts.vault.open(recording_id).item(MASTER)
    whole = key == documents.STEREO or channels == 1
    if cut is not None:
        return _cut(parts, recording_id, key, format_id, None if whole else int(key), cut, master)
    if whole and format_id == "OGG_OPUS" and master.media_type.startswith("audio/ogg"):
        return master
    derived_id, channel = f"{recording_id}-{key.lower()}-{format_id.lower()}", None if whole else int(key)
    if format_id in ("OGG_OPUS", "WEBM") and master.media_type.startswith("audio/ogg"):
        repacked = _repacked(derived_id, format_id, channel, master) if master.size <= REPACKED_BYTES else None
        if repacked is not None:
            return repacked
    try:
        return parts.vault.open(derived_id).item(MASTER)
    except NotSealedError:
        return Unmade(derived_id, recording_id, format_id, channel, master)


def _cut(
    parts: Services, recording_id: str, key: str, format_id: str, channel: int | None, cut: Cut, master: SealedItem
) -> SealedItem | Unmade:
    """A file of the parts that are heard. Each set of parts is a file of its own, named after the parts."""
    if not cut.stretches:
        raise NotSealedError(f"nothing of recording {recording_id} is heard")
    mark = hashlib.sha256(repr(cut.stretches).encode()).hexdigest()[:20]
    derived_id = f"{recording_id}-{key.lower()}-{format_id.lower()}-{mark}"
    try:
        return parts.vault.open(derived_id).item(MASTER)
    except NotSealedError:
        return Unmade(derived_id, recording_id, format_id, channel, master, cut.stretches)


def _repacked(name: str, format_id: str, channel: int | None, master: SealedItem) -> Repacked | None:
    """None: one channel of a master whose channels are coupled, which must be encoded anew."""
    from earwitness.archive.render import convert

    found = _kept.get(name, master.etag)
    if found is None:
        file = io.BytesIO(master.read())  # whole, for it is gone through more than once
        if not convert.keeps_packets(file, format_id, channel):
            return None
        out = io.BytesIO()
        made = convert.convert(file, format_id, out, channel=channel)
        content = out.getvalue()
        found = Repacked(made.media_type, content, hashlib.sha256(content).hexdigest())
        _kept.put(name, master.etag, found)
    return found


def make(parts: Services, what: Unmade) -> None:
    """Makes and seals it. The database knows of it before the vault has it: deletion goes by the database's rows.

    :raises DestroyedError: the recording was destroyed meanwhile.
    """
    from earwitness.archive.render import convert  # codec libraries take long to load, and web is to answer soon

    try:
        parts.vault.manifest(what.derived_id)
        return
    except NotSealedError:
        pass
    out = io.BytesIO()
    made = convert.convert(what.master.file(), what.format_id, out, channel=what.channel, stretches=what.stretches)
    content, now = out.getvalue(), parts.clock.now_us()
    _note(parts, what, made.media_type, len(content), hashlib.sha256(content).hexdigest(), now)
    facts: dict[str, Any] = {
        "derived_from": what.recording_id,
        "format": what.format_id,
        "channel": what.channel,
    }
    if what.stretches is not None:
        facts["stretches_ms"] = [list(stretch) for stretch in what.stretches]
    sealed = parts.vault.seal(what.derived_id, [Item(MASTER, made.media_type, content)], facts, now).item(MASTER)
    if (sealed.size, sealed.sha256) != (len(content), hashlib.sha256(content).hexdigest()):  # another process was first
        _note(parts, what, sealed.media_type, sealed.size, sealed.sha256, now)
    if parts.vault.tombstone(what.recording_id) is not None:  # destroyed while we were at it
        parts.vault.destroy(what.derived_id, by="system", reason="the recording was destroyed", at_us=now)
        raise DestroyedError(f"recording {what.recording_id} was destroyed")


def _note(parts: Services, what: Unmade, media_type: str, size: int, sha256: str, now: int) -> None:
    row = RecordingObject(
        recording_id=what.recording_id,
        object_key=object_key(what.derived_id, MASTER),
        role="derived",
        media_type=media_type,
        size=size,
        sha256=sha256,
        created_at=now,
    )
    with parts.database.transaction() as session:
        recording_store.put_object(session, row)
