"""The worker process: watches the spool and sees to it that every call that ended is finished.

The loop, every ``scan_s`` at least: look at the spool; have calls that are up followed; start ``finalise`` for those
that ended. A run that fails is started again later (``worker.schedule``), for ever, and its spool folder stays;
meanwhile the others go on.
"""

from __future__ import annotations

import queue
import signal
import threading
import time

import structlog

from earwitness.store.database import Database
from earwitness.worker.arguments import WorkerArguments
from earwitness.worker.chores import Bench, Round, wall_us
from earwitness.worker.engine import Engine, default_url
from earwitness.worker.finalise import Finaliser
from earwitness.worker.pool import RenderPool
from earwitness.worker.schedule import Schedule
from earwitness.worker.spool import Look, SpoolWatcher, remove_leftovers, spool_id

log = structlog.get_logger()

FINALISE = "finalise"
LEAST_SCAN_S = 0.05
SCAN_SHARE = 20
"""The spool is looked at more often than every ``scan_s`` as long as that takes no more than this part of the time."""
COLLECT_S = 60.0
"""How often finished runs are removed from the engine's tables, lost ones looked for, and leftovers swept."""
LEAST_CHORE_S = 1.0
"""How often the chores are looked through."""
CHORES_YIELD_S = 5.0
"""How long chores are put off while calls are being finished."""
CHORES_LOOK_S = 0.25
CHORE_ENDS_S = 10.0
"""How long a worker that ends waits for the chore in progress."""
ALARM_AFTER = 3
"""Failures in a row from which on a conversation is worth somebody's attention."""


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
        """Runs that have told their result: forgotten before their id is used again."""
        self._collected_s = 0.0
        self._chores = Round(Bench(self.database, arguments, wall_us))
        url = arguments.workflows_url or default_url(arguments.database_url, arguments.spool.parent)
        self._executor_id = arguments.executor_id or spool_id(arguments.spool)
        self.engine = Engine(url, self._executor_id)

        def finalise(conversation_id: str) -> None:
            self._finalise(conversation_id)

        self._workflow = self.engine.workflow(FINALISE, finalise)

    def run(self) -> None:
        """Works until ``stop`` is called."""
        remove_leftovers(self.arguments.spool)
        self.pool.start()
        self.engine.launch()
        chores = threading.Thread(target=self._do_chores, name="chores", daemon=True)
        chores.start()
        try:
            self._take_up(time.monotonic())
            log.info("worker is up", spool=str(self.arguments.spool), resumed=len(self._schedule.running))
            pause_s = self.arguments.scan_s
            while not self._stop.wait(pause_s):
                began_s = time.monotonic()
                try:
                    self.turn(began_s)
                except Exception:
                    log.exception("a look at the spool failed; the next one follows")
                took_s = time.monotonic() - began_s
                pause_s = min(self.arguments.scan_s, max(LEAST_SCAN_S, SCAN_SHARE * took_s))
        finally:
            self._stop.set()
            self.pool.stop()
            chores.join(CHORE_ENDS_S)
            self.engine.stop()
            self.database.dispose()

    def _do_chores(self) -> None:
        """In a thread of its own, so that no chore keeps a call from being finished; calls that have just ended come
        first, for a while.
        """
        while not self._stop.wait(LEAST_CHORE_S):
            put_off_until_s = time.monotonic() + CHORES_YIELD_S
            while self._schedule.running and time.monotonic() < put_off_until_s:
                if self._stop.wait(CHORES_LOOK_S):
                    return
            self._chores.turn(time.monotonic())

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
            self._start(name, now_s)
        if now_s - self._collected_s >= COLLECT_S:
            self._collected_s = now_s
            self._schedule.keep(look.ended)
            remove_leftovers(self.arguments.spool)
            self._collect(now_s)

    def _take_up(self, now_s: float) -> None:
        """Sorts the runs that the engine remembers from before: ours that go on, and those in the way of new ones."""
        for run in self.engine.runs(f"{FINALISE}:"):
            name = run.id.removeprefix(f"{FINALISE}:")
            if run.active and run.executor_id == self._executor_id:
                self._schedule.started(name, now_s)
            elif (self.arguments.spool / name).is_dir():
                self.engine.forget([run.id])

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
        live, present = set(look.live), {*look.live, *look.ended}
        for name in live - self._followed:
            self.pool.follow(name)
        for name in look.destroyed:
            self.pool.look(name)
        for name in self._followed - present:
            self.pool.forget(name)
        self._followed = (self._followed & present) | live

    def _start(self, name: str, now_s: float) -> None:
        run_id = f"{FINALISE}:{name}"
        if run_id in self._old_runs:
            if any(run.active for run in self.engine.runs(run_id)):
                return  # it has told its result, and the engine is about to note it
            self.engine.forget([run_id])
            self._old_runs.discard(run_id)
        self._schedule.started(name, now_s)
        try:
            self.engine.start(self._workflow, run_id, name)
        except Exception as error:
            self._results.put((name, f"{type(error).__name__}: {error}", 0.0))

    def _finalise(self, conversation_id: str) -> None:
        """The workflow: one durable step, made of those of ``worker.finalise``."""
        try:
            again_s = self.engine.step("finish", self._finaliser.finish, conversation_id)
        except Exception as error:
            self._results.put((conversation_id, f"{type(error).__name__}: {error}", 0.0))
            raise
        self._results.put((conversation_id, None, again_s))

    def _collect(self, now_s: float) -> None:
        """Removes runs that are over, and notices runs that ended without a word."""
        runs = self.engine.runs(f"{FINALISE}:")
        over = [run.id for run in runs if not run.active and run.id in self._old_runs]
        self.engine.forget(over)
        self._old_runs.difference_update(over)
        active = {run.id.removeprefix(f"{FINALISE}:") for run in runs if run.active}
        for name in self._schedule.lost(active, now_s):
            self._results.put((name, "the run ended without a result", 0.0))


def run(arguments: WorkerArguments) -> None:
    """Runs a worker until SIGTERM or SIGINT."""
    worker = Worker(arguments)

    def end(_signal: int, _frame: object) -> None:
        worker.stop()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    worker.run()
