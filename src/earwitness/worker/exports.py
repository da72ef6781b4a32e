"""Exports: recordings whose export date has come are written to their integration, each once.

Two objects a recording, ``<year>/<month>/<day>/<conversation>/<recording>.<extension>`` and ``….json`` beside it, which
comes last: where it is there and tells of the same audio, the export was done before a crash and is only noted. A
target that is away is tried again, later each time; the date stays.
"""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import structlog

from earwitness.archive.render import convert
from earwitness.archive.vault import DestroyedError, NotSealedError, SealedRecording, Vault
from earwitness.store import audit, exports, integrations
from earwitness.store.exports import Due, Facts
from earwitness.store.secret_box import KeyFileBox
from earwitness.store.tables import Integration
from earwitness.worker.bench import Bench
from earwitness.worker.export_documents import metadata_of, path_of
from earwitness.worker.export_targets import Target, TargetError, open_target
from earwitness.worker.vaults import vault_of

log = structlog.get_logger()

MOST = 20
"""In one go."""
ALARM_AFTER = 5
DEFAULT_FORMAT = "WAV"


def exports_folder(bench: Bench) -> Path:
    """What folders of integrations are below."""
    return bench.arguments.spool.parent / "exports"


def work(bench: Bench) -> int:
    """Tries integrations that have changed, then exports what is due; gives how many recordings."""
    look(bench)
    with bench.database.reading() as session:
        if not exports.anything_due(session, bench.now_us()):
            return 0
    with bench.database.transaction() as session:
        due = exports.take(session, bench.now_us(), MOST)
    targets: dict[str, Target | TargetError] = {}
    for item in due:
        _export(bench, item, targets)
    return len(due)


def look(bench: Bench) -> None:
    """Tries enabled integrations as they are now, and reports how that went."""
    with bench.database.reading() as session:
        rows = integrations.unlooked(session)
    for row in rows:
        try:
            open_target(row, _secrets(bench, row), exports_folder(bench), create=True).mark()
            code, detail = integrations.ACTIVE, None
        except TargetError as error:
            code, detail = integrations.ERROR, str(error)
            log.warning("an integration cannot be used", integration_id=row.id, error=detail)
        with bench.database.transaction() as session:
            now_row = integrations.get(session, row.id)
            if now_row is not None and now_row.version == row.version:
                now_row.looked_at_version = row.version
                integrations.report(session, row.id, code, detail, bench.now_us())
                if code == integrations.ACTIVE:
                    exports.again(session, row.id, bench.now_us())


def _secrets(bench: Bench, row: Integration) -> dict[str, str]:
    """:raises TargetError: they cannot be opened."""
    try:
        return integrations.unseal(KeyFileBox.open(bench.arguments.keys), row)
    except ValueError as error:
        raise TargetError(
            "the secrets of the integration cannot be opened with the keys of this installation"
        ) from error


def _target(bench: Bench, integration_id: str) -> tuple[Target, Integration]:
    """:raises TargetError: gone, disabled, or away."""
    with bench.database.reading() as session:
        row = integrations.get(session, integration_id)
    if row is None:
        raise TargetError("the integration was deleted")
    target = open_target(row, _secrets(bench, row), exports_folder(bench))
    target.check()
    return target, row


def _export(bench: Bench, due: Due, known: dict[str, Target | TargetError]) -> None:
    try:
        before = known.get(due.integration_id)
        if isinstance(before, TargetError):
            raise before
        try:
            target, row = _target(bench, due.integration_id)
        except TargetError as error:
            known[due.integration_id] = error
            raise
        with bench.database.reading() as session:
            facts = exports.facts(session, due.recording_id)
        if facts is None:
            return  # deleted, or archived, since it was taken
        vault = vault_of(bench.arguments)
        path, sha256 = _write(vault, target, facts, str(row.config.get("format") or DEFAULT_FORMAT), bench.now_us())
    except (DestroyedError, NotSealedError):
        return
    except TargetError as error:
        _failed(bench, due, str(error), at_target=True)
        return
    except Exception as error:  # of the vault, of the recording: the others go on
        _failed(bench, due, f"{type(error).__name__}: {error}", at_target=False)
        return
    with bench.database.transaction() as session:
        now = bench.now_us()
        recording = exports.done(session, due, now, path, sha256)
        integrations.report(session, due.integration_id, integrations.ACTIVE, None, now)
        if recording is not None:
            audit.add(
                session,
                at=now,
                subject=audit.SYSTEM,
                action="recording.exported",
                entity_type="recording",
                entity_id=due.recording_id,
                conversation_id=recording.conversation_id,
                detail={"integration": due.integration_id, "path": path, "sha256": sha256},
            )


def _failed(bench: Bench, due: Due, error: str, *, at_target: bool) -> None:
    with bench.database.transaction() as session:
        tries = exports.failed(session, due, bench.now_us(), error)
        if at_target:
            integrations.report(session, due.integration_id, integrations.ERROR, error, bench.now_us())
    say = log.error if tries >= ALARM_AFTER else log.warning
    say("a recording cannot be exported now; tried again", recording_id=due.recording_id, error=error, tries=tries)


def _write(vault: Vault, target: Target, facts: Facts, format_id: str, now: int) -> tuple[str, str]:
    """Writes audio and document; gives the path of the audio, and its SHA-256.

    :raises TargetError, VaultError, ValueError: not now.
    """
    sealed = vault.open(facts.recording.id)
    content, media_type, extension = _audio(sealed, format_id)
    sha256 = hashlib.sha256(content).hexdigest()
    path = path_of(facts, extension)
    beside = f"{path.rpartition('.')[0]}.json"
    if _told(target.get(beside)) == (path, sha256):
        return path, sha256
    target.put(path, content)
    file: dict[str, Any] = {"path": path, "mediaType": media_type, "size": len(content), "sha256": sha256}
    document = metadata_of(facts, sealed.manifest, file, vault.keyring.public_keys(), now)
    target.put(beside, json.dumps(document, ensure_ascii=False, indent=1).encode() + b"\n")
    return path, sha256


def _audio(sealed: SealedRecording, format_id: str) -> tuple[bytes, str, str]:
    """Content, media type, extension."""
    master = sealed.item("master")
    content = master.read()
    if format_id == "ORIGINAL":
        return content, master.media_type, "opus" if master.media_type.startswith("audio/ogg") else "wav"
    out = io.BytesIO()
    made = convert.convert(io.BytesIO(content), format_id, out)
    return out.getvalue(), made.media_type, made.extension


def _told(document: bytes | None) -> tuple[str, str] | None:
    try:
        file = json.loads(document or b"null")["file"]
        return str(file["path"]), str(file["sha256"])
    except (ValueError, KeyError, TypeError):
        return None
