"""Reports: what was spent, by tag, key, model or day; from the roll-ups, never from the log.

A roll-up counts each call once, under its whole set of tags. So any total counts a call once too;
only where totals are listed by tag does a call with two tags stand under both.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection

from spend.models import TagSet
from spend.money import Nanos
from spend.pieces import in_range, pieces_of
from spend.ranges import Range

GROUPS = ("tag", "key", "model", "day")
ROWS_MAX = 100_000

# First the sums of whole tag sets, which are few; only then is each counted under its tags.
SUMS = """
with sums as (
  select r.tag_set_id, r.key_id, r.model, max(r.key_alias) as key_alias,
         {day} as day, sum(r.cost) as cost, sum(r.requests) as requests, sum(r.failed) as failed,
         sum(r.refused) as refused, sum(r.prompt_tokens) as prompt_tokens,
         sum(r.completion_tokens) as completion_tokens
    from spend_rollup r
   where {in_range}
     and (%(sets)s::bigint[] is null or r.tag_set_id = any(%(sets)s))
     and (%(key_alias)s::text is null or r.key_alias = %(key_alias)s)
     and (%(key_id)s::uuid is null or r.key_id = %(key_id)s)
     and (%(model)s::text is null or r.model = %(model)s)
   group by r.tag_set_id, r.key_id, r.model, day
)
"""
BY_DAY = SUMS.format(
    day="(r.starts_at at time zone %(zone)s)::date",
    in_range="r.span = %(span)s and r.starts_at >= %(starts_at)s and r.starts_at < %(ends_at)s",
)
WHOLE = SUMS.format(day="null::date", in_range=in_range())
TOTALS = """coalesce(sum(cost), 0), coalesce(sum(requests), 0), coalesce(sum(failed), 0),
         coalesce(sum(refused), 0), coalesce(sum(prompt_tokens), 0),
         coalesce(sum(completion_tokens), 0)"""
TAGGED = """(select sums.*, tag.name as tag from sums join spend_tagset s on s.id = sums.tag_set_id
             left join lateral unnest(s.tags) as tag(name) on true) as counted"""
COLUMNS = {"tag": "tag", "key": "key_id", "model": "model", "day": "day"}


class TooManyLines(Exception):
    """More than ROWS_MAX groups; some of them would not add up to anything."""


@dataclass(frozen=True, slots=True)
class Totals:
    """Requests are all calls but refused ones."""

    spent: Nanos
    requests: int
    failed: int
    refused: int
    prompt_tokens: int
    completion_tokens: int

    @property
    def calls(self) -> int:
        return self.requests + self.refused


@dataclass(frozen=True, slots=True)
class Line:
    """The totals of one group. `key_alias` is told where keys are a group."""

    group: dict[str, Any]
    totals: Totals
    key_alias: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Which calls count: those with all these tags, of this key, for this model.

    An alias may have been that of several keys, one after the other; an id is that of one.
    """

    covered: Range
    tags: tuple[str, ...] = ()
    key_alias: str | None = None
    key_id: UUID | None = None
    model: str | None = None


def report(scope: Scope, groups: Sequence[str]) -> list[Line]:
    """A line for each group that has calls, by day first, then the most expensive first.

    Calls without a tag have the tag None. Raises TooManyLines.
    """
    columns = [COLUMNS[group] for group in groups]
    source = TAGGED if "tag" in groups else "sums"
    alias = "max(key_alias)" if "key" in groups else "null"
    days = "day, " if "day" in groups else ""
    sums = BY_DAY if days else WHOLE
    query = f"""{sums} select {", ".join(columns)}, {alias}, {TOTALS} from {source}
                group by {", ".join(columns)}
                order by {days}sum(cost) desc, {", ".join(columns)} limit {ROWS_MAX + 1}"""
    rows = _rows(query, scope)
    if len(rows) > ROWS_MAX:
        raise TooManyLines
    count = len(groups)
    return [
        Line(dict(zip(groups, row[:count], strict=True)), _totals(row[count + 1 :]), row[count])
        for row in rows
    ]


def total(scope: Scope) -> Totals:
    """Each call once, however many tags it has."""
    (row,) = _rows(f"{WHOLE} select {TOTALS} from sums", scope)
    return _totals(row)


def total_of_any(covered: Range, names: Sequence[str] | None) -> Totals:
    """Calls with at least one of these tags, or with any tag at all; each once."""
    sets = TagSet.objects.exclude(tags=[])
    if names is not None:
        sets = sets.filter(tags__overlap=list(names))
    query = f"{WHOLE} select {TOTALS} from sums"
    (row,) = _rows(query, Scope(covered=covered), sets=list(sets.values_list("id", flat=True)))
    return _totals(row)


def all_tag_names() -> list[str]:
    """Every tag that a call has carried."""
    with connection.cursor() as cursor:
        cursor.execute("select distinct unnest(tags) as name from spend_tagset order by name")
        return [name for (name,) in cursor.fetchall()]


def _rows(query: str, scope: Scope, *, sets: Sequence[int] | None = None) -> list[tuple[Any, ...]]:
    if scope.tags:
        holding = TagSet.objects.filter(tags__contains=list(scope.tags))
        sets = list(holding.values_list("id", flat=True))
    parameters = {
        "zone": settings.REPORT_TIME_ZONE,
        **pieces_of(scope.covered),
        "sets": None if sets is None else list(sets),
        "key_alias": scope.key_alias,
        "key_id": scope.key_id,
        "model": scope.model,
    }
    with connection.cursor() as cursor:
        cursor.execute(query, parameters)
        return list(cursor.fetchall())


def _totals(numbers: Sequence[Any]) -> Totals:
    cost, requests, failed, refused, prompt_tokens, completion_tokens = map(int, numbers)
    return Totals(Nanos(cost), requests, failed, refused, prompt_tokens, completion_tokens)
