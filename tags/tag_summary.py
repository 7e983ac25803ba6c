"""TagSummary: all figures of a tag's page, each read once; the budget shown first has the chart."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from spend.breakdown import Breakdown, Stack, read_breakdown
from spend.buckets import Bucket, read_buckets
from spend.burn_up import (
    Point,
    Step,
    burn_points,
    burn_question,
    burn_steps,
    read_over_since,
)
from spend.forecast import (
    Course,
    Outlook,
    is_early,
    is_foreseeable,
    look_ahead,
    paced_periods,
)
from spend.outlooks import course_of, pace_question, read_first_calls
from spend.ranges import Range
from spend.refusals import Refusals, read_refusals
from tags.budget_rows import BudgetRow, first_shown
from tags.models import Tag


@dataclass(frozen=True, slots=True)
class Window:
    """The open window of the budget that is shown: how it came here, and where it goes.

    `over_since` is when its limit was reached, and `outlook` is then as if there were none.
    """

    row: BudgetRow
    outlook: Outlook
    steps: Sequence[Step]
    points: Sequence[Point]
    over_since: datetime | None

    @property
    def is_forecast_over(self) -> bool:
        forecast = self.outlook.forecast
        return forecast is not None and forecast.exceeds(self.row.standing.limit)


@dataclass(frozen=True, slots=True)
class TagSummary:
    """`refusals` are today's. A tag that was only seen has none, and no window."""

    rows: Sequence[BudgetRow]
    window: Window | None
    breakdown: Breakdown
    refusals: Refusals | None

    @property
    def refused_by_shown(self) -> int:
        if self.window is None or self.refusals is None:
            return 0
        return self.refusals.by_budget.get(self.window.row.budget.public_id, 0)


def read_tag_summary(
    tag: Tag,
    rows: Sequence[BudgetRow],
    covered: Range,
    before: Range,
    *,
    stack: Stack,
    today: datetime,
    now: datetime,
) -> TagSummary:
    """`rows` are those of `read_budget_rows`; `today` is when the reports' day began."""
    breakdown = read_breakdown(tag.name, covered, before, stack=stack)
    shown = first_shown(rows)
    if shown.kind == "pot":
        (first_at,) = read_first_calls([shown.payers])
    else:
        first_at = breakdown.first_at
    return TagSummary(
        rows=rows,
        window=read_window(shown, first_at, now),
        breakdown=breakdown,
        refusals=read_refusals(tag.name, today),
    )


def read_seen_summary(name: str, covered: Range, before: Range, *, stack: Stack) -> TagSummary:
    """Of a name that calls carry and nobody has made a tag: it has no budget and no status."""
    return TagSummary(
        rows=(),
        window=None,
        breakdown=read_breakdown(name, covered, before, stack=stack),
        refusals=None,
    )


def read_window(row: BudgetRow, first_at: datetime | None, now: datetime) -> Window:
    """One query; where the limit has been reached up to three more, to say when."""
    course = course_of(row.standing, first_at)
    questions = [burn_question(row.payers, row.standing, now)]
    if is_foreseeable(course) and not is_early(course, now):
        questions.append(pace_question(row.payers, course, now))
    spent_by, *paces = read_buckets(questions)
    steps = burn_steps(spent_by, row.standing.spent)
    since = read_over_since(row.payers, row.standing, steps, now)
    if since is not None and paces:
        course = course_of(row.standing, first_at, since)
        paces = read_buckets([pace_question(row.payers, course, now)])
    return Window(
        row=row,
        outlook=_outlook(course, paces, now),
        steps=steps,
        points=burn_points(steps, row.standing.starts_at, now),
        over_since=since,
    )


def _outlook(course: Course, paces: Sequence[Sequence[Bucket]], now: datetime) -> Outlook:
    buckets = paces[0] if paces else []
    return look_ahead(course, paced_periods(course, buckets, now), now)
