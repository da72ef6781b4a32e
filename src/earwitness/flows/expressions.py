"""Expressions: read once when a flow is published, evaluated during calls. Nothing of Python is reachable from them.

::

    or      and      not      == != <> < <= > >=      + -      * / %      - (sign)      .e164
    12  3.5  "text"  true  false  NOT_SET  Call.Ani  Flow.name  Prompt.name  Function(a, b)

Words and names are read without regard to case. Bounds: an expression has at most ``MAX_LENGTH`` characters and is
nested at most ``MAX_DEPTH`` deep; values are bounded by ``values.bounded``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from earwitness.flows.errors import FlowExpressionError
from earwitness.flows.evaluation import evaluate
from earwitness.flows.functions import FUNCTIONS, names
from earwitness.flows.nodes import Call, Constant, Name, Node, Operation, Scope, is_prompt
from earwitness.flows.values import NOT_SET, Value, bounded, to_text

MAX_LENGTH = 10_000
MAX_DEPTH = 40
MAX_HEIGHT = 120

_TOKEN = re.compile(
    r"""\s*(?:(?P<number>[0-9]+(?:\.[0-9]+)?)
    |(?P<text>"(?:[^"\\]|\\.)*")
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*)
    |(?P<sign>==|!=|<>|<=|>=|&&|\|\||[-+*/%<>!(),.]))""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}
_COMPARISONS = {"==", "!=", "<>", "<", "<=", ">", ">="}


@dataclass(frozen=True, slots=True)
class Expression:
    """A checked expression."""

    source: str
    root: Node = field(repr=False)

    def evaluate(self, scope: Scope) -> Value:
        """Its value now.

        :raises FlowExpressionError: it has none (wrong kinds, division by zero, out of bounds).
        """
        return evaluate(self.root, scope)

    @property
    def constant(self) -> Value | None:
        """The value, if it is a literal."""
        return self.root.value if isinstance(self.root, Constant) else None

    def nodes(self) -> Iterator[Node]:
        """All parts."""
        waiting = [self.root]
        while waiting:
            node = waiting.pop()
            yield node
            if isinstance(node, Call):
                waiting.extend(node.arguments)
            elif isinstance(node, Operation):
                waiting.extend(node.operands)

    def variables(self) -> list[Name]:
        """Variables that it reads; prompts are none."""
        return [node for node in self.nodes() if isinstance(node, Name) and not is_prompt(node.name)]

    def prompts(self) -> list[str]:
        """Prompts that it names."""
        return [node.name for node in self.nodes() if isinstance(node, Name) and is_prompt(node.name)]


def literal(value: Value) -> Expression:
    """An expression that is always ``value``."""
    return Expression(to_text(value), Constant(value))


def parse(source: str) -> Expression:
    """Reads an expression.

    :raises FlowExpressionError: it is none, or calls a function that we do not have.
    """
    if len(source) > MAX_LENGTH:
        raise FlowExpressionError(f"an expression of more than {MAX_LENGTH} characters")
    parser = _Parser(source)
    root = parser.either(0)
    parser.end()
    return Expression(source, root)


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    column: int


def _tokens(source: str) -> list[_Token]:
    tokens: list[_Token] = []
    at = 0
    end = len(source.rstrip())
    while at < end:
        match = _TOKEN.match(source, at)
        if match is None or match.lastgroup is None:
            rest = source[at:].lstrip()
            hint = (
                "Compare with =="
                if rest[0] == "="
                else 'Texts stand in double quotes: "text"'
                if rest[0] in "'\""
                else ""
            )
            raise FlowExpressionError(f"cannot read {rest[:20]!r}", end - len(rest.rstrip()) + 1, hint)
        tokens.append(_Token(match.lastgroup, match[match.lastgroup], match.start(match.lastgroup) + 1))
        at = match.end()
    tokens.append(_Token("end", "", len(source) + 1))
    return tokens


class _Parser:
    """Recursive descent; ``depth`` bounds it."""

    def __init__(self, source: str) -> None:
        self.tokens = _tokens(source)
        self.at = 0
        self.heights: dict[int, int] = {}
        self.kept: list[Node] = []

    def take(self, *texts: str) -> _Token | None:
        """The next token, if it is one of these signs or words."""
        token = self.tokens[self.at]
        if token.kind in ("sign", "name") and token.text.lower() in texts:
            self.at += 1
            return token
        return None

    def end(self) -> None:
        token = self.tokens[self.at]
        if token.kind != "end":
            raise FlowExpressionError(f"unexpected {token.text[:20]!r}", token.column)

    def either(self, depth: int) -> Node:
        if depth > MAX_DEPTH:
            raise FlowExpressionError(f"nested more than {MAX_DEPTH} deep", self.tokens[self.at].column)
        left = self.both(depth)
        while token := self.take("or", "||"):
            left = self.join("or", left, self.both(depth), token)
        return left

    def both(self, depth: int) -> Node:
        left = self.negation(depth)
        while token := self.take("and", "&&"):
            left = self.join("and", left, self.negation(depth), token)
        return left

    def negation(self, depth: int) -> Node:
        first = self.tokens[self.at]
        signs = 0
        while self.take("not", "!"):
            signs += 1
        node = self.comparison(depth)
        return self.made(Operation("not", (node,), first.column)) if signs % 2 else node

    def comparison(self, depth: int) -> Node:
        left = self.sum(depth)
        if token := self.take(*_COMPARISONS):
            operator = "!=" if token.text == "<>" else token.text
            return self.made(Operation(operator, (left, self.sum(depth)), token.column))
        return left

    def sum(self, depth: int) -> Node:
        left = self.product(depth)
        while token := self.take("+", "-"):
            left = self.join(token.text, left, self.product(depth), token)
        return left

    def product(self, depth: int) -> Node:
        left = self.sign(depth)
        while token := self.take("*", "/", "%"):
            left = self.join(token.text, left, self.sign(depth), token)
        return left

    def join(self, operator: str, left: Node, right: Node, token: _Token) -> Node:
        return self.made(Operation(operator, (left, right), token.column))

    def made(self, node: Call | Operation) -> Node:
        """Bounds what evaluating a node will recurse."""
        parts = node.arguments if isinstance(node, Call) else node.operands
        height = 1 + max((self.heights.get(id(part), 0) for part in parts), default=0)
        if height > MAX_HEIGHT:
            raise FlowExpressionError("too many parts", node.column, "Split it with Update Data actions")
        self.heights[id(node)] = height
        self.kept.append(node)
        return node

    def sign(self, depth: int) -> Node:
        token = self.take("-")
        if token is None:
            return self.property(depth)
        if depth > MAX_DEPTH:
            raise FlowExpressionError(f"nested more than {MAX_DEPTH} deep", token.column)
        node = self.sign(depth + 1)
        if isinstance(node, Constant) and isinstance(node.value, (int, float)) and not isinstance(node.value, bool):
            return Constant(-node.value)
        return self.made(Operation("-", (node,), token.column))

    def property(self, depth: int) -> Node:
        node = self.atom(depth)
        while token := self.take("."):
            name = self.tokens[self.at]
            if name.kind != "name" or name.text.lower() not in _PROPERTIES:
                raise FlowExpressionError(
                    f"no property {name.text!r}", name.column, f"There is {', '.join(_PROPERTIES)}"
                )
            self.at += 1
            node = self.made(Operation(f".{name.text.lower()}", (node,), token.column))
        return node

    def atom(self, depth: int) -> Node:
        token = self.tokens[self.at]
        self.at += 1
        if token.kind == "number":
            return Constant(bounded(float(token.text) if "." in token.text else int(token.text[:20])))
        if token.kind == "text":
            return Constant(bounded(re.sub(r"\\(.)", _escaped, token.text[1:-1], flags=re.DOTALL)))
        if token.kind == "name":
            return self.name(token, depth)
        if token.text == "(":
            node = self.either(depth + 1)
            if not self.take(")"):
                raise FlowExpressionError("a bracket is not closed", token.column)
            return node
        what = "the end" if token.kind == "end" else repr(token.text)
        raise FlowExpressionError(f"a value is missing before {what}", token.column)

    def name(self, token: _Token, depth: int) -> Node:
        word = token.text.lower()
        if self.take("("):
            return self.call(token, depth)
        if word in ("true", "false"):
            return Constant(word == "true")
        if word == "not_set":
            return Constant(NOT_SET)
        if "." not in word:
            raise FlowExpressionError(
                f"unknown name {token.text!r}",
                token.column,
                'Variables are Flow.x, Task.x, State.x or Call.x; texts stand in double quotes: "text"',
            )
        scope, variable, *properties = token.text.split(".")
        node: Node = Name(f"{scope}.{variable}", token.column)
        for word in properties:
            node = self.made(Operation(_property(word, token.column), (node,), token.column))
        return node

    def call(self, token: _Token, depth: int) -> Node:
        function = FUNCTIONS.get(token.text.lower())
        if function is None:
            raise FlowExpressionError(f"unknown function {token.text}", token.column, f"There are {', '.join(names())}")
        arguments: list[Node] = []
        if not self.take(")"):
            arguments.append(self.either(depth + 1))
            while self.take(","):
                arguments.append(self.either(depth + 1))
            if not self.take(")"):
                raise FlowExpressionError(f"the bracket of {function.name} is not closed", token.column)
        if not function.least <= len(arguments) <= function.most:
            wanted = str(function.least) + (f" to {function.most}" if function.most != function.least else "")
            raise FlowExpressionError(f"{function.name} takes {wanted} arguments, not {len(arguments)}", token.column)
        return self.made(Call(token.text.lower(), tuple(arguments), token.column))


_PROPERTIES = ("e164", "name", "id")


def _property(word: str, column: int) -> str:
    if word.lower() not in _PROPERTIES:
        raise FlowExpressionError(f"no property {word!r}", column, f"There are {', '.join(_PROPERTIES)}")
    return f".{word.lower()}"


def _escaped(match: re.Match[str]) -> str:
    return _ESCAPES.get(match[1], match[1])
