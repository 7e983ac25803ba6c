"""/tag/info, list, summary, distinct: what is stored, what windows hold, what calls carried."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from spend.models import Budget, BudgetWindow, Rollup, TagSet
from spend.rollover import database_now
from tests.factories import make_tag
from tests.tags.test_tag_writing import error_of, ok

pytestmark = pytest.mark.django_db

KEYS = [UUID(int=1), UUID(int=2)]


@pytest.fixture
def carry():
    """Roll-ups of calls that carried these tags."""

    def add(*tags, days_ago=0, key=KEYS[0], span="day", at=None, **sums):
        digest = repr(tags).encode().ljust(32)[:32]
        tag_set, _ = TagSet.objects.get_or_create(digest=digest, defaults={"tags": list(tags)})
        today = database_now().replace(hour=0, minute=0, second=0, microsecond=0)
        starts_at = at or today - timedelta(days=days_ago)
        numbers = dict.fromkeys(
            ("cost", "requests", "failed", "refused", "estimated", "prompt_tokens",
             "completion_tokens", "cached_tokens"), 0,
        )  # fmt: skip
        numbers |= sums
        if span == "day":
            of_month, _ = Rollup.objects.get_or_create(
                span="month", starts_at=starts_at.replace(day=1), tag_set=tag_set, key_id=key,
                model="m", defaults=dict.fromkeys(numbers, 0),
            )  # fmt: skip
            for name, number in numbers.items():
                setattr(of_month, name, getattr(of_month, name) + number)
            of_month.save()
        return Rollup.objects.create(
            span=span, starts_at=starts_at, tag_set=tag_set, key_id=key, model="m", **numbers
        )

    return add


# -- info ----------------------------------------------------------------------------------------


def test_it_answers_in_the_order_asked(management):
    for name in ("a", "b", "caf\u00e9"):
        make_tag(name, limit="5")

    answer = ok(management.post("/tag/info", {"names": ["b", " cafe\u0301", "a", "b"]}))

    assert list(answer) == ["b", "caf\u00e9", "a"]
    assert "message" not in answer["a"]
    assert "tag" not in answer["a"]
    assert list(ok(management.post("/tag/info", {"names": "a"}))) == ["a"]
    assert ok(management.post("/tag/info", {"names": []})) == {}


def test_it_asks_no_more_for_many_tags_than_for_one(management):
    for n in range(20):
        make_tag(f"t{n:02}", further=[{"duration": "daily"}])

    def queries(names):
        with CaptureQueriesContext(connection) as found:
            ok(management.post("/tag/info", {"names": names}))
        return len(found)

    assert queries(["t00"]) == queries([f"t{n:02}" for n in range(20)]) <= 5


@pytest.mark.parametrize(
    ("names", "error"),
    [
        (["a", "x", "y,z"], (404, "not_found", "names")),
        (["a\0b"], (400, "invalid_parameter", "names[0]")),
        ([5], (400, "invalid_parameter", "names[0]")),
        (None, (400, "invalid_parameter", "names")),
        ({}, (400, "invalid_parameter", "names")),
        (["a"] * 501, (400, "invalid_parameter", "names")),
    ],
)
def test_it_refuses_other_names(management, names, error):
    make_tag("a")

    assert error_of(management.post("/tag/info", {"names": names})) == error


def test_it_says_which_tags_are_missing(management):
    make_tag("a")

    response = management.post("/tag/info", {"names": ["x", "a", "it's"]})

    assert response.json()["detail"] == """Tags not found: ['x', "it's"]"""


def test_it_reads_the_window_that_calls_draw_on(management):
    tag = make_tag("a", limit="5", duration="30d")
    BudgetWindow.objects.filter(budget=tag.budget).update(
        spent=1_234_567_891, reserved=1_000_000_000
    )

    response = management.post("/tag/info", {"names": "a"})

    assert b'"spend":1.234567891,"reserved":1.0,"remaining":2.765432109' in response.content


def test_it_shows_the_period_now_running_when_a_window_has_ended(management):
    tag = make_tag("a", limit="5", duration="1d")
    began = database_now().replace(microsecond=0) - timedelta(days=2, hours=1)
    Budget.objects.filter(pk=tag.budget_id).update(anchor=began)
    BudgetWindow.objects.filter(budget=tag.budget).update(
        spent=3_000_000_000, reserved=1, starts_at=began, ends_at=began + timedelta(days=1)
    )

    answer = ok(management.post("/tag/info", {"names": "a"}))["a"]

    assert (answer["spend"], answer["reserved"], answer["remaining"]) == (0.0, 0.0, 5.0)
    assert answer["total_spend"] == 3.0
    assert datetime.fromisoformat(answer["budget_started_at"]) == began + timedelta(days=2)
    assert datetime.fromisoformat(answer["budget_reset_at"]) == began + timedelta(days=3)
    assert BudgetWindow.objects.filter(budget=tag.budget).count() == 1  # reading writes nothing


# -- list ----------------------------------------------------------------------------------------


def names(response):
    return [tag["name"] for tag in ok(response)]


def test_it_lists_tags_and_then_those_in_traffic(management, carry):
    make_tag("b")
    make_tag("a", limit="5")
    carry("eu", "a", days_ago=3, cost=1_000_000_000, requests=30)
    carry("eu", days_ago=1, cost=250_000_000, requests=1, refused=2)

    listed = ok(management.get("/tag/list"))

    assert [tag["name"] for tag in listed] == ["a", "b", "eu"]
    today = database_now().replace(hour=0, minute=0, second=0, microsecond=0)
    day = lambda n: (today - timedelta(days=n)).isoformat().replace("+00:00", "Z")  # noqa: E731
    assert listed[2] == {
        "name": "eu", "description": None, "models": None, "registered": False, "spend": 1.25,
        "requests": 31, "created_at": day(3), "updated_at": day(1),
    }  # fmt: skip
    assert (listed[0]["registered"], listed[0]["max_budget"]) == (True, 5.0)


def test_it_goes_on_where_a_page_ended(management, carry):
    for name in ("a", "c", "b"):
        make_tag(name)
    for name in ("y", "x", "z"):
        carry(name, "a")

    found, path, pages = [], "/tag/list?limit=2", 0
    while path:
        response = management.get(path)
        found += names(response)
        pages += 1
        cursor = response.headers.get("x-next-cursor")
        path = f"/tag/list?limit=2&cursor={cursor}" if cursor else None

    assert found == ["a", "b", "c", "x", "y", "z"]
    assert pages == 3


def test_it_ends_a_page_at_the_last_tag(management, carry):
    make_tag("a")
    assert "x-next-cursor" not in management.get("/tag/list?limit=1").headers
    carry("x")
    first = management.get("/tag/list?limit=1")

    second = management.get(f"/tag/list?limit=1&cursor={first.headers['x-next-cursor']}")

    assert (names(first), names(second)) == (["a"], ["x"])
    assert "x-next-cursor" not in second.headers


def test_it_finds_parts_of_names(management, carry):
    make_tag("Team-%A")
    make_tag("team-b")
    carry("my-TEAM-x")

    assert names(management.get("/tag/list?q=eam")) == ["Team-%A", "team-b", "my-TEAM-x"]
    assert names(management.get("/tag/list?q=%25")) == ["Team-%A"]
    assert names(management.get("/tag/list?q=_")) == []
    assert names(management.get("/tag/list?q=eam&include_seen=false")) == ["Team-%A", "team-b"]


def test_it_counts_as_seen_what_the_dates_cover(management, carry):
    carry("old", at=datetime(2026, 1, 31, tzinfo=UTC), requests=1)
    carry("new", at=datetime(2026, 2, 1, tzinfo=UTC), requests=1)
    carry("hour", at=datetime(2026, 2, 1, 5, tzinfo=UTC), span="hour", requests=1)

    def seen(start, end):
        return names(management.get(f"/tag/list?start_date={start}&end_date={end}"))

    assert seen("2026-01-31", "2026-01-31") == ["old"]
    assert seen("2026-01-31", "2026-02-01") == ["new", "old"]
    assert seen("2026-02-01T05:00:00Z", "2026-02-01T06:00:00Z") == ["hour"]
    assert seen("2026-02-01T04:00:00Z", "2026-02-01T05:00:00Z") == []
    assert names(management.get("/tag/list")) == []


@pytest.mark.parametrize(
    ("query", "type_", "param"),
    [
        ("start_date=2026-01-01", "invalid_parameter", "end_date"),
        ("end_date=2026-01-01", "invalid_parameter", "start_date"),
        ("start_date=2026-01-02&end_date=2026-01-01", "invalid_parameter", "end_date"),
        ("start_date=x&end_date=2026-01-01", "invalid_parameter", "start_date"),
        ("start_date=9999-12-31&end_date=9999-12-31", "invalid_parameter", "start_date"),
        ("limit=0", "invalid_parameter", "limit"),
        ("limit=1001", "invalid_parameter", "limit"),
        ("limit=x", "invalid_parameter", "limit"),
        ("include_seen=maybe", "invalid_parameter", "include_seen"),
        ("cursor=x", "invalid_parameter", "cursor"),
        ("cursor=%C3%A9", "invalid_parameter", "cursor"),
        ("cursor=W3RydWUsIlx1MDAwMCJd", "invalid_parameter", "cursor"),
        ("cursor=MQ==", "invalid_parameter", "cursor"),
        ("q=a%00b", "invalid_parameter", "q"),
        ("limt=5", "unknown_field", "limt"),
    ],
)
def test_it_refuses_other_questions(management, query, type_, param):
    assert error_of(management.get(f"/tag/list?{query}")) == (400, type_, param)


# -- summary and distinct ------------------------------------------------------------------------


def test_it_sums_each_tag(management, carry):
    carry("a", "b", cost=3, requests=2, failed=1, refused=5, prompt_tokens=10, completion_tokens=5)
    carry("a", key=KEYS[1], days_ago=1, cost=4, requests=1)
    carry("c", days_ago=40, cost=9, requests=1)

    results = ok(management.get("/tag/summary"))["results"]

    assert results == [
        {"tag": "a", "unique_users": 2, "total_requests": 3, "successful_requests": 2,
         "failed_requests": 1, "total_tokens": 15, "total_spend": 7e-9},
        {"tag": "b", "unique_users": 1, "total_requests": 2, "successful_requests": 1,
         "failed_requests": 1, "total_tokens": 15, "total_spend": 3e-9},
    ]  # fmt: skip


def test_it_sums_the_tags_that_are_asked_for(management, carry):
    carry("a", "b", "c", requests=1)

    results = ok(management.get("/tag/summary?tag_filter=b&tag_filter=c&tag_filter=d"))["results"]

    assert [row["tag"] for row in results] == ["b", "c"]
    refused = management.get("/tag/summary?tag_filter=b&tag_filter=c,d")
    assert error_of(refused) == (400, "invalid_tag", "tag_filter[1]")
    refused = management.get("/tag/summary?start_date=2026-01-01")
    assert error_of(refused) == (400, "invalid_parameter", "end_date")


def test_it_names_the_most_used_tags_first(management, carry):
    carry("rare", requests=1)
    carry("refused", requests=1, refused=5)
    carry("often", "rare", requests=3)
    carry("past", days_ago=31, requests=100)

    results = ok(management.get("/tag/distinct"))["results"]

    assert results == [{"tag": "refused"}, {"tag": "rare"}, {"tag": "often"}]


def test_it_names_two_hundred_and_fifty_at_most(management, carry):
    carry(*(f"t{n:03}" for n in range(300)), requests=1)

    results = ok(management.get("/tag/distinct"))["results"]

    assert [row["tag"] for row in results] == [f"t{n:03}" for n in range(250)]
