"""A provider that misbehaves: the client gets the documented error, and the books balance."""

import pytest

from tests.factories import make_model, unique
from tests.wire.client import run as run_client
from tests.wire.conftest import PREFIX, hear
from tests.wire.live import serving

on_impatient = pytest.mark.xdist_group("impatient")  # one server for them all


@pytest.fixture(scope="module")
def impatient(wire_folder, wire_database_url):
    """A server that waits for a second only."""
    with serving(
        wire_database_url,
        wire_folder / "impatient.log",
        BETWEEN_CHUNKS_SECONDS="1",
        CONNECT_SECONDS="1",
        STREAM_FIRST_BYTE_SECONDS="1",
    ) as server:
        yield server


@pytest.fixture
def impatiently(impatient, key, books, scripted):
    def call(model, **members):
        hear(impatient)
        return run_client(impatient.port, key.secret, lambda client: client.chat(model, **members))

    yield call
    books.check()


def row_of(books, answer):
    return books.row(answer.id)


def test_it_works(chat, books, provider):
    answer = chat("ok:12,18", user=(mark := unique("mark")))

    assert answer.status == 200
    (billed,) = provider.bill(mark)
    assert (billed["cost"], billed["delivered"]) == (210_000, True)
    assert row_of(books, answer).cost == 210_000


def test_a_stream_works(chat, books, provider):
    answer = chat("stream:5,0", stream=True, user=(mark := unique("mark")))

    assert answer.events[-1] == "[DONE]"
    (billed,) = provider.bill(mark)
    assert row_of(books, answer).cost == billed["cost"] == 12 * 2_500 + 5 * 10_000


@pytest.mark.parametrize("stream", [False, True])
def test_a_refused_connection(run, books, stream):
    model = make_model(address="http://127.0.0.1:1/v1")

    answer = run(lambda client: client.chat(model.model_name, stream=stream))

    assert (answer.status, answer.error["type"]) == (502, "upstream_error")
    assert "127.0.0.1" not in answer.error["message"]
    assert (row_of(books, answer).status, row_of(books, answer).cost) == ("failure", 0)


@on_impatient
@pytest.mark.parametrize(
    "address",
    ["http://no-such-host.invalid/v1", "https://127.0.0.1:{port}/v1", "http://[::1]:1/v1"],
)
def test_a_host_that_cannot_be_spoken_to(impatiently, books, provider, address):
    model = make_model(address=address.format(port=provider.port), max_retries=0)

    answer = impatiently(model.model_name)

    assert (answer.status, answer.error["type"]) == (502, "upstream_error")
    assert (row_of(books, answer).status, row_of(books, answer).cost) == ("failure", 0)


@pytest.mark.parametrize("stream", [False, True])
def test_a_stall_before_the_head(run, books, provider, stream):
    model = make_model(
        address=provider.address, upstream_model="wait:30", timeout_seconds=1,
        stream_timeout_seconds=1,
    )  # fmt: skip

    answer = run(lambda client: client.chat(model.model_name, stream=stream))

    assert (answer.status, answer.error["type"]) == (504, "upstream_timeout")
    assert answer.headers["x-should-retry"] == "false"
    row = row_of(books, answer)
    assert (row.status, row.usage_source, row.cost) == ("estimated", "estimate", row.holds[0])


def test_a_stall_in_a_plain_answer(run, books, provider):
    model = make_model(address=provider.address, upstream_model="hang-open", timeout_seconds=1)

    answer = run(lambda client: client.chat(model.model_name))

    assert (answer.status, answer.error["type"]) == (504, "upstream_timeout")
    assert row_of(books, answer).usage_source == "estimate"


@on_impatient
@pytest.mark.parametrize("act", ["stall:2", "hang-open:2"])
def test_a_stall_within_a_stream(impatiently, books, provider, act):
    answer = impatiently(f"{PREFIX}stream:10,0/{act}", stream=True, user=(mark := unique("mark")))

    assert answer.status == 200
    assert answer.body.count(b"word ") == 2
    assert answer.events[-1]["error"]["type"] == "upstream_timeout"
    assert answer.events[-1]["error"]["code"] == "504"
    row = row_of(books, answer)
    assert (row.status, row.usage_source, row.http_status) == ("estimated", "counted", 504)
    assert row.completion_tokens >= 2
    assert len(provider.bill(mark)) == 1


@on_impatient
def test_comments_without_end_are_a_stall(impatiently, books):
    answer = impatiently(f"{PREFIX}stream:10,0/drip:0.2", stream=True)

    assert answer.events[-1]["error"]["type"] == "upstream_timeout"
    assert 3 <= answer.body.count(b": still here") <= 8
    assert row_of(books, answer).status == "estimated"


@on_impatient
def test_a_stream_whose_head_does_not_come(impatiently, books):
    answer = impatiently(f"{PREFIX}wait:30/stream:1,1", stream=True)

    assert (answer.status, answer.error["type"]) == (504, "upstream_timeout")
    assert row_of(books, answer).usage_source == "estimate"


CUTS = [
    ("rst:2", "upstream_error", "502"),
    ("fin:2", "upstream_error", "502"),
    ("half-json:2", "upstream_error", "502"),
    ("half-char:2", "upstream_error", "502"),
]


@pytest.mark.parametrize(("act", "type_", "code"), CUTS)
def test_a_stream_that_is_cut(chat, books, provider, act, type_, code):
    answer = chat(f"stream:10,0/{act}", stream=True, user=(mark := unique("mark")))

    assert answer.status == 200
    assert [choice["delta"]["content"] for e in answer.events[:-1] for choice in e["choices"]] == [
        "", "word ", "word ",
    ]  # fmt: skip
    assert (answer.events[-1]["error"]["type"], answer.events[-1]["error"]["code"]) == (type_, code)
    row = row_of(books, answer)
    (billed,) = provider.bill(mark)
    assert (row.status, row.usage_source) == ("estimated", "counted")
    assert row.completion_tokens >= billed["tokens_out"] == 2
    assert row.cost > 0


@pytest.mark.parametrize("act", ["rst:0", "fin:0"])
def test_a_stream_that_is_cut_at_once_has_begun(chat, books, act):
    """Its first event, without content, was sent."""
    answer = chat(f"stream:10,0/{act}", stream=True)

    assert (answer.status, answer.events[-1]["error"]["type"]) == (200, "upstream_error")
    assert row_of(books, answer).cost > 0


@pytest.mark.parametrize("act", ["rst", "fin"])
def test_a_plain_answer_that_is_cut(chat, books, act):
    answer = chat(f"ok:12,18/{act}")

    assert (answer.status, answer.error["type"]) == (502, "upstream_error")
    row = row_of(books, answer)
    assert (row.status, row.usage_source) == ("estimated", "estimate")


@pytest.mark.parametrize(
    "kind", ["none", "null", "zero-prompt", "negative", "huge", "float", "text"]
)
@pytest.mark.parametrize("stream", [False, True])
def test_a_usage_that_cannot_be_used_is_counted(chat, books, kind, stream):
    answer = chat(f"ok:12,18/usage-{kind}", stream=stream)

    assert answer.status == 200
    row = row_of(books, answer)
    assert (row.status, row.usage_source) == ("success", "counted")
    assert row.completion_tokens >= 18
    assert row.cost > 0


@pytest.mark.parametrize("kind", ["twice", "with-content", "after-finish", "after-done"])
def test_a_usage_in_an_odd_place_is_exact(chat, books, kind):
    answer = chat(f"ok:12,18/usage-{kind}", stream=True)

    assert "[DONE]" in answer.events
    row = row_of(books, answer)
    assert (row.status, row.usage_source, row.cost) == ("success", "upstream", 210_000)


@pytest.mark.parametrize("act", ["slice:1", "slice:7", "eol:crlf", "eol:cr"])
def test_any_slicing_and_line_end_is_exact(chat, books, act):
    answer = chat(f"ok:12,18/{act}", stream=True)

    assert answer.status == 200
    assert b"[DONE]" in answer.body
    assert row_of(books, answer).cost == 210_000


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("act", ["error-200", "html-200", "redirect", "gzip"])
def test_an_answer_that_cannot_be_used(chat, books, act, stream):
    answer = chat(act, stream=stream)

    assert (answer.status, answer.error["type"]) == (502, "upstream_error")
    assert (row_of(books, answer).status, row_of(books, answer).cost) == ("failure", 0)


@pytest.mark.parametrize("status", [400, 404, 408, 409, 422, 429, 500, 503, 529])
def test_an_error_status_is_passed_on(chat, books, status):
    answer = chat(f"status:{status},7")

    assert answer.status == status
    assert answer.error == {
        "message": f"Scripted {status}.", "type": "scripted", "param": None, "code": str(status),
    }  # fmt: skip
    assert answer.headers["retry-after"] == "7"
    assert (row_of(books, answer).status, row_of(books, answer).cost) == ("failure", 0)


@pytest.mark.parametrize("status", [401, 402, 403, 407])
def test_our_credential_refused(chat, books, status):
    answer = chat(f"status:{status}")

    assert (answer.status, answer.error["type"]) == (502, "upstream_auth_error")
    assert row_of(books, answer).cost == 0


@pytest.mark.parametrize("kind", ["same", "null", "empty"])
def test_odd_ids(chat, books, kind):
    answers = [chat(f"ok:12,18/id:{kind}") for _ in range(3)]

    assert len({row_of(books, answer).id for answer in answers}) == 3


def test_rude_headers_stay_outside(chat):
    answer = chat("ok:12,18/headers:rude")

    assert answer.headers["x-upstream-request-id"] == "req_scripted"
    assert answer.headers["x-litellm-response-cost"] == "0.00021"
    assert not [name for name in answer.headers if name.startswith(("x-rude", "set-cookie"))]
    assert "x-tollgate-tags" not in answer.headers


def test_a_failure_spoils_nothing_for_the_next(run, books):
    """The pool of connections included."""

    async def calls(client):
        for act in ("rst", "status:500", "html-200", "ok:12,18"):
            last = await client.chat(f"{PREFIX}{act}")
        return last

    assert run(calls).status == 200
