"""The calls of the demo: who calls whom, what they say, and what should come of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from earwitness.cli.demo.dialogue import voices
from earwitness.cli.demo.party import Party

CUSTOMER = "+493055501"
ALICE_NUMBER = "+4930123100"
BOB_NUMBER = "+4930123200"
QUIET_NUMBER = "+4930123900"


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
    recorded: bool
    """Whether a recording should come of it."""
    play: Callable[[Cast, Callable[[], Awaitable[None]]], Awaitable[None]]
    """Makes the call; awaits its second argument while the call is up."""


async def _customer_calls(cast: Cast, up: Callable[[], Awaitable[None]]) -> None:
    lines = [
        (0, "Hello, this is Carla. My parcel has not arrived."),
        (1, "Hello Carla, Alice speaking. Let me look. It comes tomorrow."),
        (0, "Thank you. Goodbye."),
    ]
    mine, cast.alice.next_wav, length = voices(lines)
    call = await cast.carrier.call(cast.recorder, ALICE_NUMBER, CUSTOMER, mine)
    await up()
    await asyncio.sleep(length)
    cast.carrier.hang_up(call)


async def _colleagues(cast: Cast, up: Callable[[], Awaitable[None]]) -> None:
    lines = [(0, "Bob, lunch at noon?"), (1, "Gladly, Alice. See you there.")]
    mine, cast.bob.next_wav, length = voices(lines, ("en+f3", "en-us+m3"))
    call = await cast.alice.call(cast.recorder, "102", "101", mine)
    await up()
    await asyncio.sleep(length)
    cast.alice.hang_up(call)


async def _call_with_hold(cast: Cast, up: Callable[[], Awaitable[None]]) -> None:
    before = [(0, "Hello, this is Bob. I hold you for a moment."), (1, "Of course, I wait.")]
    during = [(1, "While on hold I say my card number, and nobody shall hear it.")]
    after = [(0, "I am back. All is settled."), (1, "Wonderful. Goodbye, Bob.")]
    first, second = voices(before)[2], voices(during)[2]
    mine, cast.carrier.next_wav, length = voices([*before, *during, *after], ("en-us+m3", "en-us"))
    call = await cast.bob.call(cast.recorder, CUSTOMER, "102", mine)
    await up()
    await asyncio.sleep(first)
    await cast.bob.hold(call, on=True)
    await asyncio.sleep(second)
    await cast.bob.hold(call, on=False)
    await asyncio.sleep(max(0.0, length - first - second))
    cast.bob.hang_up(call)


async def _quiet_trunk(cast: Cast, up: Callable[[], Awaitable[None]]) -> None:
    lines = [(0, "Hello Bob, this line is private."), (1, "Then we speak freely.")]
    mine, cast.bob.next_wav, length = voices(lines)
    call = await cast.quiet_carrier.call(cast.recorder, QUIET_NUMBER, CUSTOMER, mine)
    await up()
    await asyncio.sleep(length)
    cast.quiet_carrier.hang_up(call)


SCENES = (
    Scene("A customer calls Alice over the carrier's trunk", True, _customer_calls),
    Scene("Alice calls Bob, phone to phone", False, _colleagues),
    Scene("Bob calls a customer and holds the call for a while", True, _call_with_hold),
    Scene("A customer calls Bob over a trunk that does not record", False, _quiet_trunk),
)
