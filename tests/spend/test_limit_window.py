"""A window's own limit: it counts at once, for this window alone."""

import pytest

from spend.budgets import change_budget, limit_window, reset_budget
from spend.errors import BudgetExceeded
from spend.standings import read_standing
from tests.bank import draw_on
from tests.factories import make_budget


@pytest.mark.parametrize("mode", ["standard", "strict"])
def test_it_admits_again_until_the_next_window(bank, mode):
    budget = make_budget(limit="0.000000100", mode=mode)
    bank.settle(bank.reserve([draw_on(budget)], 100), 100)
    with pytest.raises(BudgetExceeded):
        bank.reserve([draw_on(budget)], 1)

    assert limit_window(budget, 150) == 100

    bank.settle(bank.reserve([draw_on(budget)], 50), 50)
    budget.refresh_from_db()
    assert (budget.limit, read_standing(budget).limit) == (100, 150)
    with pytest.raises(BudgetExceeded) as refusal:
        bank.reserve([draw_on(budget)], 1)
    assert refusal.value.limit == 150

    reset_budget(budget)

    assert read_standing(budget).limit == 100
    assert bank.differences() == []


def test_it_stays_until_the_budgets_limit_is_changed(bank):
    budget = make_budget(limit="0.000000100")
    limit_window(budget, 150)

    change_budget(budget, {"soft_limit": 90, "mode": "strict"})
    assert (bank.window(budget).limit, bank.window(budget).mode) == (150, "strict")

    change_budget(budget, {"limit": 120})
    assert bank.window(budget).limit == 120
