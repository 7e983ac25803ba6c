"""Preview: what a budget that somebody is typing would have done, and what it would do from now."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from spend.backtest import BackTest, read_back_test
from spend.buckets import Payers
from spend.forecast import Course, Outlook
from spend.models import Budget
from spend.money import Nanos
from spend.outlooks import read_first_calls, read_outlooks
from spend.standings import Standing
from spend.windows import Schedule, window_at

SCHEDULE = ("duration", "time_zone", "start")


@dataclass(frozen=True, slots=True)
class Preview:
    """`tested` is None without an amount to test. `closes` is the window that such a change ends.

    `outlook` goes on from what is spent, or from nothing where a new window opens.
    """

    terms: Mapping[str, Any]
    amount: Nanos | None  # the limit, or the soft limit where that is all there is
    tested: BackTest | None
    outlook: Outlook
    starts_at: datetime
    resets_at: datetime | None
    closes: Standing | None
    spent: Nanos

    @property
    def only_warns(self) -> bool:
        return self.terms["limit"] is None and self.terms["soft_limit"] is not None

    @property
    def refuses_all(self) -> bool:
        """The limit is not above what this window has spent already."""
        limit = self.terms["limit"]
        return limit is not None and self.closes is None and 0 < limit <= self.spent

    @property
    def reached_at(self) -> datetime | None:
        return None if self.outlook.forecast is None else self.outlook.forecast.reached_at


def read_preview(
    payers: Payers,
    terms: Mapping[str, Any],
    now: datetime,
    *,
    budget: Budget | None = None,
    standing: Standing | None = None,
) -> Preview:
    """Of terms that are valid, for a new budget or for the one that there is. Writes nothing."""
    schedule = schedule_after(terms, budget, now)
    goes_on = standing is not None and not is_rescheduled(terms, budget)
    span = window_at(schedule, now)
    amount = terms["soft_limit"] if terms["limit"] is None else terms["limit"]
    spent = standing.spent if standing is not None and goes_on else Nanos(0)
    (first_at,) = read_first_calls([payers])
    course = Course(
        starts_at=span.starts_at,
        ends_at=span.ends_at,
        spent=spent,
        limit=amount,
        first_at=first_at,
    )
    (outlook,) = read_outlooks([(payers, course)], now)
    return Preview(
        terms=terms,
        amount=amount,
        tested=None if amount is None else read_back_test(payers, schedule, amount, now),
        outlook=outlook,
        starts_at=span.starts_at,
        resets_at=standing.resets_at if standing is not None and goes_on else span.ends_at,
        closes=None if goes_on else standing,
        spent=spent,
    )


def is_rescheduled(terms: Mapping[str, Any], budget: Budget | None) -> bool:
    return budget is not None and any(terms[name] != getattr(budget, name) for name in SCHEDULE)


def schedule_after(terms: Mapping[str, Any], budget: Budget | None, now: datetime) -> Schedule:
    """As change_budget would have it: another schedule counts from now on."""
    if budget is not None and not is_rescheduled(terms, budget):
        return budget.schedule
    anchor = now - timedelta(microseconds=now.microsecond)
    return Schedule(terms["duration"], anchor, terms["time_zone"], terms["start"])
