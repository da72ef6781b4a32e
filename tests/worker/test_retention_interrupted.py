"""Killed between any two steps, stores away for an hour, two workers at once, a hold that comes in the same moment."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from earwitness.archive.vault import receipt
from earwitness.archive.vault.objects import Objects
from earwitness.store import protection, retention
from earwitness.store.database import Database
from earwitness.worker.vaults import vault_of

MINUTE = 60_000_000
DAY = 86_400_000_000
CHANGES = ("put", "create", "delete", "copy", "sync")
FAR_ENOUGH = 200


class Killed(BaseException):
    """The process dies here."""


class Killer:
    """Dies before or after the n-th change that a process makes to stores and database."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._patch, self.left, self.after = monkeypatch, 0, False

    @contextmanager
    def armed(self, changes: int, *, after: bool) -> Iterator[None]:
        self.left, self.after = changes, after
        with self._patch.context() as patch:
            for name in CHANGES:
                patch.setattr(Objects, name, self._deadly(getattr(Objects, name)))
            patch.setattr(Database, "transaction", self._deadly_transaction(Database.transaction))
            yield
        vault_of.cache_clear()

    def _step(self) -> bool:
        self.left -= 1
        return self.left == 0

    def _deadly(self, work: Callable[..., Any]) -> Callable[..., Any]:
        def deadly(*arguments: Any, **more: Any) -> Any:
            last = self._step()
            if last and not self.after:
                raise Killed
            result = work(*arguments, **more)
            if last:
                raise Killed
            return result

        return deadly

    def _deadly_transaction(self, work: Callable[..., Any]) -> Callable[..., Any]:
        @contextmanager
        def deadly(database: Database) -> Iterator[Any]:
            last = self._step()
            with work(database) as session:
                yield session
                if last and not self.after:
                    raise Killed
            if last:
                raise Killed

        return deadly


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_purge_that_is_killed_anywhere_is_finished_by_the_next(
    house: Any, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    killer, deaths = Killer(monkeypatch), 0
    doomed: list[str] = []
    for change in range(1, FAR_ENOUGH):
        recording_id = house.record(delete_date=house.now)
        doomed.append(recording_id)
        vault_of.cache_clear()
        house.purge = house.new_purge()
        try:
            with killer.armed(change, after=after):
                house.later(1)
        except Killed:
            deaths += 1
        else:
            break
        half = house.row(recording_id)
        told = half.receipt is not None
        assert told == (half.deleted_at is not None)
        assert told == bool(house.audited(recording_id)), "a receipt, a date and an entry, or none of them"
        if told:
            assert house.objects_of(recording_id) == []
        house.purge = house.new_purge()
        house.later(10 * MINUTE)
        assert house.task(recording_id) is None
    else:
        pytest.fail("it never came to its end")
    assert deaths > 15
    vault = house.vault()
    for recording_id in doomed:
        row = house.row(recording_id)
        assert (row.file_state, len(house.audited(recording_id))) == ("DELETED", 1)
        assert house.objects_of(recording_id) == []
        proof = receipt.check(row.receipt, vault.keyring.public_keys())
        assert vault.log.find(proof.log_entry()) is not None
    assert vault.log.check() == 4 * len(doomed), "each sealed once and destroyed once, and so was its derived file"


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_archiving_and_restoring_survive_being_killed_anywhere(
    house: Any, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    killer = Killer(monkeypatch)
    recording_id = house.record()
    for change in range(1, FAR_ENOUGH):
        house.change(recording_id, archive_date=house.now)
        died = False
        for restore in (False, True):
            if restore:
                with house.database.transaction() as session:
                    row = session.get_one(type(house.row(recording_id)), recording_id)
                    retention.begin_restoring(session, row, house.now + DAY, by="user:u", at=house.now)
            vault_of.cache_clear()
            house.purge = house.new_purge()
            try:
                with killer.armed(change, after=after):
                    house.later(1)
            except Killed:
                died = True
            house.purge = house.new_purge()
            house.later(10 * MINUTE)
            assert house.row(recording_id).file_state == ("RESTORED" if restore else "ARCHIVED")
        assert house.vault().open(recording_id).item("master").read()[:8] == b"what was"
        assert house.task(recording_id) is None
        house.change(recording_id, file_state="AVAILABLE", restore_expires_at=None)
        if not died:
            return
    pytest.fail("it never came to its end")


def test_stores_that_are_away_for_an_hour(house: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    due = [house.record(delete_date=house.now) for _ in range(6)]
    later = [house.record(delete_date=house.now + 30 * MINUTE) for _ in range(4)]
    house.purge = house.new_purge(batch=2)
    with monkeypatch.context() as away:

        def refuse(*_arguments: Any, **_more: Any) -> Any:
            raise OSError("connection refused")

        for name in ("put", "create", "delete", "get", "list", "exists", "copy"):
            away.setattr(Objects, name, refuse)
        for _minute in range(60):
            house.later(MINUTE)
        rows = [house.row(name) for name in (*due, *later)]
        half = [row for row in rows if row.file_state == "DELETED"]
        assert len(half) == 2, "no more is begun than was begun when the stores went away"
        assert all(row.receipt is None and row.deleted_at is None for row in half)
        task = house.task(half[0].id)
        assert task.tries > 5
        assert "connection refused" in task.problem
        assert all(not house.audited(row.id) for row in rows)
    for _minute in range(6):
        house.later(MINUTE)
    for name in (*due, *later):
        assert house.row(name).receipt is not None, "done within five minutes of their return"
        assert len(house.audited(name)) == 1
        assert house.objects_of(name) == []


def test_one_that_cannot_be_destroyed_keeps_no_other(house: Any) -> None:
    names = [house.record(delete_date=house.now) for _ in range(3)]
    vault = house.vault()
    vault.objects.put(f"recordings/{names[1]}/tombstone.json", b'{"receipt": {}, "key": "x", "signature": ""}')
    vault.objects.put(f"recordings/{names[2]}/manifest.json", b"changed by somebody")
    house.later(1)
    assert [house.row(name).receipt is not None for name in names] == [True, False, True]
    assert "tombstone" in house.task(names[1]).problem or "receipt" in house.task(names[1]).problem
    assert [path for path in house.objects_of(names[1]) if path.endswith(".key")] == [], "its key is gone all the same"
    more = house.record(delete_date=house.now)
    house.later(MINUTE)
    assert house.row(more).receipt is not None


def test_two_workers_delete_each_once(house: Any) -> None:
    names = [house.record(delete_date=house.now) for _ in range(12)]
    purges = [house.new_purge(batch=3) for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(lambda purge: purge(house.bench), purges))
    house.later(10 * MINUTE)
    assert sum(done) >= len(names)
    for name in names:
        assert house.row(name).receipt is not None
        assert len(house.audited(name)) == 1
    assert house.vault().log.check() == 4 * len(names)


def test_i2_a_hold_and_a_deletion_in_the_same_moment_never_both(house: Any) -> None:
    for _ in range(10):
        recording_id = house.record()
        conversation_id = house.row(recording_id).conversation_id
        start = threading.Barrier(2)

        def hold(conversation_id: str = conversation_id, start: threading.Barrier = start) -> bool:
            start.wait(10)
            with house.database.transaction() as session:
                return protection.protect(session, conversation_id, at=1, by="user:u")

        def delete(recording_id: str = recording_id, start: threading.Barrier = start) -> bool:
            start.wait(10)
            with house.database.transaction() as session:
                return bool(retention.ask_to_delete(session, [recording_id], "user:v", "now", house.now))

        with ThreadPoolExecutor(2) as pool:
            held, deleted = (work.result() for work in (pool.submit(hold), pool.submit(delete)))
        assert held != deleted
        house.later(1)
        assert house.row(recording_id).file_state == ("AVAILABLE" if held else "DELETED")
