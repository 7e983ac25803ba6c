"""Budgets: create, change, raise, reset, close; a budget and its open window change together."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import DateTimeField, F, Func
from django.db.models.functions import Greatest, Least

from spend.models import Budget, BudgetWindow
from spend.money import Nanos
from spend.rollover import database_now, roll_over
from spend.windows import window_at

SCHEDULE = ("duration", "time_zone", "start")
TERMS = ("limit", "soft_limit", "mode", "alert_thresholds", *SCHEDULE)


@transaction.atomic
def create_budget(**terms: Any) -> Budget:
    """A budget with its first window open, counted from now (whole seconds) or from `start`.

    Terms are those of TERMS, `public_id` and `is_pot`; they must have been validated.
    """
    anchor = database_now().replace(microsecond=0)
    budget = Budget.objects.create(anchor=anchor, **terms)
    roll_over(budget.pk)
    return budget


@transaction.atomic
def change_budget(budget: Budget, changes: Mapping[str, Any]) -> bool:
    """Apply changed terms; whether the schedule changed, so that a new window was opened.

    A limit or mode counts at once in the open window, and what is spent stays; a limit of the
    window's own stays until the budget's is changed. Another duration, zone or start closes the
    open window now, keeps it, and opens one with nothing spent. The same value again changes
    nothing.
    """
    locked = Budget.objects.select_for_update().get(pk=budget.pk)
    changed = {name: value for name, value in changes.items() if getattr(locked, name) != value}
    if not changed:
        return False
    for name, value in changed.items():
        setattr(locked, name, value)
    reschedules = not changed.keys().isdisjoint(SCHEDULE)
    if reschedules:
        locked.anchor = database_now().replace(microsecond=0)
    locked.save()
    if reschedules:
        replace_window(locked)
    else:
        change_window(locked, keeps_limit="limit" not in changed)
    budget.refresh_from_db()
    return reschedules


@transaction.atomic
def reset_budget(budget: Budget) -> None:
    """Close the open window now, and open one with nothing spent that ends when it would have."""
    replace_window(Budget.objects.select_for_update().get(pk=budget.pk))


@transaction.atomic
def limit_window(budget: Budget, limit: Nanos) -> Nanos | None:
    """Give the open window a limit of its own; the one it had. The next one has the budget's."""
    locked = Budget.objects.select_for_update().get(pk=budget.pk)
    roll_over(locked.pk)
    window = BudgetWindow.objects.open().select_for_update().get(budget=locked)
    with connection.cursor() as cursor:
        cursor.execute("select spend_limit_window(%s, %s)", [locked.pk, limit])
    return None if window.limit is None else Nanos(window.limit)


def change_window(locked: Budget, *, keeps_limit: bool) -> None:
    """The open window takes on the budget's terms; one that has ended keeps those it had."""
    roll_over(locked.pk)
    with connection.cursor() as cursor:
        cursor.execute("select spend_change_window(%s, %s)", [locked.pk, keeps_limit])


def replace_window(locked: Budget) -> None:
    """Close the open window now, and open the next one by the budget's schedule.

    The clock is read when nobody moves the window's money any more.
    """
    newest = locked.windows.select_for_update().first()
    moment = database_now()
    if newest is not None:
        moment = max(moment, newest.starts_at + timedelta(microseconds=1))
    ends_at = window_at(locked.schedule, moment).ends_at
    with connection.cursor() as cursor:
        cursor.execute("select spend_replace_window(%s, %s, %s)", [locked.pk, moment, ends_at])


def close_budget(budget: Budget) -> None:
    """Nobody draws on it any more: its open window ends now, so that no job opens the next one.

    Every window stays for the history, and calls in flight settle into theirs.
    """
    moment = Greatest(ClockTimestamp(), F("starts_at") + timedelta(microseconds=1))
    # PostgreSQL's LEAST passes over null, which is the end of a window that would never have ended.
    BudgetWindow.objects.open().filter(budget=budget).update(
        is_open=False, ends_at=Least(F("ends_at"), moment)
    )


class ClockTimestamp(Func):
    """The database's clock at this very moment, not at the transaction's start."""

    function = "clock_timestamp"
    output_field = DateTimeField()
