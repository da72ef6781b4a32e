"""The worker process: watches the spool and sees to it that every call that ended is finished.

The loop, every ``scan_s``: look at the spool; have calls that are up followed; start ``finalise`` for those that ended.
A run that fails is started again after 1, 2, 4 … 300 seconds, for ever, and its spool folder stays; meanwhile the
others go on. At most ``MOST_RUNS`` run at once, oldest call first.
"""

from __future__ import annotations

import queue
import signal
import threading
import time
from dataclasses import dataclass, field

import structlog

from earwitness.store.database import Database
from earwitness.worker.arguments import WorkerArguments
from earwitness.worker.engine import Engine, default_url
from earwitness.worker.finalise import Finaliser
from earwitness.worker.pool import RenderPool
from earwitness.worker.spool import Look, SpoolWatcher, remove_leftovers

log = structlog.get_logger()

FINALISE = "finalise"
MOST_RUNS = 64
LONGEST_WAIT_S = 300.0
COLLECT_S = 600.0
"""How often finished runs are removed from the engine's tables."""
ALARM_AFTER = 3
"""Failures in a row from which on a conversation is worth somebody's attention."""


@dataclass(slots=True)
class _Trouble:
    """A conversation that must run again."""

    failures: int
    next_s: float
    """Monotonic time of the next attempt."""


@dataclass(slots=True)
class Schedule:
    """Which conversations run, which wait to be tried again. Pure: monotonic time is an argument."""

    running: set[str] = field(default_factory=set)
    troubles: dict[str, _Trouble] = field(default_factory=dict)

    def due(self, ended: tuple[str, ...], now_s: float) -> list[str]:
        """Conversations to start now, in order."""
        room = max(0, MOST_RUNS - len(self.running))
        waiting = [name for name in ended if name not in self.running]
        fresh = [name for name in waiting if name not in self.troubles]
        again = [name for name in waiting if name in self.troubles and self.troubles[name].next_s <= now_s]
        return [*fresh, *again][:room]

    def started(self, name: str) -> None:
        """A run began."""
        self.running.add(name)

    def finished(self, name: str, error: str | None, now_s: float, again_s: float = 0.0) -> int:
        """A run ended; gives how often in a row it has failed.

        Without an error it runs again after ``again_s``, if any.
        """
        self.running.discard(name)
        if error is None:
            self.troubles.pop(name, None)
            if again_s:
                self.troubles[name] = _Trouble(0, now_s + again_s)
            return 0
        failures = self.troubles[name].failures + 1 if name in self.troubles else 1
        self.troubles[name] = _Trouble(failures, now_s + min(LONGEST_WAIT_S, 2.0 ** (failures - 1)))
        return failures


class Worker:
    """Engine, pool and spool together."""

    def __init__(self, arguments: WorkerArguments) -> None:
        self.arguments = arguments
        self.database = Database(arguments.database_url)
        self.pool = RenderPool(arguments)
        self._finaliser = Finaliser(self.database, self.pool, arguments.spool, keep_s=arguments.keep_spool_s)
        self._schedule = Schedule()
        self._results: queue.SimpleQueue[tuple[str, str | None, float]] = queue.SimpleQueue()
        self._watcher = SpoolWatcher(arguments.spool)
        self._stop = threading.Event()
        self._followed: set[str] = set()
        self._old_runs: set[str] = set()
        """Runs of before this process started that are over: forgotten before their id is used again."""
        self._collected_s = 0.0
        url = arguments.workflows_url or default_url(arguments.database_url, arguments.spool.parent)
        self.engine = Engine(url, arguments.executor_id)

        def finalise(conversation_id: str) -> None:
            self._finalise(conversation_id)

        self._workflow = self.engine.workflow(FINALISE, finalise)

    def run(self) -> None:
        """Works until ``stop`` is called."""
        self.arguments.spool.mkdir(parents=True, exist_ok=True)
        remove_leftovers(self.arguments.spool)
        self.pool.start()
        self.engine.launch()
        try:
            for run in self.engine.runs(f"{FINALISE}:"):
                name = run.id.removeprefix(f"{FINALISE}:")
                if run.active:
                    self._schedule.started(name)
                else:
                    self._old_runs.add(run.id)
            log.info("worker is up", spool=str(self.arguments.spool), resumed=len(self._schedule.running))
            while not self._stop.wait(self.arguments.scan_s):
                try:
                    self.turn(time.monotonic())
                except Exception:
                    log.exception("a look at the spool failed; the next one follows")
        finally:
            self._stop.set()
            self.pool.stop()
            self.engine.stop()
            self.database.dispose()

    def stop(self) -> None:
        """Ends ``run`` soon. What is in progress goes on when a worker starts again."""
        self._stop.set()

    def turn(self, now_s: float) -> None:
        """One turn of the loop."""
        self._take_results(now_s)
        look = self._watcher.look()
        if self.arguments.follow:
            self._follow(look)
        for name in self._schedule.due(look.ended, now_s):
            self._start(name)
        if now_s - self._collected_s >= COLLECT_S:
            self._collected_s = now_s
            self._collect()

    def _take_results(self, now_s: float) -> None:
        while not self._results.empty():
            name, error, again_s = self._results.get()
            failures = self._schedule.finished(name, error, now_s, again_s)
            self._old_runs.add(f"{FINALISE}:{name}")
            if error is not None:
                say = log.error if failures >= ALARM_AFTER else log.warning
                say(
                    "a conversation could not be finished and will be tried again; its spool folder stays",
                    conversation_id=name,
                    failures=failures,
                    error=error,
                )

    def _follow(self, look: Look) -> None:
        live = set(look.live)
        for name in live - self._followed:
            self.pool.follow(name)
        for name in self._followed - live - set(look.ended):
            self.pool.forget(name)
        self._followed = live

    def _start(self, name: str) -> None:
        run_id = f"{FINALISE}:{name}"
        if run_id in self._old_runs:
            if any(run.active for run in self.engine.runs(run_id)):
                return  # it has told its result, and the engine is about to note it
            self.engine.forget([run_id])
            self._old_runs.discard(run_id)
        self._schedule.started(name)
        try:
            self.engine.start(self._workflow, run_id, name)
        except Exception as error:
            self._results.put((name, f"{type(error).__name__}: {error}", 0.0))

    def _finalise(self, conversation_id: str) -> None:
        """The workflow. Its steps are those of ``worker.finalise``."""
        try:
            step = self.engine.step
            tape_ids = step("plan", self._finaliser.plan, conversation_id)
            if tape_ids is not None:
                done = step("render", self._finaliser.render, conversation_id, tape_ids)
                step("store", self._finaliser.store, conversation_id, done)
            again_s = step("clear", self._finaliser.clear, conversation_id)
        except Exception as error:
            self._results.put((conversation_id, f"{type(error).__name__}: {error}", 0.0))
            raise
        self._results.put((conversation_id, None, again_s))

    def _collect(self) -> None:
        """Removes runs that are over and whose conversation is no longer in the spool."""
        over = [run.id for run in self.engine.runs(f"{FINALISE}:") if not run.active and run.id in self._old_runs]
        self.engine.forget(over)
        self._old_runs.difference_update(over)


def run(arguments: WorkerArguments) -> None:
    """Runs a worker until SIGTERM or SIGINT."""
    worker = Worker(arguments)

    def end(_signal: int, _frame: object) -> None:
        worker.stop()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    worker.run()
