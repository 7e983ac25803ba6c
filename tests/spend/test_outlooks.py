"""Outlooks: forecasts of many windows from the roll-ups, each call once."""

from datetime import timedelta

import pytest

from spend.buckets import Payers, Question, read_buckets
from spend.forecast import Course
from spend.models import Rollup
from spend.outlooks import read_first_calls, read_outlooks
from spend.rollover import database_now
from tests.past import key_id_of, make_past_call

pytestmark = pytest.mark.django_db

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def now():
    return database_now()


def course(now, first_at, *, length: timedelta, spent: int = 0) -> Course:
    return Course(now - length // 2, now + length - length // 2, spent, None, first_at)


def test_it_reads_each_call_once_by_tag_and_by_key(now):
    make_past_call(tags=("a", "b"), cost=5, key_alias="ci", ago=2 * HOUR)
    make_past_call(tags=("b",), cost=7, key_alias="lab", ago=2 * HOUR)
    make_past_call(tags=("c",), cost=11, key_alias="ci", ago=2 * HOUR)
    asked = [
        Payers(tags=("a", "b")),
        Payers(key_ids=(key_id_of("ci"),)),
        Payers(tags=("a",), key_ids=(key_id_of("ci"),)),
        Payers(tags=("nobody",)),
    ]

    found = read_buckets([Question(payers, "hour", now - DAY, now) for payers in asked])

    assert [sum(bucket.spent for bucket in buckets) for buckets in found] == [12, 16, 16, 0]
    assert [sum(bucket.requests for bucket in buckets) for buckets in found] == [2, 2, 2, 0]


def test_it_knows_the_first_call(now):
    make_past_call(tags=("a",), ago=3 * DAY, key_alias="ci")
    make_past_call(tags=("a", "b"), ago=5 * HOUR)

    a, b, nobody, key = read_first_calls(
        [Payers(("a",)), Payers(("b",)), Payers(("c",)), Payers(key_ids=(key_id_of("ci"),))]
    )

    assert now - 3 * DAY - HOUR < a < now - 3 * DAY + HOUR
    assert now - 6 * HOUR < b < now - 4 * HOUR
    assert nobody is None
    assert key <= a

    Rollup.objects.filter(span="hour", starts_at__lt=now - DAY).delete()
    (a_by_day,) = read_first_calls([Payers(("a",))])
    assert a_by_day == a.replace(hour=0)


def test_it_forecasts_weeks_by_the_day_and_days_by_the_hour(now, django_assert_num_queries):
    for day in range(40):
        make_past_call(tags=("steady",), cost=700, ago=day * DAY + HOUR)
    (first_at,) = read_first_calls([Payers(("steady",))])
    monthly = course(now, first_at, length=30 * DAY, spent=10_000)
    daily = course(now, first_at, length=DAY, spent=100)

    with django_assert_num_queries(1):
        month, day, early = read_outlooks(
            [
                (Payers(("steady",)), monthly),
                (Payers(("steady",)), daily),
                (Payers(("new",)), course(now, None, length=DAY)),
            ],
            now,
        )

    assert abs(month.forecast.middle - (10_000 + 15 * 700)) <= 15 * 101
    assert day.forecast.middle == 100 + 350
    assert (early.forecast, early.is_early) == (None, True)
