"""Breakdown: one tag's calls by day, model, key and other tags; refusals by budget."""

from datetime import timedelta

import pytest

from spend.breakdown import read_breakdown
from spend.comparison import range_before
from spend.ranges import range_of
from spend.refusals import read_refusals
from spend.rollover import database_now
from tests.past import key_id_of, make_past_call

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)


def breakdown(tag: str, days: int = 7, **options):
    covered = range_of(None, None, days=days, now=database_now(), time_zone="UTC")
    return read_breakdown(tag, covered, range_before(covered, time_zone="UTC"), **options)


def sums(parts):
    return [(part.name, part.totals.spent, part.totals.calls) for part in parts]


@pytest.fixture
def calls():
    make_past_call(tags=("search", "prod"), cost=100, key_alias="ci", ago=DAY)
    make_past_call(tags=("search", "prod", "eu"), cost=20, key_alias="ci", model="gpt-4o")
    make_past_call(tags=("search",), cost=3, key_alias="lab")
    make_past_call(tags=("search",), status="refused", key_alias="lab")
    make_past_call(tags=("search",), cost=50, ago=8 * DAY)
    make_past_call(tags=("prod",), cost=10**6)


def test_it_works(calls, django_assert_num_queries):
    covered = range_of(None, None, days=7, now=database_now(), time_zone="UTC")
    with django_assert_num_queries(1):
        found = read_breakdown("search", covered, range_before(covered, time_zone="UTC"))

    assert (found.totals.spent, found.totals.requests, found.totals.refused) == (123, 3, 1)
    assert found.before.spent == 50
    assert timedelta(0) <= database_now() - 8 * DAY - found.first_at < timedelta(hours=1)
    assert sums(found.models) == [("demo-fast", 103, 3), ("gpt-4o", 20, 1)]
    assert sums(found.keys) == [("ci", 120, 2), ("lab", 3, 2)]
    assert found.keys[0].key_id == key_id_of("ci")
    assert sums(found.seen_with) == [("prod", 120, 2), ("eu", 20, 1)]


def test_it_stacks_days_by_model_or_key(calls):
    today = database_now().date()
    by_model, by_key = breakdown("search").days, breakdown("search", stack="key").days

    assert [(part.day, part.name, part.totals.spent) for part in by_model] == [
        (today - DAY, "demo-fast", 100),
        (today, "demo-fast", 3),
        (today, "gpt-4o", 20),
    ]
    assert [(part.day, part.name, part.totals.spent) for part in by_key] == [
        (today - DAY, "ci", 100),
        (today, "ci", 20),
        (today, "lab", 3),
    ]


def test_it_is_nothing_for_a_tag_that_nobody_carries():
    found = breakdown("nobody")

    assert (found.totals.spent, found.totals.calls, found.before.calls) == (0, 0, 0)
    assert found.first_at is None
    assert (found.days, found.models, found.keys, found.seen_with) == ([], [], [], [])


def test_it_counts_refusals_by_budget():
    for budget in ("monthly", "monthly", "daily", None):
        error = {"type": "budget_exceeded"} | ({"budget": budget} if budget else {})
        make_past_call(tags=("search", "eu"), status="refused", record={"error": error})
    make_past_call(tags=("search",), status="refused", ago=2 * DAY)
    make_past_call(tags=("search",), cost=3)

    found = read_refusals("search", database_now() - DAY)

    assert found.by_budget == {"monthly": 2, "daily": 1}
    assert (found.others, found.count, found.is_capped) == (1, 4, False)
