"""Sizing: how large a call may become, from its body alone."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from proxy.call import Call
from spend.estimate import Size, text_bound_bytes

# Tools that the provider runs by itself, as often as it likes.
OWN_TOOLS = frozenset({"function", "custom"})
UNBOUNDED_MEMBERS = ("web_search_options", "prompt")


def size_of(call: Call) -> Size:
    body = call.body
    messages, tools = body.get("messages"), body.get("tools")
    return Size(
        # An escape is shorter than what some tokenizers make of its character: take the text.
        text_bytes=text_bound_bytes(orjson.dumps(body) if b"\\u" in call.raw else call.raw),
        messages=len(messages) if isinstance(messages, Sequence) else 0,
        tools=len(tools) if isinstance(tools, Sequence) else 0,
        output_tokens_asked=call.output_tokens_asked,
        choices=call.choices,
        prediction_bytes=len(str(body["prediction"]).encode()) if body.get("prediction") else 0,
        may_have_audio=False,  # what could bring audio in makes the bound unprovable
        unbounded=unbounded_member(body),
    )


def unbounded_member(body: Mapping[str, Any]) -> str | None:
    """The member whose cost has no provable bound: media of unknown size, tools run elsewhere."""
    for name in UNBOUNDED_MEMBERS:
        if body.get(name):
            return name
    if body.get("modalities") not in (None, ["text"]):
        return "modalities"
    for n, tool in enumerate(body.get("tools") or ()):
        if isinstance(tool, Mapping) and tool.get("type") not in OWN_TOOLS:
            return f"tools[{n}]"
    messages = body.get("messages")
    for n, message in enumerate(messages if isinstance(messages, list) else ()):
        content = message.get("content") if isinstance(message, Mapping) else None
        for part in content if isinstance(content, list) else ():
            if isinstance(part, Mapping) and part.get("type") not in ("text", "refusal"):
                return f"messages[{n}].content"
    return None
