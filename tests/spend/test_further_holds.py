"""Further holds: what a call holds before it is tried again covers all that it may owe."""

import pytest

from tests.bank import draw_on
from tests.factories import make_budget


def test_it_works(bank):
    budget = make_budget(limit="1")
    hold = bank.reserve([draw_on(budget)], 500)

    raised = bank.add_attempt(hold, owed=500, expected=300)

    assert (raised.held, raised.holds, bank.reserved(budget)) == (800, (800,), 800)
    assert raised.windows[0].reserved == 800
    bank.settle(raised, 620)
    assert (bank.reserved(budget), bank.spent(budget)) == (0, 620)
    assert bank.rows()[0].holds == [800]
    assert bank.differences() == []


def test_it_is_never_lowered(bank):
    """What is asked twice, or comes late, changes nothing."""
    budget = make_budget(limit="1")
    hold = bank.reserve([draw_on(budget)], 500)
    bank.add_attempt(hold, owed=500, expected=300)

    assert bank.add_attempt(hold, owed=500, expected=300).holds == (800,)
    assert bank.add_attempt(hold, owed=0, expected=10).holds == (800,)
    assert bank.reserved(budget) == 800


@pytest.mark.parametrize(("bound", "fits"), [(500, True), (501, False), (None, False)])
def test_a_strict_budget_has_room_for_both_or_refuses(bank, bound, fits):
    budget = make_budget(limit="0.000001", mode="strict")
    hold = bank.reserve([draw_on(budget)], 1, 500)

    raised = bank.add_attempt(hold, owed=500, expected=1, bound=bound)

    assert (raised is not None) == fits
    assert bank.reserved(budget) == (1000 if fits else 500)


@pytest.mark.parametrize(("owed", "fits"), [(299, True), (300, False)])
def test_a_standard_budget_counts_what_is_owed_and_not_the_own_hold(bank, owed, fits):
    budget = make_budget(limit="0.000001")
    bank.reserve([draw_on(budget)], 700)
    hold = bank.reserve([draw_on(budget)], 5_000)

    assert (bank.add_attempt(hold, owed=owed, expected=5_000) is not None) == fits


def test_it_is_raised_on_every_window_or_on_none(bank):
    roomy = make_budget(limit="10")
    tight = make_budget(limit="0.000001", mode="strict")
    hold = bank.reserve([draw_on(roomy), draw_on(tight)], 10, 600)

    assert bank.add_attempt(hold, owed=600, expected=10, bound=600) is None
    assert (bank.reserved(roomy), bank.reserved(tight)) == (10, 600)


def test_a_call_that_is_over_holds_nothing_more(bank):
    budget = make_budget(limit="1")
    hold = bank.reserve([draw_on(budget)], 500)
    bank.settle(hold, 400)

    assert bank.add_attempt(hold, owed=500, expected=300) is None
    assert (bank.reserved(budget), bank.spent(budget)) == (0, 400)


def test_a_dead_workers_call_is_charged_for_all_its_attempts(bank):
    hold = bank.reserve([], 500)
    bank.add_attempt(hold, owed=500, expected=300)

    bank.sweep(bank.ledger._worker_id)

    assert [(row.status, row.cost) for row in bank.rows()] == [("estimated", 800)]
