"""The outlet: the client's end of a call. It may leave at any moment, and nothing is lost by it."""

import pytest

from proxy import gateway as gateway_module
from proxy import relay, sending
from proxy.upstreams.contract import Broken
from tests.factories import make_tag
from tests.fakes import DONE, Gate, Reply, chunk, plain, streamed, usage_chunk

LATER = [chunk("Hel"), chunk("lo"), chunk(finish="stop"), usage_chunk(), DONE]


def hung_up_row(books, call):
    row = books.row(call_id(call))
    assert (row.client_disconnected, row.http_status) == (True, 499)
    return row


def call_id(call):
    for message in call.sent:
        for name, value in message.get("headers", []):
            if name == b"x-request-id":
                return value.decode()
    raise AssertionError("nothing was sent")


def only_row(books, tag):
    books.rest()
    (row,) = books.rows(tag)
    return row


def test_it_works(gateway, books, key, model):
    answer = gateway.chat(model, key=key)

    row = books.row(answer.id)
    assert (row.client_disconnected, row.http_status) == (False, 200)


def test_a_client_that_was_answered_has_not_hung_up(gateway, upstream, books, key, model):
    """The connection may be gone, or serve the next call, by the time the bill is made."""
    answers = [gateway.chat(model, key=key, stream=stream) for stream in (False, True) * 10]

    rows = [books.row(answer.id) for answer in answers]
    assert {(row.client_disconnected, row.http_status) for row in rows} == {(False, 200)}


def test_a_stream_that_is_left_is_drained_to_its_usage(gateway, upstream, books, key, model):
    tag, gate = make_tag(), Gate()
    upstream.reply(streamed(chunk(), gate, *LATER))
    call = gateway.start_chat(model, key=key, tags=[tag], stream=True)
    call.wait_for(b"assistant")

    call.hang_up()
    gate.open()

    row = only_row(books, tag)
    assert (row.status, row.usage_source, row.cost) == ("success", "upstream", 210_000)
    assert (row.client_disconnected, row.http_status) == (True, 499)
    assert row.flags == ["drained"]


def test_a_stream_that_is_left_before_its_head_is_drained(gateway, upstream, books, key, model):
    tag, gate = make_tag(), Gate()
    upstream.reply(Reply(200, {"content-type": "text/event-stream"}, LATER, before=[gate]))
    call = gateway.start_chat(model, key=key, tags=[tag], stream=True)
    gate.wait_until_reached()

    call.hang_up()
    gate.open()

    row = only_row(books, tag)
    assert (row.status, row.cost, row.flags) == ("success", 210_000, ["drained"])
    assert (row.client_disconnected, row.http_status) == (True, 499)


def test_a_plain_call_that_is_left_runs_to_its_end(gateway, upstream, books, key, model):
    tag, gate = make_tag(), Gate()
    upstream.reply(Reply(200, {"content-type": "application/json"}, plain().steps, before=[gate]))
    call = gateway.start_chat(model, key=key, tags=[tag])
    gate.wait_until_reached()

    call.hang_up()
    gate.open()

    row = only_row(books, tag)
    assert (row.status, row.cost, row.flags) == ("success", 210_000, [])
    assert (row.client_disconnected, row.http_status) == (True, 499)


def test_a_client_that_leaves_after_the_end_has_not_hung_up(gateway, upstream, books, key, model):
    """SDKs close a stream at [DONE]; the upstream's connection may end a moment later."""
    tag, gate = make_tag(), Gate()
    upstream.reply(streamed(chunk(), *LATER, gate))
    call = gateway.start_chat(model, key=key, tags=[tag], stream=True)
    call.wait_for(b"[DONE]")

    call.hang_up()
    gate.open()

    row = only_row(books, tag)
    assert (row.status, row.client_disconnected, row.http_status) == ("success", False, 200)


def test_a_client_that_leaves_before_anything_was_sent_costs_nothing(
    gateway, upstream, books, key, model
):
    tag = make_tag()
    call = gateway.start_chat(model, key=key, tags=[tag])
    call.has_hung_up = True  # before its journey could look

    call.answer_or_nothing()

    row = only_row(books, tag)
    assert (row.status, row.cost, row.http_status) == ("failure", 0, 499)
    assert upstream.asked == []
    assert books.reserved(tag) == 0


def test_a_drain_that_takes_too_long_is_counted(gateway, upstream, books, key, model, monkeypatch):
    monkeypatch.setattr(gateway.worker.drains, "_seconds_max", 0.05)
    tag, gate = make_tag(), Gate()
    upstream.reply(streamed(chunk(), chunk("a" * 400), gate, *LATER))
    call = gateway.start_chat(model, key=key, tags=[tag], stream=True)
    call.wait_for(b"aaaa")

    call.hang_up()

    row = only_row(books, tag)
    gate.open()
    assert (row.status, row.usage_source) == ("estimated", "counted")
    assert row.completion_tokens > 95  # a token is four bytes of what was delivered
    assert row.cost > 0


def test_past_so_many_drains_the_upstream_is_closed_at_once(
    gateway, upstream, books, key, model, monkeypatch
):
    monkeypatch.setattr("proxy.drains.DRAINS_MAX", 0)
    tag, gate = make_tag(), Gate()
    upstream.reply(streamed(chunk(), chunk("Hello"), gate, *LATER))
    call = gateway.start_chat(model, key=key, tags=[tag], stream=True)
    call.wait_for(b"Hello")

    call.hang_up()

    row = only_row(books, tag)
    gate.open()
    assert (row.status, row.usage_source) == ("estimated", "counted")
    assert gateway.worker.drains.running == 0


def test_a_client_that_takes_nothing_is_cut_and_the_stream_drained(
    gateway, upstream, books, key, model, monkeypatch
):
    for place in (relay, gateway_module):
        monkeypatch.setattr(place, "SLOW_READER_SECONDS", 0.1)
    tag, gate = make_tag(), Gate()
    upstream.reply(streamed(chunk(), gate, *[chunk("a" * 100)] * 300, usage_chunk(), DONE))
    call = gateway.start_chat(model, key=key, tags=[tag], stream=True)
    call.wait_for(b"assistant")
    call.stop_reading()
    gate.open()

    answer = call.answer()

    row = only_row(books, tag)
    assert (row.status, row.cost) == ("success", 210_000)
    assert (row.client_disconnected, row.http_status) == (True, 499)
    assert not answer.is_whole  # so that nobody takes what was cut short for all of it


@pytest.mark.parametrize("stream", [False, True])
def test_an_error_of_ours_is_told_and_billed(
    gateway, upstream, books, key, model, monkeypatch, stream
):
    """A defect after the call was sent: the hold is closed by the same rules."""
    tag = make_tag()

    async def fail(attempt, reply):
        raise RuntimeError("a defect")

    monkeypatch.setattr(sending, "relay_stream" if stream else "relay_answer", fail)

    answer = gateway.chat(model, key=key, tags=[tag], stream=stream)

    row = only_row(books, tag)
    assert (answer.status, answer.error["type"]) == (500, "internal_error")
    assert (row.status, row.usage_source, row.http_status) == ("estimated", "estimate", 500)
    assert row.error["type"] == "internal_error"
    assert row.cost > 0


def test_shutting_down_tells_a_stream_and_bills_it(open_gateway, books, key, model, monkeypatch):
    from tests.fakes import FakeUpstream

    monkeypatch.setattr("proxy.worker.DRAIN_SECONDS_MAX", 0.1)
    tag, gate, upstream = make_tag(), Gate(), FakeUpstream()
    upstream.reply(streamed(chunk(), chunk("Hello"), gate, *LATER))
    gateway = open_gateway(upstream)
    call = gateway.start_chat(model, key=key, tags=[tag], stream=True)
    call.wait_for(b"Hello")

    gateway.close()

    answer = call.answer()
    assert answer.events[-1]["error"]["type"] == "shutting_down"
    row = only_row(books, tag)
    assert (row.status, row.usage_source, row.http_status) == ("estimated", "counted", 503)


def test_a_closing_gateway_takes_no_calls(open_gateway, books, key, model):
    gateway = open_gateway()
    gateway.close()

    answer = gateway.chat(model, key=key)

    assert (answer.status, answer.error["type"]) == (503, "shutting_down")
    assert answer.headers["retry-after"] == "1"


def test_a_broken_stream_ends_with_an_event_and_without_done(gateway, upstream, books, key, model):
    upstream.reply(streamed(chunk(), chunk("Hel"), Broken("cut")))

    answer = gateway.chat(model, key=key, stream=True)

    assert answer.status == 200
    assert answer.events[-1] == {
        "error": {
            "message": "The upstream closed the stream early.",
            "type": "upstream_error",
            "param": None,
            "code": "502",
        }
    }
    assert "[DONE]" not in answer.events
    row = books.row(answer.id)
    assert (row.status, row.usage_source, row.http_status) == ("estimated", "counted", 502)
