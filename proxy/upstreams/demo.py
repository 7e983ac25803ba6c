"""The demo's provider: an ASGI application that answers in OpenAI's form, without a network.

    POST /v1/chat/completions    plain or streaming; max_tokens, n, stream_options.include_usage
    POST /v1/completions, /v1/responses, /v1/messages    the same texts in their forms
    POST /v1/messages/count_tokens
    POST /v1/embeddings
    GET  /v1/models

Nothing is kept, and nothing here imports Django: `up` runs it as a process of its own.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any

import orjson

from proxy.upstreams.demo_answers import (
    BadRequest,
    Chat,
    Text,
    embed,
    list_models,
    read_chat,
    usage_of,
    write_text,
)
from proxy.upstreams.demo_forms import FORMS, Form, count_message

BODY_BYTES_MAX = 20 * 1024 * 1024

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


# -- the application -----------------------------------------------------------------------------


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await _live(receive, send)
        return
    try:
        await _route(scope, receive, send)
    except BadRequest as refusal:
        error = {
            "message": str(refusal),
            "type": "invalid_request_error",
            "param": refusal.param,
            "code": None,
        }
        await _answer(send, {"error": error}, status=refusal.status)


async def _route(scope: Scope, receive: Receive, send: Send) -> None:
    path = scope["path"].removeprefix("/v1").rstrip("/")
    match scope["method"], path:
        case "GET", "/models":
            await _answer(send, list_models())
        case "POST", "/chat/completions":
            chat = read_chat(await _read(receive))
            await (_stream(chat, send) if chat.stream else _complete(chat, send))
        case "POST", "/embeddings":
            await _answer(send, embed(await _read(receive)))
        case "POST", "/messages/count_tokens":
            await _answer(send, count_message(await _read(receive)))
        case "POST", _ if path in FORMS:
            await _tell(FORMS[path], await _read(receive), send)
        case _:
            raise BadRequest(404, f"Unknown request: {scope['method']} {scope['path']}")


async def _live(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


# -- chat ----------------------------------------------------------------------------------------


async def _complete(chat: Chat, send: Send) -> None:
    texts = [write_text(chat, choice) for choice in range(chat.choices)]
    longest = max(text.tokens for text in texts)
    await asyncio.sleep(chat.model.first_seconds + longest * chat.model.token_seconds)
    choices = [
        {
            "index": index,
            "message": {"role": "assistant", "content": "".join(text.pieces), "refusal": None},
            "logprobs": None,
            "finish_reason": text.finish_reason,
        }
        for index, text in enumerate(texts)
    ]
    head = _head(chat, "chat.completion")
    await _answer(send, {**head, "choices": choices, "usage": usage_of(chat, texts)})


async def _stream(chat: Chat, send: Send) -> None:
    await _start(send, 200, b"text/event-stream; charset=utf-8")
    async for event in _events(chat):
        await send({"type": "http.response.body", "body": event, "more_body": True})
    await send({"type": "http.response.body", "body": b"data: [DONE]\n\n"})


async def _events(chat: Chat) -> AsyncIterator[bytes]:
    texts = [write_text(chat, choice) for choice in range(chat.choices)]
    await asyncio.sleep(chat.model.first_seconds)
    for index, text in enumerate(texts):
        for delta, finish_reason in _deltas(text):
            yield _event(chat, [_choice(index, delta, finish_reason)])
            await asyncio.sleep(chat.model.token_seconds)
    if chat.tells_usage:
        yield _event(chat, [], usage_of(chat, texts))


def _deltas(text: Text) -> Iterator[tuple[dict[str, str], str | None]]:
    yield {"role": "assistant", "content": ""}, None
    for piece in text.pieces:
        yield {"content": piece}, None
    yield {}, text.finish_reason


def _choice(index: int, delta: Mapping[str, str], finish_reason: str | None) -> dict[str, Any]:
    return {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish_reason}


def _event(
    chat: Chat, choices: Sequence[dict[str, Any]], usage: dict[str, Any] | None = None
) -> bytes:
    chunk = {**_head(chat, "chat.completion.chunk"), "choices": choices}
    if chat.tells_usage:
        chunk["usage"] = usage
    return b"data: " + orjson.dumps(chunk) + b"\n\n"


def _head(chat: Chat, kind: str) -> dict[str, Any]:
    return {
        "id": chat.id,
        "object": kind,
        "created": int(time.time()),
        "model": chat.model.name,
        "system_fingerprint": "fp_demo",
    }


# -- other forms ---------------------------------------------------------------------------------


async def _tell(form: Form, body: Mapping[str, Any], send: Send) -> None:
    chat = form.read(body)
    texts = [write_text(chat, choice) for choice in range(chat.choices)]
    await asyncio.sleep(chat.model.first_seconds)
    if not chat.stream:
        longest = max(text.tokens for text in texts)
        await asyncio.sleep(longest * chat.model.token_seconds)
        await _answer(send, form.plain(chat, texts))
        return
    await _start(send, 200, b"text/event-stream; charset=utf-8")
    for event, waits in form.events(chat, texts):
        await send({"type": "http.response.body", "body": event, "more_body": True})
        if waits:
            await asyncio.sleep(chat.model.token_seconds)
    await send({"type": "http.response.body", "body": b""})


# -- reading and answering -----------------------------------------------------------------------


async def _read(receive: Receive) -> Mapping[str, Any]:
    body = bytearray()
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > BODY_BYTES_MAX:
            raise BadRequest(413, "The body is too large.")
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise BadRequest(400, "The body is not valid JSON.") from None
    if not isinstance(found, dict):
        raise BadRequest(400, "The body must be a JSON object.")
    return found


async def _answer(send: Send, body: Mapping[str, Any], *, status: int = 200) -> None:
    raw = orjson.dumps(body)
    await _start(send, status, b"application/json", length=len(raw))
    await send({"type": "http.response.body", "body": raw})


async def _start(send: Send, status: int, media_type: bytes, *, length: int | None = None) -> None:
    request_id = f"req_demo_{time.time_ns():x}".encode()
    headers = [(b"content-type", media_type), (b"x-request-id", request_id)]
    if length is not None:
        headers.append((b"content-length", str(length).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
