"""Log sheets: pages of the log for reading, newest first, by keyset, back and forth.

No query counts and none has an offset; the first page and the last cost the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import connection
from django.db.models import QuerySet

from spend.ids import call_of, floor_id
from spend.log_filters import LogSearch
from spend.log_question import RANGES, LogQuestion, parse_id
from spend.log_reader import Bounds, read_rows, seconds_max
from spend.models import SpendLog

ROWS = 50
SECONDS_MAX = 5
AHEAD = timedelta(minutes=1)  # clocks differ a little
LAST_BYTE = 0xFF

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


def read_log_sheet(
    question: LogQuestion,
    *,
    now: datetime,
    before: UUID | None = None,
    after: UUID | None = None,
) -> LogSheet:
    """The rows next to a row's id, or the newest ones. Raises SearchTooSlow after SECONDS_MAX."""
    bounds = _bounds(question, now, before, after)
    with seconds_max(SECONDS_MAX):
        found = read_rows(_search(question, bounds), bounds, rows_max=ROWS + 1)
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


def _search(question: LogQuestion, bounds: Bounds) -> LogSearch:
    """The bounds stand for the time, and for an id of ours with its corrections."""
    return LogSearch(
        tags=question.tags,
        key_ids=keys_named(question.key, bounds),
        model=question.model,
        request_id=None if question.call_id else question.id,
        status=question.status,
        is_ascending=bounds.ascending,
    )


def _bounds(
    question: LogQuestion, now: datetime, before: UUID | None, after: UUID | None
) -> Bounds:
    span = RANGES["90d"] if question.id else question.span  # an id is looked for wherever it is
    low, high = floor_id(now - span), floor_id(now + AHEAD)
    if question.call_id is not None:
        call = call_of(question.call_id)
        low, high = call, UUID(int=(call.int | LAST_BYTE) + 1)
    if after is not None:
        return Bounds(max(low, UUID(int=min(after.int + 1, high.int))), high, ascending=True)
    return Bounds(low, high if before is None else min(high, before))


def keys_named(key: str | None, bounds: Bounds) -> tuple[UUID, ...] | None:
    """The keys whose last call within the bounds had this alias; None when no key is asked for."""
    if key is None:
        return None
    if own := parse_id(key):
        return (own,)
    within = [bounds.low, bounds.high]
    with connection.cursor() as cursor:
        cursor.execute(KEYS_NAMED, [*within, *within, key, *within])
        return tuple(row[0] for row in cursor.fetchall())
