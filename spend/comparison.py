"""Comparison: the range before a range, and by how much a figure has changed since."""

import calendar
from datetime import date, datetime, timedelta

from spend.ranges import Range
from spend.windows import midnight, open_zone

DAY = timedelta(days=1)


def range_before(covered: Range, *, time_zone: str) -> Range:
    """As long, and just before. Whole days are counted on the calendar, whatever the clocks do."""
    if not covered.is_whole_days:
        length = covered.ends_at - covered.starts_at
        return Range(covered.starts_at - length, covered.starts_at, False)
    first, end = _date(covered.starts_at, time_zone), _date(covered.ends_at, time_zone)
    return _days(first - (end - first), first, time_zone)


def same_days_before(covered: Range, *, time_zone: str) -> Range:
    """The same days of the month before, for a range that begins with a month.

    A month that is shorter ends with its last day.
    """
    first, end = _date(covered.starts_at, time_zone), _date(covered.ends_at, time_zone)
    before = (first - DAY).replace(day=1)
    days = min((end - first).days, calendar.monthrange(before.year, before.month)[1])
    return _days(before, before + days * DAY, time_zone)


def change_percent(now: int, before: int) -> int | None:
    """Rounded to the nearest whole percent, halves away from nothing; None where nothing was."""
    if before <= 0:
        return None
    halves = 200 * (now - before)
    sign = -1 if halves < 0 else 1
    return sign * ((abs(halves) + before) // (2 * before))


def _date(at: datetime, time_zone: str) -> date:
    return at.astimezone(open_zone(time_zone)).date()


def _days(first: date, end: date, time_zone: str) -> Range:
    return Range(midnight(first, time_zone), midnight(end, time_zone), is_whole_days=True)
