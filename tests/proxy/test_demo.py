"""The demo's provider: OpenAI's form, without a network, the same answer to the same question."""

import asyncio
import json
import subprocess
import sys

import pytest

from proxy.upstreams.demo import application
from spend.usage import Usage

QUESTION = [{"role": "user", "content": "Are tags worth it?"}]


def call(method, path, body=None):
    """What the application answers: status, headers, and the body's bytes."""
    raw = body if isinstance(body, bytes) else json.dumps(body or {}).encode()
    sent = []

    async def receive():
        return {"type": "http.request", "body": raw, "more_body": False}

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": method, "path": path}
    asyncio.run(application(scope, receive, send))
    body = b"".join(message.get("body", b"") for message in sent[1:])
    return sent[0]["status"], dict(sent[0]["headers"]), body


def ask(**fields):
    body = {"model": "demo-fast", "messages": QUESTION, **fields}
    status, _, raw = call("POST", "/v1/chat/completions", body)
    return status, json.loads(raw)


def events(**fields):
    body = {"model": "demo-fast", "messages": QUESTION, "stream": True, **fields}
    _, headers, raw = call("POST", "/v1/chat/completions", body)
    assert headers[b"content-type"].startswith(b"text/event-stream")
    *lines, last = raw.decode().removesuffix("\n\n").split("\n\n")
    assert last == "data: [DONE]"
    return [json.loads(line.removeprefix("data: ")) for line in lines]


def test_it_works():
    status, answer = ask()

    usage = answer["usage"]
    choice = answer["choices"][0]
    assert (status, answer["object"], answer["model"]) == (200, "chat.completion", "demo-fast")
    assert choice["finish_reason"] == "stop"
    assert len(choice["message"]["content"]) > 20
    assert usage["prompt_tokens"] == 12  # Are tags worth it ? and the message's frame
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert answer["id"].startswith("chatcmpl-")


def test_it_gives_the_same_answer_to_the_same_question():
    _, first = ask()
    _, second = ask()
    _, other = ask(messages=[{"role": "user", "content": "Something else?"}])

    assert first["choices"] == second["choices"]
    assert first["id"] != other["id"]


def test_it_never_answers_more_than_asked_for():
    _, answer = ask(max_tokens=5)

    assert answer["usage"]["completion_tokens"] == 5
    assert answer["choices"][0]["finish_reason"] == "length"


def test_it_counts_reasoning_within_the_maximum():
    _, answer = ask(model="demo-smart", max_completion_tokens=50)

    usage = answer["usage"]
    assert usage["completion_tokens"] == 50
    assert usage["completion_tokens_details"]["reasoning_tokens"] == 48


def test_it_gives_as_many_choices_as_asked_for():
    _, one = ask()
    _, three = ask(n=3)

    contents = [choice["message"]["content"] for choice in three["choices"]]
    assert [choice["index"] for choice in three["choices"]] == [0, 1, 2]
    assert contents[0] == one["choices"][0]["message"]["content"]
    assert three["usage"]["prompt_tokens"] == one["usage"]["prompt_tokens"]
    assert three["usage"]["completion_tokens"] > one["usage"]["completion_tokens"]


def test_it_streams_what_it_would_have_answered():
    _, plain = ask()

    chunks = events()

    texts = [chunk["choices"][0]["delta"].get("content", "") for chunk in chunks]
    assert "".join(texts) == plain["choices"][0]["message"]["content"]
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
    assert all("usage" not in chunk for chunk in chunks)


def test_it_tells_its_usage_at_the_end_of_a_stream_if_asked():
    _, plain = ask(n=2)

    chunks = events(n=2, stream_options={"include_usage": True})

    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"] == plain["usage"]
    assert all(chunk["usage"] is None for chunk in chunks[:-1])


def test_it_reads_messages_in_parts():
    _, text = ask()
    _, parts = ask(messages=[{"role": "user", "content": [{"type": "text", **QUESTION_PART}]}])

    assert parts["choices"] == text["choices"]


QUESTION_PART = {"text": "Are tags worth it?"}


def test_it_embeds():
    status, _, raw = call(
        "POST", "/v1/embeddings", {"model": "demo-embedding", "input": ["tags", "budgets hold"]}
    )

    answer = json.loads(raw)
    assert status == 200
    assert [len(item["embedding"]) for item in answer["data"]] == [256, 256]
    assert answer["data"][0]["embedding"] != answer["data"][1]["embedding"]
    assert answer["usage"] == {"prompt_tokens": 4, "total_tokens": 4}


def test_it_lists_its_models():
    status, _, raw = call("GET", "/v1/models")

    names = [model["id"] for model in json.loads(raw)["data"]]
    assert (status, names) == (200, ["demo-fast", "demo-smart", "demo-embedding"])


TOLD = {
    "/v1/completions": ({"prompt": "Hello"}, lambda told: told["choices"][0]["text"]),
    "/v1/responses": ({"input": "Hello"}, lambda told: told["output"][0]["content"][0]["text"]),
    "/v1/messages": (
        {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 500},
        lambda told: told["content"][0]["text"],
    ),
}
PIECES = {
    "/v1/completions": lambda event: event["choices"][0]["text"] if event["choices"] else "",
    "/v1/responses": lambda event: event["delta"] if event["type"].endswith(".delta") else "",
    "/v1/messages": lambda event: event.get("delta", {}).get("text", ""),
}


@pytest.mark.parametrize("path", TOLD)
def test_it_says_the_same_in_other_forms(path):
    body, text_in = TOLD[path]
    _, chat = ask(messages=[{"role": "user", "content": "Hello"}])

    status, _, raw = call("POST", path, {"model": "demo-fast", **body})
    _, headers, streamed = call("POST", path, {"model": "demo-fast", "stream": True, **body})

    text = chat["choices"][0]["message"]["content"]
    assert (status, text_in(json.loads(raw))) == (200, text)
    assert headers[b"content-type"].startswith(b"text/event-stream")
    told = [block.partition("data: ")[2] for block in streamed.decode().split("\n\n") if block]
    pieces = [PIECES[path](json.loads(data)) for data in told if data != "[DONE]"]
    assert "".join(pieces) == text


def test_it_counts_a_message():
    _, chat = ask()

    _, _, raw = call(
        "POST", "/v1/messages/count_tokens", {"model": "demo-fast", "messages": QUESTION}
    )

    assert json.loads(raw) == {"input_tokens": chat["usage"]["prompt_tokens"]}


@pytest.mark.parametrize("path", TOLD)
def test_its_usage_is_read_as_that_of_a_provider(path):
    body, _ = TOLD[path]
    read = {
        "/v1/completions": Usage.from_openai,
        "/v1/responses": Usage.from_responses,
        "/v1/messages": Usage.from_anthropic,
    }[path]
    _, chat = ask(messages=[{"role": "user", "content": "Hello"}])

    _, _, raw = call("POST", path, {"model": "demo-fast", **body})

    usage = read(json.loads(raw)["usage"])
    assert usage == Usage.from_openai(chat["usage"])


@pytest.mark.parametrize(
    ("path", "body", "status", "param"),
    [
        ("/v1/chat/completions", b"{", 400, None),
        ("/v1/chat/completions", b"[]", 400, None),
        ("/v1/chat/completions", {"model": "gpt-9", "messages": QUESTION}, 404, "model"),
        ("/v1/chat/completions", {"model": ["demo-fast"], "messages": QUESTION}, 404, "model"),
        ("/v1/chat/completions", {"model": "demo-fast"}, 400, "messages"),
        ("/v1/chat/completions", {"model": "demo-fast", "messages": []}, 400, "messages"),
        (
            "/v1/chat/completions",
            {"model": "demo-fast", "messages": QUESTION, "max_tokens": 0},
            400,
            "max_tokens",
        ),
        (
            "/v1/chat/completions",
            {"model": "demo-fast", "messages": QUESTION, "n": True},
            400,
            "n",
        ),
        ("/v1/completions", {"model": "demo-fast", "prompt": ["x"]}, 400, "prompt"),
        ("/v1/responses", {"model": "demo-fast"}, 400, "input"),
        ("/v1/messages", {"model": "demo-fast", "max_tokens": 5}, 400, "messages"),
        ("/v1/messages", {"model": "demo-fast", "messages": QUESTION}, 400, "max_tokens"),
        ("/v1/embeddings", {"model": "demo-fast", "input": "x"}, 404, "model"),
        ("/v1/embeddings", {"model": "demo-embedding", "input": [1]}, 400, "input"),
        ("/v1/audio/speech", {}, 404, None),
    ],
)
def test_it_refuses_bad_requests_in_openais_form(path, body, status, param):
    found, headers, raw = call("POST", path, body)

    error = json.loads(raw)["error"]
    assert found == status
    assert error["type"] == "invalid_request_error"
    assert error["param"] == param
    assert headers[b"content-length"] == str(len(raw)).encode()


def test_it_needs_neither_django_nor_a_database():
    program = "import proxy.upstreams.demo, sys; print('django' in sys.modules)"

    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert told.stdout.strip() == "False"
