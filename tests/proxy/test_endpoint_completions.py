"""POST /completions: prompts, streams, and what n and best_of multiply."""

import json

import pytest

from tests.endpoint_answers import completion, event_stream
from tests.factories import make_model, make_tag
from tests.fakes import DONE, Gate, Reply

USAGE = {"prompt_tokens": 12, "completion_tokens": 18, "total_tokens": 30}


def send(gateway, model, key, **members):
    return start(gateway, model, key, **members).answer()


def start(gateway, model, key, **members):
    body = {"model": model.model_name, "prompt": "Hello", **members}
    return gateway.start("POST", "/v1/completions", key=key, body=body)


def text(piece, finish=None, **members):
    choice = {"index": 0, "text": piece, "finish_reason": finish, "logprobs": None}
    body = {"id": "cmpl-fake", "object": "text_completion", "model": "fake-1", "choices": [choice]}
    return b"data: " + json.dumps({**body, **members}).encode() + b"\n\n"


def usage(**members):
    body = {"id": "cmpl-fake", "object": "text_completion", "choices": [], "usage": USAGE}
    return b"data: " + json.dumps({**body, **members}).encode() + b"\n\n"


STREAM = (text("Hel"), text("lo"), text("", "stop"), usage(), DONE)


def held(gateway, upstream, books, key, model, *, mode, **members):
    """What a call holds while it is at the upstream."""
    tag, gate, reply = make_tag(limit="1000", mode=mode), Gate(), completion()
    upstream.reply(Reply(200, reply.headers, reply.steps, before=[gate]))
    call = start(gateway, model, key, tags=[tag.name], **members)
    gate.wait_until_reached()
    amount = books.reserved(tag)
    gate.open()
    assert call.answer().status == 200
    return amount


def test_it_works_in_a_stream(gateway, upstream, books, key, model):
    upstream.reply(event_stream(*STREAM))

    answer = send(gateway, model, key, stream=True)

    assert upstream.last.body["stream_options"] == {"include_usage": True}
    assert answer.body == b"".join([*STREAM[:3], DONE])  # the usage was not asked for
    row = books.row(answer.id)
    assert (row.status, row.stream, row.cost) == ("success", True, 210_000)


def test_a_stream_tells_its_cost_to_who_asks(gateway, upstream, books, key, model):
    upstream.reply(event_stream(*STREAM))

    answer = send(gateway, model, key, stream=True, stream_options={"include_usage": True})

    assert answer.events[-2]["usage"] == {**USAGE, "cost": 0.00021}


def test_a_stream_without_a_usage_is_counted(gateway, upstream, books, key, model):
    upstream.reply(event_stream(*[text("word ")] * 50, text("", "stop"), DONE))

    row = books.row(send(gateway, model, key, stream=True).id)

    assert (row.status, row.usage_source) == ("success", "counted")
    assert 50 <= row.completion_tokens <= 70


def test_a_stream_is_whole_when_every_prompt_has_its_answer(gateway, upstream, books, key, model):
    upstream.reply(event_stream(text("Hello"), text("", "stop")))

    answer = send(gateway, model, key, stream=True, prompt=["a", "b"])

    assert answer.events[-1]["error"]["code"] == "502"
    assert books.row(answer.id).status == "estimated"


def test_an_answer_without_a_usage_is_counted(gateway, upstream, books, key, model):
    upstream.reply(completion(usage={"prompt_tokens": 0}))

    row = books.row(send(gateway, model, key).id)

    assert (row.status, row.usage_source) == ("success", "counted")
    assert row.prompt_tokens >= 10
    assert row.completion_tokens == 2  # eight bytes with their quotes


@pytest.mark.parametrize(
    ("members", "answers"),
    [
        ({}, 1),
        ({"n": 3}, 3),
        ({"best_of": 4}, 4),
        ({"n": 2, "best_of": 5}, 5),
        ({"prompt": ["a", "b", "c"]}, 3),
        ({"prompt": ["a", "b"], "n": 2}, 4),
        ({"prompt": [1, 2, 3]}, 1),
        ({"prompt": [[1, 2], [3]]}, 2),
    ],
    ids=str,
)
@pytest.mark.parametrize("mode", ["standard", "strict"])
def test_answers_multiply_what_is_held(gateway, upstream, books, key, mode, members, answers):
    """Nothing but the output has a price here, so that the amounts are plain."""
    model = make_model(input="0", output="10")

    amount = held(gateway, upstream, books, key, model, mode=mode, max_tokens=100, **members)

    assert amount == answers * 100 * 10_000


@pytest.mark.parametrize("best_of", [0, "2", True, 1_001])
def test_best_of_is_a_number(gateway, upstream, key, model, best_of):
    answer = send(gateway, model, key, best_of=best_of)

    assert (answer.status, answer.error["param"]) == (400, "best_of")
    assert upstream.asked == []


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"prompt": {"id": "stored"}}, "prompt"),
        ({"prompt": ["a", 5]}, "prompt"),
        ({"prompt": [["a"]]}, "prompt"),
        ({"service_tier": "priority"}, "service_tier"),
        ({"models": ["another"]}, "models"),
    ],
    ids=str,
)
def test_what_has_no_bound_is_refused_on_strict_budgets(
    gateway, upstream, key, model, members, param
):
    tag = make_tag(limit="100", mode="strict")

    answer = send(gateway, model, key, tags=[tag.name], **members)

    assert (answer.status, answer.error["type"]) == (400, "cost_not_bounded")
    assert answer.error["param"] == param
    assert upstream.asked == []
