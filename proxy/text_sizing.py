"""Text sizing: how large a call of text in other forms than a chat's may become."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from proxy.call import CHOICES_MAX, Call, read_count
from proxy.sizing import (
    UNBOUNDED_MEMBERS,
    is_no_text,
    unbounded_content,
    unbounded_tier,
    unbounded_tool,
)
from spend.estimate import ModelLimits, Size, text_bound_bytes
from spend.pricing import Tariff

RESPONSES_UNBOUNDED = (
    "prompt", "conversation",  # texts that are stored at the provider's
    "context_management",  # which makes the provider write summaries of its own
    "extra_body", "models",
)  # fmt: skip
MESSAGES_UNBOUNDED = (
    "mcp_servers", "container", "context_management",
    "speed",  # a dearer way of running the model
    "extra_body", "models",
)  # fmt: skip
USUAL_PLACES = (None, "global")  # of inference; others have a surcharge
# Anthropic puts a hidden prompt in front of tools: 159 to 530 tokens, by model and choice.
TOOL_PROMPT_TOKENS = 1_024

INPUT_PARTS = frozenset({"input_text", "output_text", "text", "refusal"})
TEXT_ITEMS = frozenset({"function_call", "custom_tool_call"})
OUTPUT_ITEMS = frozenset({"function_call_output", "custom_tool_call_output"})


def body_bytes(call: Call) -> int:
    """Of what we send, not of what we got: an escape may be written shorter there."""
    return text_bound_bytes(orjson.dumps(call.body))


# -- completions and embeddings ------------------------------------------------------------------


def completions_size(call: Call, tariff: Tariff, limits: ModelLimits) -> Size:
    """`n` and `best_of` are alternatives: so many answers are written to every prompt."""
    body = call.body
    best_of = read_count(body, "best_of", at_most=CHOICES_MAX) or 1
    prompts = count_texts(body.get("prompt"))
    return Size(
        text_bytes=body_bytes(call),
        output_tokens_asked=call.output_tokens_asked,
        choices=max(call.choices, best_of),
        prompts=prompts or 1,
        may_have_audio=False,
        unbounded=unbounded_tier(body, tariff.card.variants)
        or _unbounded_but(body, "prompt")
        or ("prompt" if prompts is None else None),
    )


def embeddings_size(call: Call, tariff: Tariff, limits: ModelLimits) -> Size:
    body = call.body
    inputs = count_texts(body.get("input"))
    return Size(
        text_bytes=body_bytes(call),
        prompts=inputs or 1,
        may_have_audio=False,
        may_generate=False,
        unbounded=("input" if inputs is None else None) or unbounded_content(body.get("messages")),
    )


def count_texts(value: object) -> int | None:
    """How many texts these are, as strings or as numbers of tokens; None if something else.

    A number of a token takes a byte at least, so bytes bound it like text.
    """
    if not isinstance(value, list):
        return 1 if isinstance(value, str | None) else None
    if all(type(item) is int for item in value):
        return 1
    return len(value) if all(map(_is_text, value)) else None


def _is_text(item: object) -> bool:
    if isinstance(item, list):
        return all(type(token) is int for token in item)
    return isinstance(item, str)


def _unbounded_but(body: Mapping[str, Any], but: str) -> str | None:
    return next((name for name in UNBOUNDED_MEMBERS if name != but and body.get(name)), None)


# -- responses -----------------------------------------------------------------------------------


def responses_size(call: Call, tariff: Tariff, limits: ModelLimits) -> Size:
    """What came before counts as a full context window, whatever it was."""
    body = call.body
    continues = bool(body.get("previous_response_id"))
    items, tools = body.get("input"), body.get("tools")
    return Size(
        text_bytes=body_bytes(call),
        messages=1 + (len(items) if isinstance(items, list) else 1),
        tools=len(tools) if isinstance(tools, Sequence) else 0,
        output_tokens_asked=call.output_tokens_asked,
        has_stored_context=continues,
        may_have_audio=continues,
        unbounded=unbounded_tier(body, tariff.card.variants) or _unbounded_response(body),
    )


def _unbounded_response(body: Mapping[str, Any]) -> str | None:
    for name in RESPONSES_UNBOUNDED:
        if body.get(name):
            return name
    return unbounded_tool(body.get("tools")) or _unbounded_items(body.get("input"))


def _unbounded_items(items: object) -> str | None:
    if not isinstance(items, list):
        return None if isinstance(items, str | None) else "input"
    return next((f"input[{n}]" for n, item in enumerate(items) if not _is_bounded_item(item)), None)


def _is_bounded_item(item: object) -> bool:
    """Messages of text, and what was said to tools and by them. What is sealed, or stored at the
    provider's, may be longer than it looks."""
    if not isinstance(item, Mapping):
        return False
    kind = item.get("type", "message")
    if kind in TEXT_ITEMS:
        return True
    if kind != "message" and kind not in OUTPUT_ITEMS:
        return False
    content = item.get("content" if kind == "message" else "output")
    parts = content if isinstance(content, list) else ()
    return isinstance(content, str | list | None) and all(
        isinstance(part, Mapping) and part.get("type") in INPUT_PARTS for part in parts
    )


# -- messages ------------------------------------------------------------------------------------


def messages_size(call: Call, tariff: Tariff, limits: ModelLimits) -> Size:
    body = call.body
    messages, tools = body.get("messages"), body.get("tools")
    return Size(
        text_bytes=body_bytes(call),
        messages=1 + (len(messages) if isinstance(messages, list) else 0),
        tools=len(tools) if isinstance(tools, Sequence) else 0,
        hidden_tokens=TOOL_PROMPT_TOKENS if tools else 0,
        output_tokens_asked=call.output_tokens_asked,
        may_have_audio=False,
        unbounded=unbounded_tier(body, tariff.card.variants) or _unbounded_message(body),
    )


def _unbounded_message(body: Mapping[str, Any]) -> str | None:
    for name in MESSAGES_UNBOUNDED:
        if body.get(name):
            return name
    if body.get("inference_geo") not in USUAL_PLACES:
        return "inference_geo"
    return (
        _unbounded_tools(body.get("tools"))
        or _unbounded_system(body.get("system"))
        or _unbounded_blocks(body.get("messages"))
    )


def _unbounded_tools(tools: object) -> str | None:
    """The client's own tools are told in full; Anthropic's bring prompts, or run over there."""
    for n, tool in enumerate(tools if isinstance(tools, list) else ()):
        if not isinstance(tool, Mapping) or tool.get("type") not in (None, "custom"):
            return f"tools[{n}]"
    return None if isinstance(tools, list | None) else "tools"


def _unbounded_system(system: object) -> str | None:
    parts = system if isinstance(system, list) else ()
    is_text = isinstance(system, str | list | None) and not any(map(is_no_text, parts))
    return None if is_text else "system"


def _unbounded_blocks(messages: object) -> str | None:
    for n, message in enumerate(messages if isinstance(messages, list) else ()):
        content = message.get("content") if isinstance(message, Mapping) else None
        if not _is_bounded_content(content):
            return f"messages[{n}].content"
    return None


def _is_bounded_content(content: object) -> bool:
    if not isinstance(content, list):
        return isinstance(content, str | None)
    return all(isinstance(block, Mapping) and _is_bounded_block(block) for block in content)


def _is_bounded_block(block: Mapping[str, Any]) -> bool:
    """A signature holds a sealed text, and media have no size in bytes."""
    if block.get("type") == "tool_result":
        parts = block.get("content")
        return isinstance(parts, str | None) or (
            isinstance(parts, list) and not any(map(is_no_text, parts))
        )
    return block.get("type") in ("text", "tool_use")
