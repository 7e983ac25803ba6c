"""Ranges: what dates and times in a query cover."""

from datetime import UTC, date, datetime

import pytest

from spend.ranges import BadRange, range_of

NOW = datetime(2026, 3, 8, 23, 30, tzinfo=UTC)  # already the 9th in Berlin


def cover(start, end, zone="UTC", days=30):
    return range_of(start, end, days=days, now=NOW, time_zone=zone)


def at(text):
    return datetime.fromisoformat(text)


def test_it_covers_whole_days_to_the_end_of_the_last():
    covered = cover(date(2026, 3, 1), date(2026, 3, 2))

    assert covered.starts_at == at("2026-03-01T00:00:00Z")
    assert covered.ends_at == at("2026-03-03T00:00:00Z")
    assert covered.span == "day"


def test_it_counts_days_where_the_reports_are():
    covered = cover(date(2026, 3, 29), date(2026, 3, 29), "Europe/Berlin")

    assert covered.starts_at == at("2026-03-28T23:00:00Z")
    assert covered.ends_at == at("2026-03-29T22:00:00Z")


def test_it_stops_before_a_time():
    covered = cover(at("2026-03-01T10:00:00+01:00"), at("2026-03-01T12:00:00Z"))

    assert covered.starts_at == at("2026-03-01T09:00:00Z")
    assert covered.ends_at == at("2026-03-01T12:00:00Z")
    assert covered.span == "hour"


@pytest.mark.parametrize(
    ("zone", "starts_at", "ends_at"),
    [
        ("UTC", "2026-02-07T00:00:00Z", "2026-03-09T00:00:00Z"),
        ("Europe/Berlin", "2026-02-07T23:00:00Z", "2026-03-09T23:00:00Z"),
    ],
)
def test_it_covers_the_last_days_when_nothing_is_asked(zone, starts_at, ends_at):
    covered = cover(None, None, zone)

    assert (covered.starts_at, covered.ends_at) == (at(starts_at), at(ends_at))


@pytest.mark.parametrize(
    ("start", "end", "bound"),
    [
        (date(2026, 3, 1), None, "end"),
        (None, date(2026, 3, 1), "start"),
        (date(2026, 3, 2), date(2026, 3, 1), "end"),
        (at("2026-03-01T00:00:00Z"), at("2026-03-01T00:00:00Z"), "end"),
        (date(9999, 12, 31), date(9999, 12, 31), "start"),
    ],
)
def test_it_names_the_bound_that_is_wrong(start, end, bound):
    with pytest.raises(BadRange) as refused:
        cover(start, end)

    assert refused.value.bound == bound
