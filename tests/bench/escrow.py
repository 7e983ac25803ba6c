"""Escrow: how leases in slices would serve a hot strict budget from many shards, simulated.

The budget's shard leases slices of what is left; every other shard holds and settles calls within
its slices and asks for the next one when a call does not fit. Seeded, whole numbers, no clock.
"""

import heapq
from collections import deque
from dataclasses import dataclass, field
from random import Random

from tests.bench.report import print_table, write_report

SHARDS = 8
LIMIT = 200_000_000  # nano-dollars
BOUND_MAX = 20_000  # of a call; 1 at least
IN_FLIGHT = 32  # calls of a shard
PAIR_US = 80  # of a shard: to reserve and settle a call, as `ledger` measures in batches
LEASE_US = 1_000  # of the budget's shard: one commit, one after the other
SLICES = (1, 4, 16, 64, 256, 1_024)  # in calls of the mean bound
COLUMNS = (
    "slice, calls", "calls", "calls/s", "calls a lease", "stranded at first refusal, %",
    "left at the end, %", "overrun",
)  # fmt: skip


@dataclass(slots=True)
class Treasury:
    """The budget: what is left of it was leased to nobody."""

    left: int

    def lease(self, wanted: int, least: int) -> int:
        """As much as is wanted, or what is left; nothing if that is less than the least."""
        granted = min(wanted, self.left)
        if granted < least:
            return 0
        self.left -= granted
        return granted


@dataclass(slots=True)
class Branch:
    """A shard: what it may hold, holds and has spent is what it was leased."""

    treasury: Treasury
    slice_amount: int
    room: int = 0
    held: int = 0
    spent: int = 0
    leases: int = 0

    def hold(self, bound: int) -> bool:
        """Whether the call has room, in this slice or with the next one."""
        if bound > self.room:
            short = bound - self.room
            granted = self.treasury.lease(max(self.slice_amount, short), short)
            self.leases += granted > 0
            self.room += granted
        if bound > self.room:
            return False
        self.room -= bound
        self.held += bound
        return True

    def settle(self, bound: int, cost: int) -> None:
        """What a call did not cost is room again, here."""
        self.held -= bound
        self.spent += cost
        self.room += bound - cost

    def give_back(self) -> None:
        self.treasury.left += self.room
        self.room = 0


@dataclass(slots=True)
class Traffic:
    """Shards that call as fast as they can until the budget has no room for them."""

    random: Random
    treasury: Treasury
    branches: list[Branch]
    lease_free_us: int = 0
    ended_us: int = 0
    calls: int = 0
    first_stranded: int | None = None
    flights: list[deque[tuple[int, int]]] = field(default_factory=list)

    def run(self) -> None:
        self.flights = [deque() for _ in self.branches]
        turns = [(0, place) for place in range(len(self.branches))]
        while turns:
            now_us, place = heapq.heappop(turns)
            bound = self.random.randint(1, BOUND_MAX)
            after_us = self.call(now_us, place, bound)
            if after_us is not None:
                heapq.heappush(turns, (after_us, place))

    def call(self, now_us: int, place: int, bound: int) -> int | None:
        """When the shard is free again; None where the call is refused with nothing in flight."""
        branch, flight = self.branches[place], self.flights[place]
        leases = branch.leases
        if not branch.hold(bound):
            return self.refuse(now_us, place)
        if branch.leases > leases:
            self.lease_free_us = max(now_us, self.lease_free_us) + LEASE_US
            now_us = self.lease_free_us
        flight.append((bound, self.random.randint(0, bound)))
        if len(flight) > IN_FLIGHT:
            branch.settle(*flight.popleft())
        self.calls += 1
        self.ended_us = max(self.ended_us, now_us + PAIR_US)
        return now_us + PAIR_US

    def refuse(self, now_us: int, place: int) -> int | None:
        """Calls in flight end and may leave room for the next call."""
        if self.first_stranded is None:
            self.first_stranded = self.treasury.left + sum(branch.room for branch in self.branches)
        flight = self.flights[place]
        if not flight:
            return None
        while flight:
            self.branches[place].settle(*flight.popleft())
        return now_us + PAIR_US


def simulate(slice_calls: int, *, limit: int = LIMIT, seed: int = 1) -> list[object]:
    """A row of the table."""
    treasury = Treasury(limit)
    amount = slice_calls * BOUND_MAX // 2
    traffic = Traffic(Random(seed), treasury, [Branch(treasury, amount) for _ in range(SHARDS)])
    traffic.run()
    leases = sum(branch.leases for branch in traffic.branches)
    spent = sum(branch.spent for branch in traffic.branches)
    return [
        slice_calls,
        traffic.calls,
        traffic.calls * 1e6 / traffic.ended_us,
        traffic.calls / leases,
        100 * (traffic.first_stranded or 0) / limit,
        100 * (limit - spent) / limit,
        max(0, spent - limit),
    ]


def measure_escrow(*, seed: int) -> None:
    rows = [simulate(slice_calls, seed=seed) for slice_calls in SLICES]
    print_table(f"escrow, simulated: {SHARDS} shards on one strict budget", COLUMNS, rows)
    write_report("escrow", {"seed": seed, "columns": COLUMNS, "rows": rows})
