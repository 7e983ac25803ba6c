"""Jobs: one at a time over all processes, and none that was killed blocks the next."""

import threading
from datetime import timedelta

import psycopg
import pytest
from django.db import DatabaseError, connection

from spend import tasks
from spend.budgets import close_budget
from spend.connection import connection_arguments
from spend.jobs import run_single
from spend.models import BudgetWindow, JobRun
from spend.rollover import database_now
from tests.bank import connected_to, draw_on
from tests.factories import make_budget


def test_it_works(bank_books):
    assert run_single("sweep", lambda: 7) is True

    run = JobRun.objects.get(job="sweep")
    assert run.outcome == 7
    assert run.started_at <= run.finished_at == run.last_success_at
    assert abs(database_now() - run.finished_at) < timedelta(seconds=10)


def test_it_does_not_run_while_another_process_does(bank_books):
    started, go_on, ran = threading.Event(), threading.Event(), []

    def run_slowly() -> None:
        with connected_to(bank_books):
            run_single("sweep", lambda: (started.set(), go_on.wait(10), ran.append("slow"))[2])

    slow = threading.Thread(target=run_slowly)
    slow.start()
    assert started.wait(10)

    assert run_single("sweep", lambda: ran.append("second")) is False
    assert run_single("rollover", lambda: ran.append("other")) is True

    go_on.set()
    slow.join()
    assert ran == ["other", "slow"]
    assert run_single("sweep", lambda: ran.append("third")) is True


def test_it_tells_what_a_job_met_and_may_run_again(bank_books):
    run_single("sweep", lambda: 1)
    first = JobRun.objects.get(job="sweep")

    with pytest.raises(ZeroDivisionError):
        run_single("sweep", lambda: 1 / 0)

    failed = JobRun.objects.get(job="sweep")
    assert failed.started_at > first.started_at
    assert failed.last_success_at == first.last_success_at
    assert run_single("sweep", lambda: 2) is True


def test_it_tells_what_a_job_met_when_the_session_is_lost(bank_books):
    def lose_the_session() -> None:
        with connection.cursor() as cursor:
            cursor.execute("select pg_terminate_backend(pg_backend_pid())")

    with pytest.raises(DatabaseError, match="terminating connection"):
        run_single("sweep", lose_the_session)

    connection.close()
    assert run_single("sweep", lambda: 2) is True


def test_a_killed_process_does_not_block_the_next_run(bank_books):
    holder = psycopg.connect(**connection_arguments(), autocommit=True)
    holder.execute("select pg_advisory_lock(7002, hashtext('sweep'))")
    assert run_single("sweep", lambda: 1) is False
    with connection.cursor() as cursor:
        cursor.execute("select pg_terminate_backend(%s, 2000)", [holder.info.backend_pid])

    assert run_single("sweep", lambda: 1) is True
    holder.close()


def test_its_tasks_may_run_any_number_of_times(bank, monkeypatch):
    monkeypatch.setattr(tasks, "SECOND_LOOK_SECONDS", 0)
    idle, gone = make_budget(limit="1", duration="1d"), make_budget(limit="1", duration="1d")
    bank.reserve([draw_on(gone)], 10)
    close_budget(gone)
    BudgetWindow.objects.filter(budget=idle).update(
        starts_at=database_now() - timedelta(days=3), ends_at=database_now() - timedelta(days=2)
    )

    for _ in range(3):
        tasks.roll_over_budgets()
        tasks.sweep_reservations()
        tasks.make_partitions()

    assert BudgetWindow.objects.filter(budget=idle).count() == 2
    assert [row.status for row in bank.rows()] == ["estimated"]
    assert bank.reservations() == []
    outcomes = dict(JobRun.objects.values_list("job", "outcome"))
    assert outcomes == {"rollover": 0, "sweep": 0, "partitions": 0}
    assert bank.differences() == []
