"""Batcher: group commit. What arrives while a batch is in flight is the next batch.

    order      commit sees items in order of arrival; results come back in that order
    flight     one at a time: an idle worker waits for nobody, a busy one for the flight ahead
    bounds     1..items_max a batch; past queue_max, Busy is raised at once and nothing has moved
    fate       one batch, one transaction: its items share success or error
    bad items  a batch refused for its content is halved until the bad item stands alone
    departure  a waiter that left leaves its item in; its result goes to `unclaimed`
    post       no waiter: kept and retried until committed, so a second commit must be a no-op
    end        close() takes no more, flushes, and returns what `seconds_max` left unwritten

It knows nothing of money.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from spend.errors import Busy, Unavailable

Item = TypeVar("Item")
Result = TypeVar("Result")

RETRY_SECONDS_FIRST = 0.05
RETRY_SECONDS_MAX = 1.0

logger = logging.getLogger(__name__)


class BadItems(Exception):
    """Raised by commit: rolled back because of what one of the items says."""


class Batcher(Generic[Item, Result]):
    """Give it `commit`: one round trip that answers a batch, raising BadItems or Unavailable."""

    def __init__(
        self,
        commit: Callable[[Sequence[Item]], Awaitable[Sequence[Result]]],
        *,
        items_max: int,
        queue_max: int,
        unclaimed: Callable[[Item, Result], None],
    ) -> None:
        self._commit = commit
        self._items_max = items_max
        self._queue_max = queue_max
        self._unclaimed = unclaimed
        self._queue: deque[tuple[Item, asyncio.Future[Result] | None]] = deque()
        self._flight: asyncio.Task[None] | None = None
        self._closing = False
        self.batches = 0
        self.items = 0

    @property
    def waiting(self) -> int:
        return len(self._queue)

    async def submit(self, item: Item) -> Result:
        """The item's result. Raises Busy at once, or what its batch met."""
        if self._closing or len(self._queue) >= self._queue_max:
            raise Busy("too many calls are waiting for the ledger")
        waiter: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._put(item, waiter)
        return await waiter

    def post(self, item: Item) -> None:
        """Hand an item over for good; never waits, never raises."""
        self._put(item, None)

    async def close(self, *, seconds_max: float) -> Sequence[Item]:
        self._closing = True
        if (flight := self._flight) is not None:
            await asyncio.wait([flight], timeout=seconds_max)
            if flight.cancel():
                await asyncio.wait([flight])
        return [item for item, _ in self._queue]

    def _put(self, item: Item, waiter: asyncio.Future[Result] | None) -> None:
        self._queue.append((item, waiter))
        if self._flight is None:
            self._take_off()

    def _take_off(self) -> None:
        self._flight = asyncio.get_running_loop().create_task(self._fly(), name="flight")
        self._flight.add_done_callback(self._land)

    def _land(self, flight: asyncio.Task[None]) -> None:
        self._flight = None
        if not flight.cancelled() and (error := flight.exception()) is not None:
            logger.error("flight_died", exc_info=error)
        if self._queue and not self._closing:
            self._take_off()

    async def _fly(self) -> None:
        pause = RETRY_SECONDS_FIRST
        while self._queue:
            count = min(len(self._queue), self._items_max)
            batch = [self._queue.popleft() for _ in range(count)]
            self.batches += 1
            self.items += count
            posts = await self._commit_batch(batch)
            if posts:  # the bank cannot be asked now: they go first when it can
                self._queue.extendleft(reversed(posts))
                await asyncio.sleep(pause)
                pause = min(pause * 2, RETRY_SECONDS_MAX)
            else:
                pause = RETRY_SECONDS_FIRST

    async def _commit_batch(
        self, batch: list[tuple[Item, asyncio.Future[Result] | None]]
    ) -> list[tuple[Item, asyncio.Future[Result] | None]]:
        """Commit, answer the waiters, and return the posts that must be tried again."""
        try:
            results = await self._commit([item for item, _ in batch])
        except BadItems as error:
            return await self._commit_halves(batch, error)
        except Unavailable as error:
            return self._fail(batch, error)
        except BaseException:
            # A flight that dies answers its passengers all the same; posts stay for the next one.
            self._queue.extendleft(
                reversed(self._fail(batch, Unavailable("the flight of this batch died")))
            )
            raise
        for (item, waiter), result in zip(batch, results, strict=True):
            if waiter is None:
                continue
            if waiter.done():
                self._unclaimed(item, result)
            else:
                waiter.set_result(result)
        return []

    async def _commit_halves(
        self, batch: list[tuple[Item, asyncio.Future[Result] | None]], error: BadItems
    ) -> list[tuple[Item, asyncio.Future[Result] | None]]:
        if len(batch) > 1:
            middle = len(batch) // 2
            again = await self._commit_batch(batch[:middle])
            return again + await self._commit_batch(batch[middle:])
        (_, waiter) = batch[0]
        if waiter is None:
            # It can never be written; the sweep will bill its reservation at the estimate.
            logger.error("posted_item_refused", exc_info=error)
        elif not waiter.done():
            waiter.set_exception(error)
        return []

    def _fail(
        self, batch: list[tuple[Item, asyncio.Future[Result] | None]], error: Unavailable
    ) -> list[tuple[Item, asyncio.Future[Result] | None]]:
        for _, waiter in batch:
            if waiter is not None and not waiter.done():
                waiter.set_exception(error)
        return [(item, waiter) for item, waiter in batch if waiter is None]
