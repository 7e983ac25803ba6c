"""Comparison: ranges before ranges, through months of all lengths and changes of the clock."""

from datetime import UTC, date, datetime, timedelta

import pytest

from spend.comparison import change_percent, range_before, same_days_before
from spend.ranges import Range
from spend.windows import midnight

ZONE = "Europe/Paris"


def days(first: str, end: str) -> Range:
    """Half-open, in days of Paris."""
    first_at, end_at = (midnight(date.fromisoformat(day), ZONE) for day in (first, end))
    return Range(first_at, end_at, is_whole_days=True)


def test_it_is_as_long_and_just_before():
    assert range_before(days("2026-11-01", "2026-11-08"), time_zone=ZONE) == days(
        "2026-10-25", "2026-11-01"
    )
    hours = Range(datetime(2026, 11, 1, 3, tzinfo=UTC), datetime(2026, 11, 1, 9, tzinfo=UTC), False)
    assert range_before(hours, time_zone=ZONE) == Range(
        hours.starts_at - timedelta(hours=6), hours.starts_at, False
    )


def test_it_takes_the_same_days_of_the_month_before():
    assert same_days_before(days("2026-11-01", "2026-11-26"), time_zone=ZONE) == days(
        "2026-10-01", "2026-10-26"
    )
    assert same_days_before(days("2026-03-01", "2026-04-01"), time_zone=ZONE) == days(
        "2026-02-01", "2026-03-01"
    )
    assert same_days_before(days("2026-01-01", "2026-01-02"), time_zone=ZONE) == days(
        "2025-12-01", "2025-12-02"
    )


@pytest.mark.parametrize(
    ("now", "before", "percent"),
    [(112, 100, 12), (100, 200, -50), (1, 3, -67), (5, 0, None), (1005, 1000, 1), (995, 1000, -1)],
)
def test_it_rounds_changes_to_whole_percents(now, before, percent):
    assert change_percent(now, before) == percent
