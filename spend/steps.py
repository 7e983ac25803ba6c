"""Steps: what a bar of a chart stands for: a day, or a month where days are too many to see."""

from datetime import date, timedelta

DAY = timedelta(days=1)
DAYS_MAX = 120


def is_by_month(first: date, last: date) -> bool:
    """Both days included."""
    return (last - first).days >= DAYS_MAX


def steps_of(first: date, last: date) -> list[tuple[date, date]]:
    """The first and last day of each."""
    if is_by_month(first, last):
        return months_of(first, last)
    return [(first + n * DAY,) * 2 for n in range((last - first).days + 1)]


def months_of(first: date, last: date) -> list[tuple[date, date]]:
    """The first and last day of each, of which the outer ones may be cut."""
    months, start = [], first
    while start <= last:
        end = min((start.replace(day=1) + 31 * DAY).replace(day=1) - DAY, last)
        months.append((start, end))
        start = end + DAY
    return months
