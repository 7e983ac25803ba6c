"""Why money did not move: refused by a rule, or the bank could not be asked. No HTTP in here."""

from dataclasses import dataclass
from datetime import datetime

from spend.money import Nanos, dollars_text


class LedgerError(Exception):
    """The root of all that the bank raises."""


class Refused(LedgerError):
    """A rule turned the call away: nothing is held and nothing was sent."""


@dataclass(eq=False, kw_only=True)
class BudgetExceeded(Refused):
    """A window had no room. The numbers are those of the locked row that decided.

    `payer` is on whose behalf the budget was drawn: `tag:engineering`, `key:ci`. `budget` is its
    public id. `limit` is never None: what has no limit refuses nobody. Not frozen, because Python
    writes tracebacks onto exceptions.
    """

    payer: str
    budget: str
    budget_kind: str
    mode: str
    duration: str | None
    starts_at: datetime
    resets_at: datetime | None
    spent: Nanos
    reserved: Nanos
    requested: Nanos
    limit: Nanos

    @property
    def remaining(self) -> Nanos:
        return Nanos(max(0, self.limit - self.spent - self.reserved))

    def __str__(self) -> str:
        amounts = (self.spent, self.reserved, self.requested, self.limit)
        spent, reserved, requested, limit = map(dollars_text, amounts)
        return (
            f"{self.payer} is over its {self.mode} budget {self.budget}:"
            f" spent {spent}, reserved {reserved}, requested {requested}, limit {limit}"
        )


class NoRoom(Refused):
    """A further attempt does not fit beside what the call may owe already: nothing was raised."""


class ModelNotPriced(Refused):
    """A unit that is used, or that a call may use, has no price at all; `kind` names it."""

    def __init__(self, kind: str) -> None:
        super().__init__(f"No price is known for {kind}.")
        self.kind = kind


class CostNotBounded(Refused):
    """A strict budget applies and no upper bound of the cost can be proven.

    `param` names the member of the call's body that makes it so.
    """

    def __init__(self, param: str) -> None:
        super().__init__(f"The cost of a call with '{param}' has no provable upper bound.")
        self.param = param


class Unwritable(LedgerError):
    """What a call says cannot be kept, and should have been turned away before: nothing is held."""


class Unavailable(LedgerError):
    """The bank could not be asked. Nothing is known to be held; the call may be tried again."""


class BudgetUnavailable(Unavailable):
    """The database cannot be reached, or did not answer in time."""


class Busy(Unavailable):
    """Too much is waiting already; nothing was queued."""
