"""The demo from start to end: an installation, a carrier, two phones, calls, and what came of each."""

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
from earwitness.cli.demo.office import furnish
from earwitness.cli.demo.party import CallFailed, Party
from earwitness.cli.demo.scenes import SCENES, Cast, Scene
from earwitness.cli.demo.server import DemoError, Server
from earwitness.media.engine.ours import OurEngine

__all__ = ["DemoError", "run"]

PLAYABLE_S = 20.0
KNOWN_S = 5.0
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
        names = ("Carrier", "Quiet carrier", "Alice", "Bob")
        carrier, quiet, alice, bob = [Party(name, engine) for name in names]
        for party in (carrier, quiet, alice, bob):
            await party.start()
            stack.push_async_callback(party.stop)
        accounts = furnish(server, carrier.transport.port, quiet.transport.port)
        for party, account in ((alice, accounts["Alice"]), (bob, accounts["Bob"])):
            await _register(party, server.registrar, account)
        cast = Cast(server.registrar, carrier, quiet, alice, bob)
        console.print(f"Earwitness runs: API {server.url}, SIP {server.registrar[0]}:{server.registrar[1]}\n")
        with console.status("Four calls are going on"):
            talks = [asyncio.create_task(_scene(server, cast, scene)) for scene in SCENES]
            for number, (scene, talk) in enumerate(zip(SCENES, talks, strict=True), 1):
                await _told(server, console, number, scene, await talk)
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


async def _scene(server: Server, cast: Cast, scene: Scene) -> _Talk:
    up = asyncio.Event()
    playing = asyncio.ensure_future(scene.play(cast, up))
    waiting = asyncio.ensure_future(up.wait())
    await asyncio.wait({playing, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if not up.is_set():
        await playing
    conversation = await _conversation(server, "/conversations", scene)
    try:
        await playing
    except CallFailed as error:
        raise DemoError(f"{scene.title}: {error}") from error
    ended = time.monotonic()
    while conversation is None and time.monotonic() - ended < PLAYABLE_S:
        conversation = await _conversation(server, "/conversations/calls/history", scene)
    if conversation is None:
        raise DemoError(f"{scene.title}: the call is not among the conversations")
    return _Talk(conversation, ended)


async def _conversation(server: Server, path: str, scene: Scene) -> str | None:
    """The scene's conversation, if it is in that list (a busy machine may be asked too late for the live one)."""
    for item in (await asyncio.to_thread(server.get, path))["entities"]:
        if item["participants"][0].get("dnis") == scene.dialled:
            return str(item["id"])
    return None


async def _told(server: Server, console: Console, number: int, scene: Scene, talk: _Talk) -> None:
    path, ended = f"/conversations/{talk.conversation}", talk.ended
    recordings: list[dict[str, Any]] = []
    while scene.recorded and not recordings:
        if time.monotonic() - ended > PLAYABLE_S:
            raise DemoError(f"call {number} has no recording after {PLAYABLE_S:.0f} s")
        recordings = await asyncio.to_thread(server.get, f"{path}/recordings", maxWaitMs=2000, formatId="WAV")
    playable = time.monotonic() - ended
    why = await asyncio.to_thread(server.get, f"/earwitness{path}/why")
    console.print(f"[bold]{number}. {scene.title}[/bold]")
    for span in why["spans"]:
        console.print(f"   {_span(span)}")
    for item in recordings:
        page = await asyncio.to_thread(server.get, f"/earwitness/recordings/{item['id']}/page")
        await asyncio.to_thread(server.fetch, page["pageUri"])
        media = item["mediaUris"]["0"]["mediaUri"]
        size = len(await asyncio.to_thread(server.fetch, media))
        audio = f"{item['outputDurationMs'] / 1000:.1f} s of audio, {size:,} bytes as WAV"
        console.print(f"   playable {playable:.1f} s after hang-up: {audio}")
        console.print(f"   [bold]listen:[/bold] {page['pageUri']}")
    console.print()


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
    console.print(f"API client: {sign_in['client']['id']} / {sign_in['client']['secret']}")
    console.print("Ctrl-C ends it and removes the demo's data.")
    while server.alive:
        time.sleep(0.5)
    raise DemoError(f"Earwitness ended by itself; its log:\n{server.log.read_text(errors='replace')[-2000:]}")
