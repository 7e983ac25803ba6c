"""Pieces: a range as whole months and the days around them, so that a year is a dozen roll-ups."""

from datetime import date, datetime, timedelta
from typing import Any

from django.conf import settings

from spend.ranges import Range
from spend.windows import midnight, open_zone

NAMES = ("span", "starts_at", "months_from", "months_until", "ends_at")


def in_range(prefix: str = "") -> str:
    """The roll-ups `r` of a range, given `pieces_of` it with the same prefix.

    Where no month is whole the months are none and the days, or hours, are all.
    """
    span, starts_at, months_from, months_until, ends_at = (f"%({prefix}{name})s" for name in NAMES)
    return f"""(
     r.span = 'month' and r.starts_at >= {months_from} and r.starts_at < {months_until}
     or r.span = {span} and r.starts_at >= {starts_at} and r.starts_at < {months_from}
     or r.span = {span} and r.starts_at >= {months_until} and r.starts_at < {ends_at})"""


def pieces_of(covered: Range, prefix: str = "") -> dict[str, Any]:
    """The parameters of `in_range`."""
    months = whole_months(covered, settings.REPORT_TIME_ZONE)
    values = (covered.span, covered.starts_at, *months, covered.ends_at)
    return {f"{prefix}{name}": value for name, value in zip(NAMES, values, strict=True)}


def whole_months(covered: Range, zone: str) -> tuple[datetime, datetime]:
    """Half-open; both are the range's end if there is none.

    The month that is going on is whole too where nothing of it can lie behind the range.
    """
    nothing = covered.ends_at, covered.ends_at
    if not covered.is_whole_days:
        return nothing
    first = covered.starts_at.astimezone(open_zone(zone)).date()
    end = covered.ends_at.astimezone(open_zone(zone)).date()
    first = first if first.day == 1 else _month_behind(first)
    end = end.replace(day=1)
    if end <= first and not covered.is_to_now:
        return nothing
    until = covered.ends_at if covered.is_to_now else midnight(end, zone)
    months_from = midnight(first, zone)
    return (months_from, until) if months_from < until else nothing


def _month_behind(day: date) -> date:
    return (day.replace(day=1) + timedelta(days=31)).replace(day=1)
