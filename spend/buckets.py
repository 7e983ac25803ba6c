"""Buckets: what calls came to hour by hour or day by day, of many payers at once; from roll-ups."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from django.conf import settings
from django.db import connection

from spend.money import Nanos
from spend.windows import midnight, open_zone

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
HOURS_KEPT = timedelta(days=60)  # older calls are known by the day only
LONGEST = {"hour": HOUR, "day": timedelta(hours=25)}  # a day on which clocks are set back

Grain = Literal["hour", "day"]

# A set that holds several of the asked tags is one set: each call counts once.
BY_TAG = """
with asked as (
  select * from unnest(%(n)s::int[], %(grains)s::text[], %(starts)s::timestamptz[],
                       %(ends)s::timestamptz[]) as asked(n, grain, starts_at, ends_at)
), sets as materialized (
  select distinct named.n, s.id
    from unnest(%(tag_n)s::int[], %(names)s::text[]) as named(n, name)
    join spend_tagset s on s.tags @> array[named.name]
), counted as (
  select asked.n, r.starts_at, r.cost, r.requests, r.refused
    from asked join sets using (n)
    join spend_rollup r on r.tag_set_id = sets.id and r.span = asked.grain
     and r.starts_at > asked.starts_at and r.starts_at < asked.ends_at
"""
BY_KEY = """
  union all
  select asked.n, r.starts_at, r.cost, r.requests, r.refused
    from asked join unnest(%(key_n)s::int[], %(key_ids)s::uuid[]) as keyed(n, key_id) using (n)
    join spend_rollup r on r.key_id = keyed.key_id and r.span = asked.grain
     and r.starts_at > asked.starts_at and r.starts_at < asked.ends_at
   where not exists (select 1 from sets where sets.n = asked.n and sets.id = r.tag_set_id)
"""
SUMS = """
)
select n, starts_at, sum(cost), sum(requests), sum(refused) from counted
 group by n, starts_at order by n, starts_at
"""


@dataclass(frozen=True, slots=True)
class Payers:
    """Whose calls are meant: those with any of these tags, or of any of these keys; each once."""

    tags: tuple[str, ...] = ()
    key_ids: tuple[UUID, ...] = ()


@dataclass(frozen=True, slots=True)
class Question:
    """Which buckets are asked for: all that touch [starts_at, ends_at)."""

    payers: Payers
    grain: Grain
    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class Bucket:
    """Half-open [starts_at, ends_at); the last one ends where the question does, which is now."""

    starts_at: datetime
    ends_at: datetime
    spent: Nanos
    requests: int = field(default=0)  # all calls but refused ones
    refused: int = field(default=0)


def spent_between(buckets: Iterable[Bucket], starts_at: datetime, ends_at: datetime) -> Nanos:
    """What lies in that time; a bucket that is cut counts by the share of its time, downward."""
    total = 0
    for bucket in buckets:
        inside = min(bucket.ends_at, ends_at) - max(bucket.starts_at, starts_at)
        if inside > timedelta():
            whole = bucket.ends_at - bucket.starts_at
            total += bucket.spent * microseconds(inside) // microseconds(whole)
    return Nanos(total)


def microseconds(length: timedelta) -> int:
    return length // timedelta(microseconds=1)


def read_buckets(questions: Sequence[Question]) -> list[list[Bucket]]:
    """An answer for each question, the oldest bucket first; empty ones are left out. One query."""
    found: list[list[Bucket]] = [[] for _ in questions]
    if not questions:
        return found
    by_key = BY_KEY if any(question.payers.key_ids for question in questions) else ""
    with connection.cursor() as cursor:
        cursor.execute(f"{BY_TAG}{by_key}{SUMS}", _parameters(questions))
        for n, starts_at, cost, requests, refused in cursor.fetchall():
            ends_at = min(_end(starts_at, questions[n].grain), questions[n].ends_at)
            found[n].append(
                Bucket(starts_at, ends_at, Nanos(int(cost)), int(requests), int(refused))
            )
    return found


def first_midnight(at: datetime) -> datetime:
    """When the reports' next day begins."""
    zone = settings.REPORT_TIME_ZONE
    return midnight(at.astimezone(open_zone(zone)).date() + DAY, zone)


def _end(starts_at: datetime, grain: Grain) -> datetime:
    if grain == "hour":
        return starts_at + HOUR
    return first_midnight(starts_at)


def _parameters(questions: Sequence[Question]) -> dict[str, Any]:
    tags = [(n, name) for n, asked in enumerate(questions) for name in asked.payers.tags]
    keys = [(n, key_id) for n, asked in enumerate(questions) for key_id in asked.payers.key_ids]
    return {
        "n": list(range(len(questions))),
        "grains": [asked.grain for asked in questions],
        "starts": [asked.starts_at - LONGEST[asked.grain] for asked in questions],
        "ends": [asked.ends_at for asked in questions],
        "tag_n": [n for n, _ in tags],
        "names": [name for _, name in tags],
        "key_n": [n for n, _ in keys],
        "key_ids": [key_id for _, key_id in keys],
    }
