"""The one place that opens transactions.

``database.transaction()`` is for work that may write, ``database.reading()`` for work that only reads. Nobody else
commits. A transaction that touches a table of ``EDGE_TABLES`` raises the configuration version by one, so that the
edge sees every change and nobody can forget to tell it.

SQLite: WAL, foreign keys, ``BEGIN IMMEDIATE`` for writers, so that two writers wait for each other (30 s) instead of
failing in the middle. PostgreSQL: psycopg 3, read-committed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url, update
from sqlalchemy.orm import ORMExecuteState, Session, UOWTransaction

from earwitness.store.tables import (
    CallRoute,
    ConfigurationVersion,
    Did,
    Flow,
    Organization,
    Phone,
    Prompt,
    PromptResource,
    Queue,
    QueueMember,
    QueueWrapupCode,
    Setting,
    Station,
    Trunk,
    TrunkBase,
    User,
    WrapupCode,
)

BUSY_TIMEOUT_MS = 30_000
EDGE_TABLES = (
    *(Organization, User, TrunkBase, Trunk, Phone, Station, CallRoute, Did, Setting),
    *(Queue, QueueMember, QueueWrapupCode, WrapupCode, Flow, Prompt, PromptResource),
)
"""Tables that a configuration snapshot is made of."""

_BUMPED = "configuration_version_raised"


def make_engine(url: str, pool_size: int = 10) -> Engine:
    """An engine for ``sqlite:///path``, ``sqlite:////abs/path`` or ``postgresql://…``."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
        engine = create_engine(parsed, pool_size=pool_size, max_overflow=pool_size, pool_pre_ping=True)
        event.listen(engine, "connect", _configure_postgresql)
        return engine
    if parsed.get_backend_name() != "sqlite":
        raise ValueError(f"database {parsed.get_backend_name()!r} is not supported; use sqlite or postgresql")
    engine = create_engine(parsed, connect_args={"timeout": BUSY_TIMEOUT_MS / 1000})
    event.listen(engine, "connect", _configure_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _configure_postgresql(connection: Any, _record: object) -> None:
    """Compiling a statement takes PostgreSQL seconds where carrying it out takes milliseconds."""
    connection.execute("SET jit = off")
    connection.commit()


def _configure_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver begins nothing by itself; _begin_sqlite does
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", f"busy_timeout={BUSY_TIMEOUT_MS}"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


class Database:
    """Sessions of one database. Thread-safe; make one per process."""

    def __init__(self, url: str, pool_size: int = 10) -> None:
        self.engine = make_engine(url, pool_size)
        self._writer = self.engine.execution_options(writes=True)

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """A session whose work is committed at the end of the block, or undone if the block raises."""
        with Session(self._writer, expire_on_commit=False) as session, session.begin():
            _watch(session)
            yield session

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session that only reads; whatever it changed is undone. Rows that were read stay usable afterwards."""
        with Session(self.engine, expire_on_commit=False, autoflush=False) as session:
            yield session

    def dispose(self) -> None:
        """Closes every connection."""
        self.engine.dispose()


def _watch(session: Session) -> None:
    event.listen(session, "before_flush", _before_flush)
    event.listen(session, "do_orm_execute", _on_statement)


def _before_flush(session: Session, _context: UOWTransaction, _instances: object) -> None:
    changed = [*session.new, *session.deleted, *(item for item in session.dirty if session.is_modified(item))]
    if any(isinstance(item, EDGE_TABLES) for item in changed):
        _raise_version(session)


def _on_statement(state: ORMExecuteState) -> None:
    if (state.is_insert or state.is_update or state.is_delete) and any(
        mapper.class_ in EDGE_TABLES for mapper in state.all_mappers
    ):
        _raise_version(state.session)


def _raise_version(session: Session) -> None:
    if session.info.get(_BUMPED):
        return
    session.info[_BUMPED] = True
    session.connection().execute(
        update(ConfigurationVersion)
        .where(ConfigurationVersion.id == 1)
        .values(version=ConfigurationVersion.version + 1)
    )
