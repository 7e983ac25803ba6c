"""Bodies: what of a client's body goes upstream (wire contract, 2.5), whatever the dialect."""

from collections.abc import Mapping
from typing import Any

from proxy.upstreams.contract import Request

# Ours, or read and used here; the upstream never sees them.
REMOVED = frozenset(
    {"tags", "litellm_metadata", "metadata", "num_retries", "timeout", "fallbacks",
     "disable_fallbacks"}
)  # fmt: skip
OUTPUT_CAPS = ("max_completion_tokens", "max_tokens", "max_output_tokens")
OPENAI = ("https://api.openai.com/v1", "https://eu.api.openai.com/v1")
PAIRS_MAX = 16


def outbound_body(request: Request) -> dict[str, Any]:
    body = {name: value for name, value in request.body.items() if name not in REMOVED}
    body["model"] = request.upstream_model
    if metadata := request.endpoint.passed_metadata(request.body):
        body["metadata"] = metadata
    if request.output_tokens_cap is not None and request.endpoint.cap_fields:
        cap_output(body, request, request.output_tokens_cap)
    return body


def cap_output(body: dict[str, Any], request: Request, cap: int) -> None:
    """Exactly one limit goes upstream, with the value that the hold was computed from.

    Where there are several spellings, OpenAI's reasoning models know the newer one only, many
    others only the older one, and a deployment may say which.
    """
    fields = request.endpoint.cap_fields
    given = [name for name in OUTPUT_CAPS if body.pop(name, None) is not None]
    asked = [name for name in given if name in fields]
    preferred = request.terms.get("output_cap_field")
    if preferred and len(fields) > 1:
        spelling = preferred
    elif asked:
        spelling = asked[0]
    else:
        spelling = fields[0] if request.address in OPENAI else fields[-1]
    body[spelling] = cap


# -- metadata ------------------------------------------------------------------------------------


def no_metadata(body: Mapping[str, Any]) -> dict[str, str]:
    return {}


def text_pairs(body: Mapping[str, Any]) -> dict[str, str]:
    """What is left of `metadata` without the tags."""
    metadata = body.get("metadata")
    if not isinstance(metadata, Mapping):
        return {}
    pairs = {
        name: value for name, value in metadata.items() if name != "tags" and isinstance(value, str)
    }
    return dict(list(pairs.items())[:PAIRS_MAX])


def stored_metadata(body: Mapping[str, Any]) -> dict[str, str]:
    """Chats define it where they are stored."""
    return text_pairs(body) if body.get("store") is True else {}


def user_metadata(body: Mapping[str, Any]) -> dict[str, str]:
    """Anthropic's has one member."""
    pairs = text_pairs(body)
    return {"user_id": pairs["user_id"]} if "user_id" in pairs else {}
