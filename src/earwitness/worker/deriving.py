"""Other formats of a recording, made ahead of those who will fetch them: the same files, under the same names, as web
makes when somebody asks."""

from __future__ import annotations

import hashlib
import io

from earwitness.archive.render import convert
from earwitness.archive.vault import DestroyedError, Item, NotSealedError, Vault, object_key
from earwitness.store import recordings as recording_store
from earwitness.store.tables import RecordingObject
from earwitness.worker.bench import Bench

MASTER = "master"
REPACKED_BYTES = 8 * 1024 * 1024
"""Opus masters up to this size are put into another container by web, in memory, each time."""


def whole_key(channels: int) -> str:
    """The channel key of the whole of a recording: ``S`` of two channels together, ``0`` of the only one (G8)."""
    return "S" if channels == 2 else "0"


def derive(bench: Bench, vault: Vault, recording_id: str, channels: int, format_id: str) -> str:
    """Sees to it that the whole of a recording can be had in a format; gives its media type.

    :raises VaultError: as the vault. :raises DestroyedError: the recording was destroyed meanwhile.
    :raises convert.MasterError: the master cannot be read.
    """
    media_type = convert.FORMATS[format_id].media_type
    master = vault.open(recording_id).item(MASTER)
    ogg = master.media_type.startswith("audio/ogg")
    if ogg and (format_id == "OGG_OPUS" or (format_id == "WEBM" and master.size <= REPACKED_BYTES)):
        return media_type
    derived_id = f"{recording_id}-{whole_key(channels).lower()}-{format_id.lower()}"
    try:
        vault.manifest(derived_id)
        return media_type
    except NotSealedError:
        pass
    out = io.BytesIO()
    convert.convert(io.BytesIO(master.read()), format_id, out)
    content, now = out.getvalue(), bench.now_us()
    _note(bench, recording_id, derived_id, media_type, len(content), hashlib.sha256(content).hexdigest(), now)
    facts = {"derived_from": recording_id, "format": format_id, "channel": None}
    sealed = vault.seal(derived_id, [Item(MASTER, media_type, content)], facts, now).item(MASTER)
    if sealed.sha256 != hashlib.sha256(content).hexdigest():  # another process was first
        _note(bench, recording_id, derived_id, sealed.media_type, sealed.size, sealed.sha256, now)
    if vault.tombstone(recording_id) is not None:  # destroyed while we were at it
        vault.destroy(derived_id, by="system", reason="the recording was destroyed", at_us=now)
        raise DestroyedError(f"recording {recording_id} was destroyed")
    return media_type


def _note(bench: Bench, recording_id: str, derived_id: str, media_type: str, size: int, sha256: str, now: int) -> None:
    row = RecordingObject(
        recording_id=recording_id,
        object_key=object_key(derived_id, MASTER),
        role="derived",
        media_type=media_type,
        size=size,
        sha256=sha256,
        created_at=now,
    )
    with bench.database.transaction() as session:
        recording_store.put_object(session, row)
