"""What a running flow wants done (commands), and what it must be told (events). The edge carries them out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from earwitness.flows.values import AudioItem


class Command:
    """Anything that a running flow wants done."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Play(Command):
    """Play to the caller, then tell ``PlayEnded``. A second play replaces the first."""

    play_id: str
    items: tuple[AudioItem, ...]
    """Languages are filled in."""
    bargeable: bool
    """For information: the flow itself stops a play when a digit comes."""


@dataclass(frozen=True, slots=True)
class StopPlay(Command):
    """Stop a play (or hold music). A ``PlayEnded`` for it may come or not."""

    play_id: str


@dataclass(frozen=True, slots=True)
class HoldMusic(Command):
    """Play music to the waiting caller."""

    play_id: str
    prompt: str
    """Name of a prompt; empty or ``PromptSystem.on_hold_music``: the queue's own music."""
    seconds: float | None
    """For information: the flow stops it itself after this long. None: no limit."""
    once: bool
    """True: play it once and tell ``PlayEnded``. False: again and again until ``StopPlay``."""


@dataclass(frozen=True, slots=True)
class StartTimer(Command):
    """Tell ``Timer`` after this long."""

    timer_id: str
    seconds: float


@dataclass(frozen=True, slots=True)
class CancelTimer(Command):
    """Forget a timer."""

    timer_id: str


@dataclass(frozen=True, slots=True)
class SetData(Command):
    """Attach values to the caller's participant; None removes one."""

    attributes: Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class GrantConsent(Command):
    """The caller agrees to be recorded (C3, C12)."""

    question: str
    """Text of the audio before the answer, as far as it is text."""
    language: str
    answer: str
    """Digits pressed; empty: none were asked for."""
    flow_version: str


@dataclass(frozen=True, slots=True)
class RefuseConsent(Command):
    """The caller does not agree to be recorded (C1)."""

    question: str
    language: str
    answer: str
    flow_version: str


@dataclass(frozen=True, slots=True)
class SetLanguage(Command):
    """The call's language from now on."""

    language: str


@dataclass(frozen=True, slots=True)
class SetWrapupCode(Command):
    """What the call was about, as far as the flow knows."""

    name: str


@dataclass(frozen=True, slots=True)
class TransferToQueue(Command):
    """Put the caller into a queue; answer with ``TransferDone`` or ``TransferFailed``."""

    queue: str
    """Name or id."""
    priority: int = 0
    in_queue_flow: str = ""
    """Name of a flow to run while waiting instead of the queue's own; empty: the queue's own."""


@dataclass(frozen=True, slots=True)
class TransferToUser(Command):
    """Ring a user; answer with ``TransferDone`` once the user has answered, or ``TransferFailed``."""

    user: str
    """Name, e-mail address or id."""
    timeout_s: float | None


@dataclass(frozen=True, slots=True)
class TransferToNumber(Command):
    """Dial a number; answer as for a user."""

    number: str
    timeout_s: float | None


@dataclass(frozen=True, slots=True)
class TransferToFlow(Command):
    """Go on in another flow; answer with ``TransferDone`` or ``TransferFailed`` (no such flow)."""

    flow: str
    """Name or id."""


@dataclass(frozen=True, slots=True)
class Disconnect(Command):
    """Hang up. Nothing comes after it."""


@dataclass(frozen=True, slots=True)
class Finished(Command):
    """The flow is done: the caller is elsewhere. Nothing comes after it."""


@dataclass(frozen=True, slots=True)
class Failed(Command):
    """The flow takes its error path; what it does instead follows."""

    error: str
    where: str
    """``line 12: Play Audio``."""


@dataclass(frozen=True, slots=True)
class Note(Command):
    """Something did not go as written, and the flow went on: for the log."""

    message: str
    where: str


class Event:
    """Anything that a running flow is told."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class PlayEnded(Event):
    """A play came to its end, or could not be played."""

    play_id: str
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Digit(Event):
    """The caller pressed a key: one of ``0123456789*#ABCD``."""

    digit: str


@dataclass(frozen=True, slots=True)
class Timer(Event):
    """A timer has run off."""

    timer_id: str


@dataclass(frozen=True, slots=True)
class TransferDone(Event):
    """The caller is where the flow wanted it."""


@dataclass(frozen=True, slots=True)
class TransferFailed(Event):
    """The transfer did not come about; the caller is back."""

    error_type: str
    message: str = ""
