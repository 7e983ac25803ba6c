"""Metering: which usage counts, and what is billed when there is none."""

import pytest

from proxy.upstreams.contract import Broken
from spend.models import Price
from tests.factories import make_model
from tests.fakes import DONE, USAGE, chunk, json_reply, plain, streamed, usage_chunk

BILLED_BY_COUNT = [
    None,
    {},
    "lots",
    7,
    [],
    {"prompt_tokens": -1, "completion_tokens": 18},
    {"prompt_tokens": 0, "completion_tokens": 18},
    {"prompt_tokens": 10**30, "completion_tokens": 18},
    {"prompt_tokens": 1.5, "completion_tokens": 18},
    {"prompt_tokens": "12", "completion_tokens": "18"},
    {"prompt_tokens": True, "completion_tokens": 18},
    {"prompt_tokens": 12},
    {"prompt_tokens": 12, "completion_tokens": None},
    {"prompt_tokens": 12, "completion_tokens": 18, "prompt_tokens_details": {"cached_tokens": 13}},
]


@pytest.mark.parametrize("usage", BILLED_BY_COUNT, ids=str)
def test_a_usage_that_cannot_be_used_is_counted(gateway, upstream, books, key, model, usage):
    upstream.reply(plain(usage))

    answer = gateway.chat(model, key=key)

    assert answer.status == 200
    row = books.row(answer.id)
    assert (row.status, row.usage_source) == ("success", "counted")
    assert row.cost > 0
    assert answer.headers["x-litellm-response-cost"] == f"{row.cost / 10**9:.9f}".rstrip("0")


@pytest.mark.parametrize("usage", BILLED_BY_COUNT[1:], ids=str)
@pytest.mark.parametrize("asked", [False, True])
def test_neither_is_one_in_a_stream(gateway, upstream, books, key, model, usage, asked):
    upstream.reply(
        streamed(chunk(), chunk("Hello"), chunk(finish="stop"), usage_chunk(usage), DONE)
    )
    options = {"stream_options": {"include_usage": True}} if asked else {}

    answer = gateway.chat(model, key=key, stream=True, **options)

    assert answer.status == 200
    assert answer.events[-1] == "[DONE]"
    assert len(answer.events) == (5 if asked else 4)
    row = books.row(answer.id)
    assert (row.status, row.usage_source) == ("success", "counted")
    assert row.cost > 0


def test_what_was_told_counts_if_it_is_more_than_we_count(gateway, upstream, books, key, model):
    upstream.reply(plain({"prompt_tokens": 0, "completion_tokens": 5_000}))

    row = books.row(gateway.chat(model, key=key).id)

    assert (row.usage_source, row.completion_tokens) == ("counted", 5_000)


def test_without_usage_what_was_delivered_is_counted(gateway, upstream, books, key, model):
    upstream.reply(streamed(chunk(), *[chunk("word ")] * 50, chunk(finish="stop"), DONE))

    row = books.row(gateway.chat(model, key=key, stream=True).id)

    assert (row.status, row.usage_source) == ("success", "counted")
    assert 50 <= row.completion_tokens <= 100
    assert row.prompt_tokens >= 15


def test_the_last_complete_usage_wins(gateway, upstream, books, key, model):
    more = {"prompt_tokens": 12, "completion_tokens": 20, "total_tokens": 32}
    upstream.reply(
        streamed(
            chunk(), chunk("a", usage=USAGE), chunk(finish="stop"), usage_chunk(more),
            usage_chunk({"prompt_tokens": -1}), DONE,
        )
    )  # fmt: skip

    row = books.row(gateway.chat(model, key=key, stream=True).id)

    assert (row.usage_source, row.completion_tokens, row.cost) == ("upstream", 20, 230_000)


def test_a_usage_on_the_way_is_not_the_end(gateway, upstream, books, key, model):
    """Some providers tell the sum so far with every chunk."""
    so_far = [{"prompt_tokens": 12, "completion_tokens": n} for n in (1, 2, 300)]
    upstream.reply(streamed(*[chunk("a", usage=usage) for usage in so_far], Broken("cut")))

    answer = gateway.chat(model, key=key, stream=True)

    assert answer.events[-1]["error"]["code"] == "502"
    row = books.row(answer.id)
    assert (row.status, row.completion_tokens) == ("estimated", 300)


def test_parts_have_their_own_prices(gateway, upstream, books, key):
    from decimal import Decimal

    model = make_model(
        input="2",
        output="8",
        prices={
            "cache_read_input_token_cost": Decimal("0.0000005"),
            "output_cost_per_reasoning_token": Decimal("0.000009"),
        },
    )
    upstream.reply(
        plain(
            {
                "prompt_tokens": 1_000,
                "completion_tokens": 100,
                "prompt_tokens_details": {"cached_tokens": 400},
                "completion_tokens_details": {"reasoning_tokens": 60},
            }
        )
    )

    row = books.row(gateway.chat(model, key=key).id)

    assert row.cost == 600 * 2_000 + 400 * 500 + 40 * 8_000 + 60 * 9_000
    assert row.usage == {"input": 600, "cached_input": 400, "output": 40, "reasoning": 60}
    assert row.price_id == Price.objects.get(deployment_id=model.id).id


def test_an_error_with_a_usage_is_billed(gateway, upstream, books, key, model):
    upstream.reply(json_reply({"error": {"message": "filtered"}, "usage": USAGE}, status=400))

    answer = gateway.chat(model, key=key)

    assert answer.status == 400
    row = books.row(answer.id)
    assert (row.cost, row.usage_source, row.http_status) == (210_000, "upstream", 400)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("given", ["same", "", None, "None", 7])
def test_equal_or_missing_upstream_ids_merge_nothing(
    gateway, upstream, books, key, model, given, stream
):
    upstream.reply(
        streamed(chunk("a", id=given), chunk(finish="stop", id=given), usage_chunk(id=given), DONE)
        if stream
        else plain(id=given)
    )

    answers = [gateway.chat(model, key=key, stream=stream) for _ in range(5)]

    rows = [books.row(answer.id) for answer in answers]
    assert len({row.id for row in rows}) == 5
    assert {row.upstream_request_id for row in rows} == {
        given if isinstance(given, str) and given else None
    }
    assert books.spent(key) == 5 * 210_000


def test_what_served_the_call_is_kept(gateway, upstream, books, key, model):
    row = books.row(gateway.chat(model, key=key).id)

    assert (row.model, row.upstream_model, row.deployment_id) == (
        model.model_name, "fake-1", model.id,
    )  # fmt: skip
    assert (row.upstream_request_id, row.provider) == ("chatcmpl-fake", "openai")
    assert row.attempts == [{"model_id": str(model.id), "status": 200, "ms": row.attempts[0]["ms"]}]


def test_a_model_without_a_price_is_refused(gateway, upstream, books, key):
    model = make_model(input=None, output=None)

    answer = gateway.chat(model, key=key)

    assert (answer.status, answer.error["type"]) == (400, "model_not_priced")
    assert answer.error["param"] == "model"
    assert not books.has_trace(answer.id)
    assert upstream.asked == []


def test_a_model_without_a_price_may_be_allowed(gateway, books, key, settings):
    settings.UNPRICED_MODELS = "allow"
    model = make_model(input=None, output=None)

    row = books.row(gateway.chat(model, key=key).id)

    assert (row.status, row.cost, row.flags) == ("success", 0, ["unpriced"])


def test_a_price_of_zero_is_a_price(gateway, books, key):
    row = books.row(gateway.chat(make_model(input="0", output="0"), key=key).id)

    assert (row.status, row.cost, row.flags) == ("success", 0, [])


def test_a_price_is_rounded_up_once_a_call(gateway, upstream, books, key):
    model = make_model(input="0.0001", output="0.0001")  # a tenth of a nano-dollar a token
    upstream.reply(plain({"prompt_tokens": 1, "completion_tokens": 10}))

    row = books.row(gateway.chat(model, key=key).id)

    assert row.cost == 2
