"""Throttling: the rate limits of a call: requests and tokens a minute, and calls at a time.

A call without rate limits passes without a question, one that Redis gives no answer on in time
passes too: money has walls of its own (README, D21).
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from math import ceil
from types import TracebackType
from uuid import UUID

from proxy.errors import Failure
from proxy.header_text import in_header_time
from proxy.plan import Plan
from proxy.rate_counters import Act, RateCounters, Verdict
from proxy.rate_limits import RateLimits, pace_of
from spend.billing import Record
from spend.ledger import Intent
from spend.usage import Usage

RENEW_SECONDS = 10.0  # a third of a lease
AGAIN_SECONDS = 0.01  # for the end of a call that another worker is about to tell of

KINDS_ON_WIRE = {"parallel": "max_parallel_requests"}

Refuse = Callable[[UUID, Intent, Record], None]


class Throttle:
    """One per web worker. `refuse` writes the row of a call that was turned away."""

    def __init__(self, url: str, *, refuse: Refuse) -> None:
        self.counters = RateCounters(url)
        self._refuse = refuse
        self._in_flight: dict[UUID, Plan] = {}
        self._renewing: asyncio.Task[None] | None = None

    @property
    def failed_open(self) -> int:
        """Calls that passed because their rate limits could not be looked up."""
        return self.counters.failed_open

    def slot(self, plan: Plan) -> "Slot":
        """The call's place within its rate limits, for as long as it is entered."""
        return Slot(self, plan)

    def count_tokens(self, plan: Plan, usage: Usage) -> None:
        """What a call used, once it is known; never waits, never raises."""
        tokens = usage.prompt_tokens + usage.completion_tokens
        limited = tuple(limits for limits in plan.rate_limits if limits.tokens is not None)
        if tokens and limited:
            self.counters.tell(Act("count", plan.call.id, limited, tokens))

    async def open(self) -> None:
        self._renewing = asyncio.create_task(self._renew_for_ever(), name="renew")

    async def close(self, *, seconds_max: float) -> None:
        if self._renewing is not None:
            self._renewing.cancel()
            await asyncio.wait([self._renewing])
        await self.counters.close(seconds_max=seconds_max)

    # -- for the slot ----------------------------------------------------------------------------

    async def enter(self, plan: Plan) -> Plan:
        """The plan, with the pace that its call found. Raises Failure, the row being written."""
        verdict = await self._ask(plan)
        if verdict is not None and verdict.kind == "parallel":
            await asyncio.sleep(AGAIN_SECONDS)  # nobody is refused for a call that is over
            verdict = await self._ask(plan)
        if verdict is None:
            return plan
        pace = pace_of(plan.rate_limits, verdict.counts, seconds_left=verdict.seconds_left)
        if verdict.refusing is None:
            return replace(plan, pace=pace)
        failure = refusal(verdict, verdict.refusing, pace.headers())
        record = Record(http_status=429, ended_at=datetime.now(UTC), error=failure.error())
        self._refuse(plan.call.id, plan.intent, record)
        raise failure

    def leave(self, plan: Plan) -> None:
        """Nothing is awaited, so nothing can come in between. A second time does nothing."""
        if self._in_flight.pop(plan.call.id, None) is not None:
            self.counters.tell(Act("leave", plan.call.id, parallel_limits(plan)))

    async def _ask(self, plan: Plan) -> Verdict | None:
        """Who is ended meanwhile may have been counted all the same, and leaves."""
        if parallel_limits(plan):
            self._in_flight[plan.call.id] = plan
        is_answered = False
        try:
            verdict = await self.counters.ask(Act("admit", plan.call.id, plan.rate_limits))
            is_answered = True
        finally:
            if not is_answered:
                self.leave(plan)
        if verdict is not None and verdict.refusing is not None:
            self._in_flight.pop(plan.call.id, None)  # it was counted nowhere
        return verdict

    # -- upkeep ----------------------------------------------------------------------------------

    async def _renew_for_ever(self) -> None:
        """So that a place is free half a minute after its worker died, however long calls run."""
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            for plan in self._in_flight.values():
                self.counters.tell(Act("renew", plan.call.id, parallel_limits(plan)))


class Slot:
    """Entered, it is the plan with the pace that its call found; given back on every way out."""

    __slots__ = ("_plan", "_throttle")

    def __init__(self, throttle: Throttle, plan: Plan) -> None:
        self._throttle = throttle
        self._plan = plan

    async def __aenter__(self) -> Plan:
        return await self._throttle.enter(self._plan) if self._plan.rate_limits else self._plan

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._plan.rate_limits:
            self._throttle.leave(self._plan)


def parallel_limits(plan: Plan) -> tuple[RateLimits, ...]:
    return tuple(limits for limits in plan.rate_limits if limits.parallel is not None)


def refusal(verdict: Verdict, refusing: RateLimits, headers: dict[str, str]) -> Failure:
    """A minute resets at its end; a place may be free again at any moment, so in a second."""
    is_parallel = verdict.kind == "parallel"
    seconds = 1 if is_parallel else max(1, ceil(verdict.seconds_left))
    resets_at = verdict.at + 1 if is_parallel else verdict.resets_at
    limit: int = getattr(refusing, verdict.kind)
    text = (
        f"Rate limit exceeded for {refusing.name}."
        f" Limit type: {KINDS_ON_WIRE.get(verdict.kind, verdict.kind)}."
        f" Current limit: {limit}, Remaining: 0."
        f" Limit resets at: {in_header_time(ceil(resets_at))}"
    )
    retry = {"Retry-After": str(seconds)}
    return Failure(429, "rate_limit_error", text, headers=headers | retry)
