"""The reader of actions: blocks, outputs, references; each kind of action is read by its function in ``ACTIONS``."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from earwitness.flows import model
from earwitness.flows.model import Action, Block
from earwitness.flows.read_audio import AudioReader
from earwitness.flows.reading import Names, UnreadableError, value_kind
from earwitness.flows.source import Mapping, Node, Scalar

KEYS = {"pound": "#", "#": "#", "star": "*", "*": "*"} | {digit: digit for digit in "0123456789"}
SCHEDULES = (
    "Decide by time with a decision on an expression such as "
    "Hour(GetCurrentDateTimeUtc()) >= 8 and Hour(GetCurrentDateTimeUtc()) < 17"
)
_REFERENCE = re.compile(r"^(?:\.|/[A-Za-z]+)/(?:.*/)?(menu|task|state)\[([^\[\]]+)\]$")


@dataclass(slots=True)
class ActionReader(AudioReader):
    """A reader that knows actions."""

    jumps: list[tuple[str, str, Node, str]] = field(default_factory=list)
    """(kind, refId, place, path) of every reference, to be checked at the end."""
    in_loop: int = 0
    spoken_languages: list[tuple[str, Node, str]] = field(default_factory=list)
    """(language, place, path) of every change of language, to be checked at the end."""

    def block(self, node: Node | None) -> Block:
        """A list of actions."""
        actions: list[Action] = []
        for number, item in enumerate(self.sequence(node)):
            with self.at(f"[{number}]"):
                try:
                    actions.append(self.action(item))
                except UnreadableError:
                    continue
        return tuple(actions)

    def action(self, item: Node) -> Action:
        """``- playAudio: {…}``"""
        key, value, place = (
            (item.text, item, Mapping(item.line, item.column, {}, {}))
            if isinstance(item, Scalar) and item.text in ACTIONS
            else self.only(item, "action")
        )
        reader = ACTIONS.get(key)
        if reader is None:
            with self.at(key):
                remedy = f"There are {', '.join(sorted(ACTIONS))}"
                raise self.stop(place, f"unknown action {key!r}", UNSUPPORTED.get(key, remedy))
        with self.at(key):
            body = Mapping(place.line, place.column, {}, {}) if value is item else self.mapping(value, place)
            body = Mapping(place.line, place.column, body.items, body.places)
            return reader(self, body, place.line, self.text(body, "name") or key)

    def outputs(self, body: Mapping, *names: str) -> dict[str, Block]:
        """``outputs: {success: {actions: […]}}``; all names are there, missing ones empty."""
        found: dict[str, Block] = dict.fromkeys(names, ())
        with self.at("outputs"):
            for name, node in self.mapping(body.items.get("outputs"), body).items.items():
                with self.at(name):
                    if name not in names:
                        self.error(node, f"unknown output {name!r}", f"There are {', '.join(names)}")
                    found[name] = self.actions_of(node)
        return found

    def actions_of(self, node: Node) -> Block:
        """``{actions: […]}``"""
        mapping = self.mapping(node, node)
        with self.at("actions"):
            return self.block(mapping.items.get("actions"))

    def reference(self, body: Mapping, key: str, *kinds: str) -> tuple[str, str]:
        """(kind, refId) of ``targetTaskRef: /inboundCall/tasks/task[x]``."""
        node = body.items.get(key)
        with self.at(key):
            text = self.text(body, key)
            match = _REFERENCE.match(text.strip())
            if node is None or match is None or match[1] not in kinds:
                example = f"./{kinds[0]}s/{kinds[0]}[refId]"
                raise self.stop(node or body, f"{text[:80]!r} refers to no {' or '.join(kinds)}", f"Write {example}")
            self.jumps.append((match[1], match[2], node, self.here()))
            return match[1], match[2]

    def whole(self, body: Mapping, key: str, default: int) -> int:
        """A literal whole number."""
        value = self.expression(body, key, "number")
        number = value.constant if value is not None else None
        return int(number) if isinstance(number, (int, float)) else default

    def dtmf(self, body: Mapping, key: str) -> str:
        """``digit_1``, ``digit_star``, ``digit_#``: the key; empty: none."""
        text = self.text(body, key).strip()
        if not text or text.lower() in ("none", "notset"):
            return ""
        digit = KEYS.get(text.lower().removeprefix("digit_"))
        if digit is None:
            with self.at(key):
                self.error(
                    body.items[key], f"{text[:40]!r} is no key", "Keys are digit_0 … digit_9, digit_star, digit_pound"
                )
        return digit or ""

    def variables(self, body: Mapping) -> tuple[model.Variable, ...]:
        """``variables: [stringVariable: {name, initialValue}]``."""
        found: list[model.Variable] = []
        with self.at("variables"):
            for number, item in enumerate(self.sequence(body.items.get("variables"))):
                with self.at(f"[{number}]"):
                    try:
                        key, value, place = self.only(item, "variable")
                        if not key.endswith("Variable"):
                            raise self.stop(place, f"{key!r} is no type of variable", "Write stringVariable, …")
                        inner = self.mapping(value, place)
                        kind = value_kind(key.removesuffix("Variable"))
                        name = self.declare(self.text(inner, "name"), place, "" if kind == "any" else kind)
                        initial = self.expression(inner, "initialValue", kind)
                        self.refer_typed(key.removesuffix("Variable"), inner, "initialValue", initial)
                        found.append(model.Variable(name, initial))
                    except UnreadableError:
                        continue
        return tuple(found)

    def one_sequence(self, body: Mapping, kind: str) -> model.Sequence:
        """A task or state, with its variables."""
        outer, self.names = self.names, Names()
        loop, self.in_loop = self.in_loop, 0
        try:
            variables = self.variables(body)
            with self.at("actions"):
                actions = self.block(body.items.get("actions"))
            self.check_names(self.names, set(), kind)
        finally:
            self.names, self.in_loop = outer, loop
        name = self.text(body, "name")
        return model.Sequence(self.text(body, "refId") or name, name, body.line, variables, actions)

    def check_names(self, names: Names, given: set[str], what: str) -> None:
        """Every variable that is read was declared or is written somewhere."""
        for name, node, path in names.used:
            if name.lower() not in names.known and name.lower() not in given:
                remedy = f"Declare it in the {what}'s `variables`, or set it with updateData"
                self.error_at(node, path, f"unknown variable {name}", remedy)

    def error_at(self, node: Node, path: str, message: str, remedy: str) -> None:
        """Notes a mistake of a place that was read before."""
        before, self.path = self.path, [path]
        self.error(node, message, remedy)
        self.path = before


ActionFunction = Callable[[ActionReader, Mapping, int, str], Action]
ACTIONS: dict[str, ActionFunction] = {}
"""Name -> (reader, body, line, name) -> action; ``read_actions`` fills it, and error messages list it."""

UNSUPPORTED = {
    "evaluateSchedule": f"There are no schedules here. {SCHEDULES}",
    "evaluateScheduleGroup": f"There are no schedule groups here. {SCHEDULES}",
}
