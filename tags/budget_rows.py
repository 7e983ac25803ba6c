"""Budget rows: all that a tag draws on, with how each stands; which of them is shown first."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from fractions import Fraction
from typing import Literal

from spend.amounts import NANOS_PER_CENT
from spend.buckets import Payers
from spend.models import Budget
from spend.money import NANOS_PER_DOLLAR, Nanos
from spend.outlooks import course_of, read_first_calls, read_outlooks
from spend.payers import calls_drawing_on
from spend.standings import Standing, read_standings
from spend.status import Account, Status, percent_used, status_of
from tags.draws import split_draws
from tags.models import Tag

Kind = Literal["own", "further", "pot"]
NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class BudgetRow:
    """`payers` are those whose calls draw on it: of a pot, many.

    Whether its pace leads above its limit is known of the one that is shown, where it was asked.
    """

    budget: Budget
    kind: Kind
    standing: Standing
    payers: Payers
    is_forecast_over: bool = False

    @property
    def account(self) -> Account:
        return Account(self.standing, self.budget.soft_limit)

    @property
    def status(self) -> Status:
        return status_of([self.account], forecast_over=self.is_forecast_over)

    @property
    def percent(self) -> int | None:
        return percent_used(self.standing.limit, self.standing.spent)

    @property
    def is_raised(self) -> bool:
        """For this window alone."""
        return self.standing.limit != self.budget.limit

    def raised_by(self, percent: int) -> Nanos:
        """Of the limit, or of what is spent if that is more: else nothing would be admitted by it.

        Upward to the next whole dollar where there are ten, to the next cent where there are ten of
        those, so that people can read it.
        """
        base = max(self.standing.limit or 0, self.standing.spent)
        more = -(-base * (100 + percent) // 100)
        if base < 10 * NANOS_PER_CENT:
            return Nanos(more)
        unit = NANOS_PER_CENT if base < 10 * NANOS_PER_DOLLAR else NANOS_PER_DOLLAR
        return Nanos(-(-more // unit) * unit)

    @property
    def label(self) -> str:
        """`own: monthly`, `pot eu (3 tags)`."""
        if self.kind != "pot":
            return f"own: {self.period}"
        drawers = len(self.payers.tags) + len(self.payers.key_ids)
        noun = "tag" if not self.payers.key_ids else "drawer"
        plural = "" if drawers == 1 else "s"
        return f"pot {self.budget.public_id} ({drawers} {noun}{plural}): {self.period}"

    @property
    def period(self) -> str:
        return self.budget.duration or "never resets"


def rows_of(
    tag: Tag, standings: Mapping[int, Standing], pots: Mapping[int, Payers]
) -> list[BudgetRow]:
    """Own budget, further ones, pots: the order in which a refusal names them."""
    further, shared = split_draws(tag.draws.all())
    own = Payers(tags=(tag.name,))
    return [
        BudgetRow(tag.budget, "own", standings[tag.budget.pk], own),
        *(BudgetRow(budget, "further", standings[budget.pk], own) for budget in further),
        *(BudgetRow(pot, "pot", standings[pot.pk], pots[pot.pk]) for pot in shared),
    ]


def read_budget_rows(tag: Tag, now: datetime) -> list[BudgetRow]:
    """Of a tag that was read `with_budgets()`; one query, and two more if it draws on pots."""
    further, pots = split_draws(tag.draws.all())
    standings = read_standings([tag.budget, *further, *pots], now)
    return rows_of(tag, standings, calls_drawing_on(pots))


def first_shown(rows: Sequence[BudgetRow]) -> BudgetRow:
    """The one with the highest share used, then the sooner reset; without limits, its own."""
    limited = [row for row in rows if row.standing.limit is not None]
    return max(limited, key=_urgency) if limited else rows[0]


def with_forecast(rows: Sequence[BudgetRow], now: datetime) -> list[BudgetRow]:
    """As the list of tags has it: of the budget that is shown, unless it is a pot; two queries."""
    if not rows:
        return []
    shown = first_shown(rows)
    limit = shown.standing.limit
    if shown.kind == "pot" or not limit:
        return list(rows)
    (first_at,) = read_first_calls([shown.payers])
    (outlook,) = read_outlooks([(shown.payers, course_of(shown.standing, first_at))], now)
    is_over = outlook.forecast is not None and outlook.forecast.exceeds(limit)
    return mark_forecast(rows, shown, is_over=is_over)


def mark_forecast(rows: Sequence[BudgetRow], shown: BudgetRow, *, is_over: bool) -> list[BudgetRow]:
    marked = is_over and shown.kind != "pot"
    return [replace(row, is_forecast_over=marked) if row is shown else row for row in rows]


def status_over(rows: Iterable[BudgetRow], *, blocked: bool) -> Status:
    known = list(rows)
    forecast_over = any(row.is_forecast_over for row in known)
    accounts = [row.account for row in known]
    return status_of(accounts, blocked=blocked, forecast_over=forecast_over)


def _urgency(row: BudgetRow) -> tuple[Fraction, float]:
    limit, spent = row.standing.limit, row.standing.spent
    share = Fraction(spent, limit) if limit else Fraction(2**63)
    return share, -(row.standing.resets_at or NEVER).timestamp()
