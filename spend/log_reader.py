"""Log reader: some rows of a search by keyset; what they cost does not grow with the log.

Each query has a range of ids, which is a range of time and of partitions. Where a filter makes
matches rare, the range widens step by step until there are as many rows as were asked for.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
from django.db import OperationalError, connection, transaction
from django.db.models import BooleanField, QuerySet
from django.db.models.expressions import RawSQL

from spend.ids import floor_id, started_at
from spend.log_filters import LogSearch, of_any_tag, tag_sets
from spend.models import SpendLog

STEPS = (timedelta(hours=1), timedelta(days=1), timedelta(days=7), timedelta(days=90))

# One short descent of an index per value, where `in (...)` with an order would sort all matches.
PROBE = """
    select l.id
      from unnest(%s::{kind}[]) as probed(value)
     cross join lateral ({matches}) l
     order by l.id {order} limit %s offset %s
"""
# A transaction around it may have less time already.
SHORTEN = """
with earlier as materialized (select current_setting('statement_timeout') as allowed)
select allowed, set_config('statement_timeout',
         case when allowed = '0' or allowed::interval > %s::interval then %s else allowed end, true)
  from earlier
"""


class SearchTooSlow(Exception):
    """More than can be searched at once; a shorter time, or another filter, would do."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Half-open [low, high) of ids; `ascending` reads from the low end."""

    low: UUID
    high: UUID
    ascending: bool = False

    def widening(self) -> Iterator["Bounds"]:
        """From the end that is read first; the last one is the whole."""
        for step in STEPS:
            part = self._within(step)
            if part == self:
                break
            yield part
        yield self

    @property
    def order(self) -> str:
        return "id" if self.ascending else "-id"

    def _within(self, step: timedelta) -> "Bounds":
        if self.ascending:
            return Bounds(self.low, min(self.high, floor_id(started_at(self.low) + step)), True)
        return Bounds(max(self.low, floor_id(started_at(self.high) - step)), self.high)


def read_rows(search: LogSearch, bounds: Bounds, *, rows_max: int, skip: int = 0) -> list[SpendLog]:
    """The first rows of a search within bounds, with their tag sets; the search's order is the
    bounds'."""
    sets, keys = tag_sets(search), search.keys
    if bounds.low >= bounds.high or sets == [] or keys == []:
        return []
    parts = bounds.widening() if _may_be_rare(search) else [bounds]
    found: list[SpendLog] = []
    for part in parts:
        found = list(_matches(search, part, sets, keys, (skip, skip + rows_max)))
        if len(found) == rows_max:
            break
    return found


@contextmanager
def seconds_max(seconds: int) -> Iterator[None]:
    """Raises SearchTooSlow when a query within takes longer."""
    try:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute(SHORTEN, [f"{seconds}s"] * 2)
                earlier, _ = cursor.fetchone()
            yield
            with connection.cursor() as cursor:  # of a transaction that goes on around this one
                cursor.execute("select set_config('statement_timeout', %s, true)", [earlier])
    except OperationalError as error:
        if isinstance(error.__cause__, psycopg.errors.QueryCanceled):
            raise SearchTooSlow from None
        raise


def _may_be_rare(search: LogSearch) -> bool:
    """An id is found by its index wherever it is."""
    return search.has_filter and search.request_id is None and search.any_id is None


def _matches(
    search: LogSearch,
    bounds: Bounds,
    sets: Sequence[int] | None,
    keys: Sequence[UUID] | None,
    place: tuple[int, int],
) -> QuerySet[SpendLog]:
    first, last = place
    with_tags = SpendLog.objects.select_related("tag_set").order_by(bounds.order)
    if sets is not None:
        ids = _probe("tag_set_id", "bigint", sets, of_any_tag(search), bounds, place)
    elif keys is not None:
        ids = _probe("key_id", "uuid", keys, of_any_tag(search.without_keys()), bounds, place)
    else:
        rows = _within(of_any_tag(search), bounds).select_related("tag_set")
        return rows.order_by(bounds.order)[first:last]
    return _within(with_tags, bounds).filter(id__in=ids)


def _within(rows: QuerySet[SpendLog], bounds: Bounds) -> QuerySet[SpendLog]:
    return rows.filter(id__gte=bounds.low, id__lt=bounds.high)


def _probe(
    column: str,
    kind: str,
    values: Sequence[Any],
    rows: QuerySet[SpendLog],
    bounds: Bounds,
    place: tuple[int, int],
) -> list[UUID]:
    """The ids of the rows; column, kind and order are our own words, values are bound."""
    first, last = place
    probed = RawSQL(f"spend_spendlog.{column} = probed.value", (), output_field=BooleanField())
    found = _within(rows, bounds).filter(probed).order_by(bounds.order).values("id")[:last]
    matches, given = found.query.sql_with_params()
    query = PROBE.format(kind=kind, matches=matches, order="asc" if bounds.ascending else "desc")
    with connection.cursor() as cursor:
        cursor.execute(query, [list(values), *given, last - first, first])
        return [row[0] for row in cursor.fetchall()]
