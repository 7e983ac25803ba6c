"""The ledger: what is held, refused, settled and given back, and what the rows say of it."""

import asyncio
import os
import signal
import threading
import time
from datetime import timedelta

import psycopg
import pytest
from django.db import DatabaseError, IntegrityError, connection
from django.utils import timezone

from spend import lanes, ledger
from spend.budgets import change_budget
from spend.connection import LedgerConnection, NotConnected, connection_arguments, is_rolled_back
from spend.errors import BudgetExceeded, BudgetUnavailable, CostNotBounded, Unwritable
from spend.holds import Draw
from spend.ids import CallIds
from spend.lanes import Request, as_json
from spend.models import BudgetWindow, Rollup, SpendLog, TagSet
from spend.rollover import database_now
from tests.bank import WORKER_ID, Ask, bill, draw_on, estimate, intent, open_ledger, record
from tests.factories import dollars, make_budget, make_pot


@pytest.fixture
def punctual(monkeypatch):
    """The real deadlines, which other tests in this process may have put off."""
    for module in (lanes, ledger):
        monkeypatch.setattr(module, "RESERVE_SECONDS_MAX", 2.0)


# -- reserve -------------------------------------------------------------------------------------


def test_it_works(bank):
    budget = make_budget(limit="1")

    hold = bank.reserve([draw_on(budget)], 500)

    assert (bank.reserved(budget), bank.spent(budget)) == (500, 0)
    assert hold.held == 500
    assert bank.reservations() == [hold.id]

    bank.settle(hold, 350)

    assert (bank.reserved(budget), bank.spent(budget)) == (0, 350)
    assert bank.reservations() == []
    assert [(row.id, row.status, row.cost) for row in bank.rows()] == [(hold.id, "success", 350)]
    assert bank.differences() == []


def test_it_holds_on_every_window_or_on_none(bank):
    roomy, tight = make_budget(limit="10"), make_budget(limit="1", mode="strict")

    with pytest.raises(BudgetExceeded) as refusal:
        bank.reserve([draw_on(roomy), draw_on(tight, "tag:engineering")], dollars("2"))

    assert refusal.value.payer == "tag:engineering"
    assert bank.reserved(roomy) == 0
    assert bank.reserved(tight) == 0


def test_it_tells_the_numbers_that_decided(bank):
    pot = make_pot(limit="1", mode="strict", duration="30d")
    bank.settle(bank.reserve([draw_on(pot)], dollars("0.5")), dollars("0.25"))
    bank.reserve([draw_on(pot)], dollars("0.125"))

    with pytest.raises(BudgetExceeded) as raised:
        bank.reserve([draw_on(pot, "key:ci")], 1, dollars("0.7"))

    window, refusal = bank.window(pot), raised.value
    assert (refusal.payer, refusal.budget, refusal.budget_kind) == ("key:ci", pot.public_id, "pot")
    assert (refusal.mode, refusal.duration) == ("strict", "30d")
    assert (refusal.starts_at, refusal.resets_at) == (window.starts_at, window.ends_at)
    assert (refusal.spent, refusal.reserved) == (dollars("0.25"), dollars("0.125"))
    assert (refusal.requested, refusal.limit) == (dollars("0.7"), dollars("1"))
    assert refusal.remaining == dollars("0.625")


def test_it_logs_a_refusal_and_moves_no_money(bank):
    budget = make_budget(limit="0")

    with pytest.raises(BudgetExceeded):
        bank.reserve([draw_on(budget)], 5, user_agent="curl")
    bank.flush()

    (row,) = bank.rows()
    assert (row.status, row.cost, row.http_status, row.windows) == ("refused", 0, 400, [])
    assert (row.user_agent, row.key_alias, row.model) == ("curl", "ci", "demo-fast")
    assert row.error["type"] == "budget_exceeded"
    assert row.error["budget"] == budget.public_id
    assert (row.error["spent"], row.error["limit"], row.error["requested"]) == (0, 0, 5)
    assert set(Rollup.objects.values_list("requests", "refused", "cost")) == {(0, 1, 0)}
    assert bank.differences() == []


def test_standard_admits_while_there_is_room_and_not_after(bank):
    budget = make_budget(limit="1")

    bank.reserve([draw_on(budget)], dollars("0.999999999"))
    bank.reserve([draw_on(budget)], dollars("5"))  # a nano-dollar was left
    with pytest.raises(BudgetExceeded):
        bank.reserve([draw_on(budget)], 1)

    assert bank.reserved(budget) == dollars("5.999999999")


def test_strict_admits_what_fits_to_the_nano_dollar(bank):
    budget = make_budget(limit="1", mode="strict")

    hold = bank.reserve([draw_on(budget)], 1, dollars("0.6"))
    with pytest.raises(BudgetExceeded):
        bank.reserve([draw_on(budget)], 1, dollars("0.400000001"))
    bank.reserve([draw_on(budget)], 1, dollars("0.4"))

    assert hold.bounded
    assert bank.reserved(budget) == dollars("1")


def test_each_window_applies_its_own_rule(bank):
    standard, strict = make_budget(limit="1"), make_budget(limit="1", mode="strict")

    hold = bank.reserve([draw_on(standard), draw_on(strict)], 10, 70)

    assert (bank.reserved(standard), bank.reserved(strict)) == (10, 70)
    assert hold.holds == (10, 70)
    assert hold.held == 70


@pytest.mark.parametrize("mode", ["standard", "strict"])
def test_a_limit_of_nothing_refuses_all_and_no_limit_refuses_nobody(bank, mode):
    nothing, unlimited = make_budget(limit="0", mode=mode), make_budget(limit=None, mode=mode)

    with pytest.raises(BudgetExceeded):
        bank.reserve([draw_on(nothing)], 1)
    bank.reserve([draw_on(unlimited)], dollars("8000000"))

    assert bank.reserved(unlimited) == dollars("8000000")


def test_it_needs_a_bound_where_a_strict_limit_is(bank):
    strict = make_budget(limit="1", mode="strict")
    free, standard = make_budget(limit=None, mode="strict"), make_budget(limit="1")

    with pytest.raises(CostNotBounded) as raised:
        bank.reserve([draw_on(standard), draw_on(strict)], 10, unbounded_by="tools")
    hold = bank.reserve([draw_on(standard), draw_on(free)], 10, unbounded_by="tools")

    assert raised.value.param == "tools"
    assert not hold.bounded
    assert bank.reserved(strict) == 0
    assert bank.reserved(standard) == 10


def test_a_call_may_draw_on_nothing(bank):
    hold = bank.reserve([], 70)
    assert hold.windows == ()
    assert hold.held == 70

    bank.settle(hold, 30)

    assert [(row.cost, row.windows) for row in bank.rows()] == [(30, [])]
    assert bank.differences() == []


def test_it_tells_each_window_as_it_stands_with_the_hold(bank):
    budget = make_budget(limit="1", duration="30d", soft_limit="0.5")
    bank.settle(bank.reserve([draw_on(budget)], 100), 40)

    (state,) = bank.reserve([draw_on(budget)], 60).windows

    assert (state.limit, state.spent, state.reserved) == (dollars("1"), 40, 60)
    assert state.remaining == dollars("1") - 100
    assert not state.is_strict
    assert state.draw.soft_limit == dollars("0.5")
    assert state.resets_at == bank.window(budget).ends_at.timestamp()


def test_it_does_not_know_a_budget_that_is_gone(bank):
    with pytest.raises(BudgetUnavailable):
        bank.reserve([Draw(999_999, "tag:gone", "gone")], 1)

    assert bank.reservations() == []


def test_it_opens_every_window_that_has_ended_at_once(bank):
    """More of them than a call asks again."""
    budgets = [make_budget(limit="1", duration="30d") for _ in range(6)]
    BudgetWindow.objects.update(starts_at=timezone.now() - timedelta(days=60))
    BudgetWindow.objects.update(ends_at=timezone.now() - timedelta(days=30))

    bank.reserve([draw_on(budget) for budget in budgets], 5)

    assert [bank.reserved(budget) for budget in budgets] == [5] * 6
    assert BudgetWindow.objects.count() == 12
    assert bank.differences() == []


# -- settle --------------------------------------------------------------------------------------


def test_it_settles_once_however_often_it_is_told(bank):
    budget = make_budget(limit="1")
    hold = bank.reserve([draw_on(budget)], 100)

    for cost in (40, 90, 10):
        bank.settle(hold, cost)

    assert bank.spent(budget) == 40
    assert len(bank.rows()) == 1
    assert bank.differences() == []


def test_it_settles_once_when_two_bills_are_in_one_batch(bank):
    budget = make_budget(limit="1")
    hold = bank.reserve([draw_on(budget)], 100)

    async def post_both():
        bank.ledger.settle(hold, bill(40), record())
        bank.ledger.settle(hold, bill(90), record())

    bank.run(post_both())
    bank.flush()

    assert [row.cost for row in bank.rows()] == [40]  # the first counts
    assert bank.spent(budget) == 40
    assert bank.differences() == []


def test_it_settles_once_when_two_workers_do(bank):
    budget = make_budget(limit="1")
    holds = [bank.reserve([draw_on(budget)], 100) for _ in range(20)]

    async def race():
        other = open_ledger(bank.database, 900_002)
        for hold in holds:
            bank.ledger.settle(hold, bill(40), record())
            other.settle(hold, bill(90), record())
        await other.close(seconds_max=10)

    bank.run(race())
    bank.flush()

    rows = bank.rows()
    assert len(rows) == 20
    assert bank.spent(budget) == sum(row.cost for row in rows)
    assert bank.differences() == []


def test_it_charges_more_than_was_held_and_says_so(bank):
    standard, strict = make_budget(limit="1"), make_budget(limit="0.000000100", mode="strict")
    hold = bank.reserve([draw_on(standard), draw_on(strict)], 10, 100)

    bank.settle(hold, 170)

    (row,) = bank.rows()
    assert row.flags == ["overrun"]
    assert bank.spent(strict) == 170
    assert bank.window(strict).excess == 70
    with pytest.raises(BudgetExceeded):
        bank.reserve([draw_on(strict)], 1)
    assert bank.differences() == []


def test_it_gives_a_hold_back(bank):
    budget = make_budget(limit="1")

    bank.release(bank.reserve([draw_on(budget)], 100))

    assert (bank.reserved(budget), bank.spent(budget)) == (0, 0)
    assert [(row.status, row.cost) for row in bank.rows()] == [("failure", 0)]
    assert bank.differences() == []


def test_it_bills_exactly_although_the_record_cannot_be_written(bank):
    budget = make_budget(limit="1")
    nul, half = (bank.reserve([draw_on(budget)], 100) for _ in range(2))
    neighbour = bank.reserve([draw_on(budget)], 100)

    async def post_all():
        bank.ledger.settle(nul, bill(41), record(upstream_request_id="a\0b"))
        bank.ledger.settle(half, bill(42), record(error={"message": "half a character: \ud800"}))
        bank.ledger.settle(neighbour, bill(43), record(upstream_request_id="req-1"))

    bank.run(post_all())
    bank.flush()

    rows = {row.id: row for row in bank.rows()}
    assert [rows[hold.id].cost for hold in (nul, half, neighbour)] == [41, 42, 43]
    assert rows[nul.id].flags == rows[half.id].flags == ["record_dropped"]
    assert (rows[neighbour.id].upstream_request_id, rows[neighbour.id].flags) == ("req-1", [])
    assert bank.spent(budget) == 126
    assert bank.differences() == []


def test_it_writes_bills_once_postgresql_is_back(bank, monkeypatch):
    budget = make_budget(limit="1")
    hold = bank.reserve([draw_on(budget)], 100)
    downs = iter(range(4))
    connect = psycopg.AsyncConnection.connect

    async def refuse(*_args, **arguments):
        if next(downs, None) is not None:
            raise psycopg.OperationalError("connection refused")
        return await connect(**arguments)

    monkeypatch.setattr(psycopg.AsyncConnection, "connect", refuse)
    bank.run(bank.ledger._settling.close())
    bank.settle(hold, 40)

    assert bank.spent(budget) == 40
    assert bank.differences() == []


# -- what goes wrong on the way ------------------------------------------------------------------


def lose_replies(monkeypatch, line: LedgerConnection, *, losses: int = 1) -> list[str]:
    """The statement is executed and committed; its reply is lost with the connection."""
    asked: list[str] = []
    fetch = line.fetch_value

    async def execute_and_lose(query, parameters, *, seconds_max):
        answer = await fetch(query, parameters, seconds_max=seconds_max)
        asked.append(query)
        if len(asked) <= losses:
            await line.close()
            raise psycopg.OperationalError("the connection was lost")
        return answer

    monkeypatch.setattr(line, "fetch_value", execute_and_lose)
    return asked


@pytest.mark.parametrize("losses", [1, 3])
def test_it_holds_once_when_replies_are_lost(bank, monkeypatch, losses):
    budget = make_budget(limit="0.000000400", mode="strict")
    lose_replies(monkeypatch, bank.ledger.lane.connection, losses=losses)

    answers = bank.ask(*[bank.call([draw_on(budget)], 1, 100) for _ in range(4)])

    assert [answer.hold.holds for answer in answers] == [(100,)] * 4
    assert bank.reserved(budget) == 400
    assert len(bank.reservations()) == 4
    assert bank.differences() == []


def test_it_bills_once_when_replies_are_lost(bank, monkeypatch):
    budget = make_budget(limit="1")
    hold = bank.reserve([draw_on(budget)], 100)
    asked = lose_replies(monkeypatch, bank.ledger._settling, losses=3)

    bank.settle(hold, 40)

    assert len(asked) == 4
    assert bank.spent(budget) == 40
    assert bank.differences() == []


def test_a_hold_whose_reply_was_lost_is_what_was_decided_then(bank, monkeypatch):
    """Between the commit and the retry the window ends, and the next one is not strict."""
    budget = make_budget(limit="1", mode="strict", duration="30d")
    line = bank.ledger.lane.connection
    fetch = line.fetch_value
    asked = []

    async def lose_the_first(query, parameters, *, seconds_max):
        answer = await fetch(query, parameters, seconds_max=seconds_max)
        asked.append(query)
        if len(asked) == 1:
            await asyncio.to_thread(end_windows, bank.database)
            raise psycopg.OperationalError("the connection was lost")
        return answer

    monkeypatch.setattr(line, "fetch_value", lose_the_first)
    hold = bank.reserve([draw_on(budget)], 10, 100)

    assert hold.bounded
    assert (hold.holds, hold.windows[0].limit) == ((100,), dollars("1"))
    assert len(asked) == 2
    assert bank.differences() == []


def end_windows(database: str) -> None:
    with psycopg.connect(**connection_arguments() | {"dbname": database}) as other:
        other.execute(
            "update spend_budgetwindow set starts_at = now() - interval '2 days',"
            " ends_at = now() - interval '1 day'"
        )


def test_it_gives_back_what_nobody_waits_for(bank):
    budget = make_budget(limit="1")
    call = bank.call([draw_on(budget)], 100)

    async def leave_while_it_is_out():
        line = bank.ledger.lane.connection
        fetch, sent, go_on = line.fetch_value, asyncio.Event(), asyncio.Event()

        async def fetch_slowly(*arguments, **named):
            sent.set()
            await go_on.wait()
            return await fetch(*arguments, **named)

        line.fetch_value = fetch_slowly
        asking = bank.ledger.reserve(call.id, call.intent, call.draws, call.estimate, seconds=600)
        waiter = asyncio.create_task(asking)
        await sent.wait()
        waiter.cancel()
        go_on.set()
        await asyncio.wait([waiter])
        while not bank.ledger.lane.batcher.is_idle:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.001)

    bank.run(leave_while_it_is_out())
    bank.flush()

    assert bank.reserved(budget) == 0
    assert [(row.id, row.status) for row in bank.rows()] == [(call.id, "failure")]
    assert bank.differences() == []


def test_an_original_that_comes_after_it_was_given_up_holds_nothing(bank):
    budget = make_budget(limit="1")
    call = bank.call([draw_on(budget)], 100)
    give_up(bank, call)

    (late,) = bank.ask(call)

    assert isinstance(late.error, BudgetUnavailable)
    assert bank.reserved(budget) == 0
    assert [(row.id, row.status) for row in bank.rows()] == [(call.id, "failure")]
    assert bank.differences() == []


def test_an_original_that_comes_after_its_settle_holds_nothing(bank):
    budget = make_budget(limit="1")
    call = bank.call([draw_on(budget)], 100)
    (first,) = bank.ask(call)
    bank.settle(first.hold, 40)

    (late,) = bank.ask(call)

    assert isinstance(late.error, BudgetUnavailable)
    assert (bank.reserved(budget), bank.spent(budget)) == (0, 40)
    assert bank.differences() == []


def give_up(bank, call: Ask) -> None:
    async def work():
        bank.ledger._give_back(Request(call.id, call.draws, call.estimate, 600, call.intent))

    bank.run(work())
    bank.flush()


def ask_in_sql(session: psycopg.Connection, bank, call: Ask) -> list:
    """The verdicts of a reserve that is executed and not committed."""
    budgets = [draw.budget for draw in call.draws]
    item = {"id": call.id, "draws": list(range(1, len(budgets) + 1)), "seconds": 600}
    item |= {
        "expected": call.estimate.expected,
        "bound": call.estimate.bound,
        "intent": call.intent,
    }
    answer = session.execute(
        "select spend_reserve(%s::jsonb, %s::bigint[], %s, false)",
        [as_json([item]), budgets, WORKER_ID],
    ).fetchone()
    return answer[0]["calls"]


@pytest.mark.parametrize("draws_on_a_budget", [True, False])
def test_a_give_up_waits_for_an_original_that_is_on_its_way(bank, draws_on_a_budget):
    budget = make_budget(limit="1")
    call = bank.call([draw_on(budget)] if draws_on_a_budget else [], 100)

    with connection_of(bank) as original:
        assert ask_in_sql(original, bank, call) == [True]
        giving_up = threading.Thread(target=give_up, args=(bank, call))
        giving_up.start()
        giving_up.join(0.3)
        waited = giving_up.is_alive()
        original.commit()
        giving_up.join(10)

    assert waited
    assert bank.reservations() == []
    assert [(row.id, row.status) for row in bank.rows()] == [(call.id, "failure")]
    assert bank.reserved(budget) == 0
    assert bank.differences() == []


@pytest.mark.parametrize("draws_on_a_budget", [True, False])
def test_an_original_waits_for_a_give_up_that_is_on_its_way(bank, draws_on_a_budget):
    budget = make_budget(limit="1")
    call = bank.call([draw_on(budget)] if draws_on_a_budget else [], 100)
    item = {"id": call.id, "status": "failure", "http_status": 503, "cost": 0}
    item |= {"intent": call.intent, "worker": WORKER_ID}
    verdicts = []

    def ask() -> None:
        with connection_of(bank) as original:
            verdicts.extend(ask_in_sql(original, bank, call))

    with connection_of(bank) as giving_up:
        giving_up.execute("select spend_settle(%s::jsonb, 'UTC')", [as_json([item])])
        original = threading.Thread(target=ask)
        original.start()
        original.join(0.3)
        waited = original.is_alive()
        giving_up.commit()
        original.join(10)

    assert waited
    assert verdicts == [{"known": "logged"}]
    assert bank.reservations() == []
    assert bank.differences() == []


def test_a_call_that_is_turned_away_in_doubt_bars_its_original(bank, monkeypatch):
    """Its first question was delayed, its second one turned away; then the first one arrives."""
    budget = make_budget(limit="1", mode="strict")
    line = bank.ledger.lane.connection
    fetch, delayed = line.fetch_value, []

    async def delay_the_first(query, parameters, *, seconds_max):
        delayed.append((query, parameters))
        if len(delayed) == 1:
            raise psycopg.OperationalError("the connection was lost")
        return await fetch(query, parameters, seconds_max=seconds_max)

    monkeypatch.setattr(line, "fetch_value", delay_the_first)
    with pytest.raises(CostNotBounded):
        bank.reserve([draw_on(budget)], 10, unbounded_by="tools")
    bank.flush()
    change_budget(budget, {"mode": "standard"})
    late = bank.run(fetch(*delayed[0], seconds_max=5))

    assert late["calls"] == [{"known": "logged"}]
    assert bank.reserved(budget) == 0
    assert bank.differences() == []


def test_a_hold_beside_its_row_is_given_back_and_stops_nobody(bank):
    """It should never be; should it be, the sweep mends it and goes on."""
    budget = make_budget(limit="1")
    hold, other = (bank.reserve([draw_on(budget)], 100) for _ in range(2))
    with connection.cursor() as cursor:
        cursor.execute(
            "create temp table kept as select * from spend_reservation where id = %s", [hold.id]
        )
        bank.settle(hold, 40)
        cursor.execute("insert into spend_reservation select * from kept")
        cursor.execute("update spend_budgetwindow set reserved = reserved + 100")
    assert bank.differences() == [f"duplicate_row: id={hold.id}"]

    bank.sweep(900_001)

    assert {row.id: row.cost for row in bank.rows()} == {hold.id: 40, other.id: 100}
    assert (bank.reserved(budget), bank.spent(budget)) == (0, 140)
    assert bank.differences() == []


# -- poison --------------------------------------------------------------------------------------

POISONS = {
    "NUL in the intent": lambda call: replaced(call, intent=intent(user_agent="a\0b")),
    "half a character": lambda call: replaced(call, intent=intent(end_user="\ud800")),
    "negative": lambda call: replaced(call, estimate=estimate(-1)),
    "negative bound": lambda call: replaced(call, estimate=estimate(1, -1)),
    "past BIGINT": lambda call: replaced(call, estimate=estimate(2**63)),
    "past 64 bits": lambda call: replaced(call, estimate=estimate(2**70)),
    "past any limit": lambda call: replaced(call, estimate=estimate(2**63 - 1)),
    "no tag set": lambda call: replaced(call, estimate=estimate(None, 1)),
}


def replaced(call: Ask, **changes) -> Ask:
    named = {"estimate": call.estimate, "intent": call.intent} | changes
    return Ask(call.id, call.draws, **named)


@pytest.mark.parametrize("poison", POISONS)
@pytest.mark.parametrize("place", [0, 7, 15])
def test_a_poisoned_call_harms_no_neighbour(bank, poison, place):
    poison_in_place(bank, poison, place, 16)


@pytest.mark.slow
@pytest.mark.parametrize("poison", POISONS)
def test_a_poisoned_call_harms_no_neighbour_at_any_place(bank, poison):
    for place in range(64):
        poison_in_place(bank, poison, place, 64)


def poison_in_place(bank, poison: str, place: int, count: int) -> None:
    unlimited, strict = make_budget(limit=None), make_budget(limit="1", mode="strict")
    calls = [bank.call([draw_on(unlimited), draw_on(strict)], 100) for _ in range(count)]
    calls[place] = POISONS[poison](calls[place])

    answers = bank.ask(*calls)

    assert isinstance(answers[place].error, Unwritable | BudgetExceeded)
    assert sum(answer.hold is not None for answer in answers) == count - 1
    assert (bank.reserved(unlimited), bank.reserved(strict)) == ((count - 1) * 100,) * 2
    assert bank.differences() == []


def test_an_id_that_comes_twice_in_a_batch_holds_once(bank):
    budget = make_budget(limit="1")
    call = bank.call([draw_on(budget)], 100)
    neighbours = [bank.call([draw_on(budget)], 10) for _ in range(3)]

    answers = bank.ask(neighbours[0], call, neighbours[1], call, neighbours[2])

    assert [answer.hold.holds for answer in answers] == [(10,), (100,), (10,), (100,), (10,)]
    assert bank.reserved(budget) == 130
    assert len(bank.reservations()) == 4
    assert bank.ledger.lane.batcher.batches == 1
    assert bank.differences() == []


# -- somebody is in the way ----------------------------------------------------------------------


def test_a_tag_that_is_stuck_delays_no_other(bank, punctual):
    stuck, free = make_budget(limit="1"), make_budget(limit="1")
    old, other = (bank.reserve([draw_on(budget)], 100) for budget in (stuck, free))

    with connection_of(bank) as foreign:
        foreign.execute(
            "select 1 from spend_budgetwindow where budget_id = %s for update", [stuck.pk]
        )
        started = time.monotonic()
        answers = bank.ask(
            bank.call([draw_on(free)], 1),
            bank.call([draw_on(free), draw_on(stuck)], 1),
            bank.call([draw_on(free)], 1),
            bank.call([], 1),
        )
        later_started = time.monotonic()
        bank.ask(bank.call([draw_on(stuck)], 1), bank.call([draw_on(free)], 1))
        free_seconds = bank.run(seconds_of_a_neighbour(bank, stuck, free))
        seconds = later_started - started

        async def settle_both():
            bank.ledger.settle(old, bill(40), record())
            bank.ledger.settle(other, bill(50), record())

        bank.run(settle_both())
        wait_until(lambda: bank.spent(free) == 50, seconds_max=2)

    assert [answer.hold is not None for answer in answers] == [True, False, True, True]
    assert isinstance(answers[1].error, BudgetUnavailable)
    assert seconds < 2.5
    assert free_seconds < 0.4
    wait_until(lambda: bank.spent(stuck) == 40, seconds_max=3)
    assert (bank.reserve([draw_on(stuck)], 1)).holds == (1,)
    assert bank.reserved(free) == 4
    assert bank.differences() == []


async def seconds_of_a_neighbour(bank, stuck, free) -> float:
    """How long a call takes beside one that draws on what is known to be stuck."""
    loop = asyncio.get_running_loop()
    calls = [bank.call([draw_on(budget)], 1) for budget in (stuck, free)]
    started = loop.time()
    asking = [
        asyncio.create_task(
            bank.ledger.reserve(call.id, call.intent, call.draws, call.estimate, seconds=600)
        )
        for call in calls
    ]
    await asking[1]
    seconds = loop.time() - started
    await asyncio.wait(asking)
    asking[0].exception()
    return seconds


def test_a_long_wait_for_a_lock_admits_into_no_window_that_has_ended(bank):
    budget = make_budget(limit="1", duration="1d")
    with connection_of(bank) as foreign:
        (ended,) = foreign.execute(
            "update spend_budgetwindow set starts_at = now() - interval '1 day',"
            " ends_at = now() + interval '200 milliseconds' returning id"
        ).fetchone()
        foreign.commit()
        foreign.execute("select 1 from spend_budgetwindow for update")

        async def ask_and_free():
            call = bank.call([draw_on(budget)], 5)
            asking = bank.ledger.reserve(
                call.id, call.intent, call.draws, call.estimate, seconds=600
            )
            task = asyncio.create_task(asking)
            await asyncio.sleep(0.35)
            await asyncio.to_thread(foreign.rollback)
            return await task

        bank.run(ask_and_free())

    assert BudgetWindow.objects.get(pk=ended).reserved == 0
    assert bank.window(budget).pk != ended
    assert bank.reserved(budget) == 5
    assert bank.differences() == []


def test_it_serves_a_tag_again_as_soon_as_it_is_free(bank):
    stuck = make_budget(limit="1")

    with connection_of(bank) as foreign:
        foreign.execute(
            "select 1 from spend_budgetwindow where budget_id = %s for update", [stuck.pk]
        )

        async def ask_and_free():
            call = bank.call([draw_on(stuck)], 5)
            asking = bank.ledger.reserve(
                call.id, call.intent, call.draws, call.estimate, seconds=600
            )
            task = asyncio.create_task(asking)
            await asyncio.sleep(0.8)
            await asyncio.to_thread(foreign.rollback)
            return await task

        hold = bank.run(ask_and_free())

    assert hold.holds == (5,)
    assert bank.reserved(stuck) == 5


def connection_of(bank):
    return psycopg.connect(**connection_arguments() | {"dbname": bank.database})


def wait_until(is_so, *, seconds_max: float) -> None:
    deadline = time.monotonic() + seconds_max
    while not is_so():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def test_it_answers_in_time_while_the_server_is_frozen_and_leaves_no_hold(bank, punctual):
    budget = make_budget(limit="1")
    line = bank.ledger.lane.connection
    backend = bank.run(line.fetch_value("select pg_backend_pid()", [], seconds_max=5))
    call = bank.call([draw_on(budget)], 100)

    os.kill(backend, signal.SIGSTOP)
    try:
        started = time.monotonic()
        (answer,) = bank.ask(call)
        seconds = time.monotonic() - started
        served = bank.ask(bank.call([draw_on(budget)], 1))[0]  # over a new connection
    finally:
        os.kill(backend, signal.SIGCONT)

    assert isinstance(answer.error, BudgetUnavailable)
    assert 1.5 < seconds < 2.5
    assert served.hold is not None
    bank.flush()
    assert bank.row(call.id).status == "failure"
    time.sleep(0.2)  # the frozen one finds its id in the log
    assert bank.reserved(budget) == 1
    assert bank.differences() == []


def test_a_connection_that_is_hung_up_on_is_made_anew(bank):
    line = bank.ledger.lane.connection

    async def ask():
        started = asyncio.get_running_loop().time()
        with pytest.raises(psycopg.OperationalError) as raised:
            await line.fetch_value("select pg_sleep(9)", [], seconds_max=0.1)
        seconds = asyncio.get_running_loop().time() - started
        return raised.value, seconds, await line.fetch_value("select 7", [], seconds_max=5)

    error, seconds, seven = bank.run(ask())

    assert not is_rolled_back(error)
    assert seconds < 1
    assert seven == 7


def test_it_knows_what_a_failed_statement_did(bank):
    line = bank.ledger.lane.connection

    async def ask(query):
        try:
            await line.fetch_value(query, [], seconds_max=5)
        except psycopg.Error as error:
            return error

    assert is_rolled_back(bank.run(ask("select 1/0")))
    assert is_rolled_back(bank.run(ask("select nothing from nowhere")))
    assert not is_rolled_back(bank.run(ask("select pg_terminate_backend(pg_backend_pid())")))
    assert is_rolled_back(NotConnected("nobody there"))
    assert not is_rolled_back(TimeoutError())


def test_it_leaves_nothing_behind_when_postgresql_cannot_be_reached(bank, monkeypatch, punctual):
    async def refuse(*_args, **_named):
        raise psycopg.OperationalError("connection refused")

    budget = make_budget(limit="1")
    bank.run(bank.ledger.lane.connection.close())
    with monkeypatch.context() as down:
        down.setattr(psycopg.AsyncConnection, "connect", refuse)
        started = time.monotonic()
        (answer,) = bank.ask(bank.call([draw_on(budget)], 100))
        seconds = time.monotonic() - started

    assert isinstance(answer.error, BudgetUnavailable)
    assert seconds < 2.5
    assert bank.ledger.settles.items == 0  # nothing was sent, so there is nothing to bar
    assert bank.reserve([draw_on(budget)], 100).holds == (100,)


# -- what the engine itself refuses --------------------------------------------------------------


def test_the_engine_refuses_to_overrun_a_strict_window(bank):
    make_budget(limit="1", mode="strict")

    for column in ("spent", "reserved"):
        with connection.cursor() as cursor, pytest.raises(IntegrityError, match="strict_ceiling"):
            cursor.execute(f"update spend_budgetwindow set {column} = {dollars('1') + 1}")


def test_the_engine_refuses_to_change_the_log(bank):
    bank.settle(bank.reserve([], 10), 5)

    for change in ("update spend_spendlog set cost = 0", "delete from spend_spendlog"):
        with connection.cursor() as cursor, pytest.raises(IntegrityError, match="append-only"):
            cursor.execute(change)
    assert [row.cost for row in bank.rows()] == [5]


@pytest.mark.parametrize(
    ("column", "value", "constraint"),
    [
        ("cost", -1, "log_cost_not_negative"),
        ("id", "01890000-0000-7000-8000-000000000001", "log_correction_names_its_call"),
        ("holds", "{1,2}", "log_holds_match_windows"),
        ("status", "failure", "log_unbilled_costs_nothing"),
    ],
)
def test_the_engine_refuses_a_row_that_cannot_be(bank, column, value, constraint):
    bank.settle(bank.reserve([], 10), 5)
    columns = [field.column for field in SpendLog._meta.concrete_fields]
    values = {name: name for name in columns}
    values |= {"id": "'01890000-0000-7000-8000-000000000000'::uuid"}
    values |= {column: f"'{value}'"}

    with connection.cursor() as cursor, pytest.raises(DatabaseError, match=constraint):
        cursor.execute(
            f"insert into spend_spendlog ({','.join(columns)})"
            f" select {','.join(values.values())} from spend_spendlog"
        )


# -- clocks --------------------------------------------------------------------------------------


@pytest.mark.parametrize("years", [-1, 1, 40])
def test_wrong_clocks_of_workers_do_not_matter(bank, years):
    budget = make_budget(limit="1", duration="1d")
    bank.ids = CallIds(lambda: int((time.time() + years * 365 * 86_400) * 1000))
    hold = bank.reserve([draw_on(budget)], 100)

    bank.settle(hold, 40)

    (row,) = bank.rows()
    assert abs(row.at - database_now()) < timedelta(seconds=30)
    assert BudgetWindow.objects.count() == 1
    assert bank.spent(budget) == 40
    assert bank.sweep() == 0
    assert bank.differences() == []


def test_it_tells_the_clock_of_the_database(bank):
    heard = []

    async def reserve_once():
        ledger = open_ledger(bank.database, 900_002, hear_clock_seconds=heard.append)
        call = bank.call([], 1)
        await ledger.reserve(call.id, call.intent, [], call.estimate, seconds=600)
        await ledger.close(seconds_max=5)

    bank.run(reserve_once())

    assert abs(heard[0] - database_now().timestamp()) < 30


# -- tag sets ------------------------------------------------------------------------------------


def test_it_interns_each_list_of_tags_once(bank):
    async def intern_all():
        lists = [("a", "b"), ("b", "a"), ("a", "b"), (), ("a", "b,c"), ("a", "b", "c")]
        return await asyncio.gather(*(bank.ledger.intern_tags(names) for names in lists))

    ab, ba, again, none, comma, three = bank.run(intern_all())

    assert ab == again
    assert len({ab, ba, none, comma, three}) == 5
    assert TagSet.objects.get(pk=comma).tags == ["a", "b,c"]
    assert bank.run(bank.ledger.intern_tags(["b", "a"])) == ba


def test_a_name_that_cannot_be_stored_harms_no_neighbour(bank):
    async def intern_all():
        lists = [("a",), ("b\0",), ("c",), ("\ud800",)]
        asking = (bank.ledger.intern_tags(names) for names in lists)
        return await asyncio.gather(*asking, return_exceptions=True)

    a, nul, c, half = bank.run(intern_all())

    assert isinstance(a, int)
    assert isinstance(c, int)
    assert isinstance(nul, Unwritable)
    assert isinstance(half, Unwritable)


def test_who_leaves_while_tags_are_interned_takes_no_connection_along(bank):
    async def leave():
        leaver = asyncio.create_task(bank.ledger.intern_tags(["left"]))
        stayer = asyncio.create_task(bank.ledger.intern_tags(["stayed"]))
        await asyncio.sleep(0.001)
        leaver.cancel()
        return await stayer, bank.ledger.lane.connection._line

    stayed, connected = bank.run(leave())

    assert TagSet.objects.get(pk=stayed).tags == ["stayed"]
    assert connected.is_open


def test_a_refusal_does_not_end_before_it_began(bank):
    """The worker says when it ended, and the row begins by the database's clock a moment later."""
    row = SpendLog.objects.get(id=bank.refuse())

    assert row.ended_at >= row.at
