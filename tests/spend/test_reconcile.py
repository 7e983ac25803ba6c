"""Reconcile: each planted fault is found and named, and what it tells is true under traffic."""

import io
import json
from datetime import timedelta
from decimal import Decimal

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction

from spend.audit import record_change
from spend.invariants import PROMISES
from spend.models import Audit, AuditSeal, BudgetWindow, JobRun
from spend.reconcile import EVER, reconcile
from spend.reconciliation import AuditHead
from spend.rollover import database_now
from spend.snapshot import take_snapshot
from tests.bank import draw_on
from tests.factories import dollars, make_budget
from tests.spend.recount import recount

SOMEBODY = "01890000-0000-7000-8000-0000000000aa"

# what is found, the fault
FAULTS = [
    ("spent", "update spend_budgetwindow set spent = spent + 1"),
    ("spent rollup", "delete from spend_spendlog where cost > 0"),
    ("spent rollup", "update spend_spendlog set cost = cost + 1 where cost > 0"),
    ("reserved", "update spend_budgetwindow set reserved = reserved + 1"),
    ("reserved", "delete from spend_reservation"),
    ("reserved", "update spend_reservation set holds = '{2}'"),
    ("rollup", "update spend_rollup set cost = cost + 1 where span = 'hour'"),
    ("rollup", "update spend_rollup set requests = requests - 1 where span = 'day'"),
    ("rollup", "update spend_rollup set cached_tokens = cached_tokens + 1"),
    ("rollup", "update spend_rollup set cache_write_tokens = cache_write_tokens + 1"),
    ("rollup", "delete from spend_rollup where span = 'day'"),
    ("rollup", "update spend_rollup set model = 'other'"),
    ("duplicate_row", "update spend_spendlog set id = (select id from spend_reservation)"),
    ("orphan_row", "update spend_spendlog set corrects = '" + SOMEBODY + "'"),
    ("stray_window reserved", "update spend_reservation set windows = '{999999}'"),
    ("strict_over_limit", "update spend_budgetwindow set mode = 'strict', \"limit\" = 1"),
    ("standard_over_bound", "update spend_budgetwindow set \"limit\" = 0"),
    ("overlap", "insert into spend_budgetwindow (budget_id, starts_at, ends_at, is_open, mode)"
                " select budget_id, starts_at - interval '1 hour', starts_at + interval '1 second',"
                " false, mode from spend_budgetwindow"),
    ("overdue_reservation",
     "update spend_reservation set expires_at = clock_timestamp() - interval '31 seconds'"),
    ("audit_chain", "update spend_audit set actor = 'nobody' where name = 'a'"),
    ("audit_chain", "update spend_audit set at = at - interval '1 hour' where name = 'b'"),
    ("audit_chain", "delete from spend_audit where name = 'a'"),
    ("audit_chain", "delete from spend_auditseal where position = 1"),
    ("audit_chain", "delete from spend_audit where name = 'a';"
                    " delete from spend_auditseal where position = 1"),
    ("audit_chain", "update spend_auditseal set position = position + 2"),
]  # fmt: skip
UNGUARDED = [
    "alter table spend_spendlog disable trigger log_is_append_only",
    "alter table spend_spendlog_default disable trigger log_is_append_only",
    "alter table spend_spendlog drop constraint log_cost_not_negative",
    "alter table spend_budgetwindow drop constraint strict_ceiling",
    "drop trigger seal_audit on spend_audit",
    "alter table spend_auditseal disable trigger audit_is_append_only",
]


@pytest.fixture
def busy_bank(bank):
    """A window with a call that is over and one in flight, and two entries in the audit."""
    budget = make_budget(limit="1")
    hold = bank.reserve([draw_on(budget)], dollars("0.5"))
    bank.reserve([draw_on(budget)], 1)
    bank.settle(hold, dollars("0.7"))
    for name in ("a", "b"):
        record_change("ana", "create", "tag", name, after={"limit": 1})
    return bank


def kinds() -> set[str]:
    return {difference.kind for difference in reconcile(since=EVER).differences}


# -- teeth ---------------------------------------------------------------------------------------


def test_it_finds_nothing_when_all_is_well(busy_bank):
    assert busy_bank.differences() == []


@pytest.mark.parametrize(("expected", "fault"), FAULTS)
def test_it_finds_a_planted_fault(busy_bank, expected, fault):
    with transaction.atomic(), connection.cursor() as cursor:
        disarm(cursor)
        cursor.execute(fault)
        found = kinds()
        transaction.set_rollback(True)

    assert found - {"guard_missing"} == set(expected.split())
    assert kinds() == set()


@pytest.mark.parametrize("fault", UNGUARDED)
def test_it_finds_a_guard_that_is_gone(bank_books, fault):
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(fault)
        found = kinds()
        transaction.set_rollback(True)

    assert found == {"guard_missing"}


def test_it_plants_a_fault_for_each_invariant():
    planted = {kind for expected, _ in FAULTS for kind in expected.split()}
    assert planted | {"guard_missing"} == set(PROMISES)


def test_the_recount_of_tests_finds_a_call_that_nobody_knows(bank):
    assert recount(admitted=[SOMEBODY]) == [f"lost_call: id={SOMEBODY}"]


def disarm(cursor) -> None:
    """What keeps such faults out in the first place."""
    cursor.execute("alter table spend_spendlog disable trigger log_is_append_only")
    cursor.execute("alter table spend_spendlog drop constraint log_correction_names_its_call")
    cursor.execute("alter table spend_budgetwindow drop constraint strict_ceiling")
    cursor.execute("alter table spend_audit disable trigger audit_is_append_only")
    cursor.execute("alter table spend_auditseal disable trigger audit_is_append_only")


# -- what it tells -------------------------------------------------------------------------------


def test_it_tells_how_the_books_stand(busy_bank):
    JobRun.objects.create(job="sweep", started_at=database_now(), last_success_at=database_now())

    told = reconcile().as_json()

    assert told["ok"] is True
    assert (told["windows"], told["windows_ok"], told["rows"]) == (1, 1, 1)
    assert (told["reservations_open"], told["corrections"], told["overruns"]) == (1, 0, 0)
    assert told["usage_source"] == {"upstream": 1.0, "counted": 0.0, "estimate": 0.0}
    assert told["differences"] == []
    assert set(told["counts"]) == set(PROMISES)
    assert told["audit_head"].startswith("2:")
    assert told["jobs"]["sweep"].endswith("Z")
    assert told["jobs"]["beat"] == told["jobs"]["sweep"]
    assert told["checked_at"].endswith("Z")
    assert json.loads(json.dumps(told)) == told


def test_it_tells_which_window_is_off_and_by_how_much(busy_bank):
    BudgetWindow.objects.update(spent=dollars("0.800000001"))
    window = BudgetWindow.objects.select_related("budget").get()

    told = reconcile()

    (difference,) = told.differences
    assert difference.kind == "spent"
    assert difference.says == {
        "budget_id": window.budget.public_id,
        "window_starts_at": window.starts_at,
        "expected": Decimal("0.7"),
        "actual": Decimal("0.800000001"),
    }
    assert (told.windows, told.windows_ok, told.counts["spent"]) == (1, 0, 1)
    assert told.as_json()["differences"][0]["actual"] == 0.800000001


def test_it_tells_the_first_differences_and_counts_them_all(bank_books, monkeypatch):
    monkeypatch.setattr("spend.reconcile.DIFFERENCES_MAX", 2)
    for _ in range(3):
        make_budget(limit="1")
    BudgetWindow.objects.update(spent=1)

    told = reconcile()

    assert [difference.kind for difference in told.differences] == ["spent", "spent"]
    assert (told.counts["spent"], told.windows, told.windows_ok) == (3, 3, 0)


def test_it_is_of_one_moment_while_calls_go_on(busy_bank):
    other = make_budget(limit="1")
    with take_snapshot() as books:
        before = books.value("select sum(spent) from spend_budgetwindow")
        busy_bank.settle(busy_bank.reserve([draw_on(other)], 5), 5)

        assert books.value("select sum(spent) from spend_budgetwindow") == before
        assert books.value("select count(*) from spend_spendlog") == 1
    assert kinds() == set()


def test_its_snapshot_changes_nothing(bank_books):
    with pytest.raises(Exception, match="read-only transaction"), take_snapshot() as books:
        books.rows("insert into spend_tagset (digest, tags) values ('', '{}') returning id")


def test_it_looks_only_at_what_began_since(busy_bank):
    """A window that began before is not judged by rows of which a part is not read."""
    BudgetWindow.objects.update(spent=1, starts_at=database_now() - timedelta(days=3))

    assert reconcile().counts["spent"] == 1
    assert reconcile(since=database_now() - timedelta(days=4)).counts["spent"] == 1
    later = reconcile(since=database_now() - timedelta(days=2))
    assert (later.is_ok, later.windows, later.rows) == (True, 0, 1)


# -- the audit's chain ---------------------------------------------------------------------------


def test_the_audit_cannot_be_changed(busy_bank):
    for change in ("update spend_audit set actor = 'x'", "delete from spend_auditseal"):
        with connection.cursor() as cursor, pytest.raises(IntegrityError, match="append-only"):
            cursor.execute(change)

    assert list(AuditSeal.objects.order_by("position").values_list("position", flat=True)) == [1, 2]


def test_it_finds_that_the_newest_entries_are_gone_by_the_head_told_before(busy_bank):
    head = reconcile().audit_head
    record_change("ana", "create", "tag", "c")
    assert reconcile(known_head=head).is_ok

    with transaction.atomic(), connection.cursor() as cursor:
        disarm(cursor)
        cursor.execute("delete from spend_audit where name <> 'a'")
        cursor.execute("delete from spend_auditseal where position > 1")
        shorter = reconcile(since=EVER)
        told = reconcile(since=EVER, known_head=head)
        transaction.set_rollback(True)

    assert shorter.counts["audit_chain"] == 0
    assert told.counts["audit_chain"] == 1
    assert told.differences[-1].says == {"missing_head": str(head)}


def test_changes_at_the_same_time_are_one_chain(busy_bank):
    """Who commits first is sealed first, whichever entry has the smaller number."""
    with transaction.atomic():
        record_change("ana", "create", "tag", "c")
        busy_bank.run(in_thread(busy_bank.database, "d"))
    order = AuditSeal.objects.order_by("position").values_list("audit_id", flat=True)

    names = dict(Audit.objects.values_list("id", "name"))
    assert [names[entry] for entry in order] == ["a", "b", "d", "c"]
    assert kinds() == set()


async def in_thread(database: str, name: str) -> None:
    import asyncio

    from tests.bank import connected_to

    def record() -> None:
        with connected_to(database):
            record_change("bob", "create", "tag", name)

    await asyncio.to_thread(record)


# -- the command ---------------------------------------------------------------------------------


def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command("reconcile", *arguments, stdout=out)
    return out.getvalue()


def test_its_command_tells_json(busy_bank):
    told = json.loads(run())

    assert (told["ok"], told["windows"]) == (True, 1)
    assert told["since"]
    assert json.loads(run("--all"))["since"] is None
    assert json.loads(run("--since", "2026-01-01"))["since"] == "2026-01-01T00:00:00Z"


def test_its_command_ends_with_1_when_something_differs(busy_bank):
    BudgetWindow.objects.update(spent=1)
    out = io.StringIO()

    with pytest.raises(SystemExit) as end:
        call_command("reconcile", stdout=out)

    assert end.value.code == 1
    assert json.loads(out.getvalue())["windows_ok"] == 0


def test_its_command_tells_people(busy_bank):
    assert run("--text", "--all").splitlines()[-1] == "1 windows agree; 1 rows of all time"
    BudgetWindow.objects.update(reserved=2)
    out = io.StringIO()
    with pytest.raises(SystemExit):
        call_command("reconcile", "--text", stdout=out)

    told = out.getvalue()
    assert f"     1  {PROMISES['reserved']}" in told
    assert "expected 0.000000001, actual 0.000000002" in told
    assert "\n0 of 1 windows agree; 1 rows since 20" in told


@pytest.mark.parametrize(
    "arguments",
    [("--since", "yesterday"), ("--since", "2026-01-01", "--all"), ("--audit-head", "1:ab")],
)
def test_its_command_refuses_what_it_does_not_understand(bank_books, arguments):
    with pytest.raises(CommandError):
        run(*arguments)


def test_its_command_compares_with_a_head_that_was_kept_elsewhere(busy_bank):
    head = json.loads(run())["audit_head"]
    assert json.loads(run("--audit-head", head))["ok"]

    with pytest.raises(SystemExit):
        run("--audit-head", str(AuditHead(2, "ab" * 32)))
