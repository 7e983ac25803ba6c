"""Logs: every filter, pages by cursor, sums, one call's arithmetic, the file; who sees what."""

import csv
import io
from datetime import timedelta
from uuid import UUID

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from spend.models import Price, SpendLog
from spend.money import dollars_text
from spend.usage import Usage
from tests.admin_clients import client_of, root_client
from tests.factories import dollars, make_tag, unique
from tests.past import correct_past_call, key_id_of, make_past_call

pytestmark = pytest.mark.django_db

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
HTMX = {"HX-Request": "true", "HX-Target": "explorer", "HX-Trigger": "filters"}


@pytest.fixture
def root():
    return root_client()


@pytest.fixture
def calls():
    """Five calls, by what is special of each."""
    return {
        "plain": make_past_call(cost=dollars("1"), model="gpt", key_alias="batch", ago=2 * HOUR),
        "search": make_past_call(
            tags=("team:search", "env:prod"), cost=dollars("0.25"), ago=3 * HOUR,
            intent={"end_user": "ann", "session_id": "s-1", "client_request_id": "c-1"},
            record={"upstream_request_id": "u-1", "flags": ("drained",)},
        ),
        "stream": make_past_call(
            tags=("env:prod",), cost=dollars("0.5"), ago=4 * HOUR, intent={"stream": True}
        ),
        "failed": make_past_call(tags=("env:prod",), status="failure", ago=5 * HOUR),
        "old": make_past_call(tags=("env:prod",), cost=dollars("2"), ago=9 * DAY),
    }  # fmt: skip


def found(client, query=""):
    answer = client.get(f"/logs/?{query}")
    assert answer.status_code == 200, answer.content.decode()[:3000]
    return answer, [one.call.id for one in answer.context["calls"]]


def owner_of(*names):
    user = User.objects.create(username=unique("owner"), is_staff=True)
    for name in names:
        make_tag(name).owners.add(user)
    return client_of(user)


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", "plain search stream failed"),
        ("range=15m", ""),
        ("range=30d", "plain search stream failed old"),
        ("tag=env:prod", "search stream failed"),
        ("tag=env:prod&tag=team:search", "search"),
        ("q=tag:env:prod+key:ci", "search stream failed"),
        ("untagged=on", "plain"),
        ("key=batch", "plain"),
        (f"key={key_id_of('batch')}", "plain"),
        ("model=gpt", "plain"),
        ("status=failure", "failed"),
        ("cost_min=0.5", "plain stream"),
        ("cost_max=0.25&status=success", "search"),
        ("stream=yes", "stream"),
        ("stream=no&tag=env:prod", "search failed"),
        ("end_user=ann", "search"),
        ("session=s-1", "search"),
        ("flag=drained", "search"),
        ("id=c-1", "search"),
        ("q=id:u-1", "search"),
        ("tag=nobody", ""),
    ],
)
def test_it_finds_calls_by_every_filter(root, calls, query, names):
    assert found(root, query)[1] == [calls[name] for name in names.split()]


def test_it_finds_a_call_by_our_id_and_by_its_day(root, calls):
    old = SpendLog.objects.get(pk=calls["old"])

    assert found(root, f"id={old.id}")[1] == [old.id]
    assert found(root, f"day={old.at:%Y-%m-%d}")[1] == [old.id]
    assert found(root, f"first={old.at - DAY:%Y-%m-%d}&last={old.at:%Y-%m-%d}")[1] == [old.id]
    assert found(root, f"first={old.at:%Y-%m-%d}")[1] == list(calls.values())


@pytest.mark.parametrize(
    ("query", "spent", "count"),
    [
        ("", "1.75", 4),
        ("range=30d", "3.75", 5),
        ("tag=env:prod&range=30d", "2.75", 4),
        ("untagged=on", "1", 1),
        ("key=batch", "1", 1),
        ("model=gpt", "1", 1),
    ],
)
def test_its_sum_is_that_of_the_log(root, calls, query, spent, count):
    answer, ids = found(root, query)

    total = answer.context["total"]
    logged = sum(SpendLog.objects.filter(id__in=ids).values_list("cost", flat=True))
    assert (total.spent, total.calls) == (dollars(spent), count) == (logged, len(ids))


def test_it_says_what_it_sums_up_where_roll_ups_cannot_tell(root, calls):
    answer, _ = found(root, "cost_min=0.5")

    assert answer.context["total"] is None
    assert "in the 2 calls shown here" in answer.content.decode()


def test_it_counts_a_refused_call_and_a_correction_as_what_they_are(root):
    make_past_call(status="refused", ago=2 * HOUR)
    late = make_past_call(
        status="estimated", cost=9, ago=3 * HOUR, usage_source="estimate",
        record={"flags": ("expired",)},
    )  # fmt: skip
    correct_past_call(late, cost=4)

    answer, ids = found(root)
    (correction,) = SpendLog.objects.filter(corrects=late)
    text = root.get(f"/logs/{correction.id}/").content.decode()

    assert len(ids) == 3
    assert (answer.context["total"].spent, answer.context["total"].calls) == (4, 2)
    assert "\u2212$0.000000005" in text
    assert "With its corrections" in text
    assert f"/logs/{late}/" in text


def test_it_turns_pages_there_and_back_while_calls_arrive(root):
    ids = [make_past_call(tags=("env:prod",), ago=n * HOUR / 10) for n in range(120, 0, -1)][::-1]

    for query in ("", "&tag=env:prod"):
        answer, first = found(root, f"range=7d{query}")
        older, second = found(root, f"range=7d{query}&before={answer.context['found'].older}")
        make_past_call(tags=("env:prod",))
        back = found(root, f"range=7d{query}&after={older.context['found'].newer}")[1]

        assert (first[-50:], second) == (ids[:50][-len(first) :], ids[50:100]) or query
        assert back == first
    assert len(found(root, "range=7d&before=nonsense")[1]) == 50


@pytest.mark.parametrize(
    ("query", "field", "said"),
    [
        ("cost_min=much", "cost_min", "Enter dollars, such as 0.10 or 2."),
        ("cost_min=2&cost_max=1", "cost_max", "less than the cost to begin with"),
        ("status=odd", "status", "odd is not one of the available choices"),
        ("range=1y", "range", "1y is not one of the available choices"),
        ("first=yesterday", "first", "Enter a valid date"),
        ("first=2026-02-02&last=2026-02-01", "last", "before the first day"),
        ("first=2026-01-01&last=2026-06-01", "last", "too much to search at once"),
        ("first=0001-01-01", "first", "Enter a day from 1971 to 2198."),
        ("q=fast", "q", "Search by tag:, key:, model: or id:"),
        ("q=key:a&key=b", "q", "A call has one key only"),
        ("tag=%21x", "tag", "must not begin with"),
        ("tag=x&untagged=on", "untagged", "does not carry"),
        ("session=%00", "session", "Null characters"),
    ],
)
def test_it_says_at_the_field_what_is_wrong(root, query, field, said):
    answer = root.get(f"/logs/?{query}")
    part = root.get(f"/logs/?{query}", headers=HTMX)
    file = root.get(f"/logs/export.csv?{query}")

    assert (answer.status_code, part.status_code, file.status_code) == (422, 422, 422)
    assert said in str(answer.context["form"].errors[field])
    assert said in answer.content.decode()
    assert part.content.decode().lstrip().startswith("<div id=")


def test_it_answers_a_part_with_the_address_of_what_it_shows(root, calls):
    answer = root.get("/logs/?q=&tag=env:prod&tag=&range=24h", headers=HTMX)

    assert answer["HX-Push-Url"] == "/logs/?tag=env%3Aprod"
    assert "<html" not in answer.content.decode()


def test_it_names_what_alone_stands_in_the_way(root, calls):
    answer, ids = found(root, "model=gpt&status=failure")

    assert ids == []
    assert [one.address for one in answer.context["obstacles"]] == [
        "/logs/?model=gpt",
        "/logs/?status=failure",
    ]


def test_it_shows_how_a_cost_was_reckoned_to_the_nano_dollar(root):
    price = Price.objects.create(source="operator", model="m", rates={"input": 2_501, "output": 7})
    tag = make_tag("team:search", limit="10", duration="monthly")
    window = tag.budget.windows.get()
    call_id = make_past_call(
        tags=("team:search",), cost=2_502, price_id=price.id, windows=(window.pk,),
        usage=Usage(input=1_000, output=3),
        record={"attempts": [{"model_id": "d-1", "status": 500, "ms": 7, "cost": 0, "error": "x"},
                             {"model_id": "d-2", "status": 200, "ms": 11, "cost": 2_502}]},
    )  # fmt: skip

    answer = root.get(f"/logs/{call_id}/")

    text = answer.content.decode()
    lines = [(one.name, one.units, one.price, one.amount) for one in answer.context["lines"]]
    assert lines == [
        (
            "input",
            "1,000 tokens",
            "$0.002501 per 1M",
            "$0.000002501",
        ),
        ("output", "3 tokens", "$0.000007 per 1M", "$0.000000000021"),
    ]
    assert answer.context["rounding"] == "$0.000000000979"
    assert answer.context["exact_cost"] == "$0.000002502"
    assert [one.name for one in answer.context["charged"]] == ["team:search, monthly"]
    for said in ("500, x", "11</data> ms", "d-2", str(call_id)):
        assert said in text


def test_it_tells_of_a_refusal_what_stood_in_the_way(root):
    error = {"type": "budget_exceeded", "budget": "b-1", "spent": dollars("5"), "limit": 5}
    call_id = make_past_call(status="refused", record={"error": error, "http_status": 429})

    text = root.get(f"/logs/{call_id}/").content.decode()

    assert "budget_exceeded" in text
    assert '<dt>Spent then</dt><dd><data value="5.0">$5.00</data></dd>' in text
    assert "It was refused before anything was sent" in text
    assert root.get(f"/logs/{UUID(int=0)}/").status_code == 404


def test_it_leads_from_a_refusal_to_the_budget_that_had_no_room(root):
    tag = make_tag("team:<x>", limit="0.00005", duration="30d")
    public_id = tag.budget.public_id
    error = {
        "type": "budget_exceeded", "message": "spent 0.0000666, reserved 0.0",
        "budget": public_id, "payer": "tag:team:<x>", "spent": 66_600, "limit": 50_000,
    }  # fmt: skip
    record = {"error": error, "http_status": 429}
    call_id = make_past_call(tags=("team:<x>",), status="refused", record=record)

    text = root.get(f"/logs/{call_id}/").text

    assert '<dt>Spent then</dt><dd><data value="0.0000666">$0.00006660</data></dd>' in text
    assert f'<a href="/tags/{tag.pk}/">team:&lt;x&gt;, 30d</a>' in text
    assert f'href="/tags/{tag.pk}/raise/?budget={public_id}">Raise</a>' in text
    assert "reserved 0.0" not in text


def test_it_writes_a_file_of_what_is_shown_that_cannot_run(root, calls):
    make_past_call(tags=("env:prod",), model="=cmd()", cost=1, intent={"end_user": "@a"}, ago=HOUR)

    answer = root.get("/logs/export.csv?tag=env:prod&range=30d")

    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    text = b"".join(answer.streaming_content).decode()
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert (rows[0]["model"], rows[0]["end_user"]) == ("'=cmd()", "'@a")
    assert rows[0]["cost"] == "0.000000001"
    ids = found(root, "tag=env:prod&range=30d")[1]
    assert [row["id"] for row in rows] == list(map(str, ids))
    costs = SpendLog.objects.filter(id__in=ids).order_by("-id").values_list("cost", flat=True)
    assert [row["cost"] for row in rows] == [dollars_text(c, decimals_min=9) for c in costs]


def test_an_owner_sees_calls_with_own_tags_and_only_their_names(root, calls):
    owner = owner_of("team:search")

    answer, ids = found(owner, "range=30d")
    page = owner.get(f"/logs/{calls['search']}/").content.decode()
    file = b"".join(owner.get("/logs/export.csv?range=30d").streaming_content).decode()

    assert ids == [calls["search"]]
    for text in (answer.content.decode(), page, file):
        assert "team:search" in text
        assert "env:prod" not in text
    assert "+1 more" in page
    assert owner.get(f"/logs/{calls['stream']}/").status_code == 404
    assert found(owner, "tag=env:prod&range=30d")[1] == []
    assert found(owner, "untagged=on")[1] == []
    assert found(owner_of(), "range=30d")[1] == []


def test_a_viewer_sees_all_in_few_queries(calls):
    user = User.objects.create(username=unique("viewer"), is_staff=True)
    user.groups.set(Group.objects.filter(name="FinOps viewer"))
    viewer = client_of(user)

    rare = "/logs/?tag=env:prod&key=ci"  # looked for in an hour, in a day, in the whole
    for address, most in (("/logs/", 12), (rare, 15), (f"/logs/{calls['search']}/", 12)):
        with CaptureQueriesContext(connection) as context:
            viewer.get(address)
        reads = [one["sql"] for one in context.captured_queries if is_read(one["sql"])]
        assert len(reads) <= most, "\n".join(reads)


def is_read(query):
    """Not one that only says how long others may take."""
    says_how_long = "set_config('statement_timeout'" in query
    return not query.lower().startswith(("savepoint", "release")) and not says_how_long


@pytest.mark.parametrize(
    ("typed", "costs"),
    [("cost:>0.10", [2, 1]), ("cost:<1", [0]), ("cost:>0.5 cost:<$1.5 tag:a", [1])],
)
def test_costs_are_searched_for_in_words(root, typed, costs):
    for n in range(3):
        make_past_call(tags=("a",), cost=dollars(str(n)), ago=timedelta(minutes=5 - n))

    shown = root.get("/logs/", {"q": typed}).context["calls"]

    assert [one.call.cost for one in shown] == [dollars(str(n)) for n in costs]
    wrong = root.get("/logs/", {"q": "cost:>x"}).context["form"]
    assert "cost:>0.10 or cost:<2" in str(wrong.errors.as_data()["q"])
