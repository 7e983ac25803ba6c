"""Pages of the log by keyset."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from spend.log_question import LogQuestion, parse_question
from spend.log_search import SearchTooSlow
from spend.log_sheets import ROWS, read_log_sheet, rows_of_call
from spend.rollover import database_now
from tests.past import key_id_of, make_past_call

pytestmark = pytest.mark.django_db

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


def ids(sheet):
    return [row.id for row in sheet.rows]


def read(question=None, **cursor):
    return read_log_sheet(question or LogQuestion(), now=database_now(), **cursor)


def test_it_works():
    old, new = make_past_call(ago=2 * MINUTE), make_past_call(ago=MINUTE)

    sheet = read()

    assert ids(sheet) == [new, old]
    assert (sheet.has_newer, sheet.has_older) == (False, False)


def test_it_reads_the_asked_time_only():
    make_past_call(ago=2 * DAY)
    inside = make_past_call(ago=3 * MINUTE)

    assert ids(read()) == [inside]
    assert len(read(parse_question("", span="7d")).rows) == 2


def test_it_goes_back_and_forth_without_loss_or_repeat():
    made = [make_past_call(ago=n * MINUTE) for n in range(2 * ROWS + 7)]

    first = read()
    second = read(before=ids(first)[-1])
    third = read(before=ids(second)[-1])
    back = read(after=ids(third)[0])

    assert ids(first) + ids(second) + ids(third) == made
    assert ids(back) == ids(second)
    assert [s.has_newer for s in (first, second, third, back)] == [False, True, True, True]
    assert [s.has_older for s in (first, second, third, back)] == [True, True, False, True]


def test_it_says_when_nothing_is_newer():
    rows = [make_past_call(ago=n * MINUTE) for n in range(3)]

    sheet = read(after=rows[-1])

    assert ids(sheet) == rows[:-1]
    assert (sheet.has_newer, sheet.has_older) == (False, True)


def test_it_finds_calls_with_all_the_tags():
    both = make_past_call(tags=("a", "b"), ago=3 * MINUTE)
    swapped = make_past_call(tags=("b", "a"), ago=2 * MINUTE)
    make_past_call(tags=("a",), ago=MINUTE)
    make_past_call(tags=("ab",), ago=MINUTE)

    assert ids(read(parse_question("tag:a tag:b"))) == [swapped, both]
    assert ids(read(parse_question("tag:unheard"))) == []


def test_it_finds_calls_of_a_key_by_alias_or_id():
    mine = make_past_call(key_alias="ci")
    make_past_call(key_alias="other")

    assert ids(read(parse_question("key:ci"))) == [mine]
    assert ids(read(parse_question(f"key:{key_id_of('ci')}"))) == [mine]
    assert ids(read(parse_question("key:c"))) == []


def test_it_joins_all_that_is_asked():
    wanted = make_past_call(tags=("a",), key_alias="ci", model="m-1", status="failure")
    make_past_call(tags=("a",), key_alias="ci", model="m-1")
    make_past_call(tags=("a",), key_alias="ci", model="m-2", status="failure")
    make_past_call(tags=("a",), key_alias="other", model="m-1", status="failure")
    make_past_call(tags=("b",), key_alias="ci", model="m-1", status="failure")

    question = parse_question("tag:a key:ci model:m-1", status="failure")

    assert ids(read(question)) == [wanted]


def test_it_widens_to_the_whole_time_for_rare_rows():
    rare = make_past_call(tags=("rare",), model="m-rare", ago=80 * DAY)
    newer = make_past_call(tags=("rare",), model="m-rare", ago=2 * DAY)
    make_past_call(tags=("common",), ago=MINUTE)

    for search in ("tag:rare", "model:m-rare", "tag:rare model:m-rare"):
        assert ids(read(parse_question(search, span="90d"))) == [newer, rare]
        assert ids(read(parse_question(search, span="90d"), after=rare)) == [newer]


def test_it_finds_an_id_wherever_it_is():
    old = make_past_call(ago=300 * DAY)
    theirs = make_past_call(ago=40 * DAY, record={"upstream_request_id": "chatcmpl-7"})

    assert ids(read(parse_question(str(old)))) == [old]
    assert ids(read(parse_question("id:chatcmpl-7"))) == [theirs]


def test_it_tells_a_call_with_its_corrections():
    call = make_past_call(cost=10)

    assert [row.id for row in rows_of_call(call)] == [call]
    assert ids(read(parse_question(f"id:{call}"))) == [call]


@pytest.mark.parametrize("search", ["", "tag:a", "key:ci", "model:m-1", "tag:a key:ci", "id:x"])
def test_it_never_counts_and_never_skips(search):
    """The twin of the test at scale: which SQL is sent."""
    call = make_past_call(tags=("a",), model="m-1")

    with CaptureQueriesContext(connection) as sent:
        read(parse_question(search), before=call)

    log_queries = [query["sql"] for query in sent if "spend_spendlog" in query["sql"]]
    assert log_queries
    for sql in log_queries:
        assert "count(" not in sql.lower()
        assert "OFFSET" not in sql
        assert ">= '" in sql
        assert "< '" in sql
        assert "limit" in sql.lower()


def test_it_reads_its_months_only():
    make_past_call(ago=200 * DAY)
    make_past_call(ago=MINUTE)

    with CaptureQueriesContext(connection) as sent:
        read()

    sql = next(query["sql"] for query in sent if "spend_spendlog" in query["sql"])
    with connection.cursor() as cursor:
        cursor.execute(f"explain {sql}")
        plan = "\n".join(row[0] for row in cursor.fetchall())
    month = database_now() - 200 * DAY
    assert f"spend_spendlog_y{month:%Y}m{month:%m}" not in plan


def test_it_gives_up_in_time(monkeypatch):
    monkeypatch.setattr("spend.log_sheets.SECONDS_MAX", "0.001")
    monkeypatch.setattr(
        "spend.log_sheets.read_rows",
        lambda *_, **__: connection.cursor().execute("select pg_sleep(5)"),
    )

    with pytest.raises(SearchTooSlow):
        read()
