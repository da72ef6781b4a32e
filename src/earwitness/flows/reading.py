"""The reader's tools: errors with their place, keys, wrapped values, audio, references to variables."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from earwitness.flows import expressions
from earwitness.flows.errors import FlowError, FlowErrors, FlowExpressionError
from earwitness.flows.expressions import Expression, literal
from earwitness.flows.model import Reference
from earwitness.flows.nodes import Call, Constant, Name
from earwitness.flows.source import Mapping, Node, Scalar, Sequence
from earwitness.flows.values import NOT_SET, Value, to_number, to_text

MAX_ERRORS = 100
CALL_VARIABLES = (
    "call.ani", "call.calledaddress", "call.calledaddressoriginal", "call.conversationid", "call.language",
    "call.remotename", "call.currentqueue", "call.positioninqueue", "call.estimatedwaittime",
)  # fmt: skip
"""What is known of a call."""
FLOW_VARIABLES = ("flow.holdprompt", "flow.name", "flow.startdatetimeutc", "flow.version")
"""What is known of a flow without declaring it."""

_UNITS = {"ms": 0.001, "milliseconds": 0.001, "seconds": 1, "minutes": 60, "hours": 3600, "days": 86_400}
_WRAPPERS = ("lit", "exp", "var", "noValue", "none")


_THINGS = {"queue": "queue", "user": "user", "prompt": "prompt", "flow": "flow", "wrapupCode": "wrapup_code"}
_TYPES = {
    "string": "text", "integer": "number", "decimal": "number", "currency": "number", "boolean": "boolean",
    "duration": "duration", "phoneNumber": "text",
}  # fmt: skip


class UnreadableError(Exception):
    """The error is noted; whoever asked goes on without this part."""


@dataclass(slots=True)
class Names:
    """Variables of a flow, task or state: which exist, which are used where."""

    known: set[str] = field(default_factory=set)
    used: list[tuple[str, Node, str]] = field(default_factory=list)
    """(name, place, path)."""
    kinds: dict[str, str] = field(default_factory=dict)
    """Kind of each, as far as it is certain."""


@dataclass(slots=True)
class Reader:
    """State of reading one flow."""

    errors: list[FlowError] = field(default_factory=list)
    warnings: list[FlowError] = field(default_factory=list)
    references: set[Reference] = field(default_factory=set)
    texts: set[tuple[str, str]] = field(default_factory=set)
    """(text, language); language empty: every one of the flow."""
    path: list[str] = field(default_factory=list)
    flow_names: Names = field(default_factory=Names)
    names: Names = field(default_factory=Names)
    """Of the task or state being read."""
    expressions: list[tuple[Expression, Names, Node, str]] = field(default_factory=list)
    """(expression, variables around it, place, path), for the check of kinds."""

    @contextmanager
    def at(self, *steps: str) -> Iterator[None]:
        """Where errors are from now on."""
        self.path.extend(steps)
        try:
            yield
        finally:
            del self.path[len(self.path) - len(steps) :]

    def here(self) -> str:
        """The path as text."""
        return ".".join(self.path).replace(".[", "[")

    def error(self, node: Node, message: str, remedy: str = "") -> None:
        """Notes a mistake."""
        self.errors.append(FlowError(node.line, node.column, self.here(), message, remedy))
        if len(self.errors) >= MAX_ERRORS:
            raise FlowErrors(self.errors)

    def stop(self, node: Node, message: str, remedy: str = "") -> UnreadableError:
        """Notes a mistake; raise what it gives."""
        self.error(node, message, remedy)
        return UnreadableError()

    def warn(self, node: Node, message: str, remedy: str = "") -> None:
        """Notes what will not be acted on."""
        if len(self.warnings) < MAX_ERRORS:
            self.warnings.append(FlowError(node.line, node.column, self.here(), message, remedy))

    def mapping(self, node: Node | None, parent: Node) -> Mapping:
        """The node as a mapping; nothing is an empty one."""
        if node is None or (isinstance(node, Scalar) and node.is_null):
            place = node or parent
            return Mapping(place.line, place.column, {}, {})
        if not isinstance(node, Mapping):
            raise self.stop(node, "a mapping is expected here", "Write `key: value` lines, indented")
        return node

    def sequence(self, node: Node | None) -> tuple[Node, ...]:
        """The node as a list; nothing is an empty one."""
        if node is None or (isinstance(node, Scalar) and node.is_null):
            return ()
        if isinstance(node, Sequence):
            return node.items
        self.error(node, "a list is expected here", "Write `- ` before each of its parts")
        return ()

    def text(self, mapping: Mapping, key: str, default: str = "") -> str:
        """A plain text of a mapping."""
        node = mapping.items.get(key)
        if node is None or (isinstance(node, Scalar) and node.is_null):
            return default
        while isinstance(node, Mapping):
            if "noValue" in node.items or "none" in node.items:
                return default
            inner = node.items.get("lit") or node.items.get("name")
            if inner is None:
                break
            node = inner
        if isinstance(node, Scalar):
            return node.text
        with self.at(key):
            self.error(node, "a text is expected here")
        return default

    def only(self, node: Node, what: str) -> tuple[str, Node, Mapping]:
        """The one key of a mapping and what it holds: ``- playAudio: {…}``."""
        mapping = self.mapping(node, node)
        if len(mapping.items) != 1:
            said = f"one {what} is expected here, not {len(mapping.items)} keys"
            raise self.stop(node, said, "Indent what belongs to it further than its name")
        key, value = next(iter(mapping.items.items()))
        line, column = mapping.places[key]
        return key, value, Mapping(line, column, {}, {})

    # Values

    def expression(self, mapping: Mapping, key: str, kind: str) -> Expression | None:
        """A wrapped value: ``lit``, ``exp``, ``var``, ``noValue``, ``none``, or a bare scalar. None: no value.

        :param kind: ``text``, ``number``, ``duration``, ``boolean``, ``name`` or ``any``.
        """
        node = mapping.items.get(key)
        if node is None:
            return None
        with self.at(key):
            try:
                return self.value(node, kind)
            except UnreadableError:
                return literal(NOT_SET)

    def needed(self, mapping: Mapping, key: str, kind: str) -> Expression:
        """A value that must be there."""
        value = self.expression(mapping, key, kind)
        if value is None:
            self.error(mapping, f"{key} is missing", f"Give it: `{key}: {{lit: …}}` or `{key}: {{exp: …}}`")
            return literal(NOT_SET)
        return value

    def value(self, node: Node, kind: str) -> Expression | None:
        """A wrapped value. None: no value."""
        if isinstance(node, Scalar):
            return None if node.is_null else literal(self.literal(node, kind))
        if isinstance(node, Mapping):
            keys = [key for key in _WRAPPERS if key in node.items]
            if len(keys) == 1:
                return self.wrapped(keys[0], node.items[keys[0]], kind)
            if len(keys) > 1:
                raise self.stop(node, f"both {keys[0]} and {keys[1]} are given", "Keep one of them")
        return literal(self.literal(node, kind))

    def wrapped(self, wrapper: str, node: Node, kind: str) -> Expression | None:
        """What stands behind ``lit``, ``exp``, …"""
        if wrapper in ("noValue", "none"):
            return None
        if wrapper == "lit":
            return None if isinstance(node, Scalar) and node.is_null else literal(self.literal(node, kind))
        if not isinstance(node, Scalar):
            raise self.stop(node, f"{wrapper} holds no text", "Put the expression into quotes")
        found = self.parsed(node)
        if wrapper == "var" and not isinstance(found.root, Name):
            raise self.stop(node, f"{node.text!r} is no variable", "Variables are Flow.x, Task.x or State.x")
        return found

    def parsed(self, node: Scalar) -> Expression:
        """An expression, its variables noted."""
        try:
            found = expressions.parse(node.text)
        except FlowExpressionError as error:
            said = f"expression {node.text[:80]!r}, character {error.column}: {error}"
            raise self.stop(node, said, error.remedy) from error
        self.expressions.append((found, self.names, node, self.here()))
        for variable in found.variables():
            self.use(variable.name, node)
        for prompt in found.prompts():
            self.refer("prompt", prompt, node)
        for part in found.nodes():
            if isinstance(part, Call) and part.function == "toaudiotts":
                given = [a.value if isinstance(a, Constant) else NOT_SET for a in part.arguments]
                if isinstance(given[0], str):
                    self.texts.add((given[0], to_text(given[1]).lower() if len(given) > 1 else ""))
        return found

    def literal(self, node: Node, kind: str) -> Value:
        """A literal of a kind."""
        if isinstance(node, Scalar):
            return self.scalar(node, kind)
        if isinstance(node, Mapping):
            if kind in ("duration", "any") and node.items and set(node.items) <= set(_UNITS):
                return self.duration(node)
            if kind in ("name", "text", "any"):
                for key in ("name", "id", "email"):
                    if isinstance(inner := node.items.get(key), Scalar):
                        return inner.text
        wanted = {"duration": "a duration such as {seconds: 5}", "name": "a name such as {name: …}"}.get(
            kind, f"a {kind}"
        )
        raise self.stop(node, f"{wanted} is expected here")

    def scalar(self, node: Scalar, kind: str) -> Value:
        """A literal that is one word or text."""
        text = node.text.strip()
        if kind in ("text", "name"):
            return node.text
        if kind == "boolean" or (kind == "any" and node.plain and text.lower() in ("true", "false")):
            if text.lower() in ("true", "false"):
                return text.lower() == "true"
            raise self.stop(node, f"{text[:40]!r} is neither true nor false")
        if kind == "any" and not (node.plain and re.fullmatch(r"-?(0|[1-9][0-9]{0,14})(\.[0-9]{1,9})?", text)):
            return node.text
        try:
            number = to_number(text)
            return self.span(node, number) if kind == "duration" else number
        except FlowExpressionError:
            remedy = "Write {seconds: 5}" if kind == "duration" else ""
            raise self.stop(node, f"{text[:40]!r} is no number", remedy) from None

    def duration(self, node: Mapping) -> timedelta:
        """``{minutes: 1, seconds: 30}``"""
        total = 0.0
        for unit, value in node.items.items():
            if not isinstance(value, Scalar):
                raise self.stop(value, f"{unit} is no number")
            total += float(to_number(self.scalar(value, "number"))) * _UNITS[unit]
        return self.span(node, total)

    def span(self, node: Node, seconds: float) -> timedelta:
        """Seconds as a duration."""
        if not 0 <= seconds <= 10 * 366 * 86_400:
            raise self.stop(node, f"{seconds:g} seconds are no duration that we keep", "Write {seconds: 5}")
        return timedelta(seconds=seconds)

    def seconds(self, mapping: Mapping, key: str, default: float | None) -> float | None:
        """A literal duration of a settings block, in seconds."""
        value = self.expression(mapping, key, "duration")
        if value is None or value.constant is NOT_SET:
            return default
        if value.constant is None:
            with self.at(key):
                self.error(mapping.items[key], "a setting cannot be an expression", "Write {lit: {seconds: 5}}")
            return default
        return float(to_number(value.constant))

    # Variables and references

    def use(self, name: str, node: Node) -> None:
        """A variable is read."""
        scope = name.lower().split(".")[0]
        if scope == "call":
            if name.lower() not in CALL_VARIABLES:
                known = ", ".join(f"Call.{word.split('.')[1]}" for word in CALL_VARIABLES)
                self.error(node, f"unknown variable {name}", f"There are {known}")
        elif scope == "flow":
            self.flow_names.used.append((name, node, self.here()))
        elif scope in ("task", "state"):
            self.names.used.append((name, node, self.here()))
        else:
            self.error(node, f"unknown variable {name}", "Variables are Flow.x, Task.x, State.x and Call.x")

    def declare(self, name: str, node: Node, kind: str = "") -> str:
        """A variable is declared or written; its name in lower case."""
        lower = name.strip().lower()
        if not re.fullmatch(r"(flow|task|state)\.[a-z_][a-z0-9_]*", lower):
            self.error(node, f"{name[:80]!r} is no variable", "Variables are Flow.x, Task.x or State.x")
            return ""
        names = self.flow_names if lower.startswith("flow.") else self.names
        names.kinds[lower] = kind if names.kinds.get(lower, kind) == kind else ""
        names.known.add(lower)
        return lower

    def target_variable(self, mapping: Mapping, key: str, kind: str = "") -> str:
        """The variable that an action writes to: ``var: Task.x``, ``name: Task.x`` or bare; empty: none."""
        node = mapping.items.get(key)
        if isinstance(node, Mapping):
            if "noValue" in node.items or "none" in node.items:
                return ""
            node = node.items.get("var") or node.items.get("name") or node.items.get("lit") or node
        if node is None or (isinstance(node, Scalar) and node.is_null):
            return ""
        with self.at(key):
            if isinstance(node, Scalar):
                return self.declare(node.text, node, kind)
            self.error(node, "a variable is expected here", "Write {var: Task.x}")
        return ""

    def refer_typed(self, type_name: str, mapping: Mapping, key: str, value: Expression | None) -> None:
        """A literal given to a variable of a type that names things outside the flow."""
        if value is not None and isinstance(value.constant, str) and value.constant and type_name in _THINGS:
            self.refer(_THINGS[type_name], value.constant, mapping.items[key])

    def refer(self, kind: str, name: str, node: Node) -> None:
        """Something outside the flow is named."""
        self.references.add(Reference(kind, name, node.line))

    def target(self, mapping: Mapping, key: str, kind: str) -> Expression:
        """A named thing outside the flow."""
        value = self.needed(mapping, key, "name")
        if isinstance(value.constant, str):
            if not value.constant.strip():
                with self.at(key):
                    self.error(mapping.items[key], f"the {kind}'s name is empty")
            self.refer(kind, value.constant, mapping.items[key])
        return value


def value_kind(type_name: str) -> str:
    """Kind of the literals of a variable's type: ``integer`` -> ``number``; ``any`` for names of things and others."""
    return _TYPES.get(type_name, "any")
