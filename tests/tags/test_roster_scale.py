"""The list of 2,000 tags with a year of sums: what its statement looks at. Slow; run with -m slow.

Rows are counted instead of time, as they are the same on every machine.
"""

from importlib import import_module

import pytest
from django.db import connection

from spend.range_choices import choose_range
from spend.rollover import database_now
from tags.pages.page import LOCALLY
from tags.roster import Question, parameters_of, read_roster
from tags.roster_sql import roster_query
from tests.factories import make_tag

pytestmark = [pytest.mark.slow, pytest.mark.django_db, pytest.mark.timeout(600)]

TAGS = 2_000
ROLLUP = """
insert into spend_rollup (span, starts_at, tag_set_id, key_id, model, key_alias, cost, requests,
                          failed, refused, estimated, prompt_tokens, completion_tokens,
                          cached_tokens)
select '{span}', (date_trunc('{span}', now() at time zone 'UTC') - n * interval '1 {span}')
       at time zone 'UTC', s.id, '00000000-0000-7000-8000-000000000001', 'a-model', 'a-key',
       1000000 + (s.id * 7919 + n * 104729) % 5000000, 3, 0, 0, 0, 100, 10, 0
  from spend_tagset s, generate_series(0, {count}) n
 where (s.id + n) % {every} = 0
"""


@pytest.fixture
def many():
    for n in range(TAGS):
        make_tag(f"team:{n:04}", limit="100", duration="monthly")
    with connection.cursor() as cursor:
        cursor.execute(
            "select spend_intern_tags(array['team:' || lpad(n::text, 4, '0'), 'env:' || n % 3])"
            f" from generate_series(0, {TAGS - 1}) n"
        )
        cursor.execute(ROLLUP.format(span="day", count=364, every=1))
        cursor.execute(ROLLUP.format(span="hour", count=24 * 20, every=3))
        cursor.execute(import_module("spend.migrations.0009_earlier_months").MONTHS, ["UTC"])
        for table in ("spend_rollup", "spend_tagset", "spend_budgetwindow", "tags_tag"):
            cursor.execute(f"analyze {table}")
        cursor.execute(LOCALLY, ["60000"])


def steps_of(plan):
    yield plan
    for part in plan.get("Plans", ()):
        yield from steps_of(part)


def test_it_looks_at_the_days_that_it_shows_and_at_few_of_them_twice(many):
    now = database_now()
    covered = choose_range("30d", now, time_zone="UTC").covered
    asked = Question(covered=covered, now=now)
    with connection.cursor() as cursor:
        explain = f"explain (analyze, timing off, format json) {roster_query('used')}"
        cursor.execute(explain, parameters_of(asked))
        ((plan,),) = cursor.fetchone()

    looked = [
        (step["Node Type"], step["Actual Rows"] * step["Actual Loops"])
        for step in steps_of(plan["Plan"])
    ]
    removed = sum(step.get("Rows Removed by Filter", 0) for step in steps_of(plan["Plan"]))
    roster = read_roster(asked)
    assert max(rows for _, rows in looked) <= 31 * TAGS
    assert removed <= TAGS
    assert (roster.tags, len(roster.rows)) == (TAGS + 3, 50)  # with env:0 to env:2
