"""Time in conditions: date ranges, slots of the week in a zone, durations. Times UTC microseconds. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from earwitness.domain.policy.reading import Part

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY_MS = 24 * 3600 * 1000
WEEK_MS = 7 * DAY_MS
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
LONGEST_US = 366 * 24 * 3600 * 1_000_000
_CLOCK = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2})(?:\.(\d{1,3}))?)?")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_ISO = re.compile(r"P(?:(\d{1,6})D)?(?:T(?:(\d{1,6})H)?(?:(\d{1,6})M)?(?:(\d{1,9})(?:\.(\d{1,3}))?S)?)?", re.IGNORECASE)
_CLOCK_SPAN = re.compile(r"(\d{1,4}):(\d{2})(?::(\d{2})(?:\.(\d{1,3}))?)?")


@dataclass(frozen=True, slots=True)
class Slot:
    """Part of every week, in ms since Monday 00:00 of a local week. One that goes past Sunday's end has a later end."""

    start: int
    end: int

    def holds(self, ms: int) -> bool:
        """Whether a time of the week, ms since Monday 00:00, is in it."""
        return self.start <= ms < self.end or self.start <= ms + WEEK_MS < self.end


@dataclass(frozen=True, slots=True)
class Duration:
    """Bounds of a duration, microseconds, inclusive; None: none."""

    least: int | None
    most: int | None

    def holds(self, us: int) -> bool:
        """Whether a duration is within."""
        return (self.least is None or us >= self.least) and (self.most is None or us <= self.most)


def week_ms(us: int, zone: ZoneInfo) -> int:
    """The local time of the week at a moment, ms since Monday 00:00: what clocks on the wall show, summer time too."""
    local = datetime.fromtimestamp(us // 1_000_000, zone)
    seconds = ((local.weekday() * 24 + local.hour) * 60 + local.minute) * 60 + local.second
    return seconds * 1000 + us // 1000 % 1000


def read_zone(part: Part, name: str) -> ZoneInfo:
    """A zone of the IANA database; absent is UTC."""
    key = part.text(name) or "UTC"
    try:
        return ZoneInfo(key)
    except (ValueError, OSError, LookupError) as error:
        raise part.error(name, f"no time zone {key!r}") from error


def read_slot(part: Part) -> Slot:
    """A ``TimeSlot``. One whose stop is before its start ends on the next day; 24:00 is the end of the day."""
    day = part.number("day", 7, 1)
    if day is None:
        raise part.error("day", "is required: 1 is Monday, 7 Sunday")
    start, stop = _clock_ms(part, "startTime"), _clock_ms(part, "stopTime")
    if start == DAY_MS:
        raise part.error("startTime", "must be before 24:00")
    if start == stop:
        raise part.error("stopTime", "is the same as startTime; a whole day is 00:00:00.000 to 24:00:00.000")
    if stop % 1000 == 999:
        stop += 1  # 23:59:59.999 is meant as the end of the day
    base = (day - 1) * DAY_MS
    return Slot(base + start, base + stop + (DAY_MS if stop < start else 0))


def _clock_ms(part: Part, name: str) -> int:
    text = part.text(name)
    found = _CLOCK.fullmatch(text or "")
    if found is None:
        raise part.error(name, "must be a time such as 08:30:00.000")
    hours, minutes, seconds, fraction = found.groups()
    ms = ((int(hours) * 60 + int(minutes)) * 60 + int(seconds or 0)) * 1000 + int((fraction or "").ljust(3, "0"))
    if int(minutes) > 59 or int(seconds or 0) > 59 or ms > DAY_MS:
        raise part.error(name, "is no time of a day")
    return ms


def read_ranges(part: Part, name: str) -> tuple[tuple[int, int], ...]:
    """Date ranges ``start/end``: the start belongs to it, the end does not. An end without a time is that whole day."""
    found = []
    for text in part.texts(name):
        first, slash, last = text.partition("/")
        try:
            start, end = _moment(first, end=False), _moment(last, end=True)
        except (ValueError, OverflowError) as error:
            raise part.error(name, f"{text!r} is no range: {error}") from error
        if not slash or end <= start:
            raise part.error(name, f"{text!r} is no range: start/end, the start before the end")
        found.append((start, end))
    return tuple(found)


def _moment(text: str, *, end: bool) -> int:
    text = text.strip()
    if len(text) > 40:
        raise ValueError("too long for a date")
    if _DATE.fullmatch(text):
        day = date.fromisoformat(text)
        moment = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1 if end else 0)
    else:
        moment = datetime.fromisoformat(text)
        moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return (moment - EPOCH) // timedelta(microseconds=1)


_MODES = {
    **dict.fromkeys(("over", ">", "gt", "greaterthan"), "Over"),
    **dict.fromkeys(("under", "<", "lt", "lessthan"), "Under"),
    "between": "Between",
}


def read_duration(part: Part) -> Duration | None:
    """A ``DurationCondition``: longer than, shorter than, or between two durations, these included.

    ``durationRange`` is one duration, or two with a slash between them: ISO 8601 (``PT90S``, ``PT1M/PT5M``) or clock
    (``00:01:30``). ``durationOperator`` says the same as ``durationMode`` and counts where that is absent.
    """
    if not part.values:
        return None
    target = part.choice("durationTarget", "DURATION", "DURATION_RANGE")
    text = part.text("durationRange")
    if text is None:
        raise part.error("durationRange", "is required, such as PT1M/PT5M")
    spans = [_span(part, piece) for piece in re.split(r"[/,]|(?<=[0-9SMHD])-(?=[0-9P])", text)]
    if len(spans) > 2:
        raise part.error("durationRange", "is one duration, or two")
    mode = part.choice("durationMode", "Between", "Over", "Under")
    operator = part.text("durationOperator")
    if mode is None and operator is not None:
        mode = _MODES.get(operator.replace("_", "").replace(" ", "").casefold())
        if mode is None:
            raise part.error("durationOperator", "must be Over, Under or Between")
    mode = mode or ("Between" if len(spans) == 2 else None)
    if mode is None:
        raise part.error("durationMode", "is required: Over or Under")
    if (mode == "Between") != (len(spans) == 2):
        raise part.error("durationRange", "must be two durations for Between, and one for Over and Under")
    if target == "DURATION" and mode == "Between":
        raise part.error("durationTarget", "DURATION speaks of one duration, Between of two: use DURATION_RANGE")
    if mode == "Between":
        if spans[1] < spans[0]:
            raise part.error("durationRange", "must begin with the shorter duration")
        return Duration(spans[0], spans[1])
    return Duration(spans[0] + 1, None) if mode == "Over" else Duration(None, spans[0] - 1)


def _span(part: Part, text: str) -> int:
    text = text.strip()
    if (iso := _ISO.fullmatch(text)) and any(iso.groups()):
        days, hours, minutes, seconds, fraction = iso.groups()
    elif clock := _CLOCK_SPAN.fullmatch(text):
        days, (hours, minutes, seconds, fraction) = "0", clock.groups()
    else:
        raise part.error("durationRange", f"{text!r} is no duration such as PT1M30S")
    whole = ((int(days or 0) * 24 + int(hours or 0)) * 60 + int(minutes or 0)) * 60 + int(seconds or 0)
    us = whole * 1_000_000 + int((fraction or "").ljust(3, "0")) * 1000
    if us > LONGEST_US:
        raise part.error("durationRange", f"{text!r} is longer than a year")
    return us
