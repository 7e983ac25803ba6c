"""Retention: old months leave the log while calls go on, and the books still agree."""

import io
import threading
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from spend import retention
from spend.connection import connection_arguments
from spend.ids import CallIds
from spend.models import Audit, BudgetWindow, ClosedSpan, Closing, Rollup, SpendLog
from spend.partitions import make_partitions
from spend.reconcile import EVER, reconcile
from spend.retention import BooksDiffer, LogInUse, due_months, retain_log
from tests.bank import draw_on
from tests.factories import dollars, make_budget
from tests.spend.test_partitions import month_name, partition_names

LONG_AGO = (datetime.now(UTC) - timedelta(days=250)).replace(day=9)
OLD = month_name(LONG_AGO)


@pytest.fixture
def old_bank(bank):
    """A bank with a call of long ago beside one of now, both on one window."""
    before = partition_names()
    make_partitions(LONG_AGO)
    bank.budget = make_budget(limit="100")
    old_ids = CallIds(lambda: int(LONG_AGO.timestamp() * 1000))
    bank.old_id = old_ids.next()
    hold = bank.reserve([draw_on(bank.budget)], dollars("0.5"), call_id=bank.old_id)
    bank.settle(hold, dollars("0.7"))
    bank.settle(bank.reserve([draw_on(bank.budget)], 5), 7)
    yield bank
    with connection.cursor() as cursor:
        cursor.execute("truncate spend_spendlog, spend_closing, spend_closedspan,"
                       " spend_closedwindow")  # fmt: skip
        for name in partition_names() - before:
            cursor.execute(f"drop table {name}")


def exists(table: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("select to_regclass(%s) is not null", [table])
        return cursor.fetchone()[0]


def differences() -> set[str]:
    return {difference.kind for difference in reconcile(since=EVER).differences}


def test_it_drops_old_months_and_the_books_agree(old_bank):
    assert differences() == set()

    gone = retain_log(6)

    assert gone[0] == OLD
    assert [SpendLog.objects.filter(id=old_bank.old_id).exists(), exists(OLD)] == [False, False]
    closing = Closing.objects.get(partition=OLD)
    assert (closing.rows, closing.cost) == (1, dollars("0.7"))
    assert closing.dropped_at is not None
    assert Audit.objects.get(kind="log", name=OLD).before == {"rows": 1, "cost": dollars("0.7")}
    assert old_bank.spent(old_bank.budget) == dollars("0.7") + 7
    assert differences() == set()
    assert retain_log(6) == []


def test_a_change_of_what_was_closed_is_still_found(old_bank):
    retain_log(6)
    window = BudgetWindow.objects.get(budget=old_bank.budget)
    span = ClosedSpan.objects.get(closing__partition=OLD, span="day")

    BudgetWindow.objects.filter(pk=window.pk).update(spent=window.spent + 1)
    assert differences() == {"spent"}

    BudgetWindow.objects.filter(pk=window.pk).update(spent=window.spent)
    rows = Rollup.objects.filter(span="day", starts_at=span.starts_at)
    rows.update(cost=dollars("0.7") + 8)
    assert differences() == {"rollup"}

    rows.delete()
    assert differences() == {"rollup"}


def test_it_tells_what_would_go_and_changes_nothing(old_bank):
    out = io.StringIO()
    call_command("retain_log", "--months", "6", "--dry-run", stdout=out)

    assert f"would drop {OLD}\n" in out.getvalue()
    assert exists(OLD)
    assert not Closing.objects.exists()


def test_it_keeps_what_is_young_and_everything_by_default(old_bank):
    assert retain_log(0) == []
    assert due_months(12) == []
    out = io.StringIO()
    call_command("retain_log", stdout=out)
    assert out.getvalue() == "nothing is old enough\n"
    with pytest.raises(CommandError, match="at least 0"):
        call_command("retain_log", "--months", "-1")


def test_it_drops_nothing_while_the_books_differ(old_bank):
    BudgetWindow.objects.filter(budget=old_bank.budget).update(spent=1)

    with pytest.raises(BooksDiffer):
        retain_log(6)
    assert exists(OLD)


def test_it_gives_up_rather_than_make_bills_wait_behind_a_reader(old_bank, monkeypatch):
    monkeypatch.setattr(retention, "TRIES", 2)
    monkeypatch.setattr(retention, "PAUSE_SECONDS", 0)
    with psycopg.connect(**connection_arguments()) as report:
        report.execute("select count(*) from spend_spendlog")

        with pytest.raises(LogInUse):
            retain_log(6)
        old_bank.settle(old_bank.reserve([draw_on(old_bank.budget)], 5), 7)  # nobody waits

    assert OLD in partition_names()
    assert not Closing.objects.exists()
    assert differences() == set()


def test_a_run_that_was_killed_before_the_drop_is_ended_by_the_next(old_bank, monkeypatch):
    (month, *_) = due_months(6)
    retention.close_month(month, "test")
    assert (exists(OLD), OLD in partition_names()) == (True, False)
    assert differences() == set()

    retain_log(0)

    assert not exists(OLD)


def test_calls_settle_while_months_leave(old_bank):
    ended = threading.Event()
    errors = []

    def settle_on() -> None:
        try:
            while not ended.is_set():
                hold = old_bank.reserve([draw_on(draws_on)], 5)
                old_bank.settle(hold, 7)
        except Exception as error:  # noqa: BLE001 - told by the test
            errors.append(error)

    draws_on = old_bank.budget
    caller = threading.Thread(target=settle_on)
    caller.start()
    try:
        gone = retain_log(6)
    finally:
        ended.set()
        caller.join()

    assert errors == []
    assert OLD in gone
    assert differences() == set()
    assert old_bank.spent(draws_on) == dollars("0.7") + 7 * SpendLog.objects.count()


def test_a_correction_of_a_call_that_is_gone_has_its_place(old_bank):
    row = old_bank.row(old_bank.old_id)
    retain_log(6)

    row.pk = row.id = type(row.id)(int=row.id.int + 1)
    row.corrects, row.status, row.cost, row.holds = old_bank.old_id, "correction", 0, [0]
    row.save(force_insert=True)

    assert "orphan_row" not in differences()
