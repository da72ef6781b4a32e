"""Transactions, migrations, and the version that tells the edge to look again."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, select, text, update

from earwitness.store.database import Database
from earwitness.store.schema import SchemaError, alembic_config, ensure_current, revisions, upgrade
from earwitness.store.tables import Base, ConfigurationVersion, Organization, Setting, User


def _version(database: Database) -> int:
    with database.reading() as session:
        return session.scalars(select(ConfigurationVersion.version)).one()


@pytest.fixture
def database(database_url: str) -> Any:
    database = Database(database_url)
    yield database
    database.dispose()


def _organization(name: str = "Acme") -> Organization:
    return Organization(id="o1", name=name, created_at=1)


def test_migrations_make_exactly_the_model(database: Database) -> None:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def test_migrations_go_down_and_up(database: Database) -> None:
    import alembic.command

    with database.engine.execution_options(writes=True).begin() as connection:
        alembic.command.downgrade(alembic_config(connection), "base")
    assert inspect(database.engine).get_table_names() == ["alembic_version"]
    with database.engine.execution_options(writes=True).begin() as connection:
        alembic.command.upgrade(alembic_config(connection), "head")
    assert _version(database) == 1


def test_upgrade_from_several_processes_at_once(tmp_path: Path, postgresql_server: Any) -> None:
    for url in (f"sqlite:///{tmp_path}/new/folder/e.db", postgresql_server.make_empty_database()):
        upgrade(url)
        failures: list[Exception] = []

        def again(url: str = url, failures: list[Exception] = failures) -> None:
            try:
                upgrade(url)
            except Exception as error:
                failures.append(error)

        threads = [threading.Thread(target=again) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []


def test_a_failed_block_leaves_nothing(database: Database) -> None:
    def fail() -> None:
        with database.transaction() as session:
            session.add(_organization())
            session.flush()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with database.reading() as session:
        assert session.scalars(select(Organization)).all() == []
    assert _version(database) == 1


def test_reading_changes_nothing(database: Database) -> None:
    with database.reading() as session:
        session.add(_organization())
        session.flush()
    with database.reading() as session:
        assert session.scalars(select(Organization)).all() == []


def test_each_write_for_the_edge_raises_the_version_once(database: Database) -> None:
    with database.transaction() as session:
        session.add(_organization())
        session.add(Setting(key="recording", value={"a": 1}, modified_at=1))
    assert _version(database) == 2
    with database.transaction() as session:
        session.scalars(select(Organization)).one().name = "Other"
    assert _version(database) == 3
    with database.transaction() as session:
        session.execute(update(Setting).values(modified_at=2))
    assert _version(database) == 4


def test_writes_that_the_edge_need_not_see_leave_the_version(database: Database) -> None:
    with database.transaction() as session:
        session.add(_organization())
    with database.transaction() as session:
        session.scalars(select(Organization)).one().name = "Acme"  # no change
        session.scalars(select(User)).all()
    assert _version(database) == 2


def test_writers_wait_for_each_other(database: Database) -> None:
    with database.transaction() as session:
        session.add(Setting(key="n", value=0, modified_at=0))
    failures: list[Exception] = []

    def count() -> None:
        try:
            for _ in range(10):
                with database.transaction() as session:
                    row = session.scalars(select(Setting).where(Setting.key == "n").with_for_update()).one()
                    row.value += 1
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with database.reading() as session:
        assert session.scalars(select(Setting.value)).one() == 40


def test_sqlite_is_set_up_for_several_processes(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/e.db"
    upgrade(url)
    database = Database(url)
    with database.reading() as session:
        assert session.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        assert session.execute(text("PRAGMA foreign_keys")).scalar() == 1
        assert {path.stat().st_mode & 0o077 for path in tmp_path.iterdir()} == {0}  # with -wal and -shm
    database.dispose()


def test_other_databases_are_refused() -> None:
    with pytest.raises(ValueError, match="not supported"):
        Database("mysql://x/y")


def test_an_installation_of_an_earlier_version_is_brought_up_to_date_and_a_later_one_left_alone(
    tmp_path: Path, postgresql_server: Any
) -> None:
    for url in (f"sqlite:///{tmp_path}/earlier.db", postgresql_server.make_empty_database()):
        upgrade(url, "0002")
        assert ensure_current(url)
        assert not ensure_current(url)
        database = Database(url)
        with database.engine.connect() as connection:
            assert MigrationContext.configure(connection).get_current_revision() == revisions()[-1]
        with database.engine.execution_options(writes=True).begin() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        with pytest.raises(SchemaError, match="9999"):
            ensure_current(url)
        database.dispose()
