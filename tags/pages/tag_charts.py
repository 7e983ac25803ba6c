"""Charts of a tag's page: its window against the limit, and its days by model or key."""

from collections.abc import Callable, Iterable
from datetime import date, datetime
from typing import Any

from spend.amounts import sum_text
from spend.breakdown import Breakdown, Part
from spend.overview import Line
from spend.ranges import Range, days_of
from spend.templatetags.moments import short_text
from spend.windows import open_zone
from tags.charts.burn import BurnUp, Heading, draw_burn_up
from tags.charts.days import StackedDays, stack_days
from tags.tag_summary import Window


def burn_chart(window: Window, now: datetime) -> BurnUp:
    """Until the window ends; one that never does is drawn until now."""
    standing, forecast = window.row.standing, window.outlook.forecast
    heading = None
    if forecast is not None:
        heading = Heading(forecast.low, forecast.middle, forecast.high)
    return draw_burn_up(
        [(point.at, point.spent) for point in window.points],
        starts_at=standing.starts_at,
        ends_at=standing.resets_at or now,
        now=now,
        limit=standing.limit,
        soft_limit=window.row.budget.soft_limit,
        heading=heading,
        ran_out_at=window.over_since,
    )


def burn_label(window: Window, now: datetime) -> str:
    """The chart in a sentence."""
    standing, forecast = window.row.standing, window.outlook.forecast
    text = f"Spend this window {sum_text(standing.spent)}"
    if standing.limit is not None:
        text += f" of {sum_text(standing.limit)}"
    if window.over_since is not None:
        text += f", reached {short_text(window.over_since, now)}"
    if forecast is None:
        return text
    words = "forecast without the limit" if window.over_since is not None else "forecast"
    text += f"; {words} {sum_text(forecast.middle)}"
    if forecast.reached_at is not None:
        text += f", reaching the limit {short_text(forecast.reached_at, now)}"
    return text


def burn_rows(window: Window) -> list[tuple[datetime, int, int]]:
    """For the table: until when, what was spent since the line before, and all until then."""
    return [(step.bucket.ends_at, step.spent, step.total) for step in window.steps]


def day_chart(
    breakdown: Breakdown, covered: Range, time_zone: str, link: Callable[[date, date], str]
) -> StackedDays | None:
    """From the first call on, if that is later; None before there is one."""
    if breakdown.first_at is None:
        return None
    parts = ((part.day, name_of(part), part.totals.spent) for part in breakdown.days)
    return stack_range(parts, breakdown.first_at, covered, time_zone, link)


def stack_range(
    parts: Iterable[tuple[date | None, str, int]],
    first_at: datetime,
    covered: Range,
    time_zone: str,
    link: Callable[[date, date], str],
) -> StackedDays:
    """Day, name and cost of each part, over the days of the range from the first call on."""
    first, last = days_of(covered, time_zone)
    first = max(first, first_at.astimezone(open_zone(time_zone)).date())
    costs: dict[date, dict[str, int]] = {}
    for on, name, spent in parts:
        day = costs.setdefault(max(on or first, first), {})  # a month may begin earlier
        day[name] = day.get(name, 0) + spent
    return stack_days(costs, first, max(first, last), link=link)


def name_of(part: Part | Line) -> Any:
    """A key that never had an alias is told by the end of its id."""
    if part.name:
        return part.name
    return f"key ...{str(part.key_id)[-4:]}" if part.key_id else "\u2013"
