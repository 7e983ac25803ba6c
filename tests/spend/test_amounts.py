"""Amounts as people read them."""

from datetime import UTC, datetime

import pytest

from spend.amounts import exact_text, fine_text, sum_text
from spend.templatetags.moments import due, full_moment, moment, short_text
from spend.templatetags.money import dollars, fine_dollars, per_million, unit_text


@pytest.mark.parametrize(
    ("nanos", "text"),
    [
        (0, "$0.00"),
        (1, "<$0.01"),
        (4_999_999, "<$0.01"),
        (5_000_000, "$0.01"),
        (-1, ">\u2212$0.01"),
        (-12_400_000_000, "\u2212$12.40"),
        (14_999_999, "$0.01"),
        (15_000_000, "$0.02"),
        (1_234_560_000_000, "$1,234.56"),
        (999_995_000_000, "$1,000.00"),
        (8_000_000_000_000_000, "$8,000,000.00"),
    ],
)
def test_it_shows_sums_to_the_cent(nanos, text):
    assert sum_text(nanos) == text


@pytest.mark.parametrize(
    ("nanos", "text"),
    [
        (0, "$0.00"),
        (1, "$0.000000001"),
        (4_330_000, "$0.004330"),
        (11_300_000, "$0.01130"),
        (100_000_000, "$0.10"),
        (123_456_789, "$0.1235"),
        (999_950_000, "$1.00"),
        (320_100, "$0.0003201"),
        (-320_100, "\u2212$0.0003201"),
        (2_500_000_000, "$2.50"),
    ],
)
def test_it_shows_single_calls_with_four_digits(nanos, text):
    assert fine_text(nanos) == text


def test_it_keeps_the_exact_amount_beside_the_text():
    assert dollars(1_234_567_890) == '<data value="1.23456789">$1.23</data>'
    assert fine_dollars(4_330_000) == '<data value="0.00433">$0.004330</data>'
    assert per_million(2_500_000) == '<data value="0.0000025">$2.50</data>'
    assert (dollars(None), fine_dollars(None), per_million(None)) == ("", "", "")


def test_it_shows_prices_exactly():
    assert unit_text(1_234_500_000_000_000) == "$1,234.50"
    assert unit_text(75_000) == "$0.000000075"
    assert per_million(75_000).endswith(">$0.075</data>")
    assert per_million(0).endswith(">$0.00</data>")


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (datetime(2026, 11, 22, 9, 2, 30, tzinfo=UTC), "09:02:30"),
        (datetime(2026, 11, 21, 23, 59, 59, tzinfo=UTC), "21 Nov, 23:59"),
        (datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC), "2 Jan 2025, 03:04"),
        (datetime(2027, 1, 1, tzinfo=UTC), "1 Jan 2027, 00:00"),
    ],
)
def test_it_shows_times_as_short_as_they_can_be(at, text):
    assert short_text(at, datetime(2026, 11, 22, 14, 0, tzinfo=UTC)) == text


def test_it_keeps_the_exact_time_beside_the_text():
    at = datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC)

    shown = moment(at)

    assert 'datetime="2025-01-02T03:04:05+00:00"' in shown
    assert 'title="2 Jan 2025, 03:04:05 UTC"' in shown
    assert full_moment(at).endswith(">2 Jan 2025, 03:04:05</time>")
    assert moment(None) == due(None) == ""
    assert due(at).endswith(">2 Jan 2025, 03:04</time>")
    assert due(datetime(2025, 1, 2, tzinfo=UTC)).endswith(">2 Jan 2025</time>")


@pytest.mark.parametrize(
    ("nanos", "text"),
    [
        (5_000_000_000_000, "$5,000.00"),
        (1, "$0.000000001"),
        (-6_500_500_000_000, "\u2212$6,500.50"),
    ],
)
def test_it_shows_what_was_set_exactly(nanos, text):
    assert exact_text(nanos) == text
