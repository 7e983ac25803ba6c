"""GET /spend/export: rows of the log as CSV and as lines of JSON, streamed."""

import csv
import io
import json
from datetime import timedelta
from uuid import UUID

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from spend.models import Price, SpendLog
from spend.usage import Usage
from tests.conftest import client_of
from tests.factories import make_key
from tests.past import correct_past_call, key_id_of, make_past_call

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def refusal(response):
    error = response.json()["error"]
    return response.status_code, error["type"], error["param"]


def body(response):
    assert response.status_code == 200, response.content
    return b"".join(response.streaming_content).decode()


def rows_of(response):
    return list(csv.DictReader(io.StringIO(body(response), newline="")))


def test_it_works(management):
    price = Price.objects.create(source="operator", model="m", rates={"input": 2_501})
    call_id = make_past_call(
        tags=("engineering", "eu"),
        cost=2_501,
        price_id=price.id,
        usage=Usage(input=1_000),
        record={"flags": ("overrun", "drained")},
    )

    response = management.get("/spend/export")

    assert response["content-type"] == "text/csv; charset=utf-8"
    assert response["content-disposition"] == 'attachment; filename="spend.csv"'
    (row,) = rows_of(response)
    (listed,) = management.get("/spend/logs").json()
    assert list(row) == list(listed)
    assert row["id"] == str(call_id)
    assert row["spend"] == "0.000002501"
    assert row["cost_breakdown"] == '{"input":0.000002501}'
    assert row["request_tags"] == "engineering,eu"
    assert row["flags"] == "overrun,drained"
    assert row["startTime"] == listed["startTime"]
    assert (row["stream"], row["error"], row["prompt_tokens"]) == ("false", "", "1000")


def test_its_lines_of_json_are_the_rows_of_the_log(management):
    calls = [make_past_call(tags=("a",), cost=n, ago=n * HOUR) for n in range(5)]

    response = management.get("/spend/export", {"format": "jsonl"})

    assert response["content-type"] == "application/x-ndjson; charset=utf-8"
    rows = [json.loads(line) for line in body(response).splitlines()]
    assert [row["id"] for row in rows] == [str(call) for call in reversed(calls)]
    assert rows == management.get("/spend/logs?sort_order=asc").json()


def test_it_escapes_what_a_spreadsheet_would_run_but_no_number(management):
    call_id = make_past_call(
        tags=("=1+1", "b"),
        status="estimated",
        cost=500_000_000,
        key_alias='@a "quoted", and\nbroken',
        model="-m",
        intent={"end_user": "\tu", "session_id": "+1", "user_agent": "\rx"},
        record={"flags": ("expired",)},
    )
    correct_past_call(call_id, 1)

    first, correction = rows_of(management.get("/spend/export"))

    assert first["request_tags"] == "'=1+1,b"
    assert first["key_alias"] == '\'@a "quoted", and\nbroken'
    assert (first["model"], first["end_user"]) == ("'-m", "'\tu")
    assert (first["session_id"], first["user_agent"]) == ("'+1", "'\rx")
    assert correction["spend"] == "-0.499999999"
    assert correction["corrects"] == str(call_id)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", "abc"),
        ("tag=engineering", "ab"),
        ("tag=engineering&tag=eu", "a"),
        ("untagged=true", "c"),
        ("key_alias=b", "b"),
        (f"api_key={key_id_of('b')}", "b"),
        ("model=o3", "b"),
        ("status_filter=failure", "c"),
        ("min_spend=2&max_spend=2.5", "b"),
        ("end_user=user-a", "a"),
        ("session_id=session-b", "b"),
        ("request_id=chatcmpl-c", "c"),
        ("error_type=upstream_error", "c"),
        ("sort_order=desc", "cba"),
        ("tag=nobody", ""),
    ],
)
@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_it_filters(management, form, query, expected):
    made = {
        name: make_past_call(
            tags=tags, cost=cost, key_alias=name, model=model, status=status, ago=ago * HOUR,
            intent={"end_user": f"user-{name}", "session_id": f"session-{name}"},
            record={"upstream_request_id": f"chatcmpl-{name}", "error": error},
        )
        for name, tags, cost, model, status, ago, error in [
            ("a", ("engineering", "eu"), 3_000_000_000, "gpt-4o", "success", 3, None),
            ("b", ("engineering",), 2_000_000_000, "o3", "success", 2, None),
            ("c", (), 0, "claude", "failure", 1, {"type": "upstream_error"}),
        ]
    }  # fmt: skip

    response = management.get(f"/spend/export?format={form}&{query}")

    if form == "csv":
        found = [row["id"] for row in rows_of(response)]
    else:
        found = [json.loads(line)["id"] for line in body(response).splitlines()]
    assert found == [str(made[name]) for name in expected]


def test_it_is_cut_into_chunks_without_loss(management, monkeypatch):
    monkeypatch.setattr("spend.log_stream.CHUNK_ROWS", 2)
    calls = [str(make_past_call(ago=n * HOUR)) for n in range(5)]

    chunks = list(management.get("/spend/export").streaming_content)

    rows = list(csv.DictReader(io.StringIO(b"".join(chunks).decode(), newline="")))
    assert len(chunks) == 3
    assert [row["id"] for row in rows] == calls[::-1]


def test_it_reads_through_a_cursor_of_the_server(management):
    make_past_call()

    with CaptureQueriesContext(connection) as sent:
        body(management.get("/spend/export"))

    declared = [query["sql"] for query in sent if query["sql"].startswith("DECLARE")]
    assert len(declared) == 1
    assert "WITH HOLD" not in declared[0]
    assert "spend_spendlog" in declared[0]


def test_what_is_not_read_to_its_end_is_let_go(management):
    make_past_call()
    depth = len(connection.savepoint_ids)

    response = management.get("/spend/export")
    inside = len(connection.savepoint_ids)
    response.close()

    assert (inside, len(connection.savepoint_ids)) == (depth + 1, depth)


def test_its_money_adds_up_to_the_roll_ups(management):
    for n in range(9):
        make_past_call(tags=("a", "b"), cost=123_456_789 * n + 1, ago=n * HOUR)
    days = {"start_date": "2020-01-01", "end_date": "2100-01-01"}

    rows = rows_of(management.get("/spend/export", days))
    total = management.get("/global/spend/report", {"group_by": "tag", **days}).json()["total"]

    nanos = [int(row["spend"].replace(".", "").ljust(10, "0")) for row in rows]
    assert len(nanos) == total["requests"] == 9
    assert sum(SpendLog.objects.values_list("cost", flat=True)) == 123_456_789 * 36 + 9
    assert total["spend"] == pytest.approx(sum(float(row["spend"]) for row in rows), abs=1e-12)


def test_without_rows_there_is_a_header(management):
    header = management.get("/spend/logs").json()

    assert header == []
    assert body(management.get("/spend/export")).startswith("id,litellm_call_id,")
    assert body(management.get("/spend/export?format=jsonl")) == ""


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("format=xml", (400, "invalid_parameter", "format")),
        ("page=1", (400, "unknown_field", "page")),
        (f"cursor={UUID(int=1)}", (400, "unknown_field", "cursor")),
        ("start_date=x", (400, "invalid_parameter", "start_date")),
        ("tag=a,b", (400, "invalid_tag", "tag[0]")),
        ("min_spend=x", (400, "invalid_parameter", "min_spend")),
        ("sort_by=spend", (400, "invalid_parameter", "sort_by")),
        ("nonsense=1", (400, "unknown_field", "nonsense")),
    ],
)
def test_it_refuses_bad_questions(management, query, expected):
    assert refusal(management.get(f"/spend/export?{query}")) == expected


@pytest.mark.parametrize("path", ["/spend/export", "/spend/focus"])
def test_it_is_for_the_master_key(path, client):
    assert refusal(client_of(make_key().secret).get(path)) == (403, "permission_denied", None)
    assert client.get(path).status_code == 401


@pytest.mark.parametrize("path", ["/spend/export", "/spend/focus"])
def test_what_takes_too_long_is_said_before_anything_is_sent(management, monkeypatch, path):
    make_past_call()

    def give_up(queryset, **options):
        with connection.cursor() as cursor:
            cursor.execute("select pg_sleep(5)")

    monkeypatch.setattr("spend.log_stream.CHUNK_SECONDS_MAX", "0.001")
    monkeypatch.setattr("django.db.models.query.QuerySet.iterator", give_up)

    assert refusal(management.get(path)) == (400, "invalid_parameter", "start_date")
