"""Traffic: the tags that calls have carried, from the roll-ups; the log is not read."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from spend.money import Nanos
from spend.pieces import in_range, pieces_of
from spend.ranges import Range

# Sums by tag set and key come first: there are far fewer of them than roll-ups, and only then is
# each counted under every tag that its set holds.
TAGGED = """
with sums as (
  select tag_set_id, key_id, sum(cost) as cost, sum(requests) as requests, sum(failed) as failed,
         sum(refused) as refused, sum(prompt_tokens + completion_tokens) as tokens,
         min(starts_at) as first_at, max(starts_at) as last_at
    from spend_rollup r
   where {in_range}
   group by tag_set_id, key_id
), tagged as (
  select tag.name, sums.*
    from sums join spend_tagset on spend_tagset.id = sums.tag_set_id
         cross join unnest(spend_tagset.tags) as tag(name)
)
"""
BY_DAY = TAGGED.format(
    in_range="span = %(span)s and starts_at >= %(starts_at)s and starts_at < %(ends_at)s"
)
WHOLE = TAGGED.format(in_range=in_range())
SEEN = f"""{BY_DAY}
select name, sum(cost), sum(requests), min(first_at), max(last_at) from tagged
 where (%(after)s::text is null or name > %(after)s)
   and position(lower(%(text)s) in lower(name)) > 0
   and not exists (select 1 from tags_tag where tags_tag.name = tagged.name)
 group by name order by name limit %(limit)s
"""
TOTALS = f"""{WHOLE}
select name, count(distinct key_id), sum(requests), sum(failed), sum(tokens), sum(cost) from tagged
 where %(names)s::text[] is null or name = any(%(names)s)
 group by name order by sum(cost) desc, name limit %(limit)s
"""
MOST_USED = f"""{WHOLE}
select name from tagged
 group by name order by sum(requests + refused) desc, name limit %(limit)s
"""


@dataclass(frozen=True, slots=True)
class SeenTag:
    """A tag that calls carry and nobody has made. Its times are as fine as the roll-ups."""

    name: str
    spent: Nanos
    requests: int
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True)
class TagTotals:
    name: str
    keys: int
    requests: int  # all but refused ones
    failed: int
    tokens: int
    spent: Nanos


def seen_tags(
    covered: Range, *, text: str = "", after: str | None = None, limit: int
) -> list[SeenTag]:
    """Tags in traffic that nobody has made, by name; those that contain `text`, after `after`."""
    rows = _rows(SEEN, covered, text=text, after=after, limit=limit)
    return [
        SeenTag(name, Nanos(int(cost)), int(requests), first_at, last_at)
        for name, cost, requests, first_at, last_at in rows
    ]


def tag_totals(covered: Range, *, names: Sequence[str] | None, limit: int) -> list[TagTotals]:
    """What each tag came to, the most expensive first; of all tags, or of these."""
    rows = _rows(TOTALS, covered, names=None if names is None else list(names), limit=limit)
    return [
        TagTotals(name, keys, int(requests), int(failed), int(tokens), Nanos(int(cost)))
        for name, keys, requests, failed, tokens, cost in rows
    ]


def most_used_tags(covered: Range, *, limit: int) -> list[str]:
    """By the calls that carried them, refused ones included."""
    return [name for (name,) in _rows(MOST_USED, covered, limit=limit)]


def _rows(query: str, covered: Range, **parameters: Any) -> list[tuple]:
    with connection.cursor() as cursor:
        cursor.execute(query, pieces_of(covered) | parameters)
        return cursor.fetchall()
