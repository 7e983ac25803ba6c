"""What the demo's provider says in other forms than a chat's: the same texts, told otherwise."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from proxy.upstreams.demo_answers import BadRequest, Chat, Text, read_chat, usage_of

Body = Mapping[str, Any]
Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Form:
    """How a request is read, told in an answer, and told in events: those of a token wait for it.

    All texts are there before the first event.
    """

    read: Callable[[Body], Chat]
    plain: Callable[[Chat, Sequence[Text]], Object]
    events: Callable[[Chat, Sequence[Text]], Iterator[tuple[bytes, bool]]]


def _as_chat(body: Body, messages: list[Object], **members: Any) -> Chat:
    kept = {name: body[name] for name in ("model", "stream", "stream_options") if name in body}
    return read_chat({**kept, "messages": messages, **members})


def _event(body: Object, *, named: bool = True) -> bytes:
    head = b"event: %s\n" % body["type"].encode() if named else b""
    return head + b"data: " + orjson.dumps(body) + b"\n\n"


# -- completions ---------------------------------------------------------------------------------


def _read_completion(body: Body) -> Chat:
    prompt = body.get("prompt")
    if not isinstance(prompt, str):
        raise BadRequest(400, "'prompt' must be a text.", "prompt")
    messages = [{"role": "user", "content": prompt}]
    return _as_chat(body, messages, max_tokens=body.get("max_tokens"), n=body.get("n"))


def _completion(chat: Chat, choices: list[Object]) -> Object:
    head = {"id": chat.id.replace("chatcmpl", "cmpl"), "object": "text_completion"}
    return {**head, "created": int(time.time()), "model": chat.model.name, "choices": choices}


def _choice(index: int, text: str, finish_reason: str | None) -> Object:
    return {"index": index, "text": text, "logprobs": None, "finish_reason": finish_reason}


def _plain_completion(chat: Chat, texts: Sequence[Text]) -> Object:
    choices = [
        _choice(index, "".join(text.pieces), text.finish_reason) for index, text in enumerate(texts)
    ]
    return {**_completion(chat, choices), "usage": usage_of(chat, texts)}


def _completion_events(chat: Chat, texts: Sequence[Text]) -> Iterator[tuple[bytes, bool]]:
    for index, text in enumerate(texts):
        for piece in text.pieces:
            yield _event(_completion(chat, [_choice(index, piece, None)]), named=False), True
        ended = _completion(chat, [_choice(index, "", text.finish_reason)])
        yield _event(ended, named=False), False
    if chat.tells_usage:
        told = {**_completion(chat, []), "usage": usage_of(chat, texts)}
        yield _event(told, named=False), False
    yield b"data: [DONE]\n\n", False


# -- responses -----------------------------------------------------------------------------------


def _read_response(body: Body) -> Chat:
    given = body.get("input")
    items = [{"role": "user", "content": given}] if isinstance(given, str) else given
    if not isinstance(items, list) or not items:
        raise BadRequest(400, "'input' must be a text or a list of items.", "input")
    instructions = body.get("instructions")
    first = [{"role": "system", "content": instructions}] if instructions else []
    return _as_chat(body, [*first, *items], max_tokens=body.get("max_output_tokens"))


def _response(chat: Chat, text: Text | None) -> Object:
    """Without its text, one that has only begun."""
    name = chat.id.removeprefix("chatcmpl-")
    state = "in_progress" if text is None else "incomplete" if text.was_cut else "completed"
    output = [] if text is None else [_output(name, "".join(text.pieces))]
    return {
        "id": f"resp_{name}",
        "object": "response",
        "created_at": int(time.time()),
        "status": state,
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if state == "incomplete" else None,
        "model": chat.model.name,
        "output": output,
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": None if text is None else _response_usage(chat, text),
    }


def _output(name: str, text: str) -> Object:
    content = [{"type": "output_text", "text": text, "annotations": []}]
    message = {"id": f"msg_{name}", "type": "message", "status": "completed"}
    return {**message, "role": "assistant", "content": content}


def _response_usage(chat: Chat, text: Text) -> Object:
    return {
        "input_tokens": chat.prompt_tokens,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": text.tokens,
        "output_tokens_details": {"reasoning_tokens": text.reasoning_tokens},
        "total_tokens": chat.prompt_tokens + text.tokens,
    }


def _plain_response(chat: Chat, texts: Sequence[Text]) -> Object:
    return _response(chat, texts[0])


def _response_events(chat: Chat, texts: Sequence[Text]) -> Iterator[tuple[bytes, bool]]:
    text = texts[0]
    for number, (event, waits) in enumerate(_numbered_events(chat, text)):
        yield _event({**event, "sequence_number": number}), waits


def _numbered_events(chat: Chat, text: Text) -> Iterator[tuple[Object, bool]]:
    ended = _response(chat, text)
    item = ended["output"][0]
    place = {"item_id": item["id"], "output_index": 0, "content_index": 0}
    part = item["content"][0]
    yield {"type": "response.created", "response": _response(chat, None)}, False
    begun = {**item, "status": "in_progress", "content": []}
    yield {"type": "response.output_item.added", "output_index": 0, "item": begun}, False
    empty = {**part, "text": ""}
    yield {"type": "response.content_part.added", **place, "part": empty}, False
    for piece in text.pieces:
        yield {"type": "response.output_text.delta", **place, "delta": piece, "logprobs": []}, True
    whole = {"text": part["text"], "logprobs": []}
    yield {"type": "response.output_text.done", **place, **whole}, False
    yield {"type": "response.content_part.done", **place, "part": part}, False
    yield {"type": "response.output_item.done", "output_index": 0, "item": item}, False
    yield {"type": f"response.{ended['status']}", "response": ended}, False


# -- messages ------------------------------------------------------------------------------------


def _read_message(body: Body) -> Chat:
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise BadRequest(400, "messages: Field required", "messages")
    if body.get("max_tokens") is None:
        raise BadRequest(400, "max_tokens: Field required", "max_tokens")
    system = body.get("system")
    first = [{"role": "system", "content": system}] if system else []
    return _as_chat(body, [*first, *messages], max_tokens=body["max_tokens"])


def _message(chat: Chat, content: list[Object], text: Text | None) -> Object:
    """Without its text, one that has only begun."""
    stop = None if text is None else "max_tokens" if text.was_cut else "end_turn"
    return {
        "id": f"msg_{chat.id.removeprefix('chatcmpl-')}",
        "type": "message",
        "role": "assistant",
        "model": chat.model.name,
        "content": content,
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": {
            "input_tokens": chat.prompt_tokens,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": 1 if text is None else text.tokens,
        },
    }


def _plain_message(chat: Chat, texts: Sequence[Text]) -> Object:
    text = texts[0]
    return _message(chat, [{"type": "text", "text": "".join(text.pieces)}], text)


def _message_events(chat: Chat, texts: Sequence[Text]) -> Iterator[tuple[bytes, bool]]:
    text = texts[0]
    yield _event({"type": "message_start", "message": _message(chat, [], None)}), False
    block = {"type": "text", "text": ""}
    yield _event({"type": "content_block_start", "index": 0, "content_block": block}), False
    for piece in text.pieces:
        delta = {"type": "text_delta", "text": piece}
        yield _event({"type": "content_block_delta", "index": 0, "delta": delta}), True
    yield _event({"type": "content_block_stop", "index": 0}), False
    ended = _message(chat, [], text)
    reason = {"stop_reason": ended["stop_reason"], "stop_sequence": None}
    usage = {"output_tokens": text.tokens}
    yield _event({"type": "message_delta", "delta": reason, "usage": usage}), False
    yield _event({"type": "message_stop"}), False


def count_message(body: Body) -> Object:
    """What `/messages/count_tokens` answers; nothing is generated, so nothing limits it."""
    return {"input_tokens": _read_message({"max_tokens": 1, **body}).prompt_tokens}


FORMS = {
    "/completions": Form(_read_completion, _plain_completion, _completion_events),
    "/responses": Form(_read_response, _plain_response, _response_events),
    "/messages": Form(_read_message, _plain_message, _message_events),
}
