"""Parts of the edge process that need no peers."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from earwitness.domain.configuration import Snapshot, Trunk
from earwitness.edge import machine, process
from earwitness.edge.arguments import EdgeArguments
from earwitness.edge.process import Edge, run
from earwitness.edge.sip.locating import Srv
from earwitness.edge.sip.registrar import Contact, Source


def _arguments(tmp_path: Path, **values: Any) -> EdgeArguments:
    given = {"sip_host": "127.0.0.1", "sip_port": 0, "rtp_port_min": 20000, "rtp_port_max": 20100, "poll_s": 0.01}
    return EdgeArguments(data=tmp_path, **{**given, **values})


def _running(tmp_path: Path, load: Any, check: Any, **values: Any) -> None:
    async def main() -> None:
        edge = Edge(_arguments(tmp_path, **values), load)
        await edge.start()
        try:
            await check(edge)
        finally:
            await edge.stop()

    asyncio.run(main())


async def _until(ask: Any) -> None:
    async with asyncio.timeout(20):
        while not ask():
            await asyncio.sleep(0.01)


def test_configuration_comes_goes_away_and_comes_back(tmp_path: Path) -> None:
    answers: list[Any] = [Snapshot(1, "o")]

    def load() -> Snapshot | None:
        answer = answers[-1]
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def check(edge: Edge) -> None:
        assert edge.switchboard.directory.snapshot.version == 1
        answers.append(OSError("database away"))
        await asyncio.sleep(0.05)
        assert edge.switchboard.directory.snapshot.version == 1
        answers.append(Snapshot(2, "o"))
        await _until(lambda: edge.switchboard.directory.snapshot.version == 2)
        assert await edge.reload() == 2

    _running(tmp_path, load, check)
    answers.append(OSError("database away"))

    async def again(edge: Edge) -> None:
        assert edge.switchboard.directory.snapshot.version == 2

    _running(tmp_path, load, again)


def test_a_second_edge_touches_nothing_of_the_first(tmp_path: Path) -> None:
    async def check(edge: Edge) -> None:
        recovered: list[Path] = []
        socket_before = (tmp_path / "run" / "media.sock").stat().st_ino
        with pytest.raises(OSError, match="another edge is running"):
            await run(_arguments(tmp_path), lambda: None, recovered.append)
        assert recovered == []
        assert (tmp_path / "run" / "media.sock").stat().st_ino == socket_before

    _running(tmp_path, lambda: None, check)
    _running(tmp_path, lambda: None, lambda edge: asyncio.sleep(0))


def test_a_clock_that_is_set_loses_no_phone_and_raises_an_alarm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def check(edge: Edge) -> None:
        source = Source("udp", "192.0.2.5", 5060)
        edge.switchboard.registrar.register(
            "s", [Contact("sip:a")], star=False, expires=600, call_id="c", cseq=1, source=source, now=edge._now()
        )
        assert edge.switchboard.knows("192.0.2.5")
        real, real_ns = time.time, time.time_ns
        monkeypatch.setattr(process, "ENGINE_READY_S", 0.01)
        monkeypatch.setattr(process.time, "time", lambda: real() + 86400)
        monkeypatch.setattr(process.time, "time_ns", lambda: real_ns() + 86_400_000_000_000)
        assert edge.switchboard.registrar.expire(edge._now()) == []
        conversations: Any = edge.switchboard.conversations
        conversations["c"] = None
        before = edge.engine
        await edge._check_clock()
        assert 86399 < edge._figures()["clockErrorSeconds"] < 86401
        assert edge._clock_told > 86399
        assert edge.engine is before
        del conversations["c"]
        await edge._check_clock()
        assert abs(edge._figures()["clockErrorSeconds"]) < 1
        assert edge.engine is not before
        assert edge.engine.clock.now_us() > real() * 1e6 + 86_000_000_000
        assert edge.switchboard._services is not None
        assert edge.switchboard._services.engine is edge.engine
        assert edge.switchboard.registrar.expire(edge._now()) == []
        await edge._save_registrations()
        kept = json.loads((tmp_path / "edge" / "registrations.json").read_text())
        assert abs(kept["bindings"][0]["expires_at"] - time.time() - 600) < 5
        monkeypatch.undo()

    _running(tmp_path, lambda: None, check, registration_min_s=30)


def test_it_stays_until_peers_have_answered_its_byes(tmp_path: Path) -> None:
    async def main() -> None:
        edge = Edge(_arguments(tmp_path), lambda: None)
        await edge.start()
        sessions: Any = edge.transport.endpoint._sessions
        sessions["call", "tag"] = None
        stopping = asyncio.create_task(edge.stop())
        await asyncio.sleep(0.1)
        assert not edge.transport._udp.is_closing()  # type: ignore[union-attr]
        del sessions["call", "tag"]
        await asyncio.wait_for(stopping, 4)

    asyncio.run(main())


def test_where_it_listens_is_told_while_it_does(tmp_path: Path) -> None:
    async def check(edge: Edge) -> None:
        told = json.loads((tmp_path / "run" / "edge.json").read_text())
        assert (told["pid"], told["sip_host"]) == (os.getpid(), "127.0.0.1")
        assert told["sip_port"] == edge.transport.port
        assert told["control_url"].endswith(f":{edge.control.port}")

    _running(tmp_path, lambda: None, check)
    assert not (tmp_path / "run" / "edge.json").exists()


def test_names_of_trunk_servers_are_looked_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("earwitness.edge.names.look_up", lambda name: ("192.0.2.5",) if name == "sbc.example" else ())
    records = {"_sip._udp.carrier.example": [Srv(1, 1, 5090, "sbc.example")]}
    monkeypatch.setattr("earwitness.edge.names.look_up_srv", lambda name: records.get(name, []))
    servers = ("sbc.example:5070", "gone.example", "192.0.2.9", "carrier.example")
    trunk = Trunk("t", "b", "n", True, servers=servers)

    async def check(edge: Edge) -> None:
        await _until(lambda: edge.switchboard.resolved)
        assert edge.switchboard.resolved == {
            "sbc.example:5070": ("192.0.2.5:5070",),
            "carrier.example": ("192.0.2.5:5090",),
        }
        assert edge.switchboard.directory.trunks.identify("192.0.2.5", 5070) == trunk

    _running(tmp_path, lambda: Snapshot(1, "o", trunks=(trunk,)), check)


def test_a_full_disk_is_noticed_and_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    edge = Edge(_arguments(tmp_path), lambda: None)
    told: list[bool] = []
    edge.switchboard = SimpleNamespace(spool_full=False, has_room=told.append)  # type: ignore[assignment]
    for free, full in ((1, True), (10**6, False)):
        monkeypatch.setattr(os, "statvfs", lambda path, free=free: SimpleNamespace(f_bavail=free, f_frsize=4096))
        edge._check_room()
        assert told.pop() is not full

    def gone(path: Path) -> Any:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "statvfs", gone)
    edge._check_room()
    assert told == [False]


@pytest.fixture
def collector() -> Iterator[None]:
    """``run`` tunes the garbage collector of its process, which here is that of the tests."""
    thresholds = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*thresholds)


def test_a_port_in_use_is_an_error_that_says_so(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        arguments = _arguments(tmp_path, sip_port=taken.getsockname()[1])
        with pytest.raises(OSError, match="in use"):
            asyncio.run(run(arguments, lambda: None))


@pytest.mark.usefixtures("collector")
def test_spool_is_recovered_before_the_first_call_and_sigterm_ends_it(tmp_path: Path) -> None:
    recovered: list[Path] = []

    def recover(spool: Path) -> None:
        recovered.append(spool)
        assert not (tmp_path / "run" / "edge.json").exists()

    async def main() -> None:
        task = asyncio.create_task(run(_arguments(tmp_path), lambda: None, recover))
        await _until(lambda: (tmp_path / "run" / "edge.json").exists())
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(task, 10)

    asyncio.run(main())
    assert recovered == [tmp_path / "spool"]


@pytest.mark.parametrize(
    ("host", "expected"), [("192.0.2.7", "192.0.2.7"), ("0.0.0.0", "127.0.0.1"), ("", "127.0.0.1")]
)
def test_our_address_towards_a_peer(host: str, expected: str) -> None:
    routes = machine.Routes(host)
    assert routes.towards("127.0.0.1") == expected
    assert routes.towards("127.0.0.1") == expected


def test_machine() -> None:
    assert "127.0.0.1" in machine.look_up("localhost")
    assert machine.look_up("no.such.name.invalid") == ()
    machine.trim()
    machine.raise_file_limit()
