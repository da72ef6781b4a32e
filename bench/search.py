"""Lists and searches over 1,000,000 conversations, for a user limited to two of twenty divisions, through the API.

Builds the conversations with participants, divisions, queues, recordings and terms in SQLite and in PostgreSQL, in a
folder that is removed, then asks one after another as a client does. Two users: one whose divisions hold a tenth of
the calls, and one whose divisions hold a call in a thousand, the newest of them months old. When a limit is missed, the
plans of the statements that took longest are printed.

    python -m bench search [--conversations 1000000] [--requests 60] [--only sqlite|postgresql]
"""

from __future__ import annotations

import argparse
import io
import json
import logging
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import structlog
import uvicorn
from bench.clusters import postgresql
from sqlalchemy import event, text

from earwitness.domain.access import Subject
from earwitness.domain.search import terms
from earwitness.store import access, oauth
from earwitness.store.database import Database
from earwitness.store.schema import upgrade
from earwitness.store.tables import Division, Evaluation, Grant, Organization, User
from earwitness.web.app import create_app
from earwitness.web.arguments import WebArguments
from earwitness.web.kernel.shell import Limits

LIMIT_MS = 100.0
NOW = 1_795_353_600_000_000
YEAR_US = 365 * 24 * 3600 * 1_000_000
DIVISIONS, SPARSE, USERS, QUEUES, CALLERS = 20, 2, 400, 40, 150_000
BATCH = 20_000
FIRST = [a + b for a in ("an", "be", "ca", "do", "el", "fra", "gre", "hei", "in", "jo") for b in
         ("na", "ra", "nz", "rt", "lena", "mo", "ke", "tta", "dor", "wig")]  # fmt: skip
LAST = [a + b + c for a in ("Mül", "Schm", "Web", "Fisch", "Beck", "Kais", "Öz", "Nov", "Pet", "Gru") for b in
        ("a", "e", "i", "o", "u", "er", "el", "ow", "en", "it") for c in ("ler", "idt", "ers", "ner", "ak", "ic",
        "türk", "son", "mann", "berg")]  # fmt: skip
COLUMNS = {
    "conversations": "id organization_id started_at ended_at direction ani dnis cause timeline events recording_state"
    " why finalised_at",
    "conversation_divisions": "conversation_id division_id",
    "conversation_queues": "conversation_id queue_id",
    "participants": "conversation_id id purpose name user_id queue_id address joined_at left_at connected_at",
    "recordings": "id conversation_id kind media_subtype role leg_id file_state started_at ended_at duration_ms"
    " audio_format mime_type channels sample_rate size sha256 annotations openings quality created_at modified_at"
    " version read",
    "after_call_work": "id conversation_id participant_id user_id queue_id prompt started_at deadline_at code_id"
    " code_name tags given_at timed_out",
    "conversation_terms": "term started_at conversation_id",
}
Rows = dict[str, list[tuple[Any, ...]]]


def made(count: int, seed: int = 7) -> Iterator[Rows]:
    """Rows of every table, a batch at a time."""
    pick = random.Random(seed)
    callers = [
        (f"+49{pick.randrange(10**9, 10**10)}", f"{pick.choice(FIRST).title()} {pick.choice(LAST)}")
        for _ in range(CALLERS)
    ]
    for start in range(0, count, BATCH):
        rows: Rows = {name: [] for name in COLUMNS}
        for number in range(start, min(start + BATCH, count)):
            _call(rows, pick, number, count, callers)
        yield rows


def _call(rows: Rows, pick: random.Random, number: int, count: int, callers: list[tuple[str, str]]) -> None:
    at = NOW - YEAR_US + YEAR_US * number // count + pick.randrange(1000)
    key = f"{number:08x}-{pick.randrange(1 << 48):012x}-0000-4000-8000"
    division = number % DIVISIONS
    queue = division * QUEUES // DIVISIONS + pick.randrange(QUEUES // DIVISIONS)
    user = division * USERS // DIVISIONS + pick.randrange(USERS // DIVISIONS)
    ani, name = pick.choice(callers)
    dnis, lasted = f"+4930555{queue:02}", pick.randrange(5, 900) * 1_000_000
    queued, recorded = pick.random() < 0.6, pick.random() < 0.7
    divisions = {f"division-{division}"}
    if pick.random() < 0.2:
        divisions.add(f"division-{pick.randrange(DIVISIONS)}")
    if number % 1000 == 0 and number < count // 2:
        divisions.add(f"sparse-{pick.randrange(SPARSE)}")
    row = "trunk" if recorded else pick.choice(["trunk", "consent", "flow"])
    why = [{"tapeId": key, "kind": "trunk", "start": at, "end": at + lasted, "captured": recorded,
            "reasons": [{"row": row, "why": "the trunk records, or it does not"}]}]  # fmt: skip
    legs = [{"leg_id": "t", "kind": "trunk", "direction": "inbound", "external": True, "address": ani, "offered": at}]
    people = [
        {"participant_id": "p1", "purpose": "external", "start": at, "name": name, "address": ani, "legs": legs,
         "segments": []},
        {"participant_id": "p2", "purpose": "agent", "start": at, "name": None, "user_id": f"user-{user}", "legs": [],
         "segments": [{"segment_id": "s", "kind": "interact", "start": at, "end": at + lasted}]},
    ]  # fmt: skip
    timeline = {"conversation_id": key, "start": at, "end": at + lasted, "direction": "inbound", "ani": ani,
                "dnis": dnis, "participants": people, "tapes": []}  # fmt: skip
    rows["conversations"].append(
        (key, "o", at, at + lasted, pick.choice(["inbound", "inbound", "outbound"]), ani, dnis, "hangup",
         json.dumps(timeline), "[]", "RECORDED" if recorded else "NONE", json.dumps(why), at)
    )  # fmt: skip
    rows["conversation_divisions"] += [(key, each) for each in divisions]
    queue_id = f"queue-{queue}" if queued else None
    rows["participants"] += [
        (key, "p1", "external", name, None, None, ani, at, at + lasted, at),
        (key, "p2", "agent", None, f"user-{user}", queue_id, None, at, at + lasted, at),
    ]
    codes = []
    if queue_id is not None:
        rows["conversation_queues"].append((key, queue_id))
        codes = [f"code-{pick.randrange(30)}"]
        rows["after_call_work"].append(
            (f"w{number}", key, "p2", f"user-{user}", queue_id, "OPTIONAL", at, at, codes[0], codes[0], "[]", at, False)
        )
    if recorded:
        rows["recordings"].append(
            (f"r{number}", key, "trunk", "Trunk", "CUSTOMER_EXPERIENCE", "t", "AVAILABLE", at, at + lasted,
             lasted // 1000, "audio/opus", "audio/ogg", 2, 8000, 1000, "", "[]", "[]", "{}", at, at, 1, False)
        )  # fmt: skip
    facts = terms.facts_of(ani=ani, dnis=dnis, timeline=timeline, why=why, users=[f"user-{user}"], divisions=divisions,
                           queues=[queue_id] if queue_id else [], teams=[], wrapups=codes)  # fmt: skip
    rows["conversation_terms"] += [(term, at, key) for term in terms.of(facts)]


def build_sqlite(folder: Path, count: int) -> str:
    """A SQLite file with everything in it; gives its url."""
    import sqlite3

    path = folder / "search.db"
    upgrade(f"sqlite:///{path}")
    connection = sqlite3.connect(path, isolation_level=None)
    for pragma in ("synchronous=OFF", "journal_mode=OFF", "cache_size=-1000000", "temp_store=FILE", "foreign_keys=OFF"):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute("CREATE TEMP TABLE unsorted (term, started_at, conversation_id)")
    connection.execute("BEGIN")
    for rows in made(count):
        for table, names in COLUMNS.items():
            columns = names.split()
            target = "unsorted" if table == "conversation_terms" else table
            marks = ",".join("?" * len(columns))
            connection.executemany(f"INSERT INTO {target} ({','.join(columns)}) VALUES ({marks})", rows[table])
    connection.execute("INSERT INTO conversation_terms SELECT * FROM unsorted ORDER BY 1, 2, 3")
    connection.execute("COMMIT")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.close()
    return f"sqlite:///{path}"


def build_postgresql(url: str, count: int) -> str:
    """The same in a PostgreSQL database."""
    import psycopg

    upgrade(url)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        for rows in made(count):
            for table, names in COLUMNS.items():
                with connection.cursor().copy(f"COPY {table} ({','.join(names.split())}) FROM STDIN") as copy:
                    out = io.StringIO()
                    for row in rows[table]:
                        out.write("\t".join(_copied(value) for value in row) + "\n")
                    copy.write(out.getvalue())
        connection.execute("VACUUM ANALYZE")
    return url


def _copied(value: Any) -> str:
    if value is None:
        return "\\N"
    if isinstance(value, bool):
        return "t" if value else "f"
    return str(value).replace("\\", "\\\\")


def add_people(database: Database) -> dict[str, str]:
    """The organisation, its divisions, and the users who ask; gives their tokens."""
    stamp = {"created_at": NOW, "modified_at": NOW}
    with database.transaction() as session:
        session.add(Organization(id="o", name="Bench", created_at=NOW))
        names = [f"division-{n}" for n in range(DIVISIONS)] + [f"sparse-{n}" for n in range(SPARSE)]
        session.add_all(Division(id=name, name=name, home=name == "division-0", **stamp) for name in names)
        session.flush()
        roles = {
            row.default_role_id: row.id for row in access.add_default_roles(session, NOW, lambda: f"r{random.random()}")
        }
        tokens = {}
        for name, reach in (("tenth", ["division-3", "division-11"]), ("sparse", ["sparse-0", "sparse-1"])):
            session.add(User(id=name, name=name, email=f"{name}@example.com", division_id=reach[0], **stamp))
            session.flush()
            for division in reach:
                session.add(Grant(id=f"{name}-{division}", subject_type="user", subject_id=name,
                                  role_id=roles["supervisor"], division_id=division, granted_at=NOW))  # fmt: skip
            tokens[name] = f"token-{name}"
            oauth.add_token(session, tokens[name], Subject("user", name), at=NOW, expires_at=1 << 60)
    return tokens


def add_evaluations(database: Database, count: int) -> None:
    """Evaluations of every hundredth call."""
    pick = random.Random(3)
    with database.transaction() as session:
        found = session.execute(
            text("SELECT id, started_at FROM conversations WHERE started_at % 100 = 0 LIMIT :n"), {"n": count // 100}
        ).all()
        session.add_all(
            Evaluation(id=f"e{n}", context_id=f"e{n}", conversation_id=row.id, conversation_at=row.started_at,
                       form_id="f", form_context_id="f", agent_user_id="user-1", evaluator_user_id="user-2",
                       status=pick.choice(["PENDING", "FINISHED"]), assigned_at=NOW, created_at=NOW, changed_at=NOW,
                       source_type="USER")
            for n, row in enumerate(found)
        )  # fmt: skip


SEARCHES: dict[str, Callable[[random.Random], dict[str, Any]]] = {
    "a queue": lambda pick: {"queueIds": [f"queue-{pick.randrange(QUEUES)}"]},
    "a user": lambda pick: {"userIds": [f"user-{pick.randrange(USERS)}"]},
    "a caller's number": lambda pick: {"number": _caller(pick)[0].replace("+49", "0")},
    "our own number": lambda pick: {"number": f"+4930555{pick.randrange(QUEUES):02}"},
    "a whole name": lambda pick: {"text": _caller(pick)[1]},
    "beginning of a name": lambda pick: {"text": pick.choice(LAST)[:4]},
    "name and number": lambda pick: {"text": " ".join(reversed(_caller(pick)))},
    "long and outbound": lambda pick: {"directions": ["outbound"], "minDurationMs": pick.randrange(800, 890) * 1000},
    "a month of a queue": lambda pick: {**_month(pick), "queueIds": [f"queue-{pick.randrange(QUEUES)}"]},
    "a wrap-up code": lambda pick: {"wrapupCodeIds": [f"code-{pick.randrange(30)}"]},
    "not recorded": lambda pick: {"recordingStates": ["NONE"], **_month(pick)},
    "consent refused": lambda _pick: {"why": ["consent"]},
    "playable": lambda pick: {"playable": True, **_month(pick)},
    "evaluation pending": lambda _pick: {"evaluationStates": ["PENDING"]},
    "oldest first": lambda pick: {"sortOrder": "ascending", **_month(pick)},
}
_CALLERS: list[tuple[str, str]] = []


def _caller(pick: random.Random) -> tuple[str, str]:
    if not _CALLERS:
        same = random.Random(7)
        _CALLERS.extend((f"+49{same.randrange(10**9, 10**10)}", f"{same.choice(FIRST).title()} {same.choice(LAST)}")
                        for _ in range(CALLERS))  # fmt: skip
    return pick.choice(_CALLERS)


def _month(pick: random.Random) -> dict[str, str]:
    start = pick.randrange(1, 11)
    return {"startTime": f"2026-{start:02}-01", "endTime": f"2026-{start + 1:02}-01"}


@contextmanager
def serving(database_url: str, folder: Path) -> Iterator[str]:
    """The web application on a port."""
    (folder / "run").mkdir(exist_ok=True)
    arguments = WebArguments(
        database_url=database_url, vault_url=str(folder / "vault"), keys_dir=folder / "keys", run_dir=folder / "run",
        spool_dir=folder / "spool", prompts_dir=folder / "prompts",
        limits=Limits(requests_per_window=1 << 30, refusals_per_window=1 << 30),
    )  # fmt: skip
    server = uvicorn.Server(uvicorn.Config(create_app(arguments), port=0, log_config=None, lifespan="on"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)


def measure(url: str, token: str, requests: int) -> dict[str, list[float]]:
    """Times of each kind of request, ms."""
    pick, found = random.Random(1), dict[str, list[float]]()
    path = "/api/v2/earwitness/conversations/search"
    with httpx.Client(
        base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=60, trust_env=False
    ) as client:

        def timed(kind: str, method: str, address: str, **more: Any) -> dict[str, Any]:
            start = time.perf_counter()
            reply = client.request(method, address, **more)
            found.setdefault(kind, []).append((time.perf_counter() - start) * 1000)
            assert reply.status_code == 200, reply.text
            document: dict[str, Any] = reply.json()
            return document

        for body in SEARCHES.values():  # so that code and plans are warm
            client.post(path, json=body(pick))
        client.get("/api/v2/conversations/calls/history")
        client.get(path)
        cursor = None
        for _ in range(requests):
            timed("list, first page", "GET", path)
            page = timed("list, page by page", "GET", path, params={"cursor": cursor} if cursor else {})
            cursor = page.get("nextCursor")
            timed("call history", "GET", "/api/v2/conversations/calls/history")
            timed("count of all", "POST", f"{path}/count", json={})
        for kind, body in SEARCHES.items():
            for _ in range(requests):
                timed(f"search: {kind}", "POST", path, json=body(pick))
    return found


def slowest(database: Database) -> None:
    """Prints the plans of the slowest statements of a few searches."""
    pick, seen = random.Random(1), list[tuple[float, str, Any]]()

    from sqlalchemy.engine import Engine

    begun = dict[int, float]()

    def before(_connection: Any, cursor: Any, *_more: Any) -> None:
        begun[id(cursor)] = time.perf_counter()

    def after(_connection: Any, cursor: Any, statement: str, parameters: Any, *_more: Any) -> None:
        seen.append((time.perf_counter() - begun.pop(id(cursor), 0.0), statement, parameters))

    event.listen(Engine, "before_cursor_execute", before)
    event.listen(Engine, "after_cursor_execute", after)
    from earwitness.store import search
    from earwitness.web.api.search import conversation_search

    for name in ("tenth", "sparse"):
        for body in SEARCHES.values():
            with database.reading() as session:
                caller = access.access_of(session, Subject("user", name))
                request = conversation_search.SearchBody.model_validate(body(pick))
                asker = type("Asker", (), {"access": caller})()
                search.page(session, caller, conversation_search.filters(session, asker, request))
    event.remove(Engine, "before_cursor_execute", before)
    event.remove(Engine, "after_cursor_execute", after)
    word = "EXPLAIN QUERY PLAN " if database.engine.dialect.name == "sqlite" else "EXPLAIN (ANALYZE, BUFFERS) "
    for took, statement, parameters in sorted(seen, key=lambda item: -item[0])[:4]:
        print(f"\n{took * 1000:.0f} ms: {statement}\n{str(parameters)[:600]}")
        with database.engine.connect() as connection:
            for row in connection.exec_driver_sql(word + statement, parameters):
                print("   ", *row)


def report(name: str, who: str, found: dict[str, list[float]]) -> float:
    """Prints a table; gives the worst p95."""
    print(f"\n{name}, user who reaches {who}:  ms  p50 / p95 / max")
    worst = 0.0
    for kind, times in found.items():
        ordered = sorted(times)
        p95 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))]
        worst = max(worst, p95)
        mark = " <- missed" if p95 > LIMIT_MS else ""
        print(f"  {kind:32} {median(times):7.1f} {p95:7.1f} {ordered[-1]:7.1f}{mark}", flush=True)
    return worst


def main() -> int:
    """0 when every p95 is within the limit."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--conversations", type=int, default=1_000_000)
    parser.add_argument("--requests", type=int, default=60)
    parser.add_argument("--only", choices=("sqlite", "postgresql"))
    parser.add_argument("--plans", action="store_true", help="print plans even when nothing is missed")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that nothing stays behind
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    folder, worst = Path(tempfile.mkdtemp(prefix="bench-search")), 0.0
    folder.chmod(0o755)
    try:
        for name in ("sqlite", "postgresql"):
            if options.only not in (None, name):
                continue
            with postgresql(folder / "cluster") if name == "postgresql" else _nothing() as cluster:
                start = time.monotonic()
                count = options.conversations
                url_of_database = build_postgresql(cluster, count) if cluster else build_sqlite(folder, count)
                database = Database(url_of_database)
                tokens = add_people(database)
                add_evaluations(database, count)
                print(f"{name}: {count:,} conversations built in {time.monotonic() - start:.0f} s", flush=True)
                with serving(url_of_database, folder) as url:
                    mine = 0.0
                    for who, words in (("tenth", "a tenth of them"), ("sparse", "one in a thousand, months ago")):
                        mine = max(mine, report(name, words, measure(url, tokens[who], options.requests)))
                    if mine > LIMIT_MS or options.plans:
                        slowest(database)
                worst = max(worst, mine)
                database.dispose()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"\nworst p95 {worst:.0f} ms, limit {LIMIT_MS:.0f} ms")
    return int(worst > LIMIT_MS)


@contextmanager
def _nothing() -> Iterator[str]:
    yield ""


if __name__ == "__main__":
    sys.exit(main())
