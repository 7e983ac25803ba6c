"""Reports: totals from the roll-ups, in which each call counts once."""

from datetime import date, timedelta

import pytest

from spend.models import SpendLog
from spend.ranges import range_of
from spend.reports import Scope, all_tag_names, report, total, total_of_any
from spend.rollover import database_now
from tests.past import make_past_call

pytestmark = pytest.mark.django_db

TODAY = timedelta()
YESTERDAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def calls():
    make_past_call(tags=("engineering", "eu"), cost=100, key_alias="ci", ago=YESTERDAY)
    make_past_call(tags=("engineering",), cost=20, key_alias="ci", model="gpt-4o")
    make_past_call(tags=("engineering",), cost=0, status="failure", key_alias="ci")
    make_past_call(tags=("engineering",), cost=0, status="refused", key_alias="ci")
    make_past_call(tags=(), cost=3, key_alias="lab")


def covered(days=7):
    return range_of(None, None, days=days, now=database_now(), time_zone="UTC")


def lines(*groups, **scope):
    return [
        (*line.group.values(), line.totals.spent, line.totals.calls)
        for line in report(Scope(covered=covered(), **scope), groups)
    ]


def test_it_works():
    assert lines("tag") == [
        ("engineering", 120, 4),
        ("eu", 100, 1),
        (None, 3, 1),
    ]


def test_its_total_counts_each_call_once():
    found = total(Scope(covered=covered()))

    assert (found.spent, found.requests, found.failed, found.refused) == (123, 4, 1, 1)
    assert found.spent == sum(SpendLog.objects.values_list("cost", flat=True))


def test_it_groups_by_day_and_tag_in_the_order_of_days():
    today = database_now().date()

    assert lines("day", "tag") == [
        (today - YESTERDAY, "engineering", 100, 1),
        (today - YESTERDAY, "eu", 100, 1),
        (today, "engineering", 20, 3),
        (today, None, 3, 1),
    ]


def test_it_groups_by_key_and_by_model():
    by_key = report(Scope(covered=covered()), ["key"])

    assert [(line.key_alias, line.totals.spent) for line in by_key] == [("ci", 120), ("lab", 3)]
    assert lines("model") == [("demo-fast", 103, 4), ("gpt-4o", 20, 1)]


def test_it_narrows_to_calls_with_all_these_tags():
    assert lines("tag", tags=("engineering", "eu")) == [("engineering", 100, 1), ("eu", 100, 1)]
    assert lines("tag", tags=("nobody",)) == []


def test_it_narrows_to_a_key_and_a_model():
    assert lines("model", key_alias="lab") == [("demo-fast", 3, 1)]
    assert lines("key", model="gpt-4o")[0][1:] == (20, 1)


def test_it_covers_only_the_range():
    today_only = Scope(covered=covered(days=1))

    assert total(today_only).spent == 23


def test_it_counts_days_in_the_reports_zone(settings):
    settings.REPORT_TIME_ZONE = "Pacific/Kiritimati"  # 14 hours ahead: never the day of UTC
    make_past_call(tags=("far",), cost=1)
    ranged = range_of(None, None, days=2, now=database_now(), time_zone="Pacific/Kiritimati")

    (line,) = report(Scope(covered=ranged, tags=("far",)), ["day"])

    assert line.group["day"] == (database_now() + timedelta(hours=14)).date()
    assert isinstance(line.group["day"], date)


def test_it_totals_calls_with_any_of_some_tags_once():
    either = total_of_any(covered(), ["engineering", "eu"])
    any_at_all = total_of_any(covered(), None)
    nobody = total_of_any(covered(), ["nobody"])

    assert (either.spent, either.calls) == (120, 4)
    assert (any_at_all.spent, any_at_all.calls) == (120, 4)
    assert (nobody.spent, nobody.calls) == (0, 0)


def test_it_names_all_tags_that_calls_have_carried():
    assert all_tag_names() == ["engineering", "eu"]
