"""A flow that may be published: what ``read_flow`` makes of the text and ``FlowRun`` runs.

A *block* is a list of actions. Tasks, states, branches of actions (``outputs``) and the start of an in-queue flow are
blocks; menus lead to blocks. Everything here is immutable and was checked: references lead somewhere, expressions can
be read, digits are not used twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from earwitness.flows.errors import FlowError
from earwitness.flows.expressions import Expression

HOLD_MUSIC = "PromptSystem.on_hold_music"


@dataclass(frozen=True, slots=True)
class Reference:
    """Something outside the flow that it names."""

    kind: str
    """``queue``, ``user``, ``flow``, ``prompt`` or ``wrapup_code``."""
    name: str
    line: int


@dataclass(frozen=True, slots=True)
class Clip:
    """One way to fill an audio: exactly one is set."""

    text: str = ""
    prompt: str = ""
    expression: Expression | None = None


@dataclass(frozen=True, slots=True)
class AudioSpec:
    """Audio as written: for a language, else the default."""

    default: Clip | None = None
    by_language: Mapping[str, Clip] = field(default_factory=dict)
    """Language in lower case -> clip."""


@dataclass(frozen=True, slots=True)
class Action:
    """One step."""

    line: int
    name: str


Block = tuple[Action, ...]


@dataclass(frozen=True, slots=True)
class PlayAudio(Action):
    """Plays audio."""

    audio: AudioSpec


@dataclass(frozen=True, slots=True)
class CollectInput(Action):
    """Asks for digits."""

    variable: str
    """Where they go, in lower case; empty: nowhere."""
    least: Expression
    most: Expression
    terminator: str
    """``#``, ``*`` or empty."""
    keep_terminator: bool
    accept_star: Expression
    """Whether a lone star is an answer."""
    accept_pound: Expression
    no_entry_s: Expression | None
    inter_digit_s: Expression | None
    audio: AudioSpec
    no_entry_audio: AudioSpec
    no_match_audio: AudioSpec
    tries: int
    success: Block
    failure: Block
    no_entry: Block | None


@dataclass(frozen=True, slots=True)
class Decision(Action):
    """Goes one of two ways."""

    condition: Expression
    yes: Block
    no: Block


@dataclass(frozen=True, slots=True)
class Switch(Action):
    """Goes the way of the first case that is true, or that equals ``subject``."""

    subject: Expression | None
    cases: tuple[tuple[Expression, Block], ...]
    default: Block


@dataclass(frozen=True, slots=True)
class Loop(Action):
    """Repeats a block."""

    count: Expression
    index: str
    """Variable that counts from 0, in lower case; empty: none."""
    body: Block


@dataclass(frozen=True, slots=True)
class LeaveLoop(Action):
    """``loopExit``, or ``loopNext``."""

    next: bool


@dataclass(frozen=True, slots=True)
class GoTo(Action):
    """``callTask``, ``jumpToTask``, ``jumpToMenu``, ``changeState``."""

    kind: str
    """``task``, ``menu`` or ``state``."""
    target: str
    """refId."""
    comes_back: bool = False
    outputs: Mapping[str, Block] = field(default_factory=dict)
    """What runs after a called task, by the name of its output in lower case."""


@dataclass(frozen=True, slots=True)
class End(Action):
    """``endTask``, ``endState``, ``previousMenu``."""

    what: str
    """``task``, ``state`` or ``menu``."""
    output: str = ""
    """Of a task: which output of ``callTask`` follows, in lower case."""


@dataclass(frozen=True, slots=True)
class UpdateData(Action):
    """Sets variables."""

    statements: tuple[tuple[str, Expression], ...]
    """(variable in lower case, value)."""


@dataclass(frozen=True, slots=True)
class SetParticipantData(Action):
    """Attaches values to the caller."""

    attributes: tuple[tuple[Expression, Expression], ...]
    """(name, value)."""


@dataclass(frozen=True, slots=True)
class GetParticipantData(Action):
    """Reads values of the caller into variables."""

    attributes: tuple[tuple[Expression, str], ...]
    """(name, variable in lower case)."""


@dataclass(frozen=True, slots=True)
class ChangeLanguage(Action):
    """Sets the call's language."""

    language: Expression


@dataclass(frozen=True, slots=True)
class Wrapup(Action):
    """Sets the wrap-up code."""

    code: Expression


@dataclass(frozen=True, slots=True)
class Consent(Action):
    """``enableParticipantRecord`` or ``disableParticipantRecord``."""

    granted: bool
    question: Expression | None
    answer: Expression | None


@dataclass(frozen=True, slots=True)
class PlayHoldMusic(Action):
    """Music for a waiting caller."""

    prompt: Expression | None
    """None: the flow's hold music."""
    seconds: Expression | None
    """None: the prompt once, to its end."""
    bargeable: Expression


@dataclass(frozen=True, slots=True)
class Transfer(Action):
    """Sends the caller elsewhere."""

    kind: str
    """``queue``, ``user``, ``number``, ``flow`` or ``voicemail``."""
    target: Expression | None
    priority: Expression
    timeout_s: Expression | None
    in_queue_flow: str
    before: AudioSpec
    on_failure: AudioSpec
    error_type: str
    """Variable that takes the kind of error, in lower case; empty: none."""
    error_message: str
    failure: Block


@dataclass(frozen=True, slots=True)
class HangUp(Action):
    """Ends the call."""


@dataclass(frozen=True, slots=True)
class Variable:
    """A declared variable."""

    name: str
    """In lower case."""
    initial: Expression | None


@dataclass(frozen=True, slots=True)
class Sequence:
    """A task or a state."""

    ref_id: str
    name: str
    line: int
    variables: tuple[Variable, ...]
    actions: Block


@dataclass(frozen=True, slots=True)
class Choice:
    """What a digit leads to in a menu."""

    line: int
    name: str
    kind: str
    """``actions``, ``task``, ``menu``, ``replay`` or ``previous``."""
    everywhere: bool
    """``globalDtmf``: in every menu."""
    actions: Block = ()
    task: Sequence | None = None
    menu: Menu | None = None


@dataclass(frozen=True, slots=True)
class Menu:
    """A menu."""

    ref_id: str
    name: str
    line: int
    audio: AudioSpec
    plays: int
    """How often it is played before it gives up."""
    selection_s: float
    choices: Mapping[str, Choice]
    default: Choice | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """What actions take that do not say otherwise. Times in seconds."""

    no_entry_s: float = 5.0
    inter_digit_s: float = 3.0
    user_s: float | None = None
    number_s: float | None = None
    hold_music: str = HOLD_MUSIC
    error_audio: AudioSpec = field(default_factory=AudioSpec)
    error_actions: Block = ()
    """What the error path does after its audio; empty: hang up."""


@dataclass(frozen=True, slots=True)
class Flow:
    """A flow."""

    type: str
    """``inboundcall``, ``inqueuecall`` or ``outboundcall``."""
    name: str
    description: str
    division: str
    default_language: str
    languages: tuple[str, ...]
    greeting: AudioSpec
    start: GoTo | None
    """None: ``start_actions`` (in-queue flows)."""
    start_actions: Sequence
    menus: Mapping[str, Menu]
    tasks: Mapping[str, Sequence]
    states: Mapping[str, Sequence]
    variables: tuple[Variable, ...]
    settings: Settings
    suppress_recording: bool
    """B1, B2: nothing is recorded while a call is in the flow."""
    global_choices: Mapping[str, Choice]
    named: frozenset[Reference]
    literal_texts: frozenset[tuple[str, str]]
    warnings: tuple[FlowError, ...]
    """What was read and will not be acted on, although somebody may expect it."""

    def references(self) -> frozenset[Reference]:
        """Queues, users, flows, prompts and wrap-up codes that it names literally."""
        return self.named

    def texts(self) -> frozenset[tuple[str, str]]:
        """(text, language) of everything that it may say and that is known beforehand."""
        return self.literal_texts
