"""Relay benchmark: our engine, relaying and recording, beside rtpengine in user space, relaying only.

Prints CPU seconds (user + system, of all processes of the contender, the edge's engine client included) per million
packets received, the ratio, latency and losses. One load generator, the same load, contenders in turns.

    python bench/relay.py [--calls 250] [--seconds 20] [--rounds 2] [--only ours,rtpengine] [--kills 3]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from statistics import median
from typing import Any

from earwitness.media.engine.interface import Codec, Remote
from earwitness.media.engine.ours import OurEngine
from earwitness.media.tape.reader import read

HERE = Path(__file__).parent
CODECS = {0: Codec("PCMU", 8000)}
SOCKETS = 20
TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """User and system time of a process with all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


class Load:
    """The generator process."""

    def __init__(self, seconds: float, legs: int) -> None:
        command = [sys.executable, str(HERE / "rtp_load.py"), str(seconds), str(SOCKETS), str(legs)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.addresses: list[list[Any]] = json.loads(self.process.stdout.readline())

    def address(self, leg: int) -> tuple[str, int]:
        """Where the peer of a leg listens and sends from."""
        host, port = self.addresses[leg % SOCKETS]
        return host, port

    def run(self, targets: Iterable[tuple[str, int]]) -> dict[str, Any]:
        """Sends and receives; returns the figures."""
        assert self.process.stdin is not None and self.process.stdout is not None  # noqa: PT018
        self.process.stdin.write(json.dumps(list(targets)) + "\n")
        self.process.stdin.flush()
        result: dict[str, Any] = json.loads(self.process.stdout.readline())
        self.process.wait()
        return result


async def ours(calls: int, seconds: float, *, tick_ms: int, sweep: str, record: bool, kills: int) -> dict[str, Any]:
    """Our engine with one media process, which is killed ``kills`` times under load (and replaced by a spare)."""
    folder = Path(tempfile.mkdtemp(prefix="relay-"))
    engine = OurEngine(folder / "m.sock", lambda _: None, ports=(30000, 39999), tick_ms=tick_ms, sweep=sweep)
    await engine.start()
    code = f"from pathlib import Path; from earwitness.media.process import run; run(Path({str(folder / 'm.sock')!r}))"
    processes = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(kills + 1)]
    by_pid = {process.pid: process for process in processes}
    try:
        await engine.ready()
        load = Load(seconds, 2 * calls)
        targets = []
        for leg in range(2 * calls):
            local = engine.open_leg(f"l{leg}", group=f"c{leg // 2}", host="127.0.0.1")
            engine.set_remote(f"l{leg}", Remote(load.address(leg), payload_types=CODECS))
            targets.append((local.host, local.rtp_port))
        for call in range(calls):
            engine.connect(f"l{2 * call}", f"l{2 * call + 1}")
            if record:
                engine.open_tape(f"t{call}", 0, f"l{2 * call}", folder / "spool" / f"c{call}")
        await asyncio.sleep(0.5)
        while engine.spare_count < kills:
            await asyncio.sleep(0.1)
        before = time.process_time() + sum(map(cpu_seconds, by_pid))
        running = asyncio.create_task(asyncio.to_thread(load.run, targets))
        for _ in range(kills):
            await asyncio.sleep(seconds / (kills + 1))
            victim = by_pid.pop(engine.pids[0])
            before -= cpu_seconds(victim.pid)
            victim.kill()
            victim.wait()
        result = await running
        result["cpu"] = time.process_time() + sum(map(cpu_seconds, by_pid)) - before
        status = Path(f"/proc/{engine.pids[0]}/status").read_text()
        result["rss_mb"] = int(re.findall(r"VmRSS:\s+(\d+)", status)[0]) // 1024
        if record:
            for call in range(calls):
                engine.close_tape(f"t{call}")
            await engine.idle()
            result["taped"] = sum(len(read(path)) for path in (folder / "spool").rglob("*.rtpdump"))
        return result
    finally:
        await engine.stop()
        for process in processes:
            process.wait(10)
        shutil.rmtree(folder)


def bencode(value: Any) -> bytes:
    """The ng protocol's encoding."""
    if isinstance(value, int):
        return b"i%de" % value
    if isinstance(value, str):
        return b"%d:%s" % (len(value.encode()), value.encode())
    if isinstance(value, list):
        return b"l" + b"".join(map(bencode, value)) + b"e"
    return b"d" + b"".join(bencode(key) + bencode(each) for key, each in sorted(value.items())) + b"e"


async def rtpengine(calls: int, seconds: float) -> dict[str, Any]:
    """Debian's rtpengine-daemon without its kernel module."""
    command = ["rtpengine", "--foreground", "--table=-1", "--interface=127.0.0.1", "--listen-ng=127.0.0.1:22333",
               "--port-min=30000", "--port-max=39999", "--log-stderr", "--log-level=2", "--pidfile=/dev/null",
               "--config-file=none"]  # fmt: skip
    daemon = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    control = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    control.connect(("127.0.0.1", 22333))
    control.settimeout(2)
    cookie = 0

    def ask(**fields: Any) -> bytes:
        nonlocal cookie
        cookie += 1
        for _ in range(10):
            try:
                control.send(b"%d " % cookie + bencode({key.replace("_", "-"): each for key, each in fields.items()}))
                reply = control.recv(65536)
            except (TimeoutError, ConnectionRefusedError):
                time.sleep(0.2)
                continue
            if reply.startswith(b"%d " % cookie):
                return reply
        raise RuntimeError("rtpengine does not answer")

    def sdp(host: str, port: int) -> str:
        return f"v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\n"

    def port_of(reply: bytes) -> int:
        found = re.search(rb"m=audio (\d+)", reply)
        if found is None:
            raise RuntimeError(f"rtpengine refused: {reply[:200]!r}")
        return int(found[1])

    try:
        ask(command="ping")
        load = Load(seconds, 2 * calls)
        targets: list[tuple[str, int]] = []
        for call in range(calls):
            tags = {"call_id": f"c{call}", "from_tag": "a"}
            to_callee = port_of(ask(command="offer", sdp=sdp(*load.address(2 * call)), **tags))
            to_caller = port_of(ask(command="answer", to_tag="b", sdp=sdp(*load.address(2 * call + 1)), **tags))
            targets += [("127.0.0.1", to_caller), ("127.0.0.1", to_callee)]
        await asyncio.sleep(0.5)
        before = cpu_seconds(daemon.pid)
        result = load.run(targets)
        result["cpu"] = cpu_seconds(daemon.pid) - before
        return result
    finally:
        control.close()
        daemon.terminate()
        daemon.wait(10)


async def main() -> None:
    """Runs the contenders in turns and prints the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--calls", type=int, default=250)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--tick", type=int, default=10)
    parser.add_argument("--sweep", default="auto")
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--no-record", action="store_true")
    parser.add_argument("--only", default="ours,rtpengine")
    arguments = parser.parse_args()
    costs: dict[str, list[float]] = {}
    for _ in range(arguments.rounds):
        for name in arguments.only.split(","):
            if name == "ours":
                result = await ours(
                    arguments.calls, arguments.seconds, tick_ms=arguments.tick, sweep=arguments.sweep,
                    record=not arguments.no_record, kills=arguments.kills,
                )  # fmt: skip
            else:
                result = await rtpengine(arguments.calls, arguments.seconds)
            cost = result["cpu"] / result["sent"] * 1e6
            costs.setdefault(name, []).append(cost)
            latency = " / ".join(f"{each:.1f}" for each in result["latency_ms"])
            lost = result["sent"] - result["received"]
            line = f"{name:10} {cost:6.2f} CPU s/M packets   sent {result['sent']}  lost {lost}"
            line += f"  duplicates {result['duplicates']}  latency ms p50/p99/max {latency}"
            line += f"  on tape {result['taped']}" if "taped" in result else ""
            print(line + (f"  rss {result['rss_mb']} MB" if "rss_mb" in result else ""), flush=True)
    for name, values in costs.items():
        print(f"{name:10} median {median(values):.2f} CPU s/M packets")
    if len(costs) == 2:
        ratio = median(costs["ours"]) / median(costs["rtpengine"])
        print(f"ratio {ratio:.2f} (ours, recording : rtpengine, not recording)")


if __name__ == "__main__":
    asyncio.run(main())
