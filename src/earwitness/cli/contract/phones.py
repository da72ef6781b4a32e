"""Three phones and a carrier, so that what steps ask of calls in progress is asked of calls that are in progress."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, TypeVar

from earwitness.cli.demo.dialogue import voices
from earwitness.cli.demo.party import Call, CallFailed, Party
from earwitness.media.engine.ours import OurEngine

T = TypeVar("T")
EXTENSIONS = {"Desk": "201", "Colleague": "202", "Third": "203"}
WAIT_S = 20.0
_MEDIA = "import sys; from pathlib import Path; from earwitness.media.process import run; run(Path(sys.argv[1]))"


class Phones:
    """The parties, in a thread with an event loop of its own. ``start``, use, ``stop``."""

    def __init__(self, registrar: tuple[str, int]) -> None:
        self._registrar = registrar
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._stack = AsyncExitStack()
        self._parties: dict[str, Party] = {}
        self._wav = voices([(0, "This is the contract, and it goes on for quite a while.")])[0]

    def start(self, names: list[str]) -> None:
        """Each party listens on a port of its own."""
        self._thread.start()
        self._wait(self._start(names))

    def stop(self) -> None:
        """Hangs up and goes."""
        self._wait(self._stack.aclose())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def port(self, name: str) -> int:
        """Where a party listens."""
        return self._parties[name].transport.port

    def register(self, name: str, account: dict[str, Any]) -> None:
        """Registers a phone; the edge hears of a new account within a moment.

        :raises CallFailed: refused.
        """
        deadline = time.monotonic() + WAIT_S
        while True:
            try:
                self._wait(self._parties[name].register(self._registrar, account["username"], account["password"]))
            except CallFailed:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
            else:
                return

    def call(self, name: str, number: str) -> Call:
        """Calls; gives the call once it is answered.

        :raises CallFailed: it is not.
        """
        return self._wait(self._parties[name].call(self._registrar, number, EXTENSIONS[name], self._wav))

    def hang_up_all(self) -> None:
        """Ends every call of every party."""
        self._wait(self._hang_up_all())

    async def _start(self, names: list[str]) -> None:
        folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="earwitness-phones-")))
        engine = OurEngine(folder / "media.sock", lambda event: None, ports=(41000, 41999), legs=64)
        await engine.start()
        process = subprocess.Popen([sys.executable, "-c", _MEDIA, str(folder / "media.sock")], stdin=subprocess.DEVNULL)
        self._stack.callback(process.wait, 10)
        self._stack.push_async_callback(engine.stop)
        await engine.ready()
        for name in names:
            party = self._parties[name] = Party(name, engine)
            party.rings_s = 0.1
            await party.start()
            self._stack.push_async_callback(party.stop)

    async def _hang_up_all(self) -> None:
        for party in self._parties.values():
            for call in list(party.calls.values()):
                party.hang_up(call)

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)


def eventually(look: Callable[[], T], what: str) -> T:
    """What ``look`` gives once it gives something.

    :raises AssertionError: it does not.
    """
    deadline = time.monotonic() + WAIT_S
    while not (found := look()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not in {WAIT_S:.0f} s: {what}")
        time.sleep(0.05)
    return found
