"""Pairs: reserve and settle as fast as the ledger takes them, without any HTTP around it.

One process. Each ledger has its two connections and takes waves of calls, a wave being one batch;
the settles of a wave are written while the next one reserves. Prints one line of JSON.
"""

import argparse
import asyncio
import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

import django
import uvloop

django.setup()

from spend.billing import Bill, Record  # noqa: E402 - Django must be set up first
from spend.budgets import create_budget  # noqa: E402
from spend.estimate import Estimate  # noqa: E402
from spend.holds import Draw, Intent  # noqa: E402
from spend.ids import CallIds, new_row_id  # noqa: E402
from spend.ledger import Ledger  # noqa: E402
from spend.models import SpendLog  # noqa: E402
from spend.money import Nanos  # noqa: E402
from spend.usage import Usage  # noqa: E402
from tests.bench.call import CALL_COST_NANOS, CALL_TAGS, MODEL  # noqa: E402
from tests.bench.upstream import COMPLETION_TOKENS, PROMPT_TOKENS  # noqa: E402

LIMIT = Nanos(10**15)
HOLD = Estimate(Nanos(500_000), Nanos(10_000_000), None, 4096)
HOLD_SECONDS = 600
WAVES_AHEAD_MAX = 4  # how far reserving may run ahead of settling
FLUSH_SECONDS_MAX = 30.0
BILL = Bill(
    cost=Nanos(CALL_COST_NANOS),
    status="success",
    usage=Usage(input=PROMPT_TOKENS, output=COMPLETION_TOKENS),
    usage_source="upstream",
    price_id=new_row_id(),
)


def make_draws(mode: str) -> list[Draw]:
    """One budget for each tag of the call, roomy, and enforced all the same."""
    budgets = [create_budget(limit=LIMIT, duration="30d", mode=mode) for _ in CALL_TAGS]
    return [
        Draw(budget.pk, f"tag:{name}", budget.public_id)
        for budget, name in zip(budgets, CALL_TAGS, strict=True)
    ]


def make_intent(tag_set: int) -> Intent:
    """As full as that of an ordinary call, so that rows have their real width."""
    return Intent(
        endpoint="chat/completions",
        stream=False,
        key_id=new_row_id(),
        key_alias="bench",
        key_digest="9f" * 32,
        tag_set=tag_set,
        model=MODEL,
        upstream_model=MODEL,
        deployment_id=new_row_id(),
        provider="openai",
        user_agent="OpenAI/Python",
        address="127.0.0.1",
    )


async def run_pairs(
    *, ledgers: int, batch: int, seconds: float, draws: Sequence[Draw]
) -> dict[str, float]:
    """How many calls were reserved and settled in what time, the flush at the end included."""
    opened = [open_ledger(1_000_000 + number) for number in range(ledgers)]
    intent = make_intent(await opened[0].intern_tags(CALL_TAGS))
    started, cpu_started = time.monotonic(), time.process_time()
    end_at = started + seconds
    counts = await asyncio.gather(
        *(run_waves(ledger, batch, end_at, intent, draws) for ledger in opened)
    )
    await asyncio.gather(*(ledger.close(seconds_max=FLUSH_SECONDS_MAX) for ledger in opened))
    return {
        "pairs": sum(counts),
        "seconds": time.monotonic() - started,
        "cpu_seconds": time.process_time() - cpu_started,
    }


def open_ledger(worker_id: int) -> Ledger:
    async def roll_over(budget_id: int) -> None:
        raise AssertionError("no window ends during the bench")

    return Ledger(worker_id=worker_id, day_zone="UTC", refused_status=400, roll_over=roll_over)


async def run_waves(
    ledger: Ledger, batch: int, end_at: float, intent: Intent, draws: Sequence[Draw]
) -> int:
    ids, done = CallIds(), 0
    while time.monotonic() < end_at:
        wave: list[UUID] = [ids.next() for _ in range(batch)]
        holds = await asyncio.gather(
            *(ledger.reserve(one, intent, draws, HOLD, seconds=HOLD_SECONDS) for one in wave)
        )
        record = Record(http_status=200, ended_at=datetime.now(UTC), upstream_model=MODEL)
        for hold in holds:
            ledger.settle(hold, BILL, record)
        done += batch
        while ledger.settles.waiting > batch * WAVES_AHEAD_MAX:  # noqa: ASYNC110 it tells nobody
            await asyncio.sleep(0.001)
    return done


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--ledgers", type=int, required=True)
    options.add_argument("--batch", type=int, required=True)
    options.add_argument("--seconds", type=float, required=True)
    options.add_argument("--mode", choices=("standard", "strict"), required=True)
    chosen = options.parse_args()
    draws = make_draws(chosen.mode)
    rows_before = SpendLog.objects.count()
    found = uvloop.run(
        run_pairs(ledgers=chosen.ledgers, batch=chosen.batch, seconds=chosen.seconds, draws=draws)
    )
    found["rows"] = SpendLog.objects.count() - rows_before
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
