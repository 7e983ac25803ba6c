"""Teller: a process with a ledger of its own, told over its standard input what to do.

    {"verb": "race", "draws": [[budget, public id], ...], "calls", "expected", "bound", "cost"}
    {"verb": "hold", ...the same}         reserves and settles nothing; waits to be told or killed
    {"verb": "chaos", "budgets": [[budget, public id], ...], "seconds", "seed"}
    {"verb": "presence"}                  takes its own id and lock, as a web worker does

Each is answered with one line of JSON. Ends with its input.
"""

import asyncio
import json
import os
import random
import sys
from collections.abc import Sequence
from typing import Any

import django

django.setup()

from spend.errors import BudgetExceeded, Unavailable  # noqa: E402 - Django must be set up first
from spend.holds import Draw, Hold  # noqa: E402
from spend.ids import CallIds  # noqa: E402
from spend.ledger import Ledger  # noqa: E402
from spend.presence import Presence  # noqa: E402
from tests.bank import HOLD_SECONDS, bill, estimate, intent, open_ledger, record  # noqa: E402

CONCURRENT_MAX = 20
COSTS = (0, 1, 37, 90, 260)


class Teller:
    def __init__(self, database: str) -> None:
        self.database = database
        self.ids = CallIds()
        self.presence = Presence(lambda table, row_id: None, lambda: None)
        self.worker_id = 800_000 + os.getpid()
        self.ledger = self.open_ledger()

    def open_ledger(self) -> Ledger:
        return open_ledger(self.database, self.worker_id)

    async def answer(self, asked: dict[str, Any]) -> dict[str, Any]:
        match asked.pop("verb"):
            case "race" | "hold":
                return await self.race(**asked)
            case "chaos":
                return await self.wreak(**asked)
            case _:
                await self.presence.open()
                self.worker_id = self.presence.worker_id
                self.ledger = self.open_ledger()
                return {"worker": self.worker_id}

    async def race(
        self,
        draws: Sequence[Sequence[Any]],
        calls: int,
        expected: int,
        bound: int | None = None,
        cost: int | None = None,
        tag_set: int = 1,
    ) -> dict[str, Any]:
        """All at once; those that are admitted are settled if there is a cost."""
        found = [Draw(budget, f"tag:{name}", name) for budget, name in draws]
        answers = await asyncio.gather(
            *(self.call(found, expected, bound, cost, tag_set) for _ in range(calls)),
            return_exceptions=True,
        )
        if cost is not None:
            await self.ledger.flush()
        return tell(answers)

    async def call(
        self,
        draws: Sequence[Draw],
        expected: int,
        bound: int | None,
        cost: int | None,
        tag_set: int = 1,
    ) -> Hold:
        asked = estimate(expected, bound)
        hold = await self.ledger.reserve(
            self.ids.next(), intent(tag_set=tag_set), draws, asked, seconds=HOLD_SECONDS
        )
        if cost is not None:
            status = "success" if cost else "failure"
            self.ledger.settle(hold, bill(cost, status), record())
        return hold

    async def wreak(
        self, budgets: Sequence[Sequence[Any]], seconds: float, seed: int
    ) -> dict[str, Any]:
        """Calls on random sets of budgets, in random order, until the time is over."""
        dice = random.Random(seed)
        end_at = asyncio.get_running_loop().time() + seconds
        answers: list[Any] = []

        async def go_on() -> None:
            while asyncio.get_running_loop().time() < end_at:
                chosen = dice.sample(budgets, dice.randint(0, len(budgets)))
                draws = [Draw(budget, f"tag:{name}", name) for budget, name in chosen]
                expected = dice.choice((1, 40, 100))
                calling = self.call(draws, expected, expected * 2, dice.choice(COSTS), 1)
                answers.extend(await asyncio.gather(calling, return_exceptions=True))

        await asyncio.gather(*(go_on() for _ in range(CONCURRENT_MAX)))
        await self.ledger.flush()
        return tell(answers)


def tell(answers: Sequence[Any]) -> dict[str, Any]:
    errors = [repr(a) for a in answers if not isinstance(a, Hold | BudgetExceeded | Unavailable)]
    return {
        "ids": [str(answer.id) for answer in answers if isinstance(answer, Hold)],
        "refused": sum(isinstance(answer, BudgetExceeded) for answer in answers),
        "unavailable": [repr(answer) for answer in answers if isinstance(answer, Unavailable)],
        "errors": errors,
    }


async def main() -> None:
    teller = Teller(sys.argv[1])
    while line := await asyncio.to_thread(sys.stdin.readline):
        answer = await teller.answer(json.loads(line))
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    await teller.ledger.close(seconds_max=10)
    await teller.presence.close()


if __name__ == "__main__":
    asyncio.run(main())
