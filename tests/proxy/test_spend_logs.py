"""The spend API: rows of the log, totals by tag, reports."""

import csv
import io
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import permutations
from uuid import UUID, uuid4

import pytest
from django.db import connection

from proxy.credentials import digest_of
from spend.ids import CallIds
from spend.log_search import COUNTED_MAX
from spend.models import Price, Reservation, SpendLog
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


def ids(response):
    assert response.status_code == 200, response.content
    rows = response.json()
    return [row["id"] for row in (rows if isinstance(rows, list) else rows["data"])]


# -- rows ----------------------------------------------------------------------------------------


def test_it_works(management):
    price = Price.objects.create(
        source="operator", model="gpt-4", rates={"input": 2_500_000, "output": 10_000_000}
    )
    deployment_id = uuid4()
    call_id = make_past_call(
        tags=("AWS_IAM_PROD", "us-east-1"),
        cost=2_000_000,
        key_alias="svc-a",
        model="gpt-4",
        price_id=price.id,
        seconds=1.89,
        intent={
            "stream": True,
            "key_digest": "9f" * 32,
            "deployment_id": deployment_id,
            "provider": "openai",
            "user_agent": "OpenAI/Python",
            "address": "10.0.0.7",
        },
        record={
            "upstream_model": "gpt-4o-2024-08-06",
            "upstream_request_id": "chatcmpl-abc123",
            "attempts": [{"model_id": str(deployment_id), "status": 200, "ms": 1880}],
        },
    )

    (row,) = management.get("/spend/logs").json()

    at = SpendLog.objects.get().at
    written = at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert row.pop("endTime") > row.pop("startTime") == written
    assert row == {
        "id": str(call_id),
        "litellm_call_id": str(call_id),
        "request_id": "chatcmpl-abc123",
        "client_request_id": None,
        "call_type": "acompletion",
        "endpoint": "chat/completions",
        "status": "success",
        "http_status": 200,
        "stream": True,
        "client_disconnected": False,
        "completionStartTime": None,
        "request_duration_ms": 1890,
        "api_key": "9f" * 32,
        "key_id": str(key_id_of("svc-a")),
        "key_alias": "svc-a",
        "model": "gpt-4o-2024-08-06",
        "model_group": "gpt-4",
        "model_id": str(deployment_id),
        "custom_llm_provider": "openai",
        "prompt_tokens": 400,
        "completion_tokens": 100,
        "total_tokens": 500,
        "usage": {"input": 400, "cached_input": 0, "output": 100, "reasoning": 0},
        "usage_source": "upstream",
        "spend": 0.002,
        "cost_breakdown": {"input": 0.001, "output": 0.001},
        "price_id": str(price.id),
        "request_tags": ["AWS_IAM_PROD", "us-east-1"],
        "end_user": None,
        "session_id": None,
        "user_agent": "OpenAI/Python",
        "requester_ip_address": "10.0.0.7",
        "cache_hit": "False",
        "attempts": [{"model_id": str(deployment_id), "status": 200, "ms": 1880, "spend": 0.002}],
        "flags": [],
        "error": None,
        "corrects": None,
        "metadata": {},
    }


def test_it_tells_the_breakdown_unrounded(management):
    price = Price.objects.create(source="operator", model="m", rates={"input": 1, "output": 1_001})
    make_past_call(cost=2, price_id=price.id, usage=Usage(input=1, output=1))

    response = management.get("/spend/logs")

    assert b'"input":0.000000000001' in response.content
    assert b'"output":0.000000001001' in response.content
    assert b'"spend":0.000000002' in response.content


def test_it_finds_the_service_tier_that_was_billed(management):
    rates = {"input": 1_000, "priority": {"input": 3_000}}
    price = Price.objects.create(source="operator", model="m", rates=rates)
    make_past_call(cost=30, price_id=price.id, usage=Usage(input=10))

    (row,) = management.get("/spend/logs").json()

    assert row["cost_breakdown"] == {"input": 3e-08}


@pytest.mark.parametrize(
    ("usage", "source", "status", "parts"),
    [
        (Usage(), "estimate", "estimated", {"estimate": 5e-08}),
        (Usage(input=10), "upstream", "success", {"input": 1e-08, "other_attempts": 4e-08}),
    ],
)
def test_it_names_what_usage_does_not_explain(management, usage, source, status, parts):
    price = Price.objects.create(source="operator", model="m", rates={"input": 1_000})
    make_past_call(cost=50, price_id=price.id, usage=usage, usage_source=source, status=status)

    (row,) = management.get("/spend/logs").json()

    assert row["cost_breakdown"] == parts
    assert row["status"] == status


def test_it_tells_ours_where_there_is_no_upstreams_id(management):
    error = {"type": "budget_exceeded", "payer": "tag:engineering", "spent": 505_500_000_000}
    call_id = make_past_call(status="refused", record={"error": error})

    (row,) = management.get("/spend/logs").json()

    assert row["request_id"] == str(call_id)
    assert (row["status"], row["spend"], row["cost_breakdown"]) == ("refused", 0.0, {})
    assert row["error"] == {**error, "spent": 505.5}


def test_it_keeps_rows_with_equal_upstream_ids_apart(management):
    same = {"upstream_request_id": "chatcmpl-same"}
    first = make_past_call(cost=1, record=same, ago=HOUR)
    second = make_past_call(cost=2, record=same)

    assert ids(management.get("/spend/logs")) == [str(second), str(first)]


# -- filters -------------------------------------------------------------------------------------


@pytest.fixture
def three_calls():
    """An old, a middling and a new call, which differ in everything."""
    deployments = [uuid4(), uuid4(), uuid4()]
    calls = [
        make_past_call(
            tags=tags,
            cost=cost,
            key_alias=alias,
            model=model,
            status=status,
            ago=ago,
            intent={
                "deployment_id": deployment,
                "end_user": f"user-{alias}",
                "session_id": f"session-{alias}",
            },
            record={
                "upstream_request_id": f"chatcmpl-{alias}",
                "upstream_model": f"{model}-2024",
                "error": error,
            },
        )
        for deployment, (tags, cost, alias, model, status, ago, error) in zip(
            deployments,
            [
                (("engineering", "eu"), 3_000_000_000, "a", "gpt-4o", "success", 3 * DAY, None),
                (("engineering",), 2_000_000_000, "b", "o3", "estimated", 2 * HOUR, None),
                ((), 0, "c", "claude", "failure", HOUR, {"type": "upstream_error"}),
            ],
            strict=True,
        )
    ]
    return dict(zip("abc", calls, strict=True)) | {"deployments": deployments}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", "cba"),
        ("tag=engineering", "ba"),
        ("tag=engineering&tag=eu", "a"),
        ("tag=eu&tag=engineering", "a"),
        ("tag=nobody", ""),
        ("untagged=true", "c"),
        ("key_alias=b", "b"),
        ("model=o3", "b"),
        ("model=o3-2024", "b"),
        ("status_filter=failure", "c"),
        ("min_spend=2", "ba"),
        ("max_spend=2.5", "cb"),
        ("min_spend=2.000000001&max_spend=3", "a"),
        ("end_user=user-a", "a"),
        ("session_id=session-b", "b"),
        ("request_id=chatcmpl-b", "b"),
        ("error_type=upstream_error", "c"),
        ("sort_order=asc", "abc"),
        ("sort_by=startTime", "cba"),
        ("tag=engineering&status_filter=estimated", "b"),
        ("summarize=false", "cba"),
    ],
)
def test_it_filters(management, three_calls, query, expected):
    found = ids(management.get(f"/spend/logs?{query}"))

    assert found == [str(three_calls[name]) for name in expected]


def test_it_filters_by_deployment_key_and_own_id(management, three_calls):
    by_model = management.get("/spend/logs", {"model_id": three_calls["deployments"][1]})
    by_key = management.get("/spend/logs", {"api_key": str(key_id_of("c"))})
    by_id = management.get("/spend/logs", {"request_id": str(three_calls["a"])})

    assert ids(by_model) == [str(three_calls["b"])]
    assert ids(by_key) == [str(three_calls["c"])]
    assert ids(by_id) == [str(three_calls["a"])]


def test_it_finds_a_key_by_its_secret_and_its_hash(management):
    key = make_key()
    call_id = make_past_call(key_id=key.id)
    make_past_call()

    by_secret = management.get("/spend/logs", {"api_key": key.secret})
    by_hash = management.get("/spend/logs", {"api_key": digest_of(key.secret)})
    nobody = management.get("/spend/logs", {"api_key": "sk-nobody"})

    assert ids(by_secret) == ids(by_hash) == [str(call_id)]
    assert ids(nobody) == []


def test_it_covers_the_last_week_unless_told(management):
    old = make_past_call(ago=20 * DAY)
    recent = make_past_call(ago=HOUR)
    start = (datetime.now(UTC) - 21 * DAY).date()

    assert ids(management.get("/spend/logs")) == [str(recent)]
    assert ids(management.get("/spend/logs", {"start_date": start})) == [str(recent), str(old)]
    assert ids(management.get("/spend/logs", {"request_id": str(old)})) == [str(old)]


def test_its_end_is_inclusive_as_a_date_and_exclusive_as_a_time(management):
    call_id = make_past_call(ago=DAY)
    at = SpendLog.objects.get().at
    day, midnight = at.date().isoformat(), at.date().isoformat() + "T00:00:00Z"

    as_date = management.get("/spend/logs", {"start_date": day, "end_date": day})
    as_time = management.get("/spend/logs", {"start_date": "2026-01-01", "end_date": midnight})

    assert ids(as_date) == [str(call_id)]
    assert ids(as_time) == []


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("sort_by=spend", (400, "invalid_parameter", "sort_by")),
        ("sort_order=up", (400, "invalid_parameter", "sort_order")),
        ("page_size=0", (400, "invalid_parameter", "page_size")),
        ("page_size=1001", (400, "invalid_parameter", "page_size")),
        ("cursor=x", (400, "invalid_parameter", "cursor")),
        ("page=201", (400, "invalid_parameter", "page")),
        (f"page=2&cursor={UUID(int=1)}", (400, "invalid_parameter", "page")),
        ("status_filter=fine", (400, "invalid_parameter", "status_filter")),
        ("min_spend=-1", (400, "invalid_parameter", "min_spend")),
        ("api_key=" + "k" * 513, (400, "invalid_parameter", "api_key")),
        ("min_spend=1e3", (400, "invalid_parameter", "min_spend")),
        ("tag=a,b", (400, "invalid_tag", "tag[0]")),
        ("start_date=yesterday", (400, "invalid_parameter", "start_date")),
        ("end_date=2026-01-01", (400, "invalid_parameter", "start_date")),
        (
            "start_date=2026-01-02&end_date=2026-01-01",
            (400, "invalid_parameter", "end_date"),
        ),
        ("summarize=true", (400, "unsupported_field", "summarize")),
        ("team_id=t", (400, "unsupported_field", "team_id")),
        ("nonsense=1", (400, "unknown_field", "nonsense")),
        ("model=%00", (400, "invalid_parameter", "model")),
    ],
)
def test_it_refuses_bad_questions(management, query, expected):
    assert refusal(management.get(f"/spend/logs?{query}")) == expected


# -- pages ---------------------------------------------------------------------------------------


def test_it_goes_on_where_a_page_ended(management):
    calls = [str(make_past_call(ago=n * HOUR)) for n in range(5)]

    first = management.get("/spend/logs/v2", {"page_size": 2})
    second = management.get(
        "/spend/logs/v2", {"page_size": 2, "cursor": first.json()["next_cursor"]}
    )
    third = management.get(
        "/spend/logs/v2", {"page_size": 2, "cursor": second.json()["next_cursor"]}
    )

    assert ids(first) + ids(second) + ids(third) == calls
    assert third.json()["next_cursor"] is None
    assert {k: v for k, v in first.json().items() if k not in ("data", "next_cursor")} == {
        "total": 5,
        "total_is_capped": False,
        "page": 1,
        "page_size": 2,
        "total_pages": 3,
    }


def test_its_array_has_the_cursor_in_a_header(management):
    calls = [str(make_past_call(ago=n * HOUR)) for n in range(3)]

    first = management.get("/spend/logs", {"page_size": 2})
    rest = management.get("/spend/logs", {"page_size": 2, "cursor": first["x-next-cursor"]})

    assert ids(first) + ids(rest) == calls
    assert "x-next-cursor" not in rest


def test_it_goes_on_upwards_too(management):
    calls = [str(make_past_call(ago=n * HOUR)) for n in range(3)]
    asked = {"page_size": 2, "sort_order": "asc"}

    first = management.get("/spend/logs", asked)
    rest = management.get("/spend/logs", {**asked, "cursor": first["x-next-cursor"]})

    assert ids(first) + ids(rest) == calls[::-1]


def test_new_rows_do_not_shift_a_page(management):
    old = [str(make_past_call(ago=n * HOUR)) for n in (1, 2, 3)]
    first = management.get("/spend/logs", {"page_size": 2})

    make_past_call()
    rest = management.get("/spend/logs", {"page_size": 2, "cursor": first["x-next-cursor"]})

    assert ids(first) + ids(rest) == old


def test_it_has_pages_by_number(management):
    calls = [str(make_past_call(ago=n * HOUR)) for n in range(5)]

    second = management.get("/spend/logs/ui", {"page_size": 2, "page": 2})

    assert ids(second) == calls[2:4]
    assert second.json()["page"] == 2
    assert ids(management.get("/spend/logs/v2", {"page_size": 2, "page": 9})) == []


def test_its_total_is_capped(management, monkeypatch):
    monkeypatch.setattr("spend.log_search.COUNTED_MAX", 2)
    for n in range(4):
        make_past_call(ago=n * HOUR)

    answer = management.get("/spend/logs/v2").json()

    assert (answer["total"], answer["total_is_capped"]) == (2, True)
    assert COUNTED_MAX == 10_000


def test_a_page_is_told_even_if_its_total_takes_too_long(management, monkeypatch):
    def give_up(rows):
        with connection.cursor() as cursor:
            cursor.execute("select pg_sleep(5)")

    monkeypatch.setattr("spend.log_search.COUNT_SECONDS_MAX", "0.001")
    monkeypatch.setattr("spend.log_search._some", give_up)
    call_id = make_past_call()

    answer = management.get("/spend/logs/v2")

    assert ids(answer) == [str(call_id)]
    assert (answer.json()["total"], answer.json()["total_is_capped"]) == (1, True)


def test_it_goes_through_the_sets_of_a_tag_by_number_and_by_cursor(management):
    calls = [str(make_past_call(tags=("a", f"n{n}"), ago=n * HOUR)) for n in range(7)]
    asked = {"tag": "a", "page_size": 3}

    by_number = [ids(management.get("/spend/logs", asked | {"page": n})) for n in (1, 2, 3)]
    second = management.get("/spend/logs", asked | {"cursor": calls[2]})

    assert by_number == [calls[:3], calls[3:6], calls[6:]]
    assert ids(second) == calls[3:6]


def test_a_call_counts_when_it_was_admitted_though_it_is_numbered_before(management):
    make_past_call(ago=DAY)
    row = SpendLog.objects.values().get()
    midnight = row["at"].replace(hour=0, minute=0, second=0, microsecond=0)
    late = CallIds(lambda: int((midnight - timedelta(seconds=20)).timestamp() * 1_000)).next()
    SpendLog.objects.create(**{**row, "id": late, "at": midnight + timedelta(seconds=5)})
    day, before = midnight.date(), midnight.date() - DAY

    on_the_day = management.get("/spend/logs", {"start_date": day, "end_date": day})
    before_it = management.get("/spend/logs", {"start_date": before, "end_date": before})

    assert ids(on_the_day) == [str(row["id"]), str(late)]
    assert ids(before_it) == []


# -- one row -------------------------------------------------------------------------------------


def test_it_tells_one_row(management):
    call_id = make_past_call(record={"upstream_request_id": "chatcmpl-x"}, ago=40 * DAY)

    for path in (f"/spend/logs/{call_id}", "/spend/logs/chatcmpl-x", f"/spend/logs/ui/{call_id}/"):
        assert management.get(path).json()["id"] == str(call_id)


def test_it_tells_the_price_of_one_row_and_the_arithmetic(management):
    price = Price.objects.create(
        source="operator",
        provider="openai",
        model="gpt-4o",
        starts_at=datetime(2026, 1, 1, tzinfo=UTC),
        rates={
            "input": 1_250_001,
            "above": {"300": {"input": 2_500_001}},
            "flex": {"output": 5_000_000},
            "output": 10_000_000,
            "input_seconds": 100_000_000,
            "image_prices": {"1024x1024/high": 167_000_000_000},
            "tool_prices": {"web_search": 10_000_000_000},
            "requests": 7_000,
        },
    )
    usage = Usage(
        input=400, output=100, input_ms=1_500, images=(("1024x1024/high", 2),),
        tools=(("web_search", 1),),
    )  # fmt: skip
    call_id = make_past_call(cost=345_650_008, price_id=price.id, usage=usage)

    row = management.get(f"/spend/logs/{call_id}").json()

    assert row["price"] == {
        "id": str(price.id),
        "source": "operator",
        "provider": "openai",
        "model": "gpt-4o",
        "starts_at": "2026-01-01T00:00:00.000Z",
        "prices": {
            "input_cost_per_token": 1.250001e-06,
            "input_cost_per_token_above_300_tokens": 2.500001e-06,
            "output_cost_per_token": 1e-05,
            "output_cost_per_token_flex": 5e-06,
            "input_cost_per_second": 0.0001,
            "input_cost_per_request": 7e-09,
            "image_prices": {"1024x1024/high": 0.167},
            "tool_prices": {"web_search": 0.01},
        },
    }
    lines = [tuple(line.values()) for line in row["arithmetic"].pop("lines")]
    assert lines == [
        ("input", None, 400, "token", 2.500001e-06, 0.0010000004),
        ("output", None, 100, "token", 5e-06, 0.0005),
        ("input_seconds", None, 1.5, "second", 0.0001, 0.00015),
        ("images", "1024x1024/high", 2, "image", 0.167, 0.334),
        ("tools", "web_search", 1, "call", 0.01, 0.01),
        ("requests", None, 1, "request", 7e-09, 7e-09),
    ]
    assert row["arithmetic"] == {
        "input_tokens": 400,
        "service_tier": "flex",
        "sum": 0.3456500074,
        "spend": 0.345650008,
    }


def test_its_arithmetic_says_what_no_usage_explains(management):
    price = Price.objects.create(source="operator", model="m", rates={"input": 1_000})
    guessed = make_past_call(
        cost=50, status="estimated", usage=Usage(), usage_source="estimate", price_id=price.id,
        record={"flags": ("expired",)},
    )  # fmt: skip
    correct_past_call(guessed, 10, Usage(input=10))
    refused = make_past_call(status="refused")
    *_, correction = management.get("/spend/logs?sort_order=asc&status_filter=correction").json()

    def told(call_id):
        row = management.get(f"/spend/logs/{call_id}").json()
        lines = [(line["kind"], line["units"], line["cost"]) for line in row["arithmetic"]["lines"]]
        return lines, row["arithmetic"]["sum"], row["price"] and row["price"]["id"]

    assert told(guessed) == ([("estimate", None, 5e-08)], 5e-08, str(price.id))
    assert told(correction["id"]) == ([("correction", None, -4e-08)], -4e-08, str(price.id))
    assert told(refused) == ([], 0.0, None)


def test_a_call_that_ends_while_it_is_asked_for_is_found(management, monkeypatch):
    call_id = make_past_call()
    monkeypatch.setattr("proxy.api.spend.is_running", lambda *_, **__: True)

    assert management.get(f"/spend/logs/{call_id}").status_code == 200


def test_it_tells_the_newest_of_equal_upstream_ids(management):
    same = {"upstream_request_id": "chatcmpl-same"}
    make_past_call(record=same, ago=HOUR)
    newest = make_past_call(record=same)

    assert management.get("/spend/logs/chatcmpl-same").json()["id"] == str(newest)


def test_it_finds_an_upstreams_id_that_looks_like_ours(management):
    theirs = str(uuid4())
    call_id = make_past_call(record={"upstream_request_id": theirs})

    assert management.get(f"/spend/logs/{theirs}").json()["id"] == str(call_id)
    assert ids(management.get("/spend/logs", {"request_id": theirs})) == [str(call_id)]


def test_it_says_that_a_call_is_still_running(management):
    call_id = CallIds().next()
    now = datetime.now(UTC)
    Reservation.objects.create(
        id=call_id,
        worker=1,
        windows=[],
        holds=[],
        estimate=1,
        admitted_at=now,
        expires_at=now + HOUR,
        intent={"key_id": str(key_id_of("ci"))},
    )

    response = management.get(f"/spend/logs/{call_id}")

    assert (response.status_code, response.json()) == (202, {"status": "pending"})
    assert client_of(make_key().secret).get(f"/spend/logs/{call_id}").status_code == 404


@pytest.mark.parametrize("call_id", [str(UUID(int=1)), "chatcmpl-nobody"])
def test_it_refuses_an_unknown_id(management, call_id):
    assert refusal(management.get(f"/spend/logs/{call_id}")) == (404, "not_found", "id")


# -- whose rows ----------------------------------------------------------------------------------


def test_a_key_sees_its_own_rows_only():
    key = make_key()
    own = make_past_call(key_id=key.id, record={"upstream_request_id": "chatcmpl-own"})
    others = make_past_call(record={"upstream_request_id": "chatcmpl-others"})
    client = client_of(key.secret)

    assert ids(client.get("/spend/logs")) == [str(own)]
    assert ids(client.get("/spend/logs", {"api_key": str(key_id_of("ci"))})) == []
    assert client.get("/spend/logs/v2").json()["total"] == 1
    assert client.get(f"/spend/logs/{own}").status_code == 200
    assert client.get(f"/spend/logs/{others}").status_code == 404
    assert client.get("/spend/logs/chatcmpl-others").status_code == 404


@pytest.mark.parametrize(
    "path",
    ["/spend/tags", "/global/spend/tags", "/global/spend/all_tag_names", "/global/spend/report"],
)
def test_totals_are_for_the_master_key(path):
    assert refusal(client_of(make_key().secret).get(path)) == (403, "permission_denied", None)


def test_it_needs_a_key(client):
    assert client.get("/spend/logs").status_code == 401


# -- totals --------------------------------------------------------------------------------------


@pytest.fixture
def tagged_calls():
    make_past_call(tags=("engineering", "eu"), cost=100_000_000, ago=HOUR)
    make_past_call(tags=("engineering",), cost=20_000_000, ago=HOUR)
    make_past_call(tags=("engineering",), status="refused", ago=HOUR)
    make_past_call(tags=(), cost=3_000_000, ago=HOUR, key_alias="=cmd()")


def test_it_lists_what_each_tag_came_to(management, tagged_calls):
    assert management.get("/spend/tags").json() == [
        {"individual_request_tag": "engineering", "log_count": 3, "total_spend": 0.12},
        {"individual_request_tag": "eu", "log_count": 1, "total_spend": 0.1},
    ]


def test_it_tells_the_total_of_overlapping_tags_once(management, tagged_calls):
    assert management.get("/global/spend/tags", {"tags": "eu, engineering"}).json() == {
        "spend_per_tag": [
            {"name": "engineering", "spend": 0.12, "log_count": 3},
            {"name": "eu", "spend": 0.1, "log_count": 1},
        ],
        "distinct_total": {"spend": 0.12, "log_count": 3},
        "overlapping": True,
    }


def test_it_totals_only_the_tags_asked_for(management, tagged_calls):
    answer = management.get("/global/spend/tags", {"tags": "eu"}).json()

    assert answer["spend_per_tag"] == [{"name": "eu", "spend": 0.1, "log_count": 1}]
    assert answer["distinct_total"] == {"spend": 0.1, "log_count": 1}


def test_it_names_all_tags(management, tagged_calls):
    assert management.get("/global/spend/all_tag_names").json() == {
        "tag_names": ["engineering", "eu"]
    }


def test_it_reports(management, tagged_calls):
    day = SpendLog.objects.earliest("at").at.date().isoformat()

    answer = management.get(
        "/global/spend/report", {"group_by": "tag", "start_date": day, "end_date": day}
    ).json()

    total = {
        "spend": 0.123,
        "requests": 3,
        "failed_requests": 0,
        "prompt_tokens": 1_200,
        "completion_tokens": 300,
        "total_tokens": 1_500,
    }
    assert answer["total"] == total
    assert {k: v for k, v in answer.items() if k not in ("rows", "total")} == {
        "group_by": ["tag"],
        "start_date": day,
        "end_date": day,
        "time_zone": "UTC",
        "overlapping": True,
    }
    assert [(row["tag"], row["spend"], row["requests"]) for row in answer["rows"]] == [
        ("engineering", 0.12, 2),
        ("eu", 0.1, 1),
        (None, 0.003, 1),
    ]


@pytest.mark.parametrize("groups", list(permutations(("tag", "key", "model", "day"), 2)))
def test_any_two_groups_have_a_total_that_counts_each_call_once(management, groups):
    make_past_call(tags=("a", "b"), cost=8, key_alias="x", model="m-1", ago=2 * DAY)
    make_past_call(tags=("a",), cost=4, key_alias="x", model="m-2", ago=DAY)
    make_past_call(tags=("b",), cost=2, key_alias="y", model="m-1", ago=DAY)
    make_past_call(tags=(), cost=1, key_alias="y", model="m-2")
    asked = {"group_by": ",".join(groups)}

    answer = management.get("/global/spend/report", asked).json()
    header, *lines = csv.reader(
        io.StringIO(management.get("/global/spend/report", asked | {"format": "csv"}).text)
    )

    overlaps = "tag" in groups
    assert answer["group_by"] == list(groups)
    assert (answer["overlapping"], answer["total"]["spend"]) == (overlaps, 15e-09)
    assert answer["total"]["requests"] == 4
    spent = [round(row["spend"] * 10**9) for row in answer["rows"]]
    assert sum(spent) == (23 if overlaps else 15)
    assert sum(row["requests"] for row in answer["rows"]) == (5 if overlaps else 4)
    assert header[:2] == list(groups)
    at = header.index("spend")
    assert [round(Decimal(line[at]) * 10**9) for line in lines] == spent
    names = [tuple(row[name] for name in groups) for row in answer["rows"]]
    assert [tuple(line[:2]) for line in lines] == [
        tuple("" if name is None else name for name in row) for row in names
    ]


@pytest.mark.parametrize(
    ("asked", "spend", "total"),
    [
        ({"tag": "a"}, {"a": 12, "b": 8}, 12),
        ({"tag": ["a", "b"]}, {"a": 8, "b": 8}, 8),
        ({"key_alias": "y"}, {"b": 2, None: 1}, 3),
        ({"model": "m-2"}, {"a": 4, None: 1}, 5),
        ({"tag": "b", "model": "m-1", "key_alias": "x"}, {"a": 8, "b": 8}, 8),
    ],
)
def test_it_reports_what_is_asked_for(management, asked, spend, total):
    make_past_call(tags=("a", "b"), cost=8, key_alias="x", model="m-1", ago=2 * DAY)
    make_past_call(tags=("a",), cost=4, key_alias="x", model="m-2", ago=DAY)
    make_past_call(tags=("b",), cost=2, key_alias="y", model="m-1", ago=DAY)
    make_past_call(tags=(), cost=1, key_alias="y", model="m-2")

    answer = management.get("/global/spend/report", asked | {"group_by": "tag"}).json()

    assert {row["tag"]: round(row["spend"] * 10**9) for row in answer["rows"]} == spend
    assert round(answer["total"]["spend"] * 10**9) == total


@pytest.mark.parametrize("path", ["/global/spend/report?group_by=key", "/spend/tags"])
def test_it_does_not_leave_out_rows(management, monkeypatch, path):
    monkeypatch.setattr("spend.reports.ROWS_MAX", 1)
    make_past_call(tags=("a", "b"), key_alias="x")
    make_past_call(tags=("a",), key_alias="y")

    assert refusal(management.get(path)) == (400, "invalid_parameter", "start_date")


@pytest.mark.parametrize("name", ["start_date", "end_date"])
def test_it_refuses_times_that_roll_ups_cannot_tell(management, name):
    bounds = {"start_date": "2026-01-01T10:00:00Z", "end_date": "2026-01-02T10:00:00+01:00"}
    asked, path = {"group_by": "tag", **bounds}, "/global/spend/report"

    on_the_hour = management.get(path, asked)
    within = management.get(path, asked | {name: "2026-01-01T10:30:00Z"})

    assert on_the_hour.status_code == 200
    assert refusal(within) == (400, "invalid_parameter", name)


def test_it_reports_as_csv_with_exact_money_and_inert_cells(management, tagged_calls):
    response = management.get("/global/spend/report", {"group_by": "api_key", "format": "csv"})

    header, *rows = csv.reader(io.StringIO(response.content.decode()))
    assert response["content-type"].startswith("text/csv")
    assert header[:3] == ["key", "key_alias", "spend"]
    assert [row[1:3] for row in rows] == [["ci", "0.12"], ["'=cmd()", "0.003"]]


@pytest.mark.parametrize("groups", ["", "team", "tag,tag", "tag,key,day", "tag;drop"])
def test_it_refuses_groups_that_it_does_not_have(management, groups):
    response = management.get("/global/spend/report", {"group_by": groups})

    assert refusal(response) == (400, "invalid_parameter", "group_by")
