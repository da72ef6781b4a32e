"""Chores: each in its time, and one that fails keeps none of the others from being done."""

from __future__ import annotations

from typing import Any

from earwitness.worker.chores import Bench, Chore, Round


def test_each_chore_is_done_when_its_time_has_come_and_a_failure_stops_nobody() -> None:
    done: list[str] = []
    bench: Any = Bench(None, None, lambda: 0)  # type: ignore[arg-type]

    def fails(_bench: Bench) -> None:
        done.append("fails")
        raise RuntimeError("the database is away")

    turns = Round(bench, (Chore("a", 5.0, lambda _: done.append("a")), Chore("b", 10.0, fails)))
    for now_s in (100.0, 104.9, 105.0, 110.0, 110.1):
        turns.turn(now_s)
    assert done == ["a", "fails", "a", "a", "fails"]
