"""What the worker does from time to time, beside finishing calls: a table of chores.

A chore looks at the database for what is due and does a bounded part of it. It is safe to repeat, safe on several
workers at once, and safe to kill anywhere. One that fails says so and is tried again; the others go on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import structlog

from earwitness.worker import batch_downloads, erasures, exports, imports, jobs, key_rotation, orphans
from earwitness.worker.after_call import close_overdue
from earwitness.worker.apply_policies import ApplyPolicies
from earwitness.worker.bench import Bench as Bench
from earwitness.worker.purge import Purge
from earwitness.worker.release_evaluations import release_due

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Chore:
    """One thing to do from time to time."""

    name: str
    every_s: float
    do: Callable[[Bench], object]


CHORES: tuple[Chore, ...] = (
    Chore("release evaluations", 5.0, lambda bench: release_due(bench.database, bench.now_us())),
    Chore("after-call work", 5.0, lambda bench: close_overdue(bench.database, bench.now_us())),
    Chore("policies", 2.0, ApplyPolicies()),
    Chore("retention", 1.0, Purge()),
    Chore("bulk jobs", 1.0, jobs.go_on),
    Chore("erasures", 1.0, erasures.go_on),
    Chore("batch downloads", 1.0, batch_downloads.work),
    Chore("uploads", 1.0, imports.work),
    Chore("what uploads leave", 600.0, imports.tidy),
    Chore("exports", 2.0, exports.work),
    Chore("orphans of the spool", 60.0, orphans.rescue),
    Chore("old orphans", 300.0, orphans.ExpireOrphans()),
    Chore("deleted orphans", 2.0, orphans.bury_condemned),
    Chore("key rotation", 60.0, key_rotation.rotate),
    Chore("data keys", 10.0, key_rotation.rewrap),
)
"""In the order in which they are done when several are due."""


@dataclass(slots=True)
class Round:
    """When each chore was last done."""

    bench: Bench
    chores: Sequence[Chore] = CHORES
    _done_s: dict[str, float] = field(default_factory=dict)

    def turn(self, now_s: float) -> None:
        """Does what is due; ``now_s`` is monotonic."""
        for chore in self.chores:
            last = self._done_s.get(chore.name)
            if last is not None and now_s - last < chore.every_s:
                continue
            self._done_s[chore.name] = now_s
            try:
                chore.do(self.bench)
            except Exception:
                log.exception("a chore failed; it is done again", chore=chore.name)


def wall_us() -> int:
    """UTC microseconds."""
    return time.time_ns() // 1000
