"""Endpoint answers: a small body for each endpoint, and what a provider would say to it."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from proxy.models import Deployment
from tests.factories import make_model
from tests.fakes import Reply, Step, json_reply, plain
from tests.forms import Form

MODERATION = {"flagged": False, "categories": {}, "category_scores": {}}


def typed(*events: dict[str, Any]) -> list[bytes]:
    """Events as Anthropic and the responses write them: a line for the type, one for the data."""
    return [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events]


def event_stream(*steps: Step) -> Reply:
    return Reply(200, {"content-type": "text/event-stream"}, steps)


# -- what providers say --------------------------------------------------------------------------


def completion(usage: Any = None, **members: Any) -> Reply:
    usage = usage or {"prompt_tokens": 12, "completion_tokens": 18, "total_tokens": 30}
    choice = {"index": 0, "text": "Hello!", "finish_reason": "stop", "logprobs": None}
    body = {"id": "cmpl-fake", "object": "text_completion", "model": "fake-1", "choices": [choice]}
    return json_reply({**body, "usage": usage, **members})


def embedding(usage: Any = None) -> Reply:
    data = [{"object": "embedding", "index": 0, "embedding": [0.1, 0.2]}]
    usage = usage or {"prompt_tokens": 12, "total_tokens": 12}
    return json_reply({"object": "list", "data": data, "model": "fake-1", "usage": usage})


RESPONSE_USAGE = {
    "input_tokens": 12,
    "input_tokens_details": {"cached_tokens": 4},
    "output_tokens": 18,
    "output_tokens_details": {"reasoning_tokens": 6},
    "total_tokens": 30,
}


def response_body(**members: Any) -> dict[str, Any]:
    text = {"type": "output_text", "text": "Hello!", "annotations": []}
    said = {"type": "message", "id": "msg_1", "role": "assistant", "content": [text]}
    body = {"id": "resp_fake", "object": "response", "status": "completed", "model": "fake-1"}
    return {**body, "output": [said], "error": None, "usage": RESPONSE_USAGE, **members}


def response(**members: Any) -> Reply:
    return json_reply(response_body(**members))


MESSAGE_USAGE = {
    "input_tokens": 10,
    "cache_read_input_tokens": 100,
    "cache_creation_input_tokens": 30,
    "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20},
    "output_tokens": 18,
}


def message(usage: Any = None, **members: Any) -> Reply:
    body = {"id": "msg_fake", "type": "message", "role": "assistant", "model": "claude-fake"}
    content = [{"type": "text", "text": "Hello!"}]
    body |= {"content": content, "stop_reason": "end_turn", "usage": usage or MESSAGE_USAGE}
    return json_reply({**body, **members})


def images(count: int = 1, **members: Any) -> Reply:
    data = [{"b64_json": "aGVsbG8="} for _ in range(count)]
    return json_reply({"created": 1_700_000_000, "data": data, **members})


def sound() -> Reply:
    return Reply(200, {"content-type": "audio/mpeg"}, [b"\xff\xfb", b"\x90\x00" * 8])


def transcription(usage: Any = None, **members: Any) -> Reply:
    usage = usage or {"type": "duration", "seconds": 1}
    return json_reply({"text": "Hello!", "usage": usage, **members})


def moderation(**members: Any) -> Reply:
    return json_reply({"id": "modr-1", "model": "fake-1", "results": [MODERATION], **members})


def reranked(meta: Any = None, **members: Any) -> Reply:
    results = [{"index": 0, "relevance_score": 0.9}]
    return json_reply({"id": "rr-1", "results": results, "meta": meta or {}, **members})


# -- every endpoint ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """`body` is that of a call, `reply` the answer to it, `cost` in nano-dollars."""

    endpoint: str
    call_type: str
    body: dict[str, Any]
    reply: Callable[[], Reply]
    cost: int
    terms: dict[str, Any] = field(default_factory=dict)
    prices: dict[str, Any] = field(default_factory=dict)
    has_file: bool = False

    def written(self, members: dict[str, Any]) -> Any:
        """As the endpoint takes it."""
        return Form(members) if self.has_file else members

    def model(self, **terms: Any) -> Deployment:
        return make_model(prices=self.prices, **{**self.terms, **terms})


HELLO = {"messages": [{"role": "user", "content": "Hello"}]}
UNPRICED_SIDES = {"input": None, "output": None}
ANTHROPIC = {"provider": "anthropic", "address": "https://api.anthropic.com"}

CASES = (
    Case("chat/completions", "acompletion", HELLO, plain, 210_000),
    Case("completions", "atext_completion", {"prompt": "Hello"}, completion, 210_000),
    Case("embeddings", "aembedding", {"input": "Hello"}, embedding, 30_000, {"output": None}),
    Case("responses", "aresponses", {"input": "Hello"}, response, 210_000),
    Case(
        "messages", "anthropic_messages", {**HELLO, "max_tokens": 64}, message,
        140 * 2_500 + 18 * 10_000, ANTHROPIC,
    ),
    Case(
        "messages/count_tokens", "messages/count_tokens", HELLO,
        lambda: json_reply({"input_tokens": 10}), 0, ANTHROPIC,
    ),
    Case(
        "images/generations", "aimage_generation", {"prompt": "A cat", "size": "1024x1024"},
        images, 40_000_000, UNPRICED_SIDES, {"output_cost_per_image": Decimal("0.04")},
    ),
    Case(
        "audio/speech", "aspeech", {"input": "Hello", "voice": "alloy"}, sound, 5 * 15_000,
        UNPRICED_SIDES, {"input_cost_per_character": Decimal("0.000015")},
    ),
    Case(
        "audio/transcriptions", "atranscription", {"response_format": "json"}, transcription,
        100_000, UNPRICED_SIDES, {"input_cost_per_second": Decimal("0.0001")}, has_file=True,
    ),
    Case("moderations", "amoderation", {"input": "Hello"}, moderation, 0, UNPRICED_SIDES),
    Case(
        "rerank", "arerank", {"query": "Hello", "documents": ["a", "b"]},
        lambda: reranked({"billed_units": {"search_units": 1}}), 2_000_000,
        UNPRICED_SIDES, {"input_cost_per_query": Decimal("0.002")},
    ),
)  # fmt: skip
