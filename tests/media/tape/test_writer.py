"""Writing tapes without threads or sockets: batches, full disks, takeovers."""

from __future__ import annotations

import ctypes
import errno
import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from earwitness.media.rtp.arena import PAYLOAD, TAPE_BUFFER, Arena, Layout, create
from earwitness.media.tape import reader, writer
from earwitness.media.tape.opening import Opening
from earwitness.media.tape.writer import Tapes

LAYOUT = Layout(16)
generations = itertools.count(100)
START = 1_000_000_000


class Bench:
    """Tapes on an arena, with a clock that stands still."""

    def __init__(self, folder: Path, fd: int) -> None:
        self.folder = folder
        self.arena = Arena(fd, LAYOUT)
        self.reports: list[tuple[Any, ...]] = []
        self.tapes = Tapes(self.arena, lambda: START + 60_000_000, lambda *report: self.reports.append(report))

    def open(self, slot: int = 0, generation: int = 1, name: str = "t") -> Opening:
        opening = Opening(slot, name, 0, "leg", slot, self.folder, "127.0.0.1", 4000, START)
        self.tapes.open(opening, generation)
        return opening

    def append(self, items: list[tuple[int, bytes]], at: int = START) -> None:
        """Items are (channel, packet), in rows of their own."""
        rows = np.arange(len(items))
        for row, (_, packet) in enumerate(items):
            self.arena.rows[row, PAYLOAD : PAYLOAD + len(packet)] = np.frombuffer(packet, np.uint8)
        lengths = np.array([len(packet) for _, packet in items], np.int64)
        channels = np.array([channel for channel, _ in items], np.int64)
        self.tapes.append(channels, rows, lengths, np.full(len(items), at))

    def kept(self, channel: int = 0, name: str = "t") -> list[bytes]:
        tape = reader.read(self.folder / f"{name}.0.{channel}.rtpdump")
        return [tape.packet(n) for n in range(len(tape))]


@pytest.fixture
def arena_fd() -> Iterator[int]:
    fd = create(LAYOUT)
    yield fd
    os.close(fd)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.lists(st.tuples(st.integers(0, 5), st.binary(min_size=1, max_size=300)), max_size=30), max_size=8),
    st.data(),
)
def test_every_channel_gets_its_packets_in_order(
    tmp_path: Path, arena_fd: int, batches: list[list[tuple[int, bytes]]], data: st.DataObject
) -> None:
    bench = Bench(tmp_path, arena_fd)
    for slot in range(3):
        bench.open(slot, next(generations), f"t{slot}")
    for batch in batches:
        if batch:
            bench.append(batch)
        if data.draw(st.booleans()):
            bench.tapes.flush()
    for slot in range(3):
        bench.tapes.finish(slot)
    bench.tapes.flush()
    for channel in range(6):
        expected = [packet for batch in batches for each, packet in batch if each == channel]
        assert bench.kept(channel & 1, f"t{channel >> 1}") == expected


def test_packets_outside_the_opening_are_left_out(tmp_path: Path, arena_fd: int) -> None:
    bench = Bench(tmp_path, arena_fd)
    bench.append([(0, b"unopened")])
    bench.open()
    bench.append([(0, b"early")], START - 1)
    bench.append([(0, b"first")], START)
    bench.tapes.end(0, START + 100)
    bench.append([(0, b"last")], START + 99)
    bench.append([(0, b"late")], START + 100)
    bench.tapes.finish(0)
    bench.append([(0, b"finished")], START + 50)
    bench.tapes.flush()
    assert bench.kept() == [b"first", b"last"]
    assert not bench.tapes.busy
    name, tape, opening, leg, packets, sizes, at, slot = bench.reports[-1]
    assert (name, tape, opening, leg, packets, at, slot) == ("tape_closed", "t", 0, "leg", (2, 0), START + 100, 0)
    assert sizes[0] == (tmp_path / "t.0.0.rtpdump").stat().st_size
    assert (tmp_path / "t.0.0.rtpdump").stat().st_mode & 0o777 == 0o600


def test_a_full_disk_is_reported_once_survived_and_told_as_a_gap(
    tmp_path: Path, arena_fd: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(tmp_path, arena_fd)
    bench.open()
    bench.append([(0, b"before")])
    bench.tapes.flush()
    real, full = os.pwrite, True

    def pwrite(fd: int, data: Any, offset: int) -> int:
        if full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(fd, data, offset)

    monkeypatch.setattr(os, "pwrite", pwrite)
    packet = bytes(1000)
    fit = TAPE_BUFFER // (len(packet) + 8)
    for n in range(fit + 5):
        bench.append([(0, packet)], START + n)
        if n % 50 == 0:
            bench.tapes.flush()
    full = False
    for _ in range(10):
        bench.tapes.flush()
    bench.append([(0, b"after")], START + 1000)
    bench.tapes.finish(0)
    bench.tapes.flush()
    assert bench.kept() == [b"before", *[packet] * fit, b"after"]
    names = [report[0] for report in bench.reports]
    assert names == ["tape_opened", "tape_failed", "tape_recovered", "gap", "tape_closed"]
    assert bench.reports[1][4] == "No space left on device"
    assert bench.reports[2][1:4] == ("t", 0, "leg")
    assert bench.reports[3][1:] == ("leg", 0, START + fit, START + fit + 4, "disk", 5)


def test_a_folder_that_cannot_be_made_fails_the_tape_and_ends_it_at_last(tmp_path: Path, arena_fd: int) -> None:
    (tmp_path / "file").write_text("")
    bench = Bench(tmp_path / "file" / "sub", arena_fd)
    bench.open()
    bench.append([(0, b"lost")])
    bench.tapes.finish(0)
    for _ in range(400):
        bench.tapes.flush()
    assert [report[0] for report in bench.reports] == ["tape_failed", "gap", "tape_closed"]
    assert not bench.tapes.busy


def test_partial_writes_are_continued(tmp_path: Path, arena_fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(tmp_path, arena_fd)
    real = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, data, offset: real(fd, data[:100], offset))
    bench.open()
    items = [(0, bytes([n]) * 172) for n in range(20)]
    bench.append(items)
    bench.tapes.finish(0)
    bench.tapes.flush()
    assert bench.kept() == [packet for _, packet in items]


def test_a_replacement_goes_on_where_the_dead_process_was(tmp_path: Path, arena_fd: int) -> None:
    dead = Bench(tmp_path, arena_fd)
    dead.open()
    dead.append([(0, b"written"), (1, b"said")])
    dead.tapes.flush()
    dead.append([(0, b"waiting")])
    with (tmp_path / "t.0.0.rtpdump").open("ab") as torn:
        torn.write(b"\0\x0f\0")  # it died while writing
    heir = Bench(tmp_path, arena_fd)
    heir.open()
    heir.append([(0, b"new")])
    heir.tapes.finish(0)
    heir.tapes.flush()
    assert heir.kept() == [b"written", b"waiting", b"new"]
    assert heir.kept(1) == [b"said"]
    assert heir.reports[-1][4] == (3, 1)


def test_a_slot_that_is_used_again_starts_anew(tmp_path: Path, arena_fd: int) -> None:
    bench = Bench(tmp_path, arena_fd)
    bench.open()
    bench.append([(0, b"old")])
    again = Bench(tmp_path, arena_fd)
    again.open(generation=2, name="u")
    again.tapes.finish(0)
    again.tapes.flush()
    assert again.kept(0, "u") == []


@pytest.mark.parametrize("written", [0, 1, 2, 3])
def test_what_arrived_after_the_close_is_taken_back(tmp_path: Path, arena_fd: int, written: int) -> None:
    bench = Bench(tmp_path, arena_fd)
    bench.open()
    steps = [(b"first", 0), (b"last", 2_000_999), (b"late one", 2_001_000), (b"secret", 2_021_000)]
    for number, (packet, at) in enumerate(steps):
        bench.append([(0, packet), (1, packet)], START + at)
        if number <= written:
            bench.tapes.flush()
    bench.tapes.end(0, START + 2_001_000)
    bench.append([(0, b"later")], START + 2_041_000)
    bench.tapes.finish(0)
    bench.tapes.flush()
    for channel in (0, 1):
        assert bench.kept(channel) == [b"first", b"last"]
        content = (tmp_path / f"t.0.{channel}.rtpdump").read_bytes()
        assert b"late" not in content
        assert b"secret" not in content
        assert bench.reports[-1][5][channel] == len(content)
    assert bench.reports[-1][0] == "tape_closed"
    assert bench.reports[-1][4] == (2, 2)


def test_a_replacement_takes_back_what_the_dead_process_had_written(tmp_path: Path, arena_fd: int) -> None:
    dead = Bench(tmp_path, arena_fd)
    dead.open()
    for n in range(50):
        dead.append([(0, bytes([n]) * 160)], START + n * 20_000)
    dead.tapes.flush()
    heir = Bench(tmp_path, arena_fd)
    heir.open()
    heir.tapes.end(0, START + 30 * 20_000)
    heir.tapes.finish(0)
    heir.tapes.flush()
    assert heir.kept() == [bytes([n]) * 160 for n in range(30)]
    assert heir.reports[-1][4] == (30, 0)


def test_packets_out_of_order_stay_when_they_are_early_enough(tmp_path: Path, arena_fd: int) -> None:
    bench = Bench(tmp_path, arena_fd)
    bench.open()
    for packet, at in ((b"one", 10_000), (b"late", 50_000), (b"two", 20_000), (b"late", 60_000), (b"three", 30_000)):
        bench.append([(0, packet)], START + at)
        bench.tapes.flush()
    bench.tapes.end(0, START + 50_000)
    bench.tapes.finish(0)
    bench.tapes.flush()
    assert bench.kept() == [b"one", b"two", b"three"]


def test_late_packets_are_taken_back_from_a_full_disk_too(
    tmp_path: Path, arena_fd: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(tmp_path, arena_fd)
    bench.open()
    bench.append([(0, b"before")])
    bench.append([(0, b"secret")], START + 20_000)
    bench.tapes.flush()
    bench.append([(0, b"secret")], START + 40_000)
    real = os.pwrite

    def pwrite(fd: int, data: Any, offset: int) -> int:
        if offset + len(data) > os.fstat(fd).st_size:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(fd, data, offset)

    monkeypatch.setattr(os, "pwrite", pwrite)
    bench.tapes.end(0, START + 20_000)
    bench.tapes.finish(0)
    bench.tapes.flush()
    assert bench.kept() == [b"before"]
    assert [report[0] for report in bench.reports] == ["tape_opened", "tape_closed"]


def test_a_process_that_ends_takes_back_what_it_knows_to_be_late(tmp_path: Path, arena_fd: int) -> None:
    bench = Bench(tmp_path, arena_fd)
    bench.tapes.start()
    bench.open()
    bench.append([(0, b"before")])
    bench.append([(0, b"secret")], START + 20_000)
    bench.tapes.end(0, START + 20_000)
    bench.tapes.stop()
    assert bench.kept() == [b"before"]


def test_a_disk_that_loses_what_was_written_is_told_once_for_each_tape(
    tmp_path: Path, arena_fd: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(tmp_path, arena_fd)
    bench.open()
    bench.open(1, 2, "u")
    bench.tapes.flush()
    bench.tapes.finish(1)
    bench.tapes.flush()
    bench.tapes.sync()
    assert "tape_failed" not in [report[0] for report in bench.reports]
    bench.open(2, 3, "v")
    bench.tapes.finish(2)
    bench.tapes.flush()

    def failing(fd: int) -> int:
        ctypes.set_errno(errno.EIO)
        return -1

    monkeypatch.setattr(writer, "_syncfs", failing)
    bench.tapes.sync()
    bench.tapes.sync()
    failed = [report for report in bench.reports if report[0] == "tape_failed"]
    assert [report[1] for report in failed] == ["v", "t"]
    assert failed[0][4] == "not safe on disk: Input/output error"
