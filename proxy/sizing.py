"""Sizing: how large a call may become, from its body alone."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import orjson

from proxy.call import Call
from spend.estimate import ModelLimits, Size, text_bound_bytes
from spend.pricing import Tariff

# Tools that the provider runs by itself, as often as it likes.
OWN_TOOLS = frozenset({"function", "custom"})
TEXT_PARTS = frozenset({"text", "refusal"})
# Not above the standard price.
USUAL_TIERS = frozenset({"auto", "default", "standard", "standard_only", "flex"})
UNBOUNDED_MEMBERS = (
    "web_search_options", "search_parameters", "enable_search", "plugins",  # searches, billed apart
    "prompt", "cached_content", "previous_response_id",  # texts that are stored at the provider's
    "extra_body",  # where some providers look for these
    "models",  # others that may answer instead, at their own price
)  # fmt: skip


def chat_size(call: Call, tariff: Tariff, limits: ModelLimits) -> Size:
    return size_of(call, tariff.card.variants)


def size_of(call: Call, priced_tiers: Collection[str] | None = None) -> Size:
    """`priced_tiers` are the service tiers that have prices of their own; None: not known."""
    body = call.body
    messages, tools = body.get("messages"), body.get("tools")
    return Size(
        # Of what we send, not of what we got: an escape or a number may be written shorter there.
        text_bytes=text_bound_bytes(orjson.dumps(body)),
        messages=len(messages) if isinstance(messages, Sequence) else 0,
        tools=len(tools) if isinstance(tools, Sequence) else 0,
        output_tokens_asked=call.output_tokens_asked,
        choices=call.choices,
        prediction_bytes=len(str(body["prediction"]).encode()) if body.get("prediction") else 0,
        may_have_audio=False,  # what could bring audio in makes the bound unprovable
        unbounded=unbounded_tier(body, priced_tiers) or unbounded_member(body),
    )


def unbounded_tier(body: Mapping[str, Any], priced: Collection[str] | None) -> str | None:
    """A tier that was asked for, may cost more than the standard one, and has no known price."""
    tier = body.get("service_tier")
    if tier is None or priced is None:
        return None
    is_known = isinstance(tier, str) and (tier in USUAL_TIERS or tier in priced)
    return None if is_known else "service_tier"


def unbounded_member(body: Mapping[str, Any]) -> str | None:
    """The member whose cost has no provable bound: media of unknown size, tools run elsewhere."""
    for name in UNBOUNDED_MEMBERS:
        if body.get(name):
            return name
    if body.get("modalities") not in (None, ["text"]):
        return "modalities"
    return unbounded_tool(body.get("tools")) or unbounded_content(body.get("messages"))


def unbounded_tool(tools: object) -> str | None:
    for n, tool in enumerate(tools if isinstance(tools, list) else ()):
        if isinstance(tool, Mapping) and tool.get("type") not in OWN_TOOLS:
            return f"tools[{n}]"
    return None if isinstance(tools, list | None) else "tools"


def unbounded_content(messages: object) -> str | None:
    """Text alone is bounded, as a string or in parts."""
    for n, message in enumerate(messages if isinstance(messages, list) else ()):
        content = message.get("content") if isinstance(message, Mapping) else None
        parts = content if isinstance(content, list) else ()
        if not isinstance(content, str | list | None) or any(map(is_no_text, parts)):
            return f"messages[{n}].content"
        if isinstance(message, Mapping) and message.get("audio"):  # an earlier answer, by its id
            return f"messages[{n}].audio"
    return None


def is_no_text(part: object) -> bool:
    return not isinstance(part, Mapping) or part.get("type") not in TEXT_PARTS
