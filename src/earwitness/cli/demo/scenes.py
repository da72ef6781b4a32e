"""The calls of the demo: who calls whom, what they say, and what should come of it. They go on all at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from earwitness.cli.demo.api import Api
from earwitness.cli.demo.dialogue import voices
from earwitness.cli.demo.party import Call, Party

CARLA = "+493055501"
DIETER = "+493055502"
ERIKA = "+493055503"
FRANK = "+493055504"
BOB_NUMBER = "+4930123200"
PARCEL_LINE = "+4930123300"
"""Leads to the flow."""
QUESTION_S = 2.8
"""How long people listen to the flow's question before they press a key."""
SEEN_EVERY_S = 0.1
RECORD_CODE = "*1"


@dataclass(frozen=True, slots=True)
class Cast:
    """Who takes part."""

    recorder: tuple[str, int]
    """Where Earwitness speaks SIP."""
    api: Api
    carrier: Party
    asking_carrier: Party
    """Its trunk requires consent."""
    alice: Party
    bob: Party
    uma: Party
    vic: Party
    users: dict[str, str]
    """Name -> id."""

    async def agent_goes_on_queue(self, name: str) -> None:
        """Lets calls of the agent's queues come."""
        body = {"presenceDefinition": {"systemPresence": "On Queue"}}
        await asyncio.to_thread(self.api.patch, f"/users/{self.users[name]}/presences/PURECLOUD", body)

    async def conversation(self, number: str) -> str:
        """The call in progress that this number began, or that began with dialling it."""
        while True:
            for item in await self._seen("/conversations"):
                if any(number in (someone.get("ani"), someone.get("dnis")) for someone in item["participants"]):
                    return str(item["id"])

    async def participant(self, conversation: str, purpose: str) -> str:
        """Whoever is on the call for that purpose now; waits for one."""
        while True:
            for call in await self._seen("/conversations/calls"):
                for item in call["participants"] if call["id"] == conversation else ():
                    if item["purpose"] == purpose and item.get("state") == "connected":
                        return str(item["id"])

    async def _seen(self, path: str) -> list[dict[str, Any]]:
        """A list of calls in progress, a moment from now."""
        await asyncio.sleep(SEEN_EVERY_S)
        entities: list[dict[str, Any]] = (await asyncio.to_thread(self.api.get, path))["entities"]
        return entities


@dataclass(frozen=True, slots=True)
class Scene:
    """One call."""

    title: str
    recordings: int
    """How many should come of it."""
    play: Callable[[Cast], Awaitable[str]]
    """Makes the call and hangs up; gives its conversation."""
    inbox_of: str = ""
    """Whose inbox gets a recording, if any."""


async def _talk(one: tuple[Party, Call], other: tuple[Party, Call], *lines: tuple[int, str]) -> None:
    """Two parties speak to each other: 0 is the one, 1 the other."""
    first, second, length = voices(lines)
    one[0].say(one[1], first)
    other[0].say(other[1], second)
    await asyncio.sleep(length)


async def _direct_call(cast: Cast) -> str:
    lines = [(0, "Hello Bob, where is my parcel?"), (1, "It comes tomorrow.")]
    mine, cast.bob.voices[ERIKA], length = voices(lines)
    call = await cast.carrier.call(cast.recorder, BOB_NUMBER, ERIKA, mine)
    conversation = await cast.conversation(ERIKA)
    await asyncio.sleep(length)
    cast.carrier.hang_up(call)
    return conversation


async def _consent_given(cast: Cast) -> str:
    call = await cast.asking_carrier.call(cast.recorder, PARCEL_LINE, CARLA, b"")
    carla = (cast.asking_carrier, call)
    conversation = await cast.conversation(CARLA)
    await asyncio.sleep(QUESTION_S)
    cast.asking_carrier.press(call, "1")
    await cast.participant(conversation, "acd")
    await cast.agent_goes_on_queue("Alice")
    alice = (cast.alice, await cast.alice.answered_call())
    agent = await cast.participant(conversation, "agent")
    await _talk(carla, alice, (1, "Alice here. One moment please."), (0, "Of course."))
    path = f"/conversations/calls/{conversation}/participants/{agent}"
    await asyncio.to_thread(cast.api.patch, path, {"held": True})
    await _talk(carla, alice, (0, "On hold I say my card number."))
    await asyncio.to_thread(cast.api.patch, path, {"held": False})
    await _talk(carla, alice, (1, "I connect you with Dieter, who has your parcel."))
    await asyncio.to_thread(cast.api.post, f"{path}/replace", {"address": DIETER})
    dieter = (cast.carrier, await cast.carrier.answered_call())
    await _talk(carla, dieter, (1, "Dieter here. I bring it."), (0, "Wonderful!"))
    cast.asking_carrier.hang_up(call)
    return conversation


async def _consent_refused(cast: Cast) -> str:
    call = await cast.asking_carrier.call(cast.recorder, PARCEL_LINE, FRANK, b"")
    conversation = await cast.conversation(FRANK)
    await asyncio.sleep(QUESTION_S)
    cast.asking_carrier.press(call, "2")
    await cast.participant(conversation, "agent")
    bob = list(cast.bob.calls.values())[-1]
    await _talk((cast.asking_carrier, call), (cast.bob, bob), (1, "Bob here."), (0, "Good that nobody listens."))
    cast.asking_carrier.hang_up(call)
    return conversation


async def _colleagues(cast: Cast) -> str:
    call = await cast.uma.call(cast.recorder, "104", "103", b"")
    uma, vic = (cast.uma, call), (cast.vic, await cast.vic.answered_call())
    conversation = await cast.conversation("104")
    await _talk(uma, vic, (0, "Vic, what is the address? I take a note."))
    cast.uma.press(call, RECORD_CODE)
    await _talk(uma, vic, (1, "Harbour street seven, second floor."), (0, "I have it."))
    cast.uma.press(call, RECORD_CODE)
    await _talk(uma, vic, (0, "Lunch at noon?"))
    cast.uma.hang_up(call)
    return conversation


SCENES = (
    Scene("Erika calls Bob over the carrier's trunk", 1, _direct_call),
    Scene("Uma calls Vic, phone to phone, and records a part with *1", 0, _colleagues, inbox_of="Uma"),
    Scene("Frank calls the parcel line and says no to recording", 0, _consent_refused),
    Scene(
        "Carla says yes, waits in the queue, and Alice holds and then transfers her to Dieter outside",
        1,
        _consent_given,
    ),
)
