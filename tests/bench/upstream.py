"""Static upstream: answers chat completions at once, or streams them at a fixed pace.

It is a raw protocol, so that what is measured is the gateway in front of it. Prints `port N` when
it listens. `GET /tally` tells what it was asked, as a provider's bill would.
"""

import argparse
import asyncio
import json
import signal
import time
from collections import Counter
from dataclasses import dataclass, field

import uvloop

PROMPT_TOKENS, COMPLETION_TOKENS = 12, 18
USAGE = {
    "prompt_tokens": PROMPT_TOKENS,
    "completion_tokens": COMPLETION_TOKENS,
    "total_tokens": PROMPT_TOKENS + COMPLETION_TOKENS,
}
IDENTITY = {"id": "chatcmpl-bench", "created": 1_700_000_000, "model": "bench"}
CONNECTIONS_MAX = 16_384
STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
)
NOT_FOUND = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"
STAMP_DIGITS = 20  # a chunk's content: nanoseconds of the monotonic clock, to measure its delay


def json_answer(content: object) -> bytes:
    body = json.dumps(content, separators=(",", ":")).encode()
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}"
    return head.encode() + b"\r\n\r\n" + body


def event(**members: object) -> bytes:
    content = IDENTITY | {"object": "chat.completion.chunk"} | members
    return b"data: " + json.dumps(content, separators=(",", ":")).encode() + b"\n\n"


def http_chunk(payload: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(payload), payload)


def choice(delta: dict[str, str], finish_reason: str | None = None) -> list[object]:
    return [{"index": 0, "delta": delta, "finish_reason": finish_reason}]


MESSAGE = {"role": "assistant", "content": "Hello! How can I help you today?"}
PLAIN = json_answer(
    IDENTITY
    | {"object": "chat.completion", "usage": USAGE}
    | {"choices": [{"index": 0, "message": MESSAGE, "finish_reason": "stop"}]}
)
CHUNK_BEFORE, CHUNK_AFTER = http_chunk(
    event(choices=choice({"content": "#" * STAMP_DIGITS}))
).split(b"#" * STAMP_DIGITS)
STREAM_END = (
    http_chunk(event(choices=choice({}, "stop")))
    + http_chunk(event(choices=[], usage=USAGE))
    + http_chunk(b"data: [DONE]\n\n")
    + b"0\r\n\r\n"
)


@dataclass(slots=True)
class Tally:
    """Calls by path, so that each peer can have its own; `cut` streams lost their reader."""

    calls: Counter[str] = field(default_factory=Counter)
    cut: int = 0


@dataclass(frozen=True, slots=True)
class Pace:
    chunks: int
    interval_seconds: float


class Answerer(asyncio.Protocol):
    """One connection: takes requests off the buffer, answers each."""

    def __init__(self, pace: Pace, tally: Tally) -> None:
        self.pace, self.tally = pace, tally
        self.pending = b""
        self.chunks_left, self.is_streaming = 0, False
        self.loop = asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        self.tally.cut += self.is_streaming

    def data_received(self, received: bytes) -> None:
        self.pending += received
        while (end := self.request_end()) is not None:
            request, self.pending = self.pending[:end], self.pending[end:]
            self.answer(request)

    def request_end(self) -> int | None:
        """Where the first request in the buffer ends, None while it is incomplete."""
        head_end = self.pending.find(b"\r\n\r\n")
        if head_end < 0:
            return None
        head, body_start = self.pending[:head_end].lower(), head_end + 4
        _, named, rest = head.partition(b"\r\ncontent-length:")
        if named:
            end = body_start + int(rest.partition(b"\r\n")[0])
            return end if end <= len(self.pending) else None
        if b"\r\ntransfer-encoding:" not in head:
            return body_start
        last = self.pending.find(b"0\r\n\r\n", body_start)
        return last + 5 if last >= 0 else None

    def answer(self, request: bytes) -> None:
        method, path, _ = request[: request.find(b"\r\n")].split(b" ", 2)
        if method == b"POST" and path.endswith(b"/chat/completions"):
            self.tally.calls[path.decode()] += 1
            if b'"stream":true' in request or b'"stream": true' in request:
                self.start_stream()
            else:
                self.transport.write(PLAIN)
        elif path == b"/tally":
            self.transport.write(json_answer({"calls": self.tally.calls, "cut": self.tally.cut}))
        else:
            self.transport.write(NOT_FOUND)

    def start_stream(self) -> None:
        self.chunks_left, self.is_streaming = self.pace.chunks, True
        self.transport.write(STREAM_HEAD)
        self.due = self.loop.time()
        self.wait_for_next()

    def wait_for_next(self) -> None:
        """Each chunk is due at its own time, so that a late one does not move the others."""
        self.due += self.pace.interval_seconds
        self.loop.call_at(self.due, self.send_next)

    def send_next(self) -> None:
        if self.transport.is_closing():
            return
        if self.chunks_left == 0:
            self.is_streaming = False
            self.transport.write(STREAM_END)
            return
        self.chunks_left -= 1
        stamp = b"%0*d" % (STAMP_DIGITS, time.monotonic_ns())
        self.transport.write(CHUNK_BEFORE + stamp + CHUNK_AFTER)
        self.wait_for_next()


async def serve(port: int, pace: Pace) -> None:
    loop, tally, stopped = asyncio.get_running_loop(), Tally(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    server = await loop.create_server(
        lambda: Answerer(pace, tally), "127.0.0.1", port, backlog=CONNECTIONS_MAX
    )
    print(f"port {server.sockets[0].getsockname()[1]}", flush=True)
    await stopped.wait()
    server.close()


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--port", type=int, default=0)
    options.add_argument("--chunks", type=int, default=20)
    options.add_argument("--interval-ms", type=float, default=250)
    chosen = options.parse_args()
    uvloop.run(serve(chosen.port, Pace(chosen.chunks, chosen.interval_ms / 1000)))


if __name__ == "__main__":
    main()
