"""Budget rows: all that a tag draws on, with how each stands; which of them is shown first."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from typing import Literal

from spend.amounts import NANOS_PER_CENT
from spend.buckets import Payers
from spend.models import Budget
from spend.money import NANOS_PER_DOLLAR, Nanos
from spend.payers import calls_drawing_on
from spend.standings import Standing, read_standings
from spend.status import Account, Status, percent_used, status_of
from tags.draws import split_draws
from tags.models import Tag

Kind = Literal["own", "further", "pot"]
NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class BudgetRow:
    """`payers` are those whose calls draw on it: of a pot, many."""

    budget: Budget
    kind: Kind
    standing: Standing
    payers: Payers

    @property
    def account(self) -> Account:
        return Account(self.standing, self.budget.soft_limit)

    @property
    def status(self) -> Status:
        return status_of([self.account])

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


def status_over(rows: Iterable[BudgetRow], *, blocked: bool) -> Status:
    return status_of([row.account for row in rows], blocked=blocked)


def _urgency(row: BudgetRow) -> tuple[Fraction, float]:
    limit, spent = row.standing.limit, row.standing.spent
    share = Fraction(spent, limit) if limit else Fraction(2**63)
    return share, -(row.standing.resets_at or NEVER).timestamp()
