"""What a running flow may wait for. A waiter handles events until it is done, then says what comes next."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from earwitness.flows.commands import Event, PlayEnded, TransferDone, TransferFailed
from earwitness.flows.errors import FlowExpressionError
from earwitness.flows.expressions import Expression
from earwitness.flows.model import AudioSpec, Choice, CollectInput, Menu, Transfer
from earwitness.flows.values import NOT_SET, to_number, to_seconds, to_truth

if TYPE_CHECKING:
    from earwitness.flows.run import FlowRun

Then = Callable[[], None]


class Waiter:
    """Base: waits for nothing that ever comes."""

    def __init__(self, run: FlowRun) -> None:
        self.run = run
        self.play_id = ""
        self.timer_id = ""

    def on(self, event: Event) -> None:
        """Something other than a digit happened."""

    def on_digits(self) -> None:
        """A digit was put behind ``run.digits``."""

    def leave(self) -> None:
        """Stops what it started."""
        if self.play_id:
            self.run.stop_play(self.play_id)
        self.run.cancel(self.timer_id)
        self.play_id = self.timer_id = ""

    def again(self, seconds: float) -> None:
        """(Re)starts its timer."""
        self.run.cancel(self.timer_id)
        self.timer_id = self.run.timer(seconds)


class Playing(Waiter):
    """Waits for the end of audio."""

    def __init__(self, run: FlowRun, play_id: str, bargeable: bool, then: Then, where: str) -> None:
        super().__init__(run)
        self.play_id = play_id
        self.bargeable = bargeable
        self.then = then
        self.where = where

    def on(self, event: Event) -> None:
        if not isinstance(event, PlayEnded) or event.play_id != self.play_id:
            return
        self.play_id = ""
        if event.error is None:
            self.run.play_worked()
            self.run.then(self.then)
        elif self.run.play_failed(event.error, self.where):
            self.run.pause(self.then)
        else:
            self.run.then(self.then)

    def on_digits(self) -> None:
        if self.bargeable:
            self.leave()
            self.run.then(self.then)


class Pausing(Waiter):
    """Waits for a timer."""

    def __init__(self, run: FlowRun, timer_id: str, then: Then) -> None:
        super().__init__(run)
        self.timer_id = timer_id
        self.then = then

    def on(self, event: Event) -> None:
        if self.run.is_current(event, "", self.timer_id):
            self.run.then(self.then)


class Holding(Waiter):
    """Music, for a time, to the end of a prompt, or for ever."""

    SILENCE_S = 10.0
    """Instead of music that cannot be played."""

    def __init__(self, run: FlowRun, play_id: str, seconds: float | None, bargeable: bool, where: str) -> None:
        super().__init__(run)
        self.play_id = play_id
        self.bargeable = bargeable
        self.where = where
        if seconds is not None:
            self.timer_id = run.timer(seconds)

    def on(self, event: Event) -> None:
        if not self.run.is_current(event, self.play_id, self.timer_id):
            return
        if isinstance(event, PlayEnded):
            self.play_id = ""
            if event.error is not None:
                self.run.play_failed(event.error, self.where)
                if not self.timer_id:
                    self.timer_id = self.run.timer(self.SILENCE_S)
                return
            if self.timer_id:
                return
        else:
            self.timer_id = ""
        self.leave()
        self.run.then(None)

    def on_digits(self) -> None:
        if self.bargeable:
            self.leave()
            self.run.then(None)


class Transferring(Waiter):
    """A transfer is under way."""

    def __init__(self, run: FlowRun, action: Transfer) -> None:
        super().__init__(run)
        self.action = action

    def on(self, event: Event) -> None:
        if isinstance(event, TransferDone):
            self.run.finish()
        elif isinstance(event, TransferFailed):
            failed(self.run, self.action, event.error_type, event.message)


def failed(run: FlowRun, action: Transfer, error_type: str, message: str) -> None:
    """A transfer did not come about: tells the caller, sets variables, goes the way of ``failure``."""
    where = f"line {action.line}: {action.name}"
    run.note(f"transfer to {action.kind} failed: {error_type} {message}".strip()[:300], where)
    run.memory.set(action.error_type, error_type)
    run.memory.set(action.error_message, message[:1_000])
    run.digits.clear()
    run.play(action.on_failure, lambda: run.enter_block(action.failure), where)


class Collecting(Waiter):
    """Asks for digits: audio, first digit, further digits; again after silence or something unfit."""

    def __init__(self, run: FlowRun, action: CollectInput) -> None:
        super().__init__(run)
        self.action = action
        self.where = f"line {action.line}: {action.name}"
        self.least = int(to_number(run.evaluate(action.least)))
        self.most = int(to_number(run.evaluate(action.most)))
        if not 1 <= self.least <= self.most <= 64:
            raise FlowExpressionError(f"{self.least} to {self.most} digits cannot be asked for")
        self.no_entry_s = self._seconds(action.no_entry_s, run.flow.settings.no_entry_s)
        self.inter_digit_s = self._seconds(action.inter_digit_s, run.flow.settings.inter_digit_s)
        self.tries = action.tries
        self.digits = ""
        self.bargeable = True

    def _seconds(self, expression: Expression | None, default: float) -> float:
        value = NOT_SET if expression is None else self.run.evaluate(expression)
        return default if value is NOT_SET else to_seconds(value)

    def ask(self) -> None:
        """Begins a try."""
        self.digits = ""
        self.run.wait(self)
        audio = self.run.audio(self.action.audio)
        self.bargeable = audio.bargeable
        if self.run.digits and audio.bargeable:
            self.run.unheard(audio)
            self.on_digits()
        elif audio.items:
            self.play_id = self.run.begin_play(audio)
        else:
            self.again(self.no_entry_s)

    def on(self, event: Event) -> None:
        if not self.run.is_current(event, self.play_id, self.timer_id):
            return
        if isinstance(event, PlayEnded):
            self.play_id = ""
            if event.error is not None:
                self.run.play_failed(event.error, self.where)
            else:
                self.run.play_worked()
            if self.run.digits:
                self.on_digits()
            else:
                self.again(self.no_entry_s)
            return
        self.timer_id = ""
        if not self.digits:
            self._retry(self.action.no_entry_audio, no_entry=True)
        elif len(self.digits) >= self.least:
            self._done()
        else:
            self._retry(self.action.no_match_audio)

    def on_digits(self) -> None:
        if self.play_id:
            if not self.bargeable:
                return
            self.leave()
        while self.run.digits and self.run.waiter is self:
            if self._digit(self.run.digits.pop(0)):
                return
        self.again(self.inter_digit_s)

    def _digit(self, digit: str) -> bool:
        """Takes a digit; whether that was the last of this try."""
        action = self.action
        if digit == action.terminator:
            if len(self.digits) >= self.least:
                self.digits += digit if action.keep_terminator else ""
                self._done()
            else:
                self._retry(action.no_match_audio)
            return True
        if digit in "*#":
            accepted = action.accept_star if digit == "*" else action.accept_pound
            if not self.digits and to_truth(self.run.evaluate(accepted)):
                self.digits = digit
                self._done()
            else:
                self._retry(action.no_match_audio)
            return True
        self.digits += digit
        if len(self.digits) == self.most:
            if self.run.digits and self.run.digits[0] == action.terminator:
                self.run.digits.pop(0)
            elif action.terminator:
                self.run.swallow = (action.terminator, self.run.memory.now + int(self.inter_digit_s * 1_000_000))
            self._done()
            return True
        return False

    def _done(self) -> None:
        self.leave()
        self.run.answered(self.digits)
        self.run.memory.set(self.action.variable, self.digits)
        self.run.then(None)
        self.run.enter_block(self.action.success)

    def _retry(self, audio: AudioSpec, *, no_entry: bool = False) -> None:
        self.leave()
        self.run.digits.clear()
        self.tries -= 1
        if self.tries > 0:
            self.run.play(audio, self.ask, self.where)
            return
        self.run.then(None)
        action = self.action
        self.run.enter_block(action.no_entry if no_entry and action.no_entry is not None else action.failure)


class Choosing(Waiter):
    """A menu: audio, then a key; again after silence or another key."""

    def __init__(self, run: FlowRun, menu: Menu) -> None:
        super().__init__(run)
        self.menu = menu
        self.plays = menu.plays
        self.where = f"line {menu.line}: {menu.name}"
        self.bargeable = True

    def ask(self) -> None:
        """Plays the menu; gives up when it was played often enough."""
        self.run.wait(self)
        if self.plays == 0 and not self.run.digits:
            self.run.note("nothing was chosen", self.where)
            self.run.hang_up()
            return
        audio = self.run.audio(self.menu.audio)
        self.bargeable = audio.bargeable
        if self.run.digits and audio.bargeable:
            self.run.unheard(audio)
            self.on_digits()
            return
        self.plays -= 1
        if audio.items:
            self.play_id = self.run.begin_play(audio)
        else:
            self.again(self.menu.selection_s)

    def on(self, event: Event) -> None:
        if not self.run.is_current(event, self.play_id, self.timer_id):
            return
        if isinstance(event, PlayEnded):
            self.play_id = ""
            if event.error is not None:
                self.run.play_failed(event.error, self.where)
            else:
                self.run.play_worked()
            if self.run.digits:
                self.on_digits()
            else:
                self.again(self.menu.selection_s)
            return
        self.timer_id = ""
        self.ask()

    def on_digits(self) -> None:
        if self.play_id and not self.bargeable:
            return
        self.leave()
        digit = self.run.digits.pop(0)
        choice: Choice | None = self.menu.choices.get(digit) or self.run.flow.global_choices.get(digit)
        if choice is None:
            self.run.digits.clear()
            self.ask()
            return
        self.run.answered(digit)
        self.run.then(None)
        self.run.choose(choice)
