"""Windows in words."""

from datetime import UTC, datetime, timedelta

import pytest

from spend.templatetags.windows import in_zone, length_text, period_text, window_name


@pytest.mark.parametrize(
    ("at", "duration", "text"),
    [
        ((2026, 9, 30, 22), "monthly", "Oct"),
        ((2025, 12, 31, 23), "monthly", "Jan 2026"),
        ((2025, 12, 31, 23), "yearly", "2026"),
        ((2026, 10, 11, 22), "7d", "12 Oct"),
        ((2026, 10, 12, 7, 30), "1d", "12 Oct, 09:30"),
        ((2026, 10, 11, 22), None, "since 12 Oct 2026"),
    ],
)
def test_it_names_windows_by_the_clock_of_the_budget(at, duration, text):
    terms = {"duration": duration, "time_zone": "Europe/Paris"}

    assert window_name(datetime(*at, tzinfo=UTC), terms) == text


@pytest.mark.parametrize(
    ("length", "text"),
    [
        (timedelta(days=3, hours=8), "3 d 8 h"),
        (timedelta(hours=1, minutes=5, seconds=9), "1 h 5 min"),
        (timedelta(days=2, minutes=3), "2 d 3 min"),
        (timedelta(seconds=9), "less than a minute"),
    ],
)
def test_it_tells_lengths_by_their_two_largest_units(length, text):
    assert length_text(length) == text


def test_it_tells_the_reset_by_the_budgets_own_clock_and_the_period_in_words():
    at = datetime(2026, 11, 30, 23, tzinfo=UTC)

    assert "1 Dec 2026, 00:00 CET" in in_zone(at, "Europe/Paris")
    assert [period_text(found) for found in ("monthly", "36h", None)] == [
        "a month",
        "per 36h",
        "in all",
    ]
