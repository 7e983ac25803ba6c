"""Counters: what a web worker has counted since it started, as plain numbers in its memory.

Adding is a look-up in a dict and an integer addition; nothing is written to count.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping
from operator import attrgetter
from typing import TYPE_CHECKING

from spend.errors import BudgetExceeded, CostNotBounded, Unavailable
from spend.holds import Hold

if TYPE_CHECKING:
    from proxy.attempt import Attempt

OTHER = "other"
MODELS_MAX = 200  # names that a worker tells apart; globs admit any number of them
OVERHEAD_MS = (0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 1000.0)

Series = tuple[str, ...]  # a metric's name and its labels' values


SETTLE_QUEUE: Series = ("settle_queue",)
UPSTREAM_COUNT: Series = ("upstream_count",)
UPSTREAM_US: Series = ("upstream_us",)
OVERHEAD_US: Series = ("overhead_us",)
OVERHEAD_PLACES = tuple(map(str, range(len(OVERHEAD_MS) + 1)))
TOKEN_KINDS = (
    "input", "cached_input", "cache_write", "cache_write_1h", "audio_input",
    "output", "reasoning", "audio_output", "image_output",
)  # fmt: skip
tokens_of = attrgetter(*TOKEN_KINDS)


class Counters:
    """One per web worker. Times are in whole microseconds, so that all numbers are integers."""

    def __init__(self) -> None:
        self.counts: defaultdict[Series, int] = defaultdict(int)
        self._models: set[str] = set()

    def add(self, *series: str, by: int = 1) -> None:
        self.counts[series] += by

    def count_request(self, endpoint: str, status: int) -> None:
        self.add("requests", endpoint, str(status))

    def count_admitted(self, hold: Hold) -> None:
        self.add("admission", "strict" if hold.bounded else "standard", "admitted", "")

    def count_turned_away(self, error: Exception) -> None:
        """What the ledger raised instead of a hold."""
        match error:
            case BudgetExceeded(mode=mode):
                self.add("admission", mode, "refused", "budget_exceeded")
            case CostNotBounded():
                self.add("admission", "strict", "refused", "cost_not_bounded")
            case Unavailable():
                self.add("admission", "", "unavailable", "budget_unavailable")
            case _:
                self.add("admission", "", "refused", OTHER)

    def count_call(self, attempt: "Attempt") -> None:
        """A call that was admitted is over."""
        counts, bill = self.counts, attempt.bill
        model = self._bounded(attempt.plan.call.model)
        counts["cost_nanodollars", model, bill.usage_source] += bill.cost
        for kind, tokens in zip(TOKEN_KINDS, tokens_of(bill.usage), strict=True):
            if tokens:
                counts["tokens", model, kind] += tokens
        if attempt.upstream_ms:
            counts[UPSTREAM_COUNT] += 1
            counts[UPSTREAM_US] += int(attempt.upstream_ms * 1000)
            counts[OVERHEAD_US] += int(attempt.overhead_ms * 1000)
            counts["overhead", OVERHEAD_PLACES[bisect_left(OVERHEAD_MS, attempt.overhead_ms)]] += 1

    def _bounded(self, model: str) -> str:
        if model in self._models:
            return model
        if len(self._models) >= MODELS_MAX:
            return OTHER
        self._models.add(model)
        return model


def join_counts(parts: list[Mapping[Series, int]]) -> dict[Series, int]:
    """The counts of several workers, added up."""
    total: dict[Series, int] = {}
    for part in parts:
        for series, count in part.items():
            total[series] = total.get(series, 0) + count
    return total
