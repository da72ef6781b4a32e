"""Looking at the spool."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from earwitness.worker.schedule import LONGEST_WAIT_S, LOST_S, MOST_RUNS, Schedule
from earwitness.worker.spool import TAIL, Look, SpoolWatcher, has_ended, remove_folder, remove_leftovers, spool_id

ENDED = json.dumps({"seq": 1, "at": 2, "type": "conversation.ended", "data": {"cause": "hangup"}}) + "\n"
OTHER = json.dumps({"seq": 0, "at": 1, "type": "dtmf", "data": {"leg_id": "x" * TAIL}}) + "\n"


def _write(spool: Path, name: str, text: str) -> Path:
    folder = spool / name
    folder.mkdir(exist_ok=True)
    (folder / "events.jsonl").write_text(text)
    return folder


def test_live_and_ended(tmp_path: Path) -> None:
    watcher = SpoolWatcher(tmp_path)
    _write(tmp_path, "live", OTHER)
    second = _write(tmp_path, "second", OTHER + ENDED)
    first = _write(tmp_path, "first", ENDED)
    os.utime(first / "events.jsonl", (1, 1))
    os.utime(second / "events.jsonl", (2, 2))
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("x")
    _write(tmp_path, ".hidden", ENDED)
    assert watcher.look() == Look(("live",), ("first", "second"))
    _write(tmp_path, "live", OTHER + ENDED)
    assert set(watcher.look().ended) == {"first", "live", "second"}
    remove_folder(first)
    remove_folder(second)
    assert watcher.look() == Look((), ("live",))


def test_a_spool_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert SpoolWatcher(tmp_path / "no").look() == Look((), ())


@pytest.mark.parametrize(
    ("text", "ended"),
    [
        ("", False),
        (ENDED, True),
        (ENDED[:-1], False),  # the line is still being written
        (ENDED + OTHER, False),
        (OTHER * 3 + ENDED, True),
        ("garbage\n", False),
        ("[1]\n", False),
        (ENDED + "\n", False),
    ],
)
def test_has_ended(tmp_path: Path, text: str, ended: bool) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text(text)
    assert has_ended(path) is ended


def test_has_ended_without_a_log(tmp_path: Path) -> None:
    assert has_ended(tmp_path / "events.jsonl") is False


def test_removing_is_done_once_and_finished_after_a_crash(tmp_path: Path) -> None:
    folder = _write(tmp_path, "c", ENDED)
    remove_folder(folder)
    remove_folder(folder)
    assert list(tmp_path.iterdir()) == []
    _write(tmp_path, ".c.done", ENDED)
    remove_folder(_write(tmp_path, "c", ENDED))
    _write(tmp_path, ".d.done", ENDED)
    remove_leftovers(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_removed_is_told_and_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = _write(tmp_path, "c", ENDED)
    (folder / "audio.rtpdump").write_text("plain")
    real = os.unlink

    def broken(path: Any, *more: Any, **named: Any) -> None:
        if str(path).endswith(".rtpdump"):
            raise OSError(5, "Input/output error", str(path))
        real(path, *more, **named)

    monkeypatch.setattr(os, "unlink", broken)
    with capture_logs() as lines:
        remove_folder(folder)
    assert not folder.exists()
    assert [path.name for path in (tmp_path / ".c.done").iterdir()] == ["audio.rtpdump"]
    assert [(line["log_level"], line["path"]) for line in lines] == [("error", str(tmp_path / ".c.done/audio.rtpdump"))]
    with capture_logs() as lines:
        assert remove_leftovers(tmp_path) == 1
    assert lines[0]["log_level"] == "error"
    monkeypatch.undo()
    assert remove_leftovers(tmp_path) == 0
    assert list(tmp_path.iterdir()) == []


def test_a_spool_keeps_its_id(tmp_path: Path) -> None:
    assert spool_id(tmp_path / "spool") == spool_id(tmp_path / "spool")
    assert [path.name for path in (tmp_path / "spool").iterdir()] == [".id"]


def test_schedule_runs_each_once_and_tries_again_later() -> None:
    schedule = Schedule()
    assert schedule.due(["a", "b"], 0) == ["a", "b"]
    schedule.started("a", 0)
    schedule.started("b", 0)
    assert schedule.due(["a", "b", "c"], 0) == ["c"]
    assert schedule.finished("a", "broken", 10) == 1
    assert schedule.due(["a"], 10.9) == []
    assert schedule.due(["a", "c"], 11) == ["c", "a"]
    schedule.started("a", 11)
    assert schedule.finished("a", "broken", 20) == 2
    assert schedule.due(["a"], 21.9) == []
    assert schedule.due(["a"], 22) == ["a"]
    assert schedule.finished("a", None, 22) == 0
    assert schedule.finished("a", "broken", 30) == 1


def test_schedule_never_gives_up() -> None:
    schedule = Schedule()
    for attempt in range(1, 3000):
        assert schedule.finished("a", "broken", 0) == attempt
    assert schedule.due(["a"], LONGEST_WAIT_S - 1) == []
    assert schedule.due(["a"], LONGEST_WAIT_S) == ["a"]


def test_schedule_leaves_room_for_others() -> None:
    schedule = Schedule()
    names = [str(n) for n in range(MOST_RUNS + 5)]
    assert schedule.due(names, 0) == names[:MOST_RUNS]
    for name in names[:MOST_RUNS]:
        schedule.started(name, 0)
    assert schedule.due(names, 0) == []
    schedule.finished("0", "broken", 0)
    assert schedule.due(names, 5) == [names[MOST_RUNS]]


def test_schedule_keeps_a_folder_for_a_while() -> None:
    schedule = Schedule()
    schedule.finished("a", None, 0, again_s=30)
    assert schedule.due(["a"], 29) == []
    assert schedule.due(["a"], 30) == ["a"]
    schedule.keep(["b"])
    assert schedule.due(["a"], 0) == ["a"]


def test_schedule_notices_lost_runs() -> None:
    schedule = Schedule()
    for name in ("a", "b"):
        schedule.started(name, 0)
    assert schedule.lost({"a"}, LOST_S) == []
    assert schedule.lost({"a"}, LOST_S + 1) == ["b"]


def test_watcher_reads_a_log_again_only_when_it_grew(tmp_path: Path, monkeypatch: Any) -> None:
    from earwitness.worker import spool

    _write(tmp_path, "live", OTHER)
    looked: list[Path] = []

    def look(path: Path, start: int) -> bytes:
        looked.append(path)
        return b""

    monkeypatch.setattr(spool, "read_from", look)
    watcher = SpoolWatcher(tmp_path)
    for _ in range(3):
        watcher.look()
    assert len(looked) == 1


def test_c1_what_was_destroyed_is_noticed_once(tmp_path: Path) -> None:
    watcher = SpoolWatcher(tmp_path)
    folder = _write(tmp_path, "live", OTHER)
    assert watcher.look().destroyed == ()
    for kind in ("consent.refused", "tape.destroyed"):
        with (folder / "events.jsonl").open("a") as log:
            log.write(json.dumps({"seq": 2, "at": 2, "type": kind, "data": {}}) + "\n" + OTHER)
        assert watcher.look().destroyed == ("live",)
        assert watcher.look().destroyed == ()
