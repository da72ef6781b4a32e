"""The text of a flow -> a tree that knows its lines.

YAML, but only its plain part: one document of mappings, lists and scalars with string keys. Numbers and truth values
are recognised where they are wanted, so that ``yes``, ``no`` and telephone numbers stay what was written. A key that is
given twice, a tag, a merge key, a text beyond ``MAX_BYTES``, nesting beyond ``MAX_DEPTH`` and aliases that would grow
beyond ``MAX_NODES`` are errors.

``{{name}}`` in a scalar is a placeholder of deployment tools. It is filled after the text was read, so that a value
never changes the structure of the document, whatever it contains.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from collections.abc import Mapping as Dictionary
from dataclasses import dataclass

import yaml

from earwitness.flows.errors import FlowError, FlowErrors

MAX_BYTES = 2_000_000
MAX_DEPTH = 100
MAX_NODES = 200_000

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_PLACEHOLDER = re.compile(r"\{\{\s*([A-Za-z0-9_.-]{1,100})\s*\}\}")
_MARK = re.compile("\ue000([0-9]{1,9})\ue001")
_BARE = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,9})?|true|false")
_PROPERTIES = re.compile(r"(?:[&!]\S*\s+)*")
_TEXT_TAG = "tag:yaml.org,2002:str"


@dataclass(frozen=True, slots=True, eq=False)
class Scalar:
    """A text, number or truth value as it was written."""

    line: int
    column: int
    text: str
    plain: bool
    """Not quoted, so it may be a number, a truth value or null."""

    @property
    def is_null(self) -> bool:
        """Nothing was written, or ``null``."""
        return self.plain and self.text.lower() in ("", "~", "null")


@dataclass(frozen=True, slots=True, eq=False)
class Sequence:
    """A list."""

    line: int
    column: int
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Mapping:
    """Keys with what they hold, in their order."""

    line: int
    column: int
    items: dict[str, Node]
    places: dict[str, tuple[int, int]]
    """Line and column of each key."""


Node = Scalar | Sequence | Mapping


def read(text: str, substitutions: Dictionary[str, str]) -> Node:
    """The document's tree.

    :param substitutions: values for ``{{name}}`` placeholders.
    :raises FlowErrors: not such a document, or a placeholder without a value.
    """
    if len(text) > MAX_BYTES or len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise FlowErrors([FlowError(1, 1, "", f"a flow of more than {MAX_BYTES} bytes", "Split it into several flows")])
    return _Builder(substitutions).build(text.removeprefix("\ufeff"))


def filled(text: str, substitutions: Dictionary[str, str]) -> str:
    """The text with its placeholders filled, to be kept and read later without substitutions.

    Texts that hold a placeholder come out in double quotes, so that no value changes the structure; numbers and truth
    values stay plain. Placeholders in comments stay.

    :raises FlowErrors: as ``read`` does.
    """
    builder = _Builder(substitutions)
    text = text.removeprefix("\ufeff")
    builder.build(text)
    marked = _PLACEHOLDER.sub(builder.mark_again(), text)
    for start, end, value, plain in sorted(builder.spans, reverse=True):
        old = marked[start:end]
        new = value if plain and _BARE.fullmatch(value) else json.dumps(value, ensure_ascii=False)
        kept = _PROPERTIES.match(old)
        new = (kept[0] if kept else "") + new
        marked = marked[:start] + new + ("\n" if old.endswith("\n") else "") + marked[end:]
    return _MARK.sub(builder.unmark, marked)


class _Builder:
    def __init__(self, substitutions: Dictionary[str, str]) -> None:
        self.substitutions = substitutions
        self.placeholders: list[str] = []
        self.errors: list[FlowError] = []
        self.anchors: dict[str, tuple[Node, int]] = {}
        self.nodes = 0
        self.spans: list[tuple[int, int, str, bool]] = []
        """Scalars that hold placeholders: (start, end, filled text, plain), positions in the marked text."""

    def build(self, text: str) -> Node:
        if "\ue000" in text or "\ue001" in text:
            raise FlowErrors([FlowError(1, 1, "", "characters of a private alphabet (U+E000)", "Remove them")])
        self.placeholders.clear()
        marked = _PLACEHOLDER.sub(self._mark, text)
        try:
            self.events = yaml.parse(marked, Loader=_LOADER)
            root = self._document()
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
            said = _MARK.sub(self.unmark, str(error.problem or error.context or "cannot be read"))
            raise FlowErrors(
                [FlowError(line, column, "", f"not YAML: {said}", "Check indentation and quotes")]
            ) from error
        except (yaml.YAMLError, UnicodeError) as error:
            said = str(error).splitlines()[0][:200]
            raise FlowErrors([FlowError(1, 1, "", f"not YAML: {said}", "Save the file as UTF-8 text")]) from error
        except RecursionError as error:
            raise FlowErrors([FlowError(1, 1, "", f"nested more than {MAX_DEPTH} deep")]) from error
        if self.errors:
            raise FlowErrors(self.errors[:100])
        return root

    def _mark(self, match: re.Match[str]) -> str:
        self.placeholders.append(match[1])
        return f"\ue000{len(self.placeholders) - 1}\ue001"

    def mark_again(self) -> Callable[[re.Match[str]], str]:
        """Marks placeholders as ``build`` did."""
        self.placeholders.clear()
        return self._mark

    def unmark(self, match: re.Match[str]) -> str:
        """The placeholder as it was written."""
        return "{{" + self.placeholders[int(match[1])] + "}}"

    def _document(self) -> Node:
        next(self.events)  # the stream
        event = next(self.events)
        if isinstance(event, yaml.StreamEndEvent):
            raise FlowErrors([FlowError(1, 1, "", "the file is empty")])
        root = self._node(next(self.events), 0)
        next(self.events)  # the document's end
        event = next(self.events)
        if not isinstance(event, yaml.StreamEndEvent):
            self._stop(event, "a second document", "A file has one flow")
        return root

    def _stop(self, event: yaml.Event, message: str, remedy: str = "") -> None:
        raise FlowErrors([*self.errors, FlowError(*_place(event), "", message, remedy)])

    def _node(self, event: yaml.Event, depth: int) -> Node:
        if depth > MAX_DEPTH:
            self._stop(event, f"nested more than {MAX_DEPTH} deep")
        if isinstance(event, yaml.AliasEvent):
            known = self.anchors.get(event.anchor)
            if known is None:
                self._stop(event, f"no anchor {event.anchor!r} before this place")
            else:
                self._count(event, known[1])
                return known[0]
        before = self.nodes
        self._count(event, 1)
        if event.tag is not None and event.tag not in ("!", _TEXT_TAG):
            self._stop(event, f"the tag {event.tag!r}", "Flows have no tags: write the value alone")
        node = self._plain(event, depth)
        if event.anchor is not None:
            self.anchors[event.anchor] = (node, self.nodes - before)
        return node

    def _count(self, event: yaml.Event, nodes: int) -> None:
        self.nodes += nodes
        if self.nodes > MAX_NODES:
            self._stop(event, f"more than {MAX_NODES} values", "Split it into several flows")

    def _plain(self, event: yaml.Event, depth: int) -> Node:
        line, column = _place(event)
        if isinstance(event, yaml.ScalarEvent):
            plain = event.style in (None, "")
            value = self._filled(event.value, line, column)
            if "\ue000" in event.value:
                self.spans.append((event.start_mark.index, event.end_mark.index, value, plain))
            return Scalar(line, column, value, plain)
        if isinstance(event, yaml.SequenceStartEvent):
            items: list[Node] = []
            while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
                items.append(self._node(event, depth + 1))
            return Sequence(line, column, tuple(items))
        return self._mapping(line, column, depth)

    def _mapping(self, line: int, column: int, depth: int) -> Mapping:
        items: dict[str, Node] = {}
        places: dict[str, tuple[int, int]] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            key = self._node(event, depth + 1)
            value = self._node(next(self.events), depth + 1)
            if not isinstance(key, Scalar):
                self.errors.append(
                    FlowError(key.line, key.column, "", "a key that is not a word", "Keys are plain words")
                )
            elif key.text == "<<":
                self.errors.append(FlowError(key.line, key.column, "", "a merge key", "Write the keys themselves"))
            elif key.text in items:
                first = places[key.text][0]
                said = f"{key.text!r} is given twice, first on line {first}"
                self.errors.append(FlowError(key.line, key.column, "", said, "Remove one of them"))
            else:
                items[key.text] = value
                places[key.text] = (key.line, key.column)
        return Mapping(line, column, items, places)

    def _filled(self, text: str, line: int, column: int) -> str:
        def fill(match: re.Match[str]) -> str:
            number = int(match[1])
            name = self.placeholders[number]
            if name in self.substitutions:
                return self.substitutions[name]
            remedy = f"Give it a value: --set {name}=…"
            self.errors.append(FlowError(line, column, "", f"the placeholder {{{{{name}}}}} has no value", remedy))
            return ""

        return _MARK.sub(fill, text) if "\ue000" in text else text


def _place(event: yaml.Event) -> tuple[int, int]:
    mark = event.start_mark
    return (mark.line + 1, mark.column + 1) if mark else (1, 1)
