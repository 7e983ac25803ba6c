"""Rollover: one window at a time, by the database's clock, whoever asks and however often."""

import threading
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from django.db import connection

from spend.budgets import close_budget
from spend.connection import connection_arguments
from spend.errors import BudgetUnavailable
from spend.models import BudgetWindow
from spend.rollover import database_now, roll_over, roll_over_idle_budgets
from tests.bank import connected_to, draw_on
from tests.factories import make_budget
from tests.spend.recount import recount

YEAR = timedelta(days=365)


def place(budget, *, starts_at, ends_at) -> BudgetWindow:
    """Its open window, moved there; the budget counts from the same start."""
    window = BudgetWindow.objects.open().get(budget=budget)
    BudgetWindow.objects.filter(pk=window.pk).update(starts_at=starts_at, ends_at=ends_at)
    type(budget).objects.filter(pk=budget.pk).update(anchor=starts_at)
    return BudgetWindow.objects.get(pk=window.pk)


def let_end(budget) -> BudgetWindow:
    """A window of a day that ended an hour ago."""
    ended_at = database_now().replace(microsecond=0) - timedelta(hours=1)
    return place(budget, starts_at=ended_at - timedelta(days=1), ends_at=ended_at)


def test_it_works(bank_books):
    budget = make_budget(limit="1", duration="1d")
    ended = let_end(budget)

    opened = BudgetWindow.objects.get(pk=roll_over(budget.pk))

    assert (opened.starts_at, opened.ends_at) == (ended.ends_at, ended.ends_at + timedelta(days=1))
    assert (opened.limit, opened.mode, opened.spent, opened.reserved) == (10**9, "standard", 0, 0)
    assert opened.is_open
    assert not BudgetWindow.objects.get(pk=ended.pk).is_open


def test_it_keeps_the_window_that_the_clock_is_in(bank_books):
    budget = make_budget(limit="1", duration="1d")
    window = BudgetWindow.objects.get(budget=budget)

    assert roll_over(budget.pk) == window.pk
    assert BudgetWindow.objects.count() == 1


def test_it_keeps_a_window_that_never_ends(bank_books):
    budget = make_budget(limit="1")
    BudgetWindow.objects.update(starts_at=database_now() - 40 * YEAR)

    assert roll_over(budget.pk) == BudgetWindow.objects.get(budget=budget).pk


def test_it_passes_over_periods_in_which_nobody_called(bank_books):
    budget = make_budget(limit="1", duration="1d")
    start = database_now().replace(microsecond=0) - timedelta(days=10, hours=1)
    place(budget, starts_at=start, ends_at=start + timedelta(days=1))

    opened = BudgetWindow.objects.get(pk=roll_over(budget.pk))

    assert opened.starts_at == start + timedelta(days=10)
    assert BudgetWindow.objects.count() == 2


def test_it_opens_one_window_when_many_ask_at_once(bank_books):
    budgets = [make_budget(limit="1", duration="1d") for _ in range(5)]
    for budget in budgets:
        let_end(budget)
    found: list[tuple[int, int]] = []

    def ask() -> None:
        with connected_to(bank_books):
            found.extend((budget.pk, roll_over(budget.pk)) for budget in budgets)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(found) == 40
    assert len(set(found)) == 5
    assert BudgetWindow.objects.count() == 10
    assert recount() == []


def test_it_opens_no_window_before_the_newest_one_ends(bank_books):
    """The clock was set back over a window's edge: it stays, and nobody gets a second budget."""
    budget = make_budget(limit="1", duration="1d")
    now = database_now()
    window = place(budget, starts_at=now + timedelta(hours=1), ends_at=now + timedelta(hours=25))

    assert roll_over(budget.pk) == window.pk
    assert BudgetWindow.objects.count() == 1


def test_a_budget_that_was_closed_opens_again_where_it_ended(bank_books):
    """A card may be a second old: somebody draws once more on a budget that nobody owns now."""
    budget = make_budget(limit="1", duration="1d")
    first = BudgetWindow.objects.get(budget=budget)
    close_budget(budget)
    closed = BudgetWindow.objects.get(pk=first.pk)

    second = BudgetWindow.objects.get(pk=roll_over(budget.pk))

    assert not closed.is_open
    assert second.starts_at == closed.ends_at
    assert second.ends_at == first.ends_at
    assert recount() == []


def test_it_opens_one_window_of_a_closed_budget_when_many_ask_at_once(bank_books):
    budget = make_budget(limit="1", duration="1d")
    close_budget(budget)
    found = []

    def ask() -> None:
        with connected_to(bank_books):
            found.append(roll_over(budget.pk))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(found) == 8
    assert len(set(found)) == 1
    assert BudgetWindow.objects.count() == 2


def test_it_does_not_know_a_budget_that_is_gone(bank_books):
    with pytest.raises(BudgetUnavailable):
        roll_over(999_999)


def test_it_takes_the_limit_of_an_edit_that_commits_meanwhile(bank_books):
    """It waits for the edit, and the new window has the new limit; neither waits for ever."""
    budget = make_budget(limit="1", duration="1d")
    let_end(budget)

    with psycopg.connect(**connection_arguments()) as editor:
        editor.execute("select 1 from spend_budget where id = %s for update", [budget.pk])
        opener = threading.Thread(target=roll_over_in, args=(bank_books, budget.pk))
        opener.start()
        opener.join(0.3)
        assert opener.is_alive()
        editor.execute('update spend_budget set "limit" = 7 where id = %s', [budget.pk])
        editor.execute("select spend_change_window(%s, false)", [budget.pk])
        editor.commit()
        opener.join(5)

    assert BudgetWindow.objects.open().get(budget=budget).limit == 7
    assert BudgetWindow.objects.count() == 2


def roll_over_in(database: str, budget_id: int) -> None:
    with connected_to(database):
        roll_over(budget_id)


def test_it_opens_the_windows_of_idle_budgets(bank_books):
    idle = [make_budget(limit="1", duration="1d") for _ in range(3)]
    make_budget(limit="1", duration="1d")
    make_budget(limit="1")
    close_budget(make_budget(limit="1", duration="1d"))
    for budget in idle:
        let_end(budget)

    assert roll_over_idle_budgets() == 3
    assert roll_over_idle_budgets() == 0
    assert (
        BudgetWindow.objects.open().filter(budget__in=idle, ends_at__gt=database_now()).count() == 3
    )
    assert recount() == []


@pytest.mark.parametrize(
    ("duration", "time_zone"),
    [("monthly", "Europe/Berlin"), ("weekly", "Pacific/Auckland"), ("1mo", "UTC"), ("2w", "UTC")],
)
def test_windows_follow_one_another_without_a_gap(bank_books, duration, time_zone):
    budget = make_budget(limit="1", duration=duration, time_zone=time_zone)
    for _ in range(4):
        window = BudgetWindow.objects.open().get(budget=budget)
        shift = window.ends_at - database_now() + timedelta(seconds=1)
        with connection.cursor() as cursor:
            cursor.execute(
                "update spend_budgetwindow set starts_at = starts_at - %s, ends_at = ends_at - %s",
                [shift, shift],
            )
        roll_over(budget.pk)

    assert BudgetWindow.objects.count() == 5
    assert recount() == []


def test_money_of_a_call_stays_in_the_window_that_admitted_it(bank):
    budget = make_budget(limit="1", duration="1d")
    hold = bank.reserve([draw_on(budget)], 100)
    ended = let_end(budget)

    bank.reserve([draw_on(budget)], 7)
    bank.settle(hold, 60)

    old = BudgetWindow.objects.get(pk=ended.pk)
    assert (old.spent, old.reserved) == (60, 0)
    assert (bank.spent(budget), bank.reserved(budget)) == (0, 7)
    assert bank.differences() == []


def test_the_database_has_the_only_clock(bank_books, monkeypatch):
    monkeypatch.setattr("time.time", lambda: datetime(2066, 1, 1, tzinfo=UTC).timestamp())

    with connection.cursor() as cursor:
        cursor.execute("select clock_timestamp()")
        (now,) = cursor.fetchone()

    assert abs(database_now() - now) < timedelta(seconds=10)
