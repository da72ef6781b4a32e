"""A PostgreSQL of one's own: in a folder, reachable through a Unix socket in it alone, gone afterwards."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

FOLDERS = ("usr/lib/postgresql/*/bin", "usr/local/pgsql/bin", "opt/homebrew/opt/postgresql*/bin")
TUNING = "-c shared_buffers=512MB -c work_mem=16MB -c maintenance_work_mem=256MB -c random_page_cost=1.1"


@contextmanager
def postgresql(folder: Path, options: str = TUNING) -> Iterator[str]:
    """Starts a cluster in ``folder``; gives the url of an empty database in it. Runs as an ordinary user."""
    binaries = _binaries()
    folder.mkdir(parents=True)
    socket = Path(tempfile.mkdtemp(prefix="ewpg"))  # short: a Unix socket's path is limited to about 100 bytes
    user, group = os.geteuid(), os.getegid()
    if user == 0:  # PostgreSQL refuses to run as root
        names = {entry.pw_name: entry for entry in pwd.getpwall()}
        account = names.get("postgres") or names["nobody"]
        user, group = account.pw_uid, account.pw_gid
        for each in (folder, socket):
            os.chown(each, user, group)
    who = {"user": user, "group": group, "extra_groups": []} if os.geteuid() == 0 else {}
    data = folder / "data"
    make = [binaries / "initdb", "-N", "-A", "trust", "-U", "earwitness", "-E", "UTF8", "--locale=C.UTF-8", "-D", data]
    subprocess.run(make, check=True, capture_output=True, cwd="/", **who)  # type: ignore[call-overload]
    command = [binaries / "postgres", "-D", data, "-c", "listen_addresses=", "-c", f"unix_socket_directories={socket}",
               "-c", "fsync=off", *options.split()]  # fmt: skip
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, cwd="/", **who)  # type: ignore[call-overload]
    try:
        _wait(socket, server, folder / "log")
        with psycopg.connect(host=str(socket), user="earwitness", dbname="postgres", autocommit=True) as connection:
            connection.execute("CREATE DATABASE bench")
        yield f"postgresql://earwitness@/bench?host={socket}"
    finally:
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        shutil.rmtree(socket, ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)


def _binaries() -> Path:
    found = shutil.which("initdb")
    candidates = [Path(found).parent] if found else []
    candidates += [each for pattern in FOLDERS for each in sorted(Path("/").glob(pattern), reverse=True)]
    for folder in candidates:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    raise SystemExit("this benchmark needs PostgreSQL's server programs (initdb, postgres)")


def _wait(socket: Path, server: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + 60
    while True:
        try:
            psycopg.connect(host=str(socket), user="earwitness", dbname="postgres").close()
            return
        except psycopg.OperationalError:
            if server.poll() is not None or time.monotonic() > end:
                raise SystemExit(f"PostgreSQL did not start: {log.read_text(errors='replace')}") from None
            time.sleep(0.05)
