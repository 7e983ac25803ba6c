"""POST /images/generations: by tokens, or by images of a size and a quality."""

import json
from decimal import Decimal

import pytest

from tests.endpoint_answers import UNPRICED_SIDES, event_stream, images, typed
from tests.factories import make_model, make_tag
from tests.fakes import Gate, Reply

PRICES = {
    "image_prices": {
        "1024x1024/standard": Decimal("0.04"),
        "1024x1024/hd": Decimal("0.08"),
        "1792x1024/hd": Decimal("0.12"),
    }
}
USAGE = {
    "input_tokens": 50,
    "input_tokens_details": {"text_tokens": 50, "image_tokens": 0},
    "output_tokens": 1_056,
    "total_tokens": 1_106,
}
TOKEN_PRICES = {"output_cost_per_image_token": Decimal("0.00004")}
TOKEN_COST = 50 * 5_000 + 1_056 * 40_000


@pytest.fixture
def model(books):
    return make_model(prices=PRICES, **UNPRICED_SIDES)


@pytest.fixture
def token_model(books):
    return make_model(input="5", output=None, prices=TOKEN_PRICES)


def send(gateway, model, key, **members):
    return start(gateway, model, key, **members).answer()


def start(gateway, model, key, **members):
    body = {"model": model.model_name, "prompt": "A cat", **members}
    return gateway.start("POST", "/v1/images/generations", key=key, body=body)


@pytest.mark.parametrize(
    ("asked", "answered", "count", "cost"),
    [
        ({"size": "1024x1024", "quality": "hd"}, {}, 1, 80_000_000),
        ({"size": "1024x1024", "quality": "hd", "n": 3}, {}, 3, 240_000_000),
        ({"size": "1024x1024", "quality": "hd", "n": 3}, {}, 2, 160_000_000),
        ({"size": "1792x1024", "quality": "hd"}, {}, 1, 120_000_000),
        ({}, {}, 1, 40_000_000),
        ({"size": "auto", "quality": "auto"}, {}, 1, 40_000_000),
        ({"size": "auto"}, {"size": "1792x1024", "quality": "hd"}, 1, 120_000_000),
        ({"size": "1024x1024"}, {"quality": "hd"}, 1, 80_000_000),
        ({"size": "7x7"}, {}, 1, 120_000_000),  # without a price of its own: the dearest
        ({"size": 7, "quality": []}, {}, 1, 40_000_000),
    ],
    ids=str,
)
def test_images_are_billed_by_size_and_quality(
    gateway, upstream, books, key, model, asked, answered, count, cost
):
    upstream.reply(images(count, **answered))

    row = books.row(send(gateway, model, key, **asked).id)

    assert (row.status, row.usage_source, row.cost) == ("success", "upstream", cost)
    assert sum(row.usage["images"].values()) == count


def test_tokens_are_billed_where_they_have_a_price(gateway, upstream, books, key, token_model):
    upstream.reply(images(usage=USAGE))

    row = books.row(send(gateway, token_model, key).id)

    assert (row.usage, row.cost) == ({"input": 50, "image_output": 1_056}, TOKEN_COST)


def test_images_are_where_tokens_have_none(gateway, upstream, books, key, model):
    upstream.reply(images(usage=USAGE))

    row = books.row(send(gateway, model, key, size="1024x1024", quality="hd").id)

    assert (row.usage, row.cost) == ({"images": {"1024x1024/hd": 1}}, 80_000_000)


def test_text_that_comes_with_an_image_has_its_own_price(gateway, upstream, books, key):
    model = make_model(input="5", output="10", prices=TOKEN_PRICES)
    details = {"text_tokens": 56, "image_tokens": 1_000}
    upstream.reply(images(usage={**USAGE, "output_tokens_details": details}))

    row = books.row(send(gateway, model, key).id)

    assert row.cost == 50 * 5_000 + 56 * 10_000 + 1_000 * 40_000


def test_an_answer_without_images_or_a_usage_is_counted(gateway, upstream, books, key, token_model):
    upstream.reply(images(0))

    row = books.row(send(gateway, token_model, key).id)

    assert (row.status, row.usage_source) == ("success", "counted")


# -- streams -------------------------------------------------------------------------------------

PARTIAL = {"type": "image_generation.partial_image", "b64_json": "aGk=", "partial_image_index": 0}
COMPLETED = {"type": "image_generation.completed", "b64_json": "aGVsbG8=", "usage": USAGE}


@pytest.mark.parametrize("count", [1, 2])
def test_it_works_in_a_stream(gateway, upstream, books, key, token_model, count):
    events = typed(PARTIAL, *[COMPLETED] * count)
    upstream.reply(event_stream(*events))

    answer = send(gateway, token_model, key, stream=True, n=count)

    assert answer.body == b"".join(events)
    row = books.row(answer.id)
    assert (row.status, row.usage_source, row.cost) == ("success", "upstream", count * TOKEN_COST)


def test_a_stream_may_be_billed_by_images(gateway, upstream, books, key, model):
    made = {"type": "image_generation.completed", "b64_json": "aGk=", "size": "1792x1024"}
    upstream.reply(event_stream(*typed({**made, "quality": "hd"})))

    row = books.row(send(gateway, model, key, stream=True).id)

    assert (row.status, row.cost) == ("success", 120_000_000)


def test_a_stream_that_is_cut_costs_what_was_held(gateway, upstream, books, key, model):
    upstream.reply(event_stream(*typed(PARTIAL)))

    answer = send(gateway, model, key, stream=True)

    last = json.loads(answer.body.decode().split("data: ")[-1])
    assert last["error"]["code"] == "502"
    row = books.row(answer.id)
    assert (row.status, row.usage_source, row.cost) == ("estimated", "estimate", 120_000_000)


def test_a_large_image_fits_into_an_event(gateway, upstream, books, key, token_model):
    upstream.reply(event_stream(*typed({**COMPLETED, "b64_json": "A" * 3_000_000})))

    row = books.row(send(gateway, token_model, key, stream=True).id)

    assert (row.status, row.cost) == ("success", TOKEN_COST)


# -- strict budgets ------------------------------------------------------------------------------


def held(gateway, upstream, books, key, model, **members):
    tag, gate, reply = make_tag(limit="1000", mode="strict"), Gate(), images()
    upstream.reply(Reply(200, reply.headers, reply.steps, before=[gate]))
    call = start(gateway, model, key, tags=[tag.name], **members)
    gate.wait_until_reached()
    amount = books.reserved(tag)
    gate.open()
    assert call.answer().status == 200
    return amount


@pytest.mark.parametrize(
    ("asked", "cost"),
    [
        ({"size": "1024x1024", "quality": "hd"}, 80_000_000),
        ({"size": "1024x1024", "quality": "standard", "n": 2}, 80_000_000),
        ({}, 120_000_000),  # left open: the dearest
        ({"size": "1024x1024", "quality": "auto"}, 120_000_000),
    ],
    ids=str,
)
def test_a_bound_is_the_dearest_that_may_come(gateway, upstream, books, key, model, asked, cost):
    assert held(gateway, upstream, books, key, model, **asked) == cost


def test_a_bound_of_tokens_is_what_the_model_may_make(gateway, upstream, books, key):
    model = make_model(input="0", output="40", output_tokens_max=5_000)

    assert held(gateway, upstream, books, key, model, n=2) == 2 * 5_000 * 40_000


def test_tokens_without_an_end_have_no_bound(gateway, upstream, key, token_model):
    answer = send(gateway, token_model, key, tags=[make_tag(limit="100", mode="strict").name])

    assert (answer.status, answer.error["type"]) == (400, "cost_not_bounded")
    assert answer.error["param"] == "model"
    assert upstream.asked == []
