"""Bank: a blocking face on a ledger whose connections really commit, for tests of the books.

Its event loop runs in a thread of its own, so flights go on between the steps of a test. It has a
database to itself, whose books are empty when a test begins.
"""

import asyncio
import contextlib
import os
import threading
from collections.abc import Coroutine, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import connection
from psycopg.conninfo import make_conninfo

from spend.billing import Bill, Record
from spend.errors import NoRoom
from spend.estimate import Estimate
from spend.ids import CallIds
from spend.lanes import Request
from spend.ledger import Draw, Hold, Intent, Ledger
from spend.models import Budget, BudgetWindow, Reservation, SpendLog
from spend.money import Nanos
from spend.rollover import roll_over
from spend.sweep import expire_reservations
from spend.usage import Usage
from tests import committed
from tests.spend.recount import recount

ANSWER_SECONDS_MAX = 30.0
CLOSE_SECONDS_MAX = 10.0
HOLD_SECONDS = 600
KEY_ID = UUID("01890000-0000-7000-8000-000000000001")
USAGE = Usage(input=12, output=18)
WORKER_ID = 900_001
TABLES = (
    "spend_reservation",
    "spend_spendlog",
    "spend_rollup",
    "spend_budgetwindow",
    "spend_budget",
    "spend_tagset",
    "spend_jobrun",
    "spend_audit",
    "spend_auditseal",
)
GUARDED = {
    "spend_spendlog": "log_is_append_only",
    "spend_audit": "audit_is_append_only",
    "spend_auditseal": "audit_is_append_only",
}  # fmt: skip


def draw_on(budget: Budget, payer: str | None = None) -> Draw:
    return Draw(budget.pk, payer or f"tag:{budget.public_id}", budget.public_id, budget.soft_limit)


def estimate(expected: int, bound: int | None = None, unbounded_by: str | None = None) -> Estimate:
    """The bound is the expected cost unless it is given, or unprovable."""
    proven = None if unbounded_by else bound if bound is not None else expected
    return Estimate(Nanos(expected), proven, unbounded_by, None)


def intent(tag_set: int = 1, **fields: Any) -> Intent:
    named = {"endpoint": "chat/completions", "stream": False, "key_id": KEY_ID} | {
        "key_alias": "ci", "key_digest": "ab" * 32, "tag_set": tag_set, "model": "demo-fast",
    }  # fmt: skip
    return Intent(**(named | fields))


def bill(cost: int, status: str = "success", **fields: Any) -> Bill:
    usage = Usage() if status == "failure" else USAGE
    named = {"usage": usage, "usage_source": "upstream", "price_id": None, "flags": ()} | fields
    return Bill(Nanos(cost), status, **named)


def record(http_status: int = 200, **fields: Any) -> Record:
    return Record(http_status=http_status, ended_at=datetime.now(UTC), **fields)


@contextlib.contextmanager
def connected_to(database: str) -> Iterator[None]:
    """Django's connection of this thread is a new one, to that database."""
    before = connection.settings_dict
    connection.close()
    point_to(database)
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict = before


def point_to(database: str) -> None:
    """Within this thread, or this task and those that it starts."""
    connection.settings_dict = {**connection.settings_dict, "NAME": database}


def open_ledger(database: str, worker_id: int = WORKER_ID, **arguments: Any) -> Ledger:
    """A ledger of that database, as a worker has it."""

    rolling: dict[int, asyncio.Task[None]] = {}  # those who miss the same window wait for one

    def roll_over_here(budget_id: int) -> None:
        with connected_to(database):
            roll_over(budget_id)

    async def roll_over_once(budget_id: int) -> None:
        task = rolling.get(budget_id)
        if task is None:
            task = asyncio.create_task(asyncio.to_thread(roll_over_here, budget_id))
            rolling[budget_id] = task
            task.add_done_callback(lambda _: rolling.pop(budget_id))
        await asyncio.wait([task])
        task.result()

    named = {"day_zone": settings.REPORT_TIME_ZONE, "refused_status": 400} | arguments
    named.setdefault("roll_over", roll_over_once)
    point_to(database)
    return Ledger(worker_id=worker_id, **named)


@dataclass(frozen=True, slots=True)
class Ask:
    """One of many calls asked at once."""

    id: UUID
    draws: Sequence[Draw]
    estimate: Estimate
    intent: Intent


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of it."""

    id: UUID
    hold: Hold | None
    error: BaseException | None


class Bank:
    def __init__(self, database: str) -> None:
        self.database = database
        self.ids = CallIds()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="bank")
        self._thread.start()
        self.ledger = self.run(self._open())
        self.admitted: list[UUID] = []

    # -- verbs -----------------------------------------------------------------------------------

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """What it returns; whatever it opens is a connection to the bank's database."""

        async def run_here() -> Any:
            point_to(self.database)
            return await coroutine

        return asyncio.run_coroutine_threadsafe(run_here(), self._loop).result(ANSWER_SECONDS_MAX)

    def reserve(
        self,
        draws: Sequence[Draw],
        expected: int = 1,
        bound: int | None = None,
        *,
        call_id: UUID | None = None,
        seconds: int = HOLD_SECONDS,
        unbounded_by: str | None = None,
        **fields: Any,
    ) -> Hold:
        asked = estimate(expected, bound, unbounded_by)
        call_id = call_id or self.ids.next()
        hold = self.run(
            self.ledger.reserve(call_id, intent(**fields), draws, asked, seconds=seconds)
        )
        self.admitted.append(hold.id)
        return hold

    def ask(self, *requests: Ask) -> list[Answer]:
        """All at once, so that they are one batch; in their order."""
        answers = self.run(self._ask(requests))
        self.admitted += [answer.id for answer in answers if answer.hold]
        return answers

    def ask_once(self, *requests: Ask) -> list[Any]:
        """One batch of one question each; the verdicts as the SQL has them."""
        return self.run(self._ask_once(requests))

    def call(
        self, draws: Sequence[Draw], expected: int = 1, bound: int | None = None, **fields: Any
    ) -> Ask:
        return Ask(self.ids.next(), draws, estimate(expected, bound), intent(**fields))

    def add_attempt(
        self, hold: Hold, owed: int, expected: int, bound: int | None = None
    ) -> Hold | None:
        """None where it has no room; an unprovable bound is None."""
        further = Estimate(Nanos(expected), bound, None, None)
        try:
            return self.run(self.ledger.add_attempt(hold, Nanos(owed), further))
        except NoRoom:
            return None

    def settle(
        self,
        hold: Hold,
        cost: int,
        status: str = "success",
        *,
        usage: Usage | None = None,
        **fields: Any,
    ) -> None:
        told = {} if usage is None else {"usage": usage}
        self.run(self._settle(hold, bill(cost, status, **told), record(**fields)))

    def release(self, hold: Hold) -> None:
        """Certain that nothing was billed."""
        self.settle(hold, 0, "failure", http_status=502)

    def refuse(self, call_id: UUID | None = None, **fields: Any) -> UUID:
        call_id = call_id or self.ids.next()
        self.run(self._refuse(call_id, intent(**fields)))
        return call_id

    def sweep(self, *workers: int) -> int:
        """Expire what these workers hold, and what is past its time."""
        return expire_reservations(workers)

    def flush(self) -> None:
        """Wait until every bill is written."""
        self.run(self._flush())

    # -- what the rows say -----------------------------------------------------------------------

    def window(self, budget: Budget) -> BudgetWindow:
        return BudgetWindow.objects.open().get(budget=budget)

    def reserved(self, budget: Budget) -> int:
        return self.window(budget).reserved

    def spent(self, budget: Budget) -> int:
        return self.window(budget).spent

    def rows(self) -> list[SpendLog]:
        """All of the log, the oldest call first, a correction after its call."""
        return list(SpendLog.objects.order_by("id"))

    def row(self, call_id: UUID) -> SpendLog:
        return SpendLog.objects.get(id=call_id)

    def reservations(self) -> list[UUID]:
        return list(Reservation.objects.order_by("id").values_list("id", flat=True))

    def differences(self) -> list[str]:
        return recount(admitted=self.admitted)

    def close(self) -> None:
        self.run(self.ledger.close(seconds_max=CLOSE_SECONDS_MAX))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    # -- in the event loop -----------------------------------------------------------------------

    async def _open(self) -> Ledger:
        return open_ledger(self.database)

    async def _ask(self, requests: Sequence[Ask]) -> list[Answer]:
        asking = (
            self.ledger.reserve(ask.id, ask.intent, ask.draws, ask.estimate, seconds=HOLD_SECONDS)
            for ask in requests
        )
        found: list[Any] = await asyncio.gather(*asking, return_exceptions=True)
        return [
            Answer(ask.id, result, None)
            if isinstance(result, Hold)
            else Answer(ask.id, None, result)
            for ask, result in zip(requests, found, strict=True)
        ]

    async def _ask_once(self, requests: Sequence[Ask]) -> list[Any]:
        asking = (
            self.ledger.lane.submit(Request(a.id, a.draws, a.estimate, HOLD_SECONDS, a.intent))
            for a in requests
        )
        return list(await asyncio.gather(*asking))

    async def _settle(self, hold: Hold, bill: Bill, record: Record) -> None:
        self.ledger.settle(hold, bill, record)
        await self._flush()

    async def _refuse(self, call_id: UUID, intent: Intent) -> None:
        self.ledger.refuse(call_id, intent, record(400))
        await self._flush()

    async def _flush(self) -> None:
        await self.ledger.settles.flush()
        while not self.ledger.settles.is_idle:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.001)


@pytest.fixture(scope="session")
def bank_database(worker_id, django_db_blocker) -> Iterator[str]:
    """The name of a database that has the bank's tables alone, and that no test rolls back."""
    name = f"tollgate_bank_{worker_id}"
    conninfo = make_conninfo(os.environ["DATABASE_URL"], dbname="postgres")
    with psycopg.connect(conninfo, autocommit=True) as postgres:
        postgres.execute(f'drop database if exists "{name}" with (force)')
        postgres.execute(f'create database "{name}"')
        with django_db_blocker.unblock(), connected_to(name):
            call_command("migrate", "spend", verbosity=0)
        yield name
        postgres.execute(f'drop database if exists "{name}" with (force)')


@pytest.fixture
def bank_books(bank_database, django_db_blocker) -> Iterator[str]:
    """Within a test that uses it, Django's connection is one to empty books that commit."""
    with django_db_blocker.unblock(), committed.connected_to(bank_database):
        yield bank_database
        empty_books()


@pytest.fixture
def bank(bank_books) -> Iterator[Bank]:
    opened = Bank(bank_books)
    yield opened
    opened.close()


def empty_books() -> None:
    with connection.cursor() as cursor:
        guards = [f"alter table {table} {{}} trigger {name};" for table, name in GUARDED.items()]
        cursor.execute(
            "begin;"
            + "".join(guard.format("disable") for guard in guards)
            + "".join(f"delete from {table};" for table in TABLES)
            + "".join(guard.format("enable") for guard in guards)
            + "commit"
        )
