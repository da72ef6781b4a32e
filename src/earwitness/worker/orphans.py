"""Orphans (H1): spool folders whose story is damaged give theirs here, and old orphans go (H6).

A folder that cannot be finished, and that nobody has written to for a while, is taken apart: each of its tapes is
rendered as well as its packets allow, sealed together with the event log as it is, and becomes an orphan; then the
folder goes. A tape that cannot even be decoded is sealed as it is, so that nothing is lost and nothing lies about. Each
step may be repeated: sealing and adding are both done once an id.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog

from earwitness.archive.render.plan import TapePlan
from earwitness.archive.render.renderer import Rendering, UnsupportedFormatError, render_tape
from earwitness.archive.render.salvage import Salvaged, salvage, trouble
from earwitness.archive.vault import DestroyedError, Item, Manifest, Vault, object_key
from earwitness.media.tape.format import TapeError
from earwitness.media.tape.spool import tape_files
from earwitness.store import audit, internal, orphans, protection, retention, uploads
from earwitness.store.tables import OrphanRecording
from earwitness.worker.bench import Bench
from earwitness.worker.rendering import annotations_of
from earwitness.worker.rows import MEDIA_SUBTYPES
from earwitness.worker.spool import remove_folder
from earwitness.worker.steady import SteadyClock
from earwitness.worker.vaults import vault_of

log = structlog.get_logger()

QUIET_S = 600.0
"""A folder that somebody wrote to since then is left alone."""
MOST = 20
"""Folders, or old orphans, in one go."""
CAPTURE_TYPE = "application/x-rtpdump"
DAMAGED = ".damaged-"
"""Before the name of a folder that holds a damaged log and no tape: kept, and out of everybody's way."""


def rescue(bench: Bench) -> int:
    """Takes damaged folders apart; gives how many. One that cannot be now keeps none of the others from it."""
    done = 0
    for folder in _quiet(bench.arguments.spool, bench.now_us()):
        if done >= MOST:
            break
        try:
            done += _look(bench, folder)
        except Exception as error:
            log.exception("a damaged call cannot be taken apart now", conversation_id=folder.name, error=repr(error))
    return done


def _look(bench: Bench, folder: Path) -> bool:
    """Takes a folder apart if it is damaged."""
    why = trouble(folder)
    if why is None:
        return False
    with bench.database.reading() as session:
        if internal.is_stored(session, folder.name) and not tape_files(folder):
            return False
    _rescue(bench, folder, why)
    return True


def _quiet(spool: Path, now_us: int) -> list[Path]:
    """Folders that nobody has written to for a while, oldest first."""
    found = []
    try:
        entries = [entry for entry in os.scandir(spool) if entry.is_dir() and not entry.name.startswith(".")]
    except FileNotFoundError:
        return []
    for entry in entries:
        try:
            latest = max([entry.stat().st_mtime, *(file.stat().st_mtime for file in os.scandir(entry.path))])
        except FileNotFoundError:
            continue
        if now_us / 1e6 - latest >= QUIET_S:
            found.append((latest, entry.name))
    return [spool / name for _, name in sorted(found)]


def _rescue(bench: Bench, folder: Path, why: str) -> None:
    vault = vault_of(bench.arguments)
    found = salvage(folder, why)
    if found.refused:
        log.warning("a damaged call whose caller refused recording is destroyed", conversation_id=folder.name)
        _tell(bench, "recording.destroyed", folder.name, None, {"reason": "consent refused", "why": why})
        remove_folder(folder)
        return
    if not tape_files(folder):
        folder.rename(folder.with_name(f"{DAMAGED}{folder.name}"))
        log.error("a call without any tape has a damaged log; it is kept aside", conversation_id=folder.name, why=why)
        _tell(bench, "conversation.damaged", folder.name, None, {"why": why})
        return
    for plan in found.plans:
        row = _seal(bench, vault, found, plan)
        if row is None:
            continue
        with bench.database.transaction() as session:
            if orphans.add(session, row):
                audit.add(
                    session,
                    at=bench.now_us(),
                    subject=audit.SYSTEM,
                    action="orphan.created",
                    entity_type="orphanRecording",
                    entity_id=row.id,
                    conversation_id=row.conversation_id,
                    detail={"why": why, "durationMs": row.duration_ms},
                )
    log.warning("a call that could not be finished became orphans", conversation_id=folder.name, why=why)
    remove_folder(folder)


def _seal(bench: Bench, vault: Vault, found: Salvaged, plan: TapePlan) -> OrphanRecording | None:
    """Seals a tape; None: it was destroyed before."""
    story = Item("story", "application/jsonl", found.story)
    facts: dict[str, Any] = {"conversation_id": plan.conversation_id, "orphan": found.why, "kind": plan.kind}
    path = plan.folder / f"{plan.tape_id}.{os.getpid()}.rendering"
    rendering: Rendering | None = None
    try:
        try:
            with path.open("wb") as file:
                rendering = render_tape(plan, file.write) if plan.length_us else None
        except (TapeError, UnsupportedFormatError, ValueError, LookupError, ArithmeticError) as error:
            log.error("a tape cannot be decoded; it is kept as it is", recording_id=plan.tape_id, error=repr(error))
        if rendering is not None and rendering.length_ms:
            items = [Item("master", rendering.media_type, path), story]
        else:
            rendering = None
            captures = [file.path for file in tape_files(plan.folder) if file.tape_id == plan.tape_id]
            items = [*(Item(f"capture-{at}", CAPTURE_TYPE, file) for at, file in enumerate(captures)), story]
        try:
            manifest = vault.seal(plan.tape_id, items, facts, bench.now_us())
        except DestroyedError:
            return None
    finally:
        path.unlink(missing_ok=True)
    return _row(bench.now_us(), found, plan, rendering, manifest)


def _row(now: int, found: Salvaged, plan: TapePlan, rendering: Rendering | None, manifest: Manifest) -> OrphanRecording:
    first = manifest.items[0]
    start = plan.start_us or now
    return OrphanRecording(
        id=plan.tape_id,
        conversation_id=plan.conversation_id,
        source="spool",
        why=found.why,
        kind=plan.kind,
        media_subtype=MEDIA_SUBTYPES.get(plan.kind, "Trunk"),
        owner_user_id=found.owners.get(plan.tape_id),
        leg_id=plan.leg_id or None,
        file_state=orphans.AVAILABLE,
        started_at=start,
        ended_at=max(start, plan.end_us),
        duration_ms=rendering.length_ms if rendering is not None else 0,
        audio_format=plan.audio_format if rendering is not None else CAPTURE_TYPE,
        mime_type=first.media_type,
        channels=rendering.channels if rendering is not None else 0,
        sample_rate=rendering.rate if rendering is not None else 0,
        size=first.size,
        sha256=first.sha256,
        annotations=annotations_of(plan) if rendering is not None else [],
        openings=[{"from_us": item.from_us, "to_us": item.from_us + item.length_us} for item in plan.openings],
        quality=rendering.sheet.to_document() if rendering is not None else {},
        peaks=rendering.peaks.to_bytes() if rendering is not None else None,
        objects=[
            {
                "object_key": object_key(plan.tape_id, item.name),
                "role": "master" if item.name == "master" else "capture",
                "media_type": item.media_type,
                "size": item.size,
                "sha256": item.sha256,
                "created_at": now,
            }
            for item in manifest.items
        ],
        created_at=start,
        recovered_at=now,
    )


@dataclass(slots=True)
class ExpireOrphans:
    """Destroys orphans that are older than the organisation keeps recordings (H6). For one process."""

    clock: SteadyClock = field(default_factory=SteadyClock)

    def __call__(self, bench: Bench) -> int:
        """Gives how many."""
        now = self.clock.now(bench.now_us())
        if now is None:
            return 0
        with bench.database.reading() as session:
            days = retention.maximum_days(session)
            if days is None:
                return 0
            due = orphans.older_than(session, now - days * retention.DAY_US, MOST)
            held = protection.protected_among(session, (row.conversation_id for row in due if row.conversation_id))
            ids = [row.id for row in due if row.conversation_id not in held]
        for orphan_id in ids:
            with bench.database.transaction() as session:
                row = orphans.get(session, orphan_id, lock=True)
                if row is not None:
                    orphans.condemn(session, row, by="system", reason=retention.BY_MAXIMUM)
                    uploads.settle(session, orphan_id, uploads.FAILURE, now, "the orphan was deleted")
        return len(ids)


def bury_condemned(bench: Bench) -> int:
    """Destroys what was decided to be destroyed, keys first; gives how many are done."""
    with bench.database.reading() as session:
        due = orphans.condemned(session, MOST)
    done = 0
    for row in due:
        try:
            _destroy(bench, row)
            done += 1
        except Exception as error:
            log.error("an orphan cannot be destroyed now; tried again", recording_id=row.id, error=repr(error))
    return done


def _destroy(bench: Bench, row: OrphanRecording) -> None:
    asked = (row.receipt or {}).get("asked", {})
    by, reason, now = str(asked.get("by", "system")), str(asked.get("reason", "")), bench.now_us()
    vault, receipt = vault_of(bench.arguments), None
    for vault_id in orphans.vault_ids(row):
        made = vault.destroy(vault_id, by=by, reason=reason, at_us=now)
        receipt = receipt or made
    assert receipt is not None
    with bench.database.transaction() as session:
        kept = orphans.get(session, row.id, deleted=True, lock=True)
        if kept is None or kept.deleted_at is not None:
            return
        orphans.bury(session, kept, receipt.to_document(), now)
        audit.add(
            session,
            at=now,
            subject=audit.SYSTEM,
            action="orphan.destroyed",
            entity_type="orphanRecording",
            entity_id=row.id,
            conversation_id=row.conversation_id,
            detail={"by": by, "reason": reason},
        )


def _tell(bench: Bench, action: str, conversation_id: str, entity_id: str | None, detail: dict[str, Any]) -> None:
    with bench.database.transaction() as session:
        audit.add(
            session,
            at=bench.now_us(),
            subject=audit.SYSTEM,
            action=action,
            entity_type="recording" if action.startswith("recording") else "conversation",
            entity_id=entity_id or conversation_id[:64],
            conversation_id=conversation_id[:64],
            detail=detail,
        )
