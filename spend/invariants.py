"""Invariants: what must hold of the books, and the queries that find where it does not.

Each query returns the rows that break it, and nothing when all is well. They are read in one
snapshot (spend/reconcile.py), so they are exact while calls go on. `since_id` and `since` bound
what is read: windows, hours and days that began at `since` or later, and the log from an id that
is old enough for all of their rows.
"""

from dataclasses import dataclass

PROMISES = {
    "spent": "What a window has spent is the sum of its rows, corrections included.",
    "reserved": "What a window has reserved is the sum of what calls in flight hold.",
    "stray_window": "Every row and every hold is on a window that exists.",
    "strict_over_limit": "A strict window never exceeds its limit, but by a lawful excess.",
    "standard_over_bound": "A standard window exceeds its limit by what calls in flight may cost.",
    "overlap": "The windows of one budget do not overlap.",
    "duplicate_row": "A call is in flight or in the log, never both.",
    "orphan_row": "A correction corrects a call that is in the log.",
    "rollup": "The sums by hour, day and month equal the log.",
    "overdue_reservation": "No call in flight outlives its time by more than 30 seconds.",
    "audit_chain": "No entry of the audit was changed, removed or slipped in.",
    "guard_missing": "The triggers and constraints that guard the books are in force.",
}

# A call's id is as old as its call, but for a worker whose clock was wrong when it began.
LATE_ID_DAYS = 2


@dataclass(frozen=True, slots=True)
class Question:
    """`kind` is the invariant that the rows break; a query about several names them in columns."""

    kind: str
    query: str


# One reading of the log answers all that concerns single windows: a row per window that is wrong
# in any way, and says in which. A window that began before `since` is not told from its rows.
WINDOWS = """
    with paid as (
      select w, sum(n) n, max(top) top, sum(late) late
        from (select w, cost n, h top, greatest(cost - h, 0) late
                from spend_spendlog, unnest(windows, holds) u(w, h) where id >= %(since_id)s
              union all
              select window_id, cost, top, late from spend_closedwindow) charges
       group by w),
    held as (
      select w, sum(h) n, max(h) top
        from spend_reservation, unnest(windows, holds) u(w, h) group by w),
    judged as (
      select coalesce(b.id, paid.w, held.w) as window_id, b.budget_id, b.starts_at,
             b.spent, coalesce(paid.n, 0) as paid, b.reserved, coalesce(held.n, 0) as held,
             b."limit", b.excess,
             b.id is null as is_stray,
             b.starts_at >= %(since)s and b.spent <> coalesce(paid.n, 0) as is_spent_off,
             b.reserved <> coalesce(held.n, 0) as is_reserved_off,
             b.mode = 'strict' and b.spent + b.reserved > b."limit" + b.excess as is_over_limit,
             b.starts_at >= %(since)s and b.mode = 'standard'
               and b.spent + b.reserved - b."limit"
                   > greatest(paid.top, held.top, 0) + coalesce(paid.late, 0) + b.excess
               as is_over_bound
        from spend_budgetwindow b
        full join paid on paid.w = b.id
        full join held on held.w = coalesce(b.id, paid.w))
    select j.*, b.public_id as budget,
           count(*) filter (where j.starts_at >= %(since)s) over () as windows_off,
           count(*) filter (where is_stray) over () as stray_window_total,
           count(*) filter (where is_spent_off) over () as spent_total,
           count(*) filter (where is_reserved_off) over () as reserved_total,
           count(*) filter (where is_over_limit) over () as strict_over_limit_total,
           count(*) filter (where is_over_bound) over () as standard_over_bound_total
      from judged j left join spend_budget b on b.id = j.budget_id
     where is_stray or is_spent_off or is_reserved_off or is_over_limit or is_over_bound
     order by window_id"""

OVERLAP = """
    select b.public_id as budget_id, t.starts_at as window_starts_at, t.before as previous_ends_at
      from (select budget_id, starts_at,
                   lag(coalesce(ends_at, 'infinity')) over (partition by budget_id
                                                            order by starts_at) as before
              from spend_budgetwindow) t
      join spend_budget b on b.id = t.budget_id
     where t.starts_at < t.before"""

DUPLICATE_ROW = "select id from spend_reservation join spend_spendlog using (id)"

ORPHAN_ROW = """
    select c.id, c.corrects from spend_spendlog c
      left join spend_spendlog o on o.id = c.corrects
     where c.corrects is not null and c.id >= %(since_id)s and o.id is null
       and not exists (select 1 from spend_closing
                        where c.corrects >= low_id and c.corrects < high_id)"""

# What a row adds to the roll-ups, in the order of their columns; and to which ones it does.
SPAN_SUMS = """sum(l.cost) cost,
             count(*) filter (where status in ('success', 'failure', 'estimated')) requests,
             count(*) filter (where status = 'failure') failed,
             count(*) filter (where status = 'refused') refused,
             count(*) filter (where status = 'estimated') estimated,
             sum(l.prompt_tokens) prompt_tokens, sum(l.completion_tokens) completion_tokens,
             sum(coalesce((l.usage ->> 'cached_input')::bigint, 0)) cached_tokens,
             sum(coalesce((l.usage ->> 'cache_write')::bigint, 0)
                 + coalesce((l.usage ->> 'cache_write_1h')::bigint, 0)) cache_write_tokens"""
SPANS = """lateral (values ('hour', date_trunc('hour', at, 'UTC')),
                             ('day', date_trunc('day', at, %(day_zone)s)),
                             ('month', date_trunc('month', at, %(day_zone)s)))
             as s(span, starts_at)"""
SUMMED = (
    "cost", "requests", "failed", "refused", "estimated", "prompt_tokens", "completion_tokens",
    "cached_tokens", "cache_write_tokens",
)  # fmt: skip


def _columns(alias: str, form: str = "{}") -> str:
    return ", ".join(form.format(f"{alias}.{name}") for name in SUMMED)


# Of an hour, day or month that has lost rows to retention (spend/retention.py) the whole is
# compared: what is left of its rows and what was kept of the others, with all of its roll-ups.
ROLLUP = f"""
    with logged as (
      select s.span, s.starts_at, l.tag_set_id, l.key_id, l.model, {SPAN_SUMS}
        from spend_spendlog l, {SPANS}
       where l.id >= %(since_id)s and s.starts_at >= %(since)s
       group by 1, 2, 3, 4, 5),
    rolled_up as (select * from spend_rollup where starts_at >= %(since)s),
    closed as (select span, starts_at, {", ".join(f"sum(c.{n}) {n}" for n in SUMMED)}
                       from spend_closedspan c where starts_at >= %(since)s group by 1, 2),
    parts as (
      select span, starts_at, {", ".join(SUMMED)} from closed
      union all
      select span, starts_at, {_columns("l")} from logged l join closed using (span, starts_at)),
    wholes as (select span, starts_at, {", ".join(f"sum(p.{n}) {n}" for n in SUMMED)}
                 from parts p group by 1, 2),
    totals as (select span, starts_at, {", ".join(f"sum(r.{n}) {n}" for n in SUMMED)}
                 from rolled_up r join closed using (span, starts_at) group by 1, 2)
    select span, starts_at, tag_set_id, key_id, model, l.cost as logged, r.cost as rolled_up,
           coalesce(l.requests, 0) + coalesce(l.refused, 0) as calls_logged,
           coalesce(r.requests, 0) + coalesce(r.refused, 0) as calls_rolled_up
      from rolled_up r full join logged l using (span, starts_at, tag_set_id, key_id, model)
     where ({_columns("l", "{}::numeric")}) is distinct from ({_columns("r", "{}::numeric")})
       and (span, starts_at) not in (select span, starts_at from closed)
    union all
    select span, starts_at, null, null, null, w.cost, t.cost,
           w.requests + w.refused, coalesce(t.requests, 0) + coalesce(t.refused, 0)
      from wholes w left join totals t using (span, starts_at)
     where ({_columns("w", "{}::numeric")}) is distinct from ({_columns("t", "{}::numeric")})"""

OVERDUE_RESERVATION = """
    select id, expires_at from spend_reservation
     where expires_at < clock_timestamp() - interval '30 seconds'"""

AUDIT_CHAIN = """
    select coalesce(a.id, s.audit_id) as audit_id, s.position
      from (select audit_id, position, digest,
                   row_number() over (order by position) as n,
                   lag(digest, 1, '\\x'::bytea) over (order by position) as before
              from spend_auditseal) s
      full join spend_audit a on a.id = s.audit_id
     where a.id is null or s.audit_id is null or s.position <> s.n
        or s.digest <> spend_audit_digest(a, s.before)"""

GUARD_MISSING = """
    with wanted(relation, guard) as (
      select unnest(array['spend_audit', 'spend_auditseal']), 'audit_is_append_only'
      union all select 'spend_audit', 'seal_audit'
      union all select p.relid::regclass::text, 'log_is_append_only'
                  from pg_partition_tree('spend_spendlog') p
      union all values
        ('spend_budgetwindow', 'strict_ceiling'),
        ('spend_budgetwindow', 'window_money_not_negative'),
        ('spend_budgetwindow', 'window_starts_once'),
        ('spend_reservation', 'reservation_money_in_range'),
        ('spend_reservation', 'reservation_holds_match_windows'),
        ('spend_spendlog', 'log_cost_not_negative'),
        ('spend_spendlog', 'log_unbilled_costs_nothing'),
        ('spend_spendlog', 'log_correction_names_its_call'),
        ('spend_spendlog', 'log_holds_match_windows'))
    select relation, guard from wanted
     where not exists (select 1 from pg_trigger t where t.tgrelid = relation::regclass
                          and t.tgname = guard and t.tgenabled in ('O', 'A'))
       and not exists (select 1 from pg_constraint c where c.conrelid = relation::regclass
                          and c.conname = guard and c.convalidated and c.contype <> 't')"""

QUESTIONS = (
    Question("overlap", OVERLAP),
    Question("duplicate_row", DUPLICATE_ROW),
    Question("orphan_row", ORPHAN_ROW),
    Question("rollup", ROLLUP),
    Question("overdue_reservation", OVERDUE_RESERVATION),
    Question("audit_chain", AUDIT_CHAIN),
    Question("guard_missing", GUARD_MISSING),
)
