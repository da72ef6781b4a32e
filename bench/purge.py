"""The purge: a million recordings, a tenth of them due.

Selecting what is due, and destroying with signed receipts: key, sealed bytes, tombstone, log, database row, audit. Each
destroyed recording has a master and peaks in a real vault, and a derived file every tenth.

    python -m bench purge [--recordings 1000000] [--destroy 3000] [--database sqlite|postgresql]
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog
from bench.clusters import postgresql
from sqlalchemy import func, select

from earwitness.archive.vault import Item, Sealing, Vault, create_keys
from earwitness.store import retention
from earwitness.store.database import Database
from earwitness.store.schema import upgrade
from earwitness.store.tables import Recording
from earwitness.worker.arguments import WorkerArguments
from earwitness.worker.bench import Bench
from earwitness.worker.purge import Purge
from earwitness.worker.steady import SteadyClock

NOW = 1_795_353_600_000_000
DAY = 86_400_000_000
MASTER = os.urandom(20_000)
CHUNK = 10_000
SELECTION_LIMIT_S = 1.0
RATE_LIMIT = 200.0
MEMORY_LIMIT_MIB = 64.0
CONVERSATION = (
    "id", "organization_id", "started_at", "ended_at", "direction", "ani", "dnis", "cause", "timeline", "events",
    "recording_state", "why", "finalised_at",
)  # fmt: skip
RECORDING = (
    "id", "conversation_id", "kind", "media_subtype", "role", "file_state", "started_at", "ended_at", "duration_ms",
    "audio_format", "mime_type", "channels", "sample_rate", "size", "sha256", "annotations", "openings", "quality",
    "created_at", "modified_at", "version", "delete_date", "read",
)  # fmt: skip
OBJECT = ("recording_id", "object_key", "role", "media_type", "size", "sha256", "created_at")


def names(number: int) -> tuple[str, str]:
    """Ids of a recording and of its conversation."""
    return f"00000000-0000-4000-8000-{number:012d}", f"00000000-0000-4000-9000-{number:012d}"


def fill(database: Database, count: int, destroy: int) -> None:
    """A recording of a conversation each; of ten one is due, and ``destroy`` of those a day before the others."""
    tables: dict[str, tuple[tuple[str, ...], list[tuple[object, ...]]]] = {
        "conversations": (CONVERSATION, []),
        "recordings": (RECORDING, []),
        "recording_objects": (OBJECT, []),
    }
    made = 0
    for number in range(count):
        recording_id, conversation_id = names(number)
        at = NOW - (count - number) * 1_000_000
        due = number % 10 == 0
        date = None if not due else NOW - 2 * DAY + number if made < destroy else NOW - number
        tables["conversations"][1].append(
            (conversation_id, "o", at, at, "inbound", "+4930", "+4940", "hangup", "{}", "[]", "RECORDED", "[]", at)
        )
        tables["recordings"][1].append(
            (recording_id, conversation_id, "trunk", "Trunk", "CUSTOMER_EXPERIENCE", "AVAILABLE", at, at, 60_000,
             "audio/opus", "audio/ogg", 2, 8000, 20_000, "", "[]", "[]", "{}", at, at, 1, date, False)
        )  # fmt: skip
        if due and made < destroy:
            kinds = ("master", "derived") if made % 10 == 0 else ("master",)
            for kind in kinds:
                name = recording_id if kind == "master" else f"{recording_id}-0-wav"
                tables["recording_objects"][1].append((recording_id, f"{name}/master", kind, "audio/ogg", 1, "", at))
            made += 1
        if number % CHUNK == CHUNK - 1 or number == count - 1:
            write(database, tables)
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("ANALYZE")


def write(database: Database, tables: dict[str, tuple[tuple[str, ...], list[tuple[object, ...]]]]) -> None:
    """Puts rows into their tables, and empties the lists."""
    mark = "?" if database.engine.dialect.name == "sqlite" else "%s"
    with database.transaction() as session:
        for table, (columns, rows) in tables.items():
            if rows:
                quoted = ", ".join(f'"{column}"' for column in columns)
                marks = ", ".join([mark] * len(columns))
                statement = f"INSERT INTO {table} ({quoted}) VALUES ({marks})"
                session.connection().exec_driver_sql(statement, rows)
            rows.clear()


def seal(vault: Vault, destroy: int) -> None:
    """Puts into the vault what is to be destroyed."""
    sealings = []
    for number in range(destroy):
        recording_id, _ = names(number * 10)
        items = [Item("master", "audio/ogg", MASTER), Item("peaks", "x/peaks", b"peaks" * 100)]
        sealings.append(Sealing(recording_id, items, {}, NOW))
        if number % 10 == 0:
            sealings.append(Sealing(f"{recording_id}-0-wav", [Item("master", "audio/wav", MASTER)], {}, NOW))
    for start in range(0, len(sealings), 200):
        failed = [item for item in vault.seal_all(sealings[start : start + 200]) if isinstance(item, Exception)]
        if failed:
            raise failed[0]


def resident_mib() -> float:
    """Memory of this process at this moment."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 2**20


@contextmanager
def database_of(kind: str, folder: Path) -> Iterator[str]:
    """The URL of an empty, migrated database."""
    if kind == "sqlite":
        url = f"sqlite:///{folder / 'purge.db'}"
        upgrade(url)
        yield url
        return
    folder.chmod(0o755)  # the server runs as another user
    with postgresql(folder / "postgresql") as url:
        upgrade(url)
        yield url


def measure(kind: str, count: int, destroy: int) -> bool:
    """Prints the figures of one database; gives whether the limits were kept."""
    with tempfile.TemporaryDirectory(prefix="bench-purge") as name, database_of(kind, Path(name)) as url:
        folder = Path(name)
        create_keys(folder / "keys")
        (folder / "spool").mkdir()
        arguments = WorkerArguments(url, folder / "spool", str(folder / "vault"), folder / "keys")
        database = Database(url)
        began = time.monotonic()
        fill(database, count, destroy)
        seal(Vault.at(arguments.vault_url, arguments.keys), destroy)
        print(f"{kind}: {count:,} recordings laid in {time.monotonic() - began:.0f} s", flush=True)
        with database.reading() as session:
            retention.due(session, NOW, 1)
            began = time.monotonic()
            first = retention.due(session, NOW, 200)
            first_s = time.monotonic() - began
            began, cpu = time.monotonic(), time.process_time()
            everything = len(retention.due(session, NOW, count))
            everything_s, everything_cpu_s = time.monotonic() - began, time.process_time() - cpu
        assert len(first) == 200
        assert everything == (count + 9) // 10, everything
        now = NOW - DAY
        bench = Bench(database, arguments, lambda: now)
        purge = Purge(SteadyClock(lambda: 0.0))
        before_mib, began, cpu, done = resident_mib(), time.monotonic(), time.process_time(), 0
        while done < destroy:
            step = purge(bench)
            assert step, "nothing more to destroy"
            done += step
        took_s, took_cpu_s = time.monotonic() - began, time.process_time() - cpu
        grown_mib = resident_mib() - before_mib
        with database.reading() as session:
            receipts = session.scalar(select(func.count()).where(Recording.receipt.is_not(None)))
        assert receipts == done == destroy, (receipts, done)
        database.dispose()
    rate = done / took_s
    print(f"  a batch of what is due selected in {first_s * 1000:.1f} ms, all {everything:,} in {everything_s:.2f} s"
          f" (limit {SELECTION_LIMIT_S:g} s; {everything_cpu_s:.2f} s CPU of ours)")  # fmt: skip
    print(f"  {done:,} destroyed with receipts in {took_s:.1f} s: {rate:.0f}/s (limit {RATE_LIMIT:g}/s;"
        f" {took_cpu_s / done * 1000:.1f} ms CPU of ours each),"
          f" memory grew by {grown_mib:.1f} MiB (limit {MEMORY_LIMIT_MIB:g})")  # fmt: skip
    return everything_s <= SELECTION_LIMIT_S and rate >= RATE_LIMIT and grown_mib <= MEMORY_LIMIT_MIB


def main() -> int:
    """0 when the limits are kept."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--recordings", type=int, default=1_000_000)
    parser.add_argument("--destroy", type=int, default=3000)
    parser.add_argument("--database", choices=("sqlite", "postgresql"))
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    kinds = [options.database] if options.database else ["sqlite", "postgresql"]
    kept = [measure(kind, options.recordings, options.destroy) for kind in kinds]
    return 0 if all(kept) else 1


if __name__ == "__main__":
    sys.exit(main())
