"""A render process: ``python -m earwitness.worker.render_process``, started by ``worker.pool``.

Reads JSON lines from standard input. The first tells where things are: ``{"spool", "vault_url", "keys",
"data_keys_url", "log_level", "log_format", "ends_when_idle"}``. Then, in any order::

    {"follow": "<conversation id>"}                              render it while it is up
    {"look": "<conversation id>"}                                look now what has come of it
    {"forget": "<conversation id>"}                              stop that
    {"job": 7, "render": "<conversation id>", "tapes": ["…"]}    it has ended: render the rest, seal, leave the facts

Each job is answered on standard output: ``{"job": 7, "tapes": ["…"]}`` with the ids that have a recording, or
``{"job": 7, "error": "…"}``. Jobs come before following. The process ends with its input: nobody is left who asks.

One thread renders, another seals: it takes all that has been rendered meanwhile and waits for the disk once.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import select
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import structlog

from earwitness import logs
from earwitness.archive.vault import Vault
from earwitness.process import forbid_dumps
from earwitness.worker.rendering import ConversationRenderer, Unsealed, seal_together

log = structlog.get_logger()

POLL_S = 4.0
"""How often a call that is up is looked at, unless it is known when something of it becomes final."""
IDLE_S = 30.0
MOST_TOGETHER = 32
"""Conversations that are sealed together."""
NICE = 5
"""Calls go before recordings."""


class _Input:
    """Lines of a pipe, without waiting for more than there are."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.ended = False
        self._rest = b""

    def lines(self, timeout_s: float | None) -> Iterator[dict[str, Any]]:
        """Messages that are there, waiting up to ``timeout_s`` for the first."""
        while not self.ended and select.select([self.fd], [], [], timeout_s)[0]:
            data = os.read(self.fd, 65536)
            self.ended = not data
            *whole, self._rest = (self._rest + data).split(b"\n")
            yield from (json.loads(line) for line in whole)
            timeout_s = 0.0


class _SealingThread:
    """Seals what it is given and tells the answers."""

    def __init__(self, vault: Vault, answer: Callable[[int, list[str] | Exception], None]) -> None:
        self._vault, self._answer = vault, answer
        self._queue: queue.SimpleQueue[tuple[int, Unsealed] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="sealing", daemon=True)
        self._thread.start()

    def put(self, job: int, conversation: Unsealed) -> None:
        """Seals a conversation soon."""
        self._queue.put((job, conversation))

    def finish(self) -> None:
        """Ends when everything is sealed."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        with contextlib.suppress(Exception):  # what is wrong with it is told at the first sealing
            self._vault.log.tree()
        ending = False
        while not ending:
            taken = [self._queue.get()]
            with contextlib.suppress(queue.Empty):
                while len(taken) < MOST_TOGETHER:
                    taken.append(self._queue.get_nowait())
            ending = None in taken
            self._seal([item for item in taken if item is not None])

    def _seal(self, work: list[tuple[int, Unsealed]]) -> None:
        results: list[list[str] | Exception]
        try:
            results = seal_together(self._vault, [conversation for _, conversation in work]) if work else []
        except Exception as error:
            results = [error] * len(work)
        for (job, conversation), result in zip(work, results, strict=True):
            if isinstance(result, Exception):
                log.error("sealing failed", conversation_id=conversation.folder.name, error=repr(result))
            self._answer(job, result)


class RenderProcess:
    """The loop."""

    def __init__(self, settings: dict[str, Any], requests: _Input, answers: int) -> None:
        self.spool = Path(settings["spool"])
        self.ends_when_idle = bool(settings["ends_when_idle"])
        self.vault = Vault.at(settings["vault_url"], Path(settings["keys"]), settings["data_keys_url"])
        self._requests = requests
        self._answers = answers
        self._followed: dict[str, ConversationRenderer] = {}
        self._due: dict[str, float] = {}
        self._jobs: list[dict[str, Any]] = []
        self._answering = threading.Lock()
        self._sealing = _SealingThread(self.vault, self._answer)

    def run(self) -> None:
        """Works until the input ends."""
        self._work()
        self._sealing.finish()

    def _work(self) -> None:
        while not self._requests.ended:
            now = time.monotonic()
            timeout: float | None = min(self._due.values(), default=now + IDLE_S) - now
            if self._jobs:
                timeout = 0.0
            elif not self._due and not self.ends_when_idle:
                timeout = None
            before = len(self._jobs)
            for message in self._requests.lines(timeout if timeout is None else max(0.0, timeout)):
                self._take(message)
            if self._jobs:
                self._job(self._jobs.pop(0))
            elif self._due:
                self._follow_next(time.monotonic())
            elif self.ends_when_idle and before == 0 and not self._requests.ended:
                return

    def _take(self, message: dict[str, Any]) -> None:
        if "follow" in message:
            conversation_id = message["follow"]
            self._followed[conversation_id] = ConversationRenderer(self.spool / conversation_id, self.vault)
            self._due[conversation_id] = time.monotonic() + POLL_S
        elif "look" in message:
            if message["look"] in self._followed:
                self._poll(message["look"])
        elif "forget" in message:
            self._drop(message["forget"])
        elif "render" in message:
            self._jobs.append(message)

    def _forget(self, conversation_id: str) -> ConversationRenderer | None:
        self._due.pop(conversation_id, None)
        return self._followed.pop(conversation_id, None)

    def _drop(self, conversation_id: str) -> None:
        conversation = self._forget(conversation_id)
        if conversation is not None:
            conversation.drop()

    def _follow_next(self, now: float) -> None:
        conversation_id = min(self._due, key=lambda key: self._due[key])
        if self._due[conversation_id] > now:
            return
        self._due[conversation_id] = now + POLL_S
        self._poll(conversation_id)

    def _poll(self, conversation_id: str) -> None:
        now_us = time.time_ns() // 1000
        try:
            more_us = self._followed[conversation_id].poll(now_us)
            if more_us is not None:
                self._due[conversation_id] = time.monotonic() + (more_us - now_us) / 1e6
        except Exception as error:
            log.warning("a call is not followed any more", conversation_id=conversation_id, error=repr(error))
            self._drop(conversation_id)

    def _job(self, message: dict[str, Any]) -> None:
        conversation_id = message["render"]
        try:
            known = self._forget(conversation_id)
            conversation = known or ConversationRenderer(self.spool / conversation_id, self.vault)
            self._sealing.put(message["job"], conversation.render(message["tapes"]))
        except Exception as error:
            log.exception("rendering failed", conversation_id=conversation_id)
            self._answer(message["job"], error)

    def _answer(self, job: int, result: list[str] | Exception) -> None:
        answer: dict[str, Any] = {"job": job}
        if isinstance(result, Exception):
            answer["error"] = f"{type(result).__name__}: {result}"
        else:
            answer["tapes"] = result
        try:
            with self._answering:
                os.write(self._answers, json.dumps(answer).encode() + b"\n")
        except BrokenPipeError:
            log.warning("the worker is gone", job=job)


def main() -> None:
    """Reads the settings, then runs."""
    forbid_dumps()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the worker decides when this process ends
    answers = os.dup(1)
    os.dup2(2, 1)  # whatever a library prints goes to the log, not among the answers
    os.nice(NICE)
    requests = _Input(0)
    waiting = requests.lines(None)
    settings = next(waiting, None)
    if settings is None:
        return
    logs.configure(settings["log_level"], settings["log_format"], process="render")
    process = RenderProcess(settings, requests, answers)
    for message in waiting:
        process._take(message)
    process.run()


if __name__ == "__main__":
    main()
