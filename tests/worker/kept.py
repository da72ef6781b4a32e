"""Finished calls in database and vault, as the worker leaves them, to be kept, archived and deleted."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy.orm import undefer

from earwitness.archive.vault import Item, Vault, create_keys
from earwitness.store import retention_tasks
from earwitness.store.database import Database
from earwitness.store.internal import FinishedConversation, store_finished
from earwitness.store.tables import AuditEntry, Conversation, Participant, Recording, RecordingObject, RetentionTask
from earwitness.worker.arguments import WorkerArguments
from earwitness.worker.bench import Bench
from earwitness.worker.purge import Purge
from earwitness.worker.steady import SteadyClock

START = 1_795_353_600_000_000
DAY = 86_400_000_000
SOUND = b"what was said " * 100


def new_id() -> str:
    return str(uuid.uuid4())


@dataclass
class House:
    """A database, a vault, and a clock that only the test moves."""

    database_url: str
    folder: Path
    now: int = START
    passed_s: float = 0.0
    arguments: WorkerArguments = field(init=False)
    bench: Bench = field(init=False)
    purge: Purge = field(init=False)

    def __post_init__(self) -> None:
        create_keys(self.folder / "keys")
        (self.folder / "spool").mkdir(exist_ok=True)
        self.database = Database(self.database_url)
        self.arguments = WorkerArguments(
            database_url=self.database_url,
            spool=self.folder / "spool",
            vault_url=str(self.folder / "vault"),
            keys=self.folder / "keys",
        )
        self.bench = Bench(self.database, self.arguments, lambda: self.now)
        self.purge = self.new_purge()

    def new_purge(self, batch: int = 200) -> Purge:
        return Purge(SteadyClock(lambda: self.passed_s), monotonic=lambda: self.passed_s, batch=batch)

    def vault(self) -> Vault:
        return Vault.at(self.arguments.vault_url, self.arguments.keys)

    def later(self, us: int) -> int:
        """Time passes; a turn of the chore, which gives how much it did."""
        self.now += us
        self.passed_s += us / 1e6
        return self.purge(self.bench)

    def record(self, *, role: str = "CUSTOMER_EXPERIENCE", created_at: int | None = None, **fields: Any) -> str:
        """A recorded call; gives the id of its recording."""
        recording_id, conversation_id, owner = new_id(), fields.pop("conversation_id", None), fields.pop("owner", None)
        vault, at = self.vault(), self.now if created_at is None else created_at
        derived = f"{recording_id}-0-wav"
        vault.seal(recording_id, [Item("master", "audio/ogg", SOUND), Item("peaks", "x/y", b"peaks")], {}, at)
        vault.seal(derived, [Item("master", "audio/wav", SOUND)], {}, at)
        recording = Recording(
            id=recording_id, conversation_id=conversation_id or new_id(), kind="trunk", media_subtype="Trunk",
            role=role, owner_user_id=owner, file_state="AVAILABLE", started_at=at, ended_at=at + 1, duration_ms=1,
            audio_format="audio/opus", mime_type="audio/ogg", channels=1, sample_rate=8000, size=len(SOUND), sha256="",
            annotations=[{"type": "bookmark", "id": "b", "description": "the promise"}], peaks=b"peaks",
            created_at=at, modified_at=at, **fields,
        )  # fmt: skip
        objects = [
            RecordingObject(recording_id=recording_id, object_key=f"{name}/master", role=kind, media_type="x/y",
                            size=1, sha256="", created_at=at)
            for name, kind in ((recording_id, "master"), (derived, "derived"))
        ]  # fmt: skip
        with self.database.transaction() as session:
            if conversation_id is None:
                conversation = Conversation(
                    id=recording.conversation_id, organization_id="o", started_at=at, ended_at=at + 1,
                    direction="inbound", finalised_at=at, ani="+4930111222", dnis="+4930333444",
                )  # fmt: skip
                store_finished(session, FinishedConversation(conversation, [], [recording], objects))
            else:
                session.add(recording)
                session.flush()
                session.add_all(objects)
        return recording_id

    def row(self, recording_id: str) -> Recording:
        with self.database.reading() as session:
            return session.get_one(Recording, recording_id, options=[undefer(Recording.peaks)])

    def change(self, recording_id: str, **values: Any) -> None:
        with self.database.transaction() as session:
            row = session.get_one(Recording, recording_id)
            for name, value in values.items():
                setattr(row, name, value)

    def task(self, recording_id: str) -> RetentionTask | None:
        with self.database.reading() as session:
            return retention_tasks.get(session, recording_id)

    def audited(self, recording_id: str, action: str = "recording.deleted") -> list[AuditEntry]:
        with self.database.reading() as session:
            return list(session.query(AuditEntry).filter_by(entity_id=recording_id, action=action))

    def objects_of(self, recording_id: str) -> list[str]:
        """What the stores hold of a recording, tombstones left out."""
        vault = self.vault()
        names = (recording_id, f"{recording_id}-0-wav")
        found = [path for name in names for store in (vault.data_keys, vault.objects)
                 for prefix in ("", "archive/") for path in store.list(f"{prefix}recordings/{name}")]  # fmt: skip
        return [path for path in found if not path.endswith("tombstone.json")]

    def close(self) -> None:
        self.database.dispose()


__all__ = ["DAY", "SOUND", "START", "House", "Participant", "new_id"]
