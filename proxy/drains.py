"""Drains: how long, and how many at once, streams are read on after their client left."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from proxy.relay import Outlet
from proxy.upstreams.contract import Broken

DRAINS_MAX = 64  # a worker; past it the upstream is closed and what was delivered is billed


class Drained(Broken):
    """The bound of a drain was reached."""


class Drains:
    def __init__(self, *, seconds_max: float) -> None:
        self._seconds_max = seconds_max
        self.running = 0

    @asynccontextmanager
    async def bound(self, outlet: Outlet) -> AsyncIterator[None]:
        """Within it, the client's leaving starts the clock. Raises Drained when it has run out."""
        loop = asyncio.get_running_loop()
        began = False
        try:
            async with asyncio.timeout(None) as limit:

                def begin() -> None:
                    nonlocal began
                    full = self.running >= DRAINS_MAX
                    began = True
                    self.running += 1
                    limit.reschedule(loop.time() + (0 if full else self._seconds_max))

                outlet.on_leaving = begin
                if outlet.client_has_left() and not began:
                    begin()
                yield
        except TimeoutError:
            raise Drained("the client left and the drain took too long") from None
        finally:
            outlet.on_leaving = lambda: None
            if began:
                self.running -= 1
