"""Budgets: a budget and its open window change together, while calls go on."""

import threading
from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction

from spend.budgets import change_budget, close_budget, create_budget, reset_budget
from spend.errors import BudgetExceeded
from spend.models import Budget, BudgetWindow
from spend.rollover import database_now, roll_over
from tags.draws import lock_windows
from tests.bank import connected_to, draw_on
from tests.factories import dollars, make_budget
from tests.spend.recount import recount


def windows_of(budget) -> list[BudgetWindow]:
    return list(BudgetWindow.objects.filter(budget=budget).order_by("starts_at"))


def let_end(budget, ago=timedelta(hours=1)) -> None:
    window = BudgetWindow.objects.open().get(budget=budget)
    shift = window.ends_at - database_now() + ago
    BudgetWindow.objects.filter(pk=window.pk).update(
        starts_at=window.starts_at - shift, ends_at=window.ends_at - shift
    )


# -- create --------------------------------------------------------------------------------------


def test_it_works(bank_books):
    budget = create_budget(limit=dollars("5"), duration="30d", mode="strict")

    (window,) = windows_of(budget)
    assert (window.limit, window.mode, window.is_open) == (dollars("5"), "strict", True)
    assert (window.spent, window.reserved, window.excess) == (0, 0, 0)
    assert window.starts_at == budget.anchor
    assert window.ends_at == budget.anchor + timedelta(days=30)
    assert abs(database_now() - budget.anchor) < timedelta(seconds=5)


def test_a_budget_without_a_duration_never_resets(bank_books):
    budget = make_budget(limit="1")

    assert [window.ends_at for window in windows_of(budget)] == [None]


def test_a_start_that_is_given_moves_the_phase(bank_books):
    start = database_now().replace(microsecond=0) - timedelta(days=1, hours=2)

    budget = make_budget(limit="1", duration="1d", start=start)

    (window,) = windows_of(budget)
    assert (window.starts_at, window.ends_at) == (
        start + timedelta(days=1),
        start + timedelta(days=2),
    )


@pytest.mark.parametrize(
    ("terms", "constraint"),
    [
        ({"limit": -1}, "budget_limit_not_negative"),
        ({"soft_limit": -1}, "budget_soft_limit_not_negative"),
        ({"mode": "lenient"}, "budget_mode_known"),
    ],
)
def test_the_engine_refuses_terms_that_cannot_be(bank_books, terms, constraint):
    with pytest.raises(IntegrityError, match=constraint):
        create_budget(**terms)

    assert Budget.objects.count() == BudgetWindow.objects.count() == 0


# -- change --------------------------------------------------------------------------------------


def test_a_new_limit_counts_at_once_and_what_is_spent_stays(bank):
    budget = make_budget(limit="0.000000100")
    bank.settle(bank.reserve([draw_on(budget)], 1), 100)
    with pytest.raises(BudgetExceeded):
        bank.reserve([draw_on(budget)], 1)

    assert change_budget(budget, {"limit": 200}) is False

    bank.reserve([draw_on(budget)], 1)
    assert budget.limit == 200
    assert [(window.limit, window.spent) for window in windows_of(budget)] == [(200, 100)]
    assert bank.differences() == []


@pytest.mark.parametrize("mode", ["standard", "strict"])
def test_a_limit_that_is_cut_below_what_is_spent_refuses_the_next_call(bank, mode):
    budget = make_budget(limit="0.000001", mode=mode)
    hold = bank.reserve([draw_on(budget)], 300)
    bank.settle(bank.reserve([draw_on(budget)], 500), 500)

    change_budget(budget, {"limit": 600})

    assert bank.window(budget).excess == 200
    with pytest.raises(BudgetExceeded):
        bank.reserve([draw_on(budget)], 1)
    bank.settle(hold, 300)  # in flight, it finishes
    assert bank.spent(budget) == 800
    assert bank.differences() == []

    change_budget(budget, {"limit": 900})

    assert bank.window(budget).excess == 0
    bank.reserve([draw_on(budget)], 50)
    assert bank.differences() == []


def test_a_mode_counts_at_once(bank):
    budget = make_budget(limit="0.000000100")
    bank.reserve([draw_on(budget)], 90)

    change_budget(budget, {"mode": "strict"})
    with pytest.raises(BudgetExceeded):
        bank.reserve([draw_on(budget)], 11)

    change_budget(budget, {"mode": "standard"})
    bank.reserve([draw_on(budget)], 11)
    assert bank.differences() == []


def test_a_budget_that_is_over_may_become_strict(bank):
    budget = make_budget(limit="0.000000100")
    bank.settle(bank.reserve([draw_on(budget)], 90), 250)

    change_budget(budget, {"mode": "strict"})

    assert (bank.window(budget).excess, bank.spent(budget)) == (150, 250)
    assert bank.differences() == []


def test_another_schedule_closes_the_window_and_opens_the_next(bank):
    budget = make_budget(limit="1", duration="30d")
    hold = bank.reserve([draw_on(budget)], 100)
    bank.settle(bank.reserve([draw_on(budget)], 100), 60)

    assert change_budget(budget, {"duration": "1d"}) is True

    old, new = windows_of(budget)
    assert (old.is_open, old.spent, old.reserved) == (False, 60, 100)
    assert (new.is_open, new.spent, new.reserved) == (True, 0, 0)
    assert old.ends_at == new.starts_at
    assert budget.anchor <= new.starts_at < budget.anchor + timedelta(days=1)
    assert new.ends_at == budget.anchor + timedelta(days=1)
    bank.settle(hold, 40)  # into the one that admitted it
    assert windows_of(budget)[0].spent == 100
    assert bank.differences() == []


def test_the_same_terms_change_nothing(bank_books):
    budget = make_budget(limit="1", duration="30d")
    before = windows_of(budget)

    same = {"limit": dollars("1"), "duration": "30d", "mode": "standard", "time_zone": "UTC"}
    assert change_budget(budget, same) is False

    after = windows_of(budget)
    assert [(w.pk, w.starts_at, w.ends_at) for w in after] == [
        (w.pk, w.starts_at, w.ends_at) for w in before
    ]
    assert Budget.objects.get(pk=budget.pk).updated_at == budget.updated_at


def test_an_edit_after_a_window_has_ended_leaves_that_window_its_terms(bank_books):
    budget = make_budget(limit="1", duration="30d")
    let_end(budget)

    change_budget(budget, {"limit": dollars("2")})

    old, new = windows_of(budget)
    assert (old.limit, old.is_open) == (dollars("1"), False)
    assert (new.limit, new.is_open) == (dollars("2"), True)
    assert recount() == []


def test_a_new_schedule_leaves_an_ended_window_its_end(bank_books):
    budget = make_budget(limit="1", duration="30d")
    let_end(budget)
    (before,) = windows_of(budget)

    change_budget(budget, {"duration": "weekly"})

    old, new = windows_of(budget)
    assert old.ends_at == before.ends_at
    assert new.starts_at > old.ends_at
    assert recount() == []


def test_an_edit_and_a_new_window_at_once_lose_neither(bank_books):
    """Each round a window has ended; who opens the next one and who edits the limit meet."""
    budget = make_budget(limit="1", duration="1h")
    for round_number in range(1, 16):
        let_end(budget, ago=timedelta(seconds=1))
        limit = dollars(str(round_number))
        errors = run_together(
            bank_books,
            lambda: roll_over(budget.pk),
            lambda limit=limit: change_budget(Budget.objects.get(pk=budget.pk), {"limit": limit}),
            lambda: roll_over(budget.pk),
        )
        assert errors == []
        assert BudgetWindow.objects.open().get(budget=budget).limit == limit
        BudgetWindow.objects.filter(budget=budget, is_open=False).delete()
    assert recount() == []


def test_an_edit_of_several_budgets_and_their_new_windows_never_wait_in_a_circle(bank_books):
    budgets = [make_budget(limit="1", duration="1h") for _ in range(3)]

    def edit() -> None:
        with transaction.atomic():
            lock_windows(budgets)
            for budget in reversed(budgets):
                change_budget(budget, {"limit": BudgetWindow.objects.count()})

    for _ in range(15):
        for budget in budgets:
            let_end(budget, ago=timedelta(seconds=1))
        openings = [lambda budget=budget: roll_over(budget.pk) for budget in budgets]
        assert run_together(bank_books, edit, *openings) == []
        BudgetWindow.objects.filter(is_open=False).delete()
    assert recount() == []


def run_together(database: str, *verbs) -> list[Exception]:
    errors: list[Exception] = []

    def run(verb) -> None:
        with connected_to(database):
            try:
                verb()
            except Exception as error:  # noqa: BLE001 - told by the test
                errors.append(error)

    threads = [threading.Thread(target=run, args=(verb,)) for verb in verbs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return errors


# -- reset and close -----------------------------------------------------------------------------


def test_a_reset_opens_a_window_with_nothing_spent_that_ends_when_it_would_have(bank):
    budget = make_budget(limit="0.000000100", duration="30d", mode="strict")
    hold = bank.reserve([draw_on(budget)], 30)
    bank.settle(bank.reserve([draw_on(budget)], 70), 70)

    reset_budget(budget)

    old, new = windows_of(budget)
    assert (new.spent, new.reserved, new.is_open) == (0, 0, True)
    assert new.ends_at == budget.anchor + timedelta(days=30)
    assert old.ends_at == new.starts_at
    bank.reserve([draw_on(budget)], 100)
    bank.settle(hold, 25)
    assert (windows_of(budget)[0].spent, bank.spent(budget)) == (95, 0)
    assert bank.differences() == []


def test_a_reset_of_a_budget_that_never_resets(bank):
    budget = make_budget(limit="1")
    bank.settle(bank.reserve([draw_on(budget)], 70), 70)

    reset_budget(budget)

    assert [(w.spent, w.ends_at is None) for w in windows_of(budget)] == [(70, False), (0, True)]
    assert bank.differences() == []


def test_resets_at_once_each_keep_their_window(bank_books):
    budget = make_budget(limit="1", duration="1s")

    errors = run_together(bank_books, *[lambda: reset_budget(budget)] * 6)

    assert errors == []
    assert BudgetWindow.objects.open().filter(budget=budget).count() == 1
    assert len(windows_of(budget)) == 7
    assert recount() == []


def test_a_closed_budget_is_left_to_history(bank):
    budget = make_budget(limit="1", duration="30d")
    hold = bank.reserve([draw_on(budget)], 100)

    close_budget(budget)

    (window,) = windows_of(budget)
    assert not window.is_open
    assert window.ends_at <= database_now()
    bank.settle(hold, 60)
    assert [w.spent for w in windows_of(budget)] == [60]
    assert bank.differences() == []


def test_closing_twice_changes_nothing(bank_books):
    budget = make_budget(limit="1")
    close_budget(budget)
    (first,) = windows_of(budget)

    close_budget(budget)

    assert windows_of(budget)[0].ends_at == first.ends_at


def test_the_engine_keeps_one_open_window(bank_books):
    budget = make_budget(limit="1")

    with connection.cursor() as cursor, pytest.raises(IntegrityError, match="one_open_window"):
        cursor.execute(
            "insert into spend_budgetwindow (budget_id, starts_at, mode)"
            " values (%s, now() + interval '1 hour', 'standard')",
            [budget.pk],
        )
