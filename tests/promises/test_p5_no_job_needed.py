"""P5: windows roll over by the clock at the moment of the call; no job runs here at all."""

import time

from spend.models import BudgetWindow, JobRun
from tests.bank import bill, draw_on, record
from tests.factories import make_budget
from tests.spend.recount import recount
from tests.tellers import named


def test_windows_of_a_second_follow_the_clock(bank):
    """Five windows in a row; each admits one call, and none is refused for an older one."""
    budget = make_budget(limit="0.000000100", mode="strict", duration="1s")

    windows = []
    for _ in range(5):
        hold = bank.reserve([draw_on(budget)], 1, 100)
        windows.append(hold.windows[0].resets_at)
        bank.settle(hold, 100)
        time.sleep(max(0.0, hold.windows[0].resets_at - time.time()) + 0.05)

    assert len(set(windows)) == 5
    spent = [window.spent for window in BudgetWindow.objects.filter(budget=budget)]
    assert [amount for amount in spent if amount] == [100] * 5
    assert not JobRun.objects.exists()
    assert bank.differences() == []


def test_calls_over_a_boundary_belong_to_the_window_that_admitted_them(bank):
    """Held before it, settled after it, for two seconds of traffic."""
    budget = make_budget(limit=None, duration="1s")
    held = []
    ends = time.monotonic() + 2.2
    while time.monotonic() < ends:
        held.append(bank.reserve([draw_on(budget)], 10))

    async def settle_all() -> None:
        for hold in held:
            bank.ledger.settle(hold, bill(7), record())

    bank.run(settle_all())
    bank.flush()

    windows = list(BudgetWindow.objects.filter(budget=budget))
    assert len(windows) >= 3
    assert sum(window.spent for window in windows) == 7 * len(held)
    assert {window.reserved for window in windows} == {0}
    rows = {row.id: row for row in bank.rows()}
    starts = {w.pk: (w.starts_at, w.ends_at) for w in windows}
    for hold in held:
        (window,) = rows[hold.id].windows
        starts_at, ends_at = starts[window]
        assert starts_at <= rows[hold.id].at < ends_at
    assert bank.differences() == []


def test_processes_that_meet_at_a_boundary_open_one_window(tellers):
    budgets = [make_budget(limit=None, duration="1s") for _ in range(3)]
    opened = tellers(3)

    for seed, teller in enumerate(opened):
        teller.tell("chaos", budgets=named(*budgets), seconds=2.5, seed=seed)
    answers = [teller.hear() for teller in opened]

    assert [answer["refused"] for answer in answers] == [0, 0, 0]
    assert [answer["unavailable"] for answer in answers] == [[], [], []]
    for budget in budgets:
        assert BudgetWindow.objects.filter(budget=budget).count() in (3, 4, 5)
    assert not JobRun.objects.exists()
    assert recount(admitted=[i for answer in answers for i in answer["ids"]]) == []
