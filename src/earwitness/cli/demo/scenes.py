"""The calls of the demo: who calls whom, what they say, and what should come of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from earwitness.cli.demo.dialogue import voices
from earwitness.cli.demo.party import Party

CARLA = "+493055501"
DIETER = "+493055502"
ERIKA = "+493055503"
ALICE_NUMBER = "+4930123100"
BOB_NUMBER = "+4930123200"


@dataclass(frozen=True, slots=True)
class Cast:
    """Who takes part."""

    recorder: tuple[str, int]
    """Where Earwitness speaks SIP."""
    carrier: Party
    quiet_carrier: Party
    """Its trunk does not record."""
    alice: Party
    bob: Party


@dataclass(frozen=True, slots=True)
class Scene:
    """One call."""

    title: str
    dialled: str
    recorded: bool
    """Whether a recording should come of it."""
    play: Callable[[Cast, asyncio.Event], Awaitable[None]]
    """Makes the call, sets the event once it is up, and hangs up."""


async def _customer_calls(cast: Cast, up: asyncio.Event) -> None:
    lines = [
        (0, "Hello, this is Carla. Where is my parcel?"),
        (1, "Hello Carla. It comes tomorrow."),
        (0, "Thank you!"),
    ]
    mine, cast.alice.voices[CARLA], length = voices(lines)
    call = await cast.carrier.call(cast.recorder, ALICE_NUMBER, CARLA, mine)
    up.set()
    await asyncio.sleep(length)
    cast.carrier.hang_up(call)


async def _colleagues(cast: Cast, up: asyncio.Event) -> None:
    lines = [(0, "Bob, lunch at noon?"), (1, "Gladly, Alice. See you there.")]
    mine, cast.bob.voices["101"], length = voices(lines, ("en+f3", "en-us+m3"))
    call = await cast.alice.call(cast.recorder, "102", "101", mine)
    up.set()
    await asyncio.sleep(length)
    cast.alice.hang_up(call)


async def _call_with_hold(cast: Cast, up: asyncio.Event) -> None:
    before = [(0, "Hello, this is Bob. Please hold."), (1, "Of course.")]
    during = [(1, "On hold I say my card number, and nobody shall hear it.")]
    after = [(0, "I am back. All is settled."), (1, "Goodbye, Bob.")]
    first, second = voices(before)[2], voices(during)[2]
    mine, theirs, length = voices([*before, *during, *after], ("en-us+m3", "en-us"))
    cast.carrier.voices[BOB_NUMBER] = theirs
    call = await cast.bob.call(cast.recorder, DIETER, "102", mine)
    up.set()
    await asyncio.sleep(first)
    await cast.bob.hold(call, on=True)
    await asyncio.sleep(second)
    await cast.bob.hold(call, on=False)
    await asyncio.sleep(max(0.0, length - first - second))
    cast.bob.hang_up(call)


async def _quiet_trunk(cast: Cast, up: asyncio.Event) -> None:
    lines = [(0, "Hello Bob, this line is private."), (1, "Then we speak freely.")]
    mine, cast.bob.voices[ERIKA], length = voices(lines)
    call = await cast.quiet_carrier.call(cast.recorder, BOB_NUMBER, ERIKA, mine)
    up.set()
    await asyncio.sleep(length)
    cast.quiet_carrier.hang_up(call)


SCENES = (
    Scene("Carla calls Alice over the carrier's trunk", ALICE_NUMBER, True, _customer_calls),
    Scene("Alice calls Bob, phone to phone", "102", False, _colleagues),
    Scene("Bob calls Dieter over the trunk and holds the call for a while", DIETER, True, _call_with_hold),
    Scene("Erika calls Bob over a trunk that does not record", BOB_NUMBER, False, _quiet_trunk),
)
