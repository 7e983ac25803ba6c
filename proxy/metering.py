"""The meter: watches an attempt and knows at any moment how it would end.

This one reads the form of chats and completions; those of other endpoints say what is different.
"""

from collections.abc import Mapping
from time import monotonic
from typing import Any

import orjson

from proxy.call import Call
from proxy.routing import Route
from proxy.streaming import payload_of
from proxy.upstreams.failures import is_error_body
from spend.billing import Counted, Ending, Metered, Unbilled, Unknown
from spend.usage import COUNT_MAX, Usage

DONE_BYTES_MAX = 24
BYTES_PER_TOKEN = 4  # of English text, in the tokenizers in use
READ_EVENTS_MIN = 4  # the first one has a role, and is longer than what surrounds a content
LABELS = frozenset({"role", "id", "type", "index"})
FINISHED = (b'"finish_reason":"', b'"finish_reason": "')


class Meter:
    """Of one attempt. Changes only from Unbilled to Unknown to what was reported or counted."""

    sides = ("prompt_tokens", "completion_tokens")

    def __init__(self, call: Call, route: Route) -> None:
        self._call = call
        self._route = route
        self._choices = call.choices
        self._sent = False
        self._unbilled = False
        self._usage: Usage | None = None
        self._told_input = self._told_output = 0
        self._service_tier: str | None = None
        self._whole = False
        self._finished_choices = 0
        self._events = 0
        self._heard_at = monotonic()
        self._envelope_bytes = 1 << 30
        self._content_bytes = 0
        self.is_done = False
        self.error: object = None
        self.upstream_model: str | None = None
        self.upstream_request_id: str | None = None

    # -- what happens ----------------------------------------------------------------------------

    def send(self) -> None:
        """From here on the upstream may be at work, whatever we hear of it."""
        self._sent = True

    def hear(self) -> None:
        """The upstream's head is here; its silences count from now."""
        self._heard_at = monotonic()

    def unsend(self) -> None:
        """It turned out that no connection was made."""
        self._sent = False

    def reject(self) -> None:
        """The upstream said no: nothing is billed, unless it tells a usage all the same."""
        self._unbilled = True

    def read_answer(self, body: Mapping[str, Any]) -> None:
        """A whole plain answer."""
        self._read_usage(body)
        self._read_names(body)
        self._whole = True
        self._content_bytes = self.content_bytes(body)

    def read_bytes(self, raw: bytes) -> None:
        """A whole plain answer that is no JSON."""
        self._whole = True

    def watch(self, event: bytes) -> Mapping[str, Any] | None:
        """One event of a stream; its parsed body if it is the usage chunk, which has no choices.

        Most events pass unparsed: the first are read for their names and for how much of an event
        is not content, and those that hold a usage or an error. Comments are no events.
        """
        if not event.startswith(b"data:") and not payload_of(event):
            return None
        self._heard_at = monotonic()
        if len(event) < DONE_BYTES_MAX and b"[DONE]" in event:
            self.is_done = self._whole = True
            return None
        if b'"usage"' not in event and b'"error"' not in event and self._events >= READ_EVENTS_MIN:
            self._count(event, len(event) - self._envelope_bytes)
            return None
        try:
            body = orjson.loads(payload_of(event))
        except orjson.JSONDecodeError:
            body = None
        if isinstance(body, dict):
            return self._read_event(event, body)
        self._count(event, len(event))
        return None

    # -- what is known ---------------------------------------------------------------------------

    @property
    def is_whole(self) -> bool:
        return self._whole

    def silent_seconds(self) -> float:
        """Since the last event."""
        return monotonic() - self._heard_at

    @property
    def ending(self) -> Ending:
        tariff = self._route.tariff
        if self._usage is not None and (self._whole or self._unbilled):
            return Metered(self._usage, tariff, self._service_tier)
        if not self._sent or self._unbilled:
            return Unbilled()
        if self._whole:
            return Counted(self._counted(), tariff)
        return Unknown(self._delivered(), tariff)

    def _delivered(self) -> Usage | None:
        """Of a stream that was cut: what it last told of itself, if that is not too little."""
        counted = self._counted() if self._content_bytes else None
        told = self._usage
        if told is None or (counted is not None and counted.output > told.output_total):
            return counted
        return told

    def _counted(self) -> Usage:
        """Our own count, input by its bytes, output by what was delivered, rounded up; or what the
        upstream told of a side, if that is more."""
        tokens = -(-self._content_bytes // BYTES_PER_TOKEN)
        return Usage(
            input=max(1, len(self._call.raw) // BYTES_PER_TOKEN, self._told_input),
            output=max(tokens, self._events - 1, self._told_output),
        )

    # -- what is different elsewhere -------------------------------------------------------------

    def usage_in(self, body: Mapping[str, Any]) -> Usage | None:
        """What a whole answer, or the last event of a stream, tells of what was used."""
        return Usage.from_openai(body.get("usage"))

    def content_bytes(self, body: Mapping[str, Any]) -> int:
        """Of a whole answer, to be counted where it tells no usage."""
        return _content_bytes(body)

    # -- reading ---------------------------------------------------------------------------------

    def _read_event(self, event: bytes, body: Mapping[str, Any]) -> Mapping[str, Any] | None:
        if is_error_body(body):
            self.error = body["error"]
            self._unbilled = self._events == 0  # no output was begun
            self._read_usage(body)
            return None
        self._read_names(body)
        has_choices = body.get("choices") != []
        if has_choices:
            content_bytes = delta_bytes(body)
            self._envelope_bytes = min(self._envelope_bytes, len(event) - content_bytes)
            self._count(event, content_bytes)
        if body.get("usage") is None:
            return None
        self._read_usage(body)
        if has_choices:
            return None
        self._whole = True
        return body

    def _read_usage(self, body: Mapping[str, Any]) -> None:
        usage = self.usage_in(body)
        if usage is not None:
            self._usage = usage  # the last complete one wins
        else:
            self._read_sides(body.get("usage"))
        tier = body.get("service_tier")
        self._service_tier = tier if isinstance(tier, str) else self._service_tier

    def _read_sides(self, usage: object) -> None:
        """A usage that cannot be used may still tell of more than we count."""
        if isinstance(usage, dict):
            name_in, name_out = self.sides
            self._told_input = max(self._told_input, told_tokens(usage, name_in))
            self._told_output = max(self._told_output, told_tokens(usage, name_out))

    def _read_names(self, body: Mapping[str, Any]) -> None:
        for name, field in (("upstream_request_id", "id"), ("upstream_model", "model")):
            value = body.get(field)
            if isinstance(value, str) and value:
                setattr(self, name, value.replace("\0", "")[:255])
        if self.upstream_request_id is None:
            self.upstream_request_id = ""

    def _count(self, event: bytes, content_bytes: int) -> None:
        self._events += 1
        self._content_bytes += max(1, content_bytes)
        if b"finish_reason" in event:
            self._finished_choices += sum(event.count(mark) for mark in FINISHED)
            self._whole = self._whole or self._finished_choices >= self._choices


def told_tokens(usage: Mapping[str, Any], name: str) -> int:
    count = usage.get(name)
    return count if type(count) is int and 0 <= count <= COUNT_MAX else 0


def delta_bytes(body: Mapping[str, Any]) -> int:
    """The bytes of the texts in the choices of a stream's event, roles and reasons left out."""
    choices = body.get("choices")
    if not isinstance(choices, list):
        return len(orjson.dumps(body))
    found = (choice for choice in choices if isinstance(choice, dict))
    return sum(text_bytes(choice.get("delta") or choice.get("text")) for choice in found)


def text_bytes(value: object) -> int:
    match value:
        case str():
            return len(value.encode())
        case list():
            return sum(map(text_bytes, value))
        case dict():
            return sum(text_bytes(part) for name, part in value.items() if name not in LABELS)
    return 0


def _content_bytes(body: Mapping[str, Any]) -> int:
    """The bytes of the messages in an answer without usage."""
    choices = body.get("choices")
    if not isinstance(choices, list):
        return len(orjson.dumps(body))
    return sum(
        len(orjson.dumps(choice.get("message") or choice.get("text") or ""))
        for choice in choices
        if isinstance(choice, dict)
    )
