"""Reading the call: what a body may say, and what it is refused for."""

import json
import time

import pytest

from proxy.call import depth_of, label, parse_body
from proxy.errors import Failure
from tests.proxy.driver import chat

HOSTILE = {
    "nothing": b"null",
    "no object": b"[]",
    "a string": b'"gpt-4"',
    "cut": b'{"model":',
    "more after it": b'{"model":"a"} {"model":"b"}',
    "NaN": b'{"temperature":NaN}',
    "infinity": b'{"temperature":-Infinity}',
    "1e999": b'{"temperature":1e999}',
    "5,000 digits": b'{"seed":' + b"9" * 5_000 + b"}",
    "65 bits": b'{"seed":18446744073709551616}',
    "half a character": b'{"user":"\\ud800"}',
    "not UTF-8": b'{"user":"\xff"}',
    "a BOM": b'\xef\xbb\xbf{"model":"a"}',
    "65 levels": b'{"a":' * 65 + b"1" + b"}" * 65,
    "100,000 brackets": b"[" * 100_000,
    "100,000 levels": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "single quotes": b"{'model':'a'}",
    "a comment": b'{"model":"a"} // gpt',
    "a control": b'{"user":"\x01"}',
}


@pytest.mark.parametrize("raw", HOSTILE.values(), ids=HOSTILE)
def test_hostile_json_is_refused_at_once(gateway, upstream, key, raw):
    started = time.perf_counter()

    answer = gateway.call("POST", "/v1/chat/completions", key=key, body=raw)

    assert (answer.status, answer.error["type"]) == (400, "invalid_json")
    assert time.perf_counter() - started < 1
    assert upstream.asked == []


def test_64_levels_are_served():
    body = parse_body(b'{"a":' * 64 + b"1" + b"}" * 64)

    assert depth_of(body) == 64


def test_long_digits_in_a_text_are_no_number():
    assert parse_body(b'{"user":"12345678901234567890123"}') == {"user": "12345678901234567890123"}


def test_a_prompt_may_hold_anything(gateway, upstream, key, model):
    text = "\0 \u2028 \u202e {{7*7}} '; drop table spend_spendlog; -- \U0001f600 \\ud800"

    answer = gateway.chat(model, key=key, messages=[{"role": "user", "content": text}])

    assert answer.status == 200
    assert upstream.last.body["messages"][0]["content"] == text


def test_of_duplicate_members_the_last_one_counts_and_is_sent(gateway, upstream, books, key, model):
    raw = json.dumps(chat("another")).encode()
    raw = raw[:-1] + b', "model": "%s"}' % model.model_name.encode()

    answer = gateway.call("POST", "/v1/chat/completions", key=key, body=raw)

    assert answer.status == 200
    assert books.row(answer.id).model == model.model_name


def test_unknown_members_are_forwarded(gateway, upstream, key, model):
    gateway.chat(model, key=key, temperature=0.5, seed=2**63, something={"deep": [1, None]})

    assert upstream.last.body["temperature"] == 0.5
    assert upstream.last.body["seed"] == 2**63
    assert upstream.last.body["something"] == {"deep": [1, None]}


WRONG = [
    ({"model": None}, "model"),
    ({"model": ""}, "model"),
    ({"model": 7}, "model"),
    ({"model": ["gpt-4"]}, "model"),
    ({"model": "x" * 256}, "model"),
    ({"model": "a\0b"}, "model"),
    ({"stream": "true"}, "stream"),
    ({"stream": 1}, "stream"),
    ({"n": 0}, "n"),
    ({"n": 1.0}, "n"),
    ({"n": True}, "n"),
    ({"n": "2"}, "n"),
    ({"n": 1_001}, "n"),
    ({"max_tokens": -1}, "max_tokens"),
    ({"max_tokens": 0}, "max_tokens"),
    ({"max_tokens": 2**63}, "max_tokens"),
    ({"max_tokens": "10"}, "max_tokens"),
    ({"max_tokens": 1.5}, "max_tokens"),
    ({"max_completion_tokens": 0}, "max_completion_tokens"),
    ({"max_output_tokens": []}, "max_output_tokens"),
    ({"metadata": []}, "metadata"),
    ({"metadata": "tags"}, "metadata"),
    ({"litellm_metadata": 5}, "litellm_metadata"),
    ({"stream_options": True}, "stream_options"),
]


@pytest.mark.parametrize(("members", "param"), WRONG, ids=str)
def test_what_we_read_is_checked(gateway, upstream, key, model, members, param):
    answer = gateway.call(
        "POST", "/v1/chat/completions", key=key, body=chat(model) | members
    )  # fmt: skip

    assert (answer.status, answer.error["type"]) == (400, "invalid_parameter")
    assert answer.error["param"] == param
    assert upstream.asked == []


@pytest.mark.parametrize(
    "members",
    [
        {"max_tokens": None},
        {"n": None},
        {"stream": None},
        {"metadata": None},
        {"tools": 5},
        {"tools": {"a": 1}},
        {"tools": "search"},
        {"messages": 5},
        {"messages": None},
        {"prediction": "abc"},
        {"user": 7},
    ],
    ids=str,
)
def test_what_is_the_upstreams_business_is_left_to_it(gateway, upstream, key, model, members):
    answer = gateway.chat(model, key=key, **members)

    assert answer.status == 200
    assert len(upstream.asked) == 1


@pytest.mark.parametrize(
    "name",
    [
        "api_base", "base_url", "api_key", "api_version", "custom_llm_provider", "extra_headers",
        "model_list", "mock_response",
    ],
)  # fmt: skip
def test_a_call_cannot_choose_where_our_credentials_go(gateway, upstream, key, model, name):
    answer = gateway.chat(model, key=key, **{name: "https://evil.example"})

    assert (answer.status, answer.error["type"]) == (400, "unsupported_parameter")
    assert answer.error["param"] == name
    assert upstream.asked == []


def test_what_the_client_says_of_the_call_is_kept(gateway, books, key, model):
    answer = gateway.chat(
        model,
        key=key,
        user="user-1\0",
        metadata={"session_id": "s-1", "tags": ["a"], "team": "red"},
        headers={"x-request-id": "mine", "x-litellm-call-id": "another", "user-agent": "Agent/1"},
    )

    row = books.row(answer.id)
    assert (row.end_user, row.session_id, row.client_request_id) == ("user-1", "s-1", "mine")
    assert (row.user_agent, row.address) == ("Agent/1", "127.0.0.1")
    assert row.metadata == {"session_id": "s-1", "team": "red"}
    assert answer.id != "mine"


@pytest.mark.parametrize("metadata", [{"big": "x" * 5_000}, {"nul": "\0"}])
def test_metadata_that_cannot_be_kept_is_left_out(gateway, books, key, model, metadata):
    answer = gateway.chat(model, key=key, metadata=metadata)

    assert answer.status == 200
    assert books.row(answer.id).metadata in (None, {"left_out": "larger than 4 KiB"})


def test_the_same_client_id_a_hundred_times_is_a_hundred_calls(
    gateway, upstream, books, key, model
):
    headers = {"x-request-id": "same", "idempotency-key": "same"}

    answers = [gateway.chat(model, key=key, headers=headers) for _ in range(20)]

    assert len({answer.id for answer in answers}) == 20
    assert {books.row(answer.id).client_request_id for answer in answers} == {"same"}
    assert books.spent(key) == 20 * 210_000


def test_a_label_has_no_nul_and_an_end():
    assert label("a\0b" * 200) == ("ab" * 200)[:256]


def test_a_forwarded_address_is_believed_from_trusted_proxies_only(
    gateway, books, key, model, settings
):
    forwarded = {"x-forwarded-for": "203.0.113.7, 198.51.100.2"}
    spoofed = gateway.chat(model, key=key, headers=forwarded)
    settings.TRUSTED_PROXIES = ["127.0.0.1"]

    trusted = gateway.chat(model, key=key, headers=forwarded)

    assert books.row(spoofed.id).address == "127.0.0.1"
    assert books.row(trusted.id).address == "198.51.100.2"


def test_parse_body_raises_a_failure():
    with pytest.raises(Failure) as refusal:
        parse_body(b"[1]")

    assert refusal.value.type == "invalid_json"
