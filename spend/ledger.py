"""The ledger: reserve, settle, release, refuse. The only Python that calls spend/sql/.

Not here: check, then act. Whether a call has room is decided by spend/sql/reserve.sql on locked
rows, and the hold is committed before anything is sent upstream
(tests/promises/test_p2_strict_is_strict.py).
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson

from spend.batching import BadItems, Batcher
from spend.billing import Bill, Record
from spend.connection import (
    BAD_ITEM,
    FAILURES,
    HOPELESS,
    LedgerConnection,
    connection_arguments,
)
from spend.errors import BudgetExceeded, BudgetUnavailable, Busy, CostNotBounded, Unavailable
from spend.estimate import Estimate
from spend.money import Nanos

RESERVE_SECONDS_MAX = 2.0  # from arrival to answer; past it a call is turned away, not delayed
SETTLE_SECONDS_MAX = 10.0
RETRY_SECONDS = 0.05
BATCH_ITEMS_MAX = 200
QUEUE_MAX = 5_000
OPENINGS_MAX = 3  # windows that end while we ask: by then something else is wrong

RESERVE = "select spend_reserve(%s::jsonb, %s::bigint[], %s::bigint)"
SETTLE = "select spend_settle(%s::jsonb, %s::text)"
INTERN = "select spend_intern_tags(%s::text[])"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Draw:
    """A budget that a call must have room in, and on whose behalf (`tag:engineering`)."""

    budget: int
    payer: str
    name: str  # the budget's public id
    soft_limit: Nanos | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """All that the final row will need, as plain values; durable before anything is sent."""

    endpoint: str
    stream: bool
    key_id: UUID
    key_alias: str | None
    key_digest: str | None
    tag_set: int
    model: str
    upstream_model: str | None = None
    deployment_id: UUID | None = None
    provider: str | None = None
    price_id: UUID | None = None
    client_request_id: str | None = None
    end_user: str | None = None
    session_id: str | None = None
    user_agent: str | None = None
    address: str | None = None
    metadata: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class WindowState:
    """A window as the locked row had it, this call's hold included. Times in seconds since 1970."""

    draw: Draw
    is_strict: bool
    limit: Nanos | None
    spent: Nanos
    reserved: Nanos
    resets_at: float | None

    @property
    def remaining(self) -> Nanos | None:
        if self.limit is None:
            return None
        return Nanos(max(0, self.limit - self.spent - self.reserved))


@dataclass(frozen=True, slots=True)
class Hold:
    """A reservation's counterpart in the process's hand; given back exactly once."""

    id: UUID
    held: Nanos  # the largest of its holds: what an unknown ending costs
    windows: tuple[WindowState, ...]
    holds: tuple[Nanos, ...]  # one per window

    @property
    def bounded(self) -> bool:
        """Whether a strict window holds the upper bound, so that an output cap must go upstream."""
        return any(window.is_strict for window in self.windows)

    def held_on(self, window: WindowState) -> Nanos:
        return self.holds[self.windows.index(window)]


@dataclass(frozen=True, slots=True)
class _Request:
    id: UUID
    draws: Sequence[Draw]
    estimate: Estimate
    seconds: int
    intent: Intent


class Ledger:
    """One per web worker, with two connections: one reserves, one settles."""

    def __init__(
        self,
        *,
        worker_id: int,
        day_zone: str,
        refused_status: int,
        roll_over: Callable[[int], Awaitable[object]],
    ) -> None:
        self._refused_status = refused_status
        self._worker_id = worker_id
        self._day_zone = day_zone
        self._roll_over = roll_over
        self._reserving = LedgerConnection(
            connection_arguments(statement_timeout="1500ms", lock_timeout="500ms")
        )
        self._settling = LedgerConnection(connection_arguments(statement_timeout="8s"))
        self.reserves: Batcher[_Request, Any] = Batcher(
            self._commit_reserves,
            items_max=BATCH_ITEMS_MAX,
            queue_max=QUEUE_MAX,
            unclaimed=self._give_back,
        )
        self.settles: Batcher[dict[str, Any], None] = Batcher(
            self._commit_settles,
            items_max=BATCH_ITEMS_MAX,
            queue_max=QUEUE_MAX,
            unclaimed=lambda item, result: None,
        )

    async def reserve(
        self,
        call_id: UUID,
        intent: Intent,
        draws: Sequence[Draw],
        estimate: Estimate,
        *,
        seconds: int,
    ) -> Hold:
        """Hold on every drawn window or on none; durable when this returns.

        `draws` names each budget once. Raises BudgetExceeded (already logged as refused),
        CostNotBounded, or BudgetUnavailable (could not be asked; whatever was written is given
        back by id).
        """
        request = _Request(call_id, draws, estimate, seconds, intent)
        for _ in range(OPENINGS_MAX):
            verdict = await self._ask(request)
            if isinstance(verdict, Hold):
                return verdict
            if "refused" in verdict:
                self._refuse_over_budget(request, verdict)
            if "unbounded" in verdict:
                raise CostNotBounded(estimate.unbounded_by or "model")
            if "gone" not in verdict:
                break
            await self._roll_over(verdict["gone"])
        raise BudgetUnavailable("the ledger has no open window for this call")

    def settle(self, hold: Hold, bill: Bill, record: Record) -> None:
        """Post the bill; never waits, never raises. If we die first, expire bills the estimate."""
        item = record_fields(record)
        usage = bill.usage
        flags = (*bill.flags, *record.flags)
        if hold.bounded and bill.cost > hold.held:
            flags = (*flags, "overrun")
        item |= {
            "id": hold.id,
            "cost": bill.cost,
            "status": bill.status,
            "usage": usage.as_json(),
            "usage_source": bill.usage_source,
            "price_id": bill.price_id,
            "prompt_tokens": usage.prompt_tokens,
            "completion_tokens": usage.completion_tokens,
            "cached_tokens": usage.cached_input,
            "flags": flags,
        }
        self.settles.post(item)

    def refuse(self, call_id: UUID, intent: Intent, record: Record) -> None:
        """Log a call that was turned away unsent. Moves no money."""
        self.settles.post(
            record_fields(record)
            | {"id": call_id, "cost": 0, "status": "refused", "intent": intent}
        )

    async def intern_tags(self, names: Sequence[str]) -> int:
        """The id of an ordered list of tag names. Raises BudgetUnavailable."""
        try:
            found: int = await self._reserving_value(INTERN, [list(names)])
        except (*BAD_ITEM, *FAILURES) as error:
            raise BudgetUnavailable("the tags of the call could not be stored") from error
        return found

    async def close(self, *, seconds_max: float) -> None:
        """Write what is posted. What could not be written is billed by expire."""
        await self.reserves.close(seconds_max=seconds_max)
        unwritten = await self.settles.close(seconds_max=seconds_max)
        if unwritten:
            logger.error("settles_unwritten count=%d", len(unwritten))
        await self._reserving.close()
        await self._settling.close()

    # -- asking ----------------------------------------------------------------------------------

    async def _ask(self, request: _Request) -> Any:
        try:
            async with asyncio.timeout(RESERVE_SECONDS_MAX):
                return await self.reserves.submit(request)
        except TimeoutError as error:
            raise BudgetUnavailable("the ledger did not answer in time") from error
        except Busy:
            raise
        except (Unavailable, BadItems) as error:
            raise BudgetUnavailable("the ledger could not be asked") from error

    async def _commit_reserves(self, batch: Sequence[_Request]) -> Sequence[Any]:
        slots: dict[int, int] = {}
        for request in batch:
            for draw in request.draws:
                slots.setdefault(draw.budget, len(slots) + 1)
        items = [
            {
                "id": request.id,
                "draws": [slots[draw.budget] for draw in request.draws],
                "expected": request.estimate.expected,
                "bound": request.estimate.bound,
                "seconds": request.seconds,
                "intent": request.intent,
            }
            for request in batch
        ]
        parameters = (orjson.dumps(items).decode(), list(slots), self._worker_id)
        answer = await self._reserve_until_known(parameters, batch)
        windows = answer["windows"]
        return [
            self._hold(request, windows, slots) if _is_admitted(verdict) else verdict
            for request, verdict in zip(batch, answer["calls"], strict=True)
        ]

    async def _reserve_until_known(
        self, parameters: Sequence[object], batch: Sequence[_Request]
    ) -> Any:
        """Ask again with the same ids until the outcome is known: an id admits at most once."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + RESERVE_SECONDS_MAX
        while True:
            try:
                return await self._reserving_value(RESERVE, parameters)
            except BAD_ITEM as error:
                raise BadItems("reserve") from error
            except FAILURES as error:
                if isinstance(error, HOPELESS) or loop.time() + RETRY_SECONDS >= deadline:
                    logger.error("reserve_given_up items=%d", len(batch), exc_info=error)
                    for request in batch:
                        self._give_back(request, None)
                    raise BudgetUnavailable("the ledger could not be asked") from error
                logger.warning("reserve_retried error=%s", type(error).__name__)
                await asyncio.sleep(RETRY_SECONDS)

    async def _reserving_value(self, query: str, parameters: Sequence[object]) -> Any:
        return await self._reserving.fetch_value(query, parameters, seconds_max=RESERVE_SECONDS_MAX)

    def _hold(self, request: _Request, windows: Sequence[Any], slots: Mapping[int, int]) -> Hold:
        states, holds = [], []
        for draw in request.draws:
            _, is_strict, limit, spent, reserved, resets_at = windows[slots[draw.budget] - 1]
            states.append(WindowState(draw, is_strict, limit, spent, reserved, resets_at))
            bound = request.estimate.bound
            holds.append(bound if is_strict and bound is not None else request.estimate.expected)
        held = max([request.estimate.expected, *holds])
        return Hold(request.id, held, tuple(states), tuple(holds))

    # -- turning away ----------------------------------------------------------------------------

    def _refuse_over_budget(self, request: _Request, verdict: Mapping[str, Any]) -> None:
        draw = next(d for d in request.draws if d.name == verdict["budget"])
        refusal = BudgetExceeded(
            payer=draw.payer,
            budget=verdict["budget"],
            budget_kind="pot" if verdict["is_pot"] else "own",
            mode=verdict["mode"],
            duration=verdict["duration"],
            starts_at=datetime.fromisoformat(verdict["starts_at"]),
            resets_at=_time(verdict["resets_at"]),
            spent=Nanos(verdict["spent"]),
            reserved=Nanos(verdict["reserved"]),
            requested=Nanos(verdict["requested"]),
            limit=Nanos(verdict["limit"]),
        )
        error = {"type": "budget_exceeded", "message": str(refusal), "payer": draw.payer} | {
            name: verdict[name]
            for name in ("budget", "spent", "reserved", "limit", "requested", "resets_at")
        }
        record = Record(http_status=self._refused_status, ended_at=datetime.now(UTC), error=error)
        self.refuse(request.id, request.intent, record)
        raise refusal

    def _give_back(self, request: _Request, result: object) -> None:
        """Nobody will use this hold, if there is one: release it, or leave a row that bars it.

        An original that arrives after this finds its id in the log and does nothing.
        """
        if result is not None and not isinstance(result, Hold):
            return
        record = Record(
            http_status=503,
            ended_at=datetime.now(UTC),
            error={"type": "budget_unavailable", "message": "Given up before it was sent."},
        )
        self.settles.post(
            record_fields(record)
            | {"id": request.id, "cost": 0, "status": "failure", "intent": request.intent}
        )

    # -- settling --------------------------------------------------------------------------------

    async def _commit_settles(self, batch: Sequence[dict[str, Any]]) -> Sequence[None]:
        parameters = (orjson.dumps(batch).decode(), self._day_zone)
        try:
            await self._settling.fetch_value(SETTLE, parameters, seconds_max=SETTLE_SECONDS_MAX)
        except BAD_ITEM as error:
            raise BadItems("settle") from error
        except FAILURES as error:
            logger.warning("settle_retried error=%s items=%d", type(error).__name__, len(batch))
            raise BudgetUnavailable("the bill could not be written") from error
        return [None] * len(batch)


def record_fields(record: Record) -> dict[str, Any]:
    return {
        "http_status": record.http_status,
        "ended_at": record.ended_at,
        "first_byte_at": record.first_byte_at,
        "client_disconnected": record.client_disconnected,
        "upstream_model": record.upstream_model,
        "upstream_request_id": record.upstream_request_id,
        "attempts": record.attempts or None,
        "error": record.error,
        "flags": record.flags,
    }


def _is_admitted(verdict: Any) -> bool:
    return verdict is True or verdict.get("known") == "reserved"


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
