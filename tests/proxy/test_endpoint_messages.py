"""POST /messages in Anthropic's form, and /messages/count_tokens."""

import json
from decimal import Decimal

import pytest

from proxy.upstreams.contract import Broken
from tests.endpoint_answers import ANTHROPIC, HELLO, event_stream, message, typed
from tests.factories import make_model, make_tag
from tests.fakes import Gate, Reply, json_reply

PRICES = {
    "cache_read_input_token_cost": Decimal("0.0000003"),
    "cache_creation_input_token_cost": Decimal("0.00000375"),
    "cache_creation_input_token_cost_above_1hr": Decimal("0.000006"),
    "tool_prices": {"web_search": Decimal("0.01")},
}
INPUT_COST = 10 * 3_000 + 100 * 300 + 10 * 3_750 + 20 * 6_000
COST = INPUT_COST + 18 * 15_000


@pytest.fixture
def model(books):
    return make_model(input="3", output="15", prices=PRICES, **ANTHROPIC)


def send(gateway, model, key, *, headers=(), **members):
    return start(gateway, model, key, headers=headers, **members).answer()


def start(gateway, model, key, *, headers=(), **members):
    body = {"model": model.model_name, "max_tokens": 64, **HELLO, **members}
    return gateway.start("POST", "/v1/messages", key=key, headers=headers, body=body)


BEGUN = {
    "input_tokens": 10,
    "cache_read_input_tokens": 100,
    "cache_creation_input_tokens": 30,
    "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20},
    "output_tokens": 1,
    "service_tier": "standard",
}


def stream(usage=BEGUN, **ended):
    """Events of a whole stream; the members are those of the usage in the last delta."""
    begun = {"id": "msg_fake", "type": "message", "model": "claude-fake", "usage": usage}
    return typed(
        {"type": "message_start", "message": begun},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "ping"},
        delta("Hello "),
        delta("there!"),
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"output_tokens": 18, **ended},
        },
        {"type": "message_stop"},
    )


def delta(text):
    told = {"type": "text_delta", "text": text}
    return {"type": "content_block_delta", "index": 0, "delta": told}


def last_event(answer):
    kind, _, data = (
        answer.body.decode().removesuffix("\n\n").split("\n\n")[-1].partition("\ndata: ")
    )
    return kind, json.loads(data)


def test_it_works(gateway, upstream, books, key, model):
    upstream.reply(message())

    answer = send(gateway, model, key)

    row = books.row(answer.id)
    assert row.usage == {
        "input": 10, "cached_input": 100, "cache_write": 10, "cache_write_1h": 20, "output": 18,
    }  # fmt: skip
    assert (row.cost, row.prompt_tokens, row.completion_tokens) == (COST, 140, 18)
    assert (row.provider, row.upstream_request_id) == ("anthropic", "msg_fake")


def test_it_works_in_a_stream(gateway, upstream, books, key, model):
    upstream.reply(event_stream(*stream()))

    answer = send(gateway, model, key, stream=True)

    assert answer.body == b"".join(stream())
    assert answer.headers["content-type"] == "text/event-stream"
    row = books.row(answer.id)
    assert (row.status, row.usage_source, row.cost) == ("success", "upstream", COST)
    assert (row.upstream_model, row.upstream_request_id) == ("claude-fake", "msg_fake")


@pytest.mark.parametrize(
    ("usage", "ended", "cost"),
    [
        (BEGUN, {"output_tokens": 20}, INPUT_COST + 20 * 15_000),
        (BEGUN, {"input_tokens": 11}, COST + 3_000),
        (BEGUN, {"input_tokens": None, "cache_read_input_tokens": 110}, COST + 10 * 300),
        (BEGUN, {"server_tool_use": {"web_search_requests": 2}}, COST + 20_000_000),
        ({"input_tokens": 0, "output_tokens": 0}, {"input_tokens": 7}, 7 * 3_000 + 18 * 15_000),
    ],
    ids=str,
)
def test_the_last_delta_is_merged_into_the_start(
    gateway, upstream, books, key, model, usage, ended, cost
):
    upstream.reply(event_stream(*stream(usage, **ended)))

    row = books.row(send(gateway, model, key, stream=True).id)

    assert (row.usage_source, row.cost) == ("upstream", cost)


def test_searches_have_a_price_each(gateway, upstream, books, key, model):
    usage = {"input_tokens": 10, "output_tokens": 18, "server_tool_use": {"web_search_requests": 3}}
    upstream.reply(message(usage))

    row = books.row(send(gateway, model, key).id)

    assert row.cost == 10 * 3_000 + 18 * 15_000 + 3 * 10_000_000
    assert row.usage["tools"] == {"web_search": 3}


# -- what goes upstream --------------------------------------------------------------------------


def test_anthropic_is_spoken_to_in_its_own_way(gateway, upstream, key, model):
    upstream.reply(message())

    send(gateway, model, key)

    asked = upstream.last
    assert asked.url == "https://api.anthropic.com/v1/messages"
    assert asked.headers["x-api-key"] == "sk-provider-0123456789abcdef"
    assert asked.headers["anthropic-version"] == "2023-06-01"
    assert "authorization" not in asked.headers
    assert asked.body == {"model": model.upstream_model, "max_tokens": 64, **HELLO}


def test_versions_of_the_client_pass(gateway, upstream, key, model):
    upstream.reply(message())
    headers = {"anthropic-version": "2024-01-01", "anthropic-beta": "context-1m", "x-other": "1"}

    send(gateway, model, key, headers=headers)

    sent = upstream.last.headers
    assert (sent["anthropic-version"], sent["anthropic-beta"]) == ("2024-01-01", "context-1m")
    assert "x-other" not in sent


def test_its_client_may_have_its_key_where_anthropics_has_it(gateway, upstream, books, key, model):
    upstream.reply(message())

    answer = send(gateway, model, None, headers={"x-api-key": key.secret})

    assert answer.status == 200
    assert books.row(answer.id).key_id == key.id


def test_of_the_metadata_the_user_passes(gateway, upstream, key, model):
    upstream.reply(message())

    send(gateway, model, key, metadata={"user_id": "u-1", "topic": "cats", "tags": ["a"]})

    assert upstream.last.body["metadata"] == {"user_id": "u-1"}


def test_an_address_may_have_its_version(gateway, upstream, key):
    model = make_model(provider="anthropic", address="https://relay.test/anthropic/v1")
    upstream.reply(message())

    send(gateway, model, key)

    assert upstream.last.url == "https://relay.test/anthropic/v1/messages"


def test_other_servers_may_say_that_they_speak_it(gateway, upstream, books, key):
    terms = {"supported_endpoints": ["chat/completions", "messages"]}
    model = make_model(address="https://vllm.test/v1", terms=terms)
    upstream.reply(message())

    answer = send(gateway, model, key)

    assert answer.status == 200
    assert upstream.last.url == "https://vllm.test/v1/messages"
    assert upstream.last.headers["authorization"].startswith("Bearer ")


# -- failures ------------------------------------------------------------------------------------


def test_an_error_of_anthropics_is_passed_on(gateway, upstream, books, key, model):
    error = {"type": "invalid_request_error", "message": "max_tokens: Field required"}
    upstream.reply(json_reply({"type": "error", "error": error, "request_id": "r"}, status=400))

    answer = send(gateway, model, key)

    assert answer.status == 400
    assert answer.json() == {
        "type": "error",
        "error": {**error, "param": None, "code": "400"},
        "request_id": answer.id,
    }
    assert books.row(answer.id).cost == 0


def test_a_budget_is_told_in_anthropics_form(gateway, upstream, key, model):
    tag = make_tag(limit="0")

    body = send(gateway, model, key, tags=[tag.name]).json()

    assert (body["type"], body["error"]["type"]) == ("error", "budget_exceeded")
    assert body["budget"]["tag"] == tag.name


def test_an_error_within_ends_the_stream(gateway, upstream, books, key, model):
    overloaded = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    upstream.reply(event_stream(*stream()[:5], *typed(overloaded)))

    answer = send(gateway, model, key, stream=True)

    kind, last = last_event(answer)
    assert kind == "event: error"
    assert last == {
        "type": "error",
        "error": {
            "message": "The upstream failed: Overloaded",
            "type": "upstream_error",
            "param": None,
            "code": "502",
        },
    }
    assert answer.body.count(b"event: error") == 1
    assert books.row(answer.id).status == "estimated"


@pytest.mark.parametrize("end", [[], [Broken("cut")]], ids=["closed", "broken"])
def test_a_stream_that_is_cut_is_billed_as_far_as_it_came(
    gateway, upstream, books, key, model, end
):
    """What went in was told at the start; what came out is counted."""
    upstream.reply(event_stream(*stream()[:5], *end))

    answer = send(gateway, model, key, stream=True)

    assert last_event(answer)[1]["error"]["code"] == "502"
    row = books.row(answer.id)
    assert (row.status, row.usage_source) == ("estimated", "counted")
    assert row.cost == INPUT_COST + 3 * 15_000  # twelve bytes


def test_a_stream_is_whole_once_its_last_usage_is_there(gateway, upstream, books, key, model):
    upstream.reply(event_stream(*stream()[:-1]))

    answer = send(gateway, model, key, stream=True)

    assert b"event: error" not in answer.body
    assert (books.row(answer.id).status, books.row(answer.id).cost) == ("success", COST)


def test_a_client_that_leaves_pays_what_was_used(gateway, upstream, books, key, model):
    tag, gate = make_tag(), Gate()
    before, after = stream()[:4], stream()[4:]
    upstream.reply(event_stream(*before, gate, *after))
    call = start(gateway, model, key, stream=True, tags=[tag.name])
    call.wait_for(b"Hello ")

    call.hang_up()
    gate.open()

    (row,) = books.rows_once(tag, 1)
    assert (row.cost, row.http_status, row.client_disconnected) == (COST, 499, True)


@pytest.mark.parametrize("streams", [False, True])
def test_without_a_usage_it_is_counted(gateway, upstream, books, key, model, streams):
    odd = {"input_tokens": 0, "output_tokens": "many"}
    whole = stream(odd, output_tokens="many")
    upstream.reply(event_stream(*whole) if streams else message(odd))

    row = books.row(send(gateway, model, key, stream=streams).id)

    assert (row.status, row.usage_source) == ("success", "counted")
    assert row.cost > 0


# -- strict budgets ------------------------------------------------------------------------------

PICTURE = {"type": "image", "source": {"type": "url", "url": "https://a.test/b.png"}}
UNBOUNDED = [
    ({"mcp_servers": [{"type": "url"}]}, "mcp_servers"),
    ({"container": {"skills": []}}, "container"),
    ({"context_management": {"edits": []}}, "context_management"),
    ({"inference_geo": "us"}, "inference_geo"),
    ({"speed": "fast"}, "speed"),
    ({"service_tier": "priority"}, "service_tier"),
    ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools[0]"),
    ({"tools": [{"name": "f"}, {"type": "bash_20250124", "name": "bash"}]}, "tools[1]"),
    ({"tools": {}}, "tools"),
    ({"system": [PICTURE]}, "system"),
    ({"messages": [{"role": "user", "content": [PICTURE]}]}, "messages[0].content"),
    (
        {
            "messages": [
                {"role": "user", "content": [{"type": "tool_result", "content": [PICTURE]}]}
            ]
        },
        "messages[0].content",
    ),
    (
        {"messages": [{"role": "assistant", "content": [{"type": "thinking", "signature": "E"}]}]},
        "messages[0].content",
    ),
]


@pytest.mark.parametrize(("members", "param"), UNBOUNDED, ids=str)
def test_what_has_no_bound_is_refused_on_strict_budgets(
    gateway, upstream, key, model, members, param
):
    tag = make_tag(limit="100", mode="strict")

    answer = send(gateway, model, key, tags=[tag.name], **members)

    assert (answer.status, answer.error["type"]) == (400, "cost_not_bounded")
    assert answer.error["param"] == param
    assert upstream.asked == []


@pytest.mark.parametrize(
    "members",
    [
        {"system": "Be brief.", "service_tier": "standard_only", "inference_geo": "global"},
        {"system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}]},
        {"tools": [{"name": "f", "input_schema": {}}, {"type": "custom", "name": "g"}]},
        {
            "messages": [
                {"role": "assistant", "content": [{"type": "tool_use", "id": "1", "input": {}}]},
                {"role": "user", "content": [{"type": "tool_result", "content": "5"}]},
            ]
        },
    ],
    ids=str,
)
def test_text_has_a_bound(gateway, upstream, books, key, model, members):
    upstream.reply(message())
    tag = make_tag(limit="100", mode="strict")

    answer = send(gateway, model, key, tags=[tag.name], **members)

    assert answer.status == 200
    gateway.rest()
    assert books.spent(tag) == COST


@pytest.mark.parametrize(("tools", "tokens"), [([], 0), ([{"name": "f"}], 1_024 + 64)])
def test_the_hidden_prompt_of_tools_is_held(gateway, upstream, books, key, tools, tokens):
    """Only what goes in has a price here, a dollar a million."""
    model = make_model(input="1", output="0", **ANTHROPIC)
    tag, gate, reply = make_tag(limit="100", mode="strict"), Gate(), message()
    upstream.reply(Reply(200, reply.headers, reply.steps, before=[gate]))
    call = start(gateway, model, key, tags=[tag.name], tools=tools)
    gate.wait_until_reached()

    held = books.reserved(tag)
    gate.open()
    call.answer()

    size = len(json.dumps(call_body(model, tag, tools), separators=(",", ":")))
    assert held == (size + 2 * 16 + 256 + tokens) * 1_000


def call_body(model, tag, tools):
    body = {"model": model.model_name, "max_tokens": 64, **HELLO}
    return {**body, "tags": [tag.name], "tools": tools}


# -- counting ------------------------------------------------------------------------------------


def count(gateway, model, key, **members):
    body = {"model": model.model_name, **HELLO, **members}
    return gateway.call("POST", "/v1/messages/count_tokens", key=key, body=body)


def test_counting_costs_nothing_and_leaves_a_row(gateway, upstream, books, key, model):
    upstream.reply(json_reply({"input_tokens": 10}))
    tag = make_tag(limit="100", mode="strict")

    answer = count(gateway, model, key, tags=[tag.name], tools=[{"type": "bash_20250124"}])

    assert answer.json() == {"input_tokens": 10}
    row = books.row(answer.id)
    assert (row.status, row.cost, row.usage, row.flags) == ("success", 0, {}, [])
    assert upstream.last.url == "https://api.anthropic.com/v1/messages/count_tokens"


def test_a_budget_that_is_used_up_refuses_it_all_the_same(gateway, upstream, key, model):
    answer = count(gateway, model, key, tags=[make_tag(limit="0").name])

    assert (answer.status, answer.error["type"]) == (400, "budget_exceeded")
    assert upstream.asked == []
