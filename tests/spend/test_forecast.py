"""Forecast: pace, band and the moment a limit is reached; pure, with the worked example."""

from datetime import UTC, datetime, timedelta

import pytest

from spend.buckets import Bucket, spent_between
from spend.forecast import Course, look_ahead, paced_periods, period_length
from tests.factories import dollars

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
FIRST = datetime(2026, 11, 1, tzinfo=UTC)
NOW = datetime(2026, 11, 21, tzinfo=UTC)
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


def course(**changes) -> Course:
    """A November of 5,000 dollars of which 4,000 are spent."""
    terms = {
        "starts_at": FIRST,
        "ends_at": datetime(2026, 12, 1, tzinfo=UTC),
        "spent": dollars("4000"),
        "limit": dollars("5000"),
        "first_at": LONG_AGO,
    }
    return Course(**{**terms, **changes})


def days(*amounts: str, until: datetime = NOW) -> list[Bucket]:
    """A bucket a day that ends at `until`, the oldest first."""
    starts = [until - (len(amounts) - n) * DAY for n in range(len(amounts))]
    return [
        Bucket(start, start + DAY, dollars(amount))
        for start, amount in zip(starts, amounts, strict=True)
    ]


def weeks(*amounts: str) -> list[Bucket]:
    """Weeks of seven equal days."""
    return days(*[str(int(amount) // 7) for amount in amounts for _ in range(7)])


def outlook(found: Course, buckets: list[Bucket], now: datetime = NOW):
    return look_ahead(found, paced_periods(found, buckets, now), now)


def test_it_works():
    forecast = outlook(course(), weeks("700", "1750", "1400", "1540")).forecast

    assert forecast.rate == dollars("220")
    assert (forecast.low, forecast.middle, forecast.high) == (
        dollars("5000"),
        dollars("6200"),
        dollars("6500"),
    )
    assert forecast.reached_at.replace(second=0, microsecond=0) == datetime(
        2026, 11, 25, 13, 5, tzinfo=UTC
    )
    assert forecast.exceeds(dollars("5000"))
    assert not forecast.exceeds(dollars("6200"))


@pytest.mark.parametrize(
    ("window", "period"),
    [
        (30 * DAY, 7 * DAY),
        (7 * DAY, 7 * DAY),
        (6 * DAY, DAY),
        (DAY, DAY),
        (8 * HOUR, 8 * HOUR),
    ],
)
def test_it_measures_the_pace_over_a_week_a_day_or_a_window(window, period):
    assert period_length(window) == period


def test_it_is_not_made_for_windows_that_never_end_or_last_less_than_an_hour():
    endless = outlook(course(ends_at=None), weeks("1540"))
    short = outlook(course(starts_at=NOW - 30 * HOUR / 60, ends_at=NOW + HOUR / 6), weeks("1540"))

    assert (endless.forecast, endless.is_early) == (None, False)
    assert (short.forecast, short.is_early) == (None, False)


@pytest.mark.parametrize(
    ("age", "window", "is_early"),
    [
        (3 * DAY, 30 * DAY, False),
        (3 * DAY - HOUR, 30 * DAY, True),
        (17 * HOUR, 7 * DAY, False),
        (16 * HOUR, 7 * DAY, True),
        (2 * HOUR, DAY, True),
    ],
)
def test_it_is_too_early_until_three_days_or_a_tenth_of_the_window(age, window, is_early):
    found = course(starts_at=NOW - DAY, ends_at=NOW - DAY + window, first_at=NOW - age)

    assert outlook(found, days("1", "1", "1")).is_early is is_early


def test_it_is_too_early_for_one_who_never_called():
    assert outlook(course(first_at=None), []).is_early


def test_it_paces_a_young_one_since_its_first_call():
    found = course(first_at=NOW - 4 * DAY, spent=dollars("40"), limit=dollars("100"))

    forecast = outlook(found, days("10", "10", "10", "10")).forecast

    assert (forecast.low, forecast.middle, forecast.high) == (dollars("140"),) * 3
    assert forecast.reached_at == NOW + 6 * DAY


def test_it_paces_one_who_is_refused_until_that_began():
    since = NOW - 2 * DAY
    found = course(spent=dollars("5000"), refused_since=since)

    forecast = outlook(found, days(*["70"] * 7, until=since)).forecast

    assert forecast.middle == dollars("5700")
    assert forecast.reached_at is None


def test_it_is_not_reached_after_the_window_or_when_it_has_been_or_without_a_limit():
    slow = outlook(course(limit=dollars("8000")), weeks("1540")).forecast
    over = outlook(course(spent=dollars("5001")), weeks("1540")).forecast
    free = outlook(course(limit=None), weeks("1540")).forecast
    idle = outlook(course(), []).forecast

    assert [found.reached_at for found in (slow, over, free, idle)] == [None] * 4
    assert idle.middle == dollars("4000")


def test_it_cuts_a_bucket_by_the_share_of_its_time():
    (bucket,) = days("24")

    assert spent_between([bucket], NOW - 6 * HOUR, NOW + DAY) == dollars("6")
    assert spent_between([bucket], NOW, NOW + DAY) == 0
    assert spent_between([bucket], NOW - 5 * DAY, NOW - DAY) == 0
