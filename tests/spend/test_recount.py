"""The recount has teeth: each planted fault is found, and named."""

import pytest
from django.db import connection, transaction

from tests.bank import draw_on
from tests.factories import dollars, make_budget
from tests.spend.recount import QUERIES, recount

SOMEBODY = "01890000-0000-7000-8000-0000000000aa"

# name of the query, the fault
FAULTS = [
    ("spent", "update spend_budgetwindow set spent = spent + 1"),
    ("spent", "delete from spend_spendlog where cost > 0"),
    ("spent", "update spend_spendlog set cost = cost + 1 where cost > 0"),
    ("reserved", "update spend_budgetwindow set reserved = reserved + 1"),
    ("reserved", "delete from spend_reservation"),
    ("reserved", "update spend_reservation set holds = '{2}'"),
    ("rollup", "update spend_rollup set cost = cost + 1 where span = 'hour'"),
    ("rollup", "update spend_rollup set requests = requests - 1 where span = 'day'"),
    ("rollup", "update spend_rollup set cached_tokens = cached_tokens + 1"),
    ("rollup", "delete from spend_rollup where span = 'day'"),
    ("rollup", "update spend_rollup set model = 'other'"),
    ("duplicate_row", "update spend_spendlog set id = (select id from spend_reservation)"),
    ("orphan_row", "update spend_spendlog set corrects = '" + SOMEBODY + "'"),
    ("stray_window", "update spend_reservation set windows = '{999999}'"),
    ("strict_over_limit", "update spend_budgetwindow set mode = 'strict', \"limit\" = 1"),
    ("standard_over_bound", "update spend_budgetwindow set \"limit\" = 0"),
    ("overlap", "insert into spend_budgetwindow (budget_id, starts_at, ends_at, is_open, mode)"
                " select budget_id, starts_at - interval '1 hour', starts_at + interval '1 second',"
                " false, mode from spend_budgetwindow"),
    ("overdue_reservation",
     "update spend_reservation set expires_at = clock_timestamp() - interval '31 seconds'"),
]  # fmt: skip


def test_it_finds_nothing_when_all_is_well(bank):
    budget = make_budget(limit="1")
    bank.settle(bank.reserve([draw_on(budget)], 100), 40)
    bank.reserve([draw_on(budget)], 100)

    assert bank.differences() == []


@pytest.mark.parametrize(("name", "fault"), FAULTS)
def test_it_finds_a_planted_fault(bank, name, fault):
    budget = make_budget(limit="1")
    hold = bank.reserve([draw_on(budget)], dollars("0.5"))
    bank.reserve([draw_on(budget)], 1)
    bank.settle(hold, dollars("0.7"))

    with transaction.atomic(), connection.cursor() as cursor:
        disarm(cursor)
        cursor.execute(fault)
        found = recount()
        transaction.set_rollback(True)

    assert name in {line.split(":")[0] for line in found}
    assert recount() == []


def test_it_finds_a_call_that_nobody_knows(bank):
    assert recount(admitted=[SOMEBODY]) == [f"lost_call: id={SOMEBODY}"]


def test_it_plants_a_fault_for_each_query():
    assert {name for name, _ in FAULTS} | {"lost_call"} == set(QUERIES)


def disarm(cursor) -> None:
    """What keeps such faults out in the first place."""
    cursor.execute("alter table spend_spendlog disable trigger log_is_append_only")
    cursor.execute("alter table spend_spendlog drop constraint log_correction_names_its_call")
    cursor.execute("alter table spend_budgetwindow drop constraint strict_ceiling")
