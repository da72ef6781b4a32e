"""The tables of an installation, brought up to date: by ``init``, and by worker and web when they start.

Alembic is loaded only when there is something to do.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text

from earwitness.store.database import make_engine

if TYPE_CHECKING:
    from alembic.config import Config

MIGRATIONS = Path(__file__).with_name("migrations")
_LOCK = 0x6561_7277  # any number that nobody else locks in this database


class SchemaError(RuntimeError):
    """The database is of another version than the program; the message says what to do."""


def revisions() -> list[str]:
    """The migrations that this program knows, first to last."""
    return sorted(path.name[1:5] for path in (MIGRATIONS / "versions").glob("v????_*.py"))


def ensure_current(url: str) -> bool:
    """Brings the tables up to date where they are not; whether there was anything to do.

    Safe to run from several processes.

    :raises SchemaError: a newer program has been at this database.
    """
    engine = make_engine(url, pool_size=1)
    try:
        with engine.connect() as connection:
            found = _revision(connection)
    finally:
        engine.dispose()
    known = revisions()
    if found == known[-1]:
        return False
    if found is not None and found not in known:
        raise SchemaError(
            f"the database is of version {found}, this program of {known[-1]}: run the newer Earwitness that it was "
            "last used with, or restore a backup from before"
        )
    upgrade(url)
    return True


def upgrade(url: str, revision: str = "head") -> None:
    """Brings the tables up to date; creates the database file of SQLite. Safe to run from several processes."""
    import alembic.command

    engine = make_engine(url)
    if engine.dialect.name == "sqlite" and engine.url.database not in (None, "", ":memory:"):
        path = Path(str(engine.url.database))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
    try:
        with engine.execution_options(writes=True).begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
            alembic.command.upgrade(alembic_config(connection), revision)
    finally:
        engine.dispose()


def alembic_config(connection: Connection | None = None) -> Config:
    """Alembic's configuration for our migrations, on an open connection."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return None if found is None else str(found)
