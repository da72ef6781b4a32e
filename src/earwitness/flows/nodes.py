"""The parts of an expression, and what evaluating them sees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from earwitness.flows.values import Value


@dataclass(frozen=True, slots=True)
class Constant:
    """A value that is always the same."""

    value: Value


@dataclass(frozen=True, slots=True)
class Name:
    """A variable or a prompt."""

    name: str
    column: int


@dataclass(frozen=True, slots=True)
class Call:
    """A function call."""

    function: str
    arguments: tuple[Node, ...]
    column: int


@dataclass(frozen=True, slots=True)
class Operation:
    """An operator with one or two operands, or a property (operator ``.``)."""

    operator: str
    operands: tuple[Node, ...]
    column: int


Node = Constant | Name | Call | Operation


class Scope(Protocol):
    """What an expression sees."""

    @property
    def now(self) -> int:
        """UTC microseconds."""

    def value(self, name: str) -> Value:
        """Value of a variable (name in lower case)."""


def is_prompt(name: str) -> bool:
    """``Prompt.x`` and ``PromptSystem.x`` are audio, not variables."""
    return name.lower().startswith(("prompt.", "promptsystem."))
