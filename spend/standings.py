"""Standings: how budgets stand now, as the windows have it; nothing is written to find out."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Max, Q, Sum

from spend.models import Budget, BudgetWindow
from spend.money import Nanos
from spend.rollover import database_now
from spend.windows import window_at

OPEN = Q(is_open=True)


@dataclass(frozen=True, slots=True)
class Standing:
    """A budget's open window; where that is over and no call came since, the period now running.

    `limit` is the window's, which may have been raised for it alone.
    """

    limit: Nanos | None
    spent: Nanos
    reserved: Nanos
    starts_at: datetime
    resets_at: datetime | None
    total_spent: Nanos  # over all windows

    @property
    def remaining(self) -> Nanos | None:
        """None without a limit."""
        if self.limit is None:
            return None
        return Nanos(max(0, self.limit - self.spent - self.reserved))


def read_standings(budgets: Iterable[Budget], now: datetime | None = None) -> dict[int, Standing]:
    """Each budget's standing, by its primary key, in two queries however many they are.

    Who has read the database's clock already hands it in, and saves one of them.
    """
    by_id = {budget.pk: budget for budget in budgets}
    if not by_id:
        return {}
    now = now or database_now()
    rows = (
        BudgetWindow.objects.filter(budget__in=by_id)
        .order_by()
        .values("budget_id")
        .annotate(
            total_spent=Sum("spent"),
            open_limit=Max("limit", filter=OPEN),
            open_spent=Max("spent", filter=OPEN),
            open_reserved=Max("reserved", filter=OPEN),
            open_starts_at=Max("starts_at", filter=OPEN),
            open_ends_at=Max("ends_at", filter=OPEN),
        )
    )
    found: dict[int, Mapping[str, object]] = {row["budget_id"]: row for row in rows}
    return {pk: _standing(budget, found.get(pk, {}), now) for pk, budget in by_id.items()}


def read_standing(budget: Budget) -> Standing:
    return read_standings([budget])[budget.pk]


def _standing(budget: Budget, row: Mapping[str, object], now: datetime) -> Standing:
    total_spent = _nanos(row.get("total_spent"))
    starts_at, ends_at = row.get("open_starts_at"), row.get("open_ends_at")
    if isinstance(starts_at, datetime) and not (isinstance(ends_at, datetime) and ends_at <= now):
        return Standing(
            None if row["open_limit"] is None else _nanos(row["open_limit"]),
            _nanos(row["open_spent"]),
            _nanos(row["open_reserved"]),
            starts_at,
            ends_at if isinstance(ends_at, datetime) else None,
            total_spent,
        )
    span = window_at(budget.schedule, now)
    limit = None if budget.limit is None else Nanos(budget.limit)
    return Standing(limit, Nanos(0), Nanos(0), span.starts_at, span.ends_at, total_spent)


def _nanos(value: object) -> Nanos:
    """What an aggregate gave: a whole number as int or Decimal; None where there are no rows."""
    return Nanos(0 if value is None else int(str(value)))
