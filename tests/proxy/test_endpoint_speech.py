"""POST /audio/speech: bytes come back, and characters are billed."""

from decimal import Decimal

import pytest

from proxy.upstreams.contract import Broken
from tests.endpoint_answers import UNPRICED_SIDES, event_stream, sound, typed
from tests.factories import make_model, make_tag
from tests.fakes import Reply

PRICES = {"input_cost_per_character": Decimal("0.000015")}
TOKEN_PRICES = {"output_cost_per_audio_token": Decimal("0.000012")}
DELTA = {"type": "speech.audio.delta", "audio": "aGk="}
DONE = {
    "type": "speech.audio.done",
    "usage": {"input_tokens": 5, "output_tokens": 40, "total_tokens": 45},
}


@pytest.fixture
def model(books):
    return make_model(prices=PRICES, **UNPRICED_SIDES)


@pytest.fixture
def token_model(books):
    return make_model(input="0.6", output=None, prices=TOKEN_PRICES)


def send(gateway, model, key, **members):
    body = {"model": model.model_name, "input": "Hello", "voice": "alloy", **members}
    return gateway.call("POST", "/v1/audio/speech", key=key, body=body)


def test_it_works(gateway, upstream, books, key, model):
    upstream.reply(sound())

    answer = send(gateway, model, key)

    assert answer.body == b"".join(sound().steps)
    assert answer.headers["content-type"] == "audio/mpeg"
    assert upstream.last.headers["accept"] == "*/*"
    row = books.row(answer.id)
    assert (row.status, row.usage, row.cost) == ("success", {"characters": 5}, 75_000)
    assert row.usage_source == "counted"


def test_characters_are_counted_and_not_bytes(gateway, upstream, books, key, model):
    upstream.reply(sound())

    row = books.row(send(gateway, model, key, input="Grüße 🙂").id)

    assert row.usage == {"characters": 7}


def test_it_works_in_events(gateway, upstream, books, key, token_model):
    events = typed(DELTA, DELTA, DONE)
    upstream.reply(event_stream(*events))

    answer = send(gateway, token_model, key, stream_format="sse")

    assert answer.body == b"".join(events)
    assert upstream.last.headers["accept"] == "text/event-stream"
    row = books.row(answer.id)
    assert (row.stream, row.usage_source) == (True, "upstream")
    assert (row.usage, row.cost) == ({"input": 5, "audio_output": 40}, 5 * 600 + 40 * 12_000)


def test_events_are_billed_by_characters_where_those_have_a_price(
    gateway, upstream, books, key, model
):
    upstream.reply(event_stream(*typed(DELTA, DONE)))

    row = books.row(send(gateway, model, key, stream_format="sse").id)

    assert (row.usage, row.cost) == ({"characters": 5}, 75_000)


def test_tokens_that_are_not_told_are_counted(gateway, upstream, books, key, token_model):
    upstream.reply(sound())

    row = books.row(send(gateway, token_model, key, input="x" * 1_000).id)

    assert (row.status, row.usage_source) == ("success", "counted")
    assert row.usage["audio_output"] == 2_000
    assert row.cost >= 2_000 * 12_000


@pytest.mark.parametrize(
    "reply",
    [
        Reply(200, {"content-type": "audio/mpeg"}, [b"\xff\xfb", Broken("cut")]),
        Reply(200, {"content-type": "audio/mpeg"}, []),
    ],
    ids=["cut", "empty"],
)
def test_sound_that_breaks_off_costs_what_was_held(gateway, upstream, books, key, model, reply):
    upstream.reply(reply)

    answer = send(gateway, model, key)

    assert (answer.status, answer.error["type"]) == (502, "upstream_error")
    row = books.row(answer.id)
    assert (row.status, row.usage_source, row.cost) == ("estimated", "estimate", 75_000)


def test_events_that_are_cut_are_told(gateway, upstream, books, key, model):
    upstream.reply(event_stream(*typed(DELTA)))

    answer = send(gateway, model, key, stream_format="sse")

    assert b'"code":"502"' in answer.body
    row = books.row(answer.id)
    assert (row.status, row.cost) == ("estimated", 75_000)


@pytest.mark.parametrize("text", [None, 5, ["a"], {"text": "a"}])
def test_its_text_is_a_text(gateway, upstream, key, model, text):
    answer = send(gateway, model, key, input=text)

    assert (answer.status, answer.error["param"]) == (400, "input")
    assert upstream.asked == []


def test_the_form_of_its_stream_is_a_text(gateway, upstream, key, model):
    assert send(gateway, model, key, stream_format=5).error["param"] == "stream_format"


def test_characters_have_a_bound_and_tokens_have_none(gateway, upstream, key, model, token_model):
    tag = make_tag(limit="1", mode="strict")
    upstream.reply(sound())

    assert send(gateway, model, key, tags=[tag.name]).status == 200
    answer = send(gateway, token_model, key, tags=[tag.name])
    assert (answer.status, answer.error["type"]) == (400, "cost_not_bounded")
    assert answer.error["param"] == "input"
