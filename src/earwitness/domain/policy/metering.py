"""Since when evaluations count towards a number in an interval (F16). Pure."""

from __future__ import annotations

import calendar
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from earwitness.domain.policy.actions import Interval
from earwitness.domain.policy.times import EPOCH

FIRST_YEAR = 1970


def since(interval: Interval, now: int, zone: ZoneInfo | None) -> int:
    """UTC microseconds from which on evaluations count.

    Without a zone the interval ends now: one week is the last seven days. With one it is made of calendar units of
    that zone, the present one among them: one week begins on Monday, two days began yesterday at midnight.
    """
    if interval == Interval():
        return 0
    if zone is None:
        moment = _back(datetime.fromtimestamp(now // 1_000_000, UTC), interval)
        return (moment - EPOCH) // timedelta(microseconds=1)
    moment = datetime.fromtimestamp(now // 1_000_000, zone).replace(tzinfo=None, minute=0, second=0)
    if interval.hours:
        left = Interval(interval.months, interval.weeks, interval.days, interval.hours - 1)
    elif interval.days:
        moment, left = moment.replace(hour=0), Interval(interval.months, interval.weeks, interval.days - 1)
    elif interval.weeks:
        moment = moment.replace(hour=0) - timedelta(days=moment.weekday())
        left = Interval(interval.months, interval.weeks - 1)
    else:
        moment, left = moment.replace(hour=0, day=1), Interval(interval.months - 1)
    return (_back(moment, left).replace(tzinfo=zone) - EPOCH) // timedelta(microseconds=1)


def _back(moment: datetime, interval: Interval) -> datetime:
    months = moment.year * 12 + moment.month - 1 - interval.months
    year, month = divmod(months, 12)
    if year < FIRST_YEAR:
        return datetime(FIRST_YEAR, 1, 1, tzinfo=moment.tzinfo)
    day = min(moment.day, calendar.monthrange(year, month + 1)[1])
    moment = moment.replace(year=year, month=month + 1, day=day)
    try:
        moment -= timedelta(weeks=interval.weeks, days=interval.days, hours=interval.hours)
    except OverflowError:
        moment = moment.replace(year=FIRST_YEAR - 1)
    return moment if moment.year >= FIRST_YEAR else datetime(FIRST_YEAR, 1, 1, tzinfo=moment.tzinfo)
