"""Rate counters: calls, tokens and calls in flight of each key and tag, in Redis, for all workers.

    batch      acts that arrive while a round trip is in flight share the next one, in their order
    whole      an admit checks and counts all limits of its call in one step, or counts none
    clock      minutes are those of Redis's clock, so that all workers count in the same one
    open       who has no answer in 20 ms passes uncounted, and is counted in `failed_open`; after
               three failures in a row nobody asks for a second
    lost       other acts are not repeated: at worst a lease ends by itself

It knows nothing of answers.
"""

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from uuid import UUID

import orjson

from proxy.breaker import Breaker
from proxy.rate_limits import RateLimits
from proxy.script_line import FAILURES, ScriptLine
from spend.batching import Batcher
from spend.errors import Unavailable

ANSWER_SECONDS_MAX = 0.02
LEASE_SECONDS = 30  # how long a dead worker's calls are taken for running ones
ACTS_MAX = 256
QUEUE_MAX = 10_000
MINUTE_SECONDS = 60

SCRIPT = (Path(__file__).parent / "lua" / "count_calls.lua").read_text()

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Act:
    """What is to be counted for one call. See the script for the verbs."""

    verb: Literal["admit", "renew", "leave", "count"]
    call: UUID
    limits: tuple[RateLimits, ...]
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """Of an admit: who refused and why, if somebody did, and this minute's counts of all limits."""

    at: float  # seconds since 1970, by Redis's clock
    refusing: RateLimits | None
    kind: str  # of the limit that is used up: requests, tokens, parallel
    counts: Sequence[tuple[int, int]]  # requests and tokens

    @property
    def resets_at(self) -> int:
        """The end of this minute."""
        return (int(self.at) // MINUTE_SECONDS + 1) * MINUTE_SECONDS

    @property
    def seconds_left(self) -> float:
        return self.resets_at - self.at


class RateCounters:
    """One per web worker. Raises ValueError for a URL that is none of Redis's."""

    def __init__(self, url: str) -> None:
        self._line = ScriptLine(url, SCRIPT)
        self._breaker = Breaker()
        self.failed_open = 0
        self.acts: Batcher[Act, Verdict | None] = Batcher(
            self._commit,
            items_max=ACTS_MAX,
            queue_max=QUEUE_MAX,
            unclaimed=lambda act, verdict: None,  # whoever leaves says so in an act of its own
        )

    async def ask(self, act: Act) -> Verdict | None:
        """The verdict on an admit; None if there is none in time, and the call is to pass."""
        verdict = None
        if not self._breaker.is_open:
            with contextlib.suppress(TimeoutError, Unavailable):
                async with asyncio.timeout(ANSWER_SECONDS_MAX):
                    verdict = await self.acts.submit(act)
        if verdict is None:
            self.failed_open += 1
        return verdict

    def tell(self, act: Act) -> None:
        """Any other act; never waits, never raises."""
        if not self._breaker.is_open:
            self.acts.post(act)

    async def close(self, *, seconds_max: float) -> None:
        await self.acts.close(seconds_max=seconds_max)
        await self._line.close()

    async def _commit(self, batch: Sequence[Act]) -> Sequence[Verdict | None]:
        """Never fails: to those who wait no verdict is an answer, and posts are let go."""
        if self._breaker.is_open:
            return [None] * len(batch)
        keys, acts = write_batch(batch)
        try:
            async with asyncio.timeout(ANSWER_SECONDS_MAX):
                answer = await self._line.run(keys, (str(LEASE_SECONDS), acts))
        except FAILURES as error:
            if self._breaker.fail():
                logger.warning("rate_limits_open error=%s", type(error).__name__)
            return [None] * len(batch)
        if self._breaker.succeed():
            logger.warning("rate_limits_closed")
        return read_verdicts(answer, batch)


def write_batch(batch: Sequence[Act]) -> tuple[list[str], str]:
    """The keys of all owners, each once, and the acts that name them by their place."""
    places: dict[str, int] = {}
    acts = []
    for act in batch:
        owners = [
            (
                places.setdefault(limits.owner, len(places) + 1),
                limits.requests,
                limits.tokens,
                limits.parallel,
            )
            for limits in act.limits
        ]
        acts.append({"verb": act.verb, "call": act.call, "tokens": act.tokens, "owners": owners})
    keys = [key for owner in places for key in keys_of(owner)]
    return keys, orjson.dumps(acts).decode()


def keys_of(owner: str) -> tuple[str, str]:
    """Its minute and its calls in flight; braces keep all keys on one node of a cluster."""
    return f"{{tollgate}}:minute:{owner}", f"{{tollgate}}:parallel:{owner}"


def read_verdicts(answer: bytes, batch: Sequence[Act]) -> Sequence[Verdict | None]:
    at, verdicts = orjson.loads(answer)
    return [
        None if verdict == 0 else read_verdict(at, verdict, act.limits)
        for act, verdict in zip(batch, verdicts, strict=True)
    ]


def read_verdict(
    at: float, verdict: tuple[int, str, list[tuple[int, int]]], limits: Sequence[RateLimits]
) -> Verdict:
    place, kind, counts = verdict
    return Verdict(at, limits[place - 1] if place else None, kind, counts)
