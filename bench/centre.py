"""A contact centre at work: calls through menu, queue, agent, hold and transfer, and whether each recording is right.

Callers come over a recorded trunk at a steady rate, on every second call through a flow that suppresses recording. They
press a key, wait in a queue that suppresses recording, talk to an agent, are held (by the phone or by the API) and are
transferred (by REFER or by the API) to another agent or to a number outside; one side hangs up. Every party says a tone
of its own in each phase, in real RTP. Then every recording is held against what was said: a tone of a suppressed phase,
a tone that is missing or too short, and a length that is off by more than 100 ms are wrong spans.

    python -m bench centre [--minutes 10] [--rate 60] [--keep FOLDER]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import functools
import json
import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles
from typing import Any, TypeVar

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import httpx
import uvloop
from bench.handsets import FRAME_S, STEP_HZ, Beat, Call, CallFailed, Line
from bench.verdict import TOLERANCE_S, Phase, captured_s, wrong_spans

from peers.contact_centre import SUPPRESS, Centre, choice, to_queue
from peers.office import Office
from peers.ports import free_port
from peers.recorder import Recorder
from peers.tones import decode

T = TypeVar("T")
TRUNK, PHONES = "127.0.0.41", "127.0.0.61"
AGENTS, SECOND_LINE = 18, 7
"""Members of the queue, and those to whom calls are transferred."""
CALL_LIMIT_S, RECORDING_LIMIT_S = 90.0, 60.0
SETTINGS = {"EARWITNESS_LOG_LEVEL": "warning", "EARWITNESS_KEEP_SPOOL_S": "7200"}
"""The events of a call are read in the spool."""
GUARD_S = 0.2
"""Silence around every step, so that no tone of one phase is still under way in the next."""
LEAST_HEARD = 0.8
"""Of the frames that one side says to the other while they talk."""
PROCESSES = ("edge", "media", "worker", "web")

FIRST_HZ, SETS = 300, 10
CALLER_PHASES = ("menu", "queue", "talk", "hold", "back", "after")
HOLD_HZ, ONWARD_HZ = 2800, 2850
"""What agents say while they hold; from where on those say their tones to whom a call is transferred outside."""


def caller_hz(call: int, phase: str) -> int:
    """Calls at the same time say different tones."""
    return FIRST_HZ + STEP_HZ * (len(CALLER_PHASES) * (call % SETS) + CALLER_PHASES.index(phase))


def agent_hz(agent: int, *, back: bool = False) -> int:
    return FIRST_HZ + STEP_HZ * (agent + (AGENTS + SECOND_LINE if back else 0))


@dataclass
class Outcome:
    """A call, and what became of it."""

    number: int
    conversation: str = ""
    failed: str = ""
    wrong: list[str] = field(default_factory=list)
    phases: list[Phase] = field(default_factory=list)
    hung_up_at: float = 0.0
    """Wall clock."""
    available_s: float = 0.0
    """From hang-up until the first bytes of the recording."""
    audio_s: float = 0.0
    """Length of the recording."""
    off_s: float = 0.0
    """By how much that is more than its spans."""

    @property
    def flow_suppresses(self) -> bool:
        return self.number % 2 == 1

    @property
    def phone_holds(self) -> bool:
        return self.number // 2 % 2 == 1

    @property
    def refers(self) -> bool:
        return self.number // 4 % 2 == 1

    @property
    def leaves_us(self) -> bool:
        """Transferred to somebody outside."""
        return self.number // 8 % 2 == 1

    @property
    def caller_hangs_up(self) -> bool:
        return self.number // 16 % 2 == 0

    def story(self) -> str:
        """What was to happen."""
        menu = "suppressed menu" if self.flow_suppresses else "recorded menu"
        hold = "held by the phone" if self.phone_holds else "held by the API"
        kind = "REFER" if self.refers else "API"
        whither = "outside" if self.leaves_us else "another agent"
        return f"{menu}, {hold}, transferred by {kind} to {whither}"


class Floor:
    """The people of the contact centre, and the calls that come to them."""

    def __init__(self, office: Office, centre: Centre) -> None:
        self.office, self.recorder, self.centre = office, office.recorder, centre
        self.beat = Beat()
        self.names = [f"agent{number}" for number in range(AGENTS + SECOND_LINE)]
        self.of_username: dict[str, int] = {}
        self.numbers: list[str] = []
        """That lead to the flow that does not suppress recording, and to the one that does."""
        self._awaited: defaultdict[str, asyncio.Queue[Call]] = defaultdict(asyncio.Queue)
        self._conversations: dict[str, str] = {}
        """By the caller's number."""
        self._seen: set[str] = set()
        self._looked = 0.0
        self._free: asyncio.Queue[int] = asyncio.Queue()

    def furnish(self) -> None:
        """Sets all up over the API."""
        self.centre.trunk(TRUNK, trunk_disallow_recording_during_hold=True)
        for name in self.names:
            self.of_username[self.office.account(name).username] = self.names.index(name)
        queue = self.centre.queue("Orders", *self.names[:AGENTS], suppressInQueueCallRecording=True)
        for settings in ("", SUPPRESS):
            flow = self.centre.flow("Welcome", choice(1, to_queue(queue["name"])), settings=settings)
            self.numbers.append(self.centre.number("flow", flow))

    async def open(self) -> None:
        """Registers the phones and puts the agents on queue."""
        server = self.recorder.sip_address
        self.phones = Line(self.beat, PHONES, server, self._called)
        self.carrier = Line(self.beat, TRUNK, server, self._called)
        await self.phones.open(free_port(PHONES))
        await self.carrier.open(self.office.ports[TRUNK])
        headers = {"Authorization": f"Bearer {self.recorder.sdk.access_token}"}
        self.http = httpx.AsyncClient(
            base_url=self.recorder.url, headers=headers, timeout=30, trust_env=False,
            limits=httpx.Limits(max_connections=None),
        )  # fmt: skip
        for number, name in enumerate(self.names):
            await self.phones.register(self.office.account(name))
            if number < AGENTS:
                self.centre.on_queue(name)
            else:
                self._free.put_nowait(number)

    async def close(self) -> None:
        await self.http.aclose()
        self.phones.close()
        self.carrier.close()

    def _called(self, call: Call) -> None:
        """Outside they are known by the number dialled, inside by the caller's."""
        caller = call.remote.partition("sip:")[2].partition("@")[0]
        self._awaited[call.user if call.line is self.carrier else caller].put_nowait(call)

    async def rung(self, number: str, within_s: float = 20.0) -> Call:
        """The next call from that caller, or to that number outside."""
        try:
            return await asyncio.wait_for(self._awaited[number].get(), within_s)
        except TimeoutError:
            raise CallFailed(f"nobody's phone rang within {within_s:g} s") from None

    @contextlib.asynccontextmanager
    async def second_line(self) -> AsyncIterator[int]:
        """An agent who has nothing to do."""
        agent = await self._free.get()
        try:
            yield agent
        finally:
            self._free.put_nowait(agent)

    def agent_of(self, call: Call) -> int:
        return self.of_username[call.user]

    async def conversation(self, caller: str) -> str:
        """The id of the conversation that this number began."""
        deadline = time.monotonic() + 10
        while caller not in self._conversations:
            if time.monotonic() > deadline:
                raise CallFailed("there is no conversation in the spool")
            if time.monotonic() - self._looked > 0.1:
                self._looked = time.monotonic()
                for folder in (self.recorder.data / "spool").iterdir():
                    self._look(folder)
            if caller not in self._conversations:
                await asyncio.sleep(0.1)
        return self._conversations[caller]

    def _look(self, folder: Path) -> None:
        if folder.name in self._seen:
            return
        with contextlib.suppress(OSError, ValueError), (folder / "events.jsonl").open() as file:
            self._conversations[json.loads(file.readline())["data"]["ani"]] = folder.name
            self._seen.add(folder.name)

    def events(self, conversation: str) -> list[dict[str, Any]]:
        lines = (self.recorder.data / "spool" / conversation / "events.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]

    async def ask(self, method: str, path: str, **how: Any) -> httpx.Response:
        """:raises CallFailed: the API refuses."""
        reply = await self.http.request(method, path, **how)
        if reply.status_code >= 300:
            raise CallFailed(f"{method} {path}: {reply.status_code} {reply.text[:300]}")
        return reply


class Scene:
    """One call from dialling to its recording."""

    def __init__(self, floor: Floor, number: int) -> None:
        self.floor, self.outcome = floor, Outcome(number)
        self.ani = f"+4930{number:06d}"
        self.caller = floor.carrier.new_call(floor.numbers[number % 2], self.ani)
        self.agent: Call | None = None
        self.target: Call | None = None

    async def play(self) -> Outcome:
        """Makes the call and looks at its recording; never raises."""
        outcome = self.outcome
        try:
            async with asyncio.timeout(CALL_LIMIT_S):
                await self._call()
        except (CallFailed, AssertionError, httpx.HTTPError, OSError) as error:
            outcome.failed = str(error) or repr(error)
        except TimeoutError:
            outcome.failed = f"not over within {CALL_LIMIT_S:g} s"
        finally:
            for call in (self.caller, self.agent, self.target):
                if call is not None:
                    with contextlib.suppress(CallFailed):
                        await call.hang_up()
        if outcome.failed:
            with contextlib.suppress(CallFailed, OSError):
                outcome.conversation = outcome.conversation or await self.floor.conversation(self.ani)
            return outcome
        try:
            await self._recording()
        except (CallFailed, AssertionError, httpx.HTTPError, OSError, ValueError) as error:
            outcome.failed = f"its recording: {error or repr(error)}"
        return outcome

    # -- the call -----------------------------------------------------------------------------------------------------

    async def _call(self) -> None:
        caller, outcome = self.caller, self.outcome
        await self._step("the caller was not answered", caller.dial())
        await self._step("the menu", caller.heard_out())
        await self._speak("menu", 1.0, captured=not outcome.flow_suppresses)
        caller.press("1")
        agent = self.agent = await self._step("after the menu", self.floor.rung(self.ani))
        agent.ring()
        await asyncio.sleep(GUARD_S)
        await self._speak("queue", 1.5, captured=False)
        await self._step("the agent's answer", agent.answer())
        number = self.floor.agent_of(agent)
        await self._speak("talk", 1.2, captured=True, other=agent, hz=agent_hz(number))
        await self._hold(agent, number)
        outcome.conversation = outcome.conversation or await self.floor.conversation(self.ani)
        if outcome.leaves_us:
            target = await self._transfer(agent, f"+49{TRUNK.split('.')[-1]}{outcome.number:06d}", None)
            await self._after(agent, target, ONWARD_HZ + STEP_HZ * (outcome.number % 10))
        else:
            async with self.floor.second_line() as second:
                target = await self._transfer(agent, self.ani, second)
                await self._after(agent, target, agent_hz(second))

    async def _step(self, what: str, doing: Coroutine[Any, Any, T]) -> T:
        try:
            return await doing
        except CallFailed as error:
            raise CallFailed(f"{what}: {error}") from None

    async def _speak(
        self, phase: str, seconds: float, *, captured: bool, other: Call | None = None, hz: int = 0, heard: bool = True
    ) -> None:
        """The caller says the tone of a phase, then the other side its own; between they are silent, as people are: two
        tones at once are no speech, and what Opus makes of them is not what is looked for here.

        :param heard: whether they must hear each other.
        """
        mine = caller_hz(self.outcome.number, phase)
        await asyncio.sleep(GUARD_S)
        for call, tone in ((self.caller, mine), (other, hz)):
            if call is not None:
                call.say(tone)
                await asyncio.sleep(seconds)
                call.say(0)
                await asyncio.sleep(GUARD_S)
        for side, call, tone in ((0, self.caller, mine), (1, other, hz)):
            if call is not None:
                said = call.said[tone]
                phase_said = Phase(phase, side, tone, said * FRAME_S, captured)
                if said:
                    self.outcome.phases.append(phase_said)
        if other is not None:
            self._heard(phase, self.caller, other, hz, heard)
            self._heard(phase, other, self.caller, mine, heard)
        if self.caller.ended.is_set():
            raise CallFailed(f"the caller was hung up on in phase '{phase}'")

    def _heard(self, phase: str, listener: Call, speaker: Call, hz: int, wanted: bool) -> None:
        heard, said = listener.heard[hz], speaker.said[hz]
        who = "the caller" if listener is self.caller else "the other side"
        if wanted and heard < LEAST_HEARD * said:
            raise CallFailed(f"{who} heard {heard} of {said} frames in phase '{phase}'")

    async def _hold(self, agent: Call, number: int) -> None:
        if self.outcome.phone_holds:
            await self._step("hold", agent.reinvite("sendonly"))
            change: Callable[[], Coroutine[Any, Any, Any]] = functools.partial(agent.reinvite, "sendrecv")
        else:
            path = await self._participant(agent)
            await self.floor.ask("PATCH", path, json={"held": True})
            change = functools.partial(self.floor.ask, "PATCH", path, json={"held": False})
        await self._speak("hold", 1.0, captured=False, other=agent, hz=HOLD_HZ, heard=False)
        await self._step("resuming", change())
        await self._speak("back", 0.8, captured=True, other=agent, hz=agent_hz(number, back=True))

    async def _participant(self, agent: Call) -> str:
        """The path of the agent who is on the call."""
        outcome = self.outcome
        outcome.conversation = await self.floor.conversation(self.ani)
        path = f"/api/v2/conversations/calls/{outcome.conversation}"
        document = (await self.floor.ask("GET", path)).json()
        user = self.floor.centre.user_id(self.floor.names[self.floor.agent_of(agent)])
        for item in document["participants"]:
            if item.get("state") == "connected" and (item.get("user") or {}).get("id") == user:
                return f"{path}/participants/{item['id']}"
        states = [(item["purpose"], item.get("state")) for item in document["participants"]]
        raise CallFailed(f"the agent is not connected: {states}")

    async def _transfer(self, agent: Call, number: str, second: int | None) -> Call:
        """To another agent (the call comes from the caller's number), or to a number outside."""
        if self.outcome.refers:
            goal = number if second is None else self.floor.office.account(self.floor.names[second]).username
            await agent.refer(goal)
        else:
            path = await self._participant(agent)
            name = "" if second is None else self.floor.names[second]
            body = {"address": number} if second is None else {"userId": self.floor.centre.user_id(name)}
            await self.floor.ask("POST", f"{path}/replace", json=body)
        target = self.target = await self._step("the transfer's target", self.floor.rung(number))
        target.ring()
        await asyncio.sleep(0.5)
        await self._step("the transfer's target", target.answer())
        return target

    async def _after(self, agent: Call, target: Call, hz: int) -> None:
        """The leaver is gone; the others talk, and one of them hangs up."""
        outcome = self.outcome
        try:
            await asyncio.wait_for(agent.ended.wait(), 10)
        except TimeoutError:
            raise CallFailed(f"the leaver was not hung up on ({agent.report or 'no report'})") from None
        await self._speak("after", 1.0, captured=not outcome.leaves_us, other=target, hz=hz)
        first, last = (self.caller, target) if outcome.caller_hangs_up else (target, self.caller)
        outcome.hung_up_at = time.time()
        await first.hang_up()
        try:
            await asyncio.wait_for(last.ended.wait(), 10)
        except TimeoutError:
            raise CallFailed("the other side was not hung up on") from None

    # -- its recording ------------------------------------------------------------------------------------------------

    async def _recording(self) -> None:
        outcome, floor = self.outcome, self.floor
        path = f"/api/v2/conversations/{outcome.conversation}/recordings"
        deadline = outcome.hung_up_at + RECORDING_LIMIT_S
        uris: list[str] = []
        while not uris:
            if time.time() > deadline:
                raise CallFailed(f"none within {RECORDING_LIMIT_S:g} s")
            reply = await floor.ask("GET", path, params={"maxWaitMs": 10_000, "formatId": "WAV"})
            found = (reply.json() or []) if reply.status_code == 200 else []
            uris = [item["mediaUris"]["S"]["mediaUri"] for item in found if item.get("mediaUris")]
            if not uris:
                await asyncio.sleep(0.1)
        content = bytearray()
        async with floor.http.stream("GET", uris[0]) as reply:
            async for part in reply.aiter_bytes():
                outcome.available_s = outcome.available_s or time.time() - outcome.hung_up_at
                content += part
        if reply.status_code != 200:
            raise CallFailed(f"{reply.status_code} {bytes(content[:300])!r}")
        audio = await asyncio.to_thread(decode, bytes(content))
        outcome.wrong = await asyncio.to_thread(wrong_spans, audio, outcome.phases)
        outcome.audio_s = audio.seconds
        if len(found) != 1:
            outcome.wrong.append(f"there are {len(found)} recordings")
        expected = captured_s(floor.events(outcome.conversation), outcome.flow_suppresses)
        outcome.off_s = audio.seconds - expected
        if abs(outcome.off_s) > TOLERANCE_S:
            outcome.wrong.append(f"the recording has {audio.seconds:.2f} s, its spans {expected:.2f} s")


@dataclass
class Cost:
    """What the processes used."""

    cpu_s: Counter[str] = field(default_factory=Counter)
    peak: dict[str, int] = field(default_factory=dict)
    """Bytes resident."""

    async def watch(self, recorder: Recorder) -> None:
        """Notes the memory until cancelled."""
        while True:
            for name in PROCESSES:
                self.peak[name] = max(self.peak.get(name, 0), recorder.rss(name))
            await asyncio.sleep(1)


async def work(floor: Floor, calls: int, every_s: float) -> tuple[list[Outcome], Cost, float]:
    """Makes the calls; gives what became of each, the cost, and our own CPU seconds."""
    recorder, cost = floor.recorder, Cost()
    loop = asyncio.get_running_loop()
    await floor.open()
    beat = asyncio.create_task(floor.beat.run())
    watch = asyncio.create_task(cost.watch(recorder))
    before, own = {name: recorder.cpu(name) for name in PROCESSES}, time.process_time()
    try:
        began, scenes = loop.time(), []
        for number in range(calls):
            await asyncio.sleep(max(0.0, began + number * every_s - loop.time()))
            scenes.append(asyncio.create_task(Scene(floor, number).play()))
            if number and number % 60 == 0:
                done = [scene.result() for scene in scenes if scene.done()]
                bad = sum(bool(outcome.failed or outcome.wrong) for outcome in done)
                print(f"    {number} calls begun, {len(done)} done, {bad} of them wrong or failed", flush=True)
        outcomes = list(await asyncio.gather(*scenes))
        cost.cpu_s.update({name: recorder.cpu(name) - before[name] for name in PROCESSES})
        return outcomes, cost, time.process_time() - own
    finally:
        for task in (watch, beat):
            task.cancel()
        await asyncio.gather(watch, beat, return_exceptions=True)
        await floor.close()


def show(outcomes: list[Outcome], cost: Cost, own_s: float, late_s: float) -> bool:
    """Prints the figures; whether all is right."""
    calls = len(outcomes)
    failed = [outcome for outcome in outcomes if outcome.failed]
    wrong = [outcome for outcome in outcomes if outcome.wrong]
    for outcome in failed:
        print(f"FAILED call {outcome.number}, {outcome.conversation or 'no conversation'} ({outcome.story()})")
        print(f"    {outcome.failed}")
    for outcome in wrong:
        print(f"WRONG  call {outcome.number}, {outcome.conversation} ({outcome.story()})")
        print(*(f"    {line}" for line in outcome.wrong), sep="\n")
    waits = sorted(outcome.available_s for outcome in outcomes if outcome.available_s)
    phases = sum(len(outcome.phases) for outcome in outcomes if not outcome.failed)
    print(
        f"calls made {calls}, completed {calls - len(failed)}, wrong spans {sum(len(o.wrong) for o in wrong)} (limit 0)"
    )
    lengths = [outcome for outcome in outcomes if outcome.audio_s]
    off = max((abs(outcome.off_s) for outcome in lengths), default=0)
    print(f"looked at {phases} spans of tone and {len(lengths)} lengths, at most {off * 1000:.0f} ms off (limit 100)")
    if len(waits) > 1:
        p95 = quantiles(waits, n=20, method="inclusive")[-1]
        figures = f"p50 {median(waits):.2f} s, p95 {p95:.2f} s, longest {waits[-1]:.2f} s"
        print(f"hang-up to recording available (WAV): {figures}")
    used = ", ".join(f"{name} {cost.cpu_s[name] / calls:.3f}" for name in PROCESSES)
    print(f"CPU s a call: {used} (the parties themselves {own_s / calls:.3f})")
    held = ", ".join(f"{name} {cost.peak.get(name, 0) / 2**20:.0f}" for name in PROCESSES)
    print(f"peak memory, MB: {held}")
    print(f"a frame of the parties was at most {late_s * 1000:.0f} ms late")
    return not failed and not wrong


def main() -> int:
    """0 when every call completed and no span is wrong."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--rate", type=float, default=60, help="calls a minute")
    parser.add_argument("--keep", type=Path, help="folder for the instance, which is left there")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the instance is ended too
    with contextlib.ExitStack() as stack:
        if options.keep is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-centre-")))
        else:
            folder = options.keep
            folder.mkdir(parents=True)
        recorder = Recorder(folder / "data", settings=SETTINGS)
        stack.callback(recorder.close)
        office = Office(recorder.start())
        floor = Floor(office, Centre(office))
        floor.furnish()
        calls = max(1, round(options.minutes * options.rate))
        print(f"{calls} calls, {options.rate:g} a minute, {AGENTS} agents and {SECOND_LINE} to transfer to", flush=True)
        outcomes, cost, own_s = uvloop.run(work(floor, calls, 60 / options.rate))
    return 0 if show(outcomes, cost, own_s, floor.beat.late_s) else 1


if __name__ == "__main__":
    sys.exit(main())
