"""An engine with real media processes, and peers with real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from earwitness.media.engine.interface import Codec, MediaEvent, Remote
from earwitness.media.engine.ours import OurEngine

E = TypeVar("E", bound=MediaEvent)
PCMU = {0: Codec("PCMU", 8000)}
PATIENCE_S = 60


def rtp(seq: int, *, ssrc: int = 1, pt: int = 0, payload: bytes = bytes(160), timestamp: int | None = None) -> bytes:
    """One RTP packet."""
    ticks = seq * 160 if timestamp is None else timestamp
    return struct.pack("!BBHII", 0x80, pt, seq & 0xFFFF, ticks & 0xFFFFFFFF, ssrc) + payload


class Peer:
    """A phone's RTP and RTCP sockets."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.rtp = socket.socket(family, socket.SOCK_DGRAM)
        self.rtp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.rtp.bind((host, 0))
        self.rtp.setblocking(False)
        self.rtcp = socket.socket(family, socket.SOCK_DGRAM)
        self.rtcp.bind((host, 0))
        self.rtcp.setblocking(False)
        self.target = ("", 0)
        self.target_rtcp = ("", 0)

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens for RTP."""
        host, port = self.rtp.getsockname()[:2]
        return host, port

    @property
    def rtcp_address(self) -> tuple[str, int]:
        """Where it listens for RTCP."""
        host, port = self.rtcp.getsockname()[:2]
        return host, port

    def send(self, packet: bytes) -> bytes:
        """Sends RTP to the engine; returns it."""
        self.rtp.sendto(packet, self.target)
        return packet

    def send_rtcp(self, packet: bytes) -> bytes:
        """Sends RTCP to the engine; returns it."""
        self.rtcp.sendto(packet, self.target_rtcp)
        return packet

    async def receive(self, count: int, *, rtcp: bool = False) -> list[bytes]:
        """The next packets, in order of arrival."""
        loop = asyncio.get_running_loop()
        source = self.rtcp if rtcp else self.rtp
        async with asyncio.timeout(PATIENCE_S):
            return [await loop.sock_recv(source, 4096) for _ in range(count)]

    async def receive_new(self, count: int, seen: bytes) -> list[bytes]:
        """``receive`` without repetitions of ``seen``: a killed process may have sent what it had not ticked off."""
        packets: list[bytes] = []
        while len(packets) < count:
            packets += [packet for packet in await self.receive(1) if packet != seen]
        return packets

    def waiting(self) -> list[bytes]:
        """What has arrived and was not received."""
        packets = []
        with contextlib.suppress(BlockingIOError):
            while True:
                packets.append(self.rtp.recv(4096))
        return packets

    def close(self) -> None:
        """Closes both sockets."""
        self.rtp.close()
        self.rtcp.close()


class Rig:
    """``async with Rig(folder) as rig``: a started engine and its media process(es)."""

    def __init__(
        self,
        folder: Path,
        *,
        processes: int = 1,
        ports: tuple[int, int] = (41000, 41999),
        prelude: str = "",
        **options: object,
    ) -> None:
        self.folder = folder
        self.prelude = prelude
        """Python that media processes run first."""
        self.events: list[MediaEvent] = []
        self._news = asyncio.Event()
        options.setdefault("legs", 64)
        self.engine = OurEngine(folder / "m.sock", self._on_event, processes=processes, ports=ports, **options)  # type: ignore[arg-type]
        self.processes: list[subprocess.Popen[bytes]] = []
        self.peers: list[Peer] = []
        self._count = processes
        self._seen = 0

    async def __aenter__(self) -> Rig:
        await self.engine.start()
        for _ in range(self._count):
            self.start_process()
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self.engine.ready()
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.engine.stop()
        for process in self.processes:
            try:
                await asyncio.to_thread(process.wait, 5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise
        for peer in self.peers:
            peer.close()

    def start_process(self) -> subprocess.Popen[bytes]:
        """Starts one more media process."""
        code = (
            self.prelude
            + "import sys; from pathlib import Path; from earwitness.media.process import run; run(Path(sys.argv[1]))"
        )
        process = subprocess.Popen([sys.executable, "-c", code, str(self.folder / "m.sock")])
        self.processes.append(process)
        return process

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        """kill -9."""
        os.kill(process.pid, signal.SIGKILL)
        process.wait()

    async def spares(self, count: int) -> None:
        """Waits for processes that found no seat."""
        async with asyncio.timeout(PATIENCE_S):
            while self.engine.spare_count < count:
                await asyncio.sleep(0.01)

    def freeze(self) -> None:
        """Stops the first media process from running."""
        os.kill(self.processes[0].pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Lets it run again."""
        os.kill(self.processes[0].pid, signal.SIGCONT)

    async def restart_engine(self) -> None:
        """The edge dies without a word, and another one comes up on the same socket."""
        self.engine.abandon()
        self.engine = OurEngine(self.folder / "m.sock", self._on_event, ports=(43000, 43999), legs=64)
        await self.engine.start()
        async with asyncio.timeout(PATIENCE_S):
            await self.engine.ready()

    def _on_event(self, event: MediaEvent) -> None:
        self.events.append(event)
        self._news.set()

    async def event(self, kind: type[E], since: int = 0) -> E:
        """The first event of a kind, from position ``since`` of ``events``, when it comes."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                for event in self.events[since:]:
                    if isinstance(event, kind):
                        return event
                self._news.clear()
                await self._news.wait()

    def leg(self, leg_id: str, group: str = "c1", host: str = "127.0.0.1", **remote: object) -> Peer:
        """A leg with a peer of its own whose address is in its SDP."""
        peer = Peer(host)
        self.peers.append(peer)
        local = self.engine.open_leg(leg_id, group=group, host=host)
        peer.target = (local.host, local.rtp_port)
        peer.target_rtcp = (local.host, local.rtcp_port)
        values: dict[str, object] = {"rtp": peer.address, "rtcp": peer.rtcp_address, "payload_types": PCMU, **remote}
        self.engine.set_remote(leg_id, Remote(**values))  # type: ignore[arg-type]
        return peer

    async def call(self, a: str, b: str, group: str = "c1") -> tuple[Peer, Peer]:
        """Two connected legs."""
        one, other = self.leg(a, group), self.leg(b, group)
        self.engine.connect(a, b)
        return one, other


class Speaker:
    """Says something to the engine in packets of 20 ms, one after another, at their time."""

    def __init__(self, peer: Peer, payloads: list[bytes], *, pt: int = 0, ticks: int = 160, ssrc: int = 1) -> None:
        self.peer, self.payloads, self.pt, self.ticks, self.ssrc = peer, payloads, pt, ticks, ssrc
        self.sent = 0

    def say(self) -> bytes:
        """The next packet, over and over."""
        payload = self.payloads[self.sent % len(self.payloads)]
        self.sent += 1
        stamp = self.sent * self.ticks
        return self.peer.send(rtp(self.sent, ssrc=self.ssrc, pt=self.pt, payload=payload, timestamp=stamp))


@contextlib.asynccontextmanager
async def talking(*speakers: Speaker) -> AsyncIterator[None]:
    """All say something, a packet each 20 ms, until the block ends."""

    async def talk() -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            for speaker in speakers:
                speaker.say()
            due += 0.02
            await asyncio.sleep(max(due - loop.time(), 0))

    task = asyncio.create_task(talk())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def continuous(packets: list[bytes]) -> bool:
    """Whether packets are one stream: one SSRC, sequence numbers without a gap, time that never goes back."""
    sequence = [int.from_bytes(packet[2:4], "big") for packet in packets]
    stamps = [int.from_bytes(packet[4:8], "big") for packet in packets]
    return (
        len({packet[8:12] for packet in packets}) == 1
        and all((b - a) & 0xFFFF == 1 for a, b in itertools.pairwise(sequence))
        and all(0 <= (b - a) & 0xFFFFFFFF < 0x80000000 for a, b in itertools.pairwise(stamps))
    )
