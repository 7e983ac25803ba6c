"""POST /responses: plain and in a stream, with built-in tools, and what has no bound."""

import json
from decimal import Decimal

import pytest

from proxy.upstreams.contract import Broken
from spend.usage import Usage
from tests.endpoint_answers import RESPONSE_USAGE, event_stream, response, response_body, typed
from tests.factories import make_model, make_tag, unique
from tests.fakes import json_reply

PRICES = {
    "cache_read_input_token_cost": Decimal("0.0000005"),
    "output_cost_per_reasoning_token": Decimal("0.000012"),
    "tool_prices": {
        "web_search": Decimal("0.01"),
        "file_search": Decimal("0.0025"),
        "code_interpreter": Decimal("0.03"),
    },
}
COST = 8 * 2_500 + 4 * 500 + 12 * 10_000 + 6 * 12_000


@pytest.fixture
def model(books):
    return make_model(prices=PRICES)


def send(gateway, model, key, path="/v1/responses", **members):
    body = {"model": model.model_name, "input": "Hello", **members}
    return gateway.call("POST", path, key=key, body=body)


def stream(kind="response.completed", **members):
    """Events of a whole stream; the members are those of the response in the last one."""
    begun = response_body(status="in_progress", output=[], usage=None)
    ended = response_body(status=kind.removeprefix("response."), **members)
    return typed(
        {"type": "response.created", "sequence_number": 0, "response": begun},
        {"type": "response.output_text.delta", "sequence_number": 1, "delta": "Hel"},
        {"type": "response.output_text.delta", "sequence_number": 2, "delta": "lo!"},
        {"type": kind, "sequence_number": 3, "response": ended},
    )


def events_of(answer):
    blocks = answer.body.decode().removesuffix("\n\n").split("\n\n")
    return [json.loads(block.partition("data: ")[2]) for block in blocks]


def test_it_works(gateway, upstream, books, key, model):
    upstream.reply(response())

    row = books.row(send(gateway, model, key).id)

    assert row.usage == {"input": 8, "cached_input": 4, "output": 12, "reasoning": 6}
    assert row.cost == COST
    assert (row.upstream_request_id, row.upstream_model) == ("resp_fake", "fake-1")


@pytest.mark.parametrize("kind", ["completed", "incomplete", "failed"])
def test_it_works_in_a_stream(gateway, upstream, books, key, model, kind):
    events = stream(f"response.{kind}", service_tier="default")
    upstream.reply(event_stream(*events))

    answer = send(gateway, model, key, stream=True)

    assert answer.body == b"".join(events)
    assert "stream_options" not in upstream.last.body
    row = books.row(answer.id)
    assert (row.status, row.usage_source, row.cost) == ("success", "upstream", COST)
    assert (row.stream, row.upstream_request_id) == (True, "resp_fake")


def test_an_end_may_be_as_large_as_an_answer(gateway, upstream, books, key, model):
    events = stream(instructions="x" * 2_000_000)
    upstream.reply(event_stream(*events))

    answer = send(gateway, model, key, stream=True)

    assert answer.body == b"".join(events)
    assert books.row(answer.id).cost == COST


# -- tools ---------------------------------------------------------------------------------------


def calls(*kinds, **members):
    return [{"type": kind, "id": f"call_{n}", **members} for n, kind in enumerate(kinds)]


@pytest.mark.parametrize(
    ("output", "tools", "cost"),
    [
        (calls("web_search_call", "web_search_call"), {"web_search": 2}, 20_000_000),
        (calls("file_search_call", "message"), {"file_search": 1}, 2_500_000),
        (calls("web_search_call", action={"type": "open_page"}), None, 0),
        (calls("web_search_call", action={"type": "search"}), {"web_search": 1}, 10_000_000),
        (
            calls("code_interpreter_call", "code_interpreter_call", container_id="cntr_1"),
            {"code_interpreter": 1},
            30_000_000,
        ),
        (calls("function_call", "mcp_call", "reasoning"), None, 0),
        (["odd", None, {"type": 5}], None, 0),
        ("odd", None, 0),
    ],
    ids=str,
)
@pytest.mark.parametrize("streams", [False, True])
def test_calls_of_tools_are_billed(
    gateway, upstream, books, key, model, output, tools, cost, streams
):
    upstream.reply(event_stream(*stream(output=output)) if streams else response(output=output))

    row = books.row(send(gateway, model, key, stream=streams).id)

    assert row.usage.get("tools") == tools
    assert (row.cost, row.flags) == (COST + cost, [])


def test_a_tool_without_a_price_is_flagged(gateway, upstream, books, key, model):
    upstream.reply(response(output=calls("image_generation_call")))

    row = books.row(send(gateway, model, key).id)

    assert (row.cost, row.flags) == (COST, ["unpriced"])


# -- streams that fail ---------------------------------------------------------------------------


def test_a_response_that_failed_and_used_nothing_is_an_error(gateway, upstream, books, key, model):
    error = {"code": "server_error", "message": "Something broke."}
    begun, *_, failed = stream("response.failed", usage=None, error=error)
    upstream.reply(event_stream(begun, failed))

    answer = send(gateway, model, key, stream=True)

    last = events_of(answer)[-1]
    assert last == {
        "type": "error",
        "code": "502",
        "message": "The upstream failed: Something broke.",
        "param": None,
        "sequence_number": 1,
        "error": {
            "message": "The upstream failed: Something broke.",
            "type": "upstream_error",
            "param": None,
            "code": "502",
        },
    }
    row = books.row(answer.id)
    assert (row.status, row.cost, row.error["type"]) == ("failure", 0, "upstream_error")


@pytest.mark.parametrize(
    "event",
    [
        {"type": "error", "code": "slow", "message": "Slow down.", "sequence_number": 3},
        {"type": "error", "error": {"message": "Slow down."}},
    ],
    ids=["openai", "nested"],
)
def test_an_error_within_is_billed_as_far_as_it_came(gateway, upstream, books, key, model, event):
    upstream.reply(event_stream(*stream()[:3], *typed(event)))

    answer = send(gateway, model, key, stream=True)

    assert answer.body.count(b"event: error\n") == 1
    last = events_of(answer)[-1]
    assert (last["sequence_number"], last["message"]) == (3, "The upstream failed: Slow down.")
    row = books.row(answer.id)
    assert (row.status, row.usage_source) == ("estimated", "counted")
    assert row.completion_tokens == 2
    assert row.cost > 0


def test_an_error_before_all_else_is_plain(gateway, upstream, books, key, model):
    upstream.reply(event_stream(*typed({"type": "error", "message": "Slow down."})))

    answer = send(gateway, model, key, stream=True)

    assert (answer.status, answer.error["type"]) == (502, "upstream_error")
    assert books.row(answer.id).cost == 0


@pytest.mark.parametrize("end", [[], [Broken("cut")]], ids=["closed", "broken"])
def test_a_stream_that_is_cut_is_counted(gateway, upstream, books, key, model, end):
    upstream.reply(event_stream(*stream()[:3], *end))

    answer = send(gateway, model, key, stream=True)

    last = events_of(answer)[-1]
    assert last["error"]["message"] == "The upstream closed the stream early."
    row = books.row(answer.id)
    assert (row.status, row.completion_tokens, row.error["code"]) == ("estimated", 2, "502")


def test_a_stream_without_a_usage_is_counted(gateway, upstream, books, key, model):
    upstream.reply(event_stream(*stream(usage={"input_tokens": 900, "output_tokens": "many"})))

    row = books.row(send(gateway, model, key, stream=True).id)

    assert (row.status, row.usage_source) == ("success", "counted")
    assert (row.prompt_tokens, row.completion_tokens) == (900, 2)


def test_an_answer_without_a_usage_is_counted(gateway, upstream, books, key, model):
    upstream.reply(response(usage=None))

    row = books.row(send(gateway, model, key).id)

    assert (row.status, row.usage_source) == ("success", "counted")
    assert row.completion_tokens >= 2


# -- what may be asked ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("members", "type_", "param"),
    [
        ({"background": True}, "unsupported_parameter", "background"),
        ({"background": "yes"}, "invalid_parameter", "background"),
        ({"previous_response_id": 5}, "invalid_parameter", "previous_response_id"),
        ({"previous_response_id": "\0"}, "invalid_parameter", "previous_response_id"),
        ({"max_output_tokens": 0}, "invalid_parameter", "max_output_tokens"),
    ],
    ids=str,
)
def test_what_is_refused(gateway, upstream, key, model, members, type_, param):
    answer = send(gateway, model, key, **members)

    assert (answer.status, answer.error["type"], answer.error["param"]) == (400, type_, param)
    assert upstream.asked == []


def test_it_may_say_that_it_is_not_in_the_background(gateway, upstream, key, model):
    upstream.reply(response())

    assert send(gateway, model, key, background=False).status == 200


def test_its_metadata_is_passed_on_without_the_tags(gateway, upstream, key, model):
    upstream.reply(response())

    send(gateway, model, key, metadata={"tags": ["a"], "topic": "cats", "n": 5})

    assert upstream.last.body["metadata"] == {"topic": "cats"}


TEXT = {"role": "user", "content": [{"type": "input_text", "text": "Hello"}]}
PICTURE = {"role": "user", "content": [{"type": "input_image", "image_url": "https://a.test/b"}]}
UNBOUNDED = [
    ({"prompt": {"id": "pmpt_1"}}, "prompt"),
    ({"conversation": "conv_1"}, "conversation"),
    ({"context_management": [{"type": "compaction"}]}, "context_management"),
    ({"tools": [{"type": "web_search"}]}, "tools[0]"),
    ({"tools": [{"type": "function", "name": "f"}, {"type": "mcp"}]}, "tools[1]"),
    ({"input": [TEXT, PICTURE]}, "input[1]"),
    ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input[0]"),
    ({"input": [{"type": "reasoning", "encrypted_content": "gAAA"}]}, "input[0]"),
    ({"input": [{"type": "function_call_output", "output": [{"type": "input_file"}]}]}, "input[0]"),
    ({"input": 5}, "input"),
    ({"service_tier": "priority"}, "service_tier"),
    ({"previous_response_id": "resp_1"}, "previous_response_id"),  # of an unknown context window
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
        {"instructions": "Be brief.", "tools": [{"type": "function", "name": "f"}]},
        {"input": [TEXT, {"role": "assistant", "content": "Hi"}]},
        {
            "input": [
                {"type": "function_call", "call_id": "1", "name": "f", "arguments": "{}"},
                {"type": "function_call_output", "call_id": "1", "output": "5"},
            ]
        },
    ],
    ids=str,
)
def test_text_has_a_bound(gateway, upstream, books, key, model, members):
    upstream.reply(response())
    tag = make_tag(limit="100", mode="strict")

    answer = send(gateway, model, key, tags=[tag.name], **members)

    assert answer.status == 200
    gateway.rest()
    assert books.spent(tag) == COST


def test_what_came_before_counts_as_a_full_context(gateway, upstream, books, key):
    """A million tokens at 2.5 dollars do not fit into two, and do into three."""
    model = make_model(input_tokens_max=1_000_000, output_tokens_max=100)
    upstream.reply(response(usage=RESPONSE_USAGE))
    small, large = (make_tag(limit=limit, mode="strict") for limit in ("2.5", "3"))

    refused = send(gateway, model, key, previous_response_id="resp_1", tags=[small.name])
    answer = send(gateway, model, key, previous_response_id="resp_1", tags=[large.name])

    assert (refused.status, refused.error["type"]) == (400, "budget_exceeded")
    assert answer.status == 200
    assert upstream.last.body["previous_response_id"] == "resp_1"


def test_it_goes_on_where_the_earlier_response_was_made(gateway, upstream, books, key):
    name = unique("model")
    for _ in range(5):
        make_model(name)
    model, response_id = make_model(name), unique("resp")
    upstream.reply(response(id=response_id))
    first = send(gateway, model, key)
    made_by = books.row(first.id).deployment_id

    later = [send(gateway, model, key, previous_response_id=response_id) for _ in range(8)]

    assert {answer.headers["x-litellm-model-id"] for answer in later} == {str(made_by)}


def test_one_that_nobody_knows_goes_anywhere(gateway, upstream, key):
    name = unique("model")
    model = [make_model(name), make_model(name)][0]
    upstream.reply(response())

    assert send(gateway, model, key, previous_response_id="resp_elsewhere").status == 200


def test_azure_has_it_beside_its_deployments(gateway, upstream, key):
    model = make_model(
        provider="azure", address="https://acme.openai.azure.com", upstream_model="gpt-x"
    )
    upstream.reply(response())

    answer = send(gateway, model, key, path=f"/openai/deployments/{model.model_name}/responses")

    assert answer.status == 200
    assert upstream.last.url.startswith("https://acme.openai.azure.com/openai/responses?api-ver")
    assert upstream.last.body["model"] == "gpt-x"
    assert "api-key" in upstream.last.headers


def test_a_failed_answer_is_an_error(gateway, upstream, books, key, model):
    error = {"code": "server_error", "message": "Something broke."}
    upstream.reply(json_reply(response_body(status="failed", error=error)))

    answer = send(gateway, model, key)

    assert (answer.status, answer.error["type"]) == (502, "upstream_error")
    assert books.row(answer.id).cost == COST  # it told a usage all the same


def test_the_usage_of_a_row_can_be_read_again(gateway, upstream, books, key, model):
    upstream.reply(response(output=calls("web_search_call")))

    row = books.row(send(gateway, model, key).id)

    assert Usage.from_json(row.usage).tools == (("web_search", 1),)
