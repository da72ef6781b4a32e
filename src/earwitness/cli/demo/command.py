"""The demo from start to end: an installation, carriers, four phones, calls, and what came of each."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from earwitness import logs
from earwitness.cli.demo.api import Api, DemoError, fetch
from earwitness.cli.demo.office import EXTENSIONS, PASSWORD, email, furnish
from earwitness.cli.demo.party import CallFailed, Party
from earwitness.cli.demo.scenes import SCENES, Cast, Scene
from earwitness.cli.demo.server import Server
from earwitness.media.engine.ours import OurEngine

__all__ = ["DemoError", "run"]

PLAYABLE_S = 20.0
KNOWN_S = 5.0
SCENE_S = 60.0
ASK_EVERY_S = 0.1
_MEDIA = "import sys; from pathlib import Path; from earwitness.media.process import run; run(Path(sys.argv[1]))"


def run(data: Path | None, *, once: bool, web_port: int) -> None:
    """Runs the demo until it is interrupted, or to its end with ``once``.

    :raises DemoError: it cannot be done; the message says why.
    """
    console = Console(highlight=False, soft_wrap=True)
    logs.configure("error")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="earwitness-demo-") as folder:
        server = Server(data or Path(folder) / "data", web_port)
        try:
            with console.status("Starting Earwitness"):
                server.start()
            asyncio.run(_calls(server, console))
            if not once:
                _stay(server, console)
        except KeyboardInterrupt:
            console.print("\nEnding.")
        except CallFailed as error:
            raise DemoError(str(error)) from error
        finally:
            server.stop()


async def _calls(server: Server, console: Console) -> None:
    started = time.monotonic()
    async with AsyncExitStack() as stack:
        engine = await _voices(stack, server.settings.data)
        names = ("Carrier", "Carrier that asks", "Alice", "Bob", "Uma", "Vic")
        carrier, asking, alice, bob, uma, vic = parties = [Party(name, engine) for name in names]
        for party in parties:
            await party.start()
            stack.push_async_callback(party.stop)
        office = furnish(server.api, carrier.transport.port, asking.transport.port)
        await asyncio.gather(*(_register(p, server.registrar, office.accounts[p.name]) for p in (alice, bob, uma, vic)))
        cast = Cast(server.registrar, server.api, carrier, asking, alice, bob, uma, vic, office.users)
        await cast.agent_goes_on_queue("Bob")
        console.print(f"Earwitness runs: API {server.url}, SIP {server.registrar[0]}:{server.registrar[1]}\n")
        with console.status("Four calls are going on"):
            talks = [asyncio.create_task(_scene(cast, scene)) for scene in SCENES]
            try:
                for number, (scene, talk) in enumerate(zip(SCENES, talks, strict=True), 1):
                    await _told(server, console, number, scene, await talk)
            finally:
                for talk in talks:
                    talk.cancel()
                await asyncio.gather(*talks, return_exceptions=True)
    console.print(f"All calls made and told in {time.monotonic() - started:.0f} s.\n")


async def _register(party: Party, registrar: tuple[str, int], account: dict[str, Any]) -> None:
    """Registers a phone whose account was made a moment ago; the edge hears of it within a second."""
    deadline = time.monotonic() + KNOWN_S
    while True:
        try:
            await party.register(registrar, account["username"], account["password"])
        except CallFailed:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.2)
        else:
            return


async def _voices(stack: AsyncExitStack, data: Path) -> OurEngine:
    """A media engine for the parties, with a media process of its own."""
    socket = data / "run" / "demo-media.sock"
    engine = OurEngine(socket, lambda event: None, ports=(40000, 40999), legs=32)
    await engine.start()
    process = subprocess.Popen([sys.executable, "-c", _MEDIA, str(socket)], stdin=subprocess.DEVNULL)
    stack.callback(process.wait, 10)
    stack.push_async_callback(engine.stop)
    await engine.ready()
    return engine


@dataclass(frozen=True, slots=True)
class _Talk:
    """A call that has been made."""

    conversation: str
    ended: float
    """Monotonic seconds."""


async def _scene(cast: Cast, scene: Scene) -> _Talk:
    try:
        async with asyncio.timeout(SCENE_S):
            conversation = await scene.play(cast)
    except (CallFailed, TimeoutError) as error:
        raise DemoError(f"{scene.title}: {error or f'it does not come to an end within {SCENE_S:.0f} s'}") from error
    return _Talk(conversation, time.monotonic())


async def _told(server: Server, console: Console, number: int, scene: Scene, talk: _Talk) -> None:
    api, path, ended = server.api, f"/conversations/{talk.conversation}", talk.ended
    recordings: list[dict[str, Any]] = []
    while len(recordings) < scene.recordings:
        _check_time(ended, f"call {number} has no recording")
        recordings = await asyncio.to_thread(api.get, f"{path}/recordings", maxWaitMs=2000, formatId="WAV")
    playable = time.monotonic() - ended
    why = await _why(api, talk)
    console.print(f"[bold]{number}. {scene.title}[/bold]")
    tapes = list(dict.fromkeys(span.get("tapeId") for span in why["spans"]))
    for span in why["spans"]:
        leg = f"leg {tapes.index(span.get('tapeId')) + 1} " if len(tapes) > 1 else ""
        console.print(f"   {leg}{_span(span)}")
    for item in recordings:
        page = await asyncio.to_thread(api.get, f"/earwitness/recordings/{item['id']}/page")
        await asyncio.to_thread(fetch, page["pageUri"])
        size = len(await asyncio.to_thread(fetch, item["mediaUris"]["0"]["mediaUri"]))
        audio = f"{item['outputDurationMs'] / 1000:.1f} s of audio, {size:,} bytes as WAV"
        console.print(f"   playable {playable:.1f} s after hang-up: {audio}")
        console.print(f"   [bold]listen:[/bold] {page['pageUri']}")
    if scene.inbox_of:
        await _inbox(server, console, scene.inbox_of, ended)
    console.print()


async def _why(api: Api, talk: _Talk) -> dict[str, Any]:
    """Why each stretch of an ended call was recorded or not, once the call is stored."""
    while True:
        why: dict[str, Any] = await asyncio.to_thread(api.get, f"/earwitness/conversations/{talk.conversation}/why")
        if why["spans"] and all(span["end"] for span in why["spans"]):
            return why
        _check_time(talk.ended, "a call is not stored")
        await asyncio.sleep(ASK_EVERY_S)


async def _inbox(server: Server, console: Console, name: str, ended: float) -> None:
    """The user recordings in somebody's inbox, which only their owner sees."""
    api = await asyncio.to_thread(server.api_of, email(name), PASSWORD)
    items: list[dict[str, Any]] = []
    while not items:
        _check_time(ended, f"{name}'s inbox is empty")
        items = (await asyncio.to_thread(api.get, "/userrecordings"))["entities"]
        await asyncio.sleep(ASK_EVERY_S)
    for item in items:
        made: dict[str, Any] = {}
        while str(made.get("state")).lower() != "completed":
            _check_time(ended, f"{name}'s recording cannot be played")
            made = await asyncio.to_thread(api.get, f"/userrecordings/{item['id']}/transcoding", formatId="WAV")
        size = len(await asyncio.to_thread(fetch, made["contentLocationUri"]))
        console.print(f"   in {name}'s inbox: {item['durationMilliseconds'] / 1000:.1f} s, {size:,} bytes as WAV")
        console.print(f"   [bold]listen:[/bold] {made['contentLocationUri']}")


def _check_time(ended: float, what: str) -> None:
    if time.monotonic() - ended > PLAYABLE_S:
        raise DemoError(f"{what} after {PLAYABLE_S:.0f} s")


def _span(span: dict[str, Any]) -> str:
    seconds = (_moment(span["end"]) - _moment(span["start"])).total_seconds()
    mark = "[green]recorded[/green]    " if span["captured"] else "[yellow]not recorded[/yellow]"
    reasons = "; ".join(item["why"] for item in span["reasons"])
    return f"{mark} {seconds:5.1f} s  {reasons}"


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _stay(server: Server, console: Console) -> None:
    sign_in = server.sign_in
    console.print(f"Earwitness stays up. Administrator: {sign_in['email']} / {sign_in['password']}")
    people = ", ".join(email(name) for name in EXTENSIONS)
    console.print(f"Others: {people} / {PASSWORD}")
    console.print(f"API client: {sign_in['client']['id']} / {sign_in['client']['secret']}")
    console.print("Ctrl-C ends it and removes the demo's data.")
    while server.alive:
        time.sleep(0.5)
    raise DemoError(f"Earwitness ended by itself; its log:\n{server.log.read_text(errors='replace')[-2000:]}")
