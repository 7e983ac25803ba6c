"""Overview: what all calls came to in a range and in the one before; by day, model, key and tag.

Totals count each call once; a call with several tags is under each of
them, so the tags' sum is told too, to say what is counted more than once.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from django.conf import settings
from django.db import connection

from spend.buckets import Bucket, first_midnight
from spend.forecast import PERIODS, WEEK, Course, Outlook, is_early, look_ahead, paced_periods
from spend.money import Nanos
from spend.pieces import in_range, pieces_of
from spend.ranges import Range, days_of
from spend.steps import is_by_month
from spend.windows import midnight, open_zone

Stack = Literal["model", "key"]
ROWS_MAX = 6
NOTHING = Nanos(0)

# Totals are those of the tag sets, each call in one of them; only these are counted under each of
# their tags. What is drawn is read apart, as only that needs single days.
QUERY = f"""
with grouped as materialized (
  select r.tag_set_id, r.key_id, max(r.key_alias) as alias, sum(r.cost) as cost,
         sum(r.requests) as requests, sum(r.failed) as failed, sum(r.refused) as refused,
         sum(r.estimated) as estimated
    from spend_rollup r where {in_range()}
   group by grouping sets ((r.tag_set_id), (r.key_id))
), earlier as materialized (
  select r.tag_set_id, sum(r.cost) as cost, sum(r.requests) as requests
    from spend_rollup r where {in_range("before_")} group by r.tag_set_id
), by_set as materialized (
  select s.tags, coalesce(g.cost, 0) as cost, coalesce(e.cost, 0) as before,
         coalesce(g.refused, 0) as refused
    from (select * from grouped where key_id is null) g
    full join earlier e using (tag_set_id) join spend_tagset s on s.id = tag_set_id
), by_tag as materialized (
  select tag.name, sum(cost) as cost, sum(before) as before, sum(refused) as refused
    from by_set cross join unnest(by_set.tags) as tag(name) group by tag.name
)
select 'total' as part, null::text as name, null::uuid as key_id, null::date as day,
       coalesce(sum(cost), 0) as cost, coalesce(sum(requests), 0) as requests,
       coalesce(sum(failed), 0) as failed, coalesce(sum(refused), 0) as refused,
       coalesce(sum(estimated), 0) as estimated
  from grouped where key_id is null
union all
select 'before', null, null, null, coalesce(sum(cost), 0), coalesce(sum(requests), 0), 0, 0, 0
  from earlier
union all
select 'untagged', null, null, null, coalesce(sum(cost), 0), 0, 0, 0, 0
  from by_set where tags = '{{{{}}}}'
union all
select 'tags', null, null, null, coalesce(sum(cost), 0), 0, 0,
       count(*) filter (where refused > 0), 0 from by_tag
union all
(select 'tag', name, null, null, cost, 0, 0, 0, 0 from by_tag where cost > 0
  order by cost desc, name limit {ROWS_MAX})
union all
(select 'change', name, null, null, cost, before, 0, 0, 0 from by_tag where cost <> before
  order by abs(cost - before) desc, name limit {ROWS_MAX})
union all
(select 'key', alias, key_id, null, cost, 0, 0, 0, 0 from grouped
  where key_id is not null and cost > 0 order by cost desc, key_id limit {ROWS_MAX})
union all
(select 'day', {{name}}, {{key_id}}, (r.starts_at at time zone %(zone)s)::date, sum(r.cost),
        0, 0, 0, 0
  from spend_rollup r where {{drawn}} group by r.starts_at, {{series}})
"""
FIRST = "select min(starts_at) from spend_rollup where span = 'day'"
SERIES = {
    "model": {"name": "r.model", "key_id": "null::uuid", "series": "r.model"},
    "key": {"name": "max(r.key_alias)", "key_id": "r.key_id", "series": "r.key_id"},
}
BY_DAY = "r.span = 'day' and r.starts_at >= %(starts_at)s and r.starts_at < %(ends_at)s"
DAYS = """
select starts_at, sum(cost) from spend_rollup
 where span = 'day' and starts_at >= %(since)s group by starts_at order by starts_at
"""


@dataclass(frozen=True, slots=True)
class Sums:
    """Requests are all calls but refused ones; `estimated`: those whose usage nobody told."""

    cost: Nanos = NOTHING
    requests: int = 0
    failed: int = 0
    refused: int = 0
    estimated: int = 0


@dataclass(frozen=True, slots=True)
class Line:
    """One tag, model or key. `before` is what it came to in the range before, of changes alone."""

    name: str | None
    cost: Nanos
    key_id: UUID | None = None
    day: date | None = None
    before: Nanos = NOTHING


@dataclass(slots=True)
class Overview:
    """`tags_cost` is the sum over tags; `tags_refused` how many tags had a call refused.

    `first_at` is when the day of the first call of all began, whatever the range; None without one.
    """

    total: Sums = Sums()
    before: Sums = Sums()
    untagged: Nanos = NOTHING
    tags_cost: Nanos = NOTHING
    tags_refused: int = 0
    first_at: datetime | None = None
    tags: list[Line] = field(default_factory=list)
    changes: list[Line] = field(default_factory=list)
    keys: list[Line] = field(default_factory=list)
    days: list[Line] = field(default_factory=list)

    @property
    def more_than_once(self) -> Nanos:
        """What calls with several tags add to the tags' sum. Never negative."""
        return Nanos(self.tags_cost + self.untagged - self.total.cost)


def read_overview(covered: Range, before: Range, *, stack: Stack = "model") -> Overview:
    """Both ranges are of whole days of the reports' zone, `before` the earlier one.

    What is drawn by month has the first days of months, and the days around whole ones.
    """
    zone = settings.REPORT_TIME_ZONE
    parameters = {**pieces_of(covered), **pieces_of(before, "before_"), "zone": zone}
    with connection.cursor() as cursor:
        cursor.execute(FIRST)
        ((first_at,),) = cursor.fetchall()
        if first_at is None:
            return Overview()
        first, last = days_of(covered, zone)
        shown_from = max(first, first_at.astimezone(open_zone(zone)).date())
        drawn = in_range() if is_by_month(shown_from, last) else BY_DAY
        cursor.execute(QUERY.format(drawn=drawn, **SERIES[stack]), parameters)
        return _overview(cursor.fetchall(), first_at)


def read_month_outlook(now: datetime, first_at: datetime | None) -> Outlook:
    """What all calls of this calendar month will come to, at the pace of the last seven days."""
    zone = settings.REPORT_TIME_ZONE
    first = now.astimezone(open_zone(zone)).date().replace(day=1)
    starts_at = midnight(first, zone)
    following = (first + timedelta(days=31)).replace(day=1)
    since = min(starts_at, now - PERIODS * WEEK - timedelta(hours=25))
    with connection.cursor() as cursor:
        cursor.execute(DAYS, {"since": since})
        days = [
            Bucket(at, min(first_midnight(at), now), Nanos(int(cost)))
            for at, cost in cursor.fetchall()
        ]
    course = Course(
        starts_at=starts_at,
        ends_at=midnight(following, zone),
        spent=Nanos(sum(day.spent for day in days if day.starts_at >= starts_at)),
        limit=None,
        first_at=first_at,
    )
    if is_early(course, now):
        return Outlook(is_early=True)
    return look_ahead(course, paced_periods(course, days, now), now)


def _overview(rows: Iterable[tuple[Any, ...]], first_at: datetime) -> Overview:
    found = Overview(first_at=first_at)
    lists = {"tag": found.tags, "key": found.keys, "day": found.days, "change": found.changes}
    for part, name, key_id, day, cost, requests, failed, refused, estimated in rows:
        match part:
            case "total" | "before":
                numbers = map(int, (requests, failed, refused, estimated))
                setattr(found, part, Sums(Nanos(int(cost)), *numbers))
            case "untagged":
                found.untagged = Nanos(int(cost))
            case "tags":
                found.tags_cost, found.tags_refused = Nanos(int(cost)), int(refused)
            case "change":
                found.changes.append(Line(name, Nanos(int(cost)), before=Nanos(int(requests))))
            case _:
                lists[part].append(Line(name, Nanos(int(cost)), key_id, day))
    return found
