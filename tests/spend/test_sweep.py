"""Sweep: what dead workers left becomes rows at the estimate; late usage corrects each once."""

import threading
from datetime import timedelta

import psycopg
import pytest
from django.db import connection

from spend import sweep
from spend.connection import connection_arguments
from spend.errors import BudgetExceeded
from spend.ids import correction_id
from spend.models import Reservation, SpendLog
from spend.rollover import database_now
from spend.sweep import look_for_lockless_workers, sweep_reservations
from tests.bank import WORKER_ID, connected_to, draw_on
from tests.factories import make_budget

LIVING = "select pg_advisory_lock(7001, %s)"


@pytest.fixture
def living(bank):
    """A session that holds the lock of the bank's worker."""
    with psycopg.connect(**connection_arguments(), autocommit=True) as session:
        session.execute(LIVING, [WORKER_ID])
        yield session


def end_session(session) -> None:
    with connection.cursor() as cursor:
        cursor.execute("select pg_terminate_backend(%s, 5000)", [session.info.backend_pid])


def overdue(*holds) -> None:
    past = database_now() - timedelta(seconds=1)
    Reservation.objects.filter(id__in=[hold.id for hold in holds]).update(expires_at=past)


def test_it_works(bank):
    standard, strict = make_budget(limit="1"), make_budget(limit="1", mode="strict")
    hold = bank.reserve([draw_on(standard), draw_on(strict)], 10, 70, user_agent="curl")

    assert sweep_reservations(second_look_seconds=0) == 1

    (row,) = bank.rows()
    assert (row.id, row.status, row.cost, row.http_status) == (hold.id, "estimated", 70, 500)
    assert (row.flags, row.usage_source, row.user_agent) == (["expired"], "estimate", "curl")
    assert row.holds == [10, 70]
    assert (bank.spent(standard), bank.spent(strict)) == (70, 70)
    assert (bank.reserved(standard), bank.reserved(strict)) == (0, 0)
    assert sweep_reservations(second_look_seconds=0) == 0
    assert bank.differences() == []


def test_it_leaves_the_calls_of_a_living_worker(bank, living):
    budget = make_budget(limit="1")
    bank.reserve([draw_on(budget)], 100)

    assert sweep_reservations(second_look_seconds=0) == 0
    assert bank.reserved(budget) == 100

    end_session(living)
    assert look_for_lockless_workers() == [WORKER_ID]
    assert sweep_reservations(second_look_seconds=0) == 1


def test_it_leaves_a_worker_that_was_without_its_lock_for_a_moment(bank, monkeypatch):
    bank.reserve([], 100)
    with psycopg.connect(**connection_arguments(), autocommit=True) as session:
        monkeypatch.setattr(
            "spend.sweep.time.sleep", lambda seconds: session.execute(LIVING, [WORKER_ID])
        )

        assert sweep_reservations(second_look_seconds=5) == 0

    assert len(bank.reservations()) == 1


def test_it_takes_what_is_past_its_time_even_of_a_living_worker(bank, living):
    budget = make_budget(limit="1")
    old, young = (bank.reserve([draw_on(budget)], 100) for _ in range(2))
    overdue(old)

    assert sweep_reservations(second_look_seconds=0) == 1

    assert bank.reservations() == [young.id]
    assert bank.differences() == []


def test_it_charges_the_estimate_of_a_call_that_draws_on_nothing(bank):
    bank.reserve([], 70)

    bank.sweep(WORKER_ID)

    assert [row.cost for row in bank.rows()] == [70]


def test_it_goes_on_until_nothing_is_left(bank, monkeypatch):
    monkeypatch.setattr(sweep, "EXPIRE_ITEMS_MAX", 3)
    budget = make_budget(limit="1")
    bank.ask(*[bank.call([draw_on(budget)], 10) for _ in range(8)])

    assert bank.sweep(WORKER_ID) == 8

    assert bank.spent(budget) == 80
    assert bank.differences() == []


def test_late_usage_is_one_correction(bank):
    budget = make_budget(limit="1")
    hold = bank.reserve([draw_on(budget)], 100)
    bank.sweep(WORKER_ID)

    for cost in (40, 40, 55):
        bank.settle(hold, cost)

    row, correction = bank.rows()
    assert (row.status, row.cost) == ("estimated", 100)
    assert correction.id == correction_id(hold.id, 1)
    assert (correction.status, correction.corrects, correction.cost) == ("correction", hold.id, -60)
    assert (correction.prompt_tokens, correction.completion_tokens) == (12, 18)
    assert (correction.windows, correction.holds) == (row.windows, [0])
    assert bank.spent(budget) == 40
    assert bank.differences() == []


def test_a_late_release_corrects_to_nothing(bank):
    budget = make_budget(limit="1")
    hold = bank.reserve([draw_on(budget)], 100)
    bank.sweep(WORKER_ID)

    bank.release(hold)

    assert [row.cost for row in bank.rows()] == [100, -100]
    assert bank.spent(budget) == 0
    assert bank.differences() == []


def test_late_usage_above_the_hold_of_a_strict_budget_is_the_truth(bank):
    budget = make_budget(limit="0.000000100", mode="strict")
    hold = bank.reserve([draw_on(budget)], 1, 100)
    bank.sweep(WORKER_ID)

    bank.settle(hold, 130)

    assert (bank.spent(budget), bank.window(budget).excess) == (130, 30)
    assert bank.differences() == []


def test_what_was_lawfully_above_a_limit_once_stays_told(bank):
    budget = make_budget(limit="0.000000100", mode="strict")
    dear, free = bank.reserve([draw_on(budget)], 1, 60), bank.reserve([draw_on(budget)], 1, 40)
    bank.sweep(WORKER_ID)

    bank.settle(dear, 90)
    bank.release(free)

    assert (bank.spent(budget), bank.window(budget).excess) == (90, 30)
    with pytest.raises(BudgetExceeded):
        bank.reserve([draw_on(budget)], 1, 11)
    bank.reserve([draw_on(budget)], 1, 10)
    assert bank.differences() == []


def test_an_estimate_made_by_a_living_worker_is_its_last_word(bank):
    budget = make_budget(limit="1")
    hold = bank.reserve([draw_on(budget)], 100)
    bank.settle(hold, 100, "estimated")

    bank.settle(hold, 40)

    assert [row.cost for row in bank.rows()] == [100]
    assert bank.differences() == []


def test_late_usage_goes_into_the_window_that_admitted_the_call(bank):
    budget = make_budget(limit="1", duration="1d")
    hold = bank.reserve([draw_on(budget)], 100)
    first = bank.window(budget)
    bank.sweep(WORKER_ID)
    with connection.cursor() as cursor:
        cursor.execute(
            "update spend_budgetwindow set starts_at = starts_at - interval '2 days',"
            " ends_at = ends_at - interval '2 days'"
        )
    bank.release(bank.reserve([draw_on(budget)], 1))

    bank.settle(hold, 40)

    first.refresh_from_db()
    assert (first.spent, bank.spent(budget)) == (40, 0)
    assert bank.differences() == []


def test_sweeps_at_once_take_each_call_once(bank):
    budget = make_budget(limit="1")
    bank.ask(*[bank.call([draw_on(budget)], 10) for _ in range(40)])

    def run() -> None:
        with connected_to(bank.database):
            sweep.expire_reservations([WORKER_ID])

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert bank.spent(budget) == 400
    assert SpendLog.objects.count() == 40
    assert bank.differences() == []


def test_a_call_that_cannot_be_written_stops_no_other(bank):
    budget = make_budget(limit="1")
    holds = [bank.reserve([draw_on(budget)], 10) for _ in range(5)]
    with connection.cursor() as cursor:
        cursor.execute(
            "update spend_reservation set intent ="
            " jsonb_set(intent, '{endpoint}', to_jsonb(%s::text)) where id = %s",
            ["e" * 41, holds[2].id],
        )

    assert bank.sweep(WORKER_ID) == 4

    assert bank.reservations() == [holds[2].id]
    assert (bank.spent(budget), bank.reserved(budget)) == (40, 10)
    assert bank.differences() == []


def test_calls_whose_window_somebody_keeps_locked_are_left_for_the_next_sweep(bank):
    stuck, free = make_budget(limit="1"), make_budget(limit="1")
    left, taken = (bank.reserve([draw_on(budget)], 10) for budget in (stuck, free))

    with psycopg.connect(**connection_arguments()) as foreign:
        foreign.execute(
            "select 1 from spend_budgetwindow where budget_id = %s for update", [stuck.pk]
        )
        assert bank.sweep(WORKER_ID) == 1

    assert [row.id for row in bank.rows()] == [taken.id]
    assert bank.reservations() == [left.id]
    assert bank.sweep(WORKER_ID) == 1
    assert bank.differences() == []
