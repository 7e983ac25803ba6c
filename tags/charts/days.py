"""Days: what each day cost, stacked by what a call has exactly one of: its model, or its key.

Tags are never stacked: a call may have two, and the stack would be higher than the bill.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from spend.steps import is_by_month, steps_of
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
    until: date  # the last day of it, which is `day` itself unless months are drawn
    x: float
    width: float
    segments: tuple[Segment, ...]
    amounts: tuple[int, ...]
    total: int
    address: str
    is_month: bool = False

    @property
    def name(self) -> str:
        return f"{self.day:%b %Y}" if self.is_month else f"{self.day.day} {self.day:%b}"

    @property
    def full_name(self) -> str:
        return self.name if self.is_month else f"{self.name} {self.day.year}"


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
    step: str  # day or month

    @property
    def heading(self) -> str:
        return "Monthly cost" if self.step == "month" else "Daily cost"

    @property
    def highest(self) -> DayColumn | None:
        return max(self.columns, key=lambda column: column.total, default=None)


def stack_days(
    costs: Mapping[date, Mapping[str, int]],
    first: date,
    last: date,
    *,
    link: Callable[[date, date], str] | None = None,
    ranked: Sequence[str] | None = None,
) -> StackedDays:
    """The five largest names and the rest, of every day from `first` to `last`, both included.

    Of too many days months are drawn, of which the first and last may be cut.

    `ranked` fixes which names are shown and their colours, as another chart of the page has them.
    """
    names = list(ranked) if ranked is not None else rank_names(costs)
    spans, by_month = steps_of(first, last), is_by_month(first, last)
    table = [_amounts(_summed(costs, *span), names) for span in spans]
    totals = [sum(amounts) for amounts in table]
    has_other = any(amounts[-1] for amounts in table)
    end, step = axis_end(max(totals, default=0)), WIDTH / max(len(spans), 1)
    width = min(step * (1 - GAP), WIDTH_MAX)
    columns = tuple(
        DayColumn(
            day=day,
            until=until,
            x=round(place * step + (step - width) / 2, 3),
            width=round(width, 3),
            segments=_segments(amounts, end),
            amounts=amounts if has_other else amounts[:-1],
            total=sum(amounts),
            address=link(day, until) if link else "",
            is_month=by_month,
        )
        for place, ((day, until), amounts) in enumerate(zip(spans, table, strict=True))
    )
    sums = [sum(column) for column in zip(*table, strict=True)]
    shown = [*names, OTHER] if has_other else names
    series = tuple(Series(name, css_of(n, names), sums[n]) for n, name in enumerate(shown))
    return StackedDays(columns, series, (end, end // 2, 0), "month" if by_month else "day")


def _summed(costs: Mapping[date, Mapping[str, int]], first: date, last: date) -> Mapping[str, int]:
    if first == last:
        return costs.get(first, {})
    sums: dict[str, int] = {}
    for n in range((last - first).days + 1):
        for name, amount in costs.get(first + timedelta(days=n), {}).items():
            sums[name] = sums.get(name, 0) + amount
    return sums


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
