"""The outlet: the client's end of a call. Leaving it starts the drain and cancels nothing.

A journey puts an answer's head and its chunks in; the gateway takes them out and sends them. If the
client leaves, or reads too slowly, what is put in goes nowhere and the journey runs to its end.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Self

from proxy.answers import Answer, Headers, failure_answer
from proxy.error_forms import OPENAI_ERRORS, ErrorForm
from proxy.errors import Failure, answer_for

CHUNKS_MAX = 64
CLIENT_CLOSED = 499
SLOW_READER_SECONDS = 60.0  # a client that takes nothing for so long has left


class Outlet:
    """Made for one call. `has_left()` asks the server whether the client is still connected.

    `explain()` is what the headers of an answer say of the call, as far as it has come.
    """

    def __init__(
        self,
        has_left: Callable[[], bool],
        explain: Callable[[], Headers] = list,
        errors: ErrorForm = OPENAI_ERRORS,
        *,
        chunks_max: int = CHUNKS_MAX,
    ) -> None:
        self._has_left = has_left
        self.explain = explain
        self._errors = errors
        self._chunks_max = chunks_max
        self._chunks: deque[bytes] = deque()
        self._answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._filled: asyncio.Future[None] | None = None
        self._emptied: asyncio.Future[None] | None = None
        self._finished = False
        self._left = False
        self._last: bytes | None = None
        self._newest = b""
        self._served = False
        self.hung_up = False
        self.failure: Failure | None = None
        self.on_leaving: Callable[[], None] = nothing

    # -- the journey's side ----------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        """The client hears of any error; only a cancellation goes on from here."""
        if error is not None:
            if isinstance(error, asyncio.CancelledError):
                text = "The gateway is shutting down."
                self.fail(Failure(503, "shutting_down", text, headers={"Retry-After": "1"}))
                return False
            self.fail(answer_for(error))
        self.finish()
        return True

    def open(self, answer: Answer, first: bytes = b"") -> None:
        """The head, the first time; and the first of the chunks that follow it.

        A plain answer is all that the client waits for: if it is still there, it is served.
        """
        if self._answer.done():
            return
        if answer.body is not None:
            self._served = not self.client_has_left()
        elif first:
            self._chunks.append(first)
        self._answer.set_result(answer)

    def fail(self, failure: Failure) -> None:
        """Before the head this is the answer; after it an event that ends the stream."""
        self.failure = self.failure or failure
        if not self._answer.done():
            self.open(failure_answer(failure, self.explain(), self._errors))
        self.finish()

    @property
    def is_open(self) -> bool:
        """Whether the client has, or will have, the head of an answer."""
        return self._answer.done()

    async def put(self, chunk: bytes, *, is_last: bool = False) -> None:
        """Hand a chunk on; waits while the client is behind, and for nothing once it has left.

        With the last one the client has all that it waits for, and may leave when it likes.
        """
        if self._left:
            return
        if is_last:
            self._last = chunk
        self._newest = chunk
        self._chunks.append(chunk)
        _wake(self._filled)
        if len(self._chunks) >= self._chunks_max:
            self._emptied = asyncio.get_running_loop().create_future()
            try:
                async with asyncio.timeout(SLOW_READER_SECONDS):
                    await self._emptied
            except TimeoutError:
                self.leave()

    def finish(self) -> None:
        """Nothing follows. Who waits for an answer that nobody made is not there any more."""
        self._finished = True
        _wake(self._filled)
        if not self._answer.done():
            self._answer.set_result(Answer(CLIENT_CLOSED, self.explain(), b""))
        self.explain = list  # what explained holds us: only the collector would find that

    def client_has_left(self) -> bool:
        """Once it was served it is not asked: its connection may serve other calls already."""
        if not (self._left or self._served) and self._has_left():
            self.leave()
        return self._left

    # -- the client's side -----------------------------------------------------------------------

    @property
    def has_left(self) -> bool:
        return self._left

    async def answer(self) -> Answer:
        """The head, once it is known; or the failure, if there was one before it."""
        return await self._answer

    def error_event(self, failure: Failure) -> bytes:
        """What ends a stream that was begun and cannot be finished."""
        return self._errors.event(failure, self._newest)

    async def chunks(self, *, silence_seconds: float) -> AsyncIterator[bytes | None]:
        """Chunks as they come; None after each silence that long (0: never)."""
        while True:
            if self._chunks:
                chunk = self._chunks.popleft()
                if self._emptied is not None and not self._chunks:
                    _wake(self._emptied)
                yield chunk
                if chunk is self._last:
                    self._served = True
            elif self._finished or self._left:
                return
            elif not await self._wait_filled(silence_seconds):
                yield None

    def leave(self) -> None:
        """The client is gone: what is still put in goes nowhere."""
        if self._left:
            return
        self._left = True
        self.hung_up = not self._served
        self._chunks.clear()
        _wake(self._emptied)
        _wake(self._filled)
        self.on_leaving()

    async def _wait_filled(self, silence_seconds: float) -> bool:
        self._filled = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(silence_seconds or None):
                await self._filled
        except TimeoutError:
            return False
        return True


def nothing() -> None:
    pass


def _wake(waiter: asyncio.Future[None] | None) -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)
