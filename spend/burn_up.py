"""Burn-up: how an open window came to what it has spent, and when its limit was reached.

The window is the truth: its spent amount is where the line ends, and roll-ups say how it got there.
They are laid off from the end, since a window may have opened in the middle of an hour.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from spend.buckets import HOURS_KEPT, Bucket, Grain, Payers, Question, read_buckets
from spend.ids import floor_id
from spend.log_filters import APART
from spend.money import Nanos
from spend.standings import Standing

BY_HOUR_MAX = timedelta(days=3)  # longer windows are drawn by the day
ROWS_MAX = 20_000  # of one hour's calls; with more, the hour must do

REACHED = """
with sets as materialized (
  select id from spend_tagset where tags && %(names)s::text[]
), calls as (
  select l.id, l.ended_at, l.cost from spend_spendlog l
   where (l.tag_set_id in (select id from sets) or l.key_id = any(%(key_ids)s::uuid[]))
     and l.id >= %(low)s and l.id < %(high)s and l.at >= %(starts_at)s and l.at < %(ends_at)s
   order by l.id limit %(rows_max)s
)
select ended_at from (select id, ended_at, sum(cost) over (order by id) as total from calls) t
 where total >= %(missing)s order by id limit 1
"""


@dataclass(frozen=True, slots=True)
class Point:
    """All that was spent in the window until then."""

    at: datetime
    spent: Nanos


@dataclass(frozen=True, slots=True)
class Step:
    """A bucket of the window: what it added, and what was spent when it ended."""

    bucket: Bucket
    spent: Nanos
    total: Nanos


def burn_question(payers: Payers, standing: Standing, now: datetime) -> Question:
    """The buckets of the open window; by the hour where it is short."""
    length = (standing.resets_at or now) - standing.starts_at
    is_kept = standing.starts_at >= now - HOURS_KEPT
    grain: Grain = "hour" if length <= BY_HOUR_MAX and is_kept else "day"
    return Question(payers, grain, standing.starts_at, now)


def burn_steps(buckets: Sequence[Bucket], spent: Nanos) -> list[Step]:
    """Laid off from the end; what roll-ups have beyond the window was before it began."""
    steps: list[Step] = []
    total = spent
    for bucket in reversed(buckets):
        added = min(bucket.spent, total)
        steps.append(Step(bucket, Nanos(added), total))
        total = Nanos(total - added)
    return steps[::-1]


def burn_points(steps: Sequence[Step], starts_at: datetime, now: datetime) -> list[Point]:
    """The line: level between buckets, rising within them."""
    before = steps[0].total - steps[0].spent if steps else 0
    points = [Point(starts_at, Nanos(before))]
    for step in steps:
        points.append(Point(max(step.bucket.starts_at, starts_at), Nanos(step.total - step.spent)))
        points.append(Point(step.bucket.ends_at, step.total))
    points.append(Point(now, points[-1].spent))
    return list(dict.fromkeys(points))


def step_reaching(steps: Sequence[Step], limit: Nanos) -> Step | None:
    return next((step for step in steps if step.total >= limit), None)


def read_over_since(
    payers: Payers, standing: Standing, steps: Sequence[Step], now: datetime
) -> datetime | None:
    """When the limit was reached, by the call that did it; None while it has not been.

    `steps` are the window's. From the day to its hour, from the hour to its call, where those are
    still known: three short reads however long the window is.
    """
    limit = standing.limit
    if limit is None or standing.spent < limit:
        return None
    if limit == 0:
        return standing.starts_at
    step = step_reaching(steps, limit)
    if step is None:
        return standing.starts_at
    if step.bucket.ends_at - step.bucket.starts_at > timedelta(hours=1):
        if step.bucket.starts_at < now - HOURS_KEPT:
            return step.bucket.ends_at
        asked = Question(payers, "hour", step.bucket.starts_at, step.bucket.ends_at)
        step = step_reaching(burn_steps(read_buckets([asked])[0], step.total), limit) or step
    missing = limit - (step.total - step.spent)
    return _call_reaching(payers, step.bucket, missing) or step.bucket.ends_at


def _call_reaching(payers: Payers, hour: Bucket, missing: int) -> datetime | None:
    parameters: dict[str, Any] = {
        "names": list(payers.tags),
        "key_ids": list(payers.key_ids),
        "low": floor_id(hour.starts_at - APART),
        "high": floor_id(hour.ends_at + APART),
        "starts_at": hour.starts_at,
        "ends_at": hour.ends_at,
        "missing": missing,
        "rows_max": ROWS_MAX,
    }
    with connection.cursor() as cursor:
        cursor.execute(REACHED, parameters)
        found = cursor.fetchone()
    return None if found is None else found[0]
