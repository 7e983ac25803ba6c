"""Bars: a budget's bar, a sparkline, and a list whose rows are scaled to the largest."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tags.charts.scale import WIDTH, height_of, share

SOFT_WIDTH = 0.8


@dataclass(frozen=True, slots=True)
class BudgetBar:
    """`held` begins where `spent` ends; `soft` is where its tick stands, or None."""

    spent: float
    held: float
    soft: float | None
    tone: str


@dataclass(frozen=True, slots=True)
class BarLine:
    name: str
    amount: int
    address: str
    note: str
    bar: BudgetBar


def budget_bar(
    spent: int, reserved: int, limit: int | None, soft_limit: int | None = None, *, tone: str = ""
) -> BudgetBar | None:
    """None without a limit. Above the limit it is full."""
    if limit is None:
        return None
    filled = share(spent, limit)
    held = round(min(share(reserved, limit) if limit else 0.0, WIDTH - filled), 2)
    soft = None
    if soft_limit is not None and 0 < soft_limit < limit:
        soft = round(min(share(soft_limit, limit), WIDTH - SOFT_WIDTH), 2)
    return BudgetBar(filled, held, soft, tone)


def sparkline(amounts: Sequence[int]) -> str:
    """A path with a bar for each, scaled to the largest; nothing is no bar, and little is seen."""
    most, step = max(amounts, default=0), WIDTH / max(len(amounts), 1)
    return "".join(
        f"M{place * step + step * 0.1:.4g},100V{min(height_of(amount, most), 96.0):.4g}"
        f"h{step * 0.8:.4g}V100z"
        for place, amount in enumerate(amounts)
        if amount > 0
    )


def bar_list(rows: Iterable[tuple[str, int, str, str]]) -> list[BarLine]:
    """Name, amount, address and note of each; bars are scaled to the largest amount."""
    known = list(rows)
    most = max((amount for _, amount, _, _ in known), default=0)
    return [
        BarLine(name, amount, address, note, BudgetBar(share(amount, most or 1), 0.0, None, ""))
        for name, amount, address, note in known
    ]
