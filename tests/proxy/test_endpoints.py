"""Every endpoint alike: paths, tags of every source, rows, refusals, errors, strict budgets."""

import pytest

from proxy.log_answers import CALL_TYPES
from proxy.paths import find_view
from spend.models import SpendLog
from tests.endpoint_answers import CASES
from tests.factories import make_key, make_model, make_tag, unique
from tests.fakes import Gate, Reply, json_reply
from tests.forms import HELLO

every_endpoint = pytest.mark.parametrize("case", CASES, ids=lambda case: case.endpoint)
every_json_endpoint = pytest.mark.parametrize(
    "case", [case for case in CASES if not case.has_file], ids=lambda case: case.endpoint
)


def send(gateway, case, key, *, model, path=None, headers=(), **members):
    body = {"model": getattr(model, "model_name", model), **case.body, **members}
    path = path or f"/v1/{case.endpoint}"
    return gateway.call("POST", path, key=key, headers=headers, body=case.written(body))


@every_endpoint
def test_it_works(gateway, upstream, books, key, case):
    model, tag = case.model(), make_tag(limit="100")
    upstream.reply(case.reply())

    answer = send(gateway, case, key, model=model, metadata={"tags": [tag.name]})

    assert answer.status == 200, answer.body
    assert answer.body == b"".join(case.reply().steps)
    row = books.row(answer.id)
    assert (row.endpoint, row.status, row.cost) == (case.endpoint, "success", case.cost)
    assert CALL_TYPES.get(row.endpoint, row.endpoint) == case.call_type
    assert (row.http_status, row.flags, row.stream) == (200, [], False)
    assert (books.spent(tag), books.spent(key)) == (case.cost, case.cost)
    assert float(answer.headers["x-litellm-response-cost"]) == case.cost / 10**9
    assert answer.headers["content-length"] == str(len(answer.body))


@every_endpoint
def test_it_is_sent_as_it_came_but_for_what_is_ours(gateway, upstream, key, case):
    model = case.model(upstream_model="theirs")
    upstream.reply(case.reply())

    send(
        gateway, case, key, model=model, tags=["a"], litellm_metadata={"tags": ["b"]},
        metadata={"tags": ["c"]}, num_retries=1, something="else",
    )  # fmt: skip

    sent = {**case.body, "model": "theirs", "something": "else"}
    if case.has_file:
        sent["file"] = (HELLO.name, HELLO.media_type, HELLO.content)
    assert upstream.last.body == sent
    assert upstream.last.url.endswith(f"/v1/{case.endpoint}")


@every_endpoint
@pytest.mark.parametrize("prefix", ["/", "/v1/", "/openai/v1/"])
@pytest.mark.parametrize("end", ["", "/"])
def test_it_has_every_prefix(case, prefix, end):
    view, path = find_view(f"{prefix}{case.endpoint}{end}")

    assert (view.endpoint.name, path) == (case.endpoint, {})


@every_endpoint
def test_the_model_may_be_in_the_path(gateway, upstream, books, key, case):
    model = case.model(name=unique("a/b"))
    upstream.reply(case.reply())
    path = f"/openai/deployments/{model.model_name}/{case.endpoint}?api-version=2024-10-21"

    answer = send(gateway, case, key, model="nobody/knows", path=path)

    assert answer.status == 200
    assert books.row(answer.id).model == model.model_name


@every_endpoint
@pytest.mark.parametrize("prefix", ["/engines", "/v1/engines"])
def test_three_have_engines(case, prefix):
    view, path = find_view(f"{prefix}/gpt-4/{case.endpoint}")

    if case.endpoint in ("chat/completions", "completions", "embeddings"):
        assert (view.endpoint.name, path) == (case.endpoint, {"model": "gpt-4"})
    else:
        assert not hasattr(view, "endpoint")


def test_rerank_has_a_second_version(gateway, upstream, books, key):
    case = CASES[-1]
    upstream.reply(case.reply())

    answer = send(gateway, case, key, model=case.model(), path="/v2/rerank")

    assert (answer.status, books.row(answer.id).cost) == (200, case.cost)


# -- tags ----------------------------------------------------------------------------------------

SOURCES = {
    "metadata.tags": lambda tag: ({"metadata": {"tags": [tag]}}, {}),
    "litellm_metadata.tags": lambda tag: ({"litellm_metadata": {"tags": [tag]}}, {}),
    "tags": lambda tag: ({"tags": [tag]}, {}),
    "x-litellm-tags": lambda tag: ({}, {"x-litellm-tags": tag}),
    "x-tollgate-tags": lambda tag: ({}, {"x-tollgate-tags": tag}),
    "a rule": lambda tag: ({}, {"x-team": tag}),
}


@every_endpoint
@pytest.mark.parametrize("source", SOURCES)
def test_tags_of_every_source_are_charged_and_enforced(
    gateway, upstream, books, key, settings, case, source
):
    settings.TAG_HEADER_RULES = [{"header": "x-team"}]
    model, tag, full = case.model(), make_tag(limit="100"), make_tag(limit="0")
    upstream.reply(case.reply())
    members, headers = SOURCES[source](tag.name)
    full_members, full_headers = SOURCES[source](full.name)

    answer = send(gateway, case, key, model=model, headers=headers, **members)
    refused = send(gateway, case, key, model=model, headers=full_headers, **full_members)

    assert answer.status == 200
    assert books.row(answer.id).tag_set.tags == [tag.name]
    assert books.spent(tag) == case.cost
    assert (refused.status, refused.error["type"]) == (400, "budget_exceeded")
    assert f"Tag={full.name}" in refused.error["message"]
    assert len(upstream.asked) == 1


@every_endpoint
def test_the_tags_of_a_key_are_charged(gateway, upstream, books, case):
    tag = make_tag(limit="100")
    key = make_key(tags=(tag.name,))
    upstream.reply(case.reply())

    answer = send(gateway, case, key, model=case.model())

    assert books.row(answer.id).tag_set.tags == [tag.name]
    assert books.spent(tag) == case.cost


# -- bad input -----------------------------------------------------------------------------------

BAD_MEMBERS = {
    "model": [5, None, "", ["gpt-4"], {"name": "gpt-4"}],
    "stream": ["yes", 1],
    "n": [0, -1, "2", 1.5, True],
    "max_tokens": ["many", 0],
    "metadata": ["a", 5],
    "litellm_metadata": ["a"],
}


@every_json_endpoint
@pytest.mark.parametrize(
    ("member", "value"),
    [(name, value) for name, values in BAD_MEMBERS.items() for value in values],
)
def test_what_we_read_has_a_type(gateway, upstream, key, case, member, value):
    body = {"model": "any", **case.body, member: value}

    answer = gateway.call("POST", f"/v1/{case.endpoint}", key=key, body=body)

    assert (answer.status, answer.error["type"]) == (400, "invalid_parameter")
    assert answer.error["param"] == member
    assert upstream.asked == []


@every_endpoint
def test_what_would_choose_the_upstream_is_refused(gateway, upstream, key, case):
    answer = send(gateway, case, key, model=case.model(), api_base="http://evil.test")

    assert (answer.status, answer.error["type"]) == (400, "unsupported_parameter")
    assert upstream.asked == []


@every_endpoint
def test_it_wants_a_key_and_a_post(gateway, upstream, key, case):
    path = f"/v1/{case.endpoint}"

    assert gateway.call("POST", path, body=case.written(case.body)).error["type"] == "auth_error"
    assert gateway.call("GET", path, key=key).status == 405
    empty = "unsupported_media_type" if case.has_file else "invalid_json"
    assert gateway.call("POST", path, key=key).error["type"] == empty


@every_endpoint
def test_a_model_that_does_not_serve_it_is_told(gateway, upstream, key, case):
    model = case.model(terms={"supported_endpoints": ["realtime"]})

    answer = send(gateway, case, key, model=model)

    assert (answer.status, answer.error["type"]) == (400, "unsupported_endpoint")
    assert case.endpoint in answer.error["message"]


@every_endpoint
def test_each_speaks_its_own_protocol(gateway, upstream, key, case):
    """Nothing is translated: messages go to Anthropic's, the others to OpenAI's."""
    is_anthropic = case.endpoint.startswith("messages")
    other = {"provider": "openai", "address": "http://127.0.0.1:1/v1"}
    if not is_anthropic:
        other = {"provider": "anthropic", "address": "https://api.anthropic.com"}

    answer = send(gateway, case, key, model=case.model(**other))

    assert (answer.status, answer.error["type"]) == (400, "unsupported_endpoint")
    assert upstream.asked == []


@every_endpoint
def test_a_model_without_a_price_is_refused(gateway, upstream, key, case):
    """Two endpoints are free where nobody says otherwise."""
    upstream.reply(case.reply())
    model = make_model(**{**case.terms, "input": None, "output": None})

    answer = send(gateway, case, key, model=model)

    if case.endpoint in ("moderations", "messages/count_tokens"):
        assert answer.status == 200
    else:
        assert (answer.status, answer.error["type"]) == (400, "model_not_priced")
        assert not SpendLog.objects.filter(id=answer.id).exists()


# -- upstreams that fail -------------------------------------------------------------------------


@every_endpoint
def test_an_upstreams_error_is_passed_on_and_costs_nothing(gateway, upstream, books, key, case):
    tag = make_tag(limit="100")
    error = {"message": "Slow down.", "type": "rate_limit_error", "param": None, "code": "slow"}
    upstream.reply(json_reply({"error": error}, status=429, headers={"retry-after": "7"}))

    answer = send(gateway, case, key, model=case.model(), tags=[tag.name])

    assert (answer.status, answer.headers["retry-after"]) == (429, "7")
    assert answer.error == error
    assert answer.headers["x-tollgate-error-source"] == "upstream"
    row = books.row(answer.id)
    assert (row.status, row.cost, row.error["type"]) == ("failure", 0, "rate_limit_error")
    assert books.spent(tag) == 0


UNUSABLE = {
    "a page": lambda: Reply(200, {"content-type": "text/html"}, [b"<html>Hello</html>"]),
    "an error": lambda: json_reply({"error": {"message": "No.", "type": "server_error"}}),
    "a redirect": lambda: Reply(302, {"location": "http://elsewhere.test"}),
    "compressed": lambda: Reply(
        200, {"content-type": "audio/mpeg", "content-encoding": "gzip"}, [b"x"]
    ),
}


@every_endpoint
@pytest.mark.parametrize("reply", UNUSABLE)
def test_an_answer_that_is_none_costs_nothing(gateway, upstream, books, key, case, reply):
    upstream.reply(UNUSABLE[reply]())

    answer = send(gateway, case, key, model=case.model())

    assert (answer.status, answer.error["type"]) == (502, "upstream_error")
    row = books.row(answer.id)
    assert (row.status, row.cost) == ("failure", 0)


@every_endpoint
def test_a_failure_is_told_in_its_clients_form(gateway, upstream, key, case):
    answer = send(gateway, case, key, model="nobody/knows")

    body = answer.json()
    assert body["error"]["type"] == "model_not_found"
    if case.endpoint.startswith("messages"):
        assert (body["type"], body["request_id"]) == ("error", answer.id)
    else:
        assert set(body) == {"error"}


# -- strict budgets ------------------------------------------------------------------------------


@every_endpoint
def test_a_strict_budget_holds_a_bound_that_covers_the_cost(gateway, upstream, books, key, case):
    tag, gate = make_tag(limit="100", mode="strict"), Gate()
    reply = case.reply()
    upstream.reply(Reply(reply.status, reply.headers, reply.steps, before=[gate]))
    body = {"model": case.model().model_name, **case.body, "tags": [tag.name]}
    call = gateway.start("POST", f"/v1/{case.endpoint}", key=key, body=case.written(body))
    gate.wait_until_reached()

    held = books.reserved(tag)
    gate.open()

    assert call.answer().status == 200
    assert held >= max(1, case.cost)
    gateway.rest()
    assert (books.spent(tag), books.reserved(tag)) == (case.cost, 0)


@every_endpoint
def test_a_strict_budget_never_breaks(gateway, upstream, books, key, case):
    """As many calls as there is room for bounds, and not one more."""
    tag = make_tag(limit="0.5", mode="strict")
    upstream.reply(case.reply())
    body = {"model": case.model().model_name, **case.body, "tags": [tag.name]}
    gateway.hear()
    gateway.hears = False

    path, sent = f"/v1/{case.endpoint}", case.written(body)
    calls = [gateway.start("POST", path, key=key, body=sent) for _ in range(12)]

    answers = [call.answer() for call in calls]
    assert {answer.status for answer in answers} <= {200, 400}
    served = sum(answer.status == 200 for answer in answers)
    assert served >= 1
    gateway.rest()
    assert books.spent(tag) == served * case.cost <= 500_000_000


CAP_FIELDS = {
    "chat/completions": "max_tokens",
    "completions": "max_tokens",
    "responses": "max_output_tokens",
    "messages": "max_tokens",
}
GENERATING = [case for case in CASES if case.endpoint in CAP_FIELDS]


@pytest.mark.parametrize("case", GENERATING, ids=lambda case: case.endpoint)
@pytest.mark.parametrize(
    "asked", [None, "max_tokens", "max_completion_tokens", "max_output_tokens"]
)
def test_a_strict_budget_sends_one_limit_in_the_endpoints_spelling(
    gateway, upstream, key, case, asked
):
    tag = make_tag(limit="100", mode="strict")
    upstream.reply(case.reply())
    body = {name: value for name, value in case.body.items() if name != "max_tokens"}
    body |= {"model": case.model().model_name, "tags": [tag.name]} | ({asked: 70} if asked else {})

    answer = gateway.call("POST", f"/v1/{case.endpoint}", key=key, body=body)

    assert answer.status == 200
    sent = {name: v for name, v in upstream.last.body.items() if name.startswith("max_")}
    is_newer = case.endpoint == "chat/completions" and asked == "max_completion_tokens"
    field = asked if is_newer else CAP_FIELDS[case.endpoint]
    assert sent == {field: 70 if asked else 16_384}
