"""Client line: one connection of a client, in place of uvicorn's own protocol.

uvicorn accepts, counts and drains; here the bytes of a connection become exchanges, one at a time.
A head is bounded in bytes, in headers, and in the time until it is complete, before anybody looks
at it; a connection on which nothing happens is closed after a while.
"""

import asyncio
import json
from collections import deque
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, cast
from urllib.parse import unquote

import httptools
from uvicorn import Config
from uvicorn.protocols.utils import get_local_addr, get_remote_addr, is_ssl
from uvicorn.server import ServerState

from config.exchange import Exchange, status_line

HEAD_BYTES_MAX = 64 * 1024
HEADERS_MAX = 100
HEAD_SECONDS_MAX = 30.0
BODY_SECONDS_MAX = 35.0  # the gateway has its own 30, and tells of them in the caller's form
IDLE_SECONDS_MAX = 75.0
WAITING_BYTES_MAX = 64 * 1024  # of a body that nobody has read yet
LAST_WORDS_SECONDS = 1.0
NEVER = float("inf")
ASGI = {"version": "3.0", "spec_version": "2.3"}

NO_HTTP = (400, "bad_request", "The request is not valid HTTP.")
TOO_SLOW = (408, "request_timeout", "The request did not arrive within 30 seconds.")
TOO_LARGE = (431, "headers_too_large", "The headers are more than 100, or larger than 64 KiB.")


class ClientLine(asyncio.Protocol):
    transport: asyncio.Transport

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._application = config.loaded_app
        self._state = server_state
        self._app_state = app_state
        self._loop = _loop or asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        # Else what a client says behind `connection: close` would end the answer on its way.
        self._parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self._arriving: Exchange | None = None  # its body is on its way
        self._answering: Exchange | None = None
        self._pipeline: deque[Exchange] = deque()
        self._is_deaf = self._is_paused = False
        self._begin_head()
        self._in_head = False
        self.writable: asyncio.Future[None] | None = None  # while the client reads too slowly
        self.deadline = NEVER

    # -- the event loop's side ---------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._state.connections.add(cast(Any, self))
        self._server, self._client = get_local_addr(self.transport), get_remote_addr(self.transport)
        self._scheme = "https" if is_ssl(self.transport) else "http"
        self.deadline = self._loop.time() + IDLE_SECONDS_MAX

    def data_received(self, data: bytes) -> None:
        if self._is_deaf:
            return
        was_in_head = self._in_head
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:  # the request itself is served, and nothing else
            self._is_deaf = True
        except httptools.HttpParserError:
            self._refuse(TOO_LARGE if self._is_too_large else NO_HTTP)
        else:
            if self._in_head:
                self._watch_head(len(data) if was_in_head else 0)
            elif self._arriving is not None and self.deadline == NEVER:
                self.deadline = self._loop.time() + BODY_SECONDS_MAX

    def connection_lost(self, error: Exception | None) -> None:
        self._state.connections.discard(cast(Any, self))
        for exchange in (self._answering, self._arriving, *self._pipeline):
            if exchange is not None and not exchange.is_over:
                exchange.lose_client()
        self._pipeline.clear()
        self._arriving = self._answering = None
        self.resume_writing()

    def pause_writing(self) -> None:
        self.writable = self._loop.create_future()

    def resume_writing(self) -> None:
        writable, self.writable = self.writable, None
        if writable is not None and not writable.done():
            writable.set_result(None)

    # -- the server's side -------------------------------------------------------------------------

    def shutdown(self) -> None:
        """uvicorn ends: what is being answered is answered."""
        self._is_deaf = True
        if self._answering is None:
            self.transport.close()
        else:
            self._answering.keeps_alive = False

    def expire(self) -> None:
        """The deadline has passed: of a request that does not end, or of an idle connection."""
        if not self._is_deaf and (self._in_head or self._arriving is not None):
            self._refuse(TOO_SLOW)
        else:
            self.transport.close()

    # -- the parser's side -------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._begin_head()

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_bytes += len(name) + len(value)
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        if self._is_too_large:
            raise ValueError("the head is too large")
        self._in_head = False
        exchange = self._arriving = Exchange(self, self._scope(), keeps_alive=self._keeps_alive())
        for name, value in self._headers:
            if name == b"expect" and value.lower() == b"100-continue":
                exchange.waits_for_continue = True
        if self._answering is None:
            self._answer(exchange)
        else:
            self._pipeline.append(exchange)
            self._pause()

    def on_body(self, body: bytes) -> None:
        exchange = self._arriving
        if exchange is not None and not exchange.is_over:
            exchange.take(body)
            if exchange.waiting_bytes > WAITING_BYTES_MAX:
                self._pause()

    def on_message_complete(self) -> None:
        exchange, self._arriving = self._arriving, None
        if exchange is not None and not exchange.is_over:
            exchange.take_end()
            self.deadline = NEVER

    # -- the exchange's side -----------------------------------------------------------------------

    @property
    def standing_headers(self) -> bytes:
        return written(tuple(self._state.default_headers))

    def end(self, exchange: Exchange) -> None:
        """All of its answer was sent."""
        self._state.total_requests += 1
        self._answering = None
        if self._is_deaf or not exchange.keeps_alive:
            self._hang_up()
        elif self._pipeline:
            self._answer(self._pipeline.popleft())
        else:
            seconds = HEAD_SECONDS_MAX if self._in_head else IDLE_SECONDS_MAX
            self.deadline = self._loop.time() + seconds
            self.read_on()

    def forget(self, exchange: Exchange) -> None:
        self._state.tasks.discard(cast(Any, exchange.task))

    def read_on(self) -> None:
        if self._is_paused:
            self._is_paused = False
            self.transport.resume_reading()

    # -- steps -------------------------------------------------------------------------------------

    @property
    def _is_too_large(self) -> bool:
        size = max(self._head_bytes, self._piece_bytes)  # a header that has not ended is in these
        return size > HEAD_BYTES_MAX or len(self._headers) > HEADERS_MAX

    def _begin_head(self) -> None:
        self._in_head, self._is_watched = True, False
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._head_bytes = self._piece_bytes = 0

    def _watch_head(self, more_bytes: int) -> None:
        """It is not complete yet. A first piece is no longer than one reading off the wire."""
        self._piece_bytes += more_bytes
        if self._is_too_large:
            self._refuse(TOO_LARGE)
        elif not self._is_watched:
            self._is_watched = True
            if self._answering is None:
                self.deadline = self._loop.time() + HEAD_SECONDS_MAX

    def _scope(self) -> dict[str, Any]:
        raw_path, _, query = self._url.partition(b"?")
        if not raw_path.startswith(b"/") or b"#" in self._url:  # as to a proxy, or `*`
            url = httptools.parse_url(self._url)
            raw_path, query = url.path or b"", url.query or b""
        path = raw_path.decode("ascii")
        return {
            "type": "http",
            "asgi": ASGI,
            "http_version": self._parser.get_http_version(),
            "server": self._server,
            "client": self._client,
            "scheme": self._scheme,
            "method": self._parser.get_method().decode("ascii"),
            "root_path": "",
            "path": unquote(path) if "%" in path else path,
            "raw_path": raw_path,
            "query_string": query,
            "headers": self._headers,
            "state": self._app_state.copy(),
        }

    def _keeps_alive(self) -> bool:
        keeps_alive = self._parser.should_keep_alive() and not self._parser.should_upgrade()
        return keeps_alive and self._parser.get_http_version() != "1.0"

    def _answer(self, exchange: Exchange) -> None:
        self._answering = exchange
        self.deadline = NEVER
        exchange.task = self._loop.create_task(exchange.run(self._application))
        self._state.tasks.add(exchange.task)

    def _pause(self) -> None:
        if not self._is_paused:
            self._is_paused = True
            self.transport.pause_reading()

    def _refuse(self, reason: tuple[int, str, str]) -> None:
        """What is wrong may have come behind a request that is being answered."""
        self._is_deaf = True
        answering = self._answering
        if answering is not None and answering is not self._arriving:
            answering.keeps_alive = False
            self._pipeline.clear()
            return
        if answering is not None:
            answering.lose_client()
        if answering is None or not answering.has_started:
            self.transport.write(refusal(*reason))
        self._hang_up()

    def _hang_up(self) -> None:
        """Who closes on a client that is still sending takes our last words from him."""
        self._is_deaf = True
        if self._in_head or self._arriving is not None:
            self.read_on()
            self.transport.write_eof()
            self._loop.call_later(LAST_WORDS_SECONDS, self.transport.close)
        else:
            self.transport.close()


def refusal(status: int, type_: str, text: str) -> bytes:
    error = {"message": text, "type": type_, "param": None, "code": str(status)}
    body = json.dumps({"error": error}).encode()
    head = b"content-type: application/json\r\nconnection: close\r\ncontent-length: %d" % len(body)
    return status_line(status) + head + b"\r\n\r\n" + body


@lru_cache(4)
def written(headers: tuple[tuple[bytes, bytes], ...]) -> bytes:
    return b"".join(b"%b: %b\r\n" % header for header in headers)


def expire_overdue(lines: Iterable[ClientLine], now: float) -> None:
    for line in [line for line in lines if line.deadline < now]:
        line.expire()
