"""Streams: events out of bytes however they are sliced, and what of them the client gets."""

import json
import random
from dataclasses import replace

import pytest

from proxy import sending
from proxy.streaming import EVENT_BYTES_MAX, EventSplitter, EventTooLong, payload_of
from proxy.upstreams.contract import Broken, Silent
from tests.fakes import DONE, USAGE, Gate, chunk, event, plain, streamed, usage_chunk

EVENTS = [
    chunk(),
    chunk("Hel"),
    b": a comment\n\n",
    chunk("lo \u2028 \u0085 \x0b \U0001f600"),
    b'event: odd\ndata: {"choices": [],\ndata: "x": 1}\n\n',
    b'data:{"choices":[]}\n\n',
    chunk(finish="stop"),
    usage_chunk(),
    DONE,
]
WHOLE = b"".join(EVENTS)


def texts(answer):
    return [
        choice["delta"].get("content")
        for found in answer.events
        if found != "[DONE]"
        for choice in found["choices"]
    ]


# -- events out of bytes -------------------------------------------------------------------------


def split(raw, size):
    splitter = EventSplitter()
    found = [e for at in range(0, len(raw), size) for e in splitter.feed(raw[at : at + size])]
    return [*found, *splitter.end()]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"], ids=["lf", "crlf", "cr"])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 10_000])
def test_any_slicing_gives_the_same_events(end, size):
    events = [found.replace(b"\n", end) for found in EVENTS]
    # A CR that ends the stream might have been half of a CRLF.
    last = DONE if end == b"\r" else events[-1]

    assert split(b"".join(events), size) == [*events[:-1], last]


def test_any_random_slicing_gives_the_same_events():
    generator = random.Random(7)
    for _ in range(200):
        splitter, found, at = EventSplitter(), [], 0
        while at < len(WHOLE):
            step = generator.randint(1, 200)
            found += splitter.feed(WHOLE[at : at + step])
            at += step

        assert found == EVENTS


def test_line_ends_may_be_mixed():
    assert split(b"data: 1\r\n\ndata: 2\n\r\ndata: 3\r\rdata: 4\n\n", 3) == [
        b"data: 1\r\n\n",
        b"data: 2\n\r\n",
        b"data: 3\r\r",
        b"data: 4\n\n",
    ]


@pytest.mark.parametrize(
    ("raw", "payload"),
    [
        (b"data: {}\n\n", b"{}"),
        (b"data:{}\n\n", b"{}"),
        (b"data:  {}\n\n", b" {}"),
        (b"event: x\ndata: a\ndata: b\nid: 7\n\n", b"a\nb"),
        (b"data: a\r\n\r\n", b"a"),
        (b": comment\n\n", b""),
        (b"\n\n", b""),
    ],
)
def test_the_payload_of_an_event(raw, payload):
    assert payload_of(raw) == payload


def test_an_event_without_end_is_too_long():
    splitter = EventSplitter()
    splitter.feed(b"x" * EVENT_BYTES_MAX)

    with pytest.raises(EventTooLong):
        splitter.feed(b"x")


@pytest.mark.parametrize(
    ("rest", "kept"),
    [
        (b"data: [DONE]", [b"data: [DONE]\n\n"]),
        (b'data: {"a":1}\n', [b'data: {"a":1}\n\n']),
        (b'data: {"a":', []),
        (b'data: {"a":"\xc3', []),
        (b"da", []),
        (b"", []),
        (b"\n", []),
    ],
)
def test_what_is_left_at_the_end_counts_if_it_is_whole(rest, kept):
    splitter = EventSplitter()
    splitter.feed(b"data: 1\n\n" + rest)

    assert splitter.end() == kept


# -- what the client gets ------------------------------------------------------------------------


def test_it_works(gateway, upstream, books, key, model):
    answer = gateway.chat(model, key=key, stream=True)

    assert answer.status == 200
    assert answer.headers["content-type"] == "text/event-stream"
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["x-accel-buffering"] == "no"
    assert "content-length" not in answer.headers
    assert answer.events[-1] == "[DONE]"
    assert "".join(text for text in texts(answer) if text) == "Hello"
    row = books.row(answer.id)
    assert (row.status, row.usage_source, row.cost, row.stream) == (
        "success", "upstream", 210_000, True,
    )  # fmt: skip
    assert row.first_byte_at is not None


def test_the_usage_is_asked_for_and_hidden_from_who_did_not_ask(gateway, upstream, key, model):
    answer = gateway.chat(model, key=key, stream=True)

    assert upstream.last.body["stream_options"] == {"include_usage": True}
    assert upstream.last.headers["accept"] == "text/event-stream"
    assert answer.body == b"".join([chunk(), chunk("Hel"), chunk("lo"), chunk(finish="stop"), DONE])


def test_who_asked_gets_the_usage_with_the_cost_in_it(gateway, upstream, key, model):
    answer = gateway.chat(
        model, key=key, stream=True, stream_options={"include_usage": True, "other": 1}
    )

    assert upstream.last.body["stream_options"] == {"include_usage": True, "other": 1}
    assert answer.events[-2]["usage"] == {**USAGE, "cost": 0.00021}
    assert b'"cost":0.00021' in answer.body


def test_the_cost_may_be_left_out(gateway, key, model, settings):
    settings.STREAM_COST = False

    answer = gateway.chat(model, key=key, stream=True, stream_options={"include_usage": True})

    assert answer.events[-2]["usage"] == USAGE


def test_a_deployment_may_not_know_stream_options(gateway, upstream, books, key):
    from tests.factories import make_model

    model = make_model(terms={"supports_stream_options": False})
    upstream.reply(streamed(chunk(), chunk("Hello"), chunk(finish="stop"), DONE))

    answer = gateway.chat(model, key=key, stream=True)

    assert "stream_options" not in upstream.last.body
    assert books.row(answer.id).usage_source == "counted"


def test_every_byte_may_come_alone(gateway, upstream, books, key, model):
    upstream.reply(streamed(*[bytes([byte]) for byte in WHOLE]))

    answer = gateway.chat(model, key=key, stream=True)

    assert answer.body == WHOLE.replace(usage_chunk(), b"")
    assert books.row(answer.id).cost == 210_000


def test_a_usage_beside_content_is_relayed(gateway, upstream, books, key, model):
    upstream.reply(
        streamed(chunk(), chunk("Hi", usage=USAGE), chunk(finish="stop", usage=USAGE), DONE)
    )

    answer = gateway.chat(model, key=key, stream=True)

    assert answer.events[1]["usage"] == USAGE
    assert books.row(answer.id).cost == 210_000


def test_a_chunk_without_choices_or_usage_is_relayed(gateway, upstream, key, model):
    first = event({"choices": [], "prompt_filter_results": []})
    upstream.reply(streamed(first, chunk("Hi"), chunk(finish="stop"), usage_chunk(), DONE))

    answer = gateway.chat(model, key=key, stream=True)

    assert answer.events[0]["prompt_filter_results"] == []


def test_a_usage_after_done_counts(gateway, upstream, books, key, model):
    upstream.reply(streamed(chunk(), chunk("Hi"), chunk(finish="stop"), DONE, usage_chunk()))

    answer = gateway.chat(model, key=key, stream=True)

    assert books.row(answer.id).usage_source == "upstream"
    assert answer.body.endswith(DONE)


@pytest.mark.parametrize("late", [Broken("reset"), Silent("nothing")])
def test_nothing_is_wrong_after_done(gateway, upstream, books, key, model, late):
    upstream.reply(streamed(chunk("Hi"), chunk(finish="stop"), usage_chunk(), DONE, late))

    answer = gateway.chat(model, key=key, stream=True)

    assert answer.events[-1] == "[DONE]"
    row = books.row(answer.id)
    assert (row.status, row.http_status, row.error) == ("success", 200, None)


def test_nobody_waits_for_long_after_done(gateway, upstream, books, key, model, monkeypatch):
    monkeypatch.setattr(sending, "LATE_SECONDS", 0.05)
    gate = Gate()
    upstream.reply(streamed(chunk("Hi"), chunk(finish="stop"), usage_chunk(), DONE, gate))

    answer = gateway.chat(model, key=key, stream=True)

    gate.open()
    assert answer.is_whole
    assert books.row(answer.id).status == "success"


# -- silence -------------------------------------------------------------------------------------


def test_silence_is_filled_with_comments(gateway, upstream, key, model, settings):
    settings.STREAM_HEARTBEAT_SECONDS = 0.05
    upstream.reply(streamed(chunk("a"), 0.2, chunk(finish="stop"), usage_chunk(), DONE))

    answer = gateway.chat(model, key=key, stream=True)

    assert answer.body.count(b": keep-alive\n\n") >= 2
    assert answer.events[-1] == "[DONE]"


def test_silence_before_the_first_event_is_filled_too(gateway, upstream, key, model, settings):
    settings.STREAM_HEARTBEAT_SECONDS = 0.05
    upstream.reply(streamed(0.12, chunk("a"), chunk(finish="stop"), usage_chunk(), DONE))

    answer = gateway.chat(model, key=key, stream=True)

    assert answer.body.startswith(b": keep-alive\n\n")


def test_the_comments_may_be_turned_off(gateway, upstream, key, model, settings):
    settings.STREAM_HEARTBEAT_SECONDS = 0
    upstream.reply(streamed(chunk("a"), 0.1, chunk(finish="stop"), usage_chunk(), DONE))

    answer = gateway.chat(model, key=key, stream=True)

    assert b"keep-alive" not in answer.body


def test_a_stream_that_lives_on_comments_has_fallen_silent(
    gateway, upstream, books, key, model, settings
):
    settings.BETWEEN_CHUNKS_SECONDS = 0.1
    upstream.reply(streamed(chunk("a"), *[0.02, b": still here\n\n"] * 50))

    answer = gateway.chat(model, key=key, stream=True)

    assert answer.events[-1]["error"]["type"] == "upstream_timeout"
    row = books.row(answer.id)
    assert (row.status, row.usage_source, row.http_status) == ("estimated", "counted", 504)


def test_silence_is_counted_from_the_head(gateway, upstream, books, key, model, settings):
    """The wait for the head has a bound of its own, which may be longer."""
    settings.BETWEEN_CHUNKS_SECONDS = 0.5
    events = [b": at work\n\n", chunk("a"), chunk(finish="stop"), usage_chunk(), DONE]
    upstream.reply(replace(streamed(*events), before=[0.7]))

    answer = gateway.chat(model, key=key, stream=True)

    assert answer.status == 200
    assert books.row(answer.id).status == "success"


# -- endings -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ending", "status", "type_"),
    [
        (Broken("reset"), 502, "upstream_error"),
        (Silent("nothing"), 504, "upstream_timeout"),
    ],
)
def test_a_failure_before_the_first_event_keeps_its_status(
    gateway, upstream, books, key, model, ending, status, type_
):
    upstream.reply(streamed(ending))

    answer = gateway.chat(model, key=key, stream=True)

    assert (answer.status, answer.error["type"]) == (status, type_)
    assert answer.headers["x-tollgate-error-source"] == "upstream"
    row = books.row(answer.id)
    assert (row.status, row.usage_source, row.http_status) == ("estimated", "estimate", status)


@pytest.mark.parametrize(
    "cut", [b'data: {"choices":[{"del', b'data: {"choices":[{"delta":{"content":"\xf0\x9f'], ids=str
)
@pytest.mark.parametrize("by", ["fin", "rst"])
def test_what_is_cut_short_is_not_relayed(gateway, upstream, books, key, model, cut, by):
    ending = [Broken("reset")] if by == "rst" else []
    upstream.reply(streamed(chunk(), chunk("Hello"), cut, *ending))

    answer = gateway.chat(model, key=key, stream=True)

    assert answer.body.startswith(chunk() + chunk("Hello") + b'data: {"error":')
    assert answer.events[-1]["error"]["code"] == "502"
    assert "[DONE]" not in answer.events
    row = books.row(answer.id)
    assert (row.status, row.usage_source) == ("estimated", "counted")
    assert row.cost > 0


def test_a_stream_that_is_empty_is_a_failure(gateway, upstream, books, key, model):
    upstream.reply(streamed(b""))

    answer = gateway.chat(model, key=key, stream=True)

    assert (answer.status, answer.error["type"]) == (502, "upstream_error")
    assert books.row(answer.id).status == "estimated"


def test_an_event_that_is_too_long_is_a_failure(gateway, upstream, books, key, model):
    upstream.reply(streamed(chunk("Hi"), *[b"data: " + b"x" * 100_000] * 12))

    answer = gateway.chat(model, key=key, stream=True)

    assert answer.events[-1]["error"]["type"] == "upstream_error"


def test_an_error_instead_of_a_stream_is_told_and_free(gateway, upstream, books, key, model):
    upstream.reply(streamed(event({"error": {"message": "no sk-provider-0123456789abcdef"}})))

    answer = gateway.chat(model, key=key, stream=True)

    assert (answer.status, answer.error["type"]) == (502, "upstream_error")
    assert answer.error["message"] == "The upstream failed: no ..."
    row = books.row(answer.id)
    assert (row.status, row.cost) == ("failure", 0)


def test_an_error_within_a_stream_is_told_in_our_form_and_billed(
    gateway, upstream, books, key, model
):
    upstream.reply(streamed(chunk(), chunk("Hello"), event({"error": {"message": "overloaded"}})))

    answer = gateway.chat(model, key=key, stream=True)

    assert [found.get("error") for found in answer.events] == [
        None,
        None,
        {
            "message": "The upstream failed: overloaded",
            "type": "upstream_error",
            "param": None,
            "code": "502",
        },
    ]
    row = books.row(answer.id)
    assert (row.status, row.usage_source) == ("estimated", "counted")


def test_the_word_error_in_a_text_is_no_error(gateway, upstream, books, key, model):
    text = json.dumps({"error": "x", "usage": None})
    upstream.reply(streamed(chunk(), chunk(text), chunk(finish="stop"), usage_chunk(), DONE))

    answer = gateway.chat(model, key=key, stream=True)

    assert text in texts(answer)
    assert books.row(answer.id).status == "success"


def test_one_choice_that_ended_is_not_all_of_two(gateway, upstream, books, key, model):
    upstream.reply(streamed(chunk("a"), chunk("b"), chunk(finish="stop")))

    answer = gateway.chat(model, key=key, stream=True, n=2)

    assert answer.events[-1]["error"]["code"] == "502"


def test_an_answer_that_is_no_stream_is_passed_on_plain(gateway, upstream, books, key, model):
    upstream.reply(plain())

    answer = gateway.chat(model, key=key, stream=True)

    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["usage"] == USAGE
    assert books.row(answer.id).cost == 210_000
