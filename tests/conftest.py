"""Fixtures for every test: databases of both kinds, ready migrated.

``database_url`` runs its test twice, on SQLite and on PostgreSQL. ``postgresql_server`` starts a cluster of its own
in a temporary folder, reachable only through a Unix socket in it, and removes it afterwards.
"""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from earwitness.store.schema import upgrade

POSTGRESQL_FOLDERS = ("/usr/lib/postgresql/*/bin", "/usr/local/pgsql/bin", "/opt/homebrew/opt/postgresql*/bin")


def _postgresql_binaries() -> Path:
    found = shutil.which("initdb")
    candidates = [Path(found).parent] if found else []
    for pattern in POSTGRESQL_FOLDERS:
        candidates += sorted(Path("/").glob(pattern.lstrip("/")), reverse=True)
    for folder in candidates:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    pytest.fail("these tests need PostgreSQL's server programs (initdb, postgres): apt-get install postgresql")


class PostgresqlServer:
    """A running cluster; ``make_database`` gives a fresh, migrated database."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = itertools.count(1)
        self._template_ready = False

    def url(self, name: str) -> str:
        return f"postgresql://earwitness@/{name}?host={self._folder}"

    def _execute(self, statement: str) -> None:
        with psycopg.connect(
            host=str(self._folder), user="earwitness", dbname="postgres", autocommit=True
        ) as connection:
            connection.execute(statement)

    def make_empty_database(self) -> str:
        name = f"empty{next(self._count)}"
        self._execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def make_database(self) -> str:
        if not self._template_ready:
            self._execute("CREATE DATABASE migrated")
            upgrade(self.url("migrated"))
            self._template_ready = True
        name = f"test{next(self._count)}"
        self._execute(f"CREATE DATABASE {name} TEMPLATE migrated")
        return self.url(name)


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[PostgresqlServer]:
    binaries = _postgresql_binaries()
    folder = Path(tempfile.mkdtemp(prefix="ewpg"))  # short: a Unix socket's path is limited to about 100 bytes
    as_user: dict[str, Any] = {}
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        try:
            account = pwd.getpwnam("postgres")
        except KeyError:
            account = pwd.getpwnam("nobody")
        os.chown(folder, account.pw_uid, account.pw_gid)
        as_user = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    folder.chmod(0o755)
    data = folder / "data"

    def run(*command: str) -> None:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, **as_user, timeout=60)
        if done.returncode:
            pytest.fail(f"{command[0]} failed: {done.stdout}{done.stderr}")

    run(str(binaries / "initdb"), "-N", "-A", "trust", "-U", "earwitness", "-E", "UTF8", "--locale=C", "-D", str(data))
    options = f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off -c max_connections=200"
    # The server ends with the standard input of its shell, so that it does not outlive tests that are killed.
    script = f'"$0" -D "$1" {options} & cat >/dev/null; kill -QUIT $!; wait; rm -rf "$2"'
    command = ["/bin/sh", "-c", script, str(binaries / "postgres"), str(data), str(folder)]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=log, stderr=log, cwd="/", start_new_session=True, **as_user
        )
    try:
        _await_server(folder, server)
        yield PostgresqlServer(folder)
    finally:
        server.communicate()
        shutil.rmtree(folder, ignore_errors=True)


def _await_server(folder: Path, server: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 60
    while True:
        try:
            psycopg.connect(host=str(folder), user="earwitness", dbname="postgres").close()
        except psycopg.OperationalError as error:
            if server.poll() is not None or time.monotonic() > end:
                pytest.fail(f"PostgreSQL did not start: {error}; {(folder / 'log').read_text(errors='replace')}")
            time.sleep(0.05)
        else:
            return


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file to copy."""
    path = tmp_path_factory.mktemp("sqlite") / "migrated.db"
    upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def make_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], str]:
    """Makes fresh, migrated databases of the kind under test."""
    if request.param == "postgresql":
        server: PostgresqlServer = request.getfixturevalue("postgresql_server")
        return server.make_database
    source: Path = request.getfixturevalue("migrated_sqlite")
    count = itertools.count(1)

    def copy() -> str:
        target = tmp_path / f"database{next(count)}.db"
        shutil.copy(source, target)
        return f"sqlite:///{target}"

    return copy


@pytest.fixture
def database_url(make_database_url: Callable[[], str]) -> str:
    """URL of a fresh, migrated database; SQLite, then PostgreSQL."""
    return make_database_url()
