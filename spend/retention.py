"""Retention: whole months of the log that are old and reconciled leave it, and leave their sums.

A month is detached and its sums are kept in one transaction; its table is dropped in another. With
a default partition PostgreSQL cannot detach concurrently, so the lock on the log is waited for only
very briefly, and asked for again: calls queue up behind a lock that is waited for.
"""

import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import OperationalError, connection, transaction

from spend.audit import record_change
from spend.ids import floor_id
from spend.invariants import SPAN_SUMS, SPANS
from spend.models import Closing
from spend.reconcile import EVER, reconcile
from spend.rollover import database_now

LOCK_WAIT = "100ms"
TRIES = 20
PAUSE_SECONDS = 0.5
NAME = re.compile(r"spend_spendlog_y(\d{4})m(\d{2})")

ATTACHED = """
    select relname from pg_inherits join pg_class on pg_class.oid = inhrelid
     where inhparent = 'spend_spendlog'::regclass order by relname"""
KEEP_ROWS = """
    insert into spend_closing (partition, low_id, high_id, rows, cost)
    select %s, %s, %s, count(*), coalesce(sum(cost), 0) from {month} returning id, rows, cost"""
KEEP_WINDOWS = """
    insert into spend_closedwindow (closing_id, window_id, cost, top, late)
    select %s, w, sum(cost), max(h), sum(greatest(cost - h, 0))
      from {month}, unnest(windows, holds) u(w, h) group by w"""
KEEP_SPANS = f"""
    insert into spend_closedspan
      (closing_id, span, starts_at, cost, requests, failed, refused, estimated, prompt_tokens,
       completion_tokens, cached_tokens, cache_write_tokens)
    select %(closing)s, s.span, s.starts_at, {SPAN_SUMS}
      from {{month}} l, {SPANS} group by s.span, s.starts_at"""


class BooksDiffer(Exception):
    """Nothing is dropped while the books and their rows do not agree."""


class LogInUse(Exception):
    """The log was read for long; nothing was detached, and the next run tries again."""


@dataclass(frozen=True, slots=True)
class Month:
    """A partition of the log, by its name."""

    partition: str
    starts_at: datetime
    ends_at: datetime

    @property
    def id_bounds(self) -> tuple[UUID, UUID]:
        return floor_id(self.starts_at), floor_id(self.ends_at)


def retain_log(keep_months: int, *, is_dry: bool = False, actor: str = "retention") -> list[str]:
    """Drop the months that ended at least `keep_months` months ago; their partitions' names.

    Zero keeps the log for ever. Raises BooksDiffer, LogInUse.
    """
    if not is_dry:
        drop_detached()
    months = due_months(keep_months) if keep_months else []
    if is_dry or not months:
        return [month.partition for month in months]
    found = reconcile(since=EVER)
    if not found.is_ok:
        raise BooksDiffer(found.verdict)
    for month in months:
        close_when_quiet(month, actor)
        drop_detached()
    return [month.partition for month in months]


def due_months(keep_months: int) -> list[Month]:
    """The oldest first. The month that goes on is none of those that are kept."""
    now = database_now().astimezone(UTC)
    edge = month_start(now.year * 12 + now.month - 1 - keep_months)
    with connection.cursor() as cursor:
        cursor.execute(ATTACHED)
        names = [NAME.fullmatch(name) for (name,) in cursor.fetchall()]
    months = [as_month(name) for name in names if name]
    return [month for month in months if month.ends_at <= edge]


def as_month(name: re.Match[str]) -> Month:
    number = int(name[1]) * 12 + int(name[2]) - 1
    return Month(name[0], month_start(number), month_start(number + 1))


def month_start(number: int) -> datetime:
    """Of the month with that number, counted from the year 0."""
    return datetime(number // 12, number % 12 + 1, 1, tzinfo=UTC)


def close_when_quiet(month: Month, actor: str) -> None:
    for _ in range(TRIES):
        try:
            close_month(month, actor)
        except OperationalError as error:
            if getattr(error.__cause__, "sqlstate", None) != "55P03":  # lock_not_available
                raise
        else:
            return
        time.sleep(PAUSE_SECONDS)
    raise LogInUse(f"{month.partition} could not be detached: the log is being read")


@transaction.atomic
def close_month(month: Month, actor: str) -> None:
    """Keep the sums and detach. Until then only a correction of a call that old would wait."""
    with connection.cursor() as cursor:
        cursor.execute(f"set local lock_timeout = '{LOCK_WAIT}'")
        cursor.execute(f"lock table {month.partition} in share mode")
        cursor.execute(KEEP_ROWS.format(month=month.partition), [month.partition, *month.id_bounds])
        closing, rows, cost = cursor.fetchone()
        cursor.execute(KEEP_WINDOWS.format(month=month.partition), [closing])
        values: dict[str, Any] = {"closing": closing, "day_zone": settings.REPORT_TIME_ZONE}
        cursor.execute(KEEP_SPANS.format(month=month.partition), values)
        record_change(actor, "drop", "log", month.partition, before={"rows": rows, "cost": cost})
        cursor.execute(f"alter table spend_spendlog detach partition {month.partition}")


def drop_detached() -> None:
    """Also what a run that was killed has left. Nobody reads it any more."""
    for closing in Closing.objects.filter(dropped_at=None).order_by("id"):
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(ATTACHED)
            if closing.partition not in {name for (name,) in cursor.fetchall()}:
                cursor.execute(f"drop table if exists {closing.partition}")
            closing.dropped_at = database_now()
            closing.save(update_fields=["dropped_at"])
