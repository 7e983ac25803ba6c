"""Terms: what may be asked of a budget, together with what it has."""

from datetime import UTC, date, datetime

import pytest

from spend.models import Budget
from spend.terms import BadTerm, complete_terms

ANCHOR = datetime(2026, 1, 1, tzinfo=UTC)


def stored(**terms):
    return Budget(anchor=ANCHOR, **terms)


def complete(changes, budget=None):
    return complete_terms(changes, budget, time_zone="Europe/Berlin")


def test_it_says_the_zone_of_a_new_budget():
    assert complete({}) == {"time_zone": "Europe/Berlin"}
    assert complete({"time_zone": "UTC"}) == {"time_zone": "UTC"}
    assert complete({}, stored(time_zone="UTC")) == {}


@pytest.mark.parametrize(
    ("changes", "budget", "starts_at"),
    [
        ({}, None, "2026-01-30T23:00:00Z"),
        ({"time_zone": "Asia/Tokyo"}, None, "2026-01-30T15:00:00Z"),
        ({}, stored(time_zone="America/New_York"), "2026-01-31T05:00:00Z"),
        ({"time_zone": "UTC"}, stored(time_zone="America/New_York"), "2026-01-31T00:00:00Z"),
    ],
)
def test_it_takes_a_date_for_midnight_in_the_budget_s_zone(changes, budget, starts_at):
    asked = {"duration": "monthly", "start": date(2026, 1, 31), **changes}

    assert complete(asked, budget)["start"] == datetime.fromisoformat(starts_at)


def test_it_cuts_a_start_to_whole_seconds():
    start = datetime(2026, 1, 31, 1, 2, 3, 999_999, tzinfo=UTC)

    asked = complete({"duration": "1d", "start": start})

    assert asked["start"] == datetime(2026, 1, 31, 1, 2, 3, tzinfo=UTC)


def test_it_drops_a_start_with_its_duration():
    budget = stored(duration="weekly", start=ANCHOR)

    assert complete({"duration": None}, budget) == {"duration": None, "start": None}
    assert complete({"duration": "daily"}, budget) == {"duration": "daily"}


@pytest.mark.parametrize(
    ("changes", "budget", "term"),
    [
        ({"duration": "1y"}, None, "duration"),
        ({"duration": ""}, None, "duration"),
        ({"time_zone": "Mars"}, None, "time_zone"),
        ({"start": ANCHOR}, None, "start"),
        ({"start": ANCHOR, "duration": None}, stored(duration="1d"), "start"),
        ({"start": ANCHOR, "duration": "hourly"}, None, "start"),
        ({"start": ANCHOR}, stored(duration="hourly"), "start"),
        ({"duration": "hourly"}, stored(duration="daily", start=ANCHOR), "start"),
        ({"start": date(9999, 12, 31), "duration": "1d"}, None, "start"),
        ({"start": date(1, 1, 1), "duration": "1d"}, None, "start"),
        ({"limit": 1, "soft_limit": 2}, None, "soft_limit"),
        ({"limit": 1}, stored(soft_limit=2), "soft_limit"),
        ({"soft_limit": 2}, stored(limit=1), "soft_limit"),
    ],
)
def test_it_names_the_term_that_cannot_be(changes, budget, term):
    with pytest.raises(BadTerm) as refused:
        complete(changes, budget)

    assert refused.value.term == term


@pytest.mark.parametrize(
    ("changes", "budget"),
    [
        ({"limit": 2, "soft_limit": 2}, None),
        ({"limit": None}, stored(limit=1, soft_limit=1)),
        ({"limit": 1, "soft_limit": None}, stored(soft_limit=2)),
        ({"limit": 0}, None),
        ({"duration": "hourly", "start": None}, stored(duration="daily", start=ANCHOR)),
    ],
)
def test_it_takes_terms_that_go_together(changes, budget):
    asked = complete(changes, budget)

    assert {name: asked[name] for name in changes} == changes
