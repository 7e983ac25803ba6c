"""Pieces: months and the days around them are the range, each moment of it once."""

from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st

from spend.pieces import in_range, pieces_of, whole_months
from spend.ranges import Range
from spend.reports import Scope, report, total
from spend.rollover import database_now
from spend.windows import midnight
from tests.past import make_past_call

DAY = timedelta(days=1)
DAYS = st.dates(date(2024, 1, 1), date(2027, 12, 31))
ZONES = ["UTC", "Europe/Berlin", "Pacific/Auckland", "America/New_York"]


def days(first, end, zone="UTC", **more):
    return Range(midnight(first, zone), midnight(end, zone), is_whole_days=True, **more)


@given(first=DAYS, length=st.integers(1, 800), zone=st.sampled_from(ZONES))
def test_months_and_days_tile_the_range(first, length, zone):
    end = first + length * DAY
    covered = days(first, end, zone)

    months_from, months_until = whole_months(covered, zone)

    inside = [day for day in (first + n * DAY for n in range(length)) if day.day == 1]
    months = [day for day in inside if (day + 31 * DAY).replace(day=1) <= end]
    if months:
        after = (months[-1] + 31 * DAY).replace(day=1)
        assert (months_from, months_until) == (midnight(months[0], zone), midnight(after, zone))
    else:
        assert months_from == months_until == covered.ends_at


@pytest.mark.parametrize(
    ("covered", "expected"),
    [
        (days(date(2026, 11, 1), date(2026, 11, 26), is_to_now=True), date(2026, 11, 1)),
        (days(date(2026, 1, 1), date(2026, 11, 26), is_to_now=True), date(2026, 1, 1)),
        (days(date(2026, 11, 2), date(2026, 11, 26), is_to_now=True), None),
        (days(date(2026, 11, 1), date(2026, 11, 26)), None),
        (Range(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC), False), None),
    ],
)
def test_a_month_that_goes_on_is_whole_where_nothing_lies_behind(covered, expected):
    months_from, months_until = whole_months(covered, "UTC")

    assert months_until == covered.ends_at
    assert months_from == (midnight(expected, "UTC") if expected else covered.ends_at)


@pytest.mark.django_db
def test_a_year_reads_its_months():
    """Each call is in one piece, and of the days only those outside of whole months are read."""
    for ago in range(0, 400, 20):
        make_past_call(tags=("t",), cost=10 + ago, ago=ago * DAY)
    today = database_now().date()
    covered = days(today - 365 * DAY, today + DAY, is_to_now=True)

    by_day = report(Scope(covered=covered), ["day"])

    assert total(Scope(covered=covered)).spent == sum(line.totals.spent for line in by_day) > 0
    with connection.cursor() as cursor:
        query = f"select span, count(*) from spend_rollup r where {in_range()} group by 1"
        cursor.execute(query, pieces_of(covered))
        found = dict(cursor.fetchall())
    assert found["month"] >= 11
    assert found.get("day", 0) <= 2
