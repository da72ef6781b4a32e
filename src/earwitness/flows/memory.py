"""What a running flow knows: facts of the call, variables, and where it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from earwitness.flows.model import Block, Flow, Menu, Sequence
from earwitness.flows.values import NOT_SET, Audio, Value, bounded, moment, prompt_item


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a call when a flow begins."""

    ani: str = ""
    """Who called: ``Call.Ani``."""
    called_address: str = ""
    """What was dialled: ``Call.CalledAddress``."""
    conversation_id: str = ""
    language: str = ""
    """Chosen by an earlier flow; empty: the flow's default."""
    attributes: Mapping[str, str] = field(default_factory=dict)
    """The caller's participant data."""
    flow_version: str = ""
    call: Mapping[str, Value] = field(default_factory=dict)
    """Further ``Call.*`` values by name in lower case without ``call.`` (``positioninqueue``); may change meanwhile."""


@dataclass(slots=True)
class Frame:
    """A block that is being run, or a menu."""

    kind: str
    """``block``, ``loop``, ``task``, ``state``, ``start`` or ``menu``."""
    actions: Block = ()
    at: int = 0
    variables: dict[str, Value] | None = None
    """Of tasks and states."""
    count: int = 0
    """Of loops: rounds in all."""
    round: int = 0
    index: str = ""
    menu: Menu | None = None
    outputs: Mapping[str, Block] = field(default_factory=dict)
    """Of called tasks: what follows them."""


class Memory:
    """Variables of a run; the scope of its expressions."""

    def __init__(self, flow: Flow, facts: Facts, now: int) -> None:
        self.flow = flow
        self.facts = facts
        self.started = self.now = now
        self.language = facts.language.lower() if facts.language.lower() in flow.languages else flow.default_language
        self.attributes: dict[str, str] = dict(facts.attributes)
        self.variables: dict[str, Value] = {}
        self.frames: list[Frame] = []

    def value(self, name: str) -> Value:
        """A variable's value, by its name in lower case."""
        scope, _, word = name.partition(".")
        if scope == "call":
            return self._call(word)
        if scope == "flow":
            return self.variables[name] if name in self.variables else self._flow(word)
        variables = self._scope(scope)
        return variables.get(name, NOT_SET) if variables is not None else NOT_SET

    def set(self, name: str, value: Value) -> None:
        """Sets a variable, by its name in lower case; an empty name is nobody."""
        scope = name.partition(".")[0]
        variables = self.variables if scope == "flow" else self._scope(scope) if name else None
        if variables is not None:
            variables[name] = bounded(value)

    def enter(self, kind: str, sequence: Sequence, outputs: Mapping[str, Block] | None = None) -> None:
        """Begins a task, a state or the start of an in-queue flow."""
        frame = Frame(kind, sequence.actions, variables={}, outputs=outputs or {})
        self.frames.append(frame)
        for variable in sequence.variables:
            if variable.initial is not None:
                self.set(variable.name, variable.initial.evaluate(self))

    def _scope(self, scope: str) -> dict[str, Value] | None:
        wanted = ("state", "start") if scope == "state" else ("task", "start", "state")
        for frame in reversed(self.frames):
            if frame.kind in wanted:
                return frame.variables
        return None

    def _call(self, word: str) -> Value:
        known: dict[str, Value] = {
            "ani": self.facts.ani or NOT_SET,
            "calledaddress": self.facts.called_address or NOT_SET,
            "calledaddressoriginal": self.facts.called_address or NOT_SET,
            "conversationid": self.facts.conversation_id or NOT_SET,
            "language": self.language,
        }
        return known[word] if word in known else self.facts.call.get(word, NOT_SET)

    def _flow(self, word: str) -> Value:
        if word == "holdprompt":
            return Audio((prompt_item(self.flow.settings.hold_music),))
        known: dict[str, Value] = {
            "name": self.flow.name,
            "version": self.facts.flow_version or NOT_SET,
            "startdatetimeutc": moment(self.started),
        }
        return known.get(word, NOT_SET)
