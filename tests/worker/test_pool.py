"""Render processes, real ones: following, lanes, errors, death."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from earwitness.archive.render.plan import plan_folder
from earwitness.archive.render.renderer import render_tape
from earwitness.archive.vault import Vault, create_keys
from earwitness.worker import pool as pools
from earwitness.worker import rendered
from earwitness.worker.arguments import WorkerArguments
from earwitness.worker.pool import RenderError, RenderPool

SECOND = 1_000_000


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[RenderPool]:
    data = tmp_path / "data"
    (data / "spool").mkdir(parents=True)
    create_keys(data / "keys")
    arguments = WorkerArguments("", data / "spool", str(data / "vault"), data / "keys", log_level="warning")
    pool = RenderPool(arguments)
    pool.start()
    yield pool
    pool.stop()


def eventually(condition: Callable[[], bool], timeout_s: float = 120.0) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end:
            raise AssertionError("it did not happen in time")
        time.sleep(0.02)


def test_a_followed_call_is_the_same_file(pool: RenderPool, make_call: Any, tmp_path: Path) -> None:
    call = make_call(start_us=time.time_ns() // 1000 - 40 * SECOND)
    call.begin()
    call.open()
    call.talk(0, 36)
    pool.follow(call.id)
    pool.follow(call.id)
    eventually(lambda: any(path.stat().st_size > 10_000 for path in call.folder.glob("*.followed")))
    call.close(36 * SECOND)
    call.end(36 * SECOND)
    assert pool.render(call.id, [call.tape_id]).result(120) == [call.tape_id]
    out = bytearray()
    render_tape(plan_folder(call.folder)[0], out.extend)
    vault = Vault.at(tmp_path / "data" / "vault", tmp_path / "data" / "keys")
    assert vault.open(call.tape_id).item("master").read() == bytes(out)
    assert not list(call.folder.glob("*.followed"))


def test_a_call_that_is_forgotten_leaves_no_file(pool: RenderPool, make_call: Any) -> None:
    call = make_call(start_us=time.time_ns() // 1000 - 40 * SECOND)
    call.begin()
    call.open()
    call.talk(0, 12)
    pool.follow(call.id)
    eventually(lambda: bool(list(call.folder.glob("*.followed"))))
    pool.forget(call.id)
    eventually(lambda: not list(call.folder.glob("*.followed")))


def test_c1_a_destroyed_tape_is_dropped_when_told_to_look(pool: RenderPool, make_call: Any) -> None:
    call = make_call(start_us=time.time_ns() // 1000 - 40 * SECOND)
    call.begin()
    call.open()
    call.talk(0, 12)
    pool.follow(call.id)
    eventually(lambda: bool(list(call.folder.glob("*.followed"))))
    call.event(12 * SECOND, "consent.refused", leg_id=f"{call.id}-a")
    pool.look(call.id)
    eventually(lambda: not list(call.folder.glob("*.followed")))
    pool.look("nobody follows this one")


def test_a_render_process_leaves_no_core_file(pool: RenderPool, simple_call: Any) -> None:
    call = simple_call()
    assert pool.render(call.id, [call.tape_id]).result(120) == [call.tape_id]
    (pid,) = pool.pids()
    limits = Path(f"/proc/{pid}/limits").read_text()
    assert "Max core file size 0 0 bytes" in " ".join(limits.split())


def test_long_work_goes_to_the_second_lane(pool: RenderPool, simple_call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(pool.pids()) == 1
    small = simple_call()
    assert pool.render(small.id, [small.tape_id]).result(120) == [small.tape_id]
    assert len(pool.pids()) == 1
    monkeypatch.setattr(pools, "SMALL", 0)
    long = simple_call()
    assert pool.render(long.id, [long.tape_id]).result(120) == [long.tape_id]
    assert len(pool.pids()) == 2
    assert rendered.read(long.folder, long.tape_id) is not None


def test_an_error_is_told_and_the_process_lives(pool: RenderPool, simple_call: Any) -> None:
    with pytest.raises(RenderError, match=r"FileNotFoundError|KeyError"):
        pool.render("gone", ["x"]).result(120)
    (pid,) = pool.pids()
    call = simple_call()
    assert pool.render(call.id, [call.tape_id]).result(120) == [call.tape_id]
    assert pool.pids() == [pid]


def test_death_fails_the_job_and_the_next_gets_a_new_process(pool: RenderPool, simple_call: Any) -> None:
    (pid,) = pool.pids()
    call = simple_call()
    os.kill(pid, signal.SIGSTOP)
    job = pool.render(call.id, [call.tape_id])
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(RenderError, match="died"):
        job.result(120)
    assert pool.render(call.id, [call.tape_id]).result(120) == [call.tape_id]
    assert pid not in pool.pids()


def test_nothing_is_rendered_after_the_end(pool: RenderPool) -> None:
    pool.stop()
    pool.follow("x")
    with pytest.raises(RenderError, match="ending"):
        pool.render("x", []).result(1)


def test_facts_survive_writing_and_reading(tmp_path: Path) -> None:
    tape = rendered.RenderedTape(
        "t", "l", "trunk", "audio/opus", "audio/ogg", 2, 8000, 1, 2, 3, [{"from_us": 1, "to_us": 2}], [], {"a": None},
        b"\x00\xff", [rendered.SealedObject("master", "k", "audio/ogg", 4, "00")],
    )  # fmt: skip
    assert rendered.read(tmp_path, "t") is None
    rendered.write(tmp_path, tape)
    assert rendered.read(tmp_path, "t") == tape
    assert [path.name for path in tmp_path.iterdir()] == ["t.rendered.json"]
