"""Faulty lines: what lies between a worker and its engines loses, holds, cuts and delays.

Afterwards each call has one row, what was charged is the provider's bill, and nothing is held.
"""

import asyncio
import os
import time
from collections import Counter
from urllib.parse import urlsplit

import psycopg
import pytest

from spend.models import SpendLog
from tests.engine_room import wait_until
from tests.factories import make_key, make_tag, unique
from tests.faults.fault_proxy import Fault, fault_proxy
from tests.wire.client import run
from tests.wire.conftest import PREFIX, hear
from tests.wire.live import serving

pytestmark = pytest.mark.xdist_group("faulty_lines")

STATEMENT = b"\0ledger_"  # the ledger's reserve and settle, prepared, on their way to be run
ROUND, SLOW_ROUNDS = 40, 20
CARD_SECONDS_MAX = 8.0  # five, and the tests' own time
LOSSES = {
    "reply lost after the commit": Fault("drop_reply", request=STATEMENT, share=0.3),
    "original after its retry": Fault("hold_then_deliver", 0.05, request=STATEMENT, share=0.3),
    "in pieces": Fault("slice", 300),
    "late": Fault("delay", 0.005),
}
VALKEY = {
    "reply lost": Fault("drop_reply", share=0.3),
    "silent": Fault("blackhole"),
    "refused": Fault("refuse"),
}


@pytest.fixture(scope="module")
def lines(wire_database_url):
    """A proxy before PostgreSQL and one before Valkey."""
    host = psycopg.conninfo.conninfo_to_dict(wire_database_url)
    database = f"{host['host']}/.s.PGSQL.{host['port']}"
    valkey = urlsplit(os.environ["REDIS_URL"]).path
    with fault_proxy(database, seed=5) as postgres, fault_proxy(valkey, seed=5) as cache:
        yield postgres, cache


@pytest.fixture(scope="module")
def faulty(lines, wire_folder, wire_database_url):
    postgres, cache = lines
    named = psycopg.conninfo.conninfo_to_dict(wire_database_url)
    url = f"postgresql://{named['user']}@127.0.0.1:{postgres.port}/{named['dbname']}"
    with serving(
        url, wire_folder / "faulty.log", REDIS_URL=f"redis://127.0.0.1:{cache.port}/0"
    ) as server:
        yield server


@pytest.fixture
def postgres(lines):
    yield lines[0]
    lines[0].fault = Fault()


@pytest.fixture
def valkey(lines):
    yield lines[1]
    lines[1].fault = Fault()


class Trial:
    """Calls of one key and one strict tag, and their end in both books."""

    def __init__(self, server, books, provider, **options):
        self.server, self.books, self.provider = server, books, provider
        self.tag, self.mark = make_tag(limit="100", mode="strict"), unique("mark")
        self.key = make_key(**options)
        self.told = []
        hear(server)

    async def call(self, client, n, acts="wait:0.02/ok:12,18"):
        answer = await client.chat(
            f"{PREFIX}{acts}", tags=[self.tag], user=f"{self.mark}-{n}", stream="stream" in acts
        )
        self.told.append(answer)
        return answer

    def burst(self, count=ROUND):
        """So many calls, a few at once."""

        async def work(client):
            gate = asyncio.Semaphore(8)

            async def one(n):
                async with gate:
                    await self.call(client, n, "stream:5,4" if n % 3 == 0 else "wait:0.02/ok:12,18")

            await asyncio.gather(*(one(n) for n in range(count)))

        run(self.server.port, self.key.secret, work)
        return Counter(answer.status for answer in self.told)

    def balance(self):
        self.books.rest()
        rows = SpendLog.objects.filter(end_user__startswith=f"{self.mark}-")
        served = {answer.id for answer in self.told if answer.status == 200}
        assert served <= {str(row.id) for row in rows}
        billed = {line["mark"]: line["cost"] for line in self.provider.bill(f"{self.mark}-")}
        assert sorted((row.end_user, row.cost) for row in rows if row.cost) == sorted(
            billed.items()
        )
        assert self.books.spent(self.tag) == sum(billed.values())
        self.books.check()


@pytest.fixture
def trial(faulty, books, provider, scripted):
    return Trial(faulty, books, provider)


def lose(trial, postgres, fault):
    postgres.decisions.clear()
    postgres.fault = fault
    statuses = trial.burst()
    postgres.fault = Fault()
    assert set(statuses) <= {200, 503}
    assert statuses[200] > 0
    assert postgres.decisions or fault.mode not in {"drop_reply", "hold_then_deliver"}
    trial.balance()


@pytest.mark.parametrize("what", LOSSES)
def test_the_books_balance_over_a_line_that_loses(trial, postgres, what):
    lose(trial, postgres, LOSSES[what])


@pytest.mark.slow
@pytest.mark.parametrize("what", LOSSES)
@pytest.mark.parametrize("number", range(SLOW_ROUNDS))
def test_and_many_times_over(trial, postgres, what, number):
    lose(trial, postgres, LOSSES[what])


def cut(trial, postgres, times):
    """Every connection, again and again, while calls go on."""
    ended = 0

    async def work(client):
        nonlocal ended
        calls = asyncio.gather(
            *(trial.call(client, n, "stream:12,15") for n in range(30)),
        )
        for _ in range(times):
            await asyncio.sleep(0.05)
            ended += await asyncio.to_thread(postgres.cut)
        await calls

    run(trial.server.port, trial.key.secret, work)
    assert ended > 0
    assert {answer.status for answer in trial.told} <= {200, 503}
    trial.balance()
    wait_until(trial.server.is_ready)


def test_connections_that_are_cut_lose_no_call(trial, postgres):
    cut(trial, postgres, 4)


@pytest.mark.slow
def test_connections_that_are_cut_for_long_lose_no_call(trial, postgres):
    cut(trial, postgres, 100)


def test_a_silent_postgresql_admits_nobody_and_ends_no_call(trial, postgres):
    """What is in flight is answered in full, and its settle lands once the server is heard."""

    async def work(client):
        running = asyncio.create_task(trial.call(client, 0, "wait:0.5/ok:12,18"))
        while not trial.provider.bill(f"{trial.mark}-0"):  # noqa: ASYNC110 - a file
            await asyncio.sleep(0.01)
        postgres.fault = Fault("blackhole")
        refused = await trial.call(client, 1)
        return await running, refused

    answered, refused = run(trial.server.port, trial.key.secret, work)
    postgres.fault = Fault()

    assert answered.status == 200
    assert (refused.status, refused.error["type"]) == (503, "budget_unavailable")
    assert trial.provider.bill(f"{trial.mark}-1") == []
    trial.balance()
    wait_until(trial.server.is_ready)


@pytest.mark.parametrize("what", VALKEY)
def test_calls_are_served_without_a_sound_valkey(faulty, books, provider, scripted, valkey, what):
    trial = Trial(faulty, books, provider, columns={"rpm_limit": 1_000_000})
    valkey.fault = VALKEY[what]
    valkey.cut()
    assert trial.burst(30) == {200: 30}
    valkey.fault = Fault()
    trial.balance()


@pytest.mark.slow
def test_a_locked_window_holds_up_its_own_tag_alone(
    trial, faulty, books, provider, wire_database_url
):
    other = Trial(faulty, books, provider)
    budget = trial.tag.budget.pk
    with psycopg.connect(wire_database_url) as foreign:
        assert trial.burst(1) == {200: 1}
        foreign.execute(
            "select 1 from spend_budgetwindow where budget_id = %s for update", [budget]
        )
        assert trial.burst(4)[503] == 4
        assert other.burst() == {200: ROUND}
    trial.balance()
    other.balance()


@pytest.mark.slow
def test_a_blocked_key_is_refused_though_nobody_hears_of_it(trial, faulty, postgres):
    postgres.fault = Fault("blackhole", flow=b"tollgate_cards")
    type(trial.key).objects.filter(pk=trial.key.pk).update(blocked=True)
    began = time.monotonic()

    async def status(client):
        return (await client.call("/v1/models", method="GET")).status

    wait_until(lambda: run(faulty.port, trial.key.secret, status) == 401)
    assert time.monotonic() - began < CARD_SECONDS_MAX
