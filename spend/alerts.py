"""Alerts: raise_alerts, raise_forecasts: what has been crossed, found from the windows' rows.

Each is told once per window and threshold: a unique row stands for it, whoever inserts it, so any
number of beats raises one. What is a day old is still looked at, for a beat may have stood still,
and a call is as old as its beginning.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

import orjson
from django.db import connection, transaction
from django.db.models.functions import Now

from spend.buckets import Payers
from spend.channels import channels
from spend.ids import floor_id, new_row_id
from spend.models import Alert, AlertDelivery, AlertKind, Budget, BudgetWindow
from spend.money import to_dollars
from spend.outlooks import course_of, read_first_calls, read_outlooks
from spend.payers import payers_of, with_payers
from spend.plain_json import plain
from spend.rollover import database_now
from spend.standings import read_standings

ROWS_MAX = 500
AGO_MAX = timedelta(days=1)

CROSSED = """
select w.id, crossed.kind, crossed.threshold
  from spend_budgetwindow w join spend_budget b on b.id = w.budget_id
 cross join lateral (
       select 'budget.threshold' as kind, t as threshold from unnest(b.alert_thresholds) as t
        where w."limit" > 0 and w.spent::numeric * 100 >= t * w."limit"::numeric
       union all
       select 'budget.soft', 0 where b.soft_limit > 0 and w.spent >= b.soft_limit
       union all
       select 'budget.exceeded', 0 where w."limit" > 0 and (w.spent >= w."limit" or exists (
              select 1 from spend_spendlog l
               where l.status = 'refused' and l.error->>'budget' = b.public_id
                 and l.id >= %(low)s and l.at >= w.starts_at and (w.is_open or l.at < w.ends_at)))
 ) crossed
 where (w.is_open or w.ends_at > %(ended_after)s) and w.spent + w.reserved > 0
   and not exists (select 1 from spend_alert a where a.window_id = w.id and a.kind = crossed.kind
                                                 and a.threshold = crossed.threshold)
 order by w.id, crossed.threshold limit %(rows_max)s
"""
# Of a refused secret the first call of each hour; what has been told is left out.
CALLS = """
with found as (
  select 'call.overrun' as kind, id::text as subject, id, model, deployment_id
    from spend_spendlog where id >= %(low)s and flags <> '{}' and flags @> array['overrun']
  union all
  select distinct on (subject) 'upstream.auth_error', subject, id, model, deployment_id
    from (select coalesce(deployment_id::text, model) || ' '
                 || to_char(at at time zone 'UTC', 'YYYY-MM-DD HH24') as subject, *
            from spend_spendlog
           where status = 'failure' and error->>'type' = 'upstream_auth_error'
             and id >= %(low)s) l
   order by subject, id
)
select * from found
 where not exists (select 1 from spend_alert a where a.window_id is null and a.kind = found.kind
                                                 and a.subject = left(found.subject, 128))
 order by id limit %(rows_max)s
"""
INSERT = """
insert into spend_alert (id, kind, window_id, threshold, subject, facts)
values (%s, %s, %s, %s, %s, %s) on conflict do nothing returning id
"""


def raise_alerts() -> int:
    """How many are new."""
    now = database_now()
    return _raise_crossed(now) + _raise_calls(now)


def raise_forecasts() -> int:
    """Of limited windows that are not over yet and whose pace leads above the limit."""
    now = database_now()
    told = Alert.objects.filter(kind=AlertKind.FORECAST).values("window_id")
    windows = (
        BudgetWindow.objects.open()
        .filter(limit__gt=0, ends_at__gt=now)
        .exclude(pk__in=told)
        .select_related("budget")
    )
    found = {window.budget_id: window for window in windows}
    budgets = with_payers(_budgets(found))
    listed = list(budgets)
    payers = [_payers(payers_of(budget)) for budget in listed]
    standings = read_standings(listed, now)
    first_calls = read_first_calls(payers)
    courses = [
        course_of(standings[budget.pk], first)
        for budget, first in zip(listed, first_calls, strict=True)
    ]
    outlooks = read_outlooks(list(zip(payers, courses, strict=True)), now)
    raised = 0
    for budget, outlook in zip(listed, outlooks, strict=True):
        forecast, window = outlook.forecast, found[budget.pk]
        if forecast is None or not forecast.exceeds(standings[budget.pk].limit):
            continue
        facts = _facts(window, payers_of(budget), now) | {"threshold": 100}
        facts["forecast"] = to_dollars(forecast.middle)
        raised += raise_one(AlertKind.FORECAST, facts, window=window.pk, threshold=100)
    return raised


@transaction.atomic
def raise_one(
    kind: str,
    facts: Mapping[str, Any],
    *,
    window: int | None = None,
    threshold: int = 0,
    subject: str = "",
    due_in: timedelta = timedelta(),
) -> bool:
    """With a delivery for each channel, or nothing at all; whether it is new."""
    row: list[Any] = [
        new_row_id(),
        kind,
        window,
        threshold,
        subject[:128],
        orjson.dumps(plain(facts)).decode(),
    ]
    with connection.cursor() as cursor:
        cursor.execute(INSERT, row)
        inserted = cursor.fetchone()
    if inserted is None:
        return False
    AlertDelivery.objects.bulk_create(
        AlertDelivery(alert_id=inserted[0], channel=channel.name, next_at=Now() + due_in)
        for channel in channels()
    )
    return True


def _raise_crossed(now: datetime) -> int:
    since = now - AGO_MAX
    given = {"ended_after": since, "low": floor_id(since), "rows_max": ROWS_MAX}
    rows = _rows(CROSSED, given)
    windows = {
        window.pk: window
        for window in BudgetWindow.objects.filter(pk__in={pk for pk, _, _ in rows})
    }
    budgets = {
        budget.pk: budget
        for budget in with_payers(_budgets({window.budget_id for window in windows.values()}))
    }
    raised = 0
    for pk, kind, threshold in rows:
        window = windows[pk]
        window.budget = budgets[window.budget_id]
        facts = _facts(window, payers_of(window.budget), now)
        if kind == AlertKind.THRESHOLD:
            facts["threshold"] = threshold
        raised += raise_one(kind, facts, window=pk, threshold=threshold)
    return raised


def _raise_calls(now: datetime) -> int:
    rows = _rows(CALLS, {"low": floor_id(now - AGO_MAX), "rows_max": ROWS_MAX})
    raised = 0
    for kind, subject, call_id, model, deployment_id in rows:
        facts = {
            "request_id": str(call_id),
            "model": model,
            "model_id": deployment_id and str(deployment_id),
            "at": now,
        }
        raised += raise_one(kind, facts, subject=subject)
    return raised


def _facts(window: BudgetWindow, payers: list[Any], now: datetime) -> dict[str, Any]:
    """As the wire has them: dollars, and whom it is about; of a pot nobody alone."""
    budget = window.budget
    owner = None if budget.is_pot or not payers else payers[0]
    tag = getattr(owner, "name", None)
    return {
        "tag": tag,
        "key_alias": None if owner is None or tag is not None else str(owner),
        "budget_id": budget.public_id,
        "spent": to_dollars(window.spent),
        "reserved": to_dollars(window.reserved),
        "limit": None if window.limit is None else to_dollars(window.limit),
        "resets_at": window.ends_at,
        "at": now,
    }


def _payers(rows: list[Any]) -> Payers:
    return Payers(
        tags=tuple(sorted(row.name for row in rows if hasattr(row, "name"))),
        key_ids=tuple(sorted(row.pk for row in rows if not hasattr(row, "name"))),
    )


def _budgets(keys: Iterable[int]) -> Any:
    return Budget.objects.filter(pk__in=list(keys))


def _rows(query: str, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, parameters)
        return list(cursor.fetchall())
