"""Back-test: windows of the past under other terms; pure, and from the roll-ups."""

from datetime import UTC, datetime, timedelta

import pytest

from spend.backtest import BackTest, back_test, read_back_test, spans_to_test
from spend.buckets import Bucket, Payers
from spend.models import Rollup
from spend.rollover import database_now
from spend.windows import Schedule, Span
from tests.factories import dollars
from tests.past import make_past_call

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
OCTOBER = Span(datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC))
NOVEMBER = Span(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))


def hour(at: datetime, amount: str, calls: int = 1) -> Bucket:
    return Bucket(at, at + HOUR, dollars(amount), calls)


def monthly(zone: str = "UTC") -> Schedule:
    return Schedule("monthly", NOW, zone)


def test_it_works():
    ran_out = datetime(2026, 10, 28, 15, tzinfo=UTC)
    buckets = [
        hour(datetime(2026, 10, 3, tzinfo=UTC), "4000"),
        hour(ran_out, "1000", 3),
        hour(datetime(2026, 10, 28, 18, tzinfo=UTC), "800", 40_000),
        hour(datetime(2026, 10, 31, tzinfo=UTC), "12.40", 1_022),
        hour(datetime(2026, 11, 2, tzinfo=UTC), "2500"),
    ]

    october, november = back_test([OCTOBER, NOVEMBER], buckets, dollars("5000"), NOW).windows

    assert october.ran_out_at == ran_out + HOUR
    assert october.refused_for == timedelta(days=3, hours=8)
    assert (october.refused_calls, october.refused_spend) == (41_022, dollars("812.40"))
    assert (october.spent, october.percent, october.is_running) == (dollars("5812.40"), 116, False)
    assert (november.spent, november.percent, november.is_running) == (dollars("2500"), 50, True)
    assert (november.ran_out_at, november.refused_for) == (None, timedelta())
    assert november.ends_at == NOW


def test_it_refuses_everything_at_a_limit_of_nothing():
    buckets = [hour(datetime(2026, 11, 2, tzinfo=UTC), "3", 7)]

    found = back_test([NOVEMBER], buckets, dollars("0"), NOW)

    assert found.windows[0].ran_out_at == NOVEMBER.starts_at
    assert (found.refused_calls, found.refused_spend) == (7, dollars("3"))


def test_it_leaves_out_windows_before_the_first_call():
    buckets = [hour(datetime(2026, 11, 2, tzinfo=UTC), "3")]

    assert len(back_test([OCTOBER, NOVEMBER], buckets, dollars("1"), NOW).windows) == 1
    assert back_test([OCTOBER, NOVEMBER], [], dollars("1"), NOW) == BackTest(())


def test_it_knows_the_last_six_windows_through_changes_of_the_clock():
    found = spans_to_test(monthly("Europe/Paris"), NOW)

    assert len(found) == 6
    assert found[0].starts_at == datetime(2026, 5, 31, 22, tzinfo=UTC)
    assert found[-1].starts_at == datetime(2026, 10, 31, 23, tzinfo=UTC)
    assert [one.ends_at for one in found[:-1]] == [one.starts_at for one in found[1:]]


def test_it_looks_back_for_four_hundred_days_at_most():
    yearly = spans_to_test(Schedule("yearly", NOW), NOW)
    endless = spans_to_test(Schedule(None, NOW), NOW)

    assert [span.starts_at.year for span in yearly] == [2026]
    assert endless == [Span(NOW - timedelta(days=400), None)]


@pytest.mark.django_db
def test_it_reads_hours_and_days_where_hours_are_gone(django_assert_num_queries):
    now = database_now()
    for ago, cost in ((timedelta(hours=30), 60), (timedelta(hours=2), 50), (90 * DAY, 7)):
        make_past_call(tags=("engineering", "eu"), cost=cost, ago=ago)
    make_past_call(tags=("engineering",), status="refused", ago=timedelta(hours=1))
    make_past_call(tags=("other",), cost=10**9)
    Rollup.objects.filter(span="hour", starts_at__lt=now - 60 * DAY).delete()
    payers = Payers(tags=("engineering", "eu"))

    with django_assert_num_queries(1):
        weeks = read_back_test(payers, Schedule("30d", now - 31 * HOUR), 60, now).windows
    (endless,) = read_back_test(payers, Schedule(None, now), 1_000, now).windows

    assert [tested.spent for tested in weeks] == [7, 0, 0, 110]
    assert (weeks[-1].refused_calls, weeks[-1].refused_spend) == (1, 50)
    assert endless.spent == 117


@pytest.mark.django_db
def test_it_does_not_test_windows_under_an_hour():
    now = database_now()
    make_past_call(tags=("engineering",), cost=5)

    found = read_back_test(Payers(tags=("engineering",)), Schedule("59m", now), 1, now)

    assert (found.windows, found.is_too_short) == ((), True)
