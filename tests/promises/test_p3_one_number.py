"""P3, one number: API, headers, error, log and the check itself read the same rows."""

import json
from decimal import Decimal

import pytest
from django.conf import settings as django_settings
from django.db.models import Sum
from django.test import Client

from spend.models import Rollup, SpendLog
from tests.factories import make_model, make_tag
from tests.fakes import plain, streamed, usage_chunk

NANOS = Decimal(10**9)


@pytest.fixture
def api(books):
    """The management API, its numbers as exact decimals."""
    headers = {"authorization": f"Bearer {django_settings.MASTER_KEY}"}

    def ask(method, path, body=None):
        options = {"content_type": "application/json"} if body is not None else {}
        answer = getattr(Client(), method)(path, body, headers=headers, **options)
        assert answer.status_code == 200, answer.content
        return json.loads(answer.content, parse_float=Decimal)

    return ask


def test_it_is_everywhere_the_same(gateway, upstream, books, api, key):
    model = make_model(input="0.000333", output="1.000777")  # odd prices, rounded up each time
    tag = make_tag(limit="0.0001", duration="30d")
    ids = []
    for n in range(9):
        stream = n % 3 == 0
        usage = {"prompt_tokens": 1_000 + n, "completion_tokens": 7 * n + 1}
        upstream.reply(
            streamed(usage_chunk(usage), b"data: [DONE]\n\n") if stream else plain(usage)
        )
        answer = gateway.chat(model, key=key, tags=[tag, "other"], stream=stream)
        gateway.rest()
        ids.append(answer.id)
    # A budget that is spent names the number with which it refuses.
    expensive = make_model(input="0", output="1000")
    upstream.reply(plain({"prompt_tokens": 1, "completion_tokens": 100}))
    last = gateway.chat(expensive, key=key, tags=[tag])
    gateway.rest()
    refusal = gateway.chat(model, key=key, tags=[tag])
    gateway.rest()

    window = books.window(tag)
    spent = Decimal(window.spent) / NANOS

    rows = SpendLog.objects.filter(tag_set__tags__contains=[tag.name])
    assert rows.count() == 11
    assert rows.aggregate(total=Sum("cost"))["total"] == window.spent
    assert sum(books.row(call_id).cost for call_id in [*ids, last.id]) == window.spent
    rolled = Rollup.objects.filter(span="day", tag_set__tags__contains=[tag.name])
    assert rolled.aggregate(total=Sum("cost"))["total"] == window.spent

    info = api("post", "/tag/info", {"names": [tag.name]})[tag.name]
    assert (info["spend"], info["total_spend"], info["reserved"]) == (spent, spent, 0)
    (total,) = [
        found for found in api("get", "/spend/tags") if found["individual_request_tag"] == tag.name
    ]
    assert total["total_spend"] == spent
    logged = api("get", f"/spend/logs?tag={tag.name}&page_size=100")
    assert sum(row["spend"] for row in logged) == spent

    assert Decimal(last.headers["x-tollgate-budget-spent"]) == spent
    assert Decimal(refusal.headers["x-tollgate-budget-spent"]) == spent
    assert refusal.status == 400
    body = json.loads(refusal.body, parse_float=Decimal)
    assert body["budget"]["spent"] == spent
    assert f"Current cost: {spent}" in body["error"]["message"]
    assert books.row(refusal.id).cost == 0


def test_a_settled_call_raises_it_by_its_cost(gateway, upstream, books, api, key, model):
    tag = make_tag(limit="1")
    for _ in range(3):
        before = books.spent(tag)
        answer = gateway.chat(model, key=key, tags=[tag])
        gateway.rest()

        assert books.spent(tag) - before == books.row(answer.id).cost
        spend = api("post", "/tag/info", {"names": [tag.name]})[tag.name]["spend"]
        assert spend == Decimal(books.spent(tag)) / NANOS


def test_the_check_reads_it_too(gateway, upstream, books, key, model):
    """To the nano-dollar: with one left a call is served, with none it is not."""
    tag = make_tag(limit="0.000210001")

    statuses = []
    for _ in range(3):
        statuses.append(gateway.chat(model, key=key, tags=[tag]).status)
        gateway.rest()

    assert statuses == [200, 200, 400]
    assert books.spent(tag) == 420_000
