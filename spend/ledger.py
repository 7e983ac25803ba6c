"""The ledger: reserve, add_attempt, settle, release, refuse. Only here and in its lanes does money
move.

Not here: check, then act. Whether a call has room is decided by spend/sql/reserve.sql on locked
rows, and the hold is committed before anything is sent upstream
(tests/promises/test_p2_strict_is_strict.py).
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NoReturn, TypeVar
from uuid import UUID

from spend.batching import BadItems, Batcher
from spend.billing import Bill, Record
from spend.connection import (
    BAD_ITEM,
    BUSY,
    FAILURES,
    STEADY_PLANS,
    LedgerConnection,
    connection_arguments,
)
from spend.errors import (
    BudgetExceeded,
    BudgetUnavailable,
    Busy,
    CostNotBounded,
    Unavailable,
    Unwritable,
)
from spend.estimate import Estimate
from spend.further_holds import FurtherAttempt, FurtherHolds
from spend.holds import Draw, Hold, Intent, WindowState
from spend.lanes import (
    BATCH_ITEMS_MAX,
    QUEUE_MAX,
    RESERVE_SECONDS_MAX,
    Lane,
    Request,
    as_json,
    ask_until_known,
)
from spend.money import Nanos

__all__ = ["Draw", "Hold", "Intent", "Ledger", "WindowState", "record_fields"]

SETTLE_SECONDS_MAX = 10.0
QUESTIONS_MAX = 4  # windows that end while we ask: by then something else is wrong
FLUSH_SECONDS_MAX = 1.0
LINGER_SECONDS = 0.01  # nobody waits for a bill: in company it costs PostgreSQL a quarter less
BILLS_SECONDS = 0.03  # for the bills of other workers, which linger and take a commit
BUSY_SECONDS = 1.0  # how long a window that was found locked is asked for in the second lane only

SETTLE = "select spend_settle(%s::jsonb, %s::text, %s::boolean)"
INTERN = "select spend_intern_lists(%s::jsonb)"

# What the row of a call must have; the rest may be left out when it cannot be written.
BARE = (
    "id", "cost", "status", "http_status", "ended_at", "usage_source", "price_id",
    "prompt_tokens", "completion_tokens", "cached_tokens",
    "cache_write_tokens", "worker", "intent",
)  # fmt: skip

Answer = TypeVar("Answer")

logger = logging.getLogger(__name__)


def ignore(now_seconds: float) -> None:
    pass


class Ledger:
    """One per web worker. `roll_over(budget)` opens the next window of a budget.

    A connection each for reserves, for those whose windows somebody keeps locked, and for settles:
    a tag that is stuck delays no other.
    """

    def __init__(
        self,
        *,
        worker_id: int,
        day_zone: str,
        refused_status: int,
        roll_over: Callable[[int], Awaitable[object]],
        hear_clock_seconds: Callable[[float], None] = ignore,
    ) -> None:
        self._refused_status = refused_status
        self._worker_id = worker_id
        self._day_zone = day_zone
        self._roll_over = roll_over
        self._busy_until_seconds: dict[int, float] = {}
        self.lane = Lane(
            worker_id, give_back=self._give_back, hear_clock_seconds=hear_clock_seconds
        )
        self.second_lane = Lane(
            worker_id, give_back=self._give_back, hear_clock_seconds=hear_clock_seconds
        )
        self._further = FurtherHolds(self.second_lane.connection)
        self._settling = LedgerConnection(
            connection_arguments(statement_timeout="8s", lock_timeout="500ms", **STEADY_PLANS)
        )
        self.settles: Batcher[dict[str, Any], None] = Batcher(
            self._commit_settles,
            items_max=BATCH_ITEMS_MAX,
            queue_max=QUEUE_MAX,
            unclaimed=lambda item, result: None,
            linger_seconds=LINGER_SECONDS,
        )
        self.interns: Batcher[tuple[str, ...], int] = Batcher(
            self._commit_interns,
            items_max=BATCH_ITEMS_MAX,
            queue_max=QUEUE_MAX,
            unclaimed=lambda names, result: None,
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
        CostNotBounded, Unwritable, or Unavailable (could not be asked; whatever was written is
        given back by id).
        """
        request = Request(call_id, draws, estimate, seconds, intent)
        return await in_time(self._reserve(request))

    async def add_attempt(self, hold: Hold, owed: Nanos, estimate: Estimate) -> Hold:
        """Hold what is owed and the next attempt's amount; durable when this returns.

        Raises NoRoom, the hold being as it was, or Unavailable: it may have been raised all the
        same, which its settle gives back.
        """
        return await in_time(self._further.raise_hold(FurtherAttempt(hold, owed, estimate)))

    def settle(self, hold: Hold, bill: Bill, record: Record) -> None:
        """Post the bill; never waits, never raises. If we die first, expire bills the estimate."""
        usage = bill.usage
        flags = (*bill.flags, *record.flags)
        if hold.bounded and bill.cost > hold.held:
            flags = (*flags, "overrun")
        item = record_fields(record) | {
            "id": hold.id,
            "cost": bill.cost,
            "status": bill.status,
            "usage": usage.as_json(),
            "usage_source": bill.usage_source,
            "price_id": bill.price_id,
            "prompt_tokens": usage.prompt_tokens,
            "completion_tokens": usage.completion_tokens,
            "cached_tokens": usage.cached_input,
            "cache_write_tokens": usage.cache_write + usage.cache_write_1h,
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
        """The id of an ordered list of tag names. Raises Unavailable, or Unwritable."""
        return await in_time(self.interns.submit(tuple(names)))

    async def flush(self) -> None:
        """Wait until the bills of all calls that are over are written; a second at most."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FLUSH_SECONDS_MAX):
                await self.settles.flush()

    async def close(self, *, seconds_max: float) -> None:
        """Write what is posted. What could not be written is billed by expire."""
        await self.interns.close(seconds_max=seconds_max)
        await self._further.close(seconds_max=seconds_max)
        for lane in (self.lane, self.second_lane):
            await lane.close(seconds_max=seconds_max)
        unwritten = await self.settles.close(seconds_max=seconds_max)
        if unwritten:
            logger.error("settles_unwritten count=%d", len(unwritten))
        await self._settling.close()

    # -- asking ----------------------------------------------------------------------------------

    async def _reserve(self, request: Request) -> Hold:
        in_doubt = has_waited = False
        try:
            for _ in range(QUESTIONS_MAX):
                verdict = await self._ask(request)
                if isinstance(verdict, Hold):
                    in_doubt = False
                    return verdict
                in_doubt = in_doubt or verdict["in_doubt"]
                if "gone" in verdict:
                    for budget in verdict["gone"]:
                        await self._roll_over(budget)
                elif "refused" in verdict and not has_waited and _may_be_over(verdict):
                    await self.flush()
                    await asyncio.sleep(BILLS_SECONDS)
                    has_waited = True
                else:
                    break
            self._turn_away(request, verdict)
        finally:
            if in_doubt:  # an original that is still on its way must not hold what nobody will use
                self._give_back(request)

    async def _ask(self, request: Request) -> Any:
        """The verdict; a call waits for locked windows where nobody else has to wait with it."""
        lane = self.second_lane if self._is_busy(request) else self.lane
        verdict = await lane.submit(request)
        while not isinstance(verdict, Hold) and "busy" in verdict:
            self._busy_until_seconds[verdict["busy"]] = (
                asyncio.get_running_loop().time() + BUSY_SECONDS
            )
            lane = self.second_lane
            verdict = await lane.submit(request)
        if lane is self.second_lane:
            for draw in request.draws:
                self._busy_until_seconds.pop(draw.budget, None)
        return verdict

    def _is_busy(self, request: Request) -> bool:
        if not self._busy_until_seconds:
            return False
        now = asyncio.get_running_loop().time()
        return any(self._busy_until_seconds.get(draw.budget, 0) > now for draw in request.draws)

    async def _commit_interns(self, batch: Sequence[tuple[str, ...]]) -> Sequence[int]:
        lists = sorted(set(batch))  # one order, so that no two workers wait for each other
        ids, _ = await ask_until_known(self.lane.connection, INTERN, [as_json(lists)])
        found = dict(zip(lists, ids, strict=True))
        return [found[names] for names in batch]

    # -- turning away ----------------------------------------------------------------------------

    def _turn_away(self, request: Request, verdict: Mapping[str, Any]) -> NoReturn:
        if "refused" in verdict:
            self._refuse_over_budget(request, verdict)
        if "unbounded" in verdict:
            raise CostNotBounded(request.estimate.unbounded_by or "model")
        raise BudgetUnavailable("the ledger has no open window for this call")

    def _refuse_over_budget(self, request: Request, verdict: Mapping[str, Any]) -> NoReturn:
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

    def _give_back(self, request: Request) -> None:
        """Nobody will use this hold, if there is one: release it, or leave a row that bars it.

        An original that is still on its way finds its id in the log and does nothing.
        """
        record = Record(
            http_status=503,
            ended_at=datetime.now(UTC),
            error={"type": "budget_unavailable", "message": "Given up before it was sent."},
        )
        self.settles.post(
            record_fields(record)
            | {
                "id": request.id,
                "cost": 0,
                "status": "failure",
                "intent": request.intent,
                "worker": self._worker_id,
            }
        )

    # -- settling --------------------------------------------------------------------------------

    async def _commit_settles(self, batch: Sequence[dict[str, Any]]) -> Sequence[None]:
        try:
            await self._write(batch)
        except BadItems:
            if len(batch) > 1:
                raise
            # What it costs must be told even if what it says cannot be.
            logger.warning("record_dropped id=%s", batch[0]["id"])
            await self._write([_bare(batch[0])])
        return [None] * len(batch)

    async def _write(self, batch: Sequence[dict[str, Any]]) -> None:
        text = as_json(batch)
        try:
            try:
                await self._settle(text, passes_busy=False)
            except BUSY:
                outcome = await self._settle(text, passes_busy=True)
                left_out = set(outcome["busy"])
                for item in batch:
                    if str(item["id"]) in left_out:
                        self.settles.post(item)
        except BAD_ITEM as error:
            raise BadItems from error
        except FAILURES as error:
            logger.warning("settle_retried error=%s items=%d", type(error).__name__, len(batch))
            raise BudgetUnavailable("the bill could not be written") from error

    async def _settle(self, text: str, *, passes_busy: bool) -> Any:
        return await self._settling.fetch_value(
            SETTLE, (text, self._day_zone, passes_busy), seconds_max=SETTLE_SECONDS_MAX
        )


def record_fields(record: Record) -> dict[str, Any]:
    fields = {
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
    if record.deployment_id is not None:
        fields |= {"deployment_id": record.deployment_id, "provider": record.provider}
    return fields


async def in_time(asking: Awaitable[Answer]) -> Answer:
    """The answer, or why there is none in the words of spend/errors.py."""
    try:
        async with asyncio.timeout(RESERVE_SECONDS_MAX):
            return await asking
    except TimeoutError as error:
        raise BudgetUnavailable("the ledger did not answer in time") from error
    except BadItems as error:
        raise Unwritable("what the call says cannot be written") from error
    except (BudgetUnavailable, Busy):
        raise
    except Unavailable as error:
        raise BudgetUnavailable("the ledger could not be asked") from error


def _may_be_over(verdict: Mapping[str, Any]) -> bool:
    """Calls that are over may still be held: their bills are on the way."""
    may_be: bool = verdict["reserved"] > 0 and verdict["spent"] < verdict["limit"]
    return may_be


def _bare(item: Mapping[str, Any]) -> dict[str, Any]:
    return {name: item[name] for name in BARE if name in item} | {"flags": ["record_dropped"]}


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
