"""Answers: what a client is sent, and the ones that tell of a failure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from proxy.error_forms import OPENAI_ERRORS, ErrorForm
from proxy.errors import Failure
from proxy.wire import write_json
from spend.money import Nanos, dollars_text

Headers = list[tuple[bytes, bytes]]

JSON_HEADERS: Headers = [(b"content-type", b"application/json")]
STREAM_HEADERS: Headers = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]
KEEP_ALIVE = b": keep-alive\n\n"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the client is sent. `body` is None where chunks follow."""

    status: int
    headers: Headers
    body: bytes | None


def failure_answer(failure: Failure, explained: Headers, form: ErrorForm = OPENAI_ERRORS) -> Answer:
    """The answer that tells of a failure, with what is known of the call."""
    named = [*failure.headers.items(), ("x-tollgate-error-source", failure.source)]
    headers = [*JSON_HEADERS, *explained, *encode_headers(named)]
    return Answer(failure.status, headers, write_json(form.body(failure, explained)))


def usage_event(body: Mapping[str, Any], cost: Nanos) -> bytes:
    """The usage chunk with the call's cost in it."""
    usage = {**body["usage"], "cost": orjson.Fragment(dollars_text(cost))}
    return b"data: " + orjson.dumps({**body, "usage": usage}) + b"\n\n"


def id_headers(call_id: object) -> Headers:
    text = str(call_id).encode()
    return [(b"x-request-id", text), (b"x-litellm-call-id", text)]


def encode_headers(named: Iterable[tuple[str, str]]) -> Headers:
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in named]
