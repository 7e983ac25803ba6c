"""Roster SQL: every tag with how it stands, in one statement; which of them, in which order.

A tag shows the budget with the highest share used, then the one that resets sooner, and of equals
its own. Its forecast is the pace of spend/forecast.py, whose sums these are. Tags that calls have
carried in the last 30 days and nobody has made stand behind them.

A window that has ended and that nobody has opened anew counts as nothing spent; its reset is not
known here, so by reset it stands last until it is opened, which is a matter of minutes.
"""

from spend.pieces import in_range

# What calls came to under each name: in the range, and when it was first seen in the last days.
TRAFFIC = f"""
by_set as materialized (
  select r.tag_set_id, sum(r.cost) as cost, sum(r.requests) as requests
    from spend_rollup r where {in_range()} group by r.tag_set_id
), seen as materialized (
  select tag_set_id, min(starts_at) as first_day, max(starts_at) as last_day
    from spend_rollup where span = 'day' and starts_at >= %(seen_from)s group by tag_set_id
), traffic as materialized (
  select tag.name, coalesce(sum(cost), 0)::bigint as cost,
         coalesce(sum(requests), 0)::bigint as requests,
         min(first_day) as first_day, max(last_day) as last_day
    from by_set full join seen using (tag_set_id) join spend_tagset s on s.id = tag_set_id
         cross join unnest(s.tags) as tag(name)
   group by tag.name
)"""

# Every budget that a tag draws on; of them the one that is shown, and what is true of any.
ACCOUNTS = """
drawn as (
  select id as tag_id, budget_id, -1 as place from tags_tag
  union all
  select tag_id, budget_id, position from tags_tagdraw
), accounts as (
  select drawn.tag_id, drawn.place, b.id as budget_id, b.is_pot, b.soft_limit, w.starts_at,
         case when is_live then w."limit" else b."limit" end as "limit",
         case when is_live then w.spent else 0 end as spent,
         case when is_live then w.reserved else 0 end as reserved,
         case when is_live then w.ends_at end as ends_at
    from drawn
    join spend_budget b on b.id = drawn.budget_id
    left join spend_budgetwindow w on w.budget_id = b.id and w.is_open
   cross join lateral (
     select w.id is not null and (w.ends_at is null or w.ends_at > %(now)s) as is_live) as alive
), shares as (
  select *, case when "limit" = 0 then 1000000000000
                 else round(spent::numeric / "limit", 12) end as share
    from accounts
), shown as materialized (
  select distinct on (tag_id) *,
         count(*) over its as budgets,
         bool_or(coalesce(spent + reserved >= "limit", false)) over its as is_over,
         bool_or(case when soft_limit is not null then spent >= soft_limit
                      else coalesce(share >= 0.8, false) end) over its as is_at_risk,
         bool_or("limit" is not null) over its as has_limit
    from shares
  window its as (partition by tag_id)
   order by tag_id, "limit" is null, share desc, ends_at nulls last, place
)"""

# The pace of the last week, day, or window; of a young tag since its first call.
PACE = """
lengths as materialized (
  select shown.tag_id, tag.name, shown.ends_at - shown.starts_at as length,
         case when shown.ends_at - shown.starts_at >= interval '7 days' then interval '7 days'
              when shown.ends_at - shown.starts_at >= interval '1 day' then interval '1 day'
              else shown.ends_at - shown.starts_at end as period
    from shown join tags_tag tag on tag.id = shown.tag_id
   where not shown.is_pot and not shown.is_over
     and shown.ends_at - shown.starts_at >= interval '1 hour'
), firsts as materialized (
  select lengths.*,
         case when traffic.first_day < %(now)s - interval '9 days' then traffic.first_day
              else (select min(earliest.starts_at) from spend_tagset s
                     cross join lateral (
                       select starts_at from spend_rollup r
                        where r.tag_set_id = s.id and r.span = 'hour'
                        order by starts_at limit 1) as earliest
                     where s.tags @> array[lengths.name]::text[]) end as first_at
    from lengths join traffic on traffic.name = lengths.name
   where traffic.first_day is not null
), periods as materialized (
  select *, greatest(%(now)s - period, first_at) as since from firsts
   where first_at is not null and %(now)s - first_at >= least(interval '3 days', length / 10)
), sums as materialized (
  select tag_set_id, span, starts_at, sum(cost)::bigint as cost from spend_rollup
   where span = 'day' and starts_at < %(now)s
     and starts_at > %(now)s - interval '8 days 2 hours'
   group by tag_set_id, span, starts_at
   union all
  select tag_set_id, span, starts_at, sum(cost)::bigint from spend_rollup
   where span = 'hour' and starts_at < %(now)s
     and starts_at > %(now)s - interval '26 hours'
     and (select exists (select 1 from periods where period < interval '7 days'))
   group by tag_set_id, span, starts_at
), ends as materialized (
  select span, starts_at,
         least(%(now)s, case when span = 'hour' then starts_at + interval '1 hour'
           else (date_trunc('day', starts_at at time zone %(zone)s) + interval '1 day')
                at time zone %(zone)s end) as ends_at
    from (select distinct span, starts_at from sums) as asked
), counted as materialized (
  select p.tag_id, p.since, p.first_at,
         coalesce(sum(b.cost) filter (where b.starts_at >= p.since), 0) as whole,
         coalesce(sum(b.cost) filter (where b.starts_at < p.since), 0) as cut,
         max(b.starts_at) filter (where b.starts_at < p.since) as cut_from,
         max(b.ends_at) filter (where b.starts_at < p.since) as cut_until
    from periods p
    left join (
      select tag.name, sums.span, sums.starts_at, ends.ends_at, sums.cost
        from sums join ends using (span, starts_at)
        join spend_tagset s on s.id = sums.tag_set_id
       cross join unnest(s.tags) as tag(name)) as b
      on b.name = p.name and b.ends_at > p.since
     and b.span = case when p.period >= interval '7 days' then 'day' else 'hour' end
   group by p.tag_id, p.since, p.first_at
), paced as materialized (
  select tag_id, since, first_at,
         whole + case when cut = 0 then 0 else floor(
           cut * extract(epoch from cut_until - since)
           / extract(epoch from cut_until - cut_from)) end as cost
    from counted
), headed as (
  select shown.*, paced.since, paced.first_at, paced.cost as paced,
         shown.spent + floor(paced.cost * extract(epoch from shown.ends_at - %(now)s)
           / nullif(extract(epoch from %(now)s - paced.since), 0)) as forecast
    from shown left join paced using (tag_id)
)"""

ALL = """
everyone as (
  select tag.id, tag.name, tag.description, tag.blocked, headed.budget_id, headed.is_pot,
         headed.place < 0 as is_own,
         headed.soft_limit, headed."limit", headed.spent, headed.reserved, headed.starts_at,
         headed.ends_at, headed.budgets - 1 as more, headed.share, headed.since, headed.first_at,
         headed.paced, headed.forecast, coalesce(traffic.cost, 0) as cost,
         coalesce(traffic.requests, 0) as requests, traffic.last_day,
         case when tag.blocked then 'BLOCKED' when headed.is_over then 'OVER_BUDGET'
              when headed.is_at_risk then 'AT_RISK'
              when headed.forecast > headed."limit" then 'FORECAST_OVER'
              when headed.has_limit then 'ON_TRACK' else 'TRACKED' end as status
    from tags_tag tag join headed on headed.tag_id = tag.id
    left join traffic on traffic.name = tag.name
   where %(owner_id)s::int is null or exists (
     select 1 from tags_tag_owners o where o.tag_id = tag.id and o.user_id = %(owner_id)s)
  union all
  select null, traffic.name, '', false, null, false, false, null, null, 0, 0, null, null, 0,
         null, null, null, null, null, traffic.cost, traffic.requests, traffic.last_day, 'SEEN'
    from traffic
   where traffic.first_day is not null and %(owner_id)s::int is null
     and not exists (select 1 from tags_tag where tags_tag.name = traffic.name)
), searched as materialized (
  select * from everyone
   where (%(prefix)s::text is null or starts_with(name, %(prefix)s))
     and (%(names)s::text[] is null or name = any(%(names)s))
     and (%(owner)s::text is null or exists (
       select 1 from tags_tag_owners o join auth_user u on u.id = o.user_id
        where o.tag_id = everyone.id and u.username = %(owner)s))
     and (%(text)s = '' or position(%(text)s in lower(name)) > 0
          or position(%(text)s in lower(description)) > 0 or exists (
       select 1 from tags_tag_owners o join auth_user u on u.id = o.user_id
        where o.tag_id = everyone.id and position(%(text)s in lower(u.username)) > 0))
), matched as (
  select *, {rank} as rank from searched where %(status)s::text is null or status = %(status)s
)"""

# Of a tie the name decides. Whatever has no such figure stands behind whatever has one.
RANKS = {
    "used": """case when status = 'SEEN' then 2 when "limit" is null then 1 else -share end""",
    "forecast": """case when "limit" > 0 and forecast is not null
                        then -round(forecast / "limit", 12) else 1 end""",
    "spend": "-cost::numeric",
    "calls": "-requests::numeric",
    "name": "0::numeric",
    "reset": "coalesce(extract(epoch from ends_at), 1000000000000)",
}

PAGE = """
page as (
  select * from matched
   where %(rank)s::numeric is null or case when %(backward)s
         then (rank, name) < (%(rank)s::numeric, %(name)s)
         else (rank, name) > (%(rank)s::numeric, %(name)s) end
   order by case when %(backward)s then -rank else rank end,
            case when %(backward)s then null else name end,
            case when %(backward)s then name end desc
   limit %(limit)s
)
select counts.by_status, counts.prefixes, counts.owners, sums.tags, sums.cost,
       bill.cost, bill.requests, bill.untagged, page.*
  from (select coalesce((select jsonb_object_agg(status, n) from (
                  select status, count(*) as n from searched group by status) as c),
                '{{}}'::jsonb) as by_status,
               (select array_agg(prefix order by prefix) from (
                  select distinct split_part(name, ':', 1) || ':' as prefix from everyone
                   where position(':' in name) > 1 order by 1 limit 100) as p) as prefixes,
               (select array_agg(username order by username) from (
                  select distinct u.username from tags_tag_owners o
                    join auth_user u on u.id = o.user_id order by 1 limit 200) as u) as owners
       ) as counts
 cross join (select count(*) as tags, coalesce(sum(cost), 0) as cost from matched) as sums
 cross join (select coalesce(sum(by_set.cost), 0) as cost,
                    coalesce(sum(by_set.requests), 0) as requests,
                    coalesce(sum(by_set.cost) filter (where s.tags = '{{}}'), 0) as untagged
               from by_set join spend_tagset s on s.id = by_set.tag_set_id) as bill
  left join page on true
 order by page.rank, page.name
"""


def roster_query(sort: str) -> str:
    """The statement that sorts by one of RANKS."""
    parts = (TRAFFIC, ACCOUNTS, PACE, ALL.format(rank=RANKS[sort]), PAGE.format())
    return f"with {','.join(parts)}"
