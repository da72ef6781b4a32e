"""The chore ``retention``: deletes, archives and restores recordings on time.

A turn: carry out what was decided; then decide what is due; and so on, until nothing is left or the turn is over. What
was decided stays decided, whatever the clock does. What is due is asked of a clock that must not leap: after a leap
forward nothing new is decided for a while, so that somebody can put the clock right before anything is deleted early.
Nothing new is decided either as long as the stores are away, so that an outage leaves few recordings half-way.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import structlog

from earwitness.archive.vault import NotSealedError, Vault, shelf
from earwitness.store import retention, retention_tasks
from earwitness.store.retention_tasks import Task
from earwitness.worker.bench import Bench
from earwitness.worker.destroy import destroy_taken, tell
from earwitness.worker.steady import SteadyClock
from earwitness.worker.vaults import vault_of

log = structlog.get_logger()

BATCH = 200
TURN_S = 10.0
"""How long a turn may last; other chores wait meanwhile."""
LOOK_BACK_S = 3600.0
"""How often it is looked whether something was made of recordings that were being destroyed."""
PROBE = "probe/retention"


class Purge:
    """See the head of this file."""

    def __init__(
        self, clock: SteadyClock | None = None, monotonic: Callable[[], float] = time.monotonic, batch: int = BATCH
    ) -> None:
        self._clock, self._monotonic, self._batch = clock or SteadyClock(), monotonic, batch
        self._looked_back_s: float | None = None

    def __call__(self, bench: Bench) -> int:
        """A turn; gives how many tasks were carried out."""
        vault = vault_of(bench.arguments)
        began_s = self._monotonic()
        done = 0
        while True:
            tasks = self._take(bench)
            if tasks:
                succeeded = carry_out(bench, vault, tasks)
                done += succeeded
                if not succeeded and not reachable(vault):
                    return done
            elif not self.decide(bench, vault):
                return done
            if self._monotonic() - began_s > TURN_S:
                return done

    def _take(self, bench: Bench) -> list[Task]:
        with bench.database.reading() as session:  # most of the time there is nothing, and nobody is to wait for us
            if not retention_tasks.anything(session, bench.now_us()):
                return []
        with bench.database.transaction() as session:
            return retention_tasks.take(session, bench.now_us(), self._batch)

    def decide(self, bench: Bench, vault: Vault) -> int:
        """Decides what is due; gives how many recordings that is about."""
        now = self._clock.now(bench.now_us())
        if now is None:
            return 0
        with bench.database.reading() as session:
            found = retention.due(session, now, self._batch)
            anything = found or retention.released(session, 1) or retention.archiving_due(session, now)
            failing = retention_tasks.failing(session)
        count = self._look_back(bench)
        if not anything:
            return count
        if failing and not reachable(vault):
            return count
        with bench.database.transaction() as session:
            for task in retention.released(session, self._batch):
                count += len(retention.ask_to_delete(session, [task.recording_id], task.by, task.reason, now))
            for reason in dict.fromkeys(item.reason for item in found):
                ids = [item.recording_id for item in found if item.reason == reason]
                inbox = reason == retention.BY_MAXIMUM
                count += len(retention.ask_to_delete(session, ids, retention.SYSTEM, reason, now, inbox=inbox))
            count += retention.begin_archiving(session, now, self._batch)
        return count

    def _look_back(self, bench: Bench) -> int:
        now_s = self._monotonic()
        if self._looked_back_s is not None and now_s - self._looked_back_s < LOOK_BACK_S:
            return 0
        self._looked_back_s = now_s
        with bench.database.reading() as session:
            ids = retention_tasks.leftovers(session, self._batch)
        if ids:
            with bench.database.transaction() as session:
                for recording_id in ids:
                    reason = "made while the recording was being destroyed"
                    at = bench.now_us()
                    retention_tasks.put(session, recording_id, "destroy", by=retention.SYSTEM, reason=reason, at=at)
        return len(ids)


def carry_out(bench: Bench, vault: Vault, tasks: Sequence[Task]) -> int:
    """Carries out tasks that were taken; gives how many are done. The others are tried again."""
    done = destroy_taken(bench, vault, [task for task in tasks if task.kind == "destroy"])
    moves = [task for task in tasks if task.kind != "destroy"]
    problems: dict[str, str] = {}
    for task in moves:
        try:
            _move(vault, task)
        except Exception as error:
            problems[task.recording_id] = f"{type(error).__name__}: {error}"
            continue
        with bench.database.transaction() as session:
            retention_tasks.moved(session, task, bench.now_us())
        done += 1
    if problems:
        with bench.database.transaction() as session:
            retention_tasks.failed(session, problems, bench.now_us())
        tell(moves, problems)
    return done


def _move(vault: Vault, task: Task) -> None:
    for vault_id in task.vault_ids:
        try:
            if task.kind == "archive":
                shelf.put_away(vault, vault_id)
            else:
                shelf.bring_back(vault, vault_id)
        except NotSealedError:
            if vault_id == task.recording_id:
                raise


def reachable(vault: Vault) -> bool:
    """Whether both stores can be written."""
    try:
        for store in (vault.data_keys, vault.objects):
            store.put(PROBE, b"-")
            store.delete(PROBE)
    except Exception as error:
        log.warning("the vault cannot be written; nothing new is deleted or archived", error=str(error)[:300])
        return False
    return True
