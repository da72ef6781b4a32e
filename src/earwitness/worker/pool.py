"""The render processes, as the worker sees them.

Each is ``python -m earwitness.worker.render_process``, told what to do by JSON lines on its standard input (see there).
A conversation that is followed stays with one process; ``render`` gives it the rest of the work after hang-up. Work
that nobody followed and that is long goes to a second lane of processes, started when needed and ended when idle, so
that an eight-hour tape found after a restart does not stand before calls that have just ended.

A process that dies fails only its own jobs, each of which will be tried again; the next job starts a new process.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import threading
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog

from earwitness.worker.arguments import WorkerArguments

log = structlog.get_logger()

SMALL = 4_000_000
"""Bytes of a spool folder that may be rendered among followed calls; about two minutes of G.711."""


class RenderError(RuntimeError):
    """A conversation could not be rendered; the message says why."""


@dataclass(slots=True)
class _Process:
    """One render process and what it is at."""

    popen: subprocess.Popen[bytes]
    jobs: dict[int, Future[list[str]]] = field(default_factory=dict)
    followed: set[str] = field(default_factory=set)
    alive: bool = True

    @property
    def load(self) -> tuple[int, int]:
        return len(self.jobs), len(self.followed)


class RenderPool:
    """Starts, feeds and ends the render processes. Thread-safe."""

    def __init__(self, arguments: WorkerArguments) -> None:
        self._arguments = arguments
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._stopped = False
        self._lanes: dict[str, list[_Process]] = {"live": [], "batch": []}

    def start(self) -> None:
        """Starts the processes of the first lane, so that they are warm when the first call ends."""
        with self._lock:
            while len(self._lanes["live"]) < self._arguments.render_processes:
                self._spawn("live")

    def follow(self, conversation_id: str) -> None:
        """Renders a conversation while it is up. Asking twice changes nothing."""
        with self._lock:
            if self._stopped or self._follower(conversation_id) is not None:
                return
            process = self._choose("live", followed_first=True)
            process.followed.add(conversation_id)
            self._send(process, {"follow": conversation_id})

    def look(self, conversation_id: str) -> None:
        """Has a followed conversation looked at now: something in it was destroyed."""
        with self._lock:
            process = self._follower(conversation_id)
            if process is not None:
                self._send(process, {"look": conversation_id})

    def forget(self, conversation_id: str) -> None:
        """Stops following a conversation."""
        with self._lock:
            process = self._follower(conversation_id)
            if process is not None:
                process.followed.discard(conversation_id)
                self._send(process, {"forget": conversation_id})

    def render(self, conversation_id: str, tape_ids: list[str]) -> Future[list[str]]:
        """Renders and seals tapes of a conversation that has ended.

        The future gives the ids of those that have a recording, or raises ``RenderError``.
        """
        future: Future[list[str]] = Future()
        with self._lock:
            if self._stopped:
                future.set_exception(RenderError("the worker is ending"))
                return future
            process = self._follower(conversation_id)
            if process is None:
                small = _folder_size(self._arguments.spool / conversation_id) <= SMALL
                process = self._choose("live" if small else "batch")
            process.followed.discard(conversation_id)
            number = next(self._numbers)
            process.jobs[number] = future
            self._send(process, {"job": number, "render": conversation_id, "tapes": tape_ids})
        return future

    def stop(self) -> None:
        """Ends all processes; jobs in progress fail."""
        with self._lock:
            self._stopped = True
            processes = [process for lane in self._lanes.values() for process in lane]
            for process in processes:
                process.popen.kill()
        for process in processes:
            process.popen.wait()

    def pids(self) -> list[int]:
        """Process ids of those that run."""
        with self._lock:
            return [process.popen.pid for lane in self._lanes.values() for process in lane if process.alive]

    def _follower(self, conversation_id: str) -> _Process | None:
        return next((p for p in self._lanes["live"] if p.alive and conversation_id in p.followed), None)

    def _choose(self, lane: str, *, followed_first: bool = False) -> _Process:
        """The process with least to do; a new one while there are too few."""
        processes = self._lanes[lane]
        idle = [process for process in processes if not process.jobs]
        if len(processes) < self._arguments.render_processes and (lane == "live" or not idle):
            return self._spawn(lane)
        return min(processes, key=lambda p: (len(p.followed), len(p.jobs)) if followed_first else p.load)

    def _spawn(self, lane: str) -> _Process:
        arguments = self._arguments
        settings = {
            "spool": str(arguments.spool),
            "vault_url": arguments.vault_url,
            "keys": str(arguments.keys),
            "data_keys_url": arguments.data_keys_url,
            "log_level": arguments.log_level,
            "log_format": arguments.log_format,
            "ends_when_idle": lane == "batch",
        }
        popen = subprocess.Popen(
            [sys.executable, "-m", "earwitness.worker.render_process"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        process = _Process(popen)
        self._lanes[lane].append(process)
        self._send(process, settings)
        threading.Thread(target=self._read, args=(lane, process), name=f"render-{popen.pid}", daemon=True).start()
        return process

    @staticmethod
    def _send(process: _Process, message: dict[str, Any]) -> None:
        """A process that is gone is noticed by its reader, which fails its jobs."""
        if process.popen.stdin is not None:
            try:
                process.popen.stdin.write(json.dumps(message).encode() + b"\n")
                process.popen.stdin.flush()
            except OSError:
                log.debug("render process is gone", pid=process.popen.pid)

    def _read(self, lane: str, process: _Process) -> None:
        """Takes the answers of one process until it ends."""
        if process.popen.stdout is None:
            return
        for line in process.popen.stdout:
            answer = json.loads(line)
            with self._lock:
                future = process.jobs.pop(int(answer["job"]), None)
            if future is None:
                continue
            if "error" in answer:
                future.set_exception(RenderError(answer["error"]))
            else:
                future.set_result([str(tape_id) for tape_id in answer["tapes"]])
        status = process.popen.wait()
        with self._lock:
            process.alive = False
            self._lanes[lane].remove(process)
            failed = list(process.jobs.values())
            stopped = self._stopped
        process.popen.stdout.close()
        if process.popen.stdin is not None:
            try:
                process.popen.stdin.close()
            except OSError:
                log.debug("render process is gone", pid=process.popen.pid)
        if not stopped and status != 0:
            log.error("a render process died; its work is tried again", pid=process.popen.pid, status=status)
        for future in failed:
            future.set_exception(RenderError(f"the render process died (status {status})"))


def _folder_size(folder: Path) -> int:
    try:
        return sum(entry.stat().st_size for entry in os.scandir(folder))
    except FileNotFoundError:
        return 0
