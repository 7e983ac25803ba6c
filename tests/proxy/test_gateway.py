"""The lean handler: paths, methods, and the bounds on what comes in."""

import json
import time

import pytest

from proxy import incoming
from proxy.errors import answer_for
from proxy.paths import find_view
from spend.errors import Unwritable
from tests.proxy.driver import chat

CHAT_PATHS = [
    "/chat/completions",
    "/v1/chat/completions",
    "/openai/v1/chat/completions",
    "/v1/chat/completions/",
    "/v1/chat/completions?api-version=2024-10-21",
]


@pytest.mark.parametrize("path", CHAT_PATHS)
def test_it_works_under_every_name(gateway, key, model, path):
    answer = gateway.call("POST", path, key=key, body=chat(model))

    assert answer.status == 200
    assert answer.headers["content-length"] == str(len(answer.body))


@pytest.mark.parametrize(
    "path",
    [
        "/openai/deployments/{}/chat/completions?api-version=2024-10-21",
        "/engines/{}/chat/completions",
        "/v1/engines/{}/chat/completions/",
    ],
)
def test_the_model_in_the_path_wins(gateway, books, key, model, path):
    answer = gateway.call(
        "POST", path.format(model.model_name), key=key, body=chat("another-model")
    )

    assert answer.status == 200
    assert books.row(answer.id).model == model.model_name


def test_a_model_in_the_path_may_hold_slashes_and_signs(gateway, books, key):
    from tests.factories import make_model, unique

    model = make_model(unique("acme/gpt 4%"))
    path = f"/engines/{model.model_name.replace('%', '%25').replace(' ', '%20')}/chat/completions"

    answer = gateway.call("POST", path, key=key, body={"messages": []})

    assert answer.status == 200
    assert books.row(answer.id).model == model.model_name


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_a_wrong_method_is_refused(gateway, upstream, key, method):
    answer = gateway.call(method, "/v1/chat/completions", key=key)

    assert answer.status == 405
    assert answer.headers["allow"] == "POST"
    assert upstream.asked == []
    if method == "HEAD":
        assert answer.body == b""
    else:
        assert answer.error["type"] == "method_not_allowed"


def test_models_are_not_posted_to(gateway, key):
    answer = gateway.call("POST", "/v1/models", key=key, body={})

    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    "path",
    [
        "/v1/files",
        "/v1/assistants",
        "/v1/responses/resp_1",
        "/v1/chat/completions/chatcmpl-1",
        "/openai/v1/batches",
        "/openai/deployments/gpt-4/images/edits",
        "/engines/gpt-4/models",
        "/v1/",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_what_others_have_and_we_have_not_is_not_found(gateway, upstream, key, method, path):
    answer = gateway.call(method, path, key=key, body={} if method == "POST" else None)

    assert answer.status == 404
    assert answer.error == {
        "message": "There is nothing at this address.",
        "type": "not_found",
        "param": None,
        "code": "404",
    }
    assert upstream.asked == []


def test_the_management_path_under_v1_is_djangos():
    assert find_view("/v1/model/info") is None
    assert find_view("/tag/new") is None


def test_every_answer_has_our_id_twice(gateway, key, model):
    answers = [gateway.chat(model, key=key), gateway.chat("no such model", key=key)]

    for answer in answers:
        assert answer.headers["x-request-id"] == answer.headers["x-litellm-call-id"]
    assert answers[0].id < answers[1].id


# -- bodies --------------------------------------------------------------------------------------


def test_a_body_may_come_in_pieces_and_without_its_length(gateway, books, key, model):
    call = gateway.start(
        "POST", "/v1/chat/completions", key=key, body=chat(model), slices=7,
        headers={"transfer-encoding": "chunked"},
    )  # fmt: skip

    answer = call.answer()

    assert answer.status == 200
    assert books.row(answer.id).status == "success"


def test_no_body_is_refused(gateway, key):
    answer = gateway.call("POST", "/v1/chat/completions", key=key)

    assert (answer.status, answer.error["type"]) == (400, "invalid_json")
    assert answer.error["message"] == "The body is empty; it must be a JSON object."


@pytest.mark.parametrize(
    "content_type", ["", "application/json; charset=utf-8", "application/x+json"]
)
def test_json_may_be_called_by_its_names(gateway, key, model, content_type):
    answer = gateway.call(
        "POST", "/v1/chat/completions", key=key, body=chat(model),
        headers={"content-type": content_type},
    )  # fmt: skip

    assert answer.status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "text/plain"},
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-type": "multipart/form-data; boundary=x"},
        {"content-encoding": "gzip"},
        {"content-encoding": "br, gzip"},
    ],
)
def test_other_types_and_encodings_are_refused(gateway, upstream, key, model, headers):
    answer = gateway.call(
        "POST", "/v1/chat/completions", key=key, body=chat(model), headers=headers
    )

    assert (answer.status, answer.error["type"]) == (415, "unsupported_media_type")
    assert answer.headers["connection"] == "close"
    assert upstream.asked == []


def test_a_body_that_says_it_is_too_large_is_not_read(gateway, key):
    answer = gateway.call(
        "POST", "/v1/chat/completions", key=key, body=b"{}",
        headers={"content-length": str(20 * 1024 * 1024 + 1)},
    )  # fmt: skip

    assert (answer.status, answer.error["type"]) == (413, "request_too_large")
    assert answer.headers["connection"] == "close"


def test_a_body_that_turns_out_too_large_is_refused(gateway, key, monkeypatch):
    monkeypatch.setattr(incoming, "JSON_BYTES_MAX", 1_000)

    answer = gateway.call(
        "POST", "/v1/chat/completions", key=key, body=b" " * 1_001, slices=3,
    )  # fmt: skip

    assert (answer.status, answer.error["type"]) == (413, "request_too_large")


def test_a_body_that_does_not_come_is_refused(gateway, key, monkeypatch):
    monkeypatch.setattr(incoming, "BODY_SECONDS_MAX", 0.05)

    answer = gateway.call(
        "POST", "/v1/chat/completions", key=key, body=b"{}", slices=2, stalls_after=1
    )

    assert (answer.status, answer.error["type"]) == (408, "request_timeout")
    assert answer.headers["connection"] == "close"


def test_headers_of_more_than_32_kib_are_refused(gateway, key, model):
    answer = gateway.chat(model, key=key, headers={"x-filler": "a" * 33_000})

    assert (answer.status, answer.error["type"]) == (413, "request_too_large")


def test_the_key_is_looked_at_before_the_body(gateway):
    answer = gateway.call(
        "POST", "/v1/chat/completions", key="sk-wrong", body=b"nonsense",
        headers={"content-type": "text/plain"},
    )  # fmt: skip

    assert (answer.status, answer.error["type"]) == (401, "auth_error")


def test_an_error_of_ours_is_told_without_its_cause(gateway, key, model, monkeypatch):
    async def fail(*anything):
        raise RuntimeError("the secret is 12345")

    monkeypatch.setattr("proxy.journey.collect_tags", fail)

    answer = gateway.chat(model, key=key)

    assert answer.status == 500
    assert answer.json() == {
        "error": {
            "message": "Something went wrong on our side.",
            "type": "internal_error",
            "param": None,
            "code": "500",
        }
    }


def test_a_refusal_before_the_gate_leaves_no_trace(gateway, upstream, books, key, model):
    answers = [
        gateway.chat("no such model", key=key),
        gateway.chat(model, key=key, n=0),
        gateway.chat(model, key=key, tags=[7]),
        gateway.chat(model, key="sk-wrong"),
        gateway.call("POST", "/v1/chat/completions", key=key, body=b"{"),
    ]

    assert [answer.status for answer in answers] == [404, 400, 400, 401, 400]
    assert not any(books.has_trace(answer.id) for answer in answers)
    assert upstream.asked == []


def test_every_error_has_its_four_members(gateway, key):
    answer = gateway.chat("no such model", key=key)

    assert json.loads(answer.body) == {
        "error": {
            "message": "The model 'no such model' does not exist.",
            "type": "model_not_found",
            "param": "model",
            "code": "404",
        }
    }
    assert answer.headers["x-tollgate-error-source"] == "gateway"


def test_what_the_ledger_cannot_write_is_the_calls_fault():
    failure = answer_for(Unwritable("a NUL"))

    assert (failure.status, failure.type) == (400, "invalid_parameter")


def test_ids_follow_the_databases_clock(gateway, key, model, monkeypatch):
    heard = []
    monkeypatch.setattr(gateway.worker.ids, "adjust", heard.append)

    gateway.chat(model, key=key)

    assert abs(heard[0] - time.time() * 1_000) < 60_000
