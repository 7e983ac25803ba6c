"""Presence: the lock that says a worker lives, and its ear for changed rows."""

import asyncio
import os
import signal

import psycopg
import pytest

from spend import presence as presence_file
from spend.connection import connection_arguments
from spend.models import Price, PriceSource
from spend.presence import CHANNEL, Presence
from spend.sweep import look_for_lockless_workers
from tests.bank import Ask, open_ledger


class Ear:
    """A presence, and what it heard."""

    def __init__(self) -> None:
        self.changes: list[tuple[str, str]] = []
        self.silences = 0
        self.presence = Presence(lambda *change: self.changes.append(change), self.hear_silence)

    def hear_silence(self) -> None:
        self.silences += 1

    async def until(self, is_so, *, seconds_max: float = 10.0) -> None:
        async with asyncio.timeout(seconds_max):
            while not is_so():  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.01)


@pytest.fixture
def ear(bank, monkeypatch, request):
    monkeypatch.setattr(presence_file, "BEAT_SECONDS", 0.1)
    monkeypatch.setattr(presence_file, "SILENCE_SECONDS_MAX", getattr(request, "param", 0.8))
    monkeypatch.setattr(presence_file, "RECONNECT_SECONDS", 0.02)
    monkeypatch.setattr(presence_file, "LOCK_TIMEOUT", "300ms")
    found = Ear()
    bank.run(found.presence.open())
    yield found
    bank.run(found.presence.close())


# A silence would be borne for so long that what a busy machine delays makes it connect no more.
patient = pytest.mark.parametrize("ear", [60.0], indirect=True, ids=["patient"])


def ask(query: str, *values: object):
    with psycopg.connect(**connection_arguments(), autocommit=True) as session:
        cursor = session.execute(query, values)
        return cursor.fetchone() if cursor.description else None


def reserve_as(bank, worker_id: int) -> Ask:
    """A call that this worker holds."""
    call = bank.call([], 1)

    async def work():
        ledger = open_ledger(bank.database, worker_id)
        await ledger.reserve(call.id, call.intent, [], call.estimate, seconds=600)
        await ledger.close(seconds_max=5)

    bank.run(work())
    return call


# The server lists the locks of all its databases, and each of those numbers its workers alike.
OUR_LOCKS = (
    " from pg_locks where locktype = 'advisory' and classid = 7001 and objid = %s and database ="
    " (select oid from pg_database where datname = current_database())"
)


def backend_of(worker_id: int) -> int:
    (pid,) = ask(
        f"select pid {OUR_LOCKS} and granted",
        worker_id,
    )
    return pid


def test_it_works(bank, ear):
    reserve_as(bank, ear.presence.worker_id)

    assert ear.presence.worker_id > 0
    assert look_for_lockless_workers() == []

    bank.run(ear.presence.close())

    async def has_ended() -> None:  # the server lets a lock go when it has seen the session end
        await ear.until(lambda: gone() == [ear.presence.worker_id])

    def gone() -> list[int]:
        return list(ask("select spend_lockless_workers()")[0])

    bank.run(has_ended())


def test_each_worker_has_an_id_of_its_own(bank, ear):
    other = Ear()
    bank.run(other.presence.open())

    assert other.presence.worker_id != ear.presence.worker_id
    bank.run(other.presence.close())


def test_it_hears_changed_rows(bank, ear):
    ask("select pg_notify(%s, 'tags_tag:17')", CHANNEL)
    price = Price.objects.create(source=PriceSource.OPERATOR, model="demo", rates={})

    bank.run(ear.until(lambda: len(ear.changes) == 2))

    assert ear.changes == [("tags_tag", "17"), ("spend_price", str(price.pk))]
    price.delete()


def test_it_is_heard_as_long_as_it_hears_itself(bank, ear):
    async def wait():
        await asyncio.sleep(1.2)  # longer than the silence that is borne
        return ear.presence.is_heard

    assert bank.run(wait())
    assert ear.silences == 1  # as it was opened
    assert ear.changes == []


@patient
def test_it_takes_its_lock_again_when_its_session_was_ended(bank, ear):
    reserve_as(bank, ear.presence.worker_id)
    first = backend_of(ear.presence.worker_id)

    ask("select pg_terminate_backend(%s, 2000)", first)
    bank.run(ear.until(lambda: ear.silences == 2))  # the cards are forgotten

    assert backend_of(ear.presence.worker_id) != first
    assert look_for_lockless_workers() == []

    ask("select pg_notify(%s, 'tags_tag:18')", CHANNEL)
    bank.run(ear.until(lambda: ear.changes))

    assert ear.changes == [("tags_tag", "18")]
    assert ear.silences == 2


def test_it_notices_a_session_that_died_without_a_word(bank, ear):
    first = backend_of(ear.presence.worker_id)
    assert bank.run(is_heard(ear))
    os.kill(first, signal.SIGSTOP)
    try:
        bank.run(ear.until(lambda: ear.presence._connection.closed))
        assert not bank.run(is_heard(ear))
    finally:
        os.kill(first, signal.SIGCONT)

    bank.run(ear.until(lambda: ear.silences >= 2))
    assert backend_of(ear.presence.worker_id) != first


def test_a_worker_that_waits_for_its_old_lock_leaves_no_session_behind(bank, ear):
    """The frozen session keeps the lock; each vain attempt ends by itself."""
    first = backend_of(ear.presence.worker_id)
    os.kill(first, signal.SIGSTOP)
    try:
        bank.run(asyncio.sleep(3))
        (waiting,) = ask(
            f"select count(*) {OUR_LOCKS} and not granted",
            ear.presence.worker_id,
        )
    finally:
        os.kill(first, signal.SIGCONT)

    assert waiting <= 1
    bank.run(ear.until(lambda: ear.silences >= 2))


async def is_heard(ear: Ear) -> bool:
    return ear.presence.is_heard


@patient
def test_it_goes_on_listening_when_its_listener_makes_a_mistake(bank, ear):
    def stumble(table: str, row_id: str) -> None:
        ear.presence._on_change = lambda *change: ear.changes.append(change)
        raise RuntimeError("a listener's own mistake")

    ear.presence._on_change = stumble
    ask(f"select pg_notify('{CHANNEL}', 'tags_tag:1')")
    bank.run(ear.until(lambda: ear.silences == 2))  # it connected anew, and forgot the cards

    ask(f"select pg_notify('{CHANNEL}', 'tags_tag:2')")
    bank.run(ear.until(lambda: ear.changes))

    assert ear.changes == [("tags_tag", "2")]
    assert ear.silences == 2
