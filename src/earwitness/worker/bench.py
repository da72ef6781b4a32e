"""What chores work with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from earwitness.store.database import Database
from earwitness.worker.arguments import WorkerArguments


@dataclass(frozen=True, slots=True)
class Bench:
    """A chore's tools."""

    database: Database
    arguments: WorkerArguments
    now_us: Callable[[], int]
    """The wall clock, UTC microseconds."""
