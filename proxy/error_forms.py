"""Error forms: how a failure is told, as the clients of an endpoint read it (wire contract, 1.3).

`body` is a plain answer's; `event` ends a stream that was begun and cannot be finished, and no
`[DONE]` follows it. What they are given besides the failure is what was sent before: the answer's
headers, and the newest chunk of the stream.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from proxy.errors import Failure
from proxy.wire import write_json

Pairs = list[tuple[bytes, bytes]]

_SEQUENCE_NUMBER = re.compile(rb'"sequence_number": ?(\d{1,15})\b')


@dataclass(frozen=True, slots=True)
class ErrorForm:
    body: Callable[[Failure, Pairs], dict[str, Any]]
    event: Callable[[Failure, bytes], bytes]


def openai_body(failure: Failure, headers: Pairs) -> dict[str, Any]:
    return failure.body()


def openai_event(failure: Failure, newest: bytes) -> bytes:
    return b"data: " + write_json(failure.body()) + b"\n\n"


def responses_event(failure: Failure, newest: bytes) -> bytes:
    """OpenAI's members, numbered on from the newest event, and the same error as everywhere."""
    error = failure.error()
    seen = _SEQUENCE_NUMBER.findall(newest)
    number = int(seen[-1]) + 1 if seen else 0
    event = {**failure.body(), **error, "type": "error", "sequence_number": number}
    return b"event: error\ndata: " + write_json(event) + b"\n\n"


def anthropic_body(failure: Failure, headers: Pairs) -> dict[str, Any]:
    request_id = dict(headers).get(b"x-request-id", b"").decode()
    return {"type": "error", **failure.body(), "request_id": request_id}


def anthropic_event(failure: Failure, newest: bytes) -> bytes:
    event = {"type": "error", "error": failure.error()}
    return b"event: error\ndata: " + write_json(event) + b"\n\n"


OPENAI_ERRORS = ErrorForm(openai_body, openai_event)
RESPONSES_ERRORS = ErrorForm(openai_body, responses_event)
ANTHROPIC_ERRORS = ErrorForm(anthropic_body, anthropic_event)
