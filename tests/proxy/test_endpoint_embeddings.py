"""POST /embeddings: only what goes in is billed."""

import pytest

from tests.endpoint_answers import embedding
from tests.factories import make_model, make_tag


@pytest.fixture
def model(books):
    return make_model(input="2.5", output=None)


def send(gateway, model, key, **members):
    body = {"model": model.model_name, "input": "Hello", **members}
    return gateway.call("POST", "/v1/embeddings", key=key, body=body)


@pytest.mark.parametrize(
    ("usage", "tokens", "source"),
    [
        ({"prompt_tokens": 8, "total_tokens": 8}, 8, "upstream"),
        ({"prompt_tokens": 8, "total_tokens": 9}, 8, "upstream"),
        ({"total_tokens": 8}, 8, "upstream"),
        ({"prompt_tokens": 8, "completion_tokens": 5}, 8, "upstream"),
        ({"prompt_tokens": 0}, 13, "counted"),
        ({"prompt_tokens": "8"}, 13, "counted"),
        ({"prompt_tokens": -8}, 13, "counted"),
    ],
    ids=str,
)
def test_which_usage_counts(gateway, upstream, books, key, usage, tokens, source):
    upstream.reply(embedding(usage))
    name = "embed-" + "x" * 14
    model = make_model(input="2.5", output=None, upstream_model=name)

    answer = send(gateway, model, key, input="H" * (53 - 26 - len(model.model_name)))

    row = books.row(answer.id)
    assert (row.status, row.usage_source) == ("success", source)
    assert (row.usage, row.cost) == ({"input": tokens}, tokens * 2_500)


@pytest.mark.parametrize("given", ["a", ["a", "b"], [1, 2], [[1], [2, 3]]], ids=str)
def test_texts_and_tokens_have_a_bound(gateway, upstream, books, key, model, given):
    upstream.reply(embedding())
    tag = make_tag(limit="1", mode="strict")

    answer = send(gateway, model, key, input=given, tags=[tag.name])

    assert answer.status == 200
    assert upstream.last.body["input"] == given
    gateway.rest()
    assert books.spent(tag) == 30_000


@pytest.mark.parametrize("given", [[{"image": "https://a.test/b.png"}], {"text": "a"}, [1, "a"], 5])
def test_what_has_no_bound_is_refused_on_strict_budgets(gateway, upstream, key, model, given):
    tag = make_tag(limit="1", mode="strict")

    answer = send(gateway, model, key, input=given, tags=[tag.name])

    assert (answer.status, answer.error["type"]) == (400, "cost_not_bounded")
    assert answer.error["param"] == "input"


def test_no_limit_of_the_output_is_sent(gateway, upstream, key, model):
    upstream.reply(embedding())

    send(gateway, model, key, tags=[make_tag(limit="1", mode="strict").name])

    assert not [name for name in upstream.last.body if name.startswith("max_")]
