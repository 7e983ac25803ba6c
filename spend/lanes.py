"""Lane: batches of reserves over one connection, each asked until its outcome is known."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson

from spend.batching import BadItems, Batcher
from spend.connection import (
    BAD_ITEM,
    BUSY,
    FAILURES,
    HOPELESS,
    STEADY_PLANS,
    LedgerConnection,
    connection_arguments,
    is_rolled_back,
)
from spend.errors import BudgetUnavailable
from spend.estimate import Estimate
from spend.holds import Draw, Hold, Intent, WindowState
from spend.money import Nanos

RESERVE_SECONDS_MAX = 2.0  # from arrival to answer; past it a call is turned away, not delayed
RETRY_SECONDS = 0.05
BATCH_ITEMS_MAX = 200
QUEUE_MAX = 5_000

RESERVE = "select spend_reserve(%s::jsonb, %s::bigint[], %s::bigint, false)"
RESERVE_PASSING_BUSY = "select spend_reserve(%s::jsonb, %s::bigint[], %s::bigint, true)"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Request:
    """What a call asks of the ledger."""

    id: UUID
    draws: Sequence[Draw]
    estimate: Estimate
    seconds: int
    intent: Intent


class GivenUp(BudgetUnavailable):
    """The bank could not be asked in time. `in_doubt`: it may have done it all the same."""

    def __init__(self, *, in_doubt: bool) -> None:
        super().__init__("the ledger could not be asked")
        self.in_doubt = in_doubt


class Lane:
    """`give_back` is called for each hold that nobody will use, `hear_clock_seconds` with the time.

    A verdict is a Hold, or an object as spend/sql/reserve.sql says; `in_doubt` is added to those
    of a batch whose first reply was lost, as the original may still be on its way.
    """

    def __init__(
        self,
        worker_id: int,
        *,
        give_back: Callable[[Request], None],
        hear_clock_seconds: Callable[[float], None],
    ) -> None:
        self._worker_id = worker_id
        self._give_back = give_back
        self._hear_clock_seconds = hear_clock_seconds
        self.connection = LedgerConnection(
            connection_arguments(
                statement_timeout="1500ms",
                lock_timeout="500ms",
                **STEADY_PLANS,
            )
        )
        self.batcher: Batcher[Request, Any] = Batcher(
            self._commit,
            items_max=BATCH_ITEMS_MAX,
            queue_max=QUEUE_MAX,
            unclaimed=self._give_back_unclaimed,
        )

    async def submit(self, request: Request) -> Any:
        return await self.batcher.submit(request)

    async def close(self, *, seconds_max: float) -> None:
        await self.batcher.close(seconds_max=seconds_max)
        await self.connection.close()

    async def _commit(self, batch: Sequence[Request]) -> Sequence[Any]:
        slots: dict[int, int] = {}
        for request in batch:
            for draw in request.draws:
                slots.setdefault(draw.budget, len(slots) + 1)
        parameters = (as_json(_items(batch, slots)), list(slots), self._worker_id)
        try:
            answer, in_doubt = await ask_until_known(
                self.connection, RESERVE, parameters, busy_query=RESERVE_PASSING_BUSY
            )
        except GivenUp as error:
            if error.in_doubt:
                for request in batch:
                    self._give_back(request)
            raise
        self._hear_clock_seconds(answer["now"])
        return [
            _verdict(request, verdict, answer["windows"], slots, in_doubt)
            for request, verdict in zip(batch, answer["calls"], strict=True)
        ]

    def _give_back_unclaimed(self, request: Request, verdict: Any) -> None:
        if verdict is None or isinstance(verdict, Hold):
            self._give_back(request)


async def ask_until_known(
    connection: LedgerConnection,
    query: str,
    parameters: Sequence[object],
    *,
    busy_query: str | None = None,
) -> tuple[Any, bool]:
    """The value, and whether an earlier reply was lost. Raises BadItems or GivenUp.

    What is asked must be idempotent: it is asked again until the outcome is known. `busy_query`
    takes over when somebody keeps locked what it needs.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + RESERVE_SECONDS_MAX
    in_doubt = False
    while True:
        seconds_max = max(RETRY_SECONDS, deadline - loop.time())
        try:
            value = await connection.fetch_value(query, parameters, seconds_max=seconds_max)
        except BAD_ITEM as error:
            raise BadItems from error
        except FAILURES as error:
            in_doubt = in_doubt or not is_rolled_back(error)
            if isinstance(error, HOPELESS) or loop.time() + RETRY_SECONDS >= deadline:
                logger.error("reserve_given_up in_doubt=%s", in_doubt, exc_info=error)
                raise GivenUp(in_doubt=in_doubt) from error
            logger.warning("reserve_retried error=%s", type(error).__name__)
            if isinstance(error, BUSY) and busy_query not in (None, query):
                query = busy_query or query
            else:
                await asyncio.sleep(RETRY_SECONDS)
        else:
            return value, in_doubt


def as_json(value: object) -> str:
    """Raises BadItems for what JSON cannot say: half a character, an integer beyond 64 bits."""
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError as error:
        raise BadItems from error


def _items(batch: Sequence[Request], slots: Mapping[int, int]) -> list[dict[str, Any]]:
    return [
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


def _verdict(
    request: Request,
    verdict: Any,
    windows: Sequence[Any],
    slots: Mapping[int, int],
    in_doubt: bool,
) -> Any:
    if verdict is True:
        states = [windows[slots[draw.budget] - 1] for draw in request.draws]
        expected, bound = request.estimate.expected, request.estimate.bound
        holds = [bound if state[1] and bound is not None else expected for state in states]
        return _hold(request, states, holds)
    if verdict.get("known") == "reserved":
        return _hold(request, verdict["windows"], verdict["holds"])
    return verdict | {"in_doubt": in_doubt}


def _hold(request: Request, states: Sequence[Any], holds: Sequence[Nanos]) -> Hold:
    """A state is a list: window, is strict, limit, spent, reserved, end."""
    windows = tuple(
        WindowState(draw, *state[1:]) for draw, state in zip(request.draws, states, strict=True)
    )
    return Hold(request.id, max([request.estimate.expected, *holds]), windows, tuple(holds))
