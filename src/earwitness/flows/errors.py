"""What is wrong with a flow, told so that its author can mend it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FlowError:
    """One mistake in a flow's text."""

    line: int
    """From 1."""
    column: int
    """From 1."""
    path: str
    """Where in the document: ``inboundCall.tasks[0].actions[2].playAudio``."""
    message: str
    """What is wrong."""
    remedy: str = ""
    """What to do about it."""

    def __str__(self) -> str:
        where = f"line {self.line}, column {self.column}"
        place = f" ({self.path})" if self.path else ""
        return f"{where}{place}: {self.message}" + (f". {self.remedy}" if self.remedy else "")


class FlowErrors(ValueError):  # noqa: N818  several of them
    """A flow cannot be published. ``errors`` has every mistake that was found, in the order of the text."""

    def __init__(self, errors: Iterable[FlowError]) -> None:
        self.errors: tuple[FlowError, ...] = tuple(sorted(errors, key=lambda e: (e.line, e.column)))
        super().__init__("\n".join(str(error) for error in self.errors))


class FlowExpressionError(ValueError):
    """An expression that cannot be read (``column`` is the place in it, from 1), or has no value."""

    def __init__(self, message: str, column: int = 0, remedy: str = "") -> None:
        super().__init__(message)
        self.column = column
        self.remedy = remedy
