"""Retries over the wire: our rows hold what the provider billed, attempt by attempt."""

import asyncio
import time

import pytest

from tests.engine_room import wait_until
from tests.factories import make_model, make_tag, unique
from tests.wire.client import run as run_client
from tests.wire.conftest import PREFIX, hear
from tests.wire.live import serving

pytestmark = pytest.mark.xdist_group("retries")  # one server for them all

COST = 12 * 2_500 + 18 * 10_000
BILLED = "status:503/billed/until:1"
COOLDOWN_SECONDS = 0.5


@pytest.fixture(scope="module")
def retrying(wire_folder, wire_database_url):
    with serving(
        wire_database_url,
        wire_folder / "retrying.log",
        RETRY_AFTER_TIMEOUT="1",
        COOLDOWN_SECONDS=str(COOLDOWN_SECONDS),
    ) as server:
        yield server


@pytest.fixture
def call(retrying, key, books, scripted):
    """Runs `work(client)`; afterwards the books balance."""

    def call(work):
        hear(retrying)
        return run_client(retrying.port, key.secret, work)

    yield call
    books.check()


@pytest.fixture
def chat(call):
    return lambda model, **members: call(lambda client: client.chat(model, **members))


def statuses(row):
    return [attempt["status"] for attempt in row.attempts]


def billed(provider, mark):
    return sum(line["cost"] for line in provider.bill(mark))


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("acts", ["status:500/until:1", "status:429,0/until:2", BILLED])
def test_it_bills_what_the_provider_bills(chat, books, provider, acts, stream):
    answer = chat(f"{PREFIX}{acts}", stream=stream, user=(mark := unique("mark")))

    assert answer.status == 200
    row = books.row(answer.id)
    assert row.cost == billed(provider, mark) == (2 if acts == BILLED else 1) * COST
    assert row.status == "success"
    assert answer.headers["x-litellm-attempted-retries"] == str(len(row.attempts) - 1)


def test_a_refused_connection_leads_to_another_deployment(chat, books, provider):
    name = unique("model")
    make_model(name, address="http://127.0.0.1:1/v1", order=1)
    make_model(name, address=provider.address, upstream_model="ok:12,18", order=2)

    answer = chat(name, user=(mark := unique("mark")))

    assert (answer.status, statuses(books.row(answer.id))) == (200, [None, 200])
    assert books.row(answer.id).cost == billed(provider, mark) == COST


def test_a_fallback_is_billed_by_its_own_price(chat, books, provider):
    other = make_model(address=provider.address, upstream_model="ok:12,18", input="5", output="20")
    model = make_model(
        address=provider.address, upstream_model="status:503/billed", max_retries=0,
        terms={"fallbacks": [other.model_name]},
    )  # fmt: skip

    answer = chat(model.model_name, user=(mark := unique("mark")))

    row = books.row(answer.id)
    assert (answer.status, answer.headers["x-litellm-attempted-fallbacks"]) == (200, "1")
    assert [attempt["cost"] for attempt in row.attempts] == [COST, 2 * COST]
    assert row.cost == 3 * COST
    assert len(provider.bill(mark)) == 2


def test_what_was_silent_is_billed_beside_the_one_that_answers(chat, books, provider):
    """The provider answers the first one later, and bills it."""
    model = make_model(
        address=provider.address, upstream_model="wait:1.3/until:1", stream_timeout_seconds=1
    )
    tag = make_tag(limit="1", mode="strict")

    answer = chat(
        model.model_name, stream=True, max_tokens=100, tags=[tag], user=(mark := unique("mark"))
    )

    assert answer.events[-1] == "[DONE]"
    row = books.row(answer.id)
    assert (statuses(row), row.flags) == ([None, 200], ["estimated_attempt"])
    assert row.attempts[0]["error"] == "upstream_timeout"
    assert [attempt["cost"] for attempt in row.attempts][1] == COST
    wait_until(lambda: len(provider.bill(mark)) == 2)
    assert max(row.holds) >= row.cost >= billed(provider, mark)


def test_a_strict_budget_is_not_overrun_by_second_attempts(call, books, provider):
    """Each first attempt is cut after it was billed. All first ones fit, and some second ones."""
    tag, mark = make_tag(limit="0.1", mode="strict"), unique("mark")
    model = make_model(
        address=provider.address, upstream_model="ok:12,18/rst/until:1", terms={"cooldown_time": 0}
    ).model_name

    async def at_once(client):
        marks = [f"{mark}-{n}" for n in range(40)]
        calls = (client.chat(model, max_tokens=100, tags=[tag], user=each) for each in marks)
        return await asyncio.gather(*calls)

    found = sorted(answer.status for answer in call(at_once))

    assert set(found) == {200, 502}
    assert found.count(200) >= 5
    rows = books.rows_once(tag, 40)
    assert len(rows) == 40
    assert 0 < books.spent(tag) == sum(row.cost for row in rows) <= 100_000_000
    assert billed(provider, mark) <= books.spent(tag)


def test_what_came_after_the_first_byte_is_not_taken_back(chat, books, provider):
    answer = chat(f"{PREFIX}stream:10,0/rst:2/until:1", stream=True, user=(mark := unique("mark")))

    assert answer.events[-1]["error"]["type"] == "upstream_error"
    assert len(provider.bill(mark)) == len(books.row(answer.id).attempts) == 1


def test_nobody_is_tried_for_whom_nobody_waits(call, books, provider):
    tag = make_tag()

    async def leave(client):
        acts = f"{PREFIX}status:429,4/until:1"
        line = await client.start_chat(acts, tags=[tag], user=unique("mark"))
        await asyncio.sleep(0.2)
        line.hang_up()

    call(leave)

    (row,) = books.rows_once(tag, 1)
    assert (row.http_status, row.status, statuses(row), row.cost) == (499, "failure", [429], 0)
    assert (row.ended_at - row.at).total_seconds() < 2


def test_all_attempts_together_have_so_much_time(chat, books, provider):
    model = make_model(
        address=provider.address, upstream_model="status:503,0.3", max_retries=10,
        terms={"total_timeout": 1, "cooldown_time": 0},
    )  # fmt: skip
    began = time.monotonic()

    answer = chat(model.model_name)

    assert (answer.status, statuses(books.row(answer.id))) == (503, [503] * 4)
    assert time.monotonic() - began < 3


def test_a_deployment_cools_and_recovers(chat, provider):
    model = make_model(address=provider.address, upstream_model="status:500/until:3", max_retries=0)
    mark = unique("mark")

    found = [chat(model.model_name, user=mark) for _ in range(4)]
    assert [answer.status for answer in found] == [500, 500, 500, 503]
    assert found[3].error["type"] == "no_healthy_deployment"
    assert found[3].headers["retry-after"] == "1"
    time.sleep(COOLDOWN_SECONDS)

    assert chat(model.model_name, user=mark).status == 200
