"""The event file, the state files, and making the spool durable."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from earwitness.domain.configuration import DigestCredentials, Snapshot, Trunk
from earwitness.edge.calls import writer
from earwitness.edge.calls.writer import EventLog, SpoolSync, sync
from earwitness.edge.state import EdgeState


def test_lines_are_appended_in_batches(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "c")
    assert log.append([b"one", b"two"])
    assert log.append([b"three"])
    log.close()
    assert (tmp_path / "c" / "events.jsonl").read_bytes() == b"one\ntwo\nthree\n"
    again = EventLog(tmp_path / "c")
    again.append([b"four"])
    again.close()
    assert (tmp_path / "c" / "events.jsonl").read_bytes().endswith(b"three\nfour\n")
    assert (tmp_path / "c" / "events.jsonl").stat().st_mode & 0o777 == 0o600


def test_what_the_disk_refuses_is_written_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = EventLog(tmp_path / "c")
    log.append([b"one"])
    real = os.write

    def half(fd: int, data: bytes) -> int:
        if len(data) > 3:
            return real(fd, data[:3])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", half)
    assert not log.append([b"two two"])
    assert log.failing is not None
    monkeypatch.setattr(os, "write", real)
    assert log.append([b"three"])
    assert log.failing is None
    log.close()
    assert (tmp_path / "c" / "events.jsonl").read_bytes() == b"one\ntwo two\nthree\n"


def test_the_end_of_a_call_is_kept_when_the_disk_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "MAX_PENDING", 1000)
    real = os.write
    log = EventLog(tmp_path / "c")
    log.append([b"begin"])

    def full(fd: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    for number in range(100):
        log.append([b"%03d" % number + b"x" * 96])
    log.append([b"end"])
    assert log.close() is False
    timers: list[Any] = []
    told: list[int] = []
    backlog = writer.Backlog(lambda delay, action: timers.append(action), lambda: told.append(1))
    backlog.add(log)
    timers.pop()()
    assert (len(backlog), told) == (1, [])
    monkeypatch.setattr(os, "write", real)
    timers.pop()()
    assert (len(backlog), told, timers) == (0, [1], [])
    lines = (tmp_path / "c" / "events.jsonl").read_bytes().splitlines()
    assert (lines[0], lines[1][:3], lines[-1]) == (b"begin", b"000", b"end")


def test_memory_of_a_full_disk_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "MAX_PENDING", 1000)
    (tmp_path / "file").touch()
    log = EventLog(tmp_path / "file" / "c")
    for _ in range(100):
        assert not log.append([b"x" * 99])
    assert len(log._pending) <= 1000
    log.close()


def test_sync_and_its_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sync(tmp_path)
    with pytest.raises(OSError):
        sync(tmp_path / "missing")
    synced: list[Path] = []
    monkeypatch.setattr(writer, "sync", synced.append)
    thread = SpoolSync(tmp_path, interval=60)
    thread.start()
    thread.touched()
    thread.stop()
    assert synced == [tmp_path]


def test_the_last_good_configuration_is_kept_privately(tmp_path: Path) -> None:
    state = EdgeState(tmp_path / "edge")
    assert state.load_snapshot() is None
    assert state.load_registrations() == {}
    snapshot = Snapshot(3, "o", trunks=(Trunk("t", "b", "n", True, credentials=DigestCredentials("u", "p")),))
    state.save_snapshot(snapshot)
    assert EdgeState(tmp_path / "edge").load_snapshot() == snapshot
    assert (tmp_path / "edge" / "snapshot.json").stat().st_mode & 0o777 == 0o600
    state.save_registrations({"bindings": []})
    assert state.load_registrations() == {"bindings": []}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 1}', '{"version": 1, "organization_id": "o", "x": 1}'])
def test_a_broken_state_file_is_no_state(tmp_path: Path, text: str) -> None:
    state = EdgeState(tmp_path)
    (tmp_path / "snapshot.json").write_text(text)
    assert state.load_snapshot() is None


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = EdgeState(tmp_path)
    state.save_registrations({"a": 1})

    def fail(*args: Any, **options: Any) -> None:
        raise OSError(28, "full")

    monkeypatch.setattr(json, "dump", fail)
    with pytest.raises(OSError):
        state.save_registrations({"a": 2})
    monkeypatch.undo()
    assert state.load_registrations() == {"a": 1}
