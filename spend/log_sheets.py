"""Log sheets: pages of the log, newest first, by keyset; the first and the last cost the same.

No query counts, none has an offset, each has a range of ids, which is a range of time and of
partitions. Where a filter makes matches rare, the range widens step by step until a page is full.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
from django.db import OperationalError, connection, transaction
from django.db.models import QuerySet

from spend.ids import call_of, floor_id, started_at
from spend.log_question import RANGES, LogQuestion, parse_id
from spend.log_search import SearchTooSlow
from spend.models import SpendLog, TagSet

ROWS = 50
SECONDS_MAX = 5
STEPS = (timedelta(hours=1), timedelta(days=1), timedelta(days=7), timedelta(days=90))
AHEAD = timedelta(minutes=1)  # clocks differ a little
LAST_BYTE = 0xFF

# One short descent of an index per value, where `in (...)` with an order would sort all matches.
PROBE = """
    select l.id
      from unnest(%s::{kind}[]) as d(value)
     cross join lateral (
       select id from spend_spendlog
        where {column} = d.value and id >= %s and id < %s {more}
        order by id {order} limit %s) l
     order by l.id {order} limit %s
"""


# From one key of the log to the next by its index, as keys are few beside calls; and of each the
# alias that its last call had. Sums by day have the alias too, but no index that begins with it.
KEYS_NAMED = """
    with recursive used(key_id) as (
      (select key_id from spend_spendlog where id >= %s and id < %s order by key_id limit 1)
      union all
      select (select l.key_id from spend_spendlog l
               where l.key_id > u.key_id and l.id >= %s and l.id < %s order by l.key_id limit 1)
        from used u where u.key_id is not null)
    select key_id from used u
     where key_id is not null and %s = (
       select l.key_alias from spend_spendlog l
        where l.key_id = u.key_id and l.id >= %s and l.id < %s order by l.id desc limit 1)
"""


@dataclass(frozen=True, slots=True)
class LogSheet:
    """At most ROWS rows, newest first, and whether there are more on either side."""

    rows: Sequence[SpendLog]
    has_newer: bool
    has_older: bool


@dataclass(frozen=True, slots=True)
class _Bounds:
    """Half-open [low, high) of ids; `ascending` reads from the low end."""

    low: UUID
    high: UUID
    ascending: bool = False

    def widening(self) -> Iterator["_Bounds"]:
        """From the end that is read first; the last one is the whole."""
        for step in STEPS:
            part = self._within(step)
            if part == self:
                break
            yield part
        yield self

    def _within(self, step: timedelta) -> "_Bounds":
        if self.ascending:
            return _Bounds(self.low, min(self.high, floor_id(started_at(self.low) + step)), True)
        return _Bounds(max(self.low, floor_id(started_at(self.high) - step)), self.high)


def read_log_sheet(
    question: LogQuestion,
    *,
    now: datetime,
    before: UUID | None = None,
    after: UUID | None = None,
) -> LogSheet:
    """The rows next to a row's id, or the newest ones. Raises SearchTooSlow after SECONDS_MAX."""
    bounds = _bounds(question, now, before, after)
    with _seconds_max():
        found = _read(question, bounds) if bounds.low < bounds.high else []
    has_more = len(found) > ROWS
    rows = found[:ROWS]
    if after is not None:
        return LogSheet(rows[::-1], has_newer=has_more, has_older=True)
    return LogSheet(rows, has_newer=before is not None, has_older=has_more)


def rows_of_call(row_id: UUID) -> QuerySet[SpendLog]:
    """A call's row and its corrections, in their order."""
    call = call_of(row_id)
    last = UUID(int=call.int | LAST_BYTE)
    return SpendLog.objects.filter(id__gte=call, id__lte=last).order_by("id")


def _bounds(
    question: LogQuestion, now: datetime, before: UUID | None, after: UUID | None
) -> _Bounds:
    span = RANGES["90d"] if question.id else question.span  # an id is looked for wherever it is
    low, high = floor_id(now - span), floor_id(now + AHEAD)
    if question.call_id is not None:
        call = call_of(question.call_id)
        low, high = call, UUID(int=(call.int | LAST_BYTE) + 1)
    if after is not None:
        return _Bounds(max(low, UUID(int=min(after.int + 1, high.int))), high, ascending=True)
    return _Bounds(low, high if before is None else min(high, before))


def _read(question: LogQuestion, bounds: _Bounds) -> list[SpendLog]:
    """One row more than a page holds, if there is one."""
    if not question.is_filtered:
        return list(_ordered(SpendLog.objects.all(), bounds))
    sets = _tag_sets(question.tags)
    keys = _key_ids(question.key, bounds)
    if sets == [] or keys == []:
        return []
    found: list[SpendLog] = []
    for part in bounds.widening():
        found = list(_matches(question, part, sets, keys))
        if len(found) > ROWS:
            break
    return found


def _matches(
    question: LogQuestion, bounds: _Bounds, sets: list[int] | None, keys: list[UUID] | None
) -> QuerySet[SpendLog]:
    equal = _equalities(question)
    if sets is None and keys is None:
        return _ordered(SpendLog.objects.filter(**equal), bounds)
    if sets is not None and keys is not None:
        equal["key_id__in"] = keys
    column, values = ("tag_set_id", sets) if sets is not None else ("key_id", keys)
    ids = _probe(column, values or [], equal, bounds)
    return _ordered(SpendLog.objects.filter(id__in=ids), bounds)


def _equalities(question: LogQuestion) -> dict[str, Any]:
    equal: dict[str, Any] = {}
    if question.model is not None:
        equal["model"] = question.model
    if question.status is not None:
        equal["status"] = question.status
    if question.id is not None and question.call_id is None:
        equal["upstream_request_id"] = question.id
    return equal


def _ordered(rows: QuerySet[SpendLog], bounds: _Bounds) -> QuerySet[SpendLog]:
    within = rows.filter(id__gte=bounds.low, id__lt=bounds.high).select_related("tag_set")
    return within.order_by("id" if bounds.ascending else "-id")[: ROWS + 1]


def _probe(
    column: str, values: Sequence[Any], equal: dict[str, Any], bounds: _Bounds
) -> list[UUID]:
    """The ids of the page; column, order and conditions are our own words, values are bound."""
    conditions = {"key_id__in": "and key_id = any(%s)"}
    more = " ".join(conditions.get(name, f"and {name} = %s") for name in equal)
    query = PROBE.format(
        column=column,
        kind="bigint" if column == "tag_set_id" else "uuid",
        order="asc" if bounds.ascending else "desc",
        more=more,
    )
    given = [list(values), bounds.low, bounds.high, *equal.values(), ROWS + 1, ROWS + 1]
    with connection.cursor() as cursor:
        cursor.execute(query, given)
        return [row[0] for row in cursor.fetchall()]


def _tag_sets(tags: Sequence[str]) -> list[int] | None:
    """The sets that hold all these tags; None when no tag is asked for."""
    if not tags:
        return None
    return list(TagSet.objects.filter(tags__contains=list(tags)).values_list("id", flat=True))


def _key_ids(key: str | None, bounds: _Bounds) -> list[UUID] | None:
    """The keys whose last call within the bounds had this alias; None when no key is asked for."""
    if key is None:
        return None
    if own := parse_id(key):
        return [own]
    within = [bounds.low, bounds.high]
    with connection.cursor() as cursor:
        cursor.execute(KEYS_NAMED, [*within, *within, key, *within])
        return [row[0] for row in cursor.fetchall()]


@contextmanager
def _seconds_max() -> Iterator[None]:
    try:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute(f"set local statement_timeout = '{SECONDS_MAX}s'")
            yield
    except OperationalError as error:
        if isinstance(error.__cause__, psycopg.errors.QueryCanceled):
            raise SearchTooSlow from None
        raise
