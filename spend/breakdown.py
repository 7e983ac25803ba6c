"""Breakdown: what the calls of one tag came to, by day, model and key, and what they also carry.

One query over the roll-ups of the sets that hold the tag. Each call counts once in the totals, and
once under each other tag that it carries: shares of those overlap.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

from django.conf import settings
from django.db import connection

from spend.money import Nanos
from spend.outlooks import FIRST_CALL
from spend.ranges import Range
from spend.reports import Totals

Stack = Literal["model", "key"]
NOTHING = Totals(Nanos(0), 0, 0, 0, 0, 0)
ROWS_MAX = 200  # models, keys and tags beyond the most expensive ones are left out

SUMS = """coalesce(sum(cost), 0), coalesce(sum(requests), 0), coalesce(sum(failed), 0),
       coalesce(sum(refused), 0), coalesce(sum(prompt_tokens), 0),
       coalesce(sum(completion_tokens), 0)"""
TAKEN = "cost, requests, failed, refused, prompt_tokens, completion_tokens"
QUERY = f"""
with sets as materialized (
  select id, tags from spend_tagset where tags @> array[%(tag)s]
), rollups as materialized (
  select r.tag_set_id, r.model, r.key_id, r.key_alias,
         (r.starts_at at time zone %(zone)s)::date as day, {TAKEN}
    from sets join spend_rollup r on r.tag_set_id = sets.id
   where r.span = %(span)s and r.starts_at >= %(starts_at)s and r.starts_at < %(ends_at)s
), by_set as (
  select tag_set_id, sum(cost) as cost, sum(requests) as requests, sum(failed) as failed,
         sum(refused) as refused, sum(prompt_tokens) as prompt_tokens,
         sum(completion_tokens) as completion_tokens
    from rollups group by tag_set_id
)
select 'total' as part, null::date as day, null::text as name, null::uuid as key_id, {SUMS}
  from rollups
union all
select 'before', null, null, null, {SUMS} from (
  select {TAKEN} from sets join spend_rollup r on r.tag_set_id = sets.id
   where r.span = %(before_span)s and r.starts_at >= %(before_starts_at)s
     and r.starts_at < %(before_ends_at)s) earlier
union all
select 'first', null, min(first.at)::text, null, 0, 0, 0, 0, 0, 0
  from sets s cross join {FIRST_CALL}
union all
select 'day', day, model, null, {SUMS} from rollups where %(stack)s = 'model' group by day, model
union all
select 'day', day, max(key_alias), key_id, {SUMS} from rollups
 where %(stack)s = 'key' group by day, key_id
union all
(select 'model', null, model, null, {SUMS} from rollups
  group by model order by sum(cost) desc, model limit {ROWS_MAX})
union all
(select 'key', null, max(key_alias), key_id, {SUMS} from rollups
  group by key_id order by sum(cost) desc, key_id limit {ROWS_MAX})
union all
(select 'seen_with', null, tag.name, null, {SUMS}
   from by_set join sets on sets.id = by_set.tag_set_id cross join unnest(sets.tags) as tag(name)
  where tag.name <> %(tag)s
  group by tag.name order by sum(cost) desc, tag.name limit {ROWS_MAX})
"""


@dataclass(frozen=True, slots=True)
class Part:
    """What one model, key or other tag came to; of a key, its id and the alias it last had."""

    name: str | None
    totals: Totals
    key_id: UUID | None = None
    day: date | None = None


@dataclass(slots=True)
class Breakdown:
    """Models, keys and tags with the most expensive first; `days` by day, then by name.

    `first_at` is when it was first carried, whatever the range is; None if it never was.
    """

    totals: Totals = NOTHING
    before: Totals = NOTHING
    first_at: datetime | None = None
    days: list[Part] = field(default_factory=list)
    models: list[Part] = field(default_factory=list)
    keys: list[Part] = field(default_factory=list)
    seen_with: list[Part] = field(default_factory=list)


def read_breakdown(tag: str, covered: Range, before: Range, *, stack: Stack = "model") -> Breakdown:
    """The days are those of the reports' zone; each is broken down by `stack`."""
    parameters = {
        "tag": tag,
        "zone": settings.REPORT_TIME_ZONE,
        "span": covered.span,
        "starts_at": covered.starts_at,
        "ends_at": covered.ends_at,
        "before_span": before.span,
        "before_starts_at": before.starts_at,
        "before_ends_at": before.ends_at,
        "stack": stack,
    }
    with connection.cursor() as cursor:
        cursor.execute(QUERY, parameters)
        return _breakdown(cursor.fetchall())


def _breakdown(rows: Iterable[tuple[Any, ...]]) -> Breakdown:
    found = Breakdown()
    lists = {
        "day": found.days,
        "model": found.models,
        "key": found.keys,
        "seen_with": found.seen_with,
    }
    for part, day, name, key_id, *numbers in rows:
        totals = _totals(numbers)
        if part == "total":
            found.totals = totals
        elif part == "before":
            found.before = totals
        elif part == "first":
            found.first_at = datetime.fromisoformat(name) if name else None
        else:
            lists[part].append(Part(name, totals, key_id, day))
    found.days.sort(key=lambda day: (day.day or date.min, day.name or "", str(day.key_id)))
    return found


def _totals(numbers: Iterable[Any]) -> Totals:
    cost, requests, failed, refused, prompt_tokens, completion_tokens = map(int, numbers)
    return Totals(Nanos(cost), requests, failed, refused, prompt_tokens, completion_tokens)
