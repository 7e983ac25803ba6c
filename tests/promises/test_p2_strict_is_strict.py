"""P2: a strict budget is never overrun, with any number of processes and any burst."""

import threading
import time
from collections.abc import Callable

import psycopg
import pytest
from django.db import connection

from spend.budgets import change_budget
from spend.connection import connection_arguments
from spend.models import BudgetWindow, Reservation, SpendLog
from tests.bank import empty_books
from tests.factories import make_budget
from tests.spend.recount import recount
from tests.tellers import all_at_once, named

COST = 350
OVER = (
    "select count(*) from spend_budgetwindow"
    " where mode = 'strict' and spent + reserved > \"limit\" + excess"
)


class Watch:
    """Looks at the committed state all the time, from outside; how often a limit was passed."""

    def __init__(self) -> None:
        self.looks = self.overruns = 0
        self._arguments = connection_arguments()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        with psycopg.connect(**self._arguments, autocommit=True) as session:
            while not self._over.wait(0.01):
                (found,) = session.execute(OVER).fetchone() or (0,)
                self.looks += 1
                self.overruns += found


def ids_of(answers: list[dict]) -> list[str]:
    return [call_id for answer in answers for call_id in answer["ids"]]


def race(tellers, *, calls: int, fit: int, cost: int | None) -> None:
    """So many calls, shared by the tellers, on a budget that affords `fit` of them."""
    empty_books()
    budget = make_budget(mode="strict", limit="0")
    change_budget(budget, {"limit": fit * COST})

    asked = {"draws": named(budget), "calls": calls // len(tellers), "expected": 100}
    answers = all_at_once(tellers, "race", bound=COST, cost=cost, **asked)

    window = BudgetWindow.objects.get(budget=budget)
    assert len(ids_of(answers)) == fit
    assert sum(answer["refused"] for answer in answers) == calls - fit
    paid = (fit * COST, 0) if cost is not None else (0, fit * COST)
    assert (window.spent, window.reserved, window.excess) == (*paid, 0)
    assert recount(admitted=ids_of(answers)) == []


def test_it_admits_exactly_what_fits(tellers):
    """300 calls of four processes on a budget that affords 100: 20 times exactly 100."""
    opened = tellers(4)
    with Watch() as watch:
        for _ in range(20):
            race(opened, calls=300, fit=100, cost=None)

    assert watch.overruns == 0
    assert watch.looks > 20


def test_it_spends_exactly_what_fits(tellers):
    """The same, settled at the full bound while others still ask."""
    opened = tellers(2)
    with Watch() as watch:
        for _ in range(3):
            race(opened, calls=300, fit=100, cost=COST)

    assert watch.overruns == 0
    assert SpendLog.objects.filter(status="refused").count() == 200


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_it_admits_exactly_what_fits_100_times(tellers):
    opened = tellers(4)
    for _ in range(100):
        race(opened, calls=1_000, fit=500, cost=COST)


def test_it_holds_on_all_three_budgets_or_on_none(tellers):
    """The tightest decides; the roomy ones hold nothing of what it refused."""
    opened = tellers(3)
    roomy, loose, tight = (make_budget(mode="strict", limit="0") for _ in range(3))
    for budget, fit in ((roomy, 1_000), (loose, 80), (tight, 60)):
        change_budget(budget, {"limit": fit * COST})
    orders = [named(roomy, loose, tight), named(tight, roomy, loose), named(loose, tight, roomy)]

    for teller, draws in zip(opened, orders, strict=True):
        teller.tell("race", draws=draws, calls=50, expected=1, bound=COST)
    answers = [teller.hear() for teller in opened]

    assert len(ids_of(answers)) == 60
    held = {w.budget_id: w.reserved for w in BudgetWindow.objects.all()}
    assert held == {budget.pk: 60 * COST for budget in (roomy, loose, tight)}
    assert recount(admitted=ids_of(answers)) == []


def chaos(tellers, *, seconds: float) -> None:
    """Four processes, random sets of windows in random order, a sweeper, and edits meanwhile."""
    opened = tellers(4)
    budgets = [make_budget(mode=("strict", "standard")[n % 2], limit="0.000004") for n in range(6)]
    deadlocks_before = deadlocks()
    for seed, teller in enumerate(opened):
        teller.tell("chaos", budgets=named(*budgets), seconds=seconds, seed=seed)
    with Watch() as watch:
        edit_meanwhile(budgets, seconds)
        answers = [teller.hear() for teller in opened]

    ids = ids_of(answers)
    assert len(ids) > 100
    assert watch.overruns == 0
    assert deadlocks() == deadlocks_before
    assert recount(admitted=ids) == []
    assert SpendLog.objects.filter(id__in=ids).count() == len(ids)
    others = SpendLog.objects.exclude(status="refused").exclude(id__in=ids)
    assert set(others.values_list("status", "cost")) <= {("failure", 0)}  # given up in time
    assert Reservation.objects.count() == 0


def edit_meanwhile(budgets, seconds: float) -> None:
    end_at = time.monotonic() + seconds
    round_number = 0
    while time.monotonic() < end_at:
        budget = budgets[round_number % len(budgets)]
        change_budget(budget, {"limit": 4_000 + round_number % 7 * 1_000})
        with connection.cursor() as cursor:
            cursor.execute("select spend_expire('{}', 500, 'UTC')")
        round_number += 1
        time.sleep(0.02)


def deadlocks() -> int:
    with connection.cursor() as cursor:
        cursor.execute("select pg_stat_force_next_flush(), pg_stat_clear_snapshot()")
        cursor.execute("select deadlocks from pg_stat_database where datname = current_database()")
        (found,) = cursor.fetchone()
    return found


def test_it_balances_through_chaos_without_a_deadlock(tellers):
    chaos(tellers, seconds=3)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_it_balances_through_ten_minutes_of_chaos(tellers):
    chaos(tellers, seconds=600)


def test_the_order_of_locks_is_what_prevents_deadlocks(bank_books):
    """The same work in the order in which calls name their budgets does deadlock."""
    budgets = [make_budget(limit="1") for _ in range(2)]
    before = deadlocks()
    meet = threading.Barrier(2)

    def lock(order: Callable) -> None:
        arguments = {**connection_arguments(), "dbname": bank_books}
        with psycopg.connect(**arguments) as session:
            for budget in order(budgets):
                meet.wait(5)
                session.execute(
                    "select 1 from spend_budgetwindow where budget_id = %s for update", [budget.pk]
                )

    def lose(order: Callable) -> None:
        try:
            lock(order)
        except psycopg.errors.DeadlockDetected as error:
            lost.append(error)

    lost: list[Exception] = []
    threads = [threading.Thread(target=lose, args=(order,)) for order in (list, reversed)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(lost) == 1
    assert deadlocks() == before + 1
