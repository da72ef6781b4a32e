"""Processes that die: a media process (replaced without a lost packet), the edge (tapes are completed)."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest
from media_rig import Peer, Rig, rtp

from earwitness.media.engine.interface import EngineLost, EngineRestored, Gap, SourceChanged, TapeClosed
from earwitness.media.tape.reader import read

CALLS = 10
KILLS = 4


async def talk(pairs: list[tuple[Peer, Peer]], stop: asyncio.Event) -> int:
    """Both sides of all calls send a packet every 20 ms; returns how many each."""
    n = 0
    while not stop.is_set():
        for a, b in pairs:
            a.send(rtp(n, ssrc=1, payload=n.to_bytes(4, "big") * 40))
            b.send(rtp(n, ssrc=2, payload=n.to_bytes(4, "big") * 40))
        n += 1
        await asyncio.sleep(0.02)
    return n


def numbers(packets: list[bytes]) -> set[int]:
    return {int.from_bytes(packet[12:16], "big") for packet in packets}


async def everything_until(last: int, peer: Peer) -> set[int]:
    """What a peer has heard by the time that the last packet of all has come."""
    heard = numbers(peer.waiting())
    while last not in heard:
        heard |= numbers(await peer.receive(1))
    return heard


@pytest.mark.parametrize("sweep", ["mmsg", "auto"])
async def test_kill_9_of_the_media_process_loses_no_packet_and_nothing_on_tape(tmp_path: Path, sweep: str) -> None:
    chance = random.Random(5)
    async with Rig(tmp_path, sweep=sweep) as rig:
        pairs = []
        for n in range(CALLS):
            pairs.append(await rig.call(f"a{n}", f"b{n}", group=f"c{n}"))
            rig.engine.open_tape(f"t{n}", 0, f"a{n}", tmp_path / "spool" / f"c{n}")
        stop = asyncio.Event()
        talking = asyncio.create_task(talk(pairs, stop))
        for _ in range(KILLS):
            await asyncio.sleep(0.15 + chance.random() * 0.2)
            seen = len(rig.events)
            rig.kill(rig.processes.pop())
            await rig.event(EngineLost, seen)
            rig.start_process()
            await rig.event(EngineRestored, seen)
        await asyncio.sleep(0.2)
        stop.set()
        count = await talking
        heard = [[await everything_until(count - 1, peer) for peer in pair] for pair in pairs]
        for n in range(CALLS):
            rig.engine.close_tape(f"t{n}")
        await rig.engine.idle()
        everything = set(range(count))
        assert count > 50
        for n, both in enumerate(heard):
            assert both == [everything, everything]
            for channel in (0, 1):
                tape = read(tmp_path / "spool" / f"c{n}" / f"t{n}.0.{channel}.rtpdump")
                assert tape.good_bytes == len(tape.data)
                assert numbers([tape.packet(index) for index in range(len(tape))]) == everything
        assert len([event for event in rig.events if isinstance(event, TapeClosed)]) == CALLS
        assert not [event for event in rig.events if isinstance(event, Gap | SourceChanged)]


async def test_commands_given_while_nobody_is_there_are_carried_out(tmp_path: Path) -> None:
    async with Rig(tmp_path) as rig:
        a, b = await rig.call("a", "b")
        x, _ = await rig.call("x", "y")
        first = a.send(rtp(1))
        assert await b.receive(1) == [first]
        rig.kill(rig.processes.pop())
        await rig.event(EngineLost)
        rig.engine.open_tape("t", 0, "a", tmp_path / "spool")
        inside = a.send(rtp(2))
        rig.engine.close_tape("t")
        after = a.send(rtp(3))
        rig.engine.open_tape("u", 0, "x", tmp_path / "spool")
        last = x.send(rtp(9))
        rig.engine.close_leg("x")
        rig.engine.close_leg("y")
        c = rig.leg("c")
        rig.start_process()
        await rig.event(EngineRestored)
        assert await b.receive_new(2, first) == [inside, after]
        await rig.engine.idle()
        for name, packet in (("t", inside), ("u", last)):
            tape = read(tmp_path / "spool" / f"{name}.0.0.rtpdump")
            assert [tape.packet(n) for n in range(len(tape))] == [packet]
        rig.engine.connect("a", "c")
        said = a.send(rtp(4))
        assert await c.receive(1) == [said]


async def test_a_nat_peer_is_still_reached_after_a_takeover_before_it_speaks(tmp_path: Path) -> None:
    async with Rig(tmp_path) as rig:
        a = rig.leg("a", rtp=("10.9.8.7", 4000), rtcp=None, sources=("127.0.0.1",))
        b = rig.leg("b")
        rig.engine.connect("a", "b")
        a.send(rtp(1))
        await b.receive(1)
        rig.kill(rig.processes.pop())
        await rig.event(EngineLost)
        rig.start_process()
        heard = b.send(rtp(2))
        assert await a.receive(1) == [heard]


async def test_when_the_edge_dies_tapes_are_complete_and_the_process_serves_the_next_edge(tmp_path: Path) -> None:
    async with Rig(tmp_path) as rig:
        a, b = await rig.call("a", "b")
        rig.engine.open_tape("t", 0, "a", tmp_path / "spool")
        said = [a.send(rtp(n)) for n in range(10)]
        assert await b.receive(10) == said
        process = rig.processes[0]
        await rig.restart_engine()
        tape = read(tmp_path / "spool" / "t.0.0.rtpdump")
        assert [tape.packet(n) for n in range(len(tape))] == said
        assert process.poll() is None
        c, d = await rig.call("c", "d")
        again = c.send(rtp(1))
        assert await d.receive(1) == [again]


async def test_sigterm_ends_a_media_process_and_its_calls_go_on_with_the_next(tmp_path: Path) -> None:
    async with Rig(tmp_path) as rig:
        a, b = await rig.call("a", "b")
        rig.engine.open_tape("t", 0, "a", tmp_path)
        said = [a.send(rtp(1))]
        await b.receive(1)
        process = rig.processes.pop()
        process.terminate()
        await rig.event(EngineLost)
        assert process.wait(5) == 0
        said.append(a.send(rtp(2)))
        rig.start_process()
        assert await b.receive(1) == said[1:]
        rig.engine.close_tape("t")
        await rig.event(TapeClosed)
        tape = read(tmp_path / "t.0.0.rtpdump")
        assert [tape.packet(n) for n in range(len(tape))] == said


async def test_a_spare_process_takes_over_at_once(tmp_path: Path) -> None:
    async with Rig(tmp_path, silence_s=60) as rig:
        a, b = await rig.call("a", "b")
        spare = rig.start_process()
        said = a.send(rtp(1))
        assert await b.receive(1) == [said]
        await rig.spares(1)
        rig.kill(rig.processes.pop(0))
        again = a.send(rtp(2))
        assert await b.receive_new(1, said) == [again]
        assert (await rig.event(EngineRestored)).legs == 2
        assert rig.engine.pids == [spare.pid]


async def test_a_mistake_about_a_packet_costs_its_batch_and_nothing_else(tmp_path: Path) -> None:
    bug = (
        "from earwitness.media.rtp.relay import Relay\n"
        "regular = Relay._regular\n"
        "def broken(self, rows, *rest):\n"
        "    if b'bug!' in self._arena.rows[rows].tobytes(): raise RuntimeError('bug')\n"
        "    regular(self, rows, *rest)\n"
        "Relay._regular = broken\n"
    )
    async with Rig(tmp_path, prelude=bug) as rig:
        a, b = await rig.call("a", "b")
        a.send(rtp(1, payload=b"bug!"))
        await asyncio.sleep(0.1)
        for n in range(20):
            said = a.send(rtp(n))
            assert await b.receive(1) == [said]
        assert rig.processes[0].poll() is None


async def test_a_process_that_is_told_to_end_while_it_reports_ends(tmp_path: Path) -> None:
    async with Rig(tmp_path) as rig:
        a, b = await rig.call("a", "b")
        said = a.send(rtp(1))
        assert await b.receive(1) == [said]
        rig.freeze()
        for n in range(50):  # each makes the process report something the moment it wakes up
            a.send(rtp(n, ssrc=n + 2))
        await rig.engine.stop()
        rig.thaw()
        assert await asyncio.to_thread(rig.processes[0].wait, 10) == 0
