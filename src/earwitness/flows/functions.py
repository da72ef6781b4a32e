"""The functions that expressions may call. Names are looked up without regard to case."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from earwitness.flows.errors import FlowExpressionError
from earwitness.flows.values import (
    NOT_SET,
    Audio,
    Say,
    Silence,
    Value,
    kind,
    moment,
    to_number,
    to_phone_number,
    to_text,
    to_truth,
)


@dataclass(frozen=True, slots=True)
class Function:
    """One function."""

    name: str
    least: int
    """Arguments that it needs."""
    most: int
    gives: str
    """Kind of its value (``values.kind``); empty: depends."""
    call: Callable[[tuple[Value, ...], int], Value]
    """(arguments, now in UTC microseconds) -> value."""
    takes_unset: bool = False
    """False: NOT_SET among the arguments makes the value NOT_SET."""


FUNCTIONS: dict[str, Function] = {}


def _function(
    name: str, least: int, most: int | None = None, gives: str = "", *, takes_unset: bool = False
) -> Callable[[Callable[[tuple[Value, ...], int], Value]], Callable[[tuple[Value, ...], int], Value]]:
    def add(call: Callable[[tuple[Value, ...], int], Value]) -> Callable[[tuple[Value, ...], int], Value]:
        FUNCTIONS[name.lower()] = Function(name, least, least if most is None else most, gives, call, takes_unset)
        return call

    return add


def _integer(value: Value) -> int:
    number = to_number(value)
    if not math.isfinite(number):
        raise FlowExpressionError("a number without end")
    return math.trunc(number)


def _date(value: Value) -> datetime:
    if isinstance(value, datetime):
        return value
    if isinstance(value, str):
        try:
            read = datetime.fromisoformat(value.strip())
        except ValueError as error:
            raise FlowExpressionError(f"{value!r:.60} is no date and time") from error
        return read if read.tzinfo else read.replace(tzinfo=UTC)
    raise FlowExpressionError(f"{kind(value)} is no date and time")


def _shift(value: Value, delta: timedelta) -> datetime:
    try:
        return _date(value) + delta
    except OverflowError as error:
        raise FlowExpressionError("a time out of range") from error


def _span(**parts: float) -> timedelta:
    try:
        return timedelta(**parts)
    except (OverflowError, ValueError) as error:
        raise FlowExpressionError("a duration out of range") from error


def _in_zone(date: datetime, zone: str) -> datetime:
    try:
        return date.astimezone(ZoneInfo(zone))
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise FlowExpressionError(f"no time zone {zone[:40]!r}", remedy="Zones are called Europe/Berlin") from error
    except OverflowError as error:
        raise FlowExpressionError("a time out of range") from error


def _simple(name: str, gives: str, call: Callable[..., Value], arguments: int = 1) -> None:
    _function(name, arguments, gives=gives)(lambda values, _now: call(*values))


_function("IsSet", 1, gives="boolean", takes_unset=True)(lambda v, _: v[0] is not NOT_SET)
_function("IsNotSet", 1, gives="boolean", takes_unset=True)(lambda v, _: v[0] is NOT_SET)
_function("IsNotSetOrEmpty", 1, gives="boolean", takes_unset=True)(lambda v, _: v[0] is NOT_SET or v[0] == "")
_simple("ToString", "text", to_text)
_simple("ToDisplayString", "text", to_text)
_simple("ToNumber", "number", to_number)
_simple("ToDecimal", "number", to_number)
_simple("ToInt", "number", _integer)
_simple("ToInteger", "number", _integer)
_simple("ToBool", "boolean", to_truth)
_simple("ToPhoneNumber", "text", to_phone_number)
_simple("ToDateTime", "date and time", _date)
_simple("Length", "number", lambda text: len(to_text(text)))
_simple("Upper", "text", lambda text: to_text(text).upper())
_simple("Lower", "text", lambda text: to_text(text).lower())
_simple("Trim", "text", lambda text: to_text(text).strip())
_simple("Abs", "number", lambda number: abs(to_number(number)))
_simple("Floor", "number", lambda number: math.floor(to_number(number)))
_simple("Ceiling", "number", lambda number: math.ceil(to_number(number)))
_simple("Hour", "number", lambda date: _date(date).hour)
_simple("Minute", "number", lambda date: _date(date).minute)
_simple("Second", "number", lambda date: _date(date).second)
_simple("Day", "number", lambda date: _date(date).day)
_simple("Month", "number", lambda date: _date(date).month)
_simple("Year", "number", lambda date: _date(date).year)
_simple("DayOfWeek", "number", lambda date: _date(date).isoweekday() % 7 + 1)
_simple("AddDays", "date and time", lambda date, n: _shift(date, _span(days=to_number(n))), 2)
_simple("AddHours", "date and time", lambda date, n: _shift(date, _span(hours=to_number(n))), 2)
_simple("AddMinutes", "date and time", lambda date, n: _shift(date, _span(minutes=to_number(n))), 2)
_simple("AddSeconds", "date and time", lambda date, n: _shift(date, _span(seconds=to_number(n))), 2)
_simple("DateTimeDiff", "duration", lambda a, b: _date(a) - _date(b), 2)
_function("ToTimeZone", 2, gives="date and time")(lambda v, _: _in_zone(_date(v[0]), to_text(v[1])))
_function("GetCurrentDateTimeUtc", 0, gives="date and time")(lambda _v, now: moment(now))
_function("FindQueue", 1, gives="text")(lambda v, _: to_text(v[0]))
_function("FindQueueById", 1, gives="text")(lambda v, _: to_text(v[0]))
_function("FindUserById", 1, gives="text")(lambda v, _: to_text(v[0]))
_function("ToAudioTTS", 1, 2, "audio")(lambda v, _: Audio((Say(to_text(v[0]), to_text(v[1]) if len(v) > 1 else ""),)))
_function("ToAudioNumber", 1, gives="audio")(lambda v, _: Audio((Say(to_text(to_number(v[0]))),)))
_function("ToAudioBlank", 1, gives="audio")(lambda v, _: Audio((Silence(min(max(_integer(v[0]), 0), 60_000)),)))


@_function("ToAudio", 1, gives="audio")
def _to_audio(values: tuple[Value, ...], _now: int) -> Value:
    return values[0] if isinstance(values[0], Audio) else Audio((Say(to_text(values[0])),))


@_function("AudioPlaybackOptions", 2, gives="audio")
def _audio_playback_options(values: tuple[Value, ...], _now: int) -> Value:
    if not isinstance(values[0], Audio):
        raise FlowExpressionError(f"AudioPlaybackOptions needs audio, not {kind(values[0])}")
    return Audio(values[0].items, to_truth(values[1]))


@_function("Append", 1, 50, takes_unset=True)
def _append(values: tuple[Value, ...], _now: int) -> Value:
    if not any(isinstance(value, Audio) for value in values):
        return "".join(to_text(value) for value in values)
    parts = [
        value if isinstance(value, Audio) else Audio((Say(to_text(value)),)) for value in values if value is not NOT_SET
    ]
    return Audio(tuple(item for part in parts for item in part.items), all(part.bargeable for part in parts))


def _search(name: str, test: Callable[[str, str], bool]) -> None:
    def call(values: tuple[Value, ...], _now: int) -> Value:
        text, part = to_text(values[0]), to_text(values[1])
        if len(values) > 2 and to_truth(values[2]):
            text, part = text.lower(), part.lower()
        return test(text, part)

    _function(name, 2, 3, "boolean")(call)


_search("Contains", lambda text, part: part in text)
_search("StartsWith", lambda text, part: text.startswith(part))
_search("EndsWith", lambda text, part: text.endswith(part))


@_function("Substring", 2, 3, "text")
def _substring(values: tuple[Value, ...], _now: int) -> Value:
    text, start = to_text(values[0]), max(_integer(values[1]), 0)
    return text[start:] if len(values) == 2 else text[start : start + max(_integer(values[2]), 0)]


_simple("Left", "text", lambda text, n: to_text(text)[: max(_integer(n), 0)], 2)
_simple("Right", "text", lambda text, n: to_text(text)[max(len(to_text(text)) - max(_integer(n), 0), 0) :], 2)


@_function("Replace", 3, gives="text")
def _replace(values: tuple[Value, ...], _now: int) -> Value:
    text, old, new = (to_text(value) for value in values)
    if len(text) * max(len(new), 1) > 10_000_000:
        raise FlowExpressionError("a text too long to replace in")
    return text.replace(old, new) if old else text


@_function("MakeDateTime", 3, 6, "date and time")
def _make_date_time(values: tuple[Value, ...], _now: int) -> Value:
    try:
        return datetime(*(_integer(value) for value in values), tzinfo=UTC)  # type: ignore[arg-type,misc]
    except (ValueError, OverflowError) as error:
        raise FlowExpressionError("no such date") from error


FUNCTIONS["makedatetimeutc"] = FUNCTIONS["makedatetime"]


@_function("MakeDuration", 4, gives="duration")
def _make_duration(values: tuple[Value, ...], _now: int) -> Value:
    days, hours, minutes, seconds = (to_number(value) for value in values)
    return _span(days=days, hours=hours, minutes=minutes, seconds=seconds)


@_function("Round", 1, 2, "number")
def _round(values: tuple[Value, ...], _now: int) -> Value:
    digits = min(max(_integer(values[1]), 0), 10) if len(values) > 1 else 0
    number = round(to_number(values[0]), digits)
    return int(number) if digits == 0 else number


@_function("Min", 1, 20, "number")
def _min(values: tuple[Value, ...], _now: int) -> Value:
    return min(to_number(value) for value in values)


@_function("Max", 1, 20, "number")
def _max(values: tuple[Value, ...], _now: int) -> Value:
    return max(to_number(value) for value in values)


# ``If`` is no function: only the branch that it takes is evaluated. Named here so that it is found and listed.
_function("If", 3, takes_unset=True)(lambda v, _: v[1] if to_truth(v[0]) else v[2])


def names() -> list[str]:
    """All functions, for people."""
    return sorted({function.name for function in FUNCTIONS.values()}, key=str.lower)
