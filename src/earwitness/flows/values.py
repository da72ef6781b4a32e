"""The values that expressions work on, and how one becomes another.

Texts, numbers, truth values, moments (UTC), durations, audio, and ``NOT_SET``: the value of a variable that nobody has
set. ``NOT_SET`` equals only itself; a condition that is not set counts as false.
"""

from __future__ import annotations

import enum
import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from earwitness.flows.errors import FlowExpressionError

MAX_TEXT = 32_000
"""Characters that a value may have."""
MAX_NUMBER = 10**15


class NotSet(enum.Enum):
    """The type of ``NOT_SET``."""

    NOT_SET = "NOT_SET"

    def __repr__(self) -> str:
        return "NOT_SET"


NOT_SET: Final = NotSet.NOT_SET


@dataclass(frozen=True, slots=True)
class Say:
    """A text to be spoken."""

    text: str
    language: str = ""
    """``en-us``; in an expression's value empty: the call's language."""


@dataclass(frozen=True, slots=True)
class PromptRef:
    """A recorded prompt: ``Prompt.name`` is the user's, ``PromptSystem.name`` the product's."""

    name: str
    language: str = ""


@dataclass(frozen=True, slots=True)
class Silence:
    """Nothing, for a while."""

    ms: int


@dataclass(frozen=True, slots=True)
class Beep:
    """A short tone."""


AudioItem = Say | PromptRef | Silence | Beep


@dataclass(frozen=True, slots=True)
class Audio:
    """Items played one after the other."""

    items: tuple[AudioItem, ...]
    bargeable: bool = True
    """A digit stops it."""


Value = bool | int | float | str | datetime | timedelta | Audio | NotSet


def prompt_item(name: str) -> AudioItem:
    """The audio item of a prompt's name; ``PromptSystem.beep`` is the tone."""
    return Beep() if name.lower() == "promptsystem.beep" else PromptRef(name)


def kind(value: Value) -> str:
    """What a value is, in the words of an error message."""
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return "number"
    if isinstance(value, str):
        return "text"
    if isinstance(value, datetime):
        return "date and time"
    if isinstance(value, timedelta):
        return "duration"
    return "audio" if isinstance(value, Audio) else "NOT_SET"


def bounded(value: Value) -> Value:
    """The value itself, if it is of a size that we handle.

    :raises FlowExpressionError: it is not.
    """
    if isinstance(value, str) and len(value) > MAX_TEXT:
        raise FlowExpressionError(f"a text of more than {MAX_TEXT} characters")
    if isinstance(value, (int, float)) and not isinstance(value, bool) and not abs(value) <= MAX_NUMBER:
        raise FlowExpressionError(f"a number beyond {MAX_NUMBER}")
    if isinstance(value, Audio) and len(value.items) > 100:
        raise FlowExpressionError("audio of more than 100 parts")
    return value


def to_text(value: Value) -> str:
    """A value as text; not set is empty."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(int(value)) if float(value).is_integer() else repr(float(value))
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(value, timedelta):
        return f"PT{to_text(value.total_seconds())}S"
    if isinstance(value, Audio):
        return " ".join(item.text for item in value.items if isinstance(item, Say))
    return ""


def to_number(value: Value) -> int | float:
    """A value as a number.

    :raises FlowExpressionError: it is none.
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    if isinstance(value, timedelta):
        return value.total_seconds()
    text = value.strip() if isinstance(value, str) else ""
    if re.fullmatch(r"[+-]?[0-9]{1,18}", text):
        return int(text)
    if re.fullmatch(r"[+-]?[0-9]{0,18}\.[0-9]{1,18}", text):
        return float(text)
    raise FlowExpressionError(f"{_shown(value)} is no number")


def to_truth(value: Value) -> bool:
    """A value as a condition.

    :raises FlowExpressionError: it is neither true, false nor not set.
    """
    if isinstance(value, bool):
        return value
    if value is NOT_SET:
        return False
    if isinstance(value, str) and value.strip().lower() in ("true", "false"):
        return value.strip().lower() == "true"
    raise FlowExpressionError(f"{_shown(value)} is neither true nor false")


def to_seconds(value: Value) -> float:
    """A duration, or a number of seconds, as seconds; at least 0.

    :raises FlowExpressionError: it is none.
    """
    seconds = float(to_number(value))
    if not math.isfinite(seconds):
        raise FlowExpressionError("a duration without end")
    return max(seconds, 0.0)


def to_phone_number(value: Value) -> str:
    """``tel:+49 30-123`` and ``sip:+4930123@host`` as ``+4930123``; other addresses as they are."""
    text = to_text(value).strip()
    text = re.sub(r"^(tel|sips?):", "", text, flags=re.IGNORECASE).split("@")[0].split(";")[0]
    plain = re.sub(r"[\s().\-]", "", text)
    return plain if re.fullmatch(r"\+?[0-9*#]+", plain) else text


def moment(us: int) -> datetime:
    """A time of this project (UTC microseconds) as a value.

    :raises FlowExpressionError: out of range.
    """
    try:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=us)
    except OverflowError as error:
        raise FlowExpressionError("a time out of range") from error


def _shown(value: Value) -> str:
    return f"{value!r:.60}" if isinstance(value, str) else f"{kind(value)}"
