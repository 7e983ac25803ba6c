"""A long log: what a page of it costs, in blocks that the database reads. Slow; run with -m slow.

Blocks are counted instead of time, as they are the same on every machine. A page of a million rows
takes as many as one of a thousand; what has to look at each row of its time would take 60,000.
"""

import json
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from spend.ids import floor_id
from spend.log_question import parse_question
from spend.log_sheets import ROWS, read_log_sheet
from spend.past_calls import intern_tags
from spend.rollover import database_now

pytestmark = [pytest.mark.slow, pytest.mark.django_db, pytest.mark.timeout(600)]

CALLS = 1_000_000
SPAN = timedelta(days=89)
SETS, KEYS, MODELS = 1_500, 100, 7
MANY_SETS = 20_000

# One call every few seconds; ids as spend/ids.py writes them, with the call's number as its chance.
CALLS_MADE = f"""
insert into spend_spendlog
  (id, at, ended_at, status, http_status, endpoint, stream, client_disconnected, key_id, key_alias,
   tag_set_id, model, prompt_tokens, completion_tokens, usage, usage_source, cost, windows, holds,
   flags)
select (left(hex, 8) || '-' || right(hex, 4) || '-7000-8000-' || lpad(to_hex(n), 10, '0')
         || '00')::uuid,
       at, at, 'success', 200, 'chat/completions', false, false,
       ('00000000-0000-7000-8000-' || lpad(to_hex(n %% {KEYS}), 12, '0'))::uuid,
       'key-' || n %% {KEYS}, %s::bigint + n %% {SETS}, 'model-' || n %% {MODELS},
       100, 10, '{{}}', 'upstream', 1, '{{}}', '{{}}', '{{}}'
  from (select n, at, lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') as hex
          from (select n, %s::timestamptz - n * %s::interval as at
                  from generate_series(1, {CALLS}) n) made) named
"""


@pytest.fixture
def now():
    """Of a database with a long log. One call in a million is tagged `rare`."""
    moment = database_now()
    first = min(intern_tags([f"t{n % 500}", f"env{n % 3}", f"n{n}"]) for n in range(SETS))
    with connection.cursor() as cursor:
        cursor.execute(CALLS_MADE, [first, moment, SPAN / CALLS])
        cursor.execute(
            "select spend_intern_tags(array['many', 'm' || n]) from generate_series(1, %s) n",
            [MANY_SETS],
        )
        for table in ("spend_spendlog", "spend_tagset"):
            cursor.execute(f"analyze {table}")
    return moment


def read(search, now, **cursor):
    """The page, and the blocks that it took."""
    question = parse_question(search, span="90d")
    with CaptureQueriesContext(connection) as sent:
        sheet = read_log_sheet(question, now=now, **cursor)
    asked = [query["sql"] for query in sent if "spend_" in query["sql"]]
    return sheet, sum(map(blocks_of, asked))


def blocks_of(sql):
    with connection.cursor() as cursor:
        cursor.execute(f"explain (analyze, buffers, format json) {sql}")
        (found,) = cursor.fetchone()
    plan = (json.loads(found) if isinstance(found, str) else found)[0]["Plan"]
    return plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]


def test_a_page_of_a_long_log_costs_what_a_page_of_a_short_one_does(now):
    found = {
        search: read(search, now)
        for search in ("", "tag:t7", "tag:env1", "tag:t7 tag:env1", "key:key-5", "model:model-3")
    }
    far = floor_id(now - timedelta(days=80))
    found["a page far back"] = read("", now, before=far)
    found["a tag far back"] = read("tag:t7", now, before=far)

    assert {search: len(sheet.rows) for search, (sheet, _) in found.items()} == dict.fromkeys(
        found, ROWS
    )
    dear = {search: blocks for search, (_, blocks) in found.items() if blocks > 6_000}
    assert dear == {}


def test_what_is_not_there_is_found_out_by_index(now):
    found = {search: read(search, now) for search in ("tag:nobody", "key:nobody", "id:nothing")}

    assert [sheet.rows for sheet, _ in found.values()] == [[], [], []]
    assert {search: blocks for search, (_, blocks) in found.items() if blocks > 20 * KEYS} == {}


def test_twenty_thousand_tag_sets_take_a_probe_each(now):
    sheet, blocks = read("tag:many", now)

    assert sheet.rows == []
    assert blocks < 4 * 3 * 4 * MANY_SETS  # steps, partitions, and an index's height
