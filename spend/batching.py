"""Batcher: group commit. What arrives while a batch is in flight is the next batch.

    order      commit sees items in order of arrival; results come back in that order
    flight     one at a time: an idle worker waits for nobody, a busy one for the flight ahead
    linger     posts may wait that long for company, unless somebody flushes
    bounds     1..items_max a batch; past queue_max, Busy is raised at once and nothing has moved
    fate       one batch, one transaction: its items share success or error
    bad items  a batch refused for its content is halved until the bad item stands alone
    departure  who leaves before his item was sent takes it along; after that, its result goes to
               `unclaimed`, or None where it is not known whether it was committed
    post       no waiter: kept and retried until committed, so a second commit must be a no-op
    end        close() takes no more, flushes, and returns what `seconds_max` left unwritten

It knows nothing of money.
"""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Generic, TypeVar

from spend.errors import Busy, Unavailable

Item = TypeVar("Item")
Result = TypeVar("Result")

RETRY_SECONDS_FIRST = 0.05
RETRY_SECONDS_MAX = 1.0

logger = logging.getLogger(__name__)


class BadItems(Exception):
    """Raised by commit: rolled back because of what one of the items says."""


@dataclass(frozen=True, slots=True)
class _Passenger(Generic[Item, Result]):
    """An item on its way, and who waits for its result; nobody, if it was posted."""

    item: Item
    waiter: asyncio.Future[Result] | None

    @property
    def has_left(self) -> bool:
        return self.waiter is not None and self.waiter.done()


class Batcher(Generic[Item, Result]):
    """Give it `commit`: one round trip that answers a batch, raising BadItems or Unavailable."""

    def __init__(
        self,
        commit: Callable[[Sequence[Item]], Awaitable[Sequence[Result]]],
        *,
        items_max: int,
        queue_max: int,
        unclaimed: Callable[[Item, Result | None], None],
        linger_seconds: float = 0.0,
    ) -> None:
        self._linger_seconds = linger_seconds
        self._hurried: asyncio.Event | None = None
        self._commit = commit
        self._items_max = items_max
        self._queue_max = queue_max
        self._unclaimed = unclaimed
        self._queue: deque[_Passenger[Item, Result]] = deque()
        self._flight: asyncio.Task[None] | None = None
        self._closing = False
        self._posts = 0
        self._posts_done = 0
        self._flushers: deque[tuple[int, asyncio.Future[None]]] = deque()
        self.batches = 0
        self.items = 0
        self.seconds = 0.0  # that its flights took

    @property
    def waiting(self) -> int:
        return len(self._queue)

    @property
    def is_idle(self) -> bool:
        return self._flight is None and not self._queue

    async def submit(self, item: Item) -> Result:
        """The item's result. Raises Busy at once, or what its batch met."""
        if self._closing or len(self._queue) >= self._queue_max:
            raise Busy("too many calls are waiting for the ledger")
        waiter: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._put(item, waiter)
        claimed = False
        try:
            result = await waiter
            claimed = True
        finally:
            # Cancelled in the very moment in which the result came: nobody else will see it.
            if not claimed and _has_result(waiter):
                self._unclaimed(item, waiter.result())
        return result

    def post(self, item: Item) -> None:
        """Hand an item over for good; never waits, never raises."""
        self._posts += 1
        self._put(item, None)

    async def flush(self) -> None:
        """Wait until all that was posted before now is written."""
        if self._posts_done < self._posts:
            flusher: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._flushers.append((self._posts, flusher))
            self._hurry()
            await flusher

    async def close(self, *, seconds_max: float) -> Sequence[Item]:
        self._closing = True
        self._hurry()
        if (flight := self._flight) is not None:
            await asyncio.wait([flight], timeout=seconds_max)
            if flight.cancel():
                await asyncio.wait([flight])
        return [left.item for left in self._fail(self._queue, Unavailable("the ledger is closed"))]

    def _put(self, item: Item, waiter: asyncio.Future[Result] | None) -> None:
        self._queue.append(_Passenger(item, waiter))
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
        await self._linger()
        while batch := self._board():
            self.batches += 1
            self.items += len(batch)
            started = perf_counter()
            posts = await self._deliver(batch)
            self.seconds += perf_counter() - started
            if posts:  # the bank cannot be asked now: they go first when it can
                self._queue.extendleft(reversed(posts))
                await asyncio.sleep(pause)
                pause = min(pause * 2, RETRY_SECONDS_MAX)
            else:
                pause = RETRY_SECONDS_FIRST
                await self._linger()

    async def _linger(self) -> None:
        if self._linger_seconds and not self._flushers and not self._closing:
            self._hurried = asyncio.Event()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._linger_seconds):
                    await self._hurried.wait()
            self._hurried = None

    def _hurry(self) -> None:
        if self._hurried is not None:
            self._hurried.set()

    def _board(self) -> list[_Passenger[Item, Result]]:
        batch: list[_Passenger[Item, Result]] = []
        while self._queue and len(batch) < self._items_max:
            passenger = self._queue.popleft()
            if not passenger.has_left:
                batch.append(passenger)
        return batch

    async def _deliver(
        self, batch: list[_Passenger[Item, Result]]
    ) -> list[_Passenger[Item, Result]]:
        """Commit, answer the waiters, and return the posts that must be tried again."""
        parts = deque([batch])  # the batch, taken apart as far as need be, in order
        again: list[_Passenger[Item, Result]] = []
        try:
            while parts:
                part = parts[0]
                try:
                    results = await self._commit([passenger.item for passenger in part])
                    answers = list(zip(part, results, strict=True))
                except Unavailable as error:
                    again += self._fail(part, error)
                except Exception as error:  # noqa: BLE001 - one item must not bring down the rest
                    if len(part) > 1:
                        middle = len(part) // 2
                        parts[0] = part[:middle]
                        parts.insert(1, part[middle:])
                        continue
                    again += self._turn_away(part, error)
                else:
                    self._answer(answers)
                parts.popleft()
        finally:  # a flight that ends half-way answers its passengers; posts are for the next one
            if parts:
                for part in parts:
                    again += self._fail(part, Unavailable("the flight of this batch ended"))
                    self._doubt(part)
                self._queue.extendleft(reversed(again))
        return again

    def _answer(self, answers: Sequence[tuple[_Passenger[Item, Result], Result]]) -> None:
        for passenger, result in answers:
            if passenger.waiter is None:
                self._posts_done += 1
            elif passenger.has_left:
                self._unclaimed(passenger.item, result)
            else:
                passenger.waiter.set_result(result)
        self._end_flushes()

    def _end_flushes(self) -> None:
        while self._flushers and self._flushers[0][0] <= self._posts_done:
            _, flusher = self._flushers.popleft()
            if not flusher.done():
                flusher.set_result(None)

    def _turn_away(
        self, part: list[_Passenger[Item, Result]], error: Exception
    ) -> list[_Passenger[Item, Result]]:
        """The bad item stands alone. One that broke the commit itself is tried again, if posted."""
        if not isinstance(error, BadItems):
            logger.error("commit_broken", exc_info=error)
            self._doubt(part)
            return self._fail(part, Unavailable("the batch could not be committed"))
        (passenger,) = part
        if passenger.waiter is None:
            # It can never be written; the sweep will bill its reservation at the estimate.
            logger.error("posted_item_refused", exc_info=error)
            self._posts_done += 1
            self._end_flushes()
        elif not passenger.has_left:
            passenger.waiter.set_exception(error)
        return []

    def _fail(
        self, part: Iterable[_Passenger[Item, Result]], error: Unavailable
    ) -> list[_Passenger[Item, Result]]:
        for passenger in part:
            if passenger.waiter is not None and not passenger.has_left:
                passenger.waiter.set_exception(error)
        return [passenger for passenger in part if passenger.waiter is None]

    def _doubt(self, part: list[_Passenger[Item, Result]]) -> None:
        for passenger in part:
            if passenger.waiter is not None and not _has_result(passenger.waiter):
                self._unclaimed(passenger.item, None)


def _has_result(waiter: asyncio.Future[Result]) -> bool:
    return waiter.done() and not waiter.cancelled() and waiter.exception() is None
