"""The whole worker: real processes, real databases, kill -9."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from earwitness.archive.vault import Vault
from earwitness.store.database import Database
from earwitness.store.tables import AuditEntry, Conversation, Participant, Recording, RecordingObject
from earwitness.worker.arguments import WorkerArguments

PROGRAM = """
import json, os, sys, time
from pathlib import Path
from earwitness import logs
from earwitness.worker import finalise, process
from earwitness.worker.arguments import WorkerArguments

values = json.loads(sys.argv[1])
stop_before = values.pop("stop_before")
for name in ("spool", "keys"):
    values[name] = Path(values[name])
arguments = WorkerArguments(**values)
logs.configure(arguments.log_level, "json")
if stop_before:
    def stop(*_: object) -> None:
        Path(values["spool"], ".stopped").touch()
        time.sleep(600)
    setattr(finalise.Finaliser, stop_before, stop)
process.run(arguments)
"""


class RunningWorker:
    """A worker in a process of its own."""

    def __init__(self, arguments: WorkerArguments, stop_before: str = "") -> None:
        values = {**asdict(arguments), "stop_before": stop_before}
        self.spool = arguments.spool
        self.popen = subprocess.Popen([sys.executable, "-c", PROGRAM, json.dumps(values, default=str)])

    def kill(self) -> None:
        self.popen.kill()
        self.popen.wait()

    def end(self) -> None:
        self.popen.send_signal(signal.SIGTERM)
        self.popen.wait(timeout=30)


@pytest.fixture
def start(arguments: WorkerArguments) -> Iterator[Callable[..., RunningWorker]]:
    workers: list[RunningWorker] = []

    def start(**options: Any) -> RunningWorker:
        workers.append(RunningWorker(arguments, **options))
        return workers[-1]

    yield start
    for worker in workers:
        with contextlib.suppress(ProcessLookupError):
            worker.kill()


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    yield database
    database.dispose()


def eventually(condition: Callable[[], bool], timeout_s: float = 150.0) -> None:
    """Awaits what another process does; there is nothing nearer to await than its effect."""
    end = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end:
            raise AssertionError("it did not happen in time")
        time.sleep(0.02)


def _vault(arguments: WorkerArguments) -> Vault:
    return Vault.at(arguments.vault_url, arguments.keys)


def test_a_call_becomes_a_recording(
    start: Callable[..., RunningWorker], simple_call: Any, arguments: WorkerArguments, database: Database
) -> None:
    worker = start()
    call = simple_call(seconds=3.0)
    eventually(lambda: not call.folder.exists())
    with database.reading() as session:
        conversation = session.get_one(Conversation, call.id)
        recording = session.get_one(Recording, call.tape_id)
        people = session.scalars(select(Participant).order_by(Participant.id)).all()
        item = session.scalars(select(RecordingObject)).one()
        audits = session.scalars(select(AuditEntry.action)).all()
    assert (conversation.direction, conversation.cause, conversation.recording_state) == (
        "inbound",
        "hangup",
        "RECORDED",
    )
    assert conversation.why[0]["captured"] is True
    assert [(person.purpose, person.user_id) for person in people] == [("external", None), ("user", call.user_id)]
    assert (recording.kind, recording.role, recording.media_subtype) == ("trunk", "CUSTOMER_EXPERIENCE", "Trunk")
    assert (recording.file_state, recording.channels, recording.mime_type) == ("AVAILABLE", 2, "audio/ogg")
    assert abs(recording.duration_ms - 3000) <= 20
    sealed = _vault(arguments).open(call.tape_id).item("master")
    assert sealed.read()[:4] == b"OggS"
    assert (sealed.size, sealed.etag) == (recording.size, recording.sha256) == (item.size, item.sha256)
    assert audits == ["recording.created"]
    worker.end()
    assert worker.popen.returncode == 0


SQLITE_ONLY = pytest.mark.parametrize("make_database_url", ["sqlite"], indirect=True)
"""Where the kind of database makes no difference, and processes take long to start."""


@pytest.mark.parametrize(
    ("make_database_url", "step"),
    [("sqlite", "render"), ("sqlite", "store"), ("postgresql", "store"), ("sqlite", "clear")],
    indirect=["make_database_url"],
)
def test_killed_in_the_middle_it_gives_exactly_one_recording(
    start: Callable[..., RunningWorker],
    simple_call: Any,
    arguments: WorkerArguments,
    database: Database,
    step: str,
) -> None:
    worker = start(stop_before=step)
    call = simple_call()
    eventually((arguments.spool / ".stopped").exists)
    worker.kill()
    assert call.folder.exists()
    start()
    eventually(lambda: not call.folder.exists())
    with database.reading() as session:
        assert session.scalar(select(func.count()).select_from(Recording)) == 1
        assert session.scalar(select(func.count()).select_from(AuditEntry)) == 1
    assert len(_vault(arguments).log.tree()) == 1


@SQLITE_ONLY
def test_a_broken_folder_stays_and_does_not_block_others(
    start: Callable[..., RunningWorker], make_call: Any, simple_call: Any, database: Database
) -> None:
    broken = make_call()
    broken.folder.mkdir(parents=True)
    (broken.folder / "events.jsonl").write_text('{"nonsense"\n{"type":"conversation.ended"}\n')
    start()
    good = simple_call()
    eventually(lambda: not good.folder.exists())
    assert broken.folder.exists()
    with database.reading() as session:
        assert session.scalars(select(Conversation.id)).all() == [good.id]
    repaired = simple_call(id=broken.id)  # the operator puts the log right
    lines = (broken.folder / "events.jsonl").read_text().splitlines(keepends=True)
    (broken.folder / "events.jsonl").write_text("".join(lines[2:]))
    eventually(lambda: not repaired.folder.exists())


@SQLITE_ONLY
def test_a_render_process_that_dies_is_replaced(
    start: Callable[..., RunningWorker], simple_call: Any, database: Database
) -> None:
    worker = start()
    first = simple_call()
    eventually(lambda: not first.folder.exists())
    for pid in _children(worker.popen.pid):
        os.kill(pid, signal.SIGKILL)
    second = simple_call()
    eventually(lambda: not second.folder.exists())
    with database.reading() as session:
        assert session.scalar(select(func.count()).select_from(Recording)) == 2


def _children(pid: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += [int(child) for child in (task / "children").read_text().split()]
    return found
