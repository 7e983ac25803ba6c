"""Past: a year of calls in the books, made by the database itself: log, windows, roll-ups agree."""

from datetime import timedelta

from django.conf import settings
from django.db import connection, transaction

from proxy.actions import create_key
from proxy.demo import make_models
from spend.models import Budget
from spend.past_calls import backdate_budget
from spend.rollover import database_now
from spend.terms import complete_terms
from tags.actions import create_tag
from tags.changes import Changes

YEAR = timedelta(days=365)
KEYS, MODELS, ENVIRONMENTS = 40, 6, 5

# Calls grow thicker towards now; few tags make most of them, each with one key and two models; one
# in fifty has no tag, one in two hundred failed.
CALLS = """
insert into spend_spendlog
  (id, at, ended_at, status, http_status, endpoint, stream, client_disconnected, key_id, key_alias,
   tag_set_id, model, prompt_tokens, completion_tokens, usage, usage_source, cost, windows, holds,
   flags)
select (left(hex, 8) || '-' || substr(hex, 9, 4) || '-7000-8000-' || lpad(to_hex(called.n), 10, '0')
         || '00')::uuid,
       at, at + interval '1 second', case when failed then 'failure' else 'success' end,
       case when failed then 502 else 200 end, 'chat/completions', false, false, k.id, k.alias,
       s.id, 'model-' || (s.n + called.n %% 2) %% {models}, 1000, 200,
       '{{"input": 1000, "output": 200}}',
       case when failed then 'none' else 'upstream' end, case when failed then 0 else amount end,
       case when w.id is null then '{{}}' else array[w.id] end,
       case when w.id is null then '{{}}' else array[amount] end, '{{}}'
  from (select n, at, n %% 200 = 7 as failed, 500000 + (n %% 997) * 1000 as amount,
               lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') as hex
          from (select n, %s::timestamptz - interval '365 days' * power(n::float8 / %s, 1.3) as at
                  from generate_series(1, %s) n) made) called
  join bench_sets s on s.n = case when called.n %% 50 = 3 then 0 else 1 + floor(
         %s * power((hashint4(called.n)::bigint + 2147483648) / 4294967296.0, 3))::int end
  join bench_keys k on k.n = s.n %% {keys}
  left join bench_windows w on w.n = s.n and called.at >= w.starts_at and called.at < w.ends_at
"""
ROLLUPS = """
insert into spend_rollup (span, starts_at, tag_set_id, key_id, model, key_alias, cost, requests,
                          failed, refused, estimated, prompt_tokens, completion_tokens,
                          cached_tokens, cache_write_tokens)
select %s, date_trunc(%s, at, %s), tag_set_id, key_id, model, max(key_alias), sum(cost),
       count(*), count(*) filter (where status = 'failure'), 0, 0, sum(prompt_tokens),
       sum(completion_tokens), 0, 0
  from spend_spendlog where at >= %s group by 2, 3, 4, 5
"""
SPENT = """
update spend_budgetwindow w set spent = found.spent
  from (select u as id, sum(cost) as spent from spend_spendlog, unnest(windows) u group by 1) found
 where found.id = w.id
"""


def make_past(rows: int, tags: int) -> None:
    """`tags` tags with a monthly budget each, `rows` calls with one or two tags."""
    now = database_now()
    terms = complete_terms(
        {"limit": 10**13, "duration": "monthly"}, None, time_zone=settings.BUDGET_TIME_ZONE
    )
    for n in range(1, tags + 1):
        create_tag(name_of(n), Changes(budget=terms), actor="bench")
    for n in range(KEYS):
        plain = complete_terms({}, None, time_zone=settings.BUDGET_TIME_ZONE)
        create_key(Changes({"alias": f"key-{n}"}, plain), actor="bench")
    make_models("http://127.0.0.1:9/v1", now - YEAR)
    with transaction.atomic():
        for budget in Budget.objects.filter(tag__isnull=False):
            backdate_budget(budget, now - timedelta(days=40))
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("select spend_make_partitions(2, %s)", [now - YEAR])
        _name_things(cursor, tags)
        text = CALLS.format(models=MODELS, keys=KEYS)
        cursor.execute(text, [now, rows, rows, tags])
        cursor.execute(SPENT)
        zone = settings.REPORT_TIME_ZONE
        cursor.execute(ROLLUPS, ["day", "day", zone, now - 2 * YEAR])
        cursor.execute(ROLLUPS, ["month", "month", zone, now - 2 * YEAR])
        cursor.execute(ROLLUPS, ["hour", "hour", zone, now - timedelta(days=60)])
    with connection.cursor() as cursor:
        cursor.execute("vacuum analyze")


def name_of(n: int) -> str:
    return f"team:{n:04d}"


def _name_things(cursor: object, tags: int) -> None:
    run = cursor.execute  # type: ignore[attr-defined]
    run(
        """create temp table bench_keys on commit drop as
           select row_number() over (order by alias) - 1 as n, id, alias from proxy_apikey"""
    )
    run("create temp table bench_sets (n int primary key, id bigint) on commit drop")
    run("insert into bench_sets select 0, spend_intern_tags('{}')")
    run(
        """insert into bench_sets select n, spend_intern_tags(case n %% 2
             when 0 then array['team:' || lpad(n::text, 4, '0'), 'env:' || n %% %s]
             else array['team:' || lpad(n::text, 4, '0')] end) from generate_series(1, %s) n""",
        [ENVIRONMENTS, tags],
    )
    run(
        """create temp table bench_windows on commit drop as
           select substr(t.name, 6)::int as n, w.id, w.starts_at, w.ends_at
             from tags_tag t join spend_budgetwindow w on w.budget_id = t.budget_id"""
    )
