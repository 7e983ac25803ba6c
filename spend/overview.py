"""Overview: what all calls came to in a range and in the one before; by day, model, key and tag.

One query over the roll-ups. Totals count each call once; a call with several tags is under each of
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
from spend.ranges import Range
from spend.windows import midnight, open_zone

Stack = Literal["model", "key"]
ROWS_MAX = 6
NOTHING = Nanos(0)

# One pass over the roll-ups gives the sums by tag set, by key, and by day and series. Totals are
# those of the tag sets; only these are counted under each of their tags.
QUERY = f"""
with grouped as materialized (
  select grouping(r.tag_set_id) = 0 as is_set, grouping(r.starts_at) = 0 as is_day,
         r.tag_set_id, r.key_id, r.starts_at, {{model}} as model, max(r.key_alias) as alias,
         sum(r.cost) filter (where {{is_now}}) as cost,
         sum(r.requests) filter (where {{is_now}}) as requests,
         sum(r.failed) filter (where {{is_now}}) as failed,
         sum(r.refused) filter (where {{is_now}}) as refused,
         sum(r.estimated) filter (where {{is_now}}) as estimated,
         sum(r.cost) filter (where not {{is_now}}) as cost_before,
         sum(r.requests) filter (where not {{is_now}}) as requests_before
    from spend_rollup r
   where r.span = 'day'
     and (r.starts_at >= %(starts_at)s and r.starts_at < %(ends_at)s
          or r.starts_at >= %(before_starts_at)s and r.starts_at < %(before_ends_at)s)
   group by grouping sets ((r.tag_set_id), (r.key_id), ({{series}}))
), by_set as materialized (
  select s.tags, coalesce(g.cost, 0) as cost, coalesce(g.cost_before, 0) as before,
         coalesce(g.refused, 0) as refused
    from grouped g join spend_tagset s on s.id = g.tag_set_id where g.is_set
), by_tag as materialized (
  select tag.name, sum(cost) as cost, sum(before) as before, sum(refused) as refused
    from by_set cross join unnest(by_set.tags) as tag(name) group by tag.name
)
select 'total' as part, null::text as name, null::uuid as key_id, null::date as day,
       coalesce(sum(cost), 0) as cost, coalesce(sum(requests), 0) as requests,
       coalesce(sum(failed), 0) as failed, coalesce(sum(refused), 0) as refused,
       coalesce(sum(estimated), 0) as estimated
  from grouped where is_set
union all
select 'before', null, null, null, coalesce(sum(cost_before), 0),
       coalesce(sum(requests_before), 0), 0, 0, 0 from grouped where is_set
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
  where not is_set and not is_day and cost > 0 order by cost desc, key_id limit {ROWS_MAX})
union all
select 'day', {{name}}, {{key_id}}, (starts_at at time zone %(zone)s)::date, cost, 0, 0, 0, 0
  from grouped where is_day and cost is not null
union all
select 'first', min(starts_at)::text, null, null, 0, 0, 0, 0, 0 from spend_rollup where span = 'day'
"""
IS_NOW = "r.starts_at >= %(starts_at)s"
QUERIES = {
    "model": QUERY.format(
        model="r.model", series="r.starts_at, r.model", name="model", key_id="null", is_now=IS_NOW
    ),
    "key": QUERY.format(
        model="null::text",
        series="r.starts_at, r.key_id",
        name="alias",
        key_id="key_id",
        is_now=IS_NOW,
    ),
}
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
    """Both ranges are of whole days of the reports' zone, `before` the earlier one."""
    parameters = {
        "starts_at": covered.starts_at,
        "ends_at": covered.ends_at,
        "before_starts_at": before.starts_at,
        "before_ends_at": before.ends_at,
        "zone": settings.REPORT_TIME_ZONE,
    }
    with connection.cursor() as cursor:
        cursor.execute(QUERIES[stack], parameters)
        return _overview(cursor.fetchall())


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


def _overview(rows: Iterable[tuple[Any, ...]]) -> Overview:
    found = Overview()
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
            case "first":
                found.first_at = datetime.fromisoformat(name) if name else None
            case "change":
                found.changes.append(Line(name, Nanos(int(cost)), before=Nanos(int(requests))))
            case _:
                lists[part].append(Line(name, Nanos(int(cost)), key_id, day))
    return found
