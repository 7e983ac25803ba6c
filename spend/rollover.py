"""Rollover: open the window that the clock is in; for a call when none is, for beat when idle."""

from datetime import datetime

from django.db import connection, transaction

from spend.errors import BudgetUnavailable
from spend.models import Budget, BudgetWindow
from spend.windows import window_at

IDLE_BUDGETS_MAX = 1_000  # a run; what is left is found by the next one, or by a call


def database_now() -> datetime:
    """The only clock that windows and expiry follow."""
    with connection.cursor() as cursor:
        cursor.execute("select clock_timestamp()")
        (now,) = cursor.fetchone()
    moment: datetime = now
    return moment


def roll_over(budget_id: int) -> int:
    """Make sure that the budget's open window is the one of this instant; its id.

    May run any number of times, by any number of processes: one window is opened. Raises
    BudgetUnavailable when there is no such budget.
    """
    opened = None
    while opened is None:  # null: somebody closed it between our look and our lock
        opened = _open_window(budget_id)
    return opened


def _open_window(budget_id: int) -> int | None:
    with transaction.atomic():
        budget = Budget.objects.filter(pk=budget_id).first()
        if budget is None:
            raise BudgetUnavailable("the budget does not exist")
        newest = budget.windows.first()
        now = database_now()
        if newest is not None and newest.is_open_at(now):
            return newest.pk
        if newest is not None and newest.ends_at is not None:
            now = max(now, newest.ends_at)  # the clock was set back
        span = window_at(budget.schedule, now)
        with connection.cursor() as cursor:
            cursor.execute(
                "select spend_open_window(%s, %s, %s, %s)",
                [budget.pk, newest.pk if newest else None, span.starts_at, span.ends_at],
            )
            (opened,) = cursor.fetchone()
    return None if opened is None else int(opened)


def roll_over_idle_budgets() -> int:
    """Open the next window of each budget whose window has ended; how many there were.

    Nothing depends on it: the first call after the end does the same.
    """
    ended = BudgetWindow.objects.ended(database_now()).order_by("ends_at")
    budget_ids = list(ended.values_list("budget_id", flat=True)[:IDLE_BUDGETS_MAX])
    for budget_id in budget_ids:
        roll_over(budget_id)
    return len(budget_ids)
