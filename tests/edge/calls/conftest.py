"""A whole edge without sockets: the switchboard on a real SIP endpoint, peers on endpoints of their own, and an engine
that writes down its commands.

``office`` has a carrier (trunk) at 198.51.100.1, a second one at 198.51.100.2, and phones at 192.0.2.11 and up. Time is
a number that ``run`` advances; messages take 10 ms.
"""

from __future__ import annotations

import heapq
import itertools
import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from earwitness.domain.configuration import CallRoute, DigestCredentials, Snapshot, Station, Trunk, User
from earwitness.domain.conversation import events
from earwitness.domain.conversation.events import Event
from earwitness.domain.conversation.timeline import Timeline, fold
from earwitness.domain.recording.settings import TrunkRecording
from earwitness.edge.calls.directory import Directory
from earwitness.edge.calls.hall import Hall
from earwitness.edge.calls.switchboard import Switchboard, SwitchboardOptions
from earwitness.edge.prompts import Broken, Job, Ready
from earwitness.edge.sip import digest, sdp
from earwitness.edge.sip.endpoint import Endpoint
from earwitness.edge.sip.events import EndpointConfig, Failure, Flow, Target
from earwitness.edge.sip.message import Request, Response
from earwitness.edge.sip.registrar import Registrar
from earwitness.edge.sip.timers import TimerQueue
from earwitness.media.engine import interface as media
from earwitness.media.engine.clock import WallClock

EDGE = "192.0.2.1"
CARRIER, CARRIER_2 = "198.51.100.1", "198.51.100.2"
START_US = 1_800_000_000_000_000


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def unix(self) -> float:
        return self.now + 1_800_000_000.0


class FakeEngine:
    """Records commands. Tapes are complete one network step after they were closed, unless ``slow``."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.commands: list[tuple[Any, ...]] = []
        self.remotes: dict[str, media.Remote] = {}
        self.legs: dict[str, int] = {}
        self.tapes: dict[str, tuple[int, str]] = {}
        self.links: set[frozenset[str]] = set()
        self.mixes: dict[str, frozenset[str]] = {}
        self.plays: dict[str, tuple[str, Path | bytes, bool]] = {}
        """By leg: id, source, loop."""
        self.pending: list[media.MediaEvent] = []
        self.slow = False
        self.no_ports = False
        self._ports = itertools.count(20000, 2)

    @property
    def clock(self) -> WallClock:
        engine = self

        class Fake(WallClock):
            def now_us(self) -> int:
                return START_US + int(engine._clock.now * 1_000_000)

        return Fake(0)

    def open_leg(self, leg_id: str, *, group: str, host: str) -> media.LocalMedia:
        if self.no_ports:
            raise media.NoPortsError("all in use")
        port = next(self._ports)
        self.legs[leg_id] = port
        self.commands.append(("open_leg", leg_id, group, host))
        return media.LocalMedia(host, port, port + 1)

    def set_remote(self, leg_id: str, remote: media.Remote) -> None:
        self.remotes[leg_id] = remote
        self.commands.append(("set_remote", leg_id, remote))

    def connect(self, a: str, b: str) -> None:
        self._part(a)
        self._part(b)
        self.links.add(frozenset((a, b)))
        self.commands.append(("connect", a, b))

    def disconnect(self, leg_id: str) -> None:
        self._part(leg_id)
        self.commands.append(("disconnect", leg_id))

    def mix(self, mix_id: str, legs: Sequence[str]) -> None:
        for leg_id in legs:
            self._part(leg_id)
        self.mixes.pop(mix_id, None)
        if legs:
            self.mixes[mix_id] = frozenset(legs)
        self.commands.append(("mix", mix_id, tuple(legs)))

    def move_leg(self, leg_id: str, group: str) -> None:
        assert not any(leg_id in link for link in self.links), "still connected"
        assert not any(leg_id == tape[1] for tape in self.tapes.values()), "still taped"
        self.commands.append(("move_leg", leg_id, group))

    def mute(self, leg_id: str, muted: bool) -> None:
        self.commands.append(("mute", leg_id, muted))

    def beep(self, leg_id: str, beep: media.Beep | None) -> None:
        self.commands.append(("beep", leg_id, beep))

    def send_digits(self, leg_id: str, digits: str) -> None:
        self.commands.append(("send_digits", leg_id, digits))

    def detect_tones(self, leg_id: str, on: bool) -> None:
        self.commands.append(("detect_tones", leg_id, on))

    def set_codes(self, leg_id: str, codes: Sequence[str]) -> None:
        self.commands.append(("set_codes", leg_id, tuple(codes)))

    def play(self, leg_id: str, play_id: str, source: Path | bytes, *, loop: bool = False) -> None:
        assert leg_id in self.legs, "played to a leg that is gone"
        self.plays[leg_id] = (play_id, source, loop)
        self.commands.append(("play", leg_id, play_id))

    def stop_play(self, leg_id: str, play_id: str) -> None:
        if self.plays.get(leg_id, ("",))[0] == play_id:
            del self.plays[leg_id]
        self.commands.append(("stop_play", leg_id, play_id))

    def _part(self, leg_id: str) -> None:
        self.links = {link for link in self.links if leg_id not in link}
        self.mixes = {mix: members - {leg_id} for mix, members in self.mixes.items()}

    def open_tape(self, tape_id: str, opening: int, leg_id: str, directory: Path, *, at: int | None = None) -> None:
        self.tapes[tape_id] = (opening, leg_id)
        self.commands.append(("open_tape", tape_id, opening, leg_id, at))

    def close_tape(self, tape_id: str, *, at: int | None = None) -> None:
        if tape_id not in self.tapes:
            return
        opening, leg_id = self.tapes.pop(tape_id)
        self.commands.append(("close_tape", tape_id, at))
        self.pending.append(media.TapeClosed(tape_id, opening, leg_id, (1, 1), (1, 1), at or 0))

    def close_leg(self, leg_id: str) -> None:
        self.legs.pop(leg_id, None)
        self.remotes.pop(leg_id, None)
        self.plays.pop(leg_id, None)
        self._part(leg_id)
        self.commands.append(("close_leg", leg_id))

    def dropped(self, leg_id: str) -> Mapping[str, int]:
        return {}


class Voice:
    """Prompts are ready at the next moment; they are their items' text."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self.said: list[tuple[Any, ...]] = []
        self.broken = False

    def fetch(self, items: Any, prompts: Any, done: Callable[[Ready | Broken], None]) -> Job:
        job = Job()
        self.said.append(tuple(items))
        made = Broken("no voice") if self.broken else Ready(repr(items).encode(), 1.0)
        self._office._call_later(0.01, lambda: None if job.cancelled else done(made))
        return job


class Peer:
    """A user agent; reacts by itself as ``script`` says, or does what the test calls."""

    def __init__(self, office: Office, host: str, username: str = "", password: str = "") -> None:
        self.office, self.host, self.username, self.password = office, host, username, password
        config = EndpointConfig(address_for=lambda transport, remote: (host, 5060), accept=("application/sdp",))
        self.endpoint = Endpoint(config, self, clock=office.clock, rng=random.Random(host + username))
        self.session: Any = None
        self.told: list[str] = []
        self.requests: list[Request] = []
        self.responses: list[Response] = []
        self.bodies: list[bytes] = []
        self.auto_reinvite: Callable[[Any, Request], None] = self._accept_reinvite
        self.on_info = 200
        self.codecs = "0 101"
        self.reject_with: int | None = None
        self.answer_at_once = False
        self._version = 0

    def sdp(self, direction: str = "", codecs: str = "", port: int = 4000) -> bytes:
        self._version += 1
        lines = [
            "v=0",
            f"o=- 5 {self._version} IN IP4 {self.host}",
            "s=-",
            f"c=IN IP4 {self.host}",
            "t=0 0",
            f"m=audio {port} RTP/AVP {codecs or self.codecs}",
            "a=rtpmap:101 telephone-event/8000",
            "a=rtpmap:111 opus/48000/2",
            f"a={direction or 'sendrecv'}",
            "",
        ]
        return "\r\n".join(lines).encode()

    # What the test does.

    def target(self, user: str, headers: list[tuple[str, str]] | None = None) -> Target:
        ours = self.username or "+4940555"
        return Target(
            uri=f"sip:{user}@{EDGE}" if user else f"sip:{EDGE}",
            flow=self.endpoint.flow_to("udp", (EDGE, 5060)),
            from_=f'"Peer {ours}" <sip:{ours}@{self.host}>',
            to=f"<sip:{user or ours}@{EDGE}>",
            contact_user=ours,
            headers=headers or [],
        )

    def authenticate(self, challenges: Any, method: str, uri: str, body: bytes) -> str | None:
        return digest.authorize(
            challenges, self.username, self.password, method=method, uri=uri, cnonce="c", nonce_count=1
        )

    def register(self, expires: int = 600) -> int:
        headers = [("Contact", f"<sip:{self.username}@{self.host}>"), ("Expires", str(expires))]
        got: list[Any] = []
        target = replace(self.target("", headers), to=f"<sip:{self.username}@{EDGE}>")
        self.endpoint.request("REGISTER", target, on_response=got.append, authenticate=self.authenticate)
        self.office.run(0.5)
        return int(got[0].status) if got else 0

    def dial(self, number: str, body: bytes | None = None, **options: Any) -> Any:
        body = self.sdp() if body is None else body
        self.session = self.endpoint.invite(
            self.target(number, options.pop("headers", None)),
            body,
            owner=self,
            authenticate=self.authenticate,
            **options,
        )
        self.office.run(0.2)
        return self.session

    def ring(self) -> None:
        self.session.progress(180)
        self.office.run(0.1)

    def answer(self, direction: str = "", codecs: str = "") -> None:
        self.session.accept(self.sdp(direction, codecs))
        self.office.run(0.2)

    def reinvite(self, direction: str = "", codecs: str = "", port: int = 4000) -> None:
        self.session.reinvite(self.sdp(direction, codecs, port))
        self.office.run(0.3)

    def hang_up(self) -> None:
        self.session.hang_up()
        self.office.run(0.2)

    @property
    def offer(self) -> sdp.AudioStream:
        """The audio of the last description received."""
        stream = sdp.parse(self.bodies[-1]).audio()
        assert stream is not None
        return stream

    @property
    def statuses(self) -> list[int]:
        return [response.status for response in self.responses]

    # Handler and SessionHandler.

    def on_invite(self, session: Any, request: Request) -> None:
        session.owner = self
        self.session = session
        self._note("invite", request)
        if self.reject_with is not None:
            session.reject(self.reject_with)
        elif self.answer_at_once:
            session.accept(self.sdp())

    def on_request(self, *args: Any) -> None:
        transaction, request = args[-2], args[-1]
        self._note("request", request)
        transaction.respond(self.on_info)

    def on_progress(self, session: Any, response: Response) -> None:
        self._hear("progress", response)

    def on_accepted(self, session: Any, response: Response) -> None:
        self._hear("accepted", response)

    def on_rejected(self, session: Any, response: Response) -> None:
        self._hear("rejected", response)

    def on_ack(self, session: Any, request: Request) -> None:
        self._note("ack", request)

    def on_cancelled(self, session: Any, request: Request) -> None:
        self._note("cancelled", request)

    def on_reinvite(self, session: Any, request: Request) -> None:
        self._note("reinvite", request)
        self.auto_reinvite(session, request)

    def on_reinvite_result(self, session: Any, response: Response) -> None:
        self._hear("reinvite_result", response)

    def on_bye(self, session: Any, request: Request) -> None:
        self._note("bye", request)

    def on_failed(self, session: Any, cause: Failure) -> None:
        self.told.append("failed " + cause.value)

    def _accept_reinvite(self, session: Any, request: Request) -> None:
        if not request.body:
            session.accept_reinvite(self.sdp())
            return
        stream = sdp.parse(request.body).audio()
        assert stream is not None
        session.accept_reinvite(self.sdp(stream.direction.reversed().value))

    def _note(self, name: str, request: Request) -> None:
        self.told.append(name)
        self.requests.append(request)
        if request.body and request.content_type == "application/sdp":
            self.bodies.append(request.body)

    def _hear(self, name: str, response: Response) -> None:
        self.told.append(name)
        self.responses.append(response)
        if response.body:
            self.bodies.append(response.body)


class Office:
    """See the module."""

    def __init__(self, tmp_path: Path, **changes: Any) -> None:
        self.clock = Clock()
        self.snapshot = replace(_snapshot(), **changes.pop("snapshot", {}))
        self.spool = tmp_path / "spool"
        self.engine = FakeEngine(self.clock)
        self.timers = TimerQueue()
        self.registrar = Registrar()
        self.published: list[tuple[str, Event]] = []
        counter = itertools.count(1)
        self.voice = Voice(self)
        now_us = self.engine.clock.now_us
        self.hall = Hall({}, now_us, self._call_later)
        self.switchboard = Switchboard(
            Directory(self.snapshot),
            self.registrar,
            self.spool,
            options=SwitchboardOptions(**changes),
            rng=random.Random(1),
            new_id=lambda: f"id-{next(counter):04}",
            clock=self.clock,
            unix_time=self.clock.unix,
            call_later=self._call_later,
            media_hosts=lambda peer: (EDGE, ""),
            hall=self.hall,
            prompts=self.voice,
        )
        self.switchboard.use(Directory(self.snapshot))
        self.switchboard.flows.use(self.snapshot.flows)
        self.switchboard.subscribe(lambda conversation_id, event: self.published.append((conversation_id, event)))
        config = EndpointConfig(address_for=lambda transport, remote: (EDGE, 5060))
        self.endpoint = Endpoint(config, self.switchboard, clock=self.clock, rng=random.Random(2))
        self.switchboard.connect(self.endpoint, self.engine)
        self.nodes: dict[str, Any] = {EDGE: self.endpoint}
        self.log: list[str] = []
        self.unplugged: set[str] = set()
        self._air: list[tuple[float, int, Flow, bytes]] = []
        self._count = itertools.count()
        self.carrier = self.peer(CARRIER)
        self.carrier_2 = self.peer(CARRIER_2)

    def _call_later(self, delay: float, action: Callable[[], None]) -> Any:
        return self.timers.start(self.clock.now + delay, action)

    def peer(self, host: str, username: str = "", password: str = "") -> Peer:
        peer = Peer(self, host, username, password)
        self.nodes[host] = peer.endpoint
        return peer

    def phone(self, username: str, number: int) -> Peer:
        """A registered phone."""
        peer = self.peer(f"192.0.2.{10 + number}", username, username + "-pw")
        assert peer.register() == 200
        return peer

    def run(self, seconds: float) -> None:
        """Lets time pass."""
        end = self.clock.now + seconds
        while True:
            self._collect()
            times = [t for node in self.nodes.values() if (t := node.next_timer()) is not None]
            times += [self._air[0][0]] if self._air else []
            times += [t] if (t := self.timers.next()) is not None else []
            if not times or min(times) > end:
                break
            self.clock.now = max(self.clock.now, min(times))
            while self._air and self._air[0][0] <= self.clock.now:
                _, _, flow, data = heapq.heappop(self._air)
                node = self.nodes.get(flow.remote[0])
                if node is not None and not {flow.remote[0], flow.local[0]} & self.unplugged:
                    node.receive(data, Flow(flow.transport, flow.remote, flow.local, flow.connection))
            while (action := self.timers.due(self.clock.now)) is not None:
                action()
            for node in self.nodes.values():
                node.fire_timers()
            self._media()
        self.clock.now = end

    def _media(self) -> None:
        if not self.engine.slow:
            pending, self.engine.pending = self.engine.pending, []
            for event in pending:
                self.switchboard.on_media_event(event)

    def _collect(self) -> None:
        for host, node in self.nodes.items():
            for flow, data in node.take_outgoing():
                line = data.split(b"\r\n", 1)[0].decode("utf-8", "replace")
                self.log.append(f"{host}>{flow.remote[0]} {re.sub(' SIP/2.0$', '', line)}")
                heapq.heappush(self._air, (self.clock.now + 0.01, next(self._count), flow, data))
        self._media()

    @property
    def conversation(self) -> Any:
        """The only conversation in progress."""
        (found,) = self.switchboard.conversations.values()
        return found

    def story(self, index: int = -1) -> list[Event]:
        """What is on disk of a conversation, in the order of their beginning."""
        folders = sorted(self.spool.iterdir(), key=lambda folder: folder.name)
        return list(events.parse_lines((folders[index] / "events.jsonl").read_bytes().splitlines()))

    def types(self, index: int = -1) -> list[str]:
        return [event.type for event in self.story(index)]

    def timeline(self, index: int = -1) -> Timeline:
        return fold(self.story(index))

    def tapes(self) -> list[str]:
        """Tape commands given to the engine, in order."""
        return [command[0] for command in self.engine.commands if command[0].endswith("_tape")]

    def settled(self) -> None:
        """Every table is empty once time has passed."""
        self.run(200)
        assert self.switchboard.conversations == {}
        assert self.switchboard._legs == {}
        assert self.switchboard._tapes == {}
        assert self.hall._legs == {}
        assert self.hall._calls == {}
        assert self.engine.legs == {}
        assert self.engine.tapes == {}
        assert {name: size for name, size in self.endpoint.sizes.items() if size} == {}
        assert self.endpoint.counters["handler error"] == 0
        assert self.endpoint.counters["internal error"] == 0


def _station(name: str, user: str | None, extension: str) -> Station:
    hashes = [digest.ha1(name, "earwitness", name + "-pw", algorithm) for algorithm in ("MD5", "SHA-256")]
    return Station(f"station-{name}", f"{name}'s phone", name, user, extension, True, *hashes)


def _snapshot() -> Snapshot:
    recording = TrunkRecording(enabled=True, dual_channel=True)
    return Snapshot(
        version=7,
        organization_id="org",
        trunks=(
            Trunk("t1", "tb1", "first", True, servers=(f"{CARRIER}:5060",), order=1, recording=recording),
            Trunk(
                "t2",
                "tb2",
                "second",
                True,
                servers=(f"{CARRIER_2}:5060",),
                order=2,
                credentials=DigestCredentials("office", "secret"),
                caller_address="+49309999",
            ),
        ),
        stations=(
            _station("anna", "u-anna", "201"),
            _station("anna2", "u-anna", "202"),
            _station("bert", "u-bert", "203"),
            _station("lobby", None, "210"),
        ),
        users=(User("u-anna", "Anna", "+4930201"), User("u-bert", "Bert"), User("u-lost", "Lost")),
        call_routes=(
            CallRoute("r1", "main", ("+4930100",), "user", "u-anna"),
            CallRoute("r2", "away", ("+4930101",), "number", "+49401234"),
            CallRoute("r3", "lost", ("+4930102",), "user", "u-lost"),
            CallRoute("r4", "queue", ("+4930103",), "queue", "q"),
        ),
        ring_timeout_s=20.0,
    )


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path)


@pytest.fixture
def make_office(tmp_path: Path) -> Callable[..., Office]:
    return lambda **changes: Office(tmp_path, **changes)
