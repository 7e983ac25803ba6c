"""Event metering: streams whose events have types, and tell their usage in the last ones."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from time import monotonic
from typing import Any

import orjson

from proxy.metering import Meter, text_bytes
from proxy.streaming import DONE, payload_of
from proxy.upstreams.failures import is_error_body
from spend.usage import Usage, counts

RESPONSE_ENDS = frozenset({"response.completed", "response.incomplete", "response.failed"})
TOOL_CALLS = {
    "web_search_call": "web_search",
    "file_search_call": "file_search",
    "code_interpreter_call": "code_interpreter",
    "image_generation_call": "image_generation",
}
UNTOLD = frozenset({"signature_delta"})  # not what the model wrote


class EventMeter(Meter):
    """Reads every event; none of them is hidden."""

    sides = ("input_tokens", "output_tokens")

    def watch(self, event: bytes) -> None:
        payload = payload_of(event)
        if not payload:
            return
        self._heard_at = monotonic()
        if payload == DONE:
            self._end()
            return
        try:
            body = orjson.loads(payload)
        except orjson.JSONDecodeError:
            body = None
        if not isinstance(body, dict):
            self._deliver(len(payload))
        elif is_error_body(body) or body.get("type") == "error":
            self._fail(body.get("error") or body)
            self._read_usage(body)
        else:
            self.read_event(body)

    def read_event(self, body: Mapping[str, Any]) -> None:
        raise NotImplementedError

    def _fail(self, error: object) -> None:
        self.error = error
        self._unbilled = self._events == 0  # no output was begun

    def _deliver(self, content_bytes: int) -> None:
        self._events += 1
        self._content_bytes += max(1, content_bytes)

    def _end(self) -> None:
        self.is_done = self._whole = True


class ResponsesMeter(EventMeter):
    def usage_in(self, body: Mapping[str, Any]) -> Usage | None:
        usage = Usage.from_responses(body.get("usage"))
        return None if usage is None else replace(usage, tools=counts(tool_calls(body)))

    def content_bytes(self, body: Mapping[str, Any]) -> int:
        return text_bytes(body.get("output"))

    def read_event(self, body: Mapping[str, Any]) -> None:
        response = body.get("response")
        if isinstance(response, dict):
            self._read_names(response)
            if body.get("type") in RESPONSE_ENDS:
                self._read_end(response)
        elif isinstance(delta := body.get("delta"), str):
            self._deliver(len(delta.encode()))

    def _read_end(self, response: Mapping[str, Any]) -> None:
        """A response that failed and used nothing is an error like any other."""
        self._read_usage(response)
        if response.get("error") and self._usage is None:
            self._fail(response["error"])
        else:
            self._end()


def tool_calls(body: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """The calls of tools that the provider ran and bills. Of searches only those that searched,
    and code by the containers that it ran in."""
    containers = set()
    output = body.get("output")
    for item in output if isinstance(output, list) else ():
        kind = item.get("type") if isinstance(item, Mapping) else None
        if not isinstance(kind, str) or (kind == "web_search_call" and not is_search(item)):
            continue
        if kind == "code_interpreter_call" and isinstance(item.get("container_id"), str):
            containers.add(item["container_id"])
        elif name := TOOL_CALLS.get(kind):
            yield name, 1
    yield "code_interpreter", len(containers)


def is_search(item: Mapping[str, Any]) -> bool:
    """And not a page that was opened, or looked through."""
    action = item.get("action")
    return not isinstance(action, Mapping) or action.get("type", "search") == "search"


class MessagesMeter(EventMeter):
    """`message_start` tells what went in, `message_delta` what came out so far."""

    def __init__(self, *of: Any) -> None:
        super().__init__(*of)
        self._told: dict[str, Any] = {}

    def usage_in(self, body: Mapping[str, Any]) -> Usage | None:
        told = body.get("usage")
        if isinstance(told, Mapping):
            self._told |= {name: value for name, value in told.items() if value is not None}
            tier = told.get("service_tier")
            self._service_tier = tier if isinstance(tier, str) else self._service_tier
        return Usage.from_anthropic(self._told)

    def content_bytes(self, body: Mapping[str, Any]) -> int:
        return text_bytes(body.get("content"))

    def read_event(self, body: Mapping[str, Any]) -> None:
        match body.get("type"):
            case "message_start" if isinstance(message := body.get("message"), dict):
                self._read_names(message)
                self._read_usage(message)
            case "content_block_delta":
                delta = body.get("delta")
                if isinstance(delta, dict) and delta.get("type") not in UNTOLD:
                    self._deliver(text_bytes(delta))
            case "message_delta":
                self._read_usage(body)
                delta = body.get("delta")
                is_last = isinstance(delta, dict) and bool(delta.get("stop_reason"))
                self._whole = self._whole or is_last
            case "message_stop":
                self._end()

    def _delivered(self) -> Usage | None:
        """What went in is known from the start, with its cached parts."""
        told = self._usage
        if told is None or not self._content_bytes:
            return super()._delivered()
        missing = self._counted().output - told.output_total
        return replace(told, output=told.output + missing) if missing > 0 else told
