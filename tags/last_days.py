"""Last days: what tags cost on each of the last 30 days, for sparklines; one statement."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection

from spend.windows import midnight, open_zone

DAYS = 30
DAY = timedelta(days=1)

LAST_DAYS = """
select asked.name, r.starts_at, sum(r.cost)
  from unnest(%(names)s::text[]) as asked(name)
  join spend_tagset s on s.tags @> array[asked.name]
  join spend_rollup r on r.tag_set_id = s.id and r.span = 'day' and r.starts_at >= %(since)s
 group by asked.name, r.starts_at
"""


def read_days(names: Sequence[str], now: datetime) -> dict[str, list[int]]:
    """What each cost on each of the last 30 days, the oldest first, today last."""
    zone = open_zone(settings.REPORT_TIME_ZONE)
    since = first_day(now)
    first = since.astimezone(zone).date()
    days = {name: [0] * DAYS for name in names}
    with connection.cursor() as cursor:
        cursor.execute(LAST_DAYS, {"names": list(names), "since": since})
        for name, starts_at, cost in cursor.fetchall():
            place = (starts_at.astimezone(zone).date() - first).days
            if 0 <= place < DAYS:
                days[name][place] += int(cost)
    return days


def first_day(now: datetime) -> datetime:
    """The midnight from which the last 30 days count."""
    zone = settings.REPORT_TIME_ZONE
    today = now.astimezone(open_zone(zone)).date()
    return midnight(today - (DAYS - 1) * DAY, zone)
