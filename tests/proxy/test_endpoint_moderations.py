"""POST /moderations: free unless somebody gave it a price."""

import pytest

from tests.endpoint_answers import UNPRICED_SIDES, moderation
from tests.factories import make_model, make_tag

PICTURE = [{"type": "image_url", "image_url": {"url": "https://a.test/b.png"}}]


@pytest.fixture
def free(books):
    return make_model(**UNPRICED_SIDES)


@pytest.fixture
def model(books):
    return make_model(input="0.1", output=None)


def send(gateway, model, key, **members):
    body = {"model": model.model_name, "input": "Hello", **members}
    return gateway.call("POST", "/v1/moderations", key=key, body=body)


def test_it_works(gateway, upstream, books, key, free):
    upstream.reply(moderation())

    answer = send(gateway, free, key)

    assert answer.json()["results"][0]["flagged"] is False
    row = books.row(answer.id)
    assert (row.status, row.cost, row.usage, row.flags) == ("success", 0, {}, [])
    assert answer.headers["x-litellm-response-cost"] == "0.0"


def test_a_price_counts(gateway, upstream, books, key, model):
    upstream.reply(moderation(usage={"prompt_tokens": 500, "total_tokens": 500}))

    row = books.row(send(gateway, model, key).id)

    assert (row.usage_source, row.usage, row.cost) == ("upstream", {"input": 500}, 50_000)


def test_without_a_usage_its_text_is_counted(gateway, upstream, books, key, model):
    upstream.reply(moderation())

    row = books.row(send(gateway, model, key, input="x" * 4_000).id)

    assert row.usage_source == "counted"
    assert 1_000 <= row.prompt_tokens <= 1_050
    assert row.cost == row.prompt_tokens * 100


def test_a_budget_that_is_used_up_refuses_it_all_the_same(gateway, upstream, key, free):
    answer = send(gateway, free, key, tags=[make_tag(limit="0").name])

    assert (answer.status, answer.error["type"]) == (400, "budget_exceeded")


def test_pictures_have_a_bound_only_where_they_are_free(gateway, upstream, key, free, model):
    tag = make_tag(limit="1", mode="strict")
    upstream.reply(moderation())

    assert send(gateway, free, key, input=PICTURE, tags=[tag.name]).status == 200
    answer = send(gateway, model, key, input=PICTURE, tags=[tag.name])
    assert (answer.status, answer.error["type"]) == (400, "cost_not_bounded")
    assert answer.error["param"] == "input"
