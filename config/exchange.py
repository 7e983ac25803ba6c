"""Exchange: one request of a client and its answer, as an ASGI application sees them.

What costs time elsewhere is left out: no event and no timer, no pattern over each header; and an
answer whose length is known leaves in one piece with its head.
"""

import asyncio
from collections.abc import Iterable, MutableMapping
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from config.client_line import ClientLine

Headers = Iterable[tuple[bytes, bytes]]
Message = MutableMapping[str, Any]

BODILESS = frozenset({204, 304})
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
FAILED = b"Internal Server Error"
FAILED_HEADERS = (
    (b"content-type", b"text/plain"),
    (b"content-length", b"%d" % len(FAILED)),
    (b"connection", b"close"),
)


class BadAnswer(Exception):
    """The application's answer is no HTTP."""


class Exchange:
    """`disconnected` once the client has left, `is_over` once all of the answer was sent."""

    __slots__ = (
        "_chunks", "_closes", "_has_news", "_head", "_is_chunked", "_length", "_line", "_waiter",
        "body_is_whole", "disconnected", "has_started", "is_over", "keeps_alive", "scope", "task",
        "waiting_bytes", "waits_for_continue",
    )  # fmt: skip

    def __init__(self, line: "ClientLine", scope: Message, *, keeps_alive: bool) -> None:
        self.scope = scope
        self.keeps_alive = keeps_alive
        self.disconnected = self.is_over = self.has_started = False
        self.body_is_whole = self.waits_for_continue = False
        self.waiting_bytes = 0
        self.task: asyncio.Task[None] | None = None
        self._line = line
        self._chunks: list[bytes] = []
        self._has_news = False
        self._waiter: asyncio.Future[None] | None = None
        self._head = b""
        self._length: int | None = None  # what is still to come of an answer of known length
        self._is_chunked = self._closes = False

    async def run(self, application: Any) -> None:
        try:
            await application(self.scope, self.receive, self.send)
        finally:
            if not (self.is_over or self.disconnected):
                self._fail()
            self._line.forget(self)

    # -- from the client ---------------------------------------------------------------------------

    def take(self, chunk: bytes) -> None:
        self._chunks.append(chunk)
        self.waiting_bytes += len(chunk)
        self._tell()

    def take_end(self) -> None:
        self.body_is_whole = True
        self._tell()

    def lose_client(self) -> None:
        self.disconnected = True
        self._tell()

    def _tell(self) -> None:
        self._has_news = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def receive(self) -> Message:
        if self.waits_for_continue:
            self.waits_for_continue = False
            self._line.transport.write(CONTINUE)
        while not (self._has_news or self.is_over):
            self._line.read_on()
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        if self.disconnected or self.is_over:
            return {"type": "http.disconnect"}
        self._has_news = False
        chunks, self._chunks, self.waiting_bytes = self._chunks, [], 0
        body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        return {"type": "http.request", "body": body, "more_body": not self.body_is_whole}

    # -- to the client -----------------------------------------------------------------------------

    async def send(self, message: Message) -> None:
        if self._line.writable is not None:
            await asyncio.shield(self._line.writable)
        if self.disconnected:
            return
        if message["type"] == "http.response.start":
            self._start(message["status"], message.get("headers", ()))
        else:
            self._write(message.get("body", b""), is_last=not message.get("more_body", False))

    def _start(self, status: int, headers: Headers) -> None:
        self.waits_for_continue = False
        lines = [b"%b: %b\r\n" % header for header in headers]
        written = b"".join(lines)
        if written.count(b"\n") != len(lines) or written.count(b"\r") != len(lines):
            raise BadAnswer("a header holds the end of a line")
        for name, value in headers:
            self._frame(name.lower(), value)
        if not (self.keeps_alive or self._closes):
            written += b"connection: close\r\n"
        if self.scope["method"] == "HEAD" or status in BODILESS:
            self._length, self._is_chunked = 0, False
        elif self._length is None:
            self._is_chunked = True
            written += b"transfer-encoding: chunked\r\n"
        head = b"%b%b%b\r\n" % (status_line(status), self._line.standing_headers, written)
        self.has_started = True
        if self._length:
            self._head = head  # leaves with the body, which follows at once
        else:
            self._line.transport.write(head)

    def _frame(self, name: bytes, value: bytes) -> None:
        if name == b"content-length":
            self._length = int(value)
        elif name == b"connection" and b"close" in value.lower():
            self.keeps_alive, self._closes = False, True
        elif name == b"transfer-encoding":
            raise BadAnswer("how a body is transferred is not the application's choice")

    def _write(self, body: bytes, *, is_last: bool) -> None:
        if self.is_over or not self.has_started:
            raise BadAnswer("a body before its head, or behind its end")
        if self._is_chunked:
            piece = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            piece = piece + b"0\r\n\r\n" if is_last else piece
        elif self.scope["method"] == "HEAD":
            piece = b""
        else:
            piece, self._head = self._head + body, b""
            self._length = (self._length or 0) - len(body)
            if self._length < 0 or (is_last and self._length):
                raise BadAnswer("a body that is not as long as its head says")
        if piece:
            self._line.transport.write(piece)
        if is_last:
            self.is_over = True
            self._line.end(self)

    def _fail(self) -> None:
        """The application ended, or was ended, before its answer did."""
        self.keeps_alive = False
        if self.has_started:
            self.is_over = True
            self._line.end(self)
        else:
            self._start(500, FAILED_HEADERS)
            self._write(FAILED, is_last=True)


@lru_cache(600)
def status_line(status: int) -> bytes:
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    return f"HTTP/1.1 {status} {phrase}\r\n".encode()
