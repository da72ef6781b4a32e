"""The edge process: builds endpoint, switchboard, media engine and control API, and keeps them supplied.

It starts from the last good configuration on its own disk and needs no database; ``load_snapshot`` is asked in a thread
every half second and a change is used for new calls. ``DATA/run/edge.json`` says where it listens once it does.
On SIGTERM or SIGINT calls are told, their events closed with cause ``shutdown``, and tapes completed, within five
seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import random
import resource
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog

from earwitness.domain.configuration import Snapshot
from earwitness.domain.ids import new_id
from earwitness.edge.arguments import EdgeArguments
from earwitness.edge.calls.directory import Directory
from earwitness.edge.calls.hall import Hall
from earwitness.edge.calls.switchboard import ALLOW, Switchboard, SwitchboardOptions
from earwitness.edge.calls.writer import SpoolSync
from earwitness.edge.claim import Claim
from earwitness.edge.control.app import make_app
from earwitness.edge.control.server import ControlServer, control_token
from earwitness.edge.machine import Routes, raise_file_limit, trim
from earwitness.edge.names import TrunkNames
from earwitness.edge.prompts import PromptShelf
from earwitness.edge.sip.events import Address, EndpointConfig, Timers
from earwitness.edge.sip.registrar import Registrar
from earwitness.edge.sip.transport import Transport
from earwitness.edge.sip.trunks import split_address
from earwitness.edge.sip.uri import format_host
from earwitness.edge.state import EdgeState, write_private
from earwitness.media.engine.clock import WallClock
from earwitness.media.engine.ours import OurEngine

log = structlog.get_logger()

EMPTY = Snapshot(version=0, organization_id="")
Speak = Callable[[str, str], bytes]
SHUTDOWN_S = 5.0
CLOCK_ALARM_S = 1.0
ENGINE_READY_S = 5.0
QUIET_S = 40
"""Seconds of fewer calls before memory is given back; by then their SIP transactions (64*T1) are gone as well."""


def _mute(text: str, voice: str) -> bytes:
    """For an edge that was given no voice."""
    raise RuntimeError("this edge has no voice")


def start(
    arguments: EdgeArguments,
    load_snapshot: Callable[[], Snapshot | None],
    recover: Callable[[Path], object] | None = None,
    speak: Speak | None = None,
) -> None:
    """Runs the edge until SIGTERM or SIGINT, on uvloop where there is one. Parameters as in ``run``."""
    try:
        import uvloop
    except ImportError:
        asyncio.run(run(arguments, load_snapshot, recover, speak))
    else:
        uvloop.run(run(arguments, load_snapshot, recover, speak))


async def run(
    arguments: EdgeArguments,
    load_snapshot: Callable[[], Snapshot | None],
    recover: Callable[[Path], object] | None = None,
    speak: Speak | None = None,
) -> None:
    """Runs the edge until SIGTERM or SIGINT.

    :param load_snapshot: the configuration, or None when it has not changed since the last call; called in a thread.
    May raise.
    :param recover: given the spool folder before the first call: closes what a dead edge left open.
    :param speak: (text, voice) -> a WAV file, for the texts of flows; called in threads.
    :raises OSError: an address or folder cannot be used.
    """
    edge = Edge(arguments, load_snapshot, speak or _mute)
    edge.claim()
    if recover is not None:
        await asyncio.to_thread(recover, edge.spool)
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    await edge.start()
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 50)
    try:
        await stopping.wait()
    finally:
        await edge.stop()


class Edge:
    """One edge. ``start`` and ``stop`` once each, on one event loop."""

    def __init__(
        self, arguments: EdgeArguments, load_snapshot: Callable[[], Snapshot | None], speak: Speak | None = None
    ) -> None:
        self.arguments = arguments
        self._prompts = PromptShelf(arguments.data / "prompts" / "spoken", speak or _mute)
        self._agents_dirty = False
        self.spool = arguments.data / "spool"
        self._run = arguments.data / "run"
        for folder in (self.spool, self._run):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._load_snapshot = load_snapshot
        self._state = EdgeState(arguments.data / "edge")
        self._rng = random.SystemRandom()
        self._sync = SpoolSync(self.spool)
        self._registrations_dirty = False
        self._most_calls = 0
        self._quiet_s = 0
        self._routes = Routes(arguments.sip_host)
        self._tasks: list[asyncio.Task[None]] = []
        self._claim = Claim(self._run / "edge.lock")
        self._clock = self._steady = WallClock.start()
        self._clock_told = 0.0
        self._reloading = asyncio.Lock()
        self.transport: Transport
        self.engine: OurEngine
        self.switchboard: Switchboard
        self.control: ControlServer

    def claim(self) -> None:
        """Makes the data folder this edge's own for as long as it lives.

        :raises OSError: another edge has it.
        """
        self._claim.take()

    async def start(self) -> None:
        """Listens, and says so in ``run/edge.json``."""
        self.claim()
        try:
            await self._start()
        except BaseException:
            self._claim.give_back()
            raise

    async def _start(self) -> None:
        arguments = self.arguments
        raise_file_limit()
        loop = asyncio.get_running_loop()
        snapshot = await asyncio.to_thread(self._state.load_snapshot) or EMPTY
        registrar = Registrar(
            min_expires=arguments.registration_min_s,
            max_expires=arguments.registration_max_s,
            default_expires=arguments.registration_max_s,
        )
        registrar.load_document(self._state.load_registrations(), self._now())
        self.switchboard = Switchboard(
            Directory(snapshot),
            registrar,
            self.spool,
            options=SwitchboardOptions(
                max_calls=arguments.max_calls,
                dead_peer_s=arguments.dead_peer_s,
                both_silent_s=arguments.both_silent_s,
                edge_id=f"{socket.gethostname()}:{os.getpid()}",
            ),
            rng=self._rng,
            new_id=new_id,
            clock=loop.time,
            unix_time=self._now,
            call_later=loop.call_later,
            media_hosts=self._media_hosts,
            hall=Hall(self._state.load_agents(), self._now_us, loop.call_later, self._mark_agents),
            prompts=self._prompts,
            touched=self._sync.touched,
            registrations_changed=self._mark_registrations,
        )
        if snapshot is not EMPTY:
            self._use(snapshot, await asyncio.to_thread(self.switchboard.flows.use, snapshot.flows))
        self.engine = self._make_engine()
        await self.engine.start()
        try:
            await self._listen(known=snapshot is not EMPTY)
        except BaseException:
            await self.engine.stop()
            raise
        self._sync.start()
        self._tasks = [loop.create_task(job) for job in (self._poll(), self._resolve_names(), self._keep_house())]
        write_private(self._run / "edge.json", self._whereabouts())
        log.info("edge is up", sip=f"{self.transport.host}:{self.transport.port}", control=self.control.port)

    def _make_engine(self) -> OurEngine:
        arguments = self.arguments
        return OurEngine(
            self._run / "media.sock",
            self.switchboard.on_media_event,
            clock=self._clock,
            ports=(arguments.rtp_port_min, arguments.rtp_port_max),
            processes=arguments.media_processes,
            tick_ms=arguments.media_tick_ms,
            silence_s=arguments.media_silence_s,
        )

    async def _listen(self, *, known: bool) -> None:
        """Opens SIP and the control API; a configuration on disk (``known``) is good enough to begin with."""
        arguments = self.arguments
        config = EndpointConfig(
            timers=Timers(t1=arguments.sip_t1_ms / 1000),
            allow=ALLOW,
            session_expires=arguments.session_expires_s,
        )
        advertise = self._advertise if arguments.sip_advertised else None
        self.transport = Transport(config, self.switchboard, advertise=advertise, rng=self._rng)
        self.transport.is_known = self.switchboard.knows
        self.switchboard.connect(self.transport.endpoint, self.engine)
        if not known:
            await self._reload_quietly()
        await self.transport.start(arguments.sip_host, arguments.sip_port)
        token = control_token(self._run / "control.token")
        app = make_app(self.switchboard, token, figures=self._figures, reload=self.reload, unix_time=self._now)
        try:
            self.control = ControlServer(app, arguments.control_host, arguments.control_port)
        except OSError:
            await self.transport.stop()
            raise
        self.control.start()

    async def stop(self) -> None:
        """Tells the calls and ends, within five seconds."""
        self.switchboard.drain()
        deadline = asyncio.get_running_loop().time() + SHUTDOWN_S
        while self._unsettled() and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.02)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with contextlib.suppress(OSError):
            (self._run / "edge.json").unlink(missing_ok=True)
        await self.control.stop()
        await self.engine.stop()
        await self.transport.stop()
        await self._prompts.close()
        await self._save_registrations()
        await self._save_agents()
        if not self.switchboard.backlog.try_again():
            log.error("events of ended calls could not be written", calls=len(self.switchboard.backlog))
        await asyncio.to_thread(self._sync.stop)
        self._claim.give_back()
        log.info("edge has stopped", calls_left=len(self.switchboard.conversations))

    def _unsettled(self) -> bool:
        """Tapes are incomplete, or peers have not answered our BYE: a lost one has to be repeated."""
        return bool(self.switchboard.conversations or self.transport.endpoint.sizes["sessions"])

    async def reload(self) -> int:
        """Reads the configuration now; gives the version in use."""
        async with self._reloading:
            snapshot = await asyncio.to_thread(self._load_snapshot)
            current = self.switchboard.directory.snapshot
            if snapshot is not None and snapshot != current:
                texts = await asyncio.to_thread(self.switchboard.flows.use, snapshot.flows)
                self._use(snapshot, texts)
                try:
                    await asyncio.to_thread(self._state.save_snapshot, snapshot)
                except OSError as error:
                    log.error("the configuration cannot be kept", error=error.strerror)
            return self.switchboard.directory.snapshot.version

    def _use(self, snapshot: Snapshot, texts: list[tuple[str, str]]) -> None:
        """:param texts: what flows may say."""
        self.switchboard.use(Directory(snapshot, self.switchboard.resolved))
        self._prompts.prepare(texts)
        log.info("configuration in use", version=snapshot.version)

    async def _reload_quietly(self) -> None:
        try:
            await self.reload()
        except Exception as error:
            log.warning("the configuration cannot be read; going on with the last one", error=str(error))

    async def _poll(self) -> None:
        while True:
            await self._reload_quietly()
            await asyncio.sleep(self.arguments.poll_s)

    async def _resolve_names(self) -> None:
        """Looks up the trunk servers that are named by host name, now and then, never on the road of a call."""
        names = TrunkNames(self._rng)
        while True:
            snapshot = self.switchboard.directory.snapshot
            found = await asyncio.to_thread(names.look_up, snapshot.trunks, self.switchboard.resolved)
            if found != self.switchboard.resolved:
                self.switchboard.resolved = found
                self.switchboard.use(Directory(self.switchboard.directory.snapshot, found))
            waited = 0.0
            while waited < self.arguments.resolve_s and self.switchboard.directory.snapshot is snapshot:
                await asyncio.sleep(self.arguments.poll_s)
                waited += self.arguments.poll_s

    async def _keep_house(self) -> None:
        """Once a second: bindings that have expired, bindings to save, room on the disk."""
        while True:
            await asyncio.sleep(1.0)
            if self.switchboard.registrar.expire(self._now()):
                self._registrations_dirty = True
                self.switchboard.check_phones()
            if self._agents_dirty:
                await self._save_agents()
            if self._registrations_dirty:
                await self._save_registrations()
            self._check_room()
            await self._check_clock()
            self._return_memory()

    def _return_memory(self) -> None:
        """When calls have become few again: collects their cycles and gives the pages back, quick work at that time."""
        calls = len(self.switchboard.conversations)
        if calls * 2 <= self._most_calls and self._most_calls >= 10:
            self._quiet_s += 1
            if self._quiet_s >= QUIET_S:
                gc.collect()
                trim()
                self._most_calls, self._quiet_s = calls, 0
        else:
            self._most_calls, self._quiet_s = max(self._most_calls, calls), 0

    def _check_room(self) -> None:
        try:
            room = os.statvfs(self.spool)
            full = room.f_bavail * room.f_frsize < self.arguments.min_free_bytes
        except OSError:
            full = True
        if full and not self.switchboard.spool_full:
            log.error("the spool's disk is full: new calls cannot be recorded", folder=str(self.spool))
        self.switchboard.has_room(not full)

    def _now(self) -> float:
        """Seconds since 1970 by the machine's clock as it was at our start; never steps."""
        return self._steady.now_us() / 1_000_000

    def _clock_error(self) -> float:
        """What the machine's clock has been moved by since the clock of the calls was set by it, seconds."""
        return time.time() - self._clock.now_us() / 1_000_000

    async def _check_clock(self) -> None:
        """The clock of the calls never steps; where it is wrong, it is set as soon as no call is up."""
        error = self._clock_error()
        if abs(error) <= CLOCK_ALARM_S:
            self._clock_told = 0.0
            return
        if abs(error - self._clock_told) > CLOCK_ALARM_S:
            self._clock_told = error
            log.error("the machine's clock has been moved: times of calls are off", seconds=round(error, 3))
        if not self.switchboard.conversations and not self.engine.leg_count:
            await self._set_clock()

    async def _set_clock(self) -> None:
        """Begins anew with the media processes, which go by the same clock. Calls are refused with 503 meanwhile."""
        self.switchboard.disconnect()
        self.engine.abandon()
        self._clock = WallClock.start()
        self.engine = self._make_engine()
        while True:
            try:
                await self.engine.start()
                break
            except OSError as error:
                log.error("the media engine cannot be started", error=error.strerror)
                await asyncio.sleep(1.0)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ENGINE_READY_S):
                await self.engine.ready()
        self.switchboard.connect(self.transport.endpoint, self.engine)
        log.warning("the clock of the calls has been set")

    def _now_us(self) -> int:
        return self._steady.now_us()

    def _mark_agents(self) -> None:
        self._agents_dirty = True

    async def _save_agents(self) -> None:
        self._agents_dirty = False
        try:
            await asyncio.to_thread(self._state.save_agents, self.switchboard.hall.to_document())
        except OSError as error:
            log.error("the agents' states cannot be kept", error=error.strerror)

    def _mark_registrations(self) -> None:
        self._registrations_dirty = True

    async def _save_registrations(self) -> None:
        self._registrations_dirty = False
        document = self.switchboard.registrar.to_document(self._now(), time.time() - self._now())
        try:
            await asyncio.to_thread(self._state.save_registrations, document)
        except OSError as error:
            log.error("registrations cannot be kept", error=error.strerror)

    def _advertise(self, transport: str, remote: Address) -> Address:
        host, port = split_address(self.arguments.sip_advertised, None)
        return host, port or self.transport.port

    def _media_hosts(self, peer: str) -> tuple[str, str]:
        """Where to bind a leg's media, and what to tell its peer if that is something else."""
        arguments = self.arguments
        advertised = split_address(arguments.sip_advertised, None)[0] if arguments.sip_advertised else ""
        if arguments.rtp_host:
            unspecified = arguments.rtp_host in ("0.0.0.0", "::")  # noqa: S104 - compared, not bound
            told = advertised or (self._routes.towards(peer) if unspecified else "")
            return arguments.rtp_host, told
        return self._routes.towards(peer), advertised

    def _whereabouts(self) -> dict[str, Any]:
        return {
            "pid": os.getpid(),
            "sip_host": self.transport.host,
            "sip_port": self.transport.port,
            "sip_advertised": self.arguments.sip_advertised,
            "control_url": f"http://{format_host(self.control.host)}:{self.control.port}",
        }

    def _figures(self) -> dict[str, Any]:
        return {
            "tables": self.transport.endpoint.sizes,
            "sip": dict(self.transport.endpoint.counters),
            "clockErrorSeconds": round(self._clock_error(), 3),
            "unwrittenConversations": len(self.switchboard.backlog),
            "mediaProcesses": len(self.engine.pids),
            "mediaPids": self.engine.pids,
            "legs": self.engine.leg_count,
            "rssBytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        }
