"""The lean ASGI handler of the gateway paths: bounds on bytes and seconds, the view, the answer.

No middleware, no signals, no thread: what stands between the server and a call is in this file.
Each view is an ordinary DRF APIView whose handlers are coroutines (proxy/views.py).
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from proxy.answers import KEEP_ALIVE, Answer, failure_answer, id_headers
from proxy.arrival import Arrival, address_in
from proxy.authentication import authenticate
from proxy.credentials import UnknownKey
from proxy.errors import Failure, answer_for
from proxy.form import read_form
from proxy.incoming import CLOSE, Receive, read_body, receive_now, refuse_compressed
from proxy.relay import SLOW_READER_SECONDS, Outlet
from proxy.strangers import STRANGERS
from proxy.wire import is_json, write_json
from proxy.worker import Worker

HEADER_BYTES_MAX = 32 * 1024

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


async def serve(
    scope: Scope,
    receive: Receive,
    send: Send,
    *,
    worker: Worker,
    view: Any,
    path: Mapping[str, str],
) -> None:
    """Answer one request with a GatewayView, whatever happens in it."""
    call_id = worker.ids.next()
    outlet = form = None
    model = None
    try:
        if worker.is_closing:
            raise shutting_down()
        headers = read_headers(scope)
        caller = await authenticate(headers, worker.directory)
        if view.takes_form and scope["method"] == "POST":
            form = await read_form(headers, receive)
            raw = write_json(form.body)
        else:
            check_body_headers(headers, scope["method"])
            raw = await read_body(headers, receive)
        arrival = Arrival(
            scope,
            raw,
            headers_by_name=headers,
            caller=caller,
            call_id=call_id,
            worker=worker,
            path=path,
            has_left=lambda: has_left(receive),
            form=form,
        )
        model = view.model_in(arrival)
        answer, outlet = await view.respond(arrival)
    except Exception as error:  # noqa: BLE001 - the catch-all of a call: whatever it was is told
        failure = answer_for(error, model=model)
        if isinstance(failure, UnknownKey):
            failure = STRANGERS.refusal(failure, address_in(scope, headers))
        answer = failure_answer(failure, id_headers(call_id), view.errors)
        if form is not None:
            form.upload.close()
    worker.counters.count_request(view.counted_as, answer.status)
    if answer.body is None:
        assert outlet is not None
        await send_stream(answer, outlet, receive, send, heartbeat=view.heartbeat_seconds)
    else:
        await send_plain(answer, send, head_only=scope["method"] == "HEAD")


# -- coming in -----------------------------------------------------------------------------------


def read_headers(scope: Scope) -> dict[str, str]:
    """Lower-case names; repeated ones joined; names with `_` are spoofs of others, and ignored."""
    headers: dict[str, str] = {}
    size = 0
    for name, value in scope["headers"]:
        size += len(name) + len(value)
        if b"_" in name:
            continue
        text = value.decode("latin-1")
        key = name.decode("latin-1")
        headers[key] = f"{headers[key]},{text}" if key in headers else text
    if size > HEADER_BYTES_MAX:
        raise Failure(
            413, "request_too_large", "The headers are larger than 32 KiB.", headers=CLOSE
        )
    return headers


def check_body_headers(headers: Mapping[str, str], method: str) -> None:
    if method not in ("POST", "PUT", "PATCH"):
        return
    if not is_json(headers.get("content-type", "")):
        text = "The body must be JSON, sent as application/json."
        raise Failure(415, "unsupported_media_type", text, headers=CLOSE)
    refuse_compressed(headers)


def has_left(receive: Receive) -> bool:
    """Whether the client has hung up, as far as is known without waiting."""
    known = getattr(getattr(receive, "__self__", None), "disconnected", None)
    if isinstance(known, bool):  # uvicorn's cycle notes it
        return known
    message = receive_now(receive)
    return message is not None and message["type"] == "http.disconnect"


# -- going out -----------------------------------------------------------------------------------


def shutting_down() -> Failure:
    text = "The gateway is shutting down."
    return Failure(503, "shutting_down", text, headers={"Retry-After": "1"})


async def send_plain(answer: Answer, send: Send, *, head_only: bool = False) -> None:
    body = answer.body or b""
    length = (b"content-length", str(len(body)).encode())
    await send(
        {
            "type": "http.response.start",
            "status": answer.status,
            "headers": [*answer.headers, length],
        }
    )
    await send({"type": "http.response.body", "body": b"" if head_only else body})


async def send_stream(
    answer: Answer, outlet: Outlet, receive: Receive, send: Send, *, heartbeat: float
) -> None:
    """Chunks as they come. A task of its own hears the client leave, so that the drain begins.

    A stream that was cut short is not ended as if it were whole: the server drops the connection.
    """
    watch = asyncio.create_task(wait_until_left(receive, outlet), name="client")
    last: Failure | None = shutting_down()  # unless the stream ends before we do
    try:
        await send(
            {"type": "http.response.start", "status": answer.status, "headers": answer.headers}
        )
        async for chunk in outlet.chunks(silence_seconds=heartbeat):
            await send_chunk(KEEP_ALIVE if chunk is None else chunk, outlet, send)
        last = outlet.failure
    finally:
        watch.cancel()
        if not outlet.has_left:
            if last is not None:
                await send_chunk(outlet.error_event(last), outlet, send)
            await send({"type": "http.response.body", "body": b""})
        outlet.leave()


async def send_chunk(chunk: bytes, outlet: Outlet, send: Send) -> None:
    try:
        async with asyncio.timeout(SLOW_READER_SECONDS):
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
    except TimeoutError:
        outlet.leave()


async def wait_until_left(receive: Receive, outlet: Outlet) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    outlet.leave()
