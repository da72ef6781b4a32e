"""Runs a flow: a pure state machine that takes events and gives commands.

Theory. A run is a stack of *frames* (blocks and menus, ``memory.Frame``) and at most one *waiter* (``waiting``): what
it waits for. While nothing is waited for, the top frame's next action is carried out (``steps``); an action changes the
stack, emits commands, or leaves a waiter behind. An event goes to the waiter; when the waiter is done, stepping goes
on. The driver (the edge) carries out commands in their order, and tells ``PlayEnded``, ``Digit``, ``Timer`` and the
outcome of transfers. Events about plays and timers that are over are ignored, so they may come late or twice.

Nothing in a flow can hang or kill the driver: at most ``MAX_STEPS_AT_ONCE`` steps are done without waiting and
``MAX_STEPS`` in all; digits beyond ``MAX_DIGITS`` are dropped; whatever goes wrong leads to the error path, which is
the audio and the action of ``settingsErrorHandling``, and hangs up when it fails itself. A run ends with ``Disconnect``
or ``Finished``, and says nothing afterwards.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from earwitness.flows import steps, waiting
from earwitness.flows.commands import (
    CancelTimer,
    Command,
    Digit,
    Disconnect,
    Event,
    Failed,
    Finished,
    Note,
    Play,
    PlayEnded,
    SetData,
    StartTimer,
    StopPlay,
    Timer,
)
from earwitness.flows.errors import FlowExpressionError
from earwitness.flows.expressions import Expression
from earwitness.flows.memory import Facts, Frame, Memory
from earwitness.flows.model import AudioSpec, Block, Choice, Clip, Flow
from earwitness.flows.read_audio import clip_audio
from earwitness.flows.values import Audio, PromptRef, Say, Value

MAX_STEPS_AT_ONCE = 10_000
MAX_STEPS = 100_000
ERROR_STEPS = 1_000
"""What the error path may do, however much was done before."""
MAX_DIGITS = 32
"""Digits that may wait for somebody to ask for them."""
MAX_SKIPS = 10
"""Plays in a row that keys may skip without being asked for."""
MAX_FRAMES = 200
MAX_COMMANDS = 500
"""Commands of one event, before the error path."""
PATIENCE = 5
"""Plays in a row that may fail before each further one is followed by a pause."""
PAUSE_S = 2.0

Then = Callable[[], None]


class FlowRun:
    """One call in one flow. ``start`` once, then ``on`` for every event, until ``ended``."""

    def __init__(self, flow: Flow, facts: Facts, now: int) -> None:
        """``now`` and all other times: UTC microseconds."""
        self.flow = flow
        self.memory = Memory(flow, facts, now)
        self.ended = False
        self.where = ""
        """The action or menu that was begun last, for the log."""
        self.digits: list[str] = []
        self.swallow = ("", 0)
        """A key, and until when it is nothing: the terminator after the last digit that was asked for."""
        self.last_text = ""
        self.question: tuple[str, str] | None = None
        self.consent: bool | None = None
        self.waiter: waiting.Waiter | None = None
        self.waited = False
        self._todo: Then | None = None
        self._out: list[Command] = []
        self._number = 0
        self._failed_plays = 0
        self._skipped = 0
        self._in_error = False
        self._steps = 0
        self._at_once = 0

    def start(self) -> list[Command]:
        """Begins."""
        for variable in self.flow.variables:
            if variable.initial is not None:
                self._guarded(lambda v=variable: self.memory.set(v.name, v.initial.evaluate(self.memory)))  # type: ignore[misc]
        if not self.ended and self.waiter is None:
            self._guarded(lambda: self.play(self.flow.greeting, self.begin, self.flow.name))
        return self._advance()

    def on(self, event: Event, now: int) -> list[Command]:
        """Something happened."""
        if self.ended:
            return []
        self.memory.now = now
        if isinstance(event, Digit):
            self._take(event.digit)
        elif self.waiter is not None:
            self._guarded(lambda: self.waiter.on(event) if self.waiter else None)
        return self._advance()

    # For waiters and steps

    def enter_block(self, block: Block) -> None:
        """Runs a branch next."""
        if block:
            self.memory.frames.append(Frame("block", block))

    def choose(self, choice: Choice) -> None:
        """Goes where a key of the menu on top leads."""
        if choice.task is not None:
            self.memory.enter("task", choice.task)
        elif choice.menu is not None:
            self.go("menu", choice.menu.ref_id)
        elif choice.kind == "previous":
            self.previous_menu()
        else:
            self.enter_block(choice.actions)

    def previous_menu(self) -> None:
        """Back to the menu before the one that it is in; the first menu begins again."""
        frames = self.memory.frames
        menus = [number for number, frame in enumerate(frames) if frame.menu is not None]
        if menus:
            del frames[(menus[-2] if len(menus) > 1 else menus[-1]) + 1 :]

    def begin(self) -> None:
        """Goes to where the flow starts."""
        self.memory.frames.clear()
        if self.flow.type == "inqueuecall":
            self.digits.clear()
        start = self.flow.start
        if start is None:
            self.memory.enter("start", self.flow.start_actions)
        else:
            self.go(start.kind, start.target)

    def go(self, kind: str, target: str) -> None:
        """Enters a task, state or menu on top of where it is."""
        if len(self.memory.frames) >= MAX_FRAMES:
            raise FlowExpressionError("tasks or menus that lead into each other for ever")
        if kind == "menu":
            self.memory.frames.append(Frame("menu", menu=self.flow.menus[target]))
        else:
            self.memory.enter(kind, (self.flow.tasks if kind == "task" else self.flow.states)[target])

    def emit(self, command: Command) -> None:
        """Gives a command; data set in a row is one."""
        last = self._out[-1] if self._out else None
        if isinstance(command, SetData) and isinstance(last, SetData):
            self._out[-1] = SetData({**last.attributes, **command.attributes})
        elif not self.ended:
            self._out.append(command)

    def new_id(self, kind: str) -> str:
        """An id for a play or a timer, unique in this run."""
        self._number += 1
        return f"{kind}-{self._number}"

    def timer(self, seconds: float) -> str:
        """Starts a timer."""
        timer_id = self.new_id("timer")
        self.emit(StartTimer(timer_id, min(max(seconds, 0.1), 86_400.0)))
        return timer_id

    def evaluate(self, expression: Expression) -> Value:
        """An expression's value now."""
        return expression.evaluate(self.memory)

    def audio(self, spec: AudioSpec) -> Audio:
        """What audio plays in the call's language."""
        memory = self.memory
        clip: Clip | None = spec.by_language.get(memory.language) or spec.default
        clip = clip or spec.by_language.get(self.flow.default_language) or next(iter(spec.by_language.values()), None)
        if clip is None:
            return Audio(())
        found = clip_audio(clip, self.evaluate)
        items = tuple(
            dataclasses.replace(item, language=item.language or memory.language)
            if isinstance(item, (Say, PromptRef))
            else item
            for item in found.items
            if not (isinstance(item, Say) and not item.text.strip())
        )
        return Audio(items, found.bargeable)

    def begin_play(self, audio: Audio) -> str:
        """Starts a play."""
        play_id = self.new_id("play")
        self.emit(Play(play_id, audio.items, audio.bargeable))
        said = " ".join(
            item.text if isinstance(item, Say) else f"[{item.name}]"
            for item in audio.items
            if isinstance(item, (Say, PromptRef))
        )
        self.last_text = said[:2_000] or self.last_text
        return play_id

    def play(self, spec: AudioSpec, then: Then, where: str) -> None:
        """Plays audio to its end, or until a digit comes if it lets itself be interrupted; then goes on."""
        audio = self.audio(spec)
        if not audio.items:
            self.then(then)
        elif audio.bargeable and self.skips():
            self.unheard(audio)
            self.then(then)
        else:
            self.wait(waiting.Playing(self, self.begin_play(audio), audio.bargeable, then, where))

    def skips(self) -> bool:
        """Whether waiting keys interrupt what is to be played now. Those that nobody asks for do so some times only."""
        if not self.digits:
            return False
        self._skipped += 1
        if self._skipped > MAX_SKIPS:
            self.digits.clear()
        return bool(self.digits)

    def unheard(self, audio: Audio) -> None:
        """Audio was not played, as the caller was faster: whatever is answered now, this was not asked."""
        if audio.items:
            self.last_text = ""

    def play_failed(self, error: str, where: str) -> bool:
        """Notes that a play failed; whether so many did that a pause is due."""
        self._failed_plays += 1
        self.emit(Note(f"audio was not played: {error[:200]}", where))
        return self._failed_plays >= PATIENCE

    def play_worked(self) -> None:
        """A play came to its end."""
        self._failed_plays = 0

    def pause(self, then: Then, seconds: float = PAUSE_S) -> None:
        """Waits, then goes on."""
        self.wait(waiting.Pausing(self, self.timer(seconds), then))

    def wait(self, waiter: waiting.Waiter) -> None:
        """Waits for something."""
        self.waiter = waiter
        self.waited = True

    def then(self, then: Then | None) -> None:
        """Stops waiting; ``then`` runs next."""
        self.waiter = None
        self._todo = then

    def stop_play(self, play_id: str) -> None:
        """Stops a play."""
        self.emit(StopPlay(play_id))

    def cancel(self, timer_id: str) -> None:
        """Cancels a timer; an empty id is none."""
        if timer_id:
            self.emit(CancelTimer(timer_id))

    def note(self, message: str, where: str) -> None:
        """Something for the log."""
        self.emit(Note(message, where))

    def answered(self, digits: str) -> None:
        """The caller has answered the audio that was played last."""
        self.question = (self.last_text, digits)
        self._skipped = 0

    def hang_up(self) -> None:
        """Ends the call."""
        self._end(Disconnect())

    def finish(self) -> None:
        """The caller is elsewhere."""
        self._end(Finished())

    def fail(self, error: str, where: str) -> None:
        """Takes the error path; hangs up when it is on it already."""
        if self.ended:
            return
        if self.waiter is not None:
            self.waiter.leave()
        self.then(None)
        self.memory.frames.clear()
        self.emit(Failed(error[:500], where))
        if self._in_error:
            self.hang_up()
            return
        self._in_error = True
        self._steps = MAX_STEPS - ERROR_STEPS
        self._at_once = MAX_STEPS_AT_ONCE - ERROR_STEPS
        self.digits.clear()
        self._guarded(lambda: self.play(self.flow.settings.error_audio, self._handle_error, where))

    # Inside

    def _handle_error(self) -> None:
        if self.flow.settings.error_actions:
            self.memory.frames.append(Frame("block", self.flow.settings.error_actions))
        else:
            self.hang_up()

    def _end(self, command: Command) -> None:
        self.emit(command)
        self.ended = True
        self.waiter = None
        self._todo = None

    def _take(self, digit: str) -> None:
        if len(digit) != 1 or digit not in "0123456789*#":
            return
        (nothing, until), self.swallow = self.swallow, ("", 0)
        if digit == nothing and self.memory.now <= until:
            return
        if len(self.digits) < MAX_DIGITS:
            self.digits.append(digit)
        if self.waiter is not None:
            self._guarded(lambda: self.waiter.on_digits() if self.waiter else None)

    def _advance(self) -> list[Command]:
        self._at_once = 0 if not self._in_error else self._at_once
        while not self.ended and self.waiter is None:
            self._steps += 1
            self._at_once += 1
            commands = MAX_COMMANDS * (2 if self._in_error else 1)
            if self._at_once > MAX_STEPS_AT_ONCE or self._steps > MAX_STEPS or len(self._out) > commands:
                self.fail("a flow that loops for ever", self._where())
                continue
            todo, self._todo = self._todo, None
            self._guarded(todo or (lambda: steps.step(self)))
        out, self._out = self._out, []
        return out

    def _where(self) -> str:
        return self.where or self.flow.name

    def _guarded(self, do: Then) -> None:
        try:
            do()
        except FlowExpressionError as error:
            self.fail(str(error), self._where())

    def is_current(self, event: Event, play_id: str, timer_id: str) -> bool:
        """Whether an event is about this play or timer."""
        if isinstance(event, PlayEnded):
            return bool(play_id) and event.play_id == play_id
        return isinstance(event, Timer) and bool(timer_id) and event.timer_id == timer_id
