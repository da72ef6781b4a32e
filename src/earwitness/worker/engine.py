"""The workflow engine (DBOS), and nothing that knows what a recording is.

Workflows are functions of one id. An engine keeps its state in ``workflows.db`` on one machine or in the schema
``dbos`` of a PostgreSQL database; arguments and results are JSON. What a killed worker left unfinished goes on when a
worker with the same executor id starts. There may be one worker process for each SQLite file.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from dbos import DBOS, DBOSPortableJSONSerializer, SetWorkflowID
from sqlalchemy import Engine as SqlEngine
from sqlalchemy import event, make_url

T = TypeVar("T")

SQLITE_LEAST = (3, 35, 0)
"""``RETURNING``, which engine and store both use."""
GENERATION = "1"
"""Raise it only with a change of workflows that older runs could not go on with: those then start afresh."""
ACTIVE = ("PENDING", "ENQUEUED", "DELAYED")


class EngineError(RuntimeError):
    """The engine cannot run here; the message says why and what to do."""


def check_sqlite(version: tuple[int, ...] = sqlite3.sqlite_version_info) -> None:
    """Refuses an SQLite library that is too old.

    :raises EngineError: it is.
    """
    if version < SQLITE_LEAST:
        have, need = (".".join(str(part) for part in parts) for parts in (version, SQLITE_LEAST))
        raise EngineError(f"Python's SQLite is {have}; Earwitness needs {need}. Use another Python, or PostgreSQL")


def default_url(database_url: str, folder: Path) -> str:
    """Where the engine keeps its state: PostgreSQL's own database, or a file in ``folder``."""
    parsed = make_url(database_url)
    if parsed.get_backend_name() == "postgresql":
        return parsed.set(drivername="postgresql+psycopg").render_as_string(hide_password=False)
    return f"sqlite:///{folder / 'workflows.db'}"


@dataclass(frozen=True, slots=True)
class Run:
    """A run of a workflow that the engine knows."""

    id: str
    status: str
    executor_id: str | None

    @property
    def active(self) -> bool:
        """Whether it goes on, or will."""
        return self.status in ACTIVE


class Engine:
    """One per process. Register workflows, then ``launch``; at last ``stop``."""

    def __init__(self, url: str, executor_id: str) -> None:
        if make_url(url).get_backend_name() == "sqlite":
            check_sqlite()
            _prepare_sqlite(Path(str(make_url(url).database)))
            commit_without_waiting(str(make_url(url).database))
        logging.getLogger("dbos").setLevel(logging.WARNING)
        DBOS(
            config={
                "name": "earwitness",
                "system_database_url": url,
                "serializer": DBOSPortableJSONSerializer(),
                "application_version": GENERATION,
                "executor_id": executor_id,
                "log_level": "WARNING",
                "enable_otlp": False,
            }
        )

    def workflow(self, name: str, body: Callable[[str], None]) -> Callable[[str], None]:
        """Registers a workflow under a name that must never change."""
        return DBOS.workflow(name=name)(body)

    def step(self, name: str, function: Callable[..., T], *arguments: Any) -> T:
        """Runs a step inside a workflow: done once, its result (JSON) remembered."""
        return DBOS.run_step({"name": name}, function, *arguments)

    def launch(self) -> None:
        """Starts the engine and what was left unfinished."""
        DBOS.launch()

    def start(self, workflow: Callable[[str], None], run_id: str, argument: str) -> None:
        """Starts a run; one with that id that is known already is not started again."""
        with SetWorkflowID(run_id):
            DBOS.start_workflow(workflow, argument)

    def runs(self, prefix: str) -> list[Run]:
        """Every run whose id begins so."""
        found = DBOS.list_workflows(workflow_id_prefix=prefix, load_input=False, load_output=False)
        return [Run(item.workflow_id, item.status, item.executor_id) for item in found]

    def forget(self, run_ids: Sequence[str]) -> None:
        """Removes runs that are over; their ids may then be used again."""
        if run_ids:
            DBOS.delete_workflows(list(run_ids))

    def stop(self) -> None:
        """Ends the engine; runs in progress go on at the next launch."""
        DBOS.destroy(workflow_completion_timeout_sec=0)


def _prepare_sqlite(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    connection = sqlite3.connect(path)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
    finally:
        connection.close()


def commit_without_waiting(path: str) -> None:
    """The engine's own file is not synced at each commit (WAL keeps it whole).

    What a power cut may make it forget, it does again: the spool keeps a call until its recording is stored, and the
    steps are safe to repeat. Twenty calls that end together save eighty waits for the disk.
    """

    def relax(connection: Any, _record: object) -> None:
        if isinstance(connection, sqlite3.Connection):
            files = [row[2] for row in connection.execute("PRAGMA database_list")]
            if path in files:
                connection.execute("PRAGMA synchronous=NORMAL")

    event.listen(SqlEngine, "connect", relax)
