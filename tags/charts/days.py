"""Days: what each day cost, stacked by what a call has exactly one of: its model, or its key.

Tags are never stacked: a call may have two, and the stack would be higher than the bill.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from tags.charts.scale import WIDTH, axis_end, height_of

SERIES_MAX = 5
OTHER = "Other"
GAP = 0.2  # of a day's width
WIDTH_MAX = 8.0  # a bar alone is still a bar


@dataclass(frozen=True, slots=True)
class Segment:
    y: float
    height: float
    css: str


@dataclass(frozen=True, slots=True)
class DayColumn:
    """`amounts` are in the order of the series; `total` is all of the day."""

    day: date
    x: float
    width: float
    segments: tuple[Segment, ...]
    amounts: tuple[int, ...]
    total: int
    address: str


@dataclass(frozen=True, slots=True)
class Series:
    name: str
    css: str
    total: int


@dataclass(frozen=True, slots=True)
class StackedDays:
    """`ticks` are the axis's amounts, the highest first."""

    columns: tuple[DayColumn, ...]
    series: tuple[Series, ...]
    ticks: tuple[int, ...]

    @property
    def highest(self) -> DayColumn | None:
        return max(self.columns, key=lambda column: column.total, default=None)


def stack_days(
    costs: Mapping[date, Mapping[str, int]],
    first: date,
    last: date,
    *,
    link: Callable[[date], str] | None = None,
    ranked: Sequence[str] | None = None,
) -> StackedDays:
    """The five largest names and the rest, of every day from `first` to `last`, both included.

    `ranked` fixes which names are shown and their colours, as another chart of the page has them.
    """
    names = list(ranked) if ranked is not None else rank_names(costs)
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    table = [_amounts(costs.get(day, {}), names) for day in days]
    totals = [sum(amounts) for amounts in table]
    has_other = any(amounts[-1] for amounts in table)
    end, step = axis_end(max(totals, default=0)), WIDTH / max(len(days), 1)
    width = min(step * (1 - GAP), WIDTH_MAX)
    columns = tuple(
        DayColumn(
            day=day,
            x=round(place * step + (step - width) / 2, 3),
            width=round(width, 3),
            segments=_segments(amounts, end),
            amounts=amounts if has_other else amounts[:-1],
            total=sum(amounts),
            address=link(day) if link else "",
        )
        for place, (day, amounts) in enumerate(zip(days, table, strict=True))
    )
    sums = [sum(column) for column in zip(*table, strict=True)]
    shown = [*names, OTHER] if has_other else names
    series = tuple(Series(name, css_of(n, names), sums[n]) for n, name in enumerate(shown))
    return StackedDays(columns, series, (end, end // 2, 0))


def rank_names(costs: Mapping[date, Mapping[str, int]]) -> list[str]:
    """The five most expensive of all days, the largest first; equal ones by name."""
    sums: dict[str, int] = {}
    for parts in costs.values():
        for name, amount in parts.items():
            sums[name] = sums.get(name, 0) + amount
    return sorted(sums, key=lambda name: (-sums[name], name))[:SERIES_MAX]


def css_of(place: int, names: Sequence[str]) -> str:
    return f"s{place + 1}" if place < len(names) else "s0"


def _amounts(parts: Mapping[str, int], names: Sequence[str]) -> tuple[int, ...]:
    """Of the names in their order, then of all others together."""
    known = [parts.get(name, 0) for name in names]
    return (*known, sum(parts.values()) - sum(known))


def _segments(amounts: Sequence[int], end: int) -> tuple[Segment, ...]:
    """From the axis upward, the first series lowest; a correction below nothing is not drawn."""
    segments, below = [], 0
    for place, amount in enumerate(amounts):
        if amount <= 0:
            continue
        top, bottom = height_of(below + amount, end), height_of(below, end)
        css = css_of(place, amounts[:-1])
        segments.append(Segment(top, round(bottom - top, 2), css))
        below += amount
    return tuple(segments)
