"""Further holds: what a call holds is raised before it is tried again, in batches of their own."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from spend.batching import Batcher
from spend.connection import LedgerConnection
from spend.errors import NoRoom
from spend.estimate import Estimate
from spend.holds import Hold, WindowState
from spend.lanes import BATCH_ITEMS_MAX, QUEUE_MAX, as_json, ask_until_known
from spend.money import Nanos

ADD_ATTEMPT = "select spend_add_attempt(%s::jsonb)"


@dataclass(frozen=True, slots=True)
class FurtherAttempt:
    """`owed` is what the call's attempts so far may have cost, `estimate` of the one to come."""

    hold: Hold
    owed: Nanos
    estimate: Estimate


class FurtherHolds:
    """Calls are seldom tried twice, so this may wait for windows that somebody keeps locked."""

    def __init__(self, connection: LedgerConnection) -> None:
        self._connection = connection
        self.batcher: Batcher[FurtherAttempt, Any] = Batcher(
            self._commit,
            items_max=BATCH_ITEMS_MAX,
            queue_max=QUEUE_MAX,
            unclaimed=lambda further, verdict: None,  # its settle gives back whatever is held
        )

    async def raise_hold(self, further: FurtherAttempt) -> Hold:
        """The call's hold as it is now. Raises NoRoom, or Unavailable."""
        verdict = await self.batcher.submit(further)
        if verdict.get("known") != "reserved":
            raise NoRoom("the budget has no room for another attempt")
        hold, holds = further.hold, tuple(verdict["holds"])
        windows = tuple(
            WindowState(window.draw, *state[1:])
            for window, state in zip(hold.windows, verdict["windows"], strict=True)
        )
        expected = Nanos(further.owed + further.estimate.expected)
        return Hold(hold.id, max([hold.held, expected, *holds]), windows, holds)

    async def close(self, *, seconds_max: float) -> None:
        await self.batcher.close(seconds_max=seconds_max)

    async def _commit(self, batch: Sequence[FurtherAttempt]) -> Sequence[Any]:
        items = [
            {
                "id": further.hold.id,
                "owed": further.owed,
                "expected": further.estimate.expected,
                "bound": further.estimate.bound,
            }
            for further in batch
        ]
        answer, _ = await ask_until_known(self._connection, ADD_ATTEMPT, [as_json(items)])
        calls: Sequence[Any] = answer["calls"]
        return calls
