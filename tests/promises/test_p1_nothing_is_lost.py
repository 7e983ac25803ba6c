"""P1: every accepted call leaves exactly one row, whatever dies and whenever it dies.

The ledger's part; what the gateway adds is told in tests/wire.
"""

import time

import psycopg
import pytest

from spend.connection import connection_arguments
from spend.models import BudgetWindow, Reservation, SpendLog
from spend.sweep import look_for_lockless_workers, sweep_reservations
from tests.bank import bill, draw_on, record
from tests.factories import make_budget
from tests.spend.recount import recount
from tests.tellers import named

GONE_SECONDS_MAX = 10.0


def wait_until_gone(*workers: int) -> None:
    """PostgreSQL notices the end of their sessions."""
    deadline = time.monotonic() + GONE_SECONDS_MAX
    while not set(workers) <= set(look_for_lockless_workers()):
        assert time.monotonic() < deadline, "their locks are still there"
        time.sleep(0.01)


def test_a_killed_process_leaves_one_row_for_each_call(tellers):
    strict, standard = make_budget(limit="1", mode="strict"), make_budget(limit="1")
    dying, living = tellers(2)
    for teller in (dying, living):
        teller.tell("presence")
    workers = [teller.hear()["worker"] for teller in (dying, living)]
    asked = {"draws": named(strict, standard), "calls": 100, "expected": 100, "bound": 350}
    for teller in (dying, living):
        teller.tell("hold", **asked)
    left, kept = (teller.hear()["ids"] for teller in (dying, living))

    dying.kill()
    wait_until_gone(workers[0])
    swept = sweep_reservations(second_look_seconds=0)

    assert swept == 100
    rows = SpendLog.objects.filter(id__in=left)
    assert {(row.status, row.cost, tuple(row.flags)) for row in rows} == {
        ("estimated", 350, ("expired",))
    }
    assert rows.count() == 100
    assert {str(row) for row in Reservation.objects.values_list("id", flat=True)} == set(kept)
    spent = {w.budget_id: (w.spent, w.reserved) for w in BudgetWindow.objects.all()}
    assert spent == {strict.pk: (35_000, 35_000), standard.pk: (35_000, 10_000)}
    assert recount(admitted=left + kept) == []


@pytest.mark.parametrize("delay_seconds", [0.05, 0.3, 0.8])
def test_a_process_killed_amid_its_calls_leaves_one_row_for_each(tellers, delay_seconds):
    """Some reserved, some settled, some on their way: none is lost and none counts twice."""
    budgets = [make_budget(limit=None) for _ in range(3)]
    dying, living = tellers(2)
    for teller in (dying, living):
        teller.tell("presence")
    workers = [teller.hear()["worker"] for teller in (dying, living)]
    for seed, teller in enumerate((dying, living)):
        teller.tell("chaos", budgets=named(*budgets), seconds=1.2, seed=seed)

    time.sleep(delay_seconds)
    dying.kill()
    survivors = living.hear()["ids"]
    living.process.stdin.close()
    living.process.wait(GONE_SECONDS_MAX)
    deadline = time.monotonic() + GONE_SECONDS_MAX
    while Reservation.objects.exists():
        assert time.monotonic() < deadline
        sweep_reservations(second_look_seconds=0)

    assert len(workers) == 2
    assert sum(window.reserved for window in BudgetWindow.objects.all()) == 0
    assert recount(admitted=survivors) == []


def test_sessions_that_are_ended_all_the_time_lose_nothing(bank):
    """Every connection of the ledger's is cut again and again, in the middle of what it does."""
    budget = make_budget(limit="1")
    admitted = []
    with psycopg.connect(**connection_arguments(), autocommit=True) as killer:
        for _ in range(25):
            answers = bank.ask(*[bank.call([draw_on(budget)], 100) for _ in range(8)])
            for answer in answers:
                if answer.hold:
                    admitted.append(answer.hold)
            post_bills(bank, answers)
            killer.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where application_name = 'tollgate-ledger' and datname = current_database()"
                "   and pid <> pg_backend_pid()"
            )
    bank.flush()

    assert len(admitted) == 200
    assert bank.spent(budget) == 200 * 40
    assert bank.reserved(budget) == 0
    assert bank.differences() == []


def post_bills(bank, answers) -> None:
    async def post() -> None:
        for answer in answers:
            if answer.hold:
                bank.ledger.settle(answer.hold, bill(40), record())

    bank.run(post())


def test_each_odd_cent_of_many_calls_is_in_the_books(bank):
    """3,000 calls at odd prices: the windows' sums are the log's, to the nano-dollar."""
    own, pot = make_budget(limit="1"), make_budget(limit=None)
    costs = [(n * 7919) % 10_007 for n in range(3_000)]

    for start in range(0, len(costs), 200):
        part = costs[start : start + 200]
        answers = bank.ask(*[bank.call([draw_on(own), draw_on(pot)], 11_000) for _ in part])

        async def post(answers=answers, part=part) -> None:
            for answer, cost in zip(answers, part, strict=True):
                bank.ledger.settle(answer.hold, bill(cost), record())

        bank.run(post())
    bank.flush()

    assert (bank.spent(own), bank.spent(pot)) == (sum(costs), sum(costs))
    assert sum(row.cost for row in bank.rows()) == sum(costs)
    assert bank.differences() == []
