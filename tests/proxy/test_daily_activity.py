"""GET /tag/daily/activity: LiteLLM's shape, each call once, whole days on a page."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from spend.models import SpendLog
from spend.rollover import database_now
from spend.usage import Usage
from tests.conftest import client_of
from tests.factories import make_key
from tests.past import key_id_of, make_past_call

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)


def refusal(response):
    error = response.json()["error"]
    return response.status_code, error["type"], error["param"]


@pytest.fixture
def today():
    return database_now().date()


@pytest.fixture
def ask(management, today):
    def ask(**asked):
        query = {"start_date": today - 60 * DAY, "end_date": today} | asked
        response = management.get("/tag/daily/activity", query)
        assert response.status_code == 200, response.content
        return response.json()

    return ask


def metrics(spend, *, requests=1, failed=0, cached=0, written=0):
    done = requests - failed
    return {
        "spend": spend,
        "prompt_tokens": 400 * done,
        "completion_tokens": 100 * done,
        "cache_read_input_tokens": cached,
        "cache_creation_input_tokens": written,
        "total_tokens": 500 * done,
        "successful_requests": done,
        "failed_requests": failed,
        "api_requests": requests,
    }


def test_it_works(ask, today):
    key = make_key("ci")
    make_past_call(tags=("engineering", "eu"), cost=100_000_000, key_id=key.id, model="gpt-4o")

    share = {
        "metrics": metrics(0.1),
        "metadata": {},
        "api_key_breakdown": {
            key.digest: {
                "metrics": metrics(0.1),
                "metadata": {
                    "key_id": str(key.id),
                    "key_alias": "ci",
                    "team_id": None,
                    "key_exists": True,
                },
            }
        },
    }
    day = SpendLog.objects.get().at.date().isoformat()
    assert ask() == {
        "results": [
            {
                "date": day,
                "metrics": metrics(0.1),
                "breakdown": {
                    "models": {"gpt-4o": share},
                    "model_groups": {"gpt-4o": share},
                    "providers": {},
                    "endpoints": {},
                    "api_keys": share["api_key_breakdown"],
                    "mcp_servers": {},
                    "entities": {"engineering": share, "eu": share},
                },
            }
        ],
        "metadata": {
            "total_spend": 0.1,
            "total_prompt_tokens": 400,
            "total_completion_tokens": 100,
            "total_tokens": 500,
            "total_api_requests": 1,
            "total_successful_requests": 1,
            "total_failed_requests": 0,
            "total_cache_read_input_tokens": 0,
            "page": 1,
            "total_pages": 1,
            "has_more": False,
            "overlapping": True,
        },
    }


@pytest.fixture
def calls():
    """Of yesterday, so that no midnight comes between them."""
    make_past_call(tags=("a", "b"), cost=4, ago=DAY, model="m-1", key_alias="x")
    make_past_call(tags=("a",), cost=2, ago=DAY, model="m-2", key_alias="y")
    make_past_call(tags=(), cost=1, ago=DAY, model="m-2", key_alias="y")
    make_past_call(tags=("a",), status="failure", ago=DAY, model="m-2", key_alias="y")
    make_past_call(tags=("a",), status="refused", ago=DAY, model="m-3", key_alias="z")


def test_it_counts_a_call_with_two_tags_once_but_under_each(ask, calls):
    answer = ask()

    (day,) = answer["results"]
    tags = day["breakdown"]["entities"]
    assert {name: share["metrics"]["spend"] for name, share in tags.items()} == {
        "a": 6e-09,
        "b": 4e-09,
    }
    assert day["metrics"] == metrics(7e-09, requests=4, failed=1)
    assert answer["metadata"]["total_spend"] == 7e-09
    assert answer["metadata"]["total_api_requests"] == 4
    models = {name: share["metrics"] for name, share in day["breakdown"]["models"].items()}
    assert models == {"m-1": metrics(4e-09), "m-2": metrics(3e-09, requests=3, failed=1)}
    by_key = [entry["metrics"]["spend"] for entry in day["breakdown"]["api_keys"].values()]
    assert sorted(by_key) == [3e-09, 4e-09]


@pytest.mark.parametrize(
    ("asked", "total", "entities"),
    [
        ({"tags": "b"}, 4e-09, {"b": 4e-09}),
        ({"tags": "a, b"}, 6e-09, {"a": 6e-09, "b": 4e-09}),
        ({"tags": "nobody"}, 0, {}),
        ({"model": "m-2"}, 3e-09, {"a": 2e-09}),
        ({"api_key": str(key_id_of("x"))}, 4e-09, {"a": 4e-09, "b": 4e-09}),
        ({"api_key": "sk-nobody"}, 0, {}),
        ({"tags": "a", "model": "m-2", "api_key": str(key_id_of("y"))}, 2e-09, {"a": 2e-09}),
    ],
)
def test_it_narrows(ask, calls, asked, total, entities):
    answer = ask(**asked)

    found = [day["breakdown"]["entities"] for day in answer["results"]]
    assert answer["metadata"]["total_spend"] == total
    assert {n: s["metrics"]["spend"] for day in found for n, s in day.items()} == entities


def test_it_has_pages_of_whole_days(ask, today):
    for ago in (1, 1, 3, 5, 8, 9):
        make_past_call(tags=("a",), cost=ago, ago=ago * DAY)

    pages = [ask(page=page, page_size=2) for page in (1, 2, 3, 4)]

    dates = [[day["date"] for day in page["results"]] for page in pages]
    expected = [(today - ago * DAY).isoformat() for ago in (1, 3, 5, 8, 9)]
    assert dates == [expected[:2], expected[2:4], expected[4:], []]
    told = [page["metadata"] for page in pages]
    assert [m["has_more"] for m in told] == [True, True, False, False]
    assert {m["total_pages"] for m in told} == {3}
    assert [m["total_spend"] for m in told] == [5e-09, 13e-09, 9e-09, 0]


def test_it_tells_cached_tokens(ask):
    usage = Usage(input=60, cached_input=300, cache_write=30, cache_write_1h=10, output=100)
    make_past_call(cost=1, usage=usage, ago=DAY)

    assert ask()["results"][0]["metrics"] == metrics(1e-09, cached=300, written=40)


def test_its_days_are_those_of_the_reports_zone(ask, settings):
    settings.REPORT_TIME_ZONE = "Pacific/Kiritimati"  # 14 hours ahead: never the day of UTC
    make_past_call(cost=1)
    there = (database_now() + timedelta(hours=14)).date()

    answer = ask(start_date=there - DAY, end_date=there)

    assert [day["date"] for day in answer["results"]] == [there.isoformat()]


def test_it_reads_roll_ups_alone(ask, calls):
    with CaptureQueriesContext(connection) as sent:
        ask(tags="a")

    assert any("spend_rollup" in query["sql"] for query in sent)
    assert not any("spend_spendlog" in query["sql"] for query in sent)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", (400, "invalid_parameter", "start_date")),
        ("start_date=2026-01-01", (400, "invalid_parameter", "end_date")),
        ("start_date=2026-01-02&end_date=2026-01-01", (400, "invalid_parameter", "end_date")),
        (
            "start_date=2026-01-02T10:30:00Z&end_date=2026-01-03",
            (400, "invalid_parameter", "start_date"),
        ),
        ("start_date=x&end_date=2026-01-01", (400, "invalid_parameter", "start_date")),
        (
            "start_date=2026-01-01&end_date=2026-01-01&page=0",
            (400, "invalid_parameter", "page"),
        ),
        (
            "start_date=2026-01-01&end_date=2026-01-01&page_size=1001",
            (400, "invalid_parameter", "page_size"),
        ),
        (
            "start_date=2026-01-01&end_date=2026-01-01&tags=,",
            (400, "invalid_parameter", "tags"),
        ),
        (
            "start_date=2026-01-01&end_date=2026-01-01&timezone=480",
            (400, "unsupported_field", "timezone"),
        ),
        ("start_date=2026-01-01&end_date=2026-01-01&x=1", (400, "unknown_field", "x")),
    ],
)
def test_it_refuses_bad_questions(management, query, expected):
    assert refusal(management.get(f"/tag/daily/activity?{query}")) == expected


def test_it_is_for_the_master_key():
    response = client_of(make_key().secret).get("/tag/daily/activity")

    assert refusal(response) == (403, "permission_denied", None)
