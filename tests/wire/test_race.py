"""The race: 300 calls at once on a strict budget that affords 100, through two web workers."""

import asyncio
import time
from collections import Counter

import pytest

from tests.factories import make_key, make_model, make_tag, unique
from tests.wire.client import run
from tests.wire.live import HEARD_SECONDS, serving

pytestmark = pytest.mark.xdist_group("race")

CALLS, AFFORDED = 300, 100
ROUNDS = 3
BOUND = 10**7  # a cent: what a call may cost at most, and does


@pytest.fixture(scope="module")
def two_workers(wire_folder, wire_database_url):
    with serving(wire_database_url, wire_folder / "two.log", workers=2) as server:
        yield server


@pytest.fixture(scope="module")
def cent_model(committed_database, django_db_blocker, provider):
    """A call holds exactly what it will cost: the provider tells the whole of what was bounded."""
    from tests.committed import connected_to

    with django_db_blocker.unblock(), connected_to(committed_database):
        return make_model(
            unique("cent"), address=provider.address, upstream_model="wait:0.05/ok:1,1000",
            input="0", output="10",
        )  # fmt: skip


def race(server, key, model, tags):
    """Answers of calls that are all there before the first one is sent."""

    body = {
        "model": model.model_name,
        "messages": [],
        "max_tokens": 1_000,
        "metadata": {"tags": [tag.name for tag in tags]},
    }

    async def call_at_once(client):
        lines = await asyncio.gather(*(client.connect() for _ in range(CALLS)))
        request = client.request("/v1/chat/completions", body)
        answers = await asyncio.gather(*(line.ask(request) for line in lines))
        client.idle += lines
        return answers

    time.sleep(HEARD_SECONDS)
    return run(server.port, key.secret, call_at_once)


def run_round(server, books, model):
    tag, key = make_tag(limit="1", mode="strict"), make_key()

    answers = race(server, key, model, [tag])

    statuses = Counter(answer.status for answer in answers)
    assert statuses == {200: AFFORDED, 400: CALLS - AFFORDED}
    assert {a.error["type"] for a in answers if a.status == 400} == {"budget_exceeded"}
    rows = Counter(row.status for row in books.rows_once(tag, CALLS))
    books.rest()
    window = books.window(tag)
    assert (window.spent, window.reserved) == (window.limit, 0) == (AFFORDED * BOUND, 0)
    assert rows == {"success": AFFORDED, "refused": CALLS - AFFORDED}
    assert books.spent(key) == AFFORDED * BOUND


@pytest.mark.parametrize("number", range(ROUNDS))
def test_exactly_as_many_as_it_affords_succeed(two_workers, books, cent_model, number):
    run_round(two_workers, books, cent_model)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(20))
def test_and_twenty_times_over(two_workers, books, cent_model, number):
    run_round(two_workers, books, cent_model)


def test_all_of_three_tags_admit_a_call_or_none_is_held(two_workers, books, cent_model):
    tags = [make_tag(limit=limit, mode="strict") for limit in ("1.5", "1", "2")]
    key = make_key()

    answers = race(two_workers, key, cent_model, tags)

    assert Counter(a.status for a in answers) == {200: AFFORDED, 400: CALLS - AFFORDED}
    assert {a.json()["budget"]["tag"] for a in answers if a.status == 400} == {tags[1].name}
    books.rest()
    assert [(books.spent(tag), books.reserved(tag)) for tag in tags] == [(AFFORDED * BOUND, 0)] * 3
    books.check()


def test_a_standard_budget_overruns_by_what_is_in_flight_at_most(two_workers, books, cent_model):
    """It admits while anything is left; the last hold may reach beyond the limit."""
    tag, key = make_tag(limit="1"), make_key()

    answers = race(two_workers, key, cent_model, [tag])

    served = sum(a.status == 200 for a in answers)
    rows = [row for row in books.rows_once(tag, CALLS) if row.status == "success"]
    books.rest()
    window = books.window(tag)
    most = max(row.holds[0] for row in rows)
    late = sum(max(0, row.cost - row.holds[0]) for row in rows)
    assert len(rows) == served >= AFFORDED
    assert window.spent == served * BOUND
    assert window.spent - window.limit <= most + late
