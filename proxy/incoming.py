"""Incoming: a request's body as it arrives, within its bounds of bytes and seconds."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from proxy.errors import Failure

JSON_BYTES_MAX = 20 * 1024 * 1024
FORM_BYTES_MAX = 30 * 1024 * 1024
BODY_SECONDS_MAX = 30.0
CLOSE = {"Connection": "close"}

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


async def read_body(headers: Mapping[str, str], receive: Receive) -> bytes:
    """The whole body, within its bounds. Raises Failure 408 or 413."""
    refuse_declared(headers, JSON_BYTES_MAX)
    deadline = asyncio.get_running_loop().time() + BODY_SECONDS_MAX
    message = await receive_in_time(receive, deadline)
    raw: bytes = message.get("body", b"")
    if not message.get("more_body"):
        return raw
    return await read_rest(raw, receive, deadline)


async def read_rest(first: bytes, receive: Receive, deadline: float) -> bytes:
    chunks, size = [first], len(first)
    while True:
        message = await receive_in_time(receive, deadline)
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > JSON_BYTES_MAX:
            raise too_large(JSON_BYTES_MAX)
        chunks.append(chunk)
        if not message.get("more_body"):
            return b"".join(chunks)


async def receive_in_time(receive: Receive, deadline: float) -> MutableMapping[str, Any]:
    message = receive_now(receive)  # it mostly came together with the headers
    try:
        if message is None:
            async with asyncio.timeout_at(deadline):
                message = await receive()
    except TimeoutError:
        text = "The body did not arrive within 30 seconds."
        raise Failure(408, "request_timeout", text, headers=CLOSE) from None
    if message["type"] == "http.disconnect":
        raise Failure(499, "client_closed", "The client has left.")
    return message


async def read_chunks(
    headers: Mapping[str, str], receive: Receive, *, bytes_max: int
) -> AsyncIterator[bytes]:
    """The body piece by piece, for what is not to be held in memory. Raises Failure 408 or 413."""
    refuse_declared(headers, bytes_max)
    deadline = asyncio.get_running_loop().time() + BODY_SECONDS_MAX
    size = 0
    more = True
    while more:
        message = await receive_in_time(receive, deadline)
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > bytes_max:
            raise too_large(bytes_max)
        yield chunk
        more = message.get("more_body", False)


def refuse_compressed(headers: Mapping[str, str]) -> None:
    if headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        text = "The body must not be compressed."
        raise Failure(415, "unsupported_media_type", text, headers=CLOSE)


def refuse_declared(headers: Mapping[str, str], bytes_max: int) -> None:
    declared = headers.get("content-length", "")
    if declared.isdigit() and int(declared) > bytes_max:
        raise too_large(bytes_max)


def too_large(bytes_max: int) -> Failure:
    text = f"The body is larger than {bytes_max // 2**20} MiB."
    return Failure(413, "request_too_large", text, headers=CLOSE)


def receive_now(receive: Receive) -> MutableMapping[str, Any] | None:
    """What is there already: one step of `receive`; if that would wait, it is let go."""
    step = receive().__await__()
    try:
        next(step)
    except StopIteration as stop:
        found: MutableMapping[str, Any] = stop.value
        return found
    step.close()
    return None
