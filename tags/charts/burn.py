"""Burn: what a window has spent over time, against its limits, and where it is heading."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from tags.charts.scale import HEIGHT, axis_end, height_of, share


@dataclass(frozen=True, slots=True)
class Heading:
    """Spent at the window's end: lowest, middle, highest."""

    low: int
    middle: int
    high: int


@dataclass(frozen=True, slots=True)
class BurnUp:
    """Paths in the box. `limit` and `soft` are heights, `out` the place where it ran out."""

    spent: str
    forecast: str
    band: str
    limit: float | None
    soft: float | None
    out: float | None
    now: float
    ticks: tuple[int, ...]
    starts_at: datetime
    ends_at: datetime


def draw_burn_up(
    points: Sequence[tuple[datetime, int]],
    *,
    starts_at: datetime,
    ends_at: datetime,
    now: datetime,
    limit: int | None,
    soft_limit: int | None = None,
    heading: Heading | None = None,
    ran_out_at: datetime | None = None,
) -> BurnUp:
    """`points` are times and the sum spent until then; the line begins at nothing."""
    spent = points[-1][1] if points else 0
    end = axis_end(max(spent, limit or 0, soft_limit or 0, heading.high if heading else 0))

    def x(at: datetime) -> float:
        return share((at - starts_at).total_seconds(), (ends_at - starts_at).total_seconds())

    def y(amount: int) -> float:
        return height_of(amount, end)

    line = [(0.0, HEIGHT), *((x(at), y(total)) for at, total in points)]
    if not points or points[-1][0] < now:
        line.append((x(now), y(spent)))
    forecast = band = ""
    if heading is not None:
        forecast = path_of([line[-1], (100.0, y(heading.middle))])
        corners = [line[-1], (100.0, y(heading.high)), (100.0, y(heading.low))]
        band = f"{path_of(corners)}Z"
    return BurnUp(
        spent=path_of(line),
        forecast=forecast,
        band=band,
        limit=None if limit is None else y(limit),
        soft=None if soft_limit is None else y(soft_limit),
        out=None if ran_out_at is None else x(ran_out_at),
        now=x(now),
        ticks=(end, end // 2, 0),
        starts_at=starts_at,
        ends_at=ends_at,
    )


def path_of(points: Sequence[tuple[float, float]]) -> str:
    """An SVG path through the points."""
    return "M" + "L".join(f"{x:g},{y:g}" for x, y in points)
