"""Forwarding: what goes upstream is built, never copied; and what its failures are told as."""

from decimal import Decimal

import pytest

from proxy.upstreams.contract import Broken, Silent, Unsent
from tests.factories import make_key, make_model, make_tag
from tests.fakes import Reply, json_reply, plain, streamed

PROVIDER_SECRET = "sk-provider-0123456789abcdef"


# -- going out -----------------------------------------------------------------------------------


def test_it_works(gateway, upstream, key):
    model = make_model(address="https://api.example/v1", upstream_model="gpt-4o-2024-08-06")

    answer = gateway.chat(model, key=key)

    assert upstream.last.url == "https://api.example/v1/chat/completions"
    assert upstream.last.body == {
        "model": "gpt-4o-2024-08-06",
        "messages": [{"role": "user", "content": "Hello"}],
    }
    assert upstream.last.headers == {
        "content-type": "application/json",
        "accept": "application/json",
        "accept-encoding": "identity",
        "authorization": f"Bearer {PROVIDER_SECRET}",
        "x-client-request-id": answer.id,
    }


def test_the_clients_headers_stay_here(gateway, upstream, key, model):
    planted = {
        "cookie": "a=b",
        "x-forwarded-for": "203.0.113.7",
        "x-forwarded-proto": "https",
        "forwarded": "for=1",
        "host": "evil.example",
        "connection": "upgrade",
        "te": "trailers",
        "proxy-authorization": "Basic x",
        "x-api-key": "client",
        "api-key": "client",
        "x-litellm-tags": "a",
        "x-tollgate-tags": "b",
        "x-litellm-timeout": "1",
        "user-agent": "OpenAI/Python",
        "openai-organization": "org-client",
        "openai-project": "proj-client",
        "accept": "text/html",
        "accept-encoding": "gzip, br",
        "x-stainless-lang": "python",
        "traceparent": "00-aaaa-bbbb-01",
        "tracestate": "vendor=1",
        "openai-beta": "assistants=v2",
    }

    gateway.chat(model, key=key, headers=planted)

    assert set(upstream.last.headers) == {
        "content-type", "accept", "accept-encoding", "authorization", "x-client-request-id",
        "traceparent", "tracestate", "openai-beta",
    }  # fmt: skip
    assert key.secret not in str(upstream.last)


def test_a_model_may_need_no_secret(gateway, upstream, key):
    gateway.chat(make_model(secret=None), key=key)

    assert "authorization" not in upstream.last.headers


def test_azure_is_spoken_to_in_its_own_form(gateway, upstream, key):
    from proxy.models import Upstream

    model = make_model(
        provider="azure", address="https://acme.openai.azure.com", upstream_model="my gpt/4"
    )
    Upstream.objects.filter(id=model.upstream_id).update(api_version="2024-10-21")

    gateway.chat(model, key=key)

    assert upstream.last.url == (
        "https://acme.openai.azure.com/openai/deployments/my%20gpt%2F4/chat/completions"
        "?api-version=2024-10-21"
    )
    assert upstream.last.headers["api-key"] == PROVIDER_SECRET
    assert "authorization" not in upstream.last.headers


def test_what_is_ours_is_not_forwarded(gateway, upstream, key, model):
    gateway.chat(
        model,
        key=key,
        metadata={"tags": ["a"], "team": "red"},
        litellm_metadata={"tags": ["b"]},
        num_retries=2,
        timeout=5,
        fallbacks=[],
        disable_fallbacks=True,
    )

    assert set(upstream.last.body) == {"model", "messages"}


def test_metadata_goes_on_with_stored_completions_only(gateway, upstream, key, model):
    metadata = {"tags": ["a"], "team": "red", "n": 7, **{f"k{n}": "v" for n in range(20)}}

    gateway.chat(model, key=key, metadata=metadata, store=True)

    sent = upstream.last.body["metadata"]
    assert "tags" not in sent
    assert "n" not in sent
    assert (len(sent), sent["team"]) == (16, "red")


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        ({}, {"max_tokens": 16_384}),
        ({"max_tokens": 100}, {"max_tokens": 100}),
        ({"max_completion_tokens": 100}, {"max_completion_tokens": 100}),
        ({"max_tokens": 100, "max_completion_tokens": 300}, {"max_completion_tokens": 300}),
        ({"max_tokens": 100, "max_output_tokens": 300}, {"max_tokens": 300}),
        ({"max_output_tokens": 300}, {"max_tokens": 300}),
        ({"max_tokens": 10**9}, {"max_tokens": 32_000}),
    ],
    ids=str,
)
def test_a_strict_budget_sends_exactly_one_limit(gateway, upstream, key, asked, sent):
    model = make_model(output_tokens_max=32_000)
    tag = make_tag(limit="100", mode="strict")

    gateway.chat(model, key=key, tags=[tag], **asked)

    limits = ("max_tokens", "max_completion_tokens", "max_output_tokens")
    assert {name: upstream.last.body[name] for name in limits if name in upstream.last.body} == sent


def test_openai_itself_gets_the_newer_spelling(gateway, upstream, key):
    model = make_model(address="https://api.openai.com/v1")

    gateway.chat(model, key=key, tags=[make_tag(limit="100", mode="strict")])

    assert upstream.last.body["max_completion_tokens"] == 16_384


def test_a_deployment_may_have_a_spelling_of_its_own(gateway, upstream, key):
    model = make_model(terms={"output_cap_field": "max_completion_tokens"})

    gateway.chat(model, key=key, tags=[make_tag(limit="100", mode="strict")], max_tokens=5)

    assert upstream.last.body["max_completion_tokens"] == 5
    assert "max_tokens" not in upstream.last.body


def test_a_standard_budget_changes_no_limit(gateway, upstream, key, model):
    gateway.chat(model, key=key, tags=[make_tag(limit="100")])

    assert "max_tokens" not in upstream.last.body


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"tools": [{"type": "web_search"}]}, "tools[0]"),
        ({"tools": {"type": "web_search"}}, "tools"),
        ({"web_search_options": {"a": 1}}, "web_search_options"),
        ({"plugins": [{"id": "web"}]}, "plugins"),
        ({"models": ["dearer"]}, "models"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
            "messages[0].content",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "file", "file": {}}]}]},
            "messages[0].content",
        ),
        ({"messages": [{"role": "user", "content": {"type": "odd"}}]}, "messages[0].content"),
        ({"messages": [{"role": "assistant", "audio": {"id": "audio_1"}}]}, "messages[0].audio"),
        ({"cached_content": "cachedContents/1"}, "cached_content"),
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"extra_body": {"google": {"cached_content": "cachedContents/1"}}}, "extra_body"),
    ],
    ids=str,
)
def test_what_has_no_bound_is_refused_by_strict_budgets_only(
    gateway, upstream, books, key, model, members, param
):
    strict, standard = make_tag(limit="100", mode="strict"), make_tag(limit="100")

    refused = gateway.chat(model, key=key, **({"tags": [strict]} | members))
    served = gateway.chat(model, key=key, **({"tags": [standard]} | members))

    assert (refused.status, refused.error["type"]) == (400, "cost_not_bounded")
    assert refused.error["param"] == param
    assert not books.has_trace(refused.id)
    assert (served.status, len(upstream.asked)) == (200, 1)


@pytest.mark.parametrize(
    ("tier", "status"),
    [(None, 200), ("auto", 200), ("default", 200), ("flex", 200), ("priority", 400), (["x"], 400)],
)
def test_a_dearer_tier_without_a_price_is_not_bounded(gateway, upstream, key, model, tier, status):
    tag = make_tag(limit="100", mode="strict")

    answer = gateway.chat(model, key=key, tags=[tag], service_tier=tier)

    assert answer.status == status
    if status == 400:
        assert (answer.error["type"], answer.error["param"]) == ("cost_not_bounded", "service_tier")
        assert upstream.asked == []


def test_a_tier_with_a_price_is_bounded_and_billed_by_it(gateway, upstream, books, key):
    model = make_model(
        prices={
            "input_cost_per_token_priority": Decimal("0.000005"),
            "output_cost_per_token_priority": Decimal("0.00002"),
        }
    )
    tag = make_tag(limit="100", mode="strict")
    upstream.reply(plain(service_tier="priority"))

    answer = gateway.chat(model, key=key, tags=[tag], service_tier="priority", max_tokens=100)

    row = books.row(answer.id)
    assert row.cost == 12 * 5_000 + 18 * 20_000
    assert row.holds[0] >= 100 * 20_000


def test_text_in_parts_is_bounded(gateway, key, model):
    messages = [{"role": "user", "content": [{"type": "text", "text": "Hello"}]}]

    answer = gateway.chat(
        model, key=key, tags=[make_tag(limit="100", mode="strict")], messages=messages
    )

    assert answer.status == 200


@pytest.mark.parametrize("number", ["1e15", "1E+15", "0.1e16"], ids=str)
def test_the_bound_counts_what_is_sent(gateway, upstream, books, key, model, number):
    """`1e15` is four bytes as it came and eighteen as it goes on."""
    tag = make_tag(limit="100", mode="strict")
    numbers = ",".join([number] * 1_000)
    raw = (
        f'{{"model":"{model.model_name}","messages":[],"metadata":{{"tags":["{tag.name}"]}},'
        f'"max_tokens":1,"tools":[{{"type":"function","enum":[{numbers}]}}]}}'
    )

    answer = gateway.call("POST", "/v1/chat/completions", key=key, body=raw.encode())

    import json

    row = books.row(answer.id)
    sent = len(json.dumps(upstream.last.body, separators=(",", ":")))
    assert row.holds[0] >= sent * 2_500


def test_an_upstream_that_breaks_its_bound_is_billed_and_flagged(
    gateway, upstream, books, key, model
):
    tag = make_tag(limit="1", mode="strict")
    upstream.reply(plain({"prompt_tokens": 12, "completion_tokens": 90_000}))

    answer = gateway.chat(model, key=key, tags=[tag], max_tokens=10)

    row = books.row(answer.id)
    assert row.flags == ["overrun"]
    assert row.cost == 12 * 2_500 + 90_000 * 10_000
    assert books.spent(tag) == row.cost


# -- what comes back -----------------------------------------------------------------------------


def test_headers_that_are_passed_back(gateway, upstream, key, model):
    upstream.reply(
        plain(
            headers={
                "x-request-id": "req_1",
                "openai-processing-ms": "42",
                "set-cookie": "a=b",
                "openai-organization": "org-provider",
                "x-litellm-response-cost": "0.0",
                "x-tollgate-budget-spent": "0.0",
                "server": "provider",
            }
        )
    )

    headers = gateway.chat(model, key=key).headers

    assert (headers["x-upstream-request-id"], headers["openai-processing-ms"]) == ("req_1", "42")
    assert headers["x-litellm-response-cost"] == "0.00021"
    assert not {"set-cookie", "openai-organization", "server"} & set(headers)


ERROR = {"error": {"message": "Bad thing", "type": "odd_type", "param": "x", "code": "odd_code"}}


@pytest.mark.parametrize(
    "status", [400, 404, 408, 409, 413, 415, 422, 429, 500, 502, 503, 504, 529]
)
@pytest.mark.parametrize("stream", [False, True])
def test_an_upstreams_error_is_told_as_it_is(gateway, upstream, books, key, model, status, stream):
    headers = {"retry-after": "7", "retry-after-ms": "7000", "x-request-id": "req_2"}
    upstream.reply(json_reply(ERROR, status=status, headers=headers))

    answer = gateway.chat(model, key=key, stream=stream)

    assert answer.status == status
    assert answer.json() == ERROR
    assert answer.headers["retry-after"] == "7"
    assert answer.headers["retry-after-ms"] == "7000"
    assert answer.headers["x-tollgate-error-source"] == "upstream"
    assert answer.headers["x-upstream-request-id"] == "req_2"
    row = books.row(answer.id)
    assert (row.status, row.cost, row.http_status) == ("failure", 0, status)
    assert row.error["message"] == "Bad thing"


@pytest.mark.parametrize(
    ("error", "told"),
    [
        ({"message": "m", "code": 429}, {"message": "m", "type": "upstream_error", "code": "429"}),
        ({"message": "m", "code": None}, {"message": "m", "type": "upstream_error", "code": "400"}),
        ({"code": {"a": 1}}, {"message": "The upstream failed.", "type": "upstream_error"}),
        ({"message": 7, "type": 8, "param": 9}, {"message": "The upstream failed."}),
    ],
    ids=str,
)
def test_odd_errors_are_put_into_form(gateway, upstream, key, model, error, told):
    upstream.reply(json_reply({"error": error}, status=400))

    answer = gateway.chat(model, key=key)

    assert answer.error == answer.error | told
    assert isinstance(answer.error["code"], str)


@pytest.mark.parametrize(
    "body", [b"<html>nginx</html>", b"", b"[]", b'"x"', b"{", b'{"error":"x"}']
)
def test_an_error_that_is_no_json_is_told_in_our_words(gateway, upstream, key, model, body):
    upstream.reply(Reply(503, {"content-type": "text/html"}, [body]))

    answer = gateway.chat(model, key=key)

    assert answer.status == 503
    assert answer.error == {
        "message": "The upstream answered with status 503.",
        "type": "upstream_error",
        "param": None,
        "code": "503",
    }


def test_secrets_and_addresses_are_scrubbed(gateway, upstream, books, key, model):
    message = (
        f"Incorrect API key provided: {PROVIDER_SECRET}. See https://internal.example:8443/v1?k=1"
        " or Bearer abcdef and sk-proj-abcdef123456"
    )
    upstream.reply(json_reply({"error": {"message": message, "type": PROVIDER_SECRET}}, status=400))

    answer = gateway.chat(model, key=key)

    text = answer.body.decode() + str(books.row(answer.id).error)
    for secret in (PROVIDER_SECRET, "internal.example", "abcdef"):
        assert secret not in text


@pytest.mark.parametrize("status", [401, 402, 403, 407])
def test_our_credentials_refusal_is_not_the_clients_fault(
    gateway, upstream, books, key, model, status
):
    upstream.reply(json_reply(ERROR, status=status))

    answer = gateway.chat(model, key=key)

    assert (answer.status, answer.error["type"]) == (502, "upstream_auth_error")
    assert "Bad thing" not in answer.error["message"]
    assert books.row(answer.id).cost == 0


UNUSABLE = {
    "an error in a success": json_reply({"error": {"message": "no"}}),
    "html": Reply(200, {"content-type": "text/html"}, [b"<html>login</html>"]),
    "a redirect": Reply(302, {"location": "https://evil.example"}, [b""]),
    "an informal status": Reply(199, {}, [b"{}"]),
    "an encoding": plain(headers={"content-encoding": "gzip"}),
    "an encoded stream": streamed(b"data: {}\n\n", headers={"content-encoding": "br"}),
    "a list": json_reply([1]),
    "nothing": Reply(200, {"content-type": "application/json"}, []),
}


@pytest.mark.parametrize("reply", UNUSABLE.values(), ids=UNUSABLE)
@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_that_cannot_be_used_is_502_and_free(
    gateway, upstream, books, key, model, reply, stream
):
    upstream.reply(reply)

    answer = gateway.chat(model, key=key, stream=stream)

    assert (answer.status, answer.error["type"]) == (502, "upstream_error")
    row = books.row(answer.id)
    assert (row.status, row.cost) == ("failure", 0)
    assert len(upstream.asked) == 1


@pytest.mark.parametrize("stream", [False, True])
def test_an_upstream_that_was_not_reached_costs_nothing(
    gateway, upstream, books, key, model, stream
):
    upstream.reply(Reply(before=[Unsent("refused")]))

    answer = gateway.chat(model, key=key, stream=stream)

    assert answer.status == 502
    assert answer.error["message"] == "The upstream cannot be reached."
    row = books.row(answer.id)
    assert (row.status, row.cost, row.usage_source) == ("failure", 0, "none")


@pytest.mark.parametrize("stream", [False, True])
def test_an_upstream_that_stays_silent_may_have_been_at_work(
    gateway, upstream, books, key, model, stream
):
    upstream.reply(Reply(before=[Silent("nothing")]))

    answer = gateway.chat(model, key=key, stream=stream)

    assert (answer.status, answer.error["type"]) == (504, "upstream_timeout")
    assert answer.headers["x-should-retry"] == "false"
    row = books.row(answer.id)
    assert (row.status, row.usage_source, row.http_status) == ("estimated", "estimate", 504)
    assert row.cost == row.holds[0] > 0


@pytest.mark.parametrize(
    "reply",
    [
        Reply(before=[Broken("reset")]),
        Reply(200, {"content-type": "application/json"}, [b'{"choices":[{', Broken("reset")]),
        Reply(200, {"content-type": "application/json"}, [b'{"choices":[{']),
    ],
)
def test_a_plain_answer_that_breaks_off_is_billed_at_the_estimate(
    gateway, upstream, books, key, model, reply
):
    upstream.reply(reply)

    answer = gateway.chat(model, key=key)

    assert (answer.status, answer.error["type"]) == (502, "upstream_error")
    row = books.row(answer.id)
    assert (row.status, row.usage_source) == ("estimated", "estimate")


def test_timeouts_are_the_deployments(gateway, upstream, key):
    model = make_model(timeout_seconds=7, stream_timeout_seconds=3)

    gateway.chat(model, key=key)
    gateway.chat(model, key=key, stream=True)

    plainly, streaming = (asked.timeouts for asked in upstream.asked)
    assert (plainly.first_byte_seconds, plainly.total_seconds) == (7, 7)
    assert (streaming.first_byte_seconds, streaming.total_seconds) == (3, 1_800)


def test_a_secret_that_cannot_be_opened_is_told_without_it(gateway, upstream, key, settings):
    from cryptography.fernet import Fernet

    model = make_model()
    settings.VAULT_KEYS = [Fernet.generate_key().decode()]
    gateway.forget_cards()

    answer = gateway.chat(model, key=key)

    gateway.forget_cards()
    assert (answer.status, answer.error["type"]) == (502, "upstream_auth_error")
    assert upstream.asked == []


def test_a_key_of_another_gateway_is_never_sent_on(gateway, upstream, model):
    key = make_key()

    gateway.chat(model, key=key, headers={"api-key": key.secret, "x-api-key": key.secret})

    assert key.secret not in str(upstream.asked)
