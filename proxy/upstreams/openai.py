"""The OpenAI dialect, spoken by most providers: build the request, read the usage."""

from collections.abc import Mapping
from typing import Any

import orjson

from proxy.upstreams.contract import Outbound, Request
from spend.usage import Usage

# Ours, or read and used here; the upstream never sees them (wire contract, 2.5).
REMOVED = frozenset(
    {"tags", "litellm_metadata", "metadata", "num_retries", "timeout", "fallbacks",
     "disable_fallbacks"}
)  # fmt: skip
OUTPUT_CAPS = ("max_completion_tokens", "max_tokens")
STRAY_CAPS = ("max_output_tokens",)  # another endpoint's spelling: read, and not sent here
OPENAI = ("https://api.openai.com/v1", "https://eu.api.openai.com/v1")
PAIRS_MAX = 16

endpoints = ("chat/completions",)


def build(request: Request) -> Outbound:
    body = {name: value for name, value in request.body.items() if name not in REMOVED}
    body["model"] = request.upstream_model
    if metadata := forwarded_metadata(request.body):
        body["metadata"] = metadata
    if request.output_tokens_cap is not None:
        cap_output(body, request, request.output_tokens_cap)
    if request.stream and request.terms.get("supports_stream_options", True):
        options = body.get("stream_options") or {}
        body["stream_options"] = {**options, "include_usage": True}
    headers = {
        **request.forwarded,
        "content-type": "application/json",
        "accept": "text/event-stream" if request.stream else "application/json",
        "accept-encoding": "identity",
        "x-client-request-id": request.call_id,
    }
    if request.secret:
        headers["authorization"] = f"Bearer {request.secret}"
    url = f"{request.address}/{request.endpoint}"
    return Outbound(url, headers, orjson.dumps(body), request.stream)


def usage_in(body: Mapping[str, Any]) -> Usage | None:
    return Usage.from_openai(body.get("usage"))


def cap_output(body: dict[str, Any], request: Request, cap: int) -> None:
    """Exactly one limit goes upstream, with the value that the hold was computed from.

    OpenAI's reasoning models know the newer spelling only, many others only the older one.
    """
    default_spelling = "max_completion_tokens" if request.address in OPENAI else "max_tokens"
    terms = request.terms
    for name in STRAY_CAPS:
        body.pop(name, None)
    asked = [name for name in OUTPUT_CAPS if body.pop(name, None) is not None]
    spelling = terms.get("output_cap_field") or next(iter(asked), default_spelling)
    body[spelling] = cap


def forwarded_metadata(body: Mapping[str, Any]) -> dict[str, str]:
    """What is left of `metadata` where the upstream defines it: stored completions."""
    metadata = body.get("metadata")
    if body.get("store") is not True or not isinstance(metadata, Mapping):
        return {}
    pairs = {
        name: value for name, value in metadata.items() if name != "tags" and isinstance(value, str)
    }
    return dict(list(pairs.items())[:PAIRS_MAX])
