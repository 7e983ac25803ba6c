"""Crashes: a web worker, PostgreSQL, Valkey. Each accepted call has one row, nothing stays held."""

import asyncio
import signal
import threading
import time
from collections import Counter

import environ
import pytest
from django.core.management import call_command
from django.db import connection

from spend.models import Reservation, SpendLog
from spend.sweep import sweep_reservations
from tests.committed import Books, differences
from tests.engine_room import engine_room, wait_until
from tests.factories import make_key, make_model, make_tag, unique
from tests.wire.client import Client, Cut, run
from tests.wire.conftest import PREFIX
from tests.wire.live import HEARD_SECONDS, serving

pytestmark = pytest.mark.xdist_group("crash")

RECOVERY_SECONDS_MAX = 10.0


# -- a web worker --------------------------------------------------------------------------------


async def burst(client, mark, tag, kill):
    """80 calls in flight, half of them streams; then the kill; the ids that clients were told."""
    told = []

    async def call(n):
        line = await client.start_chat(
            f"{PREFIX}stream:30,30" if n % 2 else f"{PREFIX}wait:0.7/ok:12,18",
            stream=bool(n % 2), tags=[tag], user=f"{mark}-{n}",
        )  # fmt: skip
        try:
            status, headers = await line.read_head()
            assert status == 200
            told.append(headers["x-request-id"])
            await line.read_body(headers)
        except (Cut, OSError):
            return "cut"
        finally:
            line.hang_up()
        return "answered"

    async with asyncio.TaskGroup() as group:
        calls = []
        for n in range(80):  # one by one: of a crowd one worker may take all
            calls.append(group.create_task(call(n)))
            await asyncio.sleep(0.002)
        await asyncio.sleep(0.4)
        kill()
    return told, Counter(task.result() for task in calls)


def test_a_worker_that_is_killed_leaves_one_row_for_each_call(
    wire_folder, wire_database_url, books, provider, scripted
):
    tag, key, mark = make_tag(limit="100", mode="strict"), make_key(), unique("mark")
    with serving(wire_database_url, wire_folder / "crash.log", workers=2) as server:
        first, _ = server.workers
        time.sleep(HEARD_SECONDS)

        told, outcomes = run(
            server.port, key.secret, lambda client: burst(client, mark, tag, first.kill)
        )
        first.wait()
        wait_until(lambda: survivors_are_done(mark))
        held = Reservation.objects.filter(intent__end_user__startswith=mark).count()
        sweep_reservations(second_look_seconds=0.5)

        rows = rows_of(mark)
        assert Reservation.objects.count() == 0
        assert outcomes["cut"] > 0
        assert held > 0
        assert Counter(row.end_user for row in rows).most_common(1)[0][1] == 1
        assert {line["mark"] for line in provider.bill(f"{mark}-")} <= {r.end_user for r in rows}
        assert set(told) <= {str(row.id) for row in rows}
        assert all(row.cost > 0 for row in rows)
        lost = [row for row in rows if "expired" in row.flags]
        assert len(lost) == held
        assert all((row.status, row.cost) == ("estimated", row.holds[0]) for row in lost)
        billed = {line["mark"]: line["cost"] for line in provider.bill(f"{mark}-")}
        assert all(row.cost >= billed.get(row.end_user, 0) for row in lost)
        assert all(row.cost == billed[row.end_user] for row in rows if row not in lost)
        assert books.spent(tag) == sum(row.cost for row in rows)
        assert (
            run(server.port, key.secret, lambda client: client.chat(f"{PREFIX}ok:1,1")).status
            == 200
        )
        books.check()


def test_a_worker_that_is_asked_to_end_finishes_its_calls(
    wire_folder, wire_database_url, books, scripted
):
    tag, key = make_tag(), make_key()

    async def end_among_streams(client):
        streams = asyncio.gather(
            *(client.chat(f"{PREFIX}stream:20,60", stream=True, tags=[tag]) for _ in range(40))
        )
        await asyncio.sleep(0.5)
        worker.terminate()
        return await streams

    with serving(wire_database_url, wire_folder / "ended.log") as server:
        (worker,) = server.workers
        answers = run(server.port, key.secret, end_among_streams)

        assert worker.wait(timeout=10) == 0
    assert {answer.events[-1] for answer in answers} == {"[DONE]"}
    assert {row.status for row in books.rows_once(tag, 40)} == {"success"}
    books.check()


def status_of_a_call(server, key):
    return run(server.port, key.secret, lambda client: client.chat(f"{PREFIX}ok:1,1")).status


def rows_of(mark):
    return list(SpendLog.objects.filter(end_user__startswith=f"{mark}-"))


def survivors_are_done(mark):
    """No row has come for a while: what is still held was the killed worker's."""
    before = len(rows_of(mark))
    time.sleep(1.0)
    return len(rows_of(mark)) == before > 0


# -- the engines ---------------------------------------------------------------------------------


@pytest.fixture
def room(tmp_path, django_db_blocker, provider):
    """Engines of the test's own, on which PostgreSQL is durable; Django is connected to them."""
    with engine_room(tmp_path / "data") as room, django_db_blocker.unblock():
        before = connection.settings_dict
        connection.close()
        connection.settings_dict = {
            **before, **environ.Env.db_url_config(room.engines.database_url),
        }  # fmt: skip
        connection.settings_dict["ENGINE"] = before["ENGINE"]
        try:
            call_command("migrate", verbosity=0)
            make_model(f"{PREFIX}*", address=provider.address, upstream_model="*")
            yield room
        finally:
            connection.close()
            connection.settings_dict = before


@pytest.fixture
def served(room, tmp_path):
    with serving(
        room.engines.database_url, tmp_path / "server.log", REDIS_URL=room.engines.redis_url
    ) as server:
        yield server


class Load:
    """Calls without end in a thread of their own, until the test has seen enough."""

    def __init__(self, server, key, tag, mark):
        self.server, self.key, self.tag, self.mark = server, key, tag, mark
        self.answers = []  # when, status, type, id
        self.is_over = False
        self.numbers = iter(range(10**6))
        self.thread = threading.Thread(target=self.run)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *error):
        self.is_over = True
        self.thread.join(60)

    def run(self):
        asyncio.run(self.call_for_ever())

    async def call_for_ever(self):
        client = Client(self.server.port, self.key.secret)
        async with asyncio.TaskGroup() as group:
            for place in range(12):
                group.create_task(self.call_on(client, is_stream=place % 3 == 0))
        await client.close()

    async def call_on(self, client, *, is_stream):
        acts = "stream:10,20" if is_stream else "wait:0.05/ok:12,18"
        while not self.is_over:
            answer = await client.chat(
                f"{PREFIX}{acts}", stream=is_stream, tags=[self.tag],
                user=f"{self.mark}-{next(self.numbers)}",
            )  # fmt: skip
            type_ = answer.error["type"] if answer.status != 200 else None
            self.answers.append((time.monotonic(), answer.status, type_, answer.id))
            if answer.status != 200:
                await asyncio.sleep(0.1)

    def since(self, moment):
        return [answer for answer in list(self.answers) if answer[0] >= moment]

    def wait_for(self, status, *, since, seconds_max=RECOVERY_SECONDS_MAX):
        wait_until(
            lambda: any(answer[1] == status for answer in self.since(since)),
            seconds_max=seconds_max,
        )


def test_postgresql_that_crashes_under_load_loses_no_call(room, served, provider):
    tag, key, mark = make_tag(limit="100", mode="strict"), make_key(), unique("mark")
    books, part = Books("tollgate"), room.part("PostgreSQL")
    with Load(served, key, tag, mark) as load:
        load.wait_for(200, since=0)
        time.sleep(0.5)
        crashed = time.monotonic()
        part.child.send_signal(signal.SIGQUIT)
        part.child.wait()
        connection.close()
        load.wait_for(503, since=crashed)
        restarted = time.monotonic()
        room.supervisor.wait_until(
            lambda: part.is_running() and room.engines.postgres.is_ready(part.child),
            seconds_max=20,
            what="PostgreSQL",
        )
        load.wait_for(200, since=restarted)
        time.sleep(0.5)

    books.rest()
    statuses = {(status, type_) for _, status, type_, _ in load.answers}
    assert statuses <= {(200, None), (503, "budget_unavailable")}
    assert (503, "budget_unavailable") in statuses
    answered = {call_id for _, status, _, call_id in load.answers if status == 200}
    rows = rows_of(mark)
    assert answered <= {str(row.id) for row in rows}
    assert len({row.end_user for row in rows}) == len(rows)
    billed = {line["mark"]: line["cost"] for line in provider.bill(f"{mark}-")}
    paid = {row.end_user: row.cost for row in rows if row.cost}
    assert paid == billed
    assert books.spent(tag) == sum(billed.values())
    assert differences() == []


def test_calls_go_on_without_valkey(room, served, provider):
    tag, key, mark = make_tag(limit="100", mode="strict"), make_key(), unique("mark")
    books = Books("tollgate")
    part = room.part("Valkey")
    with Load(served, key, tag, mark) as load:
        load.wait_for(200, since=0)
        part.child.kill()
        part.child.wait()
        killed = time.monotonic()
        time.sleep(1.0)

    assert {status for _, status, _, _ in load.since(killed)} == {200}
    books.rest()
    assert books.spent(tag) == sum(line["cost"] for line in provider.bill(f"{mark}-"))
    assert differences() == []


def test_a_server_without_postgresql_starts_and_serves_once_it_is_there(room, tmp_path, provider):
    part, key = room.part("PostgreSQL"), make_key()
    part.child.send_signal(signal.SIGQUIT)
    part.child.wait()
    connection.close()
    environment = {"REDIS_URL": room.engines.redis_url}
    with serving(
        room.engines.database_url, tmp_path / "late.log", waits=False, **environment
    ) as server:
        wait_until(lambda: is_listening(server))
        early = run(server.port, key.secret, lambda client: client.chat(f"{PREFIX}ok:1,1"))
        room.supervisor.wait_until(
            lambda: part.is_running() and room.engines.postgres.is_ready(part.child),
            seconds_max=20,
            what="PostgreSQL",
        )
        wait_until(
            lambda: (
                run(server.port, key.secret, lambda client: client.chat(f"{PREFIX}ok:1,1")).status
                == 200
            ),
            seconds_max=RECOVERY_SECONDS_MAX,
        )
        Books("tollgate").rest()

    assert (early.status, early.error["type"]) == (503, "budget_unavailable")
    assert early.headers["retry-after"] == "1"
    assert differences() == []


def is_listening(server):
    """The worker has taken its socket over: something is answered."""
    try:
        return run(server.port, "", lambda client: client.call("/livez", method="GET")).status in (
            200, 401, 503,
        )  # fmt: skip
    except (Cut, OSError):
        return False
