"""Connection: one HTTP/1.1 connection to an upstream, for one exchange at a time.

httptools parses; what has come is kept here until somebody reads it, and no more is taken off the
wire while that is a lot.
"""

import asyncio
from typing import cast

from httptools import HttpParserError, HttpResponseParser

from proxy.upstreams.contract import Broken, LongBody, Silent

HEAD_BYTES_MAX = 64 * 1024  # looked at when more is to come
WAITING_BYTES_MAX = 64 * 1024  # of an answer that nobody has read yet

BROKE_BEFORE = "the connection broke before the answer"
BROKE_WITHIN = "the connection broke within the answer"


class Connection(asyncio.Protocol):
    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._parser = HttpResponseParser(self)
        self._waiter: asyncio.Future[None] | None = None
        self._chunks: list[bytes] = []
        self._waiting_bytes = 0
        self._head_bytes = 0
        self._is_paused = False
        self._is_lost = False
        self._is_asked = False
        self._is_cut = False  # the rest of a request was not sent
        self._keeps_alive = False
        self._writable: asyncio.Future[None] | None = None  # while the upstream takes no more
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self.has_head = False
        self.is_whole = False
        self.idle_since = 0.0

    # -- the exchange's side -----------------------------------------------------------------------

    @property
    def is_open(self) -> bool:
        return not self._is_lost and not self._transport.is_closing()

    @property
    def may_serve_again(self) -> bool:
        """The answer came whole and was read, and the upstream does not mean to hang up.

        What nobody has read would be taken for the beginning of the next answer.
        """
        if self._is_cut:
            return False
        return self._keeps_alive and self.is_whole and self.is_open and not self._chunks

    def ask(self, request: bytes) -> None:
        self.headers = {}
        self._head_bytes = 0
        self.has_head = self.is_whole = False
        self._is_asked = True
        self._transport.write(request)

    async def send_on(self, body: LongBody, seconds_max: float) -> None:
        """No faster than the upstream takes it; it ends early when the answer is there before.

        Raises Silent or Broken.
        """
        try:
            async with asyncio.timeout(max(0.0, seconds_max)):
                for chunk in body.chunks():
                    if self._is_lost or self.has_head:
                        break
                    self._transport.write(chunk)
                    if self._writable is not None:
                        await self._writable
                else:
                    return
        except TimeoutError:
            raise Silent("the request was not taken in time") from None
        if not self.has_head:
            raise Broken(BROKE_BEFORE)
        self._is_cut = True

    async def wait_for_head(self, seconds_max: float) -> None:
        """Raises Silent or Broken."""
        deadline = self._loop.time() + seconds_max
        while not self.has_head:
            if self._is_lost:
                raise Broken(BROKE_BEFORE)
            await self._wait(deadline - self._loop.time(), "nothing came back in time")

    async def read(self, seconds_max: float) -> bytes | None:
        """All that has come, as soon as there is something; None at the end. Raises as above."""
        while not self._chunks:
            if self.is_whole:
                return None
            if self._is_lost:
                raise Broken(BROKE_WITHIN)
            await self._wait(seconds_max, "the answer fell silent")
        chunks, self._chunks, self._waiting_bytes = self._chunks, [], 0
        if self._is_paused and not self._is_lost:
            self._is_paused = False
            self._transport.resume_reading()
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def rest(self) -> None:
        """The exchange is over; the next one may come."""
        self._is_asked = False

    def close(self) -> None:
        self._transport.abort()

    async def _wait(self, seconds_max: float, says: str) -> None:
        waiter = self._waiter = self._loop.create_future()
        alarm = self._loop.call_later(max(0.0, seconds_max), _fall_silent, waiter, says)
        try:
            await waiter
        finally:
            alarm.cancel()
            self._waiter = None

    # -- the event loop's side ---------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if not self._is_asked:  # nobody asked for that: it would be taken for the next answer
            self.close()
            return
        if not self.has_head:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except HttpParserError:
            self._lose()
            return
        if not self.has_head and self._head_bytes > HEAD_BYTES_MAX:
            self._lose()
        elif self._waiting_bytes > WAITING_BYTES_MAX and not self.is_whole and not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()
        self._wake()

    def pause_writing(self) -> None:
        self._writable = self._loop.create_future()

    def resume_writing(self) -> None:
        writable, self._writable = self._writable, None
        if writable is not None and not writable.done():
            writable.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        if error is None and self.has_head and not self._says_its_end():
            self.is_whole = True
        self._is_lost = True
        self.resume_writing()
        self._wake()

    def _says_its_end(self) -> bool:
        """Else the end of the connection is the end of the answer."""
        return b"content-length" in self.headers or b"transfer-encoding" in self.headers

    def _lose(self) -> None:
        self._is_lost = True
        self.close()
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # -- the parser's side -------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        if self.is_whole:  # a second answer to one request
            raise ValueError("an answer that nobody asked for")

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        known = self.headers.get(name)
        self.headers[name] = value if known is None else known + b", " + value

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()
        self.has_head = self.status >= 200  # else the answer itself is still to come
        if self.has_head:
            self.resume_writing()  # whatever is still to be sent

    def on_body(self, body: bytes) -> None:
        self._chunks.append(body)
        self._waiting_bytes += len(body)

    def on_message_complete(self) -> None:
        if self.has_head:
            self.is_whole = True
            self._keeps_alive = self._parser.should_keep_alive()
        else:
            self.headers = {}


def _fall_silent(waiter: asyncio.Future[None], says: str) -> None:
    if not waiter.done():
        waiter.set_exception(Silent(says))
