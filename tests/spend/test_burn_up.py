"""Burn-up: the line ends at what the window has spent; the limit is reached by one call."""

from datetime import timedelta

import pytest

from spend.buckets import Bucket, Payers, read_buckets
from spend.burn_up import Point, burn_points, burn_question, burn_steps, read_over_since
from spend.models import SpendLog
from spend.rollover import database_now
from spend.standings import Standing
from tests.past import make_past_call

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def standing(now, *, began: timedelta, spent: int, limit: int | None = None) -> Standing:
    return Standing(limit, spent, 0, now - began, now + 30 * DAY, spent)


@pytest.mark.django_db
def test_it_ends_at_what_the_window_has_spent():
    now = database_now()
    buckets = [
        Bucket(now - 3 * DAY, now - 2 * DAY, 50),
        Bucket(now - DAY, now, 30),
    ]

    steps = burn_steps(buckets, 70)
    points = burn_points(steps, now - 60 * HOUR, now)

    assert [(step.spent, step.total) for step in steps] == [(40, 40), (30, 70)]
    assert points == [
        Point(now - 60 * HOUR, 0),
        Point(now - 2 * DAY, 40),
        Point(now - DAY, 40),
        Point(now, 70),
    ]
    assert burn_points([], now - DAY, now) == [Point(now - DAY, 0), Point(now, 0)]


@pytest.mark.django_db
def test_it_finds_the_call_that_reached_the_limit():
    now = database_now()
    payers = Payers(tags=("engineering",))
    make_past_call(tags=("engineering", "eu"), cost=60, ago=6 * DAY)
    reaching = make_past_call(tags=("engineering",), cost=40, ago=2 * DAY)
    make_past_call(tags=("engineering",), cost=5, ago=2 * DAY - timedelta(minutes=1))
    month = standing(now, began=10 * DAY, spent=105, limit=100)
    steps = burn_steps(read_buckets([burn_question(payers, month, now)])[0], month.spent)

    since = read_over_since(payers, month, steps, now)

    assert since == SpendLog.objects.get(id=reaching).ended_at
    assert sum(step.spent for step in steps) == 105


@pytest.mark.django_db
def test_it_knows_a_day_where_hours_are_gone_and_nothing_while_there_is_room():
    now = database_now()
    payers = Payers(tags=("engineering",))
    long_ago = Bucket(now - 90 * DAY, now - 89 * DAY, 100)
    year = standing(now, began=300 * DAY, spent=100, limit=100)
    roomy = standing(now, began=300 * DAY, spent=100, limit=101)
    nothing = standing(now, began=DAY, spent=0, limit=0)

    assert read_over_since(payers, year, burn_steps([long_ago], 100), now) == long_ago.ends_at
    assert read_over_since(payers, roomy, burn_steps([long_ago], 100), now) is None
    assert read_over_since(payers, nothing, [], now) == nothing.starts_at


@pytest.mark.django_db
def test_it_draws_short_windows_by_the_hour():
    now = database_now()
    day = Standing(None, 0, 0, now - HOUR, now + 23 * HOUR, 0)
    month = standing(now, began=DAY, spent=0)

    assert burn_question(Payers(), day, now).grain == "hour"
    assert burn_question(Payers(), month, now).grain == "day"
