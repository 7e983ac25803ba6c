"""POST /rerank: by searches or by tokens."""

from decimal import Decimal

import pytest

from tests.endpoint_answers import UNPRICED_SIDES, reranked
from tests.factories import make_model, make_tag
from tests.fakes import Gate, Reply

PRICES = {"input_cost_per_query": Decimal("0.002")}


@pytest.fixture
def model(books):
    return make_model(prices=PRICES, **UNPRICED_SIDES)


@pytest.fixture
def token_model(books):
    return make_model(input="0.05", output=None)


def send(gateway, model, key, **members):
    return start(gateway, model, key, **members).answer()


def start(gateway, model, key, **members):
    body = {"model": model.model_name, "query": "Hello", "documents": ["a", "b"], **members}
    return gateway.start("POST", "/v1/rerank", key=key, body=body)


TOLD = {
    "searches": {"meta": {"billed_units": {"search_units": 3}}},
    "tokens": {"meta": {"tokens": {"input_tokens": 400, "output_tokens": 0}}},
    "a total": {"usage": {"total_tokens": 400}},
    "both": {"meta": {"billed_units": {"search_units": 3}}, "usage": {"total_tokens": 400}},
}


@pytest.mark.parametrize(
    ("told", "source", "searches"),
    [
        ("searches", "upstream", 3),
        ("both", "upstream", 3),
        ("tokens", "counted", 1),
        ("a total", "counted", 1),
    ],
)
def test_searches_are_billed_where_they_have_a_price(
    gateway, upstream, books, key, model, told, source, searches
):
    upstream.reply(reranked(**TOLD[told]))

    row = books.row(send(gateway, model, key).id)

    assert (row.usage_source, row.usage) == (source, {"searches": searches})
    assert row.cost == searches * 2_000_000


@pytest.mark.parametrize("told", ["tokens", "a total", "both"])
def test_tokens_are_where_searches_have_none(gateway, upstream, books, key, token_model, told):
    upstream.reply(reranked(**TOLD[told]))

    row = books.row(send(gateway, token_model, key).id)

    assert (row.usage_source, row.usage, row.cost) == ("upstream", {"input": 400}, 400 * 50)


@pytest.mark.parametrize("meta", [{}, [], {"billed_units": {"search_units": -1}}, {"tokens": 5}])
def test_what_is_not_told_is_counted(gateway, upstream, books, key, model, token_model, meta):
    upstream.reply(reranked(meta))

    by_searches = books.row(send(gateway, model, key, documents=["a"] * 250).id)
    by_tokens = books.row(send(gateway, token_model, key).id)

    assert (by_searches.usage_source, by_searches.usage) == ("counted", {"searches": 3})
    assert by_tokens.usage_source == "counted"
    assert by_tokens.cost > 0


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"query": None}, "query"),
        ({"query": ["a"]}, "query"),
        ({"documents": None}, "documents"),
        ({"documents": []}, "documents"),
        ({"documents": "a"}, "documents"),
    ],
    ids=str,
)
def test_it_wants_a_query_and_documents(gateway, upstream, key, model, members, param):
    answer = send(gateway, model, key, **members)

    assert (answer.status, answer.error["type"]) == (400, "invalid_parameter")
    assert answer.error["param"] == param
    assert upstream.asked == []


# -- strict budgets ------------------------------------------------------------------------------


def held(gateway, upstream, books, key, model, **members):
    tag, gate = make_tag(limit="1000", mode="strict"), Gate()
    reply = reranked(**TOLD["both"])
    upstream.reply(Reply(200, reply.headers, reply.steps, before=[gate]))
    call = start(gateway, model, key, tags=[tag.name], **members)
    gate.wait_until_reached()
    amount = books.reserved(tag)
    gate.open()
    assert call.answer().status == 200
    return amount


@pytest.mark.parametrize(
    ("documents", "searches"),
    [(["a"] * 100, 1), (["a"] * 101, 2), (["x" * 2_000] * 50, 3), ([{"text": "a"}] * 2, 1)],
    ids=["a hundred", "one more", "long ones", "objects"],
)
def test_a_bound_counts_the_pieces_of_documents(
    gateway, upstream, books, key, model, documents, searches
):
    found = held(gateway, upstream, books, key, model, documents=documents)

    assert found == searches * 2_000_000


def test_a_bound_reads_the_query_with_every_document(gateway, upstream, books, key, token_model):
    amount = held(
        gateway, upstream, books, key, token_model, query="x" * 998, documents=["a"] * 100
    )

    assert amount >= 100 * 1_000 * 50


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"documents": ["a", {"image": "https://a.test/b.png"}]}, "documents[1]"),
        ({"documents": [{"text": 5}]}, "documents[0]"),
        ({"query": "x" * 300}, "query"),
    ],
    ids=str,
)
def test_what_has_no_bound_is_refused(gateway, upstream, key, model, members, param):
    answer = send(gateway, model, key, tags=[make_tag(limit="9", mode="strict").name], **members)

    assert (answer.status, answer.error["type"]) == (400, "cost_not_bounded")
    assert answer.error["param"] == param
