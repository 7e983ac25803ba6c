"""The ledger against a model of plain integers: any verb, in any order, on committed tables."""

from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

import psycopg
import pytest
from django.db import connection
from django.db.models import F
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from spend import batching, lanes, ledger
from spend.budgets import change_budget, reset_budget
from spend.errors import BudgetExceeded, BudgetUnavailable
from spend.holds import Hold, Intent
from spend.lanes import Request
from spend.models import Budget, BudgetWindow
from spend.rollover import database_now, roll_over_idle_budgets
from tests.bank import HOLD_SECONDS, WORKER_ID, Ask, Bank, draw_on, empty_books, open_ledger
from tests.factories import make_budget
from tests.spend.recount import recount

BUDGETS_MAX = 4
LIMITS = st.sampled_from([None, 0, 100, 250, 1000])
MODES = st.sampled_from(["standard", "strict"])
AMOUNTS = st.sampled_from([1, 40, 100, 260])


@dataclass
class Window:
    limit: int | None
    mode: str
    spent: int = 0
    reserved: int = 0
    excess: int = 0
    has_ended: bool = False

    @property
    def is_strict(self) -> bool:
        return self.mode == "strict" and self.limit is not None

    def amount(self, call: "Wanted") -> int:
        return call.bound if self.is_strict else call.expected

    def has_room(self, call: "Wanted") -> bool:
        if self.limit is None:
            return True
        if self.is_strict:
            return self.spent + self.reserved + call.bound <= self.limit
        return self.spent + self.reserved < self.limit

    def has_room_for(self, owed: int, *, more_held: int, own: int) -> bool:
        """Another attempt of a call that holds `own` and may owe `owed`."""
        if self.limit is None:
            return True
        if self.is_strict:
            return self.spent + self.reserved + more_held <= self.limit
        return self.spent + self.reserved - own + owed < self.limit

    def move(self, *, cost: int, hold: int) -> None:
        self.spent += cost
        self.reserved -= hold
        if self.is_strict:
            self.excess = max(self.excess, self.over())

    def over(self) -> int:
        return 0 if self.limit is None else max(0, self.spent + self.reserved - self.limit)


@dataclass
class Account:
    budget: Budget
    windows: list[Window]

    @property
    def open(self) -> Window:
        return self.windows[-1]

    def open_next(self) -> None:
        self.windows.append(Window(self.budget.limit, self.budget.mode))


@dataclass(frozen=True)
class Wanted:
    """A call as the model has it."""

    ask: Ask
    accounts: tuple[int, ...]
    expected: int
    bound: int


@dataclass
class Kept:
    """What became of an id."""

    status: str  # held | refused | success | failure | estimated | expired
    cost: int = 0
    windows: list[Window] = field(default_factory=list)
    holds: list[int] = field(default_factory=list)
    hold: Hold | None = None
    was_corrected: bool = False

    @property
    def unknown_cost(self) -> int:
        assert self.hold is not None
        return self.hold.held


class Machine(RuleBasedStateMachine):
    calls = Bundle("calls")  # whatever became of them
    unsent = Bundle("unsent")  # given up before they arrived

    def __init__(self, bank: Bank) -> None:
        super().__init__()
        empty_books()
        self.bank = bank
        self.accounts: list[Account] = []
        self.kept: dict[UUID, Kept] = {}
        self.restart_worker()

    # -- calls -----------------------------------------------------------------------------------

    @initialize(terms=st.lists(st.tuples(LIMITS, MODES), min_size=2, max_size=BUDGETS_MAX))
    def open_budgets(self, terms):
        for limit, mode in terms:
            budget = make_budget(mode=mode, duration="30d")
            change_budget(budget, {"limit": limit})
            self.accounts.append(Account(budget, [Window(limit, mode)]))

    @rule(
        target=calls,
        wishes=st.lists(
            st.tuples(st.sets(st.integers(0, BUDGETS_MAX - 1)), AMOUNTS, AMOUNTS),
            min_size=1,
            max_size=5,
        ),
    )
    def reserve_batch(self, wishes):
        wanted = [self.want(*wish) for wish in wishes]
        self.is_asked_again = self.is_asked_again or len(wanted) > 1
        if any(self.accounts[n].open.has_ended for call in wanted for n in call.accounts):
            answers = [self.bank.ask(call.ask)[0] for call in wanted]  # their order is not told
        else:
            answers = self.bank.ask(*[call.ask for call in wanted])
        for call, answer in zip(wanted, answers, strict=True):
            self.expect(call, answer)
        self.is_asked_again = False
        self.bank.flush()
        return multiple(*wanted)

    @rule(call=calls)
    def reserve_again(self, call):
        """A retry, or an original that comes late."""
        (answer,) = self.bank.ask(call.ask)
        kept = self.kept[call.ask.id]
        if kept.status == "held":
            assert answer.hold is not None
            assert list(answer.hold.holds) == kept.holds
        else:
            assert isinstance(answer.error, BudgetUnavailable)
            if self.is_asked_again:  # in doubt whether it holds, it gives back what it may hold
                self.end(kept, 0, "failure")
        self.is_asked_again = False
        self.bank.flush()

    @rule(call=calls, owed=st.sampled_from([0, 40, 100]), expected=AMOUNTS, bound=AMOUNTS)
    def add_attempt(self, call, owed, expected, bound):
        """Also of what is over by now; what was asked before comes late."""
        kept = self.kept[call.ask.id]
        if kept.hold is None:
            return
        more = Wanted(call.ask, call.accounts, expected, bound)
        raised = [
            max(h, owed + w.amount(more)) for w, h in zip(kept.windows, kept.holds, strict=True)
        ]
        fits = kept.status == "held" and all(
            w.has_room_for(owed, more_held=r - h, own=h)
            for w, h, r in zip(kept.windows, kept.holds, raised, strict=True)
        )
        found = self.bank.add_attempt(kept.hold, owed, expected, bound)
        assert (found is not None) == fits
        if found is not None:
            assert list(found.holds) == raised
            for window, held, wanted in zip(kept.windows, kept.holds, raised, strict=True):
                window.move(cost=0, hold=held - wanted)
            kept.hold, kept.holds = found, raised

    @rule(call=calls, cost=AMOUNTS)
    def settle(self, call, cost):
        """Also of what is settled already, and of what was swept: late usage."""
        self.pay(call, cost, "success")

    @rule(call=calls)
    def release(self, call):
        self.pay(call, 0, "failure")

    @rule(call=calls)
    def guess(self, call):
        """A living worker's own estimate."""
        kept = self.kept[call.ask.id]
        if kept.hold is not None:
            self.pay(call, kept.unknown_cost + 5, "estimated")

    @rule(
        target=unsent,
        accounts=st.sets(st.integers(0, BUDGETS_MAX - 1)),
        expected=AMOUNTS,
        bound=AMOUNTS,
    )
    def give_up_unknown(self, accounts, expected, bound):
        call = self.want(accounts, expected, bound)
        self.bar(call)
        self.kept[call.ask.id] = Kept("failure")
        return call

    @rule(call=calls)
    def give_up_known(self, call):
        self.bar(call)
        self.end(self.kept[call.ask.id], 0, "failure")

    @rule(target=calls, call=consumes(unsent))
    def late_original(self, call):
        (answer,) = self.bank.ask(call.ask)
        assert isinstance(answer.error, BudgetUnavailable)
        self.is_asked_again = False
        self.bank.flush()
        return call

    # -- what befalls workers and windows --------------------------------------------------------

    @rule()
    def sweep_the_dead(self):
        held = [kept for kept in self.kept.values() if kept.status == "held"]
        assert self.bank.sweep(WORKER_ID) == len(held)
        for kept in held:
            self.expire(kept)

    @rule(call=calls)
    def sweep_the_overdue(self, call):
        kept = self.kept[call.ask.id]
        execute(
            "update spend_reservation set expires_at = clock_timestamp() - interval '1 second'"
            " where id = %s",
            call.ask.id,
        )
        assert self.bank.sweep() == (kept.status == "held")
        if kept.status == "held":
            self.expire(kept)

    @rule()
    def restart_worker(self):
        self.bank.run(self.bank.ledger.close(seconds_max=5))
        self.bank.ledger = self.bank.run(self.reopened())
        self.is_asked_again = False

    @rule(line=st.sampled_from(["reserving", "settling"]))
    def lose_the_next_reply(self, line):
        ledger = self.bank.ledger
        connection = ledger.lane.connection if line == "reserving" else ledger._settling
        fetch = connection.fetch_value

        async def execute_and_lose(query, parameters, *, seconds_max):
            await fetch(query, parameters, seconds_max=seconds_max)
            connection.fetch_value = fetch
            await connection.close()
            self.is_asked_again = line == "reserving"
            raise psycopg.OperationalError("the connection was lost")

        connection.fetch_value = execute_and_lose

    @rule(n=st.integers(0, BUDGETS_MAX - 1))
    def let_window_end(self, n):
        account = self.account(n)
        if account.open.has_ended:
            return
        ends_at = BudgetWindow.objects.open().get(budget=account.budget).ends_at
        shift = ends_at - database_now() + timedelta(microseconds=1)
        BudgetWindow.objects.filter(budget=account.budget).update(
            starts_at=F("starts_at") - shift, ends_at=F("ends_at") - shift
        )
        account.open.has_ended = True

    @rule()
    def roll_over_by_beat(self):
        ended = [account for account in self.accounts if account.open.has_ended]
        assert roll_over_idle_budgets() == len(ended)
        for account in ended:
            account.open_next()

    # -- what people do --------------------------------------------------------------------------

    @rule(n=st.integers(0, BUDGETS_MAX - 1), limit=LIMITS)
    def edit_limit(self, n, limit):
        self.edit(self.account(n), {"limit": limit})

    @rule(n=st.integers(0, BUDGETS_MAX - 1), mode=MODES)
    def edit_mode(self, n, mode):
        self.edit(self.account(n), {"mode": mode})

    @rule(n=st.integers(0, BUDGETS_MAX - 1))
    def reset_spend(self, n):
        account = self.account(n)
        reset_budget(account.budget)
        account.open_next()

    @rule(n=st.integers(0, BUDGETS_MAX - 1), duration=st.sampled_from(["30d", "31d", "weekly"]))
    def edit_schedule(self, n, duration):
        account = self.account(n)
        if change_budget(account.budget, {"duration": duration}):
            account.open_next()

    # -- judging ---------------------------------------------------------------------------------

    @invariant()
    def tables_equal_the_model(self):
        for account in self.accounts:
            rows = BudgetWindow.objects.filter(budget=account.budget).order_by("starts_at")
            found = list(rows.values_list("limit", "mode", "spent", "reserved", "excess"))
            assert found == [
                (w.limit, w.mode, w.spent, w.reserved, w.excess) for w in account.windows
            ]

    def teardown(self):
        self.sweep_the_dead()
        self.tables_equal_the_model()
        rows = self.bank.rows()
        calls = {row.id: (row.status, row.cost) for row in rows if row.corrects is None}
        paid = {row.id: 0 for row in rows if row.corrects is None}
        for row in rows:
            paid[row.corrects or row.id] += row.cost
        assert paid == {key: kept.cost for key, kept in self.kept.items()}
        told = {key: row for key, (row, _) in calls.items()}
        assert told == {
            key: "estimated" if kept.status == "expired" else kept.status
            for key, kept in self.kept.items()
        }
        assert recount() == []

    # -- the model -------------------------------------------------------------------------------

    def account(self, n: int) -> Account:
        return self.accounts[n % len(self.accounts)]

    def want(self, accounts: set[int], expected: int, more: int) -> Wanted:
        places = tuple(sorted({n % len(self.accounts) for n in accounts}))
        draws = [draw_on(self.accounts[n].budget) for n in places]
        ask = self.bank.call(draws, expected, expected + more)
        return Wanted(ask, places, expected, expected + more)

    def expect(self, call: Wanted, answer) -> None:
        self.open_what_is_gone(call)
        windows = [self.accounts[n].open for n in call.accounts]
        full = next((n for n in call.accounts if not self.accounts[n].open.has_room(call)), None)
        if full is not None:
            assert isinstance(answer.error, BudgetExceeded)
            self.kept[call.ask.id] = Kept("refused")
            if self.is_asked_again:
                return  # after what it shared its batch with it may be another window that refuses
            assert answer.error.budget == self.accounts[full].budget.public_id
            window = self.accounts[full].open
            assert (answer.error.spent, answer.error.reserved) == (window.spent, window.reserved)
            return
        holds = [window.amount(call) for window in windows]
        assert answer.hold is not None
        assert list(answer.hold.holds) == holds
        assert answer.hold.held == max([call.expected, *holds])
        for window, hold in zip(windows, holds, strict=True):
            window.reserved += hold
        self.kept[call.ask.id] = Kept("held", 0, windows, holds, answer.hold)

    def open_what_is_gone(self, call: Wanted) -> None:
        """A full window that comes first refuses before a later one is missed."""
        for n in call.accounts:
            if self.accounts[n].open.has_ended:
                for each in call.accounts:
                    if self.accounts[each].open.has_ended:
                        self.accounts[each].open_next()
                return
            if not self.accounts[n].open.has_room(call):
                return

    def pay(self, call: Wanted, cost: int, status: str) -> None:
        kept = self.kept[call.ask.id]
        if kept.hold is None:
            return
        self.bank.settle(kept.hold, cost, status)
        self.end(kept, cost, status)

    def end(self, kept: Kept, cost: int, status: str) -> None:
        if kept.status == "held":
            kept.status, kept.cost = status, cost
            for window, hold in zip(kept.windows, kept.holds, strict=True):
                window.move(cost=cost, hold=hold)
        elif kept.status == "expired" and not kept.was_corrected:
            if status == "estimated" and cost == kept.cost:
                return
            for window in kept.windows:
                window.move(cost=cost - kept.cost, hold=0)
            kept.cost, kept.was_corrected = cost, True

    def expire(self, kept: Kept) -> None:
        self.end(kept, kept.unknown_cost, "expired")

    def bar(self, call: Wanted) -> None:
        asked: Intent = call.ask.intent

        async def work():
            request = Request(call.ask.id, call.ask.draws, call.ask.estimate, HOLD_SECONDS, asked)
            self.bank.ledger._give_back(request)

        self.bank.run(work())
        self.bank.flush()

    def edit(self, account: Account, change: dict) -> None:
        ((name, value),) = change.items()
        if getattr(account.budget, name) == value:
            assert change_budget(account.budget, change) is False
            return
        change_budget(account.budget, change)
        if account.open.has_ended:
            account.open_next()
        setattr(account.open, name, value)
        account.open.excess = account.open.over()

    async def reopened(self):
        return open_ledger(self.bank.database)


def execute(query: str, *values: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute(query, values)


def run_machine(bank: Bank, *, runs: int, steps: int) -> None:
    run_state_machine_as_test(
        lambda: Machine(bank),
        settings=settings(
            max_examples=runs,
            stateful_step_count=steps,
            deadline=None,
            phases=[__import__("hypothesis").Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(batching, "RETRY_SECONDS_FIRST", 0.001)
    monkeypatch.setattr(lanes, "RETRY_SECONDS", 0.001)
    monkeypatch.setattr(ledger, "BILLS_SECONDS", 0)


def test_it_does_what_the_model_does(bank):
    run_machine(bank, runs=25, steps=25)


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_it_does_what_the_model_does_2000_times(bank):
    run_machine(bank, runs=2_000, steps=100)
