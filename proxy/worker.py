"""What a web worker owns, opened and closed in order; passed in, never imported."""

import asyncio
import contextlib
import logging
import os
from collections.abc import Awaitable, Callable
from functools import partial
from time import time_ns
from typing import TypeVar

from django.conf import settings
from django.db import Error as DatabaseFailure

from proxy.cooldown import Cooldowns
from proxy.counters import SETTLE_QUEUE, Counters, Series
from proxy.directory import Directory
from proxy.drains import Drains
from proxy.tallies import Tallies
from proxy.tasks import Tasks
from proxy.throttling import Throttle
from proxy.upstreams.contract import Transport
from proxy.upstreams.transport import WireTransport
from spend.connection import FAILURES
from spend.errors import BudgetUnavailable
from spend.ids import CallIds
from spend.ledger import Ledger
from spend.presence import Presence
from spend.rollover import roll_over
from spend.sweep import expire_reservations, look_for_lockless_workers

Found = TypeVar("Found")

SWEEP_SECONDS = 10.0
TELL_SECONDS = 1.0
# Clients have had their half minute when the server ends us (config/web.py); this is for settling.
DRAIN_SECONDS_MAX = 5.0
FLUSH_SECONDS_MAX = 10.0
COUNT_SECONDS_MAX = 0.5  # for what is still to be counted: others can do without
OPEN_SECONDS = 0.5

logger = logging.getLogger(__name__)


class Worker:
    """Open it in the event loop that serves the calls."""

    def __init__(self, transport: Transport | None = None) -> None:
        self.tasks = Tasks()
        self.ids = CallIds()
        self.cooldowns = Cooldowns()
        self.counters = Counters()
        self.tallies = Tallies(settings.DATA_DIR / "metrics")
        self._tally_name = f"{os.getpid()}-{time_ns()}"
        self._expired = 0
        self.drains = Drains(seconds_max=settings.DRAIN_SECONDS)
        self.presence = Presence(self._forget, self._forget_all)
        self.directory = Directory(is_trusted=lambda: self.presence.is_heard)
        self.throttle = Throttle(
            settings.REDIS_URL, refuse=lambda *refused: self.ledger.refuse(*refused)
        )
        self._transport = transport
        self._ledger: Ledger | None = None
        self._upkeep: list[asyncio.Task[None]] = []
        self.is_closing = False

    @property
    def ledger(self) -> Ledger:
        if self._ledger is None:
            raise BudgetUnavailable("the ledger has not been reached yet")
        return self._ledger

    @property
    def transport(self) -> Transport:
        assert self._transport is not None
        return self._transport

    async def open(self) -> None:
        """Never fails for want of PostgreSQL: calls are refused until it answers."""
        if self._transport is None:
            self._transport = WireTransport()
        if not await self._reach_ledger():
            self._upkeep.append(asyncio.create_task(self._reach_ledger_at_last(), name="reach"))
        self._upkeep.append(asyncio.create_task(self._sweep_for_ever(), name="sweep"))
        self._upkeep.append(asyncio.create_task(self._tell_for_ever(), name="tell"))
        await self.throttle.open()

    async def close(self) -> None:
        """No new calls; open ones get their time; bills are written; then all is let go."""
        self.is_closing = True
        await self.tasks.close(seconds_max=DRAIN_SECONDS_MAX)
        for task in self._upkeep:
            task.cancel()
        await self.throttle.close(seconds_max=COUNT_SECONDS_MAX)
        if self._ledger is not None:
            await self._ledger.close(seconds_max=FLUSH_SECONDS_MAX)
        await self.tell_counts()
        await self.presence.close()
        await self.transport.close()
        await self.directory.close()

    async def write_bills(self) -> None:
        """Wait until the calls that are over are in the books."""
        if self._ledger is not None:
            await self._ledger.flush()

    async def tell_counts(self) -> None:
        """Write what this worker has counted to its file, for whoever reads the metrics."""
        counts = self._counts()
        with contextlib.suppress(OSError):  # a full disk turns no call away
            await asyncio.to_thread(self.tallies.write, self._tally_name, counts)

    def _counts(self) -> dict[Series, int]:
        counts = dict(self.counters.counts)
        counts[("reservations_expired",)] = self._expired
        counts[("rate_limit_failopen",)] = self.throttle.failed_open
        if self._ledger is not None:
            lanes = (self._ledger.lane.batcher, self._ledger.second_lane.batcher)
            for verb, batchers in (("reserve", lanes), ("settle", (self._ledger.settles,))):
                counts["batch_items", verb] = sum(batcher.items for batcher in batchers)
                counts["batches", verb] = sum(batcher.batches for batcher in batchers)
                took = sum(batcher.seconds for batcher in batchers)
                counts["batch_us", verb] = int(took * 1_000_000)
            counts[SETTLE_QUEUE] = self._ledger.settles.waiting
        return counts

    async def intern_tags(self, names: tuple[str, ...]) -> int:
        """The id of a call's tag list. Raises BudgetUnavailable."""
        found = self.directory.tag_set(names)
        if found is None:
            found = await self.ledger.intern_tags(names)
            self.directory.keep_tag_set(names, found)
        return found

    # -- reaching PostgreSQL ---------------------------------------------------------------------

    async def _reach_ledger(self) -> bool:
        try:
            await self.presence.open()
        except FAILURES as error:
            logger.warning("ledger_unreachable error=%s", type(error).__name__)
            return False
        self._ledger = Ledger(
            worker_id=self.presence.worker_id,
            day_zone=settings.REPORT_TIME_ZONE,
            refused_status=settings.BUDGET_EXCEEDED_STATUS,
            roll_over=self._roll_over,
            hear_clock_seconds=lambda seconds: self.ids.adjust(int(seconds * 1_000)),
        )
        return True

    async def _reach_ledger_at_last(self) -> None:
        while True:
            await asyncio.sleep(OPEN_SECONDS)
            if await self._reach_ledger():
                return

    async def _roll_over(self, budget_id: int) -> None:
        await self.directory.ask("window", budget_id, lambda: roll_over(budget_id))

    # -- upkeep ----------------------------------------------------------------------------------

    async def _sweep_for_ever(self) -> None:
        """Web workers sweep too: nobody depends on Celery. Dead is who lacks its lock twice."""
        suspects: set[int] = set()
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            try:
                lockless = set(await self._ask(look_for_lockless_workers))
                dead = sorted(suspects & lockless)
                self._expired += await self._ask(partial(expire_reservations, dead))
                suspects = lockless
            except (BudgetUnavailable, DatabaseFailure):
                suspects = set()

    async def _tell_for_ever(self) -> None:
        with contextlib.suppress(OSError):
            await asyncio.to_thread(self.tallies.bury_dead)
        while True:
            await asyncio.sleep(TELL_SECONDS)
            await self.tell_counts()

    def _ask(self, verb: Callable[[], Found]) -> Awaitable[Found]:
        return self.directory.ask("sweep", id(verb), verb)

    def _forget(self, table: str, row_id: str) -> None:
        self.directory.forget(table, row_id)

    def _forget_all(self) -> None:
        self.directory.forget_all()
