"""The outlet: the client's end of a call. Leaving it starts the drain and cancels nothing.

A journey puts an answer's head and its chunks in; the gateway takes them out and sends them. If the
client leaves, or reads too slowly, what is put in goes nowhere and the journey runs to its end.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from proxy.errors import Failure, answer_for

CHUNKS_MAX = 64
SLOW_READER_SECONDS = 60.0  # a client that takes nothing for so long has left

Headers = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Answer:
    """What the client is sent. `body` is None where chunks follow."""

    status: int
    headers: Headers
    body: bytes | None


class Outlet:
    """Made for one call. `has_left()` asks the server whether the client is still connected."""

    def __init__(self, has_left: Callable[[], bool], *, chunks_max: int = CHUNKS_MAX) -> None:
        self._has_left = has_left
        self._chunks_max = chunks_max
        self._chunks: deque[bytes] = deque()
        self._answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._filled: asyncio.Future[None] | None = None
        self._emptied: asyncio.Future[None] | None = None
        self._finished = False
        self._left = False
        self.failure: Failure | None = None
        self.on_leaving: Callable[[], None] = lambda: None

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

    def open(self, answer: Answer) -> None:
        if not self._answer.done():
            self._answer.set_result(answer)

    def fail(self, failure: Failure) -> None:
        """Before the head this is the answer; after it an event that ends the stream."""
        self.failure = self.failure or failure
        if not self._answer.done():
            self._answer.set_exception(failure)
        self.finish()

    async def put(self, chunk: bytes) -> None:
        """Hand a chunk on; waits while the client is behind, and for nothing once it has left."""
        if self._left:
            return
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
        self._finished = True
        _wake(self._filled)

    def client_has_left(self) -> bool:
        if not self._left and self._has_left():
            self.leave()
        return self._left

    # -- the client's side -----------------------------------------------------------------------

    async def answer(self) -> Answer:
        """The head, once it is known. Raises Failure."""
        return await self._answer

    async def chunks(self, *, silence_seconds: float) -> AsyncIterator[bytes | None]:
        """Chunks as they come; None after each silence that long (0: never)."""
        while True:
            if self._chunks:
                chunk = self._chunks.popleft()
                if self._emptied is not None and not self._chunks:
                    _wake(self._emptied)
                yield chunk
            elif self._finished or self._left:
                return
            elif not await self._wait_filled(silence_seconds):
                yield None

    def leave(self) -> None:
        """The client is gone: what is still put in goes nowhere."""
        if self._left:
            return
        self._left = True
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


def _wake(waiter: asyncio.Future[None] | None) -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)
