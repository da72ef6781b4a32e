"""A caller in a flow: tells a run what happens, and what the run wants reads like a conversation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from earwitness.flows import Flow, read_flow
from earwitness.flows.commands import (
    CancelTimer,
    Command,
    Digit,
    Disconnect,
    Finished,
    HoldMusic,
    Play,
    PlayEnded,
    StartTimer,
    StopPlay,
    Timer,
    TransferDone,
    TransferFailed,
)
from earwitness.flows.memory import Facts
from earwitness.flows.run import FlowRun
from earwitness.flows.values import Beep, PromptRef, Say, Silence

SECOND = 1_000_000


def shown(item: object) -> str:
    """An audio item as a test writes it."""
    if isinstance(item, Say):
        return item.text
    if isinstance(item, PromptRef):
        return f"[{item.name}]"
    return f"<{item.ms} ms>" if isinstance(item, Silence) else "<beep>" if isinstance(item, Beep) else "?"


class Caller:
    """Drives one run. ``heard`` is what was played; ``wanted`` every command that is not about audio and timers."""

    def __init__(self, flow: Flow, facts: Facts, now: int) -> None:
        self.run = FlowRun(flow, facts, now)
        self.now = now
        self.heard: list[str] = []
        self.wanted: list[Command] = []
        self.commands: list[Command] = []
        self.playing = ""
        self.bargeable = True
        self.timers: dict[str, int] = {}
        self.ended = False

    def start(self) -> Caller:
        self._take(self.run.start())
        return self

    def press(self, digits: str) -> Caller:
        for digit in digits:
            self._take(self.run.on(Digit(digit), self.now))
        return self

    def listen(self, error: str | None = None) -> Caller:
        """To the end of what is played."""
        assert self.playing, "nothing is played"
        playing, self.playing = self.playing, ""
        self._take(self.run.on(PlayEnded(playing, error), self.now))
        return self

    def wait(self) -> Caller:
        """Until the next timer runs off."""
        assert self.timers, "nothing is waited for"
        timer_id = min(self.timers, key=lambda name: (self.timers[name], name))
        self.now = max(self.now, self.timers.pop(timer_id))
        self._take(self.run.on(Timer(timer_id), self.now))
        return self

    def transferred(self) -> Caller:
        self._take(self.run.on(TransferDone(), self.now))
        return self

    def refused(self, error_type: str = "busy", message: str = "") -> Caller:
        self._take(self.run.on(TransferFailed(error_type, message), self.now))
        return self

    @property
    def last(self) -> Any:
        return self.wanted[-1]

    def of(self, kind: type[Any]) -> list[Any]:
        return [command for command in self.commands if isinstance(command, kind)]

    def _take(self, commands: list[Command]) -> None:
        for command in commands:
            assert not self.ended, "a command after the end"
            self.commands.append(command)
            if isinstance(command, Play):
                self.playing, self.bargeable = command.play_id, command.bargeable
                self.heard.append(" ".join(shown(item) for item in command.items))
            elif isinstance(command, HoldMusic):
                self.playing = command.play_id
                self.heard.append(f"♫ {command.prompt}")
            elif isinstance(command, StopPlay):
                assert command.play_id == self.playing
                self.playing = ""
            elif isinstance(command, StartTimer):
                self.timers[command.timer_id] = self.now + int(command.seconds * SECOND)
            elif isinstance(command, CancelTimer):
                del self.timers[command.timer_id]
            else:
                self.wanted.append(command)
                self.ended = isinstance(command, (Disconnect, Finished))
        if self.ended:
            assert self.run.ended
            assert not self.timers


@pytest.fixture
def call() -> Callable[..., Caller]:
    """A started call: ``call(yaml, facts…)``."""

    def make(text: str, now: int = 1_795_363_200 * SECOND, **facts: Any) -> Caller:
        facts = {"ani": "tel:+4930123", "called_address": "+4989555", "flow_version": "3.0", **facts}
        return Caller(read_flow(text), Facts(**facts), now).start()

    return make
