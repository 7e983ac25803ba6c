"""Range choices: which days they cover, and which they are compared with."""

from datetime import UTC, date, datetime

import pytest

from spend.range_choices import choose_range
from spend.windows import midnight

NOW = datetime(2026, 3, 30, 22, 30, tzinfo=UTC)  # the 31st in Paris, whose clocks just changed


@pytest.mark.parametrize(
    ("key", "covered", "before"),
    [
        ("month", ("03-01", "04-01"), ("02-01", "03-01")),
        ("last-month", ("02-01", "03-01"), ("01-01", "01-29")),
        ("today", ("03-31", "04-01"), ("03-30", "03-31")),
        ("7d", ("03-25", "04-01"), ("03-18", "03-25")),
        ("nonsense", ("03-01", "04-01"), ("02-01", "03-01")),
    ],
)
def test_it_works(key, covered, before):
    found = choose_range(key, NOW, time_zone="Europe/Paris")

    assert (found.covered.starts_at, found.covered.ends_at) == midnights(covered)
    assert found.covered.is_whole_days
    assert found.before.is_whole_days
    assert (found.before.starts_at, found.before.ends_at) == midnights(before)


def midnights(days):
    return tuple(midnight(date.fromisoformat(f"2026-{day}"), "Europe/Paris") for day in days)


def test_it_says_what_it_is_compared_with():
    texts = [choose_range(key, NOW, time_zone="UTC").before_text for key in ("month", "7d")]

    assert texts == ["against the month before", "against the 7 days before"]
