"""Standings: what the open window holds, what all windows came to, and nothing that is over."""

from datetime import timedelta

import pytest

from spend.budgets import close_budget, reset_budget
from spend.models import Budget, BudgetWindow
from spend.rollover import database_now
from spend.standings import read_standing, read_standings
from tests.factories import dollars, make_budget

pytestmark = pytest.mark.django_db


def test_it_reads_the_open_window():
    budget = make_budget(limit="5", duration="30d")
    budget.windows.update(spent=dollars("3"), reserved=dollars("1.5"))

    standing = read_standing(budget)

    window = budget.windows.get()
    assert (standing.spent, standing.reserved) == (dollars("3"), dollars("1.5"))
    assert standing.remaining == dollars("0.5")
    assert (standing.starts_at, standing.resets_at) == (window.starts_at, window.ends_at)


def test_it_never_has_less_than_nothing_left():
    budget = make_budget(limit="5")
    budget.windows.update(spent=dollars("7"))

    assert read_standing(budget).remaining == 0
    assert read_standing(make_budget()).remaining is None


def test_it_sums_all_windows():
    budget = make_budget(limit="5", duration="30d")
    for amount in ("1", "2", "0.000000001"):
        budget.windows.open().update(spent=dollars(amount))
        reset_budget(budget)
    budget.windows.open().update(spent=dollars("4"))

    standing = read_standing(budget)

    assert standing.spent == dollars("4")
    assert standing.total_spent == dollars("7.000000001")


def test_it_shows_the_period_now_running_and_writes_nothing():
    budget = make_budget(limit="5", duration="1h")
    began = database_now().replace(microsecond=0) - timedelta(hours=5, minutes=1)
    Budget.objects.filter(pk=budget.pk).update(anchor=began)
    budget.windows.update(
        starts_at=began, ends_at=began + timedelta(hours=1), spent=dollars("9"), reserved=5
    )
    budget.refresh_from_db()

    standing = read_standing(budget)

    assert (standing.spent, standing.reserved, standing.remaining) == (0, 0, dollars("5"))
    assert standing.starts_at == began + timedelta(hours=5)
    assert standing.resets_at == began + timedelta(hours=6)
    assert standing.total_spent == dollars("9")
    assert BudgetWindow.objects.count() == 1


def test_it_asks_twice_however_many_there_are(django_assert_num_queries):
    budgets = [make_budget(limit=str(n)) for n in range(10)]

    with django_assert_num_queries(2):
        standings = read_standings(budgets)

    assert [standings[budget.pk].limit for budget in budgets] == [
        dollars(str(n)) for n in range(10)
    ]
    with django_assert_num_queries(0):
        assert read_standings([]) == {}


# -- closing -------------------------------------------------------------------------------------


@pytest.mark.parametrize("duration", [None, "30d"])
def test_it_ends_the_open_window_of_a_budget_that_is_closed(duration):
    budget = make_budget(limit="5", duration=duration)
    budget.windows.update(spent=3, reserved=2)

    close_budget(budget)

    window = budget.windows.get()
    assert not window.is_open
    assert window.starts_at < window.ends_at <= database_now()
    assert (window.spent, window.reserved) == (3, 2)


def test_it_leaves_a_window_its_end_when_that_has_passed():
    budget = make_budget(duration="30d")
    ended = database_now() - timedelta(days=1)
    budget.windows.update(starts_at=ended - timedelta(days=30), ends_at=ended)

    close_budget(budget)

    assert budget.windows.get().ends_at == ended


def test_it_closes_a_window_that_has_not_begun():
    budget = make_budget(duration="30d")
    begins = database_now() + timedelta(hours=1)
    budget.windows.update(starts_at=begins)

    close_budget(budget)

    assert budget.windows.get().ends_at == begins + timedelta(microseconds=1)
