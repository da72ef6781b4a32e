"""The chore ``erasures``: carries out those that are confirmed, a few conversations at a time, to a signed receipt."""

from __future__ import annotations

import base64
import hashlib
import time

import structlog

from earwitness.archive.vault.log import canonical
from earwitness.domain.access import Subject
from earwitness.store import audit, erasures
from earwitness.store.tables.base import Document
from earwitness.worker.bench import Bench
from earwitness.worker.spool import remove_folder
from earwitness.worker.vaults import vault_of

log = structlog.get_logger()

BATCH = 20
TURN_S = 5.0
PURPOSE = "erasure"


def go_on(bench: Bench, turn_s: float = TURN_S) -> int:
    """Goes on with every erasure; gives in how many conversations somebody was erased."""
    began_s, done = time.monotonic(), 0
    with bench.database.reading() as session:
        ids, stale = erasures.at_work(session), erasures.stale(session, bench.now_us())
    for erasure_id in stale:
        with bench.database.transaction() as session:
            if (row := erasures.get(session, erasure_id, lock=True)) is not None:
                erasures.cancel(session, row)
    for erasure_id in ids:
        while time.monotonic() - began_s <= turn_s:
            with bench.database.transaction() as session:
                row = erasures.locked(session, erasure_id)
                calls = erasures.erase_more(session, row, bench.now_us(), BATCH) if row is not None else []
            if not calls:
                _finish(bench, erasure_id)
                break
            for conversation_id in calls:
                _forget_spooled(bench, conversation_id)
            done += len(calls)
    return done


def _forget_spooled(bench: Bench, conversation_id: str) -> None:
    """The events of a stored call, where the spool keeps them for a while (``keep_spool_s``)."""
    folder = bench.arguments.spool / conversation_id
    if folder.is_dir():
        remove_folder(folder)


def _finish(bench: Bench, erasure_id: str) -> None:
    """Writes the receipt, once every recording is destroyed."""
    vault, now = vault_of(bench.arguments), bench.now_us()
    with bench.database.transaction() as session:
        row = erasures.locked(session, erasure_id)
        if row is None or erasures.being_destroyed(session, row):
            return
        body = erasures.outcome(session, row, now)
        key, signature = vault.keyring.sign(PURPOSE, canonical(body))
        receipt: Document = {"receipt": body, "key": key, "signature": base64.b64encode(signature).decode()}
        entry = {"kind": "erased", "erasure_id": row.id, "sha256": hashlib.sha256(canonical(body)).hexdigest()}
        vault.log.append(entry, now)
        erasures.finish(session, row, receipt, now)
        kind, _, subject_id = (row.confirmed_by or "system").partition(":")
        counts = {name: len(body[name]) for name in ("conversations", "held", "recordings")}
        audit.add(
            session,
            at=now,
            subject=Subject(kind, subject_id),
            action="erasure.done",
            entity_type="erasure",
            entity_id=row.id,
            detail=counts,
        )
    log.info("a person was erased", erasure_id=erasure_id, **counts)
