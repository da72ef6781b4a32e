"""Floods, late commands, processes that hang, commands that fail."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path

import pytest
from media_rig import Peer, Rig, rtp

from earwitness.media.engine import link
from earwitness.media.engine.interface import (
    EngineLost,
    EngineRestored,
    Gap,
    LegFailed,
    Remote,
    SourceChanged,
    TapeClosed,
    TapeFailed,
)
from earwitness.media.tape.reader import read


def kept(path: Path) -> list[bytes]:
    tape = read(path)
    return [tape.packet(n) for n in range(len(tape))]


@pytest.mark.parametrize("sweep", ["mmsg", "auto"])
async def test_a_flood_at_one_port_does_not_stop_the_others(tmp_path: Path, sweep: str) -> None:
    async with Rig(tmp_path, sweep=sweep) as rig:
        a, b = await rig.call("a", "b")
        c, d = await rig.call("c", "d", "c2")
        first = a.send(rtp(0))
        assert await b.receive(1) == [first]
        stranger = Peer("127.0.0.2")
        stranger.target = c.target
        rig.freeze()
        for n in range(1500):
            stranger.send(rtp(n))
        heard = c.send(rtp(7))
        said = a.send(rtp(1))
        rig.thaw()
        assert await b.receive(1) == [said]
        # Behind the flood there were others of that leg: they come as well, some ticks later.
        assert await d.receive(1) == [heard]
        stranger.close()


@pytest.mark.parametrize("sweep", ["mmsg", "auto"])
async def test_a_tape_that_ends_while_packets_wait_gets_all_of_them(tmp_path: Path, sweep: str) -> None:
    async with Rig(tmp_path, sweep=sweep) as rig:
        a, b = await rig.call("a", "b")
        rig.engine.open_tape("t", 0, "a", tmp_path)
        said = [a.send(rtp(0))]
        assert await b.receive(1) == said
        rig.freeze()
        said += [a.send(rtp(n)) for n in range(1, 400)]
        rig.engine.close_tape("t")
        a.send(rtp(400))
        rig.engine.close_leg("a")
        rig.thaw()
        closed = await rig.event(TapeClosed)
        assert closed.packets[0] == 400
        assert kept(tmp_path / "t.0.0.rtpdump") == said
        assert await b.receive(400) == [*said[1:], rtp(400)]


async def test_what_was_said_after_the_close_is_not_on_disk_however_late_the_command(tmp_path: Path) -> None:
    async with Rig(tmp_path) as rig:
        a, b = await rig.call("a", "b")
        rig.engine.open_tape("t", 0, "a", tmp_path)
        rig.engine.open_tape("u", 0, "b", tmp_path)
        said = [a.send(rtp(n)) for n in range(5)]
        assert await b.receive(5) == said
        at = rig.engine.clock.now_us()
        secret = [a.send(rtp(n, payload=b"secret" * 30)) for n in range(5, 9)]
        assert await b.receive(4) == secret
        await asyncio.sleep(0.3)  # a flush: it is on disk
        rig.engine.close_tape("t", at=at)
        rig.engine.close_tape("u", at=at)
        await rig.engine.idle()
        assert kept(tmp_path / "t.0.0.rtpdump") == kept(tmp_path / "u.0.1.rtpdump") == said
        assert all(b"secret" not in path.read_bytes() for path in tmp_path.glob("*.rtpdump"))


async def test_a_tape_may_be_opened_many_times_within_a_tick(tmp_path: Path) -> None:
    async with Rig(tmp_path) as rig:
        a, b = await rig.call("a", "b")
        first = a.send(rtp(0))
        assert await b.receive(1) == [first]
        rig.freeze()
        said = []
        for opening in range(6):
            rig.engine.open_tape("t", opening, "a", tmp_path)
            said.append(a.send(rtp(opening)))
            rig.engine.close_tape("t")
        rig.thaw()
        await rig.engine.idle()
        assert [kept(tmp_path / f"t.{n}.0.rtpdump") for n in range(6)] == [[packet] for packet in said]
        assert not [event for event in rig.events if isinstance(event, TapeFailed)]


async def test_a_process_that_hangs_is_killed_and_replaced(tmp_path: Path) -> None:
    async with Rig(tmp_path, hang_s=1.5) as rig:
        a, b = await rig.call("a", "b")
        spare = rig.start_process()
        said = a.send(rtp(1))
        assert await b.receive(1) == [said]
        await rig.spares(1)
        rig.freeze()
        again = a.send(rtp(2))
        assert (await rig.event(EngineRestored)).legs == 2
        assert await b.receive_new(1, said) == [again]
        assert rig.engine.pids == [spare.pid]
        assert await asyncio.to_thread(rig.processes[0].wait, 5) == -signal.SIGKILL


async def test_a_process_that_has_nothing_to_do_is_not_taken_for_hung(tmp_path: Path) -> None:
    async with Rig(tmp_path, hang_s=1.8) as rig:
        await asyncio.sleep(2.5)
        assert rig.events == []
        assert len(rig.engine.pids) == 1


async def test_an_edge_that_hung_itself_kills_nobody(tmp_path: Path) -> None:
    async with Rig(tmp_path, hang_s=1.2) as rig:
        rig.freeze()
        time.sleep(2)  # nothing runs in this process
        rig.thaw()
        await asyncio.sleep(0.6)
        assert not [event for event in rig.events if isinstance(event, EngineLost)]


async def test_commands_do_not_pile_up_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "BACKLOG", 50)
    async with Rig(tmp_path) as rig:
        a, b = await rig.call("a", "b")
        rig.start_process()
        await rig.spares(1)
        before = len(os.listdir("/proc/self/fd"))
        rig.freeze()
        for _ in range(3000):
            rig.engine.set_remote("a", Remote(a.address))
        assert (await rig.event(EngineRestored)).legs == 2
        assert len(os.listdir("/proc/self/fd")) <= before
        said = a.send(rtp(1))
        assert await b.receive(1) == [said]


async def test_a_leg_that_its_process_has_no_descriptors_for_is_reported(tmp_path: Path) -> None:
    few = (
        "import resource\nfrom earwitness.media.engine import wire\n"
        "wire.allow_many_files = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))\n"
    )
    async with Rig(tmp_path, prelude=few, sweep="mmsg") as rig:
        a, b = await rig.call("a", "b")
        for n in range(20):
            rig.leg(f"l{n}", "c2")
        failed = await rig.event(LegFailed)
        assert failed.leg_id.startswith("l")
        assert failed.error == "out of file descriptors"
        said = a.send(rtp(1))
        assert await b.receive(1) == [said]
        for n in range(20):
            rig.engine.close_leg(f"l{n}")
        await rig.engine.idle()
        seen = len(rig.events)
        c, d = await rig.call("c", "d", "c3")
        said = c.send(rtp(2))
        assert await d.receive(1) == [said]
        assert not [event for event in rig.events[seen:] if isinstance(event, LegFailed)]


async def test_a_command_that_fails_is_reported(tmp_path: Path) -> None:
    bug = (
        "from earwitness.media.commands import Commands\n"
        "def broken(self, *rest): raise RuntimeError('bug')\n"
        "Commands._do_connect = Commands._do_tape = broken\n"
    )
    async with Rig(tmp_path, prelude=bug) as rig:
        await rig.call("a", "b")
        failed = await rig.event(LegFailed)
        assert (failed.leg_id, failed.error) == ("a", "bug")
        rig.engine.open_tape("t", 0, "a", tmp_path)
        assert (await rig.event(TapeFailed)).error == "bug"


async def test_a_batch_that_is_dropped_is_a_gap(tmp_path: Path) -> None:
    bug = (
        "from earwitness.media.rtp.relay import Relay\n"
        "def broken(self, *rest): raise RuntimeError('bug')\n"
        "Relay._regular = broken\n"
    )
    async with Rig(tmp_path, prelude=bug) as rig:
        a, _ = await rig.call("a", "b")
        a.send(rtp(1))
        await rig.event(Gap)
        gaps = [event for event in rig.events if isinstance(event, Gap)]
        assert [(gap.leg_id, gap.channel, gap.cause, gap.packets) for gap in gaps] == [
            ("a", 0, "error", 1),
            ("b", 1, "error", 1),
        ]


async def test_a_flood_of_changes_of_source_is_told_in_few_events(tmp_path: Path) -> None:
    async with Rig(tmp_path) as rig:
        a, b = await rig.call("a", "b")
        sent = [a.send(rtp(n, ssrc=n + 1)) for n in range(301)]
        got = await b.receive(301)
        assert [packet[12:] for packet in got] == [packet[12:] for packet in sent]
        assert {packet[8:12] for packet in got} == {sent[0][8:12]}  # who listens is spared it
        assert [int.from_bytes(packet[2:4], "big") for packet in got] == list(range(301))
        rig.engine.close_leg("a")
        await rig.engine.idle()
        changes = [event for event in rig.events if isinstance(event, SourceChanged)]
        assert len(changes) < 10
        assert sum(change.count for change in changes) == 300
        assert changes[-1].ssrc == 301


async def test_nobody_takes_over_from_a_source_that_talks(tmp_path: Path) -> None:
    async with Rig(tmp_path) as rig:
        a, b = await rig.call("a", "b")
        first = a.send(rtp(0))
        assert await b.receive(1) == [first]
        other = Peer()
        other.target = a.target
        rig.freeze()
        await asyncio.sleep(0.6)
        said = [a.send(rtp(n)) for n in range(1, 3)]
        other.send(rtp(50))
        said.append(a.send(rtp(3)))
        rig.thaw()
        assert await b.receive(3) == said
        # A re-negotiation that moves nothing lets nobody in either.
        rig.engine.set_remote("a", Remote(a.address, a.rtcp_address, {}))
        other.send(rtp(51))
        said = [a.send(rtp(4))]
        assert await b.receive(1) == said
        assert b.waiting() == []
        assert not [event for event in rig.events if isinstance(event, SourceChanged)]
        other.close()
