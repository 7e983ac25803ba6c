"""Recount: the books counted again from their rows; what does not add up, in words.

One snapshot, so it is exact under traffic. Amounts are nano-dollars.
"""

from collections.abc import Iterable
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction

# name -> query; each returns nothing when all is well
QUERIES = {
    "duplicate_row": """
        select id from spend_reservation join spend_spendlog using (id)""",
    "orphan_row": """
        select c.id from spend_spendlog c left join spend_spendlog o on o.id = c.corrects
         where c.corrects is not null and o.id is null""",
    "spent": """
        select b.id, b.spent, coalesce(paid.n, 0) as rows
          from spend_budgetwindow b
          left join (select w, sum(cost) n from spend_spendlog, unnest(windows) w group by w) paid
            on paid.w = b.id
         where b.spent <> coalesce(paid.n, 0)""",
    "reserved": """
        select b.id, b.reserved, coalesce(held.n, 0) as holds
          from spend_budgetwindow b
          left join (select w, sum(h) n from spend_reservation, unnest(windows, holds) u(w, h)
                      group by w) held on held.w = b.id
         where b.reserved <> coalesce(held.n, 0)""",
    "stray_window": """
        select id, w from (select id, unnest(windows) w from spend_spendlog
                           union all select id, unnest(windows) from spend_reservation) t
         where not exists (select 1 from spend_budgetwindow b where b.id = t.w)""",
    "rollup": """
        with logged as (
          select s.span, s.starts_at, l.tag_set_id, l.key_id, l.model, sum(l.cost) cost,
                 count(*) filter (where status in ('success', 'failure', 'estimated')) requests,
                 count(*) filter (where status = 'failure') failed,
                 count(*) filter (where status = 'refused') refused,
                 count(*) filter (where status = 'estimated') estimated,
                 sum(l.prompt_tokens) prompt_tokens, sum(l.completion_tokens) completion_tokens,
                 sum(coalesce((l.usage ->> 'cached_input')::bigint, 0)) cached_tokens
            from spend_spendlog l,
                 lateral (values ('hour', date_trunc('hour', at, 'UTC')),
                                 ('day', date_trunc('day', at, %(day_zone)s))) as s(span, starts_at)
           group by 1, 2, 3, 4, 5),
        amounts as (
          select 'log' as side, l.* from logged l
          union all
          select 'rollup', span, starts_at, tag_set_id, key_id, model, cost, requests, failed,
                 refused, estimated, prompt_tokens, completion_tokens, cached_tokens
            from spend_rollup)
        select min(side), span, starts_at, tag_set_id, key_id, model, cost, requests
          from amounts
         group by span, starts_at, tag_set_id, key_id, model, cost, requests, failed, refused,
                  estimated, prompt_tokens, completion_tokens, cached_tokens
        having count(*) <> 2""",
    "strict_over_limit": """
        select id, spent, reserved, "limit", excess from spend_budgetwindow
         where mode = 'strict' and spent + reserved > "limit" + excess""",
    "standard_over_bound": """
        with done as (select w, max(h) top, sum(greatest(cost - h, 0)) late
                        from spend_spendlog, unnest(windows, holds) u(w, h) group by w),
             open as (select w, max(h) top
                        from spend_reservation, unnest(windows, holds) u(w, h) group by w)
        select b.id, b.spent, b.reserved, b."limit"
          from spend_budgetwindow b left join done on done.w = b.id left join open on open.w = b.id
         where b.mode = 'standard'
           and b.spent + b.reserved - b."limit"
               > greatest(done.top, open.top, 0) + coalesce(done.late, 0) + b.excess""",
    "overlap": """
        select id, starts_at, before
          from (select id, starts_at,
                       lag(coalesce(ends_at, 'infinity')) over (partition by budget_id
                                                                order by starts_at) as before
                  from spend_budgetwindow) t
         where starts_at < before""",
    "overdue_reservation": """
        select id, expires_at from spend_reservation
         where expires_at < clock_timestamp() - interval '30 seconds'""",
    "lost_call": """
        select id from unnest(%(admitted)s::uuid[]) as a(id)
         where not exists (select 1 from spend_reservation r where r.id = a.id)
           and not exists (select 1 from spend_spendlog l where l.id = a.id)""",
}


def recount(*, admitted: Iterable[UUID] = ()) -> list[str]:
    """Nothing when all is well. `admitted` are the calls that somebody was told were admitted."""
    values = {"day_zone": settings.REPORT_TIME_ZONE, "admitted": list(admitted)}
    found = []
    with transaction.atomic(), connection.cursor() as cursor:
        if not connection.savepoint_ids:  # within a test's own transaction the snapshot is its own
            cursor.execute("set transaction isolation level repeatable read, read only")
        for name, query in QUERIES.items():
            cursor.execute(query, values if "%(" in query else None)
            columns = [column.name for column in cursor.description]
            for row in cursor.fetchall():
                pairs = zip(columns, row, strict=True)
                found.append(f"{name}: " + ", ".join(f"{key}={value}" for key, value in pairs))
    return found
