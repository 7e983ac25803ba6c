"""Status: how an account stands, in one word; how much of a limit is used."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from spend.standings import Standing

AT_RISK_PERCENT = 80  # of the limit, where no soft limit says when to worry
SHOWN_PERCENT_MAX = 999  # more of a tiny limit fits into no column, and tells nobody anything


@dataclass(frozen=True, slots=True)
class Look:
    icon: str
    word: str
    tone: str


class Status(Enum):
    """The first that holds counts, so an account has one."""

    BLOCKED = Look("\u2016", "Blocked", "quiet")
    OVER_BUDGET = Look("\u00d7", "Over budget", "bad")
    AT_RISK = Look("!", "At risk", "warn")
    FORECAST_OVER = Look("\u2197", "Forecast over", "warn")
    ON_TRACK = Look("\u2713", "On track", "ok")
    TRACKED = Look("\u25cb", "Tracked", "quiet")
    SEEN = Look("+", "Seen in traffic", "quiet")


@dataclass(frozen=True, slots=True)
class Account:
    """A budget that counts for the status: its standing, and where it begins to worry."""

    standing: Standing
    soft_limit: int | None

    @property
    def is_over(self) -> bool:
        """As admission compares: what is held counts like what is spent."""
        limit = self.standing.limit
        return limit is not None and self.standing.spent + self.standing.reserved >= limit

    @property
    def is_at_risk(self) -> bool:
        if self.soft_limit is not None:
            return self.standing.spent >= self.soft_limit
        percent = percent_used(self.standing.limit, self.standing.spent)
        return percent is not None and percent >= AT_RISK_PERCENT


def status_of(
    accounts: Iterable[Account], *, blocked: bool = False, forecast_over: bool = False
) -> Status:
    """Over all budgets that are drawn on; `forecast_over`: one of them is heading above its limit.

    Nobody has made a tag that is SEEN, so it has no accounts.
    """
    known = list(accounts)
    if blocked:
        return Status.BLOCKED
    if any(account.is_over for account in known):
        return Status.OVER_BUDGET
    if any(account.is_at_risk for account in known):
        return Status.AT_RISK
    if forecast_over:
        return Status.FORECAST_OVER
    if any(account.standing.limit is not None for account in known):
        return Status.ON_TRACK
    return Status.TRACKED


def percent_used(limit: int | None, spent: int) -> int | None:
    """Rounded down, so that 100 is shown only when it is reached; None without a limit."""
    if limit is None:
        return None
    return 100 if limit == 0 else 100 * spent // limit


def used_text(limit: int | None, spent: int) -> str:
    """`84%`, `<1%`, `>999%`; empty without a limit."""
    percent = percent_used(limit, spent)
    if percent is None:
        return ""
    if percent > SHOWN_PERCENT_MAX:
        return f">{SHOWN_PERCENT_MAX}%"
    return "<1%" if percent == 0 and spent > 0 else f"{percent}%"
