"""Keeps the processes of one machine running: starts them, restarts the dead, stops all in order.

Theory of operation. One child per process kind and number; a child is ``starting`` until its start delay has passed,
``up`` while it runs, ``stopping`` after the supervisor was told to end. A child that dies is started again at once;
one that keeps dying within ``QUICK_DEATH_S`` waits twice as long each time, up to ``LONGEST_DELAY_S``. One that
cannot do its work at the very first start (``CANNOT``: its port is taken) ends everything. On SIGTERM or
SIGINT the children are told to end stage by stage, in the order of ``Child.stage`` (the edge first, so that calls are
told while media still runs), each stage having ``STOP_S`` before it is killed. Children die with the supervisor.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import structlog

QUICK_DEATH_S = 5.0
FIRST_DELAY_S = 0.1
CANNOT = 78
"""Exit status (EX_CONFIG of sysexits) of a process that cannot do its work as it is set up, and has said why."""
LONGEST_DELAY_S = 10.0
STOP_S = 8.0
_SIGNALS = (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT)
_PR_SET_PDEATHSIG = 1

log = structlog.get_logger()


@dataclass(slots=True)
class Child:
    """One process to keep running."""

    name: str
    command: Sequence[str]
    stage: int = 0
    """Children of a lower stage are stopped first."""
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    start_at: float = 0.0
    """Monotonic time of the next start."""
    delay: float = 0.0
    deaths: int = 0


def before_exec(parent: int) -> Callable[[], None]:
    """What a child does before it becomes another program: it will end (SIGTERM) when its parent does."""
    libc = ctypes.CDLL(None)

    def prepare() -> None:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM))
        if os.getppid() != parent:
            os._exit(0)

    return prepare


@dataclass(slots=True)
class Supervisor:
    """Runs ``children`` until told to stop."""

    children: list[Child]
    environment: Mapping[str, str]
    on_idle: Callable[[], bool] = lambda: False
    """Called about five times a second; tells whether all are up."""
    _stopping: bool = field(default=False)
    _status: int = 0
    _been_up: bool = False
    """All were up at least once."""

    def run(self) -> int:
        """Blocks until SIGTERM or SIGINT; returns the exit status. Call from the main thread."""
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        try:
            while not self._stopping:
                self._start_due(time.monotonic())
                told = signal.sigtimedwait(_SIGNALS, 0.2)
                if told is not None and told.si_signo != signal.SIGCHLD:
                    self._stopping = True
                self._bury(time.monotonic())
                self._been_up = self.on_idle() or self._been_up
        finally:
            self._stop()
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        return self._status

    def _start_due(self, now: float) -> None:
        for child in self.children:
            if child.process is None and now >= child.start_at:
                child.process = subprocess.Popen(
                    child.command,
                    env=dict(self.environment),
                    stdin=subprocess.DEVNULL,
                    start_new_session=True,
                    preexec_fn=before_exec(os.getpid()),
                )
                child.started = now

    def _bury(self, now: float) -> None:
        for child in self.children:
            if child.process is None or (status := child.process.poll()) is None:
                continue
            if status == CANNOT and not child.deaths and not self._been_up:
                log.error("a process cannot do its work: ending", process=child.name)
                self._status, self._stopping, child.process = CANNOT, True, None
                continue
            quick = now - child.started < QUICK_DEATH_S
            child.delay = min(LONGEST_DELAY_S, child.delay * 2 or FIRST_DELAY_S) if quick else 0.0
            child.start_at = now + child.delay
            child.process = None
            child.deaths += 1
            log.warning("process died, starting it again", process=child.name, status=status, delay_s=child.delay)

    def _stop(self) -> None:
        for stage in sorted({child.stage for child in self.children}):
            processes = [(c, c.process) for c in self.children if c.stage == stage and c.process is not None]
            for _, process in processes:
                process.terminate()
            deadline = time.monotonic() + STOP_S
            for child, process in processes:
                try:
                    process.wait(max(0.0, deadline - time.monotonic()))
                except subprocess.TimeoutExpired:
                    log.error("process does not end, killing it", process=child.name)
                    process.kill()
                    process.wait()
                child.process = None
